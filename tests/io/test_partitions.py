"""Folders of Parquet files in which folders are columns, written here and by others."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads
import pytest
from pyarrow import parquet

from exetera_zarr import DataError, NameTakenError, Session
from exetera_zarr.errors import ArgumentError
from exetera_zarr.io.arrow import partitions
from support.missing import values_of, write

DAY = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
ROWS = [
    (
        *(n % 3 if n % 5 else None, n / 2, n % 3 == 0, f"é/{n % 2}=" if n % 4 else None),
        *("fm"[n % 2], DAY + dt.timedelta(days=n % 2) if n % 6 else None, "a" if n % 7 else None),
    )
    for n in range(40)
]


@pytest.fixture
def ds(place):
    with Session(row_block=4) as s:
        yield s.open_dataset(place.url("x.zarr"), "w", "d", storage_options=place.storage_options)


def sorted_rows(rows):
    return sorted(rows, key=lambda row: str([*row.values()]))


@pytest.mark.parametrize("names", ["sex", "age", "flag", "town", "when", "code", ["when", "sex"]])
def test_a_table_comes_back_from_a_folder(ds, names, tmp_path):
    """Whatever it is partitioned by: with missing values, types, categories and labels."""
    table = write(ds.create_dataframe("t"), ROWS)
    table["age"].label = "Age"
    table.to_parquet(tmp_path / "out", partition_by=names)
    assert [path.name for path in tmp_path.glob("out*")] == ["out"]
    again = ds.from_parquet("again", tmp_path / "out")
    assert list(values_of(again)[0]) == list(values_of(table)[0])
    assert sorted_rows(values_of(again)) == sorted_rows(values_of(table))
    assert again.to_arrow().schema.equals(table.to_arrow().schema, check_metadata=True)
    weights = again.to_pandas().groupby(names, dropna=False, observed=True)["weight"]
    assert all(part.is_monotonic_increasing for _, part in weights)  # in their order


def test_others_read_what_is_written(ds, tmp_path):
    table = write(ds.create_dataframe("t"), ROWS)
    table.to_parquet(tmp_path / "out", partition_by=["when", "sex"], where=table["age"] > 0)
    assert (tmp_path / "out" / "when=2020-01-02" / "sex=m").is_dir()
    kept = [row for row in values_of(table) if row["age"]]
    found = pads.dataset(tmp_path / "out", partitioning="hive").to_table()
    assert sorted(found["sex"].to_pylist()) == sorted(row["sex"] for row in kept)
    assert found.num_rows == len(kept)
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as connection:
        count = connection.sql(
            f"SELECT count(*) FROM read_parquet('{tmp_path}/out/**/*.parquet', "
            "hive_partitioning=true) WHERE \"when\" = DATE '2020-01-02'"
        ).fetchall()
    assert count == [(sum(row["when"] == DAY + dt.timedelta(days=1) for row in kept),)]


def test_what_others_write_is_read(ds, tmp_path):
    frame = pd.DataFrame({"n": [1, 2, 3, 4], "day": ["2020-01-01"] * 2 + ["2020-01-02"] * 2})
    frame["site"], frame["code"] = [7, 8, 7, 8], ["007", "8", "007", "8"]
    frame.to_parquet(tmp_path / "in", partition_cols=["day", "site", "code"])
    found = ds.from_parquet("t", tmp_path / "in")
    assert found["day"].fieldtype == "timestamp"
    assert found["site"].fieldtype == "numeric,int64"
    assert found["code"].fieldtype == "indexedstring"  # 007 is no number
    assert sorted(map(tuple, found.to_pandas(types="arrow")[["n", "site", "code"]].to_numpy())) == [
        (1, 7, "007"),
        (2, 8, "8"),
        (3, 7, "007"),
        (4, 8, "8"),
    ]
    some = ds.from_parquet("some", f"{tmp_path}/in/day=2020-01-01/*/*/*.parquet")
    assert some["n"].data[:].tolist() == [1, 2]
    assert list(some) == ["n", "site", "code"]
    every = ds.from_parquet("every", f"{tmp_path}/in/day=*/*/*/*.parquet")
    assert "day" in every


def test_many_folders_share_a_few_open_files(ds, tmp_path, monkeypatch):
    monkeypatch.setattr(partitions, "_OPEN_FILES", 2)
    monkeypatch.setattr(partitions, "_ROWS", 3)
    monkeypatch.setattr(partitions, "_BYTES", 200)
    table = ds.from_dict("t", {"n": np.arange(100), "key": np.arange(100) % 7})
    table.to_parquet(tmp_path / "out", partition_by="key")
    again = ds.from_parquet("again", tmp_path / "out").to_pandas()
    wanted = table.to_pandas().sort_values("key", kind="stable")
    assert again["n"].tolist() == wanted["n"].tolist()
    monkeypatch.setattr(partitions, "_MOST_FOLDERS", 5)
    with pytest.raises(DataError, match="'key' have more than 5 values"):
        table.to_parquet(tmp_path / "many", partition_by="key")
    assert not list(tmp_path.glob("many*"))


def test_folders_that_cannot_be_right(ds, tmp_path):
    table = write(ds.create_dataframe("t"), ROWS)
    tmp_path = tmp_path / "files"
    taken = tmp_path / "taken"
    taken.mkdir(parents=True)
    (taken / "x.txt").write_text("mine")
    with pytest.raises(NameTakenError, match="there is something in"):
        table.to_parquet(taken, partition_by="sex")
    with pytest.raises(ArgumentError, match="not 'nobody'"):
        table.to_parquet(tmp_path / "a", partition_by="nobody")
    with pytest.raises(ArgumentError, match="no column for the files"):
        table.to_parquet(tmp_path / "a", ["sex"], partition_by="sex")
    table.create_timestamp("noon").data.write(np.full(40, 43_200.0))
    with pytest.raises(DataError, match="'noon' has times of the day"):
        table.to_parquet(tmp_path / "a", partition_by="noon")
    table.create_indexed_string("bad").data.write([b"\xff"] * 40)
    with pytest.raises(DataError, match="row 0 of field t/bad"):
        table.to_parquet(tmp_path / "a", partition_by="sex")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
    for folder in ("in/a=1", "in/b=1"):
        (tmp_path / folder).mkdir(parents=True)
        parquet.write_table(pa.table({"n": [1]}), tmp_path / folder / "x.parquet")
    with pytest.raises(DataError, match="is in folders for the columns 'b'"):
        ds.from_parquet("bad", tmp_path / "in")
    (tmp_path / "twice" / "n=1").mkdir(parents=True)
    parquet.write_table(pa.table({"n": [1]}), tmp_path / "twice" / "n=1" / "x.parquet")
    with pytest.raises(DataError, match="'n' is both a folder and a column"):
        ds.from_parquet("bad", tmp_path / "twice")


def test_folders_at_urls():
    with Session() as s:
        ds = s.open_dataset("memory://partitioned.zarr", "w", "d")
        table = write(ds.create_dataframe("t"), ROWS)
        table.to_parquet("memory://partitions/out", partition_by="sex")
        again = ds.from_parquet("again", "memory://partitions/out/")
        assert sorted_rows(values_of(again)) == sorted_rows(values_of(table))
        with pytest.raises(NameTakenError):
            table.to_parquet("memory://partitions/out", partition_by="sex")
