"""What is taken of a server at most: bytes of an answer, pages of a listing, time without progress.

A server may be broken or hostile. Every answer is bounded before it is taken, in one place:
`remote.replies` reads all bodies, of whichever client, and heeds what is said here.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from exetera_zarr.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = [
    "OPTIONS",
    "Allowance",
    "Limits",
    "Refused",
    "Silent",
    "Stalled",
    "allowance",
    "allowance_of",
    "at_most",
    "bytes_shown",
    "limits",
    "narrowed",
    "number_among",
    "within",
]

OPTIONS: Final = ("largest_object", "stall_timeout")
"""Names of the storage options that are read here; they are not handed to a file system."""


class Refused(Exception):  # noqa: N818 - told as a StorageError by `Requests`
    """A server did what is not taken from it; another try would change nothing."""


class Stalled(Exception):  # noqa: N818 - likewise
    """A server sends nothing, or so little that it comes to the same; that may pass."""


class Silent(Stalled):
    """A server has not even begun to answer."""


@dataclass
class Limits:
    """
    What is taken of every server, where no storage option says otherwise.

    Parameters
    ----------
    largest
        Bytes of an object that is read as a whole: a document, a manifest or a chunk. The largest
        chunk that is ever written has 32 MiB, and a manifest some 1,500 bytes for each column.
    page
        Bytes of one page of a listing, which has a thousand objects. Google's may have four times
        as many: each object has its name in four places, and JSON takes less time than XML.
    refusal
        Bytes of an answer that says what went wrong.
    copied
        Bytes of a file that its server sends only as a whole, where it is copied to the local disk,
        or where the server does not say how many there are.
    listed
        Objects of one listing.
    idle_pages
        Pages of a listing, one after the other, that have no objects and are not the last.
    silence
        Seconds without an answer, and those over which progress is counted.
    slowest
        Bytes a second over that time, of which any less is no progress.
    """

    largest: int = 96 << 20
    page: int = 2 << 20
    refusal: int = 1 << 20
    copied: int = 64 << 30
    listed: int = 10_000_000
    idle_pages: int = 100
    silence: float = 30.0
    slowest: float = 1024.0


limits = Limits()
"""Those of every store."""


@dataclass(frozen=True)
class Allowance:
    """
    What the answers to a request may be.

    Parameters
    ----------
    size
        Bytes of a body; None where its reader stops by itself.
    silence
        Seconds; see `Limits`.
    whole
        Whether it is the size of whole objects, which a storage option raises.
    """

    size: int | None
    silence: float
    whole: bool = True


_allowed: ContextVar[Allowance | None] = ContextVar("exetera_zarr_allowance", default=None)
"""Goes with a request from our thread to the event loop of its client."""


def allowance() -> Allowance:
    """What the answers to requests that are made here and now may be."""
    return _allowed.get() or Allowance(limits.largest, limits.silence)


def allowance_of(options: Mapping[str, Any]) -> Allowance:
    """
    What storage options say of it, or else the limits of all stores.

    Parameters
    ----------
    options
        Of a file system; those of the command line are texts.

    Raises
    ------
    DataError
        One of them is no such number.
    """
    size = number_among(options, "largest_object", "a number of bytes above zero", _is_positive)
    silence = number_among(options, "stall_timeout", "a number of seconds above zero", _is_positive)
    return Allowance(
        limits.largest if size is None else int(size),
        limits.silence if silence is None else silence,
    )


def number_among(
    options: Mapping[str, Any], name: str, what: str, fits: Callable[[float], bool]
) -> float | None:
    """
    A storage option that is a number; None where it is not given.

    Parameters
    ----------
    options
        Those of the command line are texts.
    name
        Of the option.
    what
        It is, for the message.
    fits
        Whether it can be that number; NaN is that of a text that is none.

    Raises
    ------
    DataError
        It does not fit.
    """
    given = options.get(name)
    if given is None:
        return None
    try:
        found = float(given)
    except (TypeError, ValueError):
        found = math.nan
    if not fits(found):
        raise DataError(f"{name} is {what}, not {given!r}")
    return found


def _is_positive(number: float) -> bool:
    return 0 < number < math.inf


@contextmanager
def within(allowed: Allowance) -> Iterator[None]:
    """
    A ``with`` block in which answers are bounded so.

    Parameters
    ----------
    allowed
        What they may be.
    """
    token = _allowed.set(allowed)
    try:
        yield
    finally:
        _allowed.reset(token)


@contextmanager
def at_most(size: int | None) -> Iterator[None]:
    """
    A ``with`` block in which bodies have at most this many bytes.

    Parameters
    ----------
    size
        What the caller has a use for; None where it stops by itself.
    """
    with within(Allowance(size, allowance().silence, whole=False)):
        yield


def narrowed(size: int) -> int:
    """
    The smaller of a limit, and of what the caller has a use for, as `at_most` says it.

    Parameters
    ----------
    size
        The limit in bytes.
    """
    asked = _allowed.get()
    return size if asked is None or asked.size is None else min(size, asked.size)


def bytes_shown(count: int) -> str:
    """A number of bytes as people read it."""
    for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if count >= 1 << power and not count % (1 << power):
            return f"{count >> power:,} {unit}"
    return f"{count:,} bytes"
