"""What a schema says of tables and columns for people; it goes to the codebook of the fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from exetera_zarr.errors import ArgumentError, ArgumentTypeError, DataError, SchemaError
from exetera_zarr.fields.describing import checked_annotations, checked_codes
from exetera_zarr.storage.provenance import checked_text

if TYPE_CHECKING:
    from exetera_zarr.fields.base import Field
    from exetera_zarr.io.schema.definitions import Definition
    from exetera_zarr.io.schema.formats import CsvFormat
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["COLUMN_KEYS", "TABLE_KEYS", "Described", "TableSchema"]

TABLE_KEYS = ("label", "description", "annotations")
COLUMN_KEYS = ("label", "unit", "description", "missing_codes", "annotations")


@dataclass(frozen=True, kw_only=True)
class Described:
    """
    What every definition may say for people.

    Parameters
    ----------
    label
        What it is called, in a few words.
    unit
        What its numbers are counted in.
    description
        What it is, at length.
    missing_codes
        The meaning of each value that stands for no value; of categories by name or value.
    annotations
        What else is said of it: values of JSON by name.

    Raises
    ------
    SchemaError
        One of them is of another form.
    """

    label: str | None = None
    unit: str | None = None
    description: str | None = None
    missing_codes: Mapping[Any, str] = field(default_factory=dict, hash=False)
    annotations: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _check(self, ("label", "unit", "description"))
        codes: object = self.missing_codes  # not always what its annotation says
        if not isinstance(codes, Mapping):
            raise SchemaError(f"'missing_codes' must be an object of value: meaning, not {codes!r}")
        for code, meaning in codes.items():
            _text(meaning, f"the meaning of the missing code {code!r}")

    def describe(self, made: Field) -> None:
        """Say it of a new field, but for missing codes, which are only checked."""
        for key in ("label", "unit", "description", "annotations"):
            if (value := getattr(self, key)) not in (None, {}):
                setattr(made, key, value)
        try:
            checked_codes(made, self.missing_codes)
        except (ArgumentError, ArgumentTypeError, DataError) as error:
            raise SchemaError(str(error)) from None

    def mark(self, made: Field) -> None:
        """When all rows are there, and what says which are missing: give it the missing codes."""
        if self.missing_codes:
            made.missing_codes = self.missing_codes


class TableSchema(dict[str, "Definition"]):
    """
    The definitions of a table, by column, and what is said of the table for people.

    Parameters
    ----------
    definitions
        By column.
    label, description, annotations
        As of `Described`.
    csv
        How its files are written; None where the schema does not say it.
    """

    csv: CsvFormat | None = None
    label: str | None = None
    description: str | None = None
    annotations: Mapping[str, Any] = {}

    @classmethod
    def of(cls, definitions: Mapping[str, Definition], said: Mapping[str, Any]) -> Self:
        """The same, as the schema's JSON says it."""
        made = cls(definitions)
        for key in TABLE_KEYS:
            if said.get(key) is not None:
                setattr(made, key, said[key])
        _check(made, ("label", "description"))
        return made

    def describe(self, table: DataFrame) -> None:
        """Say it of a new table."""
        for key in TABLE_KEYS:
            if (value := getattr(self, key)) not in (None, {}):
                setattr(table, key, value)


def _check(said: Described | TableSchema, texts: tuple[str, ...]) -> None:
    for key in texts:
        if (value := getattr(said, key)) is not None:
            _text(value, f"{key!r}")
    try:
        checked_annotations(said.annotations, "'annotations'")
    except (ArgumentError, ArgumentTypeError) as error:
        raise SchemaError(str(error)) from None


def _text(value: object, what: str) -> None:
    try:
        checked_text(value, what)
    except (ArgumentError, ArgumentTypeError) as error:
        raise SchemaError(str(error)) from None
