"""The store behind a URL or a path."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import fsspec

from exetera_zarr.errors import DataError, UnsupportedError
from exetera_zarr.storage.remote.credentials import provider_for
from exetera_zarr.storage.remote.urls import archive_of, scheme_of, with_login, without_secrets
from exetera_zarr.storage.stores.fsspec import FsspecStore
from exetera_zarr.storage.stores.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exetera_zarr.storage.stores.base import ObjectStore
    from exetera_zarr.storage.stores.gcs import GoogleClient
    from exetera_zarr.storage.stores.s3 import S3Client

__all__ = ["file_system", "open_store", "wrapped_stores"]

_S3 = frozenset(["s3", "s3a"])
_GOOGLE = frozenset(["gs", "gcs"])
_BUCKETS = _S3 | _GOOGLE | {"az", "abfs"}
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
    place = archive or url
    if scheme_of(place) in _BUCKETS and "@" in place.partition("://")[2].partition("/")[0]:
        # Such a URL would reach logs and messages by way of the client libraries.
        raise DataError(
            f"{without_secrets(place)}: credentials do not belong in a URL; give them as "
            "storage_options, or by the environment"
        )
    if archive is not None:
        from exetera_zarr.storage.stores.zip_archive import ArchiveStore

        find = partial(file_system, archive, options)
        deadline = options.get("retry_deadline")
        store = ArchiveStore(archive, options, find, deadline=deadline)
    elif scheme in ("", "file", "local") and "::" not in url:
        store = LocalStore(fsspec.url_to_fs(url, **options)[1], durable=durable)
    else:
        store = _remote(url, scheme, dict(options), single_writer=single_writer)
    for wrapper in _wrappers:
        store = wrapper(store)
    return store


def _remote(url: str, scheme: str, options: dict[str, Any], *, single_writer: bool) -> ObjectStore:
    deadline = options.pop("retry_deadline", None)
    if scheme not in _S3 | _GOOGLE:
        return FsspecStore(url, options, single_writer=single_writer, deadline=deadline)
    from exetera_zarr.storage.stores.bucket import BucketStore

    place, client = _client(url, scheme, options)
    return BucketStore(place, client, single_writer=single_writer, deadline=deadline)


def file_system(url: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    """
    The fsspec file system behind a URL, and the path in it, for what is read as a single file.

    Parameters
    ----------
    url
        That fsspec knows.
    options
        As of `open_store`.
    """
    scheme, given = scheme_of(url), dict(options)
    given.pop("retry_deadline", None)
    if scheme in _S3 | _GOOGLE:
        place, client = _client(url, scheme, given)
        return client.fs, place.partition("://")[2]
    url, given = with_login(url, given)
    filesystem, path = fsspec.url_to_fs(url, **given)
    return filesystem, path


def _client(url: str, scheme: str, options: dict[str, Any]) -> tuple[str, S3Client | GoogleClient]:
    """The URL of a place in a bucket as it may be shown, and what makes requests to it."""
    place = without_secrets(url).rstrip("/")
    path = place.partition("://")[2]
    provider = options.pop("credentials", None) or provider_for(place)
    if isinstance(provider, Mapping):
        provider = dict(provider).copy
    elif provider is not None and not callable(provider):
        raise DataError(
            f"{place}: credentials are a function or a mapping, not a {type(provider).__name__}"
        )
    client: S3Client | GoogleClient
    try:
        if scheme in _S3:
            from exetera_zarr.storage.stores.s3 import S3Client

            client = S3Client(path, options, provider)
        else:
            from exetera_zarr.storage.stores.gcs import GoogleClient

            client = GoogleClient(path, options, provider)
    except ImportError as error:
        extra = "s3" if scheme in _S3 else "gcs"
        raise UnsupportedError(
            f"{place}: reading {scheme}:// needs a package that is not installed ({error.name}): "
            f"pip install 'exetera-zarr[{extra}]'"
        ) from error
    return place, client
