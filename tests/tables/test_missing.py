"""Missing values through every verb, beside a model in pandas' nullable types."""

from __future__ import annotations

import datetime as dt
import io
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exetera_zarr import DataError, NameTakenError, Session, import_csv, merge
from exetera_zarr.compat.field_importers import DateTimeImporter, NumericImporter
from exetera_zarr.conversion.datasets import convert
from exetera_zarr.io.schema.definitions import DateTime, Numeric
from exetera_zarr.tables import dataframe as dataframes
from exetera_zarr.tables import dataset as datasets
from support.missing import (
    DAYS,
    NAMES,
    ROWS,
    brought,
    close_scratch,
    examples,
    merged_rows,
    model_of,
    rows_of_model,
    scratch,
    sorted_model,
    url,
    values_of,
    write,
)


@pytest.fixture(scope="module", autouse=True)
def _closed_in_the_end():
    yield
    close_scratch()


CONDITIONS = [
    (lambda t: t["age"] > 0, lambda m: m["age"] > 0),
    (lambda t: t["age"] != 1, lambda m: m["age"] != 1),
    (lambda t: ~(t["age"] > 0), lambda m: ~(m["age"] > 0)),
    (
        lambda t: (t["town"] == "York") | (t["weight"] < 1),
        lambda m: (m["town"] == "York") | (m["weight"] < 1),
    ),
    (lambda t: (t["sex"] == "f") & t["flag"], lambda m: (m["sex"] == "f") & m["flag"]),
    (lambda t: t["flag"] ^ (t["age"] == 0), lambda m: m["flag"] ^ (m["age"] == 0)),
    (
        lambda t: t["when"] >= dt.date(2020, 1, 2),
        lambda m: (m["when"] >= "2020-01-02").where(m["when"].notna()),
    ),
    (
        lambda t: t["age"] + t["age"] * 2 > t["weight"],
        lambda m: m["age"] + m["age"] * 2 > m["weight"],
    ),
    (lambda t: t["age"].isna(), lambda m: m["age"].isna()),
    (lambda t: t["town"].notna(), lambda m: m["town"].notna()),
    (lambda t: t["age"].fillna(2) == 2, lambda m: m["age"].fillna(2) == 2),
]


@given(ROWS, st.sampled_from(CONDITIONS), st.integers(1, 4))
def test_filters(rows, condition, block):
    """A missing value satisfies no condition, and its opposite neither."""
    ours, theirs = condition
    with scratch(block) as ds:
        table = write(ds.create_dataframe("t"), rows)
        found = table.apply_filter(ours(table), ddf=ds.create_dataframe("out"))
        model = model_of(rows)
        kept = theirs(model).astype("boolean").fillna(False).astype(bool)
        assert values_of(found) == rows_of_model(model[kept])


@given(
    ROWS, st.lists(st.sampled_from(NAMES[:4]), min_size=1, max_size=2, unique=True), st.booleans()
)
def test_sorts(rows, keys, ascending):
    """What is missing comes last in either direction; the order of equal rows stays."""
    with scratch() as ds:
        table = write(ds.create_dataframe("t"), rows)
        table.sort_values(keys, ddf=ds.create_dataframe("out"), ascending=ascending)
        model = sorted_model(model_of(rows), keys, [ascending] * len(keys))
        assert values_of(ds["out"]) == rows_of_model(model)


AGGREGATES = ["count", "sum", "mean", "min", "max", "first", "last", "nunique", "median", "std"]


@given(ROWS, st.sampled_from(["age", "town", "sex", "flag", "weight"]), st.booleans())
@examples(40)
def test_groups(rows, key, drop):
    """Aggregates are of the values that there are; of none they are missing, and counts 0."""
    with scratch() as ds:
        table = write(ds.create_dataframe("t"), rows)
        target = "weight" if key == "age" else "age"
        groups = table.groupby(key, missing_keys="drop" if drop else "equal")
        groups.agg({target: AGGREGATES, "when": ["min", "last"]}, ddf=ds.create_dataframe("out"))
        model = model_of(rows)
        found = model.groupby(key, dropna=drop, sort=True)
        expected = found[target].agg(AGGREGATES).reset_index()
        sums = found[target].sum(min_count=1).reset_index()
        expected["sum"] = sums[target]
        whens = found["when"].agg(["min", "last"]).reset_index()
        expected["when_min"], expected["when_last"] = whens["min"], whens["last"]
        ours = values_of(ds["out"])
        theirs = rows_of_model(expected)
        assert [row[key] for row in ours] == [row[key] for row in theirs]
        for mine, other in zip(ours, theirs, strict=True):
            for name in AGGREGATES:
                one, two = mine[f"{target}_{name}"], other[name]
                assert one == two or math.isclose(one, two, abs_tol=1e-9), name
            assert mine["when_min"] == other["when_min"]
            assert mine["when_last"] == other["when_last"]


MERGES = (
    ROWS,
    ROWS,
    st.sampled_from(["age", "town", "sex", "code"]),
    st.sampled_from(["left", "inner", "right", "outer"]),
    st.sampled_from(["equal", "never", "drop"]),
)


@given(*MERGES)
@examples(40)
def test_merges(left, right, key, how, missing):
    """Missing keys are equal, or never, or gone; a row without a partner is missing there."""
    with scratch() as ds:
        a, b = write(ds.create_dataframe("a"), left), write(ds.create_dataframe("b"), right)
        merge(a, b, ds.create_dataframe("out"), key, key, how=how, missing_keys=missing)
        sides = [rows_of_model(model_of(rows)) for rows in (left, right)]
        keys = [[(row[key],) for row in side] for side in sides]
        nothing = dict.fromkeys(NAMES)
        expected = []
        for pair in merged_rows(*keys, how, missing):
            one, other = (
                side[n] if n >= 0 else nothing for side, n in zip(sides, pair, strict=True)
            )
            expected.append({f"{n}_l": one[n] for n in NAMES} | {f"{n}_r": other[n] for n in NAMES})
        found = [
            {name: row[name] for name in row if not name.startswith("valid")}
            for row in values_of(ds["out"])
        ]
        assert found == expected


@given(ROWS)
@examples(40)
def test_copies_renames_appends_and_reopening(rows):
    """The companion follows its field wherever it goes."""
    place = url()
    expected = rows_of_model(model_of(rows))
    with Session(row_block=3) as s:
        ds = s.open_dataset(place, "w", "d")
        table = write(ds.create_dataframe("t"), rows)
        table.rename({"age": "years", "town": "place"})
        ds["copy"] = table
        one = ds.create_dataframe("one")
        one["alone"] = table["years"]
        table["years"].data.write([7, None])
    with Session() as s:
        ds = s.open_dataset(place, "r", "d")
        renamed = [
            {{"age": "years", "town": "place"}.get(k, k): v for k, v in row.items()}
            for row in expected
        ]
        assert values_of(ds["copy"]) == renamed
        assert [row["alone"] for row in values_of(ds["one"])] == [row["age"] for row in expected]
        years = ds["t"]["years"]
        there = years.notna().data[:].tolist()
        assert [
            v if has else None for v, has in zip(years.data[:].tolist(), there, strict=True)
        ] == [
            *(row["age"] for row in expected),
            7,
            None,
        ]


@given(ROWS)
@examples(40)
def test_csv_has_nothing_for_what_is_missing(rows):
    """And pandas reads it so."""
    with scratch() as ds:
        table = write(ds.create_dataframe("t"), rows)
        file = io.StringIO()
        table.to_csv(file)
    read = pd.read_csv(io.StringIO(file.getvalue()), dtype=str, keep_default_na=False)
    assert list(read.columns) == NAMES
    model = model_of(rows)
    for name in ("age", "sex", "flag"):
        texts = ["" if pd.isna(v) else str(v) for v in model[name]]
        assert read[name].tolist() == texts


@given(ROWS)
def test_csv_has_the_column_that_is_its_filter(rows):
    """The rows of which it is true; where it is missing it keeps none."""
    with scratch() as ds:
        table = write(ds.create_dataframe("t"), rows)
        file = io.StringIO()
        table.to_csv(file, row_filter=table["flag"], column_filter=["flag", "age"])
        ages = [row[NAMES.index("age")] for row in rows if row[NAMES.index("flag")]]
        cells = ["" if age is None else age for age in ages]
        assert file.getvalue().splitlines() == ["flag,age", *(f"True,{cell}" for cell in cells)]


@given(ROWS, st.sampled_from(NAMES))
def test_whether_a_field_is_sorted(rows, name):
    """As a sort leaves it: what is missing last, and never as 0."""
    with scratch() as ds:
        table = write(ds.create_dataframe("t"), rows)
        model = model_of(rows)
        in_order = sorted_model(model, [name], [True])[name]
        expected = rows_of_model(model[[name]]) == rows_of_model(in_order.to_frame())
        assert table[name].is_sorted() == expected
        table.sort_values(name)
        assert table[name].is_sorted()


def test_what_is_described():
    """Fields that say what is missing of others only if they are named."""
    with scratch() as ds:
        table = ds.create_dataframe("t")
        table.create_numeric("age", "int8").data.write([1, None])
        table.create_numeric("own", "bool").data.write([True, False])
        assert list(table.describe()) == list(table.describe("all")) == ["age", "own"]
        assert list(table.describe(np.bool_)) == list(table.describe([np.bool_])) == ["own"]
        assert list(table.describe(["age_valid", "age"])) == ["age_valid", "age"]
        assert list(table.describe("age_valid")) == ["age_valid"]
        with pytest.raises(DataError, match="'age_valid'"):
            table.describe(exclude=["age", "own"])


@given(ROWS)
@examples(40)
def test_statistics(rows):
    """Of a whole field, as of pandas' nullable types."""
    model = model_of(rows)
    with scratch() as ds:
        table = write(ds.create_dataframe("t"), rows)
        age = table["age"]
        there = model["age"].dropna()
        assert age.count() == len(there)
        assert age.sum() == (int(there.sum()) if len(there) else None)
        assert age.min() == (there.min() if len(there) else None)
        assert age.nunique() == there.nunique()
        for name in ("mean", "median", "std"):
            ours, theirs = getattr(age, name)(), getattr(there.astype(float), name)()
            assert math.isclose(ours, theirs) or (math.isnan(ours) and math.isnan(theirs))
        assert age.value_counts() == there.value_counts().to_dict()
        assert table.describe()["age"]["missing"] == len(model) - len(there)


def test_a_companion_of_another_length_is_an_error():
    """Nobody knows then which rows have a value."""
    with Session() as s:
        table = s.open_dataset(url(), "w", "d").create_dataframe("t")
        table.create_numeric("age", "int8").data.write([1, 2, 3])
        brought(table, "age_valid", [True, False])
        with pytest.raises(DataError, match=r"age has 3 rows, but field t/age_valid"):
            table["age"].mean()


def test_a_companion_in_use_is_not_deleted():
    with Session() as s:
        table = s.open_dataset(url(), "w", "d").create_dataframe("t")
        table.create_numeric("age", "int8").data.write([1, None])
        with pytest.raises(DataError, match=r"which rows of 'age' have a value"):
            del table["age_valid"]
        del table["age"]
        assert table.keys() == []


def test_a_name_decides_where_there_is_no_link():
    """As imports and ExeTera's files have it; of a number of other meaning it does not."""
    with Session() as s:
        table = s.open_dataset(url(), "w", "d").create_dataframe("t")
        table.create_numeric("age", "int8").data.write([34, 0, 51])
        brought(table, "age_valid", [True, False, True])
        table.create_timestamp("seen").data.write([0.0, 5.0, 10.0])
        brought(table, "seen_set", [False, True, True])
        table.create_numeric("size", "int8").data.write([1, 2, 3])
        brought(table, "size_valid", [0, 0, 0], "int8")
        assert table["age"].mean() == 42.5
        assert table["seen"].count() == 2
        assert table["size"].mean() == 2


def test_a_field_that_has_the_name_of_a_companion_leaves_it_alone():
    """The companion, which nobody has named, goes on under another name."""
    with scratch() as ds:
        table = ds.create_dataframe("t")
        table.create_numeric("age", "int8").data.write([None, 1])
        table.create_numeric("age_valid", "int8").data.write([3, 4])
        assert table["age"].mean() == 1
        assert table["age_valid"].data[:].tolist() == [3, 4]
        table.create_indexed_string("town").data.write(["York", None])
        table.rename("age", "town_valid")
        assert table["town"].isna().data[:].tolist() == [False, True]
        assert table["town_valid"].mean() == 1
        assert values_of(table, ["town", "town_valid"]) == [
            {"town": "York", "town_valid": None},
            {"town": None, "town_valid": 1},
        ]


def test_a_field_of_bool_does_not_take_the_name_of_a_companion():
    """It would say of the field what it was not told of it, and what it said would be lost."""
    with scratch() as ds:
        table = ds.create_dataframe("t")
        table.create_numeric("age", "int8").data.write([None, 1])
        with pytest.raises(NameTakenError, match="'age_valid', which says which rows of 'age'"):
            table.create_numeric("age_valid", "bool")
        assert table["age"].isna().data[:].tolist() == [True, False]
        table.create_numeric("other", "bool").data.write([True, True])
        with pytest.raises(NameTakenError, match="age_valid"):
            table.rename("other", "age_valid")


@pytest.mark.parametrize("way", ["none", "by name"])
def test_a_new_field_has_nothing_of_one_that_had_its_name(way):
    """The companion goes with the field that was renamed, whatever its name is."""
    with scratch() as ds:
        table = write(ds.create_dataframe("t"), [(None,), (1,)], {"age": "int8"}, way)
        table.rename("age", "years")
        table.create_numeric("age", "int8").data.write([5, 6])
        copy = table.copy_rows(ds.create_dataframe("copy"))
        merge(table, copy, ds.create_dataframe("out"), "age", "age", right_fields=["years"])
        for each in (table, copy):
            assert values_of(each, ["age", "years"]) == [
                {"age": 5, "years": None},
                {"age": 6, "years": 1},
            ]
        assert ds["out"]["age"].mean() == 5.5
        assert ds["out"]["years_r"].isna().data[:].tolist() == [True, False]
        del table["years"]
        assert table["age"].mean() == 5.5
        assert ("age_valid" in table) == (way == "by name")  # the user's own stays


def merged(ds):
    """Two fields of a row that has no partner, which share a companion."""
    one = write(ds.create_dataframe("one"), [(1,), (2,)], {"id": "int8"})
    rows = [(1, "York", "f")]
    other = write(
        ds.create_dataframe("two"), rows, {"key": "int8", "town": "text", "sex": "category"}
    )
    out = ds.create_dataframe("out")
    merge(one, other, out, "id", "key", right_fields=["town", "sex"])
    assert set(out.companions().values()) == {"valid_r"}
    return out


def test_a_cell_that_is_overwritten_says_nothing_of_others():
    with scratch() as ds:
        out = merged(ds)
        out["sex"].data[1] = "m"
        assert values_of(out, ["town", "sex"])[1] == {"town": None, "sex": "m"}
        out["sex"].data[0] = None
        assert values_of(out, ["town", "sex"])[0] == {"town": "York", "sex": None}
        assert out["valid_r"].data[:].tolist() == [True, False]


@pytest.mark.parametrize("town", ["Leeds", None])
def test_rows_are_appended_to_what_a_merge_gave(town):
    """Field after field, though they have one companion."""
    with scratch() as ds:
        out = merged(ds)
        out["id"].data.write([3, 4])
        out["town"].data.write([town, "Bath"])
        out["sex"].data.write(["f", None])
        assert values_of(out)[1:] == [
            {"id": 2, "town": None, "sex": None},
            {"id": 3, "town": town, "sex": "f"},
            {"id": 4, "town": "Bath", "sex": None},
        ]


def test_the_flag_of_a_merge_is_shared_under_any_name():
    """Also where its new name is that of a companion of one of its fields."""
    with scratch() as ds:
        one = write(ds.create_dataframe("one"), [(1,), (2,)], {"id": "int8"})
        kinds = {"key": "int8", "age": "int8", "town": "text"}
        other = write(ds.create_dataframe("two"), [(1, 5, "York")], kinds)
        out = ds.create_dataframe("out")
        merge(one, other, out, "id", "key", right_fields=["age", "town"])
        out.rename("valid_r", "age_valid")
        out["age"].data[1] = 6
        assert values_of(out, ["age", "town"])[1] == {"age": 6, "town": None}


@pytest.mark.parametrize("how", ["inner", "right"])
def test_fields_of_two_sides_are_no_companions_of_each_other(how):
    """Though the name of one would say so, were they of one table."""
    with scratch() as ds:
        kinds = {"id": "int8", "age_valid": "bool"}
        one = write(ds.create_dataframe("one"), [(1, False), (2, True)], kinds)
        other = write(ds.create_dataframe("two"), [(1, 5), (2, 6)], {"key": "int8", "age": "int8"})
        for left, right, keys in ((one, other, ("id", "key")), (other, one, ("key", "id"))):
            out = ds.create_dataframe(f"of {left.name}")
            merge(left, right, out, *keys, how=how)
            assert out["age"].mean() == 5.5
            assert out["age_valid"].data[:].tolist() == [False, True]


USERS_OWN = {
    "create after": lambda t, flags: (
        t.create_numeric("age", "int8").data.write([34, 0, 51]),
        t.create_numeric("age_valid", "bool").data.write(flags),
    ),
    "create before": lambda t, flags: (
        t.create_numeric("age_valid", "bool").data.write(flags),
        t.create_numeric("age", "int8").data.write([34, 0, 51]),
    ),
    "assign a condition": lambda t, flags: (
        t.create_numeric("age", "int8").data.write([34, 0, 51]),
        t.__setitem__("age_valid", t["age"] > 40),
    ),
    "rename the flag": lambda t, flags: (
        t.create_numeric("age", "int8").data.write([34, 0, 51]),
        t.create_numeric("ok", "bool").data.write(flags),
        t.rename("ok", "age_valid"),
    ),
    "rename the field": lambda t, flags: (
        t.create_numeric("years", "int8").data.write([34, 0, 51]),
        t.create_numeric("age_valid", "bool").data.write(flags),
        t.rename({"years": "age"}),
    ),
    "swap": lambda t, flags: (
        t.create_numeric("age_valid", "int8").data.write([34, 0, 51]),
        t.create_numeric("age", "bool").data.write(flags),
        t.rename({"age": "age_valid", "age_valid": "age"}),
    ),
    "move": lambda t, flags: (
        t.create_numeric("age", "int8").data.write([34, 0, 51]),
        t.create_numeric("ok", "bool").data.write(flags),
        dataframes.move(t["ok"], t, "age_valid"),
    ),
    "from another table": lambda t, flags: (
        t.create_numeric("age", "int8").data.write([34, 0, 51]),
        brought(other := t.dataset.create_dataframe("other"), "age_valid", flags),
        dataframes.move(other["age_valid"], t, "age_valid"),
    ),
    "create_like": lambda t, flags: (
        t.create_numeric("age", "int8").data.write([34, 0, 51]),
        t.create_numeric("ok", "bool").create_like(t, "age_valid").data.write(flags),
        t["ok"].data.write(flags),
    ),
    "create_like of the session": lambda t, flags: (
        t.create_numeric("age", "int8").data.write([34, 0, 51]),
        t.create_numeric("ok", "bool").data.write(flags),
        t.dataset.session.create_like(t["ok"], t, "age_valid").data.write(flags),
    ),
    "create_like by a group": lambda t, flags: (
        t.create_numeric("age", "int8").data.write([34, 0, 51]),
        t.create_numeric("ok", "bool").create_like(t.group, "age_valid").data.write(flags),
        t["ok"].data.write(flags),
    ),
    "the field anew": lambda t, flags: (
        t.create_numeric("age", "int8").data.write([3, 0, 5]),
        brought(t, "age_valid", flags),
        t.__delitem__("age"),
        t.create_numeric("age", "int8").data.write([34, 0, 51]),
    ),
    "filtered to a table that has the other": lambda t, flags: (
        brought(t, "age_valid", flags),
        write(t.dataset.create_dataframe("o"), [(34,), (0,), (51,)], {"age": "int8"}).apply_filter(
            [True] * 3, ddf=t
        ),
    ),
}


@pytest.mark.parametrize("way", USERS_OWN)
def test_what_a_person_calls_so_is_no_companion(way):
    """A field of bool that a person makes says nothing of others, whatever it is called."""
    with scratch() as ds:
        table, flags = ds.create_dataframe("t"), [False, False, True]
        USERS_OWN[way](table, flags)
        copy = ds.create_dataframe("copy", table)
        filtered = table.apply_filter(np.ones(3, bool), ds.create_dataframe("filtered"))
        merge(table, table, ds.create_dataframe("out"), "age", "age", right_fields=[])
        for each in (table, copy, filtered, ds["out"]):
            assert each.companions() == {}
            assert each["age"].mean() == pytest.approx(85 / 3)
            assert each["age_valid"].data[:].tolist() == flags
        del table["age_valid"]
        assert table["age"].count() == 3


def test_links_by_name_go_with_copies_of_the_table():
    """Though nothing that is made in this face gets one by its name."""
    with scratch() as ds:
        rows, kinds = [(5, None), (None, DAYS[0])], {"age": "int8", "when": "moment"}
        table = write(ds.create_dataframe("t"), rows, kinds, "by name")
        ds["a copy"] = table
        table.apply_index([0, 1], ds.create_dataframe("rows"))
        table.sort_values("age", ds.create_dataframe("sorted"))
        dataframes.copy(table["age"], ds.create_dataframe("fields"), "age")
        dataframes.copy(table["when"], ds["fields"], "when")
        datasets.move(ds["a copy"], ds, "moved")
        for name in ("rows", "sorted", "fields", "moved"):
            assert values_of(ds[name], list(kinds)) == [
                {"age": 5, "when": None},
                {"age": None, "when": DAYS[0]},
            ]
        with pytest.raises(DataError, match=r"which rows of 'age' have a value"):
            del table["age_valid"]
        table["age"].data.write([7])  # whose companion is written later
        table.copy_rows(ds.create_dataframe("ragged"))
        ds["ragged"]["age_valid"].data.write([True])
        assert ds["ragged"]["age"].mean() == 6


@pytest.mark.parametrize("order", [["age", "age_valid"], ["age_valid", "age"]])
@pytest.mark.parametrize("way", ["none", "by name"])
def test_fields_are_copied_one_after_the_other(order, way):
    """As scripts do, over all names of a table, companions among them."""
    with scratch() as ds:
        table = write(ds.create_dataframe("t"), [(5,), (None,), (6,)], {"age": "int8"}, way)
        other = ds.create_dataframe("other")
        for name in order:
            other[name] = table[name]
        assert other["age"].isna().data[:].tolist() == [False, True, False]
        assert other["age_valid"].data[:].tolist() == [True, False, True]
        if order[0] == "age":  # which has made its companion
            with pytest.raises(NameTakenError, match="age_valid"):
                other["age_valid"] = ~table["age_valid"]
        else:  # a field as others, which is replaced
            other["age_valid"] = ~table["age_valid"]
            assert other["age_valid"].data[:].tolist() == [False, True, False]
        assert other["age"].isna().data[:].tolist() == [False, True, False]


def test_the_flag_of_a_merge_and_a_field_are_copied_out():
    with scratch() as ds:
        out = merged(ds)
        for number, order in enumerate([["town", "valid_r"], ["valid_r", "town"], ["valid_r"]]):
            other = ds.create_dataframe(str(number))
            for name in order:
                other[name] = out[name]
            assert other["valid_r"].data[:].tolist() == [True, False]
            if "town" in order:
                assert other["town"].isna().data[:].tolist() == [False, True]
                del other["valid_r"]
                assert other["town"].isna().data[:].tolist() == [False, True]


def test_a_companion_is_not_moved_away_from_its_field():
    """Nor is a copy of it left behind by the try."""
    with scratch() as ds:
        table = write(ds.create_dataframe("t"), [(5,), (None,)], {"age": "int8"})
        other = ds.create_dataframe("other")
        with pytest.raises(DataError, match="which rows of 'age' have a value"):
            dataframes.move(table["age_valid"], other, "age_valid")
        assert other.keys() == []
        assert table["age"].isna().data[:].tolist() == [False, True]


@pytest.mark.parametrize("ending", ["zarr", "hdf5"])
def test_what_a_name_means_outlasts_a_commit(tmp_path, ending):
    """ExeTera's flag is a companion where it was written, a person's own is not."""
    place = str(tmp_path / f"x.{ending}")
    with Session(exetera=True) as s:
        table = s.open_dataset(place, "w", "d").create_dataframe("t")
        for name in ("age", "size"):
            table.create_numeric(name, "int8").data.write([34, 0, 51])
        table.create_numeric("age_valid", "bool").data.write([True, False, True])
    with Session() as s:
        table = s.open_dataset(place, "r+", "d")["t"]
        table["size_valid"] = table["size"] > 40
        assert (table["age"].mean(), table["size"].mean()) == (42.5, 85 / 3)
    for way in ("as it is", "converted"):
        if way == "converted":
            convert(place, place := str(tmp_path / ("y.hdf5" if ending == "zarr" else "y.zarr")))
        with Session() as s:
            table = s.open_dataset(place, "r", "d")["t"]
            assert (table["age"].mean(), table["size"].mean()) == (42.5, 85 / 3)


@pytest.mark.parametrize("exetera", [False, True])
def test_flags_of_imports_are_companions(tmp_path, exetera):
    """Of numbers and of dates, whoever imported them; of a column called so, they are not."""
    place = url()
    with Session(exetera=exetera) as s:
        ds = s.open_dataset(place, "w", "d")
        schema = {
            "age": Numeric("int8"),
            "seen": DateTime(create_flag_field=True),
        }
        (file := tmp_path / "x.csv").write_text("age,seen\n5,2020-01-01 00:00:00\n,\n7,\n")
        import_csv(ds, "t", file, schema)
        importers = ds.create_dataframe("u")
        for name, of in (
            ("n", NumericImporter(s, importers, "n", "int8")),
            ("d", DateTimeImporter(s, importers, "d", create_flag_field=True)),
        ):
            of.write_part([b"5", b""] if name == "n" else [b"2020-01-01 00:00:00", b""])
            of.complete()
    with Session() as s:
        ds = s.open_dataset(place, "r", "d")
        assert ds["t"].companions() == {"age": "age_valid", "seen": "seen_set"}
        assert (ds["t"]["age"].mean(), ds["t"]["seen"].count()) == (6, 1)
        assert ds["u"].companions() == {"n": "n_valid", "d": "d_set"}
        assert (ds["u"]["n"].count(), ds["u"]["d"].count()) == (1, 1)


def test_a_column_called_as_a_flag_would_be_says_nothing(tmp_path):
    with Session() as s:
        ds = s.open_dataset(url(), "w", "d")
        schema = {"age": Numeric("int8", validation_mode="strict"), "age_valid": Numeric("bool")}
        (file := tmp_path / "x.csv").write_text("age,age_valid\n5,True\n7,False\n")
        import_csv(ds, "t", file, schema)
        assert ds["t"]["age"].mean() == 6


ROW_ERRORS = {
    "no such row": lambda f: f.data.__setitem__(7, 1),
    "no such row, for nothing": lambda f: f.data.__setitem__(7, None),
    "no such rows": lambda f: f.data.__setitem__([0, 7], [None, 1]),
    "a short mask": lambda f: f.data.__setitem__(np.array([True]), [None]),
    "too many": lambda f: f.data.__setitem__(slice(0, 2), [1, None, 3]),
    "too many by number": lambda f: f.data.__setitem__([0, 1], [1, None, 3]),
    "many for one": lambda f: f.data.__setitem__(0, [None, 1]),
    "text": lambda f: f.data.__setitem__("a", None),
    "a number that does not fit": lambda f: f.fillna(300),
    "no number": lambda f: f.fillna("a"),
    "values": lambda f: f.fillna([1, 2]),
    "a field": lambda f: f.fillna(f),
    "none": lambda f: f.fillna(None),
    "nan": lambda f: f.fillna(math.nan),
}


@pytest.mark.parametrize("values", [[1, None], [1, 2]])
@pytest.mark.parametrize("name", ROW_ERRORS)
def test_errors_are_about_the_field_that_was_named(name, values):
    """And not about its companion, or one in memory; nothing is changed, nor made."""
    with scratch() as ds:
        table = ds.create_dataframe("t")
        (field := table.create_numeric("n", "int8")).data.write(values)
        names = list(table)
        with pytest.raises((DataError, TypeError, IndexError), match="field t/n") as raised:
            ROW_ERRORS[name](field)
        assert "in memory" not in str(raised.value)
        assert "n_valid" not in str(raised.value)
        assert list(table) == names
        assert values_of(table) == [{"n": value} for value in values]


@pytest.mark.parametrize("kind", ["moment", "float64", "text", "fixed", "category"])
def test_what_fillna_cannot_fill_in_names_the_field(kind):
    with scratch() as ds:
        table = write(ds.create_dataframe("t"), [(None,)], {"n": kind})
        wrong = {"moment": "abc", "float64": math.nan, "text": 3, "fixed": "x" * 99}
        with pytest.raises((DataError, TypeError), match="field t/n"):
            table["n"].fillna(wrong.get(kind, 99))


@pytest.mark.parametrize("values", [[None, 300], [None, None, 300], [3, None, 300]])
def test_a_value_that_does_not_fit_is_told_by_its_own_place(values):
    """And not by that of what is missing before it."""
    with scratch() as ds:
        field = ds.create_dataframe("t").create_numeric("n", "int8")
        with pytest.raises(DataError, match=f"value {len(values) - 1} of those given, 300"):
            field.data.write(values)
        with pytest.raises(DataError, match=f"value {len(values) - 1} of those given, 300"):
            field.data.write(np.ma.masked_invalid(np.array(values, float)))
        assert len(field) == 0


def test_keys_of_a_merge_come_in_lists_as_those_of_groups_do():
    with scratch() as ds:
        kinds = {"id": "int8", "code": "fixed"}
        table = write(ds.create_dataframe("t"), [(1, "a"), (None, "b"), (2, None)], kinds)
        found = []
        for number, keys in enumerate([["id", "code"], ("id", "code"), [table["id"], "code"]]):
            out = ds.create_dataframe(str(number))
            merge(table, table, out, left_on=keys, right_on=keys, right_fields=["id"])
            found.append(values_of(out))
        assert found[0] == found[1] == found[2]
        assert [row["id_r"] for row in found[0]] == [1, None, 2]
        for wrong in ("id", [], ["id"], {"id", "code"}):
            with pytest.raises(ValueError, match=r"left_on|keys"):
                merge(
                    table, table, ds.create_dataframe("w"), left_on=wrong, right_on=["id", "code"]
                )
            del ds["w"]
