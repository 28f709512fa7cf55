"""A place in a bucket as a store: one request for each call, made again while that may help."""

from __future__ import annotations

import secrets
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from exetera_zarr.errors import DatasetNotFoundError, StorageError, UnsupportedError
from exetera_zarr.storage import keys
from exetera_zarr.storage.remote.client import ABSENT, Entry, Page, all_entries
from exetera_zarr.storage.remote.requests import Requests
from exetera_zarr.storage.stores.base import ObjectStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exetera_zarr.storage.remote.client import BucketClient
    from exetera_zarr.storage.remote.requests import Bounds

__all__ = ["BucketStore"]

_R = TypeVar("_R")

_TRIES = 20
"""How often a swap is tried: each one that fails says that another writer was faster."""
_probed: dict[tuple[str, str], tuple[bool, bool]] = {}
"""By endpoint and bucket: whether writes heed that an object is absent, and what tag it has."""


class BucketStore(ObjectStore):
    """
    A place in a bucket.

    Parameters
    ----------
    url
        The place, without secrets.
    client
        Of its bucket, with the beginning of its objects' names.
    single_writer
        The caller promises to be the only writer where conditions of writes are not heeded.
    bounds
        Where its requests end: see `requests.bounds_of`.
    """

    concurrency = 64
    distant = True
    conditional = True
    swaps = False  # until `prepare` knows

    def __init__(
        self,
        url: str,
        client: BucketClient,
        *,
        single_writer: bool = False,
        bounds: Bounds | None = None,
    ) -> None:
        self.url, self._client = url, client
        self._root = f"{client.root}/" if client.root else ""
        self.identity = f"{url} at {client.endpoint}"
        self._single_writer = single_writer
        self._requests = Requests(url, client, bounds)

    def _make(self, verb: str, key: str, request: Callable[[], _R]) -> _R:
        return self._requests.make(verb, key, request)

    # -- objects

    def get(self, key: str) -> bytes:
        return self._look(key)[0]

    def part(self, key: str, start: int, stop: int) -> bytes:
        if stop <= start:
            return b""
        part = partial(self._client.part, self._root + key, start, stop)
        return self._make("read", key, part).data

    def _look(self, key: str) -> tuple[bytes, str]:
        return self._make("read", key, partial(self._client.get, self._root + key))

    def put(self, key: str, data: bytes) -> None:
        self._make("write", key, partial(self._client.put, self._root + key, data))

    def _put_if(self, key: str, data: bytes, tag: str) -> bool:
        """
        Write an object if what is there has that tag; whether it did.

        False may also come of our own first try, when its reply was lost.
        """
        try:
            self._make("write", key, partial(self._client.put, self._root + key, data, tag))
        except DatasetNotFoundError:
            raise
        except (FileExistsError, FileNotFoundError):  # nothing there has the tag
            return False
        return True

    def create(self, key: str, data: bytes) -> bool:
        try:
            put = partial(self._client.put, self._root + key, data, ABSENT)
            self._make("create", key, put)
        except FileExistsError:
            # It may be our own, from a try whose reply was lost (which the client may have repeated
            # by itself, as aiohttp does on a connection that it has used before). The bytes tell,
            # since all that is created carries its writer's identity.
            return self.get(key) == data
        return True

    def _present(self, key: str) -> tuple[bytes | None, str]:
        try:
            return self._look(key)
        except DatasetNotFoundError:
            raise
        except FileNotFoundError:
            return None, ABSENT

    def copy(self, source: str, target: str) -> None:
        copy = partial(self._client.copy, self._root + source, self._root + target)
        self._make("copy", source, copy)

    def delete(self, key: str) -> None:
        with suppress(FileNotFoundError):
            self._make("delete", key, partial(self._client.delete, self._root + key))

    def advance(
        self,
        key: str,
        data: bytes,
        wanted: Callable[[bytes | None], bool],
        expected: bytes | None = None,
    ) -> bool:
        likely = ABSENT if expected is None else self._client.tag_of(expected)
        if likely is not None and self._put_if(key, data, likely):
            return True
        for _ in range(_TRIES):
            present, tag = self._present(key)
            if not wanted(present):
                return False
            if self._put_if(key, data, tag):
                return True
        raise StorageError(
            f"could not replace {self.url}/{key}: in {_TRIES} tries the store has not taken the "
            "tag that it gives for the one that the object has"
        )

    # -- listings

    def first(self, prefix: str) -> str | None:
        # Not only what is directly below: a folder there counts in the limit, and is no entry.
        found = self._page(f"{prefix}/", deep=True, limit=1).entries
        if found and "/" in found[0].key.removeprefix(f"{prefix}/"):
            return next(self.list(prefix), None)
        return found[0].key if found else None

    def list(self, prefix: str) -> Iterator[str]:
        for entry in self._entries(f"{prefix}/", deep=False):
            yield entry.key

    def everything(self, prefix: str) -> Iterator[Entry]:
        return self._entries(f"{prefix}/" if prefix else "", deep=True)

    def empty(self) -> bool:
        # The consoles of S3 and GCS make a folder by an object of its name, which has no content.
        found = self._page("", deep=True, limit=2).entries
        return all(entry.key == "" and entry.size == 0 for entry in found)

    def _entries(self, prefix: str, *, deep: bool) -> Iterator[Entry]:
        url = f"{self.url}/{prefix}".rstrip("/")
        return all_entries(
            url, lambda following: self._page(prefix, deep=deep, following=following)
        )

    def _page(
        self,
        prefix: str,
        *,
        deep: bool = False,
        limit: int | None = None,
        following: str | None = None,
    ) -> Page:
        """A part of a listing; a bucket that there is not is one without objects."""
        ask = partial(
            self._client.list, self._root + prefix, deep=deep, limit=limit, following=following
        )
        page = self._make("list", prefix.rstrip("/"), ask)
        cut = len(self._root)
        found = [Entry(each.key[cut:], each.size, each.modified) for each in page.entries]
        return Page(found, page.following)

    def enclosing(self) -> str | None:
        above = self._root.rstrip("/")
        bucket = self.url.removesuffix(above)
        while above:
            above = above.rpartition("/")[0]
            manifests = f"{above}/{keys.MANIFESTS}/".lstrip("/")
            ask = partial(self._client.list, manifests, deep=True, limit=1)
            try:
                if self._make("list", "", ask).entries:
                    return f"{bucket}{above}".rstrip("/")
            except OSError:  # of what is above we may not be allowed to see anything
                continue
        return None

    # -- what the store can do

    def prepare(self) -> None:
        """Ask a store that is not known once whether it heeds the conditions of writes."""
        if self._single_writer:
            return
        if self._make("reach", "", lambda: self._client.trusted):
            self.swaps = True
            return
        place = self._client.endpoint, self._client.bucket
        if place not in _probed:
            _probed[place] = self._probe()
        creates, self.swaps = _probed[place]
        if not creates:
            raise UnsupportedError(
                f"{self.url}: this store ignores the condition of a write (create only if absent), "
                "so two writers could overwrite each other; open with mode 'r', or with "
                "single_writer=True when no other process writes"
            )

    def _probe(self) -> tuple[bool, bool]:
        """Whether an object is not created where it is, and not replaced where it is another."""
        key = f"__exetera__/probe-{secrets.token_hex(8)}"
        name = self._root + key
        another = self._client.tag_of(b"another") or "1"
        try:
            creates = self.create(key, b"probe") and not self._put_if(key, b"other", ABSENT)
            swaps = creates and not self._put_if(key, b"third", another)
        finally:
            with suppress(FileNotFoundError):
                self._make("delete", key, partial(self._client.delete, name))
        return creates, swaps
