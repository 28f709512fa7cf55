"""The draft: a dataset's newest version with the uncommitted changes over it."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import secrets
import time
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

from exetera_zarr._version import __version__
from exetera_zarr.errors import (
    ConflictError,
    CorruptDataError,
    StorageError,
    VersionNotFoundError,
    listing,
)
from exetera_zarr.storage.base import ROW_BLOCK
from exetera_zarr.storage.zarr import commit, layout, sweep, transfer
from exetera_zarr.storage.zarr.arrays import DraftContext, StoredArray
from exetera_zarr.storage.zarr.cache import WriteBack
from exetera_zarr.storage.zarr.layout import Node
from exetera_zarr.storage.zarr.retention import ORPHAN_AGE, Keep, kept_versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from exetera_zarr.storage.zarr.store import ObjectStore

__all__ = ["Draft", "claim"]

_OLD = ORPHAN_AGE - 86_400.0
"""Seconds after which a draft renews what it has uploaded, a day before that may be swept."""


class Draft:
    """
    A dataset's newest version, and the uncommitted changes over it.

    Parameters
    ----------
    store
        Where it lives.
    version
        The version it starts from.
    cache_limit
        Bytes of changed blocks kept in memory.
    spill_dir
        Where changed blocks beyond that go.
    created
        Whether this process has just created the dataset.
    """

    def __init__(
        self,
        store: ObjectStore,
        version: commit.Version,
        *,
        cache_limit: int = 1 << 30,
        spill_dir: str | None = None,
        created: bool = False,
    ) -> None:
        self.store = store
        self.base = version
        self.pid = os.getpid()
        self.id = secrets.token_hex(8)
        self.dirty = False
        self.emptied = False
        self.policy: Keep | None = None
        self.depth = 0
        self.users: set[int] = set()
        uploads = transfer.Uploads(store, min(256 << 20, cache_limit))
        self.context = DraftContext(
            store, uploads, WriteBack(cache_limit, spill_dir), self._gone, virgin=created
        )
        transfer.pool(1, "sweep")  # as with uploads: it may be needed when none can be started
        self._sweeping: Future[None] | None = None
        self._shown = version if version.published else None
        self._began = clock()
        self._index: dict[str, tuple[tuple[str, ...], Node]] | None = None
        self._before: Node | None = None
        self._uncertain = False
        self.root = self._tree()

    @property
    def root(self) -> Node:
        """The tree as it is now."""
        return self._root

    @root.setter
    def root(self, root: Node) -> None:
        self._root = root
        self._index = None

    def reindex(self) -> None:
        """Note that groups came, went or have other names."""
        self._index = None

    def find(self, node_id: str) -> tuple[tuple[str, ...], Node] | None:
        """The names that lead to a node, and the node; None if there is none of that id."""
        index = self._index
        if index is None:
            index = {}
            for name, node in self._root.groups.items():
                index[node.id] = (name,), node
                for below, child in node.groups.items():
                    index[child.id] = (name, below), child
            self._index = index
        return index.get(node_id)

    def _tree(self) -> Node:
        where = f"{self.store.url} version {self.base.number}"
        return layout.tree(self.base.document, self.context, where)

    @property
    def clean(self) -> bool:
        """Whether there is nothing to commit, and nothing to publish."""
        return not self.dirty and self._shown is self.base

    def start_empty(self) -> None:
        """Drop every table from the draft; the versions before stay."""
        self.root = Node(attributes={}, row_block=self.root.row_block)
        self.dirty = self.emptied = True

    def rollback(self) -> None:
        """Return to the committed version."""
        with self.context.lock:
            self.context.epoch += 1
            self.context.uploads.forget_failure()
            self.store.forget()
            self.root = self._tree()
            self.dirty = self.emptied = False
            self.policy = None
            self._began = clock()

    def refresh(self) -> int:
        """
        Move to the newest version; changes that were made stay, over that.

        Raises
        ------
        ConflictError
            Another writer changed one of the same tables.
        """
        with self.context.lock:
            newest = commit.load(self.store)
            if newest is not None and newest.number > self.base.number:
                if self.dirty:
                    self._meet(force=False)
                else:
                    self.base = newest
                    self.root = self._tree()
                    self._began = clock()
                self.context.epoch += 1
            return self.base.number

    @contextlib.contextmanager
    def atomic(self) -> Iterator[None]:
        """All or nothing, by a snapshot of the tree."""
        with self.context.lock:
            snapshot, dirty, emptied = self.root.clone(), self.dirty, self.emptied
            self.context.epoch += 1
            self.depth += 1
            if self.depth == 1:
                self._before = snapshot
            try:
                yield
            except BaseException:
                self.root, self.dirty, self.emptied = snapshot, dirty, emptied
                self.context.epoch += 1
                self.context.uploads.forget_failure()
                raise
            finally:
                self.depth -= 1
                if self.depth == 0:
                    self._before = None

    def abandon_transaction(self) -> None:
        """Return to what was before the transaction that somebody never ended."""
        if self._before is not None:
            self.root, self.depth, self._before = self._before, 0, None

    def publish(self, *, force: bool = False, expire: Keep | None = None) -> int:
        """
        Make the draft a version; see `Storage.commit`.

        Parameters
        ----------
        force
            Whether our tables win over what another writer made of them.
        expire
            What is kept of the versions before, this time; what the dataset says if not given.
        """
        with self.context.lock:
            if self.depth:
                raise ValueError("a commit inside of a transaction would make a half of it last")
            if not self.dirty and (expire is None or not self._would_expire(expire)):
                self.repair()
                return self.base.number
            stored, version = self._commit(force, expire)
            expired = [v for v in self._kept() if v not in kept_versions(version.facts)]
            self.base = version
            self.dirty = self.emptied = self.context.virgin = False
            self.context.used.clear()
            self.policy = None
            self._began = clock()
            for _, node in self.root.walk():
                for array in node.arrays.values():
                    array.settled(stored[id(array)])
            if self._show() and expired:
                self._sweep(expired)
            return self.base.number

    def _kept(self) -> list[int]:
        return kept_versions(self.base.facts)

    def _would_expire(self, expire: Keep) -> bool:
        """Whether versions would go by another rule, not counting the newest one."""
        kept = self.base.facts.get("kept", [])
        return len(expire.choose(kept[:-1], *kept[-1])) < len(kept) if kept else False

    def retain(self, policy: Keep) -> None:
        """Have the dataset keep versions by a rule, from the next commit on."""
        with self.context.lock:
            self.policy, self.dirty = policy, True

    def vacuum(self, expire: Keep | None, orphans_older_than: float, all_below: str = "") -> int:
        """
        Commit, expire versions, publish everything again, and remove what nothing reaches.

        Parameters
        ----------
        expire
            As of `publish`.
        orphans_older_than
            Seconds; see `sweep.sweep_orphans`.
        all_below
            Node path of a table whose orphans are removed whatever their age.

        Returns
        -------
        int
            How many objects were removed that no version had.
        """
        with self.context.lock:
            self.publish(expire=expire or self.policy or Keep.of(self.base.facts))
            self.finish()
            self._shown = None
            if not self._show():
                raise StorageError(f"{self.store.url} cannot be published, so nothing is swept")
            return sweep.sweep_orphans(self.store, self._kept(), orphans_older_than, all_below)

    def _commit(
        self, force: bool, expire: Keep | None
    ) -> tuple[dict[int, StoredArray], commit.Version]:
        """Write the manifest, over the version of whoever was faster if that does no harm."""
        if clock() - self._began > _OLD:
            self._renew()
        base, root = self.base, self.root
        while True:
            try:
                stored = self._settle()
            except (CorruptDataError, VersionNotFoundError) as error:
                if self.base is not base:
                    # Forced over a version that does not have what this draft is over, and that is
                    # gone: there is nothing to win with.
                    number, self.base, self.root = self.base.number, base, root
                    raise ConflictError(
                        f"{self.store.url}: version {base.number}, which this draft is over, was "
                        f"removed after version {number} was committed, so the draft cannot win: "
                        f"rollback() and refresh() drop it ({error})"
                    ) from error
                # Perhaps what we started from was swept, and then we are too late in any case.
                if commit.newest(self.store) == self.base.number:
                    raise
                self._meet(force=force)
                continue
            number = self.base.number + 1
            below = layout.documents(self.root, stored, self.base.below, number)
            facts = self._facts(number, below, expire)
            data = layout.encode(below, facts, self.root.attributes)
            if self._create(number, data):
                return stored, commit.Version(number, data, layout.decode(data, self.store.url))
            self._meet(force=force)

    def _renew(self) -> None:
        """
        Have all that was uploaded copied, and so be there and young, when it is committed.

        A vacuum takes what is old and in no version for the remains of a crash.
        """
        for _, node in self.root.walk():
            for array in node.arrays.values():
                array.forget_target()

    def _gone(self, key: str) -> Exception:
        """What a missing chunk means."""
        node = key.split("/c/", 1)[0]
        if node in self.context.used and node not in self.base.below:
            return _removed(f"{self.store.url}/{key}")
        newest = commit.newest(self.store)  # without a pool, whose thread this may be
        if newest is not None:
            kept = kept_versions(commit.read(self.store, newest).facts)
            if self.base.number not in kept:
                return VersionNotFoundError(
                    f"{self.store.url}/{key} is gone: version {self.base.number} was removed "
                    f"after version {newest} was committed; refresh() moves to that"
                )
        return CorruptDataError(f"{self.store.url}/{key}: the chunk is missing")

    def _create(self, number: int, data: bytes) -> bool:
        try:
            return commit.create(self.store, number, data)
        except BaseException:
            # It may have been applied, and then a version reaches what we wrote: nothing of that
            # may be written again.
            self._uncertain = True
            for _, node in self.root.walk():
                for array in node.arrays.values():
                    array.forget_target()
            raise

    def _meet(self, *, force: bool) -> None:
        """Go over the versions that were committed since the one that this draft is over."""
        following = commit.read(self.store, self.base.number + 1)
        if self._uncertain and following.facts["draft"] == self.id:
            # Our own commit, whose reply was lost: this draft has all that it has, and more.
            self._rebase(following, force=True)
            self._uncertain = False
            return
        newest = commit.newest(self.store)
        assert newest is not None
        self._rebase(commit.read(self.store, newest), force=force)

    def _ours(self) -> dict[str, str]:
        """Path segments of the root's children that this draft changes, with their names."""
        assumed = {}
        for path, node in self.root.walk():
            for role, array in node.arrays.items():
                unsettled = StoredArray(f"{path}/{role}?", array.dtype, 0, 1, {"unsettled": True})
                keep = array.stored is not None and not array.changed
                assumed[id(array)] = array.stored if keep and array.stored else unsettled
        below = layout.documents(self.root, assumed, self.base.below, self.base.number + 1)
        return _changed(self.base.below, below)

    def _rebase(self, newest: commit.Version, *, force: bool) -> None:
        """
        Put the changes of this draft over a newer version.

        Raises
        ------
        ConflictError
            Both changed the same table; the draft stays as it is.
        """
        theirs = _changed(self.base.below, newest.below)
        ours = self._ours()
        if self.emptied:
            ours |= theirs | _changed({}, self.base.below)
        folded = {segment.casefold() for segment in theirs}
        both = sorted(name for segment, name in ours.items() if segment.casefold() in folded)
        if both and not force:
            raise ConflictError(
                f"{self.store.url}: {listing(both)} changed in this draft, which is over version "
                f"{self.base.number}, and by another writer up to version {newest.number}; the "
                "draft is kept: commit(force=True) lets it win, rollback() and refresh() drop it"
            )
        where = f"{self.store.url} version {newest.number}"
        merged = layout.tree(newest.document, self.context, where)
        mine = {segment.casefold() for segment in ours}
        attributes = self.root.attributes or merged.attributes
        groups = {n: g for n, g in merged.groups.items() if g.segment.casefold() not in mine}
        groups |= {n: g for n, g in self.root.groups.items() if g.segment.casefold() in mine}
        for node in (groups[name] for name in self.root.groups if name in groups):
            _move_orphans(node, newest.below)
        merged.groups, merged.attributes = groups, attributes
        self.base, self.root = newest, merged
        self.context.virgin = False

    def repair(self) -> None:
        """Publish the base version, unless other Zarr readers see it already."""
        with self.context.lock:
            if self._shown is not self.base:
                self._show()

    def _show(self) -> bool:
        """
        Let other Zarr readers see the base version; whether that worked.

        A failure is a warning: the version is committed, and the next writer publishes it.
        """
        try:
            commit.publish(self.store, self.base, self._shown)
        except Exception as error:  # noqa: BLE001 - whatever it is, the commit stands
            warnings.warn(
                f"version {self.base.number} of {self.store.url} is committed, but other Zarr "
                f"readers cannot see it before the next commit: {error}",
                RuntimeWarning,
                stacklevel=4,
            )
            return False
        self._shown = self.base
        return True

    def _sweep(self, expired: Sequence[int]) -> None:
        """Remove what only versions reach that are no longer kept, beside what comes next."""
        self.finish()
        task = partial(sweep.sweep_versions, self.store, expired, self._kept(), self.base)
        self._sweeping = transfer.beside(task, self.store.concurrency)
        if self._sweeping.done():
            self.finish()

    def finish(self) -> None:
        """Return when nothing is being swept; what failed is left there, with a warning."""
        sweeping, self._sweeping = self._sweeping, None
        if sweeping is None or self.pid != os.getpid():
            return
        error = sweeping.exception()
        if error is not None:  # vacuum() finds what is left
            warnings.warn(
                f"{self.store.url}: some objects of expired versions are still there: {error}",
                RuntimeWarning,
                stacklevel=4,
            )

    def _settle(self) -> dict[int, StoredArray]:
        """Have every array of the draft in the store, and what each of them is there."""
        stored: dict[int, StoredArray] = {}
        tasks: list[Callable[[], None]] = []
        for path, node in self.root.walk():
            for role, array in node.arrays.items():
                target, work = array.settle(path)
                if not target.document:
                    document = layout.array_document(target, role)
                    target = StoredArray(
                        target.path, target.dtype, target.length, target.chunk, document
                    )
                    # Nobody looks at the path yet, and nobody ever writes another document there.
                    key, data = f"{target.path}/zarr.json", layout.plain(document)
                    tasks.append(partial(self.store.put, key, data))
                stored[id(array)] = target
                tasks += work
        transfer.each(lambda task: task(), tasks, self.store.concurrency)
        try:
            self.store.settle()
        except FileNotFoundError as error:
            raise _removed(f"{error.filename}") from error
        return stored

    def _facts(self, number: int, below: Mapping[str, Any], expire: Keep | None) -> dict[str, Any]:
        facts = self.base.facts
        facts.pop("checksum")
        policy = self.policy or Keep.of(facts)
        present = clock()
        return {
            **facts,
            "version": number,
            "previous": self.base.facts["checksum"],
            "draft": self.id,
            "created": _text(present),
            "writer": f"exetera_zarr {__version__}",
            "changed": sorted(_changed(self.base.below, below).values()),
            "tables": list(self.root.groups),
            "row_block": self.root.row_block,
            "keep": {"versions": policy.versions, "seconds": policy.seconds},
            "kept": (expire or policy).choose(facts.get("kept", []), number, present),
        }


def clock() -> float:
    """Seconds since 1970; tests set another one."""
    return time.time()


def _removed(what: str) -> ConflictError:
    return ConflictError(
        f"{what} was removed since it was written here, before it was committed: rollback(), and "
        "make the changes again"
    )


def _text(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds")


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, str]:
    """Path segment and name of the root's children that differ, in themselves or below."""
    differing = {
        path.split("/", 1)[0]
        for path in before.keys() | after.keys()
        if before.get(path) != after.get(path)
    }
    return {
        top: (after.get(top) or before[top])["attributes"].get("name", top) for top in differing
    }


def _move_orphans(node: Node, below: Mapping[str, Any]) -> None:
    """Have arrays copied that a newer version does not reach: they may be swept any time."""
    for part in (node, *(child for _, child in node.walk())):
        for array in part.arrays.values():
            if array.stored is not None and array.stored.path not in below:
                array.move()


def claim(store: ObjectStore, row_block: int | None) -> commit.Version | None:
    """Create version 0, the empty dataset; None where another process was faster."""
    present, policy = clock(), Keep()
    facts = {
        "format": layout.FORMAT,
        "requires": [],
        "version": 0,
        "previous": None,
        "draft": secrets.token_hex(8),
        "created": _text(present),
        "writer": f"exetera_zarr {__version__}",
        "changed": [],
        "tables": [],
        "row_block": row_block or ROW_BLOCK,
        "keep": {"versions": policy.versions, "seconds": policy.seconds},
        "kept": [[0, present]],
    }
    data = layout.encode({}, facts, {})
    if not commit.create(store, 0, data):
        return None
    return commit.Version(0, data, layout.decode(data, store.url))
