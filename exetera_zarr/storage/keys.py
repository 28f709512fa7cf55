"""The keys that this format makes: nothing else in a dataset's folder is ever removed."""

from __future__ import annotations

import re

__all__ = [
    "ARRAY_NAME",
    "DOCUMENT",
    "HIGHEST",
    "MANIFESTS",
    "PACK_NAME",
    "REWRITTEN",
    "STAGED",
    "erasure_of",
    "is_array",
    "is_array_folder",
    "is_array_key",
    "is_chunk",
    "is_group_document",
    "is_manifest",
    "is_node",
    "is_passing",
    "is_staged_folder",
    "manifest_key",
    "node_of",
    "rewritten_key",
]

HIGHEST = 10**10 - 1
"""Manifests count down in their names from that, so that the newest comes first in a listing."""
DOCUMENT = "zarr.json"
"""Name of the object that describes a node."""
MANIFESTS = "__exetera__/commits"
"""Folder of the manifests."""
REWRITTEN = "__exetera__/rewritten"
"""Folder of what erasures have written in the place of manifests."""
STAGED = "__exetera__/staged"
"""Folder of what tasks of a cluster have written, until it is in a draft."""
_SEGMENT = r"(?![.]|__|(?i:zarr[.]json)(?![^/]))[A-Za-z0-9 ._%-]{0,254}[A-Za-z0-9_%-](?![^/])"
_NODE = rf"{_SEGMENT}(?:/{_SEGMENT})?"
_ARRAY = r"(?:values|index)(?:-[0-9a-f]{12})?"
_PACK = r"__pack-[0-9a-f]{12}"
_BELOW = rf"(?:{_NODE}/{_ARRAY}|{_SEGMENT}/{_PACK})"
PACK_NAME = rf"^{_PACK}$(?!\n)"
"""Pattern of the name of a pack."""
ARRAY_NAME = rf"^{_ARRAY}$(?!\n)"
"""Pattern of the name of an array."""
_rewritten = re.compile(rf"{REWRITTEN}/([0-9a-f]{{16}})/[0-9]{{10}}\.json")
_manifest = re.compile(r"[0-9]{10}\.json")
_node = re.compile(_NODE)
_array = re.compile(_BELOW)
_array_folder = re.compile(rf"{_BELOW}(?:/c(?:/[0-9]+)?)?")
_array_key = re.compile(rf"{_BELOW}/(?:zarr\.json|zones|c/[0-9]+(?:/0)?)")
_chunk = re.compile(rf"{_BELOW}/c/[0-9]+(?:/0)?")
_group_document = re.compile(rf"{_NODE}/zarr\.json")
_object = re.compile(r"/(?:zarr\.json|zones|c/[0-9]+(?:/0)?)$")
_staged_folder = re.compile(rf"{STAGED}(?:/[0-9a-f]{{16}})?")
_passing = re.compile(
    rf"__exetera__/(?:clock|probe)-[0-9a-f]{{16}}"
    rf"|{STAGED}/[0-9a-f]{{16}}/[0-9a-f]{{16}}(?:-[0-9]+)*"
    rf"|(?:__exetera__/commits/|{_NODE}/|{_BELOW}/c/(?:[0-9]+/)?)?\.tmp-[^/]{{1,80}}-[0-9a-f]{{16}}"
)


def manifest_key(number: int) -> str:
    """Key of the manifest of a version."""
    return f"{MANIFESTS}/{HIGHEST - number:010d}.json"


def rewritten_key(erasure: str, number: int) -> str:
    """Key of what an erasure has written in the place of a manifest."""
    return f"{REWRITTEN}/{erasure}/{HIGHEST - number:010d}.json"


def erasure_of(key: str) -> str | None:
    """The erasure that has written an object in the place of a manifest; None for another one."""
    found = _rewritten.fullmatch(key)
    return None if found is None else found[1]


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


def is_staged_folder(path: str) -> bool:
    """Whether a folder is one of those in which tasks write; it goes when it is empty."""
    return _staged_folder.fullmatch(path) is not None


def node_of(key: str) -> str:
    """Path of the node that an object belongs to."""
    return _object.sub("", key)
