"""Rows of a table by number, columns by number or name: ``df.iloc`` and ``df.loc``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import ArgumentError, ArgumentTypeError, FieldNotFoundError

if TYPE_CHECKING:
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["ByNumber"]


class ByNumber:
    """What ``df.iloc`` and ``df.loc`` are."""

    def __init__(self, frame: DataFrame, *, labels: bool) -> None:
        self._frame, self._labels = frame, labels

    def __repr__(self) -> str:
        return f"rows of {self._frame!r} by number, as in [3], [2:5] or [[1, 4]]"

    def __getitem__(self, item: Any) -> Any:
        if not isinstance(item, tuple):
            return self._rows(item)
        if len(item) != 2:
            raise ArgumentError(f"a table has rows and columns, and {len(item)} were given")
        rows, columns = item
        frame: Any = self._frame
        names = self._names(columns)
        if isinstance(names, str):
            return ByNumber(frame[[names]], labels=self._labels)[rows][names]
        return ByNumber(frame[names], labels=self._labels)[rows]

    def __setitem__(self, item: Any, value: Any) -> None:
        raise ArgumentTypeError(
            "rows of a table are not set by loc or iloc: write df['name'].data[rows] = values to "
            "overwrite values of a field, or df.upsert(rows, key) for rows of a key"
        )

    def _rows(self, item: Any) -> Any:
        frame = self._frame
        if isinstance(item, (int, np.integer)) and not isinstance(item, (bool, np.bool_)):
            return frame._row(int(item))  # noqa: SLF001
        if isinstance(item, slice):
            return frame._by_slice(self._with_end(item))  # noqa: SLF001
        if callable(item):
            item = item(frame)
        if isinstance(item, str):
            raise ArgumentTypeError(
                f"a table has no index but the numbers of its rows: write df[{item!r}] for a "
                "field, or df[df['key'] == value] for the rows of a key"
            )
        if _is_condition(item):
            return frame._where(item)  # noqa: SLF001
        return frame._by_numbers(item)  # noqa: SLF001

    def _with_end(self, item: slice) -> slice:
        """A slice of labels, which has its end, as one of numbers."""
        if not self._labels:
            return item
        ends = [end for end in (item.start, item.stop) if end is not None]
        if any(not isinstance(end, (int, np.integer)) or end < 0 for end in ends) or (
            item.step is not None and item.step < 0
        ):
            raise ArgumentTypeError(
                "loc takes slices of row numbers from 0 on, with their end: use iloc to count from "
                "the end"
            )
        if item.stop is None:
            return item
        return slice(item.start, item.stop + 1, item.step)

    def _names(self, item: Any) -> str | list[str]:
        names = self._frame.own_columns()
        if isinstance(item, slice) and item == slice(None):
            return names
        if self._labels:
            return self._by_label(item, names)
        found = np.asarray(names, object)[item]
        return str(found) if isinstance(found, str) else [str(name) for name in found]

    def _by_label(self, item: Any, names: list[str]) -> str | list[str]:
        if isinstance(item, str) or (
            isinstance(item, list) and all(isinstance(n, str) for n in item)
        ):
            return item
        if isinstance(item, slice) and item.step is None:
            for end in (item.start, item.stop):
                if end is not None and end not in names:
                    raise FieldNotFoundError(f"there is no field {end!r} in {self._frame!r}")
            first = 0 if item.start is None else names.index(item.start)
            last = len(names) if item.stop is None else names.index(item.stop) + 1
            return names[first:last]
        raise ArgumentTypeError(f"columns are chosen by their names, not by {item!r}")


def _is_condition(item: Any) -> bool:
    dtype = getattr(item, "dtype", None)
    if hasattr(item, "masked_blocks"):
        return bool(item.fieldtype == "numeric,bool")
    if dtype is not None:
        return str(dtype) in ("bool", "boolean", "bool[pyarrow]", "Boolean")
    return isinstance(item, list) and any(isinstance(one, (bool, np.bool_)) for one in item)
