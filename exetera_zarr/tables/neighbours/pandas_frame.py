"""Tables as pandas DataFrames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, get_args

import numpy as np

from exetera_zarr.engine import is_strings
from exetera_zarr.engine.columns import selection, strings
from exetera_zarr.engine.streams.row_gather import RowNumbers
from exetera_zarr.errors import ArgumentError, about, needing
from exetera_zarr.fields.filters import row_numbers
from exetera_zarr.fields.missing.masked import chosen_masked, masked_of
from exetera_zarr.fields.sources import workspace
from exetera_zarr.storage import together

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from exetera_zarr.engine import Column
    from exetera_zarr.engine.streams.workspace import Workspace
    from exetera_zarr.fields.base import Field
    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["PandasTypes", "pandas_frame"]

PandasTypes: TypeAlias = Literal["raw", "typed", "arrow"]


def pandas_frame(
    frame: DataFrame,
    row_filter: Any,
    col_filter: str | list[str] | None,
    types: PandasTypes,
) -> pd.DataFrame:
    """See `DataFrame.to_pandas`."""
    with needing("to_pandas", "exetera-zarr[pandas]", "; to_arrow and to_csv need nothing more"):
        import pandas as pd
    if types not in get_args(PandasTypes):
        raise ArgumentError(f"types is 'raw', 'typed' or 'arrow', not {types!r}")
    if not frame.dataset.settings.face.sees_missing:
        types = "raw"
    hidden = set(frame.companions().values()) if col_filter is None else set()
    names = frame.keys() if col_filter is None else frame.selected(col_filter)
    length = frame.length(names)
    names = [name for name in names if name not in hidden]
    rows = None
    if row_filter is not None:
        with about(lambda: f"table {frame.name!r}"):
            rows = row_numbers(row_filter, length)
    fields = [frame[name] for name in names]
    at_once = max((a.at_once(len(a)) for f in fields for a in f.arrays().values()), default=1)
    with workspace(frame.dataset.settings) as work:
        chosen = None if rows is None else RowNumbers(work, rows)

        def values(field: Field) -> Any:
            column, mask = _read(field, chosen, work)
            made = _typed(field, column, mask, types, rows)
            return _values(column, mask) if made is None else made

        columns = dict(zip(names, together(values, fields, at_once), strict=True))
    return pd.DataFrame(columns)


def _read(field: Field, rows: RowNumbers | None, work: Workspace) -> tuple[Column, AnyArray | None]:
    """All rows of a field, or some, and which of them have a value."""
    if rows is None:
        return field.masked_rows()
    parts = list(chosen_masked(masked_of(field), rows, work))
    column = selection.concat([field.empty_column(), *(part for part, _ in parts)])
    masks = [np.ones(len(part), np.bool_) if mask is None else mask for part, mask in parts]
    mask = np.concatenate([np.zeros(0, np.bool_), *masks])
    return column, None if mask.all() else mask


def _typed(
    field: Field, column: Column, mask: AnyArray | None, types: PandasTypes, rows: AnyArray | None
) -> Any:
    """A column as Arrow has it, or as pandas has what Arrow has; None for what is as it is."""
    import pandas as pd

    from exetera_zarr.io.arrow.columns import arrow_column

    def numbered(row: int) -> int:
        return row if rows is None else int(rows[row])

    if types == "raw" or (types == "typed" and not _as_arrow_has_it(field, column)):
        return None
    array = arrow_column(field, raw=False).make(column, mask, numbered)
    if types == "typed":
        return array.to_pandas()
    return pd.Series(pd.arrays.ArrowExtensionArray(array))


def _as_arrow_has_it(field: Field, column: Column) -> bool:
    """Whether pandas' own type of a column is the one that Arrow's becomes."""
    if field.indexed or field.type_name == "fixedstring":
        return strings.is_text(_texts(column))
    return field.type_name in ("categorical", "timestamp")


def _texts(column: Column) -> pa.LargeBinaryArray:
    return column if is_strings(column) else strings.from_fixed(cast("Any", column))


def _values(column: Column, mask: AnyArray | None) -> Any:
    """A column in a form that pandas takes as it is."""
    import pandas as pd

    if is_strings(column) or column.dtype.kind == "S":
        texts = strings.decode(column) if is_strings(column) else column.astype(object)
        found = np.empty(len(column), object)
        found[:] = texts
        if mask is not None:
            found[~mask] = None
        if is_strings(column) and not strings.is_text(column):
            return pd.Series(found, dtype=object)  # pandas' own texts have no surrogates
        return found
    if mask is None:
        return column
    if column.dtype.kind == "f":
        return np.where(mask, column, np.nan).astype(column.dtype)
    array = pd.arrays.BooleanArray if column.dtype.kind == "b" else pd.arrays.IntegerArray
    return array(column, ~mask)
