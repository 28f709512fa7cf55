"""Aggregates of the values that there are in each span."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from exetera_zarr.engine.columns import selection
from exetera_zarr.engine.group import aggregate
from exetera_zarr.fields.missing.companions import holds_nan
from exetera_zarr.fields.missing.masked import present_rows, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exetera_zarr.engine import Column
    from exetera_zarr.engine.streams.workspace import Spill, Workspace
    from exetera_zarr.fields.missing.masked import Masked
    from exetera_zarr.storage.base import AnyArray

__all__ = ["over_present", "spread"]

_STEP = 1 << 20


def over_present(
    what: str, spans: AnyArray, column: Masked, work: Workspace
) -> tuple[Iterator[Column], AnyArray | None]:
    """
    Aggregate the values that there are in each span.

    Parameters
    ----------
    what
        As of `engine.group.aggregate.over_spans`, but for counts.
    spans : ndarray of int64
        The row at which each span starts, and the number of rows; checked.
    column
        What is aggregated.
    work
        Where to do it.

    Returns
    -------
    results : iterator of Column
        For all spans in order, in parts; 0, False, NaN or no text where a span has no value.
    mask : ndarray of bool, or None
        Which spans have a value; None for all.
    """
    if column.mask is None and not column.nan_is_missing:
        return aggregate.over_spans(what, spans, column.values, work), None
    numbers = present_rows(column, work)
    if len(numbers) == column.rows:
        return aggregate.over_spans(what, spans, column.values, work), None
    bounds = _ranks(numbers, spans)
    there = bounds[1:] > bounds[:-1]
    kept = np.append(bounds[:-1][there], len(numbers))
    parts = aggregate.over_spans(what, kept, rows_of(column.values, numbers), work)
    if what.startswith("index_of"):
        parts = (_numbers_at(numbers, np.asarray(part)) for part in parts)
        empty: Column = np.empty(0, np.int64)
    else:
        empty = column.empty
    return _spread_parts(parts, there, empty), None if there.all() else there


def _ranks(numbers: Spill, rows: AnyArray) -> AnyArray:
    """For each of some rows, which ascend, how many of the numbers, which do too, are less."""
    found, before = np.full(len(rows), len(numbers), np.int64), 0
    start = 0
    for some in numbers.blocks(_STEP):
        stop = int(np.searchsorted(rows, some[-1], "right"))
        found[start:stop] = before + np.searchsorted(some, rows[start:stop])
        start, before = stop, before + len(some)
    return found


def _numbers_at(numbers: Spill, places: AnyArray) -> AnyArray:
    """The numbers at some places, which ascend."""
    found = np.empty(len(places), np.int64)
    for start in range(0, len(numbers), _STEP):
        stop = min(start + _STEP, len(numbers))
        low, high = np.searchsorted(places, (start, stop))
        if high > low:
            found[low:high] = numbers.read(start, stop)[places[low:high] - start]
    return found


def _spread_parts(parts: Iterator[Column], there: AnyArray, empty: Column) -> Iterator[Column]:
    """The results of the spans that have a value, each where it belongs among all."""
    places, taken, start = np.flatnonzero(there), 0, 0
    for part in parts:
        taken += len(part)
        stop = int(places[taken]) if taken < len(places) else len(there)
        yield spread(part, there[start:stop])
        start = stop
    if start < len(there):
        yield spread(empty, there[start:])


def spread(column: Column, there: AnyArray) -> Column:
    """A column with the values where they belong, and nothing, NaN of floats, where none are."""
    if there.all():
        return column
    rows = np.where(there, np.cumsum(there) - 1, -1)
    return selection.take_or_default(column, rows, np.nan if holds_nan(column) else None)
