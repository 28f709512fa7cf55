"""Requests to a store over a network: which failures pass, how long to try again, what to say.

The clients' own retries are switched off, so that there is one clock. Waiting times are drawn at
random from ranges that double ("full jitter": M. Brooker, Exponential Backoff And Jitter, AWS
Architecture Blog, 2015), so that many workers that were turned away together do not come back
together.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar
from urllib.parse import quote

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from exetera_zarr.errors import (
    AccessDeniedError,
    DataError,
    DatasetNotFoundError,
    ExeteraError,
    StorageError,
)
from exetera_zarr.storage.base import OfThisProcess
from exetera_zarr.storage.remote.limits import (
    OPTIONS,
    Allowance,
    Refused,
    Silent,
    Stalled,
    allowance_of,
    limits,
    narrowed,
    number_among,
    within,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "OURS",
    "BeyondEndError",
    "Bounds",
    "Client",
    "Failure",
    "Kind",
    "Patience",
    "Requests",
    "bounds_of",
    "by_status",
    "patience",
    "secrets_of",
    "unresolved",
]

_R = TypeVar("_R")


class Kind(Enum):
    """What a failed request means for who made it."""

    MISSING = auto()
    """There is no such object."""
    NO_BUCKET = auto()
    """There is not even the bucket."""
    CONFLICT = auto()
    """The condition of a write did not hold."""
    DENIED = auto()
    """These credentials may not, or there are none."""
    EXPIRED = auto()
    """These credentials may not any more."""
    BUSY = auto()
    """The store, or the way to it, is in trouble that may pass."""
    UNREACHABLE = auto()
    """No connection was made, or the host has no address: the same, unless the place is wrong."""
    BEYOND = auto()
    """The file has no bytes where some were asked for."""
    OTHER = auto()
    """Nothing that another try would change."""


class BeyondEndError(StorageError):
    """The file has no bytes where some were asked for: any of an empty one."""


_PASSING = frozenset([Kind.BUSY, Kind.UNREACHABLE, Kind.EXPIRED])


@dataclass(frozen=True)
class Failure:
    """
    A failed request.

    Parameters
    ----------
    kind
        What it means.
    reason
        What a person should know: what the store said, and what could be done.
    """

    kind: Kind
    reason: str


@dataclass
class Patience:
    """
    How long requests are made again.

    Parameters
    ----------
    deadline
        Seconds after which no request is made again.
    first_contact
        The same, as long as the place has never answered.
    shortest, longest
        Seconds of the first range that a waiting time is drawn from, and of the last.
    """

    deadline: float = 90.0
    first_contact: float = 5.0
    shortest: float = 0.1
    longest: float = 5.0


patience = Patience()
"""The patience of every store that is given no deadline of its own."""
OURS = frozenset(["retry_deadline", *OPTIONS])
"""Names of the storage options of `bounds_of`, which no file system knows."""


@dataclass(frozen=True)
class Bounds:
    """
    Where the requests of one store end.

    Parameters
    ----------
    deadline
        Seconds after which a request is not made again; that of `patience` if None.
    allowed
        What an answer may be; as the limits of all stores are if None.
    """

    deadline: float | None = None
    allowed: Allowance | None = None


def by_status(status: int) -> Kind:
    """
    What an HTTP status means, where a store does not say more.

    Parameters
    ----------
    status
        400 or higher.
    """
    if status in (404, 410):
        return Kind.MISSING
    if status in (401, 403):
        return Kind.DENIED
    if status == 412:
        return Kind.CONFLICT
    if status == 416:
        return Kind.BEYOND
    if status in (408, 409, 425, 429) or (status >= 500 and status not in (501, 505)):
        return Kind.BUSY
    return Kind.OTHER


class Client(Protocol):
    """What requests are made with."""

    secret: frozenset[str]
    """Values that no message may show."""

    def explain(self, error: Exception) -> Failure:
        """What an error means."""

    @property
    def in_use(self) -> object:
        """The credentials that a request would be made with now; None where that is not known."""

    def renew(self, used: object) -> bool:
        """
        Have other credentials than those that have expired; whether there are any.

        Parameters
        ----------
        used
            What `in_use` was when the request was made. Where others are in use by now, another
            request has renewed them already.
        """


class Requests(OfThisProcess):
    """
    The requests of one store: made again while that may help, and then an error that names them.

    Parameters
    ----------
    url
        The place, without secrets.
    client
        Which explains what its library raises, and gets new credentials.
    bounds
        Where they end: see `bounds_of`.
    """

    def __init__(self, url: str, client: Client, bounds: Bounds | None = None) -> None:
        self._url, self._client, self._bounds = url, client, bounds or Bounds()
        self._answered = False

    def make(self, verb: str, key: str, request: Callable[[], _R], *, once: bool = False) -> _R:
        """
        Make a request.

        Parameters
        ----------
        verb
            For messages: ``read``, ``write`` and so on.
        key
            The object, or the folder.
        request
            Makes it once; called again where that may help.
        once
            Whether it is not to be made again.

        Raises
        ------
        FileNotFoundError
            There is no such object.
        FileExistsError
            The condition of a write did not hold.
        BeyondEndError
            There are no such bytes.
        AccessDeniedError, StorageError
            Anything else, when no other try would help or the time is up.
        """
        used: object = None
        began = 0.0

        def attempt() -> _R:
            nonlocal used, began
            used, began = self._client.in_use, time.monotonic()
            return request()

        tries = Retrying(
            retry=retry_if_exception(lambda error: not once and self._may_pass(error, used)),
            wait=wait_random_exponential(patience.shortest, patience.longest),
            stop=lambda state: self._is_time_up(state, time.monotonic() - began),
            reraise=True,
        )
        allowed = self._bounds.allowed or Allowance(limits.largest, limits.silence)
        if allowed.size is not None and (size := narrowed(allowed.size)) < allowed.size:
            allowed = Allowance(size, allowed.silence, whole=False)
        try:
            with within(allowed):
                result = tries(attempt)
        except Exception as error:  # noqa: BLE001 - clients have errors of many kinds
            self._fail(verb, key, error)
        self._answered = True
        return result

    def _may_pass(self, error: BaseException, used: object) -> bool:
        if not isinstance(error, Exception) or isinstance(error, ExeteraError):
            return False
        kind = self._explained(error).kind
        if kind not in (Kind.UNREACHABLE, Kind.EXPIRED):
            self._answered = True
        if kind is Kind.EXPIRED:
            return self._client.renew(used)
        return kind in _PASSING

    def _explained(self, error: Exception) -> Failure:
        """What an error means: what the answer was like counts for more than what that led to."""
        for each in _chain(error):
            if isinstance(each, Refused):
                return Failure(Kind.OTHER, str(each))
            if isinstance(each, Stalled):
                kind = Kind.UNREACHABLE if isinstance(each, Silent) else Kind.BUSY
                return Failure(kind, str(each))
        return self._client.explain(error)

    def _is_time_up(self, state: RetryCallState, took: float) -> bool:
        """Whether there is no time for another try; a first contact has to end in time as well."""
        spent = (state.seconds_since_start or 0.0) + state.upcoming_sleep
        own = self._bounds.deadline
        deadline = patience.deadline if own is None else own
        if self._answered:
            return spent > deadline
        return spent + took > min(deadline, patience.first_contact)

    def _fail(self, verb: str, key: str, error: Exception) -> NoReturn:
        if isinstance(error, (AccessDeniedError, DataError)):  # of a provider of credentials
            raise AccessDeniedError(f"could not {verb} {self._what(key)}: {error}") from error
        if isinstance(error, (ExeteraError, MemoryError)):
            raise error
        raised = self._error(verb, key, error)
        if not self._tells(error):
            raise raised from error
        try:
            raise raised
        finally:
            raised.__context__ = None

    def _error(self, verb: str, key: str, error: Exception) -> OSError:
        """What a failed request is for our callers."""
        failure, what = self._explained(error), self._what(key)
        if failure.kind is Kind.MISSING:
            return FileNotFoundError(f"there is no {what}")
        if failure.kind is Kind.CONFLICT:
            return FileExistsError(f"{what} was written by somebody else")
        reason = unresolved(error) if failure.kind is Kind.UNREACHABLE else None
        message = f"could not {verb} {what}: {self._shown(reason or failure.reason)}"
        if failure.kind is Kind.NO_BUCKET:
            return DatasetNotFoundError(message)
        if failure.kind in (Kind.DENIED, Kind.EXPIRED):
            return AccessDeniedError(message)
        if failure.kind is Kind.BEYOND:
            return BeyondEndError(message)
        return StorageError(message)

    def _what(self, key: str) -> str:
        return f"{self._url}/{key}" if key else self._url

    def _tells(self, error: Exception) -> bool:
        """Whether an error, or one that led to it, has a secret in its text, or its request."""
        for each in _chain(error):
            if any(getattr(each, name, None) is not None for name in ("request", "request_info")):
                return True  # of which the headers say who asks
            text = f"{each}{each!r}"
            if any(secret in text for secret in self._client.secret):
                return True
        return False

    def _shown(self, text: str) -> str:
        for secret in self._client.secret:
            text = text.replace(secret, "***")
        return text


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and all that led to it."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [each.__cause__, each.__context__]


def unresolved(error: BaseException) -> str | None:
    """
    What to say of a host that has no address; None where that is not what went wrong.

    Parameters
    ----------
    error
        Of whatever library; those that led to it are looked at as well.
    """
    for each in _chain(error):
        host = getattr(each, "host", None)  # of aiohttp's error
        if host and type(each).__name__ == "ClientConnectorDNSError":
            said = getattr(each, "os_error", None)
            why = getattr(said, "strerror", None) or said or "unknown"
            return (
                f"the host {str(host)!r} could not be resolved to an address ({why}): check how it "
                "is spelled, and the network"
            )
    return None


def bounds_of(options: Mapping[str, Any]) -> Bounds:
    """
    The options `retry_deadline`, `stall_timeout` and `largest_object`.

    Parameters
    ----------
    options
        Of a file system; those of the command line are texts.

    Raises
    ------
    DataError
        One of them is no such number.
    """
    seconds = number_among(options, "retry_deadline", "a number of seconds", lambda s: s >= 0)
    return Bounds(seconds, allowance_of(options))


_HARMLESS = OURS | {
    "anon",
    "endpoint_url",
    "profile",
    "project",
    "region_name",
    "access",
    "default_location",
}
_SHORTEST = 8
"""What is shorter is a word, such as those that gcsfs takes for a token."""


def secrets_of(options: Mapping[str, Any]) -> frozenset[str]:
    """
    Texts among storage options that may be secrets, at any depth.

    Parameters
    ----------
    options
        Of a file system.
    """
    found: set[str] = set()

    def look(name: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for below, inner in value.items():
                look(str(below), inner)
        elif isinstance(value, (list, tuple)):
            for inner in value:
                look(name, inner)
            if hasattr(value, "encode"):  # as aiohttp's BasicAuth, which is a tuple
                look(name, value.encode())
        elif isinstance(value, str):
            text = _login_of(value) if name in _HARMLESS else value
            found.update({text, text.split(" ")[-1]})

    look("", dict(options))
    found |= {quote(text, safe="") for text in found}
    return frozenset(text for text in found if len(text) >= _SHORTEST)


def _login_of(url: str) -> str:
    """The password in a URL."""
    login = url.partition("://")[2].partition("/")[0].rpartition("@")[0]
    return login.partition(":")[2]
