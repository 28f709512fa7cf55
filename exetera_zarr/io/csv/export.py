"""Writing a table as a CSV file."""

from __future__ import annotations

import csv
import io
import os
import re
from contextlib import contextmanager, suppress
from functools import partial
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np

from exetera_zarr.engine import is_strings
from exetera_zarr.engine.columns import selection, strings
from exetera_zarr.errors import ArgumentError, DataError
from exetera_zarr.fields.filters import filter_mask
from exetera_zarr.fields.missing.companions import masked_reader
from exetera_zarr.fields.progress import watched
from exetera_zarr.fields.sources import source_of
from exetera_zarr.fieldtypes import label_text
from exetera_zarr.storage import create_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from exetera_zarr.engine import Column
    from exetera_zarr.fields.base import Field
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
    as_stored = not frame.dataset.settings.face.sees_missing
    names = frame.keys() if column_filter is None else frame.selected(column_filter)
    if column_filter is None and not as_stored:
        hidden = set(frame.companions().values())
        names = [name for name in names if name not in hidden]
    if as_stored and getattr(row_filter, "dataframe", None) is frame:
        names = [name for name in names if name != row_filter.name]
    fields = [frame[name] for name in names]
    length = frame.length(names)
    mask = None
    if row_filter is not None:
        mask = filter_mask(row_filter, length, frame.dataset.settings.face)
    rows = length if mask is None else int(np.count_nonzero(mask))
    watch = watched(frame.dataset.settings, f"write {frame.name}", rows)
    with _text_file(filepath, storage_options) as file, watch as tick:
        # Numbers are not quoted, and text is where `_text_cells` says so: before Python 3.12.3 the
        # module itself leaves a bare CR alone, which readers take for the end of the line.
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow(_text_cells(names))
        stored = partial(_stored_cells, quoted=_EXETERA_QUOTES)
        makers = [stored if as_stored else _maker(field) for field in fields]
        for columns in _blocks(fields, length, mask, as_stored=as_stored):
            for start in range(0, len(columns[0][0]), chunk_row_size):
                stop = start + chunk_row_size
                part = [
                    make(column[start:stop], None if there is None else there[start:stop])
                    for make, (column, there) in zip(makers, columns, strict=True)
                ]
                writer.writerows(zip(*part, strict=True))
                tick(len(part[0]))


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
    fields: Sequence[Field], length: int, mask: AnyArray | None, *, as_stored: bool
) -> Iterator[list[tuple[Column, AnyArray | None]]]:
    """The rows that the mask keeps, a block of the table at a time, and which have a value."""
    if not fields:
        return
    source = source_of(fields, length)
    readers = [None if as_stored else masked_reader(field)[1] for field in fields]
    for start, stop in source.cuts():
        if mask is not None and not mask[start:stop].any():
            continue
        columns: list[tuple[Column, AnyArray | None]]
        if as_stored:
            columns = [(column, None) for column in source.read(start, stop)]
        else:
            columns = [read(start, stop) for read in readers if read is not None]
        if mask is not None:
            kept = mask[start:stop]
            columns = [
                (selection.compress(column, kept), None if there is None else there[kept])
                for column, there in columns
            ]
        yield columns


# -- cells


class _Unquoted(str):
    """Text that needs no quotes: the csv module takes what has a float for a number."""

    __slots__ = ()

    def __float__(self) -> float:
        raise ArgumentError("this is text")


_NOTHING = _Unquoted("")
_NEEDS_QUOTES = re.compile(r'[",\r\n]|^\s|\s$|^$')
_EXETERA_QUOTES = re.compile(r'[",\r\n]')
_EPOCH = np.datetime64(0, "us")
_LAST = 9e12
"""Seconds; in microseconds they have 63 bits."""


def _text_cells(texts: Iterable[str], quoted: re.Pattern[str] = _NEEDS_QUOTES) -> list[str]:
    return [text if quoted.search(text) else _Unquoted(text) for text in texts]


def _stored_cells(
    column: Column, _there: AnyArray | None, quoted: re.Pattern[str] = _NEEDS_QUOTES
) -> list[Any]:
    """Cells of what is stored: codes, seconds, and nothing that is missing."""
    if is_strings(column):
        return _text_cells(strings.decode(column), quoted)
    values = np.asarray(column)
    if values.dtype.kind == "S":
        return _text_cells(strings.decode(strings.from_fixed(values)), quoted)
    return _number_cells(values)


def _number_cells(values: AnyArray) -> list[Any]:
    found: list[Any] = values.tolist()
    if values.dtype.kind == "b":
        return [_Unquoted(truth) for truth in found]
    # The shortest decimals that are read as the same float32.
    return (
        [_Unquoted(value) for value in values.astype(str)] if values.dtype == np.float32 else found
    )


def _maker(field: Field) -> Callable[[Column, AnyArray | None], list[Any]]:
    """What makes the cells of a field as a person reads them, and an import does again."""
    make: Callable[[Column], list[Any]] = lambda column: _stored_cells(column, None)  # noqa: E731
    if field.type_name == "timestamp":
        make = _moment_cells
    elif field.type_name == "categorical":
        names = {int(code): label_text(name) for code, name in cast("Any", field).keys.items()}
        cells = dict(zip(names, _text_cells(names.values()), strict=True))
        make = lambda column: [cells.get(code, code) for code in np.asarray(column).tolist()]  # noqa: E731

    def masked(column: Column, there: AnyArray | None) -> list[Any]:
        found = make(column)
        if there is None:
            return found
        return [cell if has else _NOTHING for cell, has in zip(found, there.tolist(), strict=True)]

    return masked


def _moment_cells(column: Column) -> list[Any]:
    """
    Points in time in UTC, to the microsecond, or the nanosecond where that is not enough.

    Those that numpy has no time for, such as infinity, are numbers of seconds.
    """
    seconds = np.asarray(column)
    there = np.abs(seconds) < _LAST
    plain = np.where(there, seconds, 0.0)
    micro = np.rint(plain * 1e6).astype("timedelta64[us]")
    texts = np.char.replace((_EPOCH + micro).astype(str), "T", " ").tolist()
    inexact = there & (micro.astype(np.int64) / 1e6 != plain)
    for row in np.flatnonzero(inexact).tolist():
        whole, part = divmod(float(plain[row]), 1.0)
        moment = (_EPOCH + np.timedelta64(int(whole), "s")).astype("datetime64[s]")
        texts[row] = f"{str(moment).replace('T', ' ')}.{round(part * 1e9):09d}"
    for row in np.flatnonzero(~there).tolist():
        texts[row] = str(float(seconds[row]))
    return [_Unquoted(text.removesuffix(".000000")) for text in texts]
