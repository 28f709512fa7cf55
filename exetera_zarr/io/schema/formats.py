"""How CSV files are written: what separates cells, and how numbers, dates and "missing" look."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from exetera_zarr.errors import (
    ArgumentError,
    ArgumentTypeError,
    ExeteraError,
    SchemaError,
    listing,
)
from exetera_zarr.io.schema.definitions import Categorical, DateTime, Definition, Numeric, na_texts

__all__ = ["PLAIN", "CsvFormat", "Dialect"]


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """
    How the text of a CSV file is written.

    Parameters
    ----------
    sep
        What separates cells, one ASCII character; None for a comma, or what the first line of the
        file says in the form of Excel, ``sep=;``.
    quotechar
        What encloses cells, one ASCII character; no text where quotes have no meaning.
    encoding
        As Python knows it.
    comment
        Lines that begin with this text are left out, even before the header.
    skiprows
        How many lines at the start of the file are left out.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        An option has a value that there is not.
    """

    sep: str | None = None
    quotechar: str = '"'
    encoding: str = "utf-8"
    comment: str = ""
    skiprows: int = 0

    def __post_init__(self) -> None:
        for name in ("quotechar", "encoding", "comment"):
            if not isinstance(getattr(self, name), str):
                raise ArgumentTypeError(f"{name} is a text, not {getattr(self, name)!r}")
        if self.sep == "\\t":  # as a shell hands it on
            object.__setattr__(self, "sep", "\t")
        if self.sep is not None:
            _check_mark("sep", self.sep)
        if self.quotechar:
            _check_mark("quotechar", self.quotechar)
        if self.quotechar == (self.sep or ","):
            raise ArgumentError(f"sep and quotechar are both {self.quotechar!r}")
        if any(end in self.comment for end in "\r\n"):
            raise ArgumentError("comment is what a line begins with, and cannot have a line end")
        if isinstance(self.skiprows, bool) or not isinstance(self.skiprows, int):
            raise ArgumentTypeError(
                f"skiprows is how many lines to leave out at the start, not {self.skiprows!r}"
            )
        if self.skiprows < 0:
            raise ArgumentError(f"skiprows must be 0 or more, not {self.skiprows}")
        object.__setattr__(self, "encoding", _codec(self.encoding))

    @property
    def delimiter(self) -> str:
        """What separates cells."""
        return self.sep or ","

    @property
    def is_utf8(self) -> bool:
        """Whether its bytes need no other encoding."""
        return self.encoding == "utf-8"


def _check_mark(name: str, mark: object) -> None:
    if not isinstance(mark, str):
        raise ArgumentTypeError(f"{name} is one character, not {mark!r}")
    if len(mark) != 1 or not mark.isascii() or mark in "\0\r\n":
        more = "; patterns and several characters are not understood" if len(mark) > 1 else ""
        raise ArgumentError(f"{name} is one ASCII character, not {mark!r}{more}")


def _codec(encoding: str) -> str:
    """The one name of an encoding of text; a mark of the byte order is seen without it."""
    try:
        found = codecs.lookup(encoding)
        b"".decode(encoding)
    except LookupError:
        raise ArgumentError(
            f"encoding {encoding!r} is not known; Python's names are 'utf-8', 'cp1252' (Windows), "
            "'latin-1', 'utf-16', 'mac-roman' and the like"
        ) from None
    return "utf-8" if found.name == "utf-8-sig" else found.name


PLAIN = Dialect()


@dataclass(frozen=True, kw_only=True)
class CsvFormat:
    """
    What is said of how the files of a table are written; None where nothing is said.

    Parameters
    ----------
    sep, encoding, quotechar, comment, skiprows
        As of `Dialect`.
    decimal
        What stands before the decimals of numbers: ``"."`` or ``","``.
    thousands
        What may stand between groups of three digits, such as ``"."``, ``","`` or a space.
    date_format
        Of dates, and of dates with times, in the directives of ``strptime``; or
        ``{column: format}``.
    dayfirst
        Whether dates are day, month, year, as in 31/12/2024, or month, day, year.
    na_values
        Texts that are read as empty cells; or ``{column: texts}``.
    rename
        ``{name in the file: name of the field}``.
    columns
        Those that are imported, by their names in the file.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        One has a value that there is not.
    SchemaError
        A date format cannot be read.
    """

    sep: str | None = None
    encoding: str | None = None
    quotechar: str | None = None
    comment: str | None = None
    skiprows: int | None = None
    decimal: str | None = None
    thousands: str | None = None
    date_format: str | Mapping[str, str] | None = None
    dayfirst: bool | None = None
    na_values: Any = None
    rename: Mapping[str, str] | None = None
    columns: Sequence[str] | None = None

    def __post_init__(self) -> None:
        self.dialect  # noqa: B018 - making it is the check
        Numeric("int8", decimal=self.decimal, thousands=self.thousands)
        formats = (
            self.date_format if isinstance(self.date_format, Mapping) else {"": self.date_format}
        )
        for one in formats.values():
            DateTime(date_format=one)
        if self.dayfirst not in (None, True, False):
            raise ArgumentTypeError(f"dayfirst is True or False, not {self.dayfirst!r}")
        if self.dayfirst is not None and isinstance(self.date_format, str):
            raise ArgumentError("date_format says where the day is: leave out dayfirst")
        values = self.na_values if isinstance(self.na_values, Mapping) else {"": self.na_values}
        for texts in values.values():
            na_texts(texts)
        _check_names(self.rename, self.columns)

    @classmethod
    def of_json(cls, said: object) -> Self:
        """What the key "csv" of a table says; SchemaError if it is wrong."""
        if not isinstance(said, dict):
            raise SchemaError(f"'csv' must be an object, not {said!r}")
        known = [field.name for field in fields(cls)]
        if unknown := [key for key in said if key not in known]:
            raise SchemaError(
                f"'csv' has the unknown {'keys' if len(unknown) > 1 else 'key'} "
                f"{listing(unknown)}; known are {listing(known)}"
            )
        try:
            return cls(**said)
        except ExeteraError as error:
            raise SchemaError(f"'csv': {error}") from None

    @property
    def said(self) -> dict[str, Any]:
        """What is said, by name."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in found.items() if value is not None}

    @property
    def dialect(self) -> Dialect:
        """How the text of the files is written."""
        names = ("sep", "encoding", "quotechar", "comment", "skiprows")
        return Dialect(**{name: self.said[name] for name in names if name in self.said})

    def over(self, other: CsvFormat) -> CsvFormat:
        """The same, and what it does not say as of another one."""
        given = dict(self.said)
        if "date_format" in given or "dayfirst" in given:
            # Each says where the day is.
            given = {"date_format": None, "dayfirst": None} | given
        return replace(other, **given) if given else other

    def applied(self, name: str, definition: Definition) -> Definition:
        """The definition of a column, with what it does not itself say as of its file."""
        found: dict[str, Any] = {}
        if isinstance(definition, Numeric) and definition.nformat != "bool":
            for key in ("decimal", "thousands"):
                if getattr(definition, key) is None and getattr(self, key) is not None:
                    found[key] = getattr(self, key)
        if isinstance(definition, DateTime) and definition.date_format is None:
            said = self.date_format
            one = said.get(name) if isinstance(said, Mapping) else said
            if one is not None and definition.dayfirst is None:
                found["date_format"] = one
            elif self.dayfirst is not None and definition.dayfirst is None:
                found["dayfirst"] = self.dayfirst
        if definition.na_values is None and self.na_values is not None:
            by_name = isinstance(self.na_values, Mapping)
            texts = na_texts(self.na_values.get(name) if by_name else self.na_values)
            if isinstance(definition, Categorical):
                texts = tuple(text for text in texts or () if text not in definition.categories)
            found["na_values"] = texts or None
        try:
            return replace(definition, **found) if found else definition
        except SchemaError as error:
            raise SchemaError(f"column {name!r}: {error}") from None

    def check_columns(self, names: Sequence[str], file: str) -> None:
        """ArgumentError if a column is named that a file does not have."""
        for key in ("date_format", "na_values", "rename"):
            said = getattr(self, key)
            known = said if isinstance(said, Mapping) else {}
            if unknown := [name for name in known if name not in names]:
                raise ArgumentError(
                    f"{key}= names the columns {listing(unknown)}, which {file} has not; it has "
                    f"{listing(names)}"
                )


def _check_names(rename: object, columns: object) -> None:
    if rename is not None and not (
        isinstance(rename, Mapping)
        and all(isinstance(name, str) for pair in rename.items() for name in pair)
    ):
        raise ArgumentTypeError(
            f"rename is {{name in the file: name of the field}}, not {rename!r}"
        )
    if columns is not None and (
        isinstance(columns, str)
        or not isinstance(columns, Sequence | set | frozenset)
        or not all(isinstance(name, str) for name in columns)
    ):
        raise ArgumentTypeError(f"columns is a list of names, not {columns!r}")
