"""The command `convert`: a dataset to another place, as HDF5 or as Zarr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from exetera_zarr.cli.options import (
    AsJson,
    StorageOptions,
    parse_choice,
    parse_storage_options,
    print_json,
)
from exetera_zarr.cli.progress import progress_bars
from exetera_zarr.cli.reporting import InterruptedAtError, tell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exetera_zarr.conversion.datasets import Conversion

__all__ = ["convert"]


def convert(
    source: Annotated[
        str, typer.Argument(metavar="SRC", help="Path or URL of a dataset.", show_default=False)
    ],
    destination: Annotated[
        str,
        typer.Argument(
            metavar="DST",
            help="Path or URL of the new one: HDF5 if it ends in .hdf5, .h5 or .hdf.",
            show_default=False,
        ),
    ],
    table: Annotated[
        list[str] | None,
        typer.Option("-t", "--table", metavar="TABLE", help="Only this one; may be repeated."),
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(
            "-n", "--include", metavar="'TABLE:(A,B),...'", help="Of a table only these fields."
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "-x", "--exclude", metavar="'TABLE:(A,B),...'", help="Of a table not these fields."
        ),
    ] = None,
    verify: Annotated[
        bool, typer.Option(help="Read all again in the end, and compare it with SRC.")
    ] = True,
    restart: Annotated[
        bool,
        typer.Option("--restart", help="Throw away what an earlier try left, and begin anew."),
    ] = False,
    memory_limit: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Such as 2GB; half of the memory by default.")
    ] = None,
    source_storage_option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            envvar="EXETERA_ZARR_SOURCE_STORAGE_OPTION",
            help="For the URL of SRC; those of DST by default.",
        ),
    ] = None,
    storage_option: StorageOptions = None,
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", help="No progress bar and no summary.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """
    Copy a dataset to a place where there is none, such as an HDF5 file of ExeTera's to Zarr.

    It is made beside DST and moved there in the end, so nothing is at DST if it fails; the same
    command then goes on with the tables that are missing.
    """
    from exetera_zarr.conversion.datasets import TOP
    from exetera_zarr.conversion.datasets import convert as convert_dataset

    options = parse_storage_options(storage_option)
    name = "--source-storage-option"
    try:
        with progress_bars((), quiet=quiet or as_json) as progress:
            done = convert_dataset(
                source,
                destination,
                tables=table,
                include=parse_choice(include, "-n/--include"),
                exclude=parse_choice(exclude, "-x/--exclude"),
                verify=verify,
                restart=restart,
                source_options=parse_storage_options(source_storage_option, name) or options,
                destination_options=options,
                memory_limit=memory_limit,
                progress=progress,
            )
    except KeyboardInterrupt:
        raise InterruptedAtError(
            f"nothing is at {destination}; the same command goes on where it was"
        ) from None
    if as_json:
        print_json(_described(done))
    elif not quiet:
        tell(_lines(done, TOP))


def _described(done: Conversion) -> dict[str, Any]:
    return {
        "url": done.url,
        "tables": done.tables,
        "resumed": done.resumed,
        "bytes": done.bytes,
        "seconds": round(done.seconds, 3),
        "verified": done.verified,
    }


def _lines(done: Conversion, top: str) -> Iterator[str]:
    for table, size in done.tables.items():
        before = " (from an earlier try)" if table in done.resumed else ""
        yield f"{table if table != top else 'at the top level'}: {size / 1e6:,.1f} MB{before}"
    rate = done.bytes / 1e6 / done.seconds if done.seconds else 0.0
    checked = ", compared with its source" if done.verified else ""
    yield f"{done.url}: {done.bytes / 1e6:,.1f} MB, {done.seconds:.1f} s, {rate:,.1f} MB/s{checked}"
