"""CSV text to blocks: whole records at a time, exactly, or an error that says where.

The file is cut into blocks of complete records, so that blocks can be parsed and converted in
several threads and every row has a number. Where quotes are not in order, the record that they are
in is a block of its own, so that whoever skips it meets the next record where it begins.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import DataError
from exetera_zarr.io.csv.decoding import UNICODE, Decoded
from exetera_zarr.io.csv.dialect import BYTE_ORDER_MARK, RecordText
from exetera_zarr.io.schema.formats import PLAIN, Dialect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exetera_zarr.io.csv.files import InputFile

__all__ = ["BLOCK_BYTES", "Block", "CsvError", "CsvText"]

# Measured on 60 columns, 2 cores: 2 to 8 MiB are equal within noise; 16 MiB took twice the time.
BLOCK_BYTES = 4 << 20
# A quote that is never closed makes the rest of the file one cell. Better an error than all memory:
# a record of this size takes some 15 times as much while it is read.
RECORD_LIMIT = 32 << 20
# After a bad record, look at so much at first: there may be many of them.
SMALL_WINDOW = 1 << 16

NEVER_CLOSED = "a quoted cell that is never closed"
FOREIGN_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"PK\x03\x04": "zip (or a spreadsheet)",
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\x00": "xz",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
    b"\x04\x22\x4d\x18": "lz4",
    # A bzip2 file has the digits of pi after the size of its blocks, or of its root if it is empty.
    **{b"BZh%d1AY&SY" % size: "bzip2" for size in range(1, 10)},
    **{b"BZh%d\x17rE8P\x90" % size: "bzip2" for size in range(1, 10)},
    b"PAR1\x15": "Parquet",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old spreadsheet (.xls), or another document of Office",
    b"\x89HDF\r\n": "HDF5",
}
OTHER_ENCODINGS = "encoding='cp1252' and the like say what else it is"
LONGEST_MARK = max(map(len, FOREIGN_MARKS))
# How Excel says in the first line what separates cells.
SEP_LINE = re.compile(rb'(?:\xef\xbb\xbf)?"?sep=([\t -~])"?[,;]*\r?\n', re.IGNORECASE)


class CsvError(DataError):
    """
    A cell or a record of a CSV file that cannot be imported.

    Parameters
    ----------
    file
        What the file is called.
    row
        Number of the record, from 1, the header not counted.
    line
        Number of the line that it starts on, from 1, the header counted.
    reason
        What is wrong.
    column
        Name of the column; none if the whole record is wrong.
    value
        What the cell holds.
    """

    def __init__(
        self,
        file: str,
        row: int,
        line: int,
        reason: str,
        column: str | None = None,
        value: bytes | None = None,
    ) -> None:
        where = f"{file}, row {row} (line {line})"
        cell = "" if column is None else f", column {column!r}"
        super().__init__(f"{where}{cell}: {self.tell(reason, value)}")
        self.file = file
        self.row = row
        self.line = line
        self.reason = reason
        self.column = column
        self.value = value

    @property
    def told(self) -> str:
        """The message without the place."""
        return self.tell(self.reason, self.value)

    @staticmethod
    def tell(reason: str, value: bytes | None = None) -> str:
        """Say what is wrong with a value."""
        return reason if value is None else f"{_shown(value)} {reason}"

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own pickling would call __init__ with the message alone.
        arguments = (self.file, self.row, self.line, self.reason, self.column, self.value)
        return type(self), arguments


def _shown(value: bytes) -> str:
    text = repr(value[:60].decode("utf-8", "backslashreplace"))
    return text if len(value) <= 60 else f"{text}... ({len(value)} bytes)"


@dataclass(frozen=True)
class Block:
    """
    Complete records.

    Parameters
    ----------
    text
        They.
    problem
        If quotes are not in order: what is wrong. The block is then a single record, as far as it
        can be told.
    """

    text: RecordText
    problem: str | None = None


class CsvText:
    """
    A CSV file that is read once, from its start.

    Parameters
    ----------
    file
        It, at its start.
    block_bytes
        About how many bytes a block holds.
    dialect
        How it is written.

    Attributes
    ----------
    names
        The column names of the header, without surrounding spaces.
    header_lines
        Number of lines that the header takes.
    dialect
        How it is written, with what its first line says of that.

    Raises
    ------
    DataError
        The file is empty, is not UTF-8 text, or its header is no header.
    """

    def __init__(
        self, file: InputFile, block_bytes: int = BLOCK_BYTES, dialect: Dialect = PLAIN
    ) -> None:
        self._file = file
        self.dialect = dialect
        plain = dialect.is_utf8 and not dialect.comment and not dialect.skiprows
        self._decoded = None if plain else Decoded(file, dialect)
        self._lines_before = 0
        self._block_bytes = block_bytes
        self._window = block_bytes
        self._held = b""
        self._start = 0
        self._at_end = False
        self._read = 0
        self.header_lines = 0
        self.names: list[str] = self._read_header()

    def blocks(self) -> Iterator[Block]:
        """
        Read the records after the header.

        Yields
        ------
        Block
            In file order. Blank lines at the end of the file are left out, unless the file has one
            column: there they are empty cells.

        Raises
        ------
        DataError
            A record is too long, or the file cannot be decompressed.
        """
        while True:
            whole = len(self._held) - self._start
            data = self._held[self._start : self._start + self._window]
            at_end = self._at_end and len(data) == whole
            if at_end and (not data or self._is_blank(data)):
                return
            if block := self._first_block(data, at_end=at_end):
                self._start += len(block.text.data)
                self._window = (
                    min(self._window, SMALL_WINDOW)
                    if block.problem
                    else min(self._window * 2, self._block_bytes)
                )
                yield block
            elif len(data) < whole:
                self._window *= 2
            elif whole > RECORD_LIMIT:
                raise DataError(
                    f"{self._file.name}: the record at byte {self._read - whole} has more than "
                    f"{RECORD_LIMIT >> 20} MiB; perhaps a quote is never closed"
                )
            else:
                self._fill()

    def line(self, before: int) -> int:
        """Say which line of the file, from 1, has so many lines of records and header before it."""
        before += self._lines_before
        return 1 + (before if self._decoded is None else self._decoded.line(before))

    @property
    def _blank(self) -> bytes:
        return b"\r\n" if self.dialect.delimiter == " " else b" \r\n"

    def _is_blank(self, data: bytes) -> bool:
        return len(self.names) > 1 and not data.strip(self._blank)

    def _fill(self) -> None:
        """Read a block, or as much as there is: a long record is then not looked at often."""
        left = self._held[self._start :]
        source = self._decoded or self._file
        more = source.read(max(self._block_bytes, len(left)))
        self._held, self._start = left + more, 0
        self._window = max(self._window, len(self._held))
        self._read += len(more)
        self._at_end = not more

    def _first_block(self, data: bytes, *, at_end: bool) -> Block | None:
        """Take what is surely whole from the start of the text that is at hand, if anything is."""
        # A CR at the very end may be half of a CRLF, or of a CRCRLF.
        text = RecordText(data if at_end else data.rstrip(b"\r"), self.dialect)
        problem = text.quote_problem()
        if problem is None and at_end and len(text.quotes) % 2:
            return self._until_open_quote(text)
        if problem is None:
            cut = self._cut(text) or (len(data) if at_end else 0)
        else:
            before = np.searchsorted(text.record_ends, problem.position)
            cut = int(text.record_ends[before - 1]) + 1 if before else 0
            if not cut:
                return self._bad_record(text, problem.position, problem.reason, at_end=at_end)
        return Block(text.until(cut)) if cut else None

    def _until_open_quote(self, text: RecordText) -> Block:
        """Take the records before the one whose last cell is never closed, or else that one."""
        if len(text.record_ends):
            return Block(text.until(int(text.record_ends[-1]) + 1))
        return Block(text, f"has {NEVER_CLOSED}")

    def _bad_record(
        self, text: RecordText, position: int, reason: str, *, at_end: bool
    ) -> Block | None:
        """Take the record at the start, up to the end of the line that has the quote."""
        following = np.searchsorted(text.line_ends, position)
        if following < len(text.line_ends):
            return Block(text.until(int(text.line_ends[following]) + 1), reason)
        return Block(text, reason) if at_end else None

    def _cut(self, text: RecordText) -> int:
        """Return where the last record that is surely whole ends; 0 if there is none."""
        if text.has_quotes:
            cut = int(text.record_ends[-1]) + 1 if len(text.record_ends) else 0
        else:
            cut = max(text.data.rfind(b"\n"), text.data.rfind(b"\r")) + 1
        return cut if len(self.names) == 1 else _without_blank_lines(text.data, cut, self._blank)

    def _read_header(self) -> list[str]:
        while True:
            self._fill()
            data = self._held
            if len(data) < LONGEST_MARK and not self._at_end:
                continue
            if not self._lines_before and self._heed_first_line(data):
                continue
            ends = RecordText(data, self.dialect).record_ends
            header = data[: int(ends[0]) + 1] if len(ends) else data
            self._check_header(header)
            # A CR that ends what was read so far may be half of a CRLF.
            whole = len(ends) and (len(header) < len(data) or data.endswith(b"\n"))
            if whole or self._at_end or len(data) > RECORD_LIMIT:
                break
        self._start = len(header)
        self._window = self._block_bytes
        text = RecordText(header, self.dialect)
        self.header_lines = text.lines
        if len(text.quotes) % 2:
            raise DataError(
                f"{self._file.name}, line {self.line(0)}: the header has {NEVER_CLOSED}"
            )
        return self._header_names(header)

    def _heed_first_line(self, data: bytes) -> bool:
        """Leave out a first line that says what separates cells; whether there is one."""
        found = SEP_LINE.match(data)
        mark = found[1].decode() if found else ""
        if not mark or self.dialect.skiprows or mark.isalnum() or mark == self.dialect.quotechar:
            return False
        if self.dialect.sep is None:
            self.dialect = replace(self.dialect, sep=mark)
        self._lines_before = 1
        self._held = data[found.end() :] if found else data
        return True

    def _check_header(self, data: bytes) -> None:
        """Refuse what is no CSV text, and quotes out of order: they would hide where it ends."""
        name = self._file.name
        first = data if self._decoded is None else self._decoded.first or b""
        for mark, encoding in FOREIGN_MARKS.items():
            if first.startswith(mark) and not (
                encoding.startswith("UTF") and self.dialect.encoding.startswith(UNICODE)
            ):
                hint = f": write encoding={encoding.lower()!r}" if encoding == "UTF-16" else ""
                raise DataError(f"{name} is {encoding}, not CSV text in UTF-8{hint}")
        if b"\0" in data:
            raise DataError(f"{name}: the header has NUL bytes; {_meaning_of_nul(data)}")
        text = RecordText(data.removeprefix(BYTE_ORDER_MARK), self.dialect)
        if problem := text.quote_problem():
            line = self.line(int(np.searchsorted(text.line_ends, problem.position)))
            raise DataError(f"{name}, line {line}: the header {problem.reason}")

    @property
    def _python_dialect(self) -> dict[str, Any]:
        quote = self.dialect.quotechar
        return {
            "delimiter": self.dialect.delimiter,
            "skipinitialspace": self.dialect.delimiter != " ",
            "quotechar": quote or None,
            "quoting": csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        }

    def _header_names(self, data: bytes) -> list[str]:
        name = self._file.name
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{name}: the header is not UTF-8: {error}; {OTHER_ENCODINGS}"
            ) from None
        if not text.strip():
            found = "its first line is blank" if data else "it is empty"
            raise DataError(f"{name} has no header: {found}")
        try:
            reader = csv.reader(io.StringIO(text, newline=""), strict=True, **self._python_dialect)
            return [column.strip() for column in next(reader)]
        except csv.Error as error:
            raise DataError(f"{name}: the header is not CSV: {error}") from None


def _meaning_of_nul(data: bytes) -> str:
    """Say what a text with NUL bytes is: in UTF-16, they are every second one of plain letters."""
    nul = np.frombuffer(data[:1000], np.uint8) == 0
    for first, others in ((nul[::2], nul[1::2]), (nul[1::2], nul[::2])):
        if first.mean() > 0.5 and not others.any():
            return "perhaps it is UTF-16, not UTF-8"
    return "so it is no text, whatever its name says"


def _without_blank_lines(data: bytes, cut: int, blank: bytes) -> int:
    """Move a cut before the blank lines that end there: what follows says if they matter."""
    # The last bytes tell, but for a great many blank lines.
    first = max(0, cut - 64)
    end = first + len(data[first:cut].rstrip(blank))
    if end == first:
        end = len(data[:cut].rstrip(blank))
    if not end:
        return 0
    while data[end : end + 1] == b" ":
        end += 1
    return end + (2 if data[end : end + 2] == b"\r\n" else 1)
