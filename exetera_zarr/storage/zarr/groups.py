"""Groups and arrays of a draft, as one user of a dataset holds them."""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exetera_zarr.errors import NameTakenError
from exetera_zarr.storage import names
from exetera_zarr.storage.base import AnyArray, Array, Group
from exetera_zarr.storage.zarr.arrays import DraftArray, block_of
from exetera_zarr.storage.zarr.layout import Node

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Mapping, Sequence

    from exetera_zarr.storage.zarr.draft import Draft
    from exetera_zarr.storage.zarr.handles import ZarrStorage

__all__ = ["ZarrArray", "ZarrGroup"]


class ZarrGroup(Group):
    """
    A group of a draft.

    It stands for a node by the node's id, and so follows every rename, also one that is rolled
    back. Where a node of that id is no more, it stands for the one of the same kind that has its
    name now, if there is one.

    Parameters
    ----------
    storage
        The handle.
    node_id
        Id of the node; None for the root.
    path
        Logical names that lead to it from the root.
    """

    def __init__(self, storage: ZarrStorage, node_id: str | None, path: tuple[str, ...]) -> None:
        self._storage = storage
        self._id = node_id
        self._path = path
        self._reborn = len(storage.draft.reborn)
        self._kind = self.node.attributes.get("fieldtype")

    @property
    def node(self) -> Node:
        """The node that it stands for now; KeyError where there is none."""
        draft = self._storage.draft
        if self._id is None:
            return draft.root
        for reborn in draft.reborn[self._reborn :]:
            self._id = reborn.get(self._id, self._id)
        self._reborn = len(draft.reborn)
        found = draft.find(self._id)
        if found is not None:
            self._path, node = found
            return node
        node = draft.root
        for name in self._path:
            node = node.groups[name]
        if node.attributes.get("fieldtype") != self._kind:
            raise KeyError(self._path[-1])
        self._id = node.id
        return node

    @property
    def key(self) -> str:
        return self.node.id

    def exclusive(self) -> contextlib.AbstractContextManager[object]:
        return self._storage.draft.context.lock

    @property
    def name(self) -> str:
        return self._path[-1] if self._path else ""

    @property
    def storage(self) -> ZarrStorage:
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
        return list(self.node.groups)

    def __contains__(self, name: object) -> bool:
        return name in self.node.groups

    def group(self, name: str) -> ZarrGroup:
        node = self.node.groups[name]
        return ZarrGroup(self._storage, node.id, (*self._path, name))

    def create_group(
        self, name: str, attributes: Mapping[str, Any] | None = None, row_block: int | None = None
    ) -> ZarrGroup:
        name = names.check(name)
        with self._storage.changing() as draft:
            parent = self.node
            if name in parent.groups:
                raise NameTakenError(f"{name!r} exists already in {self._describe()}")
            segment = names.unique_segment(name, parent.folded())
            about = {"name": name, **(attributes or {})}
            block = row_block or parent.row_block
            if "fieldtype" not in about:
                about["row_block"] = block
            child = Node(secrets.token_hex(8), segment, about, block)
            parent.add(name, child)
            draft.note((*self._path, name), child)
            return ZarrGroup(self._storage, child.id, (*self._path, name))

    def _describe(self) -> str:
        where = "/".join(self._path)
        return f"{where!r} of {self._storage.url}" if where else self._storage.url

    def delete_group(self, name: str) -> None:
        with self._storage.changing() as draft:
            node = self.node
            if name not in node.groups:
                raise KeyError(name)
            left = {n: child for n, child in node.groups.items() if n != name}
            _set_groups(draft, node, left)

    def rename_groups(self, renames: Mapping[str, str]) -> None:
        renames = {old: names.check(new) for old, new in renames.items()}
        with self._storage.changing() as draft:
            parent = self.node
            after = [renames.get(name, name) for name in parent.groups]
            if len(set(after)) != len(after):
                taken = [name for name, times in Counter(after).items() if times > 1]
                raise NameTakenError(f"{taken[0]!r} exists already in {self._describe()}")
            segments = {
                name: node.segment for name, node in parent.groups.items() if name not in renames
            }
            folded = {segment.casefold() for segment in segments.values()}
            for old, new in renames.items():
                segments[old] = names.unique_segment(new, folded)
                folded.add(segments[old].casefold())
            groups = {}
            for (old, node), new in zip(parent.groups.items(), after, strict=True):
                groups[new] = node
                if old in renames:
                    if parent is draft.root:
                        draft.context.segments.setdefault(node.id, set()).add(node.segment)
                    attributes = {**node.attributes, "name": new}
                    groups[new] = replace(node, segment=segments[old], attributes=attributes)
            _set_groups(draft, parent, groups)

    def reorder(self, order: Sequence[str]) -> None:
        with self._storage.changing() as draft:
            node = self.node
            _set_groups(draft, node, {name: node.groups[name] for name in order})

    def arrays(self) -> Mapping[str, Array]:
        return {
            role: ZarrArray(self._storage, array, self, role)
            for role, array in self.node.arrays.items()
        }

    def new_array(self, role: str, dtype: npt.DTypeLike) -> ZarrArray:
        draft = self._storage.to_change()
        with draft.context.lock:
            node = self.node
            above, prefix = draft.root, []
            for name in self._path:
                above = above.groups[name]
                prefix.append(above.segment)
            of_bytes = node.attributes.get("fieldtype") == "indexedstring"
            dtype = np.dtype(dtype).newbyteorder("=")
            block = block_of(role, dtype, node.row_block, of_bytes=of_bytes)
            array = DraftArray(draft.context, "/".join(prefix), role, dtype, block)
            return ZarrArray(self._storage, array)

    def set_arrays(self, arrays: Mapping[str, Array]) -> None:
        made = {role: a.draft_array for role, a in arrays.items() if isinstance(a, ZarrArray)}
        with self._storage.changing():
            node = self.node
            node.arrays = {**node.arrays, **made}


def _set_groups(draft: Draft, node: Node, groups: dict[str, Node]) -> None:
    """Give a node other children, all at once; whoever looks for one finds those."""
    draft.reindex()
    node.groups = groups
    draft.reindex()


class ZarrArray(Array):
    """
    An array of a draft, as one user may use it.

    It reads what the array was when it was asked for, or has become by appending and overwriting;
    a change goes to the array that is in its place when the change is made.

    Parameters
    ----------
    storage
        The handle.
    array
        Of the draft.
    group, role
        Its place; None while it is in none.
    """

    def __init__(
        self,
        storage: ZarrStorage,
        array: DraftArray,
        group: ZarrGroup | None = None,
        role: str = "",
    ) -> None:
        self._storage = storage
        self.draft_array = array
        self._group = group
        self._role = role

    def _present(self) -> DraftArray:
        """The array that is in its place now; call with the draft locked."""
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
        if len(values) == 0:
            self._storage.to_change()
            return
        with self._storage.changing():
            self._present().append(values)

    def write(self, start: int, values: AnyArray) -> None:
        if len(values) == 0:
            self._storage.to_change()
            return
        with self._storage.changing():
            self._present().write(start, values)

    def clear(self) -> None:
        with self._storage.changing():
            present = self._present()
            twin = DraftArray(
                present.context, present.prefix, present.role, present.dtype, present.block
            )
            if self._group is not None:
                node = self._group.node
                node.arrays = {**node.arrays, self._role: twin}
            self.draft_array = twin
