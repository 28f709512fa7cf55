"""The contract of storage over an HDF5 file: what one user of it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import numpy.typing as npt

from exetera_zarr.errors import (
    ArgumentError,
    CorruptDataError,
    DataError,
    StorageError,
    UnsupportedError,
)
from exetera_zarr.storage import names
from exetera_zarr.storage.base import Capability, Erased
from exetera_zarr.storage.hdf5.arrays import DraftArray
from exetera_zarr.storage.hdf5.draft import Draft
from exetera_zarr.storage.hdf5.nodes import Node
from exetera_zarr.storage.hdf5.notes import NATIVE
from exetera_zarr.storage.tree import DraftArrayHandle, DraftGroup, DraftStorage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from exetera_zarr.storage.base import Commit, Storage, VersionLike
    from exetera_zarr.storage.provenance import About, Tag

__all__ = ["HDF5Group", "HDF5Storage"]


class HDF5Storage(DraftStorage[Draft]):
    """
    One user's handle on the draft of an HDF5 file.

    Parameters
    ----------
    draft, writable
        As of `DraftStorage`.
    committed
        Whether this user is to see nothing that is not committed.
    """

    def __init__(self, draft: Draft, *, writable: bool, committed: bool = False) -> None:
        self._committed = committed
        if committed:
            self._refuse_changed(draft)
        super().__init__(draft, writable=writable)

    @property
    def draft(self) -> Draft:
        draft = super().draft
        if self._committed and draft.dirty:
            self._refuse_changed(draft)
        return draft

    @staticmethod
    def _refuse_changed(draft: Draft) -> None:
        """Raise StorageError where only what is not committed could be shown."""
        if draft.dirty:
            raise StorageError(
                f"{draft.url} is being changed by another user in this process, and an HDF5 file "
                "cannot show what it was before: commit or roll that back first, or read it there; "
                "a .zarr dataset can be read while it is changed"
            )

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset([Capability.ROLLBACK])

    @property
    def version(self) -> int:
        return self.draft.version

    @property
    def root(self) -> HDF5Group:
        return HDF5Group(self, self.draft.root, ())

    def commit(
        self,
        *,
        force: bool = False,  # noqa: ARG002 - nobody else writes
        message: str = "",
        author: str = "",
    ) -> int:
        if message or author:
            self._refuse("a message or an author cannot be kept")
        return self.to_change().commit()

    def tags(self) -> Mapping[str, Tag]:
        self._refuse("there are no tags")

    def tag(self, tag: Tag, version: VersionLike | None = None) -> int:  # noqa: ARG002
        self._refuse("a tag cannot be set")

    def untag(self, name: str) -> None:  # noqa: ARG002
        self._refuse("there are no tags")

    def restore(self, version: VersionLike, about: About) -> int:  # noqa: ARG002
        self._refuse("nothing can be restored")

    def refresh(self) -> int:
        self.draft.refresh()
        return self.draft.version

    def _refuse(self, what: str) -> NoReturn:
        raise UnsupportedError(
            f"{what}: an HDF5 file ({self._url}) has no versions; exetera-zarr convert makes a "
            "dataset that has"
        )

    @property
    def retention(self) -> tuple[int, float]:
        self._refuse("versions cannot be kept")

    def retain(self, versions: int, seconds: float) -> None:  # noqa: ARG002
        self._refuse("versions cannot be kept")

    def usage(
        self,
        keep: int | None = None,  # noqa: ARG002
        older_than: float | None = None,  # noqa: ARG002
    ) -> NoReturn:
        self._refuse("no version takes anything")

    def kept(self) -> tuple[()]:
        return ()

    def erase(
        self,
        change: Callable[[Storage], Collection[str]],
        about: About,  # noqa: ARG002
        *,
        rewrite: bool,
    ) -> Erased:
        if rewrite:
            self._refuse("there are no older versions to be kept")
        with self.atomic():
            change(self)
        self.to_change().repack()
        return Erased(self.version)

    def at(self, version: VersionLike | None) -> NoReturn:  # noqa: ARG002
        self._refuse("there are no older versions")

    def history(self) -> Iterator[Commit]:
        self._refuse("there is no history")

    def vacuum(
        self,
        keep: int | None = None,  # noqa: ARG002 - there are no versions
        older_than: float | None = None,  # noqa: ARG002
        *,
        orphans_older_than: float = 0.0,  # noqa: ARG002
    ) -> int:
        self.to_change().repack()
        return 0

    def verify(self) -> None:
        draft = self.draft
        if draft.dirty:
            raise ArgumentError(
                "there are changes that are not committed: commit or roll back first"
            )
        for path, node in draft.root.walk():
            draft.children(node)
            _check(f"{self._url}: {'/'.join(path)}", node)

    def stored_sizes(self) -> Mapping[tuple[str, ...], int]:
        draft = self.draft
        found: dict[tuple[str, ...], int] = {}
        for path, node in draft.root.walk():
            draft.children(node)
            if node.is_field:
                found[path] = sum(stored.size() for stored in node.in_file.arrays.values())
        return found


def _check(where: str, node: Node) -> None:
    """Read all of a node; CorruptDataError where offsets descend, or lead out of the bytes."""
    for array in node.arrays.values():
        for start in range(0, array.length, array.block):
            array.read(start, min(start + array.block, array.length), None)
    index = node.arrays.get("index")
    if index is None:
        return
    last = 0
    for start in range(0, index.length, index.block):
        part = index.read(start, min(start + index.block, index.length), None)
        if int(part[0]) < last or (part[1:] < part[:-1]).any():
            raise CorruptDataError(f"{where}: the offsets from {start} on do not ascend")
        last = int(part[-1])
    if last > node.arrays["values"].length:
        raise CorruptDataError(
            f"{where}: the offsets end at {last} of {node.arrays['values'].length} bytes"
        )


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
            draft.save(parent)
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
