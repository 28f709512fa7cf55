"""The contract of storage over a draft: what one user of a dataset holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exetera_zarr.errors import CorruptDataError
from exetera_zarr.storage import keys
from exetera_zarr.storage.base import Capability, Commit
from exetera_zarr.storage.tree import DraftStorage
from exetera_zarr.storage.zarr import manifests, verify
from exetera_zarr.storage.zarr.draft import Draft
from exetera_zarr.storage.zarr.groups import ZarrGroup
from exetera_zarr.storage.zarr.retention import ORPHAN_AGE, Keep, kept_versions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from exetera_zarr.storage.zarr.layout import Node


__all__ = ["ZarrStorage"]

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
        said = draft.keep
        expire = Keep(
            said.versions if keep is None else keep,
            said.seconds if older_than is None else older_than,
        )
        return draft.vacuum(expire, orphans_older_than, all_of)

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

        def visit(names: tuple[str, ...], node: Node) -> None:
            paths = [array.stored.path for array in node.arrays.values() if array.stored]
            if node.arrays:
                found[names] = sum(by_path.get(path, 0) for path in paths)
            for name, below in node.groups.items():
                visit((*names, name), below)

        visit((), draft.root)
        return found
