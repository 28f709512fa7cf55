"""Distinct values of a column that comes in blocks, and values that are some of given ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exetera_zarr.engine.columns import selection, strings
from exetera_zarr.engine.columns.spans import find_spans
from exetera_zarr.engine.columns.types import Column, is_strings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["distinct", "held", "members", "unique", "within"]


def distinct(blocks: Iterable[Column], empty: Column) -> Column:
    """
    The distinct values, ascending: strings by bytes, one NaN of all, the last.

    Parameters
    ----------
    blocks
        Columns of one type.
    empty
        One without rows.
    """
    found, waiting, count = empty, [], 0
    for block in blocks:
        waiting.append(unique(block))
        count += len(waiting[-1])
        # Not before there are as many: so each row is sorted a logarithmic number of times.
        if count >= len(found):
            found, waiting, count = unique(selection.concat([found, *waiting])), [], 0
    return unique(selection.concat([found, *waiting])) if waiting else found


def unique(column: Column) -> Column:
    """The distinct values of a column in memory, as of `distinct`."""
    if is_strings(column):
        return strings.unique(column).values
    # Not np.unique, which hashes whole numbers: twenty times as long (numpy 2.4, measured).
    ordered = np.sort(column)
    return ordered.take(find_spans([ordered], nan_equal=True)[:-1])


def members(wanted: Any, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """
    Those of the wanted values that a column of a type may hold, in that type.

    Parameters
    ----------
    wanted : ndarray, or sequence
        Numbers, which are compared exactly; for fixed strings ``bytes`` or ``str`` (as UTF-8).
    dtype
        Of the column.
    """
    if isinstance(wanted, np.ndarray) and _same(wanted.dtype, dtype):
        return wanted
    if isinstance(wanted, np.ndarray) and {wanted.dtype.kind, dtype.kind} <= set("biuf"):
        flat = wanted.reshape(-1)
        return flat[held(flat, dtype)].astype(dtype)
    items = np.asarray(wanted).reshape(-1).tolist() if isinstance(wanted, np.ndarray) else wanted
    found = _text(items, dtype) if dtype.kind == "S" else _numbers(items, dtype)
    return np.asarray(found, dtype)


def within(ordered: npt.NDArray[Any], least: Any, greatest: Any) -> bool | None:
    """
    Whether numbers between two ends are some of given ones; None where some may be, and some not.

    Parameters
    ----------
    ordered
        Those that are given, ascending, of the type of the numbers; NaN may be at the end.
    least, greatest
        The ends, neither of which is NaN.
    """
    ends = np.array([least, greatest], ordered.dtype)
    first = np.searchsorted(ordered, ends[0], "left")
    if first == np.searchsorted(ordered, ends[1], "right"):
        return False
    return True if ends[0] == ends[1] else None


def _same(one: np.dtype[Any], other: np.dtype[Any]) -> bool:
    return one == other or (one.kind == "S" and other.kind == "S")


def _text(items: Sequence[Any], dtype: np.dtype[Any]) -> list[bytes]:
    encoded = [
        item.encode("utf-8", "surrogateescape") if isinstance(item, str) else item for item in items
    ]
    found = [item.rstrip(b"\0") for item in encoded if isinstance(item, bytes)]
    return [item for item in found if len(item) <= dtype.itemsize]


def _numbers(items: Sequence[Any], dtype: np.dtype[Any]) -> list[Any]:
    # Python compares its numbers exactly, numpy after rounding them to a common type. Its floats
    # take the type of the column, as they do beside an operator.
    limit = float(np.finfo(dtype).max) if dtype.kind == "f" else 0.0
    taken = [
        dtype.type(item) if type(item) is float and abs(item) <= limit else item for item in items
    ]
    plain = [item.item() if isinstance(item, np.generic) else item for item in taken]
    numbers = [item for item in plain if isinstance(item, (int, float))]
    return [item for item in numbers if _holds(dtype, item)]


def held(numbers: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[np.bool_]:
    """
    Which numbers of an array a type of numbers, or bool, holds exactly.

    Parameters
    ----------
    numbers
        Of any shape.
    dtype
        The type.

    Returns
    -------
    ndarray of bool
        Of that shape.
    """
    if dtype.kind == "b":
        return np.asarray((numbers == 0) | (numbers == 1))
    if numbers.dtype.kind == "b":
        return np.ones(numbers.shape, np.bool_)
    with np.errstate(all="ignore"):
        if dtype.kind == "f":
            taken = numbers.astype(dtype)
            if numbers.dtype.kind == "f":
                return np.asarray(taken == numbers)
            within = _within(taken.astype(np.float64), numbers.dtype)
            back = np.where(within, taken, 0).astype(numbers.dtype)
            return np.asarray(within & (back == numbers))
        limits = np.iinfo(dtype)
        if numbers.dtype.kind == "f":
            return np.asarray(_within(numbers, dtype) & (numbers == np.trunc(numbers)))
        return np.asarray((numbers >= limits.min) & (numbers <= limits.max))


def _within(floats: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[np.bool_]:
    """Which floats are in the range of a type of whole numbers, whose end no float may be."""
    limits = np.iinfo(dtype)
    return np.asarray((floats >= float(limits.min)) & (floats < float(limits.max) + 1))


def _holds(dtype: np.dtype[Any], number: float) -> bool:
    if dtype.kind == "b":
        return number in (0, 1)
    if dtype.kind == "f":
        try:
            with np.errstate(over="ignore"):
                return bool(dtype.type(number).item() == number)
        except OverflowError:
            return False
    limits = np.iinfo(dtype)
    return bool(limits.min <= number <= limits.max and int(number) == number)
