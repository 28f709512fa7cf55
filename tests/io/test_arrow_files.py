"""Tables as Parquet and Feather files, frames of pandas and Polars, and back."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from pyarrow import parquet

from exetera_zarr import DataError, Session, UnsupportedError, scan
from exetera_zarr.errors import ArgumentError, NameTakenError
from support.missing import ROWS, close_scratch, examples, scratch, values_of, write

DAY = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
ROW = (1, 1.5, True, "é", "m", DAY, "a")


@pytest.fixture(scope="module", autouse=True)
def _closed_in_the_end():
    yield
    close_scratch()


@pytest.fixture
def ds(place):
    with Session(row_block=4) as s:
        yield s.open_dataset(place.url("x.zarr"), "w", "d", storage_options=place.storage_options)


@given(rows=ROWS)
@examples(50)
def test_any_table_comes_back_from_files(rows):
    with scratch() as ds, tempfile.TemporaryDirectory() as folder:
        table = write(ds.create_dataframe("people"), rows)
        for suffix, save in {"parquet": table.to_parquet, "feather": table.to_feather}.items():
            path = Path(folder) / f"x.{suffix}"
            save(path)
            again = ds.from_parquet(suffix, path)
            assert values_of(again) == values_of(table)
            assert again.to_arrow().schema.equals(table.to_arrow().schema, check_metadata=True)


@given(rows=ROWS)
@examples(50)
def test_any_table_comes_back_from_frames(rows):
    with scratch() as ds:
        table = write(ds.create_dataframe("people"), rows)
        frames = {
            "polars": table.to_polars(),
            "arrow": table.to_pandas(types="arrow"),
            "typed": table.to_pandas(types="typed"),
        }
        for name, frame in frames.items():
            make = ds.from_polars if name == "polars" else ds.from_pandas
            objects = name == "typed" and frame["town"].dtype == object
            if objects and any(frame[column].isna().all() for column in ("code", "town")):
                continue  # in older pandas, of which a column of objects says nothing of its type
            back = make(name, frame)
            assert values_of(back) == values_of(table), name
            if rows:
                assert list(back["sex"].keys.values()) == [b"f", b"m"]


def test_types_of_pandas(ds):
    table = write(ds.create_dataframe("t"), [ROW, (None,) * 7])
    typed = table.to_pandas(types="typed")
    assert typed["sex"].dtype == pd.CategoricalDtype(["f", "m"])
    assert str(typed["when"].dtype) == "datetime64[us, UTC]"
    assert str(typed["age"].dtype) == "Int8"
    arrow = table.to_pandas(types="arrow")
    assert all(isinstance(kind, pd.ArrowDtype) for kind in arrow.dtypes)
    assert arrow.isna().all(axis=1).tolist() == [False, True]
    assert table.to_pandas(types="raw")["sex"].tolist() == [4, pd.NA]
    assert table.to_pandas().equals(typed)
    assert table.to_pandas([1])["when"].isna().all()
    with pytest.raises(ArgumentError, match="types is"):
        table.to_pandas(types="numpy")


def test_exeteras_face_has_what_is_stored():
    with Session(exetera=True) as s:
        table = s.open_dataset("memory://raw.zarr", "w", "d").create_dataframe("t")
        table.create_categorical("sex", "int8", {"f": 1, "m": 2}).data.write([2, 1])
        table.create_timestamp("when").data.write([1.5, 2.0])
        table.create_fixed_string("code", 2).data.write([b"ab", b"c"])
        for given in ({}, {"types": "typed"}, {"types": "arrow"}):
            found = table.to_pandas(**given)
            assert found.to_dict("list") == {
                "sex": [2, 1],
                "when": [1.5, 2.0],
                "code": [b"ab", b"c"],
            }


def test_a_file_is_whole_or_not_there(ds, tmp_path):
    table = ds.create_dataframe("t")
    table.create_indexed_string("x").data.write(["a"] * 20 + [b"\xff"])
    path = tmp_path / "out" / "x.parquet"
    path.parent.mkdir()
    path.write_bytes(b"before")
    with pytest.raises(DataError, match="row 20"):
        table.to_parquet(path)
    assert path.read_bytes() == b"before"
    assert list(path.parent.iterdir()) == [path]
    table.to_parquet(path, raw=True)
    assert parquet.read_table(path).num_rows == 21
    for kind in (table.to_parquet, table.to_feather):
        with pytest.raises(UnsupportedError, match="zstd"):
            kind(path, compression="zip", raw=True)


def test_filters_give_whole_row_groups(ds, tmp_path):
    table = ds.create_dataframe("t")
    table.create_numeric("x", "int32").data.write(np.arange(100))
    table.to_parquet(tmp_path / "x.parquet", where=table["x"].data[:] % 2 == 0)
    found = parquet.ParquetFile(tmp_path / "x.parquet")
    assert (found.metadata.num_rows, found.num_row_groups) == (50, 1)


def test_folders_patterns_and_schemas(ds, tmp_path):
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    for number, name in enumerate(["a.parquet", "b.parquet", "deep/c.parquet"]):
        parquet.write_table(pa.table({"n": [number], "s": ["x"]}), folder / name)
    (folder / "notes.txt").write_text("no table")
    assert ds.from_parquet("all", folder)["n"].data[:].tolist() == [0, 1, 2]
    assert ds.from_parquet("some", f"{folder}/*.parquet")["n"].data[:].tolist() == [0, 1]
    two = [folder / "b.parquet", folder / "a.parquet"]
    assert ds.from_parquet("two", two)["n"].data[:].tolist() == [1, 0]
    parquet.write_table(pa.table({"n": ["0"], "s": ["x"]}), folder / "odd.parquet")
    with pytest.raises(DataError, match=r"odd.parquet has not the columns .* 'n' is of string"):
        ds.from_parquet("bad", folder)
    with pytest.raises(DataError, match=r"notes.txt is no Parquet or Arrow file"):
        ds.from_parquet("bad", folder / "notes.txt")
    (folder / "broken.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match=r"broken.parquet is no Parquet file"):
        ds.from_parquet("bad", folder / "broken.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="there are no Parquet"):
        ds.from_parquet("bad", tmp_path / "empty")
    assert "bad" not in ds


def test_files_in_memory_and_elsewhere():
    with Session() as s:
        ds = s.open_dataset("memory://files.zarr", "w", "d")
        table = write(ds.create_dataframe("t"), [ROW, (None,) * 7])
        table.to_parquet("memory://out/one.parquet")
        table.to_feather("memory://out/two.feather")
        assert values_of(ds.from_parquet("u", "memory://out/one.parquet")) == values_of(table)
        assert values_of(ds.from_parquet("v", "memory://out/two.feather")) == values_of(table)
        assert len(ds.from_parquet("w", "memory://out/*.parquet")["age"]) == 2


def test_metadata_is_kept_for_other_readers(ds, tmp_path):
    table = write(ds.create_dataframe("t"), [ROW])
    table.to_parquet(Path(tmp_path) / "x.parquet")
    assert b"exetera" in parquet.read_schema(tmp_path / "x.parquet").metadata


def test_a_lazy_frame_reads_what_a_query_needs(ds, place):
    pl = pytest.importorskip("polars")
    if ds.url.endswith("hdf5"):
        pytest.skip("a file that is open for writing")
    rows = [(n % 3, n / 2, None, "é", "m", DAY, "a") for n in range(10)]
    table = write(ds.create_dataframe("t"), rows)
    ds.commit()
    lazy = scan(ds.url, "t", storage_options=place.storage_options)
    whole = table.to_polars()
    ds.from_arrow("t", table.to_arrow(where=[True] * 2 + [False] * 8), mode="replace")
    ds.commit()
    assert lazy.collect().equals(whole)
    assert lazy.collect_schema() == whole.schema
    assert lazy.head(5).collect().equals(whole.head(5))
    found = lazy.filter(pl.col("age") == 2).select("weight").collect()
    assert found.equals(whole.filter(pl.col("age") == 2).select("weight"))
    assert lazy.group_by("sex").agg(pl.col("age").sum()).collect()["age"].to_list() == [9]
    newest = scan(ds.url, "t", storage_options=place.storage_options)
    assert len(newest.collect()) == 2


@pytest.mark.parametrize("before", ["", "memory://"])
def test_folders_of_any_name(ds, tmp_path, before):
    """Also one that would be a pattern, which stands for its neighbour."""
    root = f"{before}{tmp_path}"
    for name, value in {"exp[1]": 1, "exp1": 2}.items():
        table = ds.from_dict(name, {"a": [value], "k": ["x"]})
        table.to_parquet(f"{root}/{name}", partition_by="k")
        with pytest.raises(NameTakenError):
            table.to_parquet(f"{root}/{name}", partition_by="k")
    read = ds.from_parquet("read", f"{root}/exp[1]/")
    assert values_of(read) == [{"a": 1, "k": "x"}]
    if before:
        assert values_of(ds.from_parquet("again", f"{root}/*p1/")) == [{"a": 2, "k": "x"}]
