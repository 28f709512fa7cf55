"""Parquet and Feather files: tables written block by block, and read back as streams."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, TypeAlias

import pyarrow as pa

from exetera_zarr.errors import DataError, UnsupportedError, is_of_content
from exetera_zarr.io.arrow.partitions import Partitions, files_below
from exetera_zarr.io.csv.files import expand, is_url, open_binary, shown, suffix_of
from exetera_zarr.storage import check_file, create_file, list_files, open_at_random

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from exetera_zarr.io.arrow.stream import ArrowStream
    from exetera_zarr.io.options import PathLike

__all__ = ["ARROW", "PARQUET", "Kind", "joined_files", "kind_of_file", "rows_of_file", "write_file"]

PARQUET = (".parquet", ".pq")
ARROW = (".arrow", ".arrows", ".feather", ".ipc")
Kind: TypeAlias = Literal["Parquet", "Arrow"]
MOST_METADATA = 96 << 20
"""Bytes of what a file says of itself; Arrow takes several times as many to read them."""
_WILD = re.compile(r"[*?\[]")
_BATCH = 1 << 16
_ROWS = 1 << 17
_BYTES = 32 << 20


def kind_of_file(name: str) -> Kind | None:
    """What a file is by the suffix of its name; None if it is neither."""
    suffix = suffix_of(name)
    if suffix in PARQUET:
        return "Parquet"
    return "Arrow" if suffix in ARROW else None


# -- out


def write_file(
    stream: ArrowStream,
    place: PathLike,
    kind: Kind,
    compression: str | None,
    options: Mapping[str, Any] | None,
) -> int:
    """
    Write a stream to a file, which is in its place when all of it is written.

    Parameters
    ----------
    stream
        The rows.
    place
        Path or URL.
    kind
        What it becomes.
    compression
        A name that Arrow knows; None for none.
    options
        For the file system behind a URL.

    Returns
    -------
    int
        How many rows.

    Raises
    ------
    UnsupportedError
        Arrow knows no such compression.
    """
    rows = 0
    with (
        create_file(os.fspath(place), options) as file,
        _writer(file, stream.schema, kind, compression) as writer,
    ):
        for table in _gathered(stream):
            writer.write_table(table)
            rows += table.num_rows
    return rows


def _writer(file: IO[bytes], schema: pa.Schema, kind: Kind, compression: str | None) -> Any:
    try:
        if kind == "Parquet":
            from pyarrow import parquet

            return parquet.ParquetWriter(file, schema, compression=compression or "none")
        how = pa.ipc.IpcWriteOptions(compression=compression)
        return pa.ipc.new_file(file, schema, options=how)
    except (pa.ArrowException, ValueError) as error:
        raise UnsupportedError(
            f"no {kind} file is written with the compression {compression!r}: {error}; 'zstd' and "
            "'lz4' are"
        ) from error


def _gathered(stream: ArrowStream) -> Iterator[pa.Table]:
    """The rows in pieces that are worth a row group, as a filter may leave few of a block."""
    waiting: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in stream.reader():
        waiting.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= _ROWS or size >= _BYTES:
            yield pa.Table.from_batches(waiting).combine_chunks()
            waiting, rows, size = [], 0, 0
    if waiting:
        yield pa.Table.from_batches(waiting).combine_chunks()


# -- in


@contextmanager
def rows_of_file(name: str, options: Mapping[str, Any] | None) -> Iterator[pa.RecordBatchReader]:
    """
    The rows of a Parquet or Arrow file.

    Raises
    ------
    DataError
        It is not what its name says.
    """
    kind = kind_of_file(name)
    with _opened(name, options) as file:
        try:
            rows = _parquet(file) if kind == "Parquet" else _arrow(file)
        except pa.ArrowNotImplementedError as error:
            raise DataError(
                f"{shown(name)} has something that Arrow does not read ({error}): write the file "
                "anew without it"
            ) from error
        except (pa.ArrowException, OSError) as error:
            if not is_of_content(error):
                raise
            raise DataError(f"{shown(name)} is no {kind} file: {error}") from error
        yield pa.RecordBatchReader.from_batches(rows.schema, _batches_of(rows, name))


def _batches_of(rows: pa.RecordBatchReader, name: str) -> Iterator[pa.RecordBatch]:
    """The batches of a file, of which an error says which file it is."""
    try:
        yield from rows
    except (pa.ArrowException, OSError) as error:
        if not is_of_content(error):
            raise
        raise DataError(f"{shown(name)} cannot be read: {error}") from error


def _opened(name: str, options: Mapping[str, Any] | None) -> IO[bytes]:
    """A file that is open for reading here and there, and says to be no larger than it is."""
    if is_url(name):
        file = open_at_random(name, options)
    else:
        if Path(name).exists():
            check_file(name)
        file = open_binary(name)[0]
    try:
        _check_sizes(file, name)
    except BaseException:
        file.close()
        raise
    return file


def _check_sizes(file: IO[bytes], name: str) -> None:
    """
    Refuse what claims to have more metadata than any file has, before Arrow makes room for it.

    A file of either kind ends with the bytes of its metadata, and what it is, as one of the first
    version of Feather does; a stream of Arrow begins with those of its first message.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - 10, 0))
    end = file.read(10)
    file.seek(0)
    start = file.read(8)
    file.seek(0)
    claimed = 0
    if end[-4:] == b"PAR1" or (start[:4] == b"FEA1" == end[-4:]):
        claimed = int.from_bytes(end[-8:-4], "little")
    elif start[:6] == b"ARROW1":
        claimed = int.from_bytes(end[-10:-6], "little") if end[-6:] == b"ARROW1" else 0
    elif kind_of_file(name) == "Arrow":
        marked = start[:4] == b"\xff\xff\xff\xff"
        claimed = int.from_bytes(start[4:] if marked else start[:4], "little")
    if claimed > MOST_METADATA:
        raise DataError(
            f"{shown(name)} claims to have {claimed:,} bytes of metadata, and {MOST_METADATA:,} "
            "are the most that are read; exetera_zarr.io.arrow.files.MOST_METADATA is that number"
        )


def _parquet(file: IO[bytes]) -> pa.RecordBatchReader:
    from pyarrow import parquet

    found = parquet.ParquetFile(file)
    return pa.RecordBatchReader.from_batches(found.schema_arrow, found.iter_batches(_BATCH))


def _arrow(file: IO[bytes]) -> pa.RecordBatchReader:
    start = file.read(6)
    file.seek(0)
    if start.startswith(b"FEA1"):
        raise pa.ArrowNotImplementedError("it is a Feather file of version 1")
    if start != b"ARROW1":
        return pa.ipc.open_stream(file)
    found = pa.ipc.open_file(file)
    batches = (found.get_batch(number) for number in range(found.num_record_batches))
    return pa.RecordBatchReader.from_batches(found.schema, batches)


def joined_files(
    paths: PathLike | Sequence[PathLike], options: Mapping[str, Any] | None
) -> pa.RecordBatchReader:
    """
    The rows of several files, one after the other, that have the same columns.

    Parameters
    ----------
    paths
        Files, patterns and folders, of which all Parquet and Arrow files count; paths or URLs.
        Folders in a folder that are called ``name=value`` are columns.
    options
        For URLs.

    Raises
    ------
    DataError
        A file has other columns than the first one, which the message names; or there are none.
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    found = [pair for one in given for pair in _files_in(os.fspath(one), options)]
    names = [name for name, _ in found]
    if not names:
        raise DataError(f"there are no Parquet or Arrow files in {', '.join(map(str, given))}")
    first: pa.Schema | None = None
    for name in names:
        if kind_of_file(name) is None:
            raise DataError(
                f"{shown(name)} is no Parquet or Arrow file by its name: these end in "
                f"{', '.join((*PARQUET, *ARROW))}; import_csv reads CSV files"
            )
        with rows_of_file(name, options) as rows:
            if first is None:
                first = rows.schema
            elif not rows.schema.equals(first):
                raise DataError(
                    f"{shown(name)} has not the columns of {shown(names[0])}: "
                    f"{_difference(first, rows.schema)}; give files of one schema, or "
                    "append the others later"
                )
    assert first is not None
    folders = Partitions(names, [root for _, root in found])
    schema = folders.schema(first)

    def batches() -> Iterator[pa.RecordBatch]:
        for number, name in enumerate(names):
            with rows_of_file(name, options) as rows:
                for batch in rows:
                    whole = folders.with_folders(number, batch)
                    yield whole.replace_schema_metadata(schema.metadata)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _files_in(name: str, options: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """The files that a path stands for, and below which folder the names of folders count."""
    folder = name.endswith("/") if is_url(name) else Path(name).is_dir()
    if not folder:
        found = expand(name, options)
        root = name[: name.rfind("/", 0, _WILD.search(f"{name}*").start()) + 1]  # type: ignore[union-attr]
        return [(one, one if one == name else root) for one in found]
    found = files_below(name, options)
    if not found and is_url(name):  # the end of a pattern of folders
        found = list_files(f"{name.rstrip('/')}/**", options)
    return [(one, name.rstrip("/")) for one in found if kind_of_file(one) is not None]


def _difference(first: pa.Schema, other: pa.Schema) -> str:
    """Where two schemas differ first, in words."""
    for name in first.names:
        if name not in other.names:
            return f"it has no {name!r}"
        if first.field(name).type != other.field(name).type:
            here, there = other.field(name).type, first.field(name).type
            return f"{name!r} is of {here}, and of {there} there"
    more = [name for name in other.names if name not in first.names]
    return f"it has {more[0]!r} besides" if more else "they are in another order"
