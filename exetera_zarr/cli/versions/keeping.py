"""What is kept: history, verify, vacuum, compact."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from exetera_zarr.cli.info import size
from exetera_zarr.cli.options import (
    AsJson,
    Author,
    DatasetPlace,
    Message,
    Place,
    StorageOptions,
    counted,
    open_place,
    opened,
    print_json,
    session_by,
)
from exetera_zarr.cli.reporting import tell

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from exetera_zarr.storage.base import Usage

__all__ = ["compact", "history", "vacuum", "verify"]


def history(
    place: Place,
    html: Annotated[bool, typer.Option("--html", help="Print a page of HTML.")] = False,
    as_json: AsJson = False,
    storage_option: StorageOptions = None,
) -> None:
    """
    List the versions of a dataset, the newest first, and what was done.

    With a table, those that made it what it is: also of the tables from which it was made.
    """
    with session_by(None) as session:
        dataset, table = open_place(session, place, storage_option, None)
        commits = dataset.history(table)
        title = f"{dataset.url}{'' if table is None else f': the way of the table {table}'}"
    if html and not as_json:
        from exetera_zarr.tables.html import history_html, page

        tell(page(f"History of {title}", history_html(title, commits)).splitlines())
        return
    found: list[dict[str, Any]] = [
        {
            "version": commit.version,
            "created": commit.created,
            "kept": commit.kept,
            "tags": list(commit.tags),
            "message": commit.message,
            "author": commit.author,
            "program": commit.about.program,
            "changed": list(commit.changed),
            "operations": [operation.document() for operation in commit.operations],
            "left_out": commit.about.left_out,
            "writer": commit.writer,
        }
        for commit in commits
    ]
    if as_json:
        print_json(found)
    else:
        tell(line for one in found for line in _lines(one))


def _lines(one: Mapping[str, Any]) -> Iterator[str]:
    """A version as `history` shows it."""
    tags = "".join(f"  [{name}]" for name in one["tags"])
    by = f"  by {one['author']}" if one["author"] else ""
    kept = "" if one["kept"] else "  (removed)"
    changed = ", ".join(one["changed"]) or "nothing"
    yield f"{one['version']:>6}  {one['created']}{by}  changed: {changed}{tags}{kept}"
    if one["message"]:
        yield f"        {one['message']}"
    if one["left_out"]:
        yield f"        {counted(one['left_out'], 'operation')} before these"
    for operation in one["operations"]:
        yield f"        {_told(operation)}"


def _told(operation: Mapping[str, Any]) -> str:
    """An operation in a line."""
    told = f"{operation['verb']} {operation['table']}".rstrip()
    if operation.get("read"):
        told += f" from {', '.join(operation['read'])}"
    said = [f"{key} {_short(value)}" for key, value in operation.get("details", {}).items()]
    return f"{told}: {', '.join(said)}" if said else told


def _short(value: Any) -> str:
    """A detail in a line: of files their names."""
    if isinstance(value, list):
        return ", ".join(map(_short, value))
    return str(value.get("name", value) if isinstance(value, dict) else value)


def verify(
    dataset: DatasetPlace, as_json: AsJson = False, storage_option: StorageOptions = None
) -> None:
    """
    Read all of the newest version, and say what is damaged.

    The exit code is 1 if anything is.
    """
    with session_by(None) as session:
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
        typer.Option(
            min=1,
            metavar="COUNT",
            help="At least this many versions stay; what 'retain' says by default.",
        ),
    ] = None,
    older_than: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="HOURS",
            help="Younger versions stay as well; what 'retain' says by default.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and do nothing.")
    ] = False,
    as_json: AsJson = False,
    storage_option: StorageOptions = None,
) -> None:
    """Forget older versions, and remove what no version reaches."""
    seconds = None if older_than is None else older_than * 3600
    with session_by(None) as session:
        found = opened(session, dataset, "r" if dry_run else "r+", storage_option)
        if dry_run:
            _tell_usage(found.usage(keep, seconds), as_json=as_json)
            return
        removed = found.vacuum(keep, seconds)
        kept = sum(commit.kept for commit in found.history())
    if as_json:
        print_json({"kept_versions": kept, "removed_objects": removed})
    else:
        objects = counted(removed, "object")
        tell([f"kept: {counted(kept, 'version')}; removed: {objects} of no version"])


def _tell_usage(usage: Usage, *, as_json: bool) -> None:
    """What versions take, and what a vacuum would free."""
    if as_json:
        print_json({**asdict(usage), "total": usage.total})
        return
    parts = [
        f"{size(usage.newest)} of the newest version",
        f"{size(usage.older)} of {counted(usage.versions - 1, 'older version')}",
        f"{size(usage.manifests)} of manifests",
        f"{size(usage.unreachable)} of no version",
    ]
    versions = counted(len(usage.expiring), "version")
    tell(
        [
            f"{size(usage.total)} in all: {', '.join(parts)}",
            f"would be free: {size(usage.freed)}, with {versions}",
        ]
    )


def compact(
    dataset: DatasetPlace,
    table: Annotated[
        str | None, typer.Argument(metavar="[TABLE]", help="All tables by default.")
    ] = None,
    message: Message = None,
    author: Author = None,
    as_json: AsJson = False,
    storage_option: StorageOptions = None,
) -> None:
    """Have each column in one array again, as any reader of Zarr takes it."""
    with session_by(author, message) as session:
        found = opened(session, dataset, "r+", storage_option)
        found.compact(table)
        version = found.version
    if as_json:
        print_json({"version": version})
    else:
        what = "all tables" if table is None else f"the table {table!r}"
        tell([f"version {version}: {what} compacted"])
