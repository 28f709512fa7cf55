"""Sorts on a cluster: stable, with what is missing last in either direction, as in one process."""

from __future__ import annotations

from unittest import mock

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from exetera_zarr.cluster.running import Run
from support.verbs import EXAMPLES, assert_same_table

KEYS = [["id"], ["dose"], ["town"], ["sex", "code"], ["age", "town"], ["big", "seen"]]


def same_order(pair, by, ascending):
    for ds in pair:
        ds["visits"].sort_values(by, ds.create_dataframe("sorted"), ascending=ascending)
        ds["visits"].sort_values(by, ascending=ascending)
    for name in ("sorted", "visits"):
        assert_same_table(pair[0][name], pair[1][name])
    pair[0].commit()
    assert_same_table(pair[0]["visits"], pair[1]["visits"])
    pair[0].storage.verify()


@settings(max_examples=EXAMPLES, phases=[Phase.generate])
@given(
    st.integers(1, 40),
    st.integers(20, 150),
    st.sampled_from(KEYS),
    st.lists(st.booleans(), min_size=2, max_size=2),
    st.booleans(),
)
def test_rows_come_in_the_same_order(twins, block, rows, by, ascending, fits):
    pair, ways = twins(("visits", rows, block, 5)), ascending[: len(by)]
    if fits:
        same_order(pair, by, ways)
        return
    with (
        mock.patch.object(Run, "memory", 1),
        mock.patch.object(Run, "partitions", return_value=5),
    ):
        same_order(pair, by, ways)


def test_what_is_sorted_stays_and_is_copied(twins):
    pair = twins(("visits", 90, 8, 5))
    for ds in pair:
        ds["visits"].sort_values("id")
        ds.commit()
    same_order(pair, ["id"], [True])


@pytest.mark.slow
@pytest.mark.parametrize("count", [127, 128, 129, 130])
def test_no_row_is_lost_in_so_many_partitions(twins, monkeypatch, count):
    """A number at which an older Dask lost rows without a word."""
    monkeypatch.setattr(Run, "memory", 1)
    monkeypatch.setattr(Run, "partitions", lambda _run, _size: count)
    same_order(twins(("visits", 2580, 200, 5)), ["dose", "town"], [False, True])
