"""Aggregates that can be made of parts: over the rows of a block now, the rest of a span later.

A state is a tuple of columns with a row for each span. The state of a span that goes on in the next
block is joined with that of its rows there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from exetera_zarr.engine.columns import selection, spans, strings
from exetera_zarr.engine.columns.types import Column, IntArray, is_strings, phrase
from exetera_zarr.errors import ArgumentError, ArgumentTypeError, ResultRangeError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "LIKE",
    "NUMERIC",
    "Partial",
    "State",
    "differences",
    "is_wide",
    "partial_of",
    "result_of",
]

State: TypeAlias = tuple[Column, ...]

_HALF = 32
_LOW = (1 << _HALF) - 1
_PAIR = np.array([0, 2])
#: A power of two: what is not tiny loses nothing by it, and so many of the greatest have a sum.
_SMALL = 2.0**-64
#: Up to this the difference of two floats is one.
_DIFFER = 2.0**1000

#: Aggregates whose result is of the column's own type.
LIKE = frozenset({"min", "max", "first", "last"})
#: Aggregates that only numbers have.
NUMERIC = frozenset({"sum", "mean", "std", "var", "median"})


class Partial(ABC):
    """An aggregate of a column."""

    @abstractmethod
    def of(self, bounds: IntArray, col: Column, /) -> State:
        """The state of the spans `bounds` of the next block."""

    @abstractmethod
    def join(self, a: State, b: State, /) -> State:
        """
        The states of spans from those of their rows before and after.

        Those of one span at least; of several where the aggregate is one of groups, of which no
        state holds more than its own rows say.
        """

    def result(self, state: State) -> Column:
        """What the aggregate gives."""
        return state[0]


class Count(Partial):
    """Rows."""

    def of(self, bounds: IntArray, _col: Column, /) -> State:
        return (np.diff(bounds),)

    def join(self, a: State, b: State, /) -> State:
        return (a[0] + b[0],)


class First(Partial):
    """The value of the first row."""

    def of(self, bounds: IntArray, col: Column, /) -> State:
        return (selection.take(col, bounds[:-1]),)

    def join(self, a: State, _b: State, /) -> State:
        return a


class Last(Partial):
    """The value of the last row."""

    def of(self, bounds: IntArray, col: Column, /) -> State:
        return (selection.take(col, bounds[1:] - 1),)

    def join(self, _a: State, b: State, /) -> State:
        return b


class Extreme(Partial):
    """The least or the greatest value; `function` is that of `spans`."""

    def __init__(self, function: Callable[[Any, Any], Column]) -> None:
        self._function = function

    def of(self, bounds: IntArray, col: Column, /) -> State:
        return (self._function(bounds, col),)

    def join(self, a: State, b: State, /) -> State:
        count = len(a[0])
        pairs = np.arange(2 * count).reshape(2, count).T.ravel()  # of each span both, side by side
        both = selection.take(selection.concat([a[0], b[0]]), pairs)
        return (self._function(np.arange(0, 2 * count + 1, 2), both),)


class ExtremeRow(Partial):
    """The first row that holds the least or the greatest value; `function` is that of `spans`."""

    def __init__(self, function: Callable[[Any, Any], IntArray]) -> None:
        self._function = function
        self._start = 0

    def of(self, bounds: IntArray, col: Column, /) -> State:
        rows = self._function(bounds, col)
        state = rows + self._start, selection.take(col, rows)
        self._start += len(col)
        return state

    def join(self, a: State, b: State, /) -> State:
        second = self._function(_PAIR, selection.concat([a[1], b[1]]))[0]
        return b if second else a


class Concat(Partial):
    """The strings joined by commas, as cells of a line of CSV."""

    def of(self, bounds: IntArray, col: Column, /) -> State:
        return (spans.concat(bounds, col),)

    def join(self, a: State, b: State, /) -> State:
        pieces = [piece for state in (a, b) if (piece := state[0][0].as_py())]
        return (strings.encode([b",".join(pieces)]),)


# -- numbers ---------------------------------------------------------------------------------------


class WholeSum(Partial):
    """
    The exact sum of whole numbers: int64 of bool and signed, uint64 of unsigned ones.

    The state is the sum in units of 2^32 and the rest, so that no step of it overflows.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = np.dtype(np.uint64 if dtype.kind == "u" else np.int64)

    def of(self, bounds: IntArray, col: Column, /) -> State:
        values = col.view(np.uint8) if col.dtype.kind == "b" else col
        starts = bounds[:-1]
        if len(values) == 0:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        if _magnitude(values) * len(values) <= np.iinfo(self._dtype).max:
            total = np.add.reduceat(values, starts, dtype=self._dtype)
            return (total >> _HALF).astype(np.int64), (total & _LOW).astype(np.int64)
        wide = values.astype(self._dtype, copy=False)
        high = np.add.reduceat((wide >> _HALF).astype(np.int64), starts)
        low = np.add.reduceat((wide & _LOW).astype(np.int64), starts)
        return high + (low >> _HALF), low & _LOW

    def join(self, a: State, b: State, /) -> State:
        low = a[1] + b[1]
        return a[0] + b[0] + (low >> _HALF), low & _LOW

    def result(self, state: State) -> Column:
        high, low = state[0], state[1]
        limits = np.iinfo(self._dtype)
        if len(high) and (high.min() < limits.min >> _HALF or high.max() > limits.max >> _HALF):
            raise ResultRangeError(f"a sum does not fit {self._dtype}")
        return (high.astype(self._dtype) << _HALF) | low.astype(self._dtype)

    def as_float(self, state: State) -> npt.NDArray[np.float64]:
        """The sum as a float, rounded rather than refused when it is large."""
        return np.asarray(state[0] * float(1 << _HALF) + state[1], np.float64)


class FloatSum(Partial):
    """The sum of floats in float64; with `skip` NaNs do not count."""

    def __init__(self, skip: bool) -> None:
        self._skip = skip

    def of(self, bounds: IntArray, col: Column, /) -> State:
        missing = np.isnan(col) if self._skip else np.zeros(0, np.bool_)
        if missing.any():
            col = np.where(missing, 0, col)
        return (_reduce(col, bounds),)

    def join(self, a: State, b: State, /) -> State:
        with np.errstate(all="ignore"):
            return (a[0] + b[0],)

    def as_float(self, state: State) -> npt.NDArray[np.float64]:
        return np.asarray(state[0], np.float64)


class Mean(Partial):
    """The sum by the number of values."""

    def __init__(self, total: WholeSum | FloatSum, skip: bool) -> None:
        self._total, self._skip = total, skip

    def of(self, bounds: IntArray, col: Column, /) -> State:
        return (_counts(bounds, col, self._skip), *self._total.of(bounds, col))

    def join(self, a: State, b: State, /) -> State:
        return (a[0] + b[0], *self._total.join(a[1:], b[1:]))

    def result(self, state: State) -> Column:
        with np.errstate(all="ignore"):
            return self._total.as_float(state[1:]) / state[0]


class Variance(Partial):
    """
    The variance with ``n - 1``, or its root; NaNs do not count.

    The state is the number of values; the first of them where they are floats, or whole numbers of
    64 bits, which a float may not hold, else 0; their mean above that, where a float has digits
    enough for it; and the sum of squares around it.
    These are joined as in Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for
    computing sample variances" (1979).
    """

    def __init__(self, root: bool) -> None:
        self._root = root

    def of(self, bounds: IntArray, col: Column, /) -> State:
        counts = _counts(bounds, col, skip=True)
        pivots: npt.NDArray[Any] = np.zeros(len(counts), np.int64)
        if is_wide(col.dtype):
            pivots = col[bounds[:-1]]
            values = differences(col, np.repeat(pivots, np.diff(bounds)))
        elif col.dtype.kind == "f":
            pivots = _first_finite(col, bounds)
            values = col - np.repeat(pivots, np.diff(bounds))
        else:
            values = col.astype(np.float64)
        missing = np.isnan(values)
        values[missing] = 0
        with np.errstate(all="ignore"):
            mean = _mean(values, bounds, counts)
            values -= np.repeat(mean, np.diff(bounds))
            values[missing] = 0
            values *= values
        return counts, pivots, mean, _reduce(values, bounds)

    def join(self, a: State, b: State, /) -> State:
        count = a[0] + b[0]
        with np.errstate(all="ignore"):
            share = b[0] / np.maximum(count, 1)
            there = b[2] + differences(b[1], a[1])  # the second mean above the first pivot
            apart = np.where(a[0] * b[0] > 0, there - a[2], 0)
            mean = np.where(a[0] > 0, a[2] + apart * share, there)
            between = a[2] * (1 - share) + there * share
            mean = np.where(np.isfinite(mean), mean, between)
            return count, a[1], mean, a[3] + b[3] + apart * apart * a[0] * share

    def result(self, state: State) -> Column:
        count, squares = state[0], state[3]
        with np.errstate(all="ignore"):
            found = np.where(count > 1, squares / np.maximum(count - 1, 1), np.nan)
            return np.sqrt(found) if self._root else found


def _first_finite(col: npt.NDArray[Any], bounds: IntArray) -> npt.NDArray[np.float64]:
    """The first number of each span; 0 where there is none, or numbers are too large to differ."""
    found = np.zeros(len(bounds) - 1, np.float64)
    if len(col) == 0:
        return found
    finite = np.isfinite(col)
    if not finite.any() or float(np.abs(col[finite]).max()) > _DIFFER:
        return found
    rows = np.minimum.reduceat(np.where(finite, np.arange(len(col)), len(col)), bounds[:-1])
    there = rows < len(col)
    found[there] = col[rows[there]]
    return found


def is_wide(dtype: np.dtype[Any]) -> bool:
    """Whether a type has whole numbers that float64 does not hold."""
    return dtype.kind in "iu" and dtype.itemsize > 4


def differences(values: npt.NDArray[Any], others: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Differences of numbers as floats; those of whole numbers of 64 bits are rounded once."""
    if not is_wide(values.dtype):
        return np.asarray(values.astype(np.float64) - others)
    floats = values.astype(np.float64) - others.astype(np.float64)
    exact = (values.astype(np.uint64) - others.astype(np.uint64)).view(np.int64)
    near = np.abs(floats) < float(1 << 62)  # beyond that the difference may wrap
    return np.where(near, exact.astype(np.float64), floats)


def _magnitude(values: npt.NDArray[Any]) -> int:
    return max(abs(int(values.min())), abs(int(values.max())))


def _reduce(values: npt.NDArray[Any], bounds: IntArray) -> npt.NDArray[np.float64]:
    if len(values) == 0:
        return np.empty(0, np.float64)
    with np.errstate(all="ignore"):  # inf - inf is NaN, and that is the answer
        return np.asarray(np.add.reduceat(values, bounds[:-1], dtype=np.float64))


def _mean(
    values: npt.NDArray[np.float64], bounds: IntArray, counts: IntArray
) -> npt.NDArray[np.float64]:
    """The mean of each span, whose sum may be too large for a float."""
    counts = np.maximum(counts, 1)
    mean = _reduce(values, bounds) / counts
    if not np.isfinite(mean).all():
        small = _reduce(values * _SMALL, bounds) / counts / _SMALL
        mean = np.where(np.isfinite(mean), mean, small)
    return mean


def _counts(bounds: IntArray, col: npt.NDArray[Any], skip: bool) -> IntArray:
    """The rows of each span, with `skip` those without a NaN."""
    counts = np.diff(bounds)
    if skip and col.dtype.kind == "f":
        missing = np.isnan(col)
        if missing.any():
            counts = counts - np.add.reduceat(missing, bounds[:-1], dtype=np.int64)
    return counts


class Distinct(Partial):
    """The number of distinct values of rows that are sorted by them; NaNs do not count."""

    def of(self, bounds: IntArray, col: Column, /) -> State:
        starts = spans.find_spans([col], nan_equal=True)[:-1]
        new = np.zeros(len(col), np.bool_)
        new[starts] = True
        new[bounds[:-1]] = True
        if not is_strings(col) and col.dtype.kind == "f":
            new &= ~np.isnan(col)
        counts = np.add.reduceat(new, bounds[:-1], dtype=np.int64) if len(new) else starts
        first, last = bounds[:-1], bounds[1:] - 1
        return counts, selection.take(col, first), selection.take(col, last)

    def join(self, a: State, b: State, /) -> State:
        # Equal ones have been counted on both sides; a NaN, which equals none, on neither.
        border = spans.find_spans([selection.concat([a[2], b[1]])])
        return a[0] + b[0] - (len(border) == 2), a[1], b[2]


# -- by name ---------------------------------------------------------------------------------------


def partial_of(name: str, empty: Column, *, skip: bool) -> Partial:
    """
    The aggregate of that name of columns of a type.

    Parameters
    ----------
    name
        One of `spans`, or ``size``, ``std`` or ``var``.
    empty
        A column of the type.
    skip
        NaNs do not count in sums and means.

    Raises
    ------
    TypeError
        The type has no such aggregate.
    ValueError
        There is no such aggregate.
    """
    _require_numbers(name, empty)
    match name:
        case "count" | "size":
            return Count()
        case "first":
            return First()
        case "last":
            return Last()
        case "min" | "max":
            return Extreme(spans.min if name == "min" else spans.max)
        case "index_of_min" | "index_of_max":
            return ExtremeRow(spans.index_of_min if name == "index_of_min" else spans.index_of_max)
        case "concat":
            if not is_strings(empty):
                raise ArgumentTypeError(f"concat needs strings, not {phrase(empty)}")
            return Concat()
        case "sum" | "mean":
            total = FloatSum(skip) if empty.dtype.kind == "f" else WholeSum(empty.dtype)
            return total if name == "sum" else Mean(total, skip)
        case "std" | "var":
            return Variance(name == "std")
    raise ArgumentError(f"there is no aggregate {name!r}")


def _require_numbers(name: str, empty: Column) -> None:
    if name in NUMERIC and (is_strings(empty) or empty.dtype.kind not in "biuf"):
        raise ArgumentTypeError(f"{name} needs numbers, not {phrase(empty)}")


def result_of(name: str, empty: Column) -> Column:
    """A column without rows of the type that an aggregate of a type gives; raises as above."""
    if name == "nunique":
        return np.empty(0, np.int64)
    _require_numbers(name, empty)
    partial = partial_of("mean" if name == "median" else name, empty, skip=True)
    return partial.result(partial.of(np.zeros(1, np.int64), empty))
