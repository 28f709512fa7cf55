"""CSV text to columns of bytes: whole records at a time, exactly, or an error that says where.

The file is cut into blocks of complete records, so that blocks can be parsed and converted in
several threads and every row has a number. Within a block `pyarrow.csv` does the splitting. What it
would let pass in silence is checked before, by `csv_dialect`.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv as pa_csv

from exetera_zarr.errors import DataError
from exetera_zarr.io.csv_dialect import Problem, RecordText

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["CsvError", "CsvText", "Parsed", "line_of", "parse_block"]

# Measured on 60 columns, 2 cores: 2 to 8 MiB are equal within noise; 16 MiB took twice the time.
BLOCK_BYTES = 4 << 20
# A quote that is never closed makes the rest of the file one cell. Better an error than all memory.
RECORD_LIMIT = 256 << 20

FOREIGN_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"PK\x03\x04": "zip (or a spreadsheet)",
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
}


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
        shown = "" if value is None else f"{_shown(value)} "
        super().__init__(f"{where}{cell}: {shown}{reason}")
        self.file = file
        self.row = row
        self.line = line
        self.reason = reason
        self.column = column
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own pickling would call __init__ with the message alone.
        arguments = (self.file, self.row, self.line, self.reason, self.column, self.value)
        return type(self), arguments


def _shown(value: bytes) -> str:
    text = repr(value[:60].decode("utf-8", "backslashreplace"))
    return text if len(value) <= 60 else f"{text}... ({len(value)} bytes)"


@dataclass(frozen=True)
class Parsed:
    """
    The cells of a block.

    Parameters
    ----------
    rows
        Number of records, up to the first bad one.
    lines
        Number of lines of the whole block.
    cells
        For each wanted column its cells: binary, without nulls.
    problem
        The first record that is not well-formed.
    """

    rows: int
    lines: int
    cells: dict[int, pa.Array]
    problem: Problem | None


class CsvText:
    """
    A CSV file that is read once, from its start.

    Parameters
    ----------
    file
        Binary file, at its start.
    name
        What error messages call it.
    block_bytes
        About how many bytes a block holds.

    Attributes
    ----------
    names
        The column names of the header, without surrounding spaces.
    header_lines
        Number of lines that the header takes.
    bytes_read
        Bytes that were read so far.

    Raises
    ------
    DataError
        The file is empty, is not UTF-8 text, or its header is no header.
    """

    def __init__(self, file: IO[bytes], name: str, block_bytes: int = BLOCK_BYTES) -> None:
        self.name = name
        self._file = file
        self._block_bytes = max(1, block_bytes)
        self._carry = b""
        self._at_end = False
        self.bytes_read = 0
        self.header_lines = 0
        self.names = self._read_header()

    def blocks(self) -> Iterator[bytes]:
        """
        Read the records after the header.

        Yields
        ------
        bytes
            Complete records, in file order. Blank lines at the end of the file are left out, unless
            the file has one column: there they are empty cells.
        """
        while not self._at_end or self._carry:
            if cut := self._cut():
                yield self._take(cut)
            elif not self._at_end:
                if len(self._carry) > RECORD_LIMIT:
                    raise DataError(
                        f"{self.name}: the record at byte {self.bytes_read - len(self._carry)} has "
                        f"more than {RECORD_LIMIT >> 20} MiB; perhaps a quote is never closed"
                    )
                self._fill()
            elif self._is_blank(self._carry):
                return
            else:
                yield self._take(len(self._carry))

    def _take(self, cut: int) -> bytes:
        block, self._carry = self._carry[:cut], self._carry[cut:]
        return block

    def _is_blank(self, data: bytes) -> bool:
        return len(self.names) > 1 and not data.strip(b" \r\n")

    def _fill(self) -> None:
        more = self._file.read(self._block_bytes)
        self.bytes_read += len(more)
        self._at_end = not more
        self._carry += more

    def _cut(self) -> int:
        """Return where the last record that is surely whole ends; 0 if there is none."""
        data = self._carry
        if not self._at_end and len(data) < self._block_bytes:
            return 0
        if b'"' not in data:
            # A CR at the very end may be half of a CRLF.
            cut = data.rfind(b"\n") + 1 or data.rfind(b"\r", 0, -1) + 1
        else:
            ends = RecordText(data[:-1] if data.endswith(b"\r") else data).record_ends
            cut = int(ends[-1]) + 1 if len(ends) else 0
        return cut if len(self.names) == 1 else self._without_blank_lines(cut)

    def _without_blank_lines(self, cut: int) -> int:
        """Move a cut before the blank lines that end there: what follows says if they matter."""
        data = self._carry
        blank = b" \r\n"
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

    def _read_header(self) -> list[str]:
        while True:
            self._fill()
            data = self._carry
            ends = RecordText(data).record_ends
            # A CR that ends what was read so far may be half of a CRLF.
            whole = len(ends) and (ends[0] < len(data) - 1 or data.endswith(b"\n"))
            if whole or self._at_end or len(data) > RECORD_LIMIT:
                break
        header = self._take(int(ends[0]) + 1 if len(ends) else len(data))
        self.header_lines = RecordText(header).lines
        return self._header_names(header)

    def _header_names(self, data: bytes) -> list[str]:
        for mark, encoding in FOREIGN_MARKS.items():
            if data.startswith(mark):
                raise DataError(f"{self.name} is {encoding}, not CSV text in UTF-8")
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(f"{self.name}: the header is not UTF-8: {error}") from None
        if not text.strip():
            found = "its first line is blank" if data else "it is empty"
            raise DataError(f"{self.name} has no header: {found}")
        try:
            reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
            return [name.strip() for name in next(reader)]
        except csv.Error as error:
            raise DataError(f"{self.name}: the header is not CSV: {error}") from None


def parse_block(data: bytes, width: int, wanted: Sequence[int]) -> Parsed:
    """
    Split records into columns.

    Parameters
    ----------
    data
        Complete records.
    width
        Number of cells that each must have.
    wanted
        Numbers of the columns to return.

    Returns
    -------
    Parsed
        The cells, and the first record that is not well-formed.
    """
    raw = RecordText(data)
    text = raw.without_leading_spaces()
    problem = text.quote_problem()
    if problem is not None:
        text = text.until(problem.row)
    parsed = _split(text, width, wanted)
    if parsed is None:
        problem = text.blank_problem()
        assert problem is not None
        parsed = _split(text.until(problem.row), width, wanted)
        assert parsed is not None
    return Parsed(parsed.rows, raw.lines, parsed.cells, parsed.problem or problem)


def line_of(data: bytes, row: int) -> int:
    """Return how many lines of a block come before the given record (from 0)."""
    return RecordText(data).until(row).lines


def _split(text: RecordText, width: int, wanted: Sequence[int]) -> Parsed | None:
    """Split records into cells; None if there are blank lines that should not be there."""
    if not text.data:
        return Parsed(0, 0, {column: pa.array([], pa.binary()) for column in wanted}, None)
    short: list[Problem] = []

    def skip(row: pa_csv.InvalidRow) -> str:
        cells = f"{row.actual_columns} cell{'s' if row.actual_columns > 1 else ''}"
        short.append(Problem(row.number - 1, f"has {cells}; the header has {width}"))
        return "skip"

    names = [str(column) for column in range(width)]
    table = pa_csv.read_csv(
        pa.BufferReader(text.data),
        read_options=pa_csv.ReadOptions(
            column_names=names, block_size=len(text.data) + 1, use_threads=False
        ),
        parse_options=pa_csv.ParseOptions(
            newlines_in_values=text.has_quotes,
            # Otherwise a blank line would be a record of as many empty cells as there are columns.
            ignore_empty_lines=width > 1,
            invalid_row_handler=skip,
        ),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.binary()),
            # An empty list would mean all of them.
            include_columns=[names[column] for column in wanted or (0,)],
            strings_can_be_null=False,
        ),
    )
    if table.num_rows + len(short) != text.records:
        return None
    if short:
        table = table.slice(0, short[0].row)
    cells = {column: _one_chunk(table.column(names[column])) for column in wanted}
    return Parsed(table.num_rows, text.lines, cells, short[0] if short else None)


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
