"""From the groups of a file to the nodes of a draft."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.storage import codebooks
from exetera_zarr.storage.base import ROW_BLOCK
from exetera_zarr.storage.hdf5 import objects
from exetera_zarr.storage.hdf5.arrays import DraftArray
from exetera_zarr.storage.hdf5.library import using
from exetera_zarr.storage.hdf5.nodes import InFile, Node
from exetera_zarr.storage.hdf5.notes import ATTRIBUTE, name_of, read_notes
from exetera_zarr.storage.hdf5.objects import DAMAGE, OddError

if TYPE_CHECKING:
    from collections.abc import Callable

    from exetera_zarr.storage.hdf5.handle import FileHandle

__all__ = ["read_tree"]

_NUMBERS = frozenset(
    [
        "bool",
        "float32",
        "float64",
        *(f"{s}int{bits}" for s in ("", "u") for bits in (8, 16, 32, 64)),
    ]
)
_TIMES = ("timestamp", "datetime", "date")


class Reader:
    """
    Makes nodes of what is in a file.

    Parameters
    ----------
    file
        The file.
    note
        Called with what is passed over, once for all that is looked at together.
    external
        Whether links are followed, and datasets read, that lead out of it.
    lazy
        Whether a table is looked into only when somebody asks for its fields.
    """

    def __init__(
        self, file: FileHandle, note: Callable[[list[str]], None], *, external: bool, lazy: bool
    ) -> None:
        self._file = file
        self._note = note
        self._external = external
        self._lazy = lazy
        self._skipped: list[str] = []
        self._seen: set[tuple[int, int]] = set()

    def tree(self) -> Node:
        """The root, with all below."""
        with using(self._file.url):
            root = self._file.root
            node = Node(in_file=InFile(reference=self._file.reference(root)))
            assert node.in_file.reference is not None
            self._seen.add(node.in_file.reference.address)
            version = self._take_notes(root, node).get("version")
            node.version = version if isinstance(version, int) and version >= 0 else 1
            node.in_file.proven = node.signature()
            self._children(root, node, "")
        self._tell()
        return node

    def _tell(self) -> None:
        if self._skipped:
            self._note(self._skipped)
            self._skipped = []

    def _take_notes(self, group: Any, node: Node) -> dict[str, Any]:
        text = None
        try:
            text = objects.attribute(group, ATTRIBUTE)
        except DAMAGE as error:
            self._skipped.append(str(error))
        notes = read_notes(text)
        node.in_file.notes = text if isinstance(text, str) else ""
        node.attributes |= notes.get("attributes", {})
        rows = notes.get("row_block")
        node.row_block = rows if isinstance(rows, int) and rows > 0 else ROW_BLOCK
        return notes

    def _children(self, group: Any, parent: Node, path: str) -> None:
        """Give a node its children, in the order that is noted, else by name."""
        found: dict[bytes, tuple[str, Node]] = {}
        for link in objects.links(group):
            shown = f"{path}/{link.decode('utf-8', 'backslashreplace')}"
            try:
                named = self._child(group, link, parent, shown)
            except DAMAGE as error:
                self._skipped.append(f"{shown!r} ({error})")
            else:
                if named is not None:
                    found[link] = named
        order = read_notes(parent.in_file.notes).get("order", [])
        place = {link: number for number, link in enumerate(order) if isinstance(link, str)}
        last = len(place)
        for link in sorted(
            found, key=lambda b: (place.get(b.decode("utf-8", "backslashreplace"), last), b)
        ):
            name, node = found[link]
            if name in parent.groups:
                self._skipped.append(f"{path}/{name!r} (two have that name)")
            else:
                parent.groups[name] = parent.in_file.groups[link] = node

    def _child(self, group: Any, link: bytes, parent: Node, path: str) -> tuple[str, Node] | None:
        """The node for a link, and its name; None for what is passed over without a word."""
        thing = objects.open_link(group, link, external=self._external)
        if not objects.is_group(thing):
            raise OddError("a dataset or type outside of a field")
        reference = self._file.reference(thing)
        if reference.address in self._seen:
            raise OddError("another name of something else")
        fieldtype = objects.attribute(thing, "fieldtype")
        top = path.count("/") == 1
        if fieldtype is None and (not top or link == b"trash"):
            if top:
                return None
            raise OddError("a group that is no field")
        self._seen.add(reference.address)
        node = Node(row_block=parent.row_block, in_file=InFile(reference=reference))
        if fieldtype is not None:
            self._field(thing, node, path, fieldtype)
            notes = self._take_notes(thing, node)
            node.row_block = parent.row_block
            node.in_file.attributes = dict(node.attributes)
        else:
            notes = self._take_notes(thing, node)
            node.load = partial(self._load, None if self._lazy else thing, path)
            if not self._lazy:
                node.loaded()
        codebooks.check(node.attributes.get(codebooks.ATTRIBUTE, {}), path)
        node.in_file.proven = node.signature()
        return name_of(link, notes), node

    def _load(self, group: Any, path: str, node: Node) -> None:
        assert node.in_file.reference is not None
        with using(self._file.url):
            # Not kept open: the garbage collector may run where h5py waits for a network.
            group = self._file.at(node.in_file.reference) if group is None else group
            self._children(group, node, path)
        if self._lazy:
            self._tell()

    def _field(self, group: Any, node: Node, path: str, fieldtype: str | int) -> None:
        """Fill in the attributes and arrays of a field."""
        kind, _, detail = str(fieldtype).partition(",")
        nformat = str(objects.attribute(group, "nformat") or detail)
        for role in ("index", "values") if kind == "indexedstring" else ("values",):
            where = f"{self._file.url}: {path}"
            found = objects.column(self._file, group, role, where, external=self._external)
            if found is None:
                dtype = _type_of_missing(kind, role, nformat or detail)
                node.arrays[role] = DraftArray(self._file, f"{where}/{role}", dtype)
            else:
                dtype, stored = found
                node.arrays[role] = DraftArray(self._file, stored.where, dtype, stored)
                node.in_file.arrays[role] = stored
        about = _type_attributes(kind, detail, nformat, node)
        if kind == "fixedstring":
            said = objects.attribute(group, "strlen") or detail
            if str(said) != str(about["strlen"]):
                raise OddError(f"strings of {about['strlen']} bytes where it says {said}")
        if kind == "categorical":
            about["key"] = objects.keys(group, external=self._external)
        for name in ("chunksize", "timestamp"):
            value = objects.attribute(group, name)
            if value is not None:
                about[name] = value
        node.attributes = about


def read_tree(
    file: FileHandle, note: Callable[[list[str]], None], *, external: bool, lazy: bool
) -> Node:
    """
    The tree of what ExeTera, or we, have put in a file.

    Parameters
    ----------
    file, note, external, lazy
        As of `Reader`.
    """
    return Reader(file, note, external=external, lazy=lazy).tree()


def _type_of_missing(kind: str, role: str, nformat: str) -> np.dtype[Any]:
    """Type of an array that has not been made, as older versions left it until a first write."""
    if kind == "indexedstring":
        return np.dtype("int64" if role == "index" else "uint8")
    if kind in _TIMES:
        return np.dtype("float64")
    try:
        if kind == "fixedstring":
            return np.dtype(f"S{int(nformat)}")
        return np.dtype(nformat or {"categorical": "int8", "boolean": "bool"}.get(kind, ""))
    except (TypeError, ValueError) as error:
        raise OddError(f"it has no values, and its type is {kind},{nformat}") from error


def _type_attributes(kind: str, detail: str, nformat: str, node: Node) -> dict[str, Any]:
    """The attributes that say what a field is, in the form of ExeTera 0.6."""
    dtype = node.arrays["values"].dtype
    odd = OddError(f"a field of the type {kind},{detail} with values of the type {dtype}")
    if kind == "indexedstring":
        if dtype != np.uint8 or node.arrays["index"].dtype != np.int64:
            raise odd
        return {"fieldtype": kind}
    if kind == "fixedstring":
        if dtype.kind != "S":
            raise odd
        return {"fieldtype": f"{kind},{dtype.itemsize}", "strlen": dtype.itemsize}
    if kind in _TIMES:
        if dtype != np.float64:
            raise odd
        return {"fieldtype": "timestamp"}
    if kind not in ("numeric", "boolean", "categorical"):
        raise OddError(f"a field of the unknown type {kind!r}")
    if dtype.name not in _NUMBERS or (nformat or dtype.name) != dtype.name:
        raise odd
    kind = "numeric" if kind == "boolean" else kind
    return {"fieldtype": f"{kind},{dtype.name}", "nformat": dtype.name}
