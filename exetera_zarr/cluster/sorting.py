"""The order of the rows of a table: keys and row numbers go to partitions, and are sorted there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from exetera_zarr.cluster.filtering import all_rows
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
from exetera_zarr.dask.jobs import working
from exetera_zarr.engine.sort.sorting import sort_index
from exetera_zarr.fields.missing.keys import directions, key_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from exetera_zarr.cluster.running import Run
    from exetera_zarr.dask.staging import Job
    from exetera_zarr.engine import Column
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["SAMPLES", "sorted_rows"]

SAMPLES = 100
"""Keys that are looked at for each partition."""
_SHARE = 4
_HELD = 2
"""How many times its keys and row numbers a task holds that sorts a whole table."""


def sorted_rows(
    run: Run, frame: DataFrame, by: Sequence[str], ascending: Sequence[bool] | bool, *, copy: bool
) -> list[Part] | None:
    """
    The rows of a table in the order of keys; those of equal keys in the order that they have.

    Parameters
    ----------
    run
        The verb.
    frame
        The table.
    by, ascending
        As of `DataFrame.sort_values`.
    copy
        Whether the numbers of all rows are wanted where they are in order.

    Returns
    -------
    list of Part or None
        None where they are in order already, and need no numbers.
    """
    (keys,), split = key_source([frame[name] for name in by])
    ways = directions(ascending, split)
    place = KeyPlace(run.place_of(frame), tuple(by), tuple(split))
    ranges = run.ranges(frame, _SHARE)
    rows = frame.length()
    size = rows * (keys.width + 16)
    wanted = run.partitions(size)
    count = max(SAMPLES * wanted // len(ranges), 1)
    looked = run.all(
        [Look(f"look-{run.job.id}-{start}", place, start, stop, count) for start, stop in ranges]
    )
    if all(ways) and all(one.ascending for one in looked):
        return all_rows(run, frame) if copy else None
    if keys.offsets is None and _HELD * size <= run.memory:
        (sorted_here,) = run.all([SortTable(run.job, place, tuple(ways))])
        return list(sorted_here)
    cuts = cuts_of([one.sample for one in looked], [*ways, True], wanted)
    reads = SortReads(run.job.id, place, cuts)
    empty = (*keys.empty, np.zeros(0, np.int64))
    meta = as_frame(empty, np.zeros(0, np.int64))
    brought = shuffled(run, "keys", reads, ranges, meta, cuts.partitions)
    parts: list[Part] = each(run, "order", [brought], SortPart(run.job, empty, tuple(ways)))
    check_rows(f"the keys of {frame.name!r}", sum(part.rows for part in parts), rows)
    return parts


@dataclass(frozen=True)
class SortTable:
    """Sorts a table whose keys fit one task, which takes less time than a shuffle of them does."""

    job: Job
    keys: KeyPlace
    ways: tuple[bool, ...]

    @property
    def name(self) -> str:
        """A name for the task."""
        return f"order-{self.job.id}"

    def __call__(self) -> list[Part]:
        """Sort, and say where the numbers are: some in each object, as tasks take them."""
        order = sort_index([*self.keys.source().whole()], list(self.ways))
        with working(self.job.id):
            return [
                stage_numbers(self.job, order[start : start + self.job.rows])
                for start in range(0, len(order), self.job.rows)
            ]


@dataclass(frozen=True)
class SortReads:
    """Reads keys and row numbers, and says which partition each row goes to."""

    job: str
    keys: KeyPlace
    cuts: Cuts

    def __dask_tokenize__(self) -> object:
        return type(self).__name__, self.job

    def __call__(self, rows: tuple[int, int]) -> pd.DataFrame:
        """Those from one number to another."""
        columns = [*self.keys.source().read(*rows), np.arange(*rows)]
        return as_frame(columns, self.cuts.partition_of(columns))


@dataclass(frozen=True)
class SortPart:
    """Sorts the rows of a partition, and stages their numbers."""

    job: Job
    empty: tuple[Column, ...]
    ways: tuple[bool, ...]

    def __dask_tokenize__(self) -> object:
        return type(self).__name__, self.job.id

    def __call__(self, frame: pd.DataFrame) -> Part:
        """Sort, and say where the numbers are."""
        *keys, rows = as_columns(frame, self.empty)
        order = sort_index([*keys, rows], [*self.ways, True])
        with working(self.job.id):
            return stage_numbers(self.job, np.asarray(rows)[order])
