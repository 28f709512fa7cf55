"""The import schema of a table: what makes it again from the CSV file that it is written to."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from exetera_zarr.fieldtypes import label_text
from exetera_zarr.io.schema.described import COLUMN_KEYS, TABLE_KEYS
from exetera_zarr.io.schema.load import RESERVED_NAMES
from exetera_zarr.storage import create_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exetera_zarr.fields.base import Field
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["schema_of", "write_schema"]

_NO_VALUE = "no value"


def write_schema(
    table: DataFrame,
    path: str | os.PathLike[str],
    names: str | list[str] | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> None:
    """
    Write the schema of a table, with its codebook, as the JSON that an import takes.

    Parameters
    ----------
    table
        The table.
    path
        Path or URL.
    names
        Of the fields; all by default.
    storage_options
        For the file system behind a URL.
    """
    document = {"exetera": {"version": "1.1.0"}, "schema": {table.name: schema_of(table, names)}}
    with create_file(os.fspath(path), storage_options) as file:
        file.write(json.dumps(document, indent=2, ensure_ascii=False).encode())


def schema_of(table: DataFrame, names: str | list[str] | None = None) -> dict[str, Any]:
    """
    The schema of a table, as JSON has it.

    Without the fields that say what is missing of others, which come with these, and the two that
    each import makes.

    Parameters
    ----------
    table
        The table.
    names
        Of the fields; all by default.
    """
    companions = table.companions()
    chosen = table.keys() if names is None else table.selected(names)
    hidden = {*companions.values(), *RESERVED_NAMES}
    fields = {
        name: _said(table[name], COLUMN_KEYS) | _definition(table[name], companions.get(name))
        for name in chosen
        if name not in hidden
    }
    return {**_said(table, TABLE_KEYS), "primary_keys": [], "fields": fields}


def _said(thing: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    said = {key: getattr(thing, key) for key in keys}
    if "missing_codes" in said:
        codes = said["missing_codes"]
        names = {code: label_text(name) for code, name in getattr(thing, "keys", {}).items()}
        said["missing_codes"] = {str(names.get(code, code)): text for code, text in codes.items()}
    return {key: value for key, value in said.items() if value not in (None, {})}


def _definition(field: Field, companion: str | None) -> dict[str, Any]:
    """What the cells of a field are; see `io.schema.load`."""
    match field.type_name:
        case "numeric":
            flag = (companion or "").removeprefix(str(field.name))
            flagged = companion is not None and f"{field.name}{flag}" == companion and flag != ""
            options = {"flag_field_name": flag} if flagged else {}
            kind = str(field.dtype_of_rows)
            return {
                "field_type": "numeric",
                "value_type": kind,
                "validation_mode": "allow_empty",
                "create_flag_field": flagged,
                **options,
            }
        case "categorical":
            return _categorical(field, companion)
        case "timestamp":
            flagged = companion == f"{field.name}_set"
            return {"field_type": "datetime", "create_flag_field": flagged}
        case "fixedstring":
            return {"field_type": "fixed_string", "length": field.dtype_of_rows.itemsize}
    return {"field_type": "string"}


def _categorical(field: Field, companion: str | None) -> dict[str, Any]:
    """Categories; what is missing is an empty cell, which has to have a code then."""
    kind = str(field.dtype_of_rows)
    codes = {label_text(name): code for code, name in field.keys.items()}  # type: ignore[attr-defined]
    found: dict[str, Any] = {"field_type": "categorical"}
    if companion is not None and "" not in codes:
        used = set(codes.values())
        codes[""] = next(code for code in range(len(used) + 1) if code not in used)
        known = _said(field, ("missing_codes",)).get("missing_codes", {})
        found["missing_codes"] = {**known, "": _NO_VALUE}
    return found | {"categorical": {"value_type": kind, "strings_to_values": codes}}
