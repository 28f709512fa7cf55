"""Records of CSV text to columns of bytes.

`pyarrow.csv` does the splitting. What it would let pass in silence is checked before, by
`csv_dialect`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from exetera_zarr.io.csv.dialect import BYTE_ORDER_MARK, NO_POSITIONS, RecordText

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

__all__ = ["Parsed", "parse_block"]


@dataclass(frozen=True)
class Parsed:
    """
    The cells of a block.

    Parameters
    ----------
    records
        Number of records, with those that are not well-formed.
    cells
        For each wanted column its cells: binary, without nulls.
    problems
        What is wrong with the records that are not well-formed, which `cells` lacks.
    """

    records: int
    cells: dict[int, pa.Array]
    problems: Mapping[int, str]

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """For each row of `cells`, which record it is."""
        rows = np.arange(self.records)
        return np.delete(rows, list(self.problems)) if self.problems else rows


def parse_block(block: RecordText, width: int, wanted: Sequence[int]) -> Parsed:
    """
    Split records into columns.

    Parameters
    ----------
    block
        Complete records, of which the quotes are in order.
    width
        Number of cells that each must have.
    wanted
        Numbers of the columns to return.

    Returns
    -------
    Parsed
        The cells, and what is wrong with records that are not well-formed.
    """
    text = block.without_leading_spaces()
    # In one column blank lines are cells, but not those of a line end that was translated twice.
    blank = block.rows_between_returns() if width == 1 else NO_POSITIONS
    parsed = None if len(blank) else _split(text, width, wanted)
    if parsed is not None:
        return parsed
    # Where a cell is missing a blank line would be taken for none at all: number the rest anew.
    blank = blank if width == 1 else text.blank_rows()
    parsed = _split(text.without_records(blank), width, wanted)
    assert parsed is not None
    numbers = np.delete(np.arange(text.records), blank)
    problems = {int(numbers[row]): reason for row, reason in parsed.problems.items()}
    problems |= dict.fromkeys(blank.tolist(), "is a blank line")
    return Parsed(text.records, parsed.cells, problems)


def _split(text: RecordText, width: int, wanted: Sequence[int]) -> Parsed | None:
    """Split records into cells; None if there are blank lines that should not be there."""
    if not text.data:
        return Parsed(0, {column: pa.array([], pa.binary()) for column in wanted}, {})
    if not _is_utf8(text.data):
        # pyarrow cannot show such a ragged record to anyone: those are found, and left out, before.
        ragged = _read(text, width, (), "latin-1")
        if ragged is None:
            return None
        if ragged.problems:
            # A last line end that is lacking says nothing.
            ended = RecordText(text.data + b"\n", text.dialect) if text.is_open else text
            rest = _split(ended.without_records(np.array(sorted(ragged.problems))), width, wanted)
            return rest and Parsed(text.records, rest.cells, ragged.problems)
    return _read(text, width, wanted)


def _is_utf8(data: bytes) -> bool:
    try:
        return data.isascii() or bool(data.decode())
    except UnicodeDecodeError:
        return False


def _read(
    text: RecordText, width: int, wanted: Sequence[int], encoding: str = "utf8"
) -> Parsed | None:
    """Let Arrow split records; None if there are blank lines that should not be there."""
    problems: dict[int, str] = {}

    def skip(row: pa_csv.InvalidRow) -> str:
        cells = f"{row.actual_columns} cell{'s' if row.actual_columns > 1 else ''}"
        problems[row.number - 1] = f"has {cells}; the header has {width}"
        return "skip"

    names = [str(column) for column in range(width)]
    # Only a file may start with such a mark; Arrow would drop one from the first cell of a block.
    data = BYTE_ORDER_MARK + text.data if text.data.startswith(BYTE_ORDER_MARK) else text.data
    table = pa_csv.read_csv(
        pa.BufferReader(data),
        read_options=pa_csv.ReadOptions(
            column_names=names,
            # Transcoding may make it twice as long.
            block_size=2 * len(data) + 1,
            use_threads=False,
            encoding=encoding,
        ),
        parse_options=pa_csv.ParseOptions(
            delimiter=text.dialect.delimiter,
            quote_char=text.dialect.quotechar or False,
            newlines_in_values=text.has_quoted_ends,
            # Otherwise a blank line would be a record of as many empty cells as there are columns.
            ignore_empty_lines=width > 1,
            invalid_row_handler=skip,
        ),
        convert_options=pa_csv.ConvertOptions(
            column_types={names[column]: pa.binary() for column in wanted},
            # An empty list would mean all of them.
            include_columns=[names[column] for column in wanted or (0,)],
            strings_can_be_null=False,
        ),
    )
    if table.num_rows + len(problems) != text.records:
        return None
    cells = {column: _one_chunk(table.column(names[column])) for column in wanted}
    return Parsed(text.records, cells, problems)


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
