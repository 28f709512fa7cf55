"""The commands about versions: history, verify, vacuum."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

try:
    import typer
except ImportError:  # `main` says how to get it
    typer = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from exetera_zarr.dataset import Dataset
    from exetera_zarr.session import Session

__all__ = ["history", "vacuum", "verify"]

# What `exetera_zarr.cli` declares as well; a shared name could not be an annotation there.
_OPTION = "EXETERA_ZARR_STORAGE_OPTION"
_OPTION_HELP = "KEY=VALUE for URLs; may be repeated."
_PLACE = "Dataset: path or URL."


def _open(session: Session, url: str, mode: str, options: list[str] | None) -> Dataset:
    from exetera_zarr.cli import parse_storage_options

    return session.open_dataset(
        url, mode, "dataset", storage_options=parse_storage_options(options or ())
    )


def history(
    dataset: Annotated[str, typer.Argument(help=_PLACE)],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    storage_option: Annotated[
        list[str] | None, typer.Option(envvar=_OPTION, help=_OPTION_HELP)
    ] = None,
) -> None:
    """List the versions of a dataset, the newest first."""
    from exetera_zarr.session import Session

    with Session() as session:
        commits = _open(session, dataset, "r", storage_option).history()
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
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for one in found:
        kept = "" if one["kept"] else "  (removed)"
        changed = ", ".join(one["changed"]) or "nothing"
        print(f"{one['version']:>6}  {one['created']}  changed: {changed}{kept}")


def verify(
    dataset: Annotated[str, typer.Argument(help=_PLACE)],
    storage_option: Annotated[
        list[str] | None, typer.Option(envvar=_OPTION, help=_OPTION_HELP)
    ] = None,
) -> None:
    """Read everything of the newest version; exit code 1 and what is damaged if anything is."""
    from exetera_zarr.session import Session

    with Session() as session:
        opened = _open(session, dataset, "r", storage_option)
        opened.verify()
        fields = sum(len(table) for table in opened.values() if not hasattr(table, "fieldtype"))
        print(f"version {opened.version} is whole: {len(opened)} tables, {fields} fields")


def vacuum(
    dataset: Annotated[str, typer.Argument(help=_PLACE)],
    keep: Annotated[int | None, typer.Option(help="At least so many versions stay.")] = None,
    older_than: Annotated[
        float | None, typer.Option(help="Hours; versions younger than that stay as well.")
    ] = None,
    storage_option: Annotated[
        list[str] | None, typer.Option(envvar=_OPTION, help=_OPTION_HELP)
    ] = None,
) -> None:
    """Forget older versions, and remove what no version reaches."""
    from exetera_zarr.session import Session

    with Session() as session:
        opened = _open(session, dataset, "r+", storage_option)
        seconds = None if older_than is None else older_than * 3600
        removed = opened.vacuum(keep, seconds)
        kept = sum(commit.kept for commit in opened.history())
        print(f"{kept} versions are kept; {removed} objects of no version were removed")
