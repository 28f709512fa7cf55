"""Writing a table as a CSV file."""

from __future__ import annotations

import csv
import io
import os
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.engine import is_strings
from exetera_zarr.engine.columns import selection, strings
from exetera_zarr.errors import DataError
from exetera_zarr.fields.sources import source_of
from exetera_zarr.storage import open_file
from exetera_zarr.validation import validate_boolean_row_filter, validate_chunk_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from exetera_zarr.dataframe import DataFrame
    from exetera_zarr.engine import Column
    from exetera_zarr.fields.base import Field
    from exetera_zarr.storage.base import AnyArray

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
    validate_chunk_size("chunk_row_size", chunk_row_size)
    names = frame.keys() if column_filter is None else frame.selected(column_filter)
    if getattr(row_filter, "dataframe", None) is frame:
        names = [name for name in names if name != row_filter.name]
    fields = [frame[name] for name in names]
    length = frame.length(names)
    mask = None
    if row_filter is not None:
        mask = selection.as_mask(validate_boolean_row_filter("row_filter", row_filter)[0], length)
    with _text_file(filepath, storage_options) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for columns in _blocks(fields, length, mask):
            for start in range(0, len(columns[0]), chunk_row_size):
                part = [_cells(column[start : start + chunk_row_size]) for column in columns]
                writer.writerows(zip(*part, strict=True))


@contextmanager
def _text_file(
    place: str | os.PathLike[str] | IO[str], options: Mapping[str, Any] | None
) -> Iterator[IO[str]]:
    if not isinstance(place, (str, os.PathLike)):
        if not hasattr(place, "write"):
            raise DataError(f"expected a path or an open file, not a {type(place).__name__}")
        yield place
        return
    with (
        open_file(os.fspath(place), options, "wb") as binary,
        io.TextIOWrapper(binary, "utf-8", "surrogateescape", newline="") as file,
    ):
        yield file


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
