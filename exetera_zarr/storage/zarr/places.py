"""The store behind a URL or a path."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from exetera_zarr.errors import DataError
from exetera_zarr.storage.zarr.local import LocalStore
from exetera_zarr.storage.zarr.remote import FsspecStore, without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from exetera_zarr.storage.zarr.store import ObjectStore

__all__ = ["open_store", "wrapped_stores"]

_BUCKETS = frozenset(["s3", "s3a", "gs", "gcs", "az", "abfs"])
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
        Passed to the fsspec file system.
    durable
        Whether a local commit waits until its bytes are on the disk.
    single_writer
        See `FsspecStore`.
    """
    store: ObjectStore
    scheme, _, rest = url.partition("://")
    if scheme in _BUCKETS and "@" in rest.partition("/")[0]:
        # Such a URL would reach logs and messages by way of the client libraries.
        raise DataError(
            f"{without_secrets(url)}: credentials do not belong in a URL; give them as "
            "storage_options, or by the environment"
        )
    filesystem, path = fsspec.url_to_fs(url, **options)
    if isinstance(filesystem, LocalFileSystem):
        store = LocalStore(path, durable=durable)
    else:
        store = FsspecStore(url, options, single_writer=single_writer)
    for wrapper in _wrappers:
        store = wrapper(store)
    return store
