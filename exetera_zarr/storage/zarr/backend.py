"""Opening and creating datasets of the Zarr back end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import (
    DatasetExistsError,
    DatasetNotFoundError,
    VersionNotFoundError,
    listing,
)
from exetera_zarr.storage.zarr import commit, sharing
from exetera_zarr.storage.zarr.draft import Draft, claim
from exetera_zarr.storage.zarr.handles import ZarrStorage
from exetera_zarr.storage.zarr.places import open_store
from exetera_zarr.storage.zarr.retention import kept_versions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exetera_zarr.storage.zarr.store import ObjectStore

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
    if version is not None:
        if writable:
            raise ValueError("an older version can only be read: use mode 'r'")
        return ZarrStorage(Draft(store, _at(store, version)), writable=False)
    with sharing.opening(store.identity):
        with sharing.lock:
            draft = sharing.drafts.get(store.identity)
        if draft is not None and draft.pid == os.getpid():
            if durability == "fsync":
                draft.store.durable = True
            return _share(draft, mode)
        settings: dict[str, Any] = {
            "row_block": row_block,
            "cache_limit": cache_limit,
            "spill_dir": spill_dir,
        }
        draft = _load(store, mode, settings)
        storage = ZarrStorage(draft, writable=writable)
        if writable:
            with sharing.lock:
                sharing.drafts[store.identity] = draft
        return storage


def _at(store: ObjectStore, number: int) -> commit.Version:
    """A version by its number, if it is still kept."""
    newest = commit.load(store)
    if newest is None:
        raise DatasetNotFoundError(_nothing(store))
    kept = kept_versions(newest.facts)
    if number not in kept:
        before = "" if number > newest.number else ", and what it had may have been removed"
        raise VersionNotFoundError(
            f"{store.url} has no version {number}{before}; there are: {listing(kept)}"
        )
    return newest if number == newest.number else commit.read(store, number)


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


def _load(store: ObjectStore, mode: str, settings: dict[str, Any]) -> Draft:
    try:
        version = commit.load(store)
    except FileNotFoundError as error:  # not even the bucket
        raise DatasetNotFoundError(f"there is no dataset at {store.url}: {error}") from error
    if version is None:
        if mode in ("r", "r+"):
            raise DatasetNotFoundError(_nothing(store))
        if not store.empty():
            raise DatasetExistsError(
                f"{store.url} holds something that is not a dataset; it is left alone"
            )
        version = claim(store, settings.pop("row_block"))
        if version is not None:
            return Draft(store, version, created=True, **settings)
        version = commit.load(store)  # another process was faster
        assert version is not None
    if mode == "x":
        raise DatasetExistsError(f"there is a dataset already at {store.url}")
    settings.pop("row_block", None)
    draft = Draft(store, version, **settings)
    if mode == "w":
        draft.start_empty()
    elif mode != "r":
        draft.repair()
    return draft


def _nothing(store: ObjectStore) -> str:
    if store.empty():
        return f"there is no dataset at {store.url}"
    return f"what is at {store.url} is not a dataset of exetera_zarr"
