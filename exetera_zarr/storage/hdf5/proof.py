"""Reading back what a commit claims to have written, by a look of its own at the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import CorruptDataError
from exetera_zarr.storage.hdf5.handle import FileHandle
from exetera_zarr.storage.hdf5.library import using
from exetera_zarr.storage.hdf5.notes import NATIVE
from exetera_zarr.storage.hdf5.reading import DAMAGE, Reader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exetera_zarr.storage.hdf5.nodes import Node

__all__ = ["prove"]

_SHOWN = 5


def prove(file: Any, root: Node, url: str) -> None:
    """
    Raise CorruptDataError unless a file has all that a tree, which was just written, says it has.

    That every table and every field is there is seen each time; the attributes, the types, the
    lengths and the chunks of a field are read where they are not what was read or proven before.
    The values are not read. So it costs about as much as opening the file where all is new, which
    doubles the commit of very many short fields, and next to nothing where a part of a large file
    was changed.

    Parameters
    ----------
    file
        The ``h5py.File``, opened anew, so that it shows what is in the file rather than what the
        library remembers.
    root
        Of the tree that the file should have.
    url
        Of the file, for messages.
    """
    handle = FileHandle(file, url)
    proof = _Proof(handle)
    with using(url):
        lost = list(proof.group(handle.root, root, ""))
        handle.let_go()
    if lost:
        more = len(lost) - _SHOWN
        raise CorruptDataError(
            f"{url} did not keep what was written to it: {'; '.join(lost[:_SHOWN])}"
            f"{f'; and {more} more' if more > 0 else ''}. The commit did not succeed: rollback() "
            "returns to the one before; make the changes again in a new file, or in a .zarr dataset"
        )
    for _, node in root.walk():
        node.in_file.proven = node.signature()


class _Proof:
    """
    A look at the groups of a file.

    Parameters
    ----------
    file
        Opened anew.
    """

    def __init__(self, file: FileHandle) -> None:
        self._reader = Reader(file, lambda _: None, external=False, lazy=True)

    def group(self, group: Any, node: Node, path: str) -> Iterator[str]:
        """What is not in a group as it should be, in words."""
        wanted = node.in_file.groups
        there = set(group) if wanted else set()
        lost = [link for link in wanted if link not in there]
        if lost:
            example = lost[0].decode("utf-8", "backslashreplace")
            yield f"{path or 'it'} has lost {len(lost)} of {len(wanted)}, such as {example!r}"
        if not path and node.signature() != node.in_file.proven:
            yield from _notes(self._reader.root(group), node, "its root")
        for link, child in wanted.items():
            if link in there:
                shown = f"{path}/{link.decode('utf-8', 'backslashreplace')}"
                yield from self._child(group, link, node, child, shown)

    def _child(
        self, group: Any, link: bytes, parent: Node, child: Node, path: str
    ) -> Iterator[str]:
        new = child.signature() != child.in_file.proven
        if not new and child.is_field:
            return
        try:
            if new:
                yield from _about(self._reader.child(group, link, parent, path), child, path)
            if not child.is_field:
                yield from self.group(self._reader.open(group, link), child, path)
        except DAMAGE as error:
            yield f"{path} cannot be read ({error})"


def _notes(found: Node, wanted: Node, where: str) -> Iterator[str]:
    if (found.in_file.notes or "") != (wanted.in_file.notes or ""):
        yield f"the notes on {where} are {found.in_file.notes!r}"


def _about(found: Node | None, wanted: Node, where: str) -> Iterator[str]:
    """Which notes, attributes and arrays of a group are not as they should be, in words."""
    if found is None:
        yield f"{where} is no table any more"
        return
    yield from _notes(found, wanted, where)
    for name in NATIVE:
        value, there = wanted.attributes.get(name), found.attributes.get(name)
        if value is not None and str(there) != str(value):
            yield f"the attribute {name!r} of {where} is {there!r} instead of {value!r}"
    key = found.attributes.get("key", [])
    if [list(pair) for pair in wanted.attributes.get("key", [])] != key:
        yield f"the key of {where} has {len(key)} names, or other ones"
    for role, array in wanted.arrays.items():
        there = found.in_file.arrays.get(role)
        if there is None:
            yield f"{where}/{role} is missing"
        elif (there.extent, found.arrays[role].dtype) != (array.length, array.dtype):
            yield f"{where}/{role} has {there.extent} elements instead of {array.length}"
        else:
            there.check()
