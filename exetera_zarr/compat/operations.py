"""What scripts call of ExeTera's `core.operations`; the rest says what takes its place."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr import fieldtypes
from exetera_zarr.engine.columns import comparable_keys, selection, spans
from exetera_zarr.errors import DataError, UnsupportedError
from exetera_zarr.fields.base import Field, column_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from exetera_zarr.storage.base import AnyArray

__all__ = [
    "DEFAULT_CHUNKSIZE",
    "INVALID_INDEX",
    "INVALID_INDEX_32",
    "INVALID_INDEX_64",
    "MAX_DATETIME",
    "check_if_sorted_for_multi_fields",
    "chunks",
    "count_back",
    "data_iterator",
    "filter_duplicate_fields",
    "foreign_key_is_in_primary_key",
    "get_spans_for_field",
    "is_ordered",
    "map_valid",
    "ordered_get_last_as_filter",
    "str_to_dtype",
]

DEFAULT_CHUNKSIZE = 1 << 20
INVALID_INDEX = INVALID_INDEX_64 = 1 << 62
"""From here on a row number means that there is no row."""
INVALID_INDEX_32 = (1 << 31) - 1
MAX_DATETIME = datetime(3000, 1, 1)  # noqa: DTZ001 - ExeTera's has no time zone
"""What stands for no end."""


def chunks(length: int, chunksize: int = DEFAULT_CHUNKSIZE) -> Iterator[tuple[int, int]]:
    """Start and end of each chunk of that many rows."""
    for start in range(0, length, chunksize):
        yield start, min(start + chunksize, length)


def data_iterator(data_field: Field, chunksize: int = DEFAULT_CHUNKSIZE) -> Iterator[Any]:
    """The values of a field one by one, read that many rows at a time."""
    for start, stop in chunks(len(data_field), chunksize):
        yield from data_field.data[start:stop]


def is_ordered(field: AnyArray) -> bool:
    """Whether no value is less than the one before it."""
    return bool(selection.is_sorted(column_of(field)))


def get_spans_for_field(ndarray: AnyArray) -> AnyArray:
    """Starts of the runs of equal adjacent values, and their number at the end."""
    return _get_spans_for_multi_fields([ndarray])


def _get_spans_for_2_fields(ndarray0: AnyArray, ndarray1: AnyArray) -> AnyArray:
    """The same of rows that are equal in both arrays; scripts call it by this name."""
    return _get_spans_for_multi_fields([ndarray0, ndarray1])


def _get_spans_for_multi_fields(fields_data: Sequence[AnyArray] | AnyArray) -> AnyArray:
    """The same of rows that are equal in all arrays; scripts call it by this name."""
    found = spans.find_spans([column_of(column) for column in fields_data])
    return found.astype(np.int32) if found[-1] < INVALID_INDEX_32 else found


def check_if_sorted_for_multi_fields(fields_data: Sequence[AnyArray] | AnyArray) -> bool:
    """Whether rows of keys, the leading one first, are in order."""
    order = np.lexsort([np.asarray(column_of(column)) for column in fields_data][::-1])
    return bool((order == np.arange(len(order))).all())


def count_back(array: AnyArray) -> int:
    """The row at which the last run of equal values starts."""
    return int(get_spans_for_field(array)[-2]) if len(array) else 0


def ordered_get_last_as_filter(field: AnyArray) -> AnyArray:
    """Bool array, true for the last row of each run of equal values."""
    runs = get_spans_for_field(field)
    result = np.zeros(len(field), bool)
    result[runs[1:] - 1] = True
    return result


def map_valid(
    data_field: Field | AnyArray,
    map_field: Field | AnyArray,
    result: AnyArray | None = None,
    invalid: int = -1,
) -> AnyArray:
    """
    Rows by number, and 0 or the empty string where there is none.

    Parameters
    ----------
    data_field
        The values to choose from.
    map_field
        Row numbers.
    result : ndarray
        Where to put them; rows without a number are left as they are.
    invalid
        The number that means none.

    Raises
    ------
    IndexError
        Another row does not exist.
    """
    rows, column = np.asarray(column_of(map_field)), column_of(data_field)
    if not isinstance(column, np.ndarray):
        raise UnsupportedError("map_valid is of numbers and fixed strings: use merge for others")
    present = rows != invalid
    wanted = rows[present]
    bad = (wanted < 0) | (wanted >= len(column))
    if bad.any():
        raise IndexError(f"row {wanted[bad][0]} of {len(column)}")
    if result is None:
        result = np.zeros(len(rows), column.dtype)
    result[present] = column[wanted]
    return result


def filter_duplicate_fields(field: Field | AnyArray) -> AnyArray:
    """Bool array, true for the first row with each value."""
    column = column_of(field)
    codes, _ = comparable_keys.joint_codes(*comparable_keys.align([column], [column[:0]]))
    result = np.zeros(len(codes), bool)
    result[np.unique(codes, return_index=True)[1]] = True
    return result


def foreign_key_is_in_primary_key(
    primary_key: Field | AnyArray, foreign_key: Field | AnyArray
) -> AnyArray:
    """Bool array, true for each foreign key that is one of the primary keys."""
    sides = comparable_keys.align([column_of(foreign_key)], [column_of(primary_key)])
    foreign, primary = comparable_keys.joint_codes(*sides)
    return np.isin(foreign, primary)


def str_to_dtype(str_dtype: str) -> np.dtype[Any]:
    """The number type of that name; ValueError where there is none."""
    if not isinstance(str_dtype, str):
        raise DataError(f"the name of a type is a str, not a {type(str_dtype).__name__}")
    return np.dtype(fieldtypes.dtype_to_str(str_dtype))


# -- kernels, which were never meant for scripts

_REPLACEMENTS = (
    ("journal", "DataFrame.journal"),
    ("ordered_|safe_map|map_subchunk|map_datatype", "exetera_zarr.merge"),
    ("apply_spans_concat", "Session.apply_spans_concat"),
    ("apply_spans", "the functions of that name of a Session, or the methods of a field"),
    ("get_spans", "Session.get_spans, or the method of a field"),
    ("apply_(filter|indices)_to", "apply_filter and apply_index of a table, a field or a Session"),
    ("unique", "the method unique of a field"),
    ("isin", "the method isin of a field"),
    ("streaming_sort", "DataFrame.sort_values"),
    ("transform|byte_map|raiseNumeric", "exetera_zarr.import_csv"),
    ("chunk", "slices of the data of a field"),
    ("compare_arrays", "numpy.array_equal"),
    ("valid_value_extents", "numpy.flatnonzero"),
)


def __getattr__(name: str) -> Any:
    if not name.startswith("__"):
        for pattern, instead in _REPLACEMENTS:
            if re.search(pattern, name):
                raise UnsupportedError(
                    f"ExeTera's operations.{name} is not here, being a step of its inner workings; "
                    f"use {instead}"
                )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
