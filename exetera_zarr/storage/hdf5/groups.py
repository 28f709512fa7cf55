"""Groups of an HDF5 file, as one user of it holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exetera_zarr.errors import DataError
from exetera_zarr.storage import names
from exetera_zarr.storage.hdf5.arrays import DraftArray
from exetera_zarr.storage.hdf5.nodes import Node
from exetera_zarr.storage.hdf5.notes import NATIVE
from exetera_zarr.storage.tree import DraftArrayHandle, DraftGroup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exetera_zarr.storage.hdf5.storage import HDF5Storage

__all__ = ["HDF5Group"]


class HDF5Group(DraftGroup):
    """
    A group of a draft; it follows its node through renames, or else stands for its name.

    Parameters
    ----------
    storage
        The handle.
    node
        The node.
    path
        Logical names that lead to it from the root.
    """

    _storage: HDF5Storage

    def __init__(self, storage: HDF5Storage, node: Node, path: tuple[str, ...]) -> None:
        super().__init__(storage, path)
        self._id = node.id
        self._kind = node.attributes.get("fieldtype")

    @property
    def node(self) -> Node:
        """The node that it stands for now; KeyError where there is none."""
        draft = self._storage.draft
        if not self._path:
            return draft.root
        found = draft.find(self._id)
        if found is not None:
            self._path, node = found
            return node
        node = draft.root
        for name in self._path:
            node = draft.children(node)[name]
        if node.attributes.get("fieldtype") != self._kind:
            raise KeyError(self._path[-1])
        self._id = node.id
        return node

    def _children(self) -> Mapping[str, Node]:
        return self._storage.draft.children(self.node)

    def _below(self, node: Node, name: str) -> HDF5Group:
        return HDF5Group(self._storage, node, (*self._path, name))

    def create_group(
        self, name: str, attributes: Mapping[str, Any] | None = None, row_block: int | None = None
    ) -> HDF5Group:
        name = names.check(name)
        _check_text(name, attributes or {})
        with self._storage.changing() as draft:
            parent = self.node
            self._check_new(name, parent.groups)
            child = Node(dict(attributes or {}), row_block=row_block or parent.row_block)
            parent.groups = {**parent.groups, name: child}
            draft.note((*self._path, name), child)
            return self._below(child, name)

    def update_attributes(self, attributes: Mapping[str, Any]) -> None:
        _check_text(self.name, attributes)
        super().update_attributes(attributes)

    def new_array(self, role: str, dtype: npt.DTypeLike) -> DraftArrayHandle:
        draft = self._storage.to_change()
        where = f"{draft.url}: {'/'.join((*self._path, role))}"
        plain = np.dtype(dtype).newbyteorder("=")
        return DraftArrayHandle(self._storage, DraftArray(draft.file, where, plain))


def _check_text(where: str, attributes: Mapping[str, Any]) -> None:
    """Raise DataError for a text that HDF5 would refuse when all of it is committed."""
    texts = [attributes.get(name) for name in NATIVE]
    for text in [*texts, *(name for name, _ in attributes.get("key", ()))]:
        if isinstance(text, str) and "\0" in text:
            raise DataError(f"{where}: the text {text!r} holds a NUL, which an HDF5 file cannot")
