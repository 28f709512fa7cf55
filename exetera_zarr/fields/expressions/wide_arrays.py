"""Arrays for numpy's functions, in types in which their numbers neither wrap around nor round."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from exetera_zarr.errors import ResultRangeError
from exetera_zarr.fields.writing.given import number_array

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exetera_zarr.storage.base import AnyArray

__all__ = ["exactly", "multiplied", "polynomial", "together", "wide"]

Call: TypeAlias = "Callable[[Callable[[Any], Any]], Any]"
"""Takes a function that converts each array of numbers, and gives the result."""
_LARGEST = 1 << 62
_EXACT_IN_FLOAT = 1 << 53
_BITS, _MOST_BITS = 62, 1 << 12
_BEYOND = "a result is beyond 64 bits: convert to float64 first, by multiplying with 1.0"


def wide(array: Any) -> Any:
    """Numbers in 64 bits, truth values as 0 and 1; all else as it is."""
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        return array
    if array.dtype.kind == "f":
        return array.astype(np.promote_types(array.dtype, np.float64), copy=False)
    beyond = array.dtype == np.uint64 and _magnitude(array) > np.iinfo(np.int64).max
    return array if beyond else array.astype(np.int64, copy=False)


def together(values: Sequence[Any]) -> list[Any]:
    """
    Arrays and scalars of which one array is made, or which are compared.

    Parameters
    ----------
    values
        Arrays, lists and scalars.

    Returns
    -------
    list
        As they are where all are arrays of one type, or not all are numbers; else in a type that
        holds all whole numbers: int64, uint64, or Python's own.

    Raises
    ------
    ResultRangeError
        There are fractions beside whole numbers that a float does not hold.
    """
    arrays = [one if isinstance(one, np.ndarray) else number_array(one) for one in values]
    if any(one.dtype.kind not in "biuf" and not _is_whole(one) for one in arrays):
        return list(values)
    if len({one.dtype for one in arrays}) == 1:
        return list(values)
    whole = [one for one in arrays if one.dtype.kind != "f" and one.size]
    if len(whole) == len([one for one in arrays if one.size]):
        dtype = _holding(whole)
        return [one.astype(dtype, copy=False) for one in arrays]
    if any(_magnitude(one) > _EXACT_IN_FLOAT for one in whole):
        raise ResultRangeError(
            "there are whole numbers beyond 2^53 beside fractions, which as floats would be "
            "rounded: multiply them with 1.0 first where that is meant"
        )
    if all(_fits_float32(one) for one in values if type(one) in (int, float)):
        return list(values)  # numpy's rule, by which Python's numbers take the type of the rows
    return [one.astype(np.float64, copy=False) for one in arrays]


def _fits_float32(value: float) -> bool:
    with np.errstate(all="ignore"):
        rounded = float(np.float32(value))
    if isinstance(value, int):
        return rounded == value
    return math.isfinite(rounded) or not math.isfinite(value)


def _is_whole(array: AnyArray) -> bool:
    return array.dtype.kind == "O" and all(type(one) is int for one in array.reshape(-1))


def _holding(arrays: Sequence[AnyArray]) -> Any:
    """A type of whole numbers that holds all of some."""
    low = min((int(one.min()) for one in arrays), default=0)
    high = max((int(one.max()) for one in arrays), default=0)
    for dtype in (np.int64, np.uint64):
        limits = np.iinfo(dtype)
        if limits.min <= low and high <= limits.max:
            return dtype
    return object


def _magnitude(array: AnyArray) -> int:
    return max(abs(int(array.min())), abs(int(array.max()))) if array.size else 0


# -- results that may have more bits than their numbers


def exactly(arrays: Sequence[AnyArray], factor: int, call: Call) -> Any:
    """
    Reckon sums and products of whole numbers without a wrap.

    Parameters
    ----------
    arrays
        The arrays of numbers among its arguments.
    factor
        What a product of one number of each array may at most be multiplied with, by the number of
        its summands and otherwise.
    call
        Takes a function that converts each of these arrays, and gives the result.

    Returns
    -------
    object
        The result; with Python's own numbers where it has more than 64 bits.
    """
    if any(one.dtype.kind == "f" for one in arrays):
        return call(wide)
    bound = factor * math.prod(max(_magnitude(one), 1) for one in arrays)
    if bound < _LARGEST:
        return call(wide)
    return _settled(call(_of_python))


def multiplied(arrays: Sequence[AnyArray], call: Call) -> Any:
    """The same of the product of all numbers of an array, or of the first ones."""
    bits = 0.0
    for one in arrays:
        if one.dtype.kind == "f":
            return call(wide)
        bits += _bits_of_product(one.reshape(-1))
    return _by_bits(bits, call)


def polynomial(arrays: Sequence[AnyArray], call: Call) -> Any:
    """The same of a polynomial: its coefficients, and where it is evaluated."""
    if any(one.dtype.kind == "f" for one in arrays):
        return call(wide)
    factors, places = arrays
    bits = math.log2(_magnitude(factors) + 1) + math.log2(factors.size + 1)
    return _by_bits(bits + max(factors.size - 1, 0) * math.log2(_magnitude(places) + 1), call)


def _by_bits(bits: float, call: Call) -> Any:
    if bits < _BITS:
        return call(wide)
    if bits > _MOST_BITS:
        raise ResultRangeError(_BEYOND)
    return _settled(call(_of_python))


def _bits_of_product(values: AnyArray) -> float:
    """The most bits that a product of the first of these numbers has, up to the first zero."""
    zeros = np.flatnonzero(values == 0)
    before = values[: int(zeros[0])] if len(zeros) else values
    return float(np.log2(np.abs(before.astype(np.float64))).sum()) if before.size else 0.0


def _of_python(array: Any) -> Any:
    """Numbers as Python's own, which have no limit."""
    if isinstance(array, np.ndarray) and array.dtype.kind == "b":
        array = array.astype(np.int64)
    return array.astype(object) if isinstance(array, np.ndarray) else array


def _settled(found: Any) -> Any:
    """A result of Python's numbers as numpy's, where they hold it."""
    if isinstance(found, np.ndarray) and found.dtype.kind == "O":
        return number_array(found)
    return found
