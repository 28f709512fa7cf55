"""Dates that are written in a form of their own: each distinct text once, by its parts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exetera_zarr.io.schema.date_formats import MONTHS

if TYPE_CHECKING:
    import numpy.typing as npt

    from exetera_zarr.io.csv.cells import Cells, Mask
    from exetera_zarr.io.schema.date_formats import DateFormat

__all__ = ["Read", "read_format"]

# POSIX reads two digits of a year so: from 1969 to 2068.
PIVOT = 69
SECOND, MINUTE, HOUR, DAY = 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000


@dataclass(frozen=True)
class Read:
    """
    What became of cells.

    Parameters
    ----------
    seconds
        float64 POSIX seconds, 0 where a cell was not read.
    valid
        Which cells were read.
    days
        The days as they are written, in no zone: ``S10``.
    """

    seconds: npt.NDArray[np.float64]
    valid: Mask
    days: npt.NDArray[np.bytes_]


def read_format(cells: Cells, form: DateFormat) -> Read:
    """
    Read the cells that have a form.

    Parameters
    ----------
    cells
        Without white space at their ends.
    form
        What they should look like. Days that are in no calendar are not read.
    """
    coded = cells.array.dictionary_encode()
    texts, codes = coded.dictionary, coded.indices.to_numpy()
    seconds, valid, days = _distinct(texts, form)
    return Read(seconds[codes], valid[codes], days[codes])


def _distinct(texts: pa.Array, form: DateFormat) -> tuple[npt.NDArray[Any], Mask, npt.NDArray[Any]]:
    rows = len(texts)
    if not rows:
        return np.zeros(0), np.zeros(0, bool), np.zeros(0, "S10")
    found = pc.extract_regex(texts, form.pattern)
    valid = found.is_valid().to_numpy(zero_copy_only=False)
    parts = _Parts(found)
    if "s" in parts.names and "t" in parts.names:
        valid = valid & np.asarray(pc.fill_null(pc.equal(parts.text("s"), parts.text("t")), False))
    year, month, day, fits = _calendar(parts)
    clock, sane = _clock(parts)
    valid = valid & fits & sane
    days = ((year - 1970) * 12 + month - 1).astype("M8[M]").astype("M8[D]") + (day - 1)
    days[~valid] = np.datetime64(0, "D")
    micros = days.astype(np.int64) * DAY + clock
    seconds = np.where(valid, micros, 0) / 1e6
    return seconds, valid, np.datetime_as_string(days).astype("S10")


def _calendar(
    parts: _Parts,
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], Mask]:
    """Year, month and day, and whether there is such a day; of others 1970-01-01."""
    if "Y" in parts.names:
        year = parts.number("Y")
    else:
        year = parts.number("y")
        year = year + np.where(year < PIVOT, 2000, 1900)
    fits = year >= 1
    if "j" in parts.names:
        number = parts.number("j", 1)
        leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
        fits = fits & (number >= 1) & (number <= 365 + leap)
        first = (np.where(fits, year, 1970) - 1970).astype("M8[Y]").astype("M8[D]")
        days = first + (np.where(fits, number, 1) - 1)
        months = days.astype("M8[M]")
        day = (days - months.astype("M8[D]")).astype(np.int64) + 1
        return np.where(fits, year, 1970), months.astype(np.int64) % 12 + 1, day, fits
    month, day = parts.month(), parts.number("d", 1)
    fits = fits & (month >= 1) & (month <= 12)
    start = np.where(fits, (year - 1970) * 12 + month - 1, 0)
    length = (
        (start + 1).astype("M8[M]").astype("M8[D]") - start.astype("M8[M]").astype("M8[D]")
    ).astype(np.int64)
    fits = fits & (day >= 1) & (day <= length)
    return np.where(fits, year, 1970), np.where(fits, month, 1), np.where(fits, day, 1), fits


def _clock(parts: _Parts) -> tuple[npt.NDArray[np.int64], Mask]:
    """Microseconds since midnight in UTC, and whether there is such a time."""
    minute, second = parts.number("M", 0), parts.number("S", 0)
    sane = (minute <= 59) & (second <= 59)
    if "I" in parts.names:
        hour = parts.number("I", 12)
        sane &= (hour >= 1) & (hour <= 12)
        afternoon = np.asarray(pc.fill_null(pc.equal(pc.utf8_lower(parts.text("p")), "pm"), False))
        hour = hour % 12 + 12 * afternoon
    else:
        hour = parts.number("H", 0)
        sane &= hour <= 23
    micros = hour * HOUR + minute * MINUTE + second * SECOND
    if "f" in parts.names:
        micros += parts.digits(pc.utf8_rpad(parts.text("f"), 6, "0"), 0)
    if "z" in parts.names:
        offset, known = parts.offset()
        micros -= offset
        sane &= known
    return micros, sane


class _Parts:
    """The parts of texts, which are null where these have not the form."""

    def __init__(self, found: pa.StructArray) -> None:
        self._found = found
        self.names = {found.type.field(place).name for place in range(found.type.num_fields)}

    def text(self, name: str) -> pa.Array:
        # ASCII, by the pattern; a row that has not the form has no part.
        part = self._found.flatten()[self._found.type.get_field_index(name)]
        return part.cast(pa.string())

    def number(self, name: str, default: int | None = None) -> npt.NDArray[np.int64]:
        if name not in self.names:
            return np.full(len(self._found), default, np.int64)
        return self.digits(self.text(name), default or 0)

    @staticmethod
    def digits(text: pa.Array, default: int) -> npt.NDArray[np.int64]:
        """Numbers of texts, and another one where they are empty."""
        known = pc.if_else(pc.equal(text, ""), None, text)
        return np.array(pc.fill_null(pc.cast(known, pa.int64()), default))

    def month(self) -> npt.NDArray[np.int64]:
        name = next((one for one in "bB" if one in self.names), None)
        if name is None:
            return self.number("m", 1)
        short = pc.utf8_slice_codeunits(pc.utf8_lower(self.text(name)), 0, 3)
        return np.asarray(
            pc.fill_null(pc.index_in(short, value_set=_short_months()), 0)
        ) + np.int64(1)

    def offset(self) -> tuple[npt.NDArray[np.int64], Mask]:
        text = self.text("z")
        plain = pc.replace_substring(text, ":", "")
        sign = np.where(np.asarray(pc.fill_null(pc.starts_with(plain, "-"), False)), -1, 1)
        hours = self.digits(pc.utf8_slice_codeunits(_signed(plain), 1, 3), 0)
        minutes = self.digits(pc.utf8_slice_codeunits(_signed(plain), 3, 5), 0)
        return sign * (hours * HOUR + minutes * MINUTE), (hours <= 23) & (minutes <= 59)


def _signed(zones: pa.Array) -> pa.Array:
    """Offsets, and no text for those that say UTC."""
    return pc.if_else(pc.match_substring_regex(zones, "^[+-]"), zones, "")


@lru_cache(maxsize=1)
def _short_months() -> pa.Array:
    return pa.array([name[:3] for name in MONTHS])
