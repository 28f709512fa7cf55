"""The command `codebook`: what each table and field is."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from exetera_zarr.cli.options import (
    AsJson,
    Place,
    StorageOptions,
    Version,
    open_place,
    parse_storage_options,
    print_json,
)
from exetera_zarr.cli.reporting import UsageError, tell

__all__ = ["codebook"]

File: TypeAlias = str | None


def codebook(
    place: Place,
    at: Version = None,
    csv: Annotated[
        File, typer.Option("--csv", metavar="FILE", help="Write it there, a row for each field.")
    ] = None,
    html: Annotated[
        File, typer.Option("--html", metavar="FILE", help="Write it there, as a page.")
    ] = None,
    schema: Annotated[
        File,
        typer.Option(
            "--schema", metavar="FILE", help="Write it there, as a schema that 'import' takes."
        ),
    ] = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="Also count missing values; reads all fields.")
    ] = False,
    as_json: AsJson = False,
    storage_option: StorageOptions = None,
) -> None:
    """
    Say what each table and field is: types, labels, units, categories, missing codes.

    It reads metadata only, unless missing values are counted.
    """
    from exetera_zarr.storage import create_file
    from exetera_zarr.tables.session import Session
    from exetera_zarr.texts import json_text

    files = {"--csv": csv, "--html": html, "--schema": schema}
    given = [file for file in files.values() if file is not None]
    if len(set(given)) < len(given):
        raise UsageError(f"{given[0]} is named twice: give each form a file of its own")
    options = parse_storage_options(storage_option)
    with Session() as session:
        dataset, table = open_place(session, place, storage_option, at)
        found = dataset.codebook(table, missing=missing)
    if csv is not None:
        found.to_csv(csv, storage_options=options)
    texts = {html: found.to_html} | {schema: lambda: json_text(found.to_schema())}
    for file, made in texts.items():
        if file is not None:
            with create_file(file, options) as opened:
                opened.write(made().encode())
    if as_json:
        print_json(found.to_dict())
    elif given:
        tell([f"written to {file}" for file in given])
    else:
        tell(found.lines())
