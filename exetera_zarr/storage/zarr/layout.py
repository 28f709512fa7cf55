"""Format 1: the tree of a dataset, and the Zarr documents that describe it.

The documents of one version, with the version's own facts in the root's attributes, are at once the
consolidated metadata that any Zarr reader takes from ``zarr.json``, and the manifest of the
version.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import CorruptDataError, UnsupportedError
from exetera_zarr.storage.base import ROW_BLOCK
from exetera_zarr.storage.undo import TreeNode
from exetera_zarr.storage.zarr.arrays import DraftArray, DraftContext, StoredArray, block_of
from exetera_zarr.storage.zarr.chunks.coding import ChunkCodec
from exetera_zarr.storage.zarr.documents import (
    check,
    check_changes,
    check_count,
    check_erased,
    check_facts,
    count_of,
    parsed,
    plain,
)
from exetera_zarr.storage.zarr.packs import PackedPart, StoredPack, stored_pack
from exetera_zarr.storage.zarr.segments import SegmentedArray, paired
from exetera_zarr.storage.zarr.table_documents import (
    PACKS,
    SEGMENTS,
    Document,
    Documents,
    PartOfTable,
    TableDocuments,
    Untouched,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from exetera_zarr.storage.zarr.segments import Part

__all__ = [
    "CHANGES",
    "ERASED",
    "FORMAT",
    "PACKS",
    "RANGES",
    "RESTORED",
    "REWRITTEN",
    "SEGMENTS",
    "TAGS",
    "Node",
    "array_document",
    "checksum_of",
    "decode",
    "decode_attributes",
    "documents",
    "encode",
    "encode_changes",
    "encode_erased",
    "features",
    "names_below",
    "plain",
    "tree",
]

FORMAT = 1
CHANGES = "changes"
"""What a manifest requires that has only the documents that changed."""
RANGES = "ranges"
"""What a version requires that keeps versions between those that it lists."""
TAGS = "tags"
"""What a version requires of which some versions are kept for their tags."""
RESTORED = "restored"
"""What a version requires before which an older one was made the newest again."""
REWRITTEN = "rewritten"
"""What a version requires before which versions have other documents than their manifests."""
ERASED = "erased"
"""What a manifest requires of which an erasure has left nothing but its place."""
_KNOWN_FEATURES: frozenset[str] = frozenset(
    [CHANGES, RANGES, SEGMENTS, PACKS, TAGS, RESTORED, REWRITTEN, ERASED]
)
_DTYPES = frozenset(
    ["bool", "float32", "float64", *(f"{s}int{b}" for s in ("", "u") for b in (8, 16, 32, 64))]
)
_CODECS = frozenset(["bytes", "blosc", "crc32c", "zstd", "gzip", "transpose", "sharding_indexed"])
_UNSIGNED = "0" * 64
_MARK = b'"exetera":{"checksum":"'


@dataclass
class Node(TreeNode, PartOfTable):
    """
    A group: the root, a table or a field.

    Parameters
    ----------
    id
        The same for as long as there is such a table or field, whatever it is called.
    segment
        Its path segment.
    attributes
        User attributes of its Zarr group, our own among them.
    row_block
        Rows of a block of the fields below.
    groups
        Child groups by logical name, in order.
    arrays
        Arrays by role.
    """

    id: str = ""
    segment: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    row_block: int = ROW_BLOCK
    groups: dict[str, Node] = field(default_factory=dict)
    arrays: dict[str, SegmentedArray] = field(default_factory=dict)
    packs: list[StoredPack] = field(default_factory=list, init=False, repr=False)
    """Those that its columns are in, as it is committed."""
    relied_on: bool = field(default=False, repr=False)
    """Whether what was changed depends on the rows that are there; see `Group.rely_on_rows`."""
    _folded: tuple[dict[str, Node], set[str]] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    def saved(self) -> Callable[[], None]:
        """As of `storage.undo.Changeable`."""
        restore, relied_on = super().saved(), self.relied_on

        def restore_all() -> None:
            self.relied_on = relied_on
            restore()

        return restore_all

    def is_still(self, documents: TableDocuments) -> bool:
        """Whether it is a table that is as these documents say."""
        return self.untouched is not None and self.untouched.documents is documents

    def have_untouched(self, documents: TableDocuments) -> None:
        """Note that a table, with all below, is as these documents say until it is changed."""
        shared = Untouched(documents)
        for node in (self, *(below for _, below in self.walk())):
            node.untouched = shared
            for array in node.arrays.values():
                array.untouched = shared
                for segment in array.segments:
                    segment.untouched = shared

    def folded(self) -> set[str]:
        """Segments of the children, without regard to case; not to be changed."""
        if self._folded is None or self._folded[0] is not self.groups:
            self._folded = self.groups, {n.segment.casefold() for n in self.groups.values()}
        return self._folded[1]

    def add(self, name: str, child: Node) -> None:
        """Have one more child. Who looks at the children meanwhile sees them before or after."""
        groups, folded = {**self.groups, name: child}, self.folded()
        self.groups = groups
        folded.add(child.segment.casefold())
        self._folded = groups, folded

    def walk(self, path: str = "") -> Iterator[tuple[str, Node]]:
        """Every node below, this one not included, with its node path; parents first."""
        for node in self.groups.values():
            below = f"{path}/{node.segment}" if path else node.segment
            yield below, node
            yield from node.walk(below)


# -- writing


def dimensions_of(role: str, dtype: np.dtype[Any], *, of_bytes: bool = False) -> list[str]:
    """
    Names of the dimensions of an array, by which xarray tells which go together.

    Parameters
    ----------
    role, dtype
        Of the array.
    of_bytes
        Whether it belongs to strings of any length.
    """
    if dtype.kind == "S":
        return ["row", "byte"]
    return ["offset" if role == "index" else "byte" if of_bytes else "row"]


def array_document(
    array: StoredArray,
    role: str,
    dimensions: Sequence[str],
    attributes: Document | None = None,
) -> Document:
    """The Zarr document of an array of ours."""
    codec = ChunkCodec(role, array.dtype)
    shape, chunk = [array.length], [array.chunk]
    data_type, fill = array.dtype.name, 0 if array.dtype.kind != "b" else False
    if array.dtype.kind == "S":
        data_type, fill = "uint8", 0
        shape.append(array.dtype.itemsize)
        chunk.append(array.dtype.itemsize)
    return {
        "shape": shape,
        "data_type": data_type,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": float(fill) if array.dtype.kind == "f" else fill,
        "codecs": codec.documents(),
        "attributes": attributes or {},
        "dimension_names": list(dimensions),
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }


def documents(
    root: Node,
    stored: Mapping[int, Sequence[StoredArray | StoredPack]],
    before: Documents,
    number: int,
    appended: Collection[str] = (),
) -> Documents:
    """
    The documents of everything below the root, as they are in one version.

    Parameters
    ----------
    root
        The tree.
    stored
        What each array of the tables that changed is in this version, by the array's ``id()``:
        segments, then packs.
    before
        The documents of the version before.
    number
        Of this version: a group document that differs from before says so.
    appended
        Paths of the tables of which rows were appended, and nothing else was changed.

    Returns
    -------
    Documents
        With the same `TableDocuments` as before for each table that did not change.
    """
    found: dict[str, TableDocuments] = {}
    for node in root.groups.values():
        known = before.tables.get(node.segment)
        if known is None or not node.is_still(known):
            appends = node.segment in appended
            known = _documents_of(node, stored, known, number, appends=appends)
        found[node.segment] = known
    return Documents(found)


def _documents_of(
    table: Node,
    stored: Mapping[int, Sequence[StoredArray | StoredPack]],
    before: TableDocuments | None,
    number: int,
    *,
    appends: bool,
) -> TableDocuments:
    """The documents of a child of the root; those before if nothing of it changed."""
    known = {} if before is None else before.documents
    packs = _packs_of(table, stored)
    found: dict[str, Document] = {}
    for path, node in [(table.segment, table), *table.walk(table.segment)]:
        arrays = {role: stored[id(array)] for role, array in node.arrays.items()}
        old = known.get(path)
        said = {} if old is None else old["attributes"]
        attributes = {**node.attributes, "id": node.id}
        if node is table:
            attributes |= _growth_of(packs, before, number, appends=appends)
        if arrays:
            attributes |= _parts_of(arrays, packs)
        if node.groups:
            attributes["columns"] = list(node.groups)
        since = said.get("since_version")
        if old is not None and since is not None:
            attributes["since_version"] = since
        if old is None or since is None or not _is_same(attributes, said):
            attributes["since_version"] = number
            old = {"attributes": attributes, "zarr_format": 3, "node_type": "group"}
        found[path] = old
        for parts in arrays.values():
            found |= {part.path: part.document for part in parts}
    # The document of an array is never another one.
    same = found.keys() == known.keys() and all(
        found[path] is document
        for path, document in known.items()
        if document["node_type"] == "group"
    )
    if before is not None and same:
        return before
    return TableDocuments(table.segment, dict(sorted(found.items())))


def _growth_of(
    packs: Sequence[StoredPack], before: TableDocuments | None, number: int, *, appends: bool
) -> Document:
    """What a table says of the packs that it has, and of the versions that appended to it."""
    said: Document = {}
    known = {} if before is None else before.attributes
    if packs:
        versions = dict(known.get("packs", ()))
        said["packs"] = [[pack.name, versions.get(pack.name, number)] for pack in packs]
    if appends:
        since = None if before is None else before.appended_since
        said["appends"] = [number - 1 if since is None else since, number]
    elif "appends" in known:
        said["appends"] = list(known["appends"])
    return said


def _is_same(attributes: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether attributes are the same in JSON, where 1 is neither 1.0 nor true."""
    return attributes == before and repr(attributes) == repr(before)


def _packs_of(
    table: Node, stored: Mapping[int, Sequence[StoredArray | StoredPack]]
) -> list[StoredPack]:
    """The packs that columns of a table go on in, in order: each has those at its end."""
    longest: list[StoredPack] = []
    for column in table.groups.values():
        for array in column.arrays.values():
            packs = [part for part in stored[id(array)] if isinstance(part, StoredPack)]
            longest = max(longest, packs, key=len)
    return longest


def _parts_of(
    arrays: Mapping[str, Sequence[StoredArray | StoredPack]], packs: Sequence[StoredPack]
) -> Document:
    """What a field says of what it is stored in: the names of arrays, and behind which pack."""
    names: dict[str, Any] = {}
    used = 0
    for role, parts in arrays.items():
        own = [part.path.rsplit("/", 1)[1] for part in parts if isinstance(part, StoredArray)]
        names[role] = own[0] if len(own) == 1 else own
        used = len(parts) - len(own)
    said: Document = {"arrays": names}
    if used < len(packs):
        said["after"] = packs[len(packs) - used - 1].name
    return said


def names_below(attributes: Mapping[str, Any]) -> list[str]:
    """Names of the arrays and packs that the attributes of a group name."""
    said = attributes.get("arrays", {}).values()
    arrays = [name for one in said for name in ([one] if isinstance(one, str) else one)]
    return [*arrays, *(name for name, _ in attributes.get("packs", ()))]


def features(below: Documents) -> list[str]:
    """What documents require of a reader."""
    return sorted(set().union(*(table.features for table in below.tables.values())))


def encode(below: Mapping[str, Document], facts: Mapping[str, Any], attributes: Document) -> bytes:
    """
    The root document of a version, which is its manifest.

    Parameters
    ----------
    below
        The documents of all nodes below, by path.
    facts
        What is said of the version itself.
    attributes
        Other attributes of the root.

    Returns
    -------
    bytes
        UTF-8 JSON. ``attributes.exetera.checksum`` is the SHA-256 of these bytes with that digest
        written as 64 zeros.
    """
    document = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {"exetera": {"checksum": _UNSIGNED, **facts}, **attributes},
        "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": {}},
    }
    # Which is the same as if all documents were encoded at once: most of them were before.
    return _signed(plain(document)[: -len(b"}}}")] + Documents.of(below).encoded + b"}}}")


def encode_changes(
    changes: Mapping[str, Document],
    facts: Mapping[str, Any],
    attributes: Document,
    over: Sequence[tuple[int, int]],
) -> tuple[bytes, Document]:
    """
    The manifest of a version that has only the documents that changed.

    Parameters
    ----------
    changes
        The documents, by path.
    facts
        What the root document says of the version, its checksum included.
    attributes
        Other attributes of the root.
    over
        Number and bytes of the manifests that have the others, the nearest first.

    Returns
    -------
    bytes, dict
        As of `encode`, with a checksum of its own; and the same as an object.
    """
    said = {
        **facts,
        "checksum": _UNSIGNED,
        "requires": [*facts["requires"], CHANGES],
        "root": facts["checksum"],
    }
    document = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {"exetera": said, **attributes},
        "over": list(over),
        "changes": changes,
    }
    data = _signed(plain(document))
    said["checksum"] = checksum_of(data)
    return data, document


def encode_erased(facts: Mapping[str, Any]) -> bytes:
    """
    What is left of a manifest that was erased.

    Parameters
    ----------
    facts
        What it said of its version, with the checksum of the root document.
    """
    known = ("format", "version", "previous", "dataset", "created", "writer", "changed")
    said = {
        "checksum": _UNSIGNED,
        **{name: facts[name] for name in known if name in facts},
        "requires": [ERASED],
        "root": facts["checksum"],
    }
    return _signed(plain({"zarr_format": 3, "node_type": "group", "attributes": {"exetera": said}}))


def _signed(unsigned: bytes) -> bytes:
    at = unsigned.index(_MARK) + len(_MARK)
    digest = hashlib.sha256(unsigned).hexdigest().encode()
    return unsigned[:at] + digest + unsigned[at + 64 :]


# -- reading


def checksum_of(data: bytes) -> str:
    """The checksum that a document, or a manifest, states."""
    at = data.index(_MARK) + len(_MARK)
    return data[at : at + 64].decode()


def decode(data: bytes, where: str, *, facts_alone: bool = False) -> Document:
    """
    A root document or manifest, checked.

    Parameters
    ----------
    data
        Its bytes.
    where
        For messages.
    facts_alone
        Whether only the facts of the version are wanted: what is below is then not checked, but for
        the checksum over all.

    Raises
    ------
    CorruptDataError
        It is not what was written.
    UnsupportedError
        Its format, or a feature that it requires, is not known here.
    """
    document = parsed(data, where)
    try:
        facts = document["attributes"]["exetera"]
        form = facts["format"]
        required = [str(name) for name in facts.get("requires", ())]
    except (KeyError, TypeError, AttributeError) as error:
        raise CorruptDataError(f"{where} is not a document of a dataset: {error!r}") from error
    if form != FORMAT:
        raise UnsupportedError(f"{where} has format {form!r}; this version reads {FORMAT}")
    missing = [name for name in required if name not in _KNOWN_FEATURES]
    if missing:
        raise UnsupportedError(f"{where} requires {missing}, which this version does not know")
    digest = str(facts.get("checksum", "")).encode()
    if len(digest) != 64 or _signed(data.replace(digest, _UNSIGNED.encode(), 1)) != data:
        raise CorruptDataError(f"{where}: its checksum does not match its content")
    if ERASED in required:
        check_erased(document, where)
    elif CHANGES in required:
        check_changes(document, where)
    elif not facts_alone:
        check(document, where)
    return document


def decode_attributes(attributes: Document, where: str, count: int = 0) -> Document:
    """
    Attributes of a root document as whoever reads it has them.

    Parameters
    ----------
    attributes
        As it is going to have them.
    where
        For messages.
    count
        Values of the documents that it is going to have, as of `documents.count_of`.

    Raises
    ------
    CorruptDataError
        No reader would take it.
    """
    data = plain({"attributes": attributes})
    check_count(count + count_of(data), where)
    document = parsed(data, where)
    check_facts(document, where)
    decoded: Document = document["attributes"]
    return decoded


def tree(
    below: Documents,
    attributes: Document,
    context: DraftContext,
    where: str,
    known: Node | None = None,
) -> Node:
    """
    The tree of a version.

    Parameters
    ----------
    below
        The documents of its nodes.
    attributes
        Those of its root document.
    context
        Of the draft that will hold the arrays.
    where
        For messages.
    known
        The tree of another version in the same draft, of which those tables are taken that are the
        same in this one.

    Raises
    ------
    CorruptDataError
        A document is not one that could have been written.
    """
    attributes = dict(attributes)
    facts = attributes.pop("exetera")
    root = Node(attributes=attributes, row_block=facts.get("row_block", ROW_BLOCK))
    alike: dict[tuple[int, int | None], StoredArray] = {}
    there = {} if known is None else {node.segment: node for node in known.groups.values()}
    for segment, table in below.tables.items():
        node = there.get(segment)
        if node is not None and node.is_still(table):
            _add(root, node.attributes.get("name", segment), node, segment, where)
        else:
            _add_table(root, table, context, where, alike)
    _order(root, facts.get("tables", ()))
    return root


def _add_table(
    root: Node,
    table: TableDocuments,
    context: DraftContext,
    where: str,
    alike: dict[tuple[int, int | None], StoredArray],
) -> None:
    """Have the node of a table below the root, and all nodes below it; as of `_group_node`."""
    nodes = {"": root}
    for path, about in table.documents.items():
        if about["node_type"] != "group":
            continue
        parent, _, segment = path.rpartition("/")
        try:
            node = _group_node(path, segment, about, table.documents, nodes[parent], context, alike)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CorruptDataError(f"{where}: {path} is not well formed: {error!r}") from error
        nodes[path] = node
        _add(nodes[parent], node.attributes.get("name", segment), node, path, where)
    del nodes[""]
    for node in nodes.values():
        _order(node, node.attributes.pop("columns", ()))
    if table.segment in nodes:
        nodes[table.segment].have_untouched(table)


def _add(parent: Node, name: str, node: Node, path: str, where: str) -> None:
    siblings = parent.groups
    if name in siblings:
        raise CorruptDataError(
            f"{where}: {path} and {siblings[name].segment} have the same name, {name!r}"
        )
    siblings[name] = node


def _order(node: Node, order: Sequence[str]) -> None:
    """Have the children of a node in some order."""
    if list(node.groups) != list(order):
        rank = {name: number for number, name in enumerate(order)}
        names = sorted(node.groups, key=lambda name: rank.get(name, len(rank)))
        node.groups = {name: node.groups[name] for name in names}


def _group_node(
    path: str,
    segment: str,
    about: Document,
    below: Mapping[str, Document],
    parent: Node,
    context: DraftContext,
    alike: dict[tuple[int, int | None], StoredArray],
) -> Node:
    """The node of a table or field; `alike` are arrays by the ids of their documents."""
    attributes = dict(about["attributes"])
    attributes.pop("since_version", None)
    attributes.pop("appends", None)
    known_as = str(attributes.pop("id", path))
    names, after = attributes.pop("arrays", {}), attributes.pop("after", None)
    packs = [
        stored_pack(f"{path}/{name}", below[f"{path}/{name}"])
        for name, _ in attributes.pop("packs", ())
    ]
    node = Node(known_as, segment, attributes, attributes.get("row_block", parent.row_block))
    node.packs = packs
    behind = parent.packs
    if after is not None:
        behind = behind[[pack.name for pack in behind].index(after) + 1 :]
    width = attributes.get("strlen")
    for role, said in names.items():
        parts: list[Part] = []
        for name in [said] if isinstance(said, str) else said:
            document = below[f"{path}/{name}"]
            like = alike.get((id(document), width))
            if like is None:
                dtype = None if width is None else np.dtype(f"S{width}")
                like = stored_array(f"{path}/{name}", document, dtype)
                alike[id(document), width] = like
            stored = StoredArray(
                f"{path}/{name}", like.dtype, like.length, like.chunk, document, like.native
            )
            nominal = block_of(role, stored.dtype, node.row_block, of_bytes="index" in names)
            single = stored.length <= stored.chunk <= nominal
            block = nominal if single else stored.chunk
            parts.append(DraftArray(context, path, role, stored.dtype, block, stored))
        element = parts[0].dtype
        parts += [PackedPart(context, pack, known_as, role, element) for pack in behind]
        block = parts[0].block if len(parts) == 1 and isinstance(parts[0], DraftArray) else nominal
        node.arrays[role] = SegmentedArray(context, path, role, element, block, parts)
    paired(node.arrays)
    return node


def stored_array(path: str, document: Document, dtype: np.dtype[Any] | None) -> StoredArray:
    """
    A committed array, from its Zarr document.

    Parameters
    ----------
    path
        Its node path.
    document
        Its Zarr document.
    dtype
        ``S<width>`` where its second dimension is the bytes of fixed strings.

    Raises
    ------
    ValueError
        The document says something that no array of this format has.
    """
    shape = document["shape"]
    chunk = document["chunk_grid"]["configuration"]["chunk_shape"]
    codecs = document["codecs"]
    name = document["data_type"]
    if dtype is None:
        dtype = np.dtype(name if name in _DTYPES else "V")
    width = [dtype.itemsize] if dtype.kind == "S" else []
    unknown = [codec["name"] for codec in codecs if codec["name"] not in _CODECS]
    if name not in _DTYPES or (width and name != "uint8"):
        raise ValueError(f"the data type {name!r} is not one of a field")
    if unknown:
        raise ValueError(f"the codecs {unknown} are not known")
    if shape[1:] != width or chunk[1:] != width or document["chunk_grid"]["name"] != "regular":
        raise ValueError(f"shape {shape} and chunk {chunk} are not those of a field")
    keys = document["chunk_key_encoding"]
    if keys["name"] != "default" or keys.get("configuration", {}).get("separator", "/") != "/":
        raise ValueError(f"the chunk keys are encoded as {keys}")
    native = [codec["name"] for codec in codecs] == ["bytes", "blosc", "crc32c"]
    native = native and codecs[0].get("configuration", {}).get("endian") != "big"
    return StoredArray(path, dtype, shape[0], chunk[0], document, native)
