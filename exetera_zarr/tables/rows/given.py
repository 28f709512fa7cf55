"""What is given as the rows of a table: tables of ours and of others, streams, dicts of columns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from exetera_zarr.engine.streams.freed_memory import give_back_beyond
from exetera_zarr.errors import ArgumentTypeError, DataError, listing, listing_lengths
from exetera_zarr.fields.base import Field
from exetera_zarr.fields.container import FieldContainer
from exetera_zarr.fields.data import RawData, StringData
from exetera_zarr.fields.missing.companions import masked_reader
from exetera_zarr.fields.sources import source_of
from exetera_zarr.fieldtypes import (
    categorical_attributes,
    fixed_string_attributes,
    indexed_string_attributes,
    numeric_attributes,
    timestamp_attributes,
)
from exetera_zarr.tables.rows.values import Values, of_array, of_arrow, of_field, of_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

__all__ = ["Block", "Given", "rows_given"]

Block = tuple[int, dict[str, Values]]
"""How many rows there are, and the columns by name."""

_FORMS = (
    "a table of this package, a pandas or Polars DataFrame, an Arrow table, batch or reader, "
    "anything else with __arrow_c_stream__, or a dict of columns"
)
_STEP = 1 << 17
_ENOUGH_ROWS = 1 << 15
_ENOUGH_BYTES = 32 << 20
_MOST_LABELS = 1000


class Given(ABC):
    """
    Rows of a table that were given, read once, from the first to the last.

    Parameters
    ----------
    names
        Of its columns.

    Raises
    ------
    DataError
        There are no columns, or two of one name.
    """

    def __init__(self, names: Iterable[Any]) -> None:
        self.names: list[str] = []
        for name in names:
            if not isinstance(name, str):
                raise ArgumentTypeError(
                    f"columns go by their names, which are text: {name!r} is a "
                    f"{type(name).__name__}"
                )
            self.names.append(name)
        if not self.names:
            raise DataError("the rows that are given have no columns: give at least one")
        twice = {name: None for name in self.names if self.names.count(name) > 1}
        if twice:
            raise DataError(
                f"the rows that are given have several columns called {listing(twice)}: "
                "give each one name"
            )

    @abstractmethod
    def blocks(self, names: Sequence[str], memory: int) -> Generator[Block]:
        """
        The rows in order, some at a time.

        Parameters
        ----------
        names
            The columns that are wanted.
        memory
            Bytes; a block has a small part of that.
        """

    @abstractmethod
    def of_bool(self, name: str) -> bool:
        """Whether a column is of bool, and may say which values of another one there are."""

    def attributes(self, name: str, first: Values) -> dict[str, Any]:
        """
        The attributes of a field that can hold a column.

        Parameters
        ----------
        name
            Of the column.
        first
            Its values in the first block.
        """
        return _attributes(name, first)


def rows_given(rows: Any) -> Given:
    """
    What was given as rows, in any form.

    Raises
    ------
    ArgumentTypeError
        It has none of the forms that a table has.
    DataError
        It has no columns, two of one name, or columns of different lengths.
    """
    if isinstance(rows, FieldContainer):
        return _OfTable(rows)
    if isinstance(rows, Mapping):
        return _OfColumns(list(rows.items()))
    if type(rows).__module__.partition(".")[0] == "pandas" and hasattr(rows, "columns"):
        return _OfColumns([(name, rows.iloc[:, at]) for at, name in enumerate(rows.columns)])
    if isinstance(rows, pa.RecordBatchReader):
        return _OfStream(rows)
    if isinstance(rows, pa.RecordBatch):
        return _OfStream(pa.RecordBatchReader.from_batches(rows.schema, [rows]))
    if isinstance(rows, (pa.Array, pa.ChunkedArray)) or hasattr(rows, "fieldtype"):
        raise ArgumentTypeError(f"one column is no table: give {_FORMS}")
    if hasattr(rows, "__arrow_c_stream__"):
        return _OfStream(_reader(rows))
    raise ArgumentTypeError(f"rows are {_FORMS}, not a {type(rows).__name__}")


def _reader(rows: Any) -> pa.RecordBatchReader:
    try:
        return pa.RecordBatchReader.from_stream(rows)
    except (pa.ArrowInvalid, TypeError) as error:
        raise ArgumentTypeError(
            f"a {type(rows).__name__} gives no rows with named columns: give {_FORMS}"
        ) from error


# -- a table of ours


class _OfTable(Given):
    """A table of ours, with what is missing in it."""

    def __init__(self, table: Any) -> None:
        if not hasattr(table, "companions"):
            raise ArgumentTypeError(f"a {type(table).__name__} is no table: give one of its tables")
        hidden = set(table.companions().values())
        self._fields: dict[str, Field] = {n: f for n, f in table.items() if n not in hidden}
        super().__init__(self._fields)
        self.rows = table.length()

    def blocks(self, names: Sequence[str], memory: int) -> Generator[Block]:
        fields = [self._fields[name] for name in names]
        readers = [masked_reader(field)[1] for field in fields]
        whole = source_of(fields, self.rows)
        room = min(whole.room, memory // 32)
        for first, last in whole.cuts():
            start = first
            while start < last:
                stop = min(last, start + max(room // max(whole.width, 1), 1))
                yield (
                    stop - start,
                    {
                        name: of_field(field, *read(start, stop))
                        for name, field, read in zip(names, fields, readers, strict=True)
                    },
                )
                start = stop

    def of_bool(self, name: str) -> bool:  # noqa: ARG002 - what says so in a table is hidden
        return False

    def attributes(self, name: str, first: Values) -> dict[str, Any]:  # noqa: ARG002
        return self._fields[name].type_attributes()


# -- a stream of Arrow


class _OfStream(Given):
    """Record batches, which come once."""

    def __init__(self, reader: pa.RecordBatchReader) -> None:
        super().__init__(reader.schema.names)
        self._reader, self._schema = reader, reader.schema

    def blocks(self, names: Sequence[str], memory: int) -> Generator[Block]:
        with closing(_pieces(self._reader, min(memory // 32, _ENOUGH_BYTES))) as pieces:
            for table in pieces:
                block = table.num_rows, {name: of_arrow(table[name]) for name in names}
                del table
                yield block
                del block  # before the next one is made

    def of_bool(self, name: str) -> bool:
        return bool(pa.types.is_boolean(self._schema.field(name).type))


def _pieces(reader: pa.RecordBatchReader, room: int) -> Generator[pa.Table]:
    """The rows in tables that are worth an append, and that have so many bytes at the most."""
    waiting: list[pa.RecordBatch] = []
    rows = size = 0
    for piece in _slices(reader, room):
        waiting.append(piece)
        rows, size = rows + piece.num_rows, size + piece.nbytes
        del piece
        if rows >= _ENOUGH_ROWS or size >= room:
            table, waiting, rows, size = pa.Table.from_batches(waiting), [], 0, 0
            yield table
            del table  # before the next batch is made
            give_back_beyond(room)
    if waiting:
        yield pa.Table.from_batches(waiting)


def _slices(reader: pa.RecordBatchReader, room: int) -> Iterator[pa.RecordBatch]:
    """The batches, cut where they are larger than a block."""
    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return
        step = _STEP
        if batch.num_rows:
            step = max(min(step, room * batch.num_rows // max(batch.nbytes, 1)), 1)
        for start in range(0, batch.num_rows, step):
            yield batch.slice(start, step)
        del batch  # before the next one is made


# -- columns by name


class _OfColumns(Given):
    """Columns in memory: arrays, lists, fields, and columns of pandas, Polars and Arrow."""

    def __init__(self, columns: Sequence[tuple[Any, Any]]) -> None:
        super().__init__([name for name, _ in columns])
        self._columns = {name: _Column(name, given) for name, given in columns}
        lengths = {name: column.rows for name, column in self._columns.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(
                "the columns that are given have different lengths: "
                f"{listing_lengths(lengths)}; give as many values in each"
            )
        self.rows = next(iter(lengths.values()))

    def blocks(self, names: Sequence[str], memory: int) -> Generator[Block]:
        step = max(min(_STEP, memory // (256 * max(len(names), 1))), 1)
        for start in range(0, self.rows, step):
            stop = min(start + step, self.rows)
            yield stop - start, {n: self._columns[n].read(start, stop) for n in names}

    def of_bool(self, name: str) -> bool:
        column = self._columns[name]
        values = column.read(0, self.rows if column.of_objects else min(self.rows, 1))
        return values.kind == "numbers" and values.data.dtype.kind == "b"

    def attributes(self, name: str, first: Values) -> dict[str, Any]:
        column = self._columns[name]
        if column.of_objects:  # whose type nothing says but all values together
            first = column.read(0, self.rows)
        return _attributes(name, first)


class _Column:
    """Values in a row, of which some at a time are read."""

    def __init__(self, name: str, given: Any) -> None:
        self.of_objects = False
        self.rows, self.read = self._opened(name, given)

    def _opened(self, name: str, given: Any) -> tuple[int, Callable[[int, int], Values]]:
        if isinstance(given, Field):
            rows, masked = masked_reader(given)
            return rows, lambda start, stop: of_field(given, *masked(start, stop))
        if isinstance(given, (RawData, StringData)):
            rows, read = given.reader()
            return rows, lambda start, stop: _of_stored(read(start, stop))
        if all(hasattr(given, one) for one in ("isna", "to_numpy", "dtype")):
            return self._of_pandas(given)
        if isinstance(given, (pa.Array, pa.ChunkedArray)):
            return len(given), lambda start, stop: of_arrow(given[start:stop])
        if hasattr(given, "__arrow_c_stream__"):
            whole = pa.chunked_array(given)
            return len(whole), lambda start, stop: of_arrow(whole[start:stop])
        if hasattr(given, "__array__"):
            array = given if isinstance(given, np.ndarray) else np.asarray(given)
            if array.ndim != 1:
                raise DataError(f"{name!r} has {array.ndim} dimensions: a column has one")
            self.of_objects = array.dtype.kind == "O"
            return len(array), lambda start, stop: of_array(array[start:stop])
        if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
            raise DataError(
                f"{name!r} is a {type(given).__name__}: a column is values in a row, "
                "such as an array or a list"
            )
        values = given if isinstance(given, list) else list(given)
        self.of_objects = True
        return len(values), lambda start, stop: of_objects(values[start:stop])

    def _of_pandas(self, given: Any) -> tuple[int, Callable[[int, int], Values]]:
        dtype = given.dtype
        if isinstance(dtype, np.dtype) and dtype.kind != "O":
            array = np.asarray(given)
            return len(array), lambda start, stop: of_array(array[start:stop])
        if isinstance(dtype, np.dtype):
            self.of_objects = True
            return len(given), lambda start, stop: of_objects(_slice(given, start, stop).tolist())
        return len(given), lambda start, stop: _of_extension(_slice(given, start, stop))


def _slice(given: Any, start: int, stop: int) -> Any:
    """Rows by their position, whatever a Series calls them."""
    return given.iloc[start:stop] if hasattr(given, "iloc") else given[start:stop]


def _of_extension(given: Any) -> Values:
    """Values of one of pandas' own types, of which Arrow knows most."""
    try:
        return of_arrow(pa.array(given, from_pandas=True))
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return of_objects(given.tolist())


def _of_stored(column: Any) -> Values:
    return Values("texts", column) if isinstance(column, pa.Array) else of_array(column)


def _attributes(name: str, values: Values) -> dict[str, Any]:
    """The attributes of a field that holds such values; DataError where no type does."""
    match values.kind:
        case "numbers":
            kind = "float32" if values.data.dtype == np.float16 else values.data.dtype
            return numeric_attributes(kind)
        case "moments":
            return timestamp_attributes()
        case "texts" if isinstance(values.data, np.ndarray) and values.data.dtype.itemsize:
            return fixed_string_attributes(values.data.dtype.itemsize)
        case "texts":
            return indexed_string_attributes()
        case "labels":
            return _attributes_of_labels(values)
    what = "no value" if values.kind == "nothing" else f"values such as {_example(values)}"
    raise DataError(
        f"there is no field {name!r}, and of which type it should be is not said by {what}: "
        "create it first"
    )


def _attributes_of_labels(values: Values) -> dict[str, Any]:
    """Categories, unless they are so many that they would be told better as text."""
    assert values.codes is not None
    assert values.labels is not None
    if not 0 < len(values.codes) <= _MOST_LABELS:
        return indexed_string_attributes()
    kind = "int8" if len(values.codes) <= np.iinfo(np.int8).max else "int16"
    names: Iterator[bytes] = iter(values.labels.to_pylist())
    return categorical_attributes(kind, {name: code for code, name in enumerate(names)})


def _example(values: Values) -> str:
    row = 0 if values.mask is None else int(np.argmax(values.mask))
    return repr(values.one(row))
