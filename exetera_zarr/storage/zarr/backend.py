"""The Zarr back end: the draft that the users of one URL in this process share, and its handles."""

from __future__ import annotations

import atexit
import contextlib
import datetime as dt
import gc
import os
import secrets
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from exetera_zarr._version import __version__
from exetera_zarr.errors import (
    ConflictError,
    DatasetExistsError,
    DatasetNotFoundError,
    NameTakenError,
    ReadOnlyError,
)
from exetera_zarr.storage import names
from exetera_zarr.storage.base import (
    ROW_BLOCK,
    AnyArray,
    Array,
    Capability,
    Commit,
    Group,
    Storage,
)
from exetera_zarr.storage.zarr import commit, layout, transfer
from exetera_zarr.storage.zarr.arrays import (
    DraftArray,
    DraftContext,
    StoredArray,
    block_of,
)
from exetera_zarr.storage.zarr.cache import WriteBack
from exetera_zarr.storage.zarr.layout import Node
from exetera_zarr.storage.zarr.store import ObjectStore, open_store

__all__ = ["ZarrArray", "ZarrGroup", "ZarrStorage", "open_zarr"]

_CAPABILITIES = frozenset(
    [Capability.VERSIONS, Capability.MULTIPLE_WRITERS, Capability.ROLLBACK, Capability.ZARR]
)


class Draft:
    """
    A dataset's newest version, and the uncommitted changes over it.

    Parameters
    ----------
    store
        Where it lives.
    version
        The version it starts from.
    row_block
        Rows of a block of new tables.
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
        row_block: int | None = None,
        cache_limit: int = 1 << 30,
        spill_dir: str | None = None,
        created: bool = False,
    ) -> None:
        self.store = store
        self.base = version
        self.pid = os.getpid()
        self.id = secrets.token_hex(8)
        self.dirty = False
        self.depth = 0
        self.users: set[int] = set()
        uploads = transfer.Uploads(store, min(256 << 20, cache_limit))
        self.context = DraftContext(
            store, uploads, WriteBack(cache_limit, spill_dir), virgin=created
        )
        self.root = self._tree()
        if row_block is not None:
            self.root.row_block = row_block

    def _tree(self) -> Node:
        where = f"{self.store.url} version {self.base.number}"
        return layout.tree(self.base.document, self.context, where)

    def start_empty(self) -> None:
        """Drop every table from the draft; the versions before stay."""
        self.root = Node(attributes={}, row_block=self.root.row_block)
        self.dirty = True

    def rollback(self) -> None:
        """Return to the committed version."""
        with self.context.lock:
            self.context.epoch += 1
            self.root = self._tree()
            self.dirty = False

    @contextlib.contextmanager
    def atomic(self) -> Iterator[None]:
        """All or nothing, by a snapshot of the tree."""
        with self.context.lock:
            snapshot, dirty = self.root.clone(), self.dirty
            self.context.epoch += 1
            self.depth += 1
            try:
                yield
            except BaseException:
                self.root, self.dirty = snapshot, dirty
                self.context.epoch += 1
                raise
            finally:
                self.depth -= 1

    def publish(self) -> int:
        """Make the draft a version; see `Storage.commit`."""
        with self.context.lock:
            if self.depth:
                raise ValueError("a commit inside of a transaction would make a half of it last")
            if self.dirty:
                stored = self._settle()
                version = self._write_manifest(stored)
                before, self.base = self.base, version
                self.dirty = self.context.virgin = False
                for _, node in self.root.walk():
                    for array in node.arrays.values():
                        array.settled(stored[id(array)])
                commit.publish(self.store, version, before.below if before.published else {})
            elif not self.base.published:
                self.repair()
            return self.base.number

    def repair(self) -> None:
        """Publish the base version, whose root document the store does not have."""
        commit.publish(self.store, self.base, {})
        self.base = commit.Version(self.base.number, self.base.data, self.base.document)

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
                stored[id(array)] = target
                tasks += work
        transfer.each(lambda task: task(), tasks, self.store.concurrency)
        self.store.settle()
        return stored

    def _write_manifest(self, stored: Mapping[int, StoredArray]) -> commit.Version:
        below = layout.documents(self.root, stored)
        number = self.base.number + 1
        data = layout.encode(below, self._facts(number, below), self.root.attributes)
        if not commit.create(self.store, number, data):
            raise ConflictError(
                f"{self.store.url}: another writer committed version {number} while this draft "
                f"was over version {self.base.number}; the draft is kept"
            )
        return commit.Version(number, data, layout.decode(data, self.store.url))

    def _facts(self, number: int, below: Mapping[str, Any]) -> dict[str, Any]:
        facts = self.base.facts
        facts.pop("checksum")
        return {
            **facts,
            "version": number,
            "previous": self.base.facts["checksum"],
            "draft": self.id,
            "created": _now(),
            "writer": f"exetera_zarr {__version__}",
            "changed": _changed(self.base.below, below),
            "tables": list(self.root.groups),
            "row_block": self.root.row_block,
        }


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Logical names of the top-level groups that differ, below or in themselves."""
    differing = {
        path.split("/", 1)[0]
        for path in before.keys() | after.keys()
        if before.get(path) != after.get(path)
    }
    return sorted(
        (after.get(top) or before[top])["attributes"].get("name", top) for top in differing
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

    def commit(self) -> int:
        return self.to_change().publish()

    def rollback(self) -> None:
        self.to_change().rollback()

    def atomic(self) -> contextlib.AbstractContextManager[None]:
        return self.to_change().atomic()

    def history(self) -> Iterator[Commit]:
        return commit.history(self.draft.store)

    def stored_sizes(self) -> Mapping[tuple[str, ...], int]:
        draft = self.draft
        by_path: dict[str, int] = {}
        for key, size in draft.store.sizes("").items():
            path = key.split("/c/", 1)[0]
            by_path[path] = by_path.get(path, 0) + size
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
                _forget(draft)
            return
        _commit_orphan(draft)

    def _release(self, draft: Draft) -> None:
        self._draft = None
        draft.users.discard(id(self))
        if not draft.users:
            _forget(draft)


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


# -- opening, and the drafts that this process has open

_drafts: dict[str, Draft] = {}
_drafts_lock = threading.RLock()


def open_zarr(
    url: str,
    mode: str,
    options: Mapping[str, Any] | None = None,
    *,
    row_block: int | None = None,
    cache_limit: int = 1 << 30,
    spill_dir: str | None = None,
    durability: str = "fsync",
    single_writer: bool = False,
) -> ZarrStorage:
    """
    Open or create the dataset at a place.

    Parameters
    ----------
    url
        A path, or a URL that fsspec knows.
    mode
        ``r`` read, ``r+`` read and write, ``w`` start empty, ``x`` create, ``a`` open or create.
    options
        Passed to the fsspec file system.
    row_block
        Rows of a block of new tables, when the dataset is created.
    cache_limit
        Bytes of changed blocks kept in memory.
    spill_dir
        Where changed blocks beyond that go.
    durability
        ``fsync``, or ``none`` where a local commit need not survive a loss of power.
    single_writer
        No other process writes: needed where create-if-absent is not known to be atomic.

    Raises
    ------
    DatasetNotFoundError, DatasetExistsError
        There is nothing, or there is something.
    """
    if durability not in ("fsync", "none"):
        raise ValueError(f"durability is {durability!r}; it can be 'fsync' or 'none'")
    store = open_store(
        url, options or {}, durable=durability == "fsync", single_writer=single_writer
    )
    writable = mode != "r"
    with _drafts_lock:
        draft = _drafts.get(store.url)
        if draft is not None and draft.pid == os.getpid():
            return _share(draft, mode)
        settings: dict[str, Any] = {
            "row_block": row_block,
            "cache_limit": cache_limit,
            "spill_dir": spill_dir,
        }
        draft = _load(store, mode, settings)
        if writable:
            _drafts[store.url] = draft
        return ZarrStorage(draft, writable=writable)


def _share(draft: Draft, mode: str) -> ZarrStorage:
    """Another handle on a draft that is open in this process."""
    if mode == "x":
        raise DatasetExistsError(f"there is a dataset already at {draft.store.url}")
    if mode == "w":
        draft.publish()
        with draft.context.lock:
            draft.context.epoch += 1
            draft.start_empty()
    return ZarrStorage(draft, writable=mode != "r")


def _load(store: ObjectStore, mode: str, settings: Mapping[str, Any]) -> Draft:
    version = commit.load(store)
    if version is None:
        if mode in ("r", "r+"):
            raise DatasetNotFoundError(_nothing(store))
        if not store.empty():
            raise DatasetExistsError(
                f"{store.url} holds something that is not a dataset; it is left alone"
            )
        version = _claim(store)
        if version is not None:
            return Draft(store, version, created=True, **settings)
        version = commit.load(store)  # another process was faster
        assert version is not None
    if mode == "x":
        raise DatasetExistsError(f"there is a dataset already at {store.url}")
    draft = Draft(store, version, **settings)
    if mode == "w":
        draft.start_empty()
    elif mode != "r" and not version.published:
        draft.repair()
    return draft


def _claim(store: ObjectStore) -> commit.Version | None:
    """Create version 0, the empty dataset; None where another process was faster."""
    facts = {
        "format": layout.FORMAT,
        "requires": [],
        "version": 0,
        "previous": None,
        "draft": secrets.token_hex(8),
        "created": _now(),
        "writer": f"exetera_zarr {__version__}",
        "changed": [],
        "tables": [],
        "row_block": ROW_BLOCK,
    }
    data = layout.encode({}, facts, {})
    if not commit.create(store, 0, data):
        return None
    return commit.Version(0, data, layout.decode(data, store.url), published=False)


def _nothing(store: ObjectStore) -> str:
    if store.empty():
        return f"there is no dataset at {store.url}"
    return f"what is at {store.url} is not a dataset of exetera_zarr"


def _forget(draft: Draft) -> None:
    with _drafts_lock:
        if _drafts.get(draft.store.url) is draft:
            del _drafts[draft.store.url]


# -- datasets that were dropped without being closed

_collecting = threading.local()


def _note_collection(phase: str, _: dict[str, int]) -> None:
    _collecting.active = phase == "start"


def _commit_orphan(draft: Draft) -> None:
    """
    Commit the draft of a dataset whose last user is gone.

    The garbage collector can run anywhere, in the middle of another thread's locks: then the commit
    is made by a thread of its own, and whoever opens the place meanwhile shares the draft.
    """
    if not draft.dirty and draft.base.published:
        _forget(draft)
    elif getattr(_collecting, "active", False):
        threading.Thread(target=_commit_quietly, args=(draft,)).start()
    else:
        _commit_quietly(draft)


def _commit_quietly(draft: Draft) -> None:
    """Commit for a user who is gone, and say so: first keep the data, then warn."""
    if draft.users:
        return
    try:
        draft.publish()
    except Exception as error:  # noqa: BLE001 - there is nobody left to raise it to
        text = f"exetera_zarr: what was not committed of {draft.store.url} is lost: {error}"
        print(text, file=sys.stderr)  # noqa: T201
    _forget(draft)
    warnings.warn(
        f"the dataset {draft.store.url} was not closed; its changes were committed when it was "
        "dropped",
        ResourceWarning,
        stacklevel=2,
    )


def _at_exit() -> None:
    """Commit what is still open, while threads can still be started."""
    for draft in list(_drafts.values()):
        if draft.pid == os.getpid() and draft.depth == 0:
            draft.users.clear()
            with contextlib.suppress(ResourceWarning):
                _commit_orphan(draft)


def _install() -> None:
    gc.callbacks.append(_note_collection)
    # `atexit` comes too late: by then the interpreter refuses new tasks for thread pools, which
    # the store and the network clients below it need (CPython's threading._shutdown order).
    register = getattr(threading, "_register_atexit", atexit.register)
    register(_at_exit)


_install()
