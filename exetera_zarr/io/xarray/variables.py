"""Columns of a table as arrays of numpy that xarray understands, with what is said of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from exetera_zarr.errors import DataError, needing
from exetera_zarr.fieldtypes import label_text
from exetera_zarr.io.arrow.stream import ArrowStream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import xarray as xr

    from exetera_zarr.fields.base import Field
    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["ROW", "Variable", "dataset_of", "variable_of"]

ROW = "row"
"""The dimension of all variables, as Zarr has it."""
_MOMENT = np.dtype("datetime64[us]")
_EXACT = 1 << 53
"""The whole numbers up to this one are exact as float64."""
_EPOCH = "seconds since 1970-01-01"


@dataclass(frozen=True)
class Variable:
    """
    How a column of Arrow becomes an array of numpy.

    Parameters
    ----------
    dtype
        Of the array.
    attributes
        What is said of it, as CF has it.
    make
        Makes the array; DataError where it cannot hold a value.
    """

    dtype: np.dtype[Any]
    attributes: dict[str, Any]
    make: Callable[[pa.Array], AnyArray]


def variable_of(field: Field, *, raw: bool) -> Variable:
    """
    How a field becomes a variable.

    Parameters
    ----------
    field
        Of a table.
    raw
        Whether what is stored is wanted: codes, and seconds, with attributes that tell of them.
    """
    raw = raw or not field.face.sees_missing
    said = _said(field, raw=raw)
    if field.indexed or field.type_name == "fixedstring" or (_has_names(field) and not raw):
        return Variable(np.dtype(object), said, _objects)
    if field.type_name == "timestamp" and not raw:
        return Variable(_MOMENT, said, _moments)
    stored = field.dtype_of_rows.newbyteorder("=")
    if raw or stored.kind == "f" or field.validity is None:
        return Variable(stored, said, lambda array: _numbers(array, stored))
    wide = np.dtype("f4") if stored.itemsize <= 2 else np.dtype("f8")
    return Variable(wide, said, lambda array: _with_nan(array, stored, wide, field.phrase()))


def _has_names(field: Field) -> bool:
    return field.type_name == "categorical"


def _said(field: Field, *, raw: bool) -> dict[str, Any]:
    """The codebook of a field in the words of CF, and what its codes mean."""
    said = {"long_name": field.label, "units": field.unit, "comment": field.description}
    found: dict[str, Any] = {key: value for key, value in said.items() if value is not None}
    if field.type_name == "timestamp":
        found.pop("units", None)  # which are those of time, and xarray's own affair
        if raw:
            found["units"] = _EPOCH
    if _has_names(field):
        keys = dict(sorted(field.keys.items()))  # type: ignore[attr-defined]
        names = [label_text(name) for name in keys.values()]
        if raw:
            found["flag_values"] = np.asarray([*keys], field.dtype_of_rows)
            found["flag_meanings"] = " ".join("_".join(name.split()) for name in names)
        else:
            found["categories"] = names
    return found


# -- arrays


def _objects(array: pa.Array) -> AnyArray:
    values = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
    found = np.empty(len(values), object)
    found[:] = values.to_pylist()
    return found


def _moments(array: pa.Array) -> AnyArray:
    whole = np.asarray(array.cast(pa.int64()).fill_null(np.iinfo("i8").min))
    return whole.astype("i8").view(_MOMENT)  # of which the least is no time


def _numbers(array: pa.Array, dtype: np.dtype[Any]) -> AnyArray:
    if array.null_count:  # of floats, where it is NaN
        array = array.fill_null(np.nan)
    found: AnyArray = array.to_numpy(zero_copy_only=False).astype(dtype, copy=False)
    return found


def _with_nan(array: pa.Array, stored: np.dtype[Any], wide: np.dtype[Any], phrase: str) -> AnyArray:
    """Whole numbers and bool as floats, of which NaN are those that are missing."""
    there = array.is_valid().to_numpy(zero_copy_only=False)
    filled = array.fill_null(False if stored.kind == "b" else 0)
    values = filled.to_numpy(zero_copy_only=False)
    if stored.itemsize == 8:
        large = (values > _EXACT) | (values < -_EXACT if stored.kind == "i" else False)
        if large.any():
            raise DataError(
                f"{phrase} has missing values and the number {values[large][0]}, which xarray's "
                "arrays, being floats where values are missing, cannot hold exactly: raw=True "
                "gives what is stored"
            )
    found: AnyArray = np.where(there, values.astype(wide), np.nan).astype(wide, copy=False)
    return found


# -- whole tables


def dataset_of(
    frame: DataFrame, columns: str | Sequence[str] | None, where: Any, *, raw: bool
) -> xr.Dataset:
    """A table as a dataset of xarray in memory; see `DataFrame.to_xarray`."""
    with needing("to_xarray", "exetera-zarr[xarray]"):
        import xarray as xr

    stream = ArrowStream(frame, columns, where, raw=raw)
    made = {name: variable_of(frame[name], raw=raw) for name in stream.schema.names}
    parts: dict[str, list[AnyArray]] = {
        name: [np.empty(0, variable.dtype)] for name, variable in made.items()
    }
    for batch in stream.batches():
        for name, variable in made.items():
            parts[name].append(variable.make(batch[name]))
    said = {"title": frame.label, "comment": frame.description}
    return xr.Dataset(
        {
            name: (ROW, np.concatenate(parts.pop(name)), variable.attributes)
            for name, variable in made.items()
        },
        attrs={key: value for key, value in said.items() if value is not None},
    )
