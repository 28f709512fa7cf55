"""The contract of storage over an HDF5 file: what one user of it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from exetera_zarr.errors import CorruptDataError, StorageError, UnsupportedError
from exetera_zarr.storage.base import Capability
from exetera_zarr.storage.hdf5.draft import Draft
from exetera_zarr.storage.hdf5.groups import HDF5Group
from exetera_zarr.storage.tree import DraftStorage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from exetera_zarr.storage.base import Commit
    from exetera_zarr.storage.hdf5.nodes import Node

__all__ = ["HDF5Storage"]


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
