"""Strings that are too long for DuckDB to hold: sorted, grouped and joined by their ranks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exetera_zarr.engine.columns import strings
from exetera_zarr.engine.group import aggregate
from exetera_zarr.engine.join import unsorted_join
from exetera_zarr.engine.join.row_pairs import concatenated
from exetera_zarr.engine.sort import long_strings, sorting
from exetera_zarr.engine.streams.source import Source
from exetera_zarr.engine.streams.workspace import Workspace

MEMORY = 1 << 26
#: Alike for longer than what is compared first, then not.
START = b"same" * 1100
texts = st.lists(
    st.builds(
        lambda long, end: (START if long else b"") + end, st.booleans(), st.binary(max_size=3)
    ),
    min_size=1,
    max_size=20,
)


@pytest.fixture(autouse=True)
def short_is_long(monkeypatch):
    """Strings of some bytes are long already."""
    monkeypatch.setattr(long_strings, "_FEW", MEMORY)


def source(*columns, step=3):
    return Source.of(columns, step, room=20_000)


def in_order(values):
    return sorted(range(len(values)), key=lambda row: values[row])


@given(texts)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_they_are_sorted_by_all_of_their_bytes(values):
    with Workspace(MEMORY) as work:
        rows = sorting.sort_rows(source(strings.encode(values)), True, work)
        found = list(range(len(values))) if rows is None else rows.read(0, len(rows)).tolist()
    assert found == in_order(values)


@given(texts, texts)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_they_are_joined(left, right):
    with Workspace(MEMORY) as work:
        sides = source(strings.encode(left)), source(strings.encode(right))
        found = concatenated(unsorted_join.join_rows(*sides, "inner", work))
    pairs = [(i, j) for i, one in enumerate(left) for j, other in enumerate(right) if one == other]
    by_first = sorted(pairs, key=lambda pair: (left.index(left[pair[0]]), pair))
    assert list(zip(*(side.tolist() for side in found), strict=True)) == by_first


@given(texts, st.data())
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_they_are_grouped_as_keys_and_as_values(values, data):
    """Results come in blocks that fit the memory, and are what they are of short strings."""
    groups = data.draw(st.lists(st.integers(0, 3), min_size=len(values), max_size=len(values)))
    wanted = [(0, name) for name in ("min", "max", "first", "last", "nunique", "count")]
    column, numbers = strings.encode(values), np.array(groups)
    with Workspace(MEMORY) as work:
        found = list(aggregate.grouped(source(numbers), source(column), wanted, work))
        keys = list(aggregate.grouped(source(column), source(numbers), [(0, "max")], work))
    rows = [
        (int(part.keys[0][i]), *(listed(column)[i] for column in part.results))
        for part in found
        for i in range(len(part.keys[0]))
    ]
    expected = []
    for group in sorted(set(groups)):
        of = [value for value, number in zip(values, groups, strict=True) if number == group]
        expected.append((group, min(of), max(of), of[0], of[-1], len(set(of)), len(of)))
    assert rows == expected
    assert [value for part in keys for value in listed(part.keys[0])] == sorted(set(values))
    assert all(int(strings.lengths(part.keys[0]).sum()) <= 20_000 for part in keys)


def listed(column):
    return column.tolist() if isinstance(column, np.ndarray) else column.to_pylist()


def test_short_strings_stay():
    with Workspace(MEMORY << 10) as work:
        before = source(strings.encode(["a", "b" * 10] * 50))
        (after,), found = long_strings.shortened([before], work)
    assert after is before
    assert found == {}
