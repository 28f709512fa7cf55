"""The one door to single files, wherever they are: CSV, schemas, rejects, HDF5, archives.

A URL is opened as a dataset there would be: with the same credentials, options, patience and
errors. Local paths, also as ``file://``, are files of this machine's as ever.
"""

from __future__ import annotations

import io
import os
import re
import secrets
import stat
import tempfile
from contextlib import contextmanager, suppress
from functools import partial
from glob import glob
from typing import IO, TYPE_CHECKING, Any, cast

from fsspec.utils import glob_translate

from exetera_zarr.errors import StorageError, UnsupportedError
from exetera_zarr.storage.remote.anywhere import AnyClient, file_system
from exetera_zarr.storage.remote.buckets import bucket_client, is_bucket
from exetera_zarr.storage.remote.client import all_entries
from exetera_zarr.storage.remote.limits import bytes_shown, limits
from exetera_zarr.storage.remote.places import NoPartsError, remote_file
from exetera_zarr.storage.remote.readers import FileWriter, PartsReader, StreamReader
from exetera_zarr.storage.remote.requests import BeyondEndError, Requests, bounds_of, secrets_of
from exetera_zarr.storage.remote.urls import (
    WEB,
    check_login,
    is_local,
    local_path,
    scheme_of,
    without_secrets,
)
from exetera_zarr.storage.system import check_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from exetera_zarr.storage.remote.client import BucketClient, Page
    from exetera_zarr.storage.remote.places import RemoteFile

__all__ = ["create_file", "file_exists", "list_files", "open_at_random", "open_file"]

_IN_ORDER = (8 << 20, 2)
"""Bytes of a block, and how many are kept, of a file that is read from its start to its end."""
_AT_RANDOM = (1 << 20, 64)
"""The same of a file that is read here and there."""
_MAGIC = re.compile(r"[*?\[]")


def open_file(url: str, options: Mapping[str, Any] | None = None) -> IO[bytes]:
    """
    A file that is open for reading, from its start to its end for the most part.

    Parameters
    ----------
    url
        A path, or a URL of a bucket, a web server or anything else that fsspec knows.
    options
        Of the file system: those that a dataset there would be opened with.

    Returns
    -------
    file
        It can `seek`, unless it says that it is not `seekable`: some web servers send a file only
        as a whole. Its `raw` has a `size`, which is None where that is not known.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    AccessDeniedError, StorageError
        It cannot be read, or not to its end, however often that is tried within the deadline.
    """
    if is_local(url):
        return open(local_path(url), "rb")
    return cast("IO[bytes]", io.BufferedReader(_reader(remote_file(url, options), *_IN_ORDER)))


def open_at_random(url: str, options: Mapping[str, Any] | None = None) -> IO[bytes]:
    """
    A file that is open for reading here and there, as HDF5 and archives are.

    What a server sends only as a whole is kept on the local disk for as long as it is open.

    Parameters
    ----------
    url, options
        As of `open_file`.

    Raises
    ------
    FileNotFoundError, AccessDeniedError, StorageError
        As of `open_file`.
    """
    if is_local(url):
        path = local_path(url)
        check_file(path)
        return open(path, "rb")
    found = _reader(remote_file(url, options), *_AT_RANDOM)
    if isinstance(found, PartsReader):
        return cast("IO[bytes]", found)
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        with found:
            _copy(found, copy)
        copy.seek(0)
    except BaseException:
        copy.close()
        raise
    return cast("IO[bytes]", copy)


def _copy(file: StreamReader, copy: IO[bytes]) -> None:
    """Have all of a file on the local disk, unless there is no end of it."""
    left = limits.copied
    while data := file.read(1 << 20):
        left -= len(data)
        if left < 0:
            raise StorageError(
                f"could not read {file.name}: its server sends it only as a whole, and more than "
                f"the {bytes_shown(limits.copied)} that are copied to the local disk; download it "
                "by other means, and open the copy"
            )
        copy.write(data)


def _reader(file: RemoteFile, block: int, kept: int) -> PartsReader | StreamReader:
    try:
        return PartsReader(file, block, kept)
    except NoPartsError:
        return StreamReader(file)


@contextmanager
def create_file(url: str, options: Mapping[str, Any] | None = None) -> Iterator[IO[bytes]]:
    """
    A file that is written inside of a ``with`` block, in place of what is there.

    It is in its place after the block. An error in the block, or a failure to write, leaves what
    was there before; only on services that neither buckets nor local disks are, a failure at the
    very end may leave a part of it.

    Parameters
    ----------
    url, options
        As of `open_file`.

    Raises
    ------
    UnsupportedError
        There is a web server, which is read-only.
    AccessDeniedError, StorageError
        It cannot be written, however often that is tried within the deadline.
    """
    if is_local(url):
        with _local_file(local_path(url)) as file:
            yield file
        return
    writer = FileWriter(remote_file(url, options, write=True))
    try:
        yield cast("IO[bytes]", writer)
        writer.finish()
    except BaseException:
        writer.discard()
        raise


@contextmanager
def _local_file(path: str) -> Iterator[IO[bytes]]:
    """A file that is made beside its place; one that is no regular file is written where it is."""
    path = os.path.realpath(path)
    mode = None
    with suppress(FileNotFoundError):
        mode = os.stat(path).st_mode
    folder, name = os.path.split(path)
    if (mode is not None and not stat.S_ISREG(mode)) or not os.access(folder, os.W_OK):
        with open(path, "wb") as file:
            yield file
        return
    if mode is not None:
        open(path, "ab").close()  # an error where it may not be written
    made = os.path.join(folder, f".{secrets.token_hex(6)}.{name[:200]}.unfinished")
    try:
        with open(made, "xb") as file:
            yield file
        if mode is not None:
            os.chmod(made, stat.S_IMODE(mode))
        os.replace(made, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(made)
        raise


def file_exists(url: str, options: Mapping[str, Any] | None = None) -> bool:
    """
    Whether there is a file, by a request for its first byte.

    Parameters
    ----------
    url, options
        As of `open_file`.

    Raises
    ------
    AccessDeniedError, StorageError
        It could not be found out.
    """
    if is_local(url):
        return os.path.isfile(local_path(url))
    file = remote_file(url, options)
    try:
        file.part(0, 1)
    except FileNotFoundError:
        return False
    except (BeyondEndError, NoPartsError):
        return True
    finally:
        file.close()
    return True


def list_files(pattern: str, options: Mapping[str, Any] | None = None) -> list[str]:
    """
    The files that a URL with ``*``, ``**``, ``?`` or ``[]`` stands for, as URLs, sorted.

    Parameters
    ----------
    pattern
        The URL, or a path.
    options
        As of `open_file`.

    Raises
    ------
    UnsupportedError
        There is a web server, which lists nothing; or the bucket's name is a pattern.
    AccessDeniedError, StorageError
        They could not be listed.
    """
    if is_local(pattern):
        scheme = scheme_of(pattern)
        found = glob(local_path(pattern), recursive=True)
        before = f"{scheme}://" if scheme else ""
        return sorted(f"{before}{path}" for path in found if os.path.isfile(path))
    check_login(pattern)
    if scheme_of(pattern) in WEB:
        raise UnsupportedError(f"{without_secrets(pattern)}: a web server lists nothing")
    if is_bucket(pattern):
        return _list_bucket(pattern, options or {})
    return _list_anywhere(pattern, options or {})


def _list_bucket(pattern: str, options: Mapping[str, Any]) -> list[str]:
    shown, client = bucket_client(pattern, options)
    if _MAGIC.search(client.bucket):
        raise UnsupportedError(f"{shown}: the name of a bucket cannot be a pattern")
    fixed = _MAGIC.split(client.root, maxsplit=1)[0]
    fits = re.compile(glob_translate(client.root)).match
    deep = "/" in client.root[len(fixed) :] or "**" in client.root
    requests = Requests(shown, client, bounds_of(options))
    before = f"{scheme_of(pattern)}://{client.bucket}/"
    keys = _keys(requests, client, fixed, deep=deep)
    return sorted(before + key for key in keys if fits(key) and not key.endswith("/"))


def _keys(requests: Requests, client: BucketClient, prefix: str, *, deep: bool) -> Iterator[str]:
    def page(following: str | None) -> Page:
        return requests.make(
            "list", "", partial(client.list, prefix, deep=deep, following=following)
        )

    return (entry.key for entry in all_entries(f"{client.bucket}/{prefix}", page))


def _list_anywhere(pattern: str, options: Mapping[str, Any]) -> list[str]:
    filesystem, path = file_system(pattern, {"use_listings_cache": False, **options})
    shown = without_secrets(pattern)
    requests = Requests(shown, AnyClient(secrets_of(options)), bounds_of(options))
    found = requests.make("list", "", lambda: filesystem.glob(path, detail=True))
    files = [name for name, about in found.items() if about["type"] == "file"]
    return sorted(filesystem.unstrip_protocol(name) for name in files)
