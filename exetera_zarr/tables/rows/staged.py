"""Rows that were given, as the fields of a table take them, kept until all of them are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from exetera_zarr.engine import is_strings
from exetera_zarr.engine.columns import strings
from exetera_zarr.engine.streams.source import ROOM, Source
from exetera_zarr.fields.missing.companions import holds_nan, without
from exetera_zarr.fields.missing.masked import Masked

if TYPE_CHECKING:
    from exetera_zarr.engine import Column
    from exetera_zarr.engine.streams.workspace import Spill, Workspace
    from exetera_zarr.fields.base import Field
    from exetera_zarr.storage.base import AnyArray

__all__ = ["StagedColumn"]

_STEP = 1 << 20


class StagedColumn:
    """
    A column that grows, and is then read by rows; what is beyond a share of the memory is on disk.

    Parameters
    ----------
    field
        Whose type it has.
    work
        The memory, and where the rows are.
    share
        Of the memory.
    """

    def __init__(self, field: Field, work: Workspace, share: float) -> None:
        self._work, self._share = work, share
        self._empty = field.empty_column()
        self._sees_missing = field.face.sees_missing
        self._coded = field.coded
        self.rows: int = 0
        self._mask: Spill | None = None
        self._offsets: Spill | None = None
        if is_strings(self._empty):
            self._offsets = work.spill(np.int64, share)
            self._offsets.append(np.zeros(1, np.int64))
            self._values = work.spill(np.uint8, share)
        else:
            self._values = work.spill(self._empty.dtype, share)

    def append(self, column: Column, mask: AnyArray | None) -> None:
        """Add rows, as `fitted` gives them."""
        mask = without(mask, self._coded(column))
        if mask is not None and self._sees_missing:
            self._tell(mask)
        elif self._mask is not None:
            self._mask.append(np.ones(len(column), np.bool_))
        if self._offsets is None:
            self._values.append(np.asarray(column))
        else:
            offsets, data = strings.from_arrow(column)
            self._offsets.append(offsets[1:] + len(self._values))
            self._values.append(data)
        self.rows += len(column)

    def _tell(self, mask: AnyArray) -> None:
        if self._mask is None:
            self._mask = self._work.spill(np.bool_, self._share)
            for start in range(0, self.rows, _STEP):
                self._mask.append(np.ones(min(_STEP, self.rows - start), np.bool_))
        self._mask.append(mask)

    @property
    def masked(self) -> Masked:
        """The rows, and which of them have a value."""
        told = self._mask
        mask = None
        if told is not None:
            mask = self._source(np.zeros(0, np.bool_), told)
        nan_is_missing = self._sees_missing and holds_nan(self._empty)
        return Masked(self._source(self._empty, self._values), mask, nan_is_missing, self._coded)

    def _source(self, empty: Column, spill: Spill) -> Source:
        if not is_strings(empty):
            room = min(ROOM, self._work.memory // 16)
            return Source(
                self.rows, [empty], lambda start, stop: [spill.read(start, stop)], room=room
            )
        ends = cast("Spill", self._offsets)

        def read(start: int, stop: int) -> list[Column]:
            offsets = ends.read(start, stop + 1)
            data = spill.read(int(offsets[0]), int(offsets[-1]))
            return [strings.to_arrow(offsets, data)]

        return Source(
            self.rows,
            [empty],
            read,
            room=min(ROOM, self._work.memory // 40),
            offsets=lambda start, stop: ends.read(start, stop + 1),
        )
