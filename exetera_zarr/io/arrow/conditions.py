"""Which rows of a table fulfil a condition of Arrow: by zones where these decide, or by values."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as arrow_dataset
from pyarrow import fs

from exetera_zarr.io.arrow.columns import MOMENT, array_of
from exetera_zarr.io.arrow.stream import ArrowStream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exetera_zarr.engine import Column
    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["Condition"]

_ABOUT_NULLS = re.compile("is_null|invert|coalesce|true_unless_null")
"""What makes a condition true of a null; any other is true only of values."""

_FUNCTION = re.compile(r"\w\(")
"""What is more than comparisons and what joins them."""


class Condition:
    """
    Which rows of a table fulfil a condition, read a block at a time.

    Parameters
    ----------
    frame
        The table.
    schema
        As of its `ArrowStream`.
    condition
        In Arrow's terms; a row of which it is null does not fulfil it.

    Attributes
    ----------
    cuts : callable
        As `ArrowStream.cuts`, of the columns in the condition.
    """

    def __init__(self, frame: DataFrame, schema: pa.Schema, condition: pc.Expression) -> None:
        self._condition = condition
        self._schema = schema
        self._names = _columns_of(condition, schema)
        self._stream = ArrowStream(frame, self._names)
        self.cuts = self._stream.cuts
        self._fields = {name: frame[name] for name in self._names}
        self._of_names: dict[str, AnyArray] | None = None
        # Beyond nulls, a condition that no value between the extremes fulfils is false.
        self._by_zones = _ABOUT_NULLS.search(str(condition)) is None

    def keeps(self, start: int, stop: int) -> AnyArray:
        """For which rows from one number to another it is true."""
        return self.read(start, stop)[0]

    def read(self, start: int, stop: int) -> tuple[AnyArray, Mapping[str, Column]]:
        """The same, and the columns that were read to know it, by the names of their fields."""
        if not self.may_be_true(start, stop):
            return np.zeros(stop - start, np.bool_), {}
        columns = self._stream.columns(start, stop)
        return self._kept(self._stream.batch(columns, start)), columns

    def _kept(self, rows: pa.RecordBatch) -> AnyArray:
        """For which rows the condition is true; by the names of categories where these decide."""
        if self._of_names is None:
            self._of_names = self._verdicts_of_names(rows)
        if not self._of_names:
            return self._verdicts(rows) > 0
        known = self._by_names(rows, self._of_names)
        unknown = np.flatnonzero(known < 0)
        if 2 * len(unknown) > len(known):
            return self._verdicts(rows) > 0
        kept = known > 0
        if len(unknown):
            numbers = array_of(pa.int64(), unknown.astype(np.int64), None)
            kept[unknown] = self._verdicts(rows.take(numbers)) > 0
        return kept

    @staticmethod
    def _by_names(rows: pa.RecordBatch, of_names: Mapping[str, AnyArray]) -> AnyArray:
        """1 for rows whose categories alone make the condition true, 0 for false; else -1."""
        known = np.full(len(rows), -1, np.int8)
        for name, verdicts in of_names.items():
            codes = rows[name].indices.fill_null(len(verdicts) - 1).to_numpy()
            # No two contradict each other: what one says holds whatever the other columns are.
            np.maximum(known, verdicts[codes], out=known)
        return known

    def _verdicts_of_names(self, rows: pa.RecordBatch) -> dict[str, AnyArray]:
        """
        For columns of categories the verdict of each name, and last of none, where there is any.

        A comparison with a null is null, and so is what it decides; so that what is true, or
        false, while all other columns are null is so whatever they are.
        """
        if _FUNCTION.search(str(self._condition)):
            return {}
        found = {}
        for name, column in zip(rows.schema.names, rows.columns, strict=True):
            if pa.types.is_dictionary(column.type):
                count = len(column.dictionary)
                codes = pa.array([*range(count), None], column.type.index_type)
                names = pa.DictionaryArray.from_arrays(codes, column.dictionary)
                nothing = {one.name: pa.nulls(count + 1, one.type) for one in rows.schema}
                verdicts = self._verdicts(pa.record_batch({**nothing, name: names}))
                if (verdicts >= 0).any():
                    found[name] = verdicts
        return found

    def _verdicts(self, rows: pa.RecordBatch) -> AnyArray:
        """1 where the condition is true, 0 where it is false, -1 where it is null."""
        block = arrow_dataset.dataset(pa.Table.from_batches([rows]))
        (found,) = block.to_table(columns={"kept": self._condition}, use_threads=False).columns
        verdicts: AnyArray = found.cast(pa.int8()).combine_chunks().fill_null(-1).to_numpy()
        return verdicts

    def may_be_true(self, start: int, stop: int) -> bool:
        """Whether a row from one number to another may fulfil it, by what is known of all."""
        if not self._by_zones:
            return True
        known = [_between(name, field, start, stop) for name, field in self._fields.items()]
        bounds = [one for one in known if one is not None]
        if not bounds:
            return True
        guarantee = bounds[0]
        for one in bounds[1:]:
            guarantee &= one
        # Arrow leaves out files whose guarantee contradicts a condition; this one is never opened.
        kind, nowhere = arrow_dataset.ParquetFileFormat(), fs.LocalFileSystem()
        block = kind.make_fragment("block", nowhere, partition_expression=guarantee)
        blocks = arrow_dataset.FileSystemDataset([block], self._schema, kind, nowhere)
        return any(True for _ in blocks.get_fragments(filter=self._condition))


def _columns_of(condition: pc.Expression, schema: pa.Schema) -> list[str]:
    """The columns without which a condition means nothing."""
    nothing = schema.empty_table()

    def needs(name: str) -> bool:
        try:
            nothing.drop_columns([name]).filter(condition)
        except (pa.ArrowInvalid, KeyError):
            return True
        return False

    return [name for name in schema.names if needs(name)]


def _between(name: str, field: Any, start: int, stop: int) -> pc.Expression | None:
    """What is known of all values of a field in some rows; None if nothing is."""
    if field.type_name not in ("numeric", "timestamp"):
        return None
    known = field.extremes(start, stop)
    if known is None or not all(map(np.isfinite, known)) or field.dtype_of_rows.kind == "b":
        return None
    low, high = known
    of_type: Any = partial(pa.scalar, type=pa.from_numpy_dtype(field.dtype_of_rows))
    if field.type_name == "timestamp":
        low, high = int(np.floor(low * 1e6)) - 1, int(np.ceil(high * 1e6)) + 1
        of_type = partial(pa.scalar, type=MOMENT)
    else:
        low, high = np.asarray(low).item(), np.asarray(high).item()
    of_field = pc.field(name)
    return (of_field >= of_type(low)) & (of_field <= of_type(high))
