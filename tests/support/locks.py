"""Locks that say when somebody waits for them, so that no test has to guess how long that takes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exetera_zarr.tables.dataset import Dataset


class WatchedLock:
    """A lock in another's place, with an event that is set when a thread has to wait for it."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self.waited_for = threading.Event()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if self._lock.acquire(blocking=False):
            return True
        self.waited_for.set()
        return bool(self._lock.acquire(blocking, timeout))

    def release(self) -> None:
        self._lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def watch_lock(dataset: Dataset) -> WatchedLock:
    """Put a watched lock in the place of the one that a writable dataset's draft has."""
    storage: Any = dataset.storage
    context = storage.draft.context
    context.lock = watched = WatchedLock(context.lock)
    return watched
