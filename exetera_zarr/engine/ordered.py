"""Merges of tables whose keys ascend: one linear pass, and nothing to sort.

Equal keys are collapsed to spans, the distinct keys of one side are looked up in cache-sized
windows of the other, and the spans are expanded to pairs of rows. The windows move over both sides
and need nothing behind them, so the same steps can be fed block by block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exetera_zarr.engine import gather, keys
from exetera_zarr.engine.columns import Column, IntArray, is_strings
from exetera_zarr.engine.pairs import Grouped, How, check_how, pair_rows
from exetera_zarr.engine.spans import find_spans

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["match_distinct", "ordered_map"]

_WINDOW = 1 << 16


def ordered_map(
    left: Sequence[Column], right: Sequence[Column], how: How
) -> tuple[IntArray, IntArray]:
    """Pair the rows of two tables whose keys ascend.

    Parameters
    ----------
    left, right : sequences of columns
        The key columns, as many on one side as on the other, ascending by the first, then the
        second, and so on. Strings ascend by bytes. NaN comes last and equals NaN; -0.0 equals 0.0.
    how : {'left', 'right', 'inner', 'outer'}

    Returns
    -------
    left_rows, right_rows : int64 arrays
        Row numbers, -1 for no partner. In the order of `pairs.pair_rows`.

    Raises
    ------
    ValueError
        If the keys of a side do not ascend (the message names the side and the first bad row), if
        there are none, or their numbers or lengths do not fit.
    TypeError
        If a key is a number on one side and a string on the other.
    """
    check_how(how)
    left, right = keys.align(left, right)
    left_spans, left_keys = _collapse(left, "left")
    right_spans, right_keys = _collapse(right, "right")
    partner = match_distinct(left_keys, right_keys)
    return pair_rows(Grouped(left_spans), Grouped(right_spans), partner, how)


def _collapse(columns: Sequence[Column], side: str) -> tuple[IntArray, list[Column]]:
    """The spans of equal keys, and the key of each; raises unless these ascend."""
    spans = find_spans(columns, nan_equal=True)
    distinct = collapse_by(spans, columns)
    bad = keys.first_disorder(distinct)
    if bad is not None:
        row = spans[bad]
        raise ValueError(
            f"the {side} keys do not ascend: row {row} is less than row {row - 1} before it"
        )
    return spans, distinct


def collapse_by(spans: IntArray, columns: Sequence[Column]) -> list[Column]:
    """The first row of each span; the columns as they are if each row is a span."""
    if len(spans) - 1 == spans[-1]:
        return list(columns)
    return [gather.take(col, spans[:-1]) for col in columns]


def match_distinct(left: Sequence[Column], right: Sequence[Column]) -> IntArray:
    """For each left row the right row with the same key, or -1; int64 (left rows,).

    Parameters
    ----------
    left, right : sequences of columns
        As `keys.align` gives them. The rows of each side ascend and are distinct.
    """
    if len(left) == 1 and not is_strings(left[0]):
        return _match_numbers(left[0], right[0])
    return _match_rows(left, right)


def _match_numbers(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> IntArray:
    """One key of numbers: each window of the shorter side is searched in its part of the longer."""
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
    return partner


def _match_rows(left: Sequence[Column], right: Sequence[Column]) -> IntArray:
    """Several keys, or strings: windows of both sides are numbered in their common order."""
    sizes = (len(left[0]), len(right[0]))
    partner = np.full(sizes[0], -1, np.int64)
    i = j = 0
    while i < sizes[0] and j < sizes[1]:
        codes = keys.joint_codes(
            [col[i : i + _WINDOW] for col in left], [col[j : j + _WINDOW] for col in right]
        )
        # Beyond the end of a window its side may have more keys like those of the other window.
        bounds = [
            int(code[-1])
            for at, code, size in zip((i, j), codes, sizes, strict=True)
            if at + _WINDOW < size
        ]
        ready = [
            len(c) if not bounds else int(np.searchsorted(c, min(bounds), "right")) for c in codes
        ]
        wanted, found = _look_up(codes[0][: ready[0]], codes[1][: ready[1]])
        partner[wanted + i] = found + j
        i, j = i + ready[0], j + ready[1]
    return partner


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
