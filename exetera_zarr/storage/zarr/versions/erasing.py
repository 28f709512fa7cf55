"""Taking something out of every version, and out of the store."""

from __future__ import annotations

import secrets
from itertools import chain
from typing import TYPE_CHECKING, Any

from exetera_zarr.storage import concurrency, keys
from exetera_zarr.storage.base import Erased
from exetera_zarr.storage.zarr import layout
from exetera_zarr.storage.zarr.draft import Draft
from exetera_zarr.storage.zarr.table_documents import Documents
from exetera_zarr.storage.zarr.versions import manifests, sweep
from exetera_zarr.storage.zarr.versions.changes import manifest_of
from exetera_zarr.storage.zarr.versions.retention import ORPHAN_AGE, Keep, kept_versions
from exetera_zarr.storage.zarr.versions.rewritten import Rewritten
from exetera_zarr.storage.zarr.without_rows import WrittenParts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from exetera_zarr.storage.provenance import About
    from exetera_zarr.storage.zarr.versions.changes import Manifest

__all__ = ["Erasing"]


class _Scratch(Draft):
    """A draft of which no version is made: what becomes of it is written by whoever has it."""

    @property
    def dirty(self) -> bool:
        return False

    @property
    def clean(self) -> bool:
        return True


class Erasing:
    """
    An erasure under way.

    The versions that are kept are written anew, without what goes, beside those that are there.
    One commit then has all of these count; before it, nothing is changed, and what was written is
    what a crashed draft leaves. After it the old ones are removed, which can be repeated.

    Parameters
    ----------
    draft
        Over the newest version, without changes.
    """

    def __init__(self, draft: Draft) -> None:
        self._draft, self._store = draft, draft.store
        self._id = secrets.token_hex(8)
        facts = draft.base.facts
        self._kept = kept_versions(facts)
        self._rewritten = Rewritten.of(facts)
        self._written: list[int] | None = None
        self._parts = WrittenParts()

    def versions(self) -> Iterator[Draft]:
        """Each version that is kept, ascending, as a draft that takes changes."""
        self._written = []
        scratch: _Scratch | None = None
        before = Documents()
        base: Manifest | None = None
        for number in self._kept:
            version = manifests.read(self._store, number, None, self._rewritten)
            if scratch is None:
                scratch = _Scratch(self._store, version)
                scratch.written_parts = self._parts
            else:
                scratch.move_to(version)
            yield scratch
            before = scratch.settled_documents(before)
            base = self._write(version, before, base)
            self._written.append(number)
            self._parts.next_version()
        self._draft.written_parts = self._parts
        if scratch is not None:
            scratch.release()

    def _write(
        self, version: manifests.Version, below: Documents, base: Manifest | None
    ) -> Manifest:
        """Write what a version has now beside its manifest."""
        facts = version.facts
        checksum = facts.pop("checksum")
        parts = (layout.SEGMENTS, layout.PACKS)
        facts["requires"] = [
            *(name for name in facts["requires"] if name not in parts),
            *layout.features(below),
        ]
        facts.setdefault("original", checksum)
        # So that who opens it after this erasure is not taken for one who did before.
        facts["erasure"] = self._draft.base.number + 1
        attributes = {k: v for k, v in version.attributes.items() if k != "exetera"}
        made = manifests.Version.made(below, facts, attributes, Documents(), self._store.url)
        found = manifest_of(made, base)
        self._store.put(keys.rewritten_key(self._id, version.number), found.data)
        self._store.sync()
        return found

    def finish(self, tables: Collection[str], about: About) -> Erased:
        """
        Commit, and remove what had it.

        Parameters
        ----------
        tables
            Names of the tables that had it.
        about
            What the version says of itself.
        """
        draft, store = self._draft, self._store
        there = {entry.key for entry in store.everything("")}
        rewritten = None if self._written is None else Rewritten.by(self._id, self._written)
        draft.commit_erasure(about, rewritten, Keep(1, 0.0) if rewritten is None else None)
        draft.vacuum(draft.keep, ORPHAN_AGE, [name for name in tables if name in draft.root.groups])
        facts = draft.base.facts
        if rewritten is not None:
            live: set[str] = set()
            # Of tables and fields that the newest version does not have at these paths, documents
            # are still there as they were before: nobody needs them but who has the newest.
            passed: set[str] = set()
            for found in manifests.documents(store, kept_versions(facts).runs, Rewritten.of(facts)):
                live |= found.keys()
                groups = (path for path, about in found.items() if about["node_type"] == "group")
                passed.update(path for path in groups if path not in draft.base.below)
            # One that was interrupted may have left what versions had before it as well.
            newest = draft.base.number
            first = manifests.documents(store, [range(newest)])
            before = chain(first, manifests.documents(store, self._kept.runs, self._rewritten))
            sweep.remove_documents(store, before, live - passed, newest)
            sweep.remove_groups(store, passed, newest)
        self._remove_documents(draft.base.number, facts)
        left = {entry.key for entry in store.everything("")}
        return Erased(
            draft.base.number,
            tuple(self._written or ()),
            self._dropped() if rewritten is None else (),
            tuple(sorted(there - left)),
        )

    def _dropped(self) -> tuple[int, ...]:
        newest = self._draft.base.number
        return tuple(number for number in self._kept if number != newest)

    def _remove_documents(self, newest: int, facts: dict[str, Any]) -> None:
        """Leave nothing of what versions said before, neither of manifests nor beside them."""
        manifests.erase(self._store, range(newest))
        current = Rewritten.of(facts).id
        strange = [
            entry.key
            for entry in self._store.everything(keys.REWRITTEN)
            if keys.erasure_of(entry.key) not in (None, current)
        ]
        concurrency.each(self._store.delete, strange, self._store.concurrency)
        self._store.sync()
