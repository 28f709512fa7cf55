"""Groups of a table: what each aggregate of each field type gives, and what is refused."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from exetera_zarr import DataError, NameTakenError, Session
from exetera_zarr.fields.categorical import CategoricalField
from exetera_zarr.fields.timestamp import TimestampField

IDS = [3, 1, 2, 3, 1, 2, 2, 9, 3, 1, 1]
NOTES = ["c", "a", "", "c", "b", "é", "", "z", "c" * 40, "a", "A"]
SCORES = [1.5, math.nan, -0.0, 0.0, 7, math.nan, 2, 3, 4, -math.inf, 5]
#: A row before and behind the border of blocks of 4 rows, whatever it is grouped by.
KEYS = ["id", "note", "code", "sex", "score", ["sex", "id"]]


@pytest.fixture
def dataset(place):
    with Session(row_block=4) as s:
        yield s.open_dataset(place.url("x.zarr"), "w", "d", storage_options=place.storage_options)


@pytest.fixture
def table(dataset):
    frame = dataset.create_dataframe("visits")
    frame.create_numeric("id", "int64").data.write(IDS)
    frame.create_indexed_string("note").data.write(NOTES)
    frame.create_fixed_string("code", 3).data.write([n.encode()[:3] for n in NOTES])
    sex = frame.create_categorical("sex", "int8", {"f": 0, "m": 1})
    sex.data.write([n % 2 for n in range(11)])
    frame.create_timestamp("when").data.write(np.arange(11) * 3600.0)
    frame.create_numeric("score", "float64").data.write(SCORES)
    frame.create_numeric("dose", "uint8").data.write([250] * 11)
    return frame


def as_lists(frame):
    """The rows of each field, a NaN as a text that equals itself."""
    found = {}
    for name, field in frame.items():
        values = list(field.data[:])
        found[name] = ["NaN" if isinstance(v, float) and math.isnan(v) else v for v in values]
    return found


def groups_of(values, names):
    """The rows of each key, keys ascending, NaN last."""

    def rank(row):
        keys = [values[name][row] for name in names]
        return [
            (k == "NaN", 0 if k == "NaN" else k.encode() if isinstance(k, str) else k) for k in keys
        ]

    groups: dict = {}
    for row in sorted(range(11), key=rank):
        groups.setdefault(tuple(values[name][row] for name in names), []).append(row)
    return groups


@pytest.mark.parametrize("by", KEYS)
def test_groups_as_in_exetera(dataset, table, by):
    """Keys ascending, NaN one group and last; count, min, max, first and last of each type."""
    names = [by] if isinstance(by, str) else by
    values, others = as_lists(table), ["when", "note", "code"]
    others = [name for name in others if name not in names]
    groups = groups_of(values, names)
    result = dataset.create_dataframe("result")
    grouped = table.groupby(by)
    assert grouped.count(result) is result
    for verb in ("min", "max", "first", "last"):
        getattr(grouped, verb)(others, result, False)
    found = as_lists(result)
    assert list(zip(*(found[name] for name in names), strict=True)) == list(groups)
    assert found["count"] == [len(rows) for rows in groups.values()]
    assert result["count"].nformat == "int64"
    verbs = {"min": min, "max": max, "first": lambda v: v[0], "last": lambda v: v[-1]}
    for name in others:
        for verb, function in verbs.items():
            expected = [function([values[name][r] for r in rows]) for rows in groups.values()]
            assert found[f"{name}_{verb}"] == expected, (name, verb)
            assert type(result[f"{name}_{verb}"]) is type(table[name])


@pytest.mark.parametrize("hint", [True, False])
def test_aggregates_as_in_pandas(dataset, table, hint):
    """The same numbers and types as `DataFrame.groupby` gives, where NaNs do not count."""
    wanted = {
        "score": ["sum", "mean", "std", "var", "median", "nunique"],
        "dose": ("sum", "mean", "median", "nunique"),
        "note": "nunique",
        "when": ["mean", "median"],
    }
    if hint:
        table.sort_values("id")
    with np.errstate(all="ignore"):
        frame = pd.DataFrame(
            {name: np.asarray(table[name].data[:]) for name in ("id", "score", "dose", "note")}
            | {"when": table["when"].data[:]}
        )
        right = frame.groupby("id").agg(
            {k: [v] if v == "nunique" else list(v) for k, v in wanted.items()}
        )
    result = dataset.create_dataframe("result")
    table.groupby("id", hint_keys_is_sorted=hint).agg(wanted, ddf=result)
    names = [f"{name}_{verb}" for name, verb in right.columns]
    assert result.keys() == ["id", *names]
    assert result["id"].data[:].tolist() == right.index.tolist()
    for name, column in zip(names, right.columns, strict=True):
        found = result[name].data[:]
        np.testing.assert_allclose(found, right[column], rtol=1e-12, err_msg=name)
        assert found.dtype == right[column].dtype
    assert isinstance(result["when_mean"], TimestampField)


@pytest.mark.parametrize("verb", ["sum", "mean", "std", "var", "median", "nunique"])
def test_each_aggregate_has_its_method(dataset, table, verb):
    """What `agg` gives, under the same name, with and without keys."""
    one, other = dataset.create_dataframe("one"), dataset.create_dataframe("other")
    getattr(table.groupby("sex"), verb)(["dose", "score"], ddf=one)
    table.groupby("sex").agg({"dose": verb, "score": verb}, ddf=other, write_keys=False)
    assert one.keys() == ["sex", f"dose_{verb}", f"score_{verb}"]
    assert other.keys() == one.keys()[1:]
    for name, field in other.items():
        np.testing.assert_allclose(field.data[:], one[name].data[:], rtol=1e-12)


def test_categories_keep_their_names(dataset, table):
    """As keys, and as least, greatest, first and last values."""
    result = dataset.create_dataframe("result")
    table.groupby("id").agg({"sex": ["min", "last", "nunique", "count", "size"]}, ddf=result)
    table.groupby("sex").distinct(dataset.create_dataframe("sexes"))
    for field in (result["sex_min"], result["sex_last"], dataset["sexes"]["sex"]):
        assert isinstance(field, CategoricalField)
        assert field.keys == table["sex"].keys
    assert result["sex_last"].data[:].tolist() == [0, 0, 0, 1]
    found = as_lists(result)
    assert found["sex_nunique"] == [2, 2, 2, 1]
    assert found["sex_count"] == found["sex_size"] == [4, 3, 3, 1]


def test_a_table_may_take_its_own_groups(dataset):
    """The fields are read as they were before the first was written."""
    table = dataset.create_dataframe("t")
    table.create_numeric("k", "int32").data.write([2, 1, 2])
    table.create_numeric("v", "int32").data.write([1, 2, 3])
    table.groupby("k").sum("v", table, write_keys=False)
    assert table["v_sum"].data[:].tolist() == [2, 4]


def test_no_rows(dataset):
    """An empty table has no groups, and its result the right types."""
    table, result = dataset.create_dataframe("t"), dataset.create_dataframe("r")
    table.create_indexed_string("k")
    table.create_numeric("v", "uint8")
    table.groupby("k").agg({"v": ["sum", "median", "max"]}, ddf=result)
    assert all(len(field) == 0 for field in result.values())
    types = [result[f"v_{name}"].nformat for name in ("sum", "median", "max")]
    assert types == ["uint64", "float64", "uint8"]


def test_distinct_and_hints(dataset, table):
    """drop_duplicates writes each key once; a wrong hint is an error, not a wrong answer."""
    result = table.drop_duplicates(["id"], dataset.create_dataframe("keys"))
    assert as_lists(result) == {"id": [1, 2, 3, 9]}
    numbers = dataset.create_dataframe("n")
    with pytest.raises(DataError, match="row 1 of 'visits' has a key"):
        table.groupby("id", hint_keys_is_sorted=True).count(numbers)
    assert numbers.keys() == []
    table.sort_values("id")
    counted = table.groupby("id", hint_keys_is_sorted=True).count(numbers)
    assert as_lists(counted) == {"id": [1, 2, 3, 9], "count": [4, 3, 3, 1]}
    assert table.drop_duplicates("id")["id"].data[:].tolist() == [1, 2, 3, 9]
    with pytest.raises(ValueError, match="ddf"):
        table.drop_duplicates("id", "keys")


def test_a_hint_is_checked_behind_the_first_block(dataset, table):
    """Also where blocks meet, after groups have been written: nothing of them is left."""
    table.sort_values("id")
    table["id"].data[8] = 0
    result = dataset.create_dataframe("n")
    with pytest.raises(DataError, match="row 8"):
        table.groupby("id", hint_keys_is_sorted=True).max("note", result)
    assert result.keys() == []


def test_wrong_names(dataset, table):
    """Refused before anything is written."""
    result = dataset.create_dataframe("result")
    for wrong in ("nope", [], ("id",), table["id"], ["id", 1]):
        with pytest.raises(ValueError):  # noqa: PT011
            table.groupby(wrong)
    grouped = table.groupby("id")
    for wrong in ("id", "nope", [], ("note",)):
        with pytest.raises(ValueError):  # noqa: PT011
            grouped.max(wrong, result)
    for wrong in ({}, "note", {"nope": "max"}, {"note": "mode"}, {"id": "max"}):
        with pytest.raises(ValueError):  # noqa: PT011
            grouped.agg(wrong, result)
    result.create_numeric("dose_sum", "int8")
    with pytest.raises(NameTakenError, match="dose_sum"):
        grouped.agg({"dose": ["max", "sum"]}, result)
    assert result.keys() == ["dose_sum"]


NUMBERS_ONLY = ["sum", "mean", "std", "var", "median"]


@pytest.mark.parametrize(
    ("name", "verb"),
    [
        *itertools.product(["note", "code", "sex"], NUMBERS_ONLY),
        ("when", "sum"),
        ("when", "var"),
    ],
)
def test_aggregates_that_a_type_has_not(dataset, table, name, verb):
    """Strings, names of categories and, but for the middle, points in time are no numbers."""
    result = dataset.create_dataframe("result")
    with pytest.raises(DataError, match=f"{verb} of field visits/{name}: "):
        table.groupby("id").agg({"dose": "max", name: verb}, result)
    assert result.keys() == []


@pytest.mark.parametrize("by", ["id", "when"])
def test_a_sum_that_does_not_fit(dataset, table, by):
    """An error that names the field, not a number that has wrapped around."""
    table.create_numeric("large", "int64").data.write([2**62] * 11)
    result = dataset.create_dataframe("result")
    if by == "when":
        table["when"].data[:] = np.zeros(11)
    with pytest.raises(DataError, match="sum of field visits/large: a sum does not fit int64"):
        table.groupby(by).sum(["dose", "large"], result)
    assert result.keys() == []


def test_arguments_of_another_form(dataset, table):
    """Each is told in a sentence, whatever was given in place of a name or a table."""
    result = dataset.create_dataframe("result")
    with pytest.raises(DataError, match="5 of field visits/dose: there is no such aggregate"):
        table.groupby("id").agg({"dose": 5}, result)
    with pytest.raises(ValueError, match="ddf is the table to write to, not a str"):
        table.groupby("id").count("counts")
