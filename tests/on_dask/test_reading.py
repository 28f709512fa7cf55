"""Tables as collections of Dask: the same rows, of the same types, and no more of them read."""

from __future__ import annotations

import pickle
from typing import Any

import dask
import dask.array as da
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from dask.dataframe.dask_expr._expr import Lengths, Literal
from hypothesis import given, settings
from hypothesis import strategies as st

from exetera_zarr import Session
from exetera_zarr.dask import conditions
from exetera_zarr.dask import opened as opening
from exetera_zarr.errors import (
    ArgumentError,
    ConflictError,
    DataError,
    FieldNotFoundError,
    UnsupportedError,
    VersionNotFoundError,
)
from exetera_zarr.testing import counting
from support.dask_tables import BLOCK, as_pandas, make_people, opened

LOCAL = {"scheduler": "synchronous"}


@pytest.fixture
def people(place):
    """A committed table of six blocks, of which the last is not full."""
    with Session() as s:
        ds = opened(s, place)
        table = make_people(ds)
        ds.commit()
        yield table


@pytest.fixture
def local_people(tmp_path):
    """The same in a folder."""
    with Session() as s:
        ds = s.open_dataset(str(tmp_path / "dask.zarr"), "w", "study")
        table = make_people(ds)
        ds.commit()
        yield table


def test_it_is_what_to_pandas_gives(people):
    found = people.to_dask()
    assert found.npartitions == 6
    assert found.divisions == (0, 7, 14, 21, 28, 35, 39)
    pd.testing.assert_frame_equal(found.compute(scheduler="threads"), as_pandas(people))
    for part in dask.compute(*found.to_delayed(), **LOCAL):
        pd.testing.assert_series_equal(part.dtypes, found.dtypes)


def test_types_are_those_of_arrow_or_what_is_stored(local_people):
    arrow = local_people.to_dask(types="arrow").compute(**LOCAL)
    pd.testing.assert_frame_equal(arrow, local_people.to_pandas(types="arrow"))
    raw = local_people.to_dask(types="raw").compute(**LOCAL)
    assert list(raw) == list(local_people)
    assert raw["sex"].tolist() == local_people["sex"].data[:].tolist()
    assert raw["town"].tolist() == [text.encode() for text in local_people["town"].data[:]]
    assert raw["seen"].dtype == np.float64


@pytest.mark.parametrize("blocks", [1, 2, 100])
def test_partitions_are_of_as_many_blocks(local_people, blocks):
    found = local_people.to_dask(["id", "town"], blocks=blocks)
    assert found.npartitions == -(-6 // blocks)
    pd.testing.assert_frame_equal(found.compute(**LOCAL), as_pandas(local_people, ["id", "town"]))


def test_how_many_rows_there_are_is_known_without_a_request(local_people):
    found = local_people.to_dask()
    with counting() as stores, dask.config.set(**LOCAL):
        assert len(found) == 40
        assert found.shape[0].compute() == 40
        assert len(found["age"]) == 40
        assert len(found.assign(more=found["age"] + 1)) == 40
        assert repr(found)
    assert not [call for store in stores for call in store.calls]
    with counting() as stores, dask.config.set(**LOCAL):
        assert len(found.partitions[1]) == BLOCK
    assert read_fields(stores) == set()


def test_lengths_are_told_to_the_optimizer(local_people):
    """What is here is no public part of Dask: this fails when Dask asks in another way."""
    expression = Lengths(local_people.to_dask()[["age", "town"]].expr).optimize()
    assert isinstance(expression, Literal)
    assert expression.value == (7, 7, 7, 7, 7, 5)


def read_fields(stores: Any) -> set[str]:
    keys = {key for store in stores for _, key in store.calls if "/c/" in key}
    return {key.split("/")[1] for key in keys}


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        (lambda d: d["dose"].sum(), {"dose"}),
        (lambda d: d[d["dose"] > 0]["id"].max(), {"dose", "id"}),
        (lambda d: d.groupby("sex", observed=True)["dose"].sum(), {"dose", "sex", "sex_valid"}),
        (lambda d: d.index.max(), set()),
        (lambda d: d[d["well"]].shape[0], {"well"}),
        (lambda d: d.assign(x=d["id"] * 2)[["x"]].sum(), {"id"}),
        (lambda d: d.merge(d[["id", "big"]], on="id")[["big_x"]].sum(), {"id", "big"}),
        (lambda d: d["age"].isna().sum(), {"age", "age_valid"}),
    ],
)
def test_only_the_columns_that_matter_are_read(local_people, query, fields):
    expected = query(as_pandas(local_people))
    collection = query(local_people.to_dask())
    opening._opened.datasets.clear()
    with counting() as stores:
        found = collection.compute(**LOCAL)
    assert read_fields(stores) == fields
    if isinstance(expected, pd.Series):
        pd.testing.assert_series_equal(found, expected, check_names=False)
    else:
        assert found == pytest.approx(expected, rel=1e-12)


WHERE = [
    ([("age", ">", 20)], lambda p: p["age"] > 20),
    ([("age", "!=", 3), ("well", "==", True)], lambda p: (p["age"] != 3) & p["well"]),
    ([[("id", "<", 2)], [("id", "=", 12)]], lambda p: (p["id"] < 2) | (p["id"] == 12)),
    ([("sex", "==", "f")], lambda p: p["sex"] == "f"),
    ([("sex", "not in", ["f"])], lambda p: (p["sex"] != "f") & p["sex"].notna()),
    ([("town", "in", ["Bath", ""])], lambda p: p["town"].isin(["Bath", ""])),
    ([("code", ">=", "c5")], lambda p: p["code"] >= "c5"),
    ([("seen", "<", "2020-09-20")], lambda p: p["seen"] < pd.Timestamp("2020-09-20", tz="UTC")),
    ([("age", "not in", [1, 3])], lambda p: ~p["age"].isin([1, 3]) & p["age"].notna()),
    ([("id", ">", 10**6)], lambda p: p["id"] > 10**6),
    ([("age", "in", [])], lambda p: p["age"].isin([])),
]


@pytest.mark.parametrize(("where", "chosen"), WHERE)
def test_a_condition_keeps_the_rows_that_pandas_keeps(local_people, where, chosen):
    plain = as_pandas(local_people)
    expected = plain[chosen(plain).fillna(False)]
    found = local_people.to_dask(where=where, blocks=2)
    pd.testing.assert_frame_equal(found.compute(**LOCAL), expected, check_index_type=False)
    assert len(found) == len(expected)
    assert found["id"].compute(**LOCAL).tolist() == expected["id"].tolist()
    assert found.known_divisions


def test_zones_rule_out_partitions_and_blocks(local_people):
    found = local_people.to_dask(where=[("id", ">=", 10)])
    assert found.npartitions == 2  # rows 30 to 39
    assert found.divisions == (28, 35, 39)
    opening._opened.datasets.clear()
    with counting() as stores:
        towns = found["town"].compute(**LOCAL).tolist()
    assert towns == as_pandas(local_people)["town"][30:].tolist()
    chunks = {key for store in stores for key in store.chunks("get")}
    assert {key for key in chunks if "/id/" in key} == {
        "people/id/values/c/4",
        "people/id/values/c/5",
    }


NUMBERS = {
    "uint64": [0, 5, 2**63 - 298, 2**63 + 330, 2**63 + 331, 2**64 - 1],
    "int64": [-(2**63), -(2**53) - 1, 0, 2**53, 2**53 + 1, 2**63 - 1],
    "uint8": [0, 1, 254, 255],
    "float64": [float("-inf"), -(2.0**53), 0.5, 2.0**53, 2.0**53 + 2, 1e300, float("inf")],
}
BOUNDS = [bound for values in NUMBERS.values() for bound in values]
BOUNDS += [-1, 256, 4.5, 2**53 + 1.0, 2**63 + 329, 2**63 - 298.0, 2**64, -(2**64), -(2**2000)]
BOUNDS += [np.uint64(2**63)]


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_are_compared_exactly(tmp_path, kind):
    """As Python does, also beyond what floats and 64 bits hold."""
    values = NUMBERS[kind]
    with Session(row_block=3) as s:
        ds = s.open_dataset(str(tmp_path / "x.zarr"), "w", "d")
        kept = pa.array([*values, None], kind.replace("float64", "double"))
        table = ds.from_dict("t", {"n": kept})
        ds.commit()
        for operator, keeps in conditions._COMPARISONS.items():
            for bound in BOUNDS:
                plain = bound.item() if isinstance(bound, np.generic) else bound
                condition = conditions.as_condition(
                    table, conditions.checked(table, [("n", operator, bound)])
                )
                found = pa.table({"n": kept}).filter(condition)["n"].to_pylist()
                assert found == [v for v in values if keeps(v, plain)], (operator, bound)
        for where, wanted in {
            (("n", "in", tuple(BOUNDS)),): values,
            (("n", "not in", tuple(BOUNDS)),): [],
            (("n", "in", (0.25, 2**65)),): [],
            (("n", ">", 2**63 + 330),): [v for v in values if v > 2**63 + 330],
            (("n", "<", 2**63 - 298),): [v for v in values if v < 2**63 - 298],
        }.items():
            assert table.to_dask(where=list(where)).compute(**LOCAL)["n"].tolist() == wanted


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("age > 3", "list of comparisons"),
        ([("age", ">")], "name, operator, value"),
        ([("age", "~", 3)], "no comparison"),
        ([("age", ">", None)], "isna"),
        ([("age", ">", "old")], "numbers"),
        ([("sex", "==", "q")], "no category 'q'"),
        ([("town", "==", 3)], "holds text"),
        ([("age", "in", 3)], "list of values"),
        ([], "no comparison"),
    ],
)
def test_a_condition_that_is_none_is_told(local_people, where, words):
    with pytest.raises(ArgumentError, match=words):
        local_people.to_dask(where=where)


def test_a_condition_names_the_fields_there_are(local_people):
    with pytest.raises(FieldNotFoundError, match="'age'"):
        local_people.to_dask(where=[("aeg", ">", 3)])


@pytest.mark.parametrize("how", ["inner", "left", "outer", "right"])
def test_partitions_begin_with_the_first_row_of_a_key(local_people, how):
    """Else rows of one key would be in two partitions, and a merge would lose pairs."""
    found = local_people.to_dask(["age", "code"], index="id")
    assert found.divisions == (0, 2, 4, 7, 9, 11, 13)
    plain = as_pandas(local_people, ["id", "age", "code"]).set_index("id")
    pd.testing.assert_frame_equal(found.compute(**LOCAL), plain)
    other = found[["code"]].rename(columns={"code": "other"})
    merged = found.merge(other, left_index=True, right_index=True, how=how)
    with dask.config.set(**LOCAL):
        pd.testing.assert_frame_equal(
            merged.compute(),
            plain.merge(
                plain[["code"]].rename(columns={"code": "other"}),
                left_index=True,
                right_index=True,
                how=how,
            ),
        )
        pd.testing.assert_frame_equal(found.loc[4].compute(), plain.loc[[4]])


@settings(max_examples=20)
@given(
    keys=st.lists(st.integers(0, 4), max_size=30).map(sorted),
    block=st.integers(1, 6),
    kind=st.sampled_from(["numeric", "text", "fixed", "timestamp"]),
    later=st.integers(0, 3),
)
def test_any_sorted_key(keys, block, kind, later):
    with Session() as s:
        ds = s.open_dataset("memory://sorted-keys.zarr", "w", "study")
        table = ds.create_dataframe("t", row_block=block)
        values: Any = keys
        if kind == "numeric":
            key = table.create_numeric("key", "int32")
        elif kind == "timestamp":
            key = table.create_timestamp("key")
        else:
            values = [f"k{k}" for k in keys]
            key = (
                table.create_indexed_string("key")
                if kind == "text"
                else table.create_fixed_string("key", 3)
            )
        half = len(keys) // 2 if later else len(keys)
        key.data.write(values[:half])
        table.create_numeric("row", "int64").data.write(np.arange(half))
        ds.commit()
        if later:
            table.append({"key": values[half:], "row": np.arange(half, len(keys))})
            ds.commit()
        found = table.to_dask(index="key")
        got = found.compute(**LOCAL)
        assert got["row"].tolist() == list(range(len(keys)))
        if keys:
            assert list(found.divisions[:-1]) == sorted(set(found.divisions[:-1]))
            assert len(found) == len(keys)
            for number in {keys[0], keys[len(keys) // 2]}:
                label = values[keys.index(number)]
                label = pd.Timestamp(label, unit="s", tz="UTC") if kind == "timestamp" else label
                rows = found.loc[label].compute(**LOCAL)["row"].tolist()
                assert rows == [n for n, k in enumerate(keys) if k == number]
        by_row = table.to_dask()
        assert by_row["row"].compute(**LOCAL).tolist() == list(range(len(keys)))
        assert len(by_row) == len(keys)


def test_what_cannot_be_the_index_is_told(local_people):
    with pytest.raises(DataError, match="not in the order of field people/well"):
        local_people.to_dask(index="well")
    with pytest.raises(UnsupportedError, match="missing values"):
        local_people.to_dask(index="age")
    with pytest.raises(UnsupportedError, match="categories"):
        local_people.to_dask(index="sex")
    with pytest.raises(DataError, match="is missing"):
        local_people.to_dask(index="dose")
    with pytest.raises(ArgumentError, match="blocks"):
        local_people.to_dask(blocks=0)
    with pytest.raises(ArgumentError, match="types"):
        local_people.to_dask(types="pandas")


def test_changes_that_are_not_committed_are_told(place):
    with Session() as s:
        ds = opened(s, place)
        table = make_people(ds)
        other = make_people(ds, name="other")
        with pytest.raises(ArgumentError, match="call commit"):
            table.to_dask()
        ds.commit()
        assert len(table.to_dask()) == 40
        other.append(table)
        with pytest.raises(ArgumentError, match="call commit"):
            other.to_dask()
        with pytest.raises(ArgumentError, match="call commit"):
            other["id"].to_dask_array()
        assert len(table.to_dask()) == 40


def test_it_reads_the_version_that_was_there(local_people):
    found = local_people.to_dask(["id"])
    local_people.append(local_people)
    local_people.dataset.commit()
    assert len(found.compute(**LOCAL)) == 40
    assert len(local_people.to_dask().compute(**LOCAL)) == 80
    assert local_people.to_dask().divisions[-1] == 79


def test_an_old_version_is_read_as_it_was(local_people, tmp_path):
    local_people.delete([0])
    local_people.dataset.commit()
    with Session() as s:
        ds = s.open_dataset(str(tmp_path / "dask.zarr"), version=1)
        assert len(ds["people"].to_dask().compute(**LOCAL)) == 40


def test_a_version_that_is_gone_is_told(local_people):
    found = local_people.to_dask()
    ds = local_people.dataset
    local_people.delete([0])
    ds.commit()
    ds.vacuum(keep=1, older_than=0)
    opening._opened.datasets.clear()
    with pytest.raises(VersionNotFoundError, match="version 1"):
        found.compute(**LOCAL)


def test_another_dataset_at_the_place_is_told(tmp_path):
    """A folder of the same name on the disk of a worker is not that of the client."""
    url = str(tmp_path / "x.zarr")
    with Session() as s:
        ds = s.open_dataset(url, "w", "study")
        table = make_people(ds)
        ds.commit()
        found = table.to_dask()
    (tmp_path / "x.zarr").rename(tmp_path / "away.zarr")
    with Session() as s:
        ds = s.open_dataset(url, "w", "study")
        make_people(ds)
        ds.commit()
        opening._opened.datasets.clear()
        with pytest.raises(ConflictError, match="not the dataset that was meant"):
            found.compute(**LOCAL)


def test_columns_of_a_view_are_those_of_its_table(local_people):
    view = local_people[["town", "age"]]
    pd.testing.assert_frame_equal(
        view.to_dask().compute(**LOCAL), as_pandas(local_people, ["town", "age"])
    )
    renamed = local_people.rename(columns={"age": "years"})[["years", "id"]]
    found = renamed.to_dask(where=[("years", ">", 20)]).compute(**LOCAL)
    plain = as_pandas(local_people, ["age", "id"])
    expected = plain[(plain["age"] > 20).fillna(False)].rename(columns={"age": "years"})
    pd.testing.assert_frame_equal(found, expected, check_index_type=False)


def test_chosen_rows_of_a_view_are_refused(local_people):
    with pytest.raises(UnsupportedError, match="where="):
        local_people[local_people["age"] > 20].to_dask()
    with pytest.raises(UnsupportedError, match="assign"):
        local_people.assign(x=local_people["age"] + 1).to_dask()
    with pytest.raises(UnsupportedError, match="session's own"):
        local_people.groupby("sex").count().to_dask()


def test_hdf5_files_are_refused(tmp_path):
    pytest.importorskip("h5py")
    with Session() as s:
        table = make_people(s.open_dataset(str(tmp_path / "x.hdf5"), "w", "study"))
        with pytest.raises(UnsupportedError, match="convert"):
            table.to_dask()


def test_in_the_face_of_exetera_it_is_what_is_stored(tmp_path):
    with Session(exetera=True) as s:
        ds = s.open_dataset(str(tmp_path / "x.zarr"), "w", "study")
        table = ds.create_dataframe("t")
        table.create_numeric("age", "int8").data.write([1, 0])
        table.create_numeric("age_valid", "bool").data.write([True, False])
        ds.commit()
        found = table.to_dask().compute(**LOCAL)
        assert found.to_dict("list") == {"age": [1, 0], "age_valid": [True, False]}
        assert table["age"].to_dask_array().compute().tolist() == [1, 0]


def test_an_empty_table_has_one_empty_partition(tmp_path):
    with Session() as s:
        ds = s.open_dataset(str(tmp_path / "x.zarr"), "w", "study")
        table = make_people(ds, rows=0)
        ds.commit()
        found = table.to_dask()
        pd.testing.assert_frame_equal(found.compute(**LOCAL), as_pandas(table))
        assert len(table.to_dask(where=[("id", ">", 0)], index="id")) == 0
        assert table["dose"].to_dask_array().compute().tolist() == []


def test_names_of_tasks_are_those_of_what_they_read(local_people):
    """Two processes, or two calls, ask for the same thing by the same name."""
    first, again = local_people.to_dask(), local_people.to_dask()
    assert first._name == again._name
    assert first._name != local_people.to_dask(types="raw")._name
    assert first._name != local_people.to_dask(["age"])._name
    assert local_people["id"].to_dask_array().name == local_people["id"].to_dask_array().name
    assert pickle.loads(pickle.dumps(first)).divisions == first.divisions


def test_text_that_is_none_names_its_row(tmp_path):
    with Session() as s:
        ds = s.open_dataset(str(tmp_path / "x.zarr"), "w", "study")
        table = ds.create_dataframe("t", row_block=2)
        table.create_fixed_string("code", 2).data.write([b"a", b"b", b"c", b"\xff"])
        ds.commit()
        with pytest.raises(DataError, match=r"row 3 of field t/code .* no UTF-8"):
            table.to_dask().compute(**LOCAL)


# -- arrays


def test_a_column_is_an_array(people):
    found = people["dose"].to_dask_array()
    assert isinstance(found, da.Array)
    assert found.chunks == ((7, 7, 7, 7, 7, 5),)
    np.testing.assert_array_equal(found.compute(**LOCAL), people["dose"].data[:])
    np.testing.assert_array_equal(found[3:30:4].compute(**LOCAL), people["dose"].data[3:30:4])
    np.testing.assert_array_equal(found[30:3:-4].compute(**LOCAL), people["dose"].data[30:3:-4])
    np.testing.assert_array_equal(
        found[[3, 1, 30]].compute(**LOCAL), people["dose"].data[[3, 1, 30]]
    )
    assert found[11].compute(**LOCAL) == people["dose"].data[11]
    codes = people["code"].to_dask_array(blocks=2)
    assert codes.compute(**LOCAL).tolist() == people["code"].data[:].tolist()
    assert codes.chunks == ((14, 14, 12),)


def test_a_slice_reads_its_chunks_alone(local_people):
    found = local_people["dose"].to_dask_array()
    opening._opened.datasets.clear()
    with counting() as stores:
        found[8:13].sum().compute(**LOCAL)
    assert {key for store in stores for key in store.chunks("get")} == {"people/dose/values/c/1"}


def test_an_array_has_no_sign_for_what_is_missing(local_people):
    age = local_people["age"]
    with pytest.raises(DataError, match=r"row \d+ of field people/age is missing"):
        age.to_dask_array().compute(**LOCAL)
    found = age.to_dask_array(missing="nan").compute(**LOCAL)
    np.testing.assert_array_equal(found, [np.nan if n % 5 == 2 else n for n in range(40)])
    assert age.to_dask_array(missing="stored").compute(**LOCAL).tolist() == age.data[:].tolist()
    with pytest.raises(DataError, match="exactly"):
        local_people["big"].to_dask_array(missing="nan").compute(**LOCAL)


def test_strings_are_no_array(local_people):
    with pytest.raises(UnsupportedError, match="to_dask"):
        local_people["town"].to_dask_array()
    with pytest.raises(UnsupportedError, match="in this process alone"):
        (local_people["id"] + 1).to_dask_array()
    with pytest.raises(ArgumentError, match="missing"):
        local_people["id"].to_dask_array(missing="zero")


# -- views of a cluster


def test_no_secret_is_in_what_tasks_carry(monkeypatch, tmp_path):
    from exetera_zarr.storage.remote.options import way_to

    secret = "canary-4c1d"
    way = way_to(
        "s3://bucket/x.zarr",
        {
            "key": secret,
            "secret": secret,
            "token": secret,
            "credentials": lambda: {"secret": secret},
            "client_kwargs": {"region_name": "eu-west-2", "aws_secret_access_key": secret},
            "config_kwargs": {"read_timeout": 3, "proxies": {"https": secret}},
            "endpoint_url": f"https://user:{secret}@minio:9000",
            "profile": "study",
            "anything": secret,
        },
    )
    assert secret not in repr(way) + str(pickle.dumps(way))
    assert '"region_name": "eu-west-2"' in way.options
    assert '"https://minio:9000"' in way.options
    assert "secret" in way.withheld
    assert "client_kwargs['aws_secret_access_key']" in way.withheld
    assert (
        way_to(f"https://user:{secret}@host/x.zarr?sig={secret}", {}).url == "https://host/x.zarr"
    )


def test_a_scan_asks_for_each_block_once(local_people):
    """And for one manifest in each process; nothing is listed."""
    found = local_people.to_dask(["id", "dose", "code"])
    opening._opened.datasets.clear()
    with counting() as stores:
        found.compute(**LOCAL)
    calls = [call for store in stores for call in store.calls]
    assert len(calls) == 1 + 3 * 6
    assert {verb for verb, _ in calls} == {"get"}


@pytest.mark.parametrize("key", ["sex", ["town", "age"]])
def test_groups_are_those_of_pandas_as_the_page_says(local_people, key):
    """By dropna=True no group is of missing keys; integers are made floats for their squares."""
    found = local_people.to_dask().astype({"id": "float64"}).groupby(key, dropna=True)
    expected = as_pandas(local_people).groupby(key, dropna=True)
    for aggregate in ("sum", "mean", "var", "std"):
        for column in ("id", "dose"):
            groups = getattr(found[column], aggregate)().compute(**LOCAL)
            pd.testing.assert_series_equal(
                groups.sort_index().astype("float64"),
                getattr(expected[column], aggregate)().sort_index().astype("float64"),
                check_index_type=False,
                check_categorical=False,
            )
