"""numpy's functions of whole arrays, called with fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import DataError
from exetera_zarr.fields.missing.answers import answers
from exetera_zarr.fields.missing.companions import any_missing, holds_nan
from exetera_zarr.fields.missing.keys import check_comparable
from exetera_zarr.fields.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
_WRITING = {np.copyto, np.place, np.put, np.putmask}
"""Those that change what they are given: of a field that would be an array nobody sees again."""
_RECKONING = {
    np.convolve,
    np.correlate,
    np.diff,
    np.dot,
    np.ediff1d,
    np.gradient,
    np.inner,
    np.outer,
    np.vdot,
}
"""Those that reckon in the type of the rows, in which whole numbers would wrap around."""
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
    """
    args, kwargs = _first_by_place(args, kwargs)
    first = args[0] if args else None
    if function in _WRITING and isinstance(first, Rows):
        raise DataError(
            f"numpy.{function.__name__} changes an array, and a field is none: write "
            "field.data[rows] = values, where rows may be a condition"
        )
    if function is np.isclose and any(map(_sees_missing, (*args, *kwargs.values()))):
        return _isclose(*args, **kwargs)
    if _sees_missing(first):
        found = _of_field(function, first, args[1:], kwargs)
        if found is not NotImplemented:
            return found
    elif function is np.isin and len(args) > 1 and _sees_missing(args[1]):
        args = (first, _values(args[1]), *args[2:])
    if function in _TAKING_NAN:
        for one in args[:1] if function in _OF_CONDITIONS else (*args, *kwargs.values()):
            _refuse_nan(function, one)
    if function in _TOGETHER:
        check_comparable(*([field] for field in _categorical((*args, *kwargs.values()))))
    if function in _RECKONING:
        args = tuple(_wide(one) for one in args)
        kwargs = {name: _wide(value) for name, value in kwargs.items()}
    return function(*_plain(args), **{name: _plain(value) for name, value in kwargs.items()})


def _categorical(values: Any) -> Iterator[Any]:
    """The fields of categories among what is given, and in lists of that."""
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _categorical(value)
            continue
        field = getattr(value, "field", value) if isinstance(value, Rows) else None
        if getattr(field, "type_name", None) == "categorical":
            yield field


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
    if function in _OF_VALUES and options.get("weights") is None:
        values = _values(field)
        if function is np.ptp and values.dtype.kind in "iu" and values.size:
            return int(values.max()) - int(values.min())
        return function(values, *_plain(others), **options)
    if others:
        return NotImplemented
    if function in _OF_ALL_ROWS and not options:
        return _OF_ALL_ROWS[function](field)
    if _of_all(left := dict(options)):
        if function in _STATISTICS and not left:
            return _STATISTICS[function](field)
        if function in _BY_DDOF and set(left) == {"ddof"}:
            return _BY_DDOF[function](field, left["ddof"])
    return NotImplemented


def _of_all(options: dict[str, Any]) -> bool:
    """Whether options say that it is about all rows; those that say only that are taken out."""
    axis, keeps = options.pop("axis", None), options.pop("keepdims", False)
    return axis in (None, 0, -1) and keeps is False


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
    known: Any = np.True_
    for one in (a, b):
        if _sees_missing(one):
            known = known & one.notna().data[:]
    stored = [one.data[:] if _sees_missing(one) else _plain(one) for one in (a, b)]
    found = np.isclose(*stored, *tolerances, **options)
    return answers(found, np.broadcast_to(known, found.shape))


def _wide(value: Any) -> Any:
    """Whole numbers of a field, or that were one, in a type in which they do not wrap around."""
    if isinstance(value, Rows):
        if not (_sees_missing(value) or _sees_missing(getattr(value, "field", None))):
            return value  # as ExeTera has it
        value = np.asarray(value)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iu" or not value.size:
        return value
    fits = int(value.min()) >= -(1 << 62) and int(value.max()) < 1 << 62
    return value.astype(np.int64 if fits else object)


def _count_nonzero(field: Any) -> int:
    if field.indexed or field.type_name == "fixedstring":
        return int(np.count_nonzero(np.asarray(field)))
    return sum(
        int(np.count_nonzero(column if mask is None else column[mask]))
        for column, mask in field.masked_blocks()
    )


def _values(field: Any) -> Any:
    """The values that there are, in an array."""
    return np.asarray(field.apply_filter(field.notna()))


def _refuse_nan(function: Any, field: Any) -> None:
    if _sees_missing(field) and holds_nan(field.empty_column()) and any_missing(field):
        raise DataError(
            f"to numpy.{function.__name__} NaN is a value like others, and {field.phrase()} has "
            "missing values: write field.fillna(...) to put a value in their place, or "
            "field.apply_filter(field.notna()) for the rows that have a value"
        )


def _sees_missing(field: Any) -> bool:
    return hasattr(field, "masked_blocks") and bool(field.face.sees_missing)


def _plain(value: Any) -> Any:
    """The same with arrays in the place of fields."""
    if isinstance(value, Rows):
        return np.asarray(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(one) for one in value)
    return value
