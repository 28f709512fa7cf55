"""Operators of fields, row by row; the result is a numeric field in memory.

A missing value on either side makes the result missing, but for what is decided without it, as
``True | missing`` is (Kleene's logic). Whole numbers are reckoned in 64 bits: what does not fit is
an error. ExeTera's face reckons as numpy does, with what is stored.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa

from exetera_zarr.engine.columns import strings
from exetera_zarr.errors import ArgumentTypeError, DataError, ExeteraError, ResultRangeError
from exetera_zarr.fields.expressions import exact_integers
from exetera_zarr.fields.missing.companions import both, masked_reader, present
from exetera_zarr.fields.rows import Rows

if TYPE_CHECKING:
    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.numeric import NumericField
    from exetera_zarr.storage.base import AnyArray

__all__ = ["Arithmetic", "Bitwise", "Comparison", "compute"]

Function = Callable[..., Any]
Part = tuple[Any, "AnyArray | None"]
"""Values of a block, or a scalar, and which of its rows have one; None for all."""

COMPARISONS: dict[Any, Any] = {
    operator.eq: np.equal,
    operator.ne: np.not_equal,
    operator.lt: np.less,
    operator.le: np.less_equal,
    operator.gt: np.greater,
    operator.ge: np.greater_equal,
}
_BY_UFUNC: dict[Any, Function] = {
    **{ufunc: function for function, ufunc in COMPARISONS.items()},
    np.add: operator.add,
    np.subtract: operator.sub,
    np.multiply: operator.mul,
    np.true_divide: operator.truediv,
    np.floor_divide: operator.floordiv,
    np.remainder: operator.mod,
    np.power: operator.pow,
    np.divmod: divmod,
    np.bitwise_and: operator.and_,
    np.bitwise_or: operator.or_,
    np.bitwise_xor: operator.xor,
    np.logical_and: operator.and_,
    np.logical_or: operator.or_,
    np.logical_xor: operator.xor,
    np.negative: operator.neg,
    np.absolute: operator.abs,
    np.invert: operator.invert,
    np.positive: operator.pos,
}
_OURS: dict[type, type[ExeteraError]] = {
    OverflowError: ResultRangeError,
    TypeError: ArgumentTypeError,
    ValueError: DataError,
}


def compute(function: Function, *operands: Any) -> Any:
    """
    Apply a function to fields, arrays and scalars, row by row.

    Parameters
    ----------
    function
        One of `operator`, or a numpy function that takes arrays and returns an array or a tuple
        of arrays.
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
    OverflowError
        A whole number beyond 64 bits.
    """
    lead: Any = next(operand for operand in operands if isinstance(operand, Comparison))
    try:
        if lead.face.widens_integers or not lead.of_numbers:
            decided = _deciding(function, operands)
            return _computed(_exactly(function, operands), lead, operands, decided)
        return _as_numpy_does(function, lead, operands)
    except (OverflowError, TypeError, ValueError) as error:
        if str(error).startswith(lead.phrase()):
            raise
        kind: type[Exception] = type(error)
        if not isinstance(error, ExeteraError):
            kind = next(ours for builtin, ours in _OURS.items() if isinstance(error, builtin))
        raise kind(f"{lead.phrase()} ({lead.fieldtype}): {error}") from error


def _as_numpy_does(function: Function, lead: Field, operands: Sequence[Any]) -> Any:
    dtype = lead.dtype_of_rows
    return _computed(_of_values(function), lead, [_by_value(one, dtype) for one in operands])


def _by_value(operand: Any, dtype: np.dtype[Any]) -> Any:
    """A number as the numpy of ExeTera, which is older than 2, takes it beside rows of a type."""
    if isinstance(operand, (int, np.integer)) and not isinstance(operand, bool):
        value = int(operand)
        if dtype.kind not in "iu" or not -(1 << 63) <= value < 1 << 64:
            return value if dtype.kind == "f" else operand
        small = np.min_scalar_type(value)
        signed = np.dtype(f"i{small.itemsize}")
        if dtype.kind == "i" and value <= np.iinfo(signed).max:
            small = signed
        return np.promote_types(dtype, small).type(value)
    if isinstance(operand, np.floating) and dtype.kind == "f":
        return float(operand)
    return operand


def _of_values(function: Function) -> Callable[[Sequence[Part]], list[Part]]:
    """The function over values alone; results have the rows that all of the operands have."""

    def apply(parts: Sequence[Part]) -> list[Part]:
        with np.errstate(all="ignore"):
            result = function(*(values for values, _ in parts))
        mask = None
        for _, one in parts:
            mask = both(mask, one)
        results = result if isinstance(result, tuple) else (result,)
        return [(np.asarray(values), mask) for values in results]

    return apply


def _exactly(function: Function, operands: Sequence[Any]) -> Callable[[Sequence[Part]], list[Part]]:
    """The function as it is right for these operands."""
    if function in COMPARISONS:
        return _comparing(function)
    dtypes = [_dtype_of(operand) for operand in operands]
    if function in (operator.and_, operator.or_, operator.xor, operator.invert):
        if all(dtype.kind == "b" for dtype in dtypes):
            return _KLEENE[function]
        if not all(exact_integers.is_whole(*pair) for pair in zip(operands, dtypes, strict=True)):
            raise ArgumentTypeError(
                "& | ^ and ~ go with truth values and whole numbers: compare first, as in "
                "(a > 0) & (b > 0)"
            )
        if function is operator.invert or _fit(operands, dtypes):
            return _of_values(function)
    whole = exact_integers.of(function, dtypes, operands)
    if whole is not None:
        return whole
    return _of_values(_of_wide(function) if isinstance(function, np.ufunc) else function)


def _fit(operands: Sequence[Any], dtypes: Sequence[np.dtype[Any]]) -> bool:
    """Whether numpy's rule finds a type of whole numbers for the rows that scalars fit, too."""
    pairs = list(zip(operands, dtypes, strict=True))
    common = np.result_type(*(dtype for one, dtype in pairs if not _is_scalar(one)))
    if common.kind not in "iu":
        return False
    limits = np.iinfo(common)
    return all(limits.min <= one <= limits.max for one, _ in pairs if _is_scalar(one))


def _is_scalar(operand: Any) -> bool:
    return not isinstance(operand, Rows) and np.ndim(operand) == 0


_WIDE = {"b": np.int64, "i": np.int64, "u": np.uint64}


def _of_wide(function: Function) -> Function:
    """A function of numpy's over whole numbers of 64 bits: of int8 its floats would have 16."""

    def apply(*operands: Any) -> Any:
        arrays = [np.asarray(operand) for operand in operands]
        return function(
            *(array.astype(_WIDE.get(array.dtype.kind, array.dtype)) for array in arrays)
        )

    return apply


def _dtype_of(operand: Any) -> np.dtype[Any]:
    if isinstance(operand, Rows):
        dtype: np.dtype[Any] = operand.dtype_of_rows
        return dtype
    return np.asarray(operand).dtype


def _comparing(function: Function) -> Callable[[Sequence[Part]], list[Part]]:
    ufunc = COMPARISONS[function]

    def apply(parts: Sequence[Part]) -> list[Part]:
        (left, _), (right, _) = parts
        mask = None
        for values, one in parts:
            if isinstance(values, float) and values != values:  # noqa: PLR0124 - NaN
                raise ArgumentTypeError(
                    "nothing is equal to NaN, greater or less: write isna() for what is missing"
                )
            mask = both(mask, one)
        if _is_text(left) or _is_text(right):
            result = strings.compare(ufunc.__name__, left, right)
        else:
            result = np.asarray(exact_integers.compared(ufunc, left, right))
        return [(result if mask is None else result & mask, mask)]

    return apply


def _is_text(values: Any) -> bool:
    if not isinstance(values, np.ndarray):
        return isinstance(values, (bytes, pa.Array))
    of_objects = values.dtype.kind == "O" and values.size > 0
    return values.dtype.kind == "S" or (of_objects and isinstance(values.flat[0], bytes))


def _and(parts: Sequence[Part]) -> list[Part]:
    (a, a_there), (b, b_there) = parts
    if a_there is None and b_there is None:
        return [(np.asarray(a & b), None)]
    a_there, b_there = _full(a, a_there), _full(b, b_there)
    known = (a_there & b_there) | (a_there & ~np.asarray(a)) | (b_there & ~np.asarray(b))
    return [(np.asarray(a & b) & a_there & b_there, known)]


def _or(parts: Sequence[Part]) -> list[Part]:
    (a, a_there), (b, b_there) = parts
    if a_there is None and b_there is None:
        return [(np.asarray(a | b), None)]
    a_there, b_there = _full(a, a_there), _full(b, b_there)
    found = (a & a_there) | (b & b_there)
    return [(found, (a_there & b_there) | found)]


def _xor(parts: Sequence[Part]) -> list[Part]:
    (a, a_there), (b, b_there) = parts
    mask = both(a_there, b_there)
    found = np.asarray(a ^ b)
    return [(found if mask is None else found & mask, mask)]


def _not(parts: Sequence[Part]) -> list[Part]:
    ((values, mask),) = parts
    return [(~values if mask is None else ~values & mask, mask)]


def _full(values: Any, mask: AnyArray | None) -> AnyArray:
    return np.ones(np.shape(values), np.bool_) if mask is None else mask


_KLEENE: dict[Function, Callable[[Sequence[Part]], list[Part]]] = {
    operator.and_: _and,
    operator.or_: _or,
    operator.xor: _xor,
    operator.invert: _not,
}


# -- block by block


def _computed(
    function: Callable[[Sequence[Part]], list[Part]],
    lead: Field,
    operands: Sequence[Any],
    decided: Callable[[int, int], list[Part] | None] = lambda *_: None,
) -> Any:
    """
    The result of a function, one field or several, which take it block by block.

    `decided` gives the rows of a block where they are known without those of the operands.
    """
    length, step = len(lead), lead.group.row_block
    sources = [_source(operand, lead, length) for operand in operands]
    fields: list[Any] = []
    for start in range(0, max(length, 1), step):
        stop = min(start + step, length)
        parts = decided(start, stop) or function([source(start, stop) for source in sources])
        fields = fields or [lead.numeric_like(values.dtype) for values, _ in parts]
        for field, (values, mask) in zip(fields, parts, strict=True):
            field.append_masked(np.broadcast_to(values, stop - start), mask)
    return tuple(fields) if len(fields) > 1 else fields[0]


def _deciding(
    function: Function, operands: Sequence[Any]
) -> Callable[[int, int], list[Part] | None]:
    """Gives the rows of a comparison with one number, where bounds of a block decide them all."""
    if function not in COMPARISONS or len(operands) != 2:
        return lambda *_: None
    field, number = operands
    if isinstance(number, Comparison):
        function, field, number = _MIRRORED[function], number, field
    real = isinstance(number, (int, float, np.integer, np.floating))
    if not real or number != number or not isinstance(field, Comparison):  # noqa: PLR0124
        return lambda *_: None
    lead = cast("Field", field)
    if not lead.of_numbers or not lead.stored:
        return lambda *_: None
    companion = lead.validity

    def decided(start: int, stop: int) -> list[Part] | None:
        known = lead.extremes(start, stop)
        if known is None:
            return None
        found = _decides(function, np.array(known, lead.dtype_of_rows), number)
        if found is None:
            return None
        mask = None if companion is None else np.asarray(companion.read(start, stop))
        values = np.full(stop - start, found)
        return [(values if mask is None else values & mask, mask)]

    return decided


def _decides(function: Function, ends: AnyArray, number: Any) -> bool | None:
    """
    What a comparison with a number is for all values from one to another; None where it differs.

    The ends are compared as the values would be, rounding included, which keeps their order.
    """

    def of_ends(function: Function) -> list[bool]:
        compared: list[bool] = _comparing(function)([(ends, None), (number, None)])[0][0].tolist()
        return compared

    if function in (operator.eq, operator.ne):
        if of_ends(operator.gt)[0] or of_ends(operator.lt)[1]:
            return function is operator.ne
        if ends[0] != ends[1]:
            return None
    first, last = of_ends(function)
    return first if first is last else None


def _source(operand: Any, lead: Field, length: int) -> Callable[[int, int], Part]:
    """A function that gives the operand's rows of a block; a scalar is the same for all."""
    read: Callable[[int, int], Part]
    if isinstance(operand, Rows):
        if isinstance(operand, Comparison):
            rows, read = masked_reader(cast("Field", operand))
        else:
            rows, plain = operand.reader()

            def read(start: int, stop: int) -> Part:
                column = plain(start, stop)
                return column, present(column, None)
    else:
        array, there = np.asarray(operand), None
        if array.ndim == 0:
            return lambda *_: (operand, None)
        if isinstance(operand, np.ma.MaskedArray):
            there = ~np.ma.getmaskarray(operand)
        rows = len(array)

        def read(start: int, stop: int) -> Part:
            part = array[start:stop]
            return part, present(part, None if there is None else there[start:stop])

    if rows != length:
        raise DataError(f"{lead.phrase()} has {length} rows, the other operand has {rows}")
    if not lead.face.sees_missing:
        seen = read
        return lambda start, stop: (seen(start, stop)[0], None)
    return read


# -- the operators


def _forward(function: Function) -> Any:
    def method(self: Any, other: Any) -> Any:
        taken = self.operand(other, function)
        return NotImplemented if taken is NotImplemented else compute(function, self, taken)

    return method


def _reflected(function: Function) -> Any:
    def method(self: Any, other: Any) -> Any:
        taken = self.operand(other, function)
        if taken is NotImplemented:
            return NotImplemented
        return compute(function, taken, self)

    return method


def _unary(function: Function) -> Any:
    def method(self: Any) -> Any:
        self.operand(0, function)  # raises where the rows are no numbers to reckon with
        return compute(function, self)

    return method


class Comparison(Rows):
    """``< <= == != > >=``, giving bool; and numpy's functions of arrays, row by row."""

    of_numbers = True
    __pandas_priority__ = 5000
    """Above all of pandas' own, so that ``series + field`` is the field's to work out."""
    __hash__: None = None  # type: ignore[assignment]  # because == compares rows

    __lt__: Any = _forward(operator.lt)
    __le__: Any = _forward(operator.le)
    __gt__: Any = _forward(operator.gt)
    __ge__: Any = _forward(operator.ge)
    __eq__: Any = _forward(operator.eq)
    __ne__: Any = _forward(operator.ne)

    def operand(self, other: Any, function: Function) -> Any:
        """
        The other side of an operator in the terms of this field.

        Returns
        -------
        Rows, ndarray or scalar
            NotImplemented for what knows better itself.

        Raises
        ------
        TypeError
            It does not go together with the rows of this field.
        """
        raise NotImplementedError

    def __array_ufunc__(self: Any, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options or ufunc.signature is not None:
            more = "".join(f", {name}=..." for name in options)
            called = ufunc.__name__ + ("" if method == "__call__" else f".{method}")
            raise ArgumentTypeError(
                f"numpy.{called}(...{more}) does not go row by row over {self.phrase()}: use the "
                "field's own methods, such as sum(), or an array of it, such as field.data[:], "
                "which has what is stored"
            )
        function = _BY_UFUNC.get(ufunc)
        if self.face.sees_missing and (function is None or ufunc in _OF_TRUTH):
            return self._row_by_row(ufunc, inputs)
        if function is None:
            return compute(ufunc, *inputs)
        if len(inputs) == 1:
            self.operand(0, function)
            return compute(function, self)
        left, right = inputs
        if isinstance(left, Comparison):
            return function(left, right)
        if function in COMPARISONS:
            return _MIRRORED[function](right, left)
        taken = self.operand(left, function)
        return NotImplemented if taken is NotImplemented else compute(function, taken, right)

    def _row_by_row(self: Any, ufunc: Any, inputs: Sequence[Any]) -> Any:
        """A function of numpy's that is no operator of Python's."""
        inputs = [
            one if isinstance(one, Comparison) else self.operand(one, ufunc) for one in inputs
        ]
        for one in inputs:
            # Raises where the rows are no numbers to reckon with.
            if one is NotImplemented or (
                isinstance(one, Comparison) and one.operand(0, ufunc) is NotImplemented
            ):
                raise ArgumentTypeError(f"{self.phrase()}: numpy.{ufunc.__name__} is of numbers")
        if ufunc in _OF_TRUTH:
            return compute(_BY_UFUNC[ufunc], *map(_truth, inputs))
        if ufunc is np.square:
            return compute(operator.mul, inputs[0], inputs[0])
        if ufunc is np.reciprocal:
            return compute(operator.truediv, 1, inputs[0])
        return compute(ufunc, *inputs)


_OF_TRUTH = (np.logical_and, np.logical_or, np.logical_xor)


def _truth(operand: Any) -> Any:
    """Whether numbers are other than zero."""
    if isinstance(operand, Comparison):
        return operand if operand.dtype_of_rows.kind == "b" else compute(operator.ne, operand, 0)
    return operand != 0


_MIRRORED = {
    operator.eq: operator.eq,
    operator.ne: operator.ne,
    operator.lt: operator.gt,
    operator.le: operator.ge,
    operator.gt: operator.lt,
    operator.ge: operator.le,
}


class Arithmetic(Comparison):
    """``+ - * / // % **``, ``divmod``, unary minus, ``abs`` and ``round``."""

    __add__: Any = _forward(operator.add)
    __radd__: Any = _reflected(operator.add)
    __sub__: Any = _forward(operator.sub)
    __rsub__: Any = _reflected(operator.sub)
    __mul__: Any = _forward(operator.mul)
    __rmul__: Any = _reflected(operator.mul)
    __truediv__: Any = _forward(operator.truediv)
    __rtruediv__: Any = _reflected(operator.truediv)
    __floordiv__: Any = _forward(operator.floordiv)
    __rfloordiv__: Any = _reflected(operator.floordiv)
    __mod__: Any = _forward(operator.mod)
    __rmod__: Any = _reflected(operator.mod)
    __divmod__: Any = _forward(divmod)
    __rdivmod__: Any = _reflected(divmod)
    __pow__: Any = _forward(operator.pow)
    __rpow__: Any = _reflected(operator.pow)
    __neg__: Any = _unary(operator.neg)
    __pos__: Any = _unary(operator.pos)
    __abs__: Any = _unary(operator.abs)

    def __round__(self, digits: int | None = None) -> NumericField:
        self.operand(0, operator.add)
        if self.dtype_of_rows == np.bool_:
            return cast("NumericField", +self)  # whole numbers, as of Python's own True and False
        places = digits or 0
        return cast(
            "NumericField", compute(lambda values: exact_integers.rounded(values, places), self)
        )


class Bitwise(Arithmetic):
    """``& | ^ ~`` and ``logical_not``."""

    __and__: Any = _forward(operator.and_)
    __rand__: Any = _reflected(operator.and_)
    __or__: Any = _forward(operator.or_)
    __ror__: Any = _reflected(operator.or_)
    __xor__: Any = _forward(operator.xor)
    __rxor__: Any = _reflected(operator.xor)
    __invert__: Any = _unary(operator.invert)

    def logical_not(self) -> NumericField:
        """Bool field, true where the value is zero."""
        return cast("NumericField", compute(operator.eq, self, 0))
