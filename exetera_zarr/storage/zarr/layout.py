"""Format 1: the tree of a dataset, and the Zarr documents that describe it.

The documents of one version, with the version's own facts in the root's attributes, are at once the
consolidated metadata that any Zarr reader takes from ``zarr.json``, and the manifest of the
version.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import CorruptDataError, UnsupportedError
from exetera_zarr.storage.base import ROW_BLOCK
from exetera_zarr.storage.undo import TreeNode
from exetera_zarr.storage.zarr.arrays import DraftArray, DraftContext, StoredArray, block_of
from exetera_zarr.storage.zarr.chunks import ChunkCodec
from exetera_zarr.storage.zarr.documents import check, check_changes, parsed
from exetera_zarr.storage.zarr.packs import PackedPart, StoredPack, stored_pack
from exetera_zarr.storage.zarr.segments import SegmentedArray, paired

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from exetera_zarr.storage.zarr.segments import Part

__all__ = [
    "CHANGES",
    "FORMAT",
    "PACKS",
    "RANGES",
    "SEGMENTS",
    "Node",
    "appended_since",
    "array_document",
    "checksum_of",
    "decode",
    "documents",
    "encode",
    "encode_changes",
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
SEGMENTS = "segments"
"""What a version requires of which an array is in several."""
PACKS = "packs"
"""What a version requires of which a table has packs."""
_KNOWN_FEATURES: frozenset[str] = frozenset([CHANGES, RANGES, SEGMENTS, PACKS])
_DTYPES = frozenset(
    ["bool", "float32", "float64", *(f"{s}int{b}" for s in ("", "u") for b in (8, 16, 32, 64))]
)
_CODECS = frozenset(["bytes", "blosc", "crc32c", "zstd", "gzip", "transpose", "sharding_indexed"])
_UNSIGNED = "0" * 64
_MARK = b'"exetera":{"checksum":"'

Document = dict[str, Any]


@dataclass
class Node(TreeNode):
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
    _folded: tuple[dict[str, Node], set[str]] | None = field(
        default=None, init=False, repr=False, compare=False
    )

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
    codec = ChunkCodec.of(role, array.dtype)
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
    before: Mapping[str, Document],
    number: int,
    appended: Collection[str] = (),
) -> dict[str, Document]:
    """
    The documents of everything below the root, as they are in one version.

    Parameters
    ----------
    root
        The tree.
    stored
        What each of its arrays is in this version, by the array's ``id()``: segments, then packs.
    before
        The documents of the version before.
    number
        Of this version: a group document that differs from before says so.
    appended
        Paths of the tables of which rows were appended, and nothing else was changed.

    Returns
    -------
    dict
        By node path, sorted, so that parents come first.
    """
    found: dict[str, Document] = {}
    packs: list[StoredPack] = []
    appends = appended_since(before) if appended else {}
    for path, node in root.walk():
        arrays = {role: stored[id(array)] for role, array in node.arrays.items()}
        attributes = {**node.attributes, "id": node.id}
        if "/" not in path:
            packs = _packs_of(node, stored)
            if packs:
                known = dict(before.get(path, {}).get("attributes", {}).get("packs", ()))
                attributes["packs"] = [[pack.name, known.get(pack.name, number)] for pack in packs]
            if path in appended:
                attributes["appends"] = [appends.get(path, number - 1), number]
            elif "appends" in (about := before.get(path, {}).get("attributes", {})):
                attributes["appends"] = list(about["appends"])
        if arrays:
            attributes |= _parts_of(arrays, packs)
        if node.groups:
            attributes["columns"] = list(node.groups)
        old = dict(before.get(path, {}).get("attributes", {}))
        since = old.pop("since_version", None)
        attributes["since_version"] = since if since is not None and old == attributes else number
        found[path] = {"attributes": attributes, "zarr_format": 3, "node_type": "group"}
        for parts in arrays.values():
            found |= {part.path: part.document for part in parts}
    return dict(sorted(found.items()))


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


def appended_since(below: Mapping[str, Document]) -> dict[str, int]:
    """
    For each table, the version since which rows were appended, and nothing else was changed.

    Parameters
    ----------
    below
        The documents of a version.

    Returns
    -------
    dict
        By the table's path; without those of which something else was changed last, or by a writer
        that does not say.
    """
    changed: dict[str, int] = {}
    for path, document in below.items():
        if document["node_type"] == "group":
            table = path.partition("/")[0]
            since = document["attributes"].get("since_version", 0)
            changed[table] = max(changed.get(table, 0), since)
    found: dict[str, int] = {}
    for table, last in changed.items():
        since, until = below[table]["attributes"].get("appends", (0, -1))
        if last <= until:
            found[table] = int(since)
    return found


def names_below(attributes: Mapping[str, Any]) -> list[str]:
    """Names of the arrays and packs that the attributes of a group name."""
    said = attributes.get("arrays", {}).values()
    arrays = [name for one in said for name in ([one] if isinstance(one, str) else one)]
    return [*arrays, *(name for name, _ in attributes.get("packs", ()))]


def features(below: Mapping[str, Document]) -> list[str]:
    """What documents require of a reader."""
    found = set()
    for document in below.values():
        if document["node_type"] == "group":
            about = document["attributes"]
            if about.get("packs"):
                found.add(PACKS)
            if any(not isinstance(name, str) for name in about.get("arrays", {}).values()):
                found.add(SEGMENTS)
    return sorted(found)


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
        "consolidated_metadata": {
            "kind": "inline",
            "must_understand": False,
            "metadata": below,
        },
    }
    return _signed(plain(document))


def encode_changes(
    changes: Mapping[str, Document],
    facts: Mapping[str, Any],
    attributes: Document,
    over: Sequence[tuple[int, int]],
) -> bytes:
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
    bytes
        As of `encode`, with a checksum of its own.
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
        "over": over,
        "changes": changes,
    }
    return _signed(plain(document))


def plain(document: Document) -> bytes:
    """The bytes of a Zarr document."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8")


def _signed(unsigned: bytes) -> bytes:
    at = unsigned.index(_MARK) + len(_MARK)
    digest = hashlib.sha256(unsigned).hexdigest().encode()
    return unsigned[:at] + digest + unsigned[at + 64 :]


# -- reading


def checksum_of(data: bytes) -> str:
    """The checksum that a document, or a manifest, states."""
    at = data.index(_MARK) + len(_MARK)
    return data[at : at + 64].decode()


def decode(data: bytes, where: str) -> Document:
    """
    A root document or manifest, checked.

    Parameters
    ----------
    data
        Its bytes.
    where
        For messages.

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
    if CHANGES in required:
        check_changes(document, where)
    else:
        check(document, where)
    return document


def tree(document: Document, context: DraftContext, where: str) -> Node:
    """
    The tree that a root document describes.

    Parameters
    ----------
    document
        As `decode` returned it.
    context
        Of the draft that will hold the arrays.
    where
        For messages.

    Raises
    ------
    CorruptDataError
        A document is not one that could have been written.
    """
    below: dict[str, Document] = document["consolidated_metadata"]["metadata"]
    attributes = dict(document["attributes"])
    facts = attributes.pop("exetera")
    root = Node(attributes=attributes, row_block=facts.get("row_block", ROW_BLOCK))
    nodes = {"": root}
    for path, about in below.items():
        if about["node_type"] != "group":
            continue
        parent, _, segment = path.rpartition("/")
        try:
            node = _group_node(path, segment, about, below, nodes[parent], context)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CorruptDataError(f"{where}: {path} is not well formed: {error!r}") from error
        nodes[path] = node
        name, siblings = node.attributes.get("name", segment), nodes[parent].groups
        if name in siblings:
            raise CorruptDataError(
                f"{where}: {path} and {siblings[name].segment} have the same name, {name!r}"
            )
        siblings[name] = node
    for node in nodes.values():
        order = node.attributes.pop("columns", ()) if node is not root else facts.get("tables", ())
        if list(node.groups) != list(order):
            rank = {name: number for number, name in enumerate(order)}
            names = sorted(node.groups, key=lambda name: rank.get(name, len(rank)))
            node.groups = {name: node.groups[name] for name in names}
    return root


def _group_node(
    path: str,
    segment: str,
    about: Document,
    below: Mapping[str, Document],
    parent: Node,
    context: DraftContext,
) -> Node:
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
    for role, said in names.items():
        dtype = np.dtype(f"S{attributes['strlen']}") if "strlen" in attributes else None
        parts: list[Part] = []
        for name in [said] if isinstance(said, str) else said:
            stored = stored_array(f"{path}/{name}", below[f"{path}/{name}"], dtype)
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
