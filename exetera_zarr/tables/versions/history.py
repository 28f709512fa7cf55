"""The list of a dataset's versions, as a person reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exetera_zarr.storage.base import Commit
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["History"]

_SHOWN = 20


class History(list[Commit]):
    """
    Commits, the newest first; shown as lines, and in a notebook as a table.

    Parameters
    ----------
    commits
        In that order.
    title
        Of what they are the history.
    """

    def __init__(self, commits: Iterable[Commit], title: str) -> None:
        super().__init__(commits)
        self._title = title

    def __repr__(self) -> str:
        lines = [f"{self._title}: {len(self)} version{'' if len(self) == 1 else 's'}"]
        for commit in self[:_SHOWN]:
            said = [f"version {commit.version}", commit.created[:16].replace("T", " ")]
            said += [commit.author, commit.message]
            if commit.tags:
                said.append(f"[{', '.join(commit.tags)}]")
            if not commit.kept:
                said.append("(removed)")
            lines.append("  ".join(["", *filter(None, said)]))
        if len(self) > _SHOWN:
            lines.append(f"  … {len(self) - _SHOWN:,} more")
        return "\n".join(visible(line) for line in lines)

    def _repr_html_(self) -> str:
        from exetera_zarr.tables.html import history_html

        return history_html(visible(self._title), self)
