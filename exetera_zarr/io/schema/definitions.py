"""What a CSV column means and which fields it becomes, said in Python.

`Categorical`, `Numeric`, `String`, `DateTime` and `Date` take the arguments of ExeTera's classes of
those names. What is wrong with a definition is found when it is made, before any data is read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

import numpy as np

from exetera_zarr.errors import SchemaError, listing

__all__ = [
    "Blank",
    "Categorical",
    "Column",
    "Date",
    "DateTime",
    "Definition",
    "Numeric",
    "Schema",
    "String",
]

FieldKind: TypeAlias = Literal[
    "numeric", "categorical", "timestamp", "fixed_string", "indexed_string"
]
ValidationMode: TypeAlias = Literal["strict", "allow_empty", "relaxed"]

# ExeTera's class (not its JSON) also takes the two names without a width.
NUMERIC_TYPES: Mapping[str, str] = MappingProxyType(
    {
        name: name
        for name in (
            *("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32"),
            *("int64", "uint64", "float32", "float64"),
        )
    }
    | {"int": "int64", "float": "float64"}
)
CATEGORY_TYPES = tuple(name for name in NUMERIC_TYPES if "int" in name)
FREETEXT_VALUE = -1
DAY_LENGTH = 10


@dataclass(frozen=True)
class Column:
    """
    One field that a CSV column becomes.

    Parameters
    ----------
    name
        The field's name.
    kind
        Which field class it is.
    nformat
        dtype name of a numeric or categorical field.
    length
        Width in bytes of a fixed string.
    companion
        Name of the field that says which of its rows have a value, if there is one.
    keys
        ``{category name: value}`` of a categorical field.
    """

    name: str
    kind: FieldKind
    nformat: str = ""
    length: int = 0
    keys: Mapping[str, int] = field(default_factory=dict)
    companion: str = ""


@dataclass(frozen=True)
class Categorical:
    """
    A column of known texts, each stored as a small integer.

    Parameters
    ----------
    categories
        ``{text: value}``; a cell must equal one of the texts, an empty one the text ``""``.
    value_type
        Integer dtype of the values.
    allow_freetext
        Store any other text as -1, and itself in an indexed string field ``<name>_freetext``.
        Without it, such a text is an error.

    Raises
    ------
    SchemaError
        No categories, a name that is not text, a value that is not an integer of `value_type`.
    """

    categories: Mapping[str, int]
    value_type: str = "int8"
    allow_freetext: bool = False

    def __post_init__(self) -> None:
        categories: object = self.categories  # not always what its annotation says
        if not isinstance(categories, Mapping) or not categories:
            raise SchemaError(
                "'categories' must be a non-empty {text: value} dict, "
                f"not {_shown(self.categories)}"
            )
        if self.value_type not in CATEGORY_TYPES:
            raise SchemaError(
                f"value_type {self.value_type!r} of a categorical is not one of "
                f"{listing(CATEGORY_TYPES)}"
            )
        for text, value in self.categories.items():
            self._check(text, value)
        if self.allow_freetext and self.value_type.startswith("u"):
            raise SchemaError(
                f"free text is stored as {FREETEXT_VALUE}, which value_type "
                f"{self.value_type!r} cannot hold"
            )

    def _check(self, text: object, value: object) -> None:
        if not isinstance(text, str):
            raise SchemaError(f"category {text!r} is {type(text).__name__}, not text")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise SchemaError(f"category {text!r} is not text that UTF-8 can hold") from None
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise SchemaError(f"category {text!r} has the value {value!r}, not an integer")
        _check_range(int(value), self.nformat, f"the value of category {text!r}")
        if self.allow_freetext and value == FREETEXT_VALUE:
            raise SchemaError(
                f"category {text!r} has the value {FREETEXT_VALUE}, as which free text is stored"
            )

    @property
    def nformat(self) -> str:
        """The dtype that is stored."""
        return NUMERIC_TYPES[self.value_type]

    @cached_property
    def by_text(self) -> dict[bytes, int]:
        """The value of each text, as it stands in a file."""
        return {text.encode(): int(value) for text, value in self.categories.items()}

    def columns(self, name: str) -> tuple[Column, ...]:
        """Return the fields that a column of this name becomes."""
        # Several texts may stand for one value; its name is the last of them, as in ExeTera.
        names = {int(value): text for text, value in self.categories.items()}
        keys = {text: value for value, text in names.items()}
        values = Column(name, "categorical", self.nformat, keys=keys)
        if not self.allow_freetext:
            return (values,)
        return values, Column(f"{name}_freetext", "indexed_string")


@dataclass(frozen=True)
class Numeric:
    """
    A column of numbers or of true/false.

    Parameters
    ----------
    dtype
        ``bool``, ``int8`` ... ``uint64``, ``float32`` or ``float64``.
    invalid_value
        Stored where a cell holds no number: a number, its text, ``"min"`` or ``"max"``.
    validation_mode
        ``strict``: every cell must hold a number. ``allow_empty``: or be empty. ``relaxed``:
        whatever is not a number counts as empty.
    create_flag_field
        Also store, in ``<name><flag_field_name>``, which cells held a number; never in
        ``strict``, where all do.
    flag_field_name
        Suffix of that field's name.

    Raises
    ------
    SchemaError
        An unknown dtype or mode, or an `invalid_value` that `dtype` cannot hold.
    """

    dtype: str
    invalid_value: bool | float | str = 0
    validation_mode: ValidationMode = "allow_empty"
    create_flag_field: bool | str = True
    flag_field_name: str = "_valid"

    def __post_init__(self) -> None:
        if self.dtype not in tuple(NUMERIC_TYPES):
            raise SchemaError(f"numeric type {self.dtype!r} is not one of {listing(NUMERIC_TYPES)}")
        if self.validation_mode not in get_args(ValidationMode):
            raise SchemaError(
                f"validation_mode {self.validation_mode!r} is not one of "
                f"{listing(get_args(ValidationMode))}"
            )
        _read_flags(self, "create_flag_field")
        if not isinstance(self.flag_field_name, str):
            raise SchemaError(f"flag_field_name must be text, not {self.flag_field_name!r}")
        if self.has_flag and not self.flag_field_name:
            raise SchemaError(
                "flag_field_name is empty, so that the flag would take the field's own name"
            )
        self.fill  # noqa: B018 - computing it is the check

    @property
    def nformat(self) -> str:
        """The dtype that is stored."""
        return NUMERIC_TYPES[self.dtype]

    @property
    def has_flag(self) -> bool:
        """Whether the flag field is stored."""
        return bool(self.create_flag_field) and self.validation_mode != "strict"

    @property
    def fill(self) -> bool | int | float:
        """`invalid_value` as a number of `dtype`."""
        return _fill_value(self.invalid_value, self.nformat)

    def columns(self, name: str) -> tuple[Column, ...]:
        """Return the fields that a column of this name becomes."""
        if not self.has_flag:
            return (Column(name, "numeric", self.nformat),)
        flag = f"{name}{self.flag_field_name}"
        values = Column(name, "numeric", self.nformat, companion=flag)
        return values, Column(flag, "numeric", "bool")


@dataclass(frozen=True)
class String:
    """
    A column of text.

    Parameters
    ----------
    fixed_length
        Store cells of at most so many UTF-8 bytes as fixed strings; without it, of any length.

    Raises
    ------
    SchemaError
        A length that is not a positive integer.
    """

    fixed_length: int | None = None

    def __post_init__(self) -> None:
        length: object = self.fixed_length  # not always what its annotation says
        if length is None:
            return
        if isinstance(length, bool) or not isinstance(length, int) or length < 1:
            raise SchemaError(f"the length of a fixed string must be 1 or more, not {length!r}")

    def columns(self, name: str) -> tuple[Column, ...]:
        """Return the fields that a column of this name becomes."""
        if self.fixed_length is None:
            return (Column(name, "indexed_string"),)
        return (Column(name, "fixed_string", length=self.fixed_length),)


@dataclass(frozen=True)
class DateTime:
    """
    A column of moments: ``YYYY-MM-DD HH:MM:SS``, with or without fraction and time zone.

    Without a zone a moment is UTC. An empty cell is stored as 0.0.

    Parameters
    ----------
    create_day_field
        Also store the day as it is written, in ``<name>_day``.
    create_flag_field
        Also store which cells are not empty, in ``<name>_set``.
    """

    create_day_field: bool | str = False
    create_flag_field: bool | str = False

    def __post_init__(self) -> None:
        _read_flags(self, "create_day_field", "create_flag_field")

    @property
    def has_day(self) -> bool:
        """Whether the day field is stored."""
        return bool(self.create_day_field)

    @property
    def has_flag(self) -> bool:
        """Whether the flag field is stored."""
        return bool(self.create_flag_field)

    def columns(self, name: str) -> tuple[Column, ...]:
        """Return the fields that a column of this name becomes."""
        flag = f"{name}_set" if self.has_flag else ""
        found = [Column(name, "timestamp", companion=flag)]
        if self.has_day:
            found.append(Column(f"{name}_day", "fixed_string", length=DAY_LENGTH))
        if flag:
            found.append(Column(flag, "numeric", "bool"))
        return tuple(found)


@dataclass(frozen=True)
class Date(DateTime):
    """
    A column of days, ``YYYY-MM-DD``, each stored as its midnight in UTC.

    An empty cell is stored as 0.0. The parameters are those of `DateTime`.
    """


@dataclass(frozen=True)
class Blank:
    """
    A column that must be empty, and becomes no field.

    Parameters
    ----------
    reason
        What is said of a cell that is not, to follow its value.
    """

    reason: str

    def columns(self, name: str) -> tuple[Column, ...]:  # noqa: ARG002 - as of the others
        """Return the fields that a column of this name becomes: none."""
        return ()


Definition: TypeAlias = Categorical | Numeric | String | DateTime | Date
Schema: TypeAlias = dict[str, dict[str, Definition]]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _read_flags(definition: object, *names: str) -> None:
    """Make yes/no options bools; ExeTera's own default and schema write some as text."""
    for name in names:
        value = getattr(definition, name)
        if isinstance(value, str) and value.lower() in ("true", "false"):
            # The way around "frozen" that dataclasses themselves take.
            object.__setattr__(definition, name, value.lower() == "true")
        elif not isinstance(value, bool):
            raise SchemaError(f"{name} must be true or false, not {value!r}")


def _check_range(value: int, nformat: str, what: str) -> None:
    info = np.iinfo(nformat)
    if not info.min <= value <= info.max:
        raise SchemaError(
            f"{what}, {_shown(value)}, is outside {nformat} ({info.min} to {info.max})"
        )


def _extreme(which: str, nformat: str) -> int | float:
    # ExeTera's limits for floats are those of the integer of the same width. Imported data and
    # scripts that look for them rely on it.
    info = np.iinfo(nformat.replace("float", "int"))
    extreme = int(info.min if which == "min" else info.max)
    return float(extreme) if nformat.startswith("float") else extreme


def _fill_value(value: object, nformat: str) -> bool | int | float:
    """Turn an `invalid_value` into a number of the dtype, or say why it is none."""
    text = value.strip().lower() if isinstance(value, str) else ""
    if text in ("min", "max"):
        if nformat == "bool":
            raise SchemaError(f"invalid_value {value!r} has no meaning for a bool")
        return _extreme(text, nformat)
    number = _number(value, text)
    if nformat == "bool":
        if number not in (0, 1):
            raise SchemaError(f"invalid_value {value!r} is not true or false")
        return bool(number)
    if nformat.startswith("float"):
        return _fill_float(number, value, nformat)
    if isinstance(number, float) and not number.is_integer():
        raise SchemaError(f"invalid_value {value!r} is not an integer, as {nformat} needs")
    _check_range(int(number), nformat, "invalid_value")
    return int(number)


def _fill_float(number: float, value: object, nformat: str) -> float:
    try:
        found = float(number)
        with np.errstate(over="ignore"):
            too_large = math.isfinite(found) and np.isinf(np.dtype(nformat).type(found))
    except OverflowError:
        too_large = True
    if too_large or (math.isinf(found) and isinstance(value, str) and "inf" not in value.lower()):
        raise SchemaError(f"invalid_value {_shown(value)} is outside {nformat}")
    return found


def _number(value: object, text: str) -> int | float:
    if isinstance(value, bool | int | float | np.number | np.bool_):
        plain = value.item() if isinstance(value, np.generic) else value
        return int(plain) if isinstance(plain, bool) else plain
    if text in ("true", "false"):
        return int(text == "true")
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise SchemaError(f"invalid_value {value!r} is not a number, 'min' or 'max'")
