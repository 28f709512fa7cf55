"""Writing a table as a CSV file."""

from __future__ import annotations

import csv
import io
import os
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.engine import is_strings
from exetera_zarr.engine.columns import selection, strings
from exetera_zarr.errors import DataError
from exetera_zarr.fields.base import Field, column_of
from exetera_zarr.fields.sources import source_of
from exetera_zarr.storage import create_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from exetera_zarr.engine import Column
    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["write_csv"]


def write_csv(
    frame: DataFrame,
    filepath: str | os.PathLike[str] | IO[str],
    row_filter: Any = None,
    column_filter: str | list[str] | None = None,
    chunk_row_size: int = 1 << 15,
    storage_options: Mapping[str, Any] | None = None,
) -> None:
    """See `DataFrame.to_csv`."""
    if chunk_row_size < 1:
        raise DataError(f"chunk_row_size is at least 1, not {chunk_row_size}")
    names = frame.keys() if column_filter is None else frame.selected(column_filter)
    if getattr(row_filter, "dataframe", None) is frame:
        names = [name for name in names if name != row_filter.name]
    fields = [frame[name] for name in names]
    length = frame.length(names)
    mask = None
    if row_filter is not None:
        mask = selection.as_mask(_filter_values(row_filter), length)
    with _text_file(filepath, storage_options) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for columns in _blocks(fields, length, mask):
            for start in range(0, len(columns[0]), chunk_row_size):
                part = [_cells(column[start : start + chunk_row_size]) for column in columns]
                writer.writerows(zip(*part, strict=True))


def _filter_values(row_filter: Any) -> AnyArray:
    """What a filter of rows holds; DataError unless it is a field of bool or an array."""
    if isinstance(row_filter, Field):
        values = column_of(row_filter)
        if not is_strings(values) and values.dtype == np.bool_:
            return values
        raise DataError(f"row_filter is a field of bool or an array, not {row_filter.describe()}")
    if isinstance(row_filter, np.ndarray):
        return row_filter
    raise DataError(f"row_filter is a field or an array, not a {type(row_filter).__name__}")


@contextmanager
def _text_file(
    place: str | os.PathLike[str] | IO[str], options: Mapping[str, Any] | None
) -> Iterator[IO[str]]:
    if not isinstance(place, (str, os.PathLike)):
        if not hasattr(place, "write"):
            raise DataError(f"expected a path or an open file, not a {type(place).__name__}")
        yield place
        return
    with create_file(os.fspath(place), options) as binary:
        file = io.TextIOWrapper(binary, "utf-8", "surrogateescape", newline="")
        try:
            yield file
            file.detach()  # which passes on what it has, and leaves the rest to who opened it
        except BaseException:
            with suppress(Exception):  # so that it writes nothing when it is collected
                file.detach()
            raise


def _blocks(
    fields: Sequence[Field], length: int, mask: AnyArray | None
) -> Iterator[Sequence[Column]]:
    """The rows that the mask keeps, a block of the table at a time."""
    if not fields:
        return
    source = source_of(fields, length)
    for start, stop in source.cuts():
        if mask is not None and not mask[start:stop].any():
            continue
        columns = source.read(start, stop)
        if mask is not None:
            columns = [selection.compress(column, mask[start:stop]) for column in columns]
        yield columns


def _cells(column: Column) -> list[Any]:
    if is_strings(column):
        return strings.decode(column)
    values = np.asarray(column)
    if values.dtype.kind == "S":
        return strings.decode(strings.from_fixed(values))
    found: list[Any] = values.tolist()
    return found
