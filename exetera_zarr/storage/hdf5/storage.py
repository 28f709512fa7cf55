"""The contract of storage over an HDF5 file: what one user of it holds."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, NoReturn

from exetera_zarr.errors import CorruptDataError, ReadOnlyError, UnsupportedError
from exetera_zarr.storage import sharing
from exetera_zarr.storage.base import Capability, Storage
from exetera_zarr.storage.hdf5.groups import HDF5Group

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from exetera_zarr.storage.base import Commit
    from exetera_zarr.storage.hdf5.draft import Draft
    from exetera_zarr.storage.hdf5.nodes import Node

__all__ = ["HDF5Storage"]


class HDF5Storage(Storage):
    """
    One user's handle on the draft of an HDF5 file.

    Parameters
    ----------
    draft
        Shared with the other users of the same file in this process.
    writable
        Whether this user may change it.
    """

    def __init__(self, draft: Draft, *, writable: bool) -> None:
        self._draft: Draft | None = draft
        self._writable = writable
        self._url = draft.url
        sharing.join(draft, id(self))

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
        if draft.pid != os.getpid():
            raise ReadOnlyError(
                f"the dataset {self._url} was opened before this process was forked: it belongs "
                "to the parent"
            )
        return draft

    @contextlib.contextmanager
    def changing(self) -> Iterator[Draft]:
        """A block in which this user alone changes the draft."""
        draft = self.to_change()
        with draft.changing():
            yield draft

    @property
    def url(self) -> str:
        return self._url

    @property
    def writable(self) -> bool:
        return self._writable

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset([Capability.ROLLBACK])

    @property
    def version(self) -> int:
        return self.draft.version

    @property
    def changed(self) -> bool:
        return self.draft.dirty

    @property
    def root(self) -> HDF5Group:
        return HDF5Group(self, self.draft.root, ())

    def commit(self, *, force: bool = False) -> int:  # noqa: ARG002 - nobody else writes
        return self.to_change().publish()

    def refresh(self) -> int:
        self.draft.refresh()
        return self.draft.version

    def _refuse(self, what: str) -> NoReturn:
        raise UnsupportedError(
            f"{what}: an HDF5 file ({self._url}) has no versions; exetera-zarr convert makes a "
            "dataset that has"
        )

    def retain(self, versions: int, seconds: float) -> None:  # noqa: ARG002
        self._refuse("versions cannot be kept")

    def history(self) -> Iterator[Commit]:
        self._refuse("there is no history")

    def vacuum(
        self,
        keep: int | None = None,  # noqa: ARG002 - there are no versions
        older_than: float | None = None,  # noqa: ARG002
        *,
        orphans_older_than: float = 0.0,  # noqa: ARG002
        all_of: str = "",  # noqa: ARG002 - nothing is left of any table
    ) -> int:
        self.to_change().repack()
        return 0

    def verify(self) -> None:
        draft = self.draft
        if draft.dirty:
            raise ValueError("there are changes that are not committed: commit or roll back first")
        for path, node in draft.root.walk():
            draft.children(node)
            _check(f"{self._url}: {'/'.join(path)}", node)

    def rollback(self) -> None:
        self.to_change().rollback()

    def atomic(self) -> contextlib.AbstractContextManager[None]:
        return self.to_change().atomic()

    def stored_sizes(self) -> Mapping[tuple[str, ...], int]:
        draft = self.draft
        found: dict[tuple[str, ...], int] = {}
        for path, node in draft.root.walk():
            draft.children(node)
            if node.is_field:
                found[path] = sum(stored.size() for stored in node.in_file.arrays.values())
        return found

    def close(self) -> None:
        draft = self._draft
        if draft is None:
            return
        # A failed commit leaves it open, so that nothing is lost and it can be tried again.
        alone = draft.dirty and draft.users == {id(self)}
        if draft.pid == os.getpid() and (self._writable or alone):
            draft.publish()
        self._draft = None
        if sharing.leave(draft, id(self)):
            sharing.forget(draft)

    def abandon(self) -> None:
        draft = self._draft
        self._draft = None
        if draft is not None and sharing.leave(draft, id(self)):
            if draft.pid == os.getpid():
                sharing.commit_orphan(draft)
            else:
                sharing.forget(draft)


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
