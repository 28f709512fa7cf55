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
from exetera_zarr.tables.rows.arrow_metadata import (
    TIME_ZONE,
    ToldField,
    carried,
    field_told,
    told_by,
)
from exetera_zarr.tables.rows.of_polars import check_polars
from exetera_zarr.tables.rows.values import (
    Values,
    of_array,
    of_arrow,
    of_codes,
    of_field,
    of_objects,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

__all__ = ["Block", "Given", "rows_given", "stream_of"]

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

    def told(self, name: str) -> ToldField | None:  # noqa: ARG002 - most say nothing
        """What is said of a column beside it: the field that it was, if it was one of ours."""
        return None

    @property
    def about(self) -> dict[str, Any]:
        """Attributes of the table that it was."""
        return {}


def rows_given(rows: Any) -> Given:
    """
    What was given as rows, in any form; what this function gave, as it is.

    Raises
    ------
    ArgumentTypeError
        It has none of the forms that a table has.
    DataError
        It has no columns, two of one name, or columns of different lengths.
    """
    if isinstance(rows, Given):
        return rows
    if isinstance(rows, FieldContainer):
        return _OfTable(rows)
    if isinstance(rows, Mapping):
        return _OfColumns(list(rows.items()))
    if _is_pandas(rows):
        return _OfColumns([(name, rows.iloc[:, at]) for at, name in enumerate(rows.columns)])
    if isinstance(rows, (pa.Array, pa.ChunkedArray)) or hasattr(rows, "fieldtype"):
        raise ArgumentTypeError(f"one column is no table: give {_FORMS}")
    stream = stream_of(rows)
    if stream is not None:
        return _OfStream(stream)
    raise ArgumentTypeError(f"rows are {_FORMS}, not a {type(rows).__name__}")


def stream_of(rows: Any) -> pa.RecordBatchReader | None:
    """Rows that come as a stream of Arrow; None of others, which are read by columns."""
    if isinstance(rows, (FieldContainer, Given, Mapping, pa.Array, pa.ChunkedArray)):
        return None
    if _is_pandas(rows) or not hasattr(rows, "__arrow_c_stream__"):
        if isinstance(rows, pa.RecordBatch):
            return pa.RecordBatchReader.from_batches(rows.schema, [rows])
        return None
    if isinstance(rows, pa.RecordBatchReader):
        return rows
    if isinstance(rows, pa.Table):  # so that the first chunk has all names of categories
        return rows.unify_dictionaries().to_reader()
    return _reader(rows)


def _is_pandas(rows: Any) -> bool:
    return type(rows).__module__.partition(".")[0] == "pandas" and hasattr(rows, "columns")


def _reader(rows: Any) -> pa.RecordBatchReader:
    if hasattr(rows, "iter_columns"):  # as frames of Polars have it
        check_polars((column.name, column) for column in rows.iter_columns())
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
        self._table, self._links = table, table.companions()
        hidden = set(self._links.values())
        self._fields: dict[str, Field] = {n: f for n, f in table.items() if n not in hidden}
        super().__init__(self._fields)
        self.rows = table.length()

    def blocks(self, names: Sequence[str], memory: int) -> Generator[Block]:
        fields = [self._fields[name] for name in names]
        readers = [masked_reader(field)[1] for field in fields]
        whole = source_of(fields, self.rows)
        room = min(whole.room, memory // 32)
        step = max(room // max(whole.width, 1), 1)
        for first, last in whole.cuts() if self.rows else [(0, 0)]:
            for start in range(first, max(last, 1), step):
                stop = min(last, start + step)
                yield (
                    stop - start,
                    {
                        name: of_field(field, *read(start, stop))
                        for name, field, read in zip(names, fields, readers, strict=True)
                    },
                )

    def of_bool(self, name: str) -> bool:  # noqa: ARG002 - what says so in a table is hidden
        return False

    def attributes(self, name: str, first: Values) -> dict[str, Any]:  # noqa: ARG002
        return self.told(name).attributes

    def told(self, name: str) -> ToldField:
        return field_told(self._table, name, self._links.get(name))

    @property
    def about(self) -> dict[str, Any]:
        return carried(self._table.group.attributes)


# -- a stream of Arrow


class _OfStream(Given):
    """Record batches, which come once."""

    def __init__(self, reader: pa.RecordBatchReader) -> None:
        super().__init__(reader.schema.names)
        self._reader, self._schema = reader, reader.schema
        self._told = told_by(reader.schema)

    def blocks(self, names: Sequence[str], memory: int) -> Generator[Block]:
        rows = 0
        with closing(_pieces(self._reader, min(memory // 32, _ENOUGH_BYTES))) as pieces:
            for table in pieces:
                rows += table.num_rows
                block = table.num_rows, {name: self._read(table, name) for name in names}
                del table
                yield block
                del block  # before the next one is made
        if not rows:
            table = self._schema.empty_table()
            yield 0, {name: self._read(table, name) for name in names}

    def _read(self, table: pa.Table, name: str) -> Values:
        """A column, of which whole numbers may be codes that have names."""
        found, told = of_arrow(table[name]), self.told(name)
        key = None if told is None else told.attributes.get("key")
        if not key or found.kind != "numbers":
            return found
        return of_codes(found, {int(code): label for label, code in key})

    def of_bool(self, name: str) -> bool:
        return bool(pa.types.is_boolean(self._schema.field(name).type))

    def attributes(self, name: str, first: Values) -> dict[str, Any]:
        told = self.told(name)
        return _attributes(name, first) if told is None else dict(told.attributes)

    def told(self, name: str) -> ToldField | None:
        found = self._told.fields.get(name)
        return found if found is not None and found.fits(self._schema.field(name).type) else None

    @property
    def about(self) -> dict[str, Any]:
        return self._told.table


def _pieces(reader: pa.RecordBatchReader, room: int) -> Generator[pa.Table]:
    """The rows in tables that are worth an append, and that have so many bytes at the most."""
    waiting: list[pa.RecordBatch] = []
    rows = size = 0
    for piece in _slices(reader, room):
        waiting.append(piece)
        rows, size = rows + piece.num_rows, size + _bytes_of(piece)
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
            size = max(_bytes_of(batch), 1)
        except StopIteration:
            return
        except pa.ArrowException as error:
            raise DataError(f"the rows that are given cannot be read: {error}") from error
        step = _STEP
        if batch.num_rows:
            step = max(min(step, room * batch.num_rows // size), 1)
        for start in range(0, batch.num_rows, step):
            yield batch.slice(start, step)
        del batch  # before the next one is made


def _bytes_of(batch: pa.RecordBatch) -> int:
    try:
        return int(batch.nbytes)
    except (pa.ArrowTypeError, pa.ArrowNotImplementedError):  # older releases, of views
        return int(batch.get_total_buffer_size())


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
        for start in range(0, max(self.rows, 1), step):
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
            check_polars([(name, given)])
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
        case "durations":
            return numeric_attributes("float64")
        case "moments":
            zone = getattr(values.type, "tz", None)
            of_zone = {} if zone in (None, *_NO_ZONE) else {TIME_ZONE: zone}
            return {**timestamp_attributes(), **of_zone}
        case "texts" if isinstance(values.data, np.ndarray) and values.data.dtype.itemsize:
            return fixed_string_attributes(values.data.dtype.itemsize)
        case "texts":
            return indexed_string_attributes()
        case "labels":
            return _attributes_of_labels(values)
    if values.type is not None and pa.types.is_decimal(values.type):
        return numeric_attributes("float64" if values.type.scale > 0 else "int64")
    if values.type is not None and pa.types.is_null(values.type):
        return numeric_attributes("float64")  # which needs nobody else to be missing
    if values.kind == "others":
        raise DataError(
            f"the column {name!r} is of {_type_shown(values)}, which no field holds: leave it out, "
            "or give it as columns of numbers, text, categories or points in time"
        )
    what = "no value" if values.kind == "nothing" else f"values such as {_example(values)}"
    raise DataError(
        f"there is no field {name!r}, and of which type it should be is not said by {what}: "
        "create it first"
    )


_NO_ZONE = ("UTC", "+00:00", "Etc/UTC")


def _type_shown(values: Values) -> str:
    return str(values.data.dtype if values.type is None else values.type)


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
