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
    Comment,
    DateFormats,
    DayFirst,
    Decimal,
    Encoding,
    NaValues,
    Quote,
    Separator,
    SkipRows,
    StorageOptions,
    Thousands,
    counted,
    csv_format,
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
    room: Annotated[
        bool,
        typer.Option(
            "--room",
            help="Types for tables that grow: whole numbers of 32 bits or more, float64, texts of "
            "any length. An import without a schema takes these.",
        ),
    ] = False,
    redcap: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Data dictionary (CSV) of the REDCap project of which the files are exports.",
        ),
    ] = None,
    missing_code: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CODE=MEANING",
            help="A missing data code of that project, such as '-99=refused'; may be repeated.",
        ),
    ] = None,
    sep: Separator = None,
    encoding: Encoding = None,
    quotechar: Quote = None,
    comment: Comment = None,
    skiprows: SkipRows = None,
    decimal: Decimal = None,
    thousands: Thousands = None,
    date_format: DateFormats = None,
    day_first: DayFirst = None,
    na_value: NaValues = None,
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
    well, where the import ignores them. How the files are written is found out, as far as no option
    says it.
    """
    from exetera_zarr.io.propose.discovery import propose_schema

    if output is not None:
        _check_output(output, force=force)
    proposal = propose_schema(
        _by_table(files),
        rows=None if every else rows,
        max_categories=max_categories,
        room=room,
        redcap=redcap,
        missing_codes=_parse_codes(missing_code),
        storage_options=parse_storage_options(storage_option),
        **csv_format(
            sep=sep,
            encoding=encoding,
            quotechar=quotechar,
            comment=comment,
            skiprows=skiprows,
            decimal=decimal,
            thousands=thousands,
            date_formats=date_format,
            dayfirst=day_first,
            na_values=na_value,
        ),
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


def _parse_codes(texts: Sequence[str] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts or ():
        code, equals, meaning = (part.strip() for part in text.partition("="))
        if not (code and equals and meaning) or code in found:
            raise UsageError(f"--missing-code: {text!r} is not CODE=MEANING, or occurs again")
        found[code] = meaning
    return found


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
