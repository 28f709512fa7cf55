"""Fields as the engine reads them, a block of rows at a time, and where it works on them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np

from exetera_zarr.engine.streams.source import ROOM, ROWS, Source, joint_offsets
from exetera_zarr.engine.streams.workspace import Workspace
from exetera_zarr.errors import DataError
from exetera_zarr.storage import together

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exetera_zarr.engine import Column
    from exetera_zarr.fields.base import Field
    from exetera_zarr.settings import Settings
    from exetera_zarr.storage.base import AnyArray, Array

__all__ = ["source_of", "workspace"]


def workspace(settings: Settings | None) -> Workspace:
    """
    Where an operation on fields of a session works.

    A quarter of the session's limit is for blocks that are on their way to a store.
    """
    if settings is None:
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
    arrays = [dict(field.arrays()) for field in fields]
    for field, of in zip(fields, arrays, strict=True):
        length = field.rows_of(of)
        if rows is not None and length != rows:
            raise DataError(f"{field.phrase()} has {length} rows, others have {rows}")
        rows = length
    offsets = []
    for field, of in zip(fields, arrays, strict=True):
        if field.indexed:
            index = _LastRead(of["index"])
            of["index"] = cast("Array", index)
            offsets.append(index.offsets)
    return Source(
        rows or 0,
        [field.empty_column() for field in fields],
        partial(_read, fields, arrays),
        min((field.group.row_block for field in fields), default=ROWS),
        min(map(_room, fields), default=ROOM),
        joint_offsets(offsets),
    )


def _read(
    fields: Sequence[Field], arrays: Sequence[Mapping[str, Array]], start: int, stop: int
) -> list[Column]:
    rows = stop - start
    at_once = max((array.at_once(rows) for of in arrays for array in of.values()), default=1)
    pairs = zip(fields, arrays, strict=True)
    return together(lambda pair: pair[0].read(start, stop, pair[1]), pairs, at_once)


def _room(field: Field) -> int:
    """
    Bytes of a block: with the one read ahead, and what is made of both, half of the limit.

    Strings are held twice more, as the bytes that are decoded and as the text that is taken.
    """
    if field.settings is None:
        return ROOM
    return min(field.settings.memory_limit // (20 if field.indexed else 8), ROOM)


class _LastRead:
    """The offsets of strings as an array that keeps what was read last: the strings come next."""

    def __init__(self, array: Array) -> None:
        self._array = array
        self._last: tuple[int, AnyArray] = (0, np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self._array)

    def at_once(self, elements: int) -> int:
        return self._array.at_once(elements)

    def read(self, start: int, stop: int) -> AnyArray:
        first, known = self._last
        if start < first or stop > first + len(known):
            first, known = self._last = start, self._array.read(start, stop)
        return known[start - first : stop - first]

    def offsets(self, start: int, stop: int) -> AnyArray:
        """As of `Source`."""
        return self.read(start, stop + 1)
