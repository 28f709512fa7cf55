"""What ExeTera's layout has no place for, as JSON in one attribute beside ExeTera's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import DataError
from exetera_zarr.storage import names
from exetera_zarr.storage.base import ROW_BLOCK

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from exetera_zarr.storage.hdf5.nodes import Node

__all__ = ["ATTRIBUTE", "NATIVE", "link_for", "name_of", "read_notes", "write_notes"]

ATTRIBUTE = "exetera_zarr"
NATIVE = ("fieldtype", "nformat", "strlen", "chunksize", "timestamp")
"""The attributes that ExeTera itself has."""
_ELSEWHERE = {*NATIVE, "key", "name", "row_block"}


def link_for(name: str, taken: Collection[bytes], *, at_root: bool) -> bytes:
    """
    The HDF5 link for a name: the name itself wherever HDF5 and ExeTera can have it.

    Parameters
    ----------
    name
        Logical name.
    taken
        Links of the siblings.
    at_root
        Whether it is one of the root, where ExeTera passes over ``trash``.
    """
    link = name.replace("/", "%2F").encode()
    if link in (b".", b"..") or (at_root and link == b"trash"):
        link = b"%%%02X" % link[0] + link[1:]
    while link in taken:
        link = link.replace(b"%", b"%25") if b"%" in link else b"%%%02X" % link[0] + link[1:]
    return link


def name_of(link: bytes, notes: Mapping[str, Any]) -> str:
    """
    The name that a link stands for.

    Parameters
    ----------
    link
        As it is in the file.
    notes
        Of the group; they do not count if somebody has renamed it since they were written.
    """
    text = link.decode("utf-8", "backslashreplace")
    noted = notes.get("name")
    if isinstance(noted, str) and notes.get("link") == text:
        text = noted
    try:
        return names.check(text)
    except DataError:
        return names.encode(text)[:255]


def read_notes(text: object) -> dict[str, Any]:
    """
    The notes in the text of the attribute; none if it is something else.

    Parameters
    ----------
    text
        JSON.
    """
    try:
        notes = json.loads(text) if isinstance(text, str) else {}
    except (ValueError, RecursionError):
        return {}
    if not isinstance(notes, dict):
        return {}
    order, more = notes.get("order"), notes.get("attributes")
    known = {
        "order": order if isinstance(order, list) else [],
        # What ExeTera has a place for is there, and was checked.
        "attributes": {name: value for name, value in more.items() if name not in _ELSEWHERE}
        if isinstance(more, dict)
        else {},
    }
    return notes | known


def write_notes(node: Node, name: str, link: bytes, links: Mapping[str, bytes]) -> str:
    """
    The text of the attribute for a node; empty where there is nothing to note.

    Parameters
    ----------
    node
        The node.
    name, link
        Its own, empty for the root.
    links
        Of its children, by name, in order.
    """
    notes: dict[str, Any] = {}
    text = link.decode("utf-8", "backslashreplace")
    if name != text:
        notes |= {"name": name, "link": text}
    order = list(links.values())
    if order != sorted(order):
        notes["order"] = [other.decode("utf-8", "backslashreplace") for other in order]
    if not node.is_field and node.row_block != ROW_BLOCK:
        notes["row_block"] = node.row_block
    rest = {key: value for key, value in node.attributes.items() if key not in _ELSEWHERE}
    if rest:
        notes["attributes"] = rest
    if not link:
        notes["version"] = node.version
    return json.dumps(notes) if notes else ""
