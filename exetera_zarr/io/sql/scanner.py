"""A table as DuckDB scans it: only the columns that a query needs, and blocks that may matter.

DuckDB hands the columns and the simple conditions of a query to what is a dataset of Arrow, and
relies on their being applied. So this is one, by the two methods that it calls. Where it needs no
column, as to count rows, it asks for the first one, so that this is one of nothing.
"""

from __future__ import annotations

from contextlib import closing
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as arrow_dataset

from exetera_zarr.errors import ArgumentError
from exetera_zarr.io.arrow.conditions import Condition
from exetera_zarr.io.arrow.stream import ArrowStream

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    import pyarrow.compute as pc

    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["ScannedTable"]

_ROWS = 1 << 20


class ScannedTable(arrow_dataset.Dataset):  # type: ignore[misc]
    """
    A table as a dataset of Arrow.

    Parameters
    ----------
    frame
        The table.
    errors
        Where an error of reading is kept: DuckDB passes on no more than its text.

    Attributes
    ----------
    nothing : str
        The name of the first column, which is none of the table, and has no values.
    """

    def __init__(self, frame: DataFrame, errors: list[Exception]) -> None:
        # Not that of Arrow, which has no constructor.
        self._frame, self._errors = frame, errors
        self.nothing = "no column"
        while self.nothing.casefold() in {str(name).casefold() for name in frame}:
            self.nothing += "_"

    @cached_property
    def _of_table(self) -> pa.Schema:
        return ArrowStream(self._frame).schema

    @cached_property
    def schema(self) -> pa.Schema:
        """The types of all columns."""
        return self._of_table.insert(0, pa.field(self.nothing, pa.bool_()))

    def scanner(
        self,
        columns: Sequence[str] | None = None,
        filter: pc.Expression | None = None,
        **_options: Any,
    ) -> _Scanner:
        """What reads some columns of the rows that fulfil a condition."""
        condition = None if filter is None else Condition(self._frame, self._of_table, filter)
        names = self.schema.names if columns is None else list(columns)
        if names == [self.nothing]:
            rows = self._frame.length()
            return _Scanner(_Nothing(self.nothing, rows, condition), self._errors)
        if self.nothing in names:
            raise ArgumentError("the column of nothing has no values to go with others")
        return _Scanner(ArrowStream(self._frame, names, condition=condition), self._errors)


class _Nothing:
    """A column without values, of all rows or of those that fulfil a condition."""

    def __init__(self, name: str, rows: int, condition: Condition | None) -> None:
        self.schema: Any = pa.schema([pa.field(name, pa.bool_())])
        self._rows, self._condition = rows, condition

    def batches(self) -> Generator[pa.RecordBatch]:
        for count in self._counts():
            yield pa.record_batch([pa.nulls(count, pa.bool_())], schema=self.schema)

    def _counts(self) -> Iterator[int]:
        if self._condition is None:
            return (min(_ROWS, self._rows - start) for start in range(0, self._rows, _ROWS))
        kept = (self._condition.keeps(start, stop) for start, stop in self._condition.cuts())
        return (int(np.count_nonzero(one)) for one in kept)


class _Scanner(arrow_dataset.Scanner):  # type: ignore[misc]
    def __init__(self, stream: ArrowStream | _Nothing, errors: list[Exception]) -> None:
        self._stream, self._errors = stream, errors

    @property
    def projected_schema(self) -> pa.Schema:
        return self._stream.schema

    def to_reader(self) -> pa.RecordBatchReader:
        return pa.RecordBatchReader.from_batches(self._stream.schema, self._batches())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            with closing(self._stream.batches()) as batches:
                yield from batches
        except Exception as error:
            self._errors.append(error)
            raise
