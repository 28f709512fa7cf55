"""Sums, extremes and numbers of rows so far, within spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.engine.columns.windows import exact_sums, over_windows
from exetera_zarr.errors import DataError, ResultRangeError
from exetera_zarr.fields.missing.companions import both, masked_reader
from exetera_zarr.fields.within.groups import groups_of, of_places

if TYPE_CHECKING:
    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.numeric import NumericField
    from exetera_zarr.fields.within.groups import By, Groups
    from exetera_zarr.storage.base import AnyArray

__all__ = ["cumcount", "cummax", "cummin", "cumsum"]


def cumcount(field: Field, by: By = None) -> NumericField:
    """
    How many rows of its span are before each row: 0 for the first one.

    Parameters
    ----------
    field
        Any field of the rows; the key itself if `by` is not given.
    by
        See `exetera_zarr.fields.within`.

    Returns
    -------
    NumericField of int64
        In memory; missing where the key is.
    """
    return of_places(field, by, "int64", lambda place: place)


def cumsum(field: Field, by: By = None) -> NumericField:
    """
    The sum of the values so far, that of the row included, in each span.

    Parameters
    ----------
    field
        Of numbers.
    by
        See `exetera_zarr.fields.within`.

    Returns
    -------
    NumericField
        In memory: float64 of floats, else int64, or uint64 of unsigned numbers. Missing where the
        value is; the next sums go on without it.

    Raises
    ------
    ResultRangeError
        A sum of whole numbers is beyond 64 bits.
    """
    _numbers_only(field, "cumsum")
    kind = field.dtype_of_rows.kind
    dtype = {"f": "float64", "u": "uint64"}.get(kind, "int64")
    made: NumericField = field.numeric_like(dtype)
    groups = groups_of(field, by)
    if kind == "f":
        _accumulate(field, groups, made, np.add, 0.0)
        return made
    read, carried = masked_reader(field)[1], (0, 0)
    for start, stop in groups.cuts():
        (column, mask), (first, known) = read(start, stop), groups.read(start, stop)
        there = both(mask, known)
        values = np.asarray(column)
        if there is not None:
            values = np.where(there, values, np.zeros((), values.dtype))
        # The last span of the block before goes on in the first one only.
        before = carried if int(first[0]) < start else (0, 0)
        starts = np.maximum(first - start, 0)
        high, low = exact_sums(values, starts, before)
        carried = (int(high[-1]), int(low[-1]))
        limits = (0, 1 << 32) if kind == "u" else (-(1 << 31), 1 << 31)
        if ((high < limits[0]) | (high >= limits[1])).any():
            raise ResultRangeError(
                f"cumsum of {field.phrase()}: a sum is beyond 64 bits; multiply it by 1.0 first"
            )
        wide = np.dtype(dtype).type
        made.append_masked((high.astype(dtype) << wide(32)) | low.astype(dtype), there)
    return made


def cummax(field: Field, by: By = None) -> Any:
    """The greatest value so far, of the field's own type; else as `cumsum`."""
    return _extreme(field, by, np.maximum, "cummax")


def cummin(field: Field, by: By = None) -> Any:
    """The least value so far, of the field's own type; else as `cumsum`."""
    return _extreme(field, by, np.minimum, "cummin")


def _extreme(field: Field, by: By, ufunc: np.ufunc, what: str) -> Any:
    if field.type_name != "timestamp":
        _numbers_only(field, what)
    made = field.memory_like()
    _accumulate(field, groups_of(field, by), made, ufunc, _nothing(ufunc, field.dtype_of_rows))
    return made


def _nothing(ufunc: np.ufunc, dtype: np.dtype[Any]) -> Any:
    """What is neither greater nor less than anything."""
    low = ufunc is np.maximum
    if dtype.kind == "b":
        return not low
    if dtype.kind == "f":
        return -np.inf if low else np.inf
    limits = np.iinfo(dtype)
    return limits.min if low else limits.max


def _accumulate(field: Field, groups: Groups, made: Field, ufunc: np.ufunc, nothing: Any) -> None:
    dtype, read = made.dtype_of_rows, masked_reader(field)[1]
    carried: AnyArray = np.full(1, nothing, dtype)
    for start, stop in groups.cuts():
        (column, mask), (first, known) = read(start, stop), groups.read(start, stop)
        there = both(mask, known)
        values = np.asarray(column).astype(dtype)
        if there is not None:
            values[~there] = nothing
        found = over_windows(values, np.maximum(first - start, 0), ufunc)
        with np.errstate(all="ignore"):
            continued = first < start
            found[continued] = ufunc(carried, found[continued])
        carried = found[-1:].copy()
        made.append_masked(found, there)


def _numbers_only(field: Field, what: str) -> None:
    if field.type_name != "numeric":
        raise DataError(f"{what} of {field.phrase()} ({field.fieldtype}): it is of numbers")
