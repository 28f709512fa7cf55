"""How SPSS, Stata and SAS count time, by the format in which a variable is shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from exetera_zarr.storage.base import AnyArray

__all__ = ["SPSS_EPOCH", "STATA_EPOCH", "Package", "seconds_by"]

Package: TypeAlias = Literal["SPSS", "Stata", "SAS"]
Seconds: TypeAlias = Callable[["AnyArray"], "AnyArray"]

SPSS_EPOCH = -12_219_379_200
"""1582-10-14 in POSIX seconds, from which SPSS counts seconds."""
STATA_EPOCH = -315_619_200
"""1960-01-01, from which Stata counts milliseconds, and SAS seconds; both also days."""
_DAY = 86_400

_SPSS_MOMENTS = {
    *("DATE", "ADATE", "EDATE", "JDATE", "SDATE", "QYR", "MOYR", "WKYR", "DATETIME", "YMDHMS")
}
_SPSS_TIMES = {"TIME", "DTIME", "MTIME"}

_SAS_NAME = re.compile(r"[A-Z]+8601[A-Z]+|[A-Z]+")
_SAS_DAYS = {
    *("DATE", "WEEKDATE", "WEEKDATX", "WORDDATE", "WORDDATX", "MONYY", "YYMON", "JULIAN"),
    *("E8601DA", "B8601DA", "IS8601DA", "NENGO", "MINGUO"),
}
_SAS_DAYS_LIKE = re.compile(r"(MMDDYY|DDMMYY|YYMMDD|YYMM|MMYY|YYQ|YYQR)[BCDNPS]?$")
_SAS_MOMENTS = {
    *("DATETIME", "DATEAMPM", "MDYAMPM", "E8601DT", "B8601DT", "IS8601DT", "DTDATE", "DTMONYY"),
    *("DTWKDATX", "DTYEAR", "DTYYQC", "E8601DN", "B8601DN", "IS8601DN"),
}
_SAS_TIMES = {"TIME", "TIMEAMPM", "TOD", "HHMM", "E8601TM", "B8601TM", "IS8601TM"}


def seconds_by(package: Package, shown_as: str | None) -> tuple[str, Seconds] | None:
    """
    What the numbers of a variable are by its format, and how they become seconds.

    Parameters
    ----------
    package
        Whose format it is.
    shown_as
        The format.

    Returns
    -------
    tuple of str and function, or None
        ``moments``, of which the seconds are since 1970, or ``durations``; None for numbers.
    """
    if not shown_as:
        return None
    if package == "Stata":
        return _of_stata(shown_as.replace("%-", "%"))
    found = _SAS_NAME.match(shown_as.upper())
    name = found[0] if found else ""
    if package == "SPSS":
        if name in _SPSS_MOMENTS:
            return "moments", lambda values: values + SPSS_EPOCH
        return ("durations", _same) if name in _SPSS_TIMES else None
    if name in _SAS_DAYS or _SAS_DAYS_LIKE.match(name):
        return "moments", _of_days
    if name in _SAS_MOMENTS:
        return "moments", lambda values: values + STATA_EPOCH
    return ("durations", _same) if name in _SAS_TIMES else None


def _of_stata(shown_as: str) -> tuple[str, Seconds] | None:
    if shown_as.lower().startswith("%tchh"):
        return "durations", lambda values: values / 1000
    if shown_as.startswith("%tc"):
        return "moments", lambda values: (values + STATA_EPOCH * 1000) / 1000
    for start, seconds in {
        "%td": _of_days,
        "%d": _of_days,
        "%tw": _of_weeks,
        "%tm": _of_months(1),
        "%tq": _of_months(3),
        "%th": _of_months(6),
    }.items():
        if shown_as.startswith(start):
            return "moments", seconds
    return None  # %tC too, which counts leap seconds: nobody but Stata knows when these were


def _same(values: AnyArray) -> AnyArray:
    return values


def _of_days(values: AnyArray) -> AnyArray:
    found: AnyArray = values * _DAY + STATA_EPOCH
    return found


def _of_weeks(values: AnyArray) -> AnyArray:
    """Of which each year has 52, the first from the first of January."""
    weeks = np.floor(values).astype(np.int64)
    years = (np.datetime64("1960", "Y") + weeks // 52).astype("datetime64[s]")
    found: AnyArray = years.astype(np.float64) + weeks % 52 * 7 * _DAY
    return found


def _of_months(each: int) -> Seconds:
    def seconds(values: AnyArray) -> AnyArray:
        months = np.datetime64("1960-01", "M") + np.floor(values).astype(np.int64) * each
        found: AnyArray = months.astype("datetime64[s]").astype(np.float64)
        return found

    return seconds
