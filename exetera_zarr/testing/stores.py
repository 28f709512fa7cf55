"""Object stores that do what another one does, and something more."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from exetera_zarr.storage.stores.base import Entry, ObjectStore, WrapperStore
from exetera_zarr.storage.stores.opening import wrapped_stores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["CountingStore", "WrapperStore", "counting"]


class CountingStore(WrapperStore):
    """
    A store that notes the calls made on it.

    Attributes
    ----------
    calls : list of (str, str)
        Verb and key, in the order in which they began.
    """

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store)
        self.cheap_parts = store.cheap_parts
        self.calls: list[tuple[str, str]] = []
        self._lock = threading.Lock()

    @property
    def verbs(self) -> Counter[str]:
        """How often each verb was called."""
        return Counter(verb for verb, _ in self.calls)

    def chunks(self, verb: str) -> list[str]:
        """Keys of the chunks that a verb was called on."""
        return [key for called, key in self.calls if called == verb and "/c/" in key]

    def _note(self, verb: str, key: str) -> None:
        with self._lock:
            self.calls.append((verb, key))

    def get(self, key: str) -> bytes:
        self._note("get", key)
        return self.store.get(key)

    def part(self, key: str, start: int, stop: int) -> bytes:
        self._note("part", key)
        return self.store.part(key, start, stop)

    def put(self, key: str, data: bytes) -> None:
        self._note("put", key)
        self.store.put(key, data)

    def create(self, key: str, data: bytes) -> bool:
        self._note("create", key)
        return self.store.create(key, data)

    def copy(self, source: str, target: str) -> None:
        self._note("copy", target)
        self.store.copy(source, target)

    def first(self, prefix: str) -> str | None:
        self._note("list", prefix)
        return self.store.first(prefix)

    def list(self, prefix: str) -> Iterator[str]:
        self._note("list", prefix)
        return self.store.list(prefix)

    def advance(
        self,
        key: str,
        data: bytes,
        wanted: Callable[[bytes | None], bool],
        expected: bytes | None = None,
    ) -> bool:
        self._note("advance", key)
        return self.store.advance(key, data, wanted, expected)

    def everything(self, prefix: str) -> Iterator[Entry]:
        self._note("list", prefix)
        return self.store.everything(prefix)

    def empty(self) -> bool:
        self._note("list", "")
        return self.store.empty()

    def delete(self, key: str) -> None:
        self._note("delete", key)
        self.store.delete(key)


@contextmanager
def counting() -> Iterator[list[CountingStore]]:
    """
    Count the calls on every store that is opened inside.

    Yields
    ------
    list of CountingStore
        Those opened so far.
    """
    opened: list[CountingStore] = []

    def wrap(store: ObjectStore) -> ObjectStore:
        opened.append(CountingStore(store))
        return opened[-1]

    with wrapped_stores(wrap):
        yield opened
