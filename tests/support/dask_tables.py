"""Tables for the tests of Dask: every type, missing values, texts that are not ASCII."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from exetera_zarr import DataFrame, Dataset, Session

BLOCK = 7


def make_people(dataset: Dataset, rows: int = 40, *, name: str = "people") -> DataFrame:
    """A table of every field type, sorted by id, which repeats."""
    random = np.random.default_rng(3)
    people = dataset.create_dataframe(name, row_block=BLOCK)
    numbers = np.arange(rows)
    gone = numbers % 5 == 2
    people.create_numeric("id", "int64").data.write(numbers // 3)
    people.create_numeric("age", "int8").data.write(np.ma.masked_array(numbers % 90, gone))
    people.create_numeric("dose", "float64").data.write(
        np.where(gone, np.nan, random.normal(size=rows))
    )
    people.create_numeric("big", "uint64").data.write(numbers.astype(np.uint64) + 2**63)
    people.create_numeric("well", "bool").data.write(numbers % 2 == 0)
    sex = people.create_categorical("sex", "int8", {"f": 3, "m": 7, "x": 1})
    sex.data.write([[None, "f", "m"][n % 3] for n in range(rows)])
    people.create_timestamp("seen").data.write(np.where(gone, np.nan, 1.6e9 + numbers * 86400.5))
    people.create_fixed_string("code", 4).data.write([f"c{n % 7}".encode() for n in range(rows)])
    town = people.create_indexed_string("town")
    town.data.write(
        [None if n % 4 == 1 else ["", "Bath", "Ø" * (n % 5)][n % 3] for n in range(rows)]
    )
    return people


def opened(session: Session, place: Any, mode: Any = "w") -> Dataset:
    """The dataset of a test."""
    return session.open_dataset(
        place.url("dask.zarr"), mode, "study", storage_options=place.storage_options
    )


def as_pandas(frame: DataFrame, names: list[str] | None = None) -> pd.DataFrame:
    """The table as pandas has it, in the types of `to_dask`."""
    found = frame.to_pandas(types="typed", col_filter=names)
    kinds: dict[Any, Any] = {}
    for name in found:
        field = frame[str(name)]
        if field.type_name in ("indexedstring", "fixedstring"):
            kinds[name] = pd.StringDtype("pyarrow")
        elif field.type_name == "numeric" and field.validity is not None:
            kind = field.dtype_of_rows
            if kind.kind != "f":
                nullable = pd.Series(np.zeros(0, kind)).convert_dtypes(
                    dtype_backend="numpy_nullable"
                )
                kinds[name] = nullable.dtype
    return found.astype(kinds)
