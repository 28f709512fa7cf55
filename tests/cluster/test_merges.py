"""Merges on a cluster: the same rows in the same order, whichever way they were found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from exetera_zarr.cluster import joining
from exetera_zarr.cluster.running import Run
from support.verbs import EXAMPLES, assert_same_table

pytestmark = pytest.mark.filterwarnings("ignore:the tables .* have different labels:UserWarning")

HOW = ["left", "right", "inner", "outer"]
KEYS = [["id"], ["town"], ["sex", "code"], ["age"], ["dose"]]


def merged(pair, how, by, other=None, **hints):
    made = []
    for ds in pair:
        dest = ds.create_dataframe("merged", row_block=16)
        from exetera_zarr.tables.merge import merge

        merge(ds["visits"], ds["tests"], dest, by, other or by, how=how, **hints)
        made.append(dest)
    return made


def same_rows(pair, how, by, other=None, **hints):
    found, expected = merged(pair, how, by, other, **hints)
    assert_same_table(found, expected)
    return found


def tables(rows, block, seed):
    return ("visits", rows, block, seed), ("tests", max(rows - 20, 5), block + 2, seed + 1)


@settings(max_examples=EXAMPLES, phases=[Phase.generate])
@given(st.integers(1, 32), st.integers(30, 110), st.sampled_from(KEYS), st.sampled_from(HOW))
def test_both_sides_in_order(twins, block, rows, by, how):
    pair = twins(*tables(rows, block, 7))
    for ds in pair:
        for name in ("visits", "tests"):
            ds[name].sort_values(by)
        ds.commit()
    hints = {"hint_left_keys_ordered": True, "hint_right_keys_ordered": True}
    same_rows(pair, how, by, **hints)


@pytest.mark.parametrize("how", ["left", "right"])
@pytest.mark.parametrize("by", KEYS[1:3], ids="-".join)
def test_a_small_side_goes_to_all_workers(twins, by, how):
    pair = twins(*tables(80, 9, 3))
    found = same_rows(pair, how, by)
    pair[0].commit()
    assert found.length() >= 0
    pair[0].storage.verify()


@pytest.fixture
def without_room(monkeypatch):
    """As if no side fitted a worker; the number of joins of two large tables."""
    seen, whole = [], joining.joined_pairs
    from exetera_zarr.cluster import merging

    def joined(*given):
        seen.append(1)
        return whole(*given)

    monkeypatch.setattr(Run, "memory", 1)
    monkeypatch.setattr(Run, "partitions", lambda _run, _size: 5)
    monkeypatch.setattr(merging, "joined_pairs", joined)
    return seen


LARGE = [(how, by) for how in HOW for by in (["id"], ["town"], ["sex", "code"])]
USUAL = [("inner", ["id"])]


@pytest.mark.parametrize(
    ("how", "by"),
    [pytest.param(*one, marks=[] if one in USUAL else pytest.mark.slow) for one in LARGE],
)
def test_sides_that_fit_a_task_are_joined_by_one(twins, by, how):
    same_rows(twins(*tables(70, 9, 11)), how, by)


@pytest.mark.parametrize(
    ("how", "by"),
    [pytest.param(*one, marks=[] if one in USUAL else pytest.mark.slow) for one in LARGE],
)
def test_two_large_sides_go_to_the_partition_of_their_keys(twins, without_room, by, how):
    same_rows(twins(*tables(70, 9, 11)), how, by)
    assert without_room == [1]


def test_keys_of_two_types_are_compared_exactly(twins, without_room):
    big = 2**53
    pair = twins()
    for ds in pair:
        for name, kind in (("visits", "int64"), ("tests", "float64")):
            table = ds.create_dataframe(name, row_block=4)
            values = [big, big + 1, 3, -5, 3, 7, 0, 8] * 3
            table.create_numeric("id", kind).data.write(
                np.asarray(values[: 20 if kind == "int64" else 24]).astype(kind)
            )
            table.create_numeric("row", "int32").data.write(
                np.arange(20 if kind == "int64" else 24)
            )
        ds.commit()
    same_rows(pair, "outer", ["id"])
    assert without_room == [1]


def test_a_wrong_hint_is_the_error_it_is_in_one_process(twins):
    pair, told = twins(*tables(70, 9, 2)), []
    hints = {"hint_left_keys_ordered": True, "hint_right_keys_ordered": True}
    for ds in pair:
        with pytest.raises(ValueError, match="ascend") as error:
            merged([ds], "left", ["id"], **hints)
        told.append(str(error.value))
        assert list(ds["merged"]) == []
    assert told[0] == told[1]


@pytest.mark.slow
@pytest.mark.parametrize("count", [127, 128, 129, 130])
def test_no_row_is_lost_in_so_many_partitions(twins, monkeypatch, without_room, count):
    """A number at which an older Dask lost rows without a word."""
    monkeypatch.setattr(Run, "partitions", lambda _run, _size: count)
    same_rows(twins(*tables(2580, 200, 5)), "inner", ["id", "town"])
