"""Runs of equal adjacent rows ("spans"), and aggregation over them.

Spans are an int64 array ``[0, ..., n]``: the row at which each run starts, and at the end the
number of rows. All functions are one pass of numpy over whole columns; none loops over spans in
Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from exetera_zarr.engine.columns import selection, strings
from exetera_zarr.engine.columns.types import (
    BoolArray,
    Column,
    IntArray,
    common_length,
    integer_array,
    is_strings,
    kind,
    phrase,
)
from exetera_zarr.errors import ArgumentError, ArgumentTypeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "SpanFinder",
    "check_ascending",
    "check_spans",
    "concat",
    "count",
    "find_in_blocks",
    "find_spans",
    "first",
    "index_of_first",
    "index_of_last",
    "index_of_max",
    "index_of_min",
    "last",
    "max",
    "mean",
    "min",
    "sum",
]


# -- finding ---------------------------------------------------------------------------------------


def find_spans(columns: Sequence[Column], nan_equal: bool = False) -> IntArray:
    """Find the runs of rows that are equal in all `columns`.

    Parameters
    ----------
    columns : sequence of columns, all of one length
    nan_equal : bool
        Whether a NaN equals the next one. ExeTera's ``get_spans`` keeps NaNs apart; grouping does
        not.

    Returns
    -------
    int64 array
        ``[0, ..., n]``; for no rows ``[0]``.

    Raises
    ------
    ValueError
        If there are no columns, or their lengths differ.
    """
    n = common_length(columns)
    if n == 0:
        return np.zeros(1, np.int64)
    starts = np.flatnonzero(_changes(columns, nan_equal)) + 1
    return np.concatenate((np.zeros(1, np.int64), starts, np.full(1, n, np.int64)))


def _changes(columns: Sequence[Column], nan_equal: bool) -> BoolArray:
    """For each row but the first whether it differs from the one before, bool (n - 1,)."""
    changed: BoolArray | None = None
    for col in columns:
        differing = _differs(col[1:], col[:-1], nan_equal)
        changed = differing if changed is None else np.logical_or(changed, differing, out=changed)
    assert changed is not None
    return changed


def _differs(a: Column, b: Column, nan_equal: bool) -> BoolArray:
    """Row by row whether `a` and `b` differ."""
    if is_strings(a):
        return strings.differs(a, b)
    differing = np.asarray(a != b, dtype=np.bool_)
    if nan_equal and a.dtype.kind == "f":
        differing &= ~(np.isnan(a) & np.isnan(b))
    return differing


class SpanFinder:
    """`find_spans` over columns that come block by block.

    It keeps only the last row of the block before. All results of `feed`, followed by that of
    `finish`, are what `find_spans` gives for the whole.

    Parameters
    ----------
    nan_equal : bool
        As for `find_spans`.
    """

    def __init__(self, nan_equal: bool = False) -> None:
        self._nan_equal = nan_equal
        self._rows = 0
        self._last: list[Column] = []

    def feed(self, columns: Sequence[Column]) -> IntArray:
        """Take the next block.

        Returns
        -------
        int64 array
            The starts of the spans that begin in this block, counted from the first row of the
            first block.

        Raises
        ------
        ValueError
            If there are no columns, their lengths differ, or there are not as many as before.
        TypeError
            If a column is not of the type it was before.
        """
        n = common_length(columns)
        if self._last and len(columns) != len(self._last):
            raise ArgumentError(f"{len(columns)} columns after blocks of {len(self._last)}")
        if n == 0:
            return np.zeros(0, np.int64)
        starts = np.flatnonzero(_changes(columns, self._nan_equal)) + 1 + self._rows
        if self._starts_new(columns):
            starts = np.concatenate((np.full(1, self._rows, np.int64), starts))
        self._rows += n
        # take() copies the row, a slice would keep the whole block alive.
        self._last = [selection.take(col, [n - 1]) for col in columns]
        return starts

    def _starts_new(self, columns: Sequence[Column]) -> bool:
        if not self._last:
            return True
        differing = False
        for before, col in zip(self._last, columns, strict=True):
            if kind(before) != kind(col):
                raise ArgumentTypeError(f"a block of {phrase(col)} after one of {phrase(before)}")
            differing = differing or bool(_differs(before, col[:1], self._nan_equal)[0])
        return differing

    def finish(self) -> int:
        """The number of rows fed: the end of the last span."""
        return self._rows


def find_in_blocks(blocks: Iterable[Sequence[Column]], nan_equal: bool = False) -> IntArray:
    """`find_spans` of columns that come block by block."""
    finder = SpanFinder(nan_equal)
    found = [finder.feed(columns) for columns in blocks]
    return np.concatenate([*found, [finder.finish()]])


def check_spans(spans: npt.ArrayLike, n: int) -> IntArray:
    """Return `spans` as int64 if they are spans of `n` rows.

    Raises
    ------
    ValueError
        If they do not start with 0, do not ascend, hold an empty span, or do not end with `n`.
    TypeError
        If they are not integers.
    """
    checked = integer_array(spans, "spans")
    if len(checked) == 0 or checked[0] != 0:
        raise ArgumentError("spans must start with 0")
    if checked[-1] != n:
        raise ArgumentError(f"the spans end at row {checked[-1]}, the data has {n} rows")
    check_ascending(checked)
    return checked


def check_ascending(spans: IntArray, number: int = 0) -> None:
    """Raise ValueError if one is empty or descends; the first of them has the number `number`."""
    wrong = spans[1:] <= spans[:-1]
    if wrong.any():
        at = int(np.argmax(wrong))
        start, stop = spans[at], spans[at + 1]
        problem = "is empty" if start == stop else "ends before it starts"
        raise ArgumentError(f"span {number + at} {problem}: from row {start} to row {stop}")


# -- rows of spans ---------------------------------------------------------------------------------


def _checked_alone(spans: npt.ArrayLike) -> IntArray:
    array = integer_array(spans, "spans")
    return check_spans(array, int(array[-1]) if len(array) else 0)


def count(spans: npt.ArrayLike) -> IntArray:
    """The number of rows of each span, int64 (spans,)."""
    return np.diff(_checked_alone(spans))


def index_of_first(spans: npt.ArrayLike) -> IntArray:
    """The first row of each span, int64 (spans,)."""
    return _checked_alone(spans)[:-1]


def index_of_last(spans: npt.ArrayLike) -> IntArray:
    """The last row of each span, int64 (spans,)."""
    return _checked_alone(spans)[1:] - 1


def index_of_min(spans: npt.ArrayLike, col: Column) -> IntArray:
    """The first row of each span that holds its least value, int64 (spans,); strings by bytes.

    As `numpy.argmin`: a span with a NaN gives the row of the first NaN.
    """
    return _index_of_extreme(check_spans(spans, len(col)), col, np.minimum)


def index_of_max(spans: npt.ArrayLike, col: Column) -> IntArray:
    """The first row of each span that holds its greatest value, int64 (spans,); strings by bytes.

    As `numpy.argmax`: a span with a NaN gives the row of the first NaN.
    """
    return _index_of_extreme(check_spans(spans, len(col)), col, np.maximum)


def _index_of_extreme(spans: IntArray, col: Column, ufunc: np.ufunc) -> IntArray:
    starts = spans[:-1]
    if len(starts) == len(col):
        return starts
    values = _orderable(col)
    extreme = np.repeat(ufunc.reduceat(values, starts), np.diff(spans))
    hit = values == extreme
    if values.dtype.kind == "f":
        hit |= np.isnan(values)  # only where the extreme is NaN too
    rows = np.flatnonzero(hit)
    # Each span has a hit, so the first at or after its start is its own.
    return rows[np.searchsorted(rows, starts)]


def _orderable(col: Column) -> npt.NDArray[Any]:
    """A numpy array on which ufuncs order the rows as the column does; numbers as they are."""
    if is_strings(col):
        return strings.ranks(col)[0]
    if col.dtype.kind == "S":
        return strings.ranks(_fixed_size_binary(col))[0]
    return col


def _fixed_size_binary(col: npt.NDArray[np.bytes_]) -> pa.FixedSizeBinaryArray:
    """Fixed strings seen by Arrow: all padded with NULs alike, so order and equality stay."""
    data = np.ascontiguousarray(col)
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(col.dtype.itemsize), len(col), [None, pa.py_buffer(data)]
    )


# -- values of spans -------------------------------------------------------------------------------


def first(spans: npt.ArrayLike, col: Column) -> Column:
    """The first value of each span."""
    return selection.take(col, check_spans(spans, len(col))[:-1])


def last(spans: npt.ArrayLike, col: Column) -> Column:
    """The last value of each span."""
    return selection.take(col, check_spans(spans, len(col))[1:] - 1)


def min(spans: npt.ArrayLike, col: Column) -> Column:  # noqa: A001 - called as spans.min
    """The least value of each span, in the column's type; strings by bytes.

    As `numpy.min`: a span with a NaN gives NaN.
    """
    return _extreme(check_spans(spans, len(col)), col, np.minimum)


def max(spans: npt.ArrayLike, col: Column) -> Column:  # noqa: A001 - called as spans.max
    """The greatest value of each span, in the column's type; strings by bytes.

    As `numpy.max`: a span with a NaN gives NaN.
    """
    return _extreme(check_spans(spans, len(col)), col, np.maximum)


def _extreme(spans: IntArray, col: Column, ufunc: np.ufunc) -> Column:
    if is_strings(col) or col.dtype.kind == "S":
        return selection.take(col, _index_of_extreme(spans, col, ufunc))
    return ufunc.reduceat(col, spans[:-1]) if len(spans) > 1 else col[:0]


def _numbers(spans: npt.ArrayLike, col: Column, what: str) -> tuple[IntArray, npt.NDArray[Any]]:
    if is_strings(col) or col.dtype.kind not in "biuf":
        raise ArgumentTypeError(f"{what} needs numbers, not {phrase(col)}")
    return check_spans(spans, len(col)), col


def sum(spans: npt.ArrayLike, col: Column) -> npt.NDArray[Any]:  # noqa: A001 - spans.sum
    """The sum of each span: int64 of bool and signed, uint64 of unsigned, float64 of float columns.

    Integer sums beyond 64 bits wrap around, as numpy's do.

    Raises
    ------
    TypeError
        If the column is not of numbers.
    """
    checked, values = _numbers(spans, col, "sum")
    dtype = {"f": np.float64, "u": np.uint64}.get(values.dtype.kind, np.int64)
    return _sums(checked, values, dtype)


def _sums(spans: IntArray, values: npt.NDArray[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    if len(spans) == 1:
        return np.zeros(0, dtype)
    with np.errstate(all="ignore"):  # inf - inf is NaN, and that is the answer
        return np.asarray(np.add.reduceat(values, spans[:-1], dtype=dtype))


def mean(spans: npt.ArrayLike, col: Column) -> npt.NDArray[np.float64]:
    """The mean of each span, summed and given in float64.

    Raises
    ------
    TypeError
        If the column is not of numbers.
    """
    checked, values = _numbers(spans, col, "mean")
    return np.asarray(_sums(checked, values, np.float64) / np.diff(checked), dtype=np.float64)


def concat(spans: npt.ArrayLike, arr: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
    """Join the strings of each span by commas, as cells of a line of CSV.

    As ExeTera's ``apply_spans_concat``: empty strings are left out; a string that holds a comma or
    a quotation mark is put in quotation marks, its own ones doubled, also when it is the only one;
    a span of empty strings gives an empty string.

    Parameters
    ----------
    spans : int64 array
    arr : pa.LargeBinaryArray

    Returns
    -------
    pa.LargeBinaryArray (spans,)

    Raises
    ------
    TypeError
        If `arr` is not a column of strings.
    """
    import pyarrow.compute as pc

    if not is_strings(arr):
        raise ArgumentTypeError(f"concat needs strings, not {phrase(arr)}")
    checked = check_spans(spans, len(arr))
    filled = strings.lengths(arr) > 0
    pieces = _quoted(selection.compress(arr, filled))
    offsets, data = strings.from_arrow(
        pc.binary_join_element_wise(pieces, _scalar(b""), _scalar(b","))
    )
    # How many pieces there are before each span, and so at which byte it begins.
    before = np.concatenate((np.zeros(1, np.int64), np.cumsum(filled)))[checked]
    bounds = offsets[before]
    occupied = bounds[1:] > bounds[:-1]
    keep = np.ones(len(data), np.bool_)
    keep[bounds[1:][occupied] - 1] = False  # the comma after the last piece
    dropped = np.concatenate((np.zeros(1, np.int64), np.cumsum(occupied)))
    return strings.to_arrow(bounds - dropped, data[keep])


def _quoted(arr: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
    """Each string as a cell of CSV."""
    import pyarrow.compute as pc

    special = pc.or_(pc.match_substring(arr, b","), pc.match_substring(arr, b'"'))
    if not pc.any(special).as_py():
        return arr
    inner = pc.replace_substring(arr.filter(special), pattern=b'"', replacement=b'""')
    mark = _scalar(b'"')
    cells = pc.binary_join_element_wise(mark, inner, mark, _scalar(b""))
    return pc.replace_with_mask(arr, special, cells)


def _scalar(text: bytes) -> pa.Scalar:
    # Not a constant of the module: the first call of pa.scalar() imports pandas, a quarter second.
    return pa.scalar(text, pa.large_binary())
