"""Views go wherever tables go: rows and columns that were chosen, and nothing else."""

from __future__ import annotations

import datetime as dt
import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from exetera_zarr import Session
from exetera_zarr.errors import ArgumentTypeError
from support.missing import values_of, write

DAY = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
ROWS = [
    (
        *(n % 4 - 1 if n % 5 else None, n / 2, n % 3 == 0, f"é{n}" if n % 4 else None),
        *("fm"[n % 2], DAY if n % 6 else None, "a" if n % 7 else None),
    )
    for n in range(23)
]
VIEWS = {
    "rows": (lambda t: t[t["age"] > 0], None),
    "rows by number": (lambda t: t.iloc[[20, 3, 3]], None),
    "columns": (lambda t: t[["sex", "age"]], ["sex", "age"]),
    "both": (lambda t: t.loc[t["sex"] == "m", ["when", "town"]], ["when", "town"]),
    "a view of a view": (lambda t: t[t["age"] > 0][["code", "age"]].head(3), ["code", "age"]),
    "none": (lambda t: t[t["age"] > 100], None),
}


@pytest.fixture
def table(place):
    with Session(row_block=4) as s:
        ds = s.open_dataset(place.url("x.zarr"), "w", "d", storage_options=place.storage_options)
        table = write(ds.create_dataframe("people"), ROWS)
        table["age"].label = "Age"
        table.label = "People"
        yield table


@pytest.fixture(params=VIEWS)
def view(table, request):
    make, columns = VIEWS[request.param]
    found = make(table)
    rows = values_of(table)
    kept = {
        "rows": [r for r in rows if (r["age"] or 0) > 0],
        "rows by number": [rows[20], rows[3], rows[3]],
        "columns": rows,
        "both": [r for r in rows if r["sex"] == "m"],
        "a view of a view": [r for r in rows if (r["age"] or 0) > 0][:3],
        "none": [],
    }[request.param]
    wanted = [{name: r[name] for name in columns or r} for r in kept]
    return found, wanted


def test_views_leave(view, tmp_path):
    view, wanted = view
    found = view.to_arrow()
    assert found.to_pylist() == wanted
    assert pa.table(view).equals(found)
    assert pa.table(view).equals(found)  # a second reader
    assert pa.schema(view) == found.schema
    pl = pytest.importorskip("polars")
    assert view.to_polars().to_dicts() == pl.DataFrame(view).to_dicts() == wanted
    assert "Enum" in str(view.to_polars().schema.get("sex", "Enum"))
    typed = view.to_pandas()
    assert typed.shape == (len(wanted), found.num_columns)
    for name in found.column_names:
        values = [None if pd.isna(value) else value for value in typed[name].tolist()]
        assert values == [row[name] for row in wanted], name
    assert view.to_pandas(types="arrow").shape == typed.shape
    view.to_parquet(tmp_path / "x.parquet")
    view.to_feather(tmp_path / "x.feather")
    ds = view.dataset
    for suffix in ("parquet", "feather"):
        assert values_of(ds.from_parquet(suffix, tmp_path / f"x.{suffix}")) == wanted
    text = io.StringIO()
    view.to_csv(text)
    assert text.getvalue().count("\n") == len(wanted) + 1


def test_views_enter(view):
    view, wanted = view
    ds = view.dataset
    for number, made in enumerate(
        (
            lambda name: ds.from_arrow(name, view),
            lambda name: ds.from_arrow(name, view.to_arrow()),
            lambda name: ds.from_pandas(name, view.to_pandas(types="arrow")),
            lambda name: ds.from_polars(name, view.to_polars()),
        )
    ):
        again = made(f"again{number}")
        assert values_of(again) == wanted, number
        if number < 2:
            assert again.label == "People"
            if "age" in again:
                assert again["age"].label == "Age"
            if "sex" in again:
                assert again["sex"].keys == {3: b"f", 4: b"m"}
    if wanted:
        first = ds.from_arrow("first", view)
        ds.from_arrow("first", view, mode="append")
        assert values_of(first) == wanted * 2
        ds.from_arrow("first", ds["first"].head(1), mode="replace")
        assert values_of(ds["first"]) == wanted[:1]


def test_duckdb_reads_views(view):
    import duckdb

    view, wanted = view
    names = ", ".join(f'"{name}"' for name in view.to_arrow().column_names)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.sql(f"SELECT {names} FROM view")
        assert found.to_arrow_table().to_pylist() == wanted
        connection.register("chosen", view)
        assert connection.sql("SELECT count(*) FROM chosen").fetchall() == [(len(wanted),)]


def test_a_view_keeps_its_rows_on_the_way(table):
    """Also where the table has others by the time that they are read."""
    adults = table[table["age"] > 0]
    wanted = values_of(adults)
    stream = pa.RecordBatchReader.from_stream(adults)
    table.append({"age": [3]}, missing="fill")
    assert stream.read_all().to_pylist() == wanted
    assert values_of(table.dataset.from_arrow("adults", adults)) == wanted


def test_what_asks_for_an_array_or_a_frame_is_told_what_to_write(table):
    """Their columns would be the names of the fields, or objects."""
    for given in (table, table[["age", "sex"]]):
        for take in (np.asarray, np.array, pd.DataFrame):
            with pytest.raises(ArgumentTypeError, match=r"to_pandas\(\)"):
                take(given)
    assert pd.DataFrame({"age": table["weight"]})["age"].tolist()[:3] == [0.0, 0.5, 1.0]
