"""From what was seen of a column to the definition that is proposed for it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from exetera_zarr.io.propose.profiling import ColumnProfile, Kind, Misfit

__all__ = ["Proposed", "propose"]

LONGEST_FIXED = 255
# A text column is one of categories when each of them occurs so often on average.
REPEATS = 4
# How people and programs write "no number"; compared without case and spaces.
MISSING = frozenset(
    {b"", b"na", b"n/a", b"#n/a", b"nan", b"null", b"none", b"nil", b"missing", b"-", b".", b"?"}
)
BOOLS = frozenset({b"true", b"false"})
# Where so many of the cells are of a type, the others are worth a note.
NEARLY = 0.9
KINDS: Mapping[Kind, str] = {
    "int": "integers",
    "float": "numbers",
    "date": "dates",
    "datetime": "dates with times",
}
# Dates as people write them, of which the importer reads none.
FOREIGN_DATES = (
    (re.compile(rb"\d{1,2}([/.-])\d{1,2}\1\d{4}( .*)?"), ""),
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
ISO = re.compile(rb"(\d{4}-\d\d-\d\d)([ T].*)?")
# Numbers with commas in them, of which the importer reads none.
WITH_COMMA = re.compile(rb"[+-]?\d+(,\d+)+(\.\d+)?|[+-]?\d+(\.\d{3})*,\d+")
THOUSANDS = re.compile(rb"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?")
DECIMAL = re.compile(rb"[+-]?\d+(\.\d{3})*,\d+")
PLAIN = re.compile(rb"[+-]?\d+(\.\d+)?")
DAY_NUMBER = re.compile(rb"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
INTEGERS = ("int8", "int16", "int32", "int64")


@dataclass
class Proposed:
    """
    What is proposed for a column.

    Parameters
    ----------
    entry
        The column's entry in the schema.
    notes
        What is to be looked at, a sentence each.
    """

    entry: dict[str, Any]
    notes: list[str] = field(default_factory=list)


def propose(profile: ColumnProfile, *, complete: bool, max_categories: int) -> Proposed:
    """
    Choose a definition for a column.

    Parameters
    ----------
    profile
        What was seen of it.
    complete
        Whether that is all of it; otherwise numbers get room for what was not seen.
    max_categories
        The most texts that are proposed as categories.
    """
    if not profile.words:
        return Proposed({"field_type": "string"}, ["it has no values, so its type is a guess"])
    found = (
        _as_bool(profile, complete=complete)
        or _as_integer(profile, complete=complete)
        or _as_float(profile, complete=complete)
        or _as_moment(profile, complete=complete)
        or _as_text(profile, max_categories)
    )
    if profile.broken is not None:
        where = f" (row {profile.broken})" if profile.broken else ""
        found.notes.append(f"a cell is not UTF-8{where}; the import will not take it")
    return found


# Numbers


def _numeric(
    nformat: str, profile: ColumnProfile, misfits: Mapping[bytes, Misfit], *, complete: bool
) -> Proposed:
    mode = "relaxed" if misfits else "strict"
    if not misfits and (profile.empty or not complete):
        mode = "allow_empty"
    entry = {"field_type": "numeric", "value_type": nformat, "validation_mode": mode}
    if not misfits:
        return Proposed(entry)
    count = sum(misfit.count for misfit in misfits.values())
    return Proposed(entry, [f"{_cells(count)} {_examples(misfits)} will count as missing"])


def _as_bool(profile: ColumnProfile, *, complete: bool) -> Proposed | None:
    if profile.more or not {text.strip().lower() for text in profile.texts} <= BOOLS:
        return None
    return _numeric("bool", profile, {}, complete=complete)


def _missing_only(profile: ColumnProfile, kind: Kind) -> Mapping[bytes, Misfit] | None:
    """Return what is not of a type if all of that says "missing", and not every cell does."""
    misfits = profile.misfits.get(kind)
    if misfits is None or any(text.strip().lower() not in MISSING for text in misfits):
        return None
    return misfits if _count(misfits) < profile.filled else None


def _as_integer(profile: ColumnProfile, *, complete: bool) -> Proposed | None:
    misfits = _missing_only(profile, "int")
    if misfits is None or profile.padded is not None or profile.low is None:
        return None
    low, high = profile.low, int(profile.high or 0)
    room = 1 if complete else 2
    nformat = next(
        (
            name
            for name in INTEGERS
            if np.iinfo(name).min <= low * room and high * room <= np.iinfo(name).max
        ),
        "int64",
    )
    found = _numeric(nformat, profile, misfits, complete=complete)
    if (low, high) == (0, 1):
        found.notes.append("it has only 0 and 1: value_type 'bool' would do as well")
    elif not profile.more and all(DAY_NUMBER.fullmatch(text.strip()) for text in profile.texts):
        found.notes.append("its numbers look like dates YYYYMMDD; the importer reads YYYY-MM-DD")
    return found


def _as_float(profile: ColumnProfile, *, complete: bool) -> Proposed | None:
    misfits = _missing_only(profile, "float")
    if misfits is None or profile.inexact or profile.padded or not profile.digits:
        return None
    if _respelled(profile):
        return None
    # A sample cannot say that float32 holds the rest exactly.
    nformat = "float32" if complete and profile.single else "float64"
    return _numeric(nformat, profile, misfits, complete=complete)


def _respelled(profile: ColumnProfile) -> tuple[bytes, bytes] | None:
    """Find two texts that would become one number, as codes have them: 250.0 and 250.00."""
    first: dict[str, bytes] = {}
    for text in map(bytes.strip, profile.texts):
        try:
            number = float(text)
        except ValueError:
            continue
        # Its shortest text tells -0.0 from 0.0, which are two numbers here.
        if math.isfinite(number) and first.setdefault(repr(number), text) != text:
            return first[repr(number)], text
    return None


# Moments


def _as_moment(profile: ColumnProfile, *, complete: bool) -> Proposed | None:
    for kind in ("date", "datetime"):
        if profile.misfits.get(kind) == {}:
            break
    else:
        return None
    flagged = bool(profile.empty) or profile.blank or not complete
    found = Proposed({"field_type": kind, "create_flag_field": flagged})
    if kind == "datetime" and profile.zones:
        others = "; those without one are read as UTC" if profile.local else ""
        found.notes.append(f"it has time zones, and is stored in UTC{others}")
    return found


# Text


def _as_text(profile: ColumnProfile, max_categories: int) -> Proposed:
    texts = profile.texts
    few = not profile.more and len(texts) <= max_categories
    if few and profile.filled >= REPEATS * len(texts) and profile.broken is None:
        found = _categorical(sorted(texts))
    elif (
        profile.shortest == profile.longest <= LONGEST_FIXED
        and not profile.ends_in_nul
        and profile.broken is None
    ):
        found = Proposed({"field_type": "fixed_string", "length": profile.longest})
    else:
        found = Proposed({"field_type": "string"})
    found.notes += _why_text(profile)
    return found


def _categorical(texts: list[bytes]) -> Proposed:
    # 0 is what a merge gives rows without a partner, and what ExeTera's schemas call "no answer".
    names = ["", *(text.decode() for text in texts)]
    body = {
        "value_type": "int8" if len(names) <= 128 else "int16",
        "strings_to_values": {name: value for value, name in enumerate(names)},
    }
    found = Proposed({"field_type": "categorical", "categorical": body})
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(" ".join(name.split()).casefold(), []).append(name)
    for group in alike.values():
        if len(group) > 1:
            found.notes.append(
                f"the categories {', '.join(map(repr, group))} differ only in case or spaces; they "
                "can share a value"
            )
    return found


def _why_text(profile: ColumnProfile) -> Iterator[str]:
    """Say why a column that looks like something else is text."""
    if commas := _commas(profile):
        yield commas
        return
    others = {kind: _count(misfits) for kind, misfits in profile.misfits.items()}
    near = {kind: n for kind, n in others.items() if n <= profile.filled * (1 - NEARLY)}
    number = "int" in near or "float" in near
    if number and profile.padded is not None:
        yield f"{_shown(profile.padded)} would lose characters as a number, so it is text"
    elif number and profile.inexact is not None:
        yield f"{_shown(profile.inexact)} is more than a number here can hold, so it is text"
    elif "float" in near and (pair := _respelled(profile)):
        yield f"{_shown(pair[0])} and {_shown(pair[1])} are one number, so it is text"
    elif misfits := {kind: n for kind, n in near.items() if n}:
        kind = min(misfits, key=misfits.__getitem__)
        remedy = (
            "a numeric with validation_mode 'relaxed' would count them as missing"
            if number
            else "left empty, they would not keep it from being imported as that"
        )
        yield (
            f"it has {KINDS[kind]}, but for {_cells(near[kind])} "
            f"{_examples(profile.misfits[kind])}; {remedy}"
        )
    elif days := _iso_dates(list(profile.texts)):
        yield days
    elif dates := _foreign_dates(list(profile.texts)):
        yield f"it looks like dates ({dates}); the importer reads YYYY-MM-DD [HH:MM:SS]"


def _commas(profile: ColumnProfile) -> str:
    """Say of a column of numbers with commas what the importer would read instead."""
    texts = [text.strip() for text in profile.texts if text.strip().lower() not in MISSING]
    commas = [text for text in texts if WITH_COMMA.fullmatch(text)]
    if not commas or not all(WITH_COMMA.fullmatch(t) or PLAIN.fullmatch(t) for t in texts):
        return ""
    decimal = all(DECIMAL.fullmatch(text) for text in commas)
    thousands = all(THOUSANDS.fullmatch(text) for text in commas)
    if not decimal and not thousands:
        return ""
    if decimal and thousands:
        meaning = "it may stand before decimals or between thousands"
    else:
        meaning = "it stands before decimals" if decimal else "it stands between thousands"
    return (
        f"it looks like numbers with a comma ({_shown(commas[0])}): {meaning}, and the importer "
        "reads numbers without one, such as 1234.5, so it is text"
    )


def _iso_dates(texts: list[bytes]) -> str:
    """Say why a column is none of dates where all of its texts are written like YYYY-MM-DD."""
    found = [ISO.fullmatch(text.strip()) for text in texts]
    if not texts or not all(found):
        return ""
    wrong = [text for text, match in zip(texts, found, strict=True) if match and not _is_day(match)]
    if wrong:
        return (
            f"it looks like dates, of which some are in no calendar ({_shown(wrong[0])}); left "
            "empty, they would not keep it from being imported as dates"
        )
    with_time = [match is not None and match[2] is not None for match in found]
    if any(with_time) and not all(with_time):
        return (
            "it looks like dates (dates with and without times); the importer reads YYYY-MM-DD "
            "[HH:MM:SS]"
        )
    return ""


def _is_day(match: re.Match[bytes]) -> bool:
    try:
        date.fromisoformat(match[1].decode())
    except ValueError:
        return False
    return True


def _foreign_dates(texts: list[bytes]) -> str:
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


# Words


def _count(misfits: Mapping[bytes, Misfit]) -> int:
    return sum(misfit.count for misfit in misfits.values())


def _cells(count: int) -> str:
    return f"{count:,} cell{'' if count == 1 else 's'}"


def _examples(misfits: Mapping[bytes, Misfit]) -> str:
    shown = [_shown(text) for text in list(misfits)[:3]]
    first = next(iter(misfits.values())).row
    where = f", first in row {first:,}" if first is not None else ""
    more = ", ..." if len(misfits) > len(shown) else ""
    return f"({', '.join(shown)}{more}{where})"


def _shown(text: bytes) -> str:
    shown = repr(text[:40].decode("utf-8", "backslashreplace"))
    return shown if len(text) <= 40 else f"{shown}..."
