"""The documents of a version, table by table: those of a table that stays are never made again.

A commit that changes one table of a thousand shares those of all others with the version before,
and their bytes. So it costs what it changes, and the joining of bytes that are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from exetera_zarr.storage.zarr.documents import check_nodes, count_of, parsed_nodes, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "PACKS",
    "SEGMENTS",
    "Document",
    "Documents",
    "PartOfTable",
    "TableDocuments",
    "Untouched",
    "since_of",
]

Document = dict[str, Any]
SEGMENTS = "segments"
"""What a version requires of which an array is in several."""
PACKS = "packs"
"""What a version requires of which a table has packs."""


class TableDocuments:
    """
    The documents of a child of the root, and of all below it, in one version.

    They are not changed: what compares two versions takes one object for one content.

    Parameters
    ----------
    segment
        Its path segment.
    documents
        By path; parents come first.
    """

    def __init__(self, segment: str, documents: dict[str, Document]) -> None:
        self.segment = segment
        self.documents = documents

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Those of the child itself."""
        found: Mapping[str, Any] = self.documents.get(self.segment, {}).get("attributes", {})
        return found

    @cached_property
    def encoded(self) -> tuple[bytes, bytes]:
        """
        The members of a JSON object that it is in, in the order of their paths.

        They are in two pieces: a path such as ``a-b`` comes between ``a`` and ``a/x``.
        """
        below = sorted(self.documents.keys() - {self.segment})
        own = [self.segment] if self.segment in self.documents else []
        first, then = (
            plain({path: self.documents[path] for path in paths})[1:-1] for paths in (own, below)
        )
        return first, then

    @cached_property
    def count(self) -> int:
        """Values that a reader has to expect of it, as of `documents.count_of`."""
        return sum(count_of(piece) for piece in self.encoded)

    @cached_property
    def changed(self) -> int:
        """The version in which it, or something below, last changed; -1 if there is no group."""
        return max((since_of(document) for document in self.documents.values()), default=-1)

    @cached_property
    def appended_since(self) -> int | None:
        """
        The version since which rows were appended to it, and nothing else was changed.

        None where something else was changed last, or by a writer that does not say.
        """
        since, until = self.attributes.get("appends", (0, -1))
        return int(since) if max(self.changed, 0) <= until else None

    @cached_property
    def features(self) -> frozenset[str]:
        """What it requires of a reader."""
        found = set()
        for document in self.documents.values():
            if document["node_type"] == "group":
                about = document["attributes"]
                if about.get("packs"):
                    found.add(PACKS)
                if any(not isinstance(name, str) for name in about.get("arrays", {}).values()):
                    found.add(SEGMENTS)
        return frozenset(found)

    def checked(self, where: str) -> TableDocuments:
        """
        The same as whoever reads its bytes has it.

        Parameters
        ----------
        where
            For messages.

        Raises
        ------
        CorruptDataError
            That is not what a reader may take.
        """
        data = b"{" + b",".join(piece for piece in self.encoded if piece) + b"}"
        made = TableDocuments(self.segment, parsed_nodes(data))
        check_nodes(made.documents, where)
        made.__dict__["encoded"] = self.encoded
        return made


class Documents(Mapping[str, Document]):
    """
    The documents of a version, by path, sorted.

    Parameters
    ----------
    tables
        By path segment.
    """

    def __init__(self, tables: Mapping[str, TableDocuments] | None = None) -> None:
        self.tables: Mapping[str, TableDocuments] = {} if tables is None else tables

    @classmethod
    def of(cls, below: Mapping[str, Document]) -> Documents:
        """Those of a root document."""
        if isinstance(below, Documents):
            return below
        tables: dict[str, dict[str, Document]] = {}
        for path in sorted(below):
            tables.setdefault(path.partition("/")[0], {})[path] = below[path]
        return cls({segment: TableDocuments(segment, of) for segment, of in tables.items()})

    def __getitem__(self, path: str) -> Document:
        return self.tables[path.partition("/")[0]].documents[path]

    def __contains__(self, path: object) -> bool:
        table = self.tables.get(path.partition("/")[0]) if isinstance(path, str) else None
        return table is not None and path in table.documents

    def __iter__(self) -> Iterator[str]:
        yield from sorted(path for table in self.tables.values() for path in table.documents)

    def __len__(self) -> int:
        return sum(len(table.documents) for table in self.tables.values())

    @property
    def encoded(self) -> bytes:
        """The members of a JSON object that they are in, in order."""
        pieces: dict[str, bytes] = {}
        for segment, table in self.tables.items():
            pieces[segment], pieces[f"{segment}/"] = table.encoded
        return b",".join([pieces[path] for path in sorted(pieces) if pieces[path]])

    @property
    def count(self) -> int:
        """Values that a reader has to expect of them."""
        return sum(table.count for table in self.tables.values())

    def changed_after(self, number: int) -> Iterator[tuple[str, Document]]:
        """The groups, with their paths, that changed in versions after one."""
        for table in self.tables.values():
            if table.changed > number:
                for path, document in table.documents.items():
                    if since_of(document) > number:
                        yield path, document


class Untouched:
    """
    What the parts of a table in a draft share, as long as none of them was changed.

    Parameters
    ----------
    documents
        What the table is in the version that it was read from, or committed as.
    """

    __slots__ = ("documents",)

    def __init__(self, documents: TableDocuments) -> None:
        self.documents: TableDocuments | None = documents


class PartOfTable:
    """A part of a draft that tells its table when it is changed."""

    untouched: Untouched | None = None
    """What the parts of its table share since that was read or committed."""

    def touch(self) -> None:
        """Note that it is changed, so that its table is made anew by the next commit."""
        if self.untouched is not None:
            self.untouched.documents = None


def since_of(document: Mapping[str, Any]) -> int:
    """The version in which a group document last changed; -1 for the document of an array."""
    if document["node_type"] != "group":
        return -1
    return int(document["attributes"].get("since_version", 0))
