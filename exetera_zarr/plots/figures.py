"""What a picture is drawn from: counts and ranges of any number of rows, in little memory."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import ArgumentError, ArgumentTypeError, DataError
from exetera_zarr.fields.missing.companions import masked_reader
from exetera_zarr.fieldtypes import label_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from exetera_zarr.fields.base import Field

    Floats = npt.NDArray[np.float64]

__all__ = [
    "Course",
    "Histogram",
    "check",
    "course",
    "density",
    "frequencies",
    "histogram",
    "is_time",
    "named",
    "pairs",
    "plain",
]

_STEP = 1 << 20


@dataclass(frozen=True)
class Histogram:
    """
    How many values are in each of some ranges.

    Parameters
    ----------
    edges : ndarray of float64, shape (bins + 1,)
        Of timestamps POSIX seconds.
    counts : ndarray of int64, shape (bins,)
    missing
        Rows without a value.
    """

    edges: Floats
    counts: npt.NDArray[np.int64]
    missing: int


@dataclass(frozen=True)
class Course:
    """
    The least, mean and greatest of the values in each of some ranges of another column.

    Parameters
    ----------
    at : ndarray of float64, shape (n,)
        The middle of each range that has values.
    least, mean, greatest : ndarray of float64, shape (n,)
    """

    at: Floats
    least: Floats
    mean: Floats
    greatest: Floats


def is_time(field: Field) -> bool:
    """Whether its values are points in time."""
    return field.type_name == "timestamp"


def histogram(field: Field, bins: int, within: tuple[float, float] | None = None) -> Histogram:
    """
    Count the values of a field of numbers, bool or timestamps.

    Parameters
    ----------
    field
        Read twice, block by block; once if `within` is given.
    bins
        How many ranges of equal width.
    within
        The first and the last edge; the least and the greatest finite value by default.
    """
    if isinstance(bins, bool) or not isinstance(bins, (int, np.integer)) or bins < 1:
        raise ArgumentError(f"bins is a whole number from 1 on, not {bins!r}")
    low, high = within or _range(field)
    edges = (
        np.linspace(low, high, bins + 1)
        if low < high
        else np.linspace(low - 0.5, low + 0.5, bins + 1)
    )
    counts, missing = np.zeros(bins, np.int64), 0
    for (values,), rows in pairs(field):
        counts += np.histogram(values, edges)[0]
        missing += rows - len(values)
    return Histogram(edges, counts, missing)


def _range(field: Field) -> tuple[float, float]:
    low, high = np.inf, -np.inf
    for (values,), _ in pairs(field):
        finite = values[np.isfinite(values)]
        if len(finite):
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    if low > high:
        raise DataError(f"there is nothing to draw: {field.phrase()} has no value")
    return low, high


def frequencies(field: Field, most: int) -> tuple[list[tuple[str, int]], int, int]:
    """
    The most frequent values of a field as text, and how often each occurs.

    Categories are in the order of their codes, with those that do not occur.

    Returns
    -------
    list of (text, count), others, missing
        `others` is how many rows have other values.
    """
    counted = {str(value): count for value, count in dict(field.value_counts()).items()}
    missing = len(field) - field.count()
    if field.type_name == "categorical":
        names = [label_text(name) for _, name in sorted(field.keys.items())]  # type: ignore[attr-defined]
        counted = {name: counted.get(name, 0) for name in names} | counted
        shown = list(counted.items())
    else:
        shown = sorted(counted.items(), key=lambda one: -one[1])
    return shown[:most], sum(count for _, count in shown[most:]), missing


def pairs(*fields: Field) -> Iterator[tuple[tuple[Floats, ...], int]]:
    """The rows in which all of some fields have a value, some at a time; and of how many rows."""
    for field in fields:
        check(field)
    readers = [masked_reader(field) for field in fields]
    rows = readers[0][0]
    for (length, _), field in zip(readers, fields, strict=True):
        if length != rows:
            raise DataError(f"{field.phrase()} has {length} rows, and {fields[0].phrase()} {rows}")
    step = max(_STEP // 8, *(field.group.row_block for field in fields))
    for start in range(0, rows, step):
        stop = min(start + step, rows)
        columns, there = [], np.ones(stop - start, np.bool_)
        for _, read in readers:
            column, mask = read(start, stop)
            columns.append(np.asarray(column, np.float64))
            if mask is not None:
                there &= mask
        yield tuple(column[there] for column in columns), stop - start


def check(field: Field) -> None:
    """ArgumentTypeError for a field that has neither numbers nor points in time."""
    if not (field.of_numbers or is_time(field)) or field.type_name == "categorical":
        raise ArgumentTypeError(
            f"{field.phrase()} has no numbers to draw, but {field.fieldtype}: its frequencies are "
            "drawn by df['name'].plot(), and figures of groups by "
            "df.groupby(...)['x'].mean().plot.bar(x=..., y='x')"
        )


def course(x: Field | None, y: Field, points: int) -> Course:
    """
    How a column goes along another one, in so many ranges at most.

    Parameters
    ----------
    x
        Along what; the row numbers if it is None.
    y
        What is drawn.
    points
        How many ranges.
    """
    rows = len(y)
    low, high = (0.0, float(max(rows - 1, 0))) if x is None else _range(x)
    width = (high - low) / points or 1.0
    least, greatest = np.full(points, np.inf), np.full(points, -np.inf)
    total, count = np.zeros(points), np.zeros(points, np.int64)
    for at, values in _along(x, y):
        place = np.clip(((at - low) / width).astype(np.int64), 0, points - 1)
        np.minimum.at(least, place, values)
        np.maximum.at(greatest, place, values)
        total += np.bincount(place, values, points)
        count += np.bincount(place, minlength=points)
    there = count > 0
    middle = np.asarray(low + (np.arange(points) + 0.5) * width, np.float64)
    means = (total[there] / count[there]).astype(np.float64)
    return Course(middle[there], least[there], means, greatest[there])


def _along(x: Field | None, y: Field) -> Iterator[tuple[Floats, Floats]]:
    if x is not None:
        with closing(pairs(x, y)) as found:  # type: ignore[type-var]
            for (at, values), _ in found:
                finite = np.isfinite(at) & np.isfinite(values)
                yield at[finite], values[finite]
        return
    check(y)
    length, read = masked_reader(y)
    for start in range(0, length, _STEP):
        column, mask = read(start, min(start + _STEP, length))
        values = np.asarray(column, np.float64)
        there = np.isfinite(values) if mask is None else np.isfinite(values) & mask
        yield (np.flatnonzero(there) + start).astype(np.float64), values[there]


def density(x: Field, y: Field, bins: int) -> tuple[npt.NDArray[np.int64], Floats, Floats]:
    """How many rows are in each cell of a grid: an array (bins, bins), and the edges of either."""
    edges = [np.linspace(*_apart(_range(field)), bins + 1) for field in (x, y)]
    counts = np.zeros((bins, bins), np.int64)
    for (first, second), _ in pairs(x, y):
        counts += np.histogram2d(first, second, edges)[0].astype(np.int64)
    return counts, edges[0], edges[1]


def _apart(ends: tuple[float, float]) -> tuple[float, float]:
    return ends if ends[0] < ends[1] else (ends[0] - 0.5, ends[0] + 0.5)


def named(columns: Sequence[str] | str | None) -> list[str]:
    """Names in an argument that is one, several or none."""
    return [] if columns is None else [columns] if isinstance(columns, str) else list(columns)


def plain(value: Any) -> str:
    """A value on an axis."""
    return "missing" if value is None else str(value)
