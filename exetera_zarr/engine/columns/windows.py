"""Windows that end at each row: the rows from one before it, of the same span, to itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from exetera_zarr.engine.columns.types import IntArray

__all__ = ["exact_sums", "over_windows", "window_starts"]

_LOW = (1 << 32) - 1


def window_starts(times: IntArray, first: IntArray, width: int) -> IntArray:
    """
    The first row of each window of time.

    Parameters
    ----------
    times : int64 array (rows,)
        That of each row; they ascend within a span.
    first : int64 array (rows,)
        The first row of the span of each row.
    width
        How much later than a row the last one of its window is at most, less 1.

    Returns
    -------
    int64 array (rows,)
        The first row of the span that is later than ``times - width``: a search by halves of all
        rows at once.
    """
    low, high = first.copy(), np.arange(len(times))
    after = times - width
    while True:
        left = np.flatnonzero(low < high)
        if len(left) == 0:
            return low
        middle = (low[left] + high[left]) // 2
        within = times[middle] > after[left]
        high[left] = np.where(within, middle, high[left])
        low[left] = np.where(within, low[left], middle + 1)


def over_windows(values: npt.NDArray[Any], starts: IntArray, ufunc: np.ufunc) -> npt.NDArray[Any]:
    """
    A function of two numbers, such as `numpy.add`, over all numbers of each window.

    Parameters
    ----------
    values : array (rows,)
        The numbers.
    starts : int64 array (rows,)
        The first row of each window, which is not after its last one, the row itself.
    ufunc
        Associative. Nothing outside a window has a part in its result, as it would by differences
        of running sums: no infinity, no NaN, and no rounding.

    Returns
    -------
    array (rows,)
    """
    rows = np.arange(len(values))
    lengths = rows - starts + 1
    # Each window is cut into pieces of powers of two, from its end.
    found, table, bit = values.copy(), values, 1
    ends = rows - 1
    lengths -= 1
    most = int(lengths.max(initial=0))
    with np.errstate(all="ignore"):
        while bit <= most:
            use = np.flatnonzero(lengths & bit)
            found[use] = ufunc(table[ends[use]], found[use])
            ends[use] -= bit
            bit <<= 1
            if bit <= most:
                wider = table.copy()
                wider[bit // 2 :] = ufunc(table[: -(bit // 2)], table[bit // 2 :])
                table = wider
    return found


def exact_sums(
    values: npt.NDArray[Any], starts: IntArray, carried: tuple[int, int] = (0, 0)
) -> tuple[IntArray, IntArray]:
    """
    The sums of whole numbers over windows, in two parts, so that none of them wraps.

    Parameters
    ----------
    values, starts
        As of `over_windows`.
    carried
        What is added to the sums of windows that start with row 0, in two parts.

    Returns
    -------
    high, low : int64 arrays (rows,)
        The sums are ``high * 2**32 + low``, with `low` from 0 to ``2**32 - 1``.
    """
    wide = values.astype(np.uint64 if values.dtype.kind == "u" else np.int64)
    shift, mask = wide.dtype.type(32), wide.dtype.type(_LOW)
    high = over_windows((wide >> shift).astype(np.int64), starts, np.add)
    low = over_windows((wide & mask).astype(np.int64), starts, np.add)
    continued = starts == 0
    high[continued] += carried[0]
    low[continued] += carried[1]
    return high + (low >> 32), low & _LOW
