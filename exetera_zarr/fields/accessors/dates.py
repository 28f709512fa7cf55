"""``field.dt`` of points in time: their parts, and their rounding."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from exetera_zarr.engine.columns import strings
from exetera_zarr.errors import ArgumentError, ArgumentTypeError, DataError, about
from exetera_zarr.fields.data import blank_missing
from exetera_zarr.fields.writing.values import check_seconds
from exetera_zarr.fieldtypes import indexed_string_attributes

if TYPE_CHECKING:
    from collections.abc import Callable

    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.numeric import NumericField
    from exetera_zarr.storage.base import AnyArray

__all__ = ["Dates", "IsoCalendar"]

_UNITS = {
    "Y": "year",
    "YS": "year",
    "Q": "quarter",
    "QS": "quarter",
    "M": "month",
    "MS": "month",
    "W": "week",
    "D": "day",
    "h": "hour",
    "min": "minute",
    "s": "second",
    "ms": "millisecond",
    "us": "microsecond",
}
_FREQUENCY = re.compile(r"(\d*) *([A-Za-z]+)")
_RULES_END = 2145916800 * 10**6
"""The year 2038, from which on Arrow knows no summer time, in microseconds since 1970."""
_DIRECTIVES = frozenset("aAbBcdfFGHIjmMpSTuUVwWxXyYzZ%")


class IsoCalendar(NamedTuple):
    """Year, week and day (Monday is 1) by ISO 8601: fields of int32 in memory."""

    year: NumericField
    week: NumericField
    day: NumericField


class Dates:
    """
    ``field.dt`` of points in time: their parts, in UTC or in another time zone.

    Each part is a field in memory, as long as the field, and missing where it is.

    Parameters
    ----------
    field
        Of points in time.
    zone
        The time zone in which they are read.
    """

    def __init__(self, field: Field, zone: str = "UTC") -> None:
        self._field, self._zone = field, zone

    def __repr__(self) -> str:
        return f"<dates of {self._field.phrase()} in {self._zone}>"

    @property
    def dt(self) -> Dates:
        """Itself, so that ``field.dt.tz_convert(zone).dt.hour`` is what it is elsewhere."""
        return self

    @property
    def tz(self) -> str:
        """The time zone in which the points are read."""
        return self._zone

    def tz_convert(self, tz: str) -> Dates:
        """
        The same points, read in another time zone.

        Parameters
        ----------
        tz
            Name of the zone, such as ``Europe/London``.

        Returns
        -------
        Dates
            With its parts; the field itself is in UTC, and stays so.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     t = s.open_dataset("memory://zone.zarr", "w", "d").create_dataframe("t")
        ...     t.create_timestamp("at").data.write(["2020-07-01 23:30:00"])
        ...     t["at"].dt.day[0], t["at"].dt.tz_convert("Europe/London").day[0]
        (1, 2)
        """
        if not isinstance(tz, str):
            raise ArgumentTypeError(
                f"a time zone goes by its name, such as 'Europe/London', not by {tz!r}; points "
                "in time are always kept in UTC"
            )
        import pyarrow.compute as pc

        try:
            pc.hour(pa.array([0], pa.timestamp("us", tz)))
        except pa.ArrowInvalid as error:
            raise ArgumentError(f"there is no time zone {tz!r}: {error}") from error
        return Dates(self._field, tz)

    def tz_localize(self, tz: str | None) -> Dates:
        """
        Itself for ``"UTC"``, in which all points are; ArgumentError for other zones.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://tz_localize.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     people.create_timestamp("day").data.write(["2020-03-31 08:05", "2021-12-01"])
        ...     people["day"].dt.tz_localize("UTC").hour.tolist()
        [8, 0]
        """
        if tz != "UTC":
            raise ArgumentError(
                f"{self._field.phrase()} is in UTC, so that no other zone can be said of it: "
                "dt.tz_convert(zone) reads it in another one"
            )
        return self

    # -- parts

    @property
    def year(self) -> NumericField:
        """
        The year: int32.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://year.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     people.create_timestamp("day").data.write(["2020-03-31 08:05", "2021-12-01"])
        ...     people["day"].dt.year.tolist()
        [2020, 2021]
        """
        return self._part("year")

    @property
    def quarter(self) -> NumericField:
        """
        The quarter, 1 to 4: int32.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://quarter.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     people.create_timestamp("day").data.write(["2020-03-31 08:05", "2021-12-01"])
        ...     people["day"].dt.quarter.tolist()
        [1, 4]
        """
        return self._part("quarter")

    @property
    def month(self) -> NumericField:
        """
        The month, 1 to 12: int32.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://month.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     people.create_timestamp("day").data.write(["2020-03-31 08:05", "2021-12-01"])
        ...     people["day"].dt.month.tolist()
        [3, 12]
        """
        return self._part("month")

    @property
    def day(self) -> NumericField:
        """
        The day of the month: int32.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://day.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     people.create_timestamp("day").data.write(["2020-03-31 08:05", "2021-12-01"])
        ...     people["day"].dt.day.tolist()
        [31, 1]
        """
        return self._part("day")

    @property
    def hour(self) -> NumericField:
        """
        The hour, 0 to 23: int32.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://hour.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     people.create_timestamp("day").data.write(["2020-03-31 08:05", "2021-12-01"])
        ...     people["day"].dt.hour.tolist()
        [8, 0]
        """
        return self._part("hour")

    @property
    def minute(self) -> NumericField:
        """
        The minute: int32.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://minute.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     people.create_timestamp("day").data.write(["2020-03-31 08:05", "2021-12-01"])
        ...     people["day"].dt.minute.tolist()
        [5, 0]
        """
        return self._part("minute")

    @property
    def second(self) -> NumericField:
        """
        The second, without its fraction: int32.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://second.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     people.create_timestamp("day").data.write(["2020-03-31 08:05", "2021-12-01"])
        ...     people["day"].dt.second.tolist()
        [0, 0]
        """
        return self._part("second")

    @property
    def microsecond(self) -> NumericField:
        """The fraction of the second, in microseconds: int32."""

        def microseconds(points: Any) -> Any:
            import pyarrow.compute as pc

            return pc.add(pc.multiply(pc.millisecond(points), 1000), pc.microsecond(points))

        return self._numbers(microseconds)

    @property
    def dayofweek(self) -> NumericField:
        """
        The day of the week, of which Monday is 0: int32.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://day_of_week.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     people.create_timestamp("day").data.write(["2020-03-31 08:05", "2021-12-01"])
        ...     people["day"].dt.day_of_week.tolist()
        [1, 2]
        """
        return self._part("day_of_week")

    weekday = dayofweek
    day_of_week = dayofweek

    @property
    def dayofyear(self) -> NumericField:
        """
        The day of the year, from 1: int32.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://day_of_year.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     people.create_timestamp("day").data.write(["2020-03-31 08:05", "2021-12-01"])
        ...     people["day"].dt.day_of_year.tolist()
        [91, 335]
        """
        return self._part("day_of_year")

    day_of_year = dayofyear

    @property
    def is_leap_year(self) -> NumericField:
        """
        Whether the year is a leap year: bool.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://is_leap_year.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     people.create_timestamp("day").data.write(["2020-03-31 08:05", "2021-12-01"])
        ...     people["day"].dt.is_leap_year.tolist()
        [True, False]
        """
        return self._part("is_leap_year", np.bool_)

    def isocalendar(self) -> IsoCalendar:
        """
        Year, week and day by ISO 8601: ``field.dt.isocalendar().week``.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://isocalendar.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     people.create_timestamp("day").data.write(["2020-03-31 08:05", "2021-12-01"])
        ...     people["day"].dt.isocalendar().week.tolist()
        [14, 48]
        """

        def day(points: Any) -> Any:
            import pyarrow.compute as pc

            return pc.day_of_week(points, count_from_zero=False)

        return IsoCalendar(self._part("iso_year"), self._part("iso_week"), self._numbers(day))

    # -- other points

    @property
    def date(self) -> Any:
        """
        The midnight at which the day of each point begins: a timestamp field.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://date.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     people.create_timestamp("day").data.write(["2020-03-31 08:05", "2021-12-01"])
        ...     people["day"].dt.date.dt.strftime("%Y-%m-%d %H:%M").tolist()
        ['2020-03-31 00:00', '2021-12-01 00:00']
        """
        return self.floor("D")

    def normalize(self) -> Any:
        """
        The midnight at which the day of each point begins: the same as ``date``.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://normalize.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     people.create_timestamp("day").data.write(["2020-03-31 08:05", "2021-12-01"])
        ...     people["day"].dt.normalize().dt.strftime("%Y-%m-%d %H:%M").tolist()
        ['2020-03-31 00:00', '2021-12-01 00:00']
        """
        return self.floor("D")

    def floor(self, freq: str) -> Any:
        """
        The last point of a grid that is not after each point.

        Parameters
        ----------
        freq
            ``D``, ``h``, ``min``, ``s``, ``ms`` or ``us``, with a number in front if there are
            several, such as ``15min``; ``W`` (from Monday), ``M``, ``Q`` or ``Y`` for the
            beginning of the week, month, quarter or year.

        Returns
        -------
        TimestampField
            In memory.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     t = s.open_dataset("memory://floor.zarr", "w", "d").create_dataframe("t")
        ...     t.create_timestamp("at").data.write(["2020-07-01 23:44:00"])
        ...     print(t["at"].dt.floor("15min")[0], t["at"].dt.floor("W")[0].date())
        2020-07-01 23:30:00+00:00 2020-06-29
        """
        return self._rounded("floor", freq)

    def ceil(self, freq: str) -> Any:
        """
        The first point of a grid that is not before each point; else as `floor`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://ceil.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     people.create_timestamp("day").data.write(["2020-03-31 08:05", "2021-12-01"])
        ...     people["day"].dt.ceil("D").dt.strftime("%Y-%m-%d %H:%M").tolist()
        ['2020-04-01 00:00', '2021-12-01 00:00']
        """
        return self._rounded("ceil", freq)

    def round(self, freq: str) -> Any:
        """
        The nearest point of a grid, of two that are as near the even one; else as `floor`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://round.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     people.create_timestamp("day").data.write(["2020-03-31 08:05", "2021-12-01"])
        ...     people["day"].dt.round("D").dt.strftime("%Y-%m-%d %H:%M").tolist()
        ['2020-03-31 00:00', '2021-12-01 00:00']
        """
        return self._rounded("round", freq)

    def strftime(self, date_format: str) -> Any:
        """
        The points as text.

        Parameters
        ----------
        date_format
            As of Python's own ``strftime``, such as ``%d/%m/%Y``; names are English.

        Returns
        -------
        IndexedStringField
            In memory.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://strftime.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     people.create_timestamp("day").data.write(["2020-03-31 08:05", "2021-12-01"])
        ...     people["day"].dt.strftime("%d.%m.%Y").tolist()
        ['31.03.2020', '01.12.2021']
        """
        if not isinstance(date_format, str):
            raise ArgumentTypeError(f"a format is text such as '%Y-%m-%d', not {date_format!r}")
        odd = [one for one in re.findall(r"%(.?)", date_format, re.DOTALL) if _is_odd(one)]
        if odd:
            raise ArgumentError(
                f"{date_format!r} has %{odd[0]}, which is no directive of strftime on all systems"
            )
        made = self._field.in_memory(indexed_string_attributes())
        for points, mask in self._points():
            text = strings.as_strings(_formatted(points, date_format))
            made.append_masked(text if mask is None else blank_missing(text, mask), mask)
        return made

    def day_name(self) -> Any:
        """
        The English name of the day of the week, as text.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://day_name.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     people.create_timestamp("day").data.write(["2020-03-31 08:05", "2021-12-01"])
        ...     people["day"].dt.day_name().tolist()
        ['Tuesday', 'Wednesday']
        """
        return self.strftime("%A")

    def month_name(self) -> Any:
        """
        The English name of the month, as text.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://month_name.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     people.create_timestamp("day").data.write(["2020-03-31 08:05", "2021-12-01"])
        ...     people["day"].dt.month_name().tolist()
        ['March', 'December']
        """
        return self.strftime("%B")

    def days_since(self, other: Any) -> Any:
        """
        How many days lie between other points and these, with fractions.

        Parameters
        ----------
        other
            A timestamp field, or a date or datetime in any form.

        Returns
        -------
        NumericField
            Of float64 in memory, with the unit ``days``: negative where the other is later.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://days_since.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     people.create_timestamp("day").data.write(["2020-03-31 08:05", "2021-12-01"])
        ...     people["day"].dt.days_since("2020-03-31").tolist()
        [0.3368055555555556, 610.0]
        """
        field: Any = self._field
        days = (field - other) / 86400.0
        days.unit = "days"
        return days

    # -- how

    def _points(self) -> Any:
        """The rows as timestamps of Arrow in the zone, some at a time, and which there are."""
        kind, first = pa.timestamp("us", self._zone), 0
        for column, mask in self._field.masked_blocks():
            values = np.asarray(column)
            values = np.where(np.isfinite(values), values, 0.0)
            check_seconds(values, self._field.phrase())
            micros = np.round(values * 1e6).astype(np.int64)
            finite = np.isfinite(np.asarray(column))
            there = finite if mask is None else mask & finite
            if self._zone != "UTC" and (there & (micros >= _RULES_END)).any():
                row = first + int(np.argmax(there & (micros >= _RULES_END)))
                raise DataError(
                    f"{self._field.phrase()} has a point in time after 2037 in row {row}: what "
                    f"time that is in {self._zone} is not known; take its parts in UTC, without "
                    "tz_convert"
                )
            first += len(micros)
            yield (
                pa.Array.from_buffers(kind, len(micros), [None, pa.py_buffer(micros)]),
                None if there.all() else there,
            )

    def _part(self, name: str, dtype: Any = np.int32) -> NumericField:
        def part(points: Any) -> Any:
            import pyarrow.compute as pc

            return pc.call_function(name, [points])

        return self._numbers(part, dtype)

    def _numbers(self, part: Callable[[Any], Any], dtype: Any = np.int32) -> NumericField:
        made: NumericField = self._field.numeric_like(dtype)
        for points, mask in self._points():
            values = np.asarray(part(points).to_numpy(zero_copy_only=False))
            made.append_masked(values.astype(dtype), mask)
        return made

    def _rounded(self, how: Literal["floor", "ceil", "round"], freq: str) -> Any:
        with about(self._field.phrase):
            count, unit = _frequency(freq)
        made = self._field.memory_like()
        for points, mask in self._points():
            micros = _on_grid(points, how, count, unit)
            seconds = micros / 1e6
            if mask is not None:
                seconds[~mask] = np.nan
            made.append(seconds)
        return made


def _is_odd(directive: str) -> bool:
    return directive not in _DIRECTIVES


def _frequency(freq: object) -> tuple[int, str]:
    match = _FREQUENCY.fullmatch(freq.strip()) if isinstance(freq, str) else None
    if match is None or match[2] not in _UNITS or match[1] in ("0", "00"):
        known = ", ".join(name for name in _UNITS if not name.endswith("S"))
        hint = ""
        if match is not None and match[2] in ("H", "T", "S", "L", "d", "m", "ME", "QE", "YE"):
            said = {"H": "h", "T": "min", "S": "s", "L": "ms", "d": "D", "m": "min"}
            hint = f"; write {match[1]}{said.get(match[2], match[2][0])!s}"
        raise ArgumentError(f"{freq!r} is no grid of time: there are {known}, as in '15min'{hint}")
    return int(match[1] or 1), _UNITS[match[2]]


def _on_grid(points: Any, how: str, count: int, unit: str) -> AnyArray:
    """The points of a grid for points, as microseconds since 1970."""
    import pyarrow.compute as pc

    options = {"multiple": count, "unit": unit}
    if how == "floor":
        return _micros(pc.floor_temporal(points, **options))
    if how == "ceil":
        return _micros(pc.ceil_temporal(points, **options))
    low, high = (_micros(f(points, **options)) for f in (pc.floor_temporal, pc.ceil_temporal))
    after, before = _micros(points) - low, high - _micros(points)
    width = np.maximum(high - low, 1)
    even = (low // width) % 2 == 0  # of two that are as near the even one, as in pandas
    chosen: AnyArray = np.where((after < before) | ((after == before) & even), low, high)
    return chosen


def _micros(points: Any) -> AnyArray:
    return np.asarray(points.cast(pa.int64()).to_numpy(zero_copy_only=False))


def _formatted(points: Any, date_format: str) -> Any:
    """As text; Arrow's ``%S`` has the fraction of a second with it, unless they are whole."""
    import pyarrow.compute as pc

    whole = pc.floor_temporal(points, unit="second").cast(pa.timestamp("s", points.type.tz))
    parts = [""]
    for one in re.findall(r"%.|[^%]+", date_format, re.DOTALL):
        if one == "%f":
            parts += [one, ""]
        else:
            parts[-1] += one
    if len(parts) == 1:
        return pc.strftime(whole, format=date_format)
    fraction = pc.add(pc.multiply(pc.millisecond(points), 1000), pc.microsecond(points))
    digits = pc.utf8_lpad(fraction.cast(pa.string()), width=6, padding="0")
    pieces = [
        digits if part == "%f" else (pc.strftime(whole, format=part) if part else "")
        for part in parts
    ]
    return pc.binary_join_element_wise(*pieces, "")
