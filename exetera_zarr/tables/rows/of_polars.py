"""Columns of Polars of which Arrow has none, by name, before their stream is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from exetera_zarr.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["check_polars"]


def check_polars(columns: Iterable[tuple[str, Any]]) -> None:
    """
    Raise DataError where Arrow does not have what a column of Polars holds.

    Parameters
    ----------
    columns
        By name; those of others are left alone.
    """
    for name, column in columns:
        if type(column).__module__.partition(".")[0] != "polars":
            continue
        if str(column.dtype) == "Object":  # of which Arrow has the addresses in memory
            raise DataError(
                f"the column {name!r} is of Polars' type Object, which no field holds: leave it "
                f"out, or make it text by .map_elements(str, return_dtype=pl.String)"
            )
        try:
            pa.chunked_array(column[:0])
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DataError(
                f"the column {name!r} is of Polars' type {column.dtype}, which no field holds: "
                "leave it out, or cast it, such as to pl.Int64 or pl.String"
            ) from error
