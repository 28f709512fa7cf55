"""Tables to Arrow and its neighbours, and back: equal, nulls, categories and order included."""

from __future__ import annotations

import datetime as dt
import decimal
import re
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exetera_zarr import DataError, NameTakenError, Session, merge
from exetera_zarr.errors import ArgumentError, ArgumentTypeError
from support.missing import (
    ROWS,
    WAYS,
    close_scratch,
    scratch,
    values_of,
    visible,
    write,
)

pl = pytest.importorskip("polars")
DOCS = Path(__file__).parents[2] / "docs"
DAY = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module", autouse=True)
def _closed_in_the_end():
    yield
    close_scratch()


@pytest.fixture
def ds(place):
    with Session(row_block=4) as s:
        yield s.open_dataset(place.url("x.zarr"), "w", "d", storage_options=place.storage_options)


def same(one, other):
    """Whether tables are the same, to the bits of what is stored; and where they are not."""
    left, right = one.to_arrow(raw=True), other.to_arrow(raw=True)
    assert left.schema.names == right.schema.names
    assert left.schema.equals(right.schema, check_metadata=True)
    for name in left.schema.names:
        a, b = left[name].to_numpy(), right[name].to_numpy()
        np.testing.assert_array_equal(a, b, err_msg=name)
    assert one.companions() == other.companions()


# -- out


def test_nulls_names_and_moments(ds):
    table = write(
        ds.create_dataframe("people"),
        [(1, 1.5, True, "é", "m", DAY, "a"), (None,) * 7, (3, 2.5, False, "", "f", DAY, "")],
    )
    found = table.to_arrow()
    assert [str(kind) for kind in found.schema.types] == [
        "int8",
        "double",
        "bool",
        "large_string",
        "dictionary<values=string, indices=int8, ordered=0>",
        "timestamp[us, tz=UTC]",
        "large_string",
    ]
    assert found.to_pylist() == values_of(table)
    assert [column.null_count for column in found.columns] == [1] * 7
    found.validate(full=True)


def test_names_that_do_not_occur_stay_in_the_order_of_their_codes(ds):
    table = ds.create_dataframe("t")
    table.create_categorical("c", "int16", {"z": 7, "a": -3, "m": 300}).data.write([300, 7])
    (column,) = table.to_arrow()["c"].chunks
    assert column.dictionary.to_pylist() == ["a", "z", "m"]
    assert column.indices.to_pylist() == [2, 1]


def test_what_is_stored(ds):
    table = write(ds.create_dataframe("t"), [(None,) * 7, (1, 1.5, True, "x", "m", DAY, "a")])
    found = table.to_arrow(raw=True)
    assert found.column_names == list(table)
    assert found["age"].to_pylist() == [0, 1]
    assert found["age_valid"].to_pylist() == [False, True]
    assert found["sex"].to_pylist() == [0, 4]
    assert found["when"].to_pylist()[1] == DAY.timestamp()
    assert found["code"].to_pylist() == [b"", b"a"]
    assert all(column.null_count == 0 for column in found.columns)


def test_columns_are_chosen_by_name(ds):
    table = write(ds.create_dataframe("t"), [(None,) * 7])
    assert table.to_arrow("age").column_names == ["age"]
    assert table.to_arrow(["town", "age_valid", "age"]).to_pylist() == [
        {"town": None, "age_valid": False, "age": None}
    ]
    with pytest.raises(ArgumentError, match="twice"):
        table.to_arrow(["age", "age"])
    with pytest.raises(ValueError, match="no field 'agee'"):
        table.to_arrow(["agee"])


def test_blocks_of_which_nothing_is_kept_are_not_read(ds):
    table = ds.create_dataframe("t")
    table.create_numeric("a", "int32").data.write(np.arange(40))
    table.create_indexed_string("s").data.write([str(n) for n in range(40)])
    stream = table._arrow_stream(where=np.arange(40) >= 37)
    batches = list(stream.batches())
    assert [batch.num_rows for batch in batches] == [3]
    assert batches[0]["s"].to_pylist() == ["37", "38", "39"]
    assert table.to_arrow(where=table["a"] > 99).num_rows == 0
    with pytest.raises(IndexError, match="table 't'"):
        table.to_arrow(where=[True])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda t: t.create_indexed_string("x").data.write([b"ok", b"\xff"]), "row 1 of field t/x"),
        (lambda t: t.create_fixed_string("x", 2).data.write([b"ok", b"\xff"]), "row 1 of field"),
        (lambda t: t.create_timestamp("x").data.write([0.0, np.inf]), "row 1 of field t/x is inf"),
        (
            lambda t: t.create_categorical("x", "int8", {1: "a", 2: "a"}).data.write([1, 2]),
            "two codes of field t/x have the same name, 'a'",
        ),
    ],
)
def test_what_arrow_cannot_hold_is_an_error_and_raw_gives_it(ds, make, message):
    table = ds.create_dataframe("t")
    make(table)
    with pytest.raises(DataError, match=message) as error:
        table.to_arrow()
    assert "raw=True" in str(error.value)
    assert table.to_arrow(raw=True).num_rows == 2


def test_an_error_names_the_row_in_the_table(ds):
    table = ds.create_dataframe("t")
    table.create_indexed_string("x").data.write([b""] * 9 + [b"\xff"])
    with pytest.raises(DataError, match="row 9 of"):
        table.to_arrow(where=np.arange(10) % 2 == 1)


def test_a_code_without_a_name(place):
    with Session(exetera=True) as s:
        ds = s.open_dataset(place.url("y.zarr"), "w", "d", storage_options=place.storage_options)
        ds.create_dataframe("t").create_categorical("c", "int8", {"a": 1}).data.write([1, 5])
        assert ds["t"].to_arrow()["c"].to_pylist() == [1, 5]
    with Session() as s:
        ds = s.open_dataset(place.url("y.zarr"), "r", "d", storage_options=place.storage_options)
        with pytest.raises(DataError, match="row 1 of field t/c has the code 5"):
            ds["t"].to_arrow()


def test_each_reader_reads_anew(ds):
    table = write(
        ds.create_dataframe("t"), [(n, n / 2, n > 1, "x", "f", DAY, "a") for n in range(9)]
    )
    assert pa.table(table).equals(table.to_arrow())
    assert pa.schema(table) == table.to_arrow().schema
    assert pl.DataFrame(table)["age"].to_list() == list(range(9))
    for _ in range(2):
        assert duckdb.sql("SELECT sum(age), count(*) FROM 'table'").fetchall() == [(36, 9)]


def test_a_table_is_no_array(ds):
    table = write(ds.create_dataframe("t"), [(None,) * 7])
    for make in (np.asarray, pd.DataFrame):
        with pytest.raises(ArgumentTypeError, match="to_pandas"):
            make(table)


def test_memory_is_bounded(tmp_path):
    """A block at a time, however many there are: nothing of the blocks before stays."""
    with Session(row_block=1000) as s:
        table = s.open_dataset(f"{tmp_path}/x.zarr", "w", "d").create_dataframe("t")
        table.create_numeric("a", "int64").data.write(np.arange(20_000))
        reader = pa.RecordBatchReader.from_stream(table)
        before, most = pa.total_allocated_bytes(), 0
        for batch in reader:
            assert batch.num_rows == 1000
            most = max(most, pa.total_allocated_bytes() - before)
        assert most < 100_000


# -- and back


@given(rows=ROWS, way=st.sampled_from(WAYS))
def test_any_table_comes_back(rows, way):
    with scratch() as ds:
        table = write(ds.create_dataframe("people"), rows, way=way)
        whole = table.to_arrow()
        assert whole.to_pylist() == values_of(table)
        again = ds.from_arrow("again", whole)
        assert visible(again) == visible(table)
        assert values_of(again) == values_of(table)
        assert again.to_arrow().schema.equals(whole.schema)
        tables = [again, ds.from_arrow("raw", table.to_arrow(raw=True))]
        tables.append(ds.from_arrow("third", table))
        for other in tables:
            assert values_of(other) == values_of(table)
            if way == "none":  # else something may be stored where nothing is
                same(other, table)


@given(rows=ROWS)
def test_any_table_goes_to_others_and_back(rows):
    with scratch() as ds:
        table = write(ds.create_dataframe("people"), rows)
        theirs = pl.DataFrame(table)
        back = ds.from_polars("polars", theirs)
        assert values_of(back) == values_of(table)


def test_rows_without_a_partner_share_a_companion(ds):
    left, right = ds.create_dataframe("left"), ds.create_dataframe("right")
    for table, ids in ((left, [1, 2, 3]), (right, [2, 3, 4])):
        table.create_numeric("id", "int32").data.write(ids)
        table.create_numeric(f"of_{table.name}", "int32").data.write(ids)
        table.create_numeric(f"f_{table.name}", "float64").data.write([None, 1.5, 2.5])
    both = ds.create_dataframe("both")
    merge(left, right, both, "id", "id", how="outer")
    again = ds.from_arrow("again", both.to_arrow())
    assert values_of(again) == values_of(both)
    assert set(again.companions().values()) >= {"valid_l", "valid_r"}


def test_a_companion_that_says_that_all_are_there_is_kept(ds):
    table = ds.create_dataframe("t")
    table.create_numeric("age", "int8").data.write([1, None])
    kept = table.apply_filter([True, False], ds.create_dataframe("kept"))
    assert kept.companions() == {"age": "age_valid"}
    same(ds.from_arrow("again", kept.to_arrow()), kept)


def test_an_empty_table_comes_back(ds):
    table = write(ds.create_dataframe("t"), [])
    again = ds.from_arrow("again", table.to_arrow())
    assert [f.fieldtype for f in again.values()] == [f.fieldtype for f in table.values()]


def test_metadata_counts_only_for_a_column_of_its_type(ds):
    table = write(ds.create_dataframe("t"), [(1, 1.5, True, "x", "f", DAY, "a")])
    whole = table.to_arrow(["age", "sex", "code"])
    other = whole.set_column(0, "age", pa.array([1.5])).set_column(
        1, "sex", pa.array(["new"]).dictionary_encode()
    )
    again = ds.from_arrow("again", other)
    assert again["age"].fieldtype == "numeric,float64"
    assert again["sex"].keys == {3: b"f", 4: b"m", 5: b"new"}
    assert again["code"].fieldtype == "fixedstring,3"
    for text in (b"{", b"[]", b'{"format": 1, "table": {}, "fields": {"age": {"fieldtype": "x"}}}'):
        with pytest.raises(DataError, match="replace_schema_metadata"):
            ds.from_arrow("bad", whole.replace_schema_metadata({b"exetera": text}))
    assert "bad" not in ds


def test_a_codebook_goes_with_it(ds):
    table = write(ds.create_dataframe("t"), [(1, 1.5, True, "x", "f", DAY, "a")] * 2)
    table["age"].data[1] = -3
    table.label, table["age"].unit = "People", "years"
    table["age"].missing_codes = {-3: "refused"}
    for rows in (table.to_arrow(), table.to_arrow(raw=True), table):
        again = ds.from_arrow("again", rows, mode="replace")
        assert (again.label, again["age"].unit) == ("People", "years")
        assert again["age"].missing_codes == {-3: "refused"}
        assert again["age"].isna().data[:].tolist() == [False, True]


# -- in


D = decimal.Decimal
TYPES = {
    "bool": (pa.array([True, None]), "numeric,bool", [True, None]),
    "int8": (pa.array([1, None], pa.int8()), "numeric,int8", [1, None]),
    "int64": (pa.array([2**62, None]), "numeric,int64", [2**62, None]),
    "uint8": (pa.array([255, None], pa.uint8()), "numeric,uint8", [255, None]),
    "uint64": (pa.array([2**63, None], pa.uint64()), "numeric,uint64", [2**63, None]),
    "halffloat": (pa.array([np.float16(1.5), None], pa.float16()), "numeric,float32", [1.5, None]),
    "float": (pa.array([1.5, None], pa.float32()), "numeric,float32", [1.5, None]),
    "double": (pa.array([1.5, np.nan, None]), "numeric,float64", [1.5, None, None]),
    "decimal128": (pa.array([D("7"), None], pa.decimal128(20, 0)), "numeric,int64", [7, None]),
    "decimal256": (
        pa.array([D("0.5"), None], pa.decimal256(50, 3)),
        "numeric,float64",
        [0.5, None],
    ),
    "date32": (pa.array([dt.date(2020, 1, 1), None]), "timestamp", [DAY, None]),
    "date64": (pa.array([dt.date(2020, 1, 1), None], pa.date64()), "timestamp", [DAY, None]),
    "timestamp": (
        pa.array([DAY, None], pa.timestamp("ns", "Asia/Tokyo")),
        "timestamp",
        [DAY, None],
    ),
    "duration": (pa.array([1500, None], pa.duration("ms")), "numeric,float64", [1.5, None]),
    "time32": (
        pa.array([dt.time(1, 0, 2), None], pa.time32("s")),
        "numeric,float64",
        [3602.0, None],
    ),
    "time64": (pa.array([dt.time(0, 0, 1), None], pa.time64("ns")), "numeric,float64", [1.0, None]),
    "string": (pa.array(["é", None]), "indexedstring", ["é", None]),
    "large_string": (pa.array(["é", None], pa.large_string()), "indexedstring", ["é", None]),
    "string_view": (pa.array(["é", None], pa.string_view()), "indexedstring", ["é", None]),
    "binary": (pa.array([b"a", None]), "indexedstring", ["a", None]),
    "large_binary": (pa.array([b"a", None], pa.large_binary()), "indexedstring", ["a", None]),
    "binary_view": (pa.array([b"a", None], pa.binary_view()), "indexedstring", ["a", None]),
    "fixed_size_binary": (pa.array([b"ab", None], pa.binary(2)), "indexedstring", ["ab", None]),
    "dictionary": (
        pa.DictionaryArray.from_arrays(pa.array([1, None]), ["no", "yes", "?"]),
        "categorical,int8",
        ["yes", None],
    ),
    "run_end_encoded": (
        pa.RunEndEncodedArray.from_arrays([1, 2], pa.array([5, None])),
        "numeric,int64",
        [5, None],
    ),
    "null": (pa.nulls(2), "numeric,float64", [None, None]),
    "struct": (pa.array([{"a": 1}, None]), "refused", None),
    "list": (pa.array([[1], None]), "refused", None),
    "large_list": (pa.array([[1], None], pa.large_list(pa.int8())), "refused", None),
    "fixed_size_list": (pa.array([[1], None], pa.list_(pa.int8(), 1)), "refused", None),
    "map": (pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int8())), "refused", None),
    "month_day_nano_interval": (
        pa.array([pa.MonthDayNano((1, 2, 3)), None]),
        "refused",
        None,
    ),
}
"""An array of each type, the field that it becomes, and the values there."""


@pytest.mark.parametrize("name", TYPES)
def test_each_type_becomes_a_field(ds, name):
    array, becomes, values = TYPES[name]
    table = pa.table({"id": pa.array(range(len(array))), "x": array})
    if becomes == "refused":
        with pytest.raises(DataError, match="which no field holds"):
            ds.from_arrow("t", table)
        assert list(ds) == []
        return
    found = ds.from_arrow("t", table)
    assert found["x"].fieldtype == becomes
    shown = [row["x"] for row in values_of(found, ["x"])]
    assert shown == values
    empty = ds.from_arrow("empty", table.slice(0, 0))
    assert empty["x"].fieldtype == ("indexedstring" if name == "dictionary" else becomes)
    assert len(empty["x"]) == 0


def test_the_page_says_so():
    text = (DOCS / "arrow.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (`[^|]*) \| ([^|]*) \|", text.partition("| Arrow | becomes |")[2], re.MULTILINE
    )
    said = {name: becomes for names, becomes in rows for name in re.findall(r"`(\w+)`", names)}
    assert set(TYPES) <= set(said)
    assert set(said) <= set(TYPES) | {"int64"}
    for name, becomes in said.items():
        shown = becomes.strip("`")
        if shown not in ("numeric of that type", "as its values"):
            first = name.startswith("decimal")  # without a fraction, and with one
            assert first or TYPES[name][1] == shown, name


def test_zones_are_kept(ds):
    array = pa.array([DAY], pa.timestamp("s", "Europe/Berlin"))
    table = ds.from_arrow("t", pa.table({"x": array, "y": array.cast(pa.timestamp("s", "UTC"))}))
    assert table["x"].group.attributes["timezone"] == "Europe/Berlin"
    assert "timezone" not in table["y"].group.attributes
    again = ds.from_arrow("again", table.to_arrow())
    assert again["x"].group.attributes["timezone"] == "Europe/Berlin"


def test_structs_are_flattened_if_asked(ds):
    rows = pa.table({"a": [1, 2], "s": [{"x": 1, "y": {"z": "p"}}, None]})
    table = ds.from_arrow("t", rows, structs="flatten")
    assert values_of(table) == [
        {"a": 1, "s.x": 1, "s.y.z": "p"},
        {"a": 2, "s.x": None, "s.y.z": None},
    ]
    with pytest.raises(ArgumentError, match="structs is"):
        ds.from_arrow("u", rows, structs="keep")


def test_modes(ds):
    rows = pa.table({"a": [1, 2]})
    ds.from_arrow("t", rows)
    with pytest.raises(NameTakenError, match="mode='replace'"):
        ds.from_arrow("t", rows)
    assert len(ds.from_arrow("t", rows, "append")["a"]) == 4
    with pytest.raises(DataError, match="no field 'b'"):
        ds.from_arrow("t", pa.table({"a": [1], "b": [1]}), "append")
    replaced = ds.from_arrow("t", ds["t"], "replace")
    assert (len(replaced["a"]), list(ds)) == (4, ["t"])
    assert ds.from_arrow("t", pa.table({"b": ["x"]}), mode="replace").keys() == ["b"]
    with pytest.raises(ArgumentError, match="mode is"):
        ds.from_arrow("t", rows, mode="overwrite")


def test_all_or_nothing(ds):
    def batches():
        yield pa.record_batch({"a": [1]})
        raise OSError("gone")

    reader = pa.RecordBatchReader.from_batches(pa.schema([("a", pa.int64())]), batches())
    ds.from_dict("t", {"a": [5]})
    with pytest.raises(OSError, match="gone"):
        ds.from_arrow("t", reader, mode="replace")
    assert ds["t"]["a"].data[:].tolist() == [5]
    with pytest.raises(DataError, match="row 1 of those given: 'x' is"):
        ds.from_arrow("u", pa.table({"x": pa.array([D("0.5"), D("0.1")])}))
    assert list(ds) == ["t"]


def test_later_names_of_dictionaries_are_known(ds):
    parts = [pa.array(names).dictionary_encode() for names in (["a"], ["b", "a"], ["c"])]
    table = pa.table({"x": pa.chunked_array(parts)})
    for name, rows in {"table": table, "stream": table.to_reader()}.items():
        found = ds.from_arrow(name, rows)
        assert [row["x"] for row in values_of(found)] == ["a", "b", "a", "c"]


def test_frames_of_pandas(ds):
    frame = pd.DataFrame(
        {
            "n": pd.array([1, None], "Int16"),
            "f": [1.5, np.nan],
            "b": pd.array([True, None], "boolean"),
            "c": pd.Categorical(["y", None], categories=["z", "y"]),
            "t": pd.to_datetime(["2020-01-01", None]).tz_localize("Europe/Paris"),
            "d": pd.to_timedelta([1500, None], "ms"),
            "s": ["é", None],
            "o": np.array([dt.date(2020, 1, 1), None], object),
        },
        index=pd.Index([7, 8], name="key"),
    )
    table = ds.from_pandas("t", frame)
    assert [f.fieldtype for f in (table[name] for name in frame.columns)] == [
        "numeric,int16",
        "numeric,float64",
        "numeric,bool",
        "categorical,int8",
        "timestamp",
        "numeric,float64",
        "indexedstring",
        "timestamp",
    ]
    first, second = values_of(table)
    assert first == {
        "n": 1,
        "f": 1.5,
        "b": True,
        "c": "y",
        "t": DAY - dt.timedelta(hours=1),
        "d": 1.5,
        "s": "é",
        "o": DAY,
    }
    assert set(second.values()) == {None}
    assert table["t"].group.attributes["timezone"] == "Europe/Paris"
    assert table["c"].keys == {0: b"z", 1: b"y"}
    assert ds.from_pandas("i", frame, index=True)["key"].data[:].tolist() == [7, 8]


def test_what_is_no_table(ds):
    for make, given_rows in (
        (ds.from_arrow, {"a": [1]}),
        (ds.from_arrow, pa.array([1])),
        (ds.from_pandas, {"a": [1]}),
        (ds.from_polars, pl.LazyFrame({"a": [1]})),
        (ds.from_dict, pa.table({"a": [1]})),
    ):
        with pytest.raises(ArgumentTypeError):
            make("t", given_rows)
    assert list(ds) == []


# -- what no field holds


@pytest.mark.parametrize(
    "array",
    [
        pa.array([0, None, 10**12], pa.timestamp("s")),
        pa.array([0, None, -(10**11)], pa.timestamp("s", "UTC")),
        pa.array([0, None, 10**7], pa.date32()),
    ],
)
def test_moments_of_no_year_are_refused_on_every_way_in(ds, tmp_path, array):
    """As data.write does; the first and the last second that there are are taken."""
    rows = pa.table({"x": array})
    ends = pa.array([-62135596800, 253402300799], pa.timestamp("s"))
    ds.from_arrow("t", pa.table({"x": ends}))
    assert ds["t"]["x"].data[:].tolist() == [-62135596800, 253402300799]
    pa.parquet.write_table(rows, tmp_path / "x.parquet")
    for enter in (
        lambda: ds.from_arrow("u", rows),
        lambda: ds.from_dict("u", {"x": array}),
        lambda: ds.from_pandas("u", rows.to_pandas(types_mapper=pd.ArrowDtype)),
        lambda: ds.from_parquet("u", tmp_path / "x.parquet"),
        lambda: ds["t"].append(rows),
    ):
        with pytest.raises(DataError, match=r"row 2 .* field ./x, .* none of the years 1 to 9999"):
            enter()
    assert list(ds) == ["t"]
    assert len(ds["t"]["x"]) == 2


@pytest.mark.parametrize(
    ("kind", "values", "hint"),
    [(pl.Object, [{1}, None], "map_elements"), (pl.Int128, [1, 2], "cast it")],
)
def test_columns_of_polars_that_arrow_does_not_have(ds, kind, values, hint):
    column = pl.Series("o", values, dtype=kind)
    ds.from_dict("t", {"o": ["a"]})
    for enter in (
        lambda: ds.from_polars("u", pl.DataFrame({"a": [1, 2], "o": column})),
        lambda: ds.from_dict("u", {"o": column}),
        lambda: ds["t"].append(pl.DataFrame({"o": column})),
    ):
        with pytest.raises(DataError, match=f"the column 'o' is of Polars' type {kind}.*{hint}"):
            enter()
    assert list(ds) == ["t"]
