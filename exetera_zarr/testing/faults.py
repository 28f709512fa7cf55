"""Stores that fail at a chosen call, and a folder that forgets what was not made durable."""

from __future__ import annotations

import errno
import itertools
import os
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from exetera_zarr.errors import StorageError
from exetera_zarr.storage import sharing
from exetera_zarr.storage.stores.local import LocalStore
from exetera_zarr.storage.stores.opening import wrapped_stores
from exetera_zarr.testing.stores import WrapperStore

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Mapping

    from exetera_zarr.storage.stores.base import Entry, ObjectStore

__all__ = ["FailingStore", "Faults", "PowerLossStore", "as_another_process", "failing"]

_R = TypeVar("_R")
_WRITES = {"put", "create", "copy", "advance"}


class Faults:
    """
    Which calls fail, for all stores that are told: nothing before it is armed.

    Parameters
    ----------
    serial
        Whether the stores ask for one request at a time and make one at a time, so that the same
        work makes the same calls.

    Attributes
    ----------
    calls : list of (str, str)
        Verb and key of the calls since it was armed, in the order in which they began.
    failed : list of (str, str)
        Those of them that failed.
    """

    def __init__(self, *, serial: bool = True) -> None:
        self.serial = serial
        self.calls: list[tuple[str, str]] = []
        self.failed: list[tuple[str, str]] = []
        self._at: frozenset[int] = frozenset()
        self._applied = False
        self._lasting = False
        self._armed = self._full = False
        self._lock = threading.Lock()
        self._turn = threading.RLock()

    def arm(
        self, *at: int, applied: bool = False, lasting: bool = False, full: bool = False
    ) -> None:
        """
        Count from here on, and fail.

        Parameters
        ----------
        at
            Which calls fail; the first one is 1. None of them just counts.
        applied
            Whether what fails was done nevertheless, and only the reply was lost.
        lasting
            Whether every call after the first that fails fails as well, without being applied.
        full
            Whether what fails does so as on a full disk: only calls that write count, then.
        """
        with self._lock:
            self.calls, self.failed = [], []
            self._at, self._applied, self._lasting = frozenset(at), applied, lasting
            self._armed, self._full = True, full

    def disarm(self) -> int:
        """Let every call pass again; how many there were."""
        with self._lock:
            self._armed = False
            return len(self.calls)

    def around(self, verb: str, key: str, call: Callable[[], _R]) -> _R:
        """Make a call, or not, and fail, or not."""
        if not self.serial:
            return self._around(verb, key, call)
        with self._turn:
            return self._around(verb, key, call)

    def _around(self, verb: str, key: str, call: Callable[[], _R]) -> _R:
        with self._lock:
            fails = down = False
            if self._armed and not (self._full and verb not in _WRITES):
                self.calls.append((verb, key))
                down = self._lasting and bool(self.failed)
                fails = down or len(self.calls) in self._at
                if fails:
                    self.failed.append((verb, key))
            applied = self._applied and not down
        if not fails:
            return call()
        if applied:
            call()
        why = "the reply was lost" if applied else "the disk is full" if self._full else "no"
        error = StorageError(f"could not {verb} {key}: {why}")
        error.errno = errno.ENOSPC if self._full else None
        raise error


class FailingStore(WrapperStore):
    """
    A store whose calls fail when `Faults` say so.

    Parameters
    ----------
    store
        The store that it hands its calls to.
    faults
        Shared by all the stores that are counted together.
    """

    def __init__(self, store: ObjectStore, faults: Faults) -> None:
        super().__init__(store)
        self._around = faults.around
        self.cheap_parts = store.cheap_parts
        if faults.serial:
            self.concurrency = 1

    def get(self, key: str) -> bytes:
        return self._around("get", key, lambda: self.store.get(key))

    def part(self, key: str, start: int, stop: int) -> bytes:
        return self._around("part", key, lambda: self.store.part(key, start, stop))

    def put(self, key: str, data: bytes) -> None:
        self._around("put", key, lambda: self.store.put(key, data))

    def create(self, key: str, data: bytes) -> bool:
        return self._around("create", key, lambda: self.store.create(key, data))

    def copy(self, source: str, target: str) -> None:
        self._around("copy", target, lambda: self.store.copy(source, target))

    def first(self, prefix: str) -> str | None:
        return self._around("first", prefix, lambda: self.store.first(prefix))

    def list(self, prefix: str) -> Iterator[str]:
        return self._around("list", prefix, lambda: iter(list(self.store.list(prefix))))

    def advance(
        self,
        key: str,
        data: bytes,
        wanted: Callable[[bytes | None], bool],
        expected: bytes | None = None,
    ) -> bool:
        return self._around("advance", key, lambda: self.store.advance(key, data, wanted, expected))

    def everything(self, prefix: str) -> Iterator[Entry]:
        return self._around("everything", prefix, lambda: iter(list(self.store.everything(prefix))))

    def empty(self) -> bool:
        return self._around("empty", "", self.store.empty)

    def delete(self, key: str) -> None:
        self._around("delete", key, lambda: self.store.delete(key))

    def sync(self) -> None:
        self._around("sync", "", self.store.sync)


@contextmanager
def failing(faults: Faults) -> Iterator[Faults]:
    """Have every store that is opened inside fail as `faults` say."""
    with wrapped_stores(lambda store: FailingStore(store, faults)):
        yield faults


@contextmanager
def as_another_process() -> Iterator[None]:
    """Inside, a dataset is opened as a process would that shares no draft with this one."""
    with sharing.lock:
        drafts = dict(sharing.drafts)
        sharing.drafts.clear()
    try:
        yield
    finally:
        with sharing.lock:
            sharing.drafts.update(drafts)


class PowerLossStore(LocalStore):
    """
    A folder that knows what of it would survive a loss of power.

    The model is POSIX at its worst: the content of a file survives as it was when the file was last
    synced, and the names in a folder, new ones, removed ones and those of folders, as they were
    when the folder was last synced. What is above the place when the store is made is durable.
    Nothing is really synced, so it is fast.

    Parameters
    ----------
    path
        The folder of the dataset.
    observe
        Called before and after every sync, and after every removal.

    Attributes
    ----------
    observe : callable
        May be set later.
    """

    def __init__(self, path: str, observe: Callable[[], object] | None = None) -> None:
        super().__init__(path)
        self.observe: Callable[[], object] = observe or (lambda: None)
        self._state = threading.RLock()
        # Inodes are used again, so every file gets a number of its own when it is written.
        self._numbers = itertools.count()
        self._files: dict[int, int] = {}
        self._contents: dict[int, bytes] = {}
        self._names: dict[str, dict[str, int | None]] = {}
        self._base = str(next(p for p in Path(self.path).parents if p.is_dir()))
        self._names[self._base] = self._listed(self._base)
        for folder, _, names in os.walk(self.path):
            self._names[folder] = self._listed(folder)
            for name in names:
                self._note_content(Path(folder, name))

    def _number(self, inode: int) -> int:
        if inode not in self._files:
            self._files[inode] = next(self._numbers)
        return self._files[inode]

    def _listed(self, folder: str) -> dict[str, int | None]:
        try:
            with os.scandir(folder) as entries:
                return {e.name: None if e.is_dir() else self._number(e.inode()) for e in entries}
        except FileNotFoundError:
            return {}

    def _note_content(self, path: Path) -> None:
        with path.open("rb") as file:
            self._contents[self._number(os.fstat(file.fileno()).st_ino)] = file.read()

    def _write(self, path: str, data: bytes) -> None:
        with self._state:
            super()._write(path, data)
            self._files[Path(path).stat().st_ino] = next(self._numbers)

    def _sync(self, path: str) -> None:
        self.observe()
        with self._state:
            if Path(path).is_dir():
                self._names[path] = self._listed(path)
            else:
                self._note_content(Path(path))
        self.observe()

    def delete(self, key: str) -> None:
        super().delete(key)
        self.observe()

    def surviving(self, rng: random.Random | None = None) -> dict[str, bytes]:
        """
        What would be there after a loss of power now.

        Parameters
        ----------
        rng
            Each change that was not synced survives by chance; without it, none of them does.

        Returns
        -------
        dict of str to bytes
            Content by key.
        """
        found: dict[str, bytes] = {}
        with self._state:
            self._collect(self._base, rng, found)
        return found

    def _collect(self, folder: str, rng: random.Random | None, found: dict[str, bytes]) -> None:
        for name, number in self._surviving_names(folder, rng).items():
            path = f"{folder}/{name}"
            inside = path.startswith(f"{self.path}/")
            if number is not None:
                if inside:
                    key = path.removeprefix(f"{self.path}/")
                    found[key] = self._surviving_content(path, number, rng)
            elif inside or f"{self.path}/".startswith(f"{path}/"):
                self._collect(path, rng, found)

    def _surviving_names(self, folder: str, rng: random.Random | None) -> dict[str, int | None]:
        synced = self._names.get(folder, {})
        if rng is None:
            return synced
        present, left = self._listed(folder), {}
        for name in sorted(synced.keys() | present.keys()):
            side = synced if rng.random() < 0.5 else present
            if name in side:
                left[name] = side[name]
        return left

    def _surviving_content(self, path: str, number: int, rng: random.Random | None) -> bytes:
        if number not in self._contents and rng is not None and rng.random() < 0.5:
            try:
                with Path(path).open("rb") as file:
                    if self._number(os.fstat(file.fileno()).st_ino) == number:
                        return file.read()
            except FileNotFoundError:
                pass
        return self._contents.get(number, b"")

    @staticmethod
    def restore(found: Mapping[str, bytes], folder: str) -> None:
        """Make a folder that has what survived; nothing if that is nothing."""
        for key, data in found.items():
            path = Path(folder, key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
