"""Choosing rows of a column: by number, by mask, and by blocks of a source too large for memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exetera_zarr.engine.columns import strings
from exetera_zarr.engine.columns.types import (
    BoolArray,
    Column,
    IntArray,
    integer_array,
    is_strings,
    kind,
    phrase,
    require_column,
)
from exetera_zarr.errors import ArgumentError, ArgumentTypeError, RowError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "as_mask",
    "as_rows",
    "compress",
    "concat",
    "exceeds",
    "is_sorted",
    "length",
    "partition_rows",
    "take",
    "take_or_default",
]

_SCAN = 1 << 20
_RUN = 16
"""Rows between two changes of a mask, below which its rows are taken by their numbers."""


def length(col: Column) -> int:
    """The number of rows."""
    return len(col)


def as_rows(indices: npt.ArrayLike, n: int, first: int = 0) -> IntArray:
    """Row numbers 0..n-1 of `indices`, in which negative ones count from the end, as in numpy.

    `first` is the position of the first of them, for messages.

    Returns
    -------
    int64 array (len(indices),)

    Raises
    ------
    TypeError
        If they are not integers.
    ValueError
        If they have more than one dimension.
    IndexError
        If one is outside ``-n..n-1``; the message names it and its position.
    """
    if np.ma.is_masked(indices):
        at = int(np.argmax(np.ma.getmaskarray(np.ma.asarray(indices))))
        raise RowError(f"the row number at position {first + at} is missing")
    rows = integer_array(indices, "row numbers")
    if len(rows) == 0:
        return rows
    if rows.min() >= 0 and rows.max() < n:
        return rows
    outside = (rows < -n) | (rows >= n)
    if outside.any():
        at = int(np.argmax(outside))
        raise RowError(f"row {rows[at]} (at position {first + at}) is out of range for {n} rows")
    return np.where(rows < 0, rows + n, rows)


def take(col: Column, indices: npt.ArrayLike) -> Column:
    """The rows at `indices`, in their order; repeated and negative ones as in numpy.

    Raises
    ------
    TypeError, ValueError, IndexError
        As `as_rows`.
    """
    rows = as_rows(indices, len(col))
    return strings.take(col, rows) if is_strings(col) else col.take(rows)


def take_or_default(col: Column, rows: npt.ArrayLike, default: Any = None) -> Column:
    """The rows at `rows`, and `default` where a row is -1 ("no partner" in a merge).

    Parameters
    ----------
    rows : int64 array
        Row numbers 0..n-1, or -1.
    default : scalar, optional
        By default 0, 0.0, False or an empty string, as the column's type is.

    Raises
    ------
    IndexError
        If a row is below -1 or not below n.
    """
    wanted = integer_array(rows, "row numbers")
    if wanted.min(initial=0) >= 0:
        return take(col, wanted)
    missing = wanted == -1
    present = wanted[~missing]
    _require_in_range(present, len(col))
    if is_strings(col):
        filler = strings.encode(["" if default is None else default])[0]
        return strings.take(col, wanted, missing).fill_null(filler)
    out = np.full(len(wanted), _zero(col.dtype) if default is None else default, dtype=col.dtype)
    out[~missing] = col[present]
    return out


def _zero(dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    return np.zeros((), dtype)


def _require_in_range(rows: IntArray, n: int) -> None:
    outside = (rows < 0) | (rows >= n)
    if outside.any():
        raise RowError(f"row {rows[np.argmax(outside)]} is out of range for {n} rows")


def as_mask(filter: npt.ArrayLike, n: int) -> BoolArray:
    """A filter as bool (n,): bool as it is, a number keeps its row unless it is zero or NaN.

    Raises
    ------
    TypeError
        If the filter is neither bool nor numbers.
    IndexError
        If it has not exactly `n` rows; the message names both lengths.
    ValueError
        If it has more than one dimension.
    """
    # What is masked satisfies no condition.
    values = filter.filled(0) if isinstance(filter, np.ma.MaskedArray) else np.asarray(filter)
    if values.dtype.kind not in "biuf":
        raise ArgumentTypeError(f"a filter must be bool or numbers, not {values.dtype}")
    if values.ndim != 1:
        raise ArgumentError(f"a filter must have one dimension, not {values.ndim}")
    if len(values) != n:
        raise RowError(f"the filter has {len(values)} rows, the data has {n}")
    if values.dtype.kind == "f":
        return np.not_equal(values, 0) & ~np.isnan(values)
    return values.astype(np.bool_, copy=False)


def compress(col: Column, mask: npt.ArrayLike) -> Column:
    """The rows that `mask` keeps.

    Raises
    ------
    TypeError, IndexError, ValueError
        As `as_mask`.
    """
    keep = as_mask(mask, len(col))
    if is_strings(col):
        return strings.compress(col, keep)
    # What indexes by a mask copies runs of rows, and guesses wrong at the ends of each: of runs of
    # a few rows, numbers of rows are five times as fast.
    ends = np.count_nonzero(keep[1:] != keep[:-1])
    return col.compress(keep) if ends > len(keep) // _RUN else col[keep]


def concat(cols: Sequence[Column]) -> Column:
    """One column of several parts. Fixed strings take the greatest width.

    Raises
    ------
    ValueError
        If there are no parts.
    TypeError
        If the parts differ in type: numbers are not promoted, so nothing is rounded.
    """
    if len(cols) == 0:
        raise ArgumentError("nothing to concatenate: of no parts the type is unknown")
    if len(cols) == 1:
        return cols[0]
    if len({kind(col) for col in cols}) > 1:
        names = sorted({phrase(col) for col in cols})
        raise ArgumentTypeError(f"parts of different types: {', '.join(names)}")
    return strings.concat(list(cols)) if is_strings(cols[0]) else np.concatenate(cols)


def exceeds(a: Column, b: Column) -> BoolArray:
    """Row by row ``a > b``, strings by bytes; False wherever there is a NaN."""
    if is_strings(a):
        return strings.exceeds(a, b)
    return np.asarray(a > b, dtype=np.bool_)


def is_sorted(col: Column) -> bool:
    """Whether each row is ``<=`` the next, strings by bytes.

    A NaN is not ``<=`` anything, so a column that holds one is not sorted. A single row is sorted,
    whatever it holds.
    """
    require_column(col)
    # In windows: stops at the first disorder, and needs no mask as long as the column.
    for start in range(0, len(col) - 1, _SCAN):
        stop = min(start + _SCAN, len(col) - 1)
        here, following = col[start:stop], col[start + 1 : stop + 1]
        if is_strings(col):
            if strings.exceeds(here, following).any():
                return False
        elif not (here <= following).all():
            return False
    return True


def partition_rows(
    indices: npt.ArrayLike, block: int, skip_missing: bool = False
) -> Iterator[tuple[int, IntArray, IntArray]]:
    """Plan the gathering of rows from a source in blocks, so that each block is visited once.

    Parameters
    ----------
    indices : int64 array
        Row numbers in the source, not negative (see `as_rows`), in the order wanted.
    block : int
        Rows in a block of the source.
    skip_missing : bool
        Leave rows of -1 out of the plan ("no partner"); the caller has filled the output with a
        default.

    Yields
    ------
    block_number : int
        Ascending; blocks without a wanted row are left out.
    positions : int64 array
        Where in the output the rows belong, ascending.
    rows : int64 array
        The rows within the block, as long as `positions`: ``out[positions] = block[rows]``.

    Raises
    ------
    IndexError
        If a row is negative.
    ValueError
        If `block` is not positive.
    """
    if block < 1:
        raise ArgumentError(f"a block has at least one row, not {block}")
    rows = integer_array(indices, "row numbers")
    if len(rows) == 0:
        return
    lowest = int(rows.min())
    if lowest < (-1 if skip_missing else 0):
        raise RowError(f"row {lowest} is out of range")
    numbers = rows // block
    order = None if bool((numbers[1:] >= numbers[:-1]).all()) else _stable_order(numbers)
    ordered = numbers if order is None else numbers[order]
    starts = np.concatenate(([0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1, [len(rows)]))
    for start, stop in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        number = int(ordered[start])
        if number < 0:  # -1 // block: the rows without a partner
            continue
        positions = np.arange(start, stop) if order is None else order[start:stop]
        yield number, positions, rows[positions] - number * block


def _stable_order(numbers: IntArray) -> IntArray:
    """Stable argsort of block numbers; numpy sorts 16-bit integers by radix, which is linear."""
    small = numbers.max() < (1 << 15)
    return np.argsort(numbers.astype(np.int16) if small else numbers, kind="stable")
