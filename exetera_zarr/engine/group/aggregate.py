"""Aggregation of columns of any length: over given spans, and over groups of equal keys.

Rows that are sorted by their keys take one pass, in which only the state of the span that goes on
is carried from block to block. Others are grouped by DuckDB. Both ways give the same.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exetera_zarr.engine.columns.spans import check_ascending, check_spans
from exetera_zarr.engine.duckdb.codec import canonical
from exetera_zarr.engine.group.aggregate_states import (
    LIKE,
    First,
    Partial,
    State,
    partial_of,
    result_of,
)
from exetera_zarr.engine.group.duckdb_groups import (
    CannotHashError,
    Parts,
    Wanted,
    hashed_groups,
    sorted_blocks,
)
from exetera_zarr.engine.group.holistic import RANKED, can_hash, ranked
from exetera_zarr.engine.group.span_aggregates import Running, SumError
from exetera_zarr.engine.sort.long_strings import Spelling, shortened
from exetera_zarr.engine.streams.sorted_runs import Runs, first_disorder
from exetera_zarr.engine.streams.source import joint_offsets
from exetera_zarr.engine.streams.workspace import Spill
from exetera_zarr.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from exetera_zarr.engine.columns.types import Column, IntArray
    from exetera_zarr.engine.streams.source import Source
    from exetera_zarr.engine.streams.workspace import Workspace

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


@dataclass(frozen=True)
class Groups:
    """Some groups: a row for each in the columns of keys, and in a column for each aggregate."""

    keys: list[Column]
    results: list[Column]


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
    running = Running([(0, partial_of(what, source.empty[0], skip=False))])
    checked, start = _Starts(_checked(spans, source)), 0
    with contextlib.closing(source.blocks()) as blocks:
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
        for at in range(0, len(spans) - 1, source.block):
            yield spans[at : at + source.block + 1]
        return
    last = max(len(spans) - 1, 0)
    check_spans(
        np.concatenate((spans.read(0, last and 1), spans.read(last, len(spans)))), source.rows
    )
    for at in range(0, last, source.block):
        part = spans.read(at, min(at + source.block, last) + 1)
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
) -> Generator[Groups]:
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
            raise ArgumentError(f"there is no aggregate {name!r}: there are {', '.join(NAMES)}")
        if name not in ("count", "size"):
            result_of(name, values.empty[number])
    if ordered is None:
        ordered = first_disorder(keys) is None
    rows, count = _beside(keys, values), len(keys.empty)
    with_ranked = any(name in RANKED for _, name in wanted)
    chunks: Iterator[Parts]
    spelling = Spelling({}, {}, rows.room)
    if with_ranked or not ordered:
        (rows,), ranks = shortened([rows], work, with_text=True)
        columns = [*range(count), *(count + n if name in LIKE else -1 for n, name in wanted)]
        of = {at: number for at, number in enumerate(columns) if number in ranks}
        spelling = Spelling(ranks, of, rows.room)
    if ordered and not with_ranked:
        chunks = _linear(rows, count, wanted, work)
    elif ordered:
        chunks = _with_ranked(rows, count, wanted, work, _linear)
    else:
        chunks = _unordered(rows, count, wanted, work)
    for key_columns, results in chunks:
        for part in spelling.blocks([*map(canonical, key_columns), *results]):
            yield Groups(part[:count], part[count:])


def _beside(keys: Source, values: Source) -> Source:
    """The columns of both."""
    if not keys.empty:
        raise ArgumentError("groups need at least one key")
    if keys.rows != values.rows:
        raise ArgumentError(f"{keys.rows} rows of keys, but {values.rows} rows of values")

    def read(start: int, stop: int) -> list[Column]:
        return [*keys.read(start, stop), *values.read(start, stop)]

    offsets = [side.offsets for side in (keys, values) if side.offsets is not None]
    return replace(
        keys, empty=[*keys.empty, *values.empty], read=read, offsets=joint_offsets(offsets)
    )


def _linear(rows: Source, keys: int, wanted: Sequence[Wanted], _work: Workspace) -> Iterator[Parts]:
    with contextlib.closing(rows.blocks()) as blocks:
        yield from _stream(blocks, rows.empty, keys, wanted)


def _stream(
    blocks: Iterable[Sequence[Column]],
    empty: Sequence[Column],
    keys: int,
    wanted: Sequence[Wanted],
) -> Iterator[Parts]:
    """Aggregate blocks of rows that ascend by their first columns, the keys."""
    partials: list[tuple[int, Partial]] = [(number, First()) for number in range(keys)]
    for number, name in wanted:
        # Of a count the column does not matter, and there may be none but the keys.
        at = 0 if name in ("count", "size") else keys + number
        partials.append((at, partial_of(name, empty[at], skip=True)))
    running, runs = Running(partials), Runs()
    states: list[State]

    def whole(states: list[State]) -> Parts:
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
    rows: Source, keys: int, wanted: Sequence[Wanted], work: Workspace
) -> Iterator[Parts]:
    with_ranked = any(name in RANKED for _, name in wanted)
    if not with_ranked or can_hash(rows, work):
        with contextlib.suppress(CannotHashError):  # raised before the first group
            yield from hashed_groups(rows, keys, wanted, work)
            return
    if with_ranked:
        yield from _with_ranked(rows, keys, wanted, work, _unordered)
    else:
        yield from _sorted(rows, keys, wanted, work)


def _sorted(rows: Source, keys: int, wanted: Sequence[Wanted], work: Workspace) -> Iterator[Parts]:
    """The sort spills whatever there is, and the pass over it names a sum that does not fit."""
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


def _with_ranked(
    rows: Source,
    keys: int,
    wanted: Sequence[Wanted],
    work: Workspace,
    others: Callable[[Source, int, Sequence[Wanted], Workspace], Iterator[Parts]],
) -> Iterator[Parts]:
    """All aggregates: those that need the values of a group together first, then the others."""
    known = {one: ranked(rows, keys, one, work) for one in wanted if one[1] in RANKED}
    position = 0
    plain = [one for one in wanted if one not in known]
    for key_columns, found in others(rows, keys, plain, work):
        stop, given = position + len(key_columns[0]), iter(found)
        results = [known[w].read(position, stop) if w in known else next(given) for w in wanted]
        position = stop
        yield key_columns, results
