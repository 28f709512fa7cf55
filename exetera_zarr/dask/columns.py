"""Columns of collections, in types that fields are made by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np

from exetera_zarr.errors import ArgumentError, ArgumentTypeError, DataError, NameTakenError

if TYPE_CHECKING:
    import dask.dataframe as dd

    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["as_frame", "check_types"]


def as_frame(table: DataFrame, name: str, array: Any) -> dd.DataFrame:
    """
    An array of Dask as a collection of one column.

    Parameters
    ----------
    table
        Which is to have the column.
    name
        Of the column.
    array
        What was given.

    Raises
    ------
    ArgumentError, ArgumentTypeError, DataError, NameTakenError
        The table takes no column of that name, or none of such an array.
    """
    if table.is_view or table.group.storage is None:
        raise ArgumentError(f"{table.name!r} is no table of a dataset, which alone takes columns")
    if not isinstance(name, str):
        raise ArgumentTypeError(f"a name is a str, not a {type(name).__name__}")
    if not isinstance(array, da.Array) or array.ndim != 1:
        given = f"one of {array.ndim}" if isinstance(array, da.Array) else type(array).__name__
        raise ArgumentTypeError(
            f"write_dask_array takes an array of Dask of one dimension, not {given}"
        )
    if isinstance(array._meta, np.ma.MaskedArray):  # noqa: SLF001 - Dask's word
        raise ArgumentTypeError(
            "a masked array of Dask loses its mask on the way: give floats with NaN, by "
            "da.ma.filled(array.astype(float), numpy.nan)"
        )
    if name in table:
        raise NameTakenError(
            f"the table {table.name!r} has {name!r} already: give another name, or delete it first"
        )
    if array.dtype.kind == "O":
        raise DataError(
            f"which type the values of {name!r} have is not known before they are reckoned: write "
            "array.astype(float), or .astype('datetime64[us]') for dates, or .astype('U') for text "
            "of which none is missing"
        )
    if array.dtype.kind == "U":  # of which Dask would make objects
        return array.astype(object).to_dask_dataframe(columns=name).astype("string").to_frame(name)
    return _in_units_of_pandas(array).to_dask_dataframe(columns=name).to_frame(name)


def _in_units_of_pandas(array: da.Array) -> da.Array:
    """Dates and times in a unit that columns of pandas may have; all else as it is."""
    if array.dtype.kind not in "mM":
        return array
    kind = "datetime64" if array.dtype.kind == "M" else "timedelta64"
    unit = np.datetime_data(array.dtype)[0]
    if unit in ("s", "ms", "us", "ns"):
        return array
    if unit in ("W", "D", "h", "m") or (kind == "datetime64" and unit in ("Y", "M")):
        return array.astype(f"{kind}[s]")
    raise DataError(f"no column of Dask is of {array.dtype}: write array.astype('{kind}[us]')")


def check_types(collection: dd.DataFrame) -> None:
    """Raise DataError where the types of a collection do not say which fields it needs."""
    unknown = [
        str(name)
        for name, kind in collection.dtypes.items()
        if kind == "category" and not collection[name].cat.known
    ]
    if unknown:
        raise DataError(
            f"which categories {unknown[0]!r} has is not known before it is reckoned: write "
            f"ddf[{unknown[0]!r}].cat.as_known(), or .astype('string') to have text"
        )
    objects = [str(name) for name, kind in collection.dtypes.items() if str(kind) == "object"]
    if objects:
        raise DataError(
            f"which type the values of {objects[0]!r} have is not known before they are reckoned, "
            f"since its dtype is object: write ddf.astype({{{objects[0]!r}: 'string'}}), or "
            "'Int64' for whole numbers, 'float64' for decimals, 'datetime64[us]' for dates"
        )
