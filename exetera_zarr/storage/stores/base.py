"""The contract of a store: a flat, blocking store of the objects of one dataset, bytes by key.

Every store offers the same few calls, so that a decorator (counting, failing, slow) is short. Many
requests at a time are the business of `storage.concurrency`, which calls these from threads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from exetera_zarr.errors import CorruptDataError
from exetera_zarr.storage.base import OfThisProcess
from exetera_zarr.storage.remote.client import Entry
from exetera_zarr.storage.remote.limits import limits, narrowed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exetera_zarr.storage.remote.options import Way

__all__ = ["LARGEST_CHUNK", "Entry", "ObjectStore", "WrapperStore", "check_size"]

LARGEST_CHUNK = 1 << 30
"""Bytes of the largest chunk, packed or unpacked."""


def check_size(key: str, size: int, where: str) -> None:
    """CorruptDataError for an object that is larger than any of ours, before it is read."""
    most = limits.largest if key.endswith(".json") else narrowed(LARGEST_CHUNK)
    if size > most:
        raise CorruptDataError(
            f"{where}/{key} has {size:,} bytes, and no such object of a dataset has more than "
            f"{most:,}"
        )


class ObjectStore(OfThisProcess, ABC):
    """Objects below one prefix; keys are relative, with ``/`` between segments."""

    url: str
    """The place, without secrets, for messages."""
    identity: str
    """The same for all stores of one place, however that was spelled; for this process alone."""
    concurrency: int
    """How many requests at a time are worth while."""
    distant: bool = False
    """Whether an answer takes so long that many requests have to be under way at a time."""
    conditional: bool
    """Whether `create` is known to be atomic here."""
    swaps: bool = True
    """Whether `advance` is known to keep others out between the look and the change."""
    cheap_parts: bool = False
    """Whether a part of an object takes less than the whole, however little the whole is."""
    way: Way | None = None
    """How other processes come here; None where nobody does."""
    single_writer: bool = False
    """Whether the caller promised to be the only writer."""
    durable: bool = True
    """Whether `sync` waits for the disk; a store elsewhere is durable once it has answered."""

    @abstractmethod
    def get(self, key: str) -> bytes:
        """The whole object; FileNotFoundError where there is none."""

    def get_again(self, key: str) -> bytes:
        """The whole object from where it comes from, after what `get` gave was damaged."""
        return self.get(key)

    def part(self, key: str, start: int, stop: int) -> bytes:
        """Some bytes of an object, fewer where it ends before; FileNotFoundError as of `get`."""
        return self.get(key)[start:stop]

    @abstractmethod
    def put(self, key: str, data: bytes) -> None:
        """Write an object that nobody looks at yet."""

    @abstractmethod
    def create(self, key: str, data: bytes) -> bool:
        """Write an object unless it exists, atomically; whether it was written."""

    @abstractmethod
    def copy(self, source: str, target: str) -> None:
        """Copy within the store, without moving bytes through this process."""

    @abstractmethod
    def first(self, prefix: str) -> str | None:
        """
        The first key, in byte order, directly below the folder `prefix`.

        Raises
        ------
        PermissionError, UnsupportedError
            Nothing can be listed here.
        """

    def exists(self, key: str) -> bool | None:  # noqa: ARG002 - a request, where there are any
        """Whether there is such an object; None where that costs as much as to list a few."""
        return None

    @abstractmethod
    def list(self, prefix: str) -> Iterator[str]:
        """All keys directly below the folder `prefix`, in byte order."""

    @abstractmethod
    def advance(
        self,
        key: str,
        data: bytes,
        wanted: Callable[[bytes | None], bool],
        expected: bytes | None = None,
    ) -> bool:
        """
        Replace an object that others may be reading: they get all of the old or all of the new.

        Parameters
        ----------
        key, data
            The object.
        wanted
            Whether what is there now (None for nothing) is to be replaced. Nobody else can replace
            it between the look and the change, where the store has a way to keep them out.
        expected
            What is there as far as the caller knows, which is `wanted` to be replaced: a store
            that compares and swaps need not look first.

        Returns
        -------
        bool
            Whether it was replaced.
        """

    @abstractmethod
    def everything(self, prefix: str) -> Iterator[Entry]:
        """Every object below the folder `prefix`, at any depth, in any order."""

    @abstractmethod
    def empty(self) -> bool:
        """Whether there is nothing at all at the place."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove an object; none there is no error."""

    def enclosing(self) -> str | None:
        """The dataset whose folder this place is in, if there is one."""
        return None

    def prepare(self) -> None:
        """Find out what the store can do, before a first write; UnsupportedError if too little."""

    def forget(self) -> None:
        """Note that nobody needs what was written since `sync`."""

    def sync(self) -> None:
        """Return when everything written so far would survive a loss of power."""


class WrapperStore(ObjectStore):
    """
    A store that hands every call to another one: the base of those that do something more.

    Parameters
    ----------
    store
        The other one.
    """

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.url = store.url
        self.identity = store.identity
        self.concurrency = store.concurrency
        self.distant = store.distant
        self.conditional = store.conditional
        self.way, self.single_writer = store.way, store.single_writer

    @property
    def swaps(self) -> bool:  # type: ignore[override]
        """As the other store has it, which may have to find out."""
        return self.store.swaps

    @property
    def durable(self) -> bool:
        """As the other store has it: a user who asks for more asks the one that writes."""
        return self.store.durable

    @durable.setter
    def durable(self, durable: bool) -> None:
        self.store.durable = durable

    def get(self, key: str) -> bytes:
        return self.store.get(key)

    def get_again(self, key: str) -> bytes:
        return self.store.get_again(key)

    def put(self, key: str, data: bytes) -> None:
        self.store.put(key, data)

    def create(self, key: str, data: bytes) -> bool:
        return self.store.create(key, data)

    def copy(self, source: str, target: str) -> None:
        self.store.copy(source, target)

    def first(self, prefix: str) -> str | None:
        return self.store.first(prefix)

    def list(self, prefix: str) -> Iterator[str]:
        return self.store.list(prefix)

    def advance(
        self,
        key: str,
        data: bytes,
        wanted: Callable[[bytes | None], bool],
        expected: bytes | None = None,
    ) -> bool:
        return self.store.advance(key, data, wanted, expected)

    def everything(self, prefix: str) -> Iterator[Entry]:
        return self.store.everything(prefix)

    def empty(self) -> bool:
        return self.store.empty()

    def delete(self, key: str) -> None:
        self.store.delete(key)

    def enclosing(self) -> str | None:
        return self.store.enclosing()

    def prepare(self) -> None:
        self.store.prepare()

    def forget(self) -> None:
        self.store.forget()

    def sync(self) -> None:
        self.store.sync()
