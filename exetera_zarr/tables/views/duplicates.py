"""Rows of which the key is as in another row: `DataFrame.drop_duplicates` as in pandas."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from exetera_zarr.errors import ArgumentError
from exetera_zarr.fields.create import numeric_in_memory
from exetera_zarr.fields.missing.companions import free_name
from exetera_zarr.tables.grouped_columns import Wanted
from exetera_zarr.tables.views.new_tables import new_table
from exetera_zarr.tables.views.view import view_of

if TYPE_CHECKING:
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.views.view import View

__all__ = ["Keep", "without_duplicates"]

Keep: TypeAlias = Literal["first", "last", False]

_STEP = 1 << 20


def without_duplicates(
    frame: DataFrame, by: str | list[str] | None, keep: Keep, keys_sorted: bool
) -> View:
    """
    A view of one row of each key, or of the rows whose key no other one has.

    Parameters
    ----------
    frame, by, keep
        As of `DataFrame.drop_duplicates`.
    keys_sorted
        As of `DataFrame.groupby`.
    """
    if keep not in ("first", "last", False):
        raise ArgumentError(f"keep is 'first', 'last' or False, not {keep!r}")
    keys = frame.own_columns() if by is None else by
    numbers = numeric_in_memory(frame.dataset.session or frame.dataset, "int64")
    rows = frame.length()
    for start in range(0, rows, _STEP):
        numbers.append(np.arange(start, min(start + _STEP, rows), dtype=np.int64), given=True)
    name = free_name(frame, "row")
    groups = view_of(frame, more={name: numbers}).groupby(keys, keys_sorted)
    wanted = [Wanted(name, "max" if keep == "last" else "min", "row"), Wanted("", "count", "count")]
    found = groups.write(new_table(frame.dataset, frame.name), False, wanted)
    kept = np.zeros(rows, np.bool_)
    with closing(found["row"].blocks()) as chosen, closing(found["count"].blocks()) as counts:
        for some, count in zip(chosen, counts, strict=True):
            kept[some if keep is not False else some[count == 1]] = True
    return frame._where(kept)  # noqa: SLF001
