"""Reading .xz files to their end: all streams, and the padding that may stand between them."""

from __future__ import annotations

import lzma
from typing import IO

__all__ = ["XzReader"]

_PIECE = 1 << 16
_PADDING = 4


class XzReader:
    """
    The content of a file of one or more xz streams.

    `lzma.open` takes whatever follows the first stream, and is not another one at once, for
    garbage: a second stream that is padded, or damaged, is left out without a word (cpython#88300).
    The format allows padding of zero bytes, a multiple of four, between streams and at the end
    (xz-file-format 1.2.1, section 2.2).

    Parameters
    ----------
    file
        Open for reading.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._stream = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        self._waiting = b""

    def read(self, size: int) -> bytes:
        """
        Read on, at most so many bytes; none at the end.

        Raises
        ------
        lzma.LZMAError
            What is there is not xz, or damaged.
        EOFError
            The file ends in the middle of a stream.
        """
        while True:
            if self._stream.eof and not self._next_stream():
                return b""
            if self._stream.needs_input and not self._waiting:
                self._waiting = self._file.read(_PIECE)
                if not self._waiting:
                    raise EOFError("the compressed file ends in the middle of a stream")
            given, self._waiting = self._waiting, b""
            data = self._stream.decompress(given, size)
            if data:
                return data

    def _next_stream(self) -> bool:
        """Pass over padding to the next stream; whether there is one."""
        rest = self._stream.unused_data
        padding = 0
        while True:
            kept = rest.lstrip(b"\0")
            padding += len(rest) - len(kept)
            if kept:
                break
            rest = self._file.read(_PIECE)
            if not rest:
                break
        if padding % _PADDING:
            raise lzma.LZMAError(f"{padding} bytes of padding after a stream, not a multiple of 4")
        if not kept:
            return False
        self._stream = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        self._waiting = kept
        return True

    def close(self) -> None:
        """There is nothing to close; the file is its owner's."""
