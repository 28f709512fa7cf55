"""Arithmetic and comparison of whole numbers that never wraps and never rounds.

The result has 64 bits whatever the operands have: int64, or uint64 where one of the operands is
uint64 and none can be negative. A number beyond that is an OverflowError. A division by zero has
no result: it is missing.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import ArgumentTypeError, ResultRangeError
from exetera_zarr.fields.missing.companions import both

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exetera_zarr.storage.base import AnyArray

__all__ = ["compared", "of", "rounded"]

Part = tuple[Any, "AnyArray | None"]
_CHECKED = (
    operator.add,
    operator.sub,
    operator.mul,
    operator.floordiv,
    operator.mod,
    divmod,
    operator.pow,
    operator.neg,
    operator.pos,
    operator.abs,
    operator.and_,
    operator.or_,
    operator.xor,
    np.left_shift,
    np.right_shift,
    np.gcd,
    np.lcm,
    np.fmod,
    np.sign,
    np.maximum,
    np.minimum,
    np.fmax,
    np.fmin,
)
_BEYOND = "a result is beyond 64 bits: convert to float64 first, by multiplying with 1.0"


def of(
    function: Callable[..., Any], dtypes: Sequence[np.dtype[Any]], operands: Sequence[Any]
) -> Callable[[Sequence[Part]], list[Part]] | None:
    """
    The exact form of a function of whole numbers.

    Parameters
    ----------
    function
        Of `operator`, `divmod`, or one of numpy.
    dtypes, operands
        Of all operands.

    Returns
    -------
    callable or None
        None where an operand is a float, or the function is another one.
    """
    if function not in _CHECKED or not all(
        is_whole(o, d) for o, d in zip(operands, dtypes, strict=True)
    ):
        return None
    if function is operator.pow and _negative_power(operands[1]):
        raise ArgumentTypeError("whole numbers have no negative powers: multiply with 1.0 first")
    unsigned = any(dtype == np.uint64 for dtype in dtypes) and all(
        dtype.kind in "bu"
        or (not hasattr(operand, "reader") and np.ndim(operand) == 0 and operand >= 0)
        for operand, dtype in zip(operands, dtypes, strict=True)
    )
    wide = np.dtype(np.uint64 if unsigned and function is not operator.sub else np.int64)

    def apply(parts: Sequence[Part]) -> list[Part]:
        mask = None
        for _, one in parts:
            mask = both(mask, one)
        values = [_widened(value, wide, part_mask) for value, part_mask in parts]
        return _results(function, values, wide, mask)

    return apply


def is_whole(operand: Any, dtype: np.dtype[Any]) -> bool:
    """Whether an operand of that type has whole numbers, or truth values, alone."""
    return dtype.kind in "biu" or (dtype.kind == "O" and type(operand) is int)


def _negative_power(operand: Any) -> bool:
    return not hasattr(operand, "reader") and np.ndim(operand) == 0 and operand < 0


def _widened(value: Any, wide: np.dtype[Any], mask: AnyArray | None) -> AnyArray:
    """The values in the wide type; OverflowError where it does not hold one that is present."""
    limits = np.iinfo(wide)
    if type(value) is int:
        if not limits.min <= value <= limits.max:
            raise ResultRangeError(f"{value} is beyond {wide.name}")
        return np.asarray(value, wide)
    array = np.asarray(value)
    if array.dtype == np.uint64 and wide == np.int64:
        beyond = array > np.uint64(limits.max)
        if (beyond if mask is None else beyond & mask).any():
            raise ResultRangeError(f"{array[beyond][0]} does not go together with negative numbers")
    return array.astype(wide)


def _results(
    function: Callable[..., Any], values: Sequence[AnyArray], wide: np.dtype[Any], mask: Any
) -> list[Part]:
    with np.errstate(all="ignore"):
        if function is operator.pos:
            return [(values[0], mask)]
        if function in (operator.neg, operator.abs):
            _check(values[0] == np.iinfo(wide).min if wide.kind == "i" else False, mask)
            if function is operator.neg and wide.kind == "u":
                raise ResultRangeError("uint64 numbers have no negatives of their type")
            return [(function(values[0]), mask)]
        if function is np.sign:
            return [(np.sign(values[0]), mask)]
        left, right = values
        if function in _SHIFTS:
            return [(_shifted(function, left, right, mask), mask)]
        if function in (np.gcd, np.lcm):
            return [(_multiple(function, left, right, wide, mask), mask)]
        if function in (operator.floordiv, operator.mod, divmod, np.fmod):
            return _divided(function, left, right, wide, mask)
        if function is operator.pow:
            return [(_power(left, right, wide, mask), mask)]
        result = function(left, right)
        if function in _MAY_WRAP:
            _check(_wrapped(function, left, right, result, wide), mask)
        return [(np.asarray(result), mask)]


_SHIFTS = (np.left_shift, np.right_shift)
_MAY_WRAP = (operator.add, operator.sub, operator.mul)
_BITS = 64


def _shifted(function: Any, left: AnyArray, right: AnyArray, mask: Any) -> AnyArray:
    negative = np.asarray(right < 0)
    if (negative if mask is None else negative & mask).any():
        raise ArgumentTypeError("a shift is by 0 bits or more")
    far = np.asarray(right >= _BITS)
    by = np.where(negative | far, np.zeros((), left.dtype), right).astype(left.dtype)
    result = np.asarray(function(left, by))
    if function is np.right_shift:
        return np.where(far, np.where(left < 0, -1, 0).astype(left.dtype), result)
    _check(np.where(far, left != 0, np.right_shift(result, by) != left), mask)
    return np.where(far, np.zeros((), left.dtype), result)


def _multiple(
    function: Any, left: AnyArray, right: AnyArray, wide: np.dtype[Any], mask: Any
) -> AnyArray:
    """The greatest common divisor, or the least common multiple."""
    if wide.kind == "i":
        least = np.iinfo(wide).min
        _check((left == least) | (right == least), mask)
    if function is np.lcm:
        share = np.abs(left) // np.maximum(np.gcd(left, right), np.ones((), wide))
        _check(_product_wrapped(share, np.abs(right), share * np.abs(right), wide), mask)
    return np.asarray(function(left, right))


def _divided(
    function: Callable[..., Any], left: AnyArray, right: AnyArray, wide: np.dtype[Any], mask: Any
) -> list[Part]:
    zero = np.asarray(right == 0)
    if wide.kind == "i" and function in (operator.floordiv, divmod):
        _check((left == np.iinfo(wide).min) & (right == -1), mask)
    safe = np.where(zero, np.ones((), wide), right)
    if zero.any():
        there = np.broadcast_to(~zero, np.broadcast_shapes(np.shape(left), np.shape(right)))
        mask = both(mask, np.asarray(there))
    found = np.divmod(left, safe) if function is divmod else (function(left, safe),)
    return [(np.where(zero, np.zeros((), wide), part), mask) for part in found]


def _power(left: AnyArray, right: AnyArray, wide: np.dtype[Any], mask: Any) -> AnyArray:
    negative = np.asarray(right < 0) if wide.kind == "i" else np.zeros((), np.bool_)
    if (negative if mask is None else negative & mask).any():
        raise ArgumentTypeError("whole numbers have no negative powers: multiply with 1.0 first")
    right = np.where(negative, np.zeros((), wide), right)
    size = np.abs(left.astype(np.float64)) ** right.astype(np.float64)
    # Beyond doubt, or near enough to the limit that Python's own numbers have to tell.
    limits = np.iinfo(wide)
    near = np.broadcast_to(size >= float(limits.max) * 0.999, np.broadcast(left, right).shape)
    if near.any():
        pairs = np.broadcast_arrays(left, right)
        beyond = np.array(near)
        for at in np.flatnonzero(near):
            exact = int(pairs[0].flat[at]) ** min(int(pairs[1].flat[at]), 64)
            beyond.flat[at] = not limits.min <= exact <= limits.max
        _check(beyond, mask)
    return np.asarray(np.power(left, right))


def _wrapped(
    function: Callable[..., Any], left: Any, right: Any, result: Any, wide: np.dtype[Any]
) -> Any:
    """Where a sum, a difference or a product has wrapped around."""
    if function is operator.mul:
        return _product_wrapped(left, right, result, wide)
    if wide.kind == "u":
        return result < left if function is operator.add else right > left
    if function is operator.add:
        return ((left ^ result) & (right ^ result)) < 0
    return ((left ^ right) & (left ^ result)) < 0


def _product_wrapped(left: Any, right: Any, result: Any, wide: np.dtype[Any]) -> Any:
    if np.size(left) == 0 or np.size(right) == 0:
        return False
    largest = [max(abs(int(np.max(side))), abs(int(np.min(side)))) for side in (left, right)]
    if largest[0] * largest[1] <= np.iinfo(wide).max:
        return False
    divisor = np.where(left == 0, np.ones((), wide), left)
    wrong = (left != 0) & (result // divisor != right)
    if wide.kind == "i":
        wrong |= (left == -1) & (right == np.iinfo(wide).min)
    return wrong


def _check(wrong: Any, mask: Any) -> None:
    if np.any(wrong if mask is None else wrong & mask):
        raise ResultRangeError(_BEYOND)


def compared(ufunc: Any, left: Any, right: Any) -> Any:
    """
    Compare numbers of any types by their values.

    numpy compares int64 with float64, and uint64 with int64 in older versions, as floats, of which
    2^53 + 1 is none.
    """
    # numpy compares whole numbers of any size with each other, but not with truth values.
    left, right = (_not_of_bool(side) for side in (left, right))
    sides = [np.asarray(side) for side in (left, right)]
    kinds = {side.dtype.kind for side in sides}
    wide = any(side.dtype.kind in "iu" and side.dtype.itemsize == 8 for side in sides)
    if "f" not in kinds or not wide:
        return ufunc(left, right)
    whole = 0 if sides[0].dtype.kind in "iu" else 1
    integers, floats = sides[whole], sides[1 - whole].astype(np.float64)
    found = np.asarray(ufunc(left, right))
    doubtful = np.abs(floats) >= float(1 << 53)
    if not np.any(doubtful):
        return found
    shape = np.broadcast_shapes(integers.shape, floats.shape)
    integers, floats = np.broadcast_to(integers, shape), np.broadcast_to(floats, shape)
    found = np.array(np.broadcast_to(found, shape))
    for at in np.flatnonzero(np.broadcast_to(doubtful, shape) & np.isfinite(floats)):
        pair = int(integers.flat[at]), int(floats.flat[at])
        one, other = pair if whole == 0 else pair[::-1]
        found.flat[at] = _PYTHON[ufunc](one, other)
    return found


def _not_of_bool(side: Any) -> Any:
    of_bool = isinstance(side, np.ndarray) and side.dtype.kind == "b"
    return side.view(np.uint8) if of_bool else side


_PYTHON = {
    np.equal: operator.eq,
    np.not_equal: operator.ne,
    np.less: operator.lt,
    np.less_equal: operator.le,
    np.greater: operator.gt,
    np.greater_equal: operator.ge,
}


def rounded(values: AnyArray, digits: int) -> AnyArray:
    """
    Round numbers to this many decimal places, half to even; whole numbers exactly.

    Raises
    ------
    ResultRangeError
        The rounded number does not fit 64 bits.
    """
    if values.dtype.kind not in "iu":
        floats: AnyArray = np.round(values, digits)
        return floats
    wide: AnyArray = values.astype(f"{values.dtype.kind}8")
    if digits >= 0:
        return wide
    limits = np.iinfo(wide.dtype)
    if 10**-digits > limits.max:
        half = 10**-digits // 2
        if half < limits.max and (wide > half).any():
            raise ResultRangeError(_BEYOND)
        if half <= -limits.min and (wide < -half).any():
            raise ResultRangeError(_BEYOND)
        return np.zeros_like(wide)
    step = wide.dtype.type(10**-digits)
    below = wide % step  # not negative, and less than the step
    above = step - below
    odd = (wide // step) % 2 == 1
    up = (below > above) | ((below == above) & odd)
    if (up & (wide > limits.max - above)).any() or (~up & (wide < limits.min + below)).any():
        raise ResultRangeError(_BEYOND)
    whole: AnyArray = np.where(up, wide + above, wide - below)
    return whole
