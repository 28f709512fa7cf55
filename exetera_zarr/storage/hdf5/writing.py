"""From the nodes of a draft to the groups of its file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.storage.hdf5.library import library, using
from exetera_zarr.storage.hdf5.nodes import InFile
from exetera_zarr.storage.hdf5.notes import ATTRIBUTE, NATIVE, link_for, write_notes

if TYPE_CHECKING:
    from exetera_zarr.storage.hdf5.handle import FileHandle
    from exetera_zarr.storage.hdf5.nodes import Node

__all__ = ["ALWAYS", "set_key", "write_tree"]

ALWAYS = {"chunksize": 1 << 20, "timestamp": ""}
"""What ExeTera 0.6 reads of every field, and where nothing else was said, what it finds."""


def write_tree(file: FileHandle, root: Node) -> None:
    """
    Have the file be as the tree is.

    A new group is put together before anything leads to it, and what is replaced stays until what
    replaces it is whole. After an error, at whatever point, it can be called again, with the
    same tree or with what the tree was before.

    Parameters
    ----------
    file
        The file.
    root
        Of the tree.
    """
    with using(file.url):
        _group(file, file.root, root, ("", b""))
        for _, node in root.walk():  # not before: who fails may want to have it back
            for stored in node.in_file.arrays.values():
                stored.settle()
        file.let_go()


def _group(file: FileHandle, group: Any, node: Node, called: tuple[str, bytes]) -> None:
    """Have a group, its arrays and all below as they are in the tree."""
    _arrays(group, node)
    if node.is_field:
        _field_attributes(group, node)
    links = _children(file, group, node, at_root=not called[0])
    notes = write_notes(node, *called, links)
    if notes != node.in_file.notes:
        node.in_file.notes = None
        node.in_file.written[ATTRIBUTE] = _set(group, ATTRIBUTE, notes)
        node.in_file.notes = notes


def _children(file: FileHandle, group: Any, node: Node, *, at_root: bool) -> dict[str, bytes]:
    """
    Have the links of a group lead to the children of a node; the link of each name.

    Each child is linked as soon as it is whole, so that few objects are in no group at a time: HDF5
    has lost groups that hundreds of them were put into at once. What is gone loses its link last.
    What has not changed is not even opened.
    """
    in_file = node.in_file
    links = _links(group, node, at_root=at_root)
    for name, child in node.groups.items():
        link = links[name]
        is_there = in_file.groups.get(link) is child and link not in in_file.unsure
        if is_there and _is_as_in_file(child, name, link):
            continue
        if child.in_file.reference is None:
            handle = library().h5g.create(file.root, None)
            child.in_file = InFile(file.hold(handle))
        else:
            handle = file.at(child.in_file.reference)
        _group(file, handle, child, (name, link))
        if in_file.groups.get(link) is not child or link in in_file.unsure:
            _link(file, group, in_file, link, child)
    after = {links[name]: child for name, child in node.groups.items()}
    for link in [n for n, child in in_file.groups.items() if after.get(n) is not child]:
        _unlink(file, group, in_file, link)
    return links


def _is_as_in_file(node: Node, name: str, link: bytes) -> bool:
    """Whether the file has a group, and all below, as it is in the tree; without a look at it."""
    there = node.in_file
    links = {id(child): below for below, child in there.groups.items()}
    if there.unsure or len(links) != len(node.groups):
        return False
    for called, child in node.groups.items():
        found = links.get(id(child))
        if found is None or found != link_for(called, (), at_root=False):
            return False
        if not _is_as_in_file(child, called, found):
            return False
    if node.is_field and node.attributes != there.attributes:
        return False
    named = {called: links[id(child)] for called, child in node.groups.items()}
    return _has_arrays(node) and write_notes(node, name, link, named) == there.notes


def _has_arrays(node: Node) -> bool:
    """Whether the arrays of a node are those that the file has, and are as long there."""
    return all(
        array.data is (stored := node.in_file.arrays.get(role)) and stored.extent == array.length
        for role, array in node.arrays.items()
    )


def _link(file: FileHandle, group: Any, in_file: InFile, link: bytes, child: Node) -> None:
    """Have a link lead to a child, whatever it has led to."""
    if link in in_file.groups:
        _unlink(file, group, in_file, link)
    reference = child.in_file.reference
    assert reference is not None
    in_file.unsure.add(link)
    in_file.groups[link] = child
    library().h5o.link(file.at(reference), group, link)
    in_file.unsure.discard(link)
    file.release(reference)


def _unlink(file: FileHandle, group: Any, in_file: InFile, link: bytes) -> None:
    """Remove a link; what it has led to is kept, for who may want to have it back."""
    gone = in_file.groups[link].in_file.reference
    assert gone is not None
    file.hold(file.at(gone))
    in_file.unsure.add(link)
    if group.links.exists(link):
        group.unlink(link)
    del in_file.groups[link]
    in_file.unsure.discard(link)


def _links(group: Any, node: Node, *, at_root: bool) -> dict[str, bytes]:
    """The link for each child: the one that it has, unless it has another name now."""
    before = node.in_file.groups
    names = {id(child): name for name, child in node.groups.items()}
    kept = {}
    for link, child in before.items():
        name = names.get(id(child))
        if name is not None and link == link_for(name, (), at_root=at_root):
            kept[name] = link
    taken = {link for link in group if link not in before} | set(kept.values())
    links = {}
    for name in node.groups:
        links[name] = kept.get(name) or link_for(name, taken, at_root=at_root)
        taken.add(links[name])
    return links


def _arrays(group: Any, node: Node) -> None:
    h5py, there = library(), node.in_file.arrays
    for role, array in node.arrays.items():
        stored, raw = array.to_file(), role.encode()
        if stored is not there.get(role):
            if role in there:
                there[role].hold()
                del there[role]
            if group.links.exists(raw):
                group.unlink(raw)
            h5py.h5o.link(stored.dataset(), group, raw)
            there[role] = stored
        stored.resize(array.length)


def _field_attributes(group: Any, node: Node) -> None:
    """Have the attributes of a field's group, and its key, as they are in the tree."""
    wanted, there = node.attributes, node.in_file.attributes
    if wanted == there:
        return
    node.in_file.attributes = {}
    for name in NATIVE:
        value = wanted.get(name, ALWAYS.get(name))
        if value is not None and (name not in there or value != there[name]):
            node.in_file.written[name] = _set(group, name, value)
    if wanted.get("key") != there.get("key"):
        pairs = wanted.get("key", [])
        set_key(group, pairs)
        node.in_file.written["key"] = [[str(name), int(code)] for name, code in pairs]
    node.in_file.attributes = dict(wanted)


def _set(group: Any, name: str, value: Any) -> str | int | None:
    """Give a group an attribute, and return what it is there; empty notes are none."""
    h5py = library()
    if value and not h5py.h5a.exists(group, name.encode()):
        return _set_new(group, name, value)
    attributes = h5py.Group(group).attrs
    if name == ATTRIBUTE and not value:
        if name in attributes:
            del attributes[name]
        return None
    given = value if isinstance(value, int) else str(value)
    attributes[name] = given
    return given


def _set_new(group: Any, name: str, value: Any) -> str | int:
    """
    Give a group an attribute that it has not; in the file it is as h5py writes it.

    What h5py does to put a value in the place of another at once takes twice as long.
    """
    h5py = library()
    given = value if isinstance(value, int) else str(value)
    dtype = np.dtype("int64") if isinstance(given, int) else h5py.string_dtype()
    kind = h5py.h5t.py_create(dtype, logical=True)
    made = h5py.h5a.create(group, name.encode(), kind, h5py.h5s.create(h5py.h5s.SCALAR))
    made.write(np.array(given, dtype), mtype=h5py.h5t.py_create(dtype))
    return given


def set_key(group: Any, pairs: list[list[Any]]) -> None:
    """Write the key of a categorical field: as int8, as ExeTera does, if all codes fit that."""
    h5py = library()
    codes = np.asarray([code for _, code in pairs], np.int64)
    small = not len(codes) or (codes.min() >= -128 and codes.max() <= 127)
    labels = [name.encode("utf-8", "surrogateescape") for name, _ in pairs]
    to = h5py.Group(group)
    for name in ("key_values", "key_names"):
        if name in to:
            del to[name]
    short = {"maxshape": (None,), "chunks": (max(1, min(len(pairs), 1024)),)}
    to.create_dataset("key_values", data=codes.astype("int8") if small else codes, **short)
    to.create_dataset(
        "key_names", data=np.asarray(labels, object), dtype=h5py.string_dtype(), **short
    )
