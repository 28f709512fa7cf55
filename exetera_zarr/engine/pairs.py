"""From groups of equal keys to pairs of rows, in the order that a merge promises.

The rows of each side are grouped: group ``g`` of a side holds the positions ``spans[g]`` to
``spans[g + 1]`` of its rows in key order. `partner` gives for each left group the right group with
the same key, or -1. Where a side was not in key order, `index` gives the row at each position; it
ascends within a group, because the sort was stable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np

from exetera_zarr.engine.columns import IntArray

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Grouped", "How", "check_how", "pair_rows"]

How: TypeAlias = Literal["left", "right", "inner", "outer"]
Pairs: TypeAlias = tuple[IntArray, IntArray]


@dataclass(frozen=True)
class Grouped:
    """One side of a merge: its groups, and the row at each position if not the position itself."""

    spans: IntArray
    index: IntArray | None = None

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.spans[-1])

    @property
    def distinct(self) -> bool:
        """Whether no key occurs twice."""
        return self.rows == len(self.spans) - 1

    def spread(self, values: IntArray) -> IntArray:
        """For each row the entry of `values`, one for each group, of its group."""
        if not self.distinct:
            values = np.repeat(values, np.diff(self.spans))
        if self.index is None:
            return values
        by_row = np.empty_like(values)
        by_row[self.index] = values
        return by_row

    def at(self, positions: IntArray) -> IntArray:
        """The rows at `positions`; -1 stays -1."""
        if self.index is None:
            return positions
        found = self.index.take(positions, mode="wrap") if len(self.index) else positions
        found[positions < 0] = -1
        return found


def check_how(how: str) -> None:
    """Raise ValueError unless `how` is a kind of merge."""
    if how not in get_args(How):
        raise ValueError(f"how must be one of {', '.join(get_args(How))}; got {how!r}")


def pair_rows(left: Grouped, right: Grouped, partner: IntArray, how: How) -> Pairs:
    """The pairs of rows of a merge.

    Parameters
    ----------
    left, right : Grouped
    partner : int64 array (left groups,)
    how : {'left', 'right', 'inner', 'outer'}

    Returns
    -------
    left_rows, right_rows : int64 arrays
        -1 stands for no partner. Ordered: 'left' by (left row, right row); 'right' by (right row,
        left row); 'inner' and 'outer' by (first left row with that key, left row, right row), the
        rows that only the right side of an 'outer' has last, in their order.
    """
    if how == "right":
        right_rows, left_rows = _keep_first(right, left, _inverse(partner, len(right.spans) - 1))
        return left_rows, right_rows
    if how == "left":
        return _keep_first(left, right, partner)
    if how == "outer" and left.index is None:  # the rows of a key are together as they are
        pairs = _keep_first(left, right, partner)
    else:
        pairs = _by_first_appearance(left, right, partner, keep=how == "outer")
    if how == "inner":
        return pairs
    alone = _rows_alone(right, _inverse(partner, len(right.spans) - 1))
    missing = np.full(len(alone), -1, np.int64)
    return np.concatenate((pairs[0], missing)), np.concatenate((pairs[1], alone))


def _inverse(partner: IntArray, groups: int) -> IntArray:
    """For each of the right `groups` its left partner, or -1."""
    back = np.full(groups, -1, np.int64)
    matched = np.flatnonzero(partner >= 0)
    back[partner[matched]] = matched
    return back


def _matches(other: Grouped, partner: IntArray) -> Pairs:
    """For each group the first position of its partner on the other side (-1), and how many."""
    found = partner >= 0
    if other.distinct:
        return partner, found.view(np.int8).astype(np.int64)
    # Gathering all and masking then is several times faster than gathering by a mask; the last
    # of the spans is read in place of the partner -1, and not used.
    starts = np.where(found, other.spans.take(partner, mode="wrap"), -1)
    ends = other.spans.take(partner + 1, mode="wrap")
    return starts, np.where(found, ends - starts, 0)


def _keep_first(side: Grouped, other: Grouped, partner: IntArray) -> Pairs:
    """All rows of `side` in their order, each with its partners."""
    return _expand(np.arange(side.rows), side.spread, other, partner, keep=True)


def _by_first_appearance(left: Grouped, right: Grouped, partner: IntArray, keep: bool) -> Pairs:
    """The left rows, those of one key together, each with its partners."""
    sizes = np.diff(left.spans)
    order = np.arange(len(sizes))
    if left.index is not None:
        # Sorted without a sort: each group is put where its first row is.
        place = np.full(left.rows, -1, np.int64)
        place[left.index[left.spans[:-1]]] = order
        order = place[place >= 0]
    if not keep:
        order = order[partner[order] >= 0]
    sizes, partner = sizes[order], partner[order]
    rows = left.at(_ranges(left.spans[order], sizes))

    def spread(values: IntArray) -> IntArray:
        return values if len(values) == len(rows) else np.repeat(values, sizes)

    return _expand(rows, spread, right, partner, keep)


def _expand(
    rows: IntArray,
    spread: Callable[[IntArray], IntArray],
    other: Grouped,
    partner: IntArray,
    keep: bool,
) -> Pairs:
    """Pair `rows` with those of their groups' partners; `spread` gives values of groups to rows."""
    starts, counts = _matches(other, partner)
    if counts.max(initial=0) <= 1:
        # One gather for each group instead of one for each row.
        return rows, spread(other.at(starts))
    starts, counts = spread(starts), spread(counts)
    shown = np.maximum(counts, 1) if keep else counts
    return np.repeat(rows, shown), other.at(_ranges(starts, shown))


def _ranges(starts: IntArray, counts: IntArray) -> IntArray:
    """The numbers from each of `starts` on, as many as its entry of `counts`, which is never 0."""
    ends = np.cumsum(counts)
    if len(ends) == 0 or ends[-1] == len(ends):
        return starts
    ranges: IntArray = np.arange(ends[-1]) + np.repeat(starts - (ends - counts), counts)
    return ranges


def _rows_alone(side: Grouped, partner: IntArray) -> IntArray:
    """The rows of `side` without a partner, in their order."""
    alone = np.repeat(partner < 0, np.diff(side.spans))
    positions = np.flatnonzero(alone)
    if side.index is not None:
        positions = np.sort(side.index[positions])
    return positions
