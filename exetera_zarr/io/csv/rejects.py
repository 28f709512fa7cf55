"""Rows that do not fit: as an error, or as rows of a CSV file that can be corrected and imported.

The file of rejects has the columns of the table's files, and before them where a row was and what
is wrong with it. It is always valid CSV in UTF-8, with as many cells in every row. A row whose
cells could not be told apart has its text in `TEXT_COLUMN` instead, and is refused until that is
empty.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from exetera_zarr.errors import DataError
from exetera_zarr.io.csv.dialect import RecordText
from exetera_zarr.io.csv.files import is_url, shown, suffix_of
from exetera_zarr.io.csv.records import parse_block
from exetera_zarr.io.csv.text import CsvError
from exetera_zarr.io.schema.formats import PLAIN, Dialect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from exetera_zarr.io.options import PathLike

__all__ = ["REJECT_COLUMNS", "TEXT_COLUMN", "BadCell", "BadRecord", "Rejects", "place_of"]

TEXT_COLUMN = "rejected_text"
REJECT_COLUMNS = (
    "rejected_file",
    "rejected_row",
    "rejected_line",
    "rejected_column",
    "rejected_reason",
    TEXT_COLUMN,
)
IN_MEMORY = 8 << 20


@dataclass(frozen=True)
class BadCell:
    """A cell that does not fit its column's definition."""

    column: str
    value: bytes
    reason: str


@dataclass(frozen=True)
class BadRecord:
    """
    A record that cannot be imported.

    Parameters
    ----------
    row, line
        How many records and lines of its block come before it.
    text
        Its bytes.
    problem
        What is wrong, if it is no well-formed record.
    cells
        Its cells that do not fit, in the order of the table.
    """

    row: int
    line: int
    text: bytes
    problem: str | None = None
    cells: tuple[BadCell, ...] = ()

    def error(self, file: str, rows: int, line: int) -> CsvError:
        """
        Return the error about it.

        Parameters
        ----------
        file
            What the file is called.
        rows
            How many of them come before its block.
        line
            Number of the line that it starts on.
        """
        row = rows + self.row + 1
        if self.problem is not None:
            return CsvError(file, row, line, self.problem)
        cell = self.cells[0]
        return CsvError(file, row, line, cell.reason, cell.column, cell.value)


def place_of(rejects: PathLike, table: str, tables: int) -> str:
    """Return where the rejects of a table go: with other tables, its name is in the file's name."""
    name = os.fspath(rejects)
    if tables == 1:
        return name
    suffix = suffix_of(name)
    return f"{name[: len(name) - len(suffix)]}.{table}{suffix}"


class Rejects:
    """
    The rejects of one table, kept aside until `save`.

    Parameters
    ----------
    place
        Path or URL of the file.
    columns
        Names of the columns of the table's files.
    source_options
        For the file system behind a URL.
    dialect
        How the table's files are written, and so this one, since it is to be imported like them.

    Raises
    ------
    DataError
        There can be no file at that place.
    """

    def __init__(
        self,
        place: str,
        columns: Sequence[str],
        source_options: Mapping[str, Any] | None = None,
        dialect: Dialect = PLAIN,
    ) -> None:
        if not is_url(place) and (
            Path(place).is_dir() or not Path(place).absolute().parent.is_dir()
        ):
            raise DataError(f"rejects cannot be written to {place}: there is no such folder")
        self.place: str = shown(place)
        self._place = place
        self._options = source_options
        self._columns = columns
        self._spool = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - `close` does
        self._dialect = dialect
        # A name of a file may have characters that the encoding of its content has not.
        self._encoder = codecs.getincrementalencoder(dialect.encoding)("backslashreplace")
        self._spool.write(self._encoder.encode("\n" * dialect.skiprows))
        self._write([*REJECT_COLUMNS, *columns])

    def add(self, error: CsvError, record: BadRecord, names: Sequence[str]) -> None:
        """
        Note a record.

        Parameters
        ----------
        error
            What is said of it elsewhere.
        record
            The record.
        names
            The columns of its file.
        """
        where = [error.file, str(error.row), str(error.line)]
        reason = error.told
        for cell in record.cells[1:]:
            reason += f"; column {cell.column!r}: {CsvError.tell(cell.reason, cell.value)}"
        found = _cells(record, names, self._dialect)
        if found is None:
            # Of a blank line the line end, so that it is not taken for a row of empty cells.
            text = record.text.decode("utf-8", "backslashreplace").rstrip("\r\n") or "\n"
            found = {TEXT_COLUMN: text}
        rest = [found.get(column, "") for column in (TEXT_COLUMN, *self._columns)]
        self._write([*where, error.column or "", reason, *rest])

    def _write(self, row: Sequence[str]) -> None:
        line = io.StringIO(newline="")
        # All are quoted, so that no space at the start of one is lost.
        csv.writer(line, lineterminator="\n", **self._python_dialect).writerow(row)
        self._spool.write(self._encoder.encode(line.getvalue()))

    @property
    def _python_dialect(self) -> dict[str, Any]:
        quote = self._dialect.quotechar
        return {
            "delimiter": self._dialect.delimiter,
            "quotechar": quote or None,
            "quoting": csv.QUOTE_ALL if quote else csv.QUOTE_NONE,
            "escapechar": None if quote else "\\",
        }

    def save(self) -> None:
        """Write the file, in place of one that is there."""
        self._spool.seek(0)
        from exetera_zarr.storage import create_file

        with create_file(self._place, self._options) as file:
            shutil.copyfileobj(self._spool, file)

    def close(self) -> None:
        """Forget what was kept aside."""
        self._spool.close()


def _cells(record: BadRecord, names: Sequence[str], dialect: Dialect) -> dict[str, str] | None:
    """Split a record into its cells, by column; None if that cannot be done."""
    if record.problem is not None:
        return None
    parsed = parse_block(RecordText(record.text + b"\n", dialect), len(names), range(len(names)))
    try:
        return {name: parsed.cells[number][0].as_py().decode() for number, name in enumerate(names)}
    except UnicodeDecodeError:
        return None
