"""Tables as pandas DataFrames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.engine import is_strings
from exetera_zarr.engine.columns import strings
from exetera_zarr.errors import about
from exetera_zarr.fields.filters import row_numbers
from exetera_zarr.fields.missing.companions import masked_reader
from exetera_zarr.storage import together

if TYPE_CHECKING:
    import pandas as pd

    from exetera_zarr.fields.base import Field
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["pandas_frame"]


def pandas_frame(
    frame: DataFrame, row_filter: Any, col_filter: str | list[str] | None
) -> pd.DataFrame:
    """See `DataFrame.to_pandas`."""
    import pandas as pd

    hidden = set(frame.companions().values()) if col_filter is None else set()
    names = frame.keys() if col_filter is None else frame.selected(col_filter)
    length = frame.length(names)
    names = [name for name in names if name not in hidden]
    rows = None
    if row_filter is not None:
        with about(lambda: f"table {frame.name!r}"):
            rows = row_numbers(row_filter, length)
    fields = [frame[name] for name in names]
    at_once = max((a.at_once for f in fields for a in f.arrays().values()), default=1)
    columns = dict(zip(names, together(_values, fields, at_once), strict=True))
    if rows is not None:
        columns = {name: values[rows] for name, values in columns.items()}
    return pd.DataFrame(columns)


def _values(field: Field) -> Any:
    """All rows in a form that pandas takes as it is."""
    import pandas as pd

    length, read = masked_reader(field)
    column, mask = read(0, length)
    if is_strings(column) or column.dtype.kind == "S":
        texts = strings.decode(column) if is_strings(column) else column.astype(object)
        found = np.empty(length, object)
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
