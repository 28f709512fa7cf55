"""Which rows of a table stay when others are deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.engine.sort import sorting
from exetera_zarr.engine.streams.row_gather import RowNumbers
from exetera_zarr.engine.streams.source import Source
from exetera_zarr.faces import NATIVE
from exetera_zarr.fields import filters
from exetera_zarr.fields.rows import Rows

if TYPE_CHECKING:
    from exetera_zarr.engine.streams.workspace import Spill, Workspace
    from exetera_zarr.faces import Face

__all__ = ["chosen_rows", "kept_rows"]

_STEP = 1 << 20


def kept_rows(given: Any, length: int, work: Workspace, face: Face) -> RowNumbers:
    """
    The rows that a condition, or row numbers, leave.

    Parameters
    ----------
    given
        As of `DataFrame.delete`.
    length
        Rows of the table.
    work
        Where their numbers are kept.
    face
        Of the session.

    Raises
    ------
    IndexError, TypeError, ValueError
        It does not fit.
    """
    chosen = chosen_rows(given, length, work, face)
    kept = work.spill(np.int64)
    start = 0
    for some in chosen.blocks(_STEP):
        kept.append(np.flatnonzero(~np.asarray(some)) + start)
        start += len(some)
    chosen.close()
    return RowNumbers(work, kept, ascending=True)


def chosen_rows(given: Any, length: int, work: Workspace, face: Face) -> Spill:
    """
    For each row, whether a condition, or row numbers, choose it; as of `kept_rows`.

    Returns
    -------
    Spill of bool
        As many as there are rows.
    """
    if not isinstance(given, Rows):
        given = filters.rows_given("index", given, NATIVE)  # lists as well, in either face
    if _is_condition(given, length):
        gone = filters.filter_rows(given, length, work, face)
    else:
        gone = _ascending(filters.index_rows(given, length, work, face), work)
    chosen = work.spill(np.bool_)
    done = 0
    for start in range(0, length, _STEP):
        stop = min(start + _STEP, length)
        some = np.zeros(stop - start, np.bool_)
        while done < len(gone):
            rows = gone.read(done, min(done + _STEP, len(gone)))
            here = rows[: np.searchsorted(rows, stop)]
            some[here - start] = True
            done += len(here)
            if len(here) < len(rows):
                break
        chosen.append(some)
    return chosen


def _is_condition(given: Any, length: int) -> bool:
    """Whether it is of bool; one without any value is if it is as long as the table."""
    if isinstance(given, np.ma.MaskedArray) and len(given) == length and given.mask.all():
        return True
    return getattr(given, "dtype_of_rows", getattr(given, "dtype", None)) == np.bool_


def _ascending(rows: RowNumbers, work: Workspace) -> RowNumbers:
    numbers = Source.of_row_numbers(rows)
    order = sorting.sort_rows(numbers, True, work)
    if order is None:
        return rows
    found = work.spill(np.int64)
    for some in RowNumbers(work, order).of(numbers):
        found.append(some)
    return RowNumbers(work, found, ascending=True)
