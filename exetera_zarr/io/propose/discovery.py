"""A schema for CSV files, proposed from what is in them.

The files are cut into records and cells by the importer's own reader, and what a cell could mean is
asked of the importer's own converters. What is proposed is to be read and edited: notes say what is
ambiguous, or would not fit.
"""

from __future__ import annotations

import io
import os
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import ArgumentError, DataError, SchemaError, listing
from exetera_zarr.io.csv.files import expand
from exetera_zarr.io.propose.profiling import ColumnProfile
from exetera_zarr.io.propose.proposing import propose
from exetera_zarr.io.propose.sampling import CsvSample
from exetera_zarr.io.schema.load import RESERVED_NAMES, Schema, load_schema
from exetera_zarr.storage.names import check
from exetera_zarr.texts import json_text, visible

if TYPE_CHECKING:
    from exetera_zarr.io.options import Files, PathLike

__all__ = ["Note", "Proposal", "propose_schema", "table_name"]

SCHEMA_VERSION = "1.1.0"
ROWS = 100_000
MAX_CATEGORIES = 64
MOST_PROBLEMS = 5
# The layout of the schema file: how deep a column's entry is, and how long lines should be.
COLUMN_DEPTH = 4
WIDTH = 110
COMPRESSED = re.compile(r"\.(gz|bz2|xz|zst)$", re.IGNORECASE)
OTHER_SEPARATOR = re.compile(r"[;\t|]")
# Names that keys have, best first; what stands for a table's own name comes from `_own_names`.
KEY_NAME = re.compile(r"(^|_)(id|key|uuid|guid)$|[a-z](Id|ID|Key)$", re.IGNORECASE)


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
    """

    document: dict[str, Any]
    notes: tuple[Note, ...]
    rows: Mapping[str, int]

    def to_json(self) -> str:
        """Return the schema file."""
        return f"{_laid_out(self.document)}\n"

    def schema(self) -> Schema:
        """Return the schema as `load_schema` reads it."""
        return load_schema(io.StringIO(self.to_json()))


@dataclass
class _Table:
    """What was seen of the files of one table."""

    name: str
    rows: int = 0
    complete: bool = True
    columns: dict[str, ColumnProfile] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    primary_key: str | None = None
    foreign_keys: dict[str, dict[str, str]] = field(default_factory=dict)

    def note(self, text: str, column: str | None = None) -> None:
        self.notes.append(Note(self.name, column, text))


def propose_schema(
    files: Files | Sequence[PathLike] | PathLike,
    *,
    rows: int | None = ROWS,
    max_categories: int = MAX_CATEGORIES,
    storage_options: Mapping[str, Any] | None = None,
) -> Proposal:
    """
    Propose an import schema for CSV files.

    Parameters
    ----------
    files
        ``{table: path or URL, or several of them}``; or paths, each the table of its own name.
    rows
        How many rows of each table to look at: from the start of its files, and where they can be
        read from any place about as many again from later parts. None looks at all rows; then the
        proposal fits every one of them.
    max_categories
        The most distinct texts of a column that are proposed as categories.
    storage_options
        Passed to fsspec, for URLs.

    Returns
    -------
    Proposal
        The schema and notes on it.

    Raises
    ------
    DataError, SchemaError
        A file is empty, is no CSV text in UTF-8, or has a header that cannot be imported.
    FileNotFoundError
        There is no such file.
    """
    if rows is not None and rows < 1:
        raise ArgumentError(f"rows must be 1 or more, not {rows}")
    tables = [
        _look(_Table(name), paths, rows, storage_options)
        for name, paths in _by_table(files).items()
    ]
    for table in tables:
        _define(table, max_categories)
        _choose_primary_key(table)
    for table in tables:
        _choose_foreign_keys(table, tables)
    return Proposal(
        {
            "exetera": {"version": SCHEMA_VERSION},
            "schema": {table.name: _body(table) for table in tables},
        },
        tuple(note for table in tables for note in table.notes),
        {table.name: table.rows for table in tables},
    )


def table_name(path: PathLike) -> str:
    """Return the name of the table that a file is by itself: its own, without suffixes."""
    name = PurePath(os.fspath(path).split("?")[0]).name
    return PurePath(COMPRESSED.sub("", name)).stem


def _by_table(files: Any) -> dict[str, list[PathLike]]:
    if isinstance(files, str | os.PathLike):
        files = [files]
    if not isinstance(files, Mapping):
        named: dict[str, list[PathLike]] = {}
        for path in files:
            named.setdefault(table_name(path), []).append(path)
        if twice := [name for name, paths in named.items() if len(paths) > 1]:
            raise SchemaError(
                f"several files would be the table {listing(twice)}; say which are: TABLE:FILE"
            )
        files = named
    if not files:
        raise SchemaError("no files to propose a schema for")
    return {
        table: [paths] if isinstance(paths, str | os.PathLike) else list(paths)
        for table, paths in files.items()
    }


# Looking


def _look(
    table: _Table,
    paths: Sequence[PathLike],
    rows: int | None,
    storage_options: Mapping[str, Any] | None,
) -> _Table:
    problems = 0
    headers: dict[str, list[str]] = {}
    for path in expand(paths, storage_options):
        sample = CsvSample(path, rows and max(1, rows - table.rows), storage_options)
        headers[sample.name] = sample.names
        if len(sample.names) == 1 and (found := OTHER_SEPARATOR.search(sample.names[0])):
            table.note(
                f"the header of {sample.name} has {found[0]!r} and no comma: perhaps its cells are "
                "separated by that, where the importer reads commas"
            )
        for name in sample.names:
            called_key = _key_rank(table.name, name) is not None
            table.columns.setdefault(name, ColumnProfile(unique=called_key))
        for part in sample:
            table.rows += len(part)
            for name, cells in zip(sample.names, part.cells, strict=True):
                table.columns[name].observe(cells, part.numbers)
            for row, reason in part.problems:
                problems += 1
                if problems <= MOST_PROBLEMS:
                    table.note(f"{sample.name}, row {row:,} {reason}; the import will not take it")
        table.complete &= sample.complete
    if problems > MOST_PROBLEMS:
        table.note(f"{problems:,} rows in all are no CSV of the header's width")
    if not table.complete:
        table.note(
            f"proposed from {table.rows:,} rows, not all: numbers have room for twice what was "
            "seen, and may be empty"
        )
    for file, names in headers.items():
        if absent := [name for name in table.columns if name not in names]:
            table.note(f"{file} lacks {listing(absent)}, which other files of the table have")
    return table


# Choosing


def _why_left_out(name: str) -> str | None:
    """Say why a column cannot become a field."""
    if name in RESERVED_NAMES:
        return "every imported table gets a field of this name"
    try:
        check(name)
    except DataError as error:
        return str(error)
    return None


def _normal(name: str) -> str:
    """A name as fields have it, which several spellings may share."""
    return unicodedata.normalize("NFC", name)


def _twin(name: str, first: dict[str, str]) -> str | None:
    """Say of which column before it a column has the name, in another spelling of Unicode."""
    known = first.setdefault(_normal(name), name)
    if known is name:
        return None
    return (
        f"its name {name!a} and that of another column, {known!a}, are one name in two spellings "
        "of Unicode"
    )


def _define(table: _Table, max_categories: int) -> None:
    first: dict[str, str] = {}
    for name, profile in table.columns.items():
        why = _why_left_out(name) or _twin(name, first)
        if why:
            table.note(
                f"{why}, so the column must be left out: exclude {table.name}:({name})", name
            )
            continue
        found = propose(profile, complete=table.complete, max_categories=max_categories)
        table.entries[name] = found.entry
        for text in found.notes:
            table.note(text, name)
    _free_flag_names(table)


def _free_flag_names(table: _Table) -> None:
    """Give flag fields names that no column has."""
    taken = {*map(_normal, table.columns), *RESERVED_NAMES}
    for column, entry in table.entries.items():
        name = _normal(column)
        if entry["field_type"] == "numeric" and entry["validation_mode"] != "strict":
            suffix = _free_suffix(name, taken)
            if suffix != "_valid":
                entry["flag_field_name"] = suffix
                table.note(
                    f"the field that says which cells hold a number is {name + suffix!r}, since "
                    f"{name + '_valid'!r} is another column",
                    column,
                )
            taken.add(name + suffix)
        elif entry.get("create_flag_field"):
            if f"{name}_set" in taken:
                entry["create_flag_field"] = False
                table.note(
                    "no field says which cells are empty, since its name would be that of another "
                    f"column, {name + '_set'!r}",
                    column,
                )
            taken.add(f"{name}_set")


def _free_suffix(name: str, taken: Collection[str]) -> str:
    suffix, number = "_valid", 2
    while f"{name}{suffix}" in taken:
        suffix, number = f"_valid_{number}", number + 1
    return suffix


def _own_names(table: str) -> set[str]:
    """Return a table's name in one and in many: patients, patient."""
    lower = table.lower()
    one = lower[:-3] + "y" if lower.endswith("ies") else lower.removesuffix("s")
    return {lower, one}


def _is_key_type(entry: Mapping[str, Any]) -> bool:
    kind = entry["field_type"]
    return kind in ("string", "fixed_string") or entry.get("value_type", "").startswith("int")


def _key_rank(table: str, name: str) -> int | None:
    """Say how much a column is called like its table's key: the less the better, None for not."""
    lower = name.lower()
    if lower == "id":
        return 0
    if lower in {f"{own}{end}" for own in _own_names(table) for end in ("_id", "id", "_key")}:
        return 1
    return 2 if KEY_NAME.search(name) else None


def _choose_primary_key(table: _Table) -> None:
    """Take a column in which no two cells are equal, if it is called like a key."""
    ranked = []
    for position, (name, entry) in enumerate(table.entries.items()):
        profile, rank = table.columns[name], _key_rank(table.name, name)
        if rank is not None and profile.unique and profile.rows > 1 and _is_key_type(entry):
            ranked.append((rank, position, name))
    for _, _, name in sorted(ranked):
        compared = table.columns[name].compared_keys()
        if table.columns[name].unique:
            table.primary_key = name
            if compared < table.rows or not table.complete:
                table.note(f"it is unique in the {compared:,} rows that were compared", name)
            return


def _choose_foreign_keys(table: _Table, tables: Sequence[_Table]) -> None:
    """Take columns that are called like the key of another table, and have values of it."""
    for other in tables:
        key = other.primary_key
        if key is None or other is table:
            continue
        names = {f"{one}{end}{key}".lower() for one in _own_names(other.name) for end in ("", "_")}
        if key.lower() not in ("id", "key", "uuid"):
            names.add(key.lower())
        for name, entry in table.entries.items():
            if name.lower() in names and _refers(table, name, other, entry):
                table.foreign_keys[name] = {"space": other.name, "key": key}


def _refers(table: _Table, name: str, other: _Table, entry: Mapping[str, Any]) -> bool:
    key = str(other.primary_key)
    numbers = [one["field_type"] == "numeric" for one in (entry, other.entries[key])]
    if numbers[0] != numbers[1]:
        return False
    keys = other.columns[key].keys
    if not other.complete or sum(map(len, keys)) < other.rows:
        return True
    values = set(table.columns[name].texts)
    missing = len(values - {value for chunk in keys for value in chunk.to_pylist()})
    if missing == len(values):
        return False
    if missing:
        table.note(
            f"{missing:,} of {len(values):,} values looked at are not in {other.name}.{key}", name
        )
    return True


# Writing


def _body(table: _Table) -> dict[str, Any]:
    notes: dict[str | None, list[str]] = {}
    for note in table.notes:
        notes.setdefault(note.column, []).append(note.text)
    body: dict[str, Any] = {}
    if None in notes:
        body["notes"] = notes[None]
    if table.primary_key is not None:
        body["primary_keys"] = [table.primary_key]
    if table.foreign_keys:
        body["foreign_keys"] = table.foreign_keys
    body["fields"] = {
        name: entry | ({"note": "; ".join(notes[name])} if name in notes else {})
        for name, entry in table.entries.items()
    }
    return body


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
