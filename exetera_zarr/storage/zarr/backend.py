"""Opening and creating datasets of the Zarr back end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import (
    ConflictError,
    DatasetExistsError,
    DatasetNotFoundError,
    VersionNotFoundError,
    listing,
)
from exetera_zarr.storage import concurrency, sharing
from exetera_zarr.storage.remote.urls import check_writable
from exetera_zarr.storage.stores.disk_cache import cached
from exetera_zarr.storage.stores.opening import open_store
from exetera_zarr.storage.zarr import manifests
from exetera_zarr.storage.zarr.draft import Draft, claim
from exetera_zarr.storage.zarr.retention import kept_versions
from exetera_zarr.storage.zarr.storage import ZarrStorage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exetera_zarr.storage.stores.base import ObjectStore

__all__ = ["open_zarr"]


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
    version: int | None = None,
    cache: tuple[str, int] | None = None,
    shared_reads: bool = False,
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
        Rows of a block of tables that do not say otherwise, when the dataset is created.
    cache_limit
        Bytes of changed blocks kept in memory.
    spill_dir
        Where changed blocks beyond that go.
    durability
        ``fsync``, or ``none`` where a local commit need not survive a loss of power.
    single_writer
        No other process writes: needed where create-if-absent is not known to be atomic.
    version
        An older version, for reading; the newest one if not given.
    cache
        Folder and bytes of a cache of chunks that were read from elsewhere.
    shared_reads
        Whether mode ``r`` shows what this process has not committed of the dataset, too.

    Raises
    ------
    DatasetNotFoundError, DatasetExistsError
        There is nothing, or there is something.
    UnsupportedError
        The place can only be read, and the mode is another one.
    """
    if durability not in ("fsync", "none"):
        raise ValueError(f"durability is {durability!r}; it can be 'fsync' or 'none'")
    writable = mode != "r"
    if writable:
        check_writable(url)
    store = open_store(
        url, options or {}, durable=durability == "fsync", single_writer=single_writer
    )
    if version is not None:
        if writable:
            raise ValueError("an older version can only be read: use mode 'r'")
        there = _at(store, version)
        draft = Draft(cached(store, there, cache), there, writable=False)
        return ZarrStorage(draft, writable=False)
    with sharing.opening(store.identity):
        if not (writable or shared_reads):
            sharing.settle_orphan(store.identity)
            return ZarrStorage(_load(store, mode, {}, cache), writable=False)
        shared = _shared(store.identity, writable=writable)
        if shared is not None and _is_there(shared):
            if durability == "fsync":
                shared.draft.store.durable = True
            return _share(shared, mode)
        settings: dict[str, Any] = {
            "row_block": row_block,
            "cache_limit": cache_limit,
            "spill_dir": spill_dir,
        }
        draft = _load(store, mode, settings, cache)
        storage = ZarrStorage(draft, writable=writable)
        if writable:
            with sharing.lock:
                sharing.drafts[store.identity] = draft
        return storage


def _at(store: ObjectStore, number: int) -> manifests.Version:
    """A version by its number, if it is still kept."""
    newest = manifests.load(store)
    if newest is None:
        raise DatasetNotFoundError(_nothing(store))
    kept = kept_versions(newest.facts)
    if number not in kept:
        before = "" if number > newest.number else ", and what it had may have been removed"
        raise VersionNotFoundError(
            f"{store.url} has no version {number}{before}; there are: {listing(kept)}"
        )
    return newest if number == newest.number else manifests.read(store, number)


def _shared(identity: str, *, writable: bool) -> ZarrStorage | None:
    """Another handle on the draft of a place that is open in this process, if one is."""
    with sharing.lock:
        draft = sharing.drafts.get(identity)
        if not isinstance(draft, Draft) or draft.pid != os.getpid():
            return None
        return ZarrStorage(draft, writable=writable)


def _is_there(shared: ZarrStorage) -> bool:
    """Whether a draft's dataset still is; if not, its users keep it, and nobody joins them."""
    draft = shared.draft
    try:
        manifests.confirm(draft.store, draft.base)
    except ConflictError:
        sharing.drop(draft)
        shared.abandon()
        return False
    except BaseException:
        shared.abandon()
        raise
    return True


def _share(shared: ZarrStorage, mode: str) -> ZarrStorage:
    try:
        if mode == "x":
            raise DatasetExistsError(f"there is a dataset already at {shared.url}")
        if mode == "w":
            shared.draft.publish()
            shared.draft.start_empty()
    except BaseException:
        shared.abandon()
        raise
    return shared


def _load(
    store: ObjectStore, mode: str, settings: dict[str, Any], cache: tuple[str, int] | None
) -> Draft:
    try:
        version = manifests.load(store)
    except FileNotFoundError as error:  # not even the bucket
        raise DatasetNotFoundError(f"there is no dataset at {store.url}: {error}") from error
    if version is None:
        if mode in ("r", "r+"):
            raise DatasetNotFoundError(_nothing(store))
        _check_free(store)
        store.prepare()
        version = claim(store, settings.pop("row_block"))
        if version is not None:
            return Draft(cached(store, version, cache), version, created=True, **settings)
        version = manifests.load(store)  # another process was faster
        assert version is not None
    if mode == "x":
        raise DatasetExistsError(f"there is a dataset already at {store.url}")
    settings.pop("row_block", None)
    if mode != "r":
        store.prepare()
    draft = Draft(cached(store, version, cache), version, writable=mode != "r", **settings)
    if mode == "w":
        draft.start_empty()
    elif mode != "r":
        draft.repair()
    return draft


def _check_free(store: ObjectStore) -> None:
    """DatasetExistsError where a dataset may not be created."""
    enclosing = concurrency.pool(store.concurrency).submit(store.enclosing)
    if not store.empty():
        raise DatasetExistsError(
            f"{store.url} holds something that is not a dataset; it is left alone"
        )
    above = enclosing.result()
    if above is not None:
        raise DatasetExistsError(
            f"{store.url} is inside of the dataset {above}, which would take it for its own"
        )


def _nothing(store: ObjectStore) -> str:
    if store.empty():
        return f"there is no dataset at {store.url}"
    return f"what is at {store.url} is not a dataset of exetera_zarr"
