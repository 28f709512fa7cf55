"""What merge, sort, group and spans give, written in plain Python.

Rows are tuples of keys. NaN equals NaN and -0.0 equals 0.0, and Python itself compares whole
numbers with floats exactly. Nothing here knows how the engine works; `test_model.py` holds it
against stored results of pandas.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

Key = tuple[Any, ...]
Pair = tuple[int | None, int | None]


def is_nan(x: Any) -> bool:
    return isinstance(x, float) and math.isnan(x)


def same_key(row: Key) -> Key:
    """Equal for rows whose keys are equal."""
    return tuple("nan" if is_nan(x) else x for x in row)


def order_key(row: Key) -> Key:
    """Orders rows ascending, NaN last; strings by their bytes or code points."""
    return tuple((is_nan(x), 0 if is_nan(x) else x) for x in row)


def rows_by_key(rows: Sequence[Key]) -> dict[Key, list[int]]:
    """Row numbers of each key, keys in the order of their first row."""
    found: dict[Key, list[int]] = {}
    for i, row in enumerate(rows):
        found.setdefault(same_key(row), []).append(i)
    return found


def merge(left: Sequence[Key], right: Sequence[Key], how: str) -> list[Pair]:
    """The pairs of row numbers of a merge, in order; None where a row has no partner."""
    at_left, at_right = rows_by_key(left), rows_by_key(right)
    alone: list[None] = [None]
    match how:
        case "cross":
            return [(i, j) for i in range(len(left)) for j in range(len(right))]
        case "left":
            return [(i, j) for i, k in enumerate(left) for j in at_right.get(same_key(k), alone)]
        case "right":
            return [(i, j) for j, k in enumerate(right) for i in at_left.get(same_key(k), alone)]
        case "inner" | "outer":
            kept = [] if how == "inner" else alone
            pairs: list[Pair] = [
                (i, j) for k, rows in at_left.items() for i in rows for j in at_right.get(k, kept)
            ]
            if how == "outer":
                pairs += [(None, j) for j, k in enumerate(right) if same_key(k) not in at_left]
            return pairs
    raise ValueError(how)


def sort(rows: Sequence[Key], ascending: Sequence[bool]) -> list[int]:
    """The row numbers in order: stable, NaN last in either direction."""
    index = list(range(len(rows)))
    for k in reversed(range(len(ascending))):  # a stable sort by each key, the leading one last
        numbers = [i for i in index if not is_nan(rows[i][k])]
        nans = [i for i in index if is_nan(rows[i][k])]
        # reverse=True keeps equal ones in their order.
        column = [row[k] for row in rows]
        numbers.sort(key=column.__getitem__, reverse=not ascending[k])
        index = numbers + nans
    return index


def group(rows: Sequence[Key]) -> list[list[int]]:
    """The row numbers of each group in their order, groups by ascending key."""
    return sorted(rows_by_key(rows).values(), key=lambda found: order_key(rows[found[0]]))


def spans(rows: Sequence[Key], nan_equal: bool) -> list[int]:
    """Where a row differs from the one before, and the end."""
    key = same_key if nan_equal else (lambda row: row)
    # Compared value by value: tuples take an object as equal to itself, also a NaN.
    starts = [
        i
        for i in range(len(rows))
        if i == 0 or any(a != b for a, b in zip(key(rows[i]), key(rows[i - 1]), strict=True))
    ]
    return [*starts, len(rows)]


def _std(values: Sequence[float]) -> float:
    """Sample standard deviation, as pandas has it."""
    return statistics.stdev(values) if len(values) > 1 else math.nan


_AGGREGATES: dict[str, Callable[[Sequence[Any]], Any]] = {
    "count": len,
    "min": min,
    "max": max,
    "first": lambda values: values[0],
    "last": lambda values: values[-1],
    "sum": lambda values: math.fsum(values) if isinstance(values[0], float) else sum(values),
    "mean": lambda values: math.fsum(values) / len(values),
    "std": _std,
    "median": statistics.median,
    "nunique": lambda values: len({same_key((value,)) for value in values}),
}
_OF_NOTHING = {"count": 0, "nunique": 0, "sum": 0}


def aggregate(how: str, values: Sequence[Any], *, skip_nan: bool) -> Any:
    """
    One number for the values of a group.

    With `skip_nan` NaNs do not count, as in pandas. Without, they are values like others, and what
    is computed from one is NaN, as in numpy.
    """
    nans = [value for value in values if is_nan(value)]
    if skip_nan:
        values = [value for value in values if not is_nan(value)]
    elif nans and how not in ("count", "nunique", "first", "last"):
        return math.nan
    return _AGGREGATES[how](values) if values else _OF_NOTHING.get(how, math.nan)
