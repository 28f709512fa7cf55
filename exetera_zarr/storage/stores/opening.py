"""The store behind a URL or a path."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import fsspec

from exetera_zarr.storage.remote.buckets import bucket_client, is_bucket
from exetera_zarr.storage.remote.options import way_to
from exetera_zarr.storage.remote.requests import bounds_of
from exetera_zarr.storage.remote.urls import archive_of, check_login, scheme_of
from exetera_zarr.storage.stores.fsspec import FsspecStore
from exetera_zarr.storage.stores.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from exetera_zarr.storage.stores.base import ObjectStore

__all__ = ["open_store", "wrapped_stores"]

_wrappers: list[Callable[[ObjectStore], ObjectStore]] = []


@contextmanager
def wrapped_stores(wrapper: Callable[[ObjectStore], ObjectStore]) -> Iterator[None]:
    """Inside, every store that is opened is handed to `wrapper` first: for tests."""
    _wrappers.append(wrapper)
    try:
        yield
    finally:
        _wrappers.remove(wrapper)


def open_store(
    url: str, options: Mapping[str, Any], *, durable: bool, single_writer: bool
) -> ObjectStore:
    """
    The store behind a URL or a local path.

    Parameters
    ----------
    url
        A path, or a URL that fsspec knows.
    options
        Passed to the file system; `storage.options` says which ones are ours.
    durable
        Whether a local commit waits until its bytes are on the disk.
    single_writer
        The caller promises to be the only writer where conditions of writes are not heeded.
    """
    store: ObjectStore
    scheme, archive = scheme_of(url), archive_of(url)
    check_login(archive or url)
    if archive is not None:
        from exetera_zarr.storage.stores.zip_archive import ArchiveStore

        store = ArchiveStore(archive, options, bounds=bounds_of(options))
    elif scheme in ("", "file", "local") and "::" not in url:
        store = LocalStore(fsspec.url_to_fs(url, **options)[1], durable=durable)
    else:
        store = _remote(url, options, single_writer=single_writer)
    place = store.url if isinstance(store, LocalStore) else url
    store.way, store.single_writer = way_to(place, options), single_writer
    for wrapper in _wrappers:
        store = wrapper(store)
    return store


def _remote(url: str, options: Mapping[str, Any], *, single_writer: bool) -> ObjectStore:
    bounds = bounds_of(options)
    if not is_bucket(url):
        return FsspecStore(url, options, single_writer=single_writer, bounds=bounds)
    from exetera_zarr.storage.stores.bucket import BucketStore

    place, client = bucket_client(url, options)
    return BucketStore(place, client, single_writer=single_writer, bounds=bounds)
