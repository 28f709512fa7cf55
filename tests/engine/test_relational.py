from __future__ import annotations

import contextlib
import math
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from engine_model import (
    as_columns,
    key_tables,
    model_merge,
    tables,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from model import order_key
from model import sort as model_sort

from exetera_zarr.engine import relational, sortkeys, strings
from exetera_zarr.engine.ordered import ordered_map

HOWS = ["left", "right", "inner", "outer"]


@contextlib.contextmanager
def duckdb_only():
    """Sends every sort to DuckDB, however small."""
    zero = dict.fromkeys(("ONE_WORD_ROWS", "WORDS_ROWS", "STRINGS_ROWS"), 0)
    with mock.patch.multiple(relational, **zero, _ascends=lambda _: False, _BATCH=5):
        yield


@st.composite
def sort_cases(draw):
    rows, cols = draw(tables(max_rows=20))
    return rows, cols, draw(st.lists(st.booleans(), min_size=len(cols), max_size=len(cols)))


@settings(max_examples=300, deadline=None)
@given(sort_cases())
def test_small_sorts_are_stable_with_nan_last(case):
    """Any types in any directions are sorted as Python's stable sort does it."""
    rows, cols, ascending = case
    assert relational.sort_index(cols, ascending).tolist() == model_sort(rows, ascending)


@settings(max_examples=60, deadline=None)
@given(sort_cases(), st.booleans())
def test_duckdb_sorts_give_the_same_rows(case, repetitive):
    """The path of large tables gives exactly the rows of the path of small ones."""
    rows, cols, ascending = case
    with duckdb_only(), mock.patch.object(relational, "_repetitive", return_value=repetitive):
        found = relational.sort_index(cols, ascending)
    assert found.tolist() == model_sort(rows, ascending)
    assert found.dtype == np.int64


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("n", [relational.STRINGS_ROWS + 1, relational.WORDS_ROWS + 1])
def test_the_paths_agree_beyond_their_thresholds(n, ascending):
    """At the sizes where numpy hands over, both paths give the same rows."""
    rng = np.random.default_rng(n)
    number = rng.choice([math.nan, -0.0, 0.0, *rng.normal(size=50)], n)
    text = strings.encode([f"{x}" for x in rng.integers(0, n, n)])
    wide = rng.integers(-(2**62), 2**62, n)
    for cols in ([number, text], [wide, number], [rng.integers(0, 9, n).astype(np.int8)]):
        found = relational.sort_index(cols, ascending)
        with mock.patch.multiple(
            relational, ONE_WORD_ROWS=2 * n, WORDS_ROWS=2 * n, STRINGS_ROWS=2 * n
        ):
            assert (relational.sort_index(cols, ascending) == found).all()


def test_a_sort_within_a_memory_limit_spills_where_it_was_told(tmp_path):
    """A small limit gives the same rows, and leaves nothing in the spill folder."""
    n = 400_000
    keys = np.random.default_rng(1).integers(0, 1000, n)
    seen = []
    connect = relational._config

    def spy(limit, spill):
        seen.append(Path(spill).parent)
        return connect(limit, spill)

    with mock.patch.object(relational, "_config", spy):
        found = relational.sort_index([keys], memory_limit=9_000_000 + n, spill_dir=str(tmp_path))
    assert (found == np.argsort(keys, kind="stable")).all()
    assert seen == [tmp_path]
    assert list(tmp_path.iterdir()) == []


def test_too_small_a_limit_is_a_memory_error_that_names_it(tmp_path):
    """When even spilling does not help, the error says which limit was too small."""
    text = strings.encode([f"{i * 7919 % 100_003}" * 20 for i in range(100_003)])
    with pytest.raises(
        MemoryError, match="100003 rows needs more memory than the limit of 2000000"
    ):
        relational.sort_index([text], memory_limit=2_000_000, spill_dir=str(tmp_path))


def test_directions_must_fit_the_keys():
    """One bool for all or one for each key; anything else is an error."""
    with pytest.raises(ValueError, match="1 directions for 2 sort keys"):
        relational.sort_index([np.arange(2)] * 2, [True])
    with pytest.raises(ValueError, match="at least one column"):
        relational.sort_index([])


@pytest.mark.parametrize("ascending", [True, False])
def test_rows_that_need_no_sort_keep_their_order(ascending):
    """Sorted, constant, single and no rows are answered by their own numbers."""
    for col in (np.zeros(5), strings.encode(["a"] * 5), np.zeros(1), np.zeros(0)):
        assert relational.sort_index([col], ascending).tolist() == list(range(len(col)))
    assert relational.sort_index([np.arange(9)]).tolist() == list(range(9))


@given(st.lists(st.floats() | st.integers(-9, 9).map(float), max_size=20), st.booleans())
def test_digits_order_as_floats(values, descending):
    """All floats, subnormal and infinite too, order as their digits, NaN last in any case."""
    (digit,) = sortkeys.number_digits(np.array(values, float), descending)
    digits = digit.read(0, len(values)).tolist()
    assert all(d <= digit.top for d in digits)
    found = sorted(range(len(values)), key=digits.__getitem__)
    assert found == model_sort([(v,) for v in values], [not descending])


@pytest.mark.parametrize("ascending", [True, False])
def test_all_nans_are_one_value(ascending):
    """NaNs of any sign and payload keep their order, after all numbers."""
    bits = [0x7FF8000000000001, 0xFFF8000000000000, 0x7FF8000000000000, 0x7FF0000000000000]
    col = np.array(bits, np.uint64).view(np.float64)
    assert relational.sort_index([col], ascending).tolist() == [3, 0, 1, 2]


def test_whole_seconds_take_few_bits():
    """Timestamps in seconds leave room for the row number in one word."""
    stamps = np.array([1.6e9, 1.6e9 + 1, 1.6e9 + 30_000_000])
    (digit,) = sortkeys.number_digits(stamps)
    assert digit.bits <= 25


@settings(max_examples=300, deadline=None)
@given(key_tables(ordered=False, max_rows=16), st.sampled_from(HOWS))
def test_join_pairs_what_dictionaries_pair(sides, how):
    """Keys in no order, of any comparable types, give the model's pairs in the model's order."""
    (left, left_cols), (right, right_cols) = sides
    found = relational.join(left_cols, right_cols, how)
    assert tuple(rows.tolist() for rows in found) == model_merge(left, right, how)


@settings(max_examples=30, deadline=None)
@given(key_tables(ordered=False), st.sampled_from(HOWS))
def test_join_by_duckdb_gives_the_same_pairs(sides, how):
    """Large joins, sorted by DuckDB, are paired as small ones."""
    (left, left_cols), (right, right_cols) = sides
    with duckdb_only():
        found = relational.join(left_cols, right_cols, how)
    assert tuple(rows.tolist() for rows in found) == model_merge(left, right, how)


@given(key_tables(ordered=True), st.sampled_from(HOWS))
def test_join_and_ordered_merge_agree_on_sorted_keys(sides, how):
    """A hint that keys are ordered changes the speed and nothing else."""
    (_, left), (_, right) = sides
    expected = ordered_map(left, right, how)
    with mock.patch.object(relational, "_ascends", return_value=False):
        found = relational.join(left, right, how)
    assert [rows.tolist() for rows in found] == [rows.tolist() for rows in expected]


@given(key_tables(ordered=False), st.sampled_from(HOWS), st.randoms())
def test_shuffling_the_sides_shuffles_the_pairs(sides, how, random):
    """Which rows are paired depends on the keys alone, not on where the rows stand."""
    (left, left_cols), (_, right_cols) = sides
    before = {(i, j) for i, j in zip(*relational.join(left_cols, right_cols, how), strict=True)}
    order = random.sample(range(len(left)), len(left))
    shuffled = [col.take(np.array(order, int)) for col in left_cols]
    after = zip(*relational.join(shuffled, right_cols, how), strict=True)
    assert {(order[i] if i >= 0 else -1, j) for i, j in after} == before


def test_join_refuses_what_ordered_merge_refuses():
    """Numbers beside strings, and unknown kinds, are the same errors on both paths."""
    with pytest.raises(TypeError, match="never equal"):
        relational.join([np.zeros(1)], [strings.encode(["0"])], "left")
    with pytest.raises(ValueError, match="how must be"):
        relational.join([np.zeros(1)], [np.zeros(1)], "semi")


@pytest.mark.parametrize(("n", "m"), [(2, 3), (0, 3), (3, 0)])
def test_cross_pairs_every_row_with_every_row(n, m):
    """Ordered by left row, then right row."""
    found = relational.cross_rows(n, m)
    assert list(zip(*(rows.tolist() for rows in found), strict=True)) == [
        (i, j) for i in range(n) for j in range(m)
    ]


@given(tables(max_rows=20))
def test_sorting_twice_changes_nothing(table):
    """Sorted rows are in order, and sorting them again keeps them."""
    rows, cols = table
    index = relational.sort_index(cols).tolist()
    again = [rows[i] for i in index]
    assert [order_key(r) for r in again] == sorted(order_key(r) for r in again)
    kinds = ["text" if not isinstance(c, np.ndarray) else c.dtype.str for c in cols]
    assert relational.sort_index(as_columns(kinds, again)).tolist() == list(range(len(rows)))
