"""Fields as the engine reads them, a block of rows at a time, and where it works on them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from exetera_zarr.engine.source import Source
from exetera_zarr.engine.workspace import Workspace
from exetera_zarr.errors import DataError
from exetera_zarr.limits import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exetera_zarr.engine import Column
    from exetera_zarr.fields.base import Field
    from exetera_zarr.storage.base import Array

__all__ = ["source_of", "workspace"]


def workspace(session: object) -> Workspace:
    """
    Where an operation on fields of a session works.

    A quarter of the session's limit is for blocks that are on their way to a store.
    """
    settings = getattr(session, "settings", None)
    if not isinstance(settings, Settings):
        return Workspace()
    return Workspace(settings.memory_limit * 3 // 4, settings.spill_dir)


def source_of(fields: Sequence[Field]) -> Source:
    """
    Fields of one length as columns that are read by rows, all from the same state.

    Raises
    ------
    DataError
        Their lengths differ.
    """
    arrays = [field.arrays() for field in fields]
    lengths = [field.rows_of(of) for field, of in zip(fields, arrays, strict=True)]
    if len(set(lengths)) > 1:
        said = ", ".join(
            f"{field.describe()} has {length}"
            for field, length in zip(fields, lengths, strict=True)
        )
        raise DataError(f"the numbers of rows differ: {said}")
    return Source(
        lengths[0],
        [field.empty_column() for field in fields],
        partial(_read, fields, arrays),
        min(field.group.row_block for field in fields),
    )


def _read(
    fields: Sequence[Field], arrays: Sequence[Mapping[str, Array]], start: int, stop: int
) -> list[Column]:
    return [field.read(start, stop, of) for field, of in zip(fields, arrays, strict=True)]
