"""From what users write into a field to what is stored, or an error that says why not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exetera_zarr.errors import ArgumentTypeError, DataError

if TYPE_CHECKING:
    from exetera_zarr.storage.base import AnyArray

__all__ = ["as_fixed", "as_numbers", "as_values", "in_a_row", "split_missing"]


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
    values = in_a_row(values, where)
    if dtype.kind == "S":
        return as_fixed(values, dtype, where)
    return exact_numbers(values, dtype, where) if exact else as_numbers(values, dtype, where)


def in_a_row(values: Any, where: str) -> Any:
    """An array, a list or a scalar, of whatever gives values one after the other."""
    values = getattr(values, "data", values) if hasattr(values, "fieldtype") else values
    if isinstance(values, np.ma.MaskedArray):
        return values
    if hasattr(values, "__array__"):
        return np.asarray(values)
    if isinstance(values, Mapping):
        raise DataError(f"{where} takes values in a row, not a {type(values).__name__}")
    if isinstance(values, Iterable) and not isinstance(values, (str, bytes, list)):
        return list(values)
    return values


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
            return (0, np.zeros((), np.bool_)) if _is_nothing(values) else (values, None)
        mask = np.asarray([not _is_nothing(value) for value in values], np.bool_)
    if mask.all():
        return values, None
    if mask.ndim != 1 or not mask.any():
        return np.zeros(mask.shape), mask
    there = values[int(np.flatnonzero(mask)[0])]
    if isinstance(values, np.ndarray):
        return np.where(mask, values, there), mask
    return [value if has else there for value, has in zip(values, mask, strict=True)], mask


_NOTHING = ("NAType", "NaTType", "MaskedConstant")


def _is_nothing(value: object) -> bool:
    return value is None or type(value).__name__ in _NOTHING


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
        bad = np.asarray([not _holds_whole(dtype, int(v)) for v in array.reshape(-1)], np.bool_)
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
    """The values as numpy's numbers, or as Python's whole numbers where these are too great."""
    array = np.asarray(values)
    if isinstance(values, (list, tuple)) and array.dtype.kind == "f" and _whole(values):
        array = np.asarray(values, object)  # beyond int64 beside others
    if array.dtype.kind == "O" and all(
        isinstance(one, (int, np.integer, np.bool_)) for one in array.reshape(-1)
    ):
        return array
    if array.size == 0 and array.dtype.kind == "f":
        return array.astype(dtype)
    if array.dtype.kind not in "biuf":
        odd = next(
            (v for v in array.reshape(-1).tolist() if isinstance(v, bool) or not _is_number(v)),
            values,
        )
        raise DataError(f"{where} holds {dtype.name}, but was given {odd!r}, which is no number")
    return array


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number))


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
    none = np.zeros(array.shape, np.bool_)
    if array.size == 0 or array.dtype.kind == "b":
        return none
    with np.errstate(all="ignore"):
        if dtype.kind == "f":
            taken = array.astype(dtype)
            if array.dtype.kind == "f":
                return np.asarray(np.isinf(taken) & np.isfinite(array))
            if np.can_cast(array.dtype, dtype):
                return none
            limit = float(1 << (np.finfo(dtype).nmant + 1))
            if -limit <= float(array.min()) and float(array.max()) <= limit:
                return none
            flat = (not _holds_whole(dtype, int(one)) for one in array.reshape(-1))
            return np.fromiter(flat, np.bool_, array.size).reshape(array.shape)
        if dtype.kind == "b":
            return np.asarray((array != 0) & (array != 1))
        fraction = array != np.trunc(array) if array.dtype.kind == "f" else none
        beyond = _misfits(array, dtype)
        return np.asarray(fraction | np.broadcast_to(beyond, array.shape))


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
