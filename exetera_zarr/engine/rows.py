"""Rows of a source by number, in any order, within a limit of memory."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from exetera_zarr.engine import gather
from exetera_zarr.engine.columns import is_strings

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    import numpy.typing as npt

    from exetera_zarr.engine.columns import Column, IntArray
    from exetera_zarr.engine.pairs import Pairs
    from exetera_zarr.engine.source import Source
    from exetera_zarr.engine.workspace import Spill, Workspace

__all__ = ["RowNumbers", "both_sides"]

#: Rows that are read for one piece of an ascending choice, as a multiple of the piece.
_SPARSE = 4
#: Bytes a row that a partition takes beside its values: a word, and what sorting it takes.
_PLAN_BYTES = 16


class RowNumbers:
    """
    Row numbers of a source, and the rows that they choose.

    Parameters
    ----------
    work
        Memory, and a place for what does not fit.
    numbers
        int64; -1 stands for no row: 0, False or the empty string then.
    ascending
        Whether they ascend, but for those of -1; looked at if not given.
    """

    def __init__(
        self, work: Workspace, numbers: Spill | IntArray, ascending: bool | None = None
    ) -> None:
        self._work = work
        self._numbers = numbers
        self._ascending = ascending
        self._plans: dict[int, Spill] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def read(self, start: int, stop: int) -> IntArray:
        """The numbers from one position to another."""
        if isinstance(self._numbers, np.ndarray):
            return self._numbers[start:stop]
        return self._numbers.read(start, stop)

    def blocks(self, step: int = 1 << 20) -> Iterator[IntArray]:
        """All numbers in order, so many at a time."""
        for start in range(0, len(self), step):
            yield self.read(start, min(start + step, len(self)))

    @property
    def incomplete(self) -> bool:
        """Whether some choose no row."""
        return any((numbers < 0).any() for numbers in self.blocks())

    @property
    def ascending(self) -> bool:
        """Whether they ascend, but for those of -1."""
        if self._ascending is None:
            self._ascending = self._look()
        return self._ascending

    def _look(self) -> bool:
        last = -1
        for numbers in self.blocks():
            present = numbers[numbers >= 0]
            if len(present) and (present[0] < last or (np.diff(present) < 0).any()):
                return False
            last = int(present[-1]) if len(present) else last
        return True

    def of(self, source: Source) -> Generator[Column]:
        """
        The chosen rows of a source's only column, in order, some at a time.

        Parameters
        ----------
        source
            Has a row for each number.
        """
        (column,) = source.empty
        if self.ascending:
            yield from self._in_order(source)
            return
        width = _width(source)
        if source.rows * width <= self._work.memory // 4:
            (whole,) = source.whole()
            for numbers in self.blocks(source.step):
                yield gather.take_or_default(whole, numbers)
            return
        # Strings are held as pieces, as one, and in their order.
        part = self._work.memory // 3 // (_PLAN_BYTES + width * (3 if is_strings(column) else 1))
        yield from self._by_parts(source, max(part // source.step, 1) * source.step)

    def _in_order(self, source: Source) -> Iterator[Column]:
        reach = _SPARSE * source.step
        for numbers in self.blocks(source.step):
            present = numbers[numbers >= 0]
            if len(present) == 0:
                yield gather.take_or_default(source.empty[0], numbers)
                continue
            low, high = int(present[0]), int(present[-1]) + 1
            if high - low <= reach:
                yield _take(source, numbers, low, high)
                continue
            # -1 belongs to what is before it.
            filled = np.maximum.accumulate(numbers)
            cuts = np.searchsorted(filled, np.arange(low, high, reach)[1:])
            for piece in np.split(numbers, cuts):
                if len(piece) == 0:
                    continue
                there = piece[piece >= 0]
                yield (
                    _take(source, piece, int(there[0]), int(there[-1]) + 1)
                    if len(there)
                    else gather.take_or_default(source.empty[0], piece)
                )

    def _by_parts(self, source: Source, part: int) -> Iterator[Column]:
        """Part by part of the result, for each of which the source is read once, in order."""
        words = self._plan(part)
        for start in range(0, len(self), part):
            count = min(part, len(self) - start)
            yield _part(source, words, start, count, part)

    def _plan(self, part: int) -> Spill:
        """For each part its numbers in order, each as a word with its place in the part."""
        if part not in self._plans:
            words = self._work.spill(np.uint64, share=0.0)
            bits = np.uint64(_bits(part))
            for start in range(0, len(self), part):
                stop = min(start + part, len(self))
                word = np.empty(stop - start, np.uint64)
                for at in range(start, stop, 1 << 20):
                    end = min(at + (1 << 20), stop)
                    some = word[at - start : end - start]
                    # From 1 on, so that 0 is for those that choose no row.
                    some[...] = self.read(at, end) + 1
                    some <<= bits
                    some |= np.arange(at - start, end - start, dtype=np.uint64)
                word.sort()
                words.append(word)
            self._plans[part] = words
        return self._plans[part]


def both_sides(work: Workspace, pairs: Generator[Pairs]) -> tuple[RowNumbers, RowNumbers]:
    """The row numbers of either side of a merge, whose pairs come some at a time."""
    left, right = work.spill(np.int64), work.spill(np.int64)
    with closing(pairs):
        for left_rows, right_rows in pairs:
            left.append(left_rows)
            right.append(right_rows)
    return RowNumbers(work, left), RowNumbers(work, right)


def _take(source: Source, numbers: IntArray, low: int, high: int) -> Column:
    (column,) = source.read(low, high)
    if numbers.min() < 0:
        return gather.take_or_default(column, np.where(numbers < 0, -1, numbers - low))
    return gather.take(column, numbers - low)


def _part(source: Source, words: Spill, start: int, count: int, part: int) -> Column:
    """A part of the result, from its words in the order of the source."""
    bits = np.uint64(_bits(part))
    mask = np.uint64((1 << _bits(part)) - 1)
    (empty,) = source.empty
    out = None if is_strings(empty) else np.zeros(count, empty.dtype)
    pieces: list[Column] = []
    places: list[npt.NDArray[np.uint64]] = []
    position = 0
    while position < count:
        some = words.read(start + position, start + min(position + source.step, count))
        numbers = (some >> bits).view(np.int64) - 1
        if numbers[0] < 0:
            skip = int(np.searchsorted(numbers, 0))
            if out is None:
                pieces.append(gather.take_or_default(empty, numbers[:skip]))
                places.append(some[:skip] & mask)
            position += skip
            continue
        low = int(numbers[0])
        used = int(np.searchsorted(numbers, low + _SPARSE * source.step))
        (column,) = source.read(low, int(numbers[used - 1]) + 1)
        chosen = gather.take(column, numbers[:used] - low)
        place = some[:used] & mask
        if out is None:
            pieces.append(chosen)
            places.append(place)
        else:
            out[place] = chosen
        position += used
    if out is not None:
        return out
    order = np.empty(count, np.int64)
    order[np.concatenate(places)] = np.arange(count)
    return gather.take(gather.concat(pieces), order)


def _bits(part: int) -> int:
    return max((part - 1).bit_length(), 1)


def _width(source: Source) -> int:
    """Bytes of a row, of strings by a look at some of them."""
    (empty,) = source.empty
    if not is_strings(empty):
        return int(empty.dtype.itemsize)
    looked, size = 0, 0
    step = min(source.step, 1 << 16)
    for start in range(0, source.rows, max(source.rows // 4, step)):
        (column,) = source.read(start, min(start + step, source.rows))
        looked, size = looked + len(column), size + column.nbytes
    return 8 + -(-size // max(looked, 1))
