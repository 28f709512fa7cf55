"""Blocks of a file to arrays, in several threads, in order."""

from __future__ import annotations

import os
from collections import Counter, deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from exetera_zarr.errors import ExeteraError
from exetera_zarr.io.csv.cells import CellError, Faults
from exetera_zarr.io.csv.convert import Produced, convert
from exetera_zarr.io.csv.records import Parsed, parse_block
from exetera_zarr.io.csv.rejects import BadCell, BadRecord

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from exetera_zarr.io.csv.dialect import RecordText
    from exetera_zarr.io.csv.text import Block, CsvText
    from exetera_zarr.io.plan import Source

__all__ = ["Converted", "converted_blocks"]

# Blocks under way beside those being worked on: enough that no thread waits for the writer.
BLOCKS_AHEAD = 2
MAX_THREADS = 16


@dataclass(frozen=True)
class Converted:
    """
    What became of a block.

    Parameters
    ----------
    rows
        Number of rows that are fine.
    records, lines, size
        Number of records, lines and bytes of the whole block.
    arrays
        The values of the rows that are fine, in the order of the table's fields.
    bad
        The other records.
    passed
        What was let pass of the rows that are fine, by column and what it was.
    """

    rows: int
    records: int
    lines: int
    size: int
    arrays: list[Produced] = field(default_factory=list)
    bad: list[BadRecord] = field(default_factory=list)
    passed: Counter[tuple[str, str]] = field(default_factory=Counter)

    def until(self, records: int) -> Converted:
        """Return what the first records of the block became; its lines stay."""
        if records >= self.records:
            return self
        bad = [record for record in self.bad if record.row < records]
        rows = records - len(bad)
        arrays = [array[:rows] for array in self.arrays]
        return Converted(rows, records, self.lines, self.size, arrays, bad, self.passed)


def converted_blocks(
    text: CsvText, sources: Sequence[Source], *, lenient: bool = False
) -> Generator[Converted, None, None]:
    """
    Split, check and convert the blocks of a file in a pool of threads.

    Parameters
    ----------
    text
        The file, after its header.
    sources
        What its columns mean.
    lenient
        Whether what ExeTera's imports let pass is no error.

    Yields
    ------
    Converted
        In the order of the file.

    Raises
    ------
    DataError, OSError
        The file cannot be read on; after all blocks before that place.
    """
    threads = min(os.cpu_count() or 1, MAX_THREADS)
    width = len(text.names)
    blocks = text.blocks()
    under_way: deque[Future[Converted]] = deque()
    stopped: Exception | None = None
    more = True
    pool = ThreadPoolExecutor(threads, thread_name_prefix="exetera-import")
    try:
        while more or under_way:
            while more and len(under_way) < threads + BLOCKS_AHEAD:
                try:
                    block = next(blocks)
                except StopIteration:
                    more = False
                except (ExeteraError, OSError) as error:
                    # An earlier block may hold an earlier error.
                    stopped, more = error, False
                else:
                    under_way.append(pool.submit(_convert_block, block, width, sources, lenient))
            if under_way:
                yield under_way.popleft().result()
        if stopped is not None:
            raise stopped
    finally:
        pool.shutdown(cancel_futures=True)


def _convert_block(block: Block, width: int, sources: Sequence[Source], lenient: bool) -> Converted:
    text = block.text
    size = len(text.data)
    if block.problem is not None:
        return Converted(0, 1, text.lines, size, bad=[BadRecord(0, 0, text.data, block.problem)])
    wanted = [source.position for source in sources]
    parsed = parse_block(text, width, wanted)
    cells = [parsed.cells[source.position] for source in sources]
    arrays, wrong, passed = _convert_columns(cells, sources, lenient)
    if wrong:
        fine = np.ones(len(cells[0]), bool)
        fine[list(wrong)] = False
        keep = pa.array(fine)
        kept = [column.filter(keep) for column in cells]
        arrays, _, passed = _convert_columns(kept, sources, lenient)
    bad = _bad_records(text, parsed, wrong) if wrong or parsed.problems else []
    rows = parsed.records - len(bad)
    return Converted(rows, parsed.records, text.lines, size, arrays, bad, passed)


def _convert_columns(
    cells: Sequence[pa.Array], sources: Sequence[Source], lenient: bool
) -> tuple[list[Produced], dict[int, list[BadCell]], Counter[tuple[str, str]]]:
    """The arrays of all fields, which cells are wrong, by row, and what was let pass."""
    arrays: list[Produced] = []
    wrong: dict[int, list[BadCell]] = {}
    passed: Counter[tuple[str, str]] = Counter()
    for column, source in zip(cells, sources, strict=True):
        faults = Faults(lenient=lenient)
        try:
            arrays += convert(column, source.definition, faults)
            passed.update({(source.name, what): rows for what, rows in faults.passed.items()})
        except CellError as error:
            for row, reason in error.reasons.items():
                cell = BadCell(source.name, column[row].as_py(), reason)
                wrong.setdefault(row, []).append(cell)
    return arrays, wrong, passed


def _bad_records(
    text: RecordText, parsed: Parsed, wrong: Mapping[int, Sequence[BadCell]]
) -> list[BadRecord]:
    """Return the records that are not well-formed or have wrong cells, in order."""
    of_row = parsed.rows
    cells = {int(of_row[row]): tuple(found) for row, found in wrong.items()}
    records = np.array(sorted({*parsed.problems, *cells}))
    return [
        BadRecord(row, line, text.record(row), parsed.problems.get(row), cells.get(row, ()))
        for row, line in zip(records.tolist(), text.lines_before(records).tolist(), strict=True)
    ]
