"""Chunks on their way before they are asked for, from stores that are far away.

Where a request takes tens of milliseconds, reading block after block would wait for each. An array
that is read in order says which chunks will be wanted next, more of them each time (as the
read-ahead of operating systems does), so that a scan has many requests under way.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exetera_zarr.storage import concurrency
from exetera_zarr.storage.remote.limits import at_most

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Future

    from exetera_zarr.storage.stores.base import ObjectStore

__all__ = ["Order", "ReadAhead"]

_GROWTH = 4
_FORGOTTEN = 5.0
"""Seconds after which what nobody has asked for may make room."""


@dataclass
class Order:
    """
    How far an array was read in order.

    Parameters
    ----------
    following
        Number of the block after the last one that was read.
    window
        How many blocks after that are expected.
    """

    following: int = -1
    window: int = 0

    def read(self, first: int, last: int, most: int) -> range:
        """Note that blocks are read; which ones will be wanted next."""
        if last < self.following <= first + 1:
            return range(0)  # the rest of the block that was read before
        in_order = first <= self.following <= last
        self.window = min(max(_GROWTH * self.window, _GROWTH), most) if in_order else 0
        self.following = last + 1
        return range(last + 1, last + 1 + self.window)


@dataclass
class _Coming:
    future: Future[bytes]
    size: int
    since: float


class ReadAhead:
    """
    Objects that will be wanted soon.

    Parameters
    ----------
    store
        Where they are.
    limit
        Bytes that they may take; beyond that nothing more is expected.
    """

    def __init__(self, store: ObjectStore, limit: int) -> None:
        self._store, self._limit = store, limit
        self._coming: OrderedDict[str, _Coming] = OrderedDict()
        self._total = 0
        self._lock = threading.Lock()
        self._pid = os.getpid()

    @property
    def most(self) -> int:
        """How many objects are worth expecting at a time; 0 where the store is near."""
        return self._store.concurrency if self._store.distant else 0

    def get(self, key: str) -> bytes:
        """The object, which may be here already."""
        coming = self._taken(key)
        if coming is not None:
            with suppress(Exception):  # a failure that nobody was waiting for is nobody's
                return coming.future.result()
        return self._store.get(key)

    def _get(self, key: str, most: int | None) -> bytes:
        with at_most(most):
            return self._store.get(key)

    def _taken(self, key: str) -> _Coming | None:
        if self._pid != os.getpid():
            # The threads that were getting it have not survived the fork, and nor may the lock.
            self._lock = threading.Lock()
            self._coming, self._total, self._pid = OrderedDict(), 0, os.getpid()
        with self._lock:
            coming = self._coming.pop(key, None)
            if coming is not None:
                self._total -= coming.size
        return coming

    def __len__(self) -> int:
        return len(self._coming)

    def expect(self, keys: Iterable[str], size: int, most: int | None = None) -> None:
        """
        Begin to get objects, as far as there is room.

        Parameters
        ----------
        keys
            Theirs.
        size
            Bytes that each has, about.
        most
            No more bytes than this are taken of any.
        """
        pool = concurrency.pool(self._store.concurrency, "ahead")
        for key in keys:
            with self._lock:
                if key in self._coming:
                    continue
                if self._total + size > self._limit and not self._make_room(size):
                    return
                future = pool.submit(self._get, key, most)
                self._coming[key] = _Coming(future, size, time.monotonic())
                self._total += size

    def _make_room(self, size: int) -> bool:
        """Drop what nobody has asked for in a while; whether that is enough."""
        now = time.monotonic()
        while self._coming and self._total + size > self._limit:
            key, oldest = next(iter(self._coming.items()))
            if now - oldest.since < _FORGOTTEN:
                return False
            del self._coming[key]
            oldest.future.cancel()
            self._total -= oldest.size
        return self._total + size <= self._limit
