"""A proposed schema, and the notes on it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exetera_zarr.io.schema.load import Schema, load_schema
from exetera_zarr.texts import json_text, visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exetera_zarr.io.options import PathLike

__all__ = ["SCHEMA_VERSION", "Note", "Proposal"]

SCHEMA_VERSION = "1.1.0"
# The layout of the schema file: how deep a column's entry is, and how long lines should be.
COLUMN_DEPTH = 4
WIDTH = 110


@dataclass(frozen=True)
class Note:
    """
    Something about a proposal that is to be looked at.

    Parameters
    ----------
    table
        The table.
    column
        The column; None if it is about the whole table.
    text
        A sentence.
    """

    table: str
    column: str | None
    text: str

    def __str__(self) -> str:
        where = self.table if self.column is None else f"{self.table}.{self.column}"
        return visible(f"{where}: {self.text}")


@dataclass(frozen=True)
class Proposal:
    """
    A proposed schema.

    Parameters
    ----------
    document
        The schema file's content; its entries carry their notes, which the importer ignores.
    notes
        All notes.
    rows
        ``{table: rows that were read}``.
    complete
        Whether these are all rows.
    """

    document: dict[str, Any]
    notes: tuple[Note, ...]
    rows: Mapping[str, int]
    complete: bool = True

    def __str__(self) -> str:
        return self.to_json().rstrip()

    def save(self, path: PathLike) -> None:
        """Write the schema file, in place of one that is there."""
        Path(path).write_text(self.to_json(), encoding="utf-8")

    def to_json(self) -> str:
        """Return the schema file."""
        return f"{_laid_out(self.document)}\n"

    def schema(self) -> Schema:
        """Return the schema as `load_schema` reads it."""
        return load_schema(io.StringIO(self.to_json()))


def _laid_out(value: Any, depth: int = 0, before: int = 0) -> str:
    """Return JSON in which a column has a line of its own, or several if it does not fit on one."""
    text = json_text(value, indent=None)
    if not isinstance(value, dict | list) or not value:
        return text
    indent = "  " * depth
    parts = value if isinstance(value, list) else value.values()
    flat = depth >= COLUMN_DEPTH or not any(isinstance(one, dict | list) for one in parts)
    if flat and before + len(text) < WIDTH:
        return text
    inside = f"{indent}  "
    if isinstance(value, list):
        lines = [f"{inside}{_laid_out(one, depth + 1, len(inside))}" for one in value]
        return "[\n" + ",\n".join(lines) + f"\n{indent}]"
    lines = []
    for key, one in value.items():
        name = f"{inside}{json_text(key, indent=None)}: "
        lines.append(f"{name}{_laid_out(one, depth + 1, len(name))}")
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
