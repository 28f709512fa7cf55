"""Reading back what a commit claims to have written, by a look of its own at the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import CorruptDataError
from exetera_zarr.storage.hdf5.handle import FileHandle
from exetera_zarr.storage.hdf5.library import using
from exetera_zarr.storage.hdf5.objects import DAMAGE, attribute, column, keys, open_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exetera_zarr.storage.hdf5.arrays import DraftArray
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
        self._file = file

    def group(self, group: Any, node: Node, path: str) -> Iterator[str]:
        """What is not in a group, and in those below, as it should be, in words."""
        shown = path or "/"
        if node.signature() != node.in_file.proven:
            yield from self._attributes(group, node, shown)
            for role, array in node.arrays.items():
                yield from self._array(group, role, array, f"{shown}/{role}")
        wanted = node.in_file.groups
        there = set(group) if wanted else set()
        lost = [link for link in wanted if link not in there]
        if lost:
            example = lost[0].decode("utf-8", "backslashreplace")
            yield f"{shown} has lost {len(lost)} of {len(wanted)}, such as {example!r}"
        for link, child in wanted.items():
            if link not in there or (child.is_field and child.signature() == child.in_file.proven):
                continue
            below = f"{path}/{link.decode('utf-8', 'backslashreplace')}"
            try:
                yield from self.group(open_link(group, link, external=False), child, below)
            except DAMAGE as error:
                yield f"{below} cannot be read ({error})"

    def _attributes(self, group: Any, node: Node, shown: str) -> Iterator[str]:
        for name, value in node.in_file.written.items():
            if name == "key":
                if keys(group, external=False) != value:
                    yield f"the key of {shown} has other codes or names"
            else:
                there = attribute(group, name)
                if there != value:
                    yield f"the attribute {name!r} of {shown} is {there!r} instead of {value!r}"

    def _array(self, group: Any, role: str, array: DraftArray, shown: str) -> Iterator[str]:
        found = column(self._file, group, role, shown, external=False)
        if found is None:
            yield f"{shown} is missing"
            return
        dtype, stored = found
        if (stored.extent, dtype) != (array.length, array.dtype):
            yield (
                f"{shown} has {stored.extent} elements of {dtype} instead of {array.length} of "
                f"{array.dtype}"
            )
        else:
            stored.check()
