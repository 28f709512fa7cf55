"""The keys that this format makes: nothing else in a dataset's folder is ever removed."""

from __future__ import annotations

import re

__all__ = [
    "ARRAY_NAME",
    "DOCUMENT",
    "MANIFESTS",
    "NODE_OR_ARRAY",
    "PACK_NAME",
    "is_array",
    "is_array_folder",
    "is_array_key",
    "is_chunk",
    "is_group_document",
    "is_manifest",
    "is_node",
    "is_passing",
    "node_of",
]

DOCUMENT = "zarr.json"
"""Name of the object that describes a node."""
MANIFESTS = "__exetera__/commits"
"""Folder of the manifests."""
_SEGMENT = r"(?![.]|__|(?i:zarr[.]json)(?![^/]))[A-Za-z0-9 ._%-]{0,254}[A-Za-z0-9_%-](?![^/])"
_NODE = rf"{_SEGMENT}(?:/{_SEGMENT})?"
_ARRAY = r"(?:values|index)(?:-[0-9a-f]{12})?"
_PACK = r"__pack-[0-9a-f]{12}"
_BELOW = rf"(?:{_NODE}/{_ARRAY}|{_SEGMENT}/{_PACK})"
NODE_OR_ARRAY = rf"^(?:{_NODE}(?:/{_ARRAY})?|{_SEGMENT}/{_PACK})$(?!\n)"
"""Pattern of the path of a table, a field, an array or a pack: none leads out of the dataset."""
PACK_NAME = rf"^{_PACK}$(?!\n)"
"""Pattern of the name of a pack."""
ARRAY_NAME = rf"^{_ARRAY}$(?!\n)"
"""Pattern of the name of an array."""
_manifest = re.compile(r"[0-9]{10}\.json")
_node = re.compile(_NODE)
_array = re.compile(_BELOW)
_array_folder = re.compile(rf"{_BELOW}(?:/c(?:/[0-9]+)?)?")
_array_key = re.compile(rf"{_BELOW}/(?:zarr\.json|zones|c/[0-9]+(?:/0)?)")
_chunk = re.compile(rf"{_BELOW}/c/[0-9]+(?:/0)?")
_group_document = re.compile(rf"{_NODE}/zarr\.json")
_object = re.compile(r"/(?:zarr\.json|zones|c/[0-9]+(?:/0)?)$")
_passing = re.compile(
    rf"__exetera__/(?:clock|probe)-[0-9a-f]{{16}}"
    rf"|(?:__exetera__/commits/|{_NODE}/)?\.tmp-[^/]{{1,80}}-[0-9a-f]{{16}}"
)


def is_manifest(name: str) -> bool:
    """Whether a file in the folder of manifests is one."""
    return _manifest.fullmatch(name) is not None


def is_node(path: str) -> bool:
    """Whether a path can be that of a table or field."""
    return _node.fullmatch(path) is not None


def is_array(path: str) -> bool:
    """Whether a path can be that of an array."""
    return _array.fullmatch(path) is not None


def is_array_folder(path: str) -> bool:
    """Whether a folder can be that of an array, or one of those below that have its chunks."""
    return _array_folder.fullmatch(path) is not None


def is_array_key(key: str) -> bool:
    """Whether an object can be the document of an array, its zones, or one of its chunks."""
    return _array_key.fullmatch(key) is not None


def is_chunk(key: str) -> bool:
    """Whether an object can be a chunk of an array."""
    return _chunk.fullmatch(key) is not None


def is_group_document(key: str) -> bool:
    """Whether an object can be the document of a table or field."""
    return _group_document.fullmatch(key) is not None


def is_passing(key: str) -> bool:
    """Whether an object is one that is removed by the call that made it, unless that ends."""
    return _passing.fullmatch(key) is not None


def node_of(key: str) -> str:
    """Path of the node that an object belongs to."""
    return _object.sub("", key)
