"""A schema for CSV files, proposed from what is in them.

The files are cut into records and cells by the importer's own reader, and what a cell could mean is
asked of the importer's own converters. What is proposed is to be read and edited: notes say what is
ambiguous, or would not fit.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import ArgumentError, DataError, SchemaError, listing
from exetera_zarr.io.csv.files import expand
from exetera_zarr.io.propose.habits import habit_of
from exetera_zarr.io.propose.keys import choose_foreign_keys, choose_primary_key, key_rank
from exetera_zarr.io.propose.profiling import ColumnProfile
from exetera_zarr.io.propose.proposal import SCHEMA_VERSION, Note, Proposal
from exetera_zarr.io.propose.proposing import propose
from exetera_zarr.io.propose.sampling import CsvSample
from exetera_zarr.io.propose.sniffing import sniffed
from exetera_zarr.io.redcap.columns import Export
from exetera_zarr.io.redcap.dictionary import Dictionary, read_dictionary
from exetera_zarr.io.schema.formats import CsvFormat
from exetera_zarr.io.schema.load import RESERVED_NAMES
from exetera_zarr.storage.names import check

if TYPE_CHECKING:
    from typing import Unpack

    from exetera_zarr.io.options import Files, FormatKeywords, PathLike

__all__ = ["Note", "Proposal", "propose_schema", "table_name"]

ROWS = 100_000
MAX_CATEGORIES = 64
MOST_PROBLEMS = 5
MOST_COLUMNS = 5_000
"""Columns of a table; to look at one takes about a millisecond."""
COMPRESSED = re.compile(r"\.(gz|bz2|xz|zst)$", re.IGNORECASE)


@dataclass
class Table:
    """What was seen of the files of one table."""

    name: str
    rows: int = 0
    complete: bool = True
    columns: dict[str, ColumnProfile] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    primary_key: str | None = None
    foreign_keys: dict[str, dict[str, str]] = field(default_factory=dict)
    form: CsvFormat = field(default_factory=CsvFormat)
    left_out: list[str] = field(default_factory=list)

    def note(self, text: str, column: str | None = None) -> None:
        self.notes.append(Note(self.name, column, text))


def propose_schema(
    files: Files | Sequence[PathLike] | PathLike,
    *,
    rows: int | None = ROWS,
    max_categories: int = MAX_CATEGORIES,
    room: bool = False,
    redcap: PathLike | None = None,
    missing_codes: Mapping[str, str] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    **known: Unpack[FormatKeywords],
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
    room
        Whether types are those of tables that grow, rather than the smallest that hold these files:
        whole numbers of 32 bits or more, float64, and texts of any length. Imports without a schema
        propose so.
    redcap
        Path or URL of the data dictionary of a REDCap project, of which the files are exports: it
        decides what the columns are, as docs/redcap.md says.
    missing_codes
        Meanings by the missing data codes of that project, such as ``{"-99": "refused"}``.
    storage_options
        Passed to fsspec, for URLs.
    known
        What is known of how the files are written, as of `import_csv`; the rest is found out.

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
    if missing_codes and redcap is None:
        raise ArgumentError("missing_codes are those of a REDCap project: give redcap=, too")
    given = CsvFormat(**known)
    dictionary = None if redcap is None else read_dictionary(redcap, missing_codes, storage_options)
    tables = [
        _look(Table(name, form=given), paths, rows, storage_options)
        for name, paths in _by_table(files).items()
    ]
    for table in tables:
        _define(table, max_categories, dictionary, room=room)
        choose_primary_key(table)
    for table in tables:
        choose_foreign_keys(table, tables)
    return Proposal(
        {
            "exetera": {"version": SCHEMA_VERSION},
            "schema": {table.name: _body(table) for table in tables},
        },
        tuple(note for table in tables for note in table.notes),
        {table.name: table.rows for table in tables},
        complete=all(table.complete for table in tables),
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
    table: Table,
    paths: Sequence[PathLike],
    rows: int | None,
    storage_options: Mapping[str, Any] | None,
) -> Table:
    problems = 0
    headers: dict[str, list[str]] = {}
    for number, path in enumerate(expand(paths, storage_options)):
        if not number:  # the others are written as the first one is
            table.form, notes = sniffed(path, storage_options, table.form, whole=rows is None)
            for text in notes:
                table.note(text)
        left = rows and max(1, rows - table.rows)
        sample = CsvSample(path, left, storage_options, table.form.dialect)
        headers[sample.name] = sample.names
        _check_width(table, sample)
        _begin(table, sample)
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
        there = set(names)
        if absent := [name for name in table.columns if name not in there]:
            table.note(f"{file} lacks {listing(absent)}, which other files of the table have")
    return table


def _begin(table: Table, sample: CsvSample) -> None:
    """Get ready to look at the columns of a file."""
    for name, written in zip(sample.names, sample.header, strict=True):
        if name in table.columns:
            continue
        if name != written:
            what = "occurs again" if written else "is empty"
            table.note(f"its name in the header {what}, so it is called {name!r}", name)
        called_key = key_rank(table.name, name) is not None
        table.columns[name] = ColumnProfile(form=table.form, name=name, unique=called_key)


def _check_width(table: Table, sample: CsvSample) -> None:
    count = len(table.columns.keys() | set(sample.names))
    if count > MOST_COLUMNS:
        sample.close()
        raise SchemaError(
            f"table {table.name!r}: with {sample.name} it has {count:,} columns, and a schema is "
            f"proposed for {MOST_COLUMNS:,} at most; write one of the columns that are wanted, or "
            "raise exetera_zarr.io.propose.discovery.MOST_COLUMNS"
        )


# Choosing


def _why_left_out(name: str) -> str | None:
    """Say why a column cannot become a field."""
    if name in RESERVED_NAMES:
        return "imports by a schema, or with a timestamp, make a field of this name themselves"
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


def _define(
    table: Table, max_categories: int, dictionary: Dictionary | None, *, room: bool
) -> None:
    first: dict[str, str] = {}
    export = None if dictionary is None else Export(dictionary)
    for text in [] if export is None else export.look(table.columns):
        table.note(text)
    habit = habit_of(table.form, table.columns.values())
    for name, profile in table.columns.items():
        why = _why_left_out(name) or _twin(name, first)
        if why:
            table.note(
                f"{why}, so the column must be left out: exclude {table.name}:({name})", name
            )
            table.left_out.append(name)
            continue
        found = propose(
            profile,
            complete=table.complete,
            room=room,
            max_categories=max_categories,
            habit=habit,
        )
        if export is not None:
            found = export.proposed(name, profile, found)
        table.entries[name] = found.entry
        for text in found.notes:
            table.note(text, name)
    _free_flag_names(table)


def _free_flag_names(table: Table) -> None:
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


# Writing


def _body(table: Table) -> dict[str, Any]:
    notes: dict[str | None, list[str]] = {}
    for note in table.notes:
        notes.setdefault(note.column, []).append(note.text)
    body: dict[str, Any] = {}
    if csv := _csv(table):
        body["csv"] = csv
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


def _csv(table: Table) -> dict[str, Any]:
    """What the schema says of how the files are written, where that is not as usual."""
    said = dict(table.form.said)
    if table.left_out:
        said["columns"] = list(table.entries)
    return said
