"""The contract of storage over a draft: what one user of a dataset holds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exetera_zarr.errors import CorruptDataError, NameTakenError, ReadOnlyError
from exetera_zarr.storage import names
from exetera_zarr.storage.base import AnyArray, Array, Capability, Commit, Group, Storage
from exetera_zarr.storage.zarr import commit, sharing, verify
from exetera_zarr.storage.zarr.arrays import DraftArray, block_of
from exetera_zarr.storage.zarr.draft import Keep, kept_versions
from exetera_zarr.storage.zarr.layout import Node

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Iterator, Mapping, Sequence

    from exetera_zarr.storage.zarr.draft import Draft


__all__ = ["ZarrArray", "ZarrGroup", "ZarrStorage"]

ORPHAN_AGE = 7 * 86_400.0
"""Seconds after which what no version reaches cannot belong to a draft that is alive."""
_CAPABILITIES = frozenset(
    [Capability.VERSIONS, Capability.MULTIPLE_WRITERS, Capability.ROLLBACK, Capability.ZARR]
)


class ZarrStorage(Storage):
    """
    One user's handle on a draft.

    Parameters
    ----------
    draft
        Shared with the other users of the same place in this process.
    writable
        Whether this user may change it.
    """

    def __init__(self, draft: Draft, *, writable: bool) -> None:
        self._draft: Draft | None = draft
        self._writable = writable
        self._url = draft.store.url
        draft.users.add(id(self))

    @property
    def draft(self) -> Draft:
        """The draft; ValueError once closed."""
        if self._draft is None:
            raise ValueError(f"the dataset {self._url} is closed")
        return self._draft

    def to_change(self) -> Draft:
        """The draft, to be changed; ReadOnlyError where this user may not."""
        draft = self.draft
        if not self._writable:
            raise ReadOnlyError(
                f"the dataset {self._url} is open for reading; open it with mode 'r+' to change it"
            )
        return draft

    @property
    def url(self) -> str:
        return self._url

    @property
    def writable(self) -> bool:
        return self._writable

    @property
    def capabilities(self) -> frozenset[Capability]:
        return _CAPABILITIES

    @property
    def version(self) -> int:
        return self.draft.base.number

    @property
    def changed(self) -> bool:
        return self.draft.dirty

    @property
    def root(self) -> ZarrGroup:
        return ZarrGroup(self, ())

    def commit(self, *, force: bool = False) -> int:
        return self.to_change().publish(force=force)

    def refresh(self) -> int:
        return self.draft.refresh()

    def retain(self, versions: int, seconds: float) -> None:
        self.to_change().retain(Keep(versions, seconds))

    def vacuum(
        self,
        keep: int | None = None,
        older_than: float | None = None,
        *,
        orphans_older_than: float = ORPHAN_AGE,
        all_of: str = "",
    ) -> int:
        draft = self.to_change()
        said = Keep.of(draft.base.facts)
        expire = Keep(
            said.versions if keep is None else keep,
            said.seconds if older_than is None else older_than,
        )
        segment = draft.root.groups[all_of].segment if all_of in draft.root.groups else ""
        return draft.vacuum(expire, orphans_older_than, segment)

    def verify(self) -> None:
        draft = self.draft
        if draft.dirty:
            raise ValueError("there are changes that are not committed: commit or roll back first")
        kept = [n for n in kept_versions(draft.base.facts) if n <= draft.base.number]
        found = list(verify.problems(draft, kept))
        if found:
            shown = "; ".join(found[:20])
            raise CorruptDataError(f"{self._url}: {len(found)} things are wrong: {shown}")

    def rollback(self) -> None:
        self.to_change().rollback()

    def atomic(self) -> contextlib.AbstractContextManager[None]:
        return self.to_change().atomic()

    def history(self) -> Iterator[Commit]:
        draft = self.draft
        newest = commit.load(draft.store)
        facts = (newest or draft.base).facts
        return commit.history(draft.store, kept_versions(facts))

    def stored_sizes(self) -> Mapping[tuple[str, ...], int]:
        draft = self.draft
        by_path: dict[str, int] = {}
        for entry in draft.store.everything(""):
            path = entry.key.split("/c/", 1)[0]
            by_path[path] = by_path.get(path, 0) + entry.size
        found: dict[tuple[str, ...], int] = {}

        def visit(names: tuple[str, ...], node: Node) -> None:
            paths = [array.stored.path for array in node.arrays.values() if array.stored]
            if node.arrays:
                found[names] = sum(by_path.get(path, 0) for path in paths)
            for name, below in node.groups.items():
                visit((*names, name), below)

        visit((), draft.root)
        return found

    def close(self) -> None:
        draft = self._draft
        if draft is None:
            return
        # A failed commit leaves it open, so that nothing is lost and it can be tried again.
        if self._writable and draft.pid == os.getpid():
            draft.publish()
        self._release(draft)

    def abandon(self) -> None:
        draft = self._draft
        if draft is None:
            return
        self._draft = None
        draft.users.discard(id(self))
        if draft.users or draft.pid != os.getpid() or not self._writable:
            if not draft.users:
                sharing.forget(draft)
            return
        sharing.commit_orphan(draft)

    def _release(self, draft: Draft) -> None:
        self._draft = None
        draft.users.discard(id(self))
        if not draft.users:
            sharing.forget(draft)


class ZarrGroup(Group):
    """
    A group of a draft, by the names that lead to it.

    Parameters
    ----------
    storage
        The handle.
    path
        Logical names from the root.
    """

    def __init__(self, storage: ZarrStorage, path: tuple[str, ...]) -> None:
        self._storage = storage
        self._path = path

    @property
    def node(self) -> Node:
        """The node that has these names now; KeyError where none has."""
        node = self._storage.draft.root
        for name in self._path:
            node = node.groups[name]
        return node

    def _to_change(self) -> Node:
        self._storage.to_change().dirty = True
        return self.node

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
        self._to_change().attributes.update(attributes)

    def keys(self) -> Sequence[str]:
        return list(self.node.groups)

    def __contains__(self, name: object) -> bool:
        return name in self.node.groups

    def group(self, name: str) -> ZarrGroup:
        if name not in self.node.groups:
            raise KeyError(name)
        return ZarrGroup(self._storage, (*self._path, name))

    def create_group(
        self, name: str, attributes: Mapping[str, Any] | None = None, row_block: int | None = None
    ) -> ZarrGroup:
        name = names.check(name)
        parent = self.node
        if name in parent.groups:
            raise NameTakenError(f"{name!r} exists already in {self._describe()}")
        segment = names.unique_segment(name, self._segments(parent))
        about = {"name": name, **(attributes or {})}
        if row_block is not None:
            about["row_block"] = row_block
        self._to_change().groups[name] = Node(segment, about, row_block or parent.row_block)
        return ZarrGroup(self._storage, (*self._path, name))

    @staticmethod
    def _segments(parent: Node) -> list[str]:
        return [node.segment for node in parent.groups.values()]

    def _describe(self) -> str:
        where = "/".join(self._path)
        return f"{where!r} of {self._storage.url}" if where else self._storage.url

    def delete_group(self, name: str) -> None:
        del self._to_change().groups[name]

    def rename_groups(self, renames: Mapping[str, str]) -> None:
        parent = self._to_change()
        renames = {old: names.check(new) for old, new in renames.items()}
        after = [renames.get(name, name) for name in parent.groups]
        if len(set(after)) != len(after):
            taken = sorted({name for name in after if after.count(name) > 1})
            raise NameTakenError(f"{taken[0]!r} exists already in {self._describe()}")
        segments = {
            name: node.segment for name, node in parent.groups.items() if name not in renames
        }
        for old, new in renames.items():
            segments[old] = names.unique_segment(new, segments.values())
        groups = {}
        for (old, node), new in zip(parent.groups.items(), after, strict=True):
            node.segment = segments[old]
            node.attributes["name"] = new
            groups[new] = node
        parent.groups = groups

    def reorder(self, order: Sequence[str]) -> None:
        node = self._to_change()
        node.groups = {name: node.groups[name] for name in order}

    def array(self, role: str) -> ZarrArray:
        return ZarrArray(self._storage, self.node.arrays[role])

    def new_array(self, role: str, dtype: npt.DTypeLike) -> ZarrArray:
        draft = self._storage.to_change()
        node, prefix = draft.root, []
        for name in self._path:
            node = node.groups[name]
            prefix.append(node.segment)
        of_bytes = node.attributes.get("fieldtype") == "indexedstring"
        dtype = np.dtype(dtype).newbyteorder("=")
        block = block_of(role, dtype, node.row_block, of_bytes=of_bytes)
        array = DraftArray(draft.context, "/".join(prefix), role, dtype, block)
        return ZarrArray(self._storage, array)

    def set_array(self, role: str, array: Array) -> None:
        assert isinstance(array, ZarrArray)
        self._to_change().arrays[role] = array.draft_array


class ZarrArray(Array):
    """
    An array of a draft, as one user may use it.

    Parameters
    ----------
    storage
        The handle.
    array
        Of the draft.
    """

    def __init__(self, storage: ZarrStorage, array: DraftArray) -> None:
        self._storage = storage
        self.draft_array = array

    def _to_change(self) -> DraftArray:
        self._storage.to_change().dirty = True
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
        self._to_change().append(values)

    def write(self, start: int, values: AnyArray) -> None:
        self._to_change().write(start, values)

    def clear(self) -> None:
        self._to_change().clear()
