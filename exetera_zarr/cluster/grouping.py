"""Groups on a cluster: each task has states of its rows, which are joined in the order of rows.

Of rows that are in the order of their keys, tasks give the groups in order, and the client joins
those at the edges. Of others it joins all, while they are few; many, and aggregates that need the
values of a group together, go to the partition of their keys.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.cluster.keys import KeyPlace, Look
from exetera_zarr.cluster.shuffling import (
    Cuts,
    as_columns,
    as_frame,
    check_rows,
    cuts_of,
    each,
    shuffled,
)
from exetera_zarr.cluster.staged_columns import StagedColumns, stage_columns
from exetera_zarr.cluster.states import COUNTS, Aggregate, States, joined, results_of, states_of
from exetera_zarr.dask.jobs import working
from exetera_zarr.engine.columns import selection
from exetera_zarr.engine.duckdb.feed import BATCH
from exetera_zarr.engine.group import aggregate
from exetera_zarr.engine.group.aggregate import SumError, result_of
from exetera_zarr.engine.group.holistic import RANKED
from exetera_zarr.engine.sort.sorting import sort_index
from exetera_zarr.engine.streams.sorted_runs import DisorderError, first_disorder
from exetera_zarr.engine.streams.source import Source
from exetera_zarr.errors import ResultRangeError
from exetera_zarr.fields.missing.keys import key_source, whole_keys
from exetera_zarr.fields.missing.masked import masked_of
from exetera_zarr.fields.missing.present_spans import spread
from exetera_zarr.fields.sources import workspace
from exetera_zarr.tables.present_groups import PresentGroups

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    import pandas as pd

    from exetera_zarr.cluster.running import Run
    from exetera_zarr.dask.staging import Job
    from exetera_zarr.engine import Column
    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["FEW", "groups_of"]

FEW = 1 << 20
"""States that the client has at a time; of more groups, they go to partitions."""
_SAMPLES = 100
_SHARE = 4
Results = list[tuple["Column", "AnyArray | None"]]


def groups_of(
    run: Run,
    frame: DataFrame,
    by: Sequence[str],
    targets: Sequence[str],
    wanted: Sequence[tuple[int, str]],
    *,
    ordered: bool | None,
) -> Generator[PresentGroups]:
    """
    Aggregate the values that there are in each group.

    Parameters
    ----------
    run
        The verb.
    frame
        The table.
    by, targets
        Names of the keys and of the fields that are aggregated.
    wanted, ordered
        As of `tables.present_groups.grouped`, as what is given.
    """
    fields = [frame[name] for name in targets]
    (keys,), split = key_source([frame[name] for name in by])
    place = KeyPlace(run.place_of(frame), tuple(by), tuple(split))
    aggregates = tuple(
        Aggregate(at, name, fields[at].empty_column() if fields else np.zeros(0, np.int64))
        for at, name in wanted
    )
    # The rows of all groups together are those of the table, whatever else is asked for.
    aggregates = (*aggregates, Aggregate(0, "size", np.zeros(0, np.int64)))
    work = _Work(run.job, place, tuple(targets), aggregates, frame.group.row_block)
    found = _found(run, frame, keys, work, ordered=ordered)
    rows = 0
    with closing(found):
        for key_columns, results in found:
            *others, (sizes, _) = results
            rows += int(np.sum(np.asarray(sizes)))
            yield PresentGroups(whole_keys(key_columns, split), others)
    check_rows(f"the groups of {frame.name!r}", rows, frame.length())


def _found(
    run: Run, frame: DataFrame, keys: Source, work: _Work, *, ordered: bool | None
) -> Generator[tuple[list[Column], Results]]:
    ranges = run.ranges(frame, _SHARE)
    count = run.partitions(frame.length() * (keys.width + 16))
    samples = max(_SAMPLES * count // len(ranges), 1)
    ranked = any(one.name in RANKED for one in work.wanted)
    looked = []
    if not ordered or ranked:
        looked = run.all(
            [
                Look(f"look-{run.job.id}-{start}", work.keys, start, stop, samples)
                for start, stop in ranges
            ]
        )
        if ordered and not all(one.ascending for one in looked):
            raise _disorder(keys)
        ordered = all(one.ascending for one in looked)
    if not ranked:
        if ordered:
            yield from _in_order(run, work, ranges, keys)
            return
        whole = _few(run, work, ranges)
        if whole is not None:
            yield results_of(whole, work.wanted, from_zero=True)
            return
    samples_of = [one.sample[:-1] for one in looked]
    cuts = cuts_of(samples_of, [True] * len(keys.empty), count)
    yield from _shuffled(run, work, ranges, keys.empty, cuts, ranked=ranked)


def _disorder(keys: Source) -> DisorderError:
    row = first_disorder(keys)
    return DisorderError(0 if row is None else row)


def _waves(
    run: Run, work: _Work, ranges: Sequence[tuple[int, int]]
) -> Iterator[tuple[list[States], bool]]:
    """The states of some tasks at a time, in order, so that the client never has all of them."""
    at_once = 2 * run.threads
    for first in range(0, len(ranges), at_once):
        tasks = [Group(work, start, stop) for start, stop in ranges[first : first + at_once]]
        found = run.all(tasks)
        yield (
            [one for states, _ in found for one in states],
            all(ascending for _, ascending in found),
        )


def _in_order(
    run: Run, work: _Work, ranges: Sequence[tuple[int, int]], keys: Source
) -> Iterator[tuple[list[Column], Results]]:
    held: States | None = None
    for some, ascending in _waves(run, work, ranges):
        if not ascending:
            raise _disorder(keys)
        for states in some:
            whole = states
            if held is not None:
                whole = joined(States.together([held, states]), work.wanted)
            last = len(whole) - 1  # which may go on
            if last:
                yield results_of(whole.rows(0, last), work.wanted)
            held = whole.rows(last, last + 1)
    if held is not None:
        yield results_of(held, work.wanted)


def _few(run: Run, work: _Work, ranges: Sequence[tuple[int, int]]) -> States | None:
    """All groups, where they are few."""
    whole: States | None = None
    for some, _ in _waves(run, work, ranges):
        parts = some if whole is None else [whole, *some]
        whole = joined(States.together(parts), work.wanted)
        if len(whole) > FEW:
            return None
    return whole


def _shuffled(
    run: Run,
    work: _Work,
    ranges: Sequence[tuple[int, int]],
    empty: Sequence[Column],
    cuts: Cuts,
    *,
    ranked: bool,
) -> Iterator[tuple[list[Column], Results]]:
    reads: RowReads | StateReads = (RowReads if ranked else StateReads)(work, cuts)
    columns = reads.columns((0, 0), 0)
    meta = as_frame(columns, np.zeros(0, np.int64))
    does = (RowsJoined if ranked else StatesJoined)(work, tuple(columns), len(empty))
    brought = shuffled(run, "groups", reads, ranges, meta, cuts.partitions)
    found: list[StagedColumns] = []
    for made in each(run, "groups", [brought], does):
        if isinstance(made, _TooLarge):
            problem = ResultRangeError(made.problem)
            raise SumError(made.target, problem) from problem
        found.append(made)
    for columns in _batches(one.read(run.workshop) for one in found):
        results: Results = []
        rest = iter(columns[len(empty) :])
        for one in work.wanted:
            column, there = next(rest), np.asarray(next(rest))
            results.append((column, None if one.name in COUNTS or there.all() else there))
        yield columns[: len(empty)], results


def _batches(parts: Iterable[Sequence[Column]]) -> Iterator[list[Column]]:
    """The groups of partitions as one process has them: so many at a time, wherever they end."""
    held: list[Sequence[Column]] = []
    count = 0
    for part in parts:
        held.append(part)
        count += len(part[0])
        if count >= BATCH:
            whole = [selection.concat(some) for some in zip(*held, strict=True)]
            done = count - count % BATCH
            for start in range(0, done, BATCH):
                yield [column[start : start + BATCH] for column in whole]
            held, count = [[column[done:] for column in whole]], count - done
    if count:
        yield [selection.concat(some) for some in zip(*held, strict=True)]


@dataclass(frozen=True)
class _Work:
    """What tasks group, and by what."""

    job: Job
    keys: KeyPlace
    targets: tuple[str, ...]
    wanted: tuple[Aggregate, ...]
    block: int

    def read(
        self, start: int, stop: int
    ) -> tuple[Sequence[Column], list[tuple[Column, AnyArray | None]]]:
        """Keys of some rows, and the targets, with which rows have a value."""
        frame = self.keys.place.open()
        targets = [masked_of(frame[name]).read(start, stop) for name in self.targets]
        return self.keys.source().read(start, stop), targets

    def states(self, start: int, stop: int) -> tuple[States, bool]:
        """The groups of some rows."""
        return states_of(*self.read(start, stop), self.wanted)


@dataclass(frozen=True)
class Group:
    """The states of the groups of each block of some rows; and whether the rows are in order."""

    work: _Work
    start: int
    stop: int

    @property
    def name(self) -> str:
        """A name for the task."""
        return f"group-{self.work.job.id}-{self.start}"

    def __call__(self) -> tuple[list[States], bool]:
        """Group the rows block by block, so that floats are added as they are here."""
        work, found, ordered = self.work, [], True
        for start in range(self.start, self.stop, work.block):
            stop = min(start + work.block, self.stop)
            states, ascending = work.states(start, stop)
            found.append(states)
            ordered = ordered and ascending and self._follows(start)
        return found, ordered

    def _follows(self, row: int) -> bool:
        """Whether the key of a row is not less than the one before."""
        if row == 0:
            return True
        border = self.work.keys.source().read(row - 1, row + 1)
        return first_disorder(Source.of(list(border))) is None


@dataclass(frozen=True)
class StateReads:
    """The states of groups, for the partitions of their keys."""

    work: _Work
    cuts: Cuts

    def __dask_tokenize__(self) -> object:
        return type(self).__name__, self.work.job.id

    def columns(self, rows: tuple[int, int], number: int) -> list[Column]:
        """Keys, the number of the task, and of each aggregate which groups have one, and it."""
        states, _ = self.work.states(*rows)
        found: list[Column] = [*states.keys, np.full(len(states), number)]
        for there, state in states.of:
            found.append(there)
            at = np.where(there, np.cumsum(there) - 1, -1)
            found += [selection.take_or_default(column, at) for column in state]
        return found

    def __call__(self, rows: tuple[int, int]) -> pd.DataFrame:
        """Those of the rows from one number to another."""
        columns = self.columns(rows, rows[0])
        return as_frame(columns, self.cuts.partition_of(columns[: len(self.cuts.keys)]))


@dataclass(frozen=True)
class StatesJoined:
    """Joins the states of a partition, and stages the groups."""

    work: _Work
    empty: tuple[Column, ...]
    keys: int

    def __dask_tokenize__(self) -> object:
        return type(self).__name__, self.work.job.id

    def __call__(self, frame: pd.DataFrame) -> StagedColumns | _TooLarge:
        """Join, and say where the groups are."""
        columns = as_columns(frame, self.empty)
        order = np.argsort(np.asarray(columns[self.keys]), kind="stable")
        columns = [selection.take(column, order) for column in columns]
        rest, of = iter(columns[self.keys + 1 :]), []
        empty = np.zeros(1, np.int64)
        for one in self.work.wanted:
            there = np.asarray(next(rest)).astype(np.bool_)
            count = len(one.partial().of(empty, one.empty))
            of.append((there, tuple(selection.compress(next(rest), there) for _ in range(count))))
        states = joined(States(columns[: self.keys], of), self.work.wanted)
        return _stage(self.work, *_results(states, self.work))


@dataclass(frozen=True)
class RowReads:
    """Keys and values row by row, for the partitions of their keys."""

    work: _Work
    cuts: Cuts

    def __dask_tokenize__(self) -> object:
        return type(self).__name__, self.work.job.id

    def columns(self, rows: tuple[int, int], _number: int) -> list[Column]:
        """Keys, the number of the row, and of each target which rows have a value, and it."""
        keys, targets = self.work.read(*rows)
        found: list[Column] = [*keys, np.arange(*rows)]
        for column, mask in targets:
            found += [np.ones(len(column), np.bool_) if mask is None else mask, column]
        return found

    def __call__(self, rows: tuple[int, int]) -> pd.DataFrame:
        """Those from one number to another."""
        columns = self.columns(rows, 0)
        return as_frame(columns, self.cuts.partition_of(columns[: len(self.cuts.keys)]))


@dataclass(frozen=True)
class RowsJoined:
    """Groups the rows of a partition, and stages the groups."""

    work: _Work
    empty: tuple[Column, ...]
    keys: int

    def __dask_tokenize__(self) -> object:
        return type(self).__name__, self.work.job.id

    def __call__(self, frame: pd.DataFrame) -> StagedColumns | _TooLarge:
        """Group, and say where the groups are."""
        work = self.work
        columns = as_columns(frame, self.empty)
        order = sort_index(columns[: self.keys + 1])
        columns = [selection.take(column, order) for column in columns]
        keys, rest = columns[: self.keys], iter(columns[self.keys + 1 :])
        targets = []
        for _ in work.targets:
            mask = np.asarray(next(rest)).astype(np.bool_)
            targets.append((next(rest), None if mask.all() else mask))
        others = [one for one in work.wanted if one.name not in RANKED]
        states, _ = states_of(keys, targets, others)
        try:
            found, results = results_of(states, others, from_zero=True)
        except SumError as error:
            return _TooLarge(error.column, str(error.__cause__))
        given = iter(results)
        whole: Results = [
            self._ranked(keys, targets[one.target], one, len(states))
            if one.name in RANKED
            else next(given)
            for one in work.wanted
        ]
        return _stage(work, found, whole)

    def _ranked(
        self,
        keys: Sequence[Column],
        target: tuple[Column, AnyArray | None],
        one: Aggregate,
        groups: int,
    ) -> tuple[Column, AnyArray | None]:
        column, mask = target
        (there, _), *_ = states_of(keys, [target], [Aggregate(0, "first", one.empty)])[0].of
        if mask is not None:
            keys = [selection.compress(key, mask) for key in keys]
            column = selection.compress(column, mask)
        settings = self.work.keys.place.open().dataset.settings
        parts = [result_of(one.name, one.empty)]
        with workspace(settings) as work:
            of = Source.of(list(keys)), Source.of([column])
            if len(column):
                groups_in_order = aggregate.grouped(*of, [(0, one.name)], work, ordered=True)
                parts += [some.results[0] for some in groups_in_order]
        found = spread(selection.concat(parts), there)
        assert len(found) == groups
        return found, None if one.name in COUNTS or there.all() else there


@dataclass(frozen=True)
class _TooLarge:
    """A sum of a target that does not fit, and why."""

    target: int
    problem: str


def _results(states: States, work: _Work) -> tuple[Any, Any]:
    try:
        return results_of(states, work.wanted, from_zero=True)
    except SumError as error:
        return None, _TooLarge(error.column, str(error.__cause__))


def _stage(
    work: _Work, keys: Sequence[Column] | None, results: Results | _TooLarge
) -> StagedColumns | _TooLarge:
    if keys is None or isinstance(results, _TooLarge):
        return results  # type: ignore[return-value]
    columns = list(keys)
    for column, there in results:
        columns += [column, np.ones(len(column), np.bool_) if there is None else there]
    with working(work.job.id):
        return stage_columns(work.job, columns)
