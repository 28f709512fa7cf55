"""HTTP/1.1 messages on a stream, as the bytes that they came as."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.rules import Action

__all__ = ["Head", "body", "error_reply", "read_head", "whole"]

_PIECE = 1 << 18
"""How many bytes of a body are read at once."""
_WITHOUT_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
_GCS_PATHS = ("/storage/v1/", "/upload/storage/v1/", "/download/storage/v1/")
_S3_CODES = {429: "TooManyRequests", 500: "InternalError", 503: "SlowDown"}


class Head:
    """
    The first line and the headers of a request or an answer.

    Parameters
    ----------
    raw
        As they came, with the empty line.

    Attributes
    ----------
    first : list of str
        The three parts of the first line.
    headers : dict of str to str
        With names in lower case.
    """

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        line, *lines = raw[:-4].decode("latin-1").split("\r\n")
        self.first = [*line.split(" ", 2), "", ""][:3]
        pairs = (line.partition(":") for line in lines)
        self.headers = {name.lower(): value.strip() for name, _, value in pairs}
        self.is_answer = line.startswith("HTTP/")

    @property
    def status(self) -> int:
        """Of an answer."""
        return int(self.first[1])

    @property
    def interim(self) -> bool:
        """Whether the answer itself is still to come."""
        return self.status < HTTPStatus.OK

    @property
    def expects(self) -> bool:
        """Whether the client waits for an interim answer before it sends a body."""
        return "expect" in self.headers

    @property
    def chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return self.headers.get("transfer-encoding", "").lower().endswith("chunked")

    @property
    def length(self) -> int | None:
        """That of the body, if it is known; an answer may go on until the connection ends."""
        if self.chunked:
            return None
        known = self.headers.get("content-length", None if self.is_answer else "0")
        return None if known is None else int(known)

    def has_body(self, verb: str) -> bool:
        """Whether this answer to a verb has one."""
        return verb != "HEAD" and self.status not in _WITHOUT_BODY

    @property
    def closes(self) -> bool:
        """Whether the connection ends with this message."""
        said = self.headers.get("connection", "").lower()
        old = "HTTP/1.0" in (self.first[0], self.first[2])
        return said != "keep-alive" if old else said == "close"

    def resized(self, length: int) -> Head:
        """The same with another length of the body."""
        first, *lines = self.raw[:-4].split(b"\r\n")
        framing = (b"content-length:", b"transfer-encoding:")
        kept = [line for line in lines if not line.lower().startswith(framing)]
        return Head(b"\r\n".join([first, *kept, b"Content-Length: %d" % length, b"", b""]))


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """The next message; None where there is none any more."""
    try:
        return Head(await reader.readuntil(b"\r\n\r\n"))
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None


async def body(
    reader: asyncio.StreamReader, head: Head, verb: str = ""
) -> AsyncIterator[tuple[bytes, bool]]:
    """
    The body of a message, piece by piece.

    Parameters
    ----------
    reader
        From which the head has been read.
    head
        Which says how far the body goes.
    verb
        What was asked, if this is an answer.

    Yields
    ------
    bytes
        All that comes, in order.
    bool
        Whether these are bytes of the body, rather than what frames a chunk of it.
    """
    if head.is_answer and not head.has_body(verb):
        return
    if not head.chunked:
        async for piece in _pieces(reader, head.length):
            yield piece, True
        return
    size = 1
    while size:
        line = await _line(reader)
        yield line, False
        size = int(line.partition(b";")[0], 16)
        async for piece in _pieces(reader, size):
            yield piece, True
        # the end of a chunk; or trailers, which the last one has, up to an empty line
        while (line := await _line(reader)) != b"\r\n":
            yield line, False
        yield line, False


async def _line(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\n")


async def _pieces(reader: asyncio.StreamReader, length: int | None) -> AsyncIterator[bytes]:
    left = length
    while left is None or left > 0:
        piece = await reader.read(_PIECE if left is None else min(left, _PIECE))
        if not piece:
            if left is None:
                return
            raise asyncio.IncompleteReadError(piece, left)
        if left is not None:
            left -= len(piece)
        yield piece


async def whole(content: bytes) -> AsyncIterator[tuple[bytes, bool]]:
    """A body that is known, as `body` has it."""
    yield content, True


def error_reply(action: Action, verb: str, path: str) -> tuple[bytes, bytes]:
    """The head and body of an error, as Google Cloud Storage has it at its paths, and S3 does."""
    status = action.status
    phrase = HTTPStatus(status).phrase
    if path.startswith(_GCS_PATHS):
        kind = "application/json; charset=UTF-8"
        reasons = [{"domain": "global", "reason": "backendError", "message": phrase}]
        content = json.dumps({"error": {"code": status, "message": phrase, "errors": reasons}})
    else:
        kind = "application/xml"
        code = action.code or _S3_CODES.get(status, phrase.replace(" ", ""))
        content = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{code}</Code><Message>{phrase}</Message>"
            "<Resource>/</Resource><RequestId>proxy</RequestId></Error>"
        )
    data = b"" if verb == "HEAD" else content.encode()
    lines = [f"HTTP/1.1 {status} {phrase}", f"Content-Type: {kind}", f"Content-Length: {len(data)}"]
    lines += [f"{name}: {value}" for name, value in action.headers]
    return "\r\n".join([*lines, "", ""]).encode(), data
