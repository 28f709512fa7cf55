"""A place beside another one, where what is to be there is made first."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import DatasetExistsError
from exetera_zarr.storage.registry import HDF5_SUFFIXES, shown
from exetera_zarr.storage.remote.files import create_file, file_exists
from exetera_zarr.storage.remote.urls import check_writable, is_local, local_path
from exetera_zarr.storage.stores.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from exetera_zarr.storage.stores.base import Entry

__all__ = ["Staging"]

_AT_A_TIME = 32
_ABOUT = "exetera_zarr conversion"


class Staging:
    """
    A place for a new dataset, and the one beside it where that is made.

    Parameters
    ----------
    url
        Path or URL.
    options
        Of its file system, and of ours.
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None) -> None:
        check_writable(url)
        url = url.rstrip("/")
        stem, suffix = os.path.splitext(url)
        if "/" in suffix or suffix.lower() not in (".zarr", *HDF5_SUFFIXES):
            stem, suffix = url, ""
        self.url = shown(url)
        self.partial = f"{stem}.partial{suffix}"
        """Where the dataset is made."""
        self.shown = shown(self.partial)
        self._there: _Folder
        if is_local(url):
            folder, self._name = os.path.split(os.path.abspath(local_path(url)))
            self._there = _LocalFolder(folder)
        else:
            folder, _, self._name = url.rpartition("/")
            self._there = _RemoteFolder(folder, options or {})
        self._made = self._name[: len(self._name) - len(suffix)] + f".partial{suffix}"
        self._note = f"{self._made.removesuffix(suffix)}.json"

    def check_free(self) -> None:
        """Raise DatasetExistsError if there is something."""
        if self._there.has(self._name):
            raise DatasetExistsError(f"there is something at {self.url} already; it is left alone")

    def check_source(self, url: str) -> None:
        """Raise DatasetExistsError if what is converted is where its copy would be made."""
        if url == self.partial or self._there.is_at(self._made, url):
            raise DatasetExistsError(
                f"{self.shown} is what is converted, and where its copy would be made: give that "
                "another name"
            )

    def has_remains(self) -> bool:
        """Whether something was begun beside it; DatasetExistsError if that is none of ours."""
        noted = self.noted()
        for name in (self._made, self._note):
            if noted is None and self._there.has(name):
                raise DatasetExistsError(
                    f"{self._there.shown}/{name} is in the way, and was not made by a conversion "
                    f"to {self.url}; it is left alone"
                )
        return self._there.has(self._made)

    def note(self, facts: Mapping[str, Any]) -> None:
        """Keep what somebody should know who goes on with what was begun."""
        self._there.write(self._note, json.dumps({_ABOUT: facts}).encode())

    def noted(self) -> dict[str, Any] | None:
        """What was kept; None if nothing was."""
        try:
            facts = json.loads(self._there.read(self._note))[_ABOUT]
        except (FileNotFoundError, IsADirectoryError, ValueError, TypeError, KeyError):
            return None
        return facts if isinstance(facts, dict) else None

    def clear(self) -> None:
        """Remove what was begun."""
        for name in (self._made, self._note):  # the note last: without it nobody may remove these
            self._there.remove(name)

    def finish(self) -> None:
        """Have the dataset in its place."""
        self.check_free()
        self._there.move(self._made, self._name)
        self.clear()


class _Folder(ABC):
    """Where the dataset, the one that is made and the note beside it are; names are in there."""

    shown: str

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether there is a file or a folder of that name."""

    @abstractmethod
    def is_at(self, name: str, url: str) -> bool:
        """Whether a URL is of what has that name, spelled in another way."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """A file; FileNotFoundError where there is none."""

    @abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """Write a file."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file, or a folder with all that is in it; none there is no error."""

    @abstractmethod
    def move(self, source: str, target: str) -> None:
        """Move a file or a folder to where there is nothing."""


class _LocalFolder(_Folder):
    def __init__(self, path: str) -> None:
        self.shown = self._path = path

    def _at(self, name: str) -> str:
        return os.path.join(self._path, name)

    def has(self, name: str) -> bool:
        return os.path.lexists(self._at(name))

    def is_at(self, name: str, url: str) -> bool:
        return os.path.realpath(local_path(url)) == os.path.realpath(self._at(name))

    def read(self, name: str) -> bytes:
        with open(self._at(name), "rb") as file:
            return file.read()

    def write(self, name: str, data: bytes) -> None:
        os.makedirs(self._path, exist_ok=True)
        with create_file(self._at(name)) as file:
            file.write(data)

    def remove(self, name: str) -> None:
        path = self._at(name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
            return
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)

    def move(self, source: str, target: str) -> None:
        os.rename(self._at(source), self._at(target))


class _RemoteFolder(_Folder):
    """A place of a store of ours, so that credentials, options and patience are those of one."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self._url, self._options = url, options
        self._store = open_store(url, options, durable=False, single_writer=True)
        self.shown = shown(url)

    def has(self, name: str) -> bool:
        if next(self._store.everything(name), None) is not None:
            return True
        return file_exists(f"{self._url}/{name}", self._options)

    def is_at(self, name: str, url: str) -> bool:
        return url == f"{self._store.url}/{name}"

    def read(self, name: str) -> bytes:
        return self._store.get(name)

    def write(self, name: str, data: bytes) -> None:
        self._store.put(name, data)

    def remove(self, name: str) -> None:
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            list(pool.map(self._store.delete, [entry.key for entry in self._below(name)]))
        self._store.delete(name)

    def _below(self, name: str) -> Iterator[Entry]:
        """What is in a folder; a file of that name is in it where file systems list it so."""
        return (each for each in self._store.everything(name) if each.key.startswith(f"{name}/"))

    def move(self, source: str, target: str) -> None:
        """Copy every object, those last by which a dataset is found; who asked removes the rest."""
        objects = [entry.key for entry in self._below(source)]
        last = sorted(key for key in objects if "/__exetera__/" in key[len(source) :])
        root = f"{source}/zarr.json"
        rest = [key for key in objects if key not in {*last, root}]

        def copy(key: str) -> None:
            self._store.copy(key, target + key[len(source) :])

        try:
            with ThreadPoolExecutor(_AT_A_TIME) as pool:
                list(pool.map(copy, rest))
            for key in [*last, *([root] if root in objects else [])]:
                copy(key)
        except BaseException:
            for key in objects:  # what cannot be removed is not worth another error
                with contextlib.suppress(Exception):
                    self._store.delete(target + key[len(source) :])
            raise
