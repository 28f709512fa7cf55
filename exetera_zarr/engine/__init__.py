"""Pure functions over columns in memory; knows no storage and no fields.

A column is a numpy array (numbers, bool, ``S<width>`` fixed strings) or a ``pa.LargeBinaryArray``
(variable strings as UTF-8 bytes, possibly a slice, never null).

The packages: `columns` (one column in memory), `streams` (columns that are larger than memory,
block by block), `duckdb` (the only way into DuckDB), and `sort`, `join` and `group`, whose modules
are named after their algorithms. What needs DuckDB is imported only where it is needed.
"""

from __future__ import annotations

from exetera_zarr.engine.columns.types import Column, is_strings

__all__ = ["Column", "is_strings"]
