"""The contract of storage over a draft of versions: what one user of a dataset holds."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exetera_zarr.errors import ArgumentError, CorruptDataError
from exetera_zarr.storage import keys, names
from exetera_zarr.storage.base import Capability, Commit
from exetera_zarr.storage.tree import DraftArrayHandle, DraftGroup, DraftStorage
from exetera_zarr.storage.zarr.arrays import block_of
from exetera_zarr.storage.zarr.draft import Draft
from exetera_zarr.storage.zarr.layout import Node
from exetera_zarr.storage.zarr.packs import PackedPart
from exetera_zarr.storage.zarr.segments import SegmentedArray, paired
from exetera_zarr.storage.zarr.versions import manifests, verify
from exetera_zarr.storage.zarr.versions.retention import ORPHAN_AGE, Keep, kept_versions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from exetera_zarr.storage.tree import ArrayOfDraft
    from exetera_zarr.storage.zarr.segments import Part

__all__ = ["ZarrGroup", "ZarrStorage"]

_CAPABILITIES = frozenset(
    [Capability.VERSIONS, Capability.MULTIPLE_WRITERS, Capability.ROLLBACK, Capability.ZARR]
)


class ZarrStorage(DraftStorage[Draft]):
    """One user's handle on a draft of versions."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        return _CAPABILITIES

    @property
    def version(self) -> int:
        return self.draft.base.number

    @property
    def root(self) -> ZarrGroup:
        return ZarrGroup(self, None, ())

    def commit(self, *, force: bool = False) -> int:
        return self.to_change().commit(force=force)

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
        said = draft.keep
        expire = Keep(
            said.versions if keep is None else keep,
            said.seconds if older_than is None else older_than,
        )
        return draft.vacuum(expire, orphans_older_than, all_of)

    def compact(self, table: str | None = None) -> None:
        with self.changing() as draft, draft.atomic():
            nodes = draft.root.groups.values() if table is None else [draft.root.groups[table]]
            for node in nodes:
                for part in (node, *node.groups.values()):
                    for array in part.arrays.values():
                        array.compact()

    def verify(self) -> None:
        draft = self.draft
        if draft.dirty:
            raise ArgumentError(
                "there are changes that are not committed: commit or roll back first"
            )
        draft.finish()
        found = list(verify.problems(draft, kept_versions(draft.base.facts)))
        if found:
            shown = "; ".join(found[:20])
            raise CorruptDataError(f"{self._url}: {len(found)} things are wrong: {shown}")

    def history(self) -> Iterator[Commit]:
        draft = self.draft
        newest = manifests.load(draft.store)
        facts = (newest or draft.base).facts
        return manifests.history(draft.store, kept_versions(facts))

    def stored_sizes(self) -> Mapping[tuple[str, ...], int]:
        draft = self.draft
        by_path: dict[str, int] = {}
        for entry in draft.store.everything(""):
            if not entry.key.endswith(f"/{keys.DOCUMENT}"):
                path = keys.node_of(entry.key)
                by_path[path] = by_path.get(path, 0) + entry.size
        found: dict[tuple[str, ...], int] = {}

        def size_of(part: Part) -> int:
            if isinstance(part, PackedPart):
                return part.size
            return 0 if part.stored is None else by_path.get(part.stored.path, 0)

        def visit(names: tuple[str, ...], node: Node) -> None:
            if node.arrays:
                parts = [part for array in node.arrays.values() for part in array.parts]
                found[names] = sum(size_of(part) for part in parts)
            for name, below in node.groups.items():
                visit((*names, name), below)

        visit((), draft.root)
        return found


class ZarrGroup(DraftGroup):
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

    _storage: ZarrStorage

    def __init__(self, storage: ZarrStorage, node_id: str | None, path: tuple[str, ...]) -> None:
        super().__init__(storage, path)
        self._id = node_id
        self._renumbered = len(storage.draft.renumbered)
        self._kind = self.node.attributes.get("fieldtype")

    @property
    def node(self) -> Node:
        """The node that it stands for now; KeyError where there is none."""
        draft = self._storage.draft
        if self._id is None:
            return draft.root
        for renumbered in draft.renumbered[self._renumbered :]:
            self._id = renumbered.get(self._id, self._id)
        self._renumbered = len(draft.renumbered)
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

    def _below(self, node: Node, name: str) -> ZarrGroup:
        return ZarrGroup(self._storage, node.id, (*self._path, name))

    def create_group(
        self, name: str, attributes: Mapping[str, Any] | None = None, row_block: int | None = None
    ) -> ZarrGroup:
        name = names.check(name)
        with self._storage.changing() as draft:
            parent = self.node
            self._check_new(name, parent.groups)
            segment = names.unique_segment(name, parent.folded())
            about = {"name": name, **(attributes or {})}
            block = row_block or parent.row_block
            if "fieldtype" not in about:
                about["row_block"] = block
            child = Node(secrets.token_hex(8), segment, about, block)
            draft.log.save(parent)
            parent.add(name, child)
            draft.note((*self._path, name), child)
            return self._below(child, name)

    def _renamed(self, node: Node, renames: Mapping[str, str]) -> dict[str, Node]:
        segments = {
            name: child.segment for name, child in node.groups.items() if name not in renames
        }
        folded = {segment.casefold() for segment in segments.values()}
        for old, new in renames.items():
            segments[old] = names.unique_segment(new, folded)
            folded.add(segments[old].casefold())
        draft = self._storage.draft
        groups = {}
        for old, child in node.groups.items():
            groups[renames.get(old, old)] = child
            if old in renames:
                if node is draft.root:
                    draft.context.segments.setdefault(child.id, set()).add(child.segment)
                attributes = {**child.attributes, "name": renames[old]}
                groups[renames[old]] = replace(child, segment=segments[old], attributes=attributes)
        return groups

    def new_array(self, role: str, dtype: npt.DTypeLike) -> DraftArrayHandle:
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
            array = SegmentedArray(draft.context, "/".join(prefix), role, dtype, block)
            return DraftArrayHandle(self._storage, array)

    def put(self, arrays: Mapping[str, ArrayOfDraft]) -> None:
        super().put(arrays)
        paired(self.node.arrays)
