"""Numbers with commas before decimals, or with something between thousands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.io.propose.foreign import MARKS, POINTED
from exetera_zarr.io.propose.judging import (
    INTEGERS,
    MISSING,
    Habit,
    Proposed,
    counted_missing,
    fits,
    na_values,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exetera_zarr.io.propose.profiling import ColumnProfile, Kind

__all__ = ["as_marked", "as_pointed"]

# Whole numbers up to here are exact in float64.
EXACT = float(1 << 53)


def as_marked(profile: ColumnProfile, habit: Habit, *, complete: bool) -> Proposed | None:
    """Numbers with commas before decimals, or with something between thousands."""
    if profile.padded is not None or habit.decided:
        return None
    kinds = [kind for kind in MARKS if fits(profile, kind) and kind in profile.extremes]
    if not kinds:
        return None
    texts = [text.strip() for text in profile.texts if text.strip().lower() not in MISSING]
    decimals = dict.fromkeys(MARKS[kind][0] for kind in kinds)
    decimal = next(iter(decimals))
    notes = []
    if len(decimals) > 1 and not _only_thousands(texts):
        decimal = habit.decimal or ("," if habit.semicolons else ".")
        meant = "before decimals" if decimal == "," else "between thousands"
        why = " as in other columns" if habit.decimal else ""
        example = next(text for text in texts if b"," in text)
        notes.append(
            f"it has numbers with a comma ({shown(example)}): it may stand before decimals or "
            f"between thousands, and {meant} was taken{why}"
        )
    elif len(decimals) > 1:
        decimal = "."
    kind = next(kind for kind in kinds if MARKS[kind][0] == decimal)
    found = _with_marks(kind, profile, texts, complete=complete)
    if found is not None:
        found.notes = notes or [_marks_told(found.entry, texts)]
        found.notes += counted_missing(profile.misfits[kind])
    return found


def _only_thousands(texts: list[bytes]) -> bool:
    """Whether no number has a comma or a point, so that both may stand before decimals."""
    return not any(b"," in text or b"." in text for text in texts)


def as_pointed(
    profile: ColumnProfile, habit: Habit, plain: Proposed | None, *, complete: bool
) -> Proposed | None:
    """Numbers such as 1.234 in a file with commas before decimals: the point is of thousands."""
    texts = [text.strip() for text in profile.texts if text.strip().lower() not in MISSING]
    pointed = [text for text in texts if b"." in text]
    if habit.decided or not pointed or not fits(profile, "float"):
        return None
    grouped = all(POINTED.fullmatch(text.decode("utf-8", "replace")) for text in pointed)
    if not grouped or not (habit.decimal == "," or habit.semicolons):
        return None
    kind = next((kind for kind in MARKS if MARKS[kind] == (",", ".")), "")
    if not fits(profile, kind) or profile.padded is not None:
        return None
    if habit.decimal != ",":
        note = (
            f"it has numbers with a point ({shown(pointed[0])}), which is read as before "
            "decimals; thousands='.' means that it stands between thousands"
        )
        return plain and Proposed(plain.entry, [*plain.notes, note])
    found = _with_marks(kind, profile, texts, complete=complete)
    if found is not None:
        found.notes = [
            (
                f"it has numbers with a point ({shown(pointed[0])}): it stands between thousands, "
                "since other columns have a comma before decimals"
            )
        ]
        found.notes += counted_missing(profile.misfits[kind])
    return found


def _with_marks(
    kind: Kind, profile: ColumnProfile, texts: list[bytes], *, complete: bool
) -> Proposed | None:
    low, high, whole = profile.extremes[kind]
    if max(abs(low), abs(high)) >= EXACT:
        return None
    decimal, thousands = MARKS[kind]
    nformat = "float64"
    if whole:
        room = 1 if complete else 2
        nformat = next(
            name
            for name in INTEGERS
            if np.iinfo(name).min <= low * room and high * room <= np.iinfo(name).max
        )
    misfits = profile.misfits[kind]
    empty = profile.empty or misfits or not complete
    entry: dict[str, Any] = {
        "field_type": "numeric",
        "value_type": nformat,
        "validation_mode": "allow_empty" if empty else "strict",
    }
    if decimal == "," and not whole:
        entry["decimal"] = decimal
    if thousands is not None and any(thousands.encode() in text for text in texts):
        entry["thousands"] = thousands
        if decimal == ",":
            entry["decimal"] = decimal  # which is no longer what stands between thousands
    return Proposed(entry | na_values(misfits))


def _marks_told(entry: Mapping[str, Any], texts: list[bytes]) -> str:
    said = []
    decimal = entry.get("decimal", ".").encode()
    thousands = entry.get("thousands")
    example = next((text for text in texts if decimal in text or thousands), texts[0])
    if decimal == b"," and (commas := [text for text in texts if decimal in text]):
        example = commas[0]
        said.append("it stands before decimals")
    mark = "a comma"
    if thousands is not None:
        grouped = next(text for text in texts if thousands.encode() in text)
        if not said:
            example = grouped
            mark = {",": "a comma", ".": "a point"}.get(thousands, repr(thousands))
            said.append("it stands between thousands")
        else:
            said.append(f"{thousands!r} stands between thousands")
    return f"it has numbers with {mark} ({shown(example)}): {' and '.join(said)}"
