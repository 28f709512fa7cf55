"""Imports without a schema: one is proposed from the files, and told."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import ArgumentError
from exetera_zarr.fields.progress import in_notebook
from exetera_zarr.io.csv.files import expand, is_url, shown
from exetera_zarr.io.csv.text import CsvError
from exetera_zarr.io.of_fields import definition_of_field
from exetera_zarr.io.options import FormatKeywords
from exetera_zarr.io.propose.discovery import ROWS, propose_schema
from exetera_zarr.io.schema.definitions import DateTime
from exetera_zarr.io.schema.described import TableSchema
from exetera_zarr.io.typed_files import csv_of
from exetera_zarr.io.written_as import remember, remembered, written_as
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from exetera_zarr.io.options import Files, ImportOptions, ImportSummary
    from exetera_zarr.io.propose.proposal import Proposal
    from exetera_zarr.io.schema.definitions import Schema
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.dataset import Dataset

__all__ = ["import_proposed", "keep_habits", "proposed_for", "schema_for", "without_schema"]

MOST_NOTES = 20


def import_proposed(
    dataset: Dataset,
    files: Files,
    options: ImportOptions,
    run: Callable[[Dataset, Schema, Files, ImportOptions], ImportSummary],
) -> ImportSummary:
    """
    Import files by a schema that is proposed from them.

    Parameters
    ----------
    dataset, files, options
        Of the import.
    run
        Imports by a schema.

    Raises
    ------
    CsvError
        A row does not fit, though all of them were looked at: it is no CSV.
    """
    options = without_schema(options)
    known = csv_of(files, options)
    if not known:
        return run(dataset, {}, files, options)
    # Whoever leaves rows out would not learn that they only differ from the first ones.
    every = options.skips or options.commit_each_table
    there = set(dataset)
    proposal = _proposal(known, options, None if every else ROWS)
    try:
        summary = run(dataset, schema_for(dataset, proposal, options), files, options)
    except CsvError as error:
        if error.column is None or proposal.complete:
            raise
        proposal = _proposal(known, options, None)
        summary = run(dataset, schema_for(dataset, proposal, options), files, options)
    tell(proposal, known, there if options.mode == "append" else ())
    keep_habits(dataset, proposal, options, there)
    return summary


def keep_habits(
    dataset: Dataset, proposal: Proposal, options: ImportOptions, there: Container[str]
) -> None:
    """Have new tables remember how their files are written; those that were there have that."""
    schemas: Mapping[str, Any] = proposal.schema()
    for name, schema in schemas.items():
        if name in dataset and (options.mode != "append" or name not in there):
            renamed = options.format_of(name, schema).rename
            remember(dataset.get_dataframe(name), schema, renamed)


def without_schema(options: ImportOptions) -> ImportOptions:
    """What an import is told where it is given no schema: a journal is wanted if that is said."""
    if options.validity is None and options.timestamp is None:
        return replace(options, validity=False)
    return options


def proposed_for(files: Files, options: ImportOptions) -> Proposal:
    """Propose a schema that fits all rows of files, and tell it."""
    proposal = _proposal(files, options, None)
    tell(proposal, files)
    return proposal


def _proposal(files: Files, options: ImportOptions, rows: int | None) -> Proposal:
    for paths in files.values():
        for path in expand(paths, options.for_sources):
            if not is_url(path) and Path(path).exists() and not Path(path).is_file():
                raise ArgumentError(
                    f"{path} can be read only once, so that no schema can be proposed from it: "
                    "give one"
                )
    known: Any = {name: getattr(options, name) for name in FormatKeywords.__annotations__}
    return propose_schema(files, rows=rows, room=True, storage_options=options.for_sources, **known)


def schema_for(dataset: Dataset, proposal: Proposal, options: ImportOptions) -> Schema:
    """What is proposed, or for rows that go to tables that are there, what these hold."""
    schema = proposal.schema()
    if options.mode != "append":
        return schema
    return {
        name: _as_held(dataset.get_dataframe(name), found, options) if name in dataset else found
        for name, found in schema.items()
    }


def _as_held(table: DataFrame, proposed: Any, options: ImportOptions) -> TableSchema:
    """The definitions of columns as the fields of a table hold them, in the proposed form."""
    found = TableSchema(proposed)
    found.csv = proposed.csv
    renamed, known = options.format_of(table.name, proposed).rename, remembered(table)
    names = {name: (renamed or {}).get(name, name) for name in proposed}
    days = {
        names[name]
        for name, definition in proposed.items()
        if isinstance(definition, DateTime) and definition.whole_days
    }
    for name, definition in proposed.items():
        if names[name] in table:
            held = definition_of_field(table, table[names[name]], list(names.values()), days)
            found[name] = written_as(held, definition, known.get(names[name], {}), options)
    return found


def tell(proposal: Proposal, files: Files, held: Container[str] = ()) -> None:
    """
    Say what was proposed, and how to see and to save it.

    On stderr; in a notebook, where that looks like an error, on stdout. Of tables that are there
    no more is told than how their files are written: their fields say the rest.
    """
    new = {
        table: [shown(os.fspath(path)) for path in _listed(paths)]
        for table, paths in files.items()
        if table not in held
    }
    notes = [note for note in proposal.notes if note.table in new or note.column is None]
    lines = [
        *([_told(proposal, new)] if new else []),
        *(f"note: {note}" for note in notes[:MOST_NOTES]),
    ]
    if len(notes) > MOST_NOTES:
        lines.append(f"and {len(notes) - MOST_NOTES:,} notes more")
    where = sys.stdout if in_notebook() else sys.stderr
    for line in lines:
        print(visible(line), file=where)


def _told(proposal: Proposal, files: Mapping[str, list[str]]) -> str:
    rows = sum(proposal.rows[table] for table in files)
    (first, *others) = files.values()
    given = first[0] if not others and len(first) == 1 else dict(files)
    return (
        f"{', '.join(files)}: no schema was given, so one was proposed from {rows:,} "
        f"row{'' if rows == 1 else 's'}; exetera_zarr.propose_schema({given!r}, room=True) shows "
        "it, and its save('schema.json') keeps it, as does the command 'exetera-zarr schema --room'"
    )


def _listed(paths: Any) -> list[Any]:
    return [paths] if isinstance(paths, str | os.PathLike) else list(paths)
