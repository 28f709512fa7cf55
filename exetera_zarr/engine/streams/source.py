"""Columns that are read by rows, however many there are."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from exetera_zarr.engine.columns import strings
from exetera_zarr.engine.columns.types import common_length, is_strings
from exetera_zarr.engine.streams.freed_memory import give_back_beyond

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from exetera_zarr.engine.columns.types import Column, IntArray

__all__ = ["Source", "prefetched", "side_by_side"]

_T = TypeVar("_T")
ROWS = 1 << 20
ROOM = 256 << 20


class _Numbers(Protocol):
    """A spill, or what else keeps row numbers."""

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> IntArray:
        """Those from one position to another."""


@dataclass(frozen=True)
class Source:
    """
    Columns of one length, of which some rows at a time are in memory.

    Parameters
    ----------
    rows
        How many there are.
    empty
        A column without rows for each, of its type.
    read
        Gives the rows from one number to another, a column for each.
    step
        Rows in which reading is cheapest.
    room
        Bytes of a block; a row that has more is a block of its own.
    offsets
        Where each of the rows from one number to another starts in the bytes of all strings, and
        where the last one ends; to be given where there are columns of strings.
    """

    rows: int
    empty: Sequence[Column]
    read: Callable[[int, int], Sequence[Column]] = field(repr=False)
    step: int = ROWS
    room: int = ROOM
    offsets: Callable[[int, int], IntArray] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, columns: Sequence[Column], step: int = ROWS, room: int = ROOM) -> Source:
        """Columns that are in memory."""
        rows = common_length(columns)
        texts = [strings.offsets(column) for column in columns if is_strings(column)]
        return cls(
            rows,
            [c[:0] for c in columns],
            lambda start, stop: [c[start:stop] for c in columns],
            step,
            room,
            joint_offsets([partial(_window, offsets) for offsets in texts]),
        )

    @classmethod
    def of_row_numbers(cls, numbers: _Numbers) -> Source:
        """Row numbers that are kept somewhere, as a column of int64."""
        return cls(
            len(numbers), [np.zeros(0, np.int64)], lambda start, stop: [numbers.read(start, stop)]
        )

    @property
    def width(self) -> int:
        """Bytes of a row but for those of its strings."""
        return sum(8 if is_strings(c) else int(c.dtype.itemsize) for c in self.empty)

    @property
    def size(self) -> int:
        """Bytes of all rows."""
        of_strings = 0
        if self.offsets is not None and self.rows:
            of_strings = int(self.offsets(self.rows, self.rows)[0] - self.offsets(0, 0)[0])
        return self.rows * self.width + of_strings

    @property
    def block(self) -> int:
        """Rows of a block, unless their strings are too long for that."""
        rows, width = self.step, self.width
        # By halves, so that blocks end where what is stored in steps does.
        while rows > 1 and rows * width > self.room:
            rows //= 2
        return rows

    def until(self, start: int, stop: int) -> int:
        """The row, `stop` or one before it, up to which the rows from `start` on fit the room."""
        stop = min(stop, start + max(self.room // max(self.width, 1), 1))
        if self.offsets is None or stop - start < 2:
            return stop
        ends = self.offsets(start, stop)
        if ends[-1] - ends[0] + (stop - start) * self.width <= self.room:
            return stop
        sizes = ends[1:] - ends[0] + np.arange(1, len(ends)) * self.width
        return start + max(int(np.searchsorted(sizes, self.room, "right")), 1)

    def cuts(self) -> Iterator[tuple[int, int]]:
        """The first row of each block, and the first one after it."""
        for low in range(0, self.rows, self.block):
            start, high = low, min(low + self.block, self.rows)
            while start < high:
                stop = self.until(start, high)
                yield start, stop
                start = stop

    def blocks(self) -> Generator[Sequence[Column]]:
        """All rows in order, a block at a time; the next one is read while one is worked on."""
        return prefetched(self._reading())

    def _reading(self) -> Iterator[Sequence[Column]]:
        for start, stop in self.cuts():
            give_back_beyond(self.room)
            yield self.read(start, stop)

    def whole(self) -> Sequence[Column]:
        """All rows at once."""
        return self.read(0, self.rows)


def side_by_side(sources: Sequence[Source]) -> Source:
    """The columns of several sources of as many rows."""
    return Source(
        sources[0].rows,
        [column for source in sources for column in source.empty],
        lambda start, stop: [c for source in sources for c in source.read(start, stop)],
        min(source.step for source in sources),
        min(source.room for source in sources),
        joint_offsets([source.offsets for source in sources if source.offsets is not None]),
    )


def joint_offsets(
    parts: Sequence[Callable[[int, int], IntArray]],
) -> Callable[[int, int], IntArray] | None:
    """The offsets of several columns of strings taken together; None of none."""
    if len(parts) < 2:
        return parts[0] if parts else None
    return lambda start, stop: np.sum([part(start, stop) for part in parts], axis=0)


def _window(offsets: IntArray, start: int, stop: int) -> IntArray:
    return offsets[start : stop + 1]


def prefetched(items: Iterator[_T]) -> Generator[_T]:
    """
    The same items, each made in another thread while the caller works on the one before.

    Parameters
    ----------
    items
        What makes them; nobody else may use it. An error in it is raised where the item would be.
    """
    # A pool of its own, since what makes an item may itself wait for others.
    executor = ThreadPoolExecutor(1, thread_name_prefix="exetera-ahead")
    end = threading.Event()  # any object that is no item

    def step() -> _T | threading.Event:
        return next(items, end)

    try:
        following = executor.submit(step)
        while True:
            item = following.result()
            if isinstance(item, threading.Event):
                return
            following = executor.submit(step)
            yield item
            del item
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
