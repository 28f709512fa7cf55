"""Makes the key columns of two tables comparable, exactly: nothing is ever rounded.

Numbers of one kind are promoted. Where numpy would promote to a type that cannot hold all values
(int64 with float64, or with uint64), each key becomes two columns that together order and compare
as the numbers do. Fixed strings become big-endian words, which order as their bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exetera_zarr.engine.columns import strings
from exetera_zarr.engine.columns.fixed_strings import words
from exetera_zarr.engine.columns.membership import unique
from exetera_zarr.engine.columns.types import Column, common_length, is_strings, phrase
from exetera_zarr.errors import ArgumentError, ArgumentTypeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from exetera_zarr.engine.columns.types import BoolArray, IntArray

__all__ = ["align", "first_disorder", "joint_codes"]

Numbers = npt.NDArray[Any]

_CODE_LIMIT = 1 << 62
_SMALL_RANGE = 1 << 20


def align(left: Sequence[Column], right: Sequence[Column]) -> tuple[list[Column], list[Column]]:
    """Bring the keys of two tables to columns of the same types.

    Parameters
    ----------
    left, right : sequences of columns
        As many on one side as on the other; within a side of one length.

    Returns
    -------
    left, right : lists of columns
        Pairwise of one dtype. Two rows are equal in all of these exactly when they were equal
        before, and the columns of a side order its rows as the keys did. There may be more of them
        than there were keys.

    Raises
    ------
    ValueError
        If there are no keys, not as many on both sides, or the lengths within a side differ.
    TypeError
        If a number is to be compared with a string, or a type cannot be compared exactly.
    """
    if len(left) != len(right):
        raise ArgumentError(f"{len(left)} left keys, but {len(right)} right keys")
    common_length(left)
    common_length(right)
    aligned: tuple[list[Column], list[Column]] = ([], [])
    for number, (a, b) in enumerate(zip(left, right, strict=True)):
        if _is_text(a) != _is_text(b):
            raise ArgumentTypeError(
                f"key {number} is {phrase(a)} on the left and {phrase(b)} on the right: "
                "a number is never equal to a string"
            )
        pair = _align_text(a, b) if _is_text(a) else _align_numbers(a, b)
        aligned[0].extend(pair[0])
        aligned[1].extend(pair[1])
    return aligned


def _is_text(col: Column) -> bool:
    return is_strings(col) or col.dtype.kind == "S"


def _align_text(a: Column, b: Column) -> tuple[list[Column], list[Column]]:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        width = max(a.dtype.itemsize, b.dtype.itemsize)
        return list(words(a, width)), list(words(b, width))
    return [_variable(a)], [_variable(b)]


def _variable(col: Column) -> pa.LargeBinaryArray:
    return strings.from_fixed(col) if isinstance(col, np.ndarray) else col


def _align_numbers(a: Numbers, b: Numbers) -> tuple[list[Column], list[Column]]:
    a, b = _plain(a), _plain(b)
    common = np.promote_types(a.dtype, b.dtype)
    rounds = common.kind == "f" and any(x.dtype.kind in "iu" and x.itemsize == 8 for x in (a, b))
    if not rounds:
        return [a.astype(common, copy=False)], [b.astype(common, copy=False)]
    # One side is a 64-bit integer: the other is measured against the range of that type.
    target = np.dtype(np.uint64 if np.uint64 in (a.dtype, b.dtype) else np.int64)
    if "f" in (a.dtype.kind, b.dtype.kind):
        return _split_float(a, target), _split_float(b, target)
    return _split_int(a), _split_int(b)


def _plain(col: Numbers) -> Numbers:
    """In native byte order; bool as 0 and 1."""
    if col.dtype.kind == "f" and col.dtype.itemsize > 8:
        raise ArgumentTypeError(f"keys of {col.dtype} cannot be compared exactly")
    if col.dtype.kind == "b":
        return col.view(np.uint8)
    return col.astype(col.dtype.newbyteorder("="), copy=False)


def _split_int(col: Numbers) -> list[Column]:
    """An integer as (itself clipped to uint64, what was clipped off): int64 beside uint64."""
    if col.dtype.kind == "u":
        return [col.astype(np.uint64), np.zeros(len(col), np.int64)]
    below = np.minimum(col, 0).astype(np.int64)
    return [np.maximum(col, 0).astype(np.uint64), below]


def _split_float(col: Numbers, target: np.dtype[Any]) -> list[Column]:
    """A number as (whole part clipped to `target`, the rest), both exact.

    The rest of a number in range is its fraction; one out of range is its own rest, which is
    beyond any fraction, so the pair orders as the number does. NaN is greater than all.
    """
    if col.dtype.kind in "iu":
        return [col.astype(target), np.zeros(len(col), np.float64)]
    values = col.astype(np.float64)
    info = np.iinfo(target)
    # 2**63 and 2**64 are floats, the greatest integers below them are not.
    low, beyond = float(info.min), float(info.max)
    whole = np.trunc(values)
    inside = (whole >= low) & (whole < beyond)
    clipped = np.where(values < low, info.min, np.full(len(values), info.max, target))
    clipped = clipped.astype(target)
    clipped[inside] = whole[inside].astype(target)
    rest = values.copy()
    rest[inside] -= whole[inside]
    return [clipped, rest]


# -- order -----------------------------------------------------------------------------------------


def first_disorder(
    columns: Sequence[Column], ascending: Sequence[bool] | None = None
) -> int | None:
    """The first row that is out of order after the row before it, or None if there is none.

    Rows are compared column by column; NaN is equal to NaN, and comes last in either direction.

    Parameters
    ----------
    columns : sequence of columns, all of one length
    ascending : sequence of bool, optional
        The direction of each; by default all ascend.
    """
    bad: BoolArray | None = None
    equal: BoolArray | None = None
    for number, col in enumerate(columns):
        a, b = col[:-1], col[1:]
        up = ascending is None or ascending[number]
        late = _comes_after(a, b, up)
        if bad is None or equal is None:
            bad, equal = late, np.ones(len(late), np.bool_)
        else:
            bad |= equal & late
        if number < len(columns) - 1:
            equal &= ~(late | _comes_after(b, a, up))
    if bad is None or not bad.any():
        return None
    return int(np.argmax(bad)) + 1


def _comes_after(a: Column, b: Column, ascending: bool = True) -> BoolArray:
    """Row by row whether `a` comes after `b`; NaN comes after any number."""
    high, low = (a, b) if ascending else (b, a)
    if is_strings(a):
        return strings.exceeds(high, low)
    late = np.asarray(high > low, dtype=np.bool_)
    if a.dtype.kind == "f":
        late |= np.isnan(a) & ~np.isnan(b)
    return late


def joint_codes(left: Sequence[Column], right: Sequence[Column]) -> tuple[IntArray, IntArray]:
    """Number the rows of two small aligned tables in their common order.

    Returns
    -------
    left, right : int64 arrays
        Codes that are equal where the rows are, and ordered as the rows are. They depend on both
        tables, and mean nothing beside other codes.
    """
    codes: IntArray | None = None
    cardinality = 1
    for a, b in zip(left, right, strict=True):
        rank, distinct = _joint_ranks(a, b)
        if codes is None:
            codes, cardinality = rank, distinct
            continue
        if cardinality * distinct >= _CODE_LIMIT:
            present, codes = np.unique(codes, return_inverse=True)
            cardinality = len(present)
        codes = codes * distinct + rank
        cardinality *= distinct
    assert codes is not None
    return codes[: len(left[0])], codes[len(left[0]) :]


def _joint_ranks(a: Column, b: Column) -> tuple[IntArray, int]:
    """Order-preserving codes of the values of both columns, and a bound that all are below."""
    if is_strings(a):
        codes, distinct = strings.ranks(strings.concat([a, b]))
        return codes, max(len(distinct), 1)
    values = np.concatenate((a, b))
    if len(values) == 0:
        return np.zeros(0, np.int64), 1
    if values.dtype.kind in "iu":
        low, high = int(values.min()), int(values.max())
        if high - low < _SMALL_RANGE:
            wide = values.astype(f"{values.dtype.kind}8")
            return (wide - wide.min()).astype(np.int64), high - low + 1
    distinct = unique(values)
    return np.searchsorted(distinct, values), len(distinct)
