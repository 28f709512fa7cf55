"""Rows and columns that are chosen and not copied, beside pandas and plain lists."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
import uuid

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exetera_zarr import DataFrame, Session
from exetera_zarr.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    FieldNotFoundError,
    NameTakenError,
    ReadOnlyError,
)
from exetera_zarr.testing import counting

ROWS = {
    "id": ["a", "b", "c", "d", "e", "f", "g"],
    "age": [34, None, 51, 47, 12, None, 80],
    "sex": ["f", "m", None, "f", "m", "f", "m"],
    "dose": [0.5, 1.5, float("nan"), 2.5, 3.5, 4.5, 5.5],
}


@pytest.fixture
def people(place):
    with Session(row_block=3) as s:
        ds = s.open_dataset(place.url("x.zarr"), "w", "d", storage_options=place.storage_options)
        table = ds.create_dataframe("people")
        table.create_fixed_string("id", 2).data.write([one.encode() for one in ROWS["id"]])
        table.create_numeric("age", "int8").data.write(ROWS["age"])
        table.create_categorical("sex", "int8", {"f": 1, "m": 2}).data.write(ROWS["sex"])
        table.create_numeric("dose", "float64").data.write(ROWS["dose"])
        table["age"].label = "Age at entry"
        ds.commit()
        yield table


def rows_of(frame):
    return frame.to_arrow().to_pylist()


def wanted(numbers, names=tuple(ROWS)):
    columns = {**ROWS, "dose": [None if np.isnan(d) else d for d in ROWS["dose"]]}
    return [{name: columns[name][number] for name in names} for number in numbers]


def test_rows_that_are_chosen(people):
    df = people
    for view, numbers in (
        (df.head(), range(5)),
        (df.head(2), range(2)),
        (df.head(-2), range(5)),
        (df.head(99), range(7)),
        (df.tail(3), range(4, 7)),
        (df.tail(-6), range(6, 7)),
        (df.tail(0), ()),
        (df[df["age"] > 40], (2, 3, 6)),
        (df[~(df["age"] > 40)], (0, 4)),
        (df[(df["sex"] == "m") & (df["dose"] > 2)], (4, 6)),
        (df[[True, False, True, False, False, False, True]], (0, 2, 6)),
        (df[np.array([0, 1, 0, 0, 0, 0, 0], bool)], (1,)),
        (df[pd.Series([True, None, False, False, False, False, True], dtype="boolean")], (0, 6)),
        (df[2:5], range(2, 5)),
        (df[::-2], (6, 4, 2, 0)),
        (df[-2:], (5, 6)),
        (df[5:2], ()),
        (df.iloc[1:4], (1, 2, 3)),
        (df.iloc[[6, 0, 0, -1]], (6, 0, 0, 6)),
        (df.loc[1:4], (1, 2, 3, 4)),
        (df.loc[df["age"] > 40], (2, 3, 6)),
        (df[lambda d: d["age"] < 40], (0, 4)),
        (df.filter(df["sex"].isin(["f"])), (0, 3, 5)),
    ):
        assert isinstance(view, DataFrame)
        assert view.length() == len(numbers)
        assert rows_of(view) == wanted(numbers)


def test_columns_that_are_chosen(people):
    df = people
    assert rows_of(df[["sex", "id"]]) == wanted(range(7), ("sex", "id"))
    assert rows_of(df.select("age", "id")) == wanted(range(7), ("age", "id"))
    assert rows_of(df.drop(columns=["age", "dose"])) == wanted(range(7), ("id", "sex"))
    assert rows_of(df.loc[1:2, ["age"]]) == wanted((1, 2), ("age",))
    assert rows_of(df.loc[:, "age":"dose"]) == wanted(range(7), ("age", "sex", "dose"))
    assert rows_of(df.iloc[0:2, 1:3]) == wanted((0, 1), ("age", "sex"))
    assert df.iloc[:, 1].name == "age"
    assert df.loc[df["age"] > 40, "age"].data[:].tolist() == [51, 47, 80]
    assert df.iloc[1] == wanted([1])[0]
    assert df.iloc[-1]["id"] == "g"
    renamed = df.rename(columns={"age": "years", "sex": "age"})
    assert rows_of(renamed)[1] == {"id": "b", "years": None, "age": "m", "dose": 1.5}
    assert renamed["years"].label == "Age at entry"
    assert rows_of(df) == wanted(range(7))
    with pytest.raises(NameTakenError, match="'sex'"):
        df.rename(columns={"age": "sex"})


def test_views_of_views(people):
    df = people
    some = df[df["age"] > 20].rename(columns={"age": "years"})
    assert rows_of(some.tail(2).head(1)[["years", "id"]]) == [{"years": 47, "id": "d"}]
    again = some[some["dose"] > 1]
    assert [row["id"] for row in rows_of(again)] == ["d", "g"]
    more = again.assign(twice=again["dose"] * 2, next=lambda d: d["years"] + 1)
    assert rows_of(more[1:])[0] == {
        "id": "g",
        "years": 80,
        "sex": "m",
        "dose": 5.5,
        "twice": 11.0,
        "next": 81,
    }
    assert rows_of(df.assign(age=df["age"] + 1)[["age"]]) == [
        {"age": None if age is None else age + 1} for age in ROWS["age"]
    ]
    assert rows_of(df.assign(born=2000 - df["age"])[df["age"] > 50][["born"]]) == [
        {"born": 1949},
        {"born": 1920},
    ]


def test_sampling(people):
    first, second = (people.sample(4, random_state=7) for _ in range(2))
    assert rows_of(first) == rows_of(second)
    found = [row["id"] for row in rows_of(first)]
    assert found == sorted(found)
    assert len(set(found)) == 4
    assert people.sample(frac=1.0).length() == 7
    assert people.sample().length() == 1
    with pytest.raises(ValueError, match="n from 0 to 7"):
        people.sample(8)
    with pytest.raises(ValueError, match="either"):
        people.sample(1, 0.5)


def test_a_view_is_taken_wherever_a_table_is(people):
    ds = people.dataset
    adults = people[people["age"] > 20]
    ds["adults"] = adults
    assert rows_of(ds["adults"]) == wanted((0, 2, 3, 6))
    assert ds["adults"]["age"].label == "Age at entry"
    assert ds["adults"].companions() == people.companions()
    assert rows_of(adults.groupby("sex").size()) == [
        {"sex": "f", "size": 2},
        {"sex": "m", "size": 1},
        {"sex": None, "size": 1},
    ]
    visits = ds.from_dict("visits", {"id": ["g", "x", "a"], "pain": [3, None, 1]})
    joined = adults.merge(visits, on="id", how="left")
    assert [(row["id"], row["pain"]) for row in rows_of(joined)] == [
        ("a", 1),
        ("c", None),
        ("d", None),
        ("g", 3),
    ]
    target = ds.create_dataframe("sorted")
    adults.sort_values("age", target)
    assert target["age"].data[:].tolist() == [34, 47, 51, 80]
    assert people.describe(["age"])["age"]["count"] == 5
    assert adults.describe(["age"])["age"]["count"] == 4
    assert ds["visits"].append(visits[visits["pain"] > 2]) == 1
    assert len(adults.to_pandas()) == 4
    ds.commit()
    ds.verify()


def test_a_table_is_replaced_by_a_view_of_itself(people):
    ds = people.dataset
    ds.from_dict("other", {"n": [1]})
    ds["people"] = people[people["age"] > 40].drop(columns="dose")
    assert list(ds) == ["people", "other"]
    assert rows_of(people) == wanted((2, 3, 6), ("id", "age", "sex"))
    ds["other"] = ds["people"]
    assert rows_of(ds["other"]) == rows_of(people)
    ds["other"] = ds["other"]
    with pytest.raises(DataError, match="rows"):
        ds["other"] = ragged(ds)
    assert rows_of(ds["other"]) == rows_of(people)
    ds.commit()


def ragged(ds):
    table = ds.create_dataframe("ragged")
    table.create_numeric("a", "int8").data.write([1])
    table.create_numeric("b", "int8").data.write([1, 2])
    return table[["a", "b"]]


def test_what_becomes_of_the_table_does_not_change_the_rows(people):
    ds = people.dataset
    view, columns = people[people["age"] > 40], people[["id"]]
    people.append({"id": ["h"], "age": [99], "sex": ["f"], "dose": [0.0]})
    assert rows_of(view) == wanted((2, 3, 6))
    assert columns.length() == len(rows_of(columns)) == 7
    later = people[people["age"] > 90]
    people.apply_filter(people["age"] < 40)
    assert rows_of(columns) == wanted(range(7), ("id",))
    assert [row["id"] for row in rows_of(later)] == ["h"]
    ds.commit()
    assert rows_of(later)[0]["age"] == 99


def test_views_are_for_reading(people):
    view = people.head(3)
    for change in (
        lambda: view.create_numeric("x", "int8"),
        lambda: view["age"].data.write([1]),
        lambda: view["age"].data.__setitem__(0, 1),
        lambda: view["age"].data.clear(),
        lambda: view.rename("age", "x"),
        lambda: view.__delitem__("age"),
        lambda: view.append({"id": ["x"]}, missing="fill"),
        lambda: people.sort_values("age", view),
    ):
        with pytest.raises(ReadOnlyError, match="view"):
            change()
    assert rows_of(view) == wanted(range(3))
    assert rows_of(people) == wanted(range(7))
    assert [row["id"] for row in rows_of(view.sort_values("dose"))] == ["a", "b", "c"]
    assert rows_of(view.apply_filter(np.array([True, False, True]))) == wanted((0, 2))


@pytest.mark.parametrize(
    ("choose", "kind", "why"),
    [
        (lambda d: d[3], ArgumentTypeError, r"df\.iloc\[3\]"),
        (lambda d: d[None], ArgumentTypeError, "by a condition"),
        (lambda d: d[d["age"]], ArgumentTypeError, r"df\.iloc\[numbers\]"),
        (lambda d: d[np.arange(7)], ArgumentTypeError, r"df\.iloc\[numbers\]"),
        (lambda d: d[[1, 2]], DataError, "of bool"),
        (lambda d: d["age", "id"], ArgumentTypeError, r"df\[\['age', 'id'\]\]"),
        (lambda d: d[["age", "nope"]], FieldNotFoundError, "'nope'"),
        (lambda d: d[["age", "age"]], ArgumentError, "named twice"),
        (lambda d: d[[True, False]], IndexError, "2 rows"),
        (lambda d: d[d["id"]], TypeError, "filter"),
        (lambda d: d["a":"c"], ArgumentTypeError, "whole numbers"),
        (lambda d: d.loc["a"], ArgumentTypeError, "no index"),
        (lambda d: d.loc[-3:], ArgumentTypeError, "iloc"),
        (lambda d: d.iloc[7], IndexError, "row 7 of"),
        (lambda d: d.iloc[[7]], IndexError, "7"),
        (lambda d: d.loc[0, "nope"], FieldNotFoundError, "'nope'"),
        (lambda d: d.head("3"), ArgumentTypeError, "whole number"),
        (lambda d: d.filter(["id", "age"]), DataError, "bool"),
        (lambda d: d.drop(["age"]), FieldNotFoundError, "columns="),
        (lambda d: d.iloc.__setitem__(0, 1), ArgumentTypeError, "upsert"),
        (lambda d: d.assign(x=d.head(2)["age"]), DataError, "2 rows"),
    ],
)
def test_what_cannot_be_chosen(people, choose, kind, why):
    with pytest.raises(kind, match=why):
        choose(people)


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("age > 40", (2, 3, 6)),
        ("not age > 40", (0, 4)),
        ("20 < age <= 47", (0, 3)),
        ("age > 40 and sex == 'f' or id == 'e'", (3, 4)),
        ("sex in ['f'] and age not in [34, 47]", ()),
        ("sex not in ('m',)", (0, 3, 5)),
        ("age.isna() & (dose > 2)", (5,)),
        ("dose * 2 - 1 >= 6 and `age` < @limit", (4, 6)),
        ("-dose < -5", (6,)),
        ("id == '@limit' or id == \"`a`\" or id == 'a'", (0,)),
        ("dose == dose", (0, 1, 3, 4, 5, 6)),
        ("id.str.startswith('b') or sex.str.upper() == 'F'", (0, 1, 3, 5)),
        ("id.str[0] in ['c', 'd'] and id.str[:1] != 'c'", (3,)),
        ("dose > dose.mean()", (4, 5, 6)),
        ("age > 40 & dose > 2 | sex == 'f' & age < 40", (0, 3, 6)),
        ("sex == ['f'] and id != ['a', 'b']", (3, 5)),
    ],
)
def test_queries(people, query, numbers):
    values = {"limit": 100} if "< @limit" in query else {}
    assert rows_of(people.query(query, **values)) == wanted(numbers)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("age = 40", "=="),
        ("", "condition in text"),
        ("age +", "no expression"),
        ("age", "condition"),
        ("nope > 3", "'nope'"),
        ("age > @nope", "nope=..."),
        ("age and sex == 'f'", "no condition"),
        ("age.data.write([1])", "'data'"),
        ("age._group", "'_group'"),
        ("__import__('os').system('true')", "knows"),
        ("(lambda: 1)()", "knows"),
        ("[x for x in age]", "knows"),
        ("age.session.close()", "'session'"),
        ("age.astype('int64') > 3", "'astype'"),
        ("age.apply_filter([True])", "'apply_filter'"),
        ("id.str._field", "'_field'"),
        ("age[0] > 3", "knows"),
        ("age ^ 3", "knows"),
        ("age is None", "isna"),
        ("'a'.__class__", "__class__"),
        ("1 < 2", "condition|filter"),
        ("(" * 300 + "age" + ")" * 300, "no expression"),
    ],
)
def test_queries_that_are_none(people, query, why):
    with pytest.raises((ValueError, TypeError), match=why):
        people.query(query)
    assert rows_of(people) == wanted(range(7))


def test_only_what_is_looked_at_is_read(tmp_path):
    """The first rows of a long table take one chunk of each column."""
    with Session(row_block=1000) as s:
        table = s.open_dataset(tmp_path / "x.zarr", "w", "d").create_dataframe("t")
        for name in "abcd":
            table.create_numeric(name, "int32").data.write(np.arange(50_000))
    with counting() as stores, Session() as s:
        table = s.open_dataset(tmp_path / "x.zarr", "r", "d")["t"]
        stores[-1].calls.clear()
        view = table[["a", "c"]][:10]
        assert view.head().length() == 5
        assert not stores[-1].calls
        assert view["c"].data[:].tolist() == list(range(10))
        assert [key.split("/")[1] for verb, key in stores[-1].calls if verb == "get"] == ["c"]


COLUMN = st.lists(st.one_of(st.none(), st.integers(-100, 100)), min_size=1, max_size=25)


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(column=COLUMN, data=st.data())
def test_any_choices_one_after_another(column, data):
    rows = len(column)
    texts = [f"{value}" * (number % 4) for number, value in enumerate(column)]
    with Session(row_block=4) as s:
        ds = s.open_dataset(f"memory://{uuid.uuid4()}.zarr", "w", "d")
        frame = ds.create_dataframe("t")
        frame.create_numeric("n", "int16").data.write(column)
        frame.create_indexed_string("s").data.write(texts)
        model = list(zip(column, texts, strict=True))
        for _ in range(data.draw(st.integers(1, 4))):
            how = data.draw(st.sampled_from(["mask", "slice", "numbers", "head", "sort"]))
            if how == "mask":
                limit = data.draw(st.integers(-100, 100))
                frame = frame[frame["n"] > limit]
                model = [row for row in model if row[0] is not None and row[0] > limit]
            elif how == "slice":
                part = slice(*data.draw(st.tuples(*[st.none() | st.integers(-9, 9)] * 2)))
                step = data.draw(st.sampled_from([1, 2, -1, -3]))
                part = slice(part.start, part.stop, step)
                frame, model = frame[part], model[part]
            elif how == "numbers" and model:
                chosen = data.draw(st.lists(st.integers(-len(model), len(model) - 1), max_size=9))
                frame, model = frame.iloc[chosen], [model[number] for number in chosen]
            elif how == "sort":
                frame = frame.sort("n")
                model = sorted(model, key=lambda row: (row[0] is None, row[0] or 0))
            else:
                count = data.draw(st.integers(-3, rows))
                frame, model = frame.head(count), model[:count]
            if data.draw(st.booleans()):
                _ = frame["s"].data[:]
        assert [(row["n"], row["s"]) for row in rows_of(frame)] == model
        ds["t"] = frame
        assert [(row["n"], row["s"]) for row in rows_of(ds["t"])] == model


# -- tables of the session's own


def folders(place):
    return [*place.glob("exetera-*")]


def test_a_result_without_a_place_goes_with_its_last_user(tmp_path):
    spill = tmp_path / "spill"
    spill.mkdir()
    with Session(spill_dir=spill, memory_limit="256MB") as s:
        ds = s.open_dataset(tmp_path / "x.zarr", "w", "d")
        table = ds.create_dataframe("t")
        table.create_numeric("n", "int64").data.write(np.random.default_rng(1).permutation(10**6))
        version = ds.commit()
        found = table.sort("n")
        assert found["n"].data[[0, -1]].tolist() == [0, 10**6 - 1]
        assert len(folders(spill)) == 1
        assert list(s.datasets) == ["d"]
        field = found["n"]
        del found
        gc.collect()
        assert field.data[5] == 5
        ds["kept"] = field.dataframe
        del field
        gc.collect()
        assert not folders(spill)
        assert ds["kept"]["n"].data[7] == 7
        assert ds.version == version
    with Session() as s:
        assert list(s.open_dataset(tmp_path / "x.zarr", "r", "d")) == ["t", "kept"]


def test_nothing_of_it_is_told_or_left_at_the_end(tmp_path):
    program = f"""
        import sys
        from exetera_zarr import Session
        s = Session(spill_dir={str(tmp_path)!r})
        ds = s.open_dataset({str(tmp_path / "x.zarr")!r}, "w", "d")
        t = ds.from_dict("t", {{"n": [3, 1, 2], "k": ["a", "b", "a"]}})
        ds.commit()
        kept = t.groupby("k")["n"].sum()
        other = t[t["n"] > 1].sort("n")
        print(kept.to_arrow().to_pylist(), other.to_arrow().to_pylist())
    """
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "'n': 5" in done.stdout
    assert done.stderr == ""
    assert not folders(tmp_path)


def test_it_works_where_the_table_is_for_reading_and_the_session_gone(tmp_path):
    with Session() as s:
        s.open_dataset(tmp_path / "x.zarr", "w", "d").from_dict("t", {"n": [3, 1, 2]})
    ds = Session().open_dataset(tmp_path / "x.zarr", "r", "d")
    gc.collect()
    table = ds["t"]
    assert table.sort("n", descending=True)["n"].data[:].tolist() == [3, 2, 1]
    assert table[table["n"] > 1].groupby("n").size().length() == 2
    assert table.drop_duplicates("n").length() == 3
    ds.close()


def test_a_value_that_a_query_does_not_use(people):
    with pytest.raises(ArgumentError, match="@inplace"):
        people.query("age > 40", inplace=True)


def test_a_view_outlives_its_columns_and_its_table(people):
    view, text = people[people["age"] > 40], people[["id", "sex"]]
    del people["age"]
    people["dose"] = ["x"] * 7
    assert rows_of(view) == wanted((2, 3, 6))
    assert "47" in repr(view)
    ds = people.dataset
    later = people[people["sex"] == "f"]
    del ds["people"]
    assert [row["id"] for row in rows_of(later)] == ["a", "d", "f"]
    assert rows_of(text) == wanted(range(7), ("id", "sex"))


def test_a_column_that_is_assigned_has_no_missing_rows_of_the_one_before(people):
    ds = people.dataset
    full = people.assign(age=people["age"].fillna(99), dose=1)
    assert list(full.dtypes) == list(ROWS)
    ds["full"] = full
    again = ds.from_arrow("again", full.to_arrow())
    for table in (full, ds["full"], again):
        assert table["age"].tolist() == [34, 99, 51, 47, 12, 99, 80]
    assert people.upsert(full, "id").changed == 7
    assert people["age"].tolist() == [34, 99, 51, 47, 12, 99, 80]


def test_columns_and_tables_that_swap(people):
    ds = people.dataset
    ages, doses = people["age"].tolist(), people["dose"].tolist()
    people["age"], people["dose"] = people["dose"], people["age"]
    assert (people["age"].tolist(), people["dose"].tolist()) == (doses, ages)
    before = people["dose"]
    people["dose"] = people["dose"] + 1
    assert (people["dose"] - before).tolist() == [None if age is None else 1 for age in ages]
    ds["p"], ds["q"] = ds.from_dict("one", {"n": [1]}), ds.from_dict("two", {"n": [2]})
    ds.commit()
    first, second = ds["p"], ds["q"]
    with pytest.raises(DataError, match="'p' was replaced"):
        ds["p"], ds["q"] = second, first
    ds.rollback()
    ds["r"] = first  # which is there again
    assert [ds[name]["n"].tolist() for name in "pqr"] == [[1], [2], [1]]
