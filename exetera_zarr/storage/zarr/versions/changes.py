"""Manifests that say what changed since an earlier version, so that nothing is repeated for ever.

A manifest is whole, and then it is the root document of its version, or it has the documents that
changed since the version that it is over. What that one is over, and so on to a whole one, it
names as well. As in a log-structured merge-tree (O'Neil et al., 1996), a manifest takes in what it
would be over unless that is at least twice as large: so there are few of them, a logarithm of what
was ever changed, and a document is written again as few times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import CorruptDataError
from exetera_zarr.storage.zarr import layout

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exetera_zarr.storage.zarr.layout import Document

__all__ = ["Manifest", "alive", "manifest_bytes", "root_of"]


@dataclass(frozen=True)
class Manifest:
    """
    The manifest of a version, as it is stored.

    Parameters
    ----------
    number
        Of the version.
    data
        Its bytes.
    document
        The same, decoded and checked.
    """

    number: int
    data: bytes
    document: Document

    @property
    def whole(self) -> bool:
        """Whether it has all documents, and is a root document."""
        return "consolidated_metadata" in self.document

    @property
    def facts(self) -> dict[str, Any]:
        """What it says of the version; `checksum` is that of the version's root document."""
        facts = dict(self.document["attributes"]["exetera"])
        if not self.whole:
            facts["checksum"] = facts.pop("root")
            facts["requires"] = [name for name in facts["requires"] if name != layout.CHANGES]
        return facts

    @property
    def documents(self) -> dict[str, Document]:
        """The documents that it has, by path."""
        if self.whole:
            return dict(self.document["consolidated_metadata"]["metadata"])
        return dict(self.document["changes"])

    @property
    def over(self) -> list[tuple[int, int]]:
        """Number and bytes of the manifests that it is over, the last of which is whole."""
        return [(number, size) for number, size in self.document.get("over", ())]


def manifest_bytes(root: bytes, document: Document, base: Manifest) -> bytes:
    """
    The manifest of a version.

    Parameters
    ----------
    root
        The root document of the version.
    document
        The same, decoded.
    base
        The manifest of the version before.
    """
    below = document["consolidated_metadata"]["metadata"]
    attributes = dict(document["attributes"])
    facts = attributes.pop("exetera")
    over = [(base.number, len(base.data)), *base.over]
    while over:
        found = layout.encode_changes(_since(below, over[0][0]), facts, attributes, over)
        if 2 * len(found) <= over[0][1]:
            return found
        over.pop(0)
    return root


def _since(below: Mapping[str, Document], number: int) -> dict[str, Document]:
    """The documents of groups that changed after a version, and of the arrays in them."""
    found: dict[str, Document] = {}
    known: set[str] = set()
    for path, document in below.items():
        if document["node_type"] == "group":
            about = document["attributes"]
            if about.get("since_version", 0) > number:
                found[path] = document
                known |= {
                    f"{path}/{name}" for name, made in about.get("packs", ()) if made <= number
                }
        elif path.rpartition("/")[0] in found and path not in known:  # parents come first
            found[path] = document
    return found


def root_of(manifest: Manifest, parts: Iterable[Mapping[str, Document]], where: str) -> bytes:
    """
    The root document of a version.

    Parameters
    ----------
    manifest
        Of the version; not whole.
    parts
        The documents of what it is over, the oldest first. Newer ones may be among them than the
        manifest asks for, up to its own version.
    where
        For messages.

    Raises
    ------
    CorruptDataError
        They are not those that the version had.
    """
    documents: dict[str, Document] = {}
    for part in (*parts, manifest.documents):
        documents.update(part)
    attributes = dict(manifest.document["attributes"])
    del attributes["exetera"]
    facts = manifest.facts
    checksum = facts.pop("checksum")
    below = alive(documents, facts["tables"])
    root = layout.encode(below, facts, attributes)
    if layout.checksum_of(root) != checksum:
        raise CorruptDataError(
            f"{where}: what it says to be over is not what it was written over: checksums differ"
        )
    return root


def alive(documents: Mapping[str, Document], tables: Iterable[str]) -> dict[str, Document]:
    """
    Those of some documents that are of what there is still, sorted by path.

    A group is there if the one above lists its name; of several of one name, the one that changed
    last: the others had that name before. An array is there if its field names it.

    Parameters
    ----------
    documents
        Of groups and arrays, by path.
    tables
        Names of the root's children.
    """
    children: dict[str, dict[str, str]] = {}
    for path, document in documents.items():
        if document["node_type"] != "group":
            continue
        above, _, segment = path.rpartition("/")
        name = document["attributes"].get("name", segment)
        siblings = children.setdefault(above, {})
        other = siblings.get(name)
        if other is None or _changed(documents[other]) < _changed(document):
            siblings[name] = path
    found: dict[str, Document] = {}

    def visit(above: str, names: Iterable[str]) -> None:
        known = children.get(above, {})
        for name in names:
            path = known.get(name)
            if path is None:
                continue  # which the checksum tells
            about = documents[path]["attributes"]
            found[path] = documents[path]
            for array in layout.names_below(about):
                if f"{path}/{array}" in documents:
                    found[f"{path}/{array}"] = documents[f"{path}/{array}"]
            visit(path, about.get("columns", ()))

    visit("", tables)
    return dict(sorted(found.items()))


def _changed(document: Document) -> int:
    return int(document["attributes"].get("since_version", 0))
