"""Ranks within groups, whatever the order of the rows."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np

from exetera_zarr.engine.sort import sorting
from exetera_zarr.engine.streams.row_gather import RowNumbers
from exetera_zarr.engine.streams.source import Source, side_by_side
from exetera_zarr.errors import ArgumentError, ArgumentTypeError
from exetera_zarr.fields.missing.companions import both, masked_reader
from exetera_zarr.fields.missing.masked import rows_of
from exetera_zarr.fields.sources import source_of, workspace
from exetera_zarr.fields.within.groups import keys_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exetera_zarr.engine.streams.workspace import Spill, Workspace
    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.numeric import NumericField
    from exetera_zarr.storage.base import AnyArray

__all__ = ["RankMethod", "rank"]

RankMethod: TypeAlias = Literal["average", "min", "max", "first", "dense"]
_STEP = 1 << 20


def rank(
    field: Field,
    method: RankMethod = "average",
    *,
    ascending: bool = True,
    by: Field | Sequence[Field] | None = None,
) -> NumericField:
    """
    The rank of each value, from 1, among those of its group.

    Parameters
    ----------
    field
        Of any type; strings order by their bytes, categories by their codes.
    method
        The rank of equal values: their mean rank, the least or the greatest of them, ranks in the
        order of the rows, or, by ``dense``, that which the next greater value follows.
    ascending
        Whether the least value is the first.
    by
        The key of the groups, or several, in any order of rows; None for one group.

    Returns
    -------
    NumericField
        Of float64 in memory; missing where the value or a key is.
    """
    if method not in get_args(RankMethod):
        raise ArgumentError(f"method is one of {', '.join(get_args(RankMethod))}, not {method!r}")
    keys = [] if by is None else keys_of(by)
    if keys is None:
        raise ArgumentTypeError("rank takes by= as a field or a list of fields, and no spans")
    fields = [*keys, field]
    cuts = list(source_of(fields).cuts())
    made: NumericField = field.numeric_like("float64")
    known = _known(fields)
    with workspace(field.settings) as work:
        numbers = work.spill(np.int64)
        for start, stop in cuts:
            numbers.append(start + np.flatnonzero(known(start, stop)))
        there = [rows_of(source_of([one]), numbers) for one in fields]
        ranks, done = _ranks(there, method, ascending, work), 0
        for start, stop in cuts:
            here = known(start, stop)
            found, count = np.full(len(here), np.nan), int(here.sum())
            found[here] = ranks.read(done, done + count)
            done += count
            made.append(found)
    return made


def _known(fields: Sequence[Field]) -> Callable[[int, int], AnyArray]:
    """Says of some rows which have a value in all fields."""
    readers = [masked_reader(field)[1] for field in fields]

    def known(start: int, stop: int) -> AnyArray:
        mask = None
        for reader in readers:
            mask = both(mask, reader(start, stop)[1])
        return np.ones(stop - start, np.bool_) if mask is None else mask

    return known


def _ranks(columns: Sequence[Source], method: str, ascending: bool, work: Workspace) -> Spill:
    """The ranks of rows that all have a value, in their order; the last column is ranked."""
    rows = columns[0].rows
    groups = work.spill(np.int64)
    if len(columns) > 1:
        for starts, _ in _runs(side_by_side(columns[:-1]), work):
            groups.append(starts)
    elif rows:
        groups.append(np.zeros(1, np.int64))
    order, runs, firsts = work.spill(np.int64), work.spill(np.int64), work.spill(np.int64)
    for starts, numbers in _runs(side_by_side(columns), work):
        order.append(numbers)
        runs.append(starts)
    for spill in (groups, runs):
        spill.append(np.asarray([rows]))
    _first_runs(runs, groups, firsts)
    ranks = work.spill(np.float64)
    at_run = at_group = 0
    for start in range(0, rows, _STEP):
        here = np.arange(start, min(start + _STEP, rows))
        low, high, run = _around(runs, at_run, here)
        begin, end, group = _around(groups, at_group, here)
        at_run, at_group = int(run[-1]), int(group[-1])
        if method == "dense":
            first = firsts.read(int(group[0]), at_group + 2)
            before, after = first[group - group[0]], first[group - group[0] + 1]
            ranks.append(run - before + 1.0 if ascending else after - run + 0.0)
            continue
        if not ascending:
            low, high, here = begin + end - high, begin + end - low, begin + end - high + here - low
        ranks.append(_rank_of(method, low - begin, high - begin, here - begin))
    return _by_rows(ranks, order, work)


def _rank_of(method: str, low: AnyArray, high: AnyArray, place: AnyArray) -> AnyArray:
    """Ranks of runs of equal values from one place of their group to another."""
    match method:
        case "min":
            found = low + 1.0
        case "max":
            found = high + 0.0
        case "first":
            found = place + 1.0
        case _:
            found = (low + high + 1) / 2.0
    return np.asarray(found, np.float64)


def _runs(source: Source, work: Workspace) -> Any:
    """For the rows in order, some at a time: where runs of equal keys start, and their numbers."""
    rows, last = 0, -1
    if source.rows == 0:
        return
    for numbers, ranks in sorting.ranked_rows([source], work):
        new = np.diff(ranks, prepend=last) != 0
        yield rows + np.flatnonzero(new), numbers
        rows, last = rows + len(numbers), int(ranks[-1])


def _first_runs(runs: Spill, groups: Spill, firsts: Spill) -> None:
    """Which run is the first one of each group; both end with the number of rows."""
    done = 0
    for starts in groups.blocks(_STEP):
        at = 0
        while at < len(starts):
            some = runs.read(done, min(done + _STEP, len(runs)))
            stop = int(np.searchsorted(starts, some[-1], "right"))
            firsts.append(done + np.searchsorted(some, starts[at:stop]))
            done, at = (done + len(some), stop) if stop < len(starts) else (done, stop)


def _around(starts: Spill, first: int, rows: AnyArray) -> tuple[AnyArray, AnyArray, AnyArray]:
    """Where the run of each row starts and ends, and its number, which is `first` or more."""
    some = starts.read(first, min(first + len(rows) + 2, len(starts)))
    at = np.searchsorted(some, rows, "right") - 1
    return some[at], some[at + 1], first + at


def _by_rows(ranks: Spill, order: Spill, work: Workspace) -> Spill:
    """The ranks, which are in the order of these row numbers, in the order of the rows."""
    places = sorting.sort_rows(Source.of_row_numbers(order), True, work)
    if places is None:
        return ranks
    source = Source(len(ranks), [np.zeros(0)], lambda start, stop: [ranks.read(start, stop)])
    found = work.spill(np.float64)
    with closing(RowNumbers(work, places).of(source)) as columns:
        for column in columns:
            found.append(np.asarray(column))
    return found
