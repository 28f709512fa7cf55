"""The join of two large tables in no order: keys to partitions, pairs of rows back into order."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.cluster.keys import KeyPlace, Look
from exetera_zarr.cluster.numbers import Part, stage_numbers
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
from exetera_zarr.dask.jobs import working
from exetera_zarr.engine.columns import comparable_keys, selection
from exetera_zarr.engine.columns.spans import find_spans
from exetera_zarr.engine.join.unsorted_join import join_rows
from exetera_zarr.engine.sort.sorting import sort_index
from exetera_zarr.engine.streams.source import Source
from exetera_zarr.fields.sources import workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from exetera_zarr.cluster.running import Run
    from exetera_zarr.dask.staging import Job
    from exetera_zarr.engine import Column
    from exetera_zarr.engine.join.row_pairs import How
    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["joined_pairs"]

_SAMPLES = 100
_SHARE = 4
_LAST = np.iinfo(np.int64).max
_NUMBERS = tuple(np.zeros(0, np.int64) for _ in range(3))


def joined_pairs(
    run: Run,
    tables: tuple[DataFrame, DataFrame],
    keys: tuple[KeyPlace, KeyPlace],
    sources: tuple[Source, Source],
    how: str,
) -> tuple[list[Part], list[Part]]:
    """
    Row numbers of both sides of a merge.

    Parameters
    ----------
    run
        The verb.
    tables, keys, sources
        The left and the right table, and their keys, for tasks and here.
    how
        ``left``, ``inner`` or ``outer``.
    """
    ranges = [run.ranges(table, _SHARE) for table in tables]
    rows = sum(table.length() for table in tables)
    count = run.partitions(rows * (sources[0].width + 16))
    samples = max(_SAMPLES * count // sum(map(len, ranges)), 1)
    looks = [
        Look(f"look-{run.job.id}-{side}-{start}", keys[side], start, stop, samples)
        for side in (0, 1)
        for start, stop in ranges[side]
    ]
    seen = run.all(looks)
    at = len(ranges[0])
    taken = [
        [selection.concat(parts) for parts in zip(*(one.sample[:-1] for one in some), strict=True)]
        for some in (seen[:at], seen[at:])
    ]
    sample = comparable_keys.align(*taken)
    empty = [column[:0] for column in sample[0]]
    cuts = cuts_of(sample, [True] * len(empty), count)
    columns = (*empty, np.zeros(0, np.int64))
    meta = as_frame(columns, np.zeros(0, np.int64))
    frames = [
        shuffled(
            run,
            f"keys-{side}",
            KeyReads(run.job.id, keys[side], tuple(sources[1 - side].empty), side, cuts),
            ranges[side],
            meta,
            cuts.partitions,
        )
        for side in (0, 1)
    ]
    does = JoinPart(run.job, keys[0], columns, "inner" if how == "inner" else how)  # type: ignore[arg-type]
    made: list[_Joined] = each(run, "pairs", frames, does)
    for side in (0, 1):
        found = sum(one.rows[side] for one in made)
        check_rows(f"the keys of {tables[side].name!r}", found, tables[side].length())
    return _in_order(run, made)


def _in_order(run: Run, made: Sequence[_Joined]) -> tuple[list[Part], list[Part]]:
    """The pairs in the order of the result, by a second shuffle, of row numbers alone."""
    pairs = sum(one.pairs for one in made)
    count = run.partitions(pairs * 24)
    some = [one for one in made if one.pairs]
    if not some:
        return [], []
    cuts = cuts_of([one.sample for one in some], [True] * 3, count)
    reads = PairReads(run.job, tuple(one.columns for one in some), cuts)
    meta = as_frame(_NUMBERS, np.zeros(0, np.int64))
    ranges = [(number, number + 1) for number in range(len(some))]
    brought = shuffled(run, "pairs", reads, ranges, meta, cuts.partitions)
    parts = each(run, "order", [brought], PairsInOrder(run.job))
    check_rows("the pairs of the merge", sum(left.rows for left, _ in parts), pairs)
    return [left for left, _ in parts], [right for _, right in parts]


@dataclass(frozen=True)
class KeyReads:
    """Reads keys, comparable with those of the other table, and row numbers."""

    job: str
    keys: KeyPlace
    others: tuple[Column, ...]
    side: int
    cuts: Cuts

    def __dask_tokenize__(self) -> object:
        return type(self).__name__, self.job, self.side

    def __call__(self, rows: tuple[int, int]) -> pd.DataFrame:
        """Those from one number to another."""
        columns, others = self.keys.source().read(*rows), self.others
        if self.side == 0:
            keys = comparable_keys.align(columns, others)[0]
        else:
            keys = comparable_keys.align(others, columns)[1]
        return as_frame([*keys, np.arange(*rows)], self.cuts.partition_of(keys))


@dataclass(frozen=True)
class _Joined:
    """
    Pairs that a task has staged.

    Parameters
    ----------
    columns
        For each pair what it is ordered by, its left row, and its right row.
    pairs, rows
        How many pairs; and how many rows of either side were in the partition.
    sample
        Some of the pairs.
    """

    columns: StagedColumns
    pairs: int
    rows: tuple[int, int]
    sample: tuple[AnyArray, ...]


@dataclass(frozen=True)
class JoinPart:
    """Joins the rows of a partition of either side, and stages the pairs."""

    job: Job
    place: KeyPlace
    empty: tuple[Column, ...]
    how: How

    def __dask_tokenize__(self) -> object:
        return type(self).__name__, self.job.id

    def __call__(self, left: pd.DataFrame, right: pd.DataFrame) -> _Joined:
        """Join, and say where the pairs are."""
        keys, rows = [], []
        for frame in (left, right):
            columns = as_columns(frame, self.empty)
            order = np.argsort(np.asarray(columns[-1]), kind="stable")
            *some, numbers = [selection.take(column, order) for column in columns]
            keys.append(some)
            rows.append(np.asarray(numbers))
        settings = self.place.place.open().dataset.settings
        with workspace(settings) as work:
            sides = Source.of(keys[0]), Source.of(keys[1])
            with closing(join_rows(*sides, self.how, work)) as chunks:
                found = [(np.zeros(0, np.int64),) * 2, *chunks]
        lefts, rights = (np.concatenate(some) for some in zip(*found, strict=True))
        pairs = self._named(keys[0], rows, lefts, rights)
        count = len(lefts)
        at = np.unique(np.linspace(0, max(count - 1, 0), min(count, _SAMPLES)).astype(np.int64))
        with working(self.job.id):
            staged = stage_columns(self.job, pairs)
        sample = tuple(column[at] for column in pairs)
        return _Joined(staged, count, (len(rows[0]), len(rows[1])), sample)

    def _named(
        self, keys: Sequence[Column], rows: Sequence[AnyArray], lefts: AnyArray, rights: AnyArray
    ) -> list[AnyArray]:
        """What pairs are ordered by first, and their row numbers in the tables."""
        lead = rows[0]
        if self.how != "left" and len(lead):
            order = sort_index(list(keys))  # stable, so the first row of a key comes first
            in_order = [selection.take(column, order) for column in keys]
            bounds = find_spans(in_order, nan_equal=True)
            firsts = np.empty(len(lead), np.int64)
            firsts[order] = np.repeat(lead[order[bounds[:-1]]], np.diff(bounds))
            lead = firsts
        found = []
        for numbers, at, missing in (
            (lead, lefts, _LAST),
            (rows[0], lefts, -1),
            (rows[1], rights, -1),
        ):
            padded = np.append(numbers, missing)  # which -1 is the last of
            found.append(padded[at])
        return found


@dataclass(frozen=True)
class PairReads:
    """Reads staged pairs, and says which partition each goes to."""

    job: Job
    staged: tuple[StagedColumns, ...]
    cuts: Cuts

    def __dask_tokenize__(self) -> object:
        return type(self).__name__, self.job.id

    def __call__(self, part: tuple[int, int]) -> pd.DataFrame:
        """Those of one task before."""
        columns = self.staged[part[0]].read(self.job.workshop())
        return as_frame(columns, self.cuts.partition_of(columns))


@dataclass(frozen=True)
class PairsInOrder:
    """Sorts the pairs of a partition, and stages the row numbers of both sides."""

    job: Job

    def __dask_tokenize__(self) -> object:
        return type(self).__name__, self.job.id

    def __call__(self, frame: pd.DataFrame) -> tuple[Part, Part]:
        """Sort, and say where they are."""
        columns: list[Any] = as_columns(frame, _NUMBERS)
        order = np.lexsort(columns[::-1])
        with working(self.job.id):
            return tuple(stage_numbers(self.job, column[order]) for column in columns[1:])  # type: ignore[return-value]
