"""What an fsspec file system reaches and is no bucket: memory, a web server."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from fsspec.implementations.memory import MemoryFileSystem

from exetera_zarr.errors import UnsupportedError
from exetera_zarr.storage import keys
from exetera_zarr.storage.remote.anywhere import AnyClient, file_system
from exetera_zarr.storage.remote.requests import Requests, secrets_of
from exetera_zarr.storage.remote.urls import WEB, scheme_of, with_login, without_secrets
from exetera_zarr.storage.stores.base import Entry, ObjectStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from exetera_zarr.storage.remote.requests import Bounds

__all__ = ["FsspecStore"]

_R = TypeVar("_R")


class FsspecStore(ObjectStore):
    """
    A place that an fsspec file system reaches.

    Parameters
    ----------
    url
        With its protocol.
    options
        Passed to the file system; never shown.
    single_writer
        The caller promises to be the only writer where create-if-absent is not known to be atomic.
    bounds
        Where its requests end: see `requests.bounds_of`.
    """

    _memory_lock = threading.Lock()
    _query = ""
    """What the URL of every object ends with."""

    def __init__(
        self,
        url: str,
        options: Mapping[str, Any],
        *,
        single_writer: bool = False,
        bounds: Bounds | None = None,
    ) -> None:
        url, options = with_login(url, options)
        self.url = without_secrets(url)
        self._single_writer = single_writer
        secret = secrets_of(options)
        if scheme_of(url) in WEB:
            url, mark, query = url.partition("?")
            self._query = mark + query
            secret |= {query} if query else set()
        self._requests = Requests(self.url, AnyClient(secret), bounds)
        # A listing that is remembered hides the commits of others.
        self._given, self._options = url, {"use_listings_cache": False, **options}
        self._pid = os.getpid()
        self._filesystem, self.root = self._open()
        self._memory = isinstance(self._filesystem, MemoryFileSystem)
        protocols = self._filesystem.protocol
        self.protocol = protocols if isinstance(protocols, str) else protocols[0]
        self._web = self.protocol in WEB
        if not (self._web or "::" in url):
            root = self.root
            self.url = root if "://" in root else f"{self.protocol}://{root.lstrip('/')}"
        self.identity = self.url
        self.concurrency = 64 if self._web else 4
        self.distant = not self._memory
        self.conditional = self._memory
        self.swaps = self._memory

    def _open(self) -> tuple[Any, str]:
        """The file system, and the place in it."""
        filesystem, root = file_system(self._given, self._options)
        return filesystem, root.rstrip("/")

    @property
    def _fs(self) -> Any:
        """The file system; another one in a forked process, where event loops do not go on."""
        if self._pid != os.getpid() and not self._memory:
            self._options["skip_instance_cache"] = True
            self._filesystem, _ = self._open()
            self._pid = os.getpid()
        return self._filesystem

    def _make(self, verb: str, key: str, request: Callable[[], _R]) -> _R:
        return self._requests.make(verb, key, request)

    def _path(self, key: str) -> str:
        # Keys are in percent-encoding as they are; in a URL, so is their percent sign.
        if self._web:
            return f"{self.root}/{quote(key)}{self._query}"
        return f"{self.root}/{key}" if self.root else key

    def get(self, key: str) -> bytes:
        path = self._path(key)
        return bytes(self._make("read", key, lambda: self._fs.cat_file(path)))

    def put(self, key: str, data: bytes) -> None:
        self._make("write", key, lambda: self._fs.pipe_file(self._path(key), data))

    def create(self, key: str, data: bytes) -> bool:
        if not (self._memory or self._single_writer):
            raise UnsupportedError(
                f"{self.url}: {self.protocol!r} is not known to create an object only if it is "
                "absent, so two writers could overwrite each other; open with mode 'r', or with "
                "single_writer=True when no other process writes"
            )
        with self._memory_lock:
            if self._make("look for", key, lambda: self._fs.exists(self._path(key))):
                return False
            self.put(key, data)
            return True

    def copy(self, source: str, target: str) -> None:
        paths = self._path(source), self._path(target)
        self._make("copy", source, lambda: self._fs.cp_file(*paths))

    def first(self, prefix: str) -> str | None:
        return next(self.list(prefix), None)

    def list(self, prefix: str) -> Iterator[str]:
        if self._web:
            raise UnsupportedError(f"{self.url}: a web server lists nothing")
        try:
            path = self._path(prefix)
            there = self._make("list", prefix, lambda: self._fs.ls(path, detail=True))
        except FileNotFoundError:
            return
        for found in sorted(each["name"] for each in there if each["type"] == "file"):
            yield f"{prefix}/{found.rsplit('/', 1)[1]}"

    def advance(
        self,
        key: str,
        data: bytes,
        wanted: Callable[[bytes | None], bool],
        expected: bytes | None = None,  # noqa: ARG002
    ) -> bool:
        with self._memory_lock:
            present = None
            with suppress(FileNotFoundError):
                present = self.get(key)
            if not wanted(present):
                return False
            self.put(key, data)
            return True

    def everything(self, prefix: str) -> Iterator[Entry]:
        if self._web:
            raise UnsupportedError(f"{self.url}: a web server lists nothing")
        path = self._path(prefix)
        found = self._make("list", prefix, lambda: self._fs.find(path, detail=True))
        cut = len(self.root) + 1 if self.root else 0
        for name, about in found.items():
            modified = about.get("created") or about.get("mtime")
            moment = (
                modified.timestamp() if hasattr(modified, "timestamp") else float(modified or 0)
            )
            yield Entry(name[cut:].lstrip("/"), int(about["size"]), moment)

    def enclosing(self) -> str | None:
        bucket_or_folder, _, below = self.root.partition("/")
        above = below.split("/")
        while above and below:
            above.pop()
            place = "/".join([bucket_or_folder, *above])
            try:
                if self._fs.isdir(f"{place}/{keys.MANIFESTS}"):
                    return place if "://" in place else f"{self.protocol}://{place.lstrip('/')}"
            except OSError:  # of what is above we may not be allowed to see anything
                continue
        return None

    def empty(self) -> bool:
        if self._web:  # nothing can be found there but by its name
            return True

        def look() -> bool:
            if self._fs.isfile(self.root):
                return False
            return not self._fs.ls(self.root, detail=False)

        try:
            return self._make("list", "", look)
        except FileNotFoundError:
            return True

    def delete(self, key: str) -> None:
        with suppress(FileNotFoundError):
            self._make("delete", key, lambda: self._fs.rm_file(self._path(key)))
