"""Columns that are read by rows, however many there are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from exetera_zarr.engine.columns import common_length

if TYPE_CHECKING:
    from exetera_zarr.engine.columns import Column

__all__ = ["Source", "ahead"]

_T = TypeVar("_T")
ROWS = 1 << 20


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
    """

    rows: int
    empty: Sequence[Column]
    read: Callable[[int, int], Sequence[Column]] = field(repr=False)
    step: int = ROWS

    @classmethod
    def of(cls, columns: Sequence[Column], step: int = ROWS) -> Source:
        """Columns that are in memory."""
        rows = common_length(columns)
        return cls(
            rows,
            [c[:0] for c in columns],
            lambda start, stop: [c[start:stop] for c in columns],
            step,
        )

    def blocks(self) -> Generator[Sequence[Column]]:
        """All rows in order, a block at a time; the next one is read while one is worked on."""
        return ahead(
            self.read(start, min(start + self.step, self.rows))
            for start in range(0, self.rows, self.step)
        )

    def whole(self) -> Sequence[Column]:
        """All rows at once."""
        return self.read(0, self.rows)


def ahead(items: Iterator[_T]) -> Generator[_T]:
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
