"""The commands `export` and `sql`: what leaves a dataset, as files and as answers."""

from __future__ import annotations

import datetime as dt
import time
from decimal import Decimal
from typing import Annotated, Any

import typer

from exetera_zarr.cli.head import print_heads
from exetera_zarr.cli.options import (
    AsJson,
    DatasetPlace,
    Place,
    StorageOptions,
    Version,
    counted,
    open_place,
    opened,
    parse_storage_options,
    print_json,
)
from exetera_zarr.cli.reporting import tell
from exetera_zarr.errors import ArgumentError
from exetera_zarr.tables.seeing.preview import Preview, records_of

__all__ = ["export", "sql"]

_OTHERS = {".csv": "to_csv", ".sav": "to_spss", ".dta": "to_stata"}


def export(
    place: Place,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="Path or URL that ends in .parquet, .feather, .arrow, .csv, .sav (SPSS) or .dta "
            "(Stata).",
            show_default=False,
        ),
    ],
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "-c", "--columns", metavar="NAME,...", help="Only these fields; may be repeated."
        ),
    ] = None,
    raw: Annotated[
        bool,
        typer.Option(
            "--raw", help="What is stored: codes, seconds, no nulls. For Parquet and Arrow alone."
        ),
    ] = False,
    at: Version = None,
    as_json: AsJson = False,
    storage_option: StorageOptions = None,
) -> None:
    """
    Write a table to a file of the kind that its name ends in.

    What is at FILE is replaced, when all of it is written, and not before.
    """
    from exetera_zarr.io.arrow.files import ARROW, PARQUET, kind_of_file, write_file
    from exetera_zarr.io.arrow.stream import ArrowStream
    from exetera_zarr.tables.session import Session

    began = time.monotonic()
    kind, suffix = kind_of_file(file), file[file.rfind(".") :].lower()
    if kind is None and suffix not in _OTHERS:
        known = ", ".join((*PARQUET, *ARROW, *_OTHERS))
        raise ArgumentError(f"{file} ends in none of the kinds that are written: {known}")
    if kind is None and raw:
        raise ArgumentError(f"a {suffix} file has no codes and seconds: leave --raw out")
    wanted = [name.strip() for text in columns or () for name in text.split(",")] or None
    options = parse_storage_options(storage_option)
    with Session() as session:
        dataset, table = open_place(session, place, storage_option, at)
        if table is None:
            raise ArgumentError(f"{place} is a dataset: name one of its tables, as {place}/TABLE")
        frame = dataset.get_dataframe(table)
        if kind is None:
            columns_of = "column_filter" if suffix == ".csv" else "columns"
            write = getattr(frame, _OTHERS[suffix])
            write(file, storage_options=options, **{columns_of: wanted})
            rows = frame.length(wanted)
        else:
            rows = write_file(ArrowStream(frame, wanted, raw=raw), file, kind, "zstd", options)
    seconds = round(time.monotonic() - began, 3)
    if as_json:
        print_json({"table": table, "file": file, "rows": rows, "seconds": seconds})
    else:
        tell([f"{table}: {counted(rows, 'row')} written to {file}, {seconds:.1f} s"])


def sql(
    dataset: DatasetPlace,
    query: Annotated[
        str, typer.Argument(metavar="QUERY", help="One SELECT statement.", show_default=False)
    ],
    rows: Annotated[int, typer.Option("-n", "--rows", min=0, help="How many rows at most.")] = 100,
    at: Version = None,
    as_json: AsJson = False,
    storage_option: StorageOptions = None,
) -> None:
    """
    Ask a question of the tables of a dataset in SQL, and show the first rows of the answer.

    Nothing is changed. Categories are text, moments are in UTC, and what is missing is shown as -.
    """
    from exetera_zarr.tables.session import Session

    with Session() as session:
        asked = opened(session, dataset, "r", storage_option, at).sql(query)
        types, found = asked.first(rows)
    columns = {name: [_shown(value) for value in values] for name, values in found.items()}
    rows = len(next(iter(columns.values()), ()))
    head = Preview("answer", rows, types, columns, len(types))
    if as_json:
        print_json(records_of(head))
    else:
        print_heads([head])


def _shown(value: Any) -> Any:
    """A value as JSON and a terminal have it."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dt.datetime):
        return value.isoformat(" ").removesuffix("+00:00")
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)
