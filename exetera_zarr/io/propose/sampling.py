"""Rows of a CSV file to look at: all, or those at its start and some from later parts of it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exetera_zarr.io.csv.dialect import RecordText, called
from exetera_zarr.io.csv.files import CODECS, InputFile, open_binary, suffix_of
from exetera_zarr.io.csv.records import parse_block
from exetera_zarr.io.csv.text import BLOCK_BYTES, CsvText
from exetera_zarr.io.schema.formats import PLAIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

    from exetera_zarr.io.csv.records import Parsed
    from exetera_zarr.io.options import PathLike
    from exetera_zarr.io.schema.formats import Dialect

__all__ = ["CsvSample", "Rows"]

# Later parts of a file that are looked at, and the least and the most bytes of one.
PARTS = 16
PART_BYTES = (64 << 10, 4 << 20)
# Line ends of a part at which a record may begin; further ones are not tried.
LINES_TRIED = 8
# Of a start that is soon enough, not much more should be read.
START_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Rows:
    """
    Some rows of a file.

    Parameters
    ----------
    cells
        For each column its cells: binary, without nulls.
    numbers
        For each row its number in the file, from 1; None if that is not known.
    problems
        ``(number, reason)`` of records among them that cannot be imported.
    """

    cells: list[pa.Array]
    numbers: npt.NDArray[np.int64] | None
    problems: list[tuple[int, str]]

    def __len__(self) -> int:
        return len(self.cells[0])


class CsvSample:
    """
    The rows of a file that are looked at; they are read once.

    Parameters
    ----------
    path
        Path or URL.
    rows
        How many rows from the start; about as many again come from later parts, if the file can be
        read from any place. None means all rows.
    storage_options
        Passed to fsspec, for a URL.
    dialect
        How it is written.

    Attributes
    ----------
    name
        What messages call the file.
    header
        The column names of its header.
    names
        The same, as columns are told apart by them: see `dialect.called`.
    complete
        After the last row: whether that were all.

    Raises
    ------
    DataError
        The file is empty, is not UTF-8 text, or its header is no header.
    """

    def __init__(
        self,
        path: PathLike,
        rows: int | None,
        storage_options: Mapping[str, Any] | None = None,
        dialect: Dialect = PLAIN,
    ) -> None:
        self._path, self._options, self._wanted = path, storage_options, rows
        self._file = InputFile(path, storage_options)
        try:
            size = BLOCK_BYTES if rows is None else START_BLOCK_BYTES
            self._text = CsvText(self._file, size, dialect)
        except BaseException:
            self._file.close()
            raise
        self._dialect = self._text.dialect
        self.name: str = self._file.name
        self.header: list[str] = self._text.names
        self.names: list[str] = called(self.header)
        self.complete = False

    def close(self) -> None:
        """Close the file of which no rows are wanted."""
        self._file.close()

    def __iter__(self) -> Iterator[Rows]:
        with closing(self._file):
            seen, seen_bytes = 0, 0
            for block in self._text.blocks():
                if self._wanted is not None and seen >= self._wanted:
                    break
                seen_bytes += len(block.text.data)
                if block.problem is not None:
                    seen += 1
                    nothing = parse_block(
                        RecordText(b"", self._dialect), len(self.names), self._columns
                    )
                    yield self._rows(nothing, None, [(seen, block.problem)])
                    continue
                parsed = parse_block(block.text, len(self.names), self._columns)
                yield self._rows(
                    parsed,
                    parsed.rows + seen + 1,
                    [(row + seen + 1, reason) for row, reason in sorted(parsed.problems.items())],
                    None if self._wanted is None else self._wanted - seen,
                )
                seen += parsed.records
            else:
                self.complete = self._wanted is None or seen <= self._wanted
            position, size = self._file.position, self._file.size
        plain = self._dialect.is_utf8 and not self._dialect.comment
        if not self.complete and plain and size is not None and suffix_of(self.name) not in CODECS:
            yield from self._later(position, size, seen_bytes // max(seen, 1))

    @property
    def _columns(self) -> range:
        return range(len(self.names))

    def _rows(
        self,
        parsed: Parsed,
        numbers: npt.NDArray[np.int64] | None,
        problems: list[tuple[int, str]],
        most: int | None = None,
    ) -> Rows:
        cells = [parsed.cells[column][:most] for column in self._columns]
        return Rows(cells, numbers, problems)

    def _later(self, position: int, size: int, row_bytes: int) -> Iterator[Rows]:
        """Take rows from evenly spaced places; of a place that is not understood, none."""
        least, most = PART_BYTES
        part = min(max(row_bytes * (self._wanted or 0) // PARTS, least), most)
        parts = min((size - position) // part, PARTS)
        file, _ = open_binary(self._path, self._options)
        with file:
            if not parts or not file.seekable():
                return
            for place in np.linspace(position, size - part, parts, dtype=np.int64).tolist():
                file.seek(place)
                parsed = self._resumed(file.read(part))
                if parsed is not None:
                    yield self._rows(parsed, None, [])

    def _resumed(self, data: bytes) -> Parsed | None:
        """Find where records begin and end in the middle of a file, and split them."""
        start = 0
        for _ in range(LINES_TRIED):
            start = data.find(b"\n", start) + 1
            text = RecordText(data[start:], self._dialect)
            if not start or not len(text.record_ends):
                return None
            # A line end within quotes is not the end of a record: what follows is in disorder then.
            whole = text.until(int(text.record_ends[-1]) + 1)
            if whole.quote_problem() is None and len(whole.quotes) % 2 == 0:
                parsed = parse_block(whole, len(self.names), self._columns)
                if not parsed.problems:
                    return parsed
        return None
