"""Dates that are not as ISO 8601 has them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from exetera_zarr.io.propose.foreign import DAY_FIRST, MONTH_FIRST, OF_FORMAT
from exetera_zarr.io.propose.judging import (
    MISSING,
    Habit,
    Proposed,
    counted_missing,
    fits,
    na_values,
    shown,
)

if TYPE_CHECKING:
    from exetera_zarr.io.propose.profiling import ColumnProfile, Kind

__all__ = ["as_formatted", "as_ordered", "foreign_dates", "moment"]

# Dates as people write them, of which the importer reads none.
FOREIGN_DATES = (
    (re.compile(rb"\d{1,2}([/.-])\d{1,2}\1\d{4}( .*)?"), ""),
    (re.compile(rb"\d{1,2}([/.-])\d{1,2}\1\d{2}( .*)?"), "with years of two digits"),
    (re.compile(rb"\d{4}([/.])\d{1,2}\1\d{1,2}( .*)?"), "year/month/day"),
    (re.compile(rb"\d{1,2}[ -][A-Za-z]{3,9}[ -]\d{2,4}( .*)?"), "day, name of the month, year"),
    (
        re.compile(
            rb"\d{1,2}(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
            rb"(\d{2}|\d{4})([: ].*)?",
            re.IGNORECASE,
        ),
        "day, name of the month, year",
    ),
    (re.compile(rb"\d{4}-\d\d-\d\d[ T]\d\d:\d\d"), "times without seconds"),
)


def moment(
    field_type: str, profile: ColumnProfile, kind: Kind, *, complete: bool, **how: Any
) -> Proposed:
    """Dates, or dates with times, that are read in some way."""
    misfits = profile.misfits[kind]
    flagged = bool(profile.empty or misfits) or profile.blank or not complete
    return Proposed(
        {"field_type": field_type, "create_flag_field": flagged, **how, **na_values(misfits)},
        counted_missing(misfits),
    )


def as_ordered(profile: ColumnProfile, habit: Habit, *, complete: bool) -> Proposed | None:
    """Dates of numbers, of which the day or the month comes first."""
    kinds = {
        first: next((kind for kind in of if fits(profile, kind)), None)
        for first, of in ((True, DAY_FIRST), (False, MONTH_FIRST))
    }
    possible = [first for first, kind in kinds.items() if kind is not None]
    if not possible:
        return None
    texts = [text.strip() for text in profile.texts if text.strip().lower() not in MISSING]
    dots = any(b"." in text[:3] for text in texts)
    first = possible[0]
    open_ = len(possible) > 1
    if open_ and habit.dayfirst is not None and not dots:
        first = habit.dayfirst
    kind = kinds[first]
    assert kind is not None
    field_type = "datetime" if kind in (DAY_FIRST[1], MONTH_FIRST[1]) else "date"
    found = moment(field_type, profile, kind, complete=complete, dayfirst=first)
    order = "day/month/year" if first else "month/day/year"
    if not open_:
        found.notes.append(f"it has dates ({order})")
    elif dots:
        found.notes.append(f"it has dates ({order}, as dates with dots are)")
    else:
        why = " as in other columns" if habit.dayfirst is not None else ""
        found.notes.append(
            f"it has dates (day/month/year or month/day/year): no cell tells which ("
            f"{shown(texts[0])}), and {order} was taken{why}; dayfirst={not first} means the other"
        )
    return found


def as_formatted(profile: ColumnProfile, *, complete: bool) -> Proposed | None:
    """Dates of one format."""
    form = next((form for form in OF_FORMAT if fits(profile, form)), None)
    if form is None:
        return None
    field_type = "date" if OF_FORMAT[form].whole_days else "datetime"
    found = moment(field_type, profile, form, complete=complete, date_format=form)
    texts = [text for text in profile.texts if text not in profile.misfits[form]]
    words = foreign_dates(texts)
    said = f"{words}; " if words and "day/month" not in words else ""
    found.notes.append(f"it has dates ({said}date_format {form!r})")
    return found


def foreign_dates(texts: list[bytes]) -> str:
    """What texts look like that are all dates of some form; no text if they are none."""
    for pattern, words in FOREIGN_DATES:
        if texts and all(pattern.fullmatch(text.strip()) for text in texts):
            return words or _order_of_days([re.split(rb"[/. -]", text.strip()) for text in texts])
    return ""


def _order_of_days(parts: list[list[bytes]]) -> str:
    late_first = any(int(first) > 12 for first, *_ in parts)
    late_second = any(int(second) > 12 for _, second, *_ in parts)
    if late_first and late_second:
        return "in different orders of day and month, or days that are in no calendar"
    if late_first:
        return "day/month/year"
    if late_second:
        return "month/day/year"
    return "day/month/year or month/day/year"
