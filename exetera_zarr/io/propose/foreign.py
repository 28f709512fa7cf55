"""Numbers and dates as other countries and programs write them, and which a column may hold."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from exetera_zarr.io.schema.definitions import Date, DateTime, Numeric

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["DATES", "DAY_FIRST", "MARKS", "MONTH_FIRST", "OF_FORMAT", "plausible"]

MARKS: Mapping[str, tuple[str, str | None]] = MappingProxyType(
    {
        "1.234,5": (",", "."),
        "1 234,5": (",", " "),
        "1\u00a0234,5": (",", "\u00a0"),
        "1\u202f234,5": (",", "\u202f"),
        "1,234.5": (".", ","),
        "1 234.5": (".", " "),
        "1'234.5": (".", "'"),
        "1\u2019234.5": (".", "\u2019"),
    }
)
"""By an example, what stands before decimals and between thousands."""
DAY_FIRST, MONTH_FIRST = ("31/12/2024", "31/12/2024 10:00"), ("12/31/2024", "12/31/2024 10:00")
FORMATS = (
    *(
        "%Y/%m/%d",
        "%Y.%m.%d",
        "%d %b %Y",
        "%d-%b-%Y",
        "%d %B %Y",
        "%d-%B-%Y",
        "%d%b%Y",
        "%d. %B %Y",
    ),
    *("%B %d, %Y", "%b %d, %Y"),
)
TIMED = (
    *("%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S"),
    *("%d%b%Y:%H:%M:%S", "%d %b %Y %H:%M", "%d %b %Y %H:%M:%S", "%d-%b-%Y %H:%M:%S"),
    *("%m/%d/%Y %I:%M %p", "%m/%d/%Y %I:%M:%S %p", "%d/%m/%Y %I:%M %p", "%d/%m/%Y %I:%M:%S %p"),
)
OF_FORMAT: Mapping[str, DateTime] = MappingProxyType(
    {one: Date(date_format=one) for one in FORMATS}
    | {one: DateTime(date_format=one) for one in TIMED}
)
"""Dates of a format, by it."""
DATES: Mapping[str, DateTime] = MappingProxyType(
    {
        DAY_FIRST[0]: Date(dayfirst=True),
        DAY_FIRST[1]: DateTime(dayfirst=True),
        MONTH_FIRST[0]: Date(dayfirst=False),
        MONTH_FIRST[1]: DateTime(dayfirst=False),
        **OF_FORMAT,
    }
)
"""All dates that are not as ISO 8601 has them, by an example or a format."""
NUMBERS: Mapping[str, Numeric] = MappingProxyType(
    {
        name: Numeric("float64", validation_mode="relaxed", decimal=decimal, thousands=thousands)
        for name, (decimal, thousands) in MARKS.items()
    }
)
# A look at a text says what is worth a try.
MARKED = re.compile(
    r"[-+]?[0-9]{1,3}([.,' \u00a0\u202f\u2019][0-9]{3})+|[-+]?[0-9.' \u00a0\u202f\u2019]*,[0-9]+"
)
POINTED = re.compile(r"[-+]?[0-9]{1,3}(\.[0-9]{3})+")
NUMBERED = re.compile(r"\d{1,2}[/.-]\d{1,2}[/.-]\d{4}")
WORDED = re.compile(
    r"\d{1,2}\.?[ -]?[A-Za-z]{3,9}[ -]?\d{2,4}|[A-Za-z]{3,9} \d{1,2}, \d{4}|\d{4}[/.]\d"
)
SHORT_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d$")


def definition(kind: str) -> Numeric | DateTime:
    """What is tried for a kind of this module."""
    return NUMBERS[kind] if kind in NUMBERS else DATES[kind]


def plausible(texts: Iterable[bytes]) -> list[str]:
    """The kinds that are worth a try for a column with these texts."""
    found: dict[str, None] = {}
    for text in (text.decode("utf-8", "replace").strip() for text in texts):
        if MARKED.match(text):
            found |= dict.fromkeys(NUMBERS)
        if NUMBERED.match(text):
            found |= dict.fromkeys((*DAY_FIRST, *MONTH_FIRST))
            found |= dict.fromkeys(one for one in TIMED if "%p" in one)
        if WORDED.match(text) or SHORT_TIME.match(text):
            found |= dict.fromkeys(OF_FORMAT)
    return list(found)
