"""A table as a stream of Arrow's batches: block by block, and as often as it is asked for."""

from __future__ import annotations

from contextlib import closing
from functools import cached_property, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import pyarrow as pa

from exetera_zarr.engine.columns import selection
from exetera_zarr.engine.streams.source import prefetched
from exetera_zarr.errors import ArgumentError, about
from exetera_zarr.fields.filters import filter_reader
from exetera_zarr.fields.sources import source_of
from exetera_zarr.io.arrow.columns import arrow_column
from exetera_zarr.storage.concurrency import ordered
from exetera_zarr.storage.system import processors
from exetera_zarr.tables.rows.arrow_metadata import metadata_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from exetera_zarr.engine import Column
    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["ArrowStream"]

_NOTHING: Mapping[str, Column] = MappingProxyType({})


_Kept: TypeAlias = "Callable[[int, int], tuple[AnyArray, Mapping[str, Column]]]"


class RowCondition(Protocol):
    """What tells which rows of a table are wanted."""

    def read(self, start: int, stop: int) -> tuple[AnyArray, Mapping[str, Column]]:
        """For which rows from one number to another; and fields that it read, by name."""


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
        read.
    raw
        Whether what is stored is wanted, as it always is in ExeTera's face.
    condition
        Another filter, instead of `where`.

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
        condition: RowCondition | None = None,
    ) -> None:
        face = frame.dataset.settings.face
        raw = raw or not face.sees_missing
        self._names = _chosen(frame, columns, raw=raw)
        self._fields = [frame[name] for name in self._names]
        self._rows = frame.length(self._names)
        self._kept: _Kept | None = None if condition is None else condition.read
        if where is not None:
            with about(lambda: f"table {frame.name!r}"):
                self._kept = _reading_nothing_else(filter_reader(where, self._rows, face))
        self._columns = [arrow_column(field, raw=raw) for field in self._fields]
        told = {} if raw else {name: frame[name].validity for name in self._names}
        self._companions = {f.name: f for f in told.values() if f is not None}
        self._told_by = [None if (f := told.get(n)) is None else f.name for n in self._names]
        # As the fields are now, whenever they are read.
        self._read = {f.name: f for f in (*self._fields, *self._companions.values())}
        self._source = source_of([*self._read.values()], self._rows)
        self.schema: Any = pa.schema(
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
        """The rows in order, a block of the table at a time; the next are made meanwhile."""
        return self._several() if self._by_blocks else prefetched(self._made())

    @cached_property
    def _by_blocks(self) -> bool:
        """
        Whether several blocks are better made at a time: large ones, by several processors.

        Not from far away, where blocks that are asked for in order are fetched ahead; and not of
        strings, whose offsets are kept from one block to where its bytes are read.
        """
        arrays = (array for field in self._read.values() for array in field.arrays().values())
        large = self._source.block
        near = all(array.at_once(1) == 1 < array.at_once(large) for array in arrays)
        return near and self._source.offsets is None

    def _several(self) -> Generator[pa.RecordBatch]:
        threads = processors()
        with closing(ordered(self._block, self.cuts(), threads, threads, "blocks")) as made:
            for block in made:
                if block is not None:
                    yield block

    def reader(self) -> pa.RecordBatchReader:
        """The same as a stream that others read once."""
        return pa.RecordBatchReader.from_batches(self.schema, self.batches())

    def _made(self) -> Iterator[pa.RecordBatch]:
        return (made for cut in self.cuts() if (made := self._block(cut)) is not None)

    def _block(self, rows: tuple[int, int]) -> pa.RecordBatch | None:
        """The rows that are kept of those from one number to another; None where none is."""
        start, stop = rows
        kept, known = None, _NOTHING
        if self._kept is not None:
            chosen, known = self._kept(start, stop)
            kept = selection.as_mask(chosen, stop - start)
            if not kept.any():
                return None
            kept = None if kept.all() else kept
        read = self.columns(start, stop, known)
        if kept is not None:
            read = {name: selection.compress(one, kept) for name, one in read.items()}
        return self.batch(read, start, kept)

    def columns(
        self, start: int, stop: int, known: Mapping[str, Column] = _NOTHING
    ) -> dict[str, Column]:
        """The fields' rows from one number to another, by name; those in `known` are not read."""
        rest = [field for name, field in self._read.items() if name not in known]
        source = source_of(rest, self._rows) if known else self._source
        read = dict(zip((field.name for field in rest), source.read(start, stop), strict=True))
        return {name: known[name] if name in known else read[name] for name in self._read}

    def read(self, start: int, stop: int) -> pa.RecordBatch:
        """The rows from one number to another, whatever the filter says."""
        return self.batch(self.columns(start, stop), start)

    def batch(
        self, columns: Mapping[str, Column], start: int, kept: AnyArray | None = None
    ) -> pa.RecordBatch:
        """Rows from `start` on as Arrow has them, or of these the rows that were kept."""
        masks = {name: _mask(columns[name]) for name in self._companions}
        numbered = partial(_number, start, kept)
        arrays = [
            made.make(columns[field.name], None if by is None else masks[by], numbered)
            for made, field, by in zip(self._columns, self._fields, self._told_by, strict=True)
        ]
        return pa.record_batch(arrays, schema=self.schema)


def _reading_nothing_else(keeps: Callable[[int, int], Any]) -> _Kept:
    return lambda start, stop: (keeps(start, stop), _NOTHING)


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
