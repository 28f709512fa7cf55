"""Pairs of rows of two tables with equal keys, found by tasks, in the order of `merge`."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from exetera_zarr.cluster.joining import joined_pairs
from exetera_zarr.cluster.keys import KeyPlace, Look, Looked, ranks, window
from exetera_zarr.cluster.numbers import Part, stage_numbers
from exetera_zarr.dask.jobs import working
from exetera_zarr.engine.join.merge_join import ordered_pairs
from exetera_zarr.engine.join.unsorted_join import join_rows
from exetera_zarr.fields.missing.keys import key_source
from exetera_zarr.fields.sources import workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from exetera_zarr.cluster.running import Run
    from exetera_zarr.dask.staging import Job
    from exetera_zarr.engine.join.row_pairs import How
    from exetera_zarr.engine.streams.source import Source
    from exetera_zarr.fields.base import Field
    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["pairs_of"]

Sides = tuple[list[Part], list[Part]]
_SHARE = 4
_PAIRS = 1 << 22
"""Pairs that a task has in memory."""


def pairs_of(
    run: Run,
    left: DataFrame,
    right: DataFrame,
    left_keys: Sequence[Field],
    right_keys: Sequence[Field],
    how: str,
    *,
    hinted: bool,
) -> Sides | None:
    """
    Row numbers of both sides of a merge.

    Parameters
    ----------
    run
        The verb.
    left, right, left_keys, right_keys
        The tables, and fields of theirs.
    how
        ``left``, ``right``, ``inner`` or ``outer``.
    hinted
        Whether the keys of both are said to ascend.

    Returns
    -------
    left, right : lists of Part
        In the order of `merge`. None where this is not for a cluster: keys that are no fields of
        the tables, or not in the order that is said.
    """
    if how == "right":
        found = pairs_of(run, right, left, right_keys, left_keys, "left", hinted=hinted)
        return None if found is None else (found[1], found[0])
    if not all(
        field.stored and field.dataframe is frame
        for frame, fields in ((left, left_keys), (right, right_keys))
        for field in fields
    ):
        return None
    (left_source, right_source), split = key_source(left_keys, right_keys)
    one, other = (
        KeyPlace(run.place_of(frame), tuple(str(f.name) for f in fields), tuple(split))
        for frame, fields in ((left, left_keys), (right, right_keys))
    )
    if left.length() == 0 or right.length() == 0:
        return None
    if hinted and not any(split):
        return _ordered(run, left, right, one, other, how)
    if how == "left" and right_source.size <= run.memory:
        return _sides(
            run.all(
                [
                    Pair(run.job, one, other, rows, (0, right.length()), "left", hinted=False)
                    for rows in run.ranges(left, _SHARE)
                ]
            )
        )
    if left_source.size + right_source.size <= run.memory:
        # Whose order depends on all rows; one task takes less time than a shuffle of the keys.
        whole = (0, left.length()), (0, right.length())
        return _sides(run.all([Pair(run.job, one, other, *whole, cast("How", how), hinted=False)]))
    return joined_pairs(run, (left, right), (one, other), (left_source, right_source), how)


def _sides(found: Sequence[Sequence[tuple[Part, Part]]]) -> Sides:
    pairs = [pair for some in found for pair in some]
    return [left for left, _ in pairs], [right for _, right in pairs]


def _ordered(
    run: Run, left: DataFrame, right: DataFrame, one: KeyPlace, other: KeyPlace, how: str
) -> Sides | None:
    """Of rows that ascend: each task has some of the left, and the rows of the right beside it."""
    ranges = [run.ranges(frame, _SHARE) for frame in (left, right)]
    looks = [
        Look(f"look-{run.job.id}-{side}-{start}", keys, start, stop, 0)
        for side, keys, some in (("l", one, ranges[0]), ("r", other, ranges[1]))
        for start, stop in some
    ]
    looked = run.all(looks)
    if not all(each.ascending for each in looked):
        return None
    count = len(ranges[0])
    beside = _beside(looked[:count], looked[count:], ranges[1])
    way: How = "inner" if how == "inner" else "left"
    tasks = [
        Pair(run.job, one, other, rows, near, way, hinted=True)
        for rows, near in zip(ranges[0], beside, strict=True)
    ]
    if how == "outer":
        beside = _beside(looked[count:], looked[:count], ranges[0])
        tasks += [
            Pair(run.job, other, one, rows, near, "left", hinted=True, alone=True)
            for rows, near in zip(ranges[1], beside, strict=True)
        ]
    return _sides(run.all(tasks))


def _beside(
    looked: Sequence[Looked], others: Sequence[Looked], ranges: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """For some rows of one side the rows of the other that may have a key of theirs."""
    mine, theirs = ranks([each.ends for each in looked], [each.ends for each in others])
    found = []
    for first, last in mine.reshape(-1, 2):
        low = int(np.searchsorted(theirs[1::2], first))  # the first whose last key is not less
        high = int(np.searchsorted(theirs[::2], last, "right"))
        found.append((ranges[low][0], ranges[high - 1][1]) if low < high else (0, 0))
    return found


@dataclass(frozen=True)
class Pair:
    """
    Pairs some rows of one table with some of another.

    Parameters
    ----------
    job
        What it is part of.
    keys, others
        Of both tables.
    rows, near
        Which rows of either.
    how
        As of `merge`, but ``right``; ``outer`` of all rows alone.
    hinted
        Whether both ascend.
    alone
        Whether the rows without a partner are wanted, and no pairs: those that the right side of
        an outer merge has alone.
    """

    job: Job
    keys: KeyPlace
    others: KeyPlace
    rows: tuple[int, int]
    near: tuple[int, int]
    how: How
    hinted: bool
    alone: bool = False

    @property
    def name(self) -> str:
        """A name for the task."""
        return f"pair-{self.job.id}-{'r' if self.alone else 'l'}-{self.rows[0]}"

    def __call__(self) -> list[tuple[Part, Part]]:
        """Stage the row numbers of both sides, the left one first."""
        with working(self.job.id):
            found = []
            for left, right in _gathered(self._pairs()):
                found.append((stage_numbers(self.job, left), stage_numbers(self.job, right)))
            return found

    def _pairs(self) -> Iterator[tuple[AnyArray, AnyArray]]:
        keys: Source = window(self.keys.source(), *self.rows)
        others: Source = window(self.others.source(), *self.near)
        finds = ordered_pairs if self.hinted else join_rows
        settings = self.keys.place.open().dataset.settings
        with workspace(settings) as work, closing(finds(keys, others, self.how, work)) as pairs:
            for mine, theirs in pairs:
                rows = mine + self.rows[0]
                partners = np.where(theirs < 0, -1, theirs + self.near[0])
                if self.alone:
                    lone = rows[partners < 0]
                    yield np.full(len(lone), -1), lone
                else:
                    yield rows, partners


def _gathered(
    pairs: Iterator[tuple[AnyArray, AnyArray]],
) -> Iterator[tuple[AnyArray, AnyArray]]:
    """The same in larger pieces; one at least, which may be empty."""
    held: list[tuple[AnyArray, AnyArray]] = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
    count = 0
    for pair in pairs:
        held.append(pair)
        count += len(pair[0])
        if count >= _PAIRS:
            yield np.concatenate([a for a, _ in held]), np.concatenate([b for _, b in held])
            held, count = [], 0
    if held:
        yield np.concatenate([a for a, _ in held]), np.concatenate([b for _, b in held])
