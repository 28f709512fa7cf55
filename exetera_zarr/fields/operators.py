"""Operators of the fields that hold numbers; the result is a numeric field in memory."""

from __future__ import annotations

import datetime as dt
import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from exetera_zarr.errors import DataError
from exetera_zarr.fields.rows import Rows

if TYPE_CHECKING:
    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.numeric import NumericField

__all__ = ["Arithmetic", "Bitwise", "Comparison", "Modulo", "compute", "not_of_numbers"]

Function = Callable[..., Any]


def compute(function: Function, *operands: Any) -> Any:
    """
    Apply a numpy function to fields, arrays and scalars, row by row.

    Parameters
    ----------
    function
        Takes arrays and returns an array, or a tuple of arrays.
    operands
        At least one field; arrays and lists are as long as it is.

    Returns
    -------
    NumericField or tuple of NumericField
        In memory.

    Raises
    ------
    DataError
        Operands of different lengths, or a result that no field can hold.
    """
    lead: Any = next(operand for operand in operands if isinstance(operand, Comparison))
    try:
        return _computed(function, lead, operands)
    except OverflowError as error:
        # A number beyond the field's type, such as 300 with uint8: numpy does not widen for it.
        wider = [_as_int64(operand) for operand in operands]
        if all(new is old for new, old in zip(wider, operands, strict=True)):
            raise OverflowError(f"{lead.describe()} ({lead.fieldtype}): {error}") from error
        return _computed(function, lead, wider)
    except TypeError as error:
        raise TypeError(f"{lead.describe()} ({lead.fieldtype}): {error}") from error


def _as_int64(operand: Any) -> Any:
    return (
        np.int64(operand) if type(operand) is int and -(1 << 63) <= operand < 1 << 63 else operand
    )


def _computed(function: Function, lead: Field, operands: Sequence[Any]) -> Any:
    """The result of a function, one field or several, which take it block by block."""
    length, step = len(lead), lead.group.row_block
    sources = [_source(operand, lead, length) for operand in operands]
    fields: list[NumericField] = []
    for start in range(0, max(length, 1), step):
        stop = min(start + step, length)
        result = function(*(source(start, stop) for source in sources))
        parts = [np.asarray(p) for p in (result if isinstance(result, tuple) else (result,))]
        fields = fields or [lead.numeric_like(part.dtype) for part in parts]
        for field, part in zip(fields, parts, strict=True):
            field.append(part)
    return tuple(fields) if len(fields) > 1 else fields[0]


def _source(operand: Any, lead: Field, length: int) -> Callable[[int, int], Any]:
    """A function that gives the operand's rows of a block; a scalar is the same for all."""
    if isinstance(operand, Rows):
        rows, read = operand.reader()
    else:
        array = np.asarray(operand)
        if array.ndim == 0:
            return lambda *_: operand
        rows = len(array)

        def read(start: int, stop: int) -> Any:
            return array[start:stop]

    if rows != length:
        raise DataError(f"{lead.describe()} has {length} rows, the other operand has {rows}")
    return read


def _forward(function: Function) -> Any:
    def method(self: Field, other: Any) -> Any:
        if not _is_operand(self, other, function):
            return NotImplemented
        return compute(function, self, other)

    return method


def _reflected(function: Function) -> Any:
    def method(self: Field, other: Any) -> Any:
        if not _is_operand(self, other, function):
            return NotImplemented
        return compute(function, other, self)

    return method


def _is_operand(field: Field, other: Any, function: Function) -> bool:
    """
    Whether the other side of an operator is numbers, or None where that is not equal to any.

    Raises
    ------
    TypeError
        It is text or a date: Python would call that unequal without a word.
    """
    if other is None and function in (operator.eq, operator.ne):
        return True
    texts = (str, bytes, dt.date, type(None))
    if isinstance(other, texts) or (isinstance(other, Rows) and not other.of_numbers):
        raise TypeError(not_of_numbers(field, other))
    if isinstance(other, (np.ndarray, np.generic, list)) and np.asarray(other).dtype.kind in "USMm":
        raise TypeError(not_of_numbers(field, other))
    return isinstance(other, (Rows, np.ndarray, np.generic, int, float, list))


def not_of_numbers(field: Field, other: Any) -> str:
    """Why a field does not go together with text and dates, and what does."""
    names = getattr(field, "keys", None)
    hints = {
        "categorical": f"compare it with codes, which have the names {names}",
        "timestamp": "compare it with seconds since 1970, such as moment.timestamp()",
    }
    hint = hints.get(field.type_name, "compare it with numbers")
    given = (
        repr(other)
        if isinstance(other, (str, bytes, int, dt.date))
        else f"a {type(other).__name__}"
    )
    return f"{field.describe()} holds numbers, which do not go together with {given}: {hint}"


class Comparison:
    """``< <= == != > >=``, giving bool."""

    of_numbers = True
    # An array on the left leaves the operator to the field.
    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]  # because == compares rows

    __lt__ = _forward(operator.lt)
    __le__ = _forward(operator.le)
    __gt__ = _forward(operator.gt)
    __ge__ = _forward(operator.ge)
    __eq__ = _forward(operator.eq)
    __ne__ = _forward(operator.ne)


class Arithmetic(Comparison):
    """``+ - * / //``."""

    __add__ = _forward(operator.add)
    __radd__ = _reflected(operator.add)
    __sub__ = _forward(operator.sub)
    __rsub__ = _reflected(operator.sub)
    __mul__ = _forward(operator.mul)
    __rmul__ = _reflected(operator.mul)
    __truediv__ = _forward(operator.truediv)
    __rtruediv__ = _reflected(operator.truediv)
    __floordiv__ = _forward(operator.floordiv)
    __rfloordiv__ = _reflected(operator.floordiv)


class Modulo(Arithmetic):
    """``%`` and ``divmod``."""

    __mod__ = _forward(operator.mod)
    __rmod__ = _reflected(operator.mod)
    __divmod__ = _forward(np.divmod)
    __rdivmod__ = _reflected(np.divmod)


class Bitwise(Modulo):
    """``& | ^ ~`` and ``logical_not``."""

    __and__ = _forward(operator.and_)
    __rand__ = _reflected(operator.and_)
    __or__ = _forward(operator.or_)
    __ror__ = _reflected(operator.or_)
    __xor__ = _forward(operator.xor)
    __rxor__ = _reflected(operator.xor)

    def __invert__(self) -> NumericField:
        return cast("NumericField", compute(operator.invert, self))

    def logical_not(self) -> NumericField:
        """Bool field, true where the value is zero."""
        return cast("NumericField", compute(np.logical_not, self))
