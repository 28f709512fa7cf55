"""From groups of equal keys to pairs of rows, some at a time, however groups multiply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np

from exetera_zarr.engine.columns.types import IntArray
from exetera_zarr.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

__all__ = ["How", "Pairs", "check_how", "concatenated", "expand", "invert", "ranges"]

How: TypeAlias = Literal["left", "right", "inner", "outer"]
Pairs: TypeAlias = tuple[IntArray, IntArray]

#: Pairs that are made at once.
CHUNK = 1 << 20


def check_how(how: str) -> None:
    """Raise ValueError unless `how` is a kind of merge."""
    if how not in get_args(How):
        raise ArgumentError(f"how must be one of {', '.join(get_args(How))}; got {how!r}")


def invert(partner: IntArray, groups: int) -> IntArray:
    """For each of the `groups` of the other side its partner on this one, or -1."""
    back = np.full(groups, -1, np.int64)
    matched = np.flatnonzero(partner >= 0)
    back[partner[matched]] = matched
    return back


def concatenated(chunks: Iterable[Pairs]) -> Pairs:
    """All pairs at once."""
    parts = list(chunks)
    if len(parts) == 1:
        return parts[0]
    empty = np.zeros(0, np.int64)
    return (
        np.concatenate([empty, *(rows for rows, _ in parts)]),
        np.concatenate([empty, *(rows for _, rows in parts)]),
    )


def expand(
    starts: IntArray, counts: IntArray, other_starts: IntArray, other_counts: IntArray
) -> Iterator[Pairs]:
    """Pair each row of a group with each row of another, group by group.

    Parameters
    ----------
    starts, counts : int64 arrays (groups,)
        The first row of each group, and how many follow it, itself included; at least one.
    other_starts, other_counts : int64 arrays (groups,)
        The same of the group it is paired with. A start of -1 with a count of 1 gives -1.

    Yields
    ------
    rows, other_rows : int64 arrays
        At most `CHUNK` of each. Ordered by group, row, other row.
    """
    ends = np.cumsum(counts * other_counts)
    first = before = 0
    while first < len(ends):
        last = int(np.searchsorted(ends, before + CHUNK, "right"))
        if last > first:
            part = slice(first, last)
            yield _expand(starts[part], counts[part], other_starts[part], other_counts[part])
        else:
            last = first + 1
            yield from _expand_large(
                int(starts[first]),
                int(counts[first]),
                int(other_starts[first]),
                int(other_counts[first]),
            )
        first, before = last, int(ends[last - 1])


def _expand_large(start: int, count: int, other_start: int, other_count: int) -> Iterator[Pairs]:
    """One pair of groups, in rectangles that are whole rows or parts of one row."""
    width = min(other_count, CHUNK)
    height = CHUNK // width
    for row in range(start, start + count, height):
        rows = np.arange(row, min(row + height, start + count))
        for other in range(other_start, other_start + other_count, width):
            others = np.arange(other, min(other + width, other_start + other_count))
            yield np.repeat(rows, len(others)), np.tile(others, len(rows))


def _expand(
    starts: IntArray, counts: IntArray, other_starts: IntArray, other_counts: IntArray
) -> Pairs:
    rows = ranges(starts, counts)
    if len(rows) > len(starts):
        other_starts = np.repeat(other_starts, counts)
        other_counts = np.repeat(other_counts, counts)
    others = ranges(other_starts, other_counts)
    if len(others) > len(rows):
        rows = np.repeat(rows, other_counts)
    return rows, others


def ranges(starts: IntArray, counts: IntArray) -> IntArray:
    """The numbers from each of `starts` on, as many as its entry of `counts`, which is never 0."""
    ends = np.cumsum(counts)
    if len(ends) == 0 or ends[-1] == len(ends):
        return starts
    ranges: IntArray = np.arange(ends[-1]) + np.repeat(starts - (ends - counts), counts)
    return ranges


def cross_pairs(n_left: int, n_right: int) -> Generator[Pairs]:
    """Pair every left row with every right row, ordered by (left row, right row), in chunks."""
    if n_left and n_right:
        start = np.zeros(1, np.int64)
        yield from expand(start, start + n_left, start, start + n_right)


# -- columns in memory -----------------------------------------------------------------------------
