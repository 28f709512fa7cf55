"""Rows before and after each row, within spans."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.engine import is_strings
from exetera_zarr.engine.columns import selection, strings
from exetera_zarr.errors import ArgumentTypeError
from exetera_zarr.fields.data import blank_missing
from exetera_zarr.fields.missing.companions import masked_reader
from exetera_zarr.fields.within.groups import groups_of, of_places

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exetera_zarr.engine import Column
    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.numeric import NumericField
    from exetera_zarr.fields.within.groups import By, Groups
    from exetera_zarr.storage.base import AnyArray

__all__ = ["diff", "ffill", "is_first", "is_last", "shift"]


def shift(field: Field, periods: int = 1, by: By = None) -> Any:
    """
    The value of the row before each row, or of one further away, of the same span.

    Parameters
    ----------
    field
        Of any type.
    periods
        How many rows before; negative for rows after.
    by
        See `exetera_zarr.fields.within`.

    Returns
    -------
    Field
        Of the same type, in memory; missing where the span has no such row, or it has no value.

    Raises
    ------
    DataError
        The rows are not sorted by the key.
    """
    count = _whole(periods)
    groups, made = groups_of(field, by), field.memory_like()
    windows = _before(groups, count) if count >= 0 else _after(groups, -count)
    read = masked_reader(field)[1]
    for low, high, rows_before, there in windows:
        column, mask = read(low, high)
        if mask is not None:
            there[rows_before : rows_before + high - low] &= mask
        column = _padded(column, rows_before, len(there))
        if is_strings(column):
            column = blank_missing(column, there)
        made.append_masked(column, None if there.all() else there)
    return made


def _whole(periods: Any) -> int:
    try:
        return operator.index(periods)
    except TypeError:
        raise ArgumentTypeError(f"periods is a number of rows, not {periods!r}") from None


Window = tuple[int, int, int, "AnyArray"]
"""Rows to be read, how many rows without one are before them, and which rows there are in all."""


def _before(groups: Groups, count: int) -> Iterator[Window]:
    for start, stop in groups.cuts():
        first, known = groups.read(start, stop)
        there = np.arange(start, stop) - count >= first
        if known is not None:
            there &= known
        low, high = max(start - count, 0), max(stop - count, 0)
        yield low, high, stop - start - (high - low), there


def _after(groups: Groups, count: int) -> Iterator[Window]:
    seen = 0
    for start, stop in groups.cuts():
        high = min(stop + count, groups.rows)
        while seen < min(start + count, groups.rows):  # rows that no row of the field is before
            step = min(seen + (stop - start), start + count, groups.rows)
            groups.read(seen, step)
            seen = step
        there = np.zeros(stop - start, np.bool_)
        if seen < high:
            first, known = groups.read(seen, high)
            same = first <= np.arange(start, start + high - seen)
            there[: high - seen] = same if known is None else same & known
        yield seen, max(high, seen), 0, there
        seen = max(high, seen)


def _padded(column: Column, before: int, length: int) -> Column:
    """A column with so many rows in front, and as many at the end that it has a length."""
    after = length - before - len(column)
    if not before and not after:
        return column

    def blank(rows: int) -> Column:
        return strings.encode([""] * rows) if is_strings(column) else np.zeros(rows, column.dtype)

    return selection.concat([blank(before), column, blank(after)])


def diff(field: Field, periods: int = 1, by: By = None) -> NumericField:
    """
    How much each value is more than that of the row before, of the same span.

    Parameters
    ----------
    field
        Of numbers or points in time.
    periods, by
        As of `shift`.

    Returns
    -------
    NumericField
        In memory, as of ``field - shift(field, periods, by)``: of points in time in seconds, of
        which ``.dt.days`` are the days; of numbers exact, and never wrapping.
    """
    found: NumericField = operator.sub(field, shift(field, periods, by))
    return found


def is_first(field: Field, by: By = None) -> NumericField:
    """
    Whether each row is the first one of its span.

    Parameters
    ----------
    field
        Any field of the rows; the key itself if `by` is not given.
    by
        See `exetera_zarr.fields.within`.

    Returns
    -------
    NumericField of bool
        In memory; missing where the key is.
    """
    return of_places(field, by, "bool", lambda place: place == 0)


def is_last(field: Field, by: By = None) -> NumericField:
    """Whether each row is the last one of its span; else as `is_first`."""
    groups = groups_of(field, field if by is None else by)
    made: NumericField = field.numeric_like("bool")
    told = np.zeros(0, np.bool_)  # of the row before the block, of which only the next one says it
    for start, stop in groups.cuts():
        first, known = groups.read(start, stop)
        ends = first == np.arange(start, stop)  # the row before is the last one of its span
        if start:
            made.append_masked(ends[:1], told if not told.all() else None)
        there = np.ones(stop - start, np.bool_) if known is None else known
        body = there[:-1]
        made.append_masked(ends[1:], None if body.all() else body)
        told = there[-1:]
    if len(told):
        made.append_masked(np.ones(1, np.bool_), None if told.all() else told)
    return made


def ffill(field: Field, by: By = None) -> Any:
    """
    The values, with that of the last row before that has one where a value is missing.

    Parameters
    ----------
    field
        Of any type.
    by
        See `exetera_zarr.fields.within`; no value goes from one span to another.

    Returns
    -------
    Field
        Of the same type, in memory; missing where no row before has a value.
    """
    groups, made = groups_of(field, by), field.memory_like()
    read, last, of_last = masked_reader(field)[1], field.empty_column(), -1
    for start, stop in groups.cuts():
        (column, mask), (first, known) = read(start, stop), groups.read(start, stop)
        rows = np.arange(start, stop)
        there = np.ones(len(rows), np.bool_) if mask is None else mask
        of_span = there if known is None else there & known
        found = np.maximum.accumulate(np.where(of_span, rows, of_last))
        has = (found >= first) & (found >= 0)
        if known is not None:
            has &= known
        has |= there  # what has a value keeps it
        found = np.where(there, rows, found)
        with_last = selection.concat([last, column])
        at = np.where(has & (found >= start), found - start + len(last), 0)
        taken = selection.take(with_last, at)
        made.append_masked(
            blank_missing(taken, has) if is_strings(taken) else taken, None if has.all() else has
        )
        of_last = int(np.maximum.accumulate(np.where(of_span, rows, of_last))[-1])
        if of_last >= start:
            last = selection.take(column, [of_last - start])
    return made
