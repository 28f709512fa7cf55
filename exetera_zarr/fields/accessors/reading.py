"""The rows of a field as a person reads them: ``field[3]``, ``field[:5]``, loops and lists."""

from __future__ import annotations

from types import EllipsisType
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from exetera_zarr.engine import is_strings
from exetera_zarr.engine.columns import strings
from exetera_zarr.errors import ArgumentTypeError
from exetera_zarr.fields import filters
from exetera_zarr.fields.data import one_row
from exetera_zarr.fields.missing.companions import masked_reader
from exetera_zarr.fields.rows import Rows
from exetera_zarr.fields.sources import source_of
from exetera_zarr.fields.statistics.figures import shown
from exetera_zarr.fieldtypes import label_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exetera_zarr.engine import Column
    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.categorical import CategoricalField
    from exetera_zarr.storage.base import AnyArray

__all__ = ["HAVE_NAMES", "Readable", "array_shown", "distinct_shown", "values_shown"]

HAVE_NAMES = ("categorical", "timestamp")
"""Types of fields whose values are read as something else than the numbers that are stored."""


class Readable:
    """Rows by number or by a condition, and one after the other."""

    def __getitem__(self, item: Any) -> Any:
        """
        A value, or some rows.

        Parameters
        ----------
        item : int, slice, Field, array or list
            The number of a row, negative from the end: its value. A slice, a condition of bool, or
            row numbers: these rows.

        Returns
        -------
        object or Field
            A number, a name, text, a datetime in UTC, or None for what is missing. Of several rows
            a field in memory, of the same type and with the same codebook.

        Raises
        ------
        RowError
            There is no such row, or the condition has another length. It is an IndexError.
        ArgumentTypeError
            It is nothing that chooses rows; or in ExeTera's face, where ``field.data`` has them.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     t = s.open_dataset("memory://rows.zarr", "w", "d").create_dataframe("t")
        ...     t["sex"] = ["f", None, "m"]
        ...     t["sex"][2], t["sex"][:2].tolist(), list(t["sex"][t["sex"] == "m"])
        ('m', ['f', None], ['m'])
        """
        field = _indexed(self)
        if isinstance(item, tuple) and len(item) == 1:
            (item,) = item
        if isinstance(item, (EllipsisType, slice)):
            return _part(field, item if isinstance(item, slice) else slice(None))
        row = one_row(item, len(field), field)
        if row is not None:
            return values_shown(field, *masked_reader(field)[1](row, row + 1))[0]
        if isinstance(item, (str, bytes, tuple, bool, np.bool_)) or item is None:
            raise ArgumentTypeError(
                f"{field.phrase()} gives rows by number, slice, condition or list of these, and "
                f"not by {item!r}"
            )
        rows = filters.rows_given("index", item, field.face)
        dtype = rows.dtype_of_rows if isinstance(rows, Rows) else rows.dtype
        if dtype.kind == "b":
            return field.apply_filter(rows)
        return field.apply_index(rows)

    def __setitem__(self, item: Any, value: Any) -> None:
        field = cast("Field", self)
        raise ArgumentTypeError(
            f"rows of {field.phrase()} are not set by number or condition: write "
            "field.data[rows] = values to overwrite what is stored, or "
            "df[name] = df[name].where(condition, other)"
        )

    def __iter__(self) -> Iterator[Any]:
        field = _indexed(self)
        return (value for block in field.masked_blocks() for value in values_shown(field, *block))

    def tolist(self) -> list[Any]:
        """
        All values as a person reads them, as of ``field[3]``; None for what is missing.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://tolist.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people["age"].tolist()
        [34, 51, None, 47]
        """
        field = cast("Field", self)
        return [v for block in field.masked_blocks() for v in values_shown(field, *block)]

    to_list = tolist

    def head(self, n: int = 5) -> Any:
        """
        The first rows, all but the last ones where `n` is negative: a field in memory.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://head.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people["age"].head(2).tolist()
        [34, 51]
        """
        return _part(cast("Field", self), slice(n))

    def tail(self, n: int = 5) -> Any:
        """
        The last rows, all but the first ones where `n` is negative: a field in memory.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://tail.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people["age"].tail(2).tolist()
        [None, 47]
        """
        field = cast("Field", self)
        return _part(field, slice(max(len(field) - n, 0) if n >= 0 else -n, None))


def _indexed(readable: Readable) -> Field:
    field = cast("Field", readable)
    if not field.face.chooses_by_item:
        raise ArgumentTypeError(f"{field.phrase()} has its rows in its data: write field.data[...]")
    return field


def _part(field: Field, item: slice) -> Field:
    start, stop, step = item.indices(len(field))
    if step != 1:
        return field.apply_index(np.arange(start, stop, step))
    made: Field = field.memory_like()
    source, (_, read) = source_of([field]), masked_reader(field)
    while start < stop:
        high = source.until(start, min(start + source.block, stop))
        made.append_masked(*read(start, high))
        start = high
    return made


def values_shown(field: Field, column: Column, mask: AnyArray | None) -> list[Any]:
    """
    Some rows as a person reads them; None for what is missing.

    Parameters
    ----------
    field
        Of which the rows are.
    column, mask
        As `Field.masked_blocks` gives them.
    """
    found: list[Any]
    if is_strings(column):
        found = strings.decode(column)
    elif field.type_name == "categorical":
        keys = cast("CategoricalField", field).keys
        names = {code: label_text(name) for code, name in keys.items()}
        found = [names.get(code, code) for code in column.tolist()]
    elif field.type_name == "numeric":
        found = column.tolist()
    else:
        found = [shown(field, value) for value in column]
    if mask is None:
        return found
    return [value if there else None for value, there in zip(found, mask.tolist(), strict=True)]


def array_shown(field: Field) -> AnyArray:
    """All rows as an array: names of categories, or datetime64 in UTC; None or NaT for missing."""
    if field.type_name == "timestamp":
        parts = [np.zeros(0, "datetime64[us]")]
        for column, mask in field.masked_blocks():
            parts.append(_points(np.asarray(column), mask))
        return np.concatenate(parts)
    names = np.empty(len(field), object)
    names[:] = list(cast("Readable", field))
    return names


def distinct_shown(field: Field, values: AnyArray) -> AnyArray:
    """Some values of a field, none of them missing but for NaN, as a person reads them."""
    if field.type_name == "timestamp":
        return _points(values, None)
    if field.type_name == "categorical":
        return np.asarray([str(name) for name in values_shown(field, values, None)], str)
    return values


def _points(seconds: AnyArray, mask: AnyArray | None) -> AnyArray:
    there = np.isfinite(seconds) if mask is None else mask & np.isfinite(seconds)
    micros = np.round(np.where(there, seconds, 0.0) * 1e6).astype(np.int64)
    points = micros.view("datetime64[us]")
    points[~there] = np.datetime64("NaT", "us")
    return points
