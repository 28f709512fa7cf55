"""numpy's functions of whole arrays, called with fields."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import ArgumentTypeError, DataError
from exetera_zarr.fields.expressions import known_functions as known
from exetera_zarr.fields.expressions import wide_arrays
from exetera_zarr.fields.missing.answers import answers
from exetera_zarr.fields.missing.companions import any_missing, holds_nan
from exetera_zarr.fields.missing.keys import check_comparable
from exetera_zarr.fields.rows import Rows
from exetera_zarr.fields.writing.given import number_array

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from exetera_zarr.storage.base import AnyArray

__all__ = ["call"]

_STATISTICS: dict[Any, Callable[[Any], Any]] = {
    np.sum: lambda field: field.sum(),
    np.nansum: lambda field: field.sum(),
    np.mean: lambda field: field.mean(),
    np.average: lambda field: field.mean(),
    np.nanmean: lambda field: field.mean(),
    np.median: lambda field: field.median(),
    np.nanmedian: lambda field: field.median(),
    np.min: lambda field: field.min(),
    np.amin: lambda field: field.min(),
    np.nanmin: lambda field: field.min(),
    np.max: lambda field: field.max(),
    np.amax: lambda field: field.max(),
    np.nanmax: lambda field: field.max(),
    np.std: lambda field: field.std(ddof=0),
    np.nanstd: lambda field: field.std(ddof=0),
    np.var: lambda field: field.var(ddof=0),
    np.nanvar: lambda field: field.var(ddof=0),
    np.count_nonzero: lambda field: _count_nonzero(field),  # noqa: PLW0108 - defined below
}
"""Those that a field answers itself, block by block and without what is missing."""
_OF_ALL_ROWS: dict[Any, Callable[[Any], Any]] = {
    np.size: len,
    np.shape: lambda field: (len(field),),
    np.ndim: lambda field: 1,  # noqa: ARG005 - whatever it is
}
_BY_DDOF: dict[Any, Callable[[Any, Any], Any]] = {
    np.std: lambda field, ddof: field.std(ddof=ddof),
    np.nanstd: lambda field, ddof: field.std(ddof=ddof),
    np.var: lambda field, ddof: field.var(ddof=ddof),
    np.nanvar: lambda field, ddof: field.var(ddof=ddof),
}
_OF_VALUES = {
    np.bincount,
    np.histogram,
    np.histogram_bin_edges,
    np.nanpercentile,
    np.nanquantile,
    np.percentile,
    np.ptp,
    np.quantile,
}
"""Those whose result does not depend on the order, and which are of the values that there are."""
_OF_CODES = {np.bincount, np.histogram, np.histogram_bin_edges}
"""Those that count, and so may count the codes of categories."""
_EXTREMES = {np.min: min, np.amin: min, np.nanmin: min, np.max: max, np.amax: max, np.nanmax: max}
_OF_CONDITIONS = {np.compress, np.extract, np.where}
_TOGETHER = {
    np.append,
    np.array_equal,
    np.array_equiv,
    np.concatenate,
    np.hstack,
    np.intersect1d,
    np.searchsorted,
    np.select,
    np.setdiff1d,
    np.setxor1d,
    np.union1d,
    np.where,
}
"""Those that compare the values of what they are given, or put them in one row."""
_TAKING_NAN = {
    np.all,
    np.any,
    np.argmax,
    np.argmin,
    np.argwhere,
    np.digitize,
    np.flatnonzero,
    np.nonzero,
    np.searchsorted,
    *_OF_CONDITIONS,
}
"""Those to which NaN is a value like others: true, the greatest, in the last bin."""
_OF_MASKS = {np.isclose, np.isin}
"""Those that see which elements of another array are masked."""


def call(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """
    Call a function of numpy's whose arguments hold fields.

    Parameters
    ----------
    function
        One that is no ufunc.
    args, kwargs
        As they were given. Fields become arrays, which is an error where the array has no sign
        for a value that is missing.

    Raises
    ------
    TypeError
        The function is none of those that are known to be right with fields.
    """
    args, kwargs = _first_by_place(args, kwargs)
    first = args[0] if args else None
    if function in known.WRITING and isinstance(first, Rows):
        raise DataError(
            f"{_name(function)} changes an array, and a field is none: write "
            "field.data[rows] = values, where rows may be a condition"
        )
    leaves = list(_leaves((*args, *kwargs.values())))
    if not any(map(_sees_missing, leaves)):
        return function(*_plain(args), **{name: _plain(value) for name, value in kwargs.items()})
    if function is np.isclose:
        return _isclose(*args, **kwargs)
    if function not in _OF_MASKS:
        _refuse_masks(function, leaves)
    try:
        return _called(function, args, kwargs)
    except TypeError as error:
        if isinstance(error, ArgumentTypeError):
            raise
        raise ArgumentTypeError(f"{_name(function)}: {error}") from error


def _called(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    if _sees_missing(args[0] if args else None):
        found = _of_field(function, args[0], args[1:], kwargs)
        if found is not NotImplemented:
            return found
    elif function is np.isin and len(args) > 1 and _sees_missing(args[1]):
        args = (args[0], _values(args[1]), *args[2:])
    if function in _TAKING_NAN:
        for one in args[:1] if function in _OF_CONDITIONS else (*args, *kwargs.values()):
            _refuse_nan(function, one)
    if function in _TOGETHER:
        check_comparable(*([field] for field in _categorical((*args, *kwargs.values()))))
    if function is np.interp:
        for one in (*args[1:], *kwargs.values()):
            _refuse_nan(function, one)
    if function in known.MOVING or function.__module__ in ("numpy.char", "numpy.strings"):
        return function(*_plain(args), **{name: _plain(value) for name, value in kwargs.items()})
    return _reckoned(function, args, kwargs)


# -- what a field answers itself


def _first_by_place(args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The arguments with that which a function is about in the first place, if it has a name."""
    name = next((name for name in ("a", "x", "element") if name in kwargs), None)
    if args or name is None:
        return args, kwargs
    return (kwargs[name],), {other: kwargs[other] for other in kwargs if other != name}


def _of_field(function: Any, field: Any, others: Any, options: dict[str, Any]) -> Any:
    """What a field that sees missing values answers itself; NotImplemented of other functions."""
    if function is np.isin:
        return _isin(field, *others, **options)
    if function in _OF_ALL_ROWS and not others and not options:
        return _OF_ALL_ROWS[function](field)
    if function in (np.round, np.around):
        return _rounded(field, *others, **options)
    if function in _OF_VALUES and options.get("weights") is None:
        if function not in _OF_CODES:
            _check_numbers(function, field)
        values = wide_arrays.wide(_values(field))
        if function is np.ptp and values.dtype.kind in "iu" and values.size:
            return int(values.max()) - int(values.min())
        if function not in _OF_CODES and values.dtype.kind in "iu" and not _differ_in_64(values):
            values = values.astype(np.float64)
        return function(values, *_plain(others), **options)
    if function not in _STATISTICS:
        return NotImplemented
    left, _ = known.named(function, (field, *others), options)
    left.pop(next(iter(left)))
    return _statistic(function, field, left)


def _differ_in_64(values: Any) -> bool:
    """Whether differences of whole numbers have 64 bits as well."""
    return not values.size or int(values.max()) - int(values.min()) < 1 << 63


def _statistic(function: Any, field: Any, options: dict[str, Any]) -> Any:
    """A figure of a field; NotImplemented of options that it has not."""
    where = options.pop("where", True)
    if where is not True:
        if function not in known.REDUCING:
            return NotImplemented
        field = field.apply_filter(where)
    if not _of_all(options):
        return NotImplemented if where is True else _no_such_options(function)
    dtype = options.pop("dtype", None)
    if dtype is not None and np.dtype(dtype) != np.float64:
        return _no_such_options(function)
    if "correction" in options:
        options["ddof"] = options.pop("correction")
    if not options:
        found = _STATISTICS[function](field)
    elif function in _BY_DDOF and set(options) == {"ddof"}:
        found = _BY_DDOF[function](field, options["ddof"])
    elif set(options) == {"initial"} and field.type_name == "numeric":
        found = _from(function, field, options["initial"])
    else:
        return NotImplemented if where is True else _no_such_options(function)
    return found if dtype is None or found is None else np.float64(found)


def _from(function: Any, field: Any, initial: Any) -> Any:
    found = _STATISTICS[function](field)
    if isinstance(initial, np.generic):
        initial = initial.item()
    if function in _EXTREMES:
        return initial if found is None else _EXTREMES[function](found, initial)
    if function in (np.sum, np.nansum):
        return initial + (0 if found is None else found)
    return _no_such_options(function)


def _of_all(options: dict[str, Any]) -> bool:
    """Whether options say that it is about all rows; those that say only that are taken out."""
    axis, keeps = options.pop("axis", None), options.pop("keepdims", False)
    return axis in (None, 0, -1) and keeps is False


def _no_such_options(function: Any) -> Any:
    raise ArgumentTypeError(
        f"{_name(function)} of a field takes no such options: use the field's own methods, or an "
        "array of what is stored, field.data[:]"
    )


def _rounded(field: Any, decimals: int = 0, out: Any = None) -> Any:
    if out is not None:
        _no_such_options(np.round)
    _check_numbers(np.round, field)
    return _array(round(field, decimals))


def _isin(
    element: Any,
    test_elements: Any,
    assume_unique: bool = False,
    invert: bool = False,
    *,
    kind: Any = None,
) -> Any:
    del assume_unique, kind  # which only say how
    found = element.isin(test_elements)
    return ~found if invert else found


def _isclose(a: Any, b: Any, *tolerances: Any, **options: Any) -> Any:
    """As a condition is: neither true nor false where a value is missing."""
    present: Any = np.True_
    for one in (a, b):
        if _sees_missing(one):
            present = present & one.notna().data[:]
        elif isinstance(one, np.ma.MaskedArray):
            present = present & ~np.ma.getmaskarray(one)
    stored: list[Any] = [
        one.data[:] if _sees_missing(one) else np.ma.getdata(_plain(one)) for one in (a, b)
    ]
    found: AnyArray = np.isclose(*stored, *tolerances, **options)
    return answers(found, np.broadcast_to(present, found.shape))


def _count_nonzero(field: Any) -> int:
    if field.indexed or field.type_name == "fixedstring":
        return int(np.count_nonzero(_array(field)))
    return sum(
        int(np.count_nonzero(column if mask is None else column[mask]))
        for column, mask in field.masked_blocks()
    )


def _values(field: Any) -> Any:
    """The values that there are, in an array."""
    return _array(field.apply_filter(field.notna()))


# -- what is reckoned with arrays of other types


def _reckoned(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """A function of numpy's with arrays in which whole numbers do not wrap around."""
    if not any(
        function in group
        for group in (known.TOGETHER, known.DATA_OF_SUMS, known.PRODUCTS, known.WIDE, _POLYNOMIALS)
    ):
        raise ArgumentTypeError(
            f"{_name(function)} does not know fields, and in the types that they are stored in "
            "whole numbers may wrap around without a word: use the field's own operators and "
            "methods, or field.data[:] for an array of what is stored"
        )
    given, calling = known.named(function, args, kwargs)
    where = given.pop("where", True)
    if where is not True:
        name = next(iter(given))
        if not _sees_missing(given[name]):
            _no_such_options(function)
        given[name] = given[name].apply_filter(where)
    _check_types(function, given)
    if function in known.TOGETHER:
        return calling(_brought_together(given, known.TOGETHER[function]))
    for one in _leaves(given.values()):
        _check_numbers(function, one)
    if function in known.WIDE:
        return calling({name: _each(wide_arrays.wide, value) for name, value in given.items()})
    if function in _POLYNOMIALS:
        names: tuple[str, ...] = ("p", "x")
    else:
        names = known.DATA_OF_SUMS.get(function) or (known.PRODUCTS[function],)
    data = {name: _of_numbers(given[name]) for name in names if name in given}
    arrays = [one for one in _leaves(data.values()) if isinstance(one, np.ndarray)]

    def call_with(convert: Callable[[Any], Any]) -> Any:
        others = {name: _plain(value) for name, value in given.items()}
        changed = {name: _each(convert, value) for name, value in data.items()}
        return calling({name: changed.get(name, value) for name, value in others.items()})

    if function in known.PRODUCTS:
        return wide_arrays.multiplied(arrays, call_with)
    if function in _POLYNOMIALS:
        return wide_arrays.polynomial(arrays, call_with)
    return wide_arrays.exactly(arrays, _factor(function, arrays, given), call_with)


_POLYNOMIALS = {np.polyval}


def _factor(function: Any, arrays: Iterable[Any], given: dict[str, Any]) -> int:
    """What a product of one number of each array is at most multiplied with in a result."""
    sizes = [max(one.size, 1) for one in arrays]
    summands = math.prod(sizes) if function is np.einsum else max(sizes, default=1)
    times = int(given.get("n", 1)) if function is np.diff else 1
    return int(4 * summands * 2 ** min(times, 64))


def _check_types(function: Any, given: dict[str, Any]) -> None:
    """Raise where somebody asks for results of a type in which they may wrap around."""
    dtype, out = given.get("dtype"), given.get("out")
    if out is not None or (dtype is not None and np.dtype(dtype) != np.float64):
        raise ArgumentTypeError(
            f"{_name(function)} of a field takes no out=, and no dtype= but float64: its result "
            "has a type that holds it; convert that where another is wanted"
        )
    if given.get("initial") is not None and function in (*known.PRODUCTS, *known.DATA_OF_SUMS):
        _no_such_options(function)


def _brought_together(given: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """The arguments with those of these names, and with what is in their lists, in one type."""
    plain = {name: _plain(value) for name, value in given.items()}
    parts: list[Any] = []
    for name in names:
        if plain.get(name) is not None:
            held = given[name]
            parts += plain[name] if _is_list_of_arrays(name, held) else [plain[name]]
    found = iter(wide_arrays.together(parts))
    for name in names:
        value = plain.get(name)
        if value is not None:
            listed = _is_list_of_arrays(name, given[name])
            plain[name] = [next(found) for _ in value] if listed else next(found)
    return plain


def _is_list_of_arrays(name: str, value: Any) -> bool:
    return name in ("arrays", "tup", "choices", "choicelist") and isinstance(value, (list, tuple))


def _each(convert: Callable[[Any], Any], value: Any) -> Any:
    """A value of an argument, or each of those in a list that holds arrays, converted."""
    if isinstance(value, Rows):
        return convert(_array(value))
    if isinstance(value, (list, tuple)) and any(
        isinstance(one, (Rows, np.ndarray)) for one in value
    ):
        arrays = [isinstance(one, (Rows, np.ndarray)) for one in value]
        chosen = [_plain(one) for one, is_array in zip(value, arrays, strict=True) if is_array]
        found = iter([convert(one) for one in wide_arrays.together(chosen)])
        return type(value)(
            next(found) if is_array else one for one, is_array in zip(value, arrays, strict=True)
        )
    return convert(value)


def _of_numbers(value: Any) -> Any:
    """An argument that is reckoned with: a field, a list or a number as an array of numbers."""
    if isinstance(value, Rows):
        return _array(value)
    if isinstance(value, (list, tuple)) and any(map(_is_rows, _leaves(value))):
        return _each(_array, value)
    if isinstance(value, (list, int, float, np.number, np.bool_)):
        array = number_array(value)
        return array if array.dtype.kind in "biuf" or array.size else value
    return value


# -- what is refused


def _categorical(values: Iterable[Any]) -> Iterator[Any]:
    """The fields of categories among what is given, and in lists of that."""
    for value in _leaves(values):
        field = getattr(value, "field", value) if isinstance(value, Rows) else None
        if getattr(field, "type_name", None) == "categorical":
            yield field


def _check_numbers(function: Any, value: Any) -> None:
    """Raise where a field holds text, or codes that stand for names."""
    if not _sees_missing(value) or (function in _OF_CODES and value.type_name == "categorical"):
        return
    if value.operand(0, operator.add) is NotImplemented:
        raise ArgumentTypeError(f"{value.phrase()}: {_name(function)} is of numbers")


def _refuse_nan(function: Any, field: Any) -> None:
    if _sees_missing(field) and holds_nan(field.empty_column()) and any_missing(field):
        raise DataError(
            f"to {_name(function)} NaN is a value like others, and {field.phrase()} has "
            "missing values: write field.fillna(...) to put a value in their place, or "
            "field.apply_filter(field.notna()) for the rows that have a value"
        )


def _refuse_masks(function: Any, leaves: Iterable[Any]) -> None:
    for one in leaves:
        if isinstance(one, np.ma.MaskedArray) and np.ma.getmaskarray(one).any():
            raise DataError(
                f"{_name(function)} of a field does not see what is masked in another array: "
                "write array.filled(...) to put a value in its place"
            )


def _name(function: Any) -> str:
    return f"{function.__module__}.{function.__name__}"


def _is_rows(value: Any) -> bool:
    return isinstance(value, Rows)


def _leaves(values: Iterable[Any]) -> Iterator[Any]:
    """All values, those in lists as well that hold fields or arrays."""
    for one in values:
        if isinstance(one, (list, tuple)):
            yield from _leaves(one)
        else:
            yield one


def _sees_missing(field: Any) -> bool:
    return hasattr(field, "masked_blocks") and bool(field.face.sees_missing)


def _array(value: Any) -> AnyArray:
    """An array of numbers, also of a field whose own array has names or dates."""
    array: AnyArray = value.as_stored() if hasattr(value, "as_stored") else np.asarray(value)
    return array


def _plain(value: Any) -> Any:
    """The same with arrays in the place of fields."""
    if isinstance(value, Rows):
        return _array(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(one) for one in value)
    return value
