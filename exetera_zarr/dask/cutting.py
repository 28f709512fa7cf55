"""Where partitions begin: at the blocks that are stored, or at the first row of a key."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exetera_zarr.dask.types import index_of, plain_values
from exetera_zarr.engine import is_strings
from exetera_zarr.engine.columns import selection
from exetera_zarr.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from exetera_zarr.dask.types import PandasColumn
    from exetera_zarr.engine import Column
    from exetera_zarr.fields.base import Field

__all__ = ["cut_at_blocks", "cut_at_keys"]


def cut_at_blocks(fields: Sequence[Field], rows: int, block: int) -> list[int]:
    """
    The first row of each partition, and the number of rows.

    What was appended has a grid of its own, which is followed where it has a block at least.

    Parameters
    ----------
    fields
        The columns, of which the first says how it is stored.
    rows
        Of the table.
    block
        Rows of a partition.
    """
    parts = [count for _, count in _parts(fields[0])] if fields else []
    if sum(parts) != rows:
        parts = [rows]
    cuts, start, last = [0], 0, 0
    for count in parts:
        if count >= block and start > last:  # what came before, in little pieces
            cuts.append(start)
            last = start
        while start + count - last > block:
            last += block
            cuts.append(last)
        start += count
    return cuts if cuts[-1] == rows else [*cuts, rows]


def _parts(field: Field) -> Sequence[tuple[Any, int]]:
    """What the rows of a field are stored as, in order, and how many each has."""
    arrays = field.arrays()
    array = arrays.get("index", arrays["values"])
    parts = list(array.content)
    if "index" in arrays and parts:  # of which the first one has an offset more than rows
        parts[0] = parts[0][0], max(parts[0][1] - 1, 0)
    return parts


def cut_at_keys(column: PandasColumn, cuts: Sequence[int]) -> tuple[list[int], list[Any]]:
    """
    Partitions of which each begins with the first row of a key, and their divisions.

    Parameters
    ----------
    column
        The key; all of it is read.
    cuts
        Where partitions would begin by the rows.

    Raises
    ------
    DataError
        The rows are not in the order of the key, or a key is missing.

    Returns
    -------
    cuts : list of int
        As `cut_at_blocks` gives them.
    divisions : list
        The first key of each partition, and the last one of all; pandas' values.
    """
    starts: list[int] = []
    firsts: list[Any] = []
    run, last, last_rows = 0, None, column.field.empty_column()
    for start, keys in _blocks(column, cuts):
        _check(column.field, keys, last, start)
        first, final = plain_values(keys[:1])[0], plain_values(keys[-1:])[0]
        begin = run if last is not None and first == last else start
        if not starts or begin > starts[-1]:
            starts.append(begin)
            firsts.append(keys[:1] if begin == start else last_rows)
        at = _first_of(keys, final)
        if at or last is None or first != last:
            run = start + at
        last, last_rows = final, keys[-1:]
    if last is None:
        return [0, 0], [None, None]
    made = selection.concat([*firsts, last_rows])
    index = index_of(column, column.make(made, None, lambda row: row))
    return [*starts, cuts[-1]], list(index)


def _blocks(column: PandasColumn, cuts: Sequence[int]) -> Iterator[tuple[int, Column]]:
    arrays = column.field.arrays()
    for start, stop in pairwise(cuts):
        if stop > start:
            yield start, column.field.read(start, stop, arrays)


def _check(field: Field, keys: Column, last: Any, start: int) -> None:
    """Raise DataError unless rows are in order, also behind the one before, and all have a key."""
    if not is_strings(keys) and np.asarray(keys).dtype.kind == "f" and np.isnan(keys).any():
        row = start + int(np.argmax(np.isnan(keys)))
        raise DataError(f"row {row} of {field.phrase()} is missing, so it cannot be the index")
    in_order = selection.is_sorted(keys)
    if not in_order or (last is not None and plain_values(keys[:1])[0] < last):
        raise DataError(
            f"the rows from {start} on are not in the order of {field.phrase()}: only a field that "
            "is sorted can be the index; sort the table by it first, or give index=None and use "
            "set_index() of the collection"
        )


def _first_of(keys: Any, value: Any) -> int:
    """The first row that has a key."""
    if is_strings(keys):
        return int(pc.index(keys, pa.scalar(value, keys.type)).as_py())
    return int(np.argmax(np.asarray(keys) == value))
