"""The command `import`: files into tables of a dataset."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from exetera_zarr.cli.options import (
    AsJson,
    Author,
    Comment,
    DateFormats,
    DayFirst,
    Decimal,
    Encoding,
    Message,
    NaValues,
    Quote,
    Separator,
    SkipRows,
    StorageOptions,
    Thousands,
    counted,
    csv_format,
    parse_choice,
    parse_inputs,
    parse_rename,
    parse_storage_options,
    print_json,
    session_by,
)
from exetera_zarr.cli.progress import progress_bars
from exetera_zarr.cli.reporting import InterruptedAtError, UsageError, say, tell
from exetera_zarr.errors import ConflictError, DatasetNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from exetera_zarr.io import ImportSummary

__all__ = ["import_files"]


class OnError(StrEnum):
    """The choices of ``--on-error``."""

    RAISE = "raise"
    SKIP = "skip"


class Mode(StrEnum):
    """The choices of ``--mode``."""

    ERROR = "error"
    REPLACE = "replace"
    APPEND = "append"


def import_files(
    inputs: Annotated[
        list[str],
        typer.Option(
            "-i",
            "--inputs",
            metavar="TABLE:FILE,...",
            help="What to import: paths or URLs of CSV files, also .gz and .zst, or of files that "
            "end in .parquet, .feather, .arrow, .sav, .dta, .xpt or .sas7bdat; may be repeated. A "
            "table that occurs again, or a pattern such as '2020-*.csv', is one table of several "
            "files.",
        ),
    ],
    dataset: Annotated[
        str,
        typer.Option(
            "-o", "-ds", "--output", "--dataset", metavar="DATASET", help="Where to: path or URL."
        ),
    ],
    schema: Annotated[
        str | None,
        typer.Option(
            "-s",
            "--schema",
            metavar="FILE",
            help="JSON schema of the CSV files: path or URL. Without, one is proposed and its "
            "notes are printed.",
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option("-w", "--overwrite", help="Replace the dataset; without, tables are added."),
    ] = False,
    mode: Annotated[
        Mode,
        typer.Option(
            help="What to do with a table that is there: an error, replace it, or append to it."
        ),
    ] = Mode.ERROR,
    include: Annotated[
        list[str] | None,
        typer.Option(
            "-n", "--include", metavar="'TABLE:(A,B),...'", help="Import only these columns."
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "-x", "--exclude", metavar="'TABLE:(A,B),...'", help="Import all but these columns."
        ),
    ] = None,
    rename: Annotated[
        list[str] | None,
        typer.Option(metavar="'TABLE:(OLD=NEW,...)'", help="Names of fields for those of columns."),
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
    timestamp: Annotated[
        str | None,
        typer.Option(
            "-ts",
            "--timestamp",
            metavar="TIME",
            help="Moment that the rows are valid from (j_valid_from), in UTC; now by default.",
        ),
    ] = None,
    on_error: Annotated[
        OnError,
        typer.Option(help="What a row does that does not fit: end the import, or be left out."),
    ] = OnError.RAISE,
    rejects: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="CSV for the rows left out, with where they were and why."
        ),
    ] = None,
    skip_missing: Annotated[
        bool, typer.Option("--skip-missing", help="Allow that files lack columns of the schema.")
    ] = False,
    commit_each_table: Annotated[
        bool,
        typer.Option(
            "--commit-each-table", help="Keep the tables that are complete if a later one fails."
        ),
    ] = False,
    storage_option: StorageOptions = None,
    source_storage_option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            envvar="EXETERA_ZARR_SOURCE_STORAGE_OPTION",
            help="For the URLs of the source files (CSV, schema, rejects), where they live "
            "elsewhere than the dataset; those of --storage-option by default.",
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", help="No progress bar and no summary.")
    ] = False,
    message: Message = None,
    author: Author = None,
    as_json: AsJson = False,
    territories: Annotated[
        str | None, typer.Option("-te", "--territories", hidden=True, help="Ignored.")
    ] = None,
) -> None:
    """
    Import files as tables: CSV by a schema or one that is proposed, others as they say themselves.

    How CSV files are written, such as --sep ';', is said here or in the schema. All tables become
    one version of the dataset; on an error, or Ctrl-C, none of them does. The command 'schema'
    proposes a schema.
    """
    from exetera_zarr.io import import_with_schema
    from exetera_zarr.io.csv.files import shown

    del territories
    files = parse_inputs(inputs)
    form = csv_format(
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
    )
    if rejects is not None and on_error is not OnError.SKIP:
        raise UsageError("--rejects is where skipped rows go: it needs --on-error skip")
    options = parse_storage_options(storage_option)
    sources = parse_storage_options(source_storage_option, "--source-storage-option")
    # Messages call the dataset so.
    name = PurePath(dataset).name
    began = time.monotonic()
    with session_by(author, message) as session:
        try:
            with progress_bars(files, quiet=quiet or as_json) as progress:
                summary = import_with_schema(
                    session,
                    dataset,
                    name,
                    schema,
                    files,
                    overwrite,
                    include=parse_choice(include, "-n/--include"),
                    exclude=parse_choice(exclude, "-x/--exclude"),
                    timestamp=timestamp,
                    mode=mode.value,
                    rename=parse_rename(rename),
                    **form,
                    missing="skip" if skip_missing else "error",
                    on_error="skip" if on_error is OnError.SKIP else "raise",
                    rejects=rejects,
                    commit_each_table=commit_each_table,
                    storage_options=options,
                    source_options=sources or None,
                    progress=progress,
                )
        except KeyboardInterrupt:
            raise InterruptedAtError(_standing(session, dataset, options)) from None
        except ConflictError:
            raise ConflictError(
                f"another writer changed {shown(dataset)} during the import, of which nothing was "
                "kept but tables committed one by one: import again"
            ) from None
        written = session.get_dataset(name)
        found = _described(summary, written.url, written.version, time.monotonic() - began)
    if as_json:
        print_json(found)
    elif not quiet:
        tell(_lines(found))
    elif summary.rejected:
        say(f"warning: {counted(summary.rejected, 'row')} did not fit and were left out")


def _standing(session: Any, dataset: str, options: Mapping[str, Any]) -> str:
    """Say at which version an interrupted import leaves its dataset."""
    session.close()
    try:
        version = session.open_dataset(dataset, "r", storage_options=options).version
    except DatasetNotFoundError:
        return f"nothing was written to {dataset}"
    if not version:
        return f"{dataset} has no tables yet (version 0)"
    return f"{dataset} is at version {version}, its last whole one"


def _described(summary: ImportSummary, url: str, version: int, seconds: float) -> dict[str, Any]:
    return {
        "url": url,
        "version": version,
        "rows": summary.rows,
        "rejected": summary.rejected,
        "seconds": round(seconds, 3),
        "bytes": sum(one.bytes for one in summary.values()),
        "tables": {
            table: {
                "rows": one.rows,
                "rejected": one.rejected,
                "rejects": one.rejects,
                "seconds": round(one.seconds, 3),
                "bytes": one.bytes,
            }
            for table, one in summary.items()
        },
    }


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    for table, one in found["tables"].items():
        rejected = ""
        if one["rejected"]:
            place = f" to {one['rejects']}" if one["rejects"] else ""
            rejected = f", {one['rejected']:,} rejected{place}"
        yield f"{table}: {counted(one['rows'], 'row')}{rejected}, {_pace(one)}"
    yield f"version {found['version']} of {found['url']}, {_pace(found)}"


def _pace(one: Mapping[str, Any]) -> str:
    rate = one["bytes"] / 1e6 / one["seconds"] if one["seconds"] else 0.0
    return f"{one['seconds']:.1f} s, {rate:,.1f} MB/s"
