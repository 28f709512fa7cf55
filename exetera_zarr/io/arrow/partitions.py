"""Folders of Parquet files in which folders such as ``sex=f`` are columns."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from contextlib import ExitStack, contextmanager
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from exetera_zarr.errors import ArgumentError, DataError, NameTakenError, UnsupportedError, listing
from exetera_zarr.io.csv.files import is_url, shown
from exetera_zarr.storage import create_file, list_files
from exetera_zarr.tables.rows.arrow_metadata import told_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from exetera_zarr.io.arrow.stream import ArrowStream
    from exetera_zarr.io.options import PathLike

__all__ = ["Partitions", "files_below", "write_folder"]

_MOST_FOLDERS = 10_000
_OPEN_FILES = 100
_ROWS = 1 << 17
_BYTES = 64 << 20
_MISSING = "__HIVE_DEFAULT_PARTITION__"
_DAY = pa.date32()


# -- out


def write_folder(
    stream: ArrowStream,
    place: PathLike,
    names: Sequence[str],
    compression: str | None,
    options: Mapping[str, Any] | None,
) -> None:
    """
    Write a stream to a folder of Parquet files, with a folder for each value of some columns.

    Parameters
    ----------
    stream
        The rows.
    place
        Path or URL of the folder. On a disk it is there when all of it is written; elsewhere each
        file is.
    names
        Of the columns.
    compression
        A name that Arrow knows; None for none.
    options
        For the file system behind a URL.

    Raises
    ------
    ArgumentError
        A name is none of a column, or no column is left for the files.
    DataError
        A point in time is no day; or there are too many values.
    NameTakenError
        There is something in the folder.
    """
    unknown = [name for name in names if name not in stream.schema.names]
    if unknown or not names:
        raise ArgumentError(
            f"partition_by names columns that are written, {listing(stream.schema.names)}, not "
            f"{listing(unknown) if unknown else 'none of them'}"
        )
    if len(set(names)) == len(stream.schema):
        raise ArgumentError("partition_by leaves no column for the files: name fewer")
    schema = stream.schema
    for name in names:
        at = schema.get_field_index(name)
        schema = schema.set(at, pa.field(name, _folder_type(schema.field(name).type)))
    with (
        _folder(os.fspath(place), options) as folder,
        _Folders(folder, schema, names, compression, options) as folders,
    ):
        for batch in _with_folders(stream, schema, names):
            folders.add(batch)


def _folder_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind) or pa.types.is_large_string(kind):
        return pa.string()
    return _DAY if pa.types.is_timestamp(kind) else kind


def _with_folders(
    stream: ArrowStream, schema: pa.Schema, names: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """The rows, in which the columns that become folders are such as folders can be called by."""
    places = {name: schema.get_field_index(name) for name in names}
    for batch in stream.reader():
        columns = list(batch.columns)
        for name, at in places.items():
            columns[at] = _folders(name, columns[at], schema.field(at).type)
        yield pa.record_batch(columns, schema=schema)


def _folders(name: str, column: pa.Array, kind: pa.DataType) -> pa.Array:
    if not pa.types.is_timestamp(column.type):
        return column.cast(kind)
    days = pc.floor_temporal(column, unit="day")
    if not pc.all(pc.equal(days, column), min_count=0).as_py():
        raise DataError(
            f"{name!r} has times of the day, and folders are called by days: "
            f"df.assign(day=df[{name!r}].dt.floor('D')) makes a field to partition by"
        )
    return column.cast(pa.timestamp("us")).cast(kind)


class _Folders:
    """
    The files that are being written, at most some at a time.

    Rows wait until there are enough of them for a row group, as a block may have few of a folder.
    """

    def __init__(
        self,
        place: str,
        schema: pa.Schema,
        names: Sequence[str],
        compression: str | None,
        options: Mapping[str, Any] | None,
    ) -> None:
        self._place, self._names = place, list(names)
        self._compression, self._options = compression, options
        self._schema = pa.schema(
            [field for field in schema if field.name not in names], schema.metadata
        )
        self._waiting: dict[str, list[pa.Table]] = {}
        self._rows: Counter[str] = Counter()
        self._size: Counter[str] = Counter()
        self._files: Counter[str] = Counter()
        self._open: dict[str, tuple[ExitStack, Any]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            for folder in list(self._waiting) if error is None else ():
                self._write(folder)
        except BaseException as failure:
            kind, error, trace = type(failure), failure, failure.__traceback__
            raise
        finally:
            for files, _ in self._open.values():
                files.__exit__(kind, error, trace)

    def add(self, batch: pa.RecordBatch) -> None:
        """Take some rows."""
        for folder, rows in self._apart(pa.Table.from_batches([batch])):
            self._waiting.setdefault(folder, []).append(rows)
            self._rows[folder] += len(rows)
            self._size[folder] += rows.nbytes
            if self._rows[folder] >= _ROWS:
                self._write(folder)
        while self._size.total() > _BYTES:
            self._write(self._size.most_common(1)[0][0])

    def _apart(self, rows: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        """The rows of each folder, in their order."""
        encoded = [
            rows[name].combine_chunks().dictionary_encode(null_encoding="encode")
            for name in self._names
        ]
        codes = np.stack([one.indices.to_numpy() for one in encoded])
        kinds, which = np.unique(codes, axis=1, return_inverse=True)
        order = np.argsort(which.reshape(-1), kind="stable")
        ends = np.cumsum(np.bincount(which.reshape(-1), minlength=kinds.shape[1]))
        kept = rows.select(self._schema.names).take(order)
        for kind, end, start in zip(kinds.T, ends, [0, *ends], strict=False):
            values = [one.dictionary[int(at)] for one, at in zip(encoded, kind, strict=True)]
            parts = [_called(*pair) for pair in zip(self._names, values, strict=True)]
            yield "/".join(parts), kept.slice(start, end - start).combine_chunks()

    def _write(self, folder: str) -> None:
        rows = pa.concat_tables(self._waiting.pop(folder)).combine_chunks()
        del self._rows[folder], self._size[folder]
        self._writer(folder).write_table(rows)

    def _writer(self, folder: str) -> Any:
        if folder in self._open:
            self._open[folder] = found = self._open.pop(folder)  # now the one that was used last
            return found[1]
        if len(self._open) >= _OPEN_FILES:
            self._open.pop(next(iter(self._open)))[0].close()
        number = self._files[folder]
        self._files[folder] += 1
        if len(self._files) > _MOST_FOLDERS:
            raise DataError(
                f"{listing(self._names)} have more than {_MOST_FOLDERS:,} values, each of which "
                "would be a folder: partition by what has fewer"
            )
        place = f"{self._place}/{folder}"
        if not is_url(self._place):
            Path(place).mkdir(parents=True, exist_ok=True)
        files = ExitStack()
        file = files.enter_context(create_file(f"{place}/part-{number}.parquet", self._options))
        how = self._compression or "none"
        try:
            made = parquet.ParquetWriter(file, self._schema, compression=how)
        except (pa.ArrowException, ValueError) as error:
            files.__exit__(type(error), error, error.__traceback__)
            raise UnsupportedError(
                f"no Parquet file is written with the compression {self._compression!r}: {error}"
            ) from error
        files.enter_context(made)
        self._open[folder] = files, made
        return made


def _called(name: str, value: pa.Scalar) -> str:
    """The name of a folder, as Hive has it."""
    text = value.cast(pa.string()).as_py()
    return f"{quote(name, safe=' ')}={_MISSING if text is None else quote(text, safe=' ')}"


def files_below(folder: str, options: Mapping[str, Any] | None) -> list[str]:
    """All files in a folder and those in it, whatever characters its name has."""
    return list_files(f"{escape(folder.rstrip('/'))}/**", options)


@contextmanager
def _folder(place: str, options: Mapping[str, Any] | None) -> Iterator[str]:
    """Where the files go: on a disk to a folder beside the one that it becomes in the end."""
    if is_url(place):
        if files_below(place, options):
            raise _taken(place)
        yield place.rstrip("/")
        return
    target = Path(place)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise _taken(place)
    made = target.with_name(f"{target.name}.partial-{uuid4().hex[:8]}")
    try:
        made.mkdir(parents=True)
        yield str(made)
        if target.exists():
            target.rmdir()
        made.replace(target)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _taken(place: str) -> NameTakenError:
    return NameTakenError(
        f"there is something in {shown(place)}, with which the new files would be mixed: give a "
        "folder that is empty or does not exist"
    )


# -- in


class Partitions:
    """
    The columns that the folders of some files are.

    Parameters
    ----------
    names
        Paths or URLs of the files.
    roots
        What each of them begins with that says nothing of columns.

    Raises
    ------
    DataError
        The folders of the files are of different columns.
    """

    def __init__(self, names: Sequence[str], roots: Sequence[str]) -> None:
        self._of_file = [
            _keys(name.removeprefix(root)) for name, root in zip(names, roots, strict=True)
        ]
        self.names: list[str] = list(self._of_file[0])
        for name, keys in zip(names, self._of_file, strict=True):
            if list(keys) != self.names:
                raise DataError(
                    f"{shown(name)} is in folders for the columns {listing(list(keys))}, and "
                    f"{shown(names[0])} for {listing(self.names)}: give files of one kind"
                )
        self._types: dict[str, pa.DataType] = {}
        self._order: list[str] = []

    def schema(self, of_files: pa.Schema) -> pa.Schema:
        """The columns of files and folders; DataError where one of them is both."""
        if not self.names:
            return of_files
        twice = [name for name in self.names if name in of_files.names]
        if twice:
            raise DataError(f"{twice[0]!r} is both a folder and a column of the files in it")
        told = told_by(of_files).fields
        for name in self.names:
            values = [keys[name] for keys in self._of_file]
            kind = told[name].attributes if name in told else {}
            self._types[name] = _type_of(kind.get("fieldtype", ""), values)
        fields = {field.name: field for field in of_files}
        fields |= {name: pa.field(name, kind) for name, kind in self._types.items()}
        known = [name for name in told if name in fields]
        self._order = [*known, *(name for name in fields if name not in known)]
        return pa.schema([fields[name] for name in self._order], of_files.metadata)

    def with_folders(self, number: int, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Rows of a file with the columns that its folders are."""
        if not self.names:
            return batch
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        for name in self.names:
            value = self._of_file[number][name]
            one = pa.scalar(value, pa.string())
            if pa.types.is_timestamp(self._types[name]):
                one = one.cast(pa.timestamp("us")).cast(self._types[name])
            columns[name] = pa.repeat(one.cast(self._types[name]), len(batch))
        return pa.record_batch([columns[name] for name in self._order], self._order)


def _keys(path: str) -> dict[str, str | None]:
    """The columns that the folders of a path are, and their values."""
    found: dict[str, str | None] = {}
    for part in path.replace(os.sep, "/").split("/")[:-1]:
        name, equals, value = part.partition("=")
        if equals and name:
            missing = value == _MISSING
            found[unquote(name)] = None if missing else unquote(value)
    return found


def _type_of(fieldtype: str, values: Sequence[str | None]) -> pa.DataType:
    """The type of a column: the one it had, or else that of its values."""
    kind, _, number = fieldtype.partition(",")
    if kind == "numeric":
        return pa.bool_() if number == "bool" else pa.type_for_alias(number)
    if kind == "timestamp":
        return pa.timestamp("us", "UTC")
    if kind:
        return pa.string()
    texts = pa.array([value for value in values if value is not None], pa.string())
    for guess in (pa.int64(), _DAY):
        try:
            same = texts.cast(guess).cast(pa.string())
        except pa.ArrowInvalid:
            continue
        if len(texts) and same.equals(texts):  # 007 is no number
            return guess
    return pa.string()
