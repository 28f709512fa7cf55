"""numpy's functions of whole arrays, called with fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import DataError
from exetera_zarr.fields.missing.companions import any_missing, holds_nan
from exetera_zarr.fields.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Callable

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
    first = args[0] if args else None
    if _sees_missing(first):
        if function is np.isin:
            return _isin(*args, **kwargs)
        if len(args) == 1 and _of_all(options := dict(kwargs)):
            if function in _STATISTICS and not options:
                return _STATISTICS[function](first)
            if function in _BY_DDOF and set(options) == {"ddof"}:
                return _BY_DDOF[function](first, options["ddof"])
        if function in _OF_VALUES and kwargs.get("weights") is None:
            args = (_values(first), *args[1:])
    elif function is np.isin and len(args) > 1 and _sees_missing(args[1]):
        args = (first, _values(args[1]), *args[2:])
    if function in _TAKING_NAN:
        for one in args[:1] if function in _OF_CONDITIONS else (*args, *kwargs.values()):
            _refuse_nan(function, one)
    return function(*_plain(args), **{name: _plain(value) for name, value in kwargs.items()})


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
