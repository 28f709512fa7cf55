"""numpy's functions of whole arrays, called with fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

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
    np.nanmin: lambda field: field.min(),
    np.max: lambda field: field.max(),
    np.nanmax: lambda field: field.max(),
    np.std: lambda field: field.std(ddof=0),
    np.nanstd: lambda field: field.std(ddof=0),
    np.var: lambda field: field.var(ddof=0),
    np.nanvar: lambda field: field.var(ddof=0),
}
"""Those that a field answers itself, block by block and without what is missing."""


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
    statistic = _STATISTICS.get(function)
    if statistic is not None and not kwargs and len(args) == 1 and _sees_missing(args[0]):
        return statistic(args[0])
    return function(*_plain(args), **{name: _plain(value) for name, value in kwargs.items()})


def _sees_missing(field: Any) -> bool:
    return hasattr(field, "masked_blocks") and bool(field.face.sees_missing)


def _plain(value: Any) -> Any:
    """The same with arrays in the place of fields."""
    if isinstance(value, Rows):
        return np.asarray(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(one) for one in value)
    return value
