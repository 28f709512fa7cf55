"""The command `append`: the rows of files to a table that is there."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Annotated, Any

import typer

from exetera_zarr.cli.options import (
    AsJson,
    Author,
    DatasetPlace,
    Message,
    StorageOptions,
    counted,
    opened,
    parse_storage_options,
    print_json,
    session_by,
)
from exetera_zarr.cli.reporting import tell

__all__ = ["append"]


class OnMissing(StrEnum):
    """The choices of ``--missing``."""

    ERROR = "error"
    FILL = "fill"


class OnNew(StrEnum):
    """The choices of ``--new``."""

    ERROR = "error"
    ADD = "add"


def append(
    dataset: DatasetPlace,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="Which of its tables.")],
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="CSV (also .gz and the like), .parquet, .arrow, .feather, .sav, .zsav, .dta, "
            ".xpt or .sas7bdat: paths, patterns or URLs.",
        ),
    ],
    key: Annotated[
        list[str] | None,
        typer.Option(
            "-k",
            "--key",
            metavar="NAME",
            help="A field that tells rows apart; may be repeated. Rows with a key that is there "
            "change that row; without this option all rows are appended.",
        ),
    ] = None,
    schema: Annotated[
        str | None,
        typer.Option(
            "-s",
            "--schema",
            metavar="FILE",
            help="JSON schema of CSV columns; by default they are read as what the fields hold.",
        ),
    ] = None,
    missing: Annotated[
        OnMissing,
        typer.Option(
            help="For fields of which a file has no column: an error, or no value in the new rows."
        ),
    ] = OnMissing.ERROR,
    new: Annotated[
        OnNew,
        typer.Option(help="For columns that the table lacks: an error, or a field is added."),
    ] = OnNew.ERROR,
    message: Message = None,
    author: Author = None,
    as_json: AsJson = False,
    storage_option: StorageOptions = None,
    source_storage_option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            envvar="EXETERA_ZARR_SOURCE_STORAGE_OPTION",
            help="For the URLs of the files, where they live elsewhere than the dataset; those of "
            "--storage-option by default.",
        ),
    ] = None,
) -> None:
    """
    Append the rows of files to a table, as one new version.

    On an error, or Ctrl-C, nothing is appended.
    """
    from exetera_zarr.io.appending import append_files

    began = time.monotonic()
    sources = parse_storage_options(source_storage_option, "--source-storage-option")
    with session_by(author, message) as session:
        found = opened(session, dataset, "r+", storage_option)
        done = append_files(
            found.get_dataframe(table),
            files,
            schema=schema,
            key=key or None,
            missing=missing.value,
            new=new.value,
            source_options=sources or parse_storage_options(storage_option) or None,
        )
        version, url = found.commit(), found.url
    told: dict[str, Any] = {
        "url": url,
        "table": table,
        "version": version,
        "new": done.new,
        "changed": done.changed,
        "unchanged": done.unchanged,
        "seconds": round(time.monotonic() - began, 3),
    }
    if as_json:
        print_json(told)
        return
    what = f"{counted(done.new, 'row')} appended"
    if key:
        what += f", {done.changed:,} changed, {done.unchanged:,} unchanged"
    tell([f"{table}: {what}, {told['seconds']:.1f} s", f"version {version} of {url}"])
