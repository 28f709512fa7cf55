"""The import schema: ExeTera's JSON file, read into definitions."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from exetera_zarr.errors import ArgumentTypeError, SchemaError, listing
from exetera_zarr.io.schema import described
from exetera_zarr.io.schema.definitions import (
    Categorical,
    Date,
    DateTime,
    Definition,
    Numeric,
    Schema,
    String,
)
from exetera_zarr.io.schema.formats import CsvFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from exetera_zarr.io.leniency import Teller

__all__ = [
    "RESERVED_NAMES",
    "Categorical",
    "Date",
    "DateTime",
    "Definition",
    "Numeric",
    "Schema",
    "String",
    "load_schema",
    "load_schema_file",
    "schema_file_to_dict",
]

# Every imported table gets these two, so no schema may declare them.
RESERVED_NAMES = ("j_valid_from", "j_valid_to")
# A proposed schema has notes. The columns' "raw_type" is in ExeTera's own schemas, and never meant
# anything.
TABLE_KEYS = ("primary_keys", "foreign_keys", "fields", "csv", "notes", *described.TABLE_KEYS)
COLUMN_KEYS = ("field_type", "raw_type", "note", "na_values", *described.COLUMN_KEYS)
CATEGORICAL_KEYS = ("value_type", "strings_to_values", "out_of_range")
MOMENT_KEYS = ("create_day_field", "create_flag_field", "optional", "date_format", "dayfirst")
KEYS: dict[str, tuple[str, ...]] = {
    "string": (),
    "fixed_string": ("length",),
    "categorical": ("categorical",),
    "numeric": (
        *("value_type", "invalid_value", "validation_mode"),
        *("create_flag_field", "flag_field_name", "decimal", "thousands"),
    ),
    "datetime": MOMENT_KEYS,
    "date": MOMENT_KEYS,
}
# Of these ExeTera knows nothing, so its face ignores them as it does.
OURS = frozenset({"csv", "na_values", "decimal", "thousands", "date_format", "dayfirst"})
MOST_BYTES = 32 << 20
"""Bytes of a schema; one of a million categories has 20 MB."""
MOST_VALUES = 2_000_000
"""Values in one, which take far more memory than their text does."""
VERSIONS: dict[str, tuple[str, ...]] = {"exetera": ("1.0.0", "1.1.0"), "hystore": ("1.0.0",)}


def load_schema(
    source: str | os.PathLike[str] | IO[Any], verbosity: int = 0, *, tell: Teller | None = None
) -> Schema:
    """
    Read an import schema in ExeTera's JSON form.

    Parameters
    ----------
    source
        Path of a UTF-8 file, or an open text or binary file. A URL is opened by the caller.
    verbosity
        Accepted for ExeTera's sake; there is nothing to tell.
    tell
        Tells of keys that are unknown, and so ignored; without it these are an error.

    Returns
    -------
    dict
        ``{table: {column: definition}}``, in the file's order.

    Raises
    ------
    SchemaError
        Not JSON, not a schema, or a definition that is wrong; the message names the file, table
        and column.
    FileNotFoundError
        There is no such file.
    """
    del verbosity
    name, text = _text_of(source)
    try:
        return _tables(_document(text), name, tell)
    except SchemaError as error:
        raise SchemaError(f"schema {name}: {error}") from None


load_schema_file = load_schema


def schema_file_to_dict(
    schema: dict[str, Any], *, tell: Teller | None = None
) -> dict[str, Definition]:
    """
    Read the definitions of one table of a schema.

    Parameters
    ----------
    schema
        The table's JSON object, with the key ``fields``.
    tell
        As of `load_schema`.

    Returns
    -------
    dict
        ``{column: definition}``.

    Raises
    ------
    SchemaError
        A definition is wrong; the message names the column.
    """
    return _definitions(schema, _Keys("the schema", tell), "the table")


def _text_of(source: object) -> tuple[str, str]:
    if isinstance(source, str | os.PathLike):
        name = os.fspath(source)
        try:
            with Path(source).open("rb") as file:
                content: str | bytes = file.read(MOST_BYTES + 1)
        except IsADirectoryError as error:
            raise SchemaError(f"schema {name} is a folder, and has to be a file") from error
        except ValueError as error:  # as of NUL in its name
            raise SchemaError(f"schema {name!r} cannot be the name of a file: {error}") from error
    elif hasattr(source, "read"):
        name, content = str(getattr(source, "name", "(open file)")), source.read(MOST_BYTES + 1)
    else:
        raise ArgumentTypeError(f"a schema is a path or an open file, not {type(source).__name__}")
    if len(content) > MOST_BYTES:
        raise SchemaError(
            f"schema {name} has more than {MOST_BYTES:,} bytes; "
            "exetera_zarr.io.schema.load.MOST_BYTES is that number"
        )
    if isinstance(content, str):
        return name, content
    try:
        return name, content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SchemaError(f"schema {name} is not UTF-8: {error}") from None


def _document(text: str) -> Any:
    count = text.count(",") + text.count("[") + text.count("{")
    if count > MOST_VALUES:
        raise SchemaError(
            f"it may have up to {count:,} values, and {MOST_VALUES:,} are the most that are read; "
            "exetera_zarr.io.schema.load.MOST_VALUES is that number"
        )
    try:
        return json.loads(text, object_pairs_hook=_without_repeats)
    except RecursionError:
        raise SchemaError("it is nested too deep to be a schema") from None
    except SchemaError:
        raise
    except ValueError as error:  # no JSON, or a number of thousands of digits
        raise SchemaError(f"it is not JSON: {error}") from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # json keeps the last of two equal keys without a word: a column or category would change its
    # meaning and nobody would know.
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = [name for name, count in counts.items() if count > 1]
        raise SchemaError(f"{listing(twice)} occurs more than once in one object")
    return found


class _Keys:
    """Says what becomes of keys that mean nothing."""

    def __init__(self, source: str, tell: Teller | None) -> None:
        self._source = source
        self._tell = tell
        self.is_native = tell is None
        """Whether it is no schema of ExeTera's."""

    def check(self, found: dict[str, Any], known: Iterable[str], where: str) -> None:
        """Tell of keys that are unknown, or raise SchemaError."""
        known = [key for key in known if self.is_native or key not in OURS]
        unknown = [key for key in found if key not in known]
        if not unknown:
            return
        if self._tell is None:
            raise SchemaError(
                f"{where} has the unknown {'keys' if len(unknown) > 1 else 'key'} "
                f"{listing(unknown)}; known are {listing(known)}"
            )
        self._tell(f"ignored the unknown key {listing(unknown)} of {where}", self._source)


def _tables(document: object, source: str, tell: Teller | None) -> Schema:
    keys = _Keys(source, tell)
    if not isinstance(document, dict):
        raise SchemaError("the top level must be an object")
    _check_version(document)
    tables = _object(document, "schema", "the top level")
    schema: Schema = {}
    for table, body in tables.items():
        if not isinstance(body, dict):
            raise SchemaError(f"table {table!r} must be an object")
        definitions = _definitions(body, keys, f"table {table!r}")
        try:
            schema[table] = said = described.TableSchema.of(definitions, body)
            if body.get("csv") is not None and keys.is_native:
                said.csv = CsvFormat.of_json(body["csv"])
        except SchemaError as error:
            raise SchemaError(f"table {table!r}: {error}") from None
    return schema


def _definitions(body: dict[str, Any], keys: _Keys, table: str) -> dict[str, Definition]:
    found: dict[str, Definition] = {}
    keys.check(body, TABLE_KEYS, table)
    for column, entry in _object(body, "fields", table).items():
        if column in RESERVED_NAMES:
            raise SchemaError(
                f"{table} declares {column!r}, one of the reserved names {listing(RESERVED_NAMES)}"
            )
        try:
            found[column] = _definition(entry if keys.is_native else _as_exeteras(entry))
        except SchemaError as error:
            raise SchemaError(f"{table}, column {column!r}: {error}") from None
        _check_keys(entry, keys, f"{table}, column {column!r}")
    return found


def _as_exeteras(entry: object) -> object:
    if not isinstance(entry, dict):
        return entry
    return {key: value for key, value in entry.items() if key not in OURS}


def _check_version(document: dict[str, Any]) -> None:
    for key, versions in VERSIONS.items():
        if key in document:
            found = document[key].get("version") if isinstance(document[key], dict) else None
            if found not in versions:
                raise SchemaError(
                    f"{key!r} has version {found!r}; understood are {listing(versions)}"
                )
            return
    raise SchemaError("the key 'exetera' with the schema's version is missing")


def _object(holder: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    if key not in holder:
        raise SchemaError(f"{where} has no {key!r}")
    value = holder[key]
    if not isinstance(value, dict):
        raise SchemaError(f"{key!r} of {where} must be an object")
    return value


def _definition(entry: object) -> Definition:
    if not isinstance(entry, dict):
        raise SchemaError("its definition must be an object")
    kind = _required(entry, "field_type")
    if kind not in tuple(READERS):
        raise SchemaError(f"field_type {kind!r} is not one of {listing(READERS)}")
    read = READERS[kind](entry)
    keys = ("na_values", *described.COLUMN_KEYS)
    said = {key: entry[key] for key in keys if entry.get(key) is not None}
    codes = said.get("missing_codes")
    if isinstance(codes, dict):
        said["missing_codes"] = {_code(read, text): meaning for text, meaning in codes.items()}
    return replace(read, **said) if said else read


def _code(definition: Definition, text: str) -> Any:
    """A missing code, which in JSON is text, as a value of a column."""
    if isinstance(definition, String):
        return text
    if isinstance(definition, Categorical) and text in definition.categories:
        return text
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _check_keys(entry: dict[str, Any], keys: _Keys, where: str) -> None:
    keys.check(entry, (*COLUMN_KEYS, *KEYS[entry["field_type"]]), where)
    if entry["field_type"] == "categorical":
        keys.check(entry["categorical"], CATEGORICAL_KEYS, f"'categorical' of {where}")


def _required(entry: dict[str, Any], key: str) -> Any:
    if key not in entry:
        raise SchemaError(f"{key!r} is missing")
    return entry[key]


def _fixed_string(entry: dict[str, Any]) -> Definition:
    length = _required(entry, "length")
    if length is None:
        raise SchemaError("the length of a fixed string must be 1 or more, not null")
    return String(length)


def _categorical(entry: dict[str, Any]) -> Definition:
    _required(entry, "categorical")
    body = _object(entry, "categorical", "the column")
    categories = _object(body, "strings_to_values", "'categorical'")
    return Categorical(categories, _required(body, "value_type"), "out_of_range" in body)


def _numeric(entry: dict[str, Any]) -> Definition:
    options = {
        name: entry[name] for name in KEYS["numeric"] if name in entry and name != "value_type"
    }
    return Numeric(_required(entry, "value_type"), **options)


def _moment(kind: type[DateTime]) -> Callable[[dict[str, Any]], Definition]:
    def read(entry: dict[str, Any]) -> Definition:
        flag = entry.get("create_flag_field", entry.get("optional", False))
        return kind(
            entry.get("create_day_field", False),
            flag,
            date_format=entry.get("date_format"),
            dayfirst=entry.get("dayfirst"),
        )

    return read


READERS: dict[str, Callable[[dict[str, Any]], Definition]] = {
    "string": lambda entry: String(),  # noqa: ARG005 - takes no options
    "fixed_string": _fixed_string,
    "categorical": _categorical,
    "numeric": _numeric,
    "datetime": _moment(DateTime),
    "date": _moment(Date),
}
