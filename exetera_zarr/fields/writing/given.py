"""What users give as rows: arrays, lists, columns of pandas, and what is missing of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from exetera_zarr.errors import DataError

if TYPE_CHECKING:
    from exetera_zarr.storage.base import AnyArray

__all__ = [
    "TIMES",
    "in_a_row",
    "is_nothing",
    "is_number",
    "nothing",
    "number_array",
    "split_missing",
]

TIMES = (dt.date, dt.timedelta, np.datetime64, np.timedelta64)
"""Dates, moments and durations."""
_EXACT_IN_FLOAT = 1 << 53
_VIEWS = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}


def in_a_row(values: Any, where: str, *, missing: bool = True) -> Any:
    """
    An array, a list or a scalar, of whatever gives values one after the other.

    Parameters
    ----------
    values
        A field, an array, a column of pandas, a list, another iterable, or a scalar.
    where
        The field that they meet, for messages.
    missing
        Whether what is missing of a column of pandas or Arrow, or of an array of text, is masked;
        else it is as numpy has it.

    Returns
    -------
    ndarray, list or scalar
        A masked array where such a column has missing values that numpy has no sign for.
    """
    values = getattr(values, "data", values) if hasattr(values, "fieldtype") else values
    if isinstance(values, np.ma.MaskedArray):
        return values
    if missing and _is_of_pandas(values):
        return _of_pandas(values)
    if missing and (isinstance(values, (pa.Array, pa.ChunkedArray)) or _gives_arrow(values)):
        return _of_arrow(values)
    if missing and isinstance(values, np.ndarray) and values.dtype.kind == "T":
        return _of_text(values)
    if hasattr(values, "__array__"):
        return np.asarray(values)
    if isinstance(values, Mapping):
        raise DataError(f"{where} takes values in a row, not a {type(values).__name__}")
    if isinstance(values, Iterable) and not isinstance(values, (str, bytes, list)):
        return list(values)
    return values


def _is_of_pandas(values: object) -> bool:
    """Whether it is a Series, an Index or an array of pandas, which need not be installed."""
    return all(hasattr(values, name) for name in ("isna", "to_numpy", "dtype"))


def _of_pandas(values: Any) -> AnyArray:
    dtype = values.dtype
    if isinstance(dtype, np.dtype) and dtype.kind != "O":
        return np.asarray(values)  # NaN and NaT say by themselves that a value is missing
    gone = np.asarray(values.isna(), np.bool_)
    if dtype.kind == "M":  # of a time zone
        array = values.to_numpy(dtype=f"datetime64[{getattr(dtype, 'unit', 'ns')}]")
    elif dtype.kind in "biuf":
        plain = getattr(dtype, "numpy_dtype", None)
        array = (
            values.to_numpy(dtype=plain, na_value=0) if gone.any() else np.asarray(values, plain)
        )
    else:
        array = np.asarray(values, object)
    return np.ma.masked_array(array, gone) if gone.any() else array


def _gives_arrow(values: object) -> bool:
    """Whether it is one column of a library that hands its own to others by Arrow's interface."""
    return all(hasattr(values, name) for name in ("__arrow_c_stream__", "dtype"))


def _of_arrow(values: Any) -> AnyArray:
    """An array of Arrow, or what gives one, as one of numpy's; a masked one if it has nulls."""
    if not isinstance(values, (pa.Array, pa.ChunkedArray)):
        values = pa.chunked_array(values)
    if not values.null_count:
        return np.asarray(values)
    if values.type in _VIEWS:  # of which pyarrow cannot leave some out
        values = values.cast(_VIEWS[values.type])
    there = np.asarray(values.is_valid(), np.bool_)
    found = np.asarray(values.drop_null())
    array = np.zeros(len(there), found.dtype)
    array[there] = found
    return np.ma.masked_array(array, ~there)


def _of_text(values: Any) -> AnyArray:
    """An array of text of any length as one of objects: what says that there is no text is none."""
    found = values.astype(object)
    gone = np.asarray([type(one) is not str for one in found.reshape(-1)], np.bool_)
    return np.ma.masked_array(found, gone.reshape(found.shape)) if gone.any() else found


def split_missing(values: Any) -> tuple[Any, AnyArray | None]:
    """
    Values without those that are missing, and which rows have one.

    Parameters
    ----------
    values
        As `in_a_row` gives them. A masked element, None, and pandas' NA and NaT are missing.

    Returns
    -------
    values
        As given where nothing is missing; else with some value in these places.
    mask : ndarray of bool, or None
        None where every row has a value.
    """
    mask: AnyArray
    if isinstance(values, np.ma.MaskedArray):
        mask = ~np.ma.getmaskarray(values)
        values = values.data
    elif isinstance(values, np.ndarray) and values.dtype.kind != "O":
        return values, None
    else:
        if isinstance(values, np.ndarray):
            values = values.tolist()
        if not isinstance(values, (list, tuple)):
            return (0, np.zeros((), np.bool_)) if is_nothing(values) else (values, None)
        mask = np.asarray([not is_nothing(value) for value in values], np.bool_)
    if mask.all():
        return values, None
    if mask.ndim != 1 or not mask.any():
        return np.zeros(mask.shape), mask
    there = values[int(np.flatnonzero(mask)[0])]
    if isinstance(values, np.ndarray):
        return np.where(mask, values, there), mask
    return [value if has else there for value, has in zip(values, mask, strict=True)], mask


_NOTHING = {
    "NoneType": "None",
    "NAType": "NA",
    "NaTType": "NaT",
    "MaskedConstant": "what is masked",
}


def nothing(value: object) -> str | None:
    """What a scalar is called that says that there is no value; None for one that is a value."""
    return _NOTHING.get(type(value).__name__)


def is_nothing(value: object) -> bool:
    """Whether a scalar says that there is no value: None, masked, and pandas' NA and NaT."""
    return type(value).__name__ in _NOTHING


def number_array(values: Any) -> AnyArray:
    """
    Numbers as an array that holds each exactly as it is given.

    Parameters
    ----------
    values
        An array, a list or a scalar.

    Returns
    -------
    ndarray
        Of Python's own numbers where numpy's types would round some of them: whole numbers beyond
        64 bits, or beyond 2^53 beside fractions. Of another type where not all are numbers.
    """
    array = np.asarray(values)
    may_round = array.dtype.kind == "f" and isinstance(values, (list, tuple))
    if may_round and (np.abs(array) >= _EXACT_IN_FLOAT).any() and _rounds(values):
        array = np.asarray(values, object)
    if array.dtype.kind != "O" or not array.size or not all(map(is_number, array.reshape(-1))):
        return array
    plain = array.tolist()
    if all(isinstance(one, (int, np.integer, np.bool_)) for one in array.reshape(-1)):
        for dtype in (np.int64, np.uint64):
            limits = np.iinfo(dtype)
            if all(limits.min <= one <= limits.max for one in array.reshape(-1).tolist()):
                return np.asarray(plain, dtype)
        return array
    return array if _rounds(array.reshape(-1)) else np.asarray(plain, np.float64)


def _rounds(values: Iterable[Any]) -> bool:
    """Whether there is a whole number that float64 may not hold."""
    return any(
        isinstance(one, (int, np.integer)) and not -_EXACT_IN_FLOAT <= one <= _EXACT_IN_FLOAT
        for one in values
    )


def is_number(value: object) -> bool:
    """Whether a scalar is a number that a field can hold, or a truth value."""
    return isinstance(value, (int, float, np.number, np.bool_)) and not isinstance(
        value, (np.timedelta64, np.complexfloating)
    )
