"""Merges of tables whose keys ascend: one linear pass over both sides, and nothing to sort.

Equal keys are collapsed to groups, of which only the key and the rows it spans are kept; the
groups of one side are looked up in cache-sized windows of those of the other, and expanded to pairs
of rows. The last group of a block is held back, as it may go on in the next one.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exetera_zarr.engine.columns import comparable_keys, selection
from exetera_zarr.engine.columns.spans import find_spans
from exetera_zarr.engine.columns.types import Column, IntArray, is_strings
from exetera_zarr.engine.join import row_pairs
from exetera_zarr.engine.join.row_pairs import How, Pairs, check_how, expand, invert
from exetera_zarr.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from exetera_zarr.engine.streams.source import Source
    from exetera_zarr.engine.streams.workspace import Spill, Workspace

__all__ = ["aligned", "match_groups", "ordered_pairs"]

_WINDOW = 1 << 16


def aligned(left: Source, right: Source) -> tuple[Source, Source]:
    """The same rows with columns that can be compared: `keys.align`, block by block."""
    left_empty, right_empty = comparable_keys.align(left.empty, right.empty)
    return (
        replace(
            left,
            empty=left_empty,
            read=lambda start, stop: comparable_keys.align(left.read(start, stop), right.empty)[0],
            step=left.block,
        ),
        replace(
            right,
            empty=right_empty,
            read=lambda start, stop: comparable_keys.align(left.empty, right.read(start, stop))[1],
            step=right.block,
        ),
    )


def ordered_pairs(left: Source, right: Source, how: How, work: Workspace) -> Generator[Pairs]:
    """Pair the rows of two tables whose keys ascend.

    Parameters
    ----------
    left, right
        The key columns, as many on one side as on the other, ascending by the first, then the
        second, and so on. Strings ascend by bytes. NaN comes last and equals NaN; -0.0 equals 0.0.
    how : {'left', 'right', 'inner', 'outer'}
    work
        Where the right-only rows of an outer merge wait for the end.

    Yields
    ------
    left_rows, right_rows : int64 arrays
        Row numbers, -1 for no partner, at most `row_pairs.CHUNK` at once. Ordered: 'left' by
        (left row, right row); 'right' by (right row, left row); 'inner' and 'outer' by (first left
        row with that key, left row, right row), the rows that only the right side of an 'outer'
        has last, in their order.

    Raises
    ------
    ValueError
        If the keys of a side do not ascend (the message names the side and the first bad row), if
        there are none, or their numbers do not fit.
    TypeError
        If a key is a number on one side and a string on the other.
    """
    check_how(how)
    left, right = aligned(left, right)
    alone = work.spill(np.int64)
    with closing(_Groups(left, "left")) as a, closing(_Groups(right, "right")) as b:
        while a.fill() and b.fill():
            partner, taken, other = match_groups(a.keys, b.keys, a.more, b.more)
            yield from _pair(a.take(taken), b.take(other), partner, how, alone)
        nothing = np.zeros(1, np.int64)
        while a.fill():
            bounds = a.take(len(a.bounds) - 1)
            yield from _pair(bounds, nothing, np.full(len(bounds) - 1, -1), how, alone)
        while b.fill():
            yield from _pair(nothing, b.take(len(b.bounds) - 1), nothing[:0], how, alone)
    for rows in alone.blocks(row_pairs.CHUNK):
        yield np.full(len(rows), -1, np.int64), rows
    alone.close()


class _Groups:
    """The groups of equal keys of a side, as far as they are read and not yet taken."""

    def __init__(self, source: Source, side: str) -> None:
        self.keys: Sequence[Column] = source.empty
        self.bounds = np.zeros(1, np.int64)  #: where each group starts, and the end of the last
        self._side, self._total, self._rows = side, source.rows, 0
        self._blocks = source.blocks()
        self._held: list[Column] = []  # the key of the group that may go on
        self._start = 0  # of that

    @property
    def more(self) -> bool:
        """Whether there are groups beyond those that can be seen."""
        return self._rows < self._total

    def fill(self) -> bool:
        """Have at least one group, unless all have been taken."""
        while len(self.bounds) == 1 and self.more:
            self._read(next(self._blocks))
        return len(self.bounds) > 1

    def _read(self, columns: Sequence[Column]) -> None:
        spans = find_spans(columns, nan_equal=True)
        distinct = [
            col if len(spans) - 1 == spans[-1] else selection.take(col, spans[:-1])
            for col in columns
        ]
        bounds = spans + self._rows
        if self._held:
            both = list(zip(self._held, distinct, strict=True))
            border = [selection.concat([held, col[:1]]) for held, col in both]
            if len(find_spans(border, nan_equal=True)) == 2:
                bounds[0] = self._start
            else:
                bounds = np.concatenate((np.full(1, self._start), bounds))
                distinct = [selection.concat([held, col]) for held, col in both]
        bad = comparable_keys.first_disorder(distinct)
        if bad is not None:
            row = bounds[bad]
            raise ArgumentError(
                f"the {self._side} keys do not ascend: row {row} is less than row {row - 1} "
                "before it"
            )
        self._rows += int(spans[-1])
        if self.more:
            # take() copies the row, a slice would keep the whole block alive.
            self._held = [selection.take(col, [len(bounds) - 2]) for col in distinct]
            self._start = int(bounds[-2])
            distinct, bounds = [col[:-1] for col in distinct], bounds[:-1]
        self.keys, self.bounds = distinct, bounds

    def take(self, count: int) -> IntArray:
        """The bounds of the first groups, which are then forgotten."""
        taken = self.bounds[: count + 1]
        self.keys, self.bounds = [col[count:] for col in self.keys], self.bounds[count:]
        return taken

    def close(self) -> None:
        """Read no further."""
        self._blocks.close()


def _pair(
    left: IntArray, right: IntArray, partner: IntArray, how: How, alone: Spill
) -> Iterator[Pairs]:
    """The pairs of some groups of both sides, given by their bounds; `alone` takes the others."""
    if how == "right":
        back = invert(partner, len(right) - 1)
        for rows, others in _keep_first(right, left, back):
            yield others, rows
        return
    if how == "inner":
        found = np.flatnonzero(partner >= 0)
        other = partner[found]
        yield from expand(left[found], np.diff(left)[found], right[other], np.diff(right)[other])
        return
    yield from _keep_first(left, right, partner)
    if how == "outer":
        single = np.flatnonzero(invert(partner, len(right) - 1) < 0)
        one = np.ones(len(single), np.int64)
        for rows, _ in expand(right[single], np.diff(right)[single], -one, one):
            alone.append(rows)


def _keep_first(side: IntArray, other: IntArray, partner: IntArray) -> Iterator[Pairs]:
    """All rows of `side` in their order, each with its partners."""
    found = partner >= 0
    # Gathering all and masking then is several times faster than gathering by a mask; the last
    # of the bounds is read in place of the partner -1, and not used.
    starts = np.where(found, other.take(partner, mode="wrap"), -1)
    ends = other.take(partner + 1, mode="wrap")
    counts = np.where(found, ends - starts, 1)
    return expand(side[:-1], np.diff(side), starts, counts)


# -- matching --------------------------------------------------------------------------------------


def match_groups(
    left: Sequence[Column],
    right: Sequence[Column],
    left_more: bool = False,
    right_more: bool = False,
) -> tuple[IntArray, int, int]:
    """Find the keys that both sides have, as far as no unseen key can be among them.

    Parameters
    ----------
    left, right : sequences of columns
        As `keys.align` gives them. The rows of each side ascend and are distinct.
    left_more, right_more : bool
        Whether there are rows beyond these on that side.

    Returns
    -------
    partner : int64 array
        For each of the first left rows the right row with the same key, or -1.
    left_done, right_done : int
        How many rows of each side were looked at. At least one side has no more.
    """
    if len(left) == 1 and not is_strings(left[0]):
        return _match_numbers(left[0], right[0], left_more, right_more)
    return _match_rows(left, right, left_more, right_more)


def _match_numbers(
    left: npt.NDArray[Any], right: npt.NDArray[Any], left_more: bool, right_more: bool
) -> tuple[IntArray, int, int]:
    """One key of numbers: each window of the shorter side is searched in its part of the longer."""
    done = (
        int(np.searchsorted(left, right[-1], "right")) if right_more else len(left),
        int(np.searchsorted(right, left[-1], "right")) if left_more else len(right),
    )
    left, right = left[: done[0]], right[: done[1]]
    partner = np.full(len(left), -1, np.int64)
    swap = len(right) < len(left)
    short, long = (right, left) if swap else (left, right)
    low = 0
    for start in range(0, len(short), _WINDOW):
        window = short[start : start + _WINDOW]
        low += int(np.searchsorted(long[low:], window[0]))
        if low == len(long):
            break
        high = low + int(np.searchsorted(long[low:], window[-1], "right"))
        wanted, found = _look_up(window, long[low:high])
        wanted, found = wanted + start, found + low
        if swap:
            partner[found] = wanted
        else:
            partner[wanted] = found
    return partner, *done


def _match_rows(
    left: Sequence[Column], right: Sequence[Column], left_more: bool, right_more: bool
) -> tuple[IntArray, int, int]:
    """Several keys, or strings: windows of both sides are numbered in their common order."""
    sizes = (len(left[0]), len(right[0]))
    partner = np.full(sizes[0], -1, np.int64)
    i = j = 0
    while i < sizes[0] and j < sizes[1]:
        codes = comparable_keys.joint_codes(
            [col[i : i + _WINDOW] for col in left], [col[j : j + _WINDOW] for col in right]
        )
        # Beyond the end of a window its side may have more keys like those of the other window.
        bounds = [
            int(code[-1])
            for at, code, size, more in zip(
                (i, j), codes, sizes, (left_more, right_more), strict=True
            )
            if more or at + _WINDOW < size
        ]
        ready = [
            len(c) if not bounds else int(np.searchsorted(c, min(bounds), "right")) for c in codes
        ]
        wanted, found = _look_up(codes[0][: ready[0]], codes[1][: ready[1]])
        partner[wanted + i] = found + j
        i, j = i + ready[0], j + ready[1]
    # What is left of a side, when the other has nothing more, has no partner.
    done = sizes[0] if not right_more and j == sizes[1] else i
    other = sizes[1] if not left_more and i == sizes[0] else j
    return partner[:done], done, other


def _look_up(
    wanted: npt.NDArray[Any], among: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Which of `wanted` are in `among`, and where there; both ascend and are distinct."""
    if len(among) == 0:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    at = np.searchsorted(among, wanted)
    np.minimum(at, len(among) - 1, out=at)
    candidates = among[at]
    same = candidates == wanted
    if wanted.dtype.kind == "f" and np.isnan(wanted[-1:]).any():
        same |= np.isnan(candidates) & np.isnan(wanted)
    hits = np.flatnonzero(same)
    return hits, at[hits]
