"""Days and periods of points in time, as ExeTera's `processing.date_time_helpers` has them."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from exetera_zarr.compat.utils import SECONDS_PER_DAY
from exetera_zarr.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["generate_period_offset_map", "get_days", "get_period_offsets", "get_periods"]

Days = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

_DAYS = {"day": 1, "days": 1, "week": 7, "weeks": 7}


def get_periods(
    start_date: datetime, end_date: datetime, period: str, delta: int = 1
) -> list[datetime]:
    """
    The starts of periods, and the end of the last one.

    Parameters
    ----------
    start_date, end_date
        The first one, and what the last one does not pass.
    period
        ``day``, ``days``, ``week`` or ``weeks``.
    delta
        How many of them a period is; negative ones go back in time.

    Raises
    ------
    ValueError
        Another period, a delta that is no whole number or 0, or dates that it leads away from.
    """
    if not isinstance(start_date, datetime) or not isinstance(end_date, datetime):
        raise ArgumentError("start_date and end_date are datetimes")
    if period not in _DAYS:
        raise ArgumentError(f"the period is {period!r}; it can be one of {', '.join(_DAYS)}")
    if not isinstance(delta, (int, np.integer)) or isinstance(delta, bool) or delta == 0:
        raise ArgumentError(f"delta is a whole number but 0, not {delta!r}")
    if (end_date < start_date) if delta > 0 else (end_date > start_date):
        raise ArgumentError(f"with a delta of {delta}, end_date is not on the way from start_date")
    step = timedelta(days=int(delta) * _DAYS[period])
    return [start_date + n * step for n in range((end_date - start_date) // step + 1)]


def get_days(
    date_field: npt.NDArray[np.float64],
    date_filter: npt.NDArray[np.bool_] | npt.NDArray[np.int8] | None = None,
    start_date: float | None = None,
    end_date: float | None = None,
) -> tuple[Days, Mask | None]:
    """
    The day of each point in time, counted from a start.

    Parameters
    ----------
    date_field : ndarray of float64
        Seconds since 1970.
    date_filter : ndarray of bool or int8
        Which rows count.
    start_date
        Seconds; the least that counts by default. Rows before it do not count.
    end_date
        Seconds; rows from it on do not count.

    Returns
    -------
    days : ndarray of int32
        Also of the rows that do not count.
    in_range : ndarray of bool
        Which rows count; None if no other argument was given.

    Raises
    ------
    ValueError
        An argument is of another type, or no row counts and there is no `start_date`.
    """
    if not isinstance(date_field, np.ndarray) or date_field.dtype != np.float64:
        raise ArgumentError("date_field is an ndarray of float64")
    in_range: Mask | None = None
    if date_filter is not None:
        if not isinstance(date_filter, np.ndarray) or date_filter.dtype not in (np.bool_, np.int8):
            raise ArgumentError("date_filter is an ndarray of bool or int8")
        if len(date_filter) != len(date_field):
            raise ArgumentError(
                f"date_filter has {len(date_filter)} rows, date_field has {len(date_field)}"
            )
        in_range = date_filter != 0
    for bound, name in ((start_date, "start_date"), (end_date, "end_date")):
        if bound is None:
            continue
        if not isinstance(bound, (int, float, np.number)):
            raise ArgumentError(f"{name} is in seconds, not a {type(bound).__name__}")
        inside = date_field >= bound if name == "start_date" else date_field < bound
        in_range = inside if in_range is None else in_range & inside
    if start_date is None:
        counted = date_field if date_filter is None else date_field[date_filter != 0]
        if len(counted) == 0:
            if len(date_field):
                raise ArgumentError("no row counts, so there is no first day: give start_date")
            return np.empty(0, np.int32), in_range
        start_date = counted.min()
    return np.floor_divide(date_field - start_date, SECONDS_PER_DAY).astype(np.int32), in_range


def generate_period_offset_map(periods: Sequence[datetime]) -> Days:
    """
    The number of the period that each day is in.

    Parameters
    ----------
    periods
        Ascending, as `get_periods` gives them.

    Returns
    -------
    ndarray of int32
        As long as all periods together; empty if there is no whole one.
    """
    lengths = [(after - before).days for before, after in pairwise(periods)]
    if any(length <= 0 for length in lengths):
        raise ArgumentError("the periods are not ascending")
    return np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)


def get_period_offsets(
    periods_by_day: Days, days: npt.NDArray[np.integer], in_range: Mask | None = None
) -> Days:
    """
    The number of the period that each row is in.

    Parameters
    ----------
    periods_by_day
        As `generate_period_offset_map` gives it.
    days, in_range
        As `get_days` gives them.

    Returns
    -------
    ndarray of int32
        -1 for rows that are not in range.

    Raises
    ------
    IndexError
        A row that counts is on a day of no period.
    """
    counted = np.ones(len(days), bool) if in_range is None else np.asarray(in_range, bool)
    chosen = np.asarray(days)[counted]
    outside = (chosen < 0) | (chosen >= len(periods_by_day))
    if outside.any():
        raise IndexError(
            f"day {chosen[outside][0]} is not within the {len(periods_by_day)} days of the periods"
        )
    result = np.full(len(days), -1, np.int32)
    result[counted] = periods_by_day[chosen]
    return result
