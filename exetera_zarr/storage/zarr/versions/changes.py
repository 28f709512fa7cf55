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

from exetera_zarr.storage.zarr import layout
from exetera_zarr.storage.zarr.table_documents import Documents, TableDocuments, since_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exetera_zarr.storage.zarr.table_documents import Document
    from exetera_zarr.storage.zarr.versions.manifests import Version

__all__ = ["Manifest", "alive", "manifest_of"]


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
            hidden = (layout.CHANGES, layout.ERASED)
            facts["requires"] = [name for name in facts["requires"] if name not in hidden]
        return facts

    @property
    def attributes(self) -> Document:
        """Those of the root document that are not the format's own."""
        return {k: v for k, v in self.document["attributes"].items() if k != "exetera"}

    @property
    def documents(self) -> dict[str, Document]:
        """The documents that it has, by path."""
        if self.whole:
            return dict(self.document["consolidated_metadata"]["metadata"])
        return dict(self.document.get("changes", {}))  # one that was erased has none

    @property
    def over(self) -> list[tuple[int, int]]:
        """Number and bytes of the manifests that it is over, the last of which is whole."""
        return [(number, size) for number, size in self.document.get("over", ())]


def manifest_of(version: Version, base: Manifest | None) -> Manifest:
    """
    The manifest of a version.

    Parameters
    ----------
    version
        The version.
    base
        The manifest of the version before; None to be over no other one.
    """
    if base is not None:
        attributes = dict(version.attributes)
        facts = attributes.pop("exetera")
        over = [(base.number, len(base.data)), *base.over]
        while over:
            changes = _since(version.below, over[0][0])
            data, document = layout.encode_changes(changes, facts, attributes, over)
            if 2 * len(data) <= over[0][1]:
                return Manifest(version.number, data, document)
            over.pop(0)
    metadata = {"metadata": version.below}
    whole = {"attributes": version.attributes, "consolidated_metadata": metadata}
    return Manifest(version.number, version.data, whole)


def _since(below: Documents, number: int) -> dict[str, Document]:
    """The documents of groups that changed after a version, and of the arrays in them."""
    found: dict[str, Document] = {}
    for table in below.tables.values():
        if table.changed <= number:
            continue
        known = {
            f"{table.segment}/{name}"
            for name, made in table.attributes.get("packs", ())
            if made <= number
        }
        changed = {path for path, of in table.documents.items() if since_of(of) > number}
        for path, document in table.documents.items():
            in_one = path.rpartition("/")[0] in changed and document["node_type"] == "array"
            if path in changed or (in_one and path not in known):
                found[path] = document
    return found


def alive(known: Documents, changed: Mapping[str, Document], tables: Iterable[str]) -> Documents:
    """
    The documents of a version.

    A group is there if the one above lists its name; of several of one name, the one that changed
    last: the others had that name before. An array is there if its field names it.

    Parameters
    ----------
    known
        Those of a version before.
    changed
        Those that are others since, or more.
    tables
        Names of the root's children.

    Returns
    -------
    Documents
        With the same `TableDocuments` as are known of a table of which no document changed.
    """
    parts: dict[str, dict[str, Document]] = {}
    for path, document in changed.items():
        parts.setdefault(path.partition("/")[0], {})[path] = document
    there: dict[str, TableDocuments] = {**known.tables}
    for segment, part in parts.items():
        before = known.tables.get(segment)
        below = part if before is None else {**before.documents, **part}
        there[segment] = TableDocuments(segment, below)
    named: dict[str, TableDocuments] = {}
    for segment, table in there.items():
        own = table.documents.get(segment)
        if own is not None:
            name = own["attributes"].get("name", segment)
            other = named.get(name)
            if other is None or since_of(other.documents[other.segment]) < since_of(own):
                named[name] = table
    found = [named[name] for name in tables if name in named]  # which the checksum tells
    return Documents(
        {table.segment: table if table.segment not in parts else _alive(table) for table in found}
    )


def _alive(table: TableDocuments) -> TableDocuments:
    """What there is still of a table."""
    documents = table.documents
    children: dict[str, dict[str, str]] = {}
    for path, document in documents.items():
        above, _, segment = path.rpartition("/")
        if not above or document["node_type"] != "group":
            continue
        name = document["attributes"].get("name", segment)
        siblings = children.setdefault(above, {})
        other = siblings.get(name)
        if other is None or since_of(documents[other]) < since_of(document):
            siblings[name] = path
    found: dict[str, Document] = {}

    def visit(path: str) -> None:
        about = documents[path]["attributes"]
        found[path] = documents[path]
        for array in layout.names_below(about):
            if f"{path}/{array}" in documents:
                found[f"{path}/{array}"] = documents[f"{path}/{array}"]
        known = children.get(path, {})
        for name in about.get("columns", ()):
            if name in known:
                visit(known[name])

    visit(table.segment)
    return TableDocuments(table.segment, dict(sorted(found.items())))
