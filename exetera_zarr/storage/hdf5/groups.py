"""Groups and arrays of an HDF5 file, as one user of it holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exetera_zarr.errors import NameTakenError
from exetera_zarr.storage import names
from exetera_zarr.storage.base import AnyArray, Array, Group
from exetera_zarr.storage.hdf5.arrays import DraftArray
from exetera_zarr.storage.hdf5.nodes import Node

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Mapping, Sequence

    from exetera_zarr.storage.hdf5.draft import Draft
    from exetera_zarr.storage.hdf5.storage import HDF5Storage

__all__ = ["HDF5Array", "HDF5Group"]


class HDF5Group(Group):
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

    def __init__(self, storage: HDF5Storage, node: Node, path: tuple[str, ...]) -> None:
        self._storage = storage
        self._id = node.id
        self._path = path
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

    @property
    def _children(self) -> dict[str, Node]:
        return self._storage.draft.children(self.node)

    @property
    def key(self) -> int:
        return self.node.id

    def exclusive(self) -> contextlib.AbstractContextManager[object]:
        return self._storage.draft.lock

    @property
    def name(self) -> str:
        return self._path[-1] if self._path else ""

    @property
    def storage(self) -> HDF5Storage:
        return self._storage

    @property
    def row_block(self) -> int:
        return self.node.row_block

    @property
    def attributes(self) -> Mapping[str, Any]:
        return self.node.attributes

    def update_attributes(self, attributes: Mapping[str, Any]) -> None:
        with self._storage.changing():
            node = self.node
            node.attributes = {**node.attributes, **attributes}

    def keys(self) -> Sequence[str]:
        return list(self._children)

    def __contains__(self, name: object) -> bool:
        return name in self._children

    def group(self, name: str) -> HDF5Group:
        return HDF5Group(self._storage, self._children[name], (*self._path, name))

    def create_group(
        self, name: str, attributes: Mapping[str, Any] | None = None, row_block: int | None = None
    ) -> HDF5Group:
        name = names.check(name)
        with self._storage.changing() as draft:
            parent = self.node
            if name in parent.groups:
                raise self._taken(name)
            child = Node(dict(attributes or {}), row_block=row_block or parent.row_block)
            _set_groups(draft, parent, {**parent.groups, name: child})
            return HDF5Group(self._storage, child, (*self._path, name))

    def _taken(self, name: str) -> NameTakenError:
        where = f"{'/'.join(self._path)!r} of " if self._path else ""
        return NameTakenError(f"{name!r} exists already in {where}{self._storage.url}")

    def delete_group(self, name: str) -> None:
        with self._storage.changing() as draft:
            node = self.node
            if name not in node.groups:
                raise KeyError(name)
            _set_groups(draft, node, {n: g for n, g in node.groups.items() if n != name})

    def rename_groups(self, renames: Mapping[str, str]) -> None:
        renames = {old: names.check(new) for old, new in renames.items()}
        with self._storage.changing() as draft:
            node = self.node
            after = {renames.get(name, name): child for name, child in node.groups.items()}
            if len(after) < len(node.groups):
                raise self._taken(next(new for new in renames.values() if new in node.groups))
            _set_groups(draft, node, after)

    def reorder(self, order: Sequence[str]) -> None:
        with self._storage.changing() as draft:
            node = self.node
            _set_groups(draft, node, {name: node.groups[name] for name in order})

    def arrays(self) -> Mapping[str, Array]:
        return {
            role: HDF5Array(self._storage, array, self, role)
            for role, array in self.node.arrays.items()
        }

    def new_array(self, role: str, dtype: npt.DTypeLike) -> HDF5Array:
        draft = self._storage.to_change()
        where = f"{draft.url}: {'/'.join((*self._path, role))}"
        plain = np.dtype(dtype).newbyteorder("=")
        return HDF5Array(self._storage, DraftArray(draft.file, where, plain))

    def set_arrays(self, arrays: Mapping[str, Array]) -> None:
        made = {role: a.draft_array for role, a in arrays.items() if isinstance(a, HDF5Array)}
        with self._storage.changing():
            node = self.node
            node.arrays = {**node.arrays, **made}


def _set_groups(draft: Draft, node: Node, groups: dict[str, Node]) -> None:
    node.groups = groups
    draft.reindex()


class HDF5Array(Array):
    """
    An array of a draft, as one user may use it.

    Parameters
    ----------
    storage
        The handle.
    array
        Of the draft.
    group, role
        Its place, where a change looks for what is there then; None while it is in none.
    """

    def __init__(
        self,
        storage: HDF5Storage,
        array: DraftArray,
        group: HDF5Group | None = None,
        role: str = "",
    ) -> None:
        self._storage = storage
        self.draft_array = array
        self._group = group
        self._role = role

    def _present(self) -> DraftArray:
        if self._group is not None:
            self.draft_array = self._group.node.arrays[self._role]
        return self.draft_array

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.draft_array.dtype

    @property
    def block(self) -> int:
        return self.draft_array.block

    def __len__(self) -> int:
        return self.draft_array.length

    def read(self, start: int, stop: int, out: AnyArray | None = None) -> AnyArray:
        _ = self._storage.draft
        return self.draft_array.read(start, stop, out)

    def append(self, values: AnyArray) -> None:
        with self._storage.changing():
            if len(values):
                self._present().append(values)

    def write(self, start: int, values: AnyArray) -> None:
        with self._storage.changing() as draft:
            if len(values):
                draft.overwrite(self._present(), start, values)

    def clear(self) -> None:
        with self._storage.changing():
            twin = self._present().emptied()
            if self._group is not None:
                node = self._group.node
                node.arrays = {**node.arrays, self._role: twin}
            self.draft_array = twin
