"""Rows of a source by number, in any order, within a limit of memory."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Protocol

import numpy as np

from exetera_zarr.engine.columns import selection, strings
from exetera_zarr.engine.columns.types import is_strings
from exetera_zarr.engine.streams.freed_memory import give_back, give_back_beyond
from exetera_zarr.engine.streams.radix_sort import bits_of, mask_of
from exetera_zarr.engine.streams.source import ROWS, Source

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    import numpy.typing as npt

    from exetera_zarr.engine.columns.types import Column, IntArray
    from exetera_zarr.engine.join.row_pairs import Pairs
    from exetera_zarr.engine.streams.workspace import Spill, Workspace

__all__ = ["NumbersKept", "RowNumbers", "both_sides", "ends_of", "take"]

#: Rows that are read for one piece of an ascending choice, as a multiple of the piece.
_SPARSE = 4
#: Bytes a row that a partition takes beside its values: a word, and what sorting it takes.
_PLAN_BYTES = 16


class NumbersKept(Protocol):
    """Row numbers that are kept somewhere else, such as in a `Spill`."""

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> IntArray:
        """The numbers from one position to another."""


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
        self, work: Workspace, numbers: NumbersKept | IntArray, ascending: bool | None = None
    ) -> None:
        self._work = work
        self._numbers = numbers
        self._ascending = ascending
        self._plans: dict[tuple[int, ...], Spill] = {}

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
        if self.ascending:
            for numbers in self.blocks(source.block):
                yield from _in_order(source, numbers, _SPARSE * source.step)
        elif source.size <= self._work.memory // 4:
            (whole,) = source.whole()
            for numbers in self.blocks(source.block):
                yield from _pieces(whole, numbers, source.room)
        else:
            yield from self._by_parts(source)

    def _by_parts(self, source: Source) -> Iterator[Column]:
        """Part by part of the result, for each of which the source is read once, in order."""
        ends = self._ends(source)
        words, bits = self._plan(ends)
        start = 0
        for end in ends:
            give_back()
            yield _part(source, words, start, end - start, bits)
            start = end

    def _ends(self, source: Source) -> tuple[int, ...]:
        """Where the parts end, each of which fits the memory."""
        room, offsets = self._work.memory // 3, source.offsets
        if offsets is None:
            part = room // (_PLAN_BYTES + source.width)
            part = max(part // source.block, 1) * source.block
            return _every(part, len(self))
        # Strings are held as pieces, as one, and in their order.
        beside = _PLAN_BYTES + 3 * source.width
        mean = (source.size - source.rows * source.width) // source.rows
        longest = 0
        for at in range(0, source.rows, ROWS):
            sizes = np.diff(offsets(at, min(at + ROWS, source.rows)))
            longest = max(longest, int(sizes.max()))
        safe = max(room // (beside + 3 * longest), 1)
        if 2 * safe >= room // (beside + 3 * mean):
            return _every(safe, len(self))
        lengths = Source(
            source.rows,
            [np.empty(0, np.int64)],
            lambda start, stop: [np.diff(offsets(start, stop))],
        )
        return tuple(ends_of((some * 3 + beside for some in self.of(lengths)), room))

    def _plan(self, ends: tuple[int, ...]) -> tuple[Spill, np.uint64]:
        """For each part its numbers in order, each as a word with its place in the part."""
        bits = np.uint64(bits_of(int(np.diff(ends, prepend=0).max(initial=2))))
        if ends not in self._plans:
            words = self._work.spill(np.uint64, share=0.0)
            start = 0
            for stop in ends:
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
                start = stop
            self._plans[ends] = words
        return self._plans[ends], bits


def both_sides(work: Workspace, pairs: Generator[Pairs]) -> tuple[RowNumbers, RowNumbers]:
    """The row numbers of either side of a merge, whose pairs come some at a time."""
    left, right = work.spill(np.int64), work.spill(np.int64)
    with closing(pairs):
        for left_rows, right_rows in pairs:
            left.append(left_rows)
            right.append(right_rows)
    return RowNumbers(work, left), RowNumbers(work, right)


def take(source: Source, numbers: IntArray) -> Column:
    """Rows by number, in any order, of a source's only column; what is not near one is not read."""
    if len(numbers) == 0:
        return source.empty[0]
    if (np.diff(numbers) >= 0).all():
        return selection.concat([*_in_order(source, numbers, source.block)])
    order = np.argsort(numbers, kind="stable")
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    return selection.take(take(source, numbers[order]), places)


def _in_order(source: Source, numbers: IntArray, reach: int) -> Iterator[Column]:
    """Rows whose numbers ascend, but for those of -1; of so many rows at most each time."""
    # -1 belongs to what is before it, at the start to what follows.
    complete = numbers.min(initial=0) >= 0
    filled = numbers if complete else np.maximum.accumulate(numbers)
    leading = int(np.searchsorted(filled, 0))
    if leading == len(numbers):
        yield selection.take_or_default(source.empty[0], numbers)
        return
    start = 0
    while start < len(numbers):
        low = int(filled[max(start, leading)])
        end = source.until(low, min(low + reach, int(filled[-1]) + 1))
        stop = int(np.searchsorted(filled, end))
        (column,) = source.read(low, int(filled[stop - 1]) + 1)
        some = numbers[start:stop] - low
        if not complete:
            some[numbers[start:stop] < 0] = -1
        yield from _pieces(column, some, source.room)
        start = stop


def _pieces(column: Column, numbers: IntArray, room: int) -> Iterator[Column]:
    """Rows by number, -1 for none, in pieces of no more bytes than the room."""
    start = 0
    for end in _piece_ends(column, numbers, room):
        give_back_beyond(room)
        yield selection.take_or_default(column, numbers[start:end])
        start = end


def _piece_ends(column: Column, numbers: IntArray, room: int) -> Sequence[int]:
    if not is_strings(column):
        return _every(max(room // max(column.dtype.itemsize, 1), 1), len(numbers))
    lengths = strings.lengths(column)
    longest = int(lengths.max(initial=0))
    if len(numbers) * (8 + longest) <= room:
        return (len(numbers),)
    return list(ends_of([lengths.take(numbers, mode="wrap") + 8], room))


def _part(source: Source, words: Spill, start: int, count: int, bits: np.uint64) -> Column:
    """A part of the result, from its words in the order of the source."""
    mask = mask_of(int(bits))
    (empty,) = source.empty
    out = None if is_strings(empty) else np.zeros(count, empty.dtype)
    pieces: list[Column] = []
    places: list[npt.NDArray[np.uint64]] = []
    position = 0
    while position < count:
        some = words.read(start + position, start + min(position + source.block, count))
        numbers = (some >> bits).view(np.int64) - 1
        if numbers[0] < 0:
            skip = int(np.searchsorted(numbers, 0))
            if out is None:
                pieces.append(selection.take_or_default(empty, numbers[:skip]))
                places.append(some[:skip] & mask)
            position += skip
            continue
        low = int(numbers[0])
        stop = source.until(low, min(low + _SPARSE * source.step, source.rows))
        used = int(np.searchsorted(numbers, stop))
        (column,) = source.read(low, int(numbers[used - 1]) + 1)
        chosen = selection.take(column, numbers[:used] - low)
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
    return selection.take(selection.concat(pieces), order)


def _every(step: int, length: int) -> tuple[int, ...]:
    """Where parts of so many rows end, the last one where there are no more."""
    return (*range(step, length, step), length) if length else ()


def ends_of(blocks: Iterable[npt.NDArray[np.int64]], room: int) -> Iterator[int]:
    """Where parts of rows that take so many bytes end: those that fit the room, or one alone."""
    done = taken = last = 0
    for sizes in blocks:
        ends = np.cumsum(sizes) + taken
        full = room
        while (cut := int(np.searchsorted(ends, full, "right"))) < len(ends):
            cut += done + cut == last
            yield done + cut
            last = done + cut
            full = room + (int(ends[cut - 1]) if cut else taken)
        taken = int(ends[-1]) - full + room
        done += len(ends)
    if last < done:
        yield done
