"""Fields as the engine reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exetera_zarr.engine.source import ROWS, Source
from exetera_zarr.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exetera_zarr.engine import Column
    from exetera_zarr.fields.base import Field

__all__ = ["source_of"]


def source_of(fields: Sequence[Field], rows: int | None = None) -> Source:
    """
    Fields of one length as the engine reads them; all reads are of their present state.

    Parameters
    ----------
    fields
        Fields of a table or in memory.
    rows
        How many they have; to be given if there may be none of them.

    Raises
    ------
    ValueError
        They have different numbers of rows.
    """
    arrays = [field.arrays() for field in fields]
    for field, own in zip(fields, arrays, strict=True):
        length = field.rows_of(own)
        if rows is not None and length != rows:
            raise DataError(f"{field.describe()} has {length} rows, and others have {rows}")
        rows = length

    def read(start: int, stop: int) -> list[Column]:
        return [f.read(start, stop, own) for f, own in zip(fields, arrays, strict=True)]

    step = fields[0].group.row_block if fields else ROWS
    return Source(rows or 0, [field.empty_column() for field in fields], read, step)
