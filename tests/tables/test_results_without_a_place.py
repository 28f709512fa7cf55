"""Verbs that are given no table to write to, beside pandas: grouping, merging, distinct rows."""

from __future__ import annotations

import uuid

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exetera_zarr import Session
from exetera_zarr.errors import ArgumentError, ArgumentTypeError, DataError, UnsupportedError

KEYS = st.one_of(st.none(), st.sampled_from(["a", "b", "c"]))
NUMBERS = st.one_of(st.none(), st.integers(-5, 5))
TABLE = st.lists(st.tuples(KEYS, NUMBERS, st.integers(0, 3)), min_size=1, max_size=20)


@pytest.fixture
def ds():
    with Session(row_block=4) as s:
        yield s.open_dataset("memory://results.zarr", "w", "d")


def place():
    return f"memory://{uuid.uuid4()}.zarr"


def made(ds, name, rows, columns=("key", "n", "m")):
    """A table, and the same of pandas."""
    table = ds.create_dataframe(name)
    table.create_indexed_string(columns[0])
    table.create_numeric(columns[1], "int32")
    table.create_numeric(columns[2], "int64")
    data = {name: [row[at] for row in rows] for at, name in enumerate(columns)}
    table.append(data)
    return table, table.to_pandas(types="typed")


def same(found, wanted):
    """As pandas has it, whatever type it has for columns of which some rows are missing."""
    got = found.to_pandas(types="typed")
    assert list(got.columns) == list(wanted.columns)
    plain = [plainly(frame) for frame in (got, wanted)]
    assert plain[0] == plain[1]


def plainly(frame):
    return [[None if pd.isna(v) else v for v in frame[name].tolist()] for name in frame]


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(
    rows=TABLE,
    names=st.sets(
        st.sampled_from(
            ["min", "max", "sum", "count", "mean", "median", "nunique", "first", "last"]
        ),
        min_size=2,
        max_size=3,
    ),
)
def test_groups(rows, names):
    with Session(row_block=4) as s:
        ds = s.open_dataset(place(), "w", "d")
        table, frame = made(ds, "t", rows)
        groups = table.groupby("key", dropna=False)
        theirs = frame.groupby("key", dropna=False)
        for name in sorted(names):
            wanted = getattr(theirs["n"], name)().reset_index()
            if name == "sum":  # of no values it is missing here, as in SQL
                wanted["n"] = wanted["n"].where(theirs["n"].count().to_numpy() > 0)
            same(getattr(groups["n"], name)(), wanted)
        same(groups.size(), theirs.size().reset_index(name="size"))
        same(groups.count(), theirs.count().reset_index())
        same(groups[["n", "m"]].max(), theirs[["n", "m"]].max().reset_index())
        same(
            groups.agg(top=("n", "max"), rows=("m", "count")),
            theirs.agg(top=("n", "max"), rows=("m", "count")).reset_index(),
        )
        same(groups["m"].agg(["min", "max"]), theirs["m"].agg(["min", "max"]).reset_index())
        same(groups["m"].agg("min"), theirs["m"].agg("min").reset_index())
        same(
            table.groupby("key", dropna=True).size(),
            frame.groupby("key").size().reset_index(name="size"),
        )


def test_of_all_columns_without_naming_them(ds):
    table, frame = made(ds, "t", [("a", 1, 2), ("b", None, 4), ("a", 3, 5)])
    same(table.groupby("key").mean(), frame.groupby("key").mean().reset_index())
    same(table.groupby("key").first(), frame.groupby("key").first().reset_index())
    table.create_indexed_string("text").data.write(["x", "y", "z"])
    with pytest.raises(DataError, match="text") as raised:
        table.groupby("key").mean()
    assert "numeric_only=True" in raised.value.__notes__[0]
    assert table.groupby("key").mean(numeric_only=True).keys()[:3] == ["key", "n", "m"]
    assert "text" in table.groupby("key").max()


@pytest.mark.parametrize(
    ("call", "kind", "why"),
    [
        (lambda g: list(g), UnsupportedError, "one by one"),
        (lambda g: g.agg(), ArgumentError, "agg"),
        (lambda g: g.agg(x="n"), ArgumentError, "a field and an aggregate"),
        (lambda g: g.agg(x=("n", "nope")), DataError, "nope"),
        (lambda g: g["n"].agg([]), ArgumentError, "names of aggregates"),
        (lambda g: g["n"].frobnicate(), AttributeError, "frobnicate"),
        (lambda g: g["nope"], ValueError, "nope"),
        (lambda g: g["key"].max(), ArgumentError, "keys of the groups"),
    ],
)
def test_what_groups_have_not(ds, call, kind, why):
    table, _ = made(ds, "t", [("a", 1, 2)])
    with pytest.raises(kind, match=why):
        call(table.groupby("key"))


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(left=TABLE, right=TABLE, how=st.sampled_from(["inner", "left", "right", "outer"]))
def test_merges(left, right, how):
    with Session(row_block=4) as s:
        ds = s.open_dataset(place(), "w", "d")
        one, frame = made(ds, "one", left)
        other, theirs = made(ds, "other", right, ("key", "n", "x"))
        found = one.merge(other, how=how, on="key")
        wanted = frame.merge(theirs, how=how, on="key")
        if how != "left" and how != "right":  # noqa: PLR1714
            # The order of pandas is that of its keys; ours is told by merge.
            assert sorted_rows(found.to_pandas(types="typed")) == sorted_rows(wanted)
            assert list(found.to_pandas().columns) == list(wanted.columns)
        else:
            same(found, wanted)


def sorted_rows(frame):
    key = [[(v is None, 0 if v is None else v) for v in column] for column in plainly(frame)]
    return sorted(zip(*key, strict=True), key=repr_of_whole)


def repr_of_whole(row):
    return [repr(float(v) if isinstance(v, int) else v) for _, v in row]


def test_keys_of_a_merge(ds):
    one, frame = made(ds, "one", [("a", 1, 2), ("b", 2, 3)])
    other, theirs = made(ds, "other", [("b", 7, 2), ("c", 8, 3)], ("name", "n", "x"))
    same(
        one.merge(other, left_on="key", right_on="name", how="left"),
        frame.merge(theirs, left_on="key", right_on="name", how="left"),
    )
    same(one.merge(other), frame.merge(theirs))
    same(one.merge(other, how="cross"), frame.merge(theirs, how="cross"))
    same(
        one.merge(other, left_on=["key"], right_on=["name"], suffixes=("", "_other")),
        frame.merge(theirs, left_on=["key"], right_on=["name"], suffixes=("", "_other")),
    )
    with pytest.raises(ArgumentTypeError, match="from_pandas"):
        one.merge(theirs)
    with pytest.raises(ArgumentError, match="left_on and right_on"):
        one.merge(other, left_on="key")
    with pytest.raises(ArgumentError, match="no field of the same name"):
        one[["key"]].merge(other)
    with pytest.raises(DataError, match="both the same type"):
        one.assign(x=one["m"] * 1.5).merge(other, on="x", how="outer")


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(rows=TABLE, keep=st.sampled_from(["first", "last", False]))
def test_distinct_rows(rows, keep):
    with Session(row_block=4) as s:
        ds = s.open_dataset(place(), "w", "d")
        table, frame = made(ds, "t", rows)
        same(table.drop_duplicates(keep=keep), frame.drop_duplicates(keep=keep))
        same(table.drop_duplicates("key", keep=keep), frame.drop_duplicates("key", keep=keep))
        keys = ["n", "m"]
        same(table.drop_duplicates(keys, keep=keep), frame.drop_duplicates(keys, keep=keep))


def test_sorting(ds):
    table, frame = made(ds, "t", [("b", 1, 2), ("a", None, 4), (None, 3, 5), ("a", 9, 1)])
    same(table.sort("key"), frame.sort_values("key", kind="stable"))
    same(
        table.sort(["key", "n"], ascending=[True, False]),
        frame.sort_values(["key", "n"], ascending=[True, False], kind="stable"),
    )
    same(table.sort("n", descending=True), frame.sort_values("n", ascending=False, kind="stable"))
    same(table, frame)


def test_as_of_gives_a_view(ds):
    snapshot = ds.from_dict("snapshot", {"id": [1, 2], "n": [5, 6]})
    journal = ds.create_dataframe("journal")
    journal.journal(snapshot, "id", "2024-01-01")
    journal.journal(ds.from_dict("later", {"id": [1], "n": [7]}), "id", "2024-02-01")
    assert journal.as_of("2024-01-15")["n"].data[:].tolist() == [5, 6]
    assert sorted(journal.as_of("2024-03-01")["n"].data[:].tolist()) == [6, 7]


def test_when_rows_were_imported_is_no_key(ds):
    """It is in both tables, and never the same."""
    of_imports = {"j_valid_from": [1.0, 1.0], "j_valid_to": [9.0, 9.0]}
    left = ds.from_dict("people", {"id": [1, 2], "age": [34, 51], **of_imports})
    of_imports = {"j_valid_from": [2.0, 2.0], "j_valid_to": [9.0, 9.0]}
    right = ds.from_dict("visits", {"id": [2, 2], "pain": [3, 0], **of_imports})
    assert left.merge(right)["pain"].tolist() == [3, 0]


def test_keys_are_counted_as_rows(ds):
    frame = ds.from_dict("of_keys", {"id": [1, 1, 2, None], "x": [None, 1, 2, 3]})
    found = frame.groupby("id").agg(n=("id", "size"), mean=("x", "mean"))
    assert (found["n"].tolist(), found["id"].tolist()) == ([2, 1, 1], [1, 2, None])
    found = frame.groupby("id", dropna=True).agg(n=("id", "count"))
    expected = frame.to_pandas(types="typed").groupby("id").agg(n=("id", "count"))
    assert found["n"].tolist() == expected["n"].tolist()
    with pytest.raises(ValueError, match=r"\.size\(\), or agg\(rows=\('id', 'size'\)\)"):
        frame.groupby("id").agg(n=("id", "count"))  # of those without a key there are none
    with pytest.raises(AttributeError, match=r"df\.groupby\(\.\.\.\)\['x'\]"):
        _ = frame.groupby("id").x


def test_a_notebook_says_that_a_result_is_not_kept(ds):
    frame = ds.from_dict("shown", {"id": [1, 1, 2]})
    assert "a result that is not kept" in frame.groupby("id").size()._repr_html_()
    assert "not kept" not in frame._repr_html_()
    assert "not kept" not in frame.head()._repr_html_()
