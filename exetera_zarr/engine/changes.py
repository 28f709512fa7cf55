"""A new state of a table beside an older one: which keys are new or gone, and which rows changed.

Both sides are read in the order of their keys, in which the merge of ordered keys pairs their rows;
the columns of the pairs are then compared one after the other. What is kept of a row is its number,
and a byte that says whether it changed; both go to a file where they are many.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from exetera_zarr.engine.columns import comparable_keys, selection, strings
from exetera_zarr.engine.columns.spans import SpanFinder
from exetera_zarr.engine.columns.types import BoolArray, Column, IntArray, is_strings
from exetera_zarr.engine.join.merge_join import ordered_pairs
from exetera_zarr.engine.sort import sorting
from exetera_zarr.engine.streams.freed_memory import give_back
from exetera_zarr.engine.streams.row_gather import RowNumbers, take
from exetera_zarr.engine.streams.source import Source, joint_offsets, prefetched, side_by_side
from exetera_zarr.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from exetera_zarr.engine.join.row_pairs import Pairs
    from exetera_zarr.engine.streams.workspace import Spill, Workspace

__all__ = [
    "Matches",
    "Pieces",
    "RepeatedKeyError",
    "Tolerance",
    "by_rows",
    "changed",
    "differing",
    "match",
]

_STEP = 1 << 20
#: Of the memory, for each of a dozen sequences of row numbers that are there at a time.
_SHARE = 1 / 32


@dataclass(frozen=True)
class Tolerance:
    """How far floats may be from those before, ``absolute + relative * abs(before)``."""

    absolute: float = 0.0
    relative: float = 0.0


@dataclass(frozen=True)
class Matches:
    """
    How the rows of two tables go together, as row numbers in either.

    Parameters
    ----------
    old, new
        The rows of either side that have a partner, in the order of their keys.
    added
        Rows of the new side with a key that the old side lacks.
    vanished
        Rows of the old side with a key that the new side lacks.
    overtaken, successors
        Rows of the old side that another row with the same key follows, and that one.
    """

    old: Spill
    new: Spill
    added: Spill
    vanished: Spill
    overtaken: Spill
    successors: Spill


def match(
    old: Sequence[Source],
    new: Sequence[Source],
    version: Source | None,
    old_rows: RowNumbers | None,
    work: Workspace,
) -> Matches:
    """
    Pair the rows of two tables with equal keys.

    Parameters
    ----------
    old, new
        The columns of the key, the leading one first; rows in any order.
    version
        A column of the old table, which says what of several rows with one key comes last; None if
        it is the last row.
    old_rows
        The rows of the old table that count; all if None.
    work
        The memory, and where the row numbers are.

    Raises
    ------
    RepeatedKeyError
        A key occurs twice in `new`.
    TypeError
        A key is a number on one side and a string on the other.
    """
    # The columns of both sides are read at the same time.
    part = work.part(len(old) + 1 + len(new))
    ordered_by = old if version is None else [*old, version]
    old_order = _in_order(ordered_by, old_rows, work, part)
    new_order = _in_order(new, None, work, part)
    left, right = _picked(old, old_order, work), _picked(new, new_order, work)
    _refuse_repeated(right, new_order)
    matches = Matches(*(work.spill(np.int64, _SHARE) for _ in range(6)))
    with closing(ordered_pairs(left, right, "outer", work)) as pairs:
        for before, now, last, following in _with_next(pairs):
            paired = (before >= 0) & (now >= 0) & last
            matches.old.append(before[paired])
            matches.new.append(now[paired])
            matches.added.append(now[before < 0])
            matches.vanished.append(before[now < 0])
            matches.overtaken.append(before[~last])
            matches.successors.append(following[~last])
    return Matches(
        old=_numbers(matches.old, old_order, work),
        new=_numbers(matches.new, new_order, work),
        added=_numbers(matches.added, new_order, work),
        vanished=_numbers(matches.vanished, old_order, work),
        overtaken=_numbers(matches.overtaken, old_order, work),
        successors=_numbers(matches.successors, old_order, work),
    )


def by_rows(matches: Matches, work: Workspace) -> Matches:
    """The same matches, with the pairs in the order of the old rows, and `added` ascending."""
    old, new = _sorted_by(matches.old, (matches.old, matches.new), work)
    (added,) = _sorted_by(matches.added, (matches.added,), work)
    return replace(matches, old=old, new=new, added=added)


def _sorted_by(keys: Spill, spills: Sequence[Spill], work: Workspace) -> Sequence[Spill]:
    """Sequences of row numbers in the order in which one of them ascends."""
    order = sorting.sort_rows(Source.of_row_numbers(keys), True, work)
    if order is None:
        return spills
    found = []
    for spill in spills:
        sorted_one = work.spill(np.int64, _SHARE)
        for numbers in RowNumbers(work, order).of(Source.of_row_numbers(spill)):
            sorted_one.append(numbers)
        found.append(sorted_one)
    for spill in (*spills, order):
        spill.close()
    return found


class RepeatedKeyError(ArgumentError):
    """
    A key occurs twice where it may not.

    Parameters
    ----------
    row
        The number of its second row.
    """

    def __init__(self, row: int) -> None:
        super().__init__(f"the key of row {row} occurs twice")
        self.row = row


def _in_order(
    sources: Sequence[Source], rows: RowNumbers | None, work: Workspace, part: Workspace
) -> RowNumbers | None:
    """The numbers of the rows in the order of the columns; None if all are in order already."""
    order = sorting.sort_rows(_picked(sources, rows, work), True, work)
    give_back()
    if order is None:
        return rows
    return RowNumbers(part, order if rows is None else _numbers(order, rows, work))


def _numbers(places: Spill, rows: RowNumbers | None, work: Workspace) -> Spill:
    """The row numbers at some places of an order."""
    if rows is None:
        return places
    source = Source.of_row_numbers(rows)
    found = work.spill(np.int64, _SHARE)
    for numbers in RowNumbers(work, places).of(source):
        found.append(numbers)
    places.close()
    return found


def _refuse_repeated(source: Source, order: RowNumbers | None) -> None:
    finder = SpanFinder(nan_equal=True)
    done = 0
    with closing(source.blocks()) as blocks:
        for columns in blocks:
            starts = finder.feed(columns)
            rows = len(columns[0])
            if len(starts) < rows:
                begins = np.zeros(rows, np.bool_)
                begins[starts - done] = True
                at = done + int(np.argmin(begins))
                raise RepeatedKeyError(at if order is None else int(order.read(at, at + 1)[0]))
            done += rows


def _with_next(
    pairs: Iterable[Pairs],
) -> Iterator[tuple[IntArray, IntArray, BoolArray, IntArray]]:
    """The pairs, whether each is the last with its right row, and the left row that comes next."""
    left, right = np.zeros(0, np.int64), np.zeros(0, np.int64)
    for more_left, more_right in pairs:
        left, right = np.concatenate((left, more_left)), np.concatenate((right, more_right))
        yield left[:-1], right[:-1], (right[1:] != right[:-1]) | (right[:-1] < 0), left[1:]
        left, right = left[-1:], right[-1:]
    yield left, right, np.ones(len(left), np.bool_), left


# -- rows in another order, read from the first to the last


def _picked(sources: Sequence[Source], rows: RowNumbers | None, work: Workspace) -> Source:
    """
    Some rows of columns, to be read in order, and again from the first.

    Parameters
    ----------
    sources
        The columns, one each.
    rows
        Which, in the order wanted; all if None.
    work
        Where it is kept how long their strings are.
    """
    whole = side_by_side(sources)
    if rows is None:
        return whole
    reader = _Reader(sources, rows)
    offsets = _offsets(sources, rows, work)
    room = min(whole.room, int(work.memory * _SHARE))
    return Source(len(rows), whole.empty, reader.read, whole.step, room, offsets)


class _Reader:
    """Reads some rows of columns, which costs least from the first to the last."""

    def __init__(self, sources: Sequence[Source], rows: RowNumbers) -> None:
        self._sources, self._rows = sources, rows
        self._columns: list[Pieces] = []
        self._position = 0

    def read(self, start: int, stop: int) -> list[Column]:
        """The rows from one position on; it mostly is 0, or where the last ones ended."""
        if start == 0:
            self._columns = [
                Pieces(self._rows.of(source), source.empty[0]) for source in self._sources
            ]
        elif start != self._position:
            return [take(source, self._rows.read(start, stop)) for source in self._sources]
        self._position = stop
        return [column.take(stop - start) for column in self._columns]


def _offsets(
    sources: Sequence[Source], rows: RowNumbers, work: Workspace
) -> Callable[[int, int], IntArray] | None:
    """Where the strings of each of some rows start, as a source says it."""
    offsets = joint_offsets([source.offsets for source in sources if source.offsets is not None])
    if offsets is None:
        return None
    sizes = Source(
        sources[0].rows,
        [np.zeros(0, np.int64)],
        lambda start, stop: [np.diff(offsets(start, stop))],
        sources[0].step,
    )
    ends = work.spill(np.int64, _SHARE)
    last = np.zeros(1, np.int64)
    ends.append(last)
    for some in rows.of(sizes):
        found = np.cumsum(some) + last[-1]
        ends.append(found)
        last = found if len(found) else last
    return lambda start, stop: ends.read(start, stop + 1)


class Pieces:
    """
    A column that comes in pieces, given out in others.

    Parameters
    ----------
    pieces
        In order; closed by who made them.
    empty
        The column without rows.
    """

    def __init__(self, pieces: Generator[Column], empty: Column) -> None:
        self._pieces, self._rest = pieces, empty

    def take(self, count: int) -> Column:
        """The next rows."""
        held, rows = [self._rest], len(self._rest)
        while rows < count:
            held.append(next(self._pieces))
            rows += len(held[-1])
        whole = selection.concat([piece for piece in held if len(piece)] or held[:1])
        self._rest = whole[count:]
        return whole[:count]


# -- comparing


def changed(
    pairs: Iterable[tuple[Source, Source, Tolerance]], matches: Matches, work: Workspace
) -> Spill:
    """
    Which pairs of rows differ in some column.

    Parameters
    ----------
    pairs
        A column of the old table, that of the new one, and what counts as equal.
    matches
        Whose `old` and `new` are compared.
    work
        The memory, and where the answer is.

    Returns
    -------
    Spill of bool
        As many as there are pairs of rows.
    """
    give_back()
    part = work.part(2)
    old_rows, new_rows = RowNumbers(part, matches.old), RowNumbers(part, matches.new)
    found = work.spill(np.bool_, _SHARE)
    for rows in old_rows.blocks(_STEP):
        found.append(np.zeros(len(rows), np.bool_))
    for old, new, tolerance in pairs:
        before, found, done = found, work.spill(np.bool_, _SHARE), 0
        with (
            closing(prefetched(old_rows.of(old))) as left,
            closing(prefetched(new_rows.of(new))) as right,
        ):
            for a, b in _side_by_side(left, right):
                known = before.read(done, done + len(a))
                found.append(known | differing(a, b, tolerance))
                done += len(a)
        before.close()
    return found


def _side_by_side(
    first: Iterable[Column], second: Iterator[Column]
) -> Iterator[tuple[Column, Column]]:
    """Columns of as many rows that come in different pieces, in pieces of the same rows."""
    right: Column | None = None
    for piece in first:
        left = piece
        while len(left):
            while right is None or not len(right):
                right = next(second)
            count = min(len(left), len(right))
            yield left[:count], right[:count]
            left, right = left[count:], right[count:]


def differing(old: Column, new: Column, tolerance: Tolerance) -> BoolArray:
    """
    Row by row whether two columns differ.

    Numbers of different types are compared exactly, strings by bytes; NaN equals NaN. A tolerance
    is for floats, and an infinity is near nothing but itself.

    Raises
    ------
    TypeError
        There are numbers on one side and strings on the other.
    """
    result: BoolArray | None = None
    for a, b in zip(*comparable_keys.align([old], [new]), strict=True):
        found = strings.differs(a, b) if is_strings(a) else np.asarray(a != b, np.bool_)
        result = found if result is None else result | found
    assert result is not None
    if not is_strings(old) and not is_strings(new) and "f" in (old.dtype.kind, new.dtype.kind):
        rows = np.flatnonzero(result)
        before, now = old[rows].astype(np.float64), new[rows].astype(np.float64)
        result[rows] = ~(np.isnan(before) & np.isnan(now))
        if tolerance != Tolerance():
            with np.errstate(over="ignore"):
                near = np.isclose(now, before, tolerance.relative, tolerance.absolute)
            result[rows] &= ~near
    return result
