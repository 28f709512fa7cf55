"""A cache, on the local disk, of chunks that were read from elsewhere.

A chunk at a path of a dataset never changes, so what is cached is right for ever: nothing is ever
asked for again. A dataset that was removed and made anew at the same place has another identity,
which is a part of the key.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import google_crc32c

from exetera_zarr.storage import keys
from exetera_zarr.storage.stores.base import ObjectStore, WrapperStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exetera_zarr.storage.zarr.versions.manifests import Version

__all__ = ["CachingStore", "cached"]

_CHECK = 4
"""Bytes of the checksum after those of an object."""
_LEAVE = 0.8
"""The share of its size that is left when a cache has grown beyond it."""


def cached(store: ObjectStore, version: Version, cache: tuple[str, int] | None) -> ObjectStore:
    """A store with a cache (folder, bytes) before it, where one is wanted and would be faster."""
    dataset = version.facts.get("dataset")
    if cache is None or dataset is None or not store.distant:
        return store
    return CachingStore(store, dataset, *cache)


class CachingStore(WrapperStore):
    """
    A store whose chunks are kept in a folder once they were read.

    Any number of processes may use one folder. What was used last is kept.

    Parameters
    ----------
    store
        The store elsewhere.
    dataset
        Identity of the dataset in it.
    folder
        Is created.
    size
        Bytes that may be kept; beyond that, what was used longest ago goes. Between two looks at
        the folder, each process may keep a twentieth more.
    """

    def __init__(self, store: ObjectStore, dataset: str, folder: str, size: int) -> None:
        super().__init__(store)
        self._dataset, self._folder, self._size = dataset, folder, size
        self._lock = threading.Lock()
        self._unseen = size  # bytes kept since the last look: the first one is due
        self._own: set[str] = set()
        """Arrays that are written here: until they are in a version, chunks are written again."""

    def _path(self, key: str) -> str:
        name = hashlib.sha256(f"{self._dataset}\n{key}".encode()).hexdigest()
        return os.path.join(self._folder, name[:2], name[2:])

    def get(self, key: str) -> bytes:
        if not keys.is_chunk(key) or keys.node_of(key) in self._own:
            return self.store.get(key)
        found = _read(self._path(key))
        if found is None:
            found = self.store.get(key)
            self._keep(self._path(key), found)
        return found

    def get_again(self, key: str) -> bytes:
        self._drop(key)
        return self.store.get_again(key)

    def put(self, key: str, data: bytes) -> None:
        self._own.add(keys.node_of(key))
        self.store.put(key, data)

    def delete(self, key: str) -> None:
        self._drop(key)  # what is purged is purged here as well
        self.store.delete(key)

    def _drop(self, key: str) -> None:
        with suppress(OSError):
            os.unlink(self._path(key))

    def _keep(self, path: str, data: bytes) -> None:
        """Write an object into the folder; a disk that is full is no reason not to read."""
        if len(data) > self._size // 2:
            return
        passing = f"{path}.{secrets.token_hex(6)}"
        try:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            with open(passing, "xb") as file:
                file.write(data)
                file.write(_checksum(data))
            os.replace(passing, path)
        except OSError:
            with suppress(OSError):
                os.unlink(passing)
        with self._lock:
            self._unseen += len(data)
            if self._unseen > self._size // 20:
                self._unseen = 0
                with suppress(OSError):
                    self._make_room()

    def _make_room(self) -> None:
        found = sorted(_files(self._folder))
        total = sum(size for _, size, _ in found)
        if total <= self._size:
            return
        for _, size, path in found:
            if total <= self._size * _LEAVE:
                break
            with suppress(OSError):  # another process was faster
                os.unlink(path)
            total -= size


def _checksum(data: bytes) -> bytes:
    return int(google_crc32c.value(data)).to_bytes(_CHECK, "little")


def _read(path: str) -> bytes | None:
    """An object in the folder, and a note that it was used; None if it is not whole."""
    try:
        with open(path, "rb") as file:
            kept = file.read()
    except OSError:
        return None
    with suppress(OSError):  # in a folder that is not ours
        os.utime(path)
    data = kept[:-_CHECK]
    return data if kept[-_CHECK:] == _checksum(data) else None


def _files(folder: str) -> Iterator[tuple[float, int, str]]:
    """When each file of the folder was used, its size, and its path."""
    for below in os.scandir(folder):
        if not (below.is_dir(follow_symlinks=False) and len(below.name) == 2):
            continue
        for entry in os.scandir(below.path):
            with suppress(OSError):  # another process was faster
                about = entry.stat(follow_symlinks=False)
                yield about.st_mtime, about.st_size, entry.path
