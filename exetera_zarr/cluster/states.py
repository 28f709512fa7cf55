"""Groups of some rows as states that are joined later, with those of the same keys elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from exetera_zarr.engine.columns import selection
from exetera_zarr.engine.columns.spans import find_spans
from exetera_zarr.engine.duckdb.codec import canonical
from exetera_zarr.engine.group.aggregate_states import partial_of, result_of
from exetera_zarr.engine.group.span_aggregates import SumError
from exetera_zarr.engine.sort.sorting import sort_index
from exetera_zarr.fields.missing.companions import holds_nan
from exetera_zarr.fields.missing.present_spans import spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exetera_zarr.engine import Column
    from exetera_zarr.engine.group.aggregate_states import Partial, State
    from exetera_zarr.storage.base import AnyArray

__all__ = ["COUNTS", "Aggregate", "States", "joined", "results_of", "states_of"]

COUNTS = ("count", "nunique", "size")
"""Aggregates that are 0, not missing, of no values."""


@dataclass(frozen=True)
class Aggregate:
    """
    An aggregate of a target.

    Parameters
    ----------
    target
        The number of its column among the targets; of ``size`` it does not matter.
    name
        As of `engine.group.aggregate.NAMES`.
    empty
        A column without rows of the target's type.
    """

    target: int
    name: str
    empty: Column

    def partial(self) -> Partial:
        """What makes its states."""
        return partial_of(self.name, self.empty, skip=True)


@dataclass(frozen=True)
class States:
    """
    Groups, one or several times each, and the states of their aggregates.

    Parameters
    ----------
    keys
        Of each group.
    of
        For each aggregate which groups have a state, since a row of theirs has a value; and the
        states of these.
    """

    keys: list[Column]
    of: list[tuple[AnyArray, State]]

    def __len__(self) -> int:
        return len(self.keys[0])

    def rows(self, start: int, stop: int) -> States:
        """The groups from one to another."""
        found = []
        for there, state in self.of:
            low = int(np.count_nonzero(there[:start]))
            high = low + int(np.count_nonzero(there[start:stop]))
            # take() copies the rows, a slice would keep the whole block alive.
            rows = np.arange(low, high)
            found.append((there[start:stop], tuple(selection.take(col, rows) for col in state)))
        numbers = np.arange(start, stop)
        return States([selection.take(column, numbers) for column in self.keys], found)

    @staticmethod
    def together(parts: Sequence[States]) -> States:
        """Those of several, one after another."""
        keys = [selection.concat(some) for some in zip(*(one.keys for one in parts), strict=True)]
        found = []
        for several in zip(*(one.of for one in parts), strict=True):
            there = np.concatenate([one for one, _ in several])
            columns = zip(*(state for _, state in several), strict=True)
            found.append((there, tuple(selection.concat(some) for some in columns)))
        return States(keys, found)


def states_of(
    keys: Sequence[Column],
    targets: Sequence[tuple[Column, AnyArray | None]],
    wanted: Sequence[Aggregate],
) -> tuple[States, bool]:
    """
    The groups of some rows, in the order of the keys.

    Parameters
    ----------
    keys
        Of each row.
    targets
        Columns to aggregate, each with which rows have a value; None for all.
    wanted
        The aggregates.

    Returns
    -------
    states : States
        Of each group once.
    ascending : bool
        Whether the rows were in the order of the keys.
    """
    rows = np.arange(len(keys[0]))
    order = sort_index(list(keys)) if len(rows) else rows
    ascending = bool((order == rows).all())
    if not ascending:
        keys = [selection.take(column, order) for column in keys]
        targets = [
            (selection.take(column, order), None if mask is None else mask[order])
            for column, mask in targets
        ]
    bounds = find_spans(list(keys), nan_equal=True)
    found = []
    for one in wanted:
        column, mask = targets[one.target] if targets else (keys[0], None)
        if one.name == "size":
            mask = None
        found.append(_state(one.partial(), bounds, column, mask))
    heads = [selection.take(column, bounds[:-1]) for column in keys]
    return States(heads, found), ascending


def _state(
    partial: Partial, bounds: AnyArray, column: Column, mask: AnyArray | None
) -> tuple[AnyArray, State]:
    groups = len(bounds) - 1
    if mask is None:
        return np.ones(groups, np.bool_), partial.of(bounds, column)
    before = np.concatenate(([0], np.cumsum(mask)))[bounds]
    there = before[1:] > before[:-1]
    kept = np.append(before[:-1][there], before[-1])
    return there, partial.of(kept, selection.compress(column, mask))


def joined(states: States, wanted: Sequence[Aggregate]) -> States:
    """
    Groups once each, in the order of the keys.

    Parameters
    ----------
    states
        Those of a group in the order of the rows that they are of.
    wanted
        The aggregates.
    """
    count = len(states)
    if count == 0:
        return states
    order = sort_index(states.keys)  # stable
    keys = [selection.take(column, order) for column in states.keys]
    bounds = find_spans(keys, nan_equal=True)
    group = np.empty(count, np.int64)
    group[order] = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    heads = [selection.take(column, bounds[:-1]) for column in keys]
    found = []
    for one, (there, state) in zip(wanted, states.of, strict=True):
        of = group[there]
        found.append(_joined(one.partial(), state, of, len(bounds) - 1))
    return States(heads, found)


def _joined(partial: Partial, state: State, group: AnyArray, groups: int) -> tuple[AnyArray, State]:
    """The states of groups that may have several, from left to right."""
    order = np.argsort(group, kind="stable")
    counts = np.bincount(group, minlength=groups)
    there = counts > 0
    starts = (np.cumsum(counts) - counts)[there]
    counts = counts[there]
    sorted_state = tuple(selection.take(column, order) for column in state)
    so_far = tuple(selection.take(column, starts) for column in sorted_state)
    for number in range(1, int(counts.max(initial=1))):
        more = np.flatnonzero(counts > number)
        before = tuple(selection.take(column, more) for column in so_far)
        after = tuple(selection.take(column, starts[more] + number) for column in sorted_state)
        now = partial.join(before, after)
        at = np.arange(len(counts))
        at[more] = len(counts) + np.arange(len(more))
        so_far = tuple(
            selection.take(selection.concat([a, b]), at) for a, b in zip(so_far, now, strict=True)
        )
    return there, so_far


def results_of(
    states: States, wanted: Sequence[Aggregate], *, from_zero: bool = False
) -> tuple[list[Column], list[tuple[Column, AnyArray | None]]]:
    """
    Keys and results of groups, each of which is there once.

    Parameters
    ----------
    states, wanted
        The groups, and the aggregates.
    from_zero
        Whether floats are added to 0.0, so that no sum is -0.0: as of rows in no order, which one
        process has DuckDB add.

    Returns
    -------
    keys : list of Column
        As the engine gives them.
    results : list of (Column, ndarray or None)
        Of each aggregate, with which groups have one; None for all.

    Raises
    ------
    SumError
        A sum does not fit; it names the target.
    """
    found: list[tuple[Column, AnyArray | None]] = []
    for one, (there, state) in zip(wanted, states.of, strict=True):
        try:
            result = one.partial().result(state)
        except OverflowError as error:
            raise SumError(one.target, error) from error
        if from_zero and one.name in ("sum", "mean") and holds_nan(result):
            result = result + 0.0
        whole = spread(selection.concat([result_of(one.name, one.empty), result]), there)
        if one.name in COUNTS:
            found.append((np.where(there, whole, 0), None))
        else:
            found.append((whole, None if there.all() else there))
    return [canonical(column) for column in states.keys], found
