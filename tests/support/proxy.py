"""A proxy between an HTTP client and a server, which delays, fails and notes requests.

On two cores shared with client and server it carries 15,000 small requests a second, and 600 MB
of bodies; 256 connections at 30 ms of latency make 7,100 requests a second, of 8,500 at best.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from support.messages import Head, body, error_reply, read_head, whole
from support.processes import HOST
from support.rules import PASS, Exchange, Fault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from support.rules import Rule

__all__ = ["FaultProxy", "fault_proxy"]

_BUFFER = 1 << 20
_SMALL = 1 << 16
"""A body up to so many bytes goes with its head."""
_BROKEN = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)


class FaultProxy:
    """
    What a proxy is told, and what it has seen.

    Parameters
    ----------
    upstream
        URL of the server.
    rule
        Says of each request what is done with it; another one may take its place at any time.
    bandwidth
        Bytes of bodies that pass in a second, in both directions and on all connections together.

    Attributes
    ----------
    endpoint : str
        URL of the proxy.
    log : list of Exchange
        Requests in the order in which they came.
    """

    def __init__(
        self, upstream: str, rule: Rule | None = None, bandwidth: float | None = None
    ) -> None:
        self.upstream = urlsplit(upstream)
        self.rule: Rule = rule or (lambda _: PASS)
        self.bandwidth = bandwidth
        self.endpoint = ""
        self.log: list[Exchange] = []
        self._free_at = 0.0

    def clear(self) -> None:
        """Forget the requests so far."""
        self.log = []

    def verbs(self) -> Counter[str]:
        """How many requests of each kind: verbs, LIST and COPY."""
        return Counter(exchange.kind for exchange in self.log)

    def most_in_flight(self) -> int:
        """How many requests there were at once, at most."""
        log = list(self.log)
        changes = [(exchange.started, 1) for exchange in log]
        changes += [(exchange.ended, -1) for exchange in log if exchange.ended is not None]
        now = most = 0
        for _, change in sorted(changes):
            now += change
            most = max(most, now)
        return most

    def note(self, request: Head) -> Exchange:
        """Have a request in the log, with what is to be done with it."""
        path, _, query = request.first[1].partition("?")
        log = self.log
        exchange = Exchange(
            number=len(log) + 1,
            verb=request.first[0],
            path=unquote(path),
            query=query,
            headers=request.headers,
            started=time.perf_counter(),
        )
        log.append(exchange)
        exchange.action = self.rule(exchange)
        return exchange

    async def pace(self, size: int) -> None:
        """Wait until so many bytes may pass."""
        if self.bandwidth is None:
            return
        now = time.perf_counter()
        self._free_at = max(now, self._free_at) + size / self.bandwidth
        await asyncio.sleep(self._free_at - now)


@contextmanager
def fault_proxy(
    upstream: str, rule: Rule | None = None, *, bandwidth: float | None = None
) -> Iterator[FaultProxy]:
    """
    Run a proxy, in a thread of its own.

    What passes is passed on as it came, the client's `Host` with it, so that signatures stay valid.
    A client may repeat a request of which the connection broke by itself (aiohttp does, once, on a
    connection that it has used before): that is another request here, and the rule is asked again.

    Parameters
    ----------
    upstream
        URL of the server, of which the host and the port are used.
    rule
        Says of each request what is done with it; without one, all pass.
    bandwidth
        Bytes of bodies that pass in a second, in both directions and on all connections together.

    Yields
    ------
    FaultProxy
        Its `endpoint` is what clients are told.

    Examples
    --------
    >>> with s3_server() as server, fault_proxy(server.endpoint, latency(0.03)) as proxy:
    ...     options = server.at(proxy.endpoint).storage_options
    """
    proxy = FaultProxy(upstream, rule, bandwidth)
    started: Future[Callable[[], object]] = Future()
    thread = threading.Thread(target=lambda: asyncio.run(_run(proxy, started)), daemon=True)
    thread.start()
    stop = started.result()
    try:
        yield proxy
    finally:
        stop()
        thread.join()


async def _run(proxy: FaultProxy, started: Future[Callable[[], object]]) -> None:
    """Serve, until what `started` is given is called."""
    connections: set[asyncio.Task[None]] = set()
    ended, loop = asyncio.Event(), asyncio.get_running_loop()

    # No coroutine, of which asyncio would report the end of the proxy as an error.
    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = loop.create_task(_Connection(proxy, reader, writer).serve())
        connections.add(task)
        task.add_done_callback(connections.discard)

    try:
        server = await asyncio.start_server(accept, HOST, 0, limit=_BUFFER, backlog=1024)
    except OSError as error:
        started.set_exception(error)
        return
    proxy.endpoint = f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
    started.set_result(lambda: loop.call_soon_threadsafe(ended.set))
    await ended.wait()
    server.close()
    for task in connections:
        task.cancel()
    await asyncio.gather(*connections, return_exceptions=True)
    await asyncio.sleep(0)  # for the connections to be closed that have been aborted


class _Connection:
    """A client's connection, and the one to the server that belongs to it."""

    def __init__(
        self, proxy: FaultProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.proxy, self.reader, self.writer = proxy, reader, writer
        self.server: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def serve(self) -> None:
        """Answer one request after another, while the connection lasts."""
        try:
            with suppress(*_BROKEN):
                while (request := await read_head(self.reader)) and await self._exchange(request):
                    pass
            self._leave_server()
            self.writer.close()  # after what is still on its way
            with suppress(OSError):
                await self.writer.wait_closed()
        finally:
            self._leave_server()
            self.writer.transport.abort()

    def _leave_server(self) -> None:
        if self.server is not None:
            self.server[1].transport.abort()
            self.server = None

    async def _exchange(self, request: Head) -> bool:
        """Have a request answered, or not; whether another one may follow."""
        exchange = self.proxy.note(request)
        action = exchange.action
        try:
            if action.delay:
                await asyncio.sleep(action.delay)
            match action.fault:
                case Fault.DROP:
                    return False
                case Fault.ANSWER:
                    return await self._refuse(request, exchange)
            return await self._forward(request, exchange)
        finally:
            exchange.ended = time.perf_counter()

    async def _refuse(self, request: Head, exchange: Exchange) -> bool:
        """Answer with an error, once the client has said all that it has to say."""
        if request.expects:
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        async for _ in body(self.reader, request):
            pass
        head, content = error_reply(exchange.action, exchange.verb, exchange.path)
        exchange.status, exchange.received = exchange.action.status, len(content)
        self.writer.write(head + content)
        await self.writer.drain()
        return not request.closes

    async def _forward(self, request: Head, exchange: Exchange) -> bool:
        """Have the server answer, while the body goes to it; pass on what comes."""
        answers, server = await self._reach_server()
        upload = None
        if not request.expects and request.length is not None and request.length <= _SMALL:
            content = await self.reader.readexactly(request.length)
            exchange.sent = len(content)
            await self.proxy.pace(len(content))
            server.write(request.raw + content)
        else:
            server.write(request.raw)
            upload = asyncio.create_task(self._upload(request, exchange, server))
        try:
            going = await self._answer(exchange, answers)
            # A server that has answered already wants no more of the body.
            return going and not request.closes and (upload is None or upload.done())
        finally:
            if upload is not None:
                upload.cancel()
                await asyncio.wait([upload])
                if not upload.cancelled():
                    upload.exception()  # the server has noticed as well

    async def _reach_server(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.server is not None and self.server[0].at_eof():
            self._leave_server()
        if self.server is None:
            host, port = self.proxy.upstream.hostname, self.proxy.upstream.port
            self.server = await asyncio.open_connection(host, port, limit=_BUFFER)
        return self.server

    async def _upload(
        self, request: Head, exchange: Exchange, server: asyncio.StreamWriter
    ) -> None:
        try:
            async for piece, counts in body(self.reader, request):
                await self.proxy.pace(len(piece))
                await server.drain()  # before, so that it ends with the last write
                server.write(piece)
                exchange.sent += len(piece) if counts else 0
        except _BROKEN:
            server.transport.abort()
            raise

    async def _answer(self, exchange: Exchange, reader: asyncio.StreamReader) -> bool:
        """Pass on what the server answers, or a part of it; whether another one may follow."""
        fault = exchange.action.fault
        while (head := await read_head(reader)) and head.interim:
            self.writer.write(head.raw)
        if head is None:
            return False
        pieces = body(reader, head, exchange.verb)
        if fault is Fault.LOSE:
            async for _ in pieces:
                pass
            return False
        if fault is Fault.STALL:
            await asyncio.sleep(exchange.action.seconds)
        exchange.status = head.status
        head = self._at_proxy(head)
        if fault is Fault.TRUNCATE and head.has_body(exchange.verb):
            content = b"".join([piece async for piece, counts in pieces if counts])
            content = content[: exchange.action.size]
            head, pieces = head.resized(len(content)), whole(content)
        end = exchange.action.size if fault is Fault.CUT else None
        return await self._pass_on(exchange, head, pieces, end) and not head.closes

    def _at_proxy(self, head: Head) -> Head:
        """Where the server says that an upload goes on, it goes on here."""
        if "location" not in head.headers:
            return head
        server = f"http://{self.proxy.upstream.netloc}/"
        return Head(head.raw.replace(server.encode(), f"{self.proxy.endpoint}/".encode()))

    async def _pass_on(
        self,
        exchange: Exchange,
        head: Head,
        pieces: AsyncIterator[tuple[bytes, bool]],
        end: int | None,
    ) -> bool:
        """Pass on an answer, up to a byte of its body; whether it was all there is."""
        waiting = head.raw
        if end == 0:
            self.writer.write(waiting)
            return False
        async for whole_piece, counts in pieces:
            piece = whole_piece[:end]
            await self.proxy.pace(len(piece))
            exchange.received += len(piece) if counts else 0
            self.writer.write(waiting + piece)  # so that a small answer is one packet
            waiting = b""
            await self.writer.drain()
            if end is not None:
                end -= len(piece)
                if end == 0:
                    return False
        if waiting:
            self.writer.write(waiting)
        return True
