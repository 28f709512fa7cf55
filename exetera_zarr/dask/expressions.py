"""A table as an expression of Dask's, which knows how many rows it has without reading any."""

from __future__ import annotations

from typing import Any

from dask.dataframe.dask_expr._expr import Index, Lengths, Literal
from dask.dataframe.dask_expr._reductions import Len
from dask.dataframe.dask_expr.io.io import FromMapProjectable

__all__ = ["ReadTable"]


class ReadTable(FromMapProjectable):  # type: ignore[misc]
    """
    Rows of a table, as of ``dask.dataframe.from_map`` of a `RowReader`.

    Nothing else is done here than to answer how many rows there are, and to read no column where
    only that, or the index, is wanted: `from_map` reads all of them then.
    """

    def _rows(self) -> tuple[int, ...] | None:
        """The rows of each partition; None where a condition decides."""
        if self.operand("func").where is not None:
            return None
        ranges = self.operand("iterables")[0]
        numbers = self._partitions if self._filtered else range(len(ranges))
        return tuple(ranges[number][1] - ranges[number][0] for number in numbers)

    def _simplify_up(self, parent: Any, dependents: Any) -> Any:
        if isinstance(parent, (Len, Lengths)):
            rows = self._rows()
            if rows is not None:
                return Literal(sum(rows) if isinstance(parent, Len) else rows)
        if isinstance(parent, (Len, Lengths, Index)) and self.columns:
            return type(parent)(self.substitute_parameters({"columns": [], "_series": False}))
        return super()._simplify_up(parent, dependents)
