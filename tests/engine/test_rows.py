"""Rows by number, in any order, within a limit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exetera_zarr.engine import gather, strings
from exetera_zarr.engine.rows import RowNumbers
from exetera_zarr.engine.source import Source
from exetera_zarr.engine.workspace import Workspace

KINDS = {
    "float64": lambda n: np.arange(n) * 0.5,
    "bool": lambda n: np.arange(n) % 3 == 0,
    "fixed": lambda n: np.array([f"v{i}" for i in range(n)], "S4"),
    "strings": lambda n: strings.encode([f"{i}é" * (i % 4) for i in range(n)]),
}


def listed(column):
    return strings.decode(column) if not isinstance(column, np.ndarray) else column.tolist()


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=60)
def test_rows_come_in_the_order_asked_for(kind, data):
    """Whatever the memory, the step and the order; -1 is the type's nothing."""
    rows = data.draw(st.integers(0, 40))
    numbers = np.array(
        data.draw(st.lists(st.integers(-1, rows - 1) if rows else st.just(-1), max_size=60)),
        np.int64,
    )
    if data.draw(st.booleans()):
        numbers.sort()
    step = data.draw(st.integers(1, 12))
    memory = data.draw(st.sampled_from([0, 100, 1 << 30]))
    column = KINDS[kind](rows)
    with Workspace(memory) as work:
        given_numbers = numbers
        if data.draw(st.booleans()):
            given_numbers = work.spill(np.int64)
            given_numbers.append(numbers)
        found = list(RowNumbers(work, given_numbers).of(Source.of([column], step)))
    expected = listed(gather.take_or_default(column, numbers))
    assert [value for part in found for value in listed(part)] == expected


def test_a_source_is_read_a_few_times_not_once_a_row(tmp_path):
    """A random choice of a column that does not fit reads it once for each part of the result."""
    rows, step = 100_000, 1000
    column = np.arange(rows, dtype=np.int64)
    read = []

    def reading(start, stop):
        read.append(stop - start)
        return [column[start:stop]]

    source = Source(rows, [column[:0]], reading, step)
    numbers = np.random.default_rng(0).permutation(rows)
    with Workspace(1 << 20, str(tmp_path)) as work:
        found = np.concatenate(list(RowNumbers(work, numbers).of(source)))
    assert (found == numbers).all()
    assert max(read) <= 4 * step
    assert sum(read) <= 8 * rows


def test_a_sparse_choice_in_order_holds_no_whole_column():
    rows, step = 100_000, 100
    column = np.arange(rows)
    read = []

    def reading(start, stop):
        read.append(stop - start)
        return [column[start:stop]]

    with Workspace(0) as work:
        numbers = np.arange(0, rows, 100)
        parts = list(RowNumbers(work, numbers).of(Source(rows, [column[:0]], reading, step)))
    assert np.concatenate(parts).tolist() == numbers.tolist()
    assert max(read) <= 4 * step
