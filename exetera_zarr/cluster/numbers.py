"""Row numbers that tasks have staged: what a verb finds first, and blocks are gathered by."""

from __future__ import annotations

import secrets
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from exetera_zarr.dask.staging import Job
    from exetera_zarr.engine.columns.types import IntArray
    from exetera_zarr.storage.base import Workshop

__all__ = ["Part", "StagedNumbers", "stage_numbers"]


@dataclass(frozen=True)
class Part:
    """
    Some row numbers, in order, in an object of one attempt.

    Parameters
    ----------
    key, piece
        Where they are.
    rows
        How many.
    incomplete
        Whether some are -1, for no row.
    first, last
        The first and the last one that is a row, if they ascend; else 0 and -2. Of no rows both
        are -1.
    """

    key: str
    piece: tuple[int, int, int]
    rows: int
    incomplete: bool
    first: int
    last: int

    @property
    def ascending(self) -> bool:
        """Whether they ascend, but for those of -1."""
        return self.last > -2


def stage_numbers(job: Job, numbers: IntArray) -> Part:
    """Stage row numbers, under a name of this attempt alone."""
    key, pieces = job.workshop().stage(secrets.token_hex(8), {"rows": numbers.astype(np.int64)})
    present = numbers[numbers >= 0]
    if len(present) == 0:
        first = last = -1
    elif (np.diff(present) >= 0).all():
        first, last = int(present[0]), int(present[-1])
    else:
        first, last = 0, -2
    incomplete = len(present) < len(numbers)
    return Part(key, pieces["rows"], len(numbers), incomplete, first, last)


class StagedNumbers:
    """
    The row numbers of a result, in their order, of which some at a time are in memory.

    Parameters
    ----------
    workshop
        Where they are staged.
    parts
        Of the result; or those of them that have what is to be read.
    start
        How many come before the first of these parts.
    """

    def __init__(self, workshop: Workshop, parts: Sequence[Part], start: int = 0) -> None:
        self._workshop, self.parts = workshop, parts
        self._starts = list(accumulate((part.rows for part in parts), initial=start))
        self._last: tuple[str, IntArray] = ("", np.zeros(0, np.int64))

    def __len__(self) -> int:
        return self._starts[-1]

    def _overlapping(self, start: int, stop: int) -> Iterator[tuple[Part, int]]:
        """The parts that have some of these numbers, and how many come before each."""
        at = max(bisect_right(self._starts, start) - 1, 0)
        while at < len(self.parts) and self._starts[at] < stop:
            yield self.parts[at], self._starts[at]
            at += 1

    def needed(self, start: int, stop: int) -> StagedNumbers:
        """The same, with no parts but those that have some of these numbers: for a task."""
        found = list(self._overlapping(start, stop))
        first = found[0][1] if found else start
        return StagedNumbers(self._workshop, [part for part, _ in found], first)

    def told(self) -> tuple[tuple[Part, ...], int]:
        """What a task makes the same of: the parts, and how many numbers come before them."""
        return tuple(self.parts), self._starts[0]

    def read(self, start: int, stop: int) -> IntArray:
        """The numbers from one position to another."""
        found = [np.zeros(0, np.int64)]
        for part, before in self._overlapping(start, stop):
            if part.rows:
                numbers = self._numbers(part)
                found.append(numbers[max(start - before, 0) : stop - before])
        return np.concatenate(found)

    def _numbers(self, part: Part) -> IntArray:
        if self._last[0] != part.key:
            data = self._workshop.staged(part.key)
            found = self._workshop.piece(data, part.piece, np.dtype(np.int64))
            self._last = part.key, found
        return self._last[1]

    @property
    def incomplete(self) -> bool:
        """Whether some choose no row."""
        return any(part.incomplete for part in self.parts)

    @property
    def ascending(self) -> bool:
        """Whether they ascend, but for those of -1."""
        last = -1
        for part in self.parts:
            if not part.ascending or -1 < part.first < last:
                return False
            last = max(last, part.last)
        return True
