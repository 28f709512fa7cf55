"""Fields as the engine reads them, a block of rows at a time, and where it works on them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from exetera_zarr.engine.source import ROWS, Source
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


def source_of(fields: Sequence[Field], rows: int | None = None) -> Source:
    """
    Fields of one length as columns that are read by rows, all from their present state.

    Parameters
    ----------
    fields
        Of a table, or in memory.
    rows
        How many they have; to be given where there may be no fields.

    Raises
    ------
    DataError
        They have different numbers of rows.
    """
    arrays = [field.arrays() for field in fields]
    for field, of in zip(fields, arrays, strict=True):
        length = field.rows_of(of)
        if rows is not None and length != rows:
            raise DataError(f"{field.describe()} has {length} rows, others have {rows}")
        rows = length
    return Source(
        rows or 0,
        [field.empty_column() for field in fields],
        partial(_read, fields, arrays),
        min((field.group.row_block for field in fields), default=ROWS),
    )


def _read(
    fields: Sequence[Field], arrays: Sequence[Mapping[str, Array]], start: int, stop: int
) -> list[Column]:
    return [field.read(start, stop, of) for field, of in zip(fields, arrays, strict=True)]
