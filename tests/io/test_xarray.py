"""Tables as datasets of xarray: lazily, with names, points in time and what is missing."""

from __future__ import annotations

import datetime as dt
import pickle
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from exetera_zarr import DataError, Session, TableNotFoundError
from exetera_zarr.errors import ArgumentError
from exetera_zarr.io.arrow.stream import ArrowStream
from support.hostile import hostile_server
from support.missing import ROWS, close_scratch, examples, scratch, values_of, write

xr = pytest.importorskip("xarray")
from exetera_zarr.io.xarray.backend import ExeteraBackend  # noqa: E402

DAY = dt.datetime(2020, 1, 1, 12, 30, tzinfo=dt.UTC)
SOME = [
    (
        *(n % 3 if n % 5 else None, n / 2, n % 3 == 0, f"é{n}" if n % 4 else None),
        *("fm"[n % 2], DAY if n % 6 else None, "a" if n % 7 else None),
    )
    for n in range(23)
]


@pytest.fixture(scope="module", autouse=True)
def _closed_in_the_end():
    yield
    close_scratch()


@pytest.fixture
def where(place):
    """A dataset with one table, committed: its address and options."""
    with Session(row_block=4) as s:
        ds = s.open_dataset(place.url("x.zarr"), "w", "d", storage_options=place.storage_options)
        table = write(ds.create_dataframe("people"), SOME)
        table.label = "People"
        table["age"].label, table["age"].unit = "Age at entry", "years"
        url = ds.url
    return url, {"storage_options": place.storage_options, "engine": ExeteraBackend}


def shown(dataset, name):
    """The values of a variable as `values_of` gives those of a field."""
    values = dataset[name].values
    if values.dtype.kind == "M":
        return [None if np.isnat(v) else v.item().replace(tzinfo=dt.UTC) for v in values]
    return [None if pd.isna(v) else v for v in values.tolist()]


@given(rows=ROWS)
@examples(50)
def test_any_table_is_the_same_in_xarray(rows):
    with scratch() as ds:
        table = write(ds.create_dataframe("people"), rows)
        found = table.to_xarray()
        assert dict(found.sizes) == {"row": len(rows)}
        for name in table.to_arrow().column_names:
            assert shown(found, name) == [row[name] for row in values_of(table)], name


def test_a_table_is_opened_and_read_when_needed(where, monkeypatch):
    url, options = where
    read = []
    made = ArrowStream.read
    monkeypatch.setattr(
        ArrowStream,
        "read",
        lambda self, a, b: (read.append((self._names, a, b)), made(self, a, b))[1],
    )
    with xr.open_dataset(url, **options) as found:
        assert read == []
        assert dict(found.sizes) == {"row": 23}
        assert found.attrs["title"] == "People"
        assert found["age"].attrs == {"long_name": "Age at entry", "units": "years"}
        assert found["sex"].attrs["categories"] == ["f", "m"]
        assert found["age"].isel(row=slice(3, 6)).values.tolist()[:2] == [0.0, 1.0]
        assert read == [(["age"], 3, 6)]
        whole = found.load()
    with Session() as s:
        table = s.open_dataset(url, "r", storage_options=options["storage_options"])["people"]
        assert whole.identical(table.to_xarray())


@pytest.mark.parametrize(
    "index",
    [0, -1, slice(None), slice(20, 3, -3), slice(5, 5), [20, 3, 3, -1], np.arange(23) % 2 == 0, []],
    ids=str,
)
def test_rows_are_chosen_as_numpy_has_it(where, index):
    url, options = where
    with xr.open_dataset(url, **options) as found:
        whole = found.load().copy(deep=True)
    with xr.open_dataset(url, **options) as found:
        for name in whole:
            chosen = found[name][index] if isinstance(index, int) else found[name].isel(row=index)
            assert chosen.identical(whole[name].isel(row=index)), name


def test_raw_values_tell_of_themselves(where):
    """By the words of CF, so that xarray itself decodes them."""
    url, options = where
    with xr.open_dataset(url, raw=True, drop_variables="town", **options) as found:
        assert "town" not in found
        sex = found["sex"]
        assert (sex.attrs["flag_values"].tolist(), sex.attrs["flag_meanings"]) == ([3, 4], "f m")
        assert sex.values.tolist()[:2] == [3, 4]
        assert found["when"].attrs["units"] == "seconds since 1970-01-01"
        assert "age_valid" in found
        assert found["age"].dtype == np.int8
        decoded = xr.decode_cf(found)
        assert decoded["when"].values[1] == np.datetime64("2020-01-01T12:30")


def test_a_reader_keeps_its_version_also_in_another_process(where):
    url, options = where
    if url.endswith("hdf5"):
        pytest.skip("a file has no versions")
    with xr.open_dataset(url, **options) as found:
        again = found if url.startswith("memory") else pickle.loads(pickle.dumps(found))
        with Session() as s:
            ds = s.open_dataset(url, "r+", storage_options=options["storage_options"])
            ds["people"].append({"age": [99]}, missing="fill")
        if options["storage_options"]:
            return  # whose secrets are not in the pickle
        assert again["age"].values.tolist()[-1] == found["age"].values.tolist()[-1] != 99
        again.close()


def test_a_login_in_a_url_is_neither_shown_nor_pickled(tmp_path):
    with Session() as s:
        ds = s.open_dataset(str(tmp_path / "x.zarr"), "w", "d")
        for name in ("people", "visits"):
            ds.from_dict(name, {"n": [1, 2]})
    with hostile_server() as server:
        for path in (tmp_path / "x.zarr").rglob("*.*"):
            server.objects[str(path.relative_to(tmp_path))] = path.read_bytes()
        url = f"http://user:canary-5b@127.0.0.1:{server.port}/x.zarr"
        with pytest.raises(ArgumentError) as caught:
            xr.open_dataset(url, engine=ExeteraBackend)
        assert "canary" not in str(caught.value)
        with xr.open_dataset(url, engine=ExeteraBackend, group="people") as found:
            assert b"canary" not in pickle.dumps(found.variables["n"]._data)


def test_which_table_is_said_or_is_the_only_one(where):
    url, options = where
    with Session() as s:
        ds = s.open_dataset(url, "r+", storage_options=options["storage_options"])
        ds.from_dict("visits", {"n": [1, 2]})
    with pytest.raises(ArgumentError, match=r"has the tables 'people'.*group='name'"):
        xr.open_dataset(url, **options)
    with xr.open_dataset(url, group="visits", **options) as found:
        assert found["n"].values.tolist() == [1, 2]
    with pytest.raises(TableNotFoundError):
        xr.open_dataset(url, group="nobody", **options)
    with xr.open_datatree(url, **options) as tree:
        assert sorted(tree.children) == ["people", "visits"]
        assert tree["visits/n"].values.tolist() == [1, 2]


def test_large_whole_numbers_are_not_rounded():
    with Session() as s:
        ds = s.open_dataset("memory://large.zarr", "w", "d")
        table = ds.from_dict("t", {"id": [2**53 + 1, 5], "k": [2**53 + 1, None]})
        assert table.to_xarray("id")["id"].values.tolist() == [2**53 + 1, 5]
        with pytest.raises(DataError, match="9007199254740993"):
            table.to_xarray()
        assert table.to_xarray(raw=True)["k"].dtype == np.int64


def test_the_engine_has_a_name():
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert '[project.entry-points."xarray.backends"]' in text
    line = next(line for line in text.splitlines() if "ExeteraBackend" in line)
    name, value = (part.strip(' "') for part in line.split("="))
    assert name == "exetera_zarr"
    assert EntryPoint(name, value, "xarray.backends").load() is ExeteraBackend
    assert ExeteraBackend().guess_can_open("x.zarr") is False


def test_dasks_chunks_are_the_row_blocks(place):
    """And what is reckoned of them is right, of numbers, texts, categories and points in time."""
    array = pytest.importorskip("dask.array")
    import dask

    rows = 1050
    with Session(row_block=100) as s:
        ds = s.open_dataset(place.url("d.zarr"), "w", "d", storage_options=place.storage_options)
        table = ds.create_dataframe("t")
        ages = [n % 90 if n % 7 else None for n in range(rows)]
        table.create_numeric("age", "int16").data.write(ages)
        table.create_numeric("x", "float64").data.write(np.arange(rows) / 4)
        table.create_indexed_string("town").data.write([f"town {n % 5}" for n in range(rows)])
        codes = np.arange(rows) % 2 + 3
        table.create_categorical("sex", "int8", {"f": 3, "m": 4}).data.write(codes)
        table.create_timestamp("seen").data.write(np.arange(rows) * 86400.0)
        url = ds.url
    how = {"storage_options": place.storage_options, "engine": ExeteraBackend}
    blocks = (*[100] * 10, 50)
    with dask.config.set(scheduler="threads", num_workers=2):
        lazy = xr.open_dataset(url, group="t", chunks={}, **how)
        assert set(lazy.data_vars) == {"age", "x", "town", "sex", "seen"}
        for variable in lazy.data_vars.values():
            assert isinstance(variable.data, array.Array)
            assert variable.data.chunks == (blocks,)
        there = [age for age in ages if age is not None]
        assert float(lazy["age"].sum()) == sum(there)
        assert int(lazy["age"].count()) == len(there)
        assert float(lazy["x"].mean()) == float(np.mean(np.arange(rows) / 4))
        women = lazy["x"].where(lazy["sex"] == "f").sum()
        assert float(women) == float(np.sum(np.arange(rows)[codes == 3] / 4))
        assert int((lazy["town"] == "town 3").sum()) == rows // 5
        days = lazy["seen"].dt.day.values
        assert days.tolist() == pd.to_datetime(np.arange(rows), unit="D").day.tolist()
        some = lazy.isel(row=slice(250, 260)).compute()
        assert some["age"].values.tolist() == [
            float(n % 90) if n % 7 else pytest.approx(np.nan, nan_ok=True) for n in range(250, 260)
        ]
        assert xr.open_dataset(url, group="t", chunks={"row": 300}, **how)["x"].chunks == (
            (300, 300, 300, 150),
        )


def test_a_field_of_a_name_that_trees_do_not_have(tmp_path):
    url = str(tmp_path / "x.zarr")
    with Session() as s:
        ds = s.open_dataset(url, "w", "d")
        ds.from_dict("t", {"a": [1]})
        ds.from_dict("u", {"n 1/2": [1, 2], "b": [3, 4]})
        ds.commit()
    with pytest.raises(ArgumentError) as told:
        xr.open_datatree(url, engine=ExeteraBackend)
    assert "no variable called 'n 1/2'" in str(told.value)
    with xr.open_dataset(url, engine=ExeteraBackend, group="u") as alone:  # as it says
        assert alone["n 1/2"].values.tolist() == [1, 2]
    with xr.open_datatree(url, engine=ExeteraBackend, drop_variables="n 1/2") as tree:
        assert tree["u/b"].values.tolist() == [3, 4]
