"""The text of a file as records are read from it: in UTF-8, without what is no record.

Files in UTF-8 without comments do not pass through here.
"""

from __future__ import annotations

import codecs
import re
from bisect import bisect_right
from typing import TYPE_CHECKING

from exetera_zarr.errors import DataError
from exetera_zarr.io.csv.dialect import BYTE_ORDER_MARK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exetera_zarr.io.csv.files import InputFile
    from exetera_zarr.io.schema.formats import Dialect

__all__ = ["UNICODE", "Decoded"]

UNICODE = ("utf-16", "utf-32")
# Stands for bytes that are none of an encoding's characters: it becomes a byte that is no UTF-8,
# wherever it stands, so that the cell is a misfit like others.
NO_CHARACTER = "\udcff"
# A line is looked at as a whole, but for one that is longer than any record may be.
LONG_LINE = 64 << 20
LINE_END = re.compile(rb"\r\n|\r|\n")


def _no_character(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return NO_CHARACTER, error.end


codecs.register_error("exetera_zarr.no_character", _no_character)


class Decoded:
    """
    A file of another encoding, or with lines that are left out, to be read as plain CSV text.

    Parameters
    ----------
    file
        It, at its start.
    dialect
        Says which encoding, comments and lines to skip it has.

    Raises
    ------
    DataError
        The file ends before as many lines as are to be skipped, or has the mark of another
        encoding.
    """

    def __init__(self, file: InputFile, dialect: Dialect) -> None:
        self._file = file
        self._dialect = dialect
        self._decoder = codecs.getincrementaldecoder(dialect.encoding)(
            errors="exetera_zarr.no_character"
        )
        self._comment = dialect.comment.encode()
        self._pattern = re.compile(
            rb"(?:^|(?<=[\r\n]))" + re.escape(self._comment) + rb"[^\r\n]*(?:\r\n|\r|\n)?"
        )
        self._quote = dialect.quotechar.encode()
        self._held = b""
        self._at_end = False
        self._in_quotes = False
        self._kept_lines = 0
        self._dropped: list[int] = []
        """Of each line that was left out, how many were kept before it."""
        self.first: bytes | None = None
        """The bytes that the file begins with, when something was read."""
        self._skip(dialect.skiprows)

    def read(self, size: int) -> bytes:
        """Read on, about so many bytes; none at the end of the file."""
        while True:
            data = self._text(size)
            if self._comment:
                data = self._without_comments(data)
            if data or self._at_end:
                return data

    def line(self, kept: int) -> int:
        """Say which line of the file, from 0, the line is that has so many kept ones before it."""
        return kept + bisect_right(self._dropped, kept)

    # -- characters

    def _text(self, size: int) -> bytes:
        """More of the file in UTF-8, after what was held back."""
        found, self._held = self._held, b""
        if self._at_end:
            return found
        raw = self._file.read(size)
        is_first = self.first is None
        if self.first is None:
            self.first = raw[:16]
            self._check_marks(raw)
        self._at_end = not raw
        more = raw if self._dialect.is_utf8 else self._utf8(raw)
        return found + (more.removeprefix(BYTE_ORDER_MARK) if is_first else more)

    def _utf8(self, raw: bytes) -> bytes:
        try:
            text = self._decoder.decode(raw, final=self._at_end)
        except UnicodeError as error:  # of UTF-16 without its mark
            raise DataError(f"{self._file.name} is not {self._dialect.encoding}: {error}") from None
        return text.encode("utf-8", "surrogateescape")

    def _check_marks(self, raw: bytes) -> None:
        if raw.startswith(BYTE_ORDER_MARK) and not self._dialect.is_utf8:
            raise DataError(
                f"{self._file.name} begins with the mark of UTF-8, and is not "
                f"{self._dialect.encoding}: leave out encoding="
            )
        if not self._dialect.encoding.startswith(UNICODE) and raw.startswith(
            (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        ):
            raise DataError(
                f"{self._file.name} begins with the mark of UTF-16, and is not "
                f"{self._dialect.encoding}: write encoding='utf-16'"
            )

    # -- lines

    def _skip(self, lines: int) -> None:
        """Leave out the lines at the start of the file, whatever they hold."""
        left = lines
        data = b""
        while left:
            self._held = data
            data = self._text(1 << 16)
            ends = [match.end() for match in LINE_END.finditer(data)]
            if not self._at_end and ends and ends[-1] == len(data) and data.endswith(b"\r"):
                ends.pop()  # perhaps half of a CRLF
            taken = min(left, len(ends))
            if taken:
                data, left = data[ends[taken - 1] :], left - taken
            if left and self._at_end:
                raise DataError(
                    f"{self._file.name} has {lines - left} whole lines, of which "
                    f"skiprows={lines} would leave out more"
                )
        self._held = data
        self._dropped += [0] * lines

    def _without_comments(self, data: bytes) -> bytes:
        """Leave out the comments of some text; a line that goes on is held back."""
        if not self._at_end:
            end = len(data) - data.endswith(b"\r")
            cut = max(data.rfind(b"\n", 0, end), data.rfind(b"\r", 0, end)) + 1
            if len(data) - cut < LONG_LINE:
                data, self._held = data[:cut], data[cut:]
        return b"".join(self._kept(data))

    def _kept(self, data: bytes) -> Iterator[bytes]:
        start = 0
        for match in self._pattern.finditer(data):
            self._note(data[start : match.start()])
            yield data[start : match.start()]
            start = match.start()
            if not self._in_quotes:
                self._dropped.append(self._kept_lines)
                start = match.end()
        self._note(data[start:])
        yield data[start:]

    def _note(self, kept: bytes) -> None:
        """Know of text that is kept how many lines it has, and whether it ends within quotes."""
        if self._quote and kept.count(self._quote) % 2:
            self._in_quotes = not self._in_quotes
        lines = kept.count(b"\n")
        if b"\r" in kept:
            lines += kept.count(b"\r") - kept.count(b"\r\n")
        self._kept_lines += lines
