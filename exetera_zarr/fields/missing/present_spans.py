"""The least and the greatest value of spans in which some values are missing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import UnsupportedError
from exetera_zarr.fields.missing.companions import masked_reader

if TYPE_CHECKING:
    from exetera_zarr.engine import Column
    from exetera_zarr.engine.streams.source import Source
    from exetera_zarr.fields.base import Field

__all__ = ["present_spans"]


def present_spans(field: Field, source: Source, what: str) -> tuple[Source, Source]:
    """
    A field in which nothing that is missing is the least or the greatest, and where it has values.

    Parameters
    ----------
    field
        Of numbers.
    source
        The field as it is stored.
    what
        ``min`` or ``max``.

    Raises
    ------
    UnsupportedError
        The field is of strings, among which there is none that is beyond all.
    """
    (empty,) = source.empty
    if field.indexed or empty.dtype.kind == "S":
        raise UnsupportedError(
            f"{field.phrase()}: the {what} of spans of strings of which some are missing is not "
            "supported: filter by notna() first"
        )
    read_masked = masked_reader(field)[1]
    beyond = _beyond(empty.dtype, what)

    def read(start: int, stop: int) -> list[Column]:
        column, mask = read_masked(start, stop)
        return [column if mask is None else np.where(mask, column, beyond).astype(empty.dtype)]

    def read_mask(start: int, stop: int) -> list[Column]:
        column, mask = read_masked(start, stop)
        return [np.ones(len(column), np.int8) if mask is None else mask.astype(np.int8)]

    return replace(source, read=read), replace(source, empty=[np.zeros(0, np.int8)], read=read_mask)


def _beyond(dtype: np.dtype[Any], what: str) -> Any:
    """What no value is greater than, for the least; less than, for the greatest."""
    if dtype.kind == "b":
        return what == "min"
    if dtype.kind == "f":
        return np.inf if what == "min" else -np.inf
    return np.iinfo(dtype).max if what == "min" else np.iinfo(dtype).min
