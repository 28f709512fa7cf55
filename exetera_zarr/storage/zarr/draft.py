"""The draft: a dataset's newest version with the uncommitted changes over it."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import secrets
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from exetera_zarr._version import __version__
from exetera_zarr.errors import ConflictError
from exetera_zarr.storage.base import ROW_BLOCK
from exetera_zarr.storage.zarr import commit, layout, transfer
from exetera_zarr.storage.zarr.arrays import DraftContext, StoredArray
from exetera_zarr.storage.zarr.cache import WriteBack
from exetera_zarr.storage.zarr.layout import Node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from exetera_zarr.storage.zarr.store import ObjectStore

__all__ = ["Draft", "claim"]


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
                self._show(before.below if before.published else {})
            elif not self.base.published:
                self._show({})
            return self.base.number

    def repair(self) -> None:
        """Publish the base version, whose root document the store does not have."""
        with self.context.lock:
            self._show({})

    def _show(self, before: Mapping[str, Any]) -> None:
        """
        Let other Zarr readers see the base version.

        A failure is a warning: the version is committed, and the next writer publishes it.
        """
        published = True
        try:
            commit.publish(self.store, self.base, before)
        except Exception as error:  # noqa: BLE001 - whatever it is, the commit stands
            published = False
            warnings.warn(
                f"version {self.base.number} of {self.store.url} is committed, but other Zarr "
                f"readers cannot see it before the next commit: {error}",
                RuntimeWarning,
                stacklevel=4,
            )
        finally:
            self.base = replace(self.base, published=published)

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
            "created": now(),
            "writer": f"exetera_zarr {__version__}",
            "changed": _changed(self.base.below, below),
            "tables": list(self.root.groups),
            "row_block": self.root.row_block,
        }


def now() -> str:
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


def claim(store: ObjectStore) -> commit.Version | None:
    """Create version 0, the empty dataset; None where another process was faster."""
    facts = {
        "format": layout.FORMAT,
        "requires": [],
        "version": 0,
        "previous": None,
        "draft": secrets.token_hex(8),
        "created": now(),
        "writer": f"exetera_zarr {__version__}",
        "changed": [],
        "tables": [],
        "row_block": ROW_BLOCK,
    }
    data = layout.encode({}, facts, {})
    if not commit.create(store, 0, data):
        return None
    return commit.Version(0, data, layout.decode(data, store.url), published=False)
