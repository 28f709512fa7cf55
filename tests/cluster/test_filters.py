"""Filters on a cluster: the same tables as here, array by array."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from exetera_zarr.cluster.gathering import RowsOnCluster
from support.verbs import EXAMPLES, assert_same_table


@settings(max_examples=EXAMPLES, phases=[Phase.generate])
@given(
    st.integers(1, 64), st.integers(0, 150), st.sampled_from(["well", "age", "dose", "none", "all"])
)
def test_a_filter_keeps_the_same_rows(twins, block, rows, by):
    check(twins(("visits", rows, block, 1)), by)


def check(pair, by):
    made = []
    for ds in pair:
        table = ds["visits"]
        chosen = table[by] if by in table else np.full(table.length(), by == "all")
        kept = ds.create_dataframe("kept")
        assert table.apply_filter(chosen, kept) is kept
        table.apply_filter(chosen)
        made.append((kept, table))
    for found, expected in zip(*made, strict=True):
        assert_same_table(found, expected)
    for ds in pair:
        ds.commit()
    for name in ("kept", "visits"):
        assert_same_table(pair[0][name], pair[1][name])
    pair[0].storage.verify()


@pytest.fixture
def gathered(monkeypatch):
    """How many rows tasks have gathered for each call."""
    seen, whole = [], RowsOnCluster.fill

    def fill(self, *given, **more):
        seen.append(len(self))
        whole(self, *given, **more)

    monkeypatch.setattr(RowsOnCluster, "fill", fill)
    return seen


def test_workers_gather_the_rows_of_many_blocks(twins, gathered):
    check(twins(("visits", 200, 16, 2)), "well")
    assert len(gathered) == 2
    assert min(gathered) > 3 * 16  # so that blocks were placed
