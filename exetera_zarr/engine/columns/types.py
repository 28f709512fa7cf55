"""What the engine calls a column, and the few questions that every module asks of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from exetera_zarr.errors import ArgumentError, ArgumentTypeError, RowError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "BoolArray",
    "ByteArray",
    "Column",
    "IntArray",
    "common_length",
    "integer_array",
    "is_strings",
    "kind",
    "phrase",
    "require_column",
]

IntArray: TypeAlias = npt.NDArray[np.int64]
ByteArray: TypeAlias = npt.NDArray[np.uint8]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
#: Numbers, bool or ``S<width>`` as numpy; variable strings as Arrow ``large_binary`` without nulls.
Column: TypeAlias = "npt.NDArray[Any] | pa.LargeBinaryArray"

_NUMPY_KINDS = "biufS"


def is_strings(col: Column) -> bool:
    """Whether a column holds variable strings (Arrow) rather than numpy values."""
    return isinstance(col, pa.Array)


def phrase(col: Column) -> str:
    """The type of a column in words, for messages."""
    return "string" if is_strings(col) else str(col.dtype)


def kind(col: Column) -> Any:
    """The type of a column, in which fixed strings of all widths, and both byte orders, are one."""
    if is_strings(col):
        return "strings"
    return "S" if col.dtype.kind == "S" else col.dtype.newbyteorder("=")


def require_column(col: Column) -> Column:
    """Return `col` if it is a column.

    Raises
    ------
    TypeError
        If it is not a numpy array of numbers, bool or fixed strings, nor an Arrow ``large_binary``
        array.
    ValueError
        If it has more than one dimension, or nulls.
    """
    if isinstance(col, np.ndarray):
        if col.dtype.kind not in _NUMPY_KINDS:
            raise ArgumentTypeError(
                f"a column of dtype {col.dtype} is not numbers, bool or fixed strings"
            )
        if col.ndim != 1:
            raise ArgumentError(f"a column has one dimension, this array has {col.ndim}")
        return col
    if not isinstance(col, pa.LargeBinaryArray):
        raise ArgumentTypeError(
            f"{type(col).__name__} is not a column: neither a numpy array nor a LargeBinaryArray"
        )
    if col.null_count:
        raise ArgumentError("a column of strings has no nulls; as_strings() makes them empty")
    return col


def common_length(columns: Sequence[Column]) -> int:
    """The number of rows that all `columns` have.

    Raises
    ------
    ValueError
        If there are no columns, or their lengths differ.
    """
    if len(columns) == 0:
        raise ArgumentError("at least one column is needed")
    lengths = [len(require_column(col)) for col in columns]
    if len(set(lengths)) > 1:
        raise ArgumentError(f"the columns have different lengths: {lengths}")
    return lengths[0]


def integer_array(values: Any, what: str) -> IntArray:
    """`values` as a one-dimensional int64 array.

    Raises
    ------
    TypeError
        If they are not integers (bool is not; an empty list is taken as no integers).
    ValueError
        If they are not one-dimensional.
    IndexError
        If an unsigned value does not fit int64: as a row number it is out of range everywhere.
    """
    array = np.asarray(values)
    if array.ndim != 1:
        raise ArgumentError(f"{what} must have one dimension, not {array.ndim}")
    if array.dtype.kind not in "iu":
        if len(array) == 0 and not isinstance(values, np.ndarray):
            return np.zeros(0, np.int64)
        raise ArgumentTypeError(f"{what} must be integers, not {array.dtype}")
    if array.dtype == np.uint64 and len(array) and array.max() > np.uint64(np.iinfo(np.int64).max):
        raise RowError(f"{what} hold {array.max()}, which is no row number")
    return array.astype(np.int64, copy=False)
