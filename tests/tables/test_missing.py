"""Missing values through every verb, beside a model in pandas' nullable types."""

from __future__ import annotations

import datetime as dt
import io
import math
import uuid

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exetera_zarr import DataError, Session, merge

AGES = st.one_of(st.none(), st.integers(-3, 3))
WEIGHTS = st.one_of(st.none(), st.sampled_from([0.0, -1.5, 2.25]))
FLAGS = st.one_of(st.none(), st.booleans())
TOWNS = st.one_of(st.none(), st.sampled_from(["", "York", "Leeds"]))
SEXES = st.one_of(st.none(), st.sampled_from(["f", "m"]))
WHENS = st.one_of(
    st.none(), st.sampled_from([dt.datetime(2020, 1, day, tzinfo=dt.UTC) for day in (1, 2)])
)
ROWS = st.lists(st.tuples(AGES, WEIGHTS, FLAGS, TOWNS, SEXES, WHENS), max_size=12)
NAMES = ["age", "weight", "flag", "town", "sex", "when"]
CODES = {"f": 3, "m": 4}


def write(table, rows):
    """A table of these rows, of one field of each kind."""
    columns = dict(zip(NAMES, zip(*rows, strict=True) if rows else [()] * len(NAMES), strict=True))
    table.create_numeric("age", "int8").data.write(list(columns["age"]))
    table.create_numeric("weight", "float64").data.write(
        [math.nan if w is None else w for w in columns["weight"]]
    )
    table.create_numeric("flag", "bool").data.write(list(columns["flag"]))
    table.create_indexed_string("town").data.write(list(columns["town"]))
    table.create_categorical("sex", "int8", CODES).data.write(list(columns["sex"]))
    table.create_timestamp("when").data.write(list(columns["when"]))
    return table


def values_of(table):
    """The rows as dicts of what a person sees, None for what is missing."""
    hidden = set(table.companions().values())
    columns = {}
    for name, field in table.items():
        if name not in hidden:
            present = field.notna().data[:]
            shown = [field._shown(value) for value in field.data[:]]
            columns[name] = [v if there else None for v, there in zip(shown, present, strict=True)]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def model_of(rows):
    """The same in pandas."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(NAMES)
    types = ["Int64", "Float64", "boolean", "string", "string", "datetime64[us, UTC]"]
    return pd.DataFrame(
        {
            name: pd.Series(list(column), dtype=dtype)
            for name, column, dtype in zip(NAMES, columns, types, strict=True)
        }
    )


def rows_of_model(frame):
    """A pandas frame as `values_of` gives a table."""
    return [
        {name: None if pd.isna(value) else _plain(value) for name, value in row.items()}
        for row in frame.to_dict("records")
    ]


def _plain(value):
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    return value.item() if isinstance(value, np.generic) else value


def url():
    return f"memory://{uuid.uuid4().hex}/x.zarr"


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
    with Session(row_block=block) as s:
        ds = s.open_dataset(url(), "w", "d")
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
    with Session(row_block=3) as s:
        ds = s.open_dataset(url(), "w", "d")
        table = write(ds.create_dataframe("t"), rows)
        table.sort_values(keys, ddf=ds.create_dataframe("out"), ascending=ascending)
        model = model_of(rows).sort_values(
            keys, ascending=ascending, kind="stable", na_position="last"
        )
        # pandas is stable over several keys only in ascending order
        if ascending or len(keys) == 1:
            assert values_of(ds["out"]) == rows_of_model(model)
        else:
            key = [tuple(r[k] for k in keys) for r in values_of(ds["out"])]
            assert key == [tuple(r[k] for k in keys) for r in rows_of_model(model)]


AGGREGATES = ["count", "sum", "mean", "min", "max", "first", "last", "nunique", "median", "std"]


@given(ROWS, st.sampled_from(["age", "town", "sex", "flag", "weight"]), st.booleans())
def test_groups(rows, key, drop):
    """Aggregates are of the values that there are; of none they are missing, and counts 0."""
    with Session(row_block=3) as s:
        ds = s.open_dataset(url(), "w", "d")
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


@given(
    ROWS,
    ROWS,
    st.sampled_from(["age", "town", "sex"]),
    st.sampled_from(["left", "inner", "right"]),
    st.sampled_from(["equal", "never", "drop"]),
)
@settings(max_examples=150)
def test_merges(left, right, key, how, missing):
    """Missing keys are equal, or never, or gone; a row without a partner is missing there."""
    with Session(row_block=3) as s:
        ds = s.open_dataset(url(), "w", "d")
        a, b = write(ds.create_dataframe("a"), left), write(ds.create_dataframe("b"), right)
        merge(a, b, ds.create_dataframe("out"), key, key, how=how, missing_keys=missing)
        expected = []
        ours, theirs = rows_of_model(model_of(left)), rows_of_model(model_of(right))
        lead, other = (theirs, ours) if how == "right" else (ours, theirs)
        for row in lead:
            if row[key] is None and missing == "drop":
                continue
            partners = [
                o
                for o in other
                if o[key] == row[key] and not (row[key] is None and missing != "equal")
            ]
            if not partners and how != "inner":
                partners = [dict.fromkeys(NAMES)]
            for partner in partners:
                pair = (partner, row) if how == "right" else (row, partner)
                expected.append(
                    {f"{n}_l": pair[0][n] for n in NAMES} | {f"{n}_r": pair[1][n] for n in NAMES}
                )
        found = values_of(ds["out"])
        found = [{name: row[name] for name in row if not name.startswith("valid")} for row in found]
        if how == "inner":  # whose order goes by the first left row with the key
            found, expected = (sorted(rows, key=repr) for rows in (found, expected))
        assert found == expected


@given(ROWS)
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
def test_csv_has_nothing_for_what_is_missing(rows):
    """And pandas reads it so."""
    with Session(row_block=3) as s:
        table = write(s.open_dataset(url(), "w", "d").create_dataframe("t"), rows)
        file = io.StringIO()
        table.to_csv(file)
    read = pd.read_csv(io.StringIO(file.getvalue()), dtype=str, keep_default_na=False)
    assert list(read.columns) == NAMES
    model = model_of(rows)
    for name in ("age", "sex", "flag"):
        texts = ["" if pd.isna(v) else str(v) for v in model[name]]
        assert read[name].tolist() == texts


@given(ROWS)
def test_statistics(rows):
    """Of a whole field, as of pandas' nullable types."""
    model = model_of(rows)
    with Session(row_block=3) as s:
        table = write(s.open_dataset(url(), "w", "d").create_dataframe("t"), rows)
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
        table.create_numeric("age_valid", "bool").data.write([True, False])
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
        table.create_numeric("age_valid", "bool").data.write([True, False, True])
        table.create_timestamp("seen").data.write([0.0, 5.0, 10.0])
        table.create_numeric("seen_set", "bool").data.write([False, True, True])
        table.create_numeric("size", "int8").data.write([1, 2, 3])
        table.create_numeric("size_valid", "int8").data.write([0, 0, 0])
        assert table["age"].mean() == 42.5
        assert table["seen"].count() == 2
        assert table["size"].mean() == 2
