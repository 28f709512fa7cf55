"""A table as a stream of Arrow's batches: block by block, and as often as it is asked for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from exetera_zarr.engine.columns import selection
from exetera_zarr.engine.streams.source import prefetched
from exetera_zarr.errors import ArgumentError, about
from exetera_zarr.fields.filters import filter_reader
from exetera_zarr.fields.sources import source_of
from exetera_zarr.io.arrow.columns import arrow_column
from exetera_zarr.tables.rows.arrow_metadata import metadata_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from exetera_zarr.engine import Column
    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["ArrowStream"]


class ArrowStream:
    """
    The rows of a table as Arrow has them, read when they are asked for.

    Parameters
    ----------
    frame
        The table.
    columns
        Names of fields; by default all but those that say what is missing of others.
    where
        A filter, as `DataFrame.apply_filter` takes it; blocks of which it keeps nothing are not
        read. Or a function that gives which rows from one number to another it keeps.
    raw
        Whether what is stored is wanted, as it always is in ExeTera's face.

    Attributes
    ----------
    schema : pa.Schema
        The types, with what Arrow has none for as metadata.

    Raises
    ------
    ArgumentError, FieldNotFoundError
        A name is none of a field.
    DataError
        The fields have different lengths, or Arrow has no type for one.
    IndexError, TypeError, ValueError
        The filter does not fit.
    """

    def __init__(
        self,
        frame: DataFrame,
        columns: str | Sequence[str] | None = None,
        where: Any = None,
        *,
        raw: bool = False,
    ) -> None:
        face = frame.dataset.settings.face
        raw = raw or not face.sees_missing
        self._names = _chosen(frame, columns, raw=raw)
        self._fields = [frame[name] for name in self._names]
        self._rows = frame.length(self._names)
        self._keeps: Callable[[int, int], Any] | None = None
        if callable(where) and not hasattr(where, "__len__"):
            self._keeps = where
        elif where is not None:
            with about(lambda: f"table {frame.name!r}"):
                self._keeps = filter_reader(where, self._rows, face)
        self._columns = [arrow_column(field, raw=raw) for field in self._fields]
        told = {} if raw else {name: frame[name].validity for name in self._names}
        self._companions = {f.name: f for f in told.values() if f is not None}
        self._told_by = [None if (f := told.get(n)) is None else f.name for n in self._names]
        # As the fields are now, whenever they are read.
        self._source = source_of([*self._fields, *self._companions.values()], self._rows)
        self.schema = pa.schema(
            [
                pa.field(name, made.type)
                for name, made in zip(self._names, self._columns, strict=True)
            ],
            metadata_of(frame, self._names),
        )

    @property
    def categories(self) -> dict[str, list[str]]:
        """The names of the categories of each column that has some, in order."""
        pairs = zip(self._names, self._columns, strict=True)
        return {name: made.names for name, made in pairs if made.names is not None}

    def cuts(self) -> Iterator[tuple[int, int]]:
        """The first row and the one after the last of each block that is read at once."""
        return iter(self._source.cuts())

    def batches(self) -> Generator[pa.RecordBatch]:
        """The rows in order, a block of the table at a time; the next one is made meanwhile."""
        return prefetched(self._made())

    def reader(self) -> pa.RecordBatchReader:
        """The same as a stream that others read once."""
        return pa.RecordBatchReader.from_batches(self.schema, self.batches())

    def _made(self) -> Iterator[pa.RecordBatch]:
        source = self._source
        for start, stop in self.cuts():
            kept = None
            if self._keeps is not None:
                kept = selection.as_mask(self._keeps(start, stop), stop - start)
                if not kept.any():
                    continue
                kept = None if kept.all() else kept
            read = source.read(start, stop)
            if kept is not None:
                read = [selection.compress(column, kept) for column in read]
            yield self._batch(read, partial(_number, start, kept))

    def read(self, start: int, stop: int) -> pa.RecordBatch:
        """The rows from one number to another, whatever the filter says."""
        return self._batch(self._source.read(start, stop), lambda row: start + row)

    def _batch(self, read: Sequence[Column], numbered: Callable[[int], int]) -> pa.RecordBatch:
        told = dict(zip(self._companions, read[len(self._fields) :], strict=True))
        masks = {name: _mask(column) for name, column in told.items()}
        arrays = [
            made.make(column, None if by is None else masks[by], numbered)
            for made, column, by in zip(
                self._columns, read[: len(self._fields)], self._told_by, strict=True
            )
        ]
        return pa.record_batch(arrays, schema=self.schema)


def _mask(column: Column) -> AnyArray | None:
    mask = np.asarray(column)
    return None if mask.all() else mask


def _number(start: int, kept: AnyArray | None, row: int) -> int:
    """The number of a row of a block in its table."""
    return start + (row if kept is None else int(np.flatnonzero(kept)[row]))


def _chosen(frame: DataFrame, columns: str | Sequence[str] | None, *, raw: bool) -> list[str]:
    if columns is None:
        hidden = set() if raw else set(frame.companions().values())
        return [name for name in frame if name not in hidden]
    names = [columns] if isinstance(columns, str) else list(columns)
    if not names:
        return []
    found = frame.selected(names)
    if len(set(found)) < len(found):
        raise ArgumentError(f"columns names a field twice: {found!r}; give each name once")
    return found
