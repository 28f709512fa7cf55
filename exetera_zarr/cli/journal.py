"""The command `journal`: snapshots of tables into their journals."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from exetera_zarr.cli.options import (
    AsJson,
    Author,
    DatasetPlace,
    Message,
    StorageOptions,
    counted,
    open_place,
    opened,
    parse_keys,
    print_json,
    session_by,
    tables_of,
)
from exetera_zarr.cli.progress import step_bars
from exetera_zarr.cli.reporting import UsageError, tell
from exetera_zarr.errors import about, listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from exetera_zarr.cli.progress import Stepping
    from exetera_zarr.tables.dataset import Dataset

__all__ = ["journal"]


def journal(
    dataset: DatasetPlace,
    snapshots: Annotated[
        list[str],
        typer.Argument(
            metavar="SNAPSHOT[/TABLE]...",
            help="Datasets with the tables as they were later on, in the order of time.",
            show_default=False,
        ),
    ],
    key: Annotated[
        list[str] | None,
        typer.Option(
            "-k",
            "--key",
            metavar="NAME or TABLE:(A,B),...",
            help="What tells the rows of a table apart: one field for all tables, or some for each "
            "table; 'id' by default.",
        ),
    ] = None,
    table: Annotated[
        list[str] | None,
        typer.Option("-t", "--table", metavar="TABLE", help="Only this table; may be repeated."),
    ] = None,
    timestamp: Annotated[
        str | None,
        typer.Option(
            "-ts",
            "--timestamp",
            metavar="TIME",
            help="Moment of the snapshot, in UTC; that of its import (j_valid_from) by default.",
        ),
    ] = None,
    close_vanished: Annotated[
        bool,
        typer.Option("--close-vanished", help="Rows whose key a snapshot lacks end, too."),
    ] = False,
    absolute: Annotated[
        float,
        typer.Option(min=0, help="Floats and timestamps that differ by no more are as before."),
    ] = 0.0,
    relative: Annotated[
        float, typer.Option(min=0, help="The same as a share of a float, such as 1e-6.")
    ] = 0.0,
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", help="No progress bar and no summary.")
    ] = False,
    message: Message = None,
    author: Author = None,
    as_json: AsJson = False,
    storage_option: StorageOptions = None,
) -> None:
    """
    Keep the history of tables: what each new snapshot of them changes.

    New rows, and rows that differ from those before, are appended to the tables of the dataset,
    which is made if it is not there; those before end at the moment of the snapshot. All becomes
    one version; on an error, or Ctrl-C, none of it does.
    """
    from exetera_zarr.tables.session import Session

    if timestamp is not None and len(snapshots) > 1:
        raise UsageError("-ts/--timestamp is the moment of one snapshot, but there are several")
    keys = parse_keys(key)
    arguments: dict[str, Any] = {
        "valid_from": timestamp,
        "close_vanished": close_vanished,
        "absolute": absolute,
        "relative": relative,
    }
    began = time.monotonic()
    chosen = {place: _chosen(place, table, storage_option) for place in snapshots}
    _refuse_unused(keys, {name for names in chosen.values() for name in names})
    with session_by(author, message) as session, step_bars(quiet=quiet or as_json) as bars:
        journals = opened(session, dataset, "a", storage_option)
        found: list[dict[str, Any]] = []
        with journals.transaction():
            for place in snapshots:
                # Of its own, since two snapshots may be called alike.
                with Session(progress=False) as other, about(partial(str, place)):
                    snapshot, _ = open_place(other, place, storage_option, None)
                    found += _journaled(journals, snapshot, chosen[place], keys, arguments, bars)
        journals.commit()
        summary = {
            "url": journals.url,
            "version": journals.version,
            "seconds": round(time.monotonic() - began, 3),
            "snapshots": found,
        }
    if as_json:
        print_json(summary)
    elif not quiet:
        tell(_lines(summary))


def _chosen(
    place: str, tables: Sequence[str] | None, storage_option: Sequence[str] | None
) -> list[str]:
    """The tables of a snapshot that are journalled, all of which there have to be."""
    from exetera_zarr.tables.session import Session

    with Session(progress=False) as session:
        snapshot, only = open_place(session, place, storage_option, None)
        found = tables_of(snapshot, only)
        for name in tables or ():
            snapshot.get_dataframe(name)  # which says what there is
    return [name for name in found if not tables or name in tables]


def _journaled(
    journals: Dataset,
    snapshot: Dataset,
    tables: Sequence[str],
    keys: Mapping[str | None, list[str]],
    arguments: Mapping[str, Any],
    bars: Stepping | None,
) -> Iterator[dict[str, Any]]:
    for name in tables:
        by = keys.get(name, keys[None])
        progress = None if bars is None else bars(name)
        frame = journals.require_dataframe(name)
        moment = arguments["valid_from"]
        if moment is None and not snapshot[name].length():
            moment = _moment(snapshot)
        done = frame.journal(
            snapshot[name], by, progress=progress, **{**arguments, "valid_from": moment}
        )
        yield {
            "snapshot": snapshot.url,
            "table": name,
            "valid_from": done.valid_from,
            "new": done.new,
            "changed": done.changed,
            "unchanged": done.unchanged,
            "vanished": done.vanished,
            "closed": done.closed,
        }


def _moment(snapshot: Dataset) -> float | None:
    """The last moment of tables that have rows, for one that has none to say it."""
    from exetera_zarr.journal.snapshots import only_moment

    filled = [snapshot[name] for name in tables_of(snapshot, None) if snapshot[name].length()]
    return max(map(only_moment, filled), default=None)


def _refuse_unused(keys: Mapping[str | None, list[str]], tables: set[str]) -> None:
    for name in keys:
        if name is not None and name not in tables:
            raise UsageError(
                f"-k/--key: no table {name!r} is journalled; there are {listing(tables)}"
            )


def _lines(summary: Mapping[str, Any]) -> Iterator[str]:
    from exetera_zarr.moments import moment_text

    for one in summary["snapshots"]:
        counts = ", ".join(f"{one[what]:,} {what}" for what in ("new", "changed", "unchanged"))
        gone = f", {one['vanished']:,} vanished" if one["vanished"] else ""
        closed = " and closed" if one["closed"] else ""
        yield f"{one['table']}, {moment_text(one['valid_from'])}: {counts}{gone}{closed}"
    tables = counted(len(summary["snapshots"]), "table")
    yield f"version {summary['version']} of {summary['url']}, {tables}, {summary['seconds']:.1f} s"
