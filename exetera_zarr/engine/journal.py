"""A new state of a table beside an older one: which keys are new or gone, and which rows changed.

Both sides are read in the order of their keys, in which the merge of ordered keys pairs their rows;
the columns of the pairs are then compared one after the other. What is kept of a row is its number,
and a byte that says whether it changed; both go to a file where they are many.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from exetera_zarr.engine import gather, keys, strings
from exetera_zarr.engine.columns import BoolArray, Column, IntArray, is_strings
from exetera_zarr.engine.ordered import ordered_pairs
from exetera_zarr.engine.rows import RowNumbers
from exetera_zarr.engine.source import Source, ahead
from exetera_zarr.engine.spans import SpanFinder

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from exetera_zarr.engine.pairs import Pairs
    from exetera_zarr.engine.workspace import Spill, Workspace

__all__ = ["Matches", "RepeatedKeyError", "Tolerance", "changed", "differing", "match"]

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
    old: Source,
    new: Source,
    old_rows: RowNumbers | None,
    versions: int,
    work: Workspace,
) -> Matches:
    """
    Pair the rows of two tables with equal keys.

    Parameters
    ----------
    old
        The keys, and after them `versions` columns that say which of several rows with one key
        comes last, in any order.
    new
        The keys, in any order.
    old_rows
        The rows of `old` that count; all if None.
    versions
        How many columns of `old` are no keys.
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
    part = work.part(len(old.empty) + len(new.empty))
    old_order = _in_order(old, old_rows, work, part)
    new_order = _in_order(new, None, work, part)
    count = len(old.empty) - versions
    old, new = _picked(_first(old, count), old_order), _picked(new, new_order)
    _refuse_repeated(new, new_order)
    matches = Matches(*(work.spill(np.int64, _SHARE) for _ in range(6)))
    with closing(ordered_pairs(old, new, "outer", work)) as pairs:
        for left, right, last, following in _with_next(pairs):
            paired = (left >= 0) & (right >= 0) & last
            matches.old.append(left[paired])
            matches.new.append(right[paired])
            matches.added.append(right[left < 0])
            matches.vanished.append(left[right < 0])
            matches.overtaken.append(left[~last])
            matches.successors.append(following[~last])
    return Matches(
        old=_numbers(matches.old, old_order, work),
        new=_numbers(matches.new, new_order, work),
        added=_numbers(matches.added, new_order, work),
        vanished=_numbers(matches.vanished, old_order, work),
        overtaken=_numbers(matches.overtaken, old_order, work),
        successors=_numbers(matches.successors, old_order, work),
    )


class RepeatedKeyError(ValueError):
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


def _first(source: Source, count: int) -> Source:
    """The first columns of a source."""
    return Source(
        source.rows,
        source.empty[:count],
        lambda start, stop: source.read(start, stop)[:count],
        source.step,
    )


def _in_order(
    source: Source, rows: RowNumbers | None, work: Workspace, part: Workspace
) -> RowNumbers | None:
    """The numbers of the rows in the order of the columns; None if all are in order already."""
    from exetera_zarr.engine import relational

    order = relational.sort_rows(_picked(source, rows), True, work)
    if order is None:
        return rows
    return RowNumbers(part, order if rows is None else _numbers(order, rows, work))


def _numbers(places: Spill, rows: RowNumbers | None, work: Workspace) -> Spill:
    """The row numbers at some places of an order."""
    if rows is None:
        return places
    source = Source(
        len(rows), [np.zeros(0, np.int64)], lambda start, stop: [rows.read(start, stop)]
    )
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


def _picked(source: Source, rows: RowNumbers | None) -> Source:
    """
    Some rows of a source, to be read in order, and again from the first.

    Parameters
    ----------
    source
        Columns in memory or not.
    rows
        Which, in the order wanted; all if None.
    """
    if rows is None:
        return source
    reader = _Reader(source, rows)
    return Source(len(rows), source.empty, reader.read, source.step)


class _Reader:
    """Reads some rows of a source in order."""

    def __init__(self, source: Source, rows: RowNumbers) -> None:
        self._source, self._rows = source, rows
        self._columns: list[_Pieces] = []
        self._position = 0

    def read(self, start: int, stop: int) -> list[Column]:
        """The rows from one position on; it is 0, or where the last ones ended."""
        if start == 0:
            self._columns = [
                _Pieces(self._rows.of(_single(self._source, number)), empty)
                for number, empty in enumerate(self._source.empty)
            ]
        elif start != self._position:
            raise ValueError(f"rows from {start} on after those up to {self._position}")
        self._position = stop
        return [column.take(stop - start) for column in self._columns]


def _single(source: Source, number: int) -> Source:
    return Source(
        source.rows,
        [source.empty[number]],
        lambda start, stop: [source.read(start, stop)[number]],
        source.step,
    )


class _Pieces:
    """A column that comes in pieces, given out in others."""

    def __init__(self, pieces: Generator[Column], empty: Column) -> None:
        self._pieces, self._rest = pieces, empty

    def take(self, count: int) -> Column:
        """The next rows."""
        held, rows = [self._rest], len(self._rest)
        while rows < count:
            held.append(next(self._pieces))
            rows += len(held[-1])
        whole = gather.concat([piece for piece in held if len(piece)] or held[:1])
        self._rest = whole[count:]
        return whole[:count]

    def close(self) -> None:
        """Read no further."""
        self._pieces.close()


# -- comparing


def changed(
    pairs: Iterable[tuple[Source, Source | None, Tolerance]], matches: Matches, work: Workspace
) -> Spill:
    """
    Which pairs of rows differ in some column.

    Parameters
    ----------
    pairs
        A column of the old table, that of the new one or None where all its rows are empty, and
        what counts as equal.
    matches
        Whose `old` and `new` are compared.
    work
        The memory, and where the answer is.

    Returns
    -------
    Spill of bool
        As many as there are pairs of rows.
    """
    part = work.part(2)
    old_rows, new_rows = RowNumbers(part, matches.old), RowNumbers(part, matches.new)
    found = work.spill(np.bool_, _SHARE)
    for rows in old_rows.blocks(_STEP):
        found.append(np.zeros(len(rows), np.bool_))
    for old, new, tolerance in pairs:
        before, found = found, work.spill(np.bool_, _SHARE)
        for known, a, b in zip(
            before.blocks(_STEP), _read(old, old_rows), _read(new, new_rows), strict=True
        ):
            found.append(known | differing(a, _zeros(a) if b is None else b, tolerance))
        before.close()
    return found


def _read(source: Source | None, rows: RowNumbers) -> Iterator[Column | None]:
    if source is None:
        yield from (None for _ in rows.blocks(_STEP))
        return
    with closing(ahead(rows.of(source))) as columns:
        pieces = _Pieces(columns, source.empty[0])
        for numbers in rows.blocks(_STEP):
            yield pieces.take(len(numbers))


def _zeros(column: Column) -> Column:
    return gather.take_or_default(column[:0], np.full(len(column), -1))


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
    for a, b in zip(*keys.align([old], [new]), strict=True):
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
