"""What a CSV column means and which fields it becomes, said in Python.

`Categorical`, `Numeric`, `String`, `DateTime` and `Date` take the arguments of ExeTera's classes of
those names, and what is said of the column for people (`Described`). What is wrong with a
definition is found when it is made, before any data is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

import numpy as np

from exetera_zarr.errors import SchemaError, listing
from exetera_zarr.io.schema.date_formats import DateFormat, date_format, day_order
from exetera_zarr.io.schema.described import Described
from exetera_zarr.io.schema.fills import check_range, fill_value, shown

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
    "na_texts",
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


def na_texts(given: object) -> tuple[str, ...] | None:
    """Texts that mean "missing", of one or several; None if nothing is said of them."""
    if given is None:
        return None
    several = [given] if isinstance(given, str | int) else given
    if isinstance(several, Mapping) or not isinstance(several, Iterable):
        raise SchemaError(f"na_values must be a list of texts, not {given!r}")
    found = list(several)
    for text in found:
        if isinstance(text, bool) or not isinstance(text, str | int):
            raise SchemaError(f"na_values must be texts, as cells have them, not {text!r}")
    return tuple(str(text).strip() for text in found)


@dataclass(frozen=True, kw_only=True)
class Celled(Described):
    """
    What every definition may say of how cells are written.

    Parameters
    ----------
    na_values
        Texts that are read as an empty cell; None for those of the whole file.

    Raises
    ------
    SchemaError
        They are no texts.
    """

    na_values: Sequence[str] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "na_values", na_texts(self.na_values))


@dataclass(frozen=True)
class Categorical(Celled):
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
        super().__post_init__()
        categories: object = self.categories  # not always what its annotation says
        if not isinstance(categories, Mapping) or not categories:
            raise SchemaError(
                "'categories' must be a non-empty {text: value} dict, "
                f"not {shown(self.categories)}"
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
        check_range(int(value), self.nformat, f"the value of category {text!r}")
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
class Numeric(Celled):
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
    decimal
        What stands before the decimals, ``"."`` or ``","``; None for what the whole file has.
    thousands
        What may stand between groups of three digits; None for what the whole file has.

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
    decimal: str | None = field(default=None, kw_only=True)
    thousands: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_marks(self.decimal, self.thousands)
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
        return fill_value(self.invalid_value, self.nformat)

    def columns(self, name: str) -> tuple[Column, ...]:
        """Return the fields that a column of this name becomes."""
        if not self.has_flag:
            return (Column(name, "numeric", self.nformat),)
        flag = f"{name}{self.flag_field_name}"
        values = Column(name, "numeric", self.nformat, companion=flag)
        return values, Column(flag, "numeric", "bool")


@dataclass(frozen=True)
class String(Celled):
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
        super().__post_init__()
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
class DateTime(Celled):
    """
    A column of moments: ``YYYY-MM-DD HH:MM:SS``, with or without fraction and time zone.

    Without a zone a moment is UTC. An empty cell is stored as 0.0.

    Parameters
    ----------
    create_day_field
        Also store the day as it is written, in ``<name>_day``.
    create_flag_field
        Also store which cells are not empty, in ``<name>_set``.
    date_format
        How they are written, in the directives of ``strptime`` such as ``"%d.%m.%Y %H:%M"``; None
        for what the whole file has, or else as above.
    dayfirst
        Whether they are written as day, month, year with ``/``, ``.`` or ``-`` between them, or as
        month, day, year. None for what the whole file has, or else as above.

    Raises
    ------
    SchemaError
        An option has a value that there is not.
    """

    create_day_field: bool | str = False
    create_flag_field: bool | str = False
    date_format: str | None = field(default=None, kw_only=True)
    dayfirst: bool | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dayfirst not in (None, True, False):
            raise SchemaError(f"dayfirst must be true or false, not {self.dayfirst!r}")
        if self.date_format is not None:
            if self.dayfirst is not None:
                raise SchemaError("date_format says where the day is: leave out dayfirst")
            self.reader  # noqa: B018 - making it is the check
        _read_flags(self, "create_day_field", "create_flag_field")

    @property
    def whole_days(self) -> bool:
        """Whether there is no time of day."""
        return False

    @property
    def reader(self) -> DateFormat | None:
        """How cells are read that are not written as ISO 8601 has it."""
        if self.date_format is not None:
            return date_format(self.date_format, whole_days=self.whole_days)
        if self.dayfirst is not None:
            return day_order(dayfirst=self.dayfirst, whole_days=self.whole_days)
        return None

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

    @property
    def whole_days(self) -> bool:
        """Whether there is no time of day."""
        return True


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


def _read_flags(definition: object, *names: str) -> None:
    """Make yes/no options bools; ExeTera's own default and schema write some as text."""
    for name in names:
        value = getattr(definition, name)
        if isinstance(value, str) and value.lower() in ("true", "false"):
            # The way around "frozen" that dataclasses themselves take.
            object.__setattr__(definition, name, value.lower() == "true")
        elif not isinstance(value, bool):
            raise SchemaError(f"{name} must be true or false, not {value!r}")


def _check_marks(decimal: object, thousands: object) -> None:
    if decimal not in (None, ".", ","):
        raise SchemaError(f"decimal must be '.' or ',', not {decimal!r}")
    if thousands is None:
        return
    if not isinstance(thousands, str) or len(thousands) != 1 or thousands.isalnum():
        raise SchemaError(f"thousands must be one character that is no digit, not {thousands!r}")
    if thousands in "+-\r\n\0" or thousands == (decimal or "."):
        more = " as decimal is" if thousands == (decimal or ".") else ""
        raise SchemaError(f"thousands cannot be {thousands!r}{more}")
