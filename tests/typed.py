"""What a type checker says of a program that uses the package; checked by `mypy`, and never run."""

from __future__ import annotations

from typing import assert_type

import pandas as pd
import polars as pl

import exetera_zarr
from exetera_zarr import DataFrame, Dataset, Session
from exetera_zarr.fields.numeric import NumericField
from exetera_zarr.io.sql.query import Query
from exetera_zarr.tables.groupby import DataFrameGroupBy


def datasets(session: Session) -> None:
    study = session.open_dataset("study.zarr", "r+", storage_options={"anon": True})
    assert_type(study, Dataset)
    assert_type(study.get_dataframe("people"), DataFrame)
    assert_type(study.from_dict("people", {"age": [34, 51]}), DataFrame)
    assert_type(study.commit(message="First wave"), int)
    assert_type(study.at("paper"), Dataset)
    assert_type(study.sql("SELECT count(*) FROM people"), Query)


def tables(people: DataFrame) -> None:
    assert_type(people.shape, tuple[int, int])
    assert_type(people.append({"age": [60]}), int)
    assert_type(people.groupby("town"), DataFrameGroupBy)
    assert_type(people.to_pandas(), pd.DataFrame)
    assert_type(people.to_polars(), pl.DataFrame)
    assert_type(people.create_numeric("age", "int32"), NumericField)
    assert_type(people.get_field("town").str.len(), NumericField)


def errors(session: Session) -> None:
    study = session.open_dataset("study.zarr", mood="r")  # type: ignore[call-arg]
    study.commit(message=1)  # type: ignore[arg-type]
    assert_type(exetera_zarr.__version__, str)
