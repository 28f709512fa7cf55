"""What the columns of a REDCap export become, by the data dictionary and by what is in them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import SchemaError, listing
from exetera_zarr.io.propose.foreign import DATES, DAY_FIRST, MONTH_FIRST, OF_FORMAT
from exetera_zarr.io.propose.judging import (
    INTEGERS,
    MISSING,
    Proposed,
    cells,
    counted_missing,
    examples,
    na_values,
)
from exetera_zarr.io.redcap.choices import Meant, categories, is_whole, texts_in
from exetera_zarr.io.redcap.dictionary import Choice, Dictionary, Variable, suffixes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exetera_zarr.io.propose.profiling import ColumnProfile, Kind

__all__ = ["Export"]

_STATES = ("Incomplete", "Unverified", "Complete")
_CHECKED = (Choice("0", "Unchecked", "Unchecked"), Choice("1", "Checked", "Checked"))
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_WITH_COMMA = "1.234,5"
"""As `propose.foreign` calls such numbers."""
_PADDED = re.compile(r"[-+]?0[0-9].*")
# By the end of a validation, in which order it has dates, and which are so, beside those of ISO.
_ORDERS: Mapping[str, tuple[str, tuple[Kind, ...]]] = {
    end: (order, (*kinds, *(form for form in OF_FORMAT if form.startswith(start))))
    for end, order, kinds, start in (
        ("dmy", "day/month/year", DAY_FIRST, "%d/%m/"),
        ("mdy", "month/day/year", MONTH_FIRST, "%m/%d/"),
        ("ymd", "year/month/day", (), ("%Y/", "%Y.")),
    )
}
_NOT_COMPLETED = "[not completed]"
# What REDCap itself adds to the fields of a dictionary, and what is said of it.
_OWN = {
    "redcap_event_name": "Event",
    "redcap_repeat_instrument": "Repeating instrument",
    "redcap_repeat_instance": "Repeat instance",
    "redcap_data_access_group": "Data access group",
    "redcap_survey_identifier": "Survey identifier",
}


class Export:
    """
    The columns of exports of a project.

    Parameters
    ----------
    dictionary
        What the project says of its fields.

    Attributes
    ----------
    labelled : bool or None
        Whether cells have the labels of choices, not their codes, as far as cells tell.
    """

    def __init__(self, dictionary: Dictionary) -> None:
        self._dictionary = dictionary
        self._known = dict(_meant(dictionary))
        self.labelled: bool | None = None

    def look(self, columns: Mapping[str, ColumnProfile]) -> list[str]:
        """
        See which columns there are, and whether they have labels or codes.

        Returns
        -------
        list of str
            Notes.

        Raises
        ------
        SchemaError
            There is no column of the dictionary.
        """
        of_project = [name for name in columns if name in self._known]
        if not of_project:
            raise SchemaError(
                f"no column is a field of {self._dictionary.place}: the export has "
                f"{listing(columns)}; export it with the names of variables as its header, not "
                "their labels"
            )
        votes = {True: 0, False: 0}
        for name in of_project:
            choices = self._known[name].choices
            codes = {one.code for one in choices}
            labels = {text for one in choices for text in (one.label, one.written)}
            for text in texts_in(columns[name]):
                if (text in codes) != (text in labels):
                    votes[text in labels] += 1
        self.labelled = None if not any(votes.values()) else votes[True] > votes[False]
        there = {self._known[name].variable.name for name in of_project}
        absent = [
            one.name
            for one in self._dictionary.variables.values()
            if one.name not in there and one.kind != "descriptive"
        ]
        if not absent:
            return []
        return [f"it lacks {listing(absent)}, which are fields of {self._dictionary.place}"]

    def proposed(self, name: str, profile: ColumnProfile, found: Proposed) -> Proposed:
        """
        What a column becomes.

        Parameters
        ----------
        name
            Of the column.
        profile
            What was seen of it.
        found
            What would be proposed without a dictionary.
        """
        meant = self._known.get(name)
        if meant is None:
            return self._other(name, found)
        variable, notes = meant.variable, []
        if meant.choices:
            made = categories(meant, profile, self._dictionary, self.labelled)
        elif variable.kind in ("calc", "slider") or _is_number(variable.validation):
            made = self._numbers(variable, profile, found)
        elif variable.validation.startswith("date") and variable.kind == "text":
            made = self._moments(variable, profile, found)
        elif variable.kind in ("text", "notes", "file"):
            made = self._texts(with_codes=variable.kind != "file")
        else:
            made = found
            notes = [f"the dictionary says that it is {variable.kind!r}, so its cells decided"]
        said = {
            "label": meant.label,
            "description": variable.description,
            "annotations": {**variable.annotations, **meant.more, **_annotations(made.entry)},
        }
        made.entry.update({key: value for key, value in said.items() if value})
        return replace(made, notes=[*made.notes, *notes])

    def _other(self, name: str, found: Proposed) -> Proposed:
        """A column that is in no dictionary: REDCap's own, or one of somebody else."""
        form = name.removesuffix("_timestamp")
        if form != name and form in self._dictionary.forms:
            found = Proposed(_moment("datetime", None) | {"na_values": [_NOT_COMPLETED]})
            found.entry["label"] = f"{form}: time of the survey"
            found.notes.append(f"cells of {_NOT_COMPLETED!r} count as missing")
        elif name in _OWN:
            found.entry.setdefault("label", _OWN[name])
        else:
            found.notes.append(f"{self._dictionary.place} has no such field, so its cells decided")
        return found

    def _texts(self, notes: Iterable[str] = (), *, with_codes: bool = True) -> Proposed:
        made, codes = Proposed({"field_type": "string"}, [*notes]), self._dictionary.missing_codes
        if codes and with_codes:
            made.entry["missing_codes"] = dict(codes)
        return made

    # -- numbers and moments

    def _numbers(self, variable: Variable, profile: ColumnProfile, found: Proposed) -> Proposed:
        codes = self._dictionary.missing_codes
        whole = variable.validation in ("int", "integer") or variable.kind == "slider"
        numeric = {code: text for code, text in codes.items() if _NUMBER.fullmatch(code)}
        words = [code for code in codes if code not in numeric]
        if (padded := self._padded(profile)) is not None:
            but = f"{padded!r} would lose zeros as one, so it is text"
            return self._texts([f"the dictionary says that it has numbers, but {but}"])
        entry, notes = dict(found.entry), list(found.notes)
        comma = "comma_decimal" in variable.validation
        comma = comma and any("," in one for one in texts_in(profile))
        if comma:
            if not self._fits(profile, _WITH_COMMA):
                return _in_spite(found, "numbers with a comma before decimals")
            entry, notes = {"field_type": "numeric", "decimal": ","}, []
        elif entry["field_type"] != "numeric" or entry["value_type"] == "bool":
            kind = "int" if whole and self._fits(profile, "int") else "float"
            if not self._fits(profile, kind):
                return _in_spite(found, "numbers")
            entry = {"field_type": "numeric", "value_type": "int64" if whole else "float64"}
            if kind == "float":
                entry["value_type"] = "float64"
            notes = []
        if not whole:
            entry["value_type"] = "float64"
        entry["validation_mode"] = "allow_empty"
        given = [text for text in texts_in(profile) if text.lower().encode() in MISSING]
        if gone := [*dict.fromkeys([*words, *entry.get("na_values", ()), *given])]:
            entry["na_values"] = gone
        if numeric:
            entry["missing_codes"] = numeric
            entry["value_type"] = _wide_enough(entry["value_type"], numeric)
        return Proposed(entry, [*notes, *_lost(words, profile)])

    def _padded(self, profile: ColumnProfile) -> str | None:
        """A number that is written like a code, with zeros before it."""
        texts = texts_in(profile)
        if profile.padded is not None:  # which may be none of the first texts
            texts.append(profile.padded.decode().strip())
        codes = self._dictionary.missing_codes
        return next((one for one in texts if one not in codes and _PADDED.fullmatch(one)), None)

    def _moments(self, variable: Variable, profile: ColumnProfile, found: Proposed) -> Proposed:
        codes = list(self._dictionary.missing_codes)
        kind = "datetime" if variable.validation.startswith("datetime") else "date"
        form = None
        if kind == "datetime" and "seconds" not in variable.validation:
            form = "%Y-%m-%d %H:%M"
        order, kinds = _ORDERS.get(variable.validation.rpartition("_")[2], ("", ()))
        ordered = next((one for one in kinds if profile.words and self._fits(profile, one)), None)
        entry, notes = {**found.entry, "create_flag_field": True}, list(found.notes)
        if ordered is not None:
            entry, notes = self._read_as(profile, ordered, _of_order(ordered))
            notes.insert(0, f"it has dates ({order}, as the dictionary says)")
        elif entry["field_type"] not in ("date", "datetime"):
            if not self._fits(profile, form or kind):
                return _in_spite(found, f"{kind}s")
            entry, notes = self._read_as(profile, form or kind, _moment(kind, form))
        elif kinds and _of_another_order(entry, kinds):
            notes.append(f"the dictionary says {order}, and cells differ")
        if codes:
            entry["na_values"] = [*dict.fromkeys([*entry.get("na_values", ()), *codes])]
        return Proposed(entry, [*notes, *_lost(codes, profile)])

    def _read_as(
        self, profile: ColumnProfile, kind: Kind, entry: dict[str, Any]
    ) -> tuple[dict[str, Any], list[str]]:
        """An entry in which cells that say "missing" are that, and notes."""
        misfits = profile.misfits.get(kind, {})
        codes = {code.encode() for code in self._dictionary.missing_codes}
        others = {text: found for text, found in misfits.items() if text.strip() not in codes}
        return {**entry, **na_values(misfits)}, counted_missing(others)

    def _fits(self, profile: ColumnProfile, kind: str) -> bool:
        """Whether all cells are of a type, but for those that are missing."""
        if not profile.words:
            return True
        misfits = profile.misfits.get(kind)
        if misfits is None:
            return False
        codes = {code.encode() for code in self._dictionary.missing_codes}
        return all(text.strip() in codes or text.strip().lower() in MISSING for text in misfits)


def _meant(dictionary: Dictionary) -> Iterable[tuple[str, Meant]]:
    """The columns that an export may have, by the dictionary."""
    taken: dict[str, str] = {}
    for one in dictionary.variables.values():
        if one.kind != "checkbox":
            yield one.name, Meant(one, one.label, one.choices)
            continue
        for choice in (*one.choices, *dictionary.missing_choices(one.choices)):
            code, label = choice.code, choice.label
            boxes = (_CHECKED[0], replace(_CHECKED[1], written=choice.label))
            meant = Meant(
                one,
                f"{one.label}: {label}" if one.label else label,
                boxes,
                {"choice": code, "choice_label": label},
            )
            for suffix in dict.fromkeys(suffixes(code)):
                column = f"{one.name}___{suffix}"
                if taken.setdefault(column, code) != code:
                    raise SchemaError(
                        f"{dictionary.place}: the choices {taken[column]!r} and {code!r} of "
                        f"{one.name!r} are both the column {column!r}"
                    )
                yield column, meant
    for form in dictionary.forms:
        choices = tuple(Choice(str(at), text, text) for at, text in enumerate(_STATES))
        state = Variable(f"{form}_complete", form, "radio", "", "", choices, "", {"form": form})
        yield state.name, Meant(state, f"{form}: state of the form", choices)


def _wide_enough(kind: str, codes: Iterable[str]) -> str:
    if not kind.startswith("int"):
        return kind
    if not all(map(is_whole, codes)):
        return "float64"
    return next(
        name
        for name in INTEGERS[INTEGERS.index(kind) :]
        if name == "int64" or all(np.iinfo(name).min <= int(c) <= np.iinfo(name).max for c in codes)
    )


def _is_number(validation: str) -> bool:
    return validation in ("int", "integer", "float") or validation.startswith("number")


def _moment(kind: str, form: str | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"field_type": kind, "create_flag_field": True}
    return entry if form is None else {**entry, "date_format": form}


def _of_order(kind: Kind) -> dict[str, Any]:
    """The entry of dates of a kind."""
    field_type = "date" if DATES[kind].whole_days else "datetime"
    if kind in OF_FORMAT:
        return _moment(field_type, kind)
    return {**_moment(field_type, None), "dayfirst": kind in DAY_FIRST}


def _of_another_order(entry: Mapping[str, Any], kinds: Iterable[Kind]) -> bool:
    """Whether dates are in one of the orders that these kinds have not."""
    others = {one for _, of in _ORDERS.values() for one in of} - {*kinds}
    return any(
        all(entry.get(key) == value for key, value in _of_order(one).items()) for one in others
    )


def _in_spite(found: Proposed, what: str) -> Proposed:
    """What cells say, where they are not of the type that the dictionary has."""
    return replace(
        found, notes=[*found.notes, f"the dictionary says that it has {what}, and cells differ"]
    )


def _lost(codes: Iterable[str], profile: ColumnProfile) -> list[str]:
    """What is said of missing data codes of which only that is kept."""
    found = {
        text: misfit
        for misfits in profile.misfits.values()
        for text, misfit in misfits.items()
        if text.decode("utf-8", "replace").strip() in set(codes)
    }
    if not found:
        return []
    count = sum(misfit.count for misfit in found.values())
    note = (
        f"{cells(count)} {examples(found)} will be missing, and which missing data code they have "
        "is not kept, as that is no value of the column"
    )
    return [note]


def _annotations(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = entry.get("annotations", {})
    return found
