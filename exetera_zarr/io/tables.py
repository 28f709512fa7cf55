"""Writing one imported table: its fields, block by block, and the rows that do not fit."""

from __future__ import annotations

import time
from contextlib import closing, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from exetera_zarr.fields.missing.companions import COMPANION
from exetera_zarr.fields.progress import Tick, watched
from exetera_zarr.io.csv.pipeline import converted_blocks
from exetera_zarr.io.leniency import teller
from exetera_zarr.io.options import Progress, TableSummary
from exetera_zarr.io.schema.definitions import Column
from exetera_zarr.journal.snapshots import END

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exetera_zarr.io.csv.convert import Produced
    from exetera_zarr.io.csv.pipeline import Converted
    from exetera_zarr.io.csv.text import CsvText
    from exetera_zarr.io.options import ImportOptions
    from exetera_zarr.io.plan import CsvInput, Source, TablePlan
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["append", "create_field", "import_table", "link_companion"]

VALID_FROM = Column("j_valid_from", "timestamp")
VALID_TO = Column("j_valid_to", "timestamp")
# An append costs some 60 microseconds, and a block of a wide table has few rows.
ENOUGH_ROWS = 1 << 15
ENOUGH_BYTES = 32 << 20


def import_table(
    table: DataFrame,
    plan: TablePlan,
    since: float,
    options: ImportOptions,
    most_rows: int | None = None,
) -> TableSummary:
    """
    Fill a new table from its files, and keep what they have of rejects for whoever saves them.

    Parameters
    ----------
    table
        It, without fields.
    plan
        What it is imported from.
    since
        POSIX seconds for ``j_valid_from``.
    options
        Of the import.
    most_rows
        Read so many records at the most.

    Raises
    ------
    CsvError
        A record does not fit, and is not to be skipped.
    """
    watch = watched(table.dataset.settings, f"import {plan.table}", plan.size, "B")
    with nullcontext(lambda _: None) if options.progress is not None else watch as tick:
        work = _TableImport(table, plan, since, options, most_rows, tick)
        for file, sources in plan.inputs:
            if not work.is_full:
                work.read(file, sources)
        return work.finish()


class _TableImport:
    """The import of one table, under way."""

    def __init__(
        self,
        table: DataFrame,
        plan: TablePlan,
        since: float,
        options: ImportOptions,
        most_rows: int | None,
        tick: Tick,
    ) -> None:
        self._plan, self._tick, self._ticked = plan, tick, 0
        self._tell_passed = teller(table.dataset.settings)
        self._since = since
        self._options = options
        self._left = most_rows
        validity = (VALID_FROM, VALID_TO) if options.has_validity else ()
        self._fields = [create_field(table, column) for column in (*plan.columns, *validity)]
        self._definitions = plan.definitions
        if plan.described is not None:
            plan.described.describe(table)
        for field in self._fields:
            if (definition := self._definitions.get(field.name)) is not None:
                definition.describe(field)
        self._size = plan.size
        self._waiting: list[Converted] = []
        self._files: list[dict[str, Any]] = []
        self._rows = self._rejected = self._bytes = 0
        self._started = time.perf_counter()

    @property
    def is_full(self) -> bool:
        """Whether there are as many records as there should be."""
        return self._left == 0

    def read(self, source: CsvInput, columns: Sequence[Source]) -> None:
        """Append the rows of a file."""
        opened, text = source.open()
        rows, lines = 0, text.header_lines
        # Closed at once, so that an error does not keep the threads as long as its traceback lives.
        converted = converted_blocks(text, columns, lenient=self._tell_passed is not None)
        with closing(opened), closing(converted) as blocks:
            for whole in blocks:
                block = whole if self._left is None else whole.until(self._left)
                self._reject(block, source, rows, partial(_line, text, lines))
                self._accept(block)
                if self._tell_passed is not None:
                    for (name, what), count in block.passed.items():
                        self._tell_passed(what, f"{self._plan.table}/{name}", count)
                rows += block.records
                lines += block.lines
                self._tell(opened.position)
                if self._left is not None:
                    self._left -= block.records
                    if self.is_full:
                        break
            self._bytes += opened.position
            self._files.append(opened.told())

    def finish(self) -> TableSummary:
        """Complete the fields."""
        self._append()
        for field, column in zip(self._fields, self._plan.columns, strict=False):
            field.data.complete()
            link_companion(field, column)
        for field in self._fields:
            if (definition := self._definitions.get(field.name)) is not None:
                definition.mark(field)
        rejects = self._plan.rejects
        seconds = time.perf_counter() - self._started
        place = None if rejects is None else rejects.place
        files = tuple(self._files)
        return TableSummary(self._rows, self._rejected, seconds, self._bytes, place, files)

    def _reject(
        self, block: Converted, source: CsvInput, rows: int, line: Callable[[int], int]
    ) -> None:
        for record in block.bad:
            error = record.error(source.name, rows, line(record.line))
            if not self._options.skips:
                raise error
            if self._plan.rejects is not None:
                self._plan.rejects.add(error, record, source.names)
        self._rejected += len(block.bad)

    def _accept(self, block: Converted) -> None:
        """Keep the rows of a block until there are enough of them to be worth an append."""
        if block.rows:
            self._waiting.append(block)
            self._rows += block.rows
        rows = sum(waiting.rows for waiting in self._waiting)
        if rows >= ENOUGH_ROWS or sum(waiting.size for waiting in self._waiting) >= ENOUGH_BYTES:
            self._append()

    def _append(self) -> None:
        blocks, self._waiting = self._waiting, []
        if not blocks:
            return
        rows = sum(block.rows for block in blocks)
        step = self._options.chunk_row_size
        arrays = [_joined(part) for part in zip(*(block.arrays for block in blocks), strict=True)]
        if self._options.has_validity:
            arrays += [np.full(rows, value) for value in (self._since, END)]
        for field, values in zip(self._fields, arrays, strict=True):
            for start in range(0, rows, step):
                append(field, values[start : start + step])

    def _tell(self, position: int) -> None:
        read = self._bytes + position
        self._tick(read - self._ticked)
        self._ticked = read
        if self._options.progress is not None:
            self._options.progress(
                Progress(
                    self._plan.table,
                    self._rows,
                    self._bytes + position,
                    self._size,
                    self._rejected,
                )
            )


def _line(text: CsvText, before: int, lines: int) -> int:
    return text.line(before + lines)


def _joined(parts: Sequence[Produced]) -> Produced:
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], pa.Array):
        return pa.concat_arrays(parts)
    masked = any(isinstance(part, np.ma.MaskedArray) for part in parts)
    joined: npt.NDArray[Any] = (np.ma.concatenate if masked else np.concatenate)(parts)
    return joined


def create_field(table: DataFrame, column: Column, timestamp: Any = None) -> Any:
    """Create the field that a column becomes."""
    match column.kind:
        case "numeric":
            return table.create_numeric(column.name, column.nformat, timestamp)
        case "categorical":
            keys = dict(column.keys)
            return table.create_categorical(column.name, column.nformat, keys, timestamp)
        case "timestamp":
            return table.create_timestamp(column.name, timestamp)
        case "fixed_string":
            return table.create_fixed_string(column.name, column.length, timestamp)
        case "indexed_string":
            return table.create_indexed_string(column.name, timestamp)


def link_companion(field: Any, column: Column) -> None:
    """After the rows of a column were written: have its field know the one that tells of cells."""
    if column.companion and field.face.sees_missing:
        field.group.update_attributes({COMPANION: column.companion})


def append(field: Any, values: Produced) -> None:
    """Append converted values, which are of its type, to a field; free text has a code, no name."""
    if isinstance(values, pa.Array):
        field.data.write_arrow(values)
    elif isinstance(values, np.ma.MaskedArray):
        # It has no flag of its own. Who reads what is stored sees the schema's invalid_value.
        field.append_masked(values.data, ~np.ma.getmaskarray(values), blank=False)
    else:
        field.extend_companion(values)
        field.append(values)
