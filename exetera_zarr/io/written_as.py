"""How cells of the files of a table were read, so that those of later files are read the same."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from exetera_zarr.io.schema.definitions import DateTime, Numeric
from exetera_zarr.texts import json_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exetera_zarr.io.options import ImportOptions
    from exetera_zarr.io.schema.definitions import Definition
    from exetera_zarr.io.schema.described import TableSchema
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["remember", "remembered", "written_as"]

_ATTRIBUTE = "written_as"


def remember(table: DataFrame, schema: TableSchema, renamed: Mapping[str, str] | None) -> None:
    """
    Note with a table what its files had: marks in numbers, the order of dates, texts for missing.

    Parameters
    ----------
    table
        It, as it was imported.
    schema
        By which it was.
    renamed
        Names of fields by those of columns.
    """
    form, found = getattr(schema, "csv", None), dict[str, dict[str, Any]]()
    for name, definition in schema.items():
        said: dict[str, Any] = {}
        if isinstance(definition, Numeric):
            said["decimal"] = definition.decimal or getattr(form, "decimal", None) or "."
            said["thousands"] = definition.thousands or getattr(form, "thousands", None)
        elif isinstance(definition, DateTime):
            said["date_format"], said["dayfirst"] = definition.date_format, definition.dayfirst
        if definition.na_values:
            said["na_values"] = list(definition.na_values)
        if any(value is not None for value in said.values()):
            found[(renamed or {}).get(name, name)] = said
    if found:
        table.group.update_attributes({_ATTRIBUTE: json_text(found, indent=None)})


def remembered(table: DataFrame) -> Mapping[str, Mapping[str, Any]]:
    """What is noted with a table, by field; nothing where it was not imported so."""
    said = table.group.attributes.get(_ATTRIBUTE)
    try:
        found = json.loads(said) if isinstance(said, str) else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def written_as(
    held: Definition, proposed: Definition, known: Mapping[str, Any], options: ImportOptions
) -> Definition:
    """
    How cells are read for a field that is there.

    Parameters
    ----------
    held
        What the field holds.
    proposed
        How the cells of this file look.
    known
        What is remembered of the files before; it counts for more, where no option says otherwise.
    options
        Of the import.
    """
    said: dict[str, Any] = {}
    if isinstance(held, Numeric):
        if isinstance(proposed, Numeric):
            said |= {"decimal": proposed.decimal, "thousands": proposed.thousands}
        if options.decimal is None and options.thousands is None:
            said |= {name: known[name] for name in ("decimal", "thousands") if name in known}
    if isinstance(held, DateTime):
        if isinstance(proposed, DateTime):
            said |= {"date_format": proposed.date_format, "dayfirst": proposed.dayfirst}
        given = known.get("date_format") or known.get("dayfirst") is not None
        if given and options.date_format is None and options.dayfirst is None:
            said |= {name: known.get(name) for name in ("date_format", "dayfirst")}
    texts = list(known.get("na_values") or ())
    if type(held) is type(proposed):
        texts += [text for text in proposed.na_values or () if text not in texts]
    return replace(held, na_values=texts or None, **said)
