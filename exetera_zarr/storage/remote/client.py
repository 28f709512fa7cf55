"""The contract of a client: single requests to one bucket, made once and not again."""

from __future__ import annotations

import os
import re
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from exetera_zarr.errors import StorageError
from exetera_zarr.storage.base import OfThisProcess
from exetera_zarr.storage.remote.credentials import AwsCredentials, GoogleToken, Provider, ask
from exetera_zarr.storage.remote.limits import Refused, limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exetera_zarr.storage.remote.requests import Failure, Requests

__all__ = [
    "ABSENT",
    "BucketClient",
    "Entry",
    "Page",
    "Part",
    "Upload",
    "all_entries",
    "page_of",
    "size_of",
    "total_in",
]

_C = TypeVar("_C", bound=AwsCredentials | GoogleToken)

ABSENT = ""
"""The tag of an object that is not there."""
_RANGE = re.compile(r"bytes ([0-9]{1,19})-[0-9]{1,19}/([0-9]{1,19}|\*)", re.ASCII | re.IGNORECASE)
_PARTIAL = 206
_of_parents: list[object] = []
"""File systems of the process that this one was forked from: closing them would need its loop."""


@dataclass(frozen=True)
class Entry:
    """One object of a listing: its key, its bytes, and when it was written by the store's clock."""

    key: str
    size: int
    modified: float


@dataclass(frozen=True)
class Page:
    """A part of a listing, in byte order, and where the next one goes on (None after the last)."""

    entries: list[Entry]
    following: str | None


@dataclass(frozen=True)
class Part:
    """
    A part of a file.

    Parameters
    ----------
    data
        Its bytes.
    size
        Bytes of the whole file, if they are known.
    tag
        What changes when the file does, if that is known.
    """

    data: bytes
    size: int | None
    tag: str | None = None


class Upload(ABC):
    """A file that is written piece by piece; requests are made again while that may help."""

    piece: int = 16 << 20
    """Bytes of each piece but the last; asked for before each."""

    @abstractmethod
    def send(self, data: bytes) -> None:
        """Write the next piece."""

    @abstractmethod
    def finish(self, data: bytes) -> None:
        """Write the last piece, and have the file in its place."""

    @abstractmethod
    def abort(self) -> None:
        """Leave nothing of what was written; what cannot be removed is no error."""


def total_in(content_range: str, start: int | None = None) -> int | None:
    """
    The size of the whole file that the header ``Content-Range`` tells.

    Parameters
    ----------
    content_range
        Such as ``bytes 0-9/200``.
    start
        Where the part was asked for from.

    Raises
    ------
    Refused
        It is another part, or makes no sense.
    """
    if not content_range.strip():
        return None
    found = _RANGE.fullmatch(content_range.strip())
    if found is None:
        raise Refused(f"its Content-Range makes no sense: {content_range[:100]!r}")
    if start is not None and int(found[1]) != start:
        raise Refused(f"it sends the bytes from {found[1]} on, and those from {start} were asked")
    return None if found[2] == "*" else int(found[2])


def size_of(status: int, content_range: str | None, start: int, length: int) -> int:
    """
    The size of an object of which a part was asked for.

    Parameters
    ----------
    status
        Of the answer: 206 for a part, 200 for the whole.
    content_range
        The header of that name; None where there is none.
    start
        Where the part was asked for from.
    length
        Bytes that came.

    Raises
    ------
    Refused
        It does not say, so that nobody would see if some of it were missing.
    """
    if status != _PARTIAL and content_range is None:
        return length
    size = total_in(content_range or "", start)
    if size is None:
        raise Refused("it sends a part of the object, and does not say how large the whole is")
    return size


def page_of(prefix: str, entries: list[Entry], following: object) -> Page:
    """
    A part of a listing, as it came.

    Parameters
    ----------
    prefix
        What was asked for.
    entries
        What came.
    following
        Where the next one goes on; nothing after the last.

    Raises
    ------
    Refused
        It is not what was asked for.
    """
    for entry in entries:
        if not entry.key.startswith(prefix) or entry.size < 0:
            raise Refused(
                f"its listing of {prefix!r} has {entry.key[:200]!r} of {entry.size} bytes"
            )
    if following and not isinstance(following, str):
        raise Refused("its listing goes on at what is no text")
    return Page(entries, str(following) if following else None)


def all_entries(url: str, page: Callable[[str | None], Page]) -> Iterator[Entry]:
    """
    All objects of a listing, for as long as there is progress.

    Parameters
    ----------
    url
        What is listed, for messages.
    page
        Gets a part of it, by where the one before it said that it goes on.

    Raises
    ------
    StorageError
        There is no end of it.
    """
    following: str | None = None
    seen: set[int] = set()
    count = idle = 0
    while True:
        found = page(following)
        yield from found.entries
        following = found.following
        if following is None:
            return
        count += len(found.entries)
        idle = 0 if found.entries else idle + 1
        why = None
        if hash(following) in seen:
            why = "it goes on where it has been already"
        elif idle > limits.idle_pages:
            why = f"{idle:,} of its pages in a row have nothing on them"
        elif count > limits.listed:
            why = f"it goes on after {count:,} objects"
        if why is not None:
            raise StorageError(f"could not list {url}: there is no end of the listing: {why}")
        seen.add(hash(following))


class BucketClient(OfThisProcess, ABC):
    """
    Single requests to one bucket. Names of objects are whole, from the bucket on.

    What goes wrong comes out as the client library raises it, at the first time; `explain` says
    what it means.
    """

    bucket: str
    endpoint: str
    """Where the bucket is, for telling places apart."""
    root: str
    """What the names of the place's objects begin with."""
    secret: frozenset[str]
    """Values that no message may show."""

    def __init__(self, provider: Provider | None) -> None:
        self._provider = provider
        self._given: AwsCredentials | GoogleToken | None = None  # what is in use
        self._renewed: AwsCredentials | GoogleToken | None = None  # for the next file system
        self._fs: Any = None
        self._pid = os.getpid()
        self._lock = threading.RLock()

    @property
    def fs(self) -> Any:
        """The file system; another one in a forked process, where event loops do not go on."""
        self._notice_fork()
        with self._lock:
            if self._fs is None:
                self._fs = self._open(new=self._forked or self._provider is not None)
            return self._fs

    _forked = False

    def _notice_fork(self) -> None:
        if self._pid == os.getpid():
            return
        if self._fs is not None:
            _of_parents.append(self._fs)
        # A thread of the parent may have held the lock, and is not here to release it.
        self._fs, self._forked, self._lock = None, True, threading.RLock()
        self._pid = os.getpid()

    @abstractmethod
    def _open(self, *, new: bool) -> Any:
        """A file system, which nobody else uses where it has to be a new one."""

    def _ask(self, kind: type[_C]) -> _C:
        """What the provider gives now, which is in use from here on."""
        assert self._provider is not None
        renewed, self._renewed = self._renewed, None
        given = renewed if isinstance(renewed, kind) else ask(self._provider, kind)
        self.secret |= given.secret
        self._given = given
        return given

    @property
    def in_use(self) -> object:
        """The credentials of the provider that requests are made with; None before the first."""
        return self._given

    def renew(self, used: object) -> bool:
        """
        Have other credentials than those that have expired; whether there are any.

        Many requests may meet the same expired ones at once: the first to come asks the provider,
        and the others find what it was given.

        Parameters
        ----------
        used
            What `in_use` was when the request was made.
        """
        if self._provider is None or self._given is None:
            return False
        with self._lock:
            if self._given != used:
                return True  # renewed already, or first obtained, after that request was begun
            found = ask(self._provider, type(self._given))
            if found == self._given:
                return False
            self.secret |= found.secret
            self._given = self._renewed = found
            self._fs = None
            return True

    @property
    @abstractmethod
    def trusted(self) -> bool:
        """Whether this service is known to heed the conditions of writes; may make requests."""

    @abstractmethod
    def get(self, name: str) -> tuple[bytes, str]:
        """A whole object, and its tag."""

    @abstractmethod
    def part(self, name: str, start: int, stop: int) -> Part:
        """The bytes of an object from `start` to `stop`, or to its end where that comes first."""

    @abstractmethod
    def upload(self, name: str, requests: Requests) -> Upload:
        """Begin to write an object piece by piece, which is there only once all of it is."""

    @abstractmethod
    def put(self, name: str, data: bytes, tag: str | None = None) -> None:
        """Write an object; only if what is there has that tag, where one is given."""

    @abstractmethod
    def copy(self, source: str, target: str) -> None:
        """Copy within the bucket."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove an object."""

    @abstractmethod
    def list(
        self,
        prefix: str,
        *,
        deep: bool = False,
        limit: int | None = None,
        following: str | None = None,
    ) -> Page:
        """Objects whose names begin with `prefix`; without `deep` those with no ``/`` after it."""

    @abstractmethod
    def tag_of(self, data: bytes) -> str | None:
        """The tag that an object of those bytes is likely to have; None if that is not known."""

    @abstractmethod
    def explain(self, error: Exception) -> Failure:
        """What an error means."""
