"""Date and time cells to POSIX seconds.

Arrow reads ISO 8601; this module says which of its forms are meant (whole seconds at least, so that
a date in a column of moments is an error), adds ExeTera's form that ends in `` UTC``, and honours
offsets from UTC, which ExeTera ignored.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from exetera_zarr.io.csv.cells import Cells, Faults, Mask
from exetera_zarr.io.csv.convert_format import read_format
from exetera_zarr.io.schema.definitions import DAY_LENGTH, DateTime
from exetera_zarr.moments import parse_day, parse_moment, parse_unpunctuated

__all__ = ["convert_moments"]

# Python's datetime, and so ExeTera, begins here; Arrow also knows a year 0.
FIRST_MICROSECOND = -62_135_596_800_000_000
SECONDS_LENGTH = len("YYYY-MM-DD HH:MM:SS")


def convert_moments(cells: Cells, definition: DateTime, faults: Faults) -> list[npt.NDArray[Any]]:
    """
    Convert date or date-time cells.

    Parameters
    ----------
    cells
        The cells of a column.
    definition
        A `Date` or a `DateTime`, which may say how they are written.
    faults
        Is told of cells that hold neither nothing nor a moment.

    Returns
    -------
    list of numpy.ndarray
        float64 POSIX seconds; then, if the definition asks for them, the days as ``S10`` and the
        flags.
    """
    cells = cells.trimmed()
    whole_days = definition.whole_days
    form = definition.reader
    own = None if form is None else read_format(cells, form)
    if own is not None and form is not None and (form.strict or own.valid[cells.filled].all()):
        seconds, valid = own.seconds, own.valid
    else:
        seconds, valid = _days(cells) if whole_days else _moments(cells)
        if own is not None:
            seconds, valid = np.where(own.valid, own.seconds, seconds), own.valid | valid
    rest = cells.filled & ~valid
    if form is not None and form.strict:
        faults.add(rest, lambda row: f"is not a {form.shown}")  # noqa: ARG005 - one for all
    elif rest.any():
        found, failed = cells.each(rest, parse_day if whole_days else parse_moment, np.float64)
        if faults.lenient and not whole_days and failed.any():
            rows = rest.copy()
            rows[rest] = failed
            found[failed], odd = cells.each(rows, parse_unpunctuated, np.float64)
            failed[failed] = odd
            rows[rest] &= ~failed
            faults.let_pass(rows, "read moments whatever separates their parts")
        wrong = np.zeros(len(cells), bool)
        wrong[rest] = failed
        expected = "date YYYY-MM-DD" if whole_days else "date and time YYYY-MM-DD HH:MM:SS"
        expected = expected if form is None else f"{form.shown} (or {expected})"
        faults.add(wrong, lambda row: f"is not a {expected}")  # noqa: ARG005 - one reason for all
        seconds[rest] = found
    seconds[~cells.filled] = 0.0
    if not (definition.has_flag or cells.filled.all()):
        # No column says which cells were empty, so the values do.
        seconds = np.ma.MaskedArray(seconds, ~cells.filled)
    produced: list[npt.NDArray[Any]] = [seconds]
    if definition.has_day and not faults:
        days = _day_texts(cells)
        produced.append(days if own is None else np.where(own.valid, own.days, days))
    if definition.has_flag:
        produced.append(cells.filled)
    return produced


def _days(cells: Cells) -> tuple[npt.NDArray[np.float64], Mask]:
    """Read the cells of exactly ten bytes, unless one of them is unusual."""
    usual = cells.lengths == DAY_LENGTH
    try:
        days = pc.cast(cells.as_text(usual), pa.date32())
    except pa.ArrowInvalid:
        usual = np.zeros(len(cells), bool)
        return np.zeros(len(cells)), usual
    values = _as_float(days, np.dtype(np.int32)) * 86400.0
    return values, usual & (values * 1e6 >= FIRST_MICROSECOND)


def _moments(cells: Cells) -> tuple[npt.NDArray[np.float64], Mask]:
    """Read the cells of each form of time zone together, unless one of them is unusual."""
    seconds = np.zeros(len(cells))
    read = np.zeros(len(cells), bool)
    # The colon before the seconds: Arrow would also read a day, an hour or a minute.
    whole = (cells.lengths >= SECONDS_LENGTH) & (cells.byte_at(16) == ord(":"))
    named = whole.copy()
    for position, byte in zip((-1, -2, -3, -4), b"CTU ", strict=True):
        named &= cells.byte_at(position) == byte
    zoned = whole & ~named & _has_offset(cells)
    for rows, zone in ((named, None), (zoned, "UTC"), (whole & ~named & ~zoned, None)):
        if not rows.any():
            continue
        clocks = Cells(pc.binary_slice(cells.array, 0, -len(" UTC"))) if rows is named else cells
        try:
            moments = pc.cast(clocks.as_text(rows), pa.timestamp("us", zone))
        except pa.ArrowInvalid:
            continue
        values = _as_float(moments, np.dtype(np.int64))
        usual = rows & (values >= FIRST_MICROSECOND)
        seconds[usual] = values[usual] / 1e6
        read |= usual
    return seconds, read


def _has_offset(cells: Cells) -> Mask:
    """Which cells end in Z, +HH, +HHMM or +HH:MM; asked of cells of 19 bytes or more."""
    found: Mask = cells.byte_at(-1) == ord("Z")
    for position in (-3, -5, -6):
        sign = cells.byte_at(position)
        found |= (sign == ord("+")) | (sign == ord("-"))
    return found


def _as_float(array: pa.Array, dtype: np.dtype[Any]) -> npt.NDArray[np.float64]:
    if not len(array):
        return np.zeros(0)
    return np.frombuffer(array.buffers()[1], dtype, len(array)).astype(np.float64)


def _day_texts(cells: Cells) -> npt.NDArray[np.bytes_]:
    """Return the first ten bytes of each cell: the day as written, in the zone of the writer."""
    if not len(cells):
        return np.zeros(0, f"S{DAY_LENGTH}")
    # Every cell is ASCII by now.
    days = Cells(pc.binary_slice(cells.array, 0, DAY_LENGTH)).as_text(np.ones(len(cells), bool))
    padded = Cells(pc.ascii_rpad(days, DAY_LENGTH, padding="\0").view(pa.binary()))
    return padded.data.view(f"S{DAY_LENGTH}")
