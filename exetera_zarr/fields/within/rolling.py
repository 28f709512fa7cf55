"""Windows of time, or of a number of rows, that end at each row, within spans."""

from __future__ import annotations

import datetime as dt
import operator
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.engine.columns.windows import over_windows, window_starts
from exetera_zarr.errors import ArgumentError, ArgumentTypeError, DataError
from exetera_zarr.fields.missing.companions import both, masked_reader
from exetera_zarr.fields.within.groups import groups_of

if TYPE_CHECKING:
    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.numeric import NumericField
    from exetera_zarr.fields.within.groups import By
    from exetera_zarr.storage.base import AnyArray

__all__ = ["Rolling", "rolling"]

_MICROS = {
    "W": 7 * 86400 * 10**6,
    "D": 86400 * 10**6,
    "h": 3600 * 10**6,
    "min": 60 * 10**6,
    "s": 10**6,
    "ms": 10**3,
    "us": 1,
}
_WINDOW = re.compile(r"(\d*) *([A-Za-z]+)")


def rolling(
    field: Field,
    window: str | int | dt.timedelta | np.timedelta64,
    on: Field | None = None,
    by: By = None,
    min_periods: int | None = None,
) -> Rolling:
    """
    The windows that end at each row: ``rolling(x, "7D", on=day, by=id).mean()``.

    Parameters
    ----------
    field
        Of numbers.
    window
        How long it is: text such as ``7D``, ``12h`` or ``30min``, or a timedelta. The row itself is
        in it, and the rows of its span before it whose time is later than its own less that. Or
        how many rows there are in it.
    on
        The times of the rows, which ascend within a span; for windows of time. A row without a
        time is in no window, and has none.
    by
        See `exetera_zarr.fields.within`.
    min_periods
        How many values a window needs, else there is no result; by default 1 for a window of time,
        and as many as it has rows for one of rows.

    Returns
    -------
    Rolling
        With the methods ``sum``, ``mean``, ``min``, ``max`` and ``count``.
    """
    return Rolling(field, window, on, by, min_periods)


class Rolling:
    """
    The windows of a field; see `rolling`. Each method goes over the rows once.

    Parameters
    ----------
    field, window, on, by, min_periods
        As of `rolling`.
    """

    def __init__(
        self, field: Field, window: Any, on: Field | None, by: By, min_periods: int | None
    ) -> None:
        if field.type_name != "numeric":
            raise DataError(f"rolling over {field.phrase()} ({field.fieldtype}): it is of numbers")
        self._field, self._by = field, by
        self._rows = _rows_of(window)
        self._micros = 0 if self._rows else _micros_of(window)
        if self._rows and on is not None:
            raise ArgumentError("a window of rows has no times: leave on= out, or write '7D'")
        if not self._rows and getattr(on, "type_name", None) != "timestamp":
            raise ArgumentTypeError(
                f"a window of {window!r} needs the times of the rows: on=df['time'], a timestamp "
                "field"
            )
        self._on = on
        needed = (self._rows or 1) if min_periods is None else operator.index(min_periods)
        if needed < 0 or (self._rows and needed > self._rows):
            raise ArgumentError(f"min_periods is 0 to the number of rows, not {min_periods!r}")
        self._needed = needed

    def sum(self) -> NumericField:
        """The sum of the values in each window: float64."""
        return self._found(np.add, 0.0, least=0)

    def mean(self) -> NumericField:
        """The mean of the values in each window: float64."""
        return self._found(np.add, 0.0, lambda sums, counts: sums / np.maximum(counts, 1))

    def min(self) -> NumericField:
        """The least value in each window: float64."""
        return self._found(np.minimum, np.inf)

    def max(self) -> NumericField:
        """The greatest value in each window: float64."""
        return self._found(np.maximum, -np.inf)

    def count(self) -> NumericField:
        """How many values there are in each window, of so many rows at least: int64."""
        made: NumericField = self._field.numeric_like("int64")
        for lengths, counts, _, known in self._windows(None, 0.0):
            enough = lengths >= self._needed
            _append(made, counts, enough if known is None else enough & known)
        return made

    def _found(
        self,
        ufunc: np.ufunc,
        nothing: float,
        finish: Callable[[AnyArray, AnyArray], AnyArray] = lambda found, _counts: found,
        least: int = 1,
    ) -> NumericField:
        """What a function finds in windows of enough values, of which `least` are needed always."""
        made: NumericField = self._field.numeric_like("float64")
        for _, counts, found, known in self._windows(ufunc, nothing):
            there = counts >= max(self._needed, least)
            if known is not None:
                there &= known
            _append(made, finish(found, counts), there)
        return made

    def _windows(self, ufunc: np.ufunc | None, nothing: float) -> Any:
        """
        The windows of each block, some at a time.

        Yields
        ------
        lengths, counts, found, known
            How many rows and values each has, the results, and which rows have one; None for all.
        """
        on = self._on
        beside = [] if on is None else [on]
        groups = groups_of(self._field, self._by, *beside)
        read = masked_reader(self._field)[1]
        read_times = None if on is None else masked_reader(on)[1]
        tail = _Tail()
        for start, stop in groups.cuts():
            (column, mask), (first, known) = read(start, stop), groups.read(start, stop)
            values = np.asarray(column).astype(np.float64)
            if mask is not None:
                values[~mask] = nothing
            there = np.ones(len(values), np.bool_) if mask is None else mask
            times = np.arange(start, stop)
            if read_times is not None:
                seconds, timed = read_times(start, stop)
                known = both(known, timed)
                times = _micros(np.asarray(seconds), known)
            rows = slice(None) if known is None else known
            work = tail.joined(values[rows], there[rows], times[rows], first[rows])
            lengths, counts = np.zeros((2, len(values)), np.int64)
            found = np.full(len(values), nothing)
            if len(work.values) > tail.rows:
                starts = self._starts(work, tail.rows, np.arange(start, stop)[rows])
                lengths[rows] = (np.arange(len(starts)) - starts + 1)[tail.rows :]
                counts[rows] = over_windows(work.there.astype(np.int64), starts, np.add)[
                    tail.rows :
                ]
                if ufunc is not None:
                    found[rows] = over_windows(work.values, starts, ufunc)[tail.rows :]
                tail = work.after(self._kept(starts))
            yield lengths, counts, found, known

    def _starts(self, work: _Tail, before: int, numbers: AnyArray) -> AnyArray:
        rows = np.arange(len(work.values))
        new = np.ones(len(rows), np.bool_)
        new[1:] = work.first[1:] != work.first[:-1]
        local = np.maximum.accumulate(np.where(new, rows, 0))
        if self._rows:
            return np.maximum(local, rows - self._rows + 1)
        back = np.flatnonzero((work.times[1:] < work.times[:-1]) & ~new[1:]) + 1
        if len(back):
            on = self._on
            assert on is not None
            row = int(numbers[max(int(back[0]) - before, 0)])
            raise DataError(
                f"the times do not ascend: that of row {row} of {on.phrase()} is before that of "
                "the row before it, of the same span: sort the table by the key and the time "
                "first, with df.sort_values(by=[key, time])"
            )
        return window_starts(work.times, local, self._micros)

    def _kept(self, starts: AnyArray) -> int:
        """From which row on the next rows may need them."""
        last = int(starts[-1])
        return max(last, len(starts) - self._rows + 1) if self._rows else last


class _Tail:
    """Rows of the blocks before that are in windows of the next ones."""

    def __init__(
        self,
        values: AnyArray | None = None,
        there: AnyArray | None = None,
        times: AnyArray | None = None,
        first: AnyArray | None = None,
    ) -> None:
        self.values = np.zeros(0) if values is None else values
        self.there = np.zeros(0, np.bool_) if there is None else there
        self.times = np.zeros(0, np.int64) if times is None else times
        self.first = np.zeros(0, np.int64) if first is None else first

    @property
    def rows(self) -> int:
        return len(self.values)

    def joined(self, values: AnyArray, there: AnyArray, times: AnyArray, first: AnyArray) -> _Tail:
        """These rows, and the next ones."""
        return _Tail(
            np.concatenate([self.values, values]),
            np.concatenate([self.there, there]),
            np.concatenate([self.times, times]),
            np.concatenate([self.first, first]),
        )

    def after(self, row: int) -> _Tail:
        """The rows from one on; copies, since the others are to be forgotten."""
        return _Tail(
            self.values[row:].copy(),
            self.there[row:].copy(),
            self.times[row:].copy(),
            self.first[row:].copy(),
        )


def _append(made: Field, values: AnyArray, there: AnyArray) -> None:
    made.append_masked(values, None if there.all() else there)


def _micros(seconds: AnyArray, known: AnyArray | None) -> AnyArray:
    there = np.isfinite(seconds) if known is None else known & np.isfinite(seconds)
    return np.round(np.where(there, seconds, 0.0) * 1e6).astype(np.int64)


def _rows_of(window: Any) -> int:
    """How many rows a window has; 0 for one of time."""
    if isinstance(window, (str, bytes, dt.timedelta, np.timedelta64, bool)):
        return 0
    try:
        rows = operator.index(window)
    except TypeError:
        return 0
    if rows < 1:
        raise ArgumentError(f"a window has at least one row, not {rows}")
    return rows


def _micros_of(window: Any) -> int:
    micros = 0
    if isinstance(window, str):
        match = _WINDOW.fullmatch(window.strip())
        if match is None or match[2] not in _MICROS:
            raise ArgumentError(
                f"a window is as long as '7D', '12h', '30min' or '90s' says, not {window!r}; days "
                "go by 'D', and there are no months, which have no fixed length"
            )
        micros = int(match[1] or 1) * _MICROS[match[2]]
    elif isinstance(window, dt.timedelta):
        micros = window // dt.timedelta(microseconds=1)
    elif isinstance(window, np.timedelta64) and np.datetime_data(window.dtype)[0] not in "YM":
        micros = int(window / np.timedelta64(1, "us"))
    else:
        raise ArgumentTypeError(
            f"a window is a number of rows, text such as '7D', or a timedelta, not {window!r}"
        )
    if micros < 1:
        raise ArgumentError(f"a window is longer than nothing, and {window!r} is not")
    return micros
