"""Answers of servers, read with care: the one place where bodies of all our clients come in.

S3's, Google's and web clients all have sessions of aiohttp, and these make answers of this class.
It counts bytes before they are taken, after they are decompressed; it counts progress rather than
time; and it lets nobody send us on to another host with what is meant for this one.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Self

import aiohttp
from yarl import URL

from exetera_zarr.storage.remote.limits import (
    Allowance,
    Refused,
    Silent,
    Stalled,
    allowance,
    bytes_shown,
    limits,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

__all__ = ["Reply", "UnfollowedReply", "host_of", "same_place", "sent_on"]

_REDIRECTS = frozenset([301, 302, 303, 307, 308])
_PLAIN = frozenset(
    ["accept", "accept-encoding", "connection", "host", "if-range", "range", "user-agent"]
)
"""Headers of requests that say nothing of who asks."""
_FEW_CHUNKS, _TINY = 4096, 16
"""How many chunks a body may have, whatever they are, and bytes of each beyond that on average."""
_LOOKS = frozenset(["GET", "HEAD"])


class Reply(aiohttp.ClientResponse):
    """An answer that is read only as far as its request allows."""

    _allowed: Allowance | None = None

    async def start(self, connection: Any) -> Self:
        """
        Wait for the head of an answer.

        Parameters
        ----------
        connection
            Of aiohttp.

        Raises
        ------
        Silent
            It did not come in time.
        Refused
            It sends us on to where we do not go, or announces more than was asked for.
        """
        self._allowed = allowed = allowance()
        seconds = self._seconds_to_head(allowed)
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                await super().start(connection)
        except TimeoutError:
            if not limit.expired():
                raise
            raise Silent(f"it gave no answer within {seconds:g} seconds") from None
        self._check_redirect()
        self._bound(allowed)
        return self

    def _seconds_to_head(self, allowed: Allowance) -> float:
        """To send the request, and have it done: longer for what is not only looked up."""
        if self.method in _LOOKS:
            return allowed.silence
        sent = self.request_info.headers.get("Content-Length", "")
        return 2 * allowed.silence + (int(sent) if sent.isdecimal() else 0) / limits.slowest

    def _bound(self, allowed: Allowance) -> None:
        """Have the body read by one who counts."""
        encoded = self.headers.get("Content-Encoding", "identity").lower() != "identity"
        most = allowed.size
        if self.status >= 300:
            most = limits.refusal if most is None else min(most, limits.refusal)
            most = max(most, min(limits.refusal, 1 << 16))  # of a small part the error is larger
        told = self.content_length
        if most is not None and told is not None and told > most and self.method != "HEAD":
            raise Refused(_too_much(f"{bytes_shown(told)} were announced", most, allowed))
        if most is not None and not encoded:
            self.content.set_read_chunk_size(most)
        chunked = "Transfer-Encoding" in self.headers
        self.content = _Body(self.content, most, allowed, chunked=chunked)  # type: ignore[assignment]

    def _check_redirect(self) -> None:
        target = self.headers.get("Location") or self.headers.get("URI")
        if self.status not in _REDIRECTS:
            return
        if target is None:
            if self.method in _LOOKS:
                raise Refused(f"it sends us on (status {self.status}) without saying where to")
            return
        try:
            to = self.url.join(URL(target))
            there = same_place(self.url, to)
        except ValueError:
            raise Refused("it sends us on to what is no address of a web server") from None
        if to.scheme not in ("http", "https"):
            raise Refused(f"it sends us on to an address of {to.scheme!r}, which is not followed")
        if there:
            return
        if self.url.scheme == "https" and to.scheme == "http":
            raise Refused(
                f"it sends us on to {host_of(to)!r} without encryption, which is not followed"
            )
        given = sorted({name.lower() for name in self.request_info.headers} - _PLAIN)
        if given:
            raise Refused(
                f"it sends us on to another host, {host_of(to)!r}, which is not followed with "
                f"headers that are meant for this one ({', '.join(given)}): if that host is "
                "trusted, give its address instead"
            )


class UnfollowedReply(Reply):
    """
    The same for S3's client, which follows no redirects but reads from them where a bucket is.

    Where a redirect does not name a region, botocore asks the bucket for it (HEAD), and would ask
    again and again if the answer does not name one either.
    """

    def _check_redirect(self) -> None:
        lost = self.method == "HEAD" and "x-amz-bucket-region" not in self.headers
        if self.status in _REDIRECTS and lost:
            raise Refused(sent_on(self.headers) or f"it sends us on (status {self.status})")


def sent_on(headers: Mapping[str, str]) -> str | None:
    """
    What to say of a store that sends us on to another host; None where it names none.

    Parameters
    ----------
    headers
        Of its answer, by any spelling.
    """
    try:
        host = host_of(URL(headers.get("Location") or headers["location"]))
    except (KeyError, ValueError):
        return None
    return (
        f"it sends us on to another host, {host!r}, which is not followed: if that host is "
        "trusted, give it as endpoint_url"
    )


def same_place(here: URL, there: URL) -> bool:
    """
    Whether two addresses are of one server, or the second one is the first one's with encryption.

    Parameters
    ----------
    here, there
        Where we are, and where we are sent on to.
    """
    if here.origin() == there.origin():
        return True
    return (
        (here.scheme, there.scheme) == ("http", "https")
        and here.host == there.host
        and here.is_default_port()
        and there.is_default_port()
    )


def host_of(url: URL) -> str:
    """The host of an address, and its port where that says something."""
    return str(url.host) if url.is_default_port() else f"{url.host}:{url.port}"


def _too_much(what: str, most: int, allowed: Allowance) -> str:
    hint = "; the storage option 'largest_object' raises that" if most == allowed.size else ""
    return (
        f"it sends more than is taken of it: {what}, and the limit is {bytes_shown(most)}"
        f"{hint if allowed.whole else ''}"
    )


class _Body:
    """
    The body of an answer, of which each piece is counted and timed.

    Only the time in which somebody waits for it counts: who reads a stream may take his time.

    Parameters
    ----------
    stream
        Of aiohttp.
    most
        Bytes that are taken; None for any number.
    allowed
        What the request allows.
    chunked
        Whether it comes in chunks.
    """

    def __init__(
        self, stream: aiohttp.StreamReader, most: int | None, allowed: Allowance, *, chunked: bool
    ) -> None:
        self._stream, self._most, self._allowed = stream, most, allowed
        self._silence = allowed.silence
        self._chunked, self._rest, self._count = chunked, b"", 0
        self._taken = 0
        self._waited, self._since = 0.0, 0
        # What aiohttp's own parts ask of it, and nothing by which bytes could come uncounted.
        self.exception, self.set_exception = stream.exception, stream.set_exception
        self.is_eof, self.at_eof, self.on_eof = stream.is_eof, stream.at_eof, stream.on_eof
        self.set_read_chunk_size = stream.set_read_chunk_size

    async def readany(self) -> bytes:
        """What is there, or comes next; nothing at the end."""
        if self._rest:
            data, self._rest = self._rest, b""
            return data
        return await self._counted(self._chunks() if self._chunked else self._stream.readany())

    async def read(self, size: int = -1) -> bytes:
        """At most this many of the next bytes; all of them by default."""
        if size >= 0 and not self._chunked:
            return await self._counted(self._stream.read(size))
        if size >= 0:
            data = await self.readany()
            self._rest = data[size:]
            return data[:size]
        blocks = []
        while block := await self.readany():
            blocks.append(block)
        return b"".join(blocks)

    async def _chunks(self) -> bytes:
        """The same as `readany` of a body in chunks, each of which takes time: they are counted."""
        stream = self._stream
        data, ended = await stream.readchunk()
        while ended and not data:
            data, ended = await stream.readchunk()
        self._count += 1 + len(stream._http_chunk_splits or ())  # noqa: SLF001 - nobody else knows
        return data + stream.read_nowait() if data else data

    async def _counted(self, coming: Awaitable[bytes]) -> bytes:
        began = time.monotonic()
        data = await (coming if self._stream.is_eof() else self._in_time(coming))
        self._taken += len(data)
        if self._most is not None and self._taken > self._most:
            raise Refused(_too_much("there is no end of it", self._most, self._allowed))
        if self._count > _FEW_CHUNKS and self._taken < self._count * _TINY:
            raise Refused(f"it cuts what it sends into {self._count:,} pieces of a few bytes each")
        if data:
            self._check_progress(time.monotonic() - began, len(data))
        return data

    async def _in_time(self, coming: Awaitable[bytes]) -> bytes:
        limit = asyncio.timeout(self._silence)
        try:
            async with limit:
                return await coming
        except TimeoutError:
            if not limit.expired():
                raise
            raise Stalled(f"nothing came of the answer for {self._silence:g} seconds") from None

    def _check_progress(self, seconds: float, size: int) -> None:
        self._waited += seconds
        self._since += size
        if self._waited < self._silence:
            return
        if self._since < limits.slowest * self._waited:
            raise Stalled(
                f"the answer comes too slowly: {self._since:,} bytes in {self._waited:.1f} seconds"
            )
        self._waited, self._since = 0.0, 0
