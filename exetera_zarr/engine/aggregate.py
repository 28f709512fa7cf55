"""Aggregation of columns of any length: over given spans, and over groups of equal keys.

Rows that are sorted by their keys take one pass, in which only the state of the span that goes on
is carried from block to block. Others are grouped by DuckDB. Both ways give the same.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exetera_zarr.engine import gather
from exetera_zarr.engine.codes import canonical
from exetera_zarr.engine.columns import Column, IntArray, is_strings
from exetera_zarr.engine.hashed import CannotHashError, hashed_groups, sorted_blocks
from exetera_zarr.engine.partials import Distinct, First, Partial, State, partial_of, result_of
from exetera_zarr.engine.runs import Runs, first_disorder
from exetera_zarr.engine.source import Source
from exetera_zarr.engine.spans import check_ascending, check_spans
from exetera_zarr.engine.workspace import Spill

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from exetera_zarr.engine.workspace import Workspace

__all__ = ["NAMES", "Groups", "SumError", "grouped", "over_spans", "result_of"]

#: Names of the aggregates of groups.
NAMES = (
    "count",
    "size",
    "sum",
    "mean",
    "std",
    "var",
    "median",
    "nunique",
    "min",
    "max",
    "first",
    "last",
)
#: Those that need the values of a group in order.
_RANKED = ("median", "nunique")


@dataclass(frozen=True)
class Groups:
    """Some groups: a row for each in the columns of keys, and in a column for each aggregate."""

    keys: list[Column]
    results: list[Column]


class SumError(OverflowError):
    """
    A sum of whole numbers does not fit 64 bits.

    Parameters
    ----------
    column
        The number of the column.
    """

    def __init__(self, column: int, problem: object) -> None:
        super().__init__(f"column {column}: {problem}")
        self.column = column


class _Running:
    """Aggregates over spans that come block by block; the last span of a block is held back."""

    def __init__(self, partials: Sequence[tuple[int, Partial]]) -> None:
        self._partials = partials
        self._held: list[State] | None = None

    def feed(self, bounds: IntArray, columns: Sequence[Column], continued: bool) -> list[State]:
        """The states of the spans that are whole, the held one among them unless it goes on."""
        states = [p.of(bounds, columns[number]) for number, p in self._partials]
        if self._held is not None:
            for i, (_, partial) in enumerate(self._partials):
                before, now = self._held[i], states[i]
                if continued:
                    before = partial.join(before, _rows(now, 0, 1))
                    now = _rows(now, 1, None)
                pairs = zip(before, now, strict=True)
                states[i] = tuple(gather.concat([a, b]) for a, b in pairs)
        # take() copies the row, a slice would keep the whole block alive.
        self._held = [tuple(gather.take(column, [-1]) for column in state) for state in states]
        return [_rows(state, 0, -1) for state in states]

    def finish(self) -> list[State]:
        """The state of the last span; of no rows, no states."""
        return self._held or []

    def results(self, states: Sequence[State]) -> list[Column]:
        """What the aggregates give; SumError names the column."""
        found = []
        for (number, partial), state in zip(self._partials, states, strict=True):
            try:
                found.append(partial.result(state))
            except OverflowError as error:
                raise SumError(number, error) from error
        return found


def _rows(state: State, start: int, stop: int | None) -> State:
    return tuple(column[start:stop] for column in state)


# -- over spans ------------------------------------------------------------------------------------


def over_spans(
    what: str,
    spans: Spill | npt.NDArray[Any],
    source: Source,
    work: Workspace,  # noqa: ARG001 - what all streams take; the state of one span is small
) -> Iterator[Column]:
    """
    Aggregate the rows of each span, as the functions of `spans` do for columns in memory.

    Parameters
    ----------
    what
        The name of that function: ``count``, ``index_of_first`` or ``index_of_last``, which read
        nothing of the source; ``first``, ``last``, ``min``, ``max``, ``sum``, ``mean``,
        ``index_of_min``, ``index_of_max`` or ``concat``.
    spans
        The row at which each span starts, and the number of rows.
    source
        A column; for the first three none is needed.
    work
        Where to do it.

    Yields
    ------
    Column
        The results of the spans in order, in parts.

    Raises
    ------
    ValueError
        There is no such aggregate, or they are not spans of as many rows as the source has.
    TypeError
        The column has no such aggregate.
    SumError
        A sum of whole numbers does not fit.
    """
    if what in ("count", "index_of_first", "index_of_last"):
        for starts in _checked(spans, source):
            if what == "count":
                yield np.diff(starts)
            else:
                yield starts[:-1] if what == "index_of_first" else starts[1:] - 1
        return
    running = _Running([(0, partial_of(what, source.empty[0], skip=False))])
    checked, start = _Starts(_checked(spans, source)), 0
    with contextlib.closing(source.blocks()) as blocks:  # type: ignore[type-var]
        for columns in blocks:
            stop = start + len(columns[0])
            starts = checked.before(stop)
            continued = len(starts) == 0 or starts[0] > start
            bounds = np.concatenate(([start] if continued else [], starts, [stop]))
            yield from running.results(
                running.feed(bounds.astype(np.int64) - start, columns, continued)
            )
            start = stop
    if states := running.finish():
        yield from running.results(states)


def _checked(spans: Spill | npt.NDArray[Any], source: Source) -> Iterator[IntArray]:
    """Spans in parts, each of which ends with the start of the next one; raises if they are not."""
    if not isinstance(spans, Spill):
        spans = check_spans(spans, source.rows)
        for at in range(0, len(spans) - 1, source.step):
            yield spans[at : at + source.step + 1]
        return
    last = max(len(spans) - 1, 0)
    check_spans(
        np.concatenate((spans.read(0, last and 1), spans.read(last, len(spans)))), source.rows
    )
    for at in range(0, last, source.step):
        part = spans.read(at, min(at + source.step, last) + 1)
        check_ascending(part, at)
        yield part


class _Starts:
    """The starts of spans, up to one row after another."""

    def __init__(self, parts: Iterator[IntArray]) -> None:
        self._parts = parts
        self._left: IntArray = np.zeros(0, np.int64)

    def before(self, row: int) -> IntArray:
        """Those that are less than `row`, and were not given yet."""
        found = []
        while True:
            at = int(np.searchsorted(self._left, row))
            found.append(self._left[:at])
            self._left = self._left[at:]
            if len(self._left) or (part := next(self._parts, None)) is None:
                return np.concatenate(found)
            self._left = part[:-1]


# -- over groups -----------------------------------------------------------------------------------


def grouped(
    keys: Source,
    values: Source,
    wanted: Sequence[tuple[int, str]],
    work: Workspace,
    *,
    ordered: bool | None = None,
) -> Iterator[Groups]:
    """
    Aggregate the rows of equal keys.

    Parameters
    ----------
    keys
        Columns of any type. NaN equals NaN, and -0.0 equals 0.0, as which it is given.
    values
        As many rows of columns to aggregate; none is needed for counts.
    wanted
        For each aggregate its column among `values`, and its name, one of `NAMES`:

        * ``count`` and ``size``: rows, int64;
        * ``first``, ``last``: of the rows in their order; ``min``, ``max``: strings by bytes, as
          ExeTera and numpy a NaN if there is one; all in the type of the column;
        * ``sum``: int64 of bool and signed, uint64 of unsigned, float64 of floats; ``mean``,
          ``median``, and with ``n - 1`` ``std`` and ``var``: float64. As in pandas NaNs do not
          count, and of no values the sum is 0, the others are NaN;
        * ``nunique``: distinct values, int64; NaNs do not count.
    work
        Where to do it.
    ordered
        Whether the rows ascend by the keys; if not given, they are looked at.

    Yields
    ------
    Groups
        In ascending order of the keys: NaN last, strings by bytes.

    Raises
    ------
    DisorderError
        A ValueError that names the row: it is less than the one before, against `ordered`.
    ValueError
        There is no such aggregate, there are no keys, or `values` has another number of rows.
    TypeError
        A column has no such aggregate.
    SumError
        A sum of whole numbers does not fit.
    MemoryError
        Not even sorting the rows fits the memory.
    """
    for number, name in wanted:
        if name not in NAMES:
            raise ValueError(f"there is no aggregate {name!r}: there are {', '.join(NAMES)}")
        if name not in ("count", "size"):
            result_of(name, values.empty[number])
    if ordered is None:
        ordered = first_disorder(keys) is None
    rows, plain = _beside(keys, values), [one for one in wanted if one[1] not in _RANKED]
    ranked = {
        one: _ranked(keys, _floats(values) if one[1] == "median" else values, one, work)
        for one in dict.fromkeys(wanted)
        if one[1] in _RANKED
    }
    chunks = (_linear if ordered else _unordered)(rows, len(keys.empty), plain, work)
    position = 0
    for key_columns, found in chunks:
        stop, given = position + len(key_columns[0]), iter(found)
        results = [ranked[w].read(position, stop) if w in ranked else next(given) for w in wanted]
        position = stop
        yield Groups([canonical(column) for column in key_columns], results)


def _beside(keys: Source, values: Source) -> Source:
    """The columns of both."""
    if not keys.empty:
        raise ValueError("groups need at least one key")
    if keys.rows != values.rows:
        raise ValueError(f"{keys.rows} rows of keys, but {values.rows} rows of values")

    def read(start: int, stop: int) -> list[Column]:
        return [*keys.read(start, stop), *values.read(start, stop)]

    return Source(keys.rows, [*keys.empty, *values.empty], read, keys.step)


def _linear(
    rows: Source, keys: int, wanted: Sequence[tuple[int, str]], _work: Workspace
) -> Iterator[tuple[list[Column], list[Column]]]:
    with contextlib.closing(rows.blocks()) as blocks:  # type: ignore[type-var]
        yield from _stream(blocks, rows.empty, keys, wanted)


def _stream(
    blocks: Iterable[Sequence[Column]],
    empty: Sequence[Column],
    keys: int,
    wanted: Sequence[tuple[int, str]],
) -> Iterator[tuple[list[Column], list[Column]]]:
    """Aggregate blocks of rows that ascend by their first columns, the keys."""
    partials: list[tuple[int, Partial]] = [(number, First()) for number in range(keys)]
    for number, name in wanted:
        # Of a count the column does not matter, and there may be none but the keys.
        at = 0 if name in ("count", "size") else keys + number
        partials.append((at, partial_of(name, empty[at], skip=True)))
    running, runs = _Running(partials), Runs()
    states: list[State]

    def whole(states: list[State]) -> tuple[list[Column], list[Column]]:
        try:
            columns = running.results(states)
        except SumError as error:
            raise SumError(error.column - keys, error.__cause__) from error.__cause__
        return columns[:keys], columns[keys:]

    for columns in blocks:
        bounds, continued = runs.feed(columns[:keys])
        states = running.feed(bounds, columns, continued)
        if len(states[0][0]):
            yield whole(states)
    if states := running.finish():
        yield whole(states)


def _unordered(
    rows: Source, keys: int, wanted: Sequence[tuple[int, str]], work: Workspace
) -> Iterator[tuple[list[Column], list[Column]]]:
    with contextlib.suppress(CannotHashError):  # raised before the first group
        yield from hashed_groups(rows, keys, wanted, work)
        return
    # The sort spills whatever there is, and the pass over it names a sum that does not fit.
    chosen = sorted({number for number, name in wanted if name not in ("count", "size")})
    at = {number: i for i, number in enumerate(chosen)}
    found = sorted_blocks(rows, keys, chosen, work, by_value=False)
    try:
        yield from _stream(
            ([*key_columns, *columns] for key_columns, columns in found),
            [*rows.empty[:keys], *(rows.empty[keys + number] for number in chosen)],
            keys,
            [(at.get(number, 0), name) for number, name in wanted],
        )
    except SumError as error:
        raise SumError(chosen[error.column], error.__cause__) from error.__cause__


# -- over sorted values ----------------------------------------------------------------------------


def _floats(values: Source) -> Source:
    """The numbers among the columns as float64."""

    def as_float(column: Column) -> Column:
        numbers = not is_strings(column) and column.dtype.kind in "biuf"
        return column.astype(np.float64) if numbers else column

    return Source(
        values.rows,
        [as_float(column) for column in values.empty],
        lambda start, stop: [as_float(column) for column in values.read(start, stop)],
        values.step,
    )


def _ranked(keys: Source, values: Source, wanted: tuple[int, str], work: Workspace) -> Spill:
    """The medians or the numbers of distinct values of all groups, in their order."""
    number, name = wanted
    blocks = sorted_blocks(_beside(keys, values), len(keys.empty), [number], work, by_value=True)
    if name == "median":
        return _medians(blocks, work)
    found, runs = work.spill(np.int64), Runs()
    running = _Running([(0, Distinct())])
    for key_columns, columns in blocks:
        bounds, continued = runs.feed(key_columns)
        found.append(running.feed(bounds, [canonical(columns[0])], continued)[0][0])
    for state in running.finish():
        found.append(state[0])
    return found


def _medians(blocks: Iterable[tuple[list[Column], list[Column]]], work: Workspace) -> Spill:
    """The middle of each group's values, which ascend, NaN last."""
    found, runs = work.spill(np.float64), Runs()
    open_group = work.spill(np.float64)

    def close_group() -> None:
        if len(open_group):
            found.append(_middle(open_group))
            open_group.close()

    for key_columns, (values,) in blocks:
        bounds, continued = runs.feed(key_columns)
        if continued:
            open_group.append(values[: bounds[1]].copy())
            bounds = bounds[1:]
        if len(bounds) > 1:
            close_group()
            found.append(_middles(values, bounds[:-1]))
            open_group.append(values[bounds[-2] :].copy())
    close_group()
    return found


def _middles(values: npt.NDArray[np.float64], bounds: IntArray) -> npt.NDArray[np.float64]:
    if len(bounds) == 1:
        return np.empty(0, np.float64)
    present = np.add.reduceat(~np.isnan(values[: bounds[-1]]), bounds[:-1], dtype=np.int64)
    low = values[bounds[:-1] + np.maximum(present - 1, 0) // 2]
    high = values[bounds[:-1] + present // 2]
    return _halfway(low, high)


def _middle(values: Spill) -> npt.NDArray[np.float64]:
    """The same of one group, which may be larger than the memory."""
    present = sum(int((~np.isnan(block)).sum()) for block in values.blocks(1 << 20))
    low, high = max(present - 1, 0) // 2, present // 2
    return _halfway(values.read(low, low + 1), values.read(high, high + 1))


def _halfway(
    low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    with np.errstate(all="ignore"):
        # The sum of one number with itself might overflow.
        return np.where(low == high, low, (low + high) / 2)
