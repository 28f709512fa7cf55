"""``df[name] = values``: any values, new or in the place of others, all or nothing."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exetera_zarr import DataError, Session
from exetera_zarr.errors import ArgumentError, ArgumentTypeError, NameTakenError

START = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
VALUES = {
    "a list": ([1, None, 3], "numeric,int64", [1, None, 3]),
    "floats": ([1.5, None, 3], "numeric,float64", [1.5, None, 3.0]),
    "text": (["a", None, "c"], "indexedstring", ["a", None, "c"]),
    "truth": ([True, None, False], "numeric,bool", [True, None, False]),
    "dates": ([START, None, START], "timestamp", [START, None, START]),
    "a tuple": ((1, 2, 3), "numeric,int64", [1, 2, 3]),
    "a range": (range(3), "numeric,int64", [0, 1, 2]),
    "an array": (np.array([1, 2, 3], "int8"), "numeric,int8", [1, 2, 3]),
    "a masked array": (
        np.ma.masked_array([1, 2, 3], [0, 1, 0], dtype="uint16"),
        "numeric,uint16",
        [1, None, 3],
    ),
    "fixed strings": (np.array([b"ab", b"c", b""]), "fixedstring,2", ["ab", "c", ""]),
    "moments": (
        np.array(["2020-01-01", "NaT", "2020-01-01"], "M8[ns]"),
        "timestamp",
        [START, None, START],
    ),
    "a Series": (pd.Series([1, None, 3], dtype="Int32"), "numeric,int32", [1, None, 3]),
    "a Series by its rows": (pd.Series([1, 2, 3], index=[9, 1, 0]), "numeric,int64", [1, 2, 3]),
    "categories": (pd.Categorical(["f", None, "m"]), "categorical,int8", ["f", None, "m"]),
    "an Index": (pd.Index([1, 2, 3]), "numeric,int64", [1, 2, 3]),
    "Arrow": (pa.array(["a", None, "b"]), "indexedstring", ["a", None, "b"]),
    "chunks of Arrow": (pa.chunked_array([[1], [None, 3]]), "numeric,int64", [1, None, 3]),
    "Polars": (pl.Series([0.5, None, 1.5]), "numeric,float64", [0.5, None, 1.5]),
    "a number": (5, "numeric,int64", [5, 5, 5]),
    "a float": (0.5, "numeric,float64", [0.5] * 3),
    "NaN": (np.nan, "numeric,float64", [None] * 3),
    "numpy's number": (np.int8(5), "numeric,int8", [5, 5, 5]),
    "one truth": (True, "numeric,bool", [True] * 3),
    "one text": ("York", "indexedstring", ["York"] * 3),
    "one moment": (START, "timestamp", [START] * 3),
    "a Timestamp": (pd.Timestamp("2020-01-01"), "timestamp", [START] * 3),
}


@pytest.fixture
def table(place):
    with Session() as session:
        ds = session.open_dataset(
            place.url("x.zarr"), "w", "d", storage_options=place.storage_options
        )
        table = ds.create_dataframe("t", row_block=2)
        table["n"] = [1, 2, 3]
        yield table


@pytest.mark.parametrize("case", VALUES)
def test_values_in_any_form(table, case):
    """Twice, as a notebook's cell that is run again; and in the place of something else."""
    values, kind, rows = VALUES[case]
    for _ in range(2):
        table["new"] = values
        assert (table["new"].fieldtype, table["new"].tolist()) == (kind, rows)
    table["n"] = values
    assert (table["n"].fieldtype, table["n"].tolist()) == (kind, rows)
    shown = [name for name in table if name not in table.companions().values()]
    assert shown == ["n", "new"]
    table.dataset.commit()
    assert table["n"].tolist() == rows


def test_fields_of_any_table_and_expressions(table):
    other = table.dataset.create_dataframe("other")
    other["x"] = pd.Categorical(["f", None, "m"])
    other["x"].label = "Sex"
    table["sex"] = other["x"]
    assert (table["sex"].tolist(), table["sex"].label) == (["f", None, "m"], "Sex")
    table["twice"] = table["n"] * 2
    table["n"] = table["n"] + 1  # reads what it replaces
    table["n"] = table["n"]
    table["is"] = table["sex"] == "f"
    assert table["n"].tolist() == [2, 3, 4]
    assert table["is"].tolist() == [True, None, False]
    table["sex"] = other["x"].data
    assert table["sex"].tolist() == ["f", None, "m"]


def test_the_codebook_stays_with_the_type(table):
    field = table["n"]
    field.label, field.unit, field.missing_codes = "Number", "kg", {-9: "refused"}
    table["n"] = [4, -9, None]
    before, field = field, table["n"]
    assert before.tolist() == [1, 2, 3]  # as in pandas, whoever has it goes on with its rows
    assert (field.tolist(), field.label, field.unit) == ([4, None, None], "Number", "kg")
    table["n"] = table["n"] / 2  # of which nobody has said a unit, or what -9 means
    assert (table["n"].label, table["n"].unit, table["n"].missing_codes) == (None, None, {})
    table["n"] = [4, -9, None]
    table["n"].label = "Number"
    table["n"] = None
    assert (table["n"].tolist(), table["n"].label) == ([None] * 3, "Number")
    table["n"] = ["a", "b", "c"]
    assert (table["n"].label, table["n"].missing_codes) == (None, {})


def test_what_is_missing_is_that_of_the_new_values(table):
    """A companion that was there says it of the new rows, whoever has made it."""
    table["age"] = [1, None, 3]
    table["age"] = [None, 2, 3]
    table["age"] = [1.5, None, 3]
    table["age"] = [True, False, None]
    assert table["age"].tolist() == [True, False, None]
    table["age"] = [7, 8, 9]
    assert table["age"].isna().tolist() == [False] * 3
    assert table.companions() == {"age": "age_valid"}
    with pytest.raises(NameTakenError, match="age_valid"):
        table["age_valid"] = [True, True, True]
    table["age_valid"] = ["x", "y", "z"]  # gives way to what is no condition
    assert (table["age_valid"].tolist(), table["age"].tolist()) == (["x", "y", "z"], [7, 8, 9])


@pytest.mark.parametrize(
    ("value", "error", "said"),
    [
        ([1, 2], DataError, "2 values for 'n' of the table 't', which has 3 rows"),
        ([], DataError, "0 values"),
        ([[1], [2], [3]], DataError, "n"),
        ([1, "a", 2], DataError, "n"),
        ({"a": 1}, DataError, "a column is values in a row"),
        (pd.DataFrame({"a": [1, 2, 3]}), (DataError, ArgumentTypeError), "x"),
        (object(), DataError, "a column is values in a row"),
        (np.zeros((3, 2)), DataError, "2 dimensions"),
        (iter([1, "a"]), DataError, "n"),
    ],
)
def test_an_error_changes_nothing(table, value, error, said):
    table["m"] = [1, None, 3]
    names = list(table)
    for name in ("n", "m", "new"):
        with pytest.raises(error, match=said if name == "n" else None):
            table[name] = value
    assert list(table) == names
    assert (table["n"].tolist(), table["m"].tolist()) == ([1, 2, 3], [1, None, 3])


def test_rows_of_an_empty_table(table):
    empty = table.dataset.create_dataframe("empty")
    with pytest.raises(ArgumentError, match="no rows to tell how many"):
        empty["x"] = 5
    with pytest.raises(DataError, match="create it first"):
        empty["x"] = [None, None]
    empty["x"] = [1, 2]
    empty["x"] = [1, 2, 3]  # the only field says how many rows there are
    empty["x"] = 4
    assert empty["x"].tolist() == [4, 4, 4]
    with pytest.raises(ArgumentTypeError, match="a name is a str"):
        empty[1] = [1, 2, 3]


@given(
    st.lists(st.sampled_from(["int", "float", "text", "cat", "fails"]), min_size=1, max_size=5),
    st.integers(0, 7),
)
def test_any_order_of_assignments(kinds, rows):
    """Against a dict of lists."""
    with Session() as session:
        ds = session.open_dataset("memory://assigning", "w", "d")
        table, model = ds.create_dataframe("t", row_block=2), {}
        table["id"] = np.arange(rows)
        for number, kind in enumerate(kinds):
            name = f"f{number % 2}"
            values = {
                "int": [None if row % 3 == number else row for row in range(rows)],
                "float": [row / 2 for row in range(rows)],
                "text": [f"{row}" if row % 2 else None for row in range(rows)],
                "cat": pd.Categorical([["a", "b"][row % 2] for row in range(rows)]),
                "fails": [1] * (rows + 1),
            }[kind]
            try:
                table[name] = values
            except DataError:
                assert kind == "fails" or all(one is None for one in values)
                continue
            model[name] = list(values)
        ds.commit()
        assert {name: table[name].tolist() for name in model} == model
