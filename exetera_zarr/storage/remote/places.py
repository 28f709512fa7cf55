"""One file at a URL: the requests that it takes to read and write it, made again if that may help.

Three kinds: an object in a bucket, a page of a web server, and whatever else fsspec reaches.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from contextlib import suppress
from functools import partial
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

from fsspec.asyn import sync

from exetera_zarr.storage.base import OfThisProcess
from exetera_zarr.storage.remote.anywhere import AnyClient, file_system
from exetera_zarr.storage.remote.buckets import bucket_client, is_bucket
from exetera_zarr.storage.remote.client import Part, Upload, total_in
from exetera_zarr.storage.remote.limits import Refused, at_most
from exetera_zarr.storage.remote.requests import Requests, bounds_of, secrets_of
from exetera_zarr.storage.remote.urls import (
    WEB,
    check_login,
    check_writable,
    scheme_of,
    with_login,
    without_secrets,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exetera_zarr.storage.remote.requests import Bounds

__all__ = ["NoPartsError", "RemoteFile", "remote_file"]

_R = TypeVar("_R")
_WHOLE = 200
"""The status of an answer that has the whole file."""


class NoPartsError(Exception):
    """The server sends a file only as a whole, or does not say how large it is."""


class RemoteFile(OfThisProcess, ABC):
    """
    A file at a URL.

    Parameters
    ----------
    url
        As it may be shown.
    client
        Says what errors mean.
    bounds
        Where its requests end: see `requests.bounds_of`.
    """

    identity: str
    """The same for the same file, in this process."""

    def __init__(self, url: str, client: Any, bounds: Bounds | None) -> None:
        self.url = url
        self._requests = Requests(url, client, bounds)

    def make(self, verb: str, request: Callable[[], _R]) -> _R:
        """Make a request, and make it again while that may help: see `Requests.make`."""
        return self._requests.make(verb, "", request)

    def part(self, start: int, stop: int) -> Part:
        """
        The bytes from `start` to `stop`, or to the end where that comes first.

        Raises
        ------
        NoPartsError
            It can only be had as a whole: see `stream`.
        FileNotFoundError, BeyondEndError, AccessDeniedError, StorageError
            See `Requests.make`.
        """
        found = self.make("read", partial(self._whole_part, start, stop))
        if found is None:
            raise NoPartsError
        return found

    def _whole_part(self, start: int, stop: int) -> Part | None:
        found = self._part(start, stop)
        if found is not None and found.size is not None:
            wanted = max(min(stop, found.size) - start, 0)
            if len(found.data) != wanted:
                raise ConnectionError(f"only {len(found.data)} of {wanted} bytes came")
        return found

    @abstractmethod
    def _part(self, start: int, stop: int) -> Part | None:
        """The same, once; None where there are no parts."""

    def stream(self) -> Stream:
        """All of it from its start on, once."""
        raise NotImplementedError

    def upload(self) -> Upload:
        """Begin to write it piece by piece."""
        return _Spooled(self)

    @abstractmethod
    def put(self, data: bytes) -> None:
        """Write it at once."""

    def put_file(self, path: str) -> None:
        """Write what a local file has."""
        raise NotImplementedError

    def close(self) -> None:
        """Forget what is open."""


class Stream(ABC):
    """A file that comes from its start on; what goes wrong comes out as the library raises it."""

    size: int | None
    tag: str | None

    @abstractmethod
    def read(self, size: int) -> bytes:
        """At most so many of the next bytes; none at the end."""

    @abstractmethod
    def close(self) -> None:
        """Leave the rest."""


def remote_file(url: str, options: Mapping[str, Any] | None, *, write: bool = False) -> RemoteFile:
    """
    The file at a URL, of which nothing is asked yet.

    Parameters
    ----------
    url
        Any that fsspec knows.
    options
        Of its file system, and of ours: `remote.options` documents them.
    write
        Whether it is to be written.

    Raises
    ------
    UnsupportedError
        It is to be written, and can only be read; or a package is not installed.
    DataError
        The options make no sense, or there are credentials in the URL of a bucket.
    """
    options = options or {}
    check_login(url)
    if write:
        check_writable(url, archives=False)
    if is_bucket(url):
        return _BucketFile(url, options)
    if scheme_of(url) in WEB and "::" not in url:
        return _WebFile(url, options)
    return _AnyFile(url, options)


class _BucketFile(RemoteFile):
    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        shown, self._client = bucket_client(url, options)
        super().__init__(shown, self._client, bounds_of(options))
        self._name = self._client.root
        self.identity = f"{shown} at {self._client.endpoint}"

    def _part(self, start: int, stop: int) -> Part:
        return self._client.part(self._name, start, stop)

    def upload(self) -> Upload:
        return self._client.upload(self._name, self._requests)

    def put(self, data: bytes) -> None:
        self.make("write", partial(self._client.put, self._name, data))


class _AnyFile(RemoteFile):
    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        url, options = with_login(url, options)
        shown = without_secrets(url)
        query = url.partition("?")[2] if scheme_of(url) in WEB else ""
        secret = secrets_of(options) | ({query} if query else set())
        super().__init__(shown, AnyClient(secret), bounds_of(options))
        self._options, self._given, self._pid = dict(options), url, os.getpid()
        self._fs, self._path = file_system(url, options)
        self._file: IO[bytes] | None = None
        self.identity = f"{shown} {hash(self._fs)} {hash(self._path)}"

    @property
    def fs(self) -> Any:
        """The file system; another one in a forked process, where event loops do not go on."""
        if self._pid != os.getpid() and getattr(self._fs, "async_impl", False):
            anew = {**self._options, "skip_instance_cache": True}
            self._fs, self._file = file_system(self._given, anew)[0], None
            self._pid = os.getpid()
        return self._fs

    def _part(self, start: int, stop: int) -> Part | None:
        # By one open file: to find a place anew takes long in some, such as compressed ones.
        try:
            if self._file is None:
                self._file = cast("IO[bytes]", self.fs.open(self._path, "rb"))
            size = getattr(self._file, "size", None)
            if size is None:
                size = self.fs.info(self._path).get("size")
            if size is None:
                return None
            self._file.seek(start)
            return Part(self._file.read(min(stop, size) - start), int(size))
        except Exception:
            self.close()
            raise

    def stream(self) -> Stream:
        return _FileStream(self.fs.open(self._path, "rb"))

    def put(self, data: bytes) -> None:
        self.make("write", lambda: self.fs.pipe_file(self._path, data))

    def put_file(self, path: str) -> None:
        self.make("write", lambda: self.fs.put_file(path, self._path))

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(Exception):
                file.close()


class _FileStream(Stream):
    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.size, self.tag = file, getattr(file, "size", None), None

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def close(self) -> None:
        self._file.close()


class _WebFile(_AnyFile):
    def _headers(self, **more: str) -> dict[str, Any]:
        """What all requests have: other encodings would have other sizes."""
        kept = dict(self.fs.kwargs)
        kept["headers"] = {**kept.get("headers", {}), "Accept-Encoding": "identity", **more}
        return kept

    async def _get(self, **headers: str) -> Any:
        session = await self.fs.set_session()
        return await session.get(self.fs.encode_url(self._path), **self._headers(**headers))

    def _part(self, start: int, stop: int) -> Part | None:
        async def get() -> Part | None:
            async with await self._get(Range=f"bytes={start}-{stop - 1}") as reply:
                reply.raise_for_status()
                if reply.status != 206:
                    return None
                size = total_in(reply.headers.get("Content-Range", ""), start)
                if size is None:
                    return None
                return Part(await reply.read(), size, reply.headers.get("Last-Modified"))

        with at_most(stop - start):
            found: Part | None = sync(self.fs.loop, get)
        return found

    def stream(self) -> Stream:
        async def get() -> Any:
            reply = await self._get()
            try:
                reply.raise_for_status()
                if reply.status != _WHOLE:
                    raise Refused(f"it answers with status {reply.status}, and sends no file")
            except BaseException:
                reply.close()
                raise
            return reply

        with at_most(None):  # its reader takes what it has a use for
            return _WebStream(self.fs.loop, sync(self.fs.loop, get))


class _WebStream(Stream):
    def __init__(self, loop: Any, reply: Any) -> None:
        self._loop, self._reply = loop, reply
        encoded = reply.headers.get("Content-Encoding", "identity") != "identity"
        self.size = None if encoded else reply.content_length
        self.tag = reply.headers.get("Last-Modified")

    def read(self, size: int) -> bytes:
        return cast("bytes", sync(self._loop, self._reply.content.read, size))

    def close(self) -> None:
        async def close() -> None:
            self._reply.close()

        sync(self._loop, close)


class _Spooled(Upload):
    """
    The pieces of a file, kept on the disk and written at once in the end.

    Parameters
    ----------
    file
        Where to.
    """

    def __init__(self, file: RemoteFile) -> None:
        self._target = file
        self._folder = tempfile.mkdtemp(prefix="exetera-zarr-")
        self._path = os.path.join(self._folder, "file")

    def send(self, data: bytes) -> None:
        with open(self._path, "ab") as file:
            file.write(data)

    def finish(self, data: bytes) -> None:
        self.send(data)
        self._target.put_file(self._path)
        self.abort()

    def abort(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
