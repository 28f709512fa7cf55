"""Which rows a filter or an index means, and the rows of a field that are chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from exetera_zarr.engine.columns import selection
from exetera_zarr.engine.streams.row_gather import RowNumbers
from exetera_zarr.errors import ArgumentTypeError, DataError, RowError
from exetera_zarr.fields.missing import masked
from exetera_zarr.fields.rows import Rows
from exetera_zarr.fields.sources import source_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from exetera_zarr.engine import Column
    from exetera_zarr.engine.streams.workspace import Workspace
    from exetera_zarr.fields.base import Field

__all__ = ["chosen", "filter_rows", "index_rows"]

_STEP = 1 << 20


def chosen(field: Field, rows: RowNumbers) -> Generator[Column]:
    """The chosen rows of a field, some at a time; the next ones are read until it is closed."""
    return masked.chosen(source_of([field]), rows)


def filter_rows(given: Any, length: int, work: Workspace) -> RowNumbers:
    """
    The rows for which a filter is true.

    Parameters
    ----------
    given : Field or ndarray
        Bool, or numbers of which all but zero keep; what is missing keeps no row.
    length
        Rows of what is filtered.
    work
        Where their numbers are kept.

    Raises
    ------
    IndexError, TypeError, ValueError
        The filter has another length, is of strings, or is no field or array.
    """
    size, read = _values("filter", given)
    if size != length:
        raise RowError(f"the filter has {size} rows, the data has {length}")
    numbers = work.spill(np.int64)
    for start in range(0, length, _STEP):
        stop = min(start + _STEP, length)
        numbers.append(np.flatnonzero(selection.as_mask(read(start, stop), stop - start)) + start)
    if length == 0:
        selection.as_mask(read(0, 0), 0)
    return RowNumbers(work, numbers, ascending=True)


def index_rows(given: Any, length: int, work: Workspace) -> RowNumbers:
    """
    The rows that an index names.

    Parameters
    ----------
    given : Field or ndarray of integers
        Negative ones count from the end; none is missing.
    length
        Rows of what is chosen from.
    work
        Where their numbers are kept.

    Raises
    ------
    IndexError, TypeError, ValueError
        A row does not exist, or the index is not of integers, or is no field or array.
    """
    size, read = _values("index", given)
    if isinstance(given, np.ndarray):
        return RowNumbers(work, selection.as_rows(given, length))
    numbers = work.spill(np.int64)
    for start in range(0, max(size, 1), _STEP):
        numbers.append(selection.as_rows(read(start, min(start + _STEP, size)), length, start))
    return RowNumbers(work, numbers)


def _values(what: str, given: Any) -> tuple[int, Callable[[int, int], Any]]:
    """How many values a filter or an index has, and those from one row to another."""
    if isinstance(given, np.ndarray):
        if given.ndim != 1:
            raise DataError(f"the {what} has one dimension, not {given.ndim}")
        return len(given), lambda start, stop: given[start:stop]
    if not isinstance(given, Rows):
        raise DataError(f"the {what} is a field or an ndarray, not a {type(given).__name__}")
    if given.indexed:
        raise ArgumentTypeError(f"the {what} cannot be a field of strings")
    if not hasattr(given, "masked_blocks"):  # the data of a field, which is what is stored
        return given.reader()
    column = masked.masked_of(cast("Field", given))
    return column.rows, lambda start, stop: masked.as_masked(*column.read(start, stop))
