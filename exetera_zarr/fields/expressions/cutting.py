"""Numbers and points in time in intervals, as categories: `cut` and `qcut`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from exetera_zarr.errors import ArgumentError, ArgumentTypeError, DataError
from exetera_zarr.fields.statistics import figures
from exetera_zarr.fieldtypes import categorical_attributes

if TYPE_CHECKING:
    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.categorical import CategoricalField
    from exetera_zarr.storage.base import AnyArray

__all__ = ["cut", "qcut"]

_DIGITS = 3


def cut(
    field: Field,
    bins: int | Sequence[Any],
    labels: Sequence[str] | Literal[False] | None = None,
    right: bool = True,
    *,
    include_lowest: bool = False,
) -> Any:
    """
    The interval in which each value lies, as a category.

    Parameters
    ----------
    field
        Of numbers or points in time.
    bins
        The edges of the intervals, ascending; or into how many of equal width the values are cut.
    labels
        A name for each interval; by default they are written as in pandas, ``(0, 18]``. False for
        their numbers, from 0.
    right
        Whether an interval has its right edge in it, and not its left one.
    include_lowest
        Whether the first interval has its left edge in it as well.

    Returns
    -------
    CategoricalField
        In memory, with the intervals in order; numeric of int64 if `labels` is False. Missing where
        the value is, or lies in no interval.

    Raises
    ------
    ArgumentError
        The edges do not ascend, or there are not as many labels as intervals, or two of one name.
    DataError
        The field is of something else, or has no values to be cut into equal parts.

    Examples
    --------
    >>> from exetera_zarr import Session, cut
    >>> with Session() as s:
    ...     t = s.open_dataset("memory://cut.zarr", "w", "d").create_dataframe("t")
    ...     t["age"] = [12, 18, 40, None, 120]
    ...     cut(t["age"], [0, 18, 65]).tolist()
    ['(0, 18]', '(0, 18]', '(18, 65]', None, None]
    """
    _check(field, "cut")
    if isinstance(bins, (int, np.integer)) and not isinstance(bins, bool):
        edges = _equal(field, int(bins), right=right)
    else:
        edges = _edges(field, bins)
    return _cut(field, edges, labels, right, include_lowest)


def qcut(field: Field, q: int | Sequence[float], labels: Any = None) -> Any:
    """
    The share of the values in which each one lies, as a category: fifths, for ``q=5``.

    Parameters
    ----------
    field
        Of numbers.
    q
        How many parts of as many values, or the shares at their edges, such as ``[0, 0.9, 1]``.
    labels
        As of `cut`.

    Returns
    -------
    CategoricalField
        As of `cut`; the edges are quantiles of the values that there are.

    Raises
    ------
    DataError
        Two quantiles are equal, as where many values are.
    """
    _check(field, "qcut")
    if field.type_name != "numeric":
        raise DataError(f"qcut of {field.phrase()}: it is of numbers")
    if isinstance(q, (int, np.integer)) and not isinstance(q, bool):
        if q < 1:
            raise ArgumentError(f"values are cut into one part or more, not {q}")
        q = np.linspace(0, 1, int(q) + 1).tolist()
    shares = [float(one) for one in cast("Sequence[float]", q)]
    edges = np.asarray(figures.quantiles(field, shares), np.float64)
    if np.isnan(edges).any():
        raise DataError(f"qcut of {field.phrase()}: it has no values")
    if (np.diff(edges) <= 0).any():
        raise DataError(
            f"qcut of {field.phrase()}: two of the quantiles {edges.tolist()} are equal, so that "
            "nothing lies between them: ask for fewer parts, or give edges to cut"
        )
    return _cut(field, edges, labels, True, True)


def _check(field: Any, what: str) -> None:
    if not hasattr(field, "masked_blocks"):
        raise ArgumentTypeError(f"{what} takes a field, not a {type(field).__name__}")
    if field.type_name not in ("numeric", "timestamp") or field.dtype_of_rows.kind == "b":
        raise DataError(
            f"{what} of {field.phrase()} ({field.fieldtype}): it is of numbers or points in time"
        )


def _equal(field: Field, count: int, *, right: bool) -> AnyArray:
    if count < 1:
        raise ArgumentError(f"values are cut into one interval or more, not {count}")
    low, high = figures.extreme(field, "min"), figures.extreme(field, "max")
    if low is None or not (math.isfinite(low) and math.isfinite(high)):
        raise DataError(
            f"cut of {field.phrase()}: it has no values, or infinite ones, so that its range is no "
            "number of equal parts: give the edges"
        )
    low, high = float(low), float(high)
    if low == high:  # a little to both sides, as pandas has it
        low -= 0.001 * abs(low) if low else 0.001
        high += 0.001 * abs(high) if high else 0.001
        return np.linspace(low, high, count + 1)
    edges = np.linspace(low, high, count + 1)
    little = (high - low) * 0.001  # so that the least value lies in the first interval
    if right:
        edges[0] -= little
    else:
        edges[-1] += little
    return edges


def _edges(field: Field, bins: Any) -> AnyArray:
    if isinstance(bins, (str, bytes)) or not hasattr(bins, "__len__"):
        raise ArgumentTypeError(f"bins are a number of intervals or their edges, not {bins!r}")
    given = bins.tolist() if isinstance(bins, np.ndarray) and bins.dtype.kind != "M" else list(bins)
    if field.type_name == "timestamp":
        given = [field.stored_value(one) for one in given]
    edges = np.asarray(given)
    if edges.ndim != 1 or edges.dtype.kind not in "iuf" or len(edges) < 2:
        raise ArgumentError(f"the edges of intervals are two numbers or more, not {bins!r}")
    if not (edges[1:] > edges[:-1]).all():
        raise ArgumentError(f"the edges of intervals ascend, and {bins!r} do not")
    return edges


def _cut(field: Field, edges: AnyArray, labels: Any, right: bool, include_lowest: bool) -> Any:
    count, made = len(edges) - 1, field.numeric_like("int64")
    if labels is not False:
        if labels is None:
            of_times = field.type_name == "timestamp"
            name = _times if of_times else _numbers
            labels = _intervals(name(edges, lowest=right and include_lowest), right=right)
        names = [str(label) for label in labels]
        if len(names) != count or len(set(names)) != count:
            raise ArgumentError(
                f"there are {count} intervals, and the labels are {names}: give one for each, all "
                "different"
            )
        kind = "int8" if count < 128 else "int32"
        key = {name: code for code, name in enumerate(names)}
        made = field.in_memory(categorical_attributes(kind, key))
    for column, mask in field.masked_blocks():
        values = np.asarray(column)
        at = _places(values, edges, right=right, include_lowest=include_lowest)
        there = (at >= 0) & (at < count)
        if mask is not None:
            there &= mask
        codes = np.where(there, at, 0).astype(made.dtype_of_rows)
        made.append_masked(codes, None if there.all() else there)
    return cast("CategoricalField", made)


def _places(values: AnyArray, edges: AnyArray, *, right: bool, include_lowest: bool) -> AnyArray:
    """The number of the interval of each value, -1 below all of them."""
    compared = _whole(values, edges, right=right) if values.dtype.kind in "iu" else edges
    if compared.dtype.kind == "O":
        values = values.astype(object)
    at = np.searchsorted(compared, values, "left" if right else "right") - 1
    if include_lowest and right and compared[0] == edges[0]:
        at[values == compared[0]] = 0
    return np.asarray(at)


def _whole(values: AnyArray, edges: AnyArray, *, right: bool) -> AnyArray:
    """Edges that part whole numbers as these do, and with which they are compared exactly."""
    towards = math.floor if right else math.ceil
    whole = [towards(one) if math.isfinite(one) else one for one in edges.tolist()]
    limits = np.iinfo(values.dtype)
    if all(limits.min <= one <= limits.max for one in whole):
        return np.asarray(whole, values.dtype)
    bound = 1 << 53
    if len(values) == 0 or (-bound < int(values.min()) and int(values.max()) < bound):
        return np.asarray(whole, np.float64)
    return np.asarray(whole, object)


def _intervals(edges: list[str], *, right: bool) -> list[str]:
    left, end = ("(", "]") if right else ("[", ")")
    return [f"{left}{a}, {b}{end}" for a, b in pairwise(edges)]


def _numbers(edges: AnyArray, *, lowest: bool) -> list[str]:
    """The edges with as few digits as tell them apart, three at least, as pandas writes them."""
    rounded = edges.tolist()
    for digits in range(_DIGITS, 20):
        rounded = [_rounded(one, digits) for one in edges.tolist()]
        if len(set(rounded)) == len(rounded):
            break
    else:
        digits = _DIGITS
    if lowest:
        rounded[0] -= 10**-digits
    if any(isinstance(one, float) for one in rounded):
        rounded = [float(one) for one in rounded]
    return [str(one) for one in rounded]


def _rounded(number: float, digits: int) -> float:
    if isinstance(number, int) or not math.isfinite(number) or number == 0:
        return number
    fraction, whole = math.modf(number)
    if whole == 0:
        digits = -math.floor(math.log10(abs(fraction))) - 1 + digits
    return float(np.around(number, digits))


def _times(edges: AnyArray, *, lowest: bool) -> list[str]:  # noqa: ARG001 - as of numbers
    """The edges as dates, or with their times where one of them is no midnight."""
    points = np.round(edges * 1e6).astype(np.int64).view("datetime64[us]")
    for unit in ("D", "s"):
        if (points.astype(f"datetime64[{unit}]") == points).all():
            return [str(one).replace("T", " ") for one in points.astype(f"datetime64[{unit}]")]
    return [str(one).replace("T", " ") for one in points]
