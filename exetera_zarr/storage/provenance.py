"""Who made a version, with what, and why: what a commit says beside what changed."""

from __future__ import annotations

import datetime as dt
import os
import sys
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import ArgumentError, ArgumentTypeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exetera_zarr.storage.base import Commit

__all__ = [
    "AUTHOR",
    "LONGEST",
    "NOTHING_SAID",
    "About",
    "Operation",
    "Tag",
    "checked_text",
    "default_author",
    "present",
    "program",
    "way_of",
]

AUTHOR = "EXETERA_ZARR_AUTHOR"
"""Environment variable that says who makes the versions of a process."""
LONGEST = 10_000
"""Characters of a text."""
_MOST_OPERATIONS = 1_000


def checked_text(text: object, what: str) -> str:
    """A text that a person wrote; ArgumentError if it is none, or very long."""
    if not isinstance(text, str):
        raise ArgumentTypeError(f"{what} is a str, not a {type(text).__name__}")
    if len(text) > LONGEST:
        raise ArgumentError(f"{what} has at most {LONGEST:,} characters, not {len(text):,}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ArgumentError(f"{what} is not Unicode text: {error}") from None
    return text


@dataclass(frozen=True)
class Operation:
    """
    One thing that was done to a table between two versions.

    Parameters
    ----------
    verb
        What was done, as the method is called: ``import``, ``append``, ``merge``, ``filter``.
    table
        Name of the table that it made or changed.
    read
        Names of the tables that it read; one of another dataset with the place of that.
    details
        What else is known, as JSON: numbers of rows, files that were read.
    """

    verb: str
    table: str
    read: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def document(self) -> dict[str, Any]:
        """As a manifest says it."""
        said: dict[str, Any] = {"verb": self.verb, "table": self.table}
        if self.read:
            said["read"] = list(self.read)
        return said | ({"details": dict(self.details)} if self.details else {})

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Operation:
        """What a manifest says."""
        return cls(
            said["verb"],
            said["table"],
            tuple(said.get("read", ())),
            MappingProxyType(dict(said.get("details", {}))),
        )


@dataclass(frozen=True)
class About:
    """
    What a version says of itself.

    Parameters
    ----------
    message
        Why it was made.
    author
        Who made it.
    program
        The script or command that did.
    operations
        What was done since the version before, in order.
    left_out
        Operations that there were before these, which are too many to be told.
    """

    message: str = ""
    author: str = ""
    program: str = ""
    operations: tuple[Operation, ...] = ()
    left_out: int = 0

    def __post_init__(self) -> None:
        checked_text(self.message, "a message")
        checked_text(self.author, "an author")

    def done(self, operation: Operation) -> About:
        """The same with one more operation."""
        operations = (*self.operations, operation)
        beyond = max(len(operations) - _MOST_OPERATIONS, 0)
        left_out = self.left_out + beyond
        return replace(self, operations=operations[beyond:], left_out=left_out)

    def filled(self, said: About) -> About:
        """The same, with the message and author of another where this has none."""
        return replace(
            self, message=self.message or said.message, author=self.author or said.author
        )

    def after(self, sent: About) -> About:
        """What is left of this when a version has said what was there then."""
        return About(
            "" if self.message == sent.message else self.message,
            "" if self.author == sent.author else self.author,
            operations=self.operations[len(sent.operations) :],
        )

    def document(self, version: int) -> dict[str, Any]:
        """As the manifest of a version says it."""
        said: dict[str, Any] = {"version": version}
        if self.message:
            said["message"] = self.message
        if author := self.author or default_author():
            said["author"] = author
        if name := self.program or program():
            said["program"] = name
        if self.operations:
            said["operations"] = [operation.document() for operation in self.operations]
        return said | ({"left_out": self.left_out} if self.left_out else {})

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> About:
        """What a manifest says; what an older writer has carried along from another is not his."""
        said = facts.get("about", {})
        if said.get("version") != facts["version"]:
            return cls()
        operations = tuple(Operation.of(one) for one in said.get("operations", ()))
        return cls(
            said.get("message", ""),
            said.get("author", ""),
            said.get("program", ""),
            operations,
            said.get("left_out", 0),
        )


NOTHING_SAID = About()


@dataclass(frozen=True)
class Tag:
    """
    A name for a version, which is kept for as long as it has one.

    Parameters
    ----------
    name
        The tag.
    version
        Number of the version.
    created
        When it was set, ISO 8601, UTC.
    message
        Why.
    author
        By whom.
    """

    name: str
    version: int
    created: str = ""
    message: str = ""
    author: str = ""

    def document(self) -> dict[str, Any]:
        """As a manifest says it."""
        said: dict[str, Any] = {"version": self.version, "created": self.created}
        told = {"message": self.message, "author": self.author}
        return said | {key: text for key, text in told.items() if text}

    @classmethod
    def of(cls, name: str, said: Mapping[str, Any]) -> Tag:
        """What a manifest says."""
        known = {key: said[key] for key in ("created", "message", "author") if key in said}
        return cls(name, int(said["version"]), **known)


def program() -> str:
    """Name of the running script or command, without its folder, which says who runs it."""
    if "ipykernel" in sys.modules:
        return "Jupyter"
    name = os.path.basename(sys.argv[0]) if sys.argv else ""
    if name in ("", "-c", "-m"):
        return "python"
    return name if name != "__main__.py" else os.path.basename(os.path.dirname(sys.argv[0]))


def default_author() -> str:
    """Who makes versions where nobody says who does."""
    return os.environ.get(AUTHOR, "")


def present() -> str:
    """The present moment, ISO 8601, UTC."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")


def way_of(commits: Iterable[Commit], table: str) -> list[Commit]:
    """
    The versions that made a table what it is, as far as they say so.

    Parameters
    ----------
    commits
        Newest first.
    table
        Its name.

    Returns
    -------
    list of Commit
        Those that changed it, or what it was made from, with the operations that did.
    """
    wanted, found = {table}, []
    for commit in commits:
        there = []
        for operation in reversed(commit.operations):
            if operation.table in wanted:
                there.append(operation)
                wanted.update(operation.read)
        if there or wanted.intersection(commit.changed):
            about = replace(commit.about, operations=tuple(reversed(there)))
            found.append(replace(commit, about=about))
    return found
