"""Opening and creating datasets of the Zarr back end."""

from __future__ import annotations

import json
import os
from functools import partial
from typing import TYPE_CHECKING

from exetera_zarr.errors import (
    ArgumentError,
    ConflictError,
    DatasetExistsError,
    DatasetNotFoundError,
)
from exetera_zarr.storage import concurrency, sharing
from exetera_zarr.storage.provenance import NOTHING_SAID
from exetera_zarr.storage.remote.urls import check_writable
from exetera_zarr.storage.stores.disk_cache import cached
from exetera_zarr.storage.stores.opening import open_store
from exetera_zarr.storage.zarr.documents import without_collections
from exetera_zarr.storage.zarr.draft import Draft, claim
from exetera_zarr.storage.zarr.storage import ZarrStorage
from exetera_zarr.storage.zarr.versions import manifests
from exetera_zarr.storage.zarr.versions.rewritten import Rewritten
from exetera_zarr.storage.zarr.versions.tags import found

if TYPE_CHECKING:
    from exetera_zarr.storage.base import Address, VersionLike
    from exetera_zarr.storage.options import OpenOptions
    from exetera_zarr.storage.stores.base import ObjectStore

__all__ = ["open_address", "open_zarr"]


def open_zarr(url: str, mode: str, options: OpenOptions) -> ZarrStorage:
    """
    Open or create the dataset at a place.

    Parameters
    ----------
    url
        A path, or a URL that fsspec knows.
    mode
        ``r`` read, ``r+`` read and write, ``w`` start empty, ``x`` create, ``a`` open or create.
    options
        How.

    Raises
    ------
    DatasetNotFoundError, DatasetExistsError
        There is nothing, or there is something.
    UnsupportedError
        The place can only be read, and the mode is another one.
    """
    writable = mode != "r"
    if writable:
        check_writable(url)
    store = open_store(
        url,
        options.storage_options,
        durable=options.durable,
        single_writer=options.single_writer,
    )
    if options.version is not None:
        if writable:
            raise ArgumentError("an older version can only be read: use mode 'r'")
        there = _at(store, options.version)
        draft = Draft(cached(store, there, _cache(options)), there, writable=False)
        return ZarrStorage(draft, writable=False)
    with sharing.opening(store.identity):
        if not (writable or options.shared_reads):
            sharing.commit_abandoned(store.identity)
            sharing.warn_of_changes(store.identity)
            return ZarrStorage(_load(store, mode, options), writable=False)
        shared = _shared(store.identity, writable=writable)
        if shared is not None and _is_there(shared):
            if options.durable:
                shared.draft.store.durable = True
            if writable and options.about != NOTHING_SAID:
                shared.draft.said = options.about
            return _share(shared, mode)
        draft = _load(store, mode, options)
        storage = ZarrStorage(draft, writable=writable)
        draft.said = options.about
        if writable:
            with sharing.lock:
                sharing.drafts[store.identity] = draft
        return storage


def open_address(address: Address, cache_limit: int) -> ZarrStorage:
    """
    Open a version for reading, by one request where its manifest is whole.

    Parameters
    ----------
    address
        Where it is, as another process has said.
    cache_limit
        Bytes of chunks that are kept in memory.

    Raises
    ------
    DatasetNotFoundError
        There is nothing, or no longer that version.
    ConflictError
        There is another dataset.
    """
    store = open_store(
        address.url,
        json.loads(address.options),
        durable=address.durable,
        single_writer=address.single_writer,
    )
    try:
        version = manifests.read(store, address.version)
    except FileNotFoundError:
        version = _at(store, address.version)  # which knows of erasures, and says what is wrong
    if version.facts["checksum"] != address.digest:
        raise ConflictError(
            f"what is at {store.url} on this machine is not the dataset that was meant: its "
            f"version {address.version} is another one"
        )
    # Nothing ahead of what is asked for: the blocks that follow are those of other processes.
    draft = Draft(store, version, cache_limit=cache_limit, ahead_limit=0, writable=False)
    return ZarrStorage(draft, writable=False)


def _at(store: ObjectStore, asked: VersionLike) -> manifests.Version:
    """The version that is meant, if it is still kept."""
    newest = manifests.load(store)
    if newest is None:
        raise DatasetNotFoundError(_nothing(store))
    number = found(store, newest, asked)
    return (
        newest
        if number == newest.number
        else manifests.read(store, number, None, Rewritten.of(newest.facts))
    )


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
            shared.draft.commit()
            shared.draft.start_empty()
    except BaseException:
        shared.abandon()
        raise
    return shared


def _cache(options: OpenOptions) -> tuple[str, int] | None:
    return None if options.cache is None else (options.cache, options.cache_size)


@without_collections()
def _load(store: ObjectStore, mode: str, options: OpenOptions) -> Draft:
    cache = _cache(options)
    limits = partial(Draft, cache_limit=options.cache_limit, spill_dir=options.spill_dir)
    try:
        version = manifests.load(store)
    except FileNotFoundError as error:  # not even the bucket
        raise DatasetNotFoundError(f"there is no dataset at {store.url}: {error}") from error
    if version is None:
        if mode in ("r", "r+"):
            raise DatasetNotFoundError(_nothing(store))
        _check_free(store)
        store.prepare()
        version = claim(store, options.row_block)
        if version is not None:
            return limits(cached(store, version, cache), version, created=True)
        version = manifests.load(store)  # another process was faster
        assert version is not None
    if mode == "x":
        raise DatasetExistsError(f"there is a dataset already at {store.url}")
    if mode != "r":
        store.prepare()
    draft = limits(cached(store, version, cache), version, writable=mode != "r")
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
