"""A server that is a web server, S3 and Google Cloud Storage at once, and plays tricks on request.

What it holds is honest; a trick takes the place of the answers to the requests that it is for.
"""

from __future__ import annotations

import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

__all__ = ["BUCKET", "Asked", "Hostile", "bomb", "hostile_server", "page_of"]

BUCKET = "bucket"
_PAGE = 1000
_MOMENT = "2026-01-01T00:00:00.000Z"


@dataclass(frozen=True)
class Asked:
    """
    One request.

    Parameters
    ----------
    verb, path
        As it came, with the query.
    headers
        By lower-case names.
    kind
        ``object`` or ``list``.
    key
        The object, or what the names of a listing begin with.
    query
        Its parameters.
    """

    verb: str
    path: str
    headers: dict[str, str]
    kind: str
    key: str
    query: dict[str, str]

    @property
    def google(self) -> bool:
        """Whether it is one to Google's interface."""
        return self.path.startswith(("/storage/", "/upload/"))


Trick = Callable[["Answering", Asked], bool]
"""Answers a request, or says that it is no business of its own by False."""


@dataclass
class Hostile:
    """
    What a server is told, and what it has seen.

    Parameters
    ----------
    host
        By what name it is reached.
    objects
        What is there, by name.
    trick
        Is asked first.
    asked
        The requests, in the order in which they came.
    """

    host: str
    objects: dict[str, bytes] = field(default_factory=dict)
    trick: Trick | None = None
    asked: list[Asked] = field(default_factory=list)
    port: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return f"http://{self.host}:{self.port}"

    def honest(self) -> None:
        """Play no trick, and forget what was asked."""
        self.trick = None
        self.asked.clear()

    def saw(self, text: str) -> bool:
        """Whether a text was in any request that came."""
        return any(text in f"{each.path}\n{each.headers}" for each in self.asked)


class Answering(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    hostile: Hostile

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    # -- what tricks are made of

    def head(self, status: int, headers: Mapping[str, Any] | None = None) -> None:
        """Begin an answer."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, str(value))
        self.end_headers()

    def reply(self, status: int, body: bytes, headers: Mapping[str, Any] | None = None) -> bool:
        """A whole answer."""
        self.head(status, {"Content-Length": len(body), **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(body)
        return True

    def raw(self, data: bytes) -> bool:
        """Bytes that are an answer, or are not; the connection ends with them."""
        self.wfile.write(data)
        self.close_connection = True
        return True

    def wait(self, seconds: float = 60.0) -> bool:
        """Say nothing, for as long as the server is there; whether there is still time."""
        self.close_connection = True
        return not self.hostile.ended.wait(seconds)

    def endless(self, piece: bytes, pause: float = 0.0) -> bool:
        """Send for ever, until nobody listens; 8 GB are ever enough."""
        self.close_connection = True
        left = 8 << 30
        while left > 0 and not self.hostile.ended.is_set():
            self.wfile.write(piece)
            left -= len(piece)
            if pause and self.hostile.ended.wait(pause):
                break
        return True

    def chunked(self, piece: bytes, pause: float = 0.0) -> bool:
        """The same as chunks of a body."""
        return self.endless(b"%x\r\n%s\r\n" % (len(piece), piece), pause)

    # -- what is honest

    def do_GET(self) -> None:
        asked = self._asked()
        self.hostile.asked.append(asked)
        with suppress(OSError):
            length = int(self.headers.get("Content-Length") or 0)
            self.rfile.read(length)
            trick = self.hostile.trick
            if trick is not None and trick(self, asked):
                return
            self.answer(asked)
            return
        self.close_connection = True

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - likewise

    def _asked(self) -> Asked:
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        path, kind = unquote(parts.path).lstrip("/"), "object"
        if path.startswith("storage/v1/b/"):
            _, _, path = path.partition("/o")
            kind, key = ("object", path[1:]) if path else ("list", query.get("prefix", ""))
        elif path.startswith(f"{BUCKET}") and ("list-type" in query):
            kind, key = "list", query.get("prefix", "")
        else:
            key = path.removeprefix(f"{BUCKET}/")
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Asked(self.command, self.path, headers, kind, key, query)

    def answer(self, asked: Asked) -> None:
        """What an honest server says."""
        if asked.kind == "list":
            names = sorted(n for n in self.hostile.objects if n.startswith(asked.key))
            if "delimiter" in asked.query:
                names = [name for name in names if "/" not in name[len(asked.key) :]]
            entries = [(name, len(self.hostile.objects[name])) for name in names[:_PAGE]]
            self.reply(200, page_of(asked, entries))
            return
        body = self.hostile.objects.get(asked.key)
        if body is None:
            self.reply(404, self._missing(asked))
            return
        tags = {
            "ETag": f'"{md5(body, usedforsecurity=False).hexdigest()}"',
            "X-Goog-Generation": "1",
            "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
        }
        if "range" not in asked.headers:
            self.reply(200, body, tags)
            return
        start, _, last = asked.headers["range"].removeprefix("bytes=").partition("-")
        part = body[int(start) : int(last) + 1]
        if not part:
            self.reply(416, b"")
            return
        about = f"bytes {start}-{int(start) + len(part) - 1}/{len(body)}"
        self.reply(206, part, {**tags, "Content-Range": about})

    def _missing(self, asked: Asked) -> bytes:
        if asked.google:
            return json.dumps({"error": {"code": 404, "message": "Not Found"}}).encode()
        return b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>"


def page_of(asked: Asked, entries: list[tuple[str, int]], following: object = None) -> bytes:
    """A page of a listing, as the interface has it that was asked."""
    if asked.google:
        items = [{"name": n, "size": str(size), "updated": _MOMENT} for n, size in entries]
        return json.dumps({"items": items, "nextPageToken": following}).encode()
    rows = "".join(
        f"<Contents><Key>{escape(quote(name))}</Key><Size>{size}</Size>"
        f"<LastModified>{_MOMENT}</LastModified></Contents>"
        for name, size in entries
    )
    more = f"<NextContinuationToken>{following}</NextContinuationToken>" if following else ""
    cut = "true" if following else "false"
    return (
        f"<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>{cut}</IsTruncated>"
        f"{rows}{more}</ListBucketResult>"
    ).encode()


def bomb(wbits: int = 31) -> tuple[bytes, bytes]:
    """The head of a compressed stream, and a piece of it that is 16 MB of zeros, time and again."""
    packer = zlib.compressobj(9, wbits=wbits)
    zeros = bytes(16 << 20)
    first = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    return first, again


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        """A client that goes away is what is expected here."""


@contextmanager
def hostile_server(host: str = "127.0.0.1") -> Iterator[Hostile]:
    """
    A server of a few threads in this process.

    Parameters
    ----------
    host
        By what name of this machine it is reached.
    """
    found = Hostile(host)
    server = _Server((host, 0), type("_Answering", (Answering,), {"hostile": found}))
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield found
    finally:
        found.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
        time.sleep(0.01)  # for those who were waiting to see that it is over
