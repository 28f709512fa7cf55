"""Points in time: from text, a datetime or a number to POSIX seconds in UTC, and to text."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from numbers import Real

import numpy as np

from exetera_zarr.errors import DataError

__all__ = [
    "EPOCH",
    "SECONDS_PER_DAY",
    "moment",
    "moment_text",
    "parse_day",
    "parse_moment",
    "parse_unpunctuated",
]

SECONDS_PER_DAY = 86400
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENT = re.compile(
    rb"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?"
    rb"(?: ?(?:UTC|Z)|([+-])(\d\d)(?::?(\d\d))?)?"
)
UNPUNCTUATED = re.compile(
    rb"(\d{4}).(\d\d).(\d\d).(\d\d).(\d\d).(\d\d)(?:.(\d{6}))?(?:([+-])(\d\d).(\d\d))?", re.DOTALL
)
DAY = re.compile(rb"(\d{4})-(\d{1,2})-(\d{1,2})")


def moment(given: str | float | date | np.datetime64) -> float:
    """
    A point in time in POSIX seconds.

    Parameters
    ----------
    given
        Text, a datetime (of pandas, too), a date, which means its midnight, a numpy datetime64, or
        POSIX seconds; in UTC unless it has a time zone.

    Raises
    ------
    ValueError
        The text is not a date and time, or it is something else.
    """
    if isinstance(given, Real):
        return float(given)
    if isinstance(given, str):
        try:
            return parse_moment(given.strip().encode())
        except ValueError:
            given = _iso(given)
    if isinstance(given, np.datetime64):
        if np.isnat(given):
            raise DataError("NaT is no moment: write isna() for what is missing")
        return float(
            (given.astype("datetime64[us]") - np.datetime64(0, "us")) / np.timedelta64(1, "s")
        )
    if isinstance(given, date) and not isinstance(given, datetime):
        given = datetime(given.year, given.month, given.day, tzinfo=UTC)
    if not isinstance(given, datetime):
        raise DataError(
            f"a moment is text, a datetime or POSIX seconds, not a {type(given).__name__}"
        )
    if given.tzinfo is None:
        given = given.replace(tzinfo=UTC)
    return given.timestamp()


def _iso(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        raise DataError(f"timestamp {text!r} is not a date and time") from None


def parse_moment(text: bytes) -> float:
    """
    Read one moment.

    Parameters
    ----------
    text
        ``YYYY-MM-DD HH:MM:SS`` (or with ``T``), a fraction of up to nine digits, and nothing,
        ``UTC``, ``Z`` or an offset as zone.

    Returns
    -------
    float
        POSIX seconds.

    Raises
    ------
    ValueError
        It is no moment.
    """
    match = MOMENT.fullmatch(text)
    if match is None:
        raise ValueError
    *clock, fraction, sign, hours, minutes = match.groups()
    moment = datetime(*(int(part) for part in clock), tzinfo=UTC)  # type: ignore[arg-type,misc]
    if sign:
        if int(hours) > 23 or int(minutes or 0) > 59:
            raise ValueError
        offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
        # Subtracted from the difference, not the moment, so that the first and last day work.
        since = moment - EPOCH - (offset if sign == b"+" else -offset)
    else:
        since = moment - EPOCH
    digits = (fraction or b"").ljust(9, b"0")
    microseconds = since // timedelta(microseconds=1) + int(digits[:6])
    if digits.endswith(b"000"):
        return float(microseconds) / 1e6
    return (microseconds * 1000 + int(digits[6:])) / 1_000_000_000


def parse_unpunctuated(text: bytes) -> float:
    """
    Read a moment by where its digits are, as ExeTera does, such as ``2022/02/03 12:00:01+00.00``.

    Returns
    -------
    float
        POSIX seconds.

    Raises
    ------
    ValueError
        It is no moment.
    """
    match = UNPUNCTUATED.fullmatch(text)
    if match is None:
        raise ValueError
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = match.groups()
    clock = b"%b-%b-%b %b:%b:%b" % (year, month, day, hour, minute, second)
    zone = b"%b%b:%b" % (sign, hours, minutes) if sign else b""
    return parse_moment(clock + (b"." + fraction if fraction else b"") + zone)


def parse_day(text: bytes) -> float:
    """
    Read one day, ``YYYY-MM-DD`` (zeros in front may be missing in month and day).

    Returns
    -------
    float
        POSIX seconds of its midnight in UTC.

    Raises
    ------
    ValueError
        It is no day.
    """
    match = DAY.fullmatch(text)
    if match is None:
        raise ValueError
    year, month, day = (int(part) for part in match.groups())
    return (datetime(year, month, day, tzinfo=UTC) - EPOCH).total_seconds()


def moment_text(seconds: float) -> str:
    """A moment, to be read."""
    return f"{np.datetime64(int(seconds), 's')} UTC".replace("T", " ", 1)
