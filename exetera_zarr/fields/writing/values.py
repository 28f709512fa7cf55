"""From what users write into a field to what is stored, or an error that says why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exetera_zarr.engine.columns.membership import held
from exetera_zarr.errors import ArgumentTypeError, DataError
from exetera_zarr.fields.writing.given import in_a_row, is_number, number_array

if TYPE_CHECKING:
    from exetera_zarr.storage.base import AnyArray

__all__ = ["as_fixed", "as_numbers", "as_values", "check_seconds", "in_a_year"]

_YEARS = (-62135596800, 253402300800)
"""The seconds at which the years 1 and 10000 start."""


def as_values(values: Any, dtype: np.dtype[Any], where: str, *, exact: bool = True) -> AnyArray:
    """
    Values of a field's type.

    Parameters
    ----------
    values
        A field, an array, a list, another iterable, or a scalar.
    dtype
        Type of the field: a number, bool, or ``S<width>``.
    where
        The field, for messages.
    exact
        Whether what the type cannot hold exactly is an error; else it is made to fit as ExeTera
        does: see `as_numbers`.

    Returns
    -------
    ndarray
        Of `dtype`, with the shape of `values`; perhaps `values` itself.

    Raises
    ------
    DataError
        A value does not fit: out of range, not a number, too long.
    """
    values = in_a_row(values, where, missing=exact)
    if dtype.kind == "S":
        return as_fixed(values, dtype, where)
    return exact_numbers(values, dtype, where) if exact else as_numbers(values, dtype, where)


def exact_numbers(values: Any, dtype: np.dtype[Any], where: str) -> AnyArray:
    """
    Numbers of a field's type, each exactly as it is given; see `as_values`.

    A float is rounded to the nearest that the field can hold, as everywhere; all else is an error:
    a number out of range, a fraction or NaN in a field of whole numbers, a whole number that a
    float cannot hold, and in a field of bool all but 0 and 1.
    """
    array = _exact_array(values, where, dtype)
    if array.dtype == dtype:
        return array
    if array.dtype.kind == "O":
        bad = np.asarray([not _holds(dtype, one) for one in array.reshape(-1)], np.bool_)
    else:
        bad = _inexact(np.atleast_1d(array), dtype).reshape(-1)
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"{where} holds {dtype.name}; value {at} of those given, "
            f"{array.reshape(-1)[at]!s}, does not fit"
        )
    return array.astype(dtype)


def _exact_array(values: Any, where: str, dtype: np.dtype[Any]) -> AnyArray:
    """The values as numpy's numbers, or as Python's own where numpy's would round them."""
    array = number_array(values)
    if array.size == 0 and array.dtype.kind == "f":
        return array.astype(dtype)
    if array.dtype.kind in "biuf":
        return array
    odd = [one for one in array.reshape(-1) if not is_number(one)]
    if odd or array.dtype.kind != "O":
        # In an array of text, which numpy makes of a list that mixes both, all are odd.
        given = np.asarray(values, object).reshape(-1) if isinstance(values, (list, tuple)) else odd
        shown = next((one for one in given if not is_number(one)), values)
        raise DataError(f"{where} holds {dtype.name}, but was given {shown!r}, which is no number")
    return array


def _holds(dtype: np.dtype[Any], value: float) -> bool:
    """Whether a type holds a number of Python's; a float is rounded, as everywhere."""
    if isinstance(value, (float, np.floating)):
        return dtype.kind == "f" or (value.is_integer() and _holds_whole(dtype, int(value)))
    return _holds_whole(dtype, int(value))


def _holds_whole(dtype: np.dtype[Any], value: int) -> bool:
    if dtype.kind == "f":
        try:
            return int(dtype.type(value)) == value
        except OverflowError:
            return False
    if dtype.kind == "b":
        return value in (0, 1)
    limits = np.iinfo(dtype)
    return int(limits.min) <= value <= int(limits.max)


def _inexact(array: AnyArray, dtype: np.dtype[Any]) -> npt.NDArray[np.bool_]:
    """Which numbers a type does not hold exactly; of one float for another, which it cannot."""
    if array.dtype.kind == dtype.kind == "f":
        with np.errstate(all="ignore"):
            return np.asarray(np.isinf(array.astype(dtype)) & np.isfinite(array))
    return ~held(array, dtype)


def in_a_year(seconds: AnyArray) -> npt.NDArray[np.bool_]:
    """Which seconds since 1970 are in one of the years 1 to 9999."""
    return np.asarray((seconds >= _YEARS[0]) & (seconds < _YEARS[1]))


def check_seconds(values: AnyArray, where: str) -> None:
    """
    Raise DataError where numbers are no seconds of the years 1 to 9999; NaN and infinity are taken.

    A count of milliseconds or nanoseconds is taken for seconds otherwise, of years far from now.
    """
    beyond = np.isfinite(values) & ~in_a_year(values)
    if beyond.any():
        at = int(np.flatnonzero(beyond.reshape(-1))[0])
        raise DataError(
            f"{where} holds seconds since 1970 of the years 1 to 9999; value {at} of those given, "
            f"{values.reshape(-1)[at]!s}, is none of them: write numpy.asarray(values, "
            "'datetime64[ns]') for nanoseconds, 'datetime64[ms]' for milliseconds"
        )


def as_numbers(values: Any, dtype: np.dtype[Any], where: str) -> AnyArray:
    """
    Numbers of a field's type as ExeTera makes them; see `as_values`.

    Whole numbers of a plain list that are out of range wrap around, as ExeTera's scripts expect;
    those of an array are an error. A float loses its fraction; one that is out of range, or no
    number, is an error in a field of whole numbers. In one of bool all is true but 0.
    """
    if not isinstance(values, np.ndarray):
        return _from_list(values, dtype, where)
    if values.dtype == dtype:
        return values
    if values.dtype.kind not in "biufO":
        raise DataError(f"{where} holds {dtype.name}, but was given {values.dtype}")
    if values.dtype.kind == "O":
        return _from_list(values.tolist(), dtype, where)
    _check_range(values, dtype, where)
    return values.astype(dtype)


def _from_list(values: Any, dtype: np.dtype[Any], where: str) -> AnyArray:
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "biufO":
            raise ArgumentTypeError(f"got {array.dtype}")
        if array.dtype.kind == "f" and dtype.kind in "iu" and _whole(values):
            # Those beyond int64 beside others, of which numpy would make floats.
            array = np.asarray(values, object)
        if array.dtype.kind == "f":
            _check_range(array, dtype, where)
        if array.dtype.kind == "O" and dtype.kind in "iu":
            mask = (1 << (8 * dtype.itemsize)) - 1
            array = np.asarray(np.vectorize(lambda v: int(v) & mask, otypes=[object])(array))
            return array.astype(f"u{dtype.itemsize}").view(dtype)
        return array.astype(dtype)
    except (TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{where} holds {dtype.name}; these values do not fit: {error}") from error


def _whole(values: Any) -> bool:
    return isinstance(values, list | tuple) and all(
        isinstance(value, int | np.integer) for value in values
    )


def _check_range(values: AnyArray, dtype: np.dtype[Any], where: str) -> None:
    """Raise where a number is none that a field of whole numbers or bool holds."""
    if values.size == 0 or np.can_cast(values.dtype, dtype):
        return
    bad = _misfits(values, dtype)
    if bad.any():
        at = int(np.flatnonzero(bad.reshape(-1))[0])
        raise DataError(
            f"{where} holds {dtype.name}; value {at} of those given, "
            f"{values.reshape(-1)[at]!s}, does not fit"
        )


def _misfits(values: AnyArray, dtype: np.dtype[Any]) -> npt.NDArray[np.bool_]:
    """Which numbers a type does not hold; an array of one row stands for none."""
    none = np.zeros(1, np.bool_)
    if dtype.kind == "b":
        return none  # all are true unless they are 0, as in numpy
    if dtype.kind not in "iu":
        return none
    limits = np.iinfo(dtype)
    if values.dtype.kind == "f":
        # As a float, the highest 64-bit integer is one too high: what reaches it does not fit.
        return ~((values > float(limits.min) - 1) & (values < float(limits.max) + 1))
    low, high = int(values.min()), int(values.max())
    if low >= limits.min and high <= limits.max:
        return none
    return (values < max(limits.min, low)) | (values > min(limits.max, high))


def as_fixed(values: Any, dtype: np.dtype[Any], where: str) -> AnyArray:
    """Fixed strings of a field's width, from bytes or text (as UTF-8); see `as_values`."""
    # As objects: of a list that mixes text and numbers, numpy would make text.
    array = values if isinstance(values, np.ndarray) else np.asarray(values, dtype=object)
    if array.size == 0:
        return np.empty(array.shape, dtype)
    if array.dtype.kind in "UO":
        array = _to_bytes(array, where)
    if array.dtype.kind != "S":
        raise DataError(f"{where} holds fixed strings, but was given {array.dtype}")
    if dtype.itemsize == 0:  # whatever they need
        return np.asarray(array)
    if array.dtype.itemsize > dtype.itemsize:
        lengths = np.char.str_len(array)
        if (lengths > dtype.itemsize).any():
            at = int(np.flatnonzero((lengths > dtype.itemsize).reshape(-1))[0])
            raise DataError(
                f"{where} holds strings of at most {dtype.itemsize} bytes; value {at} of those "
                f"given, {bytes(array.reshape(-1)[at])!r}, is longer"
            )
    return array.astype(dtype)


def _to_bytes(array: npt.NDArray[Any], where: str) -> AnyArray:
    def one(value: Any) -> bytes:
        if isinstance(value, bytes):
            return value
        if isinstance(value, str):
            return value.encode("utf-8", "surrogateescape")
        raise DataError(f"{where} holds fixed strings; {value!r} is a {type(value).__name__}")

    return np.asarray([one(value) for value in array.reshape(-1).tolist()]).reshape(array.shape)
