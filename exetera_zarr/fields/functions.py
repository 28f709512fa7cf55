"""Functions over fields that give a field in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.engine.sort import sorting
from exetera_zarr.errors import DataError, UnsupportedError
from exetera_zarr.fields import create
from exetera_zarr.fields.base import Field
from exetera_zarr.fields.data import RawData, StringData
from exetera_zarr.fields.missing.keys import directions, key_source
from exetera_zarr.fields.sources import workspace
from exetera_zarr.fields.writing.given import in_a_row, number_array, split_missing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exetera_zarr.fields.categorical import CategoricalField
    from exetera_zarr.fields.numeric import NumericField
    from exetera_zarr.storage.base import AnyArray

__all__ = ["argsort", "as_field", "isin"]

_ROW_TYPES = ("int32", "int64", "uint32")


def isin(field: Field, test_elements: Any) -> NumericField:
    """
    Row by row, whether a value is one of `test_elements`.

    Parameters
    ----------
    field
        Of any type.
    test_elements
        As of the field's own `isin`.

    Returns
    -------
    NumericField of bool
        In memory; missing where the value is.

    Raises
    ------
    ValueError
        `field` is no field.
    """
    if not isinstance(field, Field):
        raise DataError(f"isin is of a field, not of a {type(field).__name__}")
    result = create.numeric_in_memory(field.session, "bool")
    result.data.write(field.isin(test_elements))
    return result


def as_field(data: AnyArray, key: Mapping[Any, Any] | None = None) -> Field:
    """
    An array as a field in memory.

    Parameters
    ----------
    data : ndarray
        Of numbers or bool; it is copied. What is masked is missing, as is None in a list, and what
        is missing of a field or a column of pandas or Arrow.
    key
        ``{name: code}``, which makes it a categorical field.

    Raises
    ------
    UnsupportedError
        The array is of something else, such as strings.
    """
    values, mask = _given(data)
    if values.dtype.kind not in "biuf" or values.ndim != 1:
        raise UnsupportedError(
            f"as_field takes one dimension of numbers, not {values.ndim} of {values.dtype}; for "
            "strings create a field and write to it"
        )
    field: CategoricalField | NumericField
    if key is None:
        field = create.numeric_in_memory(None, values.dtype)
    else:
        field = create.categorical_in_memory(None, values.dtype, key)
    field.data.write(values if mask is None else np.ma.masked_array(values, ~mask))
    return field


def _given(data: Any) -> tuple[AnyArray, AnyArray | None]:
    """An array, and which of its values there are; None for all."""
    if isinstance(data, (RawData, StringData)):
        data = data.as_rows()
    if isinstance(data, Field):
        column, mask = data.masked_rows()
        return np.asarray(column), mask
    values, mask = split_missing(in_a_row(data, "as_field"))
    if mask is not None and not mask.any():
        dtype = data.dtype if isinstance(data, np.ma.MaskedArray) else np.dtype(object)
        values = np.zeros(mask.shape, dtype if dtype.kind in "biuf" else np.float64)
    array = number_array(values)
    return (array if array.dtype.kind != "O" else np.asarray(values)), mask


def argsort(field: Field, dtype: Any = None) -> NumericField:
    """
    The row numbers that sort a field, stably; what is missing, as NaN is, comes last.

    Parameters
    ----------
    field
        Of any type.
    dtype
        ``'int32'``, ``'int64'`` or ``'uint32'``; it has to be given.

    Returns
    -------
    NumericField
        Of that type, in memory.

    Raises
    ------
    ValueError
        Another type, or the field has more rows than it can number.
    """
    if dtype not in _ROW_TYPES:
        raise DataError(f"the dtype of row numbers is one of {', '.join(_ROW_TYPES)}, not {dtype}")
    if not isinstance(field, Field):
        raise DataError(f"argsort is of a field, not of a {type(field).__name__}")
    result = create.numeric_in_memory(field.session, dtype)
    with workspace(field.settings) as work:
        (keys,), split = key_source([field])
        rows = sorting.sort_rows(keys, directions(True, split), work)
        if rows is None:
            result.data.write(np.arange(len(field)))
        else:
            for some in rows.blocks(1 << 20):
                result.data.write_part(some)
    return result
