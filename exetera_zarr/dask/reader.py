"""What reads a partition: carried by tasks, so it has an address and names, and nothing open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from exetera_zarr.dask.conditions import Where, as_condition
from exetera_zarr.dask.types import index_of, pandas_column
from exetera_zarr.engine.columns import selection
from exetera_zarr.fields.missing.companions import present
from exetera_zarr.fields.sources import source_of
from exetera_zarr.io.arrow.conditions import Condition
from exetera_zarr.io.arrow.stream import ArrowStream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exetera_zarr.dask.opened import TablePlace
    from exetera_zarr.dask.types import DaskTypes, PandasColumn
    from exetera_zarr.fields.base import Field
    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["RowReader", "made_frame"]

Rows = tuple[int, int]


@dataclass(frozen=True)
class RowReader:
    """
    Reads rows of a table as a pandas DataFrame.

    Parameters
    ----------
    place
        Of the table.
    types
        As of `DataFrame.to_dask`.
    where
        Which rows; None for all.
    index
        Name of the field that is the index; None for the numbers of the rows.
    step
        Rows at a time of which the condition is looked at before the others are read.
    """

    place: TablePlace
    types: DaskTypes
    where: Where | None = None
    index: str | None = None
    step: int = 1 << 20

    def __str__(self) -> str:
        return str(self.place)

    def __dask_tokenize__(self) -> object:
        return (
            type(self).__name__,
            self.place.__dask_tokenize__(),
            self.types,
            repr(self.where),
            self.index,
            self.step,
        )

    def __call__(self, rows: Rows, columns: Sequence[str]) -> pd.DataFrame:
        """The rows from one number to another, in some columns."""
        frame = self.place.open()
        names = list(columns)
        wanted = names if self.index is None or self.index in names else [*names, self.index]
        made = {name: pandas_column(frame[name], self.types) for name in wanted}
        start, stop = rows
        if self.where is None:
            numbers: Any = pd.RangeIndex(start, stop)
            return made_frame(names, made, self.index, numbers, _read(made, frame, start, stop))
        condition = Condition(frame, ArrowStream(frame).schema, as_condition(frame, self.where))
        parts = []
        for low in range(start, max(stop, start + 1), self.step):
            high = min(low + self.step, stop)
            kept = condition.keeps(low, high)
            if kept.any() or low == start:  # of the first piece the types are needed at least
                kept_rows = np.flatnonzero(kept) + low
                whole = _read(made, frame, low, high if kept.any() else low)
                columns_of = [_compressed(*one, kept if kept.any() else kept[:0]) for one in whole]
                numbers = pd.Index(kept_rows, dtype=np.int64)
                parts.append(made_frame(names, made, self.index, numbers, columns_of))
        return parts[0] if len(parts) == 1 else pd.concat(parts)


def _read(
    made: dict[str, PandasColumn], frame: DataFrame, start: int, stop: int
) -> list[tuple[Any, AnyArray | None, Callable[[int], int]]]:
    """Of each column the rows, which of them have a value, and what gives their numbers."""
    fields: list[Field] = [column.field for column in made.values()]
    told = {one.companion.name: one.companion for one in made.values() if one.companion is not None}
    if not fields:
        return []
    read = source_of([*fields, *told.values()], frame.length()).read(start, stop)
    masks = dict(zip(told, (np.asarray(one) for one in read[len(fields) :]), strict=True))
    return [
        (
            values,
            present(values, None if one.companion is None else masks[one.companion.name]),
            lambda row: start + row,
        )
        for one, values in zip(made.values(), read[: len(fields)], strict=True)
    ]


def _compressed(
    column: Any, mask: AnyArray | None, numbered: Callable[[int], int], kept: AnyArray
) -> tuple[Any, AnyArray | None, Callable[[int], int]]:
    if kept.all():
        return column, mask, numbered
    rows = np.flatnonzero(kept)
    chosen = None if mask is None else selection.compress(mask, kept)
    if chosen is not None and chosen.all():
        chosen = None
    return selection.compress(column, kept), chosen, lambda row: numbered(int(rows[row]))


def made_frame(
    names: Sequence[str],
    made: dict[str, PandasColumn],
    index: str | None,
    numbers: pd.Index,
    read: Sequence[tuple[Any, AnyArray | None, Callable[[int], int]]],
) -> pd.DataFrame:
    """
    Columns as a DataFrame.

    Parameters
    ----------
    names
        Of the columns that it has.
    made
        How each column is made, by name; that of the index as well.
    index
        Name of the field that is the index; None for the numbers of the rows.
    numbers
        Those.
    read
        For each of `made` the rows, which of them have a value, and what gives their numbers.
    """
    arrays = {
        name: column.make(*given) for (name, column), given in zip(made.items(), read, strict=True)
    }
    where = numbers if index is None else index_of(made[index], arrays[index])
    frame = pd.DataFrame({name: arrays[name] for name in names}, index=where, copy=False)
    if not names:
        frame.columns = pd.Index([], dtype=object)
    return frame
