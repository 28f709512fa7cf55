"""Whole rows: appended, upserted and deleted, beside plain models."""

from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import math
import shutil
import uuid
import warnings
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exetera_zarr import (
    ConflictError,
    DataError,
    ExeteraCompatibilityWarning,
    ExeteraError,
    Session,
)
from exetera_zarr.errors import StorageError
from exetera_zarr.fields import base
from exetera_zarr.testing import Faults, as_another_process, counting, failing
from support.missing import (
    KINDS,
    NAMES,
    PEOPLE,
    ROWS,
    close_scratch,
    columns_of,
    examples,
    rows_of,
    scratch,
    values_of,
    visible,
    write,
)

pl = (
    pytest.importorskip("polars") if __import__("importlib.util").util.find_spec("polars") else None
)
DAY = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
ROW = {
    "age": [1, None, 3],
    "weight": [1.5, None, 2.5],
    "flag": [True, None, False],
    "town": ["York", None, ""],
    "sex": ["f", None, "m"],
    "when": [DAY, None, DAY + dt.timedelta(seconds=1)],
    "code": ["a", None, "zzz"],
}


@pytest.fixture(scope="module", autouse=True)
def _closed_in_the_end():
    yield
    close_scratch()
    while THEIRS:
        THEIRS.pop().close()


@pytest.fixture
def table(place):
    """An empty table with a field of each kind."""
    with Session(row_block=4) as s:
        ds = s.open_dataset(place.url("x.zarr"), "w", "d", storage_options=place.storage_options)
        yield write(ds.create_dataframe("people"), [])


def rows_by_name(columns):
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


THEIRS: list[Session] = []


def of_ours(columns):
    """A table of another dataset, whose categories have other codes."""
    THEIRS.append(Session())
    ds = THEIRS[-1].open_dataset(f"memory://{uuid.uuid4().hex}.zarr", "w", "theirs")
    found = ds.create_dataframe("theirs")
    for name, values in columns.items():
        if name == "sex":
            found.create_categorical(name, "int16", {"m": 700, "x": 0, "f": -5}).data.write(values)
        else:
            KINDS[PEOPLE[name]].create(found, name).data.write(values)
    return found


def masked(columns):
    filler = {name: next(v for v in values if v is not None) for name, values in columns.items()}
    return {
        name: np.ma.masked_array(
            [filler[name] if v is None else v for v in values], [v is None for v in values]
        )
        if name != "when"
        else values
        for name, values in columns.items()
    }


FORMS = {
    "a dict of lists": lambda columns: columns,
    "masked arrays": masked,
    "fields": lambda columns: {name: of_ours(columns)[name] for name in columns},
    "a table": of_ours,
    "pandas": pd.DataFrame,
    "pandas' own types": lambda columns: pd.DataFrame(columns).convert_dtypes(),
    "pandas in Arrow's types": lambda columns: pd.DataFrame(columns).convert_dtypes(
        dtype_backend="pyarrow"
    ),
    "pandas' categories": lambda columns: pd.DataFrame(columns).astype({"sex": "category"}),
    "Arrow": pa.table,
    "a batch": lambda columns: pa.table(columns).to_batches()[0],
    "a reader": lambda columns: pa.table(columns).to_reader(1),
    "dictionaries": lambda columns: pa.table(
        {n: pa.array(v).dictionary_encode() for n, v in columns.items()}
    ),
    "other types of Arrow": lambda columns: pa.table(
        {
            "age": pa.array(columns["age"]).cast(pa.decimal128(22, 2)),
            "weight": pa.array(columns["weight"], pa.float32()),
            "flag": pa.array(columns["flag"]).cast(pa.int8()),
            "town": pa.array(columns["town"], pa.string_view()),
            "sex": pa.array(columns["sex"], pa.large_binary()),
            "when": pa.array(columns["when"], pa.timestamp("ms", "Europe/Berlin")),
            "code": pa.array(columns["code"], pa.large_string()),
        }
    ),
    "runs": lambda columns: pa.table(
        {
            name: pa.RunEndEncodedArray.from_arrays([1, 2, 3], pa.array(values))
            for name, values in columns.items()
        }
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_rows_in_any_form_are_the_same_rows(table, form):
    """In whatever order their columns are, and whatever says what is missing."""
    columns = {name: ROW[name] for name in reversed(ROW)}
    given_rows = FORMS[form](columns)
    assert table.append(given_rows) == 3
    expected = rows_by_name(ROW)
    assert values_of(table, NAMES) == expected
    given_rows = FORMS[form](columns)
    assert table.append(given_rows) == 3
    assert values_of(table, NAMES) == expected * 2


def test_polars_and_duckdb(table):
    """By the stream that both give."""
    polars, duckdb = pytest.importorskip("polars"), pytest.importorskip("duckdb")
    frame = polars.DataFrame(ROW).with_columns(polars.col("sex").cast(polars.Categorical))
    assert table.append(frame) == 3
    rows = duckdb.sql(
        "select * from (values (1::tinyint, 1.5::double, true, 'York', 'f', "
        "timestamp '2020-01-01', 'a'), (null, null, null, null, null, null, null), "
        "(3, 2.5, false, '', 'm', timestamp '2020-01-01 00:00:01', 'zzz')) "
        't(age, weight, flag, town, sex, "when", code)'
    )
    assert table.append(rows) == 3
    assert values_of(table, NAMES) == rows_by_name(ROW) * 2


def test_a_table_takes_its_own_rows(table):
    table.append(ROW)
    assert table.append(table) == 3
    assert values_of(table, NAMES) == rows_by_name(ROW) * 2
    assert table.upsert({"age": [9], "code": ["q"]}, "age", missing="fill").new == 1


DURATION = dt.timedelta(1)
MISFITS = {
    "too large": ("age", [1, 300], 1, "300"),
    "a fraction": ("age", [1.0, 1.5], 1, "1.5"),
    "text for a number": ("age", [1, "x"], 1, "'x'"),
    "a date for a number": ("age", [1, DAY], 1, "datetime"),
    "a decimal with a fraction": ("age", [decimal.Decimal(1), decimal.Decimal("1.5")], 1, "1.5"),
    "a decimal that no float is": (
        "weight",
        [decimal.Decimal("0.5"), decimal.Decimal("0.1")],
        1,
        "0.1",
    ),
    "a whole number that no float is": ("weight", [1, 2**53 + 1], 1, "9007199254740993"),
    "two for a bool": ("flag", [1, 2], 1, "2"),
    "a number for text": ("town", ["a", 2], 1, "2"),
    "numbers for text": ("town", np.array([1, 2]), 0, "1"),
    "a name that is none": ("sex", ["f", "maybe"], 1, "'maybe'.*'f', 'm'"),
    "a code that is none": ("sex", [3, 77], 1, "77.*'f', 'm'"),
    "a category of pandas that is none": ("sex", pd.Categorical(["f", "no"]), 1, "'no'.*'f', 'm'"),
    "a duration": ("when", [DAY, DURATION], 1, "timedelta"),
    "durations": ("when", np.array([1, 2], "m8[s]"), 0, "1"),
    "text that is no time": ("when", ["2020-01-01 00:00:00", "soon"], 1, "'soon'"),
    "times of day": ("when", pa.array([dt.time(1), dt.time(2)]), 0, "time"),
    "beyond all times": ("when", np.array(["2020", "300000-01-01"], "M8[D]"), 1, "300000"),
    "text that is too long": ("code", ["abc", "abcd"], 1, "'abcd'.*3 bytes"),
    "text that would lose its end": ("code", ["abc", "a\0"], 1, "NUL"),
    "lists": ("age", pa.array([[1], [2]]), 0, r"\[1\]"),
    "complex numbers": ("weight", np.array([1, 2j]), 0, "1"),
}


@pytest.mark.parametrize("case", MISFITS)
def test_what_a_field_cannot_hold_is_told_by_row_and_column(table, case):
    """And nothing is changed."""
    name, values, row, shown = MISFITS[case]
    table.append(ROW)
    # After many that fit, so that the row is not that of a block.
    before = 3
    rows = {each: [*some, *some[:2]] for each, some in ROW.items()}
    rows[name] = pd.Series([None] * before + list(values), dtype=object)
    if not isinstance(values, list):
        rows = {each: some[:2] for each, some in ROW.items()} | {name: values}
        before = 0
    with pytest.raises(
        DataError, match=rf"(?s)row {before + row} .*{name!r} is .*{shown}"
    ) as found:
        table.append(rows)
    assert f"people/{name}" in str(found.value)
    with pytest.raises(DataError, match=rf"row {before + row} .*{name!r} is "):
        table.upsert(rows, "town" if name != "town" else "code")
    assert values_of(table, NAMES) == rows_by_name(ROW)


def test_what_is_beside_the_rows(table):
    """Columns that one side lacks, names and lengths."""
    table.append(ROW)
    cases = {
        "lack 'age'": {name: ROW[name] for name in NAMES[1:]},
        "no field 'more'": ROW | {"more": [1, 2, 3]},
        "different lengths": ROW | {"age": [1]},
        "no columns": {},
        "several columns called 'age'": pa.table([[1], [2]], ["age", "age"]),
        "2 dimensions": ROW | {"age": np.ones((3, 1))},
        "values in a row": ROW | {"age": 5},
        "'age_valid' says": {"age_valid": [True]},
        "not of bool": ROW | {"age_valid": ["a", "b", "c"]},
    }
    for message, rows in cases.items():
        with pytest.raises(DataError, match=message):
            table.append(rows)
        with pytest.raises(ExeteraError):
            table.upsert(rows, "age")
    for rows in (None, 5, "rows", [1, 2], np.ones(3), pa.array([1]), table["age"], [ROW]):
        with pytest.raises(TypeError, match="table"):
            table.append(rows)
    with pytest.raises(TypeError, match="names, which are text"):
        table.append(pd.DataFrame([[1]]))
    with pytest.raises(ValueError, match="missing is 'error' or 'fill'"):
        table.append(ROW, missing="skip")
    with pytest.raises(ValueError, match="new is 'error' or 'add'"):
        table.append(ROW, new="skip")
    with pytest.raises(DataError, match="'age', which is a key"):
        table.upsert({"town": ["x"]}, "age", missing="fill")
    with pytest.raises(ValueError, match="no field 'nix'"):
        table.upsert(ROW, "nix")
    assert values_of(table, NAMES) == rows_by_name(ROW)


def test_no_rows_change_nothing(table):
    table.append(ROW)
    table.dataset.commit()
    for rows in (
        {name: [] for name in NAMES},
        pd.DataFrame(ROW)[:0],
        pa.table(ROW)[:0],
        pa.table(ROW).schema.empty_table().to_reader(),
        {"age": [], "more": []},
    ):
        assert table.append(rows, missing="fill", new="add") == 0
        found = table.upsert(rows, "age", missing="fill", new="add")
        assert (found.new, found.changed, found.unchanged) == (0, 0, 0)
    assert not table.dataset.storage.changed


def test_columns_that_one_side_lacks(table):
    """They are filled, or become fields, on request; older rows have no value in them."""
    table.append(ROW)
    more = {
        "age": np.array([7, 8], "int8"),
        "n": np.array([1, 2], "uint16"),
        "x": [0.5, None],
        "text": ["a", None],
        "kind": pd.Categorical(["u", None]),
        "at": [DAY, None],
        "fixed": np.array([b"ab", b"c"]),
        "yes": [None, True],
        "d": pa.array([[3], None]),
    }
    with pytest.raises(DataError, match="'d' is of list"):
        table.append(more, missing="fill", new="add")
    del more["d"]
    assert list(table) == [*NAMES, *table.companions().values()]
    assert table.append(more, missing="fill", new="add") == 2
    types = {name: table[name].fieldtype for name in more if name != "age"}
    assert types == {
        "n": "numeric,uint16",
        "x": "numeric,float64",
        "text": "indexedstring",
        "kind": "categorical,int8",
        "at": "timestamp",
        "fixed": "fixedstring,2",
        "yes": "numeric,bool",
    }
    old = [row | dict.fromkeys(types) for row in rows_by_name(ROW)]
    new = [
        dict.fromkeys([*ROW, *types]) | row
        for row in rows_by_name(
            {n: v.tolist() if n in ("age", "n", "fixed") else list(v) for n, v in more.items()}
        )
    ]
    new[0]["fixed"], new[1]["fixed"], new[1]["kind"] = "ab", "c", None
    assert values_of(table) == old + new


def test_names_of_new_categories_come_by_and_by(table):
    """As a stream of several dictionaries has them."""
    batches = [
        pa.record_batch(
            {"age": pa.array([1], "int8"), "kind": pa.array([name]).dictionary_encode()}
        )
        for name in ("a", "b", "a")
    ]
    reader = pa.RecordBatchReader.from_batches(batches[0].schema, batches)
    table.append(reader, missing="fill", new="add")
    assert [row["kind"] for row in values_of(table)] == ["a", "b", "a"]


def test_a_column_may_say_what_is_missing_of_another(table):
    """As in a file that has what is hidden in the table."""
    rows = ROW | {"age_valid": [True, True, False], "when_set": [False, True, True]}
    table.append(rows)
    found = values_of(table, NAMES)
    assert [row["age"] for row in found] == [1, None, None]
    assert [row["when"] for row in found] == [None, None, DAY + dt.timedelta(seconds=1)]
    assert visible(table) == NAMES


def test_times_without_a_zone_are_in_utc(table):
    moment = dt.datetime(2020, 5, 6, 7, 8, 9, 250_000)  # noqa: DTZ001 - the point
    seconds = moment.replace(tzinfo=dt.UTC).timestamp()
    forms = [
        [moment],
        np.array([moment], "M8[us]"),
        np.array([moment], "M8[ns]"),
        pa.array([moment], pa.timestamp("ms")),
        pa.array([moment], pa.timestamp("ns", "Asia/Tokyo")),
        pd.Series([moment]),
        [moment.replace(tzinfo=dt.UTC).astimezone(dt.timezone(dt.timedelta(hours=3)))],
        ["2020-05-06 07:08:09.25"],
        pa.array(["2020-05-06 09:08:09.25+02:00"]),
        [seconds],
    ]
    for form in forms:
        table.append({"when": form}, missing="fill")
    table.append({"when": [dt.date(2020, 5, 6)]}, missing="fill")
    table.append({"when": pa.array([dt.date(2020, 5, 6)])}, missing="fill")
    table.append({"when": pa.array([dt.date(2020, 5, 6)], pa.date64())}, missing="fill")
    day = dt.datetime(2020, 5, 6, tzinfo=dt.UTC).timestamp()
    assert table["when"].data[:].tolist() == [seconds] * len(forms) + [day] * 3


def test_numbers_stay_exact(table):
    """Beyond what float64 holds, and as decimals."""
    for name, kind in (("i", "int64"), ("u", "uint64")):
        table.create_numeric(name, kind)
    largest = {"i": 2**63 - 1, "u": 2**64 - 1}
    for form in (
        {n: [v, None] for n, v in largest.items()},
        {n: np.ma.masked_array([v, 0], [False, True], dtype=f"{n}8") for n, v in largest.items()},
        pd.DataFrame(
            {"i": pd.array([2**63 - 1, None], "Int64"), "u": pd.array([2**64 - 1, None], "UInt64")}
        ),
        pa.table(
            {
                n: pa.array([decimal.Decimal(v), None], pa.decimal128(30, 2))
                for n, v in largest.items()
            }
        ),
        pa.table({"i": pa.array([2**63 - 1, None]), "u": pa.array([2**64 - 1, None], pa.uint64())}),
    ):
        table.append(form, missing="fill")
        assert [(row["i"], row["u"]) for row in values_of(table)[-2:]] == [
            (2**63 - 1, 2**64 - 1),
            (None, None),
        ]


def requests_of_an_append(chunks, columns):
    """What a store is asked when 1,000 rows of all kinds, some missing, are appended."""
    kinds = [list(KINDS)[number % len(KINDS)] for number in range(columns)]
    url = f"memory://{uuid.uuid4().hex}/x.zarr"
    fillers = {"text": "York", "fixed": "a", "category": "f", "moment": DAY, "bool": True}
    with Session(row_block=4096) as s:
        table = s.open_dataset(url, "w", "d").create_dataframe("t")
        for number, kind in enumerate(kinds):
            field = KINDS[kind].create(table, f"c{number}")
            values = [fillers.get(kind, 1)] * 4095 + [None]
            field.data.write(values)
            for column, mask in [*field.masked_blocks()] if chunks > 1 else []:
                for _ in range(chunks - 1):
                    field.append_masked(column, mask)
    rows = {f"c{number}": [fillers.get(kind, 1), None] * 500 for number, kind in enumerate(kinds)}
    with counting() as stores, Session() as s:
        table = s.open_dataset(url, "r+", "d")["t"]
        assert table.append(rows) == 1000
        table.dataset.commit()
        verbs = Counter(stores[-1].verbs)
        assert not [key for verb, key in stores[-1].calls if verb == "get" and "/c/" in key]
        assert table["c0"].isna().data[-2:].tolist() == [False, True]
    assert verbs["copy"] == 0
    return verbs


def test_an_append_asks_for_the_same_whatever_is_there():
    """Of one chunk a column or of many, with strings and what is missing."""
    first = requests_of_an_append(1, 200)
    assert sum(first.values()) <= 12
    assert requests_of_an_append(3, 200) == first


@pytest.mark.slow
def test_an_append_asks_for_the_same_at_300_chunks():
    assert requests_of_an_append(300, 200) == requests_of_an_append(1, 200)


# -- upserts


def test_an_upsert_says_what_it_did(table):
    table.append(ROW)
    rows = {name: [*values, values[0]] for name, values in ROW.items()}
    rows |= {"code": ["q", None, "zzz", "new"], "age": [2, None, 3, None]}
    found = table.upsert(rows, ["town", "code"])
    assert repr(found) == "Upserted(new=2, changed=0, unchanged=2)"
    found = table.upsert({"code": ["q", "new"], "age": [5, 6]}, "code", missing="fill")
    assert repr(found) == "Upserted(new=0, changed=2, unchanged=0)"
    ages = {row["code"]: row["age"] for row in values_of(table)}
    assert ages == {"a": 1, None: None, "zzz": 3, "q": 5, "new": 6}
    assert {row["town"] for row in values_of(table) if row["code"] in ("q", "new")} == {"York"}


def test_rows_as_they_were_make_no_version(table):
    table.append(ROW)
    version = table.dataset.commit()
    for form in FORMS.values():
        assert table.upsert(form(ROW), "age").unchanged == 3
        assert not table.dataset.storage.changed
    assert table.dataset.commit() == version


def test_a_repeated_key_is_named(table):
    """On either side; what is missing is a key, too."""
    table.append(ROW)
    twice = {name: [*values, values[1]] for name, values in ROW.items()}
    with pytest.raises(DataError, match=r"age = missing, town = missing occurs .* in row 3"):
        table.upsert(twice, ["age", "town"])
    assert values_of(table, NAMES) == rows_by_name(ROW)
    table.append(ROW)
    with pytest.raises(DataError, match="sex = 'f' occurs more than once in the table 'people'"):
        table.upsert({"sex": ["f"]}, "sex", missing="fill")
    assert values_of(table, NAMES) == rows_by_name(ROW) * 2


def test_any_change_of_the_table_comes_before_an_upsert(table):
    """Fields that were added, renamed, dropped and retyped, and other categories."""
    table.append(ROW)
    table.rename({"town": "city", "age": "years"})
    table["years"].astype("int64")
    table.drop("code")
    table.create_numeric("n", "int16").data.write([1, None, 3])
    sex = table["sex"].remap([(3, 1), (4, 2)], {"f": 1, "m": 2, "x": 3})
    flags = table["sex"].notna().data[:]
    del table["sex"]
    made = table.create_categorical("sex", "int8", {"f": 1, "m": 2, "x": 3})
    made.data.write(np.ma.masked_array(sex.data[:], ~flags))
    rows = {
        "years": [1, 10**6, None],
        "n": [1, 5, 7],
        "city": ["York", "Bath", None],
        "weight": [1.5, math.nan, None],
        "sex": ["f", "x", None],
        "flag": [True, False, None],
        "when": [DAY, None, None],
    }
    found = table.upsert(rows, "years")
    assert (found.new, found.changed, found.unchanged) == (1, 1, 1)
    names = list(rows)
    expected = rows_by_name(rows | {"weight": [1.5, None, None]})
    third = rows_by_name(ROW)[2]
    kept = {
        "years": 3,
        "n": 3,
        "city": "",
        **{n: third[n] for n in ("weight", "sex", "flag", "when")},
    }
    found = {row["years"]: row for row in values_of(table, names)}
    assert found == {row["years"]: row for row in [*expected, kept]}


def test_only_what_differs_is_written(tmp_path):
    """Of many columns the chunks with a difference; new rows go beside what is there."""
    names = [f"c{number}" for number in range(20)]
    with counting() as stores, Session(row_block=100) as s:
        ds = s.open_dataset(tmp_path / "x.zarr", "w", "d")
        table = ds.create_dataframe("t")
        table.create_numeric("id", "int64").data.write(np.arange(1000))
        for name in names:
            table.create_numeric(name, "int32").data.write(np.arange(1000))
        ds.commit()
        stores[-1].calls.clear()
        rows = {"id": [150, 151]} | {name: [150, 151] for name in names}
        found = table.upsert(rows | {"c3": [0, 151], "c7": [150, 0]}, "id")
        assert (found.new, found.changed, found.unchanged) == (0, 2, 0)
        ds.commit()
        written = [key.split("/") for key in stores[-1].chunks("put")]
        assert sorted((key[1], key[-1]) for key in written) == [("c3", "1"), ("c7", "1")]
        stores[-1].calls.clear()
        found = table.upsert({"id": [5000]} | {name: [9] for name in names}, "id")
        assert (found.new, found.changed, found.unchanged) == (1, 0, 0)
        ds.commit()
        (pack,) = stores[-1].chunks("put")
        assert pack.startswith("t/__pack")
    with Session() as s:
        table = s.open_dataset(tmp_path / "x.zarr", "r", "d")["t"]
        assert table["c3"].data[149:152].tolist() == [149, 0, 151]
        assert table["id"].data[-2:].tolist() == [999, 5000]


# -- deletions


def test_rows_are_deleted_by_conditions_and_by_number(table):
    table.append(ROW)
    table.append(ROW)
    table.dataset.commit()
    for nothing in ([], [False] * 6, np.zeros(0, int), table["age"] > 99, pd.Series([None] * 6)):
        assert table.delete(nothing) == 0
    assert not table.dataset.storage.changed
    assert table.delete(table["age"] > 2) == 2
    assert [row["age"] for row in values_of(table)] == [1, None, 1, None]
    assert table.delete(pd.Series([True, None, False, False], dtype="boolean")) == 1
    assert table.delete([-1, 2, 2]) == 1
    assert [row["age"] for row in values_of(table)] == [None, 1]
    for wrong in ([5], [True], ["a"], 1, [1.5], None, table["town"]):
        with pytest.raises((ExeteraError, TypeError, IndexError)):
            table.delete(wrong)
    assert [row["age"] for row in values_of(table)] == [None, 1]
    assert table.delete(table["town"].isna()) == 1
    assert table.delete(np.array([True])) == 1
    assert table.length() == 0


# -- beside models

GIVEN = ("dict", "pandas", "arrow", "table")


def in_form(form, rows, kinds, dataset):
    columns = columns_of(kinds, rows)
    if form == "pandas":
        return pd.DataFrame({name: pd.Series(v, dtype=object) for name, v in columns.items()})
    if form == "arrow":
        return pa.table(columns)
    if form == "table":
        name = f"given {len(dataset)}"
        return write(dataset.create_dataframe(name), rows, kinds, "none")
    return columns


@given(st.lists(st.tuples(ROWS, st.sampled_from(GIVEN)), max_size=4), ROWS)
def test_appends(parts, first):
    with scratch() as ds:
        table = write(ds.create_dataframe("people"), first)
        expected = list(first)
        for rows, form in parts:
            assert table.append(in_form(form, rows, PEOPLE, ds)) == len(rows)
            expected += rows
        assert values_of(table, NAMES) == [dict(zip(NAMES, row, strict=True)) for row in expected]
        assert set(visible(table)) == set(NAMES)


FIELDS = {
    "a": st.sampled_from(list(KINDS)),
    "b": st.sampled_from(list(KINDS)),
    "c": st.sampled_from(list(KINDS)),
}


@settings(examples(100))
@given(data=st.data(), kinds=st.fixed_dictionaries(FIELDS), form=st.sampled_from(GIVEN))
def test_upserts(data, kinds, form):
    """Rows are found by any key of any types; counts and order are those of a dict."""
    keys = data.draw(st.sampled_from([["a"], ["b", "a"], ["a", "b", "c"]]))
    places = [list(kinds).index(key) for key in keys]

    def key_of(row):
        return tuple(row[place] for place in places)

    def once(rows):
        return list({key_of(row): row for row in rows}.values())

    old, new = (once(data.draw(rows_of(kinds))) for _ in range(2))
    with scratch() as ds:
        table = write(ds.create_dataframe("people"), old, kinds)
        if form == "table" or new:
            found = table.upsert(in_form(form, new, kinds, ds), keys)
        else:
            return
        model = {key_of(row): row for row in old}
        counts = [0, 0, 0]
        for row in new:
            kind = 0 if key_of(row) not in model else 1 + (model[key_of(row)] == row)
            counts[kind] += 1
            model[key_of(row)] = row
        assert [found.new, found.changed, found.unchanged] == counts
        names = list(kinds)
        assert values_of(table, names) == [
            dict(zip(names, row, strict=True)) for row in model.values()
        ]


@given(ROWS, st.data())
def test_deletions(rows, data):
    with scratch() as ds:
        table = write(ds.create_dataframe("people"), rows)
        gone = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
        numbers = [row for row, goes in enumerate(gone) if goes]
        way = data.draw(st.sampled_from(["list", "array", "numbers", "backwards"]))
        given_rows = {
            "list": gone,
            "array": np.array(gone, bool),
            "numbers": numbers,
            "backwards": [row - len(rows) for row in reversed(numbers)],
        }[way]
        assert table.delete(given_rows) == len(numbers)
        expected = [row for row, goes in zip(rows, gone, strict=True) if not goes]
        assert values_of(table, NAMES) == [dict(zip(NAMES, row, strict=True)) for row in expected]


# -- all or nothing


def broken_stream():
    """A reader that fails after some batches, of which the first are enough to be written."""
    schema = pa.table(ROW).schema

    def batches():
        for _ in range(20_000):
            yield pa.record_batch(ROW, schema)
        raise OSError("the wire is cut")

    return pa.RecordBatchReader.from_batches(schema, batches())


def test_a_stream_that_breaks_off_leaves_nothing(place):
    with Session(row_block=1 << 14) as s:
        ds = s.open_dataset(place.url("x.zarr"), "w", "d", storage_options=place.storage_options)
        break_off(write(ds.create_dataframe("people"), []))


def break_off(table):
    table.append(ROW)
    table.dataset.commit()
    with pytest.raises(OSError, match="the wire is cut"):
        table.append(broken_stream())
    with pytest.raises(OSError, match="the wire is cut"):
        table.upsert(broken_stream(), "age")
    assert not table.dataset.storage.changed
    assert values_of(table, NAMES) == rows_by_name(ROW)


VERBS = {
    "append": lambda t: t.append(ROW | {"more": [1, None, 3]}, new="add"),
    "upsert": lambda t: t.upsert(
        {"age": [1, 8], "town": ["Ely", None], "weight": [None, 1], "new": ["u", "v"]},
        "age",
        missing="fill",
        new="add",
    ),
    "delete": lambda t: t.delete([1]),
}


@pytest.mark.parametrize("verb", VERBS)
def test_an_error_at_any_write_leaves_nothing(monkeypatch, verb):
    """Each write to a field fails once: the table is as it was, with the fields it had."""
    with scratch() as ds:
        table = write(ds.create_dataframe("people"), [])
        table.append(ROW)
        fail_at_each_write(table, monkeypatch, verb)


def fail_at_each_write(table, monkeypatch, verb):
    before, fields = values_of(table), list(table)
    failed = 0
    for number in range(1, 200):
        calls = [0]

        def failing_at(real, number=number, calls=calls):
            def method(*arguments, **options):
                calls[0] += 1
                if calls[0] == number:
                    raise MemoryError("injected")
                return real(*arguments, **options)

            return method

        with monkeypatch.context() as patch:
            for name in ("append", "append_masked", "replace", "array"):
                patch.setattr(base.Field, name, failing_at(getattr(base.Field, name)))
            try:
                VERBS[verb](table)
            except MemoryError:
                failed += 1
            else:
                break
        assert values_of(table) == before
        assert list(table) == fields
    assert failed >= 5
    assert values_of(table) != before


@pytest.mark.parametrize("verb", VERBS)
def test_a_store_that_fails_leaves_all_or_nothing(tmp_path, verb):
    """At each of its calls, until the commit."""
    with Session(row_block=4) as s:
        ds = s.open_dataset(tmp_path / "first.zarr", "w", "d")
        table = write(ds.create_dataframe("people"), [])
        table.append(ROW)
        ds.commit()
        before = values_of(table)
        VERBS[verb](table)
        after = values_of(table)
        ds.rollback()
    for call in range(1, 300):
        url = tmp_path / f"{call}.zarr"
        shutil.copytree(tmp_path / "first.zarr", url)
        with failing(Faults()) as faults, Session(on_error="rollback") as s:
            ds = s.open_dataset(url, "r+", "d")
            faults.arm(call)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # what could not be revealed
                try:
                    VERBS[verb](ds["people"])
                    ds.commit()
                    expected = after
                except StorageError:
                    expected = before
                faults.disarm()
                ds.rollback()
            assert values_of(ds["people"]) == expected
        with Session() as s:
            assert values_of(s.open_dataset(url, "r", "d")["people"]) == expected
        if not faults.failed:
            break
    assert call > 20
    assert expected == after != before


def test_appends_of_two_writers_both_land(tmp_path):
    """With strings and missing values; a change of values meanwhile is a conflict."""
    url = tmp_path / "x.zarr"
    with Session() as s:
        write(s.open_dataset(url, "w", "d").create_dataframe("people"), []).append(ROW)
    writers = []
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            with as_another_process():
                session = stack.enter_context(Session(on_error="rollback"))
                writers.append(session.open_dataset(url, "r+", "d"))
        for ds in writers[:2]:
            ds["people"].append(ROW)
        writers[2]["people"].upsert({"age": [3], "code": ["new"]}, "age", missing="fill")
        for ds in writers[:2]:
            ds.commit()
        with pytest.raises(ConflictError):
            writers[2].commit()
        writers[2].rollback()
    with Session() as s:
        table = s.open_dataset(url, "r", "d")["people"]
        assert values_of(table, NAMES) == rows_by_name(ROW) * 3


# -- ExeTera's face


def test_in_exetera_s_face_what_is_stored_counts(place):
    """There are no missing values: 0 is stored for them, and told; companions are fields."""
    options = {"storage_options": place.storage_options}
    with Session() as s:
        write(
            s.open_dataset(place.url("x.zarr"), "w", "d", **options).create_dataframe("people"), []
        )
    with Session(exetera=True) as s:
        table = s.open_dataset(place.url("x.zarr"), "r+", "d", **options)["people"]
        with pytest.warns(ExeteraCompatibilityWarning, match="stored 0 or no text"):
            table.append(ROW)
        assert table["age"].data[:].tolist() == [1, 0, 3]
        assert list(table) == NAMES
        with pytest.raises(DataError, match=r"row 0 .*300"):
            table.append(ROW | {"age": [300, 1, 2]})
        found = table.upsert({"age": [0, 5], "town": ["x", "y"]}, "age", missing="fill")
        assert (found.new, found.changed, found.unchanged) == (1, 1, 0)
        assert table["town"].data[:] == ["York", "x", "", "y"]
        assert table.delete([0]) == 1
        assert table.delete(np.array([True, False, False])) == 1
