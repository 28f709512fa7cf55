"""The codebook of tables and fields: labels, units, descriptions, missing codes and annotations."""

from __future__ import annotations

import contextlib
import json
import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import (
    ArgumentError,
    ArgumentTypeError,
    CorruptDataError,
    DataError,
    UnsupportedError,
)
from exetera_zarr.fields.sources import source_of
from exetera_zarr.fieldtypes import label_text
from exetera_zarr.storage.codebooks import ATTRIBUTE, MOST_ANNOTATIONS, MOST_CODES
from exetera_zarr.storage.provenance import checked_text

if TYPE_CHECKING:
    from exetera_zarr.fields.base import Field
    from exetera_zarr.storage.base import Group

__all__ = [
    "Described",
    "check_code",
    "checked_annotations",
    "checked_codes",
    "code_values",
    "codes_of",
    "copy_table_codebook",
    "describe_aggregate",
    "mark_codes",
    "said_of",
    "set_codes",
    "take_over",
]

_WITH_UNIT = ("mean", "min", "max", "sum", "std", "median", "first", "last")
"""Aggregates that are of the unit of their field."""
_NO_ROOM = (ArgumentError, UnsupportedError)
"""What a label is that is too long, or in a file without a place for it."""


class Described:
    """What has a label, a description and annotations: a table or a field."""

    @property
    @abstractmethod
    def group(self) -> Group:
        """The storage group."""

    @abstractmethod
    def _who(self) -> str:
        """The table or field in words, for messages."""

    def _check_describable(self) -> None:
        """Raise ReadOnlyError unless it may be changed."""

    @property
    def label(self) -> str | None:
        """What it is called for people, in a few words; None removes it."""
        return self._text("label")

    @label.setter
    def label(self, text: str | None) -> None:
        self._set_text("label", text)

    @property
    def description(self) -> str | None:
        """What it is, at length; None removes it."""
        return self._text("description")

    @description.setter
    def description(self, text: str | None) -> None:
        self._set_text("description", text)

    @property
    def annotations(self) -> dict[str, Any]:
        """
        What else is said of it, as values of JSON by name; None removes it.

        It is a copy: what is changed in it is kept when it is set again.
        """
        found: dict[str, Any] = json.loads(json.dumps(said_of(self).get("annotations", {})))
        return found

    @annotations.setter
    def annotations(self, values: Mapping[str, Any] | None) -> None:
        what = f"the annotations of {self._who()}"
        self.say("annotations", checked_annotations(values, what) or None)

    def _text(self, key: str) -> str | None:
        found: str | None = said_of(self).get(key)
        return found

    def _set_text(self, key: str, text: str | None) -> None:
        what = f"the {key} of {self._who()}"
        self.say(key, None if text is None else checked_text(text, what))

    def say(self, key: str, value: Any) -> None:
        """Set a part of the codebook to a value that was checked, or remove it with None."""
        self._check_describable()
        with self.group.exclusive():
            before = said_of(self)
            after = {name: one for name, one in {**before, key: value}.items() if one is not None}
            if after == before:
                return
            self.group.update_attributes({ATTRIBUTE: after or None})
            if said_of(self) != after:
                raise UnsupportedError(
                    f"{self._who()} is in a file that a script has opened by itself, which has no "
                    "place for a codebook: open it as a dataset"
                )


def said_of(thing: Described) -> Mapping[str, Any]:
    """The codebook of a table or field, as it is stored."""
    found: Mapping[str, Any] = thing.group.attributes.get(ATTRIBUTE) or {}
    return found


def checked_annotations(values: object, what: str) -> dict[str, Any]:
    """
    Annotations as JSON has them, of which nothing is shared with what was given.

    Parameters
    ----------
    values
        A mapping of text to values of JSON; None for none.
    what
        Whose they are, for messages.

    Raises
    ------
    ArgumentTypeError
        It is no mapping, or a name is no text.
    ArgumentError
        A value is none of JSON, or all of them are too long.
    """
    if values is None:
        return {}
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        raise ArgumentTypeError(f"{what} are a mapping of text to values, not {values!r}")
    try:
        text = json.dumps(dict(values), allow_nan=False, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentError(f"{what} are not values of JSON: {error}") from None
    if len(text) > MOST_ANNOTATIONS:
        raise ArgumentError(
            f"{what} have at most {MOST_ANNOTATIONS:,} characters as JSON, not {len(text):,}"
        )
    found: dict[str, Any] = json.loads(text)
    return found


# -- missing codes


def codes_of(field: Field) -> dict[Any, str]:
    """The meaning of each missing code of a field."""
    return dict(said_of(field).get("missing_codes", ()))


def code_values(field: Field) -> Any:
    """The missing codes of a field as rows of its type, to be compared with its rows."""
    codes = list(codes_of(field))
    if not codes or field.indexed:
        return codes
    try:
        return field.exact(np.asarray(codes) if isinstance(codes[0], float) else codes)
    except (DataError, TypeError) as error:
        raise CorruptDataError(
            f"{field.phrase()} has a missing code that it cannot hold: {error}"
        ) from error


def checked_codes(field: Field, codes: Mapping[Any, str] | None) -> list[list[Any]]:
    """
    Missing codes as the codebook has them.

    Parameters
    ----------
    field
        The field.
    codes
        The meaning of each value; of categories by name or code.

    Returns
    -------
    list of [value, meaning]

    Raises
    ------
    ArgumentTypeError, ArgumentError
        It is no mapping of values to texts, or has too many.
    DataError
        The field cannot hold a value, or has it twice.
    """
    what = f"the missing codes of {field.phrase()}"
    if codes is None:
        return []
    if not isinstance(codes, Mapping):
        raise ArgumentTypeError(
            f"{what} are a mapping of values to their meanings, such as {{-9: 'refused'}}, not "
            f"{codes!r}"
        )
    if len(codes) > MOST_CODES:
        raise ArgumentError(f"{what} are at most {MOST_CODES:,}, not {len(codes):,}")
    found: dict[Any, str] = {}
    for value, meaning in codes.items():
        code = check_code(field, value)
        if code in found:
            raise DataError(f"{what} have {code!r} twice")
        found[code] = checked_text(meaning, f"the meaning of {value!r} among {what}")
    return [[code, meaning] for code, meaning in found.items()]


def set_codes(field: Field, codes: Mapping[Any, str] | None) -> None:
    """
    Give a field missing codes, and mark the rows that have them, or neither.

    Parameters
    ----------
    field
        A column of a table, or in memory.
    codes
        As of `checked_codes`.

    Raises
    ------
    DataError
        It is at the top level of a dataset; or as of `checked_codes`.
    """
    pairs, frame = checked_codes(field, codes), field.dataframe
    if pairs and field.stored and frame is None:
        raise DataError(
            f"{field.phrase()} is no column of a table, so that nothing can say which of its "
            "rows are missing"
        )
    with contextlib.nullcontext() if frame is None else frame.atomic():
        field.say("missing_codes", pairs or None)
        field.mark_codes()


def mark_codes(field: Field) -> None:
    """Have the companion of a field say that the rows with a missing code have no value."""
    source = source_of([field])
    for start, stop in source.cuts():
        coded = field.coded(source.read(start, stop)[0])
        if coded is None:
            continue
        companion = field.with_companion()
        told = np.asarray(companion.read(start, stop))
        if (told & coded).any():
            companion.array().write(start, told & ~coded)


def check_code(field: Field, value: Any) -> int | float | str:
    """A missing code as JSON has it; DataError where the field cannot hold such a value."""
    where = f"the missing code {value!r} of {field.phrase()}"
    if field.indexed:
        return checked_text(value, where)
    if field.dtype_of_rows.kind == "b":
        raise DataError(f"{where}: a field of bool has two values, and none to spare")
    try:
        found = field.exact([field.stored_value(value)])[0]
    except (DataError, ArgumentTypeError) as error:
        raise DataError(f"{where}: {error}") from error
    if isinstance(found, bytes):
        return checked_text(label_text(bytes(found)), where)
    if isinstance(found, np.floating):
        if not math.isfinite(found):
            raise DataError(f"{where}: NaN is missing in any case, and infinity has no code")
        return float(str(found))  # of a float32 the shortest number that is read as the same
    code: int = found.item()
    return code


# -- codebooks of what is made from something else


def copy_table_codebook(source: Described, target: Described) -> None:
    """Have a table that has no codebook say what the one says that it was made from."""
    if not said_of(target):
        for key, value in said_of(source).items():
            target.say(key, value)


def take_over(field: Field, other: Field) -> None:
    """Say of a field what is said of another one, but for codes that it cannot hold."""
    said, kept = dict(said_of(other)), []
    for code, meaning in said.pop("missing_codes", ()):
        with contextlib.suppress(DataError, ArgumentTypeError):
            kept.append([check_code(field, code), meaning])
    for key, value in {**said, "missing_codes": kept or None}.items():
        field.say(key, value)


def describe_aggregate(result: Field, field: Field, name: str) -> None:
    """
    Label an aggregate of a field.

    Parameters
    ----------
    result
        The field that has it.
    field
        Of what it is.
    name
        Which one: ``mean`` and the like.
    """
    result.group.update_attributes({ATTRIBUTE: None})  # one of the same type has it all
    if field.label is not None:
        with contextlib.suppress(*_NO_ROOM):
            result.label = f"{name} of {field.label}"
    if name in _WITH_UNIT and field.unit is not None:
        with contextlib.suppress(*_NO_ROOM):
            result.unit = field.unit
