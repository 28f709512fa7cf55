"""The numbers of the rows that a view has of its table."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from exetera_zarr.engine.streams.row_gather import RowNumbers
from exetera_zarr.engine.streams.source import Source
from exetera_zarr.fields.sources import workspace
from exetera_zarr.storage.memory import MemoryArray

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exetera_zarr.engine.columns.types import IntArray
    from exetera_zarr.engine.streams.workspace import Workspace
    from exetera_zarr.settings import Settings

__all__ = ["ChosenRows"]

_SHARE = 8
"""Of the session's memory, the part that the numbers of one view may take."""


class ChosenRows:
    """
    Row numbers that live as long as the views that have them; in a file where there are many.

    Parameters
    ----------
    settings
        Of the session.
    numbers
        int64, some at a time, none of them negative.
    ascending
        Whether they ascend.
    """

    def __init__(self, settings: Settings, numbers: Iterable[IntArray], *, ascending: bool) -> None:
        self._settings = settings
        self._numbers = MemoryArray(
            np.int64, room=settings.memory_limit // _SHARE, folder=settings.spill_dir
        )
        for some in numbers:
            self._numbers.append(some)
        self.ascending = ascending

    @classmethod
    def of(cls, settings: Settings, rows: RowNumbers) -> ChosenRows:
        """Keep row numbers beyond the workspace that they were found in."""
        at_once = len(rows) * 8 <= settings.memory_limit // _SHARE
        numbers = [rows.read(0, len(rows))] if at_once else rows.blocks()
        return cls(settings, numbers, ascending=rows.ascending)

    @classmethod
    def between(cls, settings: Settings, start: int, stop: int) -> ChosenRows:
        """The rows from one number to another."""
        step = 1 << 20
        blocks = (
            np.arange(at, min(at + step, stop), dtype=np.int64) for at in range(start, stop, step)
        )
        return cls(settings, blocks, ascending=True)

    def __len__(self) -> int:
        return len(self._numbers)

    def numbers(self, work: Workspace) -> RowNumbers:
        """The numbers, as what chooses rows takes them."""
        return RowNumbers(work, self._numbers, ascending=self.ascending)

    def choose(self, rows: ChosenRows) -> ChosenRows:
        """Of these rows, those of the given numbers among them."""
        source = Source(
            len(self),
            [np.empty(0, np.int64)],
            lambda start, stop: [self._numbers.read(start, stop)],
        )
        with workspace(self._settings) as work, closing(rows.numbers(work).of(source)) as found:
            return ChosenRows(
                self._settings,
                (np.asarray(some) for some in found),
                ascending=self.ascending and rows.ascending,
            )
