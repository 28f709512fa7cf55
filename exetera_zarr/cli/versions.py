"""The commands about versions: history, verify, vacuum, compact."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from exetera_zarr.cli.options import (
    AsJson,
    DatasetPlace,
    StorageOptions,
    counted,
    opened,
    print_json,
)
from exetera_zarr.cli.reporting import tell

__all__ = ["compact", "history", "vacuum", "verify"]


def history(
    dataset: DatasetPlace, as_json: AsJson = False, storage_option: StorageOptions = None
) -> None:
    """List the versions of a dataset, the newest first."""
    from exetera_zarr.tables.session import Session

    with Session() as session:
        commits = opened(session, dataset, "r", storage_option).history()
    found: list[dict[str, Any]] = [
        {
            "version": commit.version,
            "created": commit.created,
            "kept": commit.kept,
            "changed": list(commit.changed),
            "writer": commit.writer,
        }
        for commit in commits
    ]
    if as_json:
        print_json(found)
        return
    for one in found:
        kept = "" if one["kept"] else "  (removed)"
        changed = ", ".join(one["changed"]) or "nothing"
        tell([f"{one['version']:>6}  {one['created']}  changed: {changed}{kept}"])


def verify(
    dataset: DatasetPlace, as_json: AsJson = False, storage_option: StorageOptions = None
) -> None:
    """
    Read all of the newest version, and say what is damaged.

    The exit code is 1 if anything is.
    """
    from exetera_zarr.tables.session import Session

    with Session() as session:
        found = opened(session, dataset, "r", storage_option)
        found.verify()
        fields = sum(len(table) for table in found.values() if not hasattr(table, "fieldtype"))
        version, tables = found.version, len(found)
    if as_json:
        print_json({"version": version, "whole": True, "tables": tables, "fields": fields})
    else:
        counts = f"{counted(tables, 'table')}, {counted(fields, 'field')}"
        tell([f"version {version} is whole: {counts}"])


def vacuum(
    dataset: DatasetPlace,
    keep: Annotated[
        int | None,
        typer.Option(min=1, metavar="COUNT", help="At least so many versions stay; 3 by default."),
    ] = None,
    older_than: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="HOURS", help="Younger versions stay as well; 24 hours by default."
        ),
    ] = None,
    as_json: AsJson = False,
    storage_option: StorageOptions = None,
) -> None:
    """Forget older versions, and remove what no version reaches."""
    from exetera_zarr.tables.session import Session

    with Session() as session:
        found = opened(session, dataset, "r+", storage_option)
        seconds = None if older_than is None else older_than * 3600
        removed = found.vacuum(keep, seconds)
        kept = sum(commit.kept for commit in found.history())
    if as_json:
        print_json({"kept_versions": kept, "removed_objects": removed})
    else:
        objects = counted(removed, "object")
        tell([f"kept: {counted(kept, 'version')}; removed: {objects} of no version"])


def compact(
    dataset: DatasetPlace,
    table: Annotated[
        str | None, typer.Argument(metavar="[TABLE]", help="All tables by default.")
    ] = None,
    as_json: AsJson = False,
    storage_option: StorageOptions = None,
) -> None:
    """Have each column in one array again, as any reader of Zarr takes it."""
    from exetera_zarr.tables.session import Session

    with Session() as session:
        found = opened(session, dataset, "r+", storage_option)
        found.compact(table)
        version = found.version
    if as_json:
        print_json({"version": version})
    else:
        what = "all tables" if table is None else f"the table {table!r}"
        tell([f"version {version}: {what} compacted"])
