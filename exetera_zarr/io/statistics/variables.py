"""Which field a variable of SPSS, Stata or SAS becomes, and how its values do."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from exetera_zarr.errors import DataError
from exetera_zarr.fieldtypes import (
    categorical_attributes,
    indexed_string_attributes,
    numeric_attributes,
    timestamp_attributes,
)
from exetera_zarr.io.statistics.times import seconds_by
from exetera_zarr.storage import codebooks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from exetera_zarr.io.statistics.times import Package
    from exetera_zarr.storage.base import AnyArray

__all__ = ["MOST_VALUES", "Seen", "Variable", "needs_look"]

MOST_VALUES = 1000
"""A variable with more values than that is one of numbers, whatever labels it has."""
_TYPES = {"int8": "int8", "int16": "int16", "int32": "int32", "float": "float32"}
_LETTERS = "abcdefghijklmnopqrstuvwxyz_"
_NO_MEANING = "user-missing"
# What Stata itself stores for `.`; `.a` is the next one. No value of a variable is as large.
_SYSTEM_MISSING = {"int8": 101, "int16": 32_741, "int32": 2_147_483_621}
_FIRST_SECOND = -62_135_596_800
"""Of the year 1."""
_LEAST = {"int8": -127, "int16": -32_767, "int32": -2_147_483_647}


@dataclass
class Seen:
    """
    What was found among the values of a variable.

    Parameters
    ----------
    ranges
        Pairs of numbers; what is between the two of one is missing.
    values
        The distinct numbers; None where they are too many.
    missing
        Those that are in one of the ranges.
    letters
        The kinds of missing values, such as ``a`` for Stata's ``.a``.
    """

    ranges: Sequence[tuple[float, float]] = ()
    values: set[float] | None = field(default_factory=set)
    missing: set[float] = field(default_factory=set)
    letters: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, about: Any, name: str) -> Seen:
        """Nothing so far, of a variable in a file of which pyreadstat says this."""
        return cls([_ends(one) for one in about.missing_ranges.get(name, ())])

    def look(self, column: Sequence[Any]) -> None:
        """Take note of the values of some rows; DataError if too many of them are missing ones."""
        numbers, there, letters = apart(column)
        self.letters.update(letters)
        found = np.unique(numbers[there])
        for low, high in self.ranges:
            self.missing.update(found[(found >= low) & (found <= high)].tolist())
        if len(self.missing) > codebooks.MOST_CODES:
            raise DataError(
                f"more than {codebooks.MOST_CODES:,} values are in a range of user-missing ones"
            )
        if self.values is not None:
            self.values.update(found.tolist())
            if len(self.values) > MOST_VALUES:
                self.values = None


def needs_look(about: Any, name: str, package: Package) -> bool:
    """Whether the values of a variable have to be seen before it is known what it becomes."""
    if about.readstat_variable_types[name] == "string":
        return False
    ranges = about.missing_ranges.get(name, ())
    return (
        package != "SPSS"  # whose kinds of missing values are not announced
        or name in about.variable_value_labels
        or any(_ends(one)[0] != _ends(one)[1] for one in ranges)
    )


class Variable:
    """
    A variable, and the field that it becomes.

    Parameters
    ----------
    name
        Of the variable.
    about
        What pyreadstat says of the file.
    package
        Whose file it is.
    seen
        What was found among its values, where `needs_look` wants that.

    Attributes
    ----------
    attributes : dict
        Those of the field, as the metadata of Arrow has them.
    type : pa.DataType
        Of the arrays that `array` gives.
    """

    def __init__(self, name: str, about: Any, package: Package, seen: Seen | None) -> None:
        self.name = name
        self._package = package
        self._seen = seen or Seen(values=None)
        self._stored = about.readstat_variable_types[name]
        self._labels: dict[Any, str] = dict(about.variable_value_labels.get(name, {}))
        self._time = seconds_by(package, about.original_variable_types.get(name))
        if self._stored == "string":
            self._time = None
        missing = list(self._user_missing(about.missing_ranges.get(name, ())))
        self._codes: dict[str, float] = {}
        made = self._decided(missing)
        self.attributes: dict[str, Any] = {
            **made,
            codebooks.ATTRIBUTE: self._said(about, made, missing),
        }
        if not self.attributes[codebooks.ATTRIBUTE]:
            del self.attributes[codebooks.ATTRIBUTE]

    def array(self, column: Sequence[Any]) -> pa.Array:
        """Values as pyreadstat gives them, as an array of Arrow; null where there is none."""
        if self._stored == "string":
            return self._texts(column)
        numbers, there, letters = apart(column)
        if self._time is not None:
            numbers = self._time[1](np.where(there, numbers, 0))
        for letter, rows in letters.items():  # whose codes are as they are stored here
            numbers = np.where(rows, self._codes[letter], numbers)
            there = there | rows
        values = np.where(there, numbers, 0).astype(self.type.to_pandas_dtype())
        return pa.array(values, self.type, mask=~there)

    def _texts(self, column: Sequence[str | None]) -> pa.Array:
        if self._package != "SPSS":  # where a text without characters is a missing one
            column = [one or None for one in column]
        return pa.array(column, pa.large_string())

    # -- what it becomes

    def _decided(self, missing: list[Any]) -> dict[str, Any]:
        if self._stored == "string":
            self.type = pa.large_string()
            return indexed_string_attributes()
        if self._time is not None:
            self.type = pa.float64()
            self._number_letters("float64")
            return timestamp_attributes() if self._time[0] == "moments" else _number("float64")
        kind = self._kind_of_categories(missing)
        if kind is not None:
            self._number_letters(kind)
            self.type = pa.from_numpy_dtype(np.dtype(kind))
            key = {code: name for name, code in self._names(missing)}
            return {**categorical_attributes(kind, key), "key": self._names(missing)}
        kind = _TYPES.get(self._stored, "float64")
        self._number_letters(kind)
        self.type = pa.from_numpy_dtype(np.dtype(kind))
        return _number(kind)

    def _kind_of_categories(self, missing: list[Any]) -> str | None:
        """The type of the codes, if all values have a name; None for a variable of numbers."""
        named = {code for code in self._labels if not isinstance(code, str)}
        values = self._seen.values
        if not named - set(missing) or values is None or values - named - set(missing):
            return None
        codes = [*named, *missing]
        if not all(float(code).is_integer() for code in codes):
            return None
        for kind, least in _LEAST.items():
            if min(codes) >= least and max(codes) < _SYSTEM_MISSING[kind]:
                return kind
        return None

    def _number_letters(self, kind: str) -> None:
        """Give each kind of missing values a number that no value has: the one Stata stores."""
        letters = {one.lower() for one in (*self._seen.letters, *self._labelled_letters())}
        for letter in letters:
            at = _LETTERS.index(letter) + 1
            if kind in _SYSTEM_MISSING:
                code: float = _SYSTEM_MISSING[kind] + at
            else:
                code = 2.0 ** (127 if kind == "float32" else 1023) * (1 + at / 4096)
            if self._time is not None and self._time[0] == "moments":
                code = _FIRST_SECOND + at  # what Stata stores is no moment of ours
            self._codes[letter] = self._codes[letter.upper()] = code

    def _labelled_letters(self) -> Iterable[str]:
        return (code for code in self._labels if isinstance(code, str) and self._stored != "string")

    def _names(self, missing: list[Any]) -> list[list[Any]]:
        """The names of categories, with those of missing ones, and their codes."""
        found = {int(code): name for code, name in self._labels.items() if code not in self._codes}
        for code in missing:
            found.setdefault(int(code), f"{int(code)}")
        for letter in sorted({one.lower() for one in self._codes}):
            found[int(self._codes[letter])] = self._meaning_of(letter)
        twice = {name for name, count in Counter(found.values()).items() if count > 1}
        return [
            [f"{name} ({code})" if name in twice else name, code]
            for code, name in sorted(found.items())
        ]

    # -- what is said of it

    def _said(self, about: Any, made: Mapping[str, Any], missing: list[Any]) -> dict[str, Any]:
        said: dict[str, Any] = {}
        if label := about.column_names_to_labels.get(self.name):
            said["label"] = label
        if self._time is not None and self._time[0] == "durations":
            said["unit"] = "seconds"
        codes = [[self._as_stored(code), self._labels.get(code, _NO_MEANING)] for code in missing]
        letters = sorted({one.lower() for one in self._codes})
        codes += [[self._coded(self._codes[one]), self._meaning_of(one)] for one in letters]
        if codes:
            said["missing_codes"] = codes
        notes = {
            "format": about.original_variable_types.get(self.name),
            "measure": about.variable_measure.get(self.name),
        }
        annotations: dict[str, Any] = {
            key: value for key, value in notes.items() if value not in (None, "", "unknown")
        }
        others = {
            _shown(code): name
            for code, name in self._labels.items()
            if code not in missing and code not in self._codes
        }
        if others and "key" not in made:
            annotations["value_labels"] = others
        ranges = [
            [end if math.isfinite(end) else None for end in pair]  # as JSON has it
            for pair in self._seen.ranges
            if pair[0] != pair[1]
        ]
        if ranges:
            annotations["missing_ranges"] = ranges
        if annotations:
            said["annotations"] = annotations
        return said

    def _meaning_of(self, letter: str) -> str:
        return self._labels.get(letter, self._labels.get(letter.upper(), f".{letter}"))

    def _user_missing(self, ranges: Iterable[Any]) -> Iterable[Any]:
        """The values that SPSS is told are missing; of a range those that occur."""
        for one in ranges:
            low, high = _ends(one)
            if isinstance(low, str):
                yield low.rstrip()
            elif low == high:
                yield low
            else:
                named = {code for code in self._labels if not isinstance(code, str)}
                known = named | self._seen.missing
                yield from sorted(value for value in known if low <= value <= high)

    def _as_stored(self, code: Any) -> Any:
        if isinstance(code, str):
            return code
        if self._time is not None:
            return float(self._time[1](np.asarray([code], np.float64))[0])
        return self._coded(code)

    def _coded(self, code: float) -> int | float:
        whole = pa.types.is_integer(self.type)
        return int(code) if whole else float(code)


def _number(kind: str) -> dict[str, Any]:
    return numeric_attributes(kind)


def _ends(one: Any) -> tuple[Any, Any]:
    return (one["lo"], one["hi"]) if isinstance(one, dict) else (one, one)


def _shown(code: Any) -> str:
    whole = isinstance(code, float) and code.is_integer()
    return str(int(code) if whole else code)


def apart(column: Sequence[Any]) -> tuple[AnyArray, AnyArray, dict[str, AnyArray]]:
    """
    The values of a variable of numbers.

    Returns
    -------
    numbers : ndarray of float64
        NaN where there is none.
    there : ndarray of bool
        Which rows have one.
    letters : dict
        Which rows have a letter in its place, by letter.
    """
    letters: dict[str, AnyArray] = {}
    try:
        numbers = np.asarray(column, np.float64)
    except ValueError:
        objects = np.asarray(column, object)
        of_text = np.fromiter((isinstance(one, str) for one in column), np.bool_, len(column))
        letters = {one: objects == one for one in dict.fromkeys(objects[of_text])}
        objects[of_text] = np.nan
        numbers = objects.astype(np.float64)
    return numbers, ~np.isnan(numbers), letters
