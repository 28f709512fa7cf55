"""Room on the disk, taken before HDF5 needs it: a file of which a write failed may be lost."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

from exetera_zarr.storage.hdf5.stored import chunk_for
from exetera_zarr.storage.memory import MemoryArray

if TYPE_CHECKING:
    from exetera_zarr.storage.hdf5.nodes import Node

__all__ = ["Room", "needed_by"]

_AHEAD = 1 << 20
"""Bytes that are reserved beyond what is needed where they are free, so that requests are few."""
_UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}
_OBJECT = 1 << 12
"""More than HDF5 takes for a group, or for a dataset beside its elements: some 2 KB (measured)."""
_KEYS = 1024


class Room:
    """
    The room that an open file has on its disk.

    HDF5 puts off much of what it writes, and where that fails the file is torn, and the library
    may end the process when it closes it (1.14). So what may be written is asked for before.

    Parameters
    ----------
    file
        The ``h5py.File``.
    """

    def __init__(self, file: Any) -> None:
        self._id = file.id
        known = hasattr(os, "posix_fallocate") and file.driver == "sec2" and file.mode != "r"
        self._descriptor: int | None = self._id.get_vfd_handle() if known else None
        self._sure = os.fstat(self._descriptor).st_size if self._descriptor is not None else 0

    def reserve(self, count: int) -> None:
        """
        Reserve this many more bytes; where there is no room, raise OSError and leave all as it was.

        Where the system has no way to ask for that, nothing is done.
        """
        if self._descriptor is None:
            return
        end = int(self._id.get_filesize()) + count
        self._sure = min(self._sure, os.fstat(self._descriptor).st_size)  # HDF5 may have cut it
        if end <= self._sure:
            return
        try:
            self._take(end + _AHEAD)
        except OSError as error:
            if error.errno in _UNSUPPORTED:
                self._descriptor = None
                return
            self.trim()
            self._take(end)

    def _take(self, end: int) -> None:
        assert self._descriptor is not None
        os.posix_fallocate(self._descriptor, self._sure, end - self._sure)
        self._sure = end

    def trim(self) -> None:
        """Give back what was not needed; after a flush."""
        if self._descriptor is not None:
            end = int(self._id.get_filesize())
            if os.fstat(self._descriptor).st_size > end:
                os.ftruncate(self._descriptor, end)
            self._sure = min(self._sure, end)


def needed_by(root: Node) -> int:
    """
    Bytes that the commit of a tree may take beyond what is in the file, and not less.

    Parameters
    ----------
    root
        Of the tree.
    """
    count = 16 * _OBJECT
    for _, node in root.walk():
        there = node.in_file
        if any(child.in_file.reference is None for child in node.groups.values()):
            count += 8 * sum(len(name) + 16 for name in node.groups)
        proven = there.reference is not None and there.proven == node.signature()
        if proven and (node.attributes == there.attributes or not node.is_field):
            continue
        count += _OBJECT + _bytes_of_attributes(node)
        for array in node.arrays.values():
            count += _OBJECT
            if isinstance(array.data, MemoryArray):
                size = array.dtype.itemsize
                count += chunk_for(array.length, size) * size
    return count


def _bytes_of_attributes(node: Node) -> int:
    count = 0
    for name, value in node.attributes.items():
        if name == "key":
            texts = sum(4 * len(str(label)) + 32 for label, _ in value)
            count += 3 * _OBJECT + texts + 24 * (len(value) + min(len(value), _KEYS))
        else:
            count += 4 * (len(name) + len(str(value)))
    return count
