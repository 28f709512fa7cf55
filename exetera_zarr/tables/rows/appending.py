"""Appending rows to a table."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from exetera_zarr.fields.sources import workspace
from exetera_zarr.tables.rows.columns import Columns, append_missing, append_to
from exetera_zarr.tables.rows.given import rows_given

if TYPE_CHECKING:
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.rows.columns import Missing, New

__all__ = ["append"]


def append(
    table: DataFrame,
    rows: Any,
    missing: Missing = "error",
    new: New = "error",
    *,
    empty: bool = False,
) -> int:
    """
    Append rows to a table, all or none; see `DataFrame.append`.

    Parameters
    ----------
    table
        The table.
    rows, missing, new
        As of `DataFrame.append`.
    empty
        Whether columns without rows make new fields, too.

    Returns
    -------
    int
        How many.
    """
    given = rows_given(rows)
    columns = Columns(table, given, missing, new)
    with workspace(table.dataset.settings) as work, table.atomic():
        done = 0
        with closing(given.blocks(columns.wanted, work.memory)) as blocks:
            for block in blocks:
                count = block[0]
                if not (count or empty):
                    continue
                columns.create_new(block)
                if not count:
                    continue
                for name, column, mask in columns.fitted(block, done):
                    append_to(columns.field(name), column, mask)
                    del column
                for name in columns.lacking:
                    append_missing(columns.field(name), count)
                done += count
        return done
