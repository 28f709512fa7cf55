"""The commands that name versions, return to one, and say which are kept."""

from __future__ import annotations

import math
from typing import Annotated, Any, TypeAlias

import typer

from exetera_zarr.cli.options import (
    AsJson,
    Author,
    DatasetPlace,
    Message,
    StorageOptions,
    Version,
    counted,
    opened,
    parse_keys,
    print_json,
    session_by,
)
from exetera_zarr.cli.reporting import UsageError, tell

__all__ = ["diff", "restore", "retain", "tag", "tags", "untag"]

TagName: TypeAlias = Annotated[str, typer.Argument(metavar="TAG", help="Such as release-1.")]


def tag(
    dataset: DatasetPlace,
    name: TagName,
    at: Version = None,
    message: Message = None,
    author: Author = None,
    compact: Annotated[
        bool,
        typer.Option(
            "--compact", help="Have each column in one array first, as any reader of Zarr takes it."
        ),
    ] = False,
    as_json: AsJson = False,
    storage_option: StorageOptions = None,
) -> None:
    """Name a version, the newest by default; it is kept until it is untagged."""
    with session_by(author) as session:
        found = opened(session, dataset, "r+", storage_option)
        version = found.tag(name, at, message=message, author=author, compact=compact)
    if as_json:
        print_json({"tag": name, "version": version})
    else:
        tell([f"version {version} is {name}"])


def untag(
    dataset: DatasetPlace,
    name: TagName,
    author: Author = None,
    as_json: AsJson = False,
    storage_option: StorageOptions = None,
) -> None:
    """Remove a tag; its version is then kept as any other."""
    with session_by(author) as session:
        found = opened(session, dataset, "r+", storage_option)
        version = found.tags()[name].version if name in found.tags() else None
        found.untag(name)
    if as_json:
        print_json({"tag": name, "version": version})
    else:
        tell([f"version {version} is no longer {name}"])


def tags(
    dataset: DatasetPlace, as_json: AsJson = False, storage_option: StorageOptions = None
) -> None:
    """List the tags of a dataset, in the order of their versions."""
    with session_by(None) as session:
        found = list(opened(session, dataset, "r", storage_option).tags().values())
    if as_json:
        print_json([{"tag": one.name, **one.document()} for one in found])
        return
    if not found:
        tell(["no tags"])
    for one in found:
        by = f" by {one.author}" if one.author else ""
        tell([f"{one.version:>6}  {one.name}  set {one.created}{by}  {one.message}".rstrip()])


def restore(
    dataset: DatasetPlace,
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="A number, a tag, or a date and time.")
    ],
    message: Message = None,
    author: Author = None,
    as_json: AsJson = False,
    storage_option: StorageOptions = None,
) -> None:
    """Make what an older version had the newest version; those between stay as well."""
    with session_by(author) as session:
        found = opened(session, dataset, "r+", storage_option)
        number = found.restore(version, message=message, author=author)
    if as_json:
        print_json({"version": number, "restored": version})
    else:
        tell([f"version {number} has what {version} had"])


def retain(
    dataset: DatasetPlace,
    versions: Annotated[
        int | None,
        typer.Option(min=1, metavar="COUNT", help="At least this many versions are kept."),
    ] = None,
    older_than: Annotated[
        float | None,
        typer.Option(min=0, metavar="HOURS", help="Younger versions are kept as well."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--everything", help="Keep all versions, as a new dataset does.")
    ] = False,
    author: Author = None,
    as_json: AsJson = False,
    storage_option: StorageOptions = None,
) -> None:
    """
    Say which versions are kept, from the next commit on; without options, show it.

    Versions that have a tag are kept in any case.
    """
    if everything and (versions is not None or older_than is not None):
        raise UsageError("--everything keeps all versions, so that it goes without the others")
    asked = everything or versions is not None or older_than is not None
    with session_by(author) as session:
        found = opened(session, dataset, "r+" if asked else "r", storage_option)
        if asked:
            seconds = math.inf if everything else 3600 * (older_than or 0.0)
            found.retain(versions or 1, seconds)
            found.commit()
        count, seconds = found.retention
    if as_json:
        hours: Any = None if math.isinf(seconds) else seconds / 3600
        print_json({"versions": count, "older_than": hours})
    elif math.isinf(seconds):
        tell(["all versions are kept"])
    else:
        beside = f", and all of the last {seconds / 3600:g} hours" if seconds else ""
        tell([f"kept: those with a tag, the last {counted(count, 'version')}{beside}"])


def diff(
    dataset: DatasetPlace,
    before: Annotated[
        str,
        typer.Argument(
            metavar="BEFORE", help="The earlier version: number, tag, or date and time."
        ),
    ],
    after: Annotated[
        str | None, typer.Argument(metavar="[AFTER]", help="The later one; the newest by default.")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            "-k",
            "--key",
            metavar="NAME or TABLE:(A,B),...",
            help="What tells the rows of a table apart: one field for all tables that have it, or "
            "some for each table. Without it rows are compared by their numbers.",
        ),
    ] = None,
    examples: Annotated[
        int, typer.Option(min=0, metavar="COUNT", help="How many keys of each kind are shown.")
    ] = 3,
    html: Annotated[bool, typer.Option("--html", help="Print an HTML fragment.")] = False,
    as_json: AsJson = False,
    storage_option: StorageOptions = None,
) -> None:
    """Say what differs between two versions: tables, columns, and rows by their key."""
    keys: Any = None
    if key:
        said = parse_keys(key)
        general = said.pop(None) if not said.keys() - {None} else None
        said.pop(None, None)
        keys = general or said
    with session_by(None) as session:
        found = opened(session, dataset, "r", storage_option).diff(
            before, after, key=keys, examples=examples
        )
    if as_json:
        print_json(found.to_dict())
    elif html:
        tell([found._repr_html_()])
    else:
        tell(found.lines())
