"""The contract of storage over a draft: what one user of a dataset holds."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from exetera_zarr.errors import CorruptDataError, ReadOnlyError
from exetera_zarr.storage.base import Capability, Commit, Storage
from exetera_zarr.storage.zarr import commit, sharing, verify
from exetera_zarr.storage.zarr.groups import ZarrGroup
from exetera_zarr.storage.zarr.retention import ORPHAN_AGE, Keep, kept_versions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from exetera_zarr.storage.zarr.draft import Draft
    from exetera_zarr.storage.zarr.layout import Node


__all__ = ["ZarrStorage"]

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
        if draft.pid != os.getpid():
            raise ReadOnlyError(
                f"the dataset {self._url} was opened before this process was forked: its draft "
                "belongs to the parent; open it again here"
            )
        return draft

    @contextlib.contextmanager
    def changing(self) -> Iterator[Draft]:
        """A block in which this user alone changes the draft."""
        draft = self.to_change()
        with draft.context.lock:
            yield draft
            draft.dirty = True

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
        return ZarrGroup(self, None, ())

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
        draft.finish()
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
            draft.finish()
