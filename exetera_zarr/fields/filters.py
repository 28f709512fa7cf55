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
from exetera_zarr.fields.writing.given import in_a_row, split_missing

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from exetera_zarr.engine import Column
    from exetera_zarr.engine.columns.types import BoolArray
    from exetera_zarr.engine.streams.workspace import Workspace
    from exetera_zarr.faces import Face
    from exetera_zarr.fields.base import Field
    from exetera_zarr.storage.base import AnyArray

__all__ = [
    "chosen",
    "filter_mask",
    "filter_reader",
    "filter_rows",
    "index_rows",
    "refuse_categories",
    "row_numbers",
    "rows_given",
]

_STEP = 1 << 20


def chosen(field: Field, rows: RowNumbers) -> Generator[Column]:
    """The chosen rows of a field, some at a time; the next ones are read until it is closed."""
    return masked.chosen(source_of([field]), rows)


def rows_given(what: str, given: Any, face: Face) -> Any:
    """
    A filter or an index as a field, the data of one, or an array.

    ExeTera takes no others; we take lists and columns of pandas too. What is missing of them is
    masked. Of numbers they are no filter: one who lists numbers may mean rows by number.

    Raises
    ------
    DataError
        It is no values in a row, or a filter that is not of bool.
    """
    if isinstance(given, Rows) or not face.sees_missing:
        return given
    if isinstance(given, np.ndarray) and given.dtype.kind != "O":
        return given
    values = in_a_row(given, f"the {what}")
    if not isinstance(values, (list, np.ndarray)):
        raise DataError(f"the {what} is values in a row, not a {type(given).__name__}")
    found = _of_objects(values)
    nothing = found.size == 0 or np.ma.getmaskarray(found).all()
    if what == "filter" and found.dtype != np.bool_ and not nothing:
        raise DataError(
            f"a filter that is a {type(given).__name__} is of bool, not {found.dtype}; to choose "
            "rows by number use apply_index"
        )
    return found


def _of_objects(values: Any) -> AnyArray:
    """A list or an array as an array, in which None, NA and NaT are masked."""
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        return values
    values, mask = split_missing(values)
    array = np.asarray(values.tolist() if isinstance(values, np.ndarray) else values)
    if array.size == 0:
        array = array.astype(np.int64)
    return array if mask is None else np.ma.masked_array(array, ~mask)


def filter_mask(given: Any, length: int, face: Face) -> BoolArray:
    """For which rows a filter is true; parameters and errors are those of `filter_rows`."""
    return selection.as_mask(filter_reader(given, length, face)(0, length), length)


def row_numbers(item: Any, length: int) -> AnyArray:
    """
    The rows that a mask, or an array or list of row numbers, chooses as numpy would.

    Parameters
    ----------
    item : Field, array, list, or slice
        Bool, for which what is missing chooses no row; or row numbers, of which none is missing.
    length
        Rows of what is chosen from.

    Returns
    -------
    ndarray of int64
        From 0, also for the rows that were counted from the end.

    Raises
    ------
    IndexError, TypeError
        It does not fit.
    """
    if isinstance(item, slice):
        return np.arange(length)[item]
    if hasattr(item, "masked_blocks"):
        refuse_categories("index", item)
        item = masked.as_masked(*item.masked_rows())
    if hasattr(item, "to_numpy"):  # what is missing of a column of pandas is masked
        item = in_a_row(item, "an index")
    index = item if isinstance(item, np.ma.MaskedArray) else np.asarray(item)
    if index.ndim == 0:
        raise RowError(f"rows are chosen by whole numbers, slices and arrays, not by {item!r}")
    if index.ndim != 1:
        raise RowError(f"an index has one dimension, not {index.ndim}")
    index = _of_objects(index)
    if index.dtype == bool:
        if len(index) != length:
            raise RowError(f"a mask of {len(index)} rows for {length} rows")
        return np.flatnonzero(selection.as_mask(index, length))
    if index.size == 0:
        return np.empty(0, np.int64)
    return selection.as_rows(index, length)


def filter_rows(given: Any, length: int, work: Workspace, face: Face) -> RowNumbers:
    """
    The rows for which a filter is true.

    Parameters
    ----------
    given : Field, array or list
        Bool, or numbers of which all but zero keep; what is missing keeps no row.
    length
        Rows of what is filtered.
    work
        Where their numbers are kept.
    face
        Of the session: ExeTera's takes fields and arrays alone.

    Raises
    ------
    IndexError, TypeError, ValueError
        The filter has another length, is of strings, or is no field or array.
    """
    read = filter_reader(given, length, face)
    numbers = work.spill(np.int64)
    for start in range(0, length, _STEP):
        stop = min(start + _STEP, length)
        numbers.append(np.flatnonzero(selection.as_mask(read(start, stop), stop - start)) + start)
    if length == 0:
        selection.as_mask(read(0, 0), 0)
    return RowNumbers(work, numbers, ascending=True)


def index_rows(given: Any, length: int, work: Workspace, face: Face) -> RowNumbers:
    """
    The rows that an index names.

    Parameters
    ----------
    given : Field, array or list of integers
        Negative ones count from the end; none is missing.
    length
        Rows of what is chosen from.
    work
        Where their numbers are kept.
    face
        Of the session: ExeTera's takes fields and arrays alone.

    Raises
    ------
    IndexError, TypeError, ValueError
        A row does not exist, or the index is not of integers, or is no field or array.
    """
    given = rows_given("index", given, face)
    size, read = _values("index", given)
    if isinstance(given, np.ndarray):
        return RowNumbers(work, selection.as_rows(given, length))
    numbers = work.spill(np.int64)
    for start in range(0, max(size, 1), _STEP):
        numbers.append(selection.as_rows(read(start, min(start + _STEP, size)), length, start))
    return RowNumbers(work, numbers)


def refuse_categories(what: str, given: Any) -> None:
    """Raise TypeError for a filter or an index of categories, whose codes say no such thing."""
    if getattr(given, "type_name", None) == "categorical" and given.face.sees_missing:
        instead = "compare it with a name, as in field == 'yes'"
        if what == "index":
            instead = "write the codes to a numeric field where they are numbers of rows"
        raise ArgumentTypeError(
            f"the {what} is {given.phrase()}, which holds categories: {instead}"
        )


def filter_reader(given: Any, length: int, face: Face) -> Callable[[int, int], Any]:
    """What reads a filter from one row to another; parameters and errors as of `filter_rows`."""
    size, read = _values("filter", rows_given("filter", given, face))
    if size != length:
        raise RowError(f"the filter has {size} rows, the data has {length}")
    return read


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
    refuse_categories(what, given)
    if not hasattr(given, "masked_blocks"):  # the data of a field, which is what is stored
        return given.reader()
    column = masked.masked_of(cast("Field", given))
    return column.rows, lambda start, stop: masked.as_masked(*column.read(start, stop))
