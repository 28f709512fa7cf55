"""Groups on a cluster: the same tables as here, in the same order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from exetera_zarr.cluster import grouping
from exetera_zarr.errors import DataError
from support.verbs import EXAMPLES, assert_same_table

PLAIN = {
    "age": ["count", "sum", "mean", "std", "min", "max", "first", "last"],
    "dose": ["sum", "mean", "var", "min", "max", "first", "last", "count"],
    "big": ["min", "max", "first"],
    "well": ["sum", "size"],
    "seen": ["min", "max", "mean", "first"],
    "code": ["min", "max", "first", "last"],
    "town": ["min", "max", "first", "last", "count"],
}
RANKED = {"dose": ["median", "nunique", "sum"], "town": ["nunique", "first"], "age": ["median"]}
KEYS = [["id"], ["sex"], ["town"], ["code", "dose"], ["age", "well"], ["seen"]]


def grouped(pair, by, aggregates, **how):
    made = []
    for ds in pair:
        table = ds["visits"]
        wanted = {name: what for name, what in aggregates.items() if name not in by}
        made.append(table.groupby(by, **how).agg(wanted, ds.create_dataframe("groups")))
    return made


def same_groups(pair, by, aggregates, **how):
    found, expected = grouped(pair, by, aggregates, **how)
    assert expected.length() > 0
    assert_same_table(found, expected, rounded=("_std", "_var"))


@settings(max_examples=EXAMPLES, phases=[Phase.generate])
@given(
    st.integers(1, 48), st.integers(40, 150), st.sampled_from(KEYS), st.booleans(), st.booleans()
)
def test_groups_are_the_same(twins, block, rows, by, drop, in_order):
    pair = twins(("visits", rows, block, 4))
    if in_order:
        for ds in pair:
            ds["visits"].sort_values(by)
            ds.commit()
    missing = "drop" if drop else "equal"
    same_groups(pair, by, PLAIN, missing_keys=missing, hint_keys_is_sorted=in_order)


@pytest.fixture
def shuffles(monkeypatch):
    """Names of what was shuffled."""
    seen, whole = [], grouping.shuffled

    def shuffled(run, name, *given):
        seen.append(name)
        return whole(run, name, *given)

    monkeypatch.setattr(grouping, "shuffled", shuffled)
    return seen


@pytest.mark.parametrize(
    "by",
    [["id"], *(pytest.param(by, marks=pytest.mark.slow) for by in KEYS[1:5])],
    ids="-".join,
)
def test_many_groups_go_to_the_partition_of_their_keys(twins, shuffles, monkeypatch, by):
    monkeypatch.setattr(grouping, "FEW", 1)
    same_groups(twins(("visits", 130, 11, 6)), by, PLAIN)
    assert shuffles == ["groups"]


@pytest.mark.parametrize("by", [["town", "sex"]], ids="-".join)
def test_medians_and_distinct_values_are_of_whole_groups(twins, shuffles, by):
    same_groups(twins(("visits", 130, 11, 8)), by, RANKED)
    assert shuffles == ["groups"]


def test_a_group_over_many_blocks_adds_floats_as_one_process_does(twins):
    """Bit for bit: thirds do not add up the same in another order."""
    made = []
    for ds in twins():
        table = ds.create_dataframe("visits", row_block=8)
        table.create_numeric("id", "int32").data.write(np.repeat([1, 2, 3], [50, 3, 47]))
        table.create_numeric("x", "float64").data.write(np.random.default_rng(1).normal(size=100))
        ds.commit()
        wanted = {"x": ["sum", "mean", "var", "std"]}
        made.append(table.groupby("id", True).agg(wanted, ds.create_dataframe("groups")))
    assert_same_table(*made)


def test_a_wrong_hint_is_the_error_it_is_in_one_process(twins):
    pair, told = twins(("visits", 100, 7, 3)), []
    for ds in pair:
        groups = ds["visits"].groupby("id", hint_keys_is_sorted=True)
        with pytest.raises(DataError, match="hint_keys_is_sorted, but row") as error:
            groups.count(ds.create_dataframe("groups"))
        told.append(str(error.value))
        assert list(ds["groups"]) == []
    assert told[0] == told[1]


@pytest.mark.parametrize("few", [1, 100])
def test_a_sum_that_does_not_fit_names_the_field(twins, monkeypatch, few):
    monkeypatch.setattr(grouping, "FEW", few)
    (ds, _) = twins()
    table = ds.create_dataframe("visits", row_block=4)
    table.create_numeric("id", "int32").data.write(np.arange(20) % 3)
    table.create_numeric("x", "int64").data.write(np.full(20, 2**62))
    ds.commit()
    with pytest.raises(DataError, match=r"sum of .*visits/x.*does not fit int64"):
        table.groupby("id").sum("x", ds.create_dataframe("sums"))


def test_exetera_counts_what_is_stored(client, tmp_path):
    from exetera_zarr import Session

    made = []
    for cluster, side in ((client, "there"), (None, "here")):
        with Session() as s:
            ds = s.open_dataset(str(tmp_path / f"{side}.zarr"), "w", "d")
            table = ds.create_dataframe("t", row_block=5)
            table.create_numeric("id", "int32").data.write(np.arange(40) % 4)
            x = np.ma.masked_array(np.arange(40), np.arange(40) % 3 == 0)
            table.create_numeric("x", "int32").data.write(x)
        with Session(cluster=cluster, exetera=True) as s:
            ds = s.open_dataset(str(tmp_path / f"{side}.zarr"), "r+", "d")
            out = ds.create_dataframe("out")
            ds["t"].groupby("id").agg({"x": ["min", "max", "last"], "x_valid": ["max"]}, out)
            made.append({name: field.data[:].tolist() for name, field in out.items()})
    assert made[0] == made[1]
