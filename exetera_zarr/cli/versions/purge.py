"""The command `purge`: rows or a field out of every version."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from exetera_zarr.cli.options import (
    AsJson,
    Author,
    DatasetPlace,
    Message,
    StorageOptions,
    opened,
    print_json,
    session_by,
)
from exetera_zarr.cli.reporting import UsageError, tell
from exetera_zarr.texts import json_text

__all__ = ["purge"]


class Versions(StrEnum):
    """The choices of ``--versions``."""

    DROP = "drop"
    REWRITE = "rewrite"


def purge(
    dataset: DatasetPlace,
    table: Annotated[
        str | None,
        typer.Option(
            "-t", "--table", metavar="TABLE", help="Only this table; all that have the key without."
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "-k", "--key", metavar="NAME", help="The field that tells whose rows they are."
        ),
    ] = None,
    value: Annotated[
        list[str] | None,
        typer.Option("--value", metavar="VALUE", help="Of the key; may be repeated."),
    ] = None,
    values_from: Annotated[
        Path | None,
        typer.Option("--values-from", metavar="FILE", help="Values of the key, one a line."),
    ] = None,
    field: Annotated[
        str | None,
        typer.Option("--field", metavar="NAME", help="A field of the table that goes as a whole."),
    ] = None,
    versions: Annotated[
        Versions | None,
        typer.Option(
            help="What becomes of older versions: they go, and their tags; or they are kept, each "
            "without what is erased. To be said where there are tags; 'drop' otherwise."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and do nothing.")
    ] = False,
    certificate: Annotated[
        Path | None,
        typer.Option("--certificate", metavar="FILE", help="Where to write what went, as JSON."),
    ] = None,
    message: Message = None,
    author: Author = None,
    as_json: AsJson = False,
    storage_option: StorageOptions = None,
) -> None:
    """
    Erase rows, or a field, from the newest version, from all others, and from the store.

    Without rows or a field it ends what an interrupted purge of the table has left.
    """
    texts = [*(value or ()), *_lines(values_from)]
    if (key is None) != (not texts):
        raise UsageError("-k/--key goes with --value or --values-from")
    if certificate is not None and not _can_be_written(certificate):
        raise UsageError(f"--certificate: {certificate} cannot be written as a file")
    with session_by(author) as session:
        found = opened(session, dataset, "r" if dry_run else "r+", storage_option)
        done = found.purge(
            table,
            key=key,
            values=texts or None,
            field=field,
            versions=None if versions is None else versions.value,
            dry_run=dry_run,
            message=message,
            author=author,
        )
    if certificate is not None and not dry_run:
        certificate.write_text(f"{json_text(done.to_dict())}\n", encoding="utf-8")
    if as_json:
        print_json(done.to_dict())
    else:
        tell(done.lines())


def _can_be_written(path: Path) -> bool:
    """Whether a file can be there, which is asked before anything is erased."""
    return path.absolute().parent.is_dir() and not path.is_dir()


def _lines(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"--values-from: {path} is not UTF-8: {error}") from None
    return [line.strip() for line in lines if line.strip()]
