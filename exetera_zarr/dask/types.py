"""Columns of a table as pandas has them in every partition, whatever is missing in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np
import pandas as pd

from exetera_zarr.engine import is_strings
from exetera_zarr.errors import ArgumentError, UnsupportedError
from exetera_zarr.io.arrow.columns import arrow_column

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exetera_zarr.engine import Column
    from exetera_zarr.fields.base import Field
    from exetera_zarr.io.arrow.columns import Numbered
    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = [
    "DaskTypes",
    "PandasColumn",
    "chosen_columns",
    "index_of",
    "pandas_column",
    "plain_values",
    "types_for",
]

DaskTypes: TypeAlias = Literal["typed", "raw", "arrow"]


@dataclass(frozen=True)
class PandasColumn:
    """
    How the rows of a field become a column of pandas, of one type in all partitions.

    Parameters
    ----------
    field
        The field.
    companion
        What says which rows have a value; None where all have, or the field says so itself.
    make
        Makes a column of rows, of which of them have a value, and of what gives their numbers.
    """

    field: Field
    companion: Field | None
    make: Callable[[Column, AnyArray | None, Numbered], Any]

    def empty(self) -> Any:
        """A column without rows."""
        return self.make(self.field.empty_column(), None, lambda row: row)


def types_for(frame: DataFrame, types: DaskTypes) -> DaskTypes:
    """The types that are meant: in ExeTera's face always what is stored."""
    if types not in get_args(DaskTypes):
        raise ArgumentError(f"types is 'typed', 'raw' or 'arrow', not {types!r}")
    return types if frame.dataset.settings.face.sees_missing else "raw"


def chosen_columns(
    frame: DataFrame, columns: str | Sequence[str] | None, types: DaskTypes
) -> list[str]:
    """The names of the columns; by default all but those that say what is missing of others."""
    if columns is None:
        hidden = set() if types == "raw" else set(frame.companions().values())
        return [name for name in frame if name not in hidden]
    names = frame.selected([columns] if isinstance(columns, str) else list(columns))
    if len(set(names)) < len(names):
        raise ArgumentError(f"columns names a field twice: {names!r}; give each name once")
    return names


def pandas_column(field: Field, types: DaskTypes) -> PandasColumn:
    """
    How a field becomes a column of pandas.

    Parameters
    ----------
    field
        Of a table.
    types
        As of `DataFrame.to_dask`.
    """
    companion = None if types == "raw" else field.validity
    strings = field.indexed or field.type_name == "fixedstring"
    if types == "typed" and field.type_name == "numeric":
        return PandasColumn(field, companion, _of_numbers(field, companion))
    if types == "raw" and not strings:
        return PandasColumn(field, None, lambda column, *_: np.asarray(column))
    made = arrow_column(field, raw=types == "raw")
    if types == "typed" and strings:
        kind: Any = pd.StringDtype("pyarrow")
        return PandasColumn(field, companion, lambda *given: kind.__from_arrow__(made.make(*given)))
    if types == "typed":
        return PandasColumn(field, companion, lambda *given: made.make(*given).to_pandas().array)
    return PandasColumn(
        field, companion, lambda *given: pd.arrays.ArrowExtensionArray(made.make(*given))
    )


def _of_numbers(
    field: Field, companion: Field | None
) -> Callable[[Column, AnyArray | None, Numbered], Any]:
    """
    As they are, with NaN for what is missing, or in a nullable type.

    The type depends on whether there is a companion, and not on whether it says anything here.
    """
    kind = field.dtype_of_rows.kind

    def floats(column: Column, mask: AnyArray | None, _: Numbered) -> Any:
        values = np.asarray(column)
        return values if mask is None else np.where(mask, values, np.nan).astype(values.dtype)

    def nullable(column: Column, mask: AnyArray | None, _: Numbered) -> Any:
        values = np.asarray(column)
        absent = np.zeros(len(values), np.bool_) if mask is None else ~mask
        array = pd.arrays.BooleanArray if kind == "b" else pd.arrays.IntegerArray
        return array(values, absent)

    if kind == "f":
        return floats
    return (lambda column, *_: np.asarray(column)) if companion is None else nullable


def index_of(column: PandasColumn, made: Any) -> pd.Index:
    """A column as an index; UnsupportedError for one of which rows can be missing."""
    field = column.field
    if column.companion is not None or field.type_name == "categorical":
        of_categories = field.type_name == "categorical"
        reason = "holds categories" if of_categories else "can have missing values"
        raise UnsupportedError(
            f"{field.phrase()} {reason}, so it cannot be the index: give index=None for the "
            "numbers of the rows, and set_index(...) of the collection for another one"
        )
    found: pd.Index = pd.Index(made, name=field.name)
    return found


def plain_values(column: Any) -> Any:
    """Rows of a key as Python compares them."""
    return column.to_pylist() if is_strings(column) else np.asarray(column)
