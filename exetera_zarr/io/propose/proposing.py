"""From what was seen of a column to the definition that is proposed for it."""

from __future__ import annotations

import math
import re
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from exetera_zarr.io.propose.as_dates import as_formatted, as_ordered, foreign_dates, moment
from exetera_zarr.io.propose.as_marked import as_marked, as_pointed
from exetera_zarr.io.propose.foreign import MARKS
from exetera_zarr.io.propose.judging import (
    INTEGERS,
    MISSING,
    Habit,
    Proposed,
    cells,
    counted,
    counted_missing,
    examples,
    fits,
    missing_only,
    na_values,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from exetera_zarr.io.propose.profiling import ColumnProfile, Kind, Misfit

__all__ = ["MISSING", "propose"]

LONGEST_FIXED = 255
# A text column is one of categories when each of them occurs so often on average.
REPEATS = 4
BOOLS = frozenset({b"true", b"false"})
# Where so many of the cells are of a type, the others are worth a note.
NEARLY = 0.9
KINDS: Mapping[Kind, str] = {
    "int": "integers",
    "float": "numbers",
    "date": "dates",
    "datetime": "dates with times",
}
ISO = re.compile(rb"(\d{4}-\d\d-\d\d)([ T].*)?")
# Numbers with commas in them, of which the importer reads none.
WITH_COMMA = re.compile(rb"[+-]?\d+(,\d+)+(\.\d+)?|[+-]?\d+(\.\d{3})*,\d+")
THOUSANDS = re.compile(rb"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?")
DECIMAL = re.compile(rb"[+-]?\d+(\.\d{3})*,\d+")
PLAIN = re.compile(rb"[+-]?\d+(\.\d+)?")
DAY_NUMBER = re.compile(rb"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")


def propose(
    profile: ColumnProfile,
    *,
    complete: bool,
    max_categories: int,
    room: bool = False,
    habit: Habit | None = None,
) -> Proposed:
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
    room
        Whether whole numbers have 32 bits at least, other numbers 64, and texts any length.
    habit
        What the file writes elsewhere, if that is known.
    """
    habit = habit or Habit()
    if not profile.words:
        return Proposed({"field_type": "string"}, ["it has no values, so its type is a guess"])
    number = _as_float(profile, complete=complete, room=room)
    found = (
        _as_bool(profile, complete=complete)
        or _as_integer(profile, complete=complete, room=room)
        or as_pointed(profile, habit, number, complete=complete)
        or number
        or _as_moment(profile, complete=complete)
        or as_marked(profile, habit, complete=complete)
        or as_ordered(profile, habit, complete=complete)
        or as_formatted(profile, complete=complete)
        or _as_text(profile, max_categories, room=room)
    )
    if profile.broken is not None:
        where = f" (row {profile.broken})" if profile.broken else ""
        found.notes.append(f"a cell is not UTF-8{where}; the import will not take it")
    return found


# Numbers


def _numeric(
    nformat: str, profile: ColumnProfile, misfits: Mapping[bytes, Misfit], *, complete: bool
) -> Proposed:
    mode = "strict" if complete and not profile.empty and not misfits else "allow_empty"
    entry = {"field_type": "numeric", "value_type": nformat, "validation_mode": mode}
    # Not 'relaxed', to which any text is a missing value, also one that was not seen.
    return Proposed(entry | na_values(misfits), counted_missing(misfits))


def _as_bool(profile: ColumnProfile, *, complete: bool) -> Proposed | None:
    if profile.more or not {text.strip().lower() for text in profile.texts} <= BOOLS:
        return None
    return _numeric("bool", profile, {}, complete=complete)


def _as_integer(profile: ColumnProfile, *, complete: bool, room: bool) -> Proposed | None:
    misfits = missing_only(profile, "int")
    if misfits is None or profile.padded is not None or profile.low is None:
        return None
    low, high = profile.low, int(profile.high or 0)
    times = 1 if complete else 2
    nformat = next(
        (
            name
            for name in INTEGERS[2 if room else 0 :]
            if np.iinfo(name).min <= low * times and high * times <= np.iinfo(name).max
        ),
        "int64",
    )
    found = _numeric(nformat, profile, misfits, complete=complete)
    if (low, high) == (0, 1):
        found.notes.append("it has only 0 and 1: value_type 'bool' would do as well")
    elif not profile.more and all(DAY_NUMBER.fullmatch(text.strip()) for text in profile.texts):
        found.notes.append(
            "its numbers look like dates YYYYMMDD: a date with date_format '%Y%m%d' would be that"
        )
    return found


def _as_float(profile: ColumnProfile, *, complete: bool, room: bool) -> Proposed | None:
    misfits = missing_only(profile, "float")
    if misfits is None or profile.inexact or profile.padded or not profile.digits:
        return None
    if _respelled(profile):
        return None
    # A sample cannot say that float32 holds the rest exactly.
    nformat = "float32" if complete and profile.single and not room else "float64"
    return _numeric(nformat, profile, misfits, complete=complete)


def _respelled(profile: ColumnProfile) -> tuple[bytes, bytes] | None:
    """
    Find two texts that would become one number, as codes have them: 250.0 and 250.00.

    Programs that write 25.0 for 25 where a column has other decimals mean no code by that.
    """
    first: dict[str, bytes] = {}
    for text in map(bytes.strip, profile.texts):
        if b"." not in text and text + b".0" in profile.texts:
            continue
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
    kind = next((kind for kind in ("date", "datetime") if fits(profile, kind)), None)
    if kind is None:
        return None
    found = moment(kind, profile, kind, complete=complete)
    if kind == "datetime" and profile.zones:
        others = "; those without one are read as UTC" if profile.local else ""
        found.notes.append(f"it has time zones, and is stored in UTC{others}")
    return found


# Text


def _as_text(profile: ColumnProfile, max_categories: int, *, room: bool) -> Proposed:
    texts = profile.texts
    few = not profile.more and len(texts) <= max_categories
    if few and profile.filled >= REPEATS * len(texts) and profile.broken is None:
        found = _categorical(sorted(texts))
    elif (
        not room
        and profile.shortest == profile.longest <= LONGEST_FIXED
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
    if profile.padded is not None and any(fits(profile, kind) for kind in MARKS):
        yield f"{shown(profile.padded)} would lose characters as a number, so it is text"
        return
    if commas := _commas(profile):
        yield commas
        return
    others = {kind: counted(misfits) for kind, misfits in profile.misfits.items()}
    near = {kind: n for kind, n in others.items() if n <= profile.filled * (1 - NEARLY)}
    number = any(kind in near for kind in ("int", "float", *MARKS))
    if number and profile.padded is not None:
        yield f"{shown(profile.padded)} would lose characters as a number, so it is text"
    elif number and profile.inexact is not None:
        yield f"{shown(profile.inexact)} is more than a number here can hold, so it is text"
    elif "float" in near and (pair := _respelled(profile)):
        yield f"{shown(pair[0])} and {shown(pair[1])} are one number, so it is text"
    elif misfits := {kind: n for kind, n in near.items() if n}:
        kind = min(misfits, key=misfits.__getitem__)
        remedy = (
            "a numeric with validation_mode 'relaxed' would count them as missing"
            if number
            else "left empty, they would not keep it from being imported as that"
        )
        yield (
            f"it has {_called(kind)}, but for {cells(near[kind])} "
            f"{examples(profile.misfits[kind])}; {remedy}"
        )
    elif days := _iso_dates(list(profile.texts)):
        yield days
    elif dates := foreign_dates(list(profile.texts)):
        yield (
            f"it looks like dates ({dates}), but not all of its cells are of one such form, so it "
            "is text: date_format and dayfirst say which is meant"
        )


def _called(kind: Kind) -> str:
    if kind in KINDS:
        return KINDS[kind]
    return f"numbers such as {kind}" if kind in MARKS else f"dates such as {kind}"


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
        f"it looks like numbers with a comma ({shown(commas[0])}): {meaning}; it is text, and "
        "decimal and thousands say what its marks mean"
    )


def _iso_dates(texts: list[bytes]) -> str:
    """Say why a column is none of dates where all of its texts are written like YYYY-MM-DD."""
    found = [ISO.fullmatch(text.strip()) for text in texts]
    if not texts or not all(found):
        return ""
    wrong = [text for text, match in zip(texts, found, strict=True) if match and not _is_day(match)]
    if wrong:
        return (
            f"it looks like dates, of which some are in no calendar ({shown(wrong[0])}); left "
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
