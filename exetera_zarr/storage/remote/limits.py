"""What is taken of a server at most: bytes of an answer, pages of a listing, time without progress.

A server may be broken or hostile. Every answer is bounded before it is taken, in one place:
`remote.replies` reads all bodies, of whichever client, and heeds what is said here.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from exetera_zarr.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    "within",
]

OPTIONS: Final = ("largest_object", "stall_timeout")
"""Names of storage options that are read here, and that no file system knows."""


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
    size = _number(options, "largest_object", "bytes")
    silence = _number(options, "stall_timeout", "seconds")
    return Allowance(
        limits.largest if size is None else int(size),
        limits.silence if silence is None else silence,
    )


def _number(options: Mapping[str, Any], name: str, unit: str) -> float | None:
    given = options.get(name)
    try:
        found = None if given is None else float(given)
    except (TypeError, ValueError):
        found = 0.0
    if found is not None and not 0 < found < float("inf"):
        raise DataError(f"{name} is a number of {unit} above zero, not {given!r}")
    return found


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
    A ``with`` block in which bodies have at most so many bytes.

    Parameters
    ----------
    size
        What the caller has a use for; None where it stops by itself.
    """
    with within(Allowance(size, allowance().silence, whole=False)):
        yield


def bytes_shown(count: int) -> str:
    """A number of bytes as people read it."""
    for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if count >= 1 << power and not count % (1 << power):
            return f"{count >> power:,} {unit}"
    return f"{count:,} bytes"
