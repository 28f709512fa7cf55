"""Choices of REDCap as categories: a number and a name for each code, whatever labels are."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import SchemaError, listing
from exetera_zarr.io.propose.judging import INTEGERS, Proposed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exetera_zarr.io.propose.profiling import ColumnProfile
    from exetera_zarr.io.redcap.dictionary import Choice, Dictionary, Variable

__all__ = ["Meant", "categories", "is_whole", "texts_in"]

_NO_VALUE = "no value"
_WHOLE = re.compile(r"0|-?[1-9][0-9]*")
_MOST = 1 << 62


@dataclass(frozen=True)
class Meant:
    """What a column of an export is: a variable, perhaps one of its choices."""

    variable: Variable
    label: str
    choices: tuple[Choice, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)


def categories(
    meant: Meant, profile: ColumnProfile, dictionary: Dictionary, labelled: bool | None
) -> Proposed:
    """
    The categories of a column of choices.

    Parameters
    ----------
    meant
        What the column is.
    profile
        What was seen of it.
    dictionary
        Of the project.
    labelled
        Whether cells have labels, not codes, as far as the export tells.

    Raises
    ------
    SchemaError
        The cells are labels that several choices have.
    """
    notes: list[str] = []
    missing = dictionary.missing_codes
    choices = list(meant.choices)
    if meant.variable.kind != "checkbox":
        choices += dictionary.missing_choices(choices)
    texts = _texts_of(choices, meant.variable.name, profile, labelled, notes)
    if profile.more:
        return Proposed(
            {"field_type": "string"},
            ["it has far more texts than the dictionary has choices, so it is text"],
        )
    unknown = [text for text in texts_in(profile) if text not in texts]
    if unknown:
        notes.append(
            f"cells have {listing(sorted(unknown))}, which the dictionary does not offer; they "
            "are categories of that name"
        )
    ordered = [*(one.code for one in choices), *unknown]
    values = _values([one.code for one in meant.choices], ordered)
    names = _names(choices, texts, unknown)
    # The last text of a value is the name of its category.
    others = {text: values[code] for text, code in texts.items() if text != names[code]}
    named = {names[code]: values[code] for code in ordered}
    strings: dict[str, int] = {"": _free(values.values()), **others, **named}
    kind = next(
        name
        for name in (*INTEGERS[:3], "int64")
        if all(np.iinfo(name).min <= one <= np.iinfo(name).max for one in strings.values())
    )
    coded = {names[code]: missing[code] for code in missing if code in names}
    made = Proposed(
        {
            "field_type": "categorical",
            "categorical": {"value_type": kind, "strings_to_values": strings},
            "missing_codes": {**coded, "": _NO_VALUE},
        },
        notes,
    )
    if any(str(value) != code for code, value in values.items()):
        made.entry["annotations"] = {"codes": {names[code]: code for code in ordered}}
    return made


def _texts_of(
    choices: list[Choice],
    name: str,
    profile: ColumnProfile,
    labelled: bool | None,
    notes: list[str],
) -> dict[str, str]:
    """The code that each text of a cell stands for."""
    by_code = {one.code: one.code for one in choices}
    by_label: dict[str, str] = {}
    shared: set[str] = set()
    for one in choices:
        for text in dict.fromkeys((one.label, one.written)):
            if by_label.setdefault(text, one.code) != one.code:
                shared.add(text)
    if labelled and shared.intersection(texts_in(profile)):
        raise SchemaError(
            f"{name!r} has several choices that are called "
            f"{listing(sorted(shared))}, and the export has labels, so that nobody can tell "
            "them apart: export the raw data"
        )
    # In raw data a number that is no code is none of the labels, but a choice that was deleted.
    by_label = {
        text: code
        for text, code in by_label.items()
        if text not in shared and (labelled is not False or not is_whole(text))
    }
    crossing = [text for text, code in by_label.items() if by_code.get(text, code) != code]
    if not crossing:
        return {**by_label, **by_code}
    if labelled is None:
        notes.append(
            f"{listing(crossing)} are codes and labels of different choices: cells are taken "
            "for codes, as in an export of raw data"
        )
    return {**by_code, **by_label} if labelled else {**by_label, **by_code}


def texts_in(profile: ColumnProfile) -> list[str]:
    """The texts of cells that are not empty."""
    found = (text.decode("utf-8", "replace").strip() for text in profile.texts)
    return [text for text in dict.fromkeys(found) if text]


def _values(offered: list[str], codes: list[str]) -> dict[str, int]:
    """A number for each code: the code itself, if all that are offered are such numbers."""
    numbers: dict[str, int] = {}
    if all(map(is_whole, offered)):
        numbers = {one: int(one) for one in codes if is_whole(one)}
    start = max((0, *numbers.values())) + 1
    others = (one for one in codes if one not in numbers)
    return numbers | {one: at for at, one in enumerate(others, start)}


def is_whole(code: str) -> bool:
    """Whether a code is a whole number, written as such."""
    return bool(_WHOLE.fullmatch(code)) and abs(int(code)) < _MOST


def _free(values: Iterable[int]) -> int:
    taken = set(values)
    return next(value for value in range(len(taken) + 1) if value not in taken)


def _names(
    choices: list[Choice], texts: Mapping[str, str], unknown: Iterable[str]
) -> dict[str, str]:
    """The name of the category of each code, which stands for no other one in any cell."""
    labels = [one.label for one in choices]
    names = {text: text for text in unknown}
    for code, name in ((one.code, one.label) for one in choices):
        taken = labels.count(name) > 1 or (is_whole(name) and texts.get(name) != code)
        while taken or texts.get(name, code) != code or name in names.values():
            name, taken = f"{name} ({code})", False  # noqa: PLW2901
        names[code] = name
    return names
