"""Pure functions over columns in memory; knows no storage and no fields.

A column is a numpy array (numbers, bool, ``S<width>`` fixed strings) or a ``pa.LargeBinaryArray``
(variable strings as UTF-8 bytes, possibly a slice, never null).

The modules: `strings` (variable strings), `gather` (take, compress, concat), `spans` (runs of equal
rows and aggregation over them), `aggregate` (over spans and groups of any length), `ordered`
(merges of sorted keys), `relational` (sort and join of unsorted keys; uses DuckDB, so import it
only where it is needed).
"""

from __future__ import annotations

from exetera_zarr.engine.columns.types import Column, is_strings

__all__ = ["Column", "is_strings"]
