"""The command `schema`: a schema proposed from CSV files."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from exetera_zarr.cli.options import (
    AsJson,
    StorageOptions,
    counted,
    parse_storage_options,
    print_json,
)
from exetera_zarr.cli.reporting import UsageError, say, tell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from exetera_zarr.io.propose.discovery import Proposal

__all__ = ["schema"]

# TABLE:FILE, but neither a URL nor a drive: patients:p.csv, not s3://bucket/p.csv
NAMED = re.compile(r"(?![A-Za-z]:\\)([^:/\\]+):(?!//)(.+)")


def schema(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="[TABLE:]FILE...",
            help="CSV files: paths or URLs, also .gz and .zst. A table is called as its file "
            "unless it is named; several files may be of one table.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write it there, not to stdout."),
    ] = None,
    rows: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="COUNT",
            help="Rows of each table to look at: so many from the start, and about as many from "
            "later parts.",
        ),
    ] = 100_000,
    every: Annotated[
        bool, typer.Option("--all", help="Look at all rows: what is proposed fits them.")
    ] = False,
    max_categories: Annotated[
        int,
        typer.Option(min=1, metavar="COUNT", help="Most texts of a column that are categories."),
    ] = 64,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file of -o/--output.")
    ] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No notes on stderr.")] = False,
    as_json: AsJson = False,
    storage_option: StorageOptions = None,
) -> None:
    """
    Propose an import schema for CSV files, to be read and edited.

    Notes on what is ambiguous, or would not fit, are printed on stderr and stand in the schema as
    well, where the import ignores them.
    """
    from exetera_zarr.io.propose.discovery import propose_schema

    if output is not None:
        _check_output(output, force=force)
    proposal = propose_schema(
        _by_table(files),
        rows=None if every else rows,
        max_categories=max_categories,
        storage_options=parse_storage_options(storage_option),
    )
    if not quiet and not as_json:
        for note in proposal.notes:
            say(f"note: {note}")
    if output is None:
        sys.stdout.write(proposal.to_json())
        return
    Path(output).write_text(proposal.to_json(), encoding="utf-8")
    if as_json:
        print_json(_described(proposal, output))
    else:
        tell(_lines(proposal, output))


def _check_output(output: str, *, force: bool) -> None:
    if "://" in output:
        raise UsageError("-o/--output is a local file; without it, the schema goes to stdout")
    if not force and Path(output).exists():
        raise UsageError(f"-o/--output: {output} exists already; --force replaces it")


def _by_table(files: Sequence[str]) -> dict[str, list[str]]:
    from exetera_zarr.io.propose.discovery import table_name

    found: dict[str, list[str]] = {}
    unnamed: dict[str, str] = {}
    for text in files:
        named = NAMED.fullmatch(text)
        table, file = named.groups() if named else (table_name(text), text)
        if not named and unnamed.setdefault(table, text) != text:
            raise UsageError(
                f"{unnamed[table]} and {text} would both be the table {table!r}; say which table "
                "they are of: TABLE:FILE"
            )
        found.setdefault(table, []).append(file)
    return found


def _described(proposal: Proposal, output: str) -> dict[str, Any]:
    return {
        "schema": output,
        "tables": {
            table: {"rows": proposal.rows[table], "columns": len(body["fields"])}
            for table, body in proposal.document["schema"].items()
        },
        "notes": [
            {"table": note.table, "column": note.column, "text": note.text}
            for note in proposal.notes
        ],
    }


def _lines(proposal: Proposal, output: str) -> Iterator[str]:
    for table, body in proposal.document["schema"].items():
        kinds = Counter(entry["field_type"] for entry in body["fields"].values())
        counts = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
        columns, rows = counted(len(body["fields"]), "column"), counted(proposal.rows[table], "row")
        yield f"{table}: {columns} ({counts}), {rows} read"
    yield f"written to {output}; 'import -s {output}' takes it"
