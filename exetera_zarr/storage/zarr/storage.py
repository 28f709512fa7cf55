"""The contract of storage over a draft of versions: what one user of a dataset holds."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exetera_zarr.errors import (
    ArgumentError,
    ConflictError,
    CorruptDataError,
    VersionNotFoundError,
    listing,
)
from exetera_zarr.storage import keys, names
from exetera_zarr.storage.base import Address, Capability, Commit
from exetera_zarr.storage.provenance import Operation
from exetera_zarr.storage.tree import DraftArrayHandle, DraftGroup, DraftStorage
from exetera_zarr.storage.zarr.arrays import block_of
from exetera_zarr.storage.zarr.draft import Draft
from exetera_zarr.storage.zarr.jobs.workshop import ZarrWorkshop
from exetera_zarr.storage.zarr.layout import Node
from exetera_zarr.storage.zarr.packs import PackedPart
from exetera_zarr.storage.zarr.segments import SegmentedArray, paired
from exetera_zarr.storage.zarr.versions import manifests, verify
from exetera_zarr.storage.zarr.versions.erasing import Erasing
from exetera_zarr.storage.zarr.versions.retention import ORPHAN_AGE, Keep, kept_versions
from exetera_zarr.storage.zarr.versions.rewritten import Rewritten
from exetera_zarr.storage.zarr.versions.tags import (
    NEXT,
    check_name,
    found,
    refuse_taken,
    tags_of,
)
from exetera_zarr.storage.zarr.versions.usage import usage
from exetera_zarr.storage.zarr.without_rows import leave_packs, strange_packs, without_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from exetera_zarr.storage.base import AnyArray, Erased, Storage, Usage, VersionLike
    from exetera_zarr.storage.provenance import About, Tag
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

    def workshop(self, job: str) -> ZarrWorkshop:
        return ZarrWorkshop(self.draft, job)

    def address(self, name: str | None = None) -> Address:
        draft = self.draft
        base, way = draft.base, draft.store.way
        assert way is not None  # as of every store that was opened
        node = None if name is None else draft.root.groups[name]
        known = None if node is None else base.below.tables.get(node.segment)
        if node is not None and (known is None or not node.is_still(known)):
            raise ArgumentError(
                f"{name!r} of {self._url} has changes that are not committed, which other "
                "processes cannot see: call commit() of the dataset first"
            )
        return Address(
            way.url,
            way.options,
            base.number,
            base.facts["checksum"],
            way.withheld,
            draft.store.durable,
            draft.store.single_writer,
        )

    @property
    def root(self) -> ZarrGroup:
        return ZarrGroup(self, None, ())

    def commit(self, *, force: bool = False, message: str = "", author: str = "") -> int:
        return self.to_change().commit(force=force, message=message, author=author)

    def note(self, operation: Operation) -> None:
        self.to_change().tell(operation)

    def _newest(self) -> manifests.Version:
        draft = self.draft
        return manifests.load(draft.store) or draft.base

    def tags(self) -> Mapping[str, Tag]:
        return tags_of(self._newest().facts)

    def known_tags(self) -> Mapping[str, Tag]:
        return tags_of(self.draft.base.facts)

    def tag(self, tag: Tag, version: VersionLike | None = None) -> int:
        draft = self.to_change()
        draft.refuse_within("a tag is set by a commit, which would make a half of it last")
        name, newest = check_name(tag.name), self._newest()
        refuse_taken(newest.facts, name, self._url)
        if version is not None:
            number = found(draft.store, newest, version)
        else:
            number = NEXT if draft.dirty else draft.base.number
        draft.refresh()  # so that it is known what is kept
        draft.set_tag(name, replace(tag, name=name, version=number))
        about = {} if number == NEXT else {"version": number}
        draft.tell(Operation("tag", "", details={"tag": name, **about}))
        committed = self._commit_tag(name)
        return committed if number == NEXT else number

    def _commit_tag(self, name: str) -> int:
        """Commit what is to become of a tag; where it may not be, the draft is without it."""
        try:
            return self.draft.commit()
        except (ConflictError, VersionNotFoundError):
            self.draft.forget_tag(name)
            raise

    def untag(self, name: str) -> None:
        draft = self.to_change()
        draft.refuse_within("a tag is removed by a commit, which would make a half of it last")
        draft.refresh()
        tags = tags_of(draft.base.facts)
        if name not in tags:
            raise VersionNotFoundError(
                f"{self._url} has no tag {name!r}; there are: {listing(tags)}"
            )
        draft.set_tag(name, None)
        draft.tell(Operation("untag", "", details={"tag": name, "version": tags[name].version}))
        self._commit_tag(name)

    def restore(self, version: VersionLike, about: About) -> int:
        draft = self.to_change()
        draft.refuse_within(
            "what is restored is committed, which inside of a transaction is a half"
        )
        if draft.dirty:
            raise ArgumentError(
                "there are changes that are not committed: commit or roll back first"
            )
        draft.refresh()
        number = found(draft.store, draft.base, version)
        draft.return_to(manifests.read(draft.store, number, None, Rewritten.of(draft.base.facts)))
        draft.tell(Operation("restore", "", details={"version": number}))
        message = about.message or f"restored version {number}"
        return draft.commit(message=message, author=about.author)

    def refresh(self) -> int:
        return self.draft.refresh()

    @property
    def retention(self) -> tuple[int, float]:
        keep = self.draft.keep
        return keep.versions, keep.seconds

    def retain(self, versions: int, seconds: float) -> None:
        self.to_change().retain(Keep(versions, seconds))

    def vacuum(
        self,
        keep: int | None = None,
        older_than: float | None = None,
        *,
        orphans_older_than: float = ORPHAN_AGE,
    ) -> int:
        draft = self.to_change()
        return draft.vacuum(self._expire(keep, older_than), orphans_older_than)

    def _expire(self, keep: int | None, older_than: float | None) -> Keep:
        """What is kept, as far as the dataset does not say it."""
        said = self.draft.keep
        return Keep(
            said.versions if keep is None else keep,
            said.seconds if older_than is None else older_than,
        )

    def usage(self, keep: int | None = None, older_than: float | None = None) -> Usage:
        return usage(self.draft.store, self._newest(), self._expire(keep, older_than))

    def kept(self) -> Collection[int]:
        return kept_versions(self._newest().facts)

    def erase(
        self,
        change: Callable[[Storage], Collection[str]],
        about: About,
        *,
        rewrite: bool,
    ) -> Erased:
        draft = self.to_change()
        draft.refuse_within("what is erased is committed, which would make a half of it last")
        if draft.dirty:
            draft.commit()
        draft.refresh()
        erasing = Erasing(draft)
        try:
            if rewrite:
                for scratch in erasing.versions():
                    change(ZarrStorage(scratch, writable=True))
            with draft.atomic():
                tables = change(self)
            return erasing.finish(tables, about)
        except (FileNotFoundError, CorruptDataError) as error:
            base, newest = draft.base.number, manifests.newest(draft.store)
            if newest is None or newest <= base:
                raise
            raise ConflictError(
                f"{self._url}: another writer committed version {newest} while something was "
                f"erased, so that nothing was: erase it again ({error})"
            ) from error
        finally:
            draft.written_parts = None

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
            count = "1 thing is" if len(found) == 1 else f"{len(found)} things are"
            raise CorruptDataError(f"{self._url}: {count} wrong: {shown}")

    def at(self, version: VersionLike | None) -> ZarrStorage:
        store, newest = self.draft.store, self._newest()
        there = newest
        if version is not None and (number := found(store, newest, version)) != newest.number:
            there = manifests.read(store, number, None, Rewritten.of(newest.facts))
        return ZarrStorage(Draft(store, there, writable=False), writable=False)

    def history(self) -> Iterator[Commit]:
        return manifests.history(self.draft.store, self._newest().facts)

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
    node
        The node, where it is known.
    """

    _storage: ZarrStorage

    def __init__(
        self,
        storage: ZarrStorage,
        node_id: str | None,
        path: tuple[str, ...],
        node: Node | None = None,
    ) -> None:
        super().__init__(storage, path)
        self._id = node_id
        self._renumbered = len(storage.draft.renumbered)
        self._kind = (self.node if node is None else node).attributes.get("fieldtype")

    @property
    def node(self) -> Node:
        """The node that it stands for now; KeyError where there is none."""
        draft = self._storage.draft
        if self._id is None:
            return draft.root
        if self._renumbered < len(draft.renumbered):
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
        return ZarrGroup(self._storage, node.id, (*self._path, name), node)

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
            draft.save(parent)
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

    def without_rows(self, gone: Callable[[int, int], AnyArray]) -> bool:
        with self._storage.changing() as draft:
            without_rows(self._to_change(), draft.context, gone, draft.written_parts)
        return True

    def leave_packs(self) -> None:
        if strange := strange_packs(self.node):  # else nothing changes, so that there is no version
            with self._storage.changing():
                leave_packs(self.node, strange)

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

    def rely_on_rows(self) -> None:
        with self._storage.to_change().context.lock:  # which is no change, so nothing to commit
            self._to_change().relied_on = True

    def put(self, arrays: Mapping[str, ArrayOfDraft]) -> None:
        super().put(arrays)
        paired(self.node.arrays)
