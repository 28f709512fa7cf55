"""The forms in which a schema may be given: a file, its JSON, a proposal, or definitions."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import ArgumentTypeError, SchemaError, listing
from exetera_zarr.io.csv.files import InputFile, open_binary
from exetera_zarr.io.propose.proposal import SCHEMA_VERSION, Proposal
from exetera_zarr.io.schema.definitions import Definition, Schema
from exetera_zarr.io.schema.described import TableSchema
from exetera_zarr.io.schema.load import load_schema

if TYPE_CHECKING:
    from exetera_zarr.io.leniency import Teller

__all__ = ["definitions_of", "paths_of", "read_schema", "told_of"]


def paths_of(schema: object) -> list[str]:
    """Return where a schema was read from, if it has a place."""
    if _is_json(schema):
        return []
    place = schema if isinstance(schema, str | os.PathLike) else getattr(schema, "name", None)
    return [os.fspath(place)] if isinstance(place, str | os.PathLike) else []


def told_of(
    schema: object, source_options: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """What a version says of the file that a schema was read from, if it was."""
    for path in paths_of(schema):
        try:
            file = InputFile(path, source_options)
        except (OSError, ValueError):  # a name that is not a path
            return None
        with closing(file):
            while file.read(1 << 20):
                pass
            return file.told()
    return None


def _is_json(schema: object) -> bool:
    """Whether it is the text of a schema, not where that is."""
    return isinstance(schema, str) and schema.lstrip("\ufeff \t\r\n").startswith("{")


def read_schema(
    source: Any, source_options: Mapping[str, Any] | None = None, tell: Teller | None = None
) -> Schema:
    """
    Read a schema of tables.

    Parameters
    ----------
    source
        Path, URL or open file of its JSON, the JSON as text or as Python has it, a `Proposal`, or
        ``{table: {column: definition}}``.
    source_options
        For a URL.
    tell
        As of `load_schema`.

    Raises
    ------
    SchemaError
        It is wrong.
    ArgumentTypeError
        It is none of these.
    """
    if isinstance(source, Proposal):
        return source.schema()
    if isinstance(source, Mapping):
        return _of_mapping(source, tell)
    if _is_json(source):
        return load_schema(io.StringIO(source.lstrip("\ufeff")), tell=tell)
    if isinstance(source, str | os.PathLike) and "://" in os.fspath(source):
        file, _ = open_binary(source, source_options)
        with file:
            return load_schema(file, tell=tell)
    return load_schema(source, tell=tell)


def _of_mapping(source: Mapping[str, Any], tell: Teller | None) -> Schema:
    if "schema" in source and isinstance(source.get("exetera", source.get("hystore")), Mapping):
        return _of_document(source, tell)
    bodies = {name: body for name, body in source.items() if _is_body(body)}
    if not bodies:
        return dict(source)
    document = {
        "exetera": {"version": SCHEMA_VERSION},
        "schema": {
            name: body if "fields" in body else {"fields": body} for name, body in bodies.items()
        },
    }
    return {**source, **_of_document(document, tell)}


def _is_body(body: object) -> bool:
    """Whether it is what JSON says of a table, or of its columns."""
    if not isinstance(body, Mapping) or not body:
        return False
    entries = body.get("fields", body)
    return isinstance(entries, Mapping) and all(
        isinstance(entry, Mapping) and "field_type" in entry for entry in entries.values()
    )


def _of_document(document: Mapping[str, Any], tell: Teller | None) -> Schema:
    try:
        text = json.dumps(document)
    except TypeError as error:
        raise SchemaError(f"the schema is not what JSON can hold: {error}") from None
    return load_schema(io.StringIO(text), tell=tell)


def definitions_of(
    schema: Any,
    table: str,
    source_options: Mapping[str, Any] | None = None,
    tell: Teller | None = None,
) -> dict[str, Definition]:
    """Return the definitions of one table, from any form of schema."""
    if isinstance(schema, Mapping):
        if all(isinstance(value, Definition) for value in schema.values()):
            return schema if isinstance(schema, TableSchema) else dict(schema)
        if _is_body(schema):
            schema = {table: schema}
        elif not all(isinstance(value, Mapping) for value in schema.values()):
            raise ArgumentTypeError(
                "a schema maps columns to definitions, or tables to such mappings"
            )
    schema = read_schema(schema, source_options, tell)
    if table in schema or len(schema) != 1:
        found = schema.get(table)
    else:
        (found,) = schema.values()
    if found is None:
        raise SchemaError(f"the schema has no table {table!r}; it has {listing(schema)}")
    return found if isinstance(found, TableSchema) else dict(found)
