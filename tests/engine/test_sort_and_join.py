from __future__ import annotations

import contextlib
import math
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exetera_zarr.engine.columns import strings
from exetera_zarr.engine.duckdb import feed
from exetera_zarr.engine.join import duckdb_join, row_pairs, unsorted_join
from exetera_zarr.engine.join.merge_join import ordered_pairs
from exetera_zarr.engine.sort import sort_keys, sorting
from exetera_zarr.engine.streams import radix_sort
from exetera_zarr.engine.streams.source import Source
from exetera_zarr.engine.streams.workspace import Workspace
from support.engine_model import as_columns, joined_at_once, key_tables, tables
from support.model import merge, order_key
from support.model import sort as model_sort

HOWS = ["left", "right", "inner", "outer"]
MEMORY = 1 << 28


@contextlib.contextmanager
def duckdb_only():
    """Sends all to DuckDB, however small."""
    with (
        mock.patch.object(sorting, "WORDS_ROWS", 0),
        mock.patch.object(unsorted_join, "SMALL_ROWS", 0),
        mock.patch.object(sort_keys, "WORD_BITS", 0),
        mock.patch.object(sort_keys, "DISTINCT", 0),
        mock.patch.object(feed, "BATCH", 5),
    ):
        yield


@contextlib.contextmanager
def small_parts(size):
    """Divides words, however few there are."""
    with (
        mock.patch.object(radix_sort, "GROUP", size),
        mock.patch.object(radix_sort, "_BLOCK", size),
        mock.patch.object(row_pairs, "CHUNK", size),
    ):
        yield


def sorted_rows(cols, ascending, step=1 << 20, memory=MEMORY):
    with Workspace(memory) as work:
        rows = sorting.sort_rows(Source.of(cols, step), ascending, work)
        return list(range(len(cols[0]))) if rows is None else rows.read(0, len(rows)).tolist()


def joined(left, right, how, steps=(1 << 20, 1 << 20), memory=MEMORY, join=unsorted_join.join_rows):
    """The pairs of a join, None for no partner."""
    found = []
    with Workspace(memory) as work:
        sources = [Source.of(cols, step) for cols, step in zip((left, right), steps, strict=True)]
        for rows in join(*sources, how, work):
            assert all(side.dtype == np.int64 for side in rows)
            assert len(rows[0])
            numbers = [[None if i < 0 else i for i in side.tolist()] for side in rows]
            found += zip(*numbers, strict=True)
    return found


@st.composite
def sort_cases(draw):
    rows, cols = draw(tables(max_rows=20))
    return rows, cols, draw(st.lists(st.booleans(), min_size=len(cols), max_size=len(cols)))


@settings(max_examples=150, deadline=None)
@given(sort_cases(), st.integers(1, 9), st.integers(2, 30), st.sampled_from([0, MEMORY]))
def test_sorts_are_stable_with_nan_last(case, step, part, memory):
    """Any types in any directions are sorted as Python's stable sort does it, in any parts."""
    rows, cols, ascending = case
    with small_parts(part):
        assert sorted_rows(cols, ascending, step, memory) == model_sort(rows, ascending)


@settings(max_examples=60, deadline=None)
@given(sort_cases(), st.integers(3, 9))
def test_duckdb_sorts_give_the_same_rows(case, step):
    """The way of keys that fit no word gives the same rows."""
    rows, cols, ascending = case
    with duckdb_only():
        assert sorted_rows(cols, ascending, step) == model_sort(rows, ascending)


@given(sort_cases(), st.integers(1, 5))
def test_rows_in_order_are_known_as_such(case, step):
    """What is sorted needs no row numbers, in any direction; all else does."""
    rows, cols, ascending = case
    index = model_sort(rows, ascending)
    sort = [rows[i] for i in index]
    kinds = ["text" if not isinstance(c, np.ndarray) else c.dtype.str for c in cols]
    with Workspace() as work:
        source = Source.of(as_columns(kinds, sort), step)
        assert sorting.sort_rows(source, ascending, work) is None
        found = sorting.sort_rows(Source.of(cols, step), ascending, work)
        assert (found is None) == (index == list(range(len(rows))))


def test_disorder_is_seen_at_once():
    """Rows in no order are not read to the end before they are sorted."""
    reads = []

    def read(start, stop):
        reads.append(start)
        return [-np.arange(start, stop)]

    source = Source(1000, [np.zeros(0, np.int64)], read, 10)
    with Workspace() as work:
        assert sorting.sort_rows(source, True, work).read(0, 2).tolist() == [999, 998]
    assert len(reads) < 210


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("n", [sort_keys.DISTINCT + 1, sorting.WORDS_ROWS + 1])
def test_the_ways_agree_beyond_their_thresholds(n, ascending):
    """At the sizes where one way hands over, both give the same rows."""
    rng = np.random.default_rng(n)
    number = rng.choice([math.nan, -0.0, 0.0, *rng.normal(size=50)], n)
    text = strings.encode([f"{x}" for x in rng.permutation(n)])
    wide = rng.integers(-(2**62), 2**62, n)
    for cols in ([number, text], [wide, number], [rng.integers(0, 9, n).astype(np.int8)]):
        found = sorting.sort_index(cols, ascending)
        with (
            mock.patch.object(sorting, "WORDS_ROWS", 2 * n),
            mock.patch.object(sort_keys, "DISTINCT", 2 * n),
        ):
            assert (sorting.sort_index(cols, ascending) == found).all()


@pytest.mark.parametrize("skewed", [False, True])
def test_a_sort_in_little_memory_goes_through_files(tmp_path, skewed):
    """More words than the memory takes come back in order, also if most are in one bucket."""
    n = 300_000
    keys = np.random.default_rng(1).integers(0, 1000, n)
    if skewed:
        keys[7] = 1 << 40
    with Workspace(1 << 20, str(tmp_path)) as work, small_parts(1 << 14):
        source = Source.of([keys], 1 << 15)
        rows = sorting.sort_rows(source, True, work)
        assert list(tmp_path.iterdir()) != []
        assert (rows.read(0, n) == np.argsort(keys, kind="stable")).all()
    assert list(tmp_path.iterdir()) == []


def test_too_small_a_limit_is_a_memory_error_that_names_it(tmp_path):
    """When even spilling does not help, the error says which limit was too small."""
    text = strings.encode([f"{i * 7919 % 100_003}" * 20 for i in range(100_003)])
    with pytest.raises(MemoryError, match="the memory limit of 2000000 bytes"):
        sorting.sort_index([text], memory_limit=2_000_000, spill_dir=str(tmp_path))
    with pytest.raises(MemoryError, match="the memory limit of 2000000 bytes"):
        joined_at_once(
            unsorted_join.join_rows,
            [text],
            [text],
            "left",
            memory=2_000_000,
            spill_dir=str(tmp_path),
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failing", [(1, 4), (2, 6)])
@pytest.mark.parametrize("how", HOWS)
def test_a_join_that_does_not_fit_is_tried_in_parts(how, failing):
    """Out of memory at first, the keys are divided, and no pair is there twice."""
    rng = np.random.default_rng(3)
    left, right = rng.integers(0, 50, 80), rng.integers(0, 50, 120)
    register = feed.Feeder.register
    calls = []

    def fail_sometimes(self, *args):
        calls.append(args)
        if len(calls) in failing:
            raise MemoryError
        register(self, *args)

    with (
        duckdb_only(),
        mock.patch.object(duckdb_join, "PARTITIONS", (1, 3, 5)),
        mock.patch.object(feed.Feeder, "register", fail_sometimes),
    ):
        found = joined([left], [right], how)
    assert len(calls) > failing[-1]
    assert found == merge(*([(x,) for x in side.tolist()] for side in (left, right)), how)


@pytest.mark.parametrize("way", ["words", "duckdb"])
@pytest.mark.parametrize("failing", [1, 30, 50, 70])
def test_an_error_of_a_source_is_raised_as_it_is(tmp_path, way, failing):
    """What went wrong while rows were read is not lost behind an error of DuckDB."""
    reads = []

    def read(start, stop):
        reads.append(start)
        if len(reads) == failing:
            raise ZeroDivisionError("row 3")
        return [-np.arange(start, stop)]

    source = Source(100, [np.zeros(0, np.int64)], read, 5)
    with (
        duckdb_only() if way == "duckdb" else contextlib.nullcontext(),
        Workspace(MEMORY, str(tmp_path)) as work,
        pytest.raises(ZeroDivisionError, match="row 3"),
    ):
        if failing <= 30:
            sorting.sort_rows(source, True, work)
        else:
            list(unsorted_join.join_rows(source, source, "outer", work))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("way", ["words", "duckdb"])
def test_a_join_may_be_left_midway(tmp_path, way):
    """Of a join that is given up after its first pairs nothing is left."""
    source = Source.of([np.arange(100)[::-1]], 9)
    with (
        small_parts(4),
        duckdb_only() if way == "duckdb" else contextlib.nullcontext(),
        Workspace(MEMORY if way == "duckdb" else 0, str(tmp_path)) as work,
    ):
        chunks = unsorted_join.join_rows(source, source, "outer", work)
        next(chunks)
        chunks.close()
    assert list(tmp_path.iterdir()) == []


def test_directions_must_fit_the_keys():
    """One bool for all or one for each key; anything else is an error."""
    with pytest.raises(ValueError, match="1 directions for 2 sort keys"):
        sorting.sort_index([np.arange(2)] * 2, [True])
    for wrong in ("no", None, 5):
        with pytest.raises(ValueError, match=f"ascending is .* not {wrong!r}"):
            sorting.sort_index([np.arange(2)] * 2, wrong)
    with pytest.raises(ValueError, match="at least one column"):
        sorting.sort_index([])


@pytest.mark.parametrize("ascending", [True, False])
def test_rows_that_need_no_sort_keep_their_order(ascending):
    """Sorted, constant, single and no rows are answered by their own numbers."""
    for col in (np.zeros(5), strings.encode(["a"] * 5), np.zeros(1), np.zeros(0)):
        assert sorting.sort_index([col], ascending).tolist() == list(range(len(col)))
    assert sorting.sort_index([np.arange(9)]).tolist() == list(range(9))


@given(st.lists(st.floats() | st.integers(-9, 9).map(float), max_size=20), st.booleans())
def test_digits_order_as_floats(values, descending):
    """All floats, subnormal and infinite too, order as their digits, NaN last in any case."""
    col = np.array(values, float)
    plan = sort_keys.measure([Source.of([col], 3)], [not descending])
    digits = plan.read([col])[0].tolist()
    assert all(d < 1 << plan.bits for d in digits)
    found = sorted(range(len(values)), key=digits.__getitem__)
    assert found == model_sort([(v,) for v in values], [not descending])


@pytest.mark.parametrize("ascending", [True, False])
def test_all_nans_are_one_value(ascending):
    """NaNs of any sign and payload keep their order, after all numbers."""
    bits = [0x7FF8000000000001, 0xFFF8000000000000, 0x7FF8000000000000, 0x7FF0000000000000]
    col = np.array(bits, np.uint64).view(np.float64)
    assert sorting.sort_index([col], ascending).tolist() == [3, 0, 1, 2]


def test_whole_seconds_take_few_bits():
    """Timestamps in seconds leave room for the row number in one word."""
    stamps = np.array([1.6e9, 1.6e9 + 1, 1.6e9 + 30_000_000])
    assert sort_keys.measure([Source.of([stamps])], [True]).bits <= 25


JOINS = (
    key_tables(ordered=False, max_rows=16),
    st.sampled_from(HOWS),
    st.tuples(st.integers(3, 9), st.integers(3, 9)),
)


def check_join(sides, how, steps, part, memory):
    (left, left_cols), (right, right_cols) = sides
    with small_parts(part):
        assert joined(left_cols, right_cols, how, steps, memory) == merge(left, right, how)


@settings(max_examples=150, deadline=None)
@given(*JOINS, st.integers(2, 30), st.sampled_from([0, MEMORY]))
def test_join_pairs_what_dictionaries_pair(sides, how, steps, part, memory):
    """Keys in no order, of any comparable types, give the model's pairs in the model's order."""
    check_join(sides, how, steps, part, memory)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None)
@given(*JOINS, st.integers(2, 30), st.sampled_from([0, MEMORY]))
def test_join_pairs_what_dictionaries_pair_at_length(sides, how, steps, part, memory):
    """The same, many times."""
    check_join(sides, how, steps, part, memory)


@pytest.mark.parametrize("how", HOWS)
def test_duckdb_joins_keys_at_the_ends_of_their_range(how):
    """Keys whose words take all 64 bits are paired, also by DuckDB before 2.0."""
    left, right = [2**63 - 1, 0, -(2**63)], [-(2**63), 2**63 - 1]
    with duckdb_only():
        found = joined([np.array(left)], [np.array(right)], how)
    assert found == merge(*([(x,) for x in side] for side in (left, right)), how)


def check_duckdb_join(sides, how, steps):
    (left, left_cols), (right, right_cols) = sides
    with duckdb_only():
        assert joined(left_cols, right_cols, how, steps) == merge(left, right, how)


@settings(max_examples=40, deadline=None)
@given(*JOINS)
def test_join_by_duckdb_gives_the_same_pairs(sides, how, steps):
    """Keys that fit no word are paired as those that do."""
    check_duckdb_join(sides, how, steps)


@pytest.mark.slow
@settings(max_examples=250, deadline=None)
@given(*JOINS)
def test_join_by_duckdb_gives_the_same_pairs_at_length(sides, how, steps):
    """The same, many times."""
    check_duckdb_join(sides, how, steps)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("keys", [1, 20, 100_000])
def test_a_join_in_little_memory_goes_through_files(tmp_path, how, keys):
    """More words than the memory takes, and keys that occur too often for it, are paired."""
    rng = np.random.default_rng(keys)
    left, right = rng.integers(0, keys, 300), rng.integers(0, keys, 400)
    with small_parts(64):
        found = joined([left], [right], how, (50, 70), memory=1000)
    assert found == merge(*([(x,) for x in side.tolist()] for side in (left, right)), how)


def test_more_rows_than_pairs_can_name_are_refused():
    """Row numbers of a pair share 64 bits; what needs more is an error before anything is read."""
    source = Source(1 << 33, [np.zeros(0, np.int64)], lambda start, stop: [])
    with Workspace() as work, pytest.raises(ValueError, match="8589934592 rows are too many"):
        next(unsorted_join.join_rows(source, source, "left", work))


@given(key_tables(ordered=True), st.sampled_from(HOWS))
def test_join_and_ordered_merge_agree_on_sorted_keys(sides, how):
    """A hint that keys are ordered changes the speed and nothing else."""
    (_, left), (_, right) = sides
    assert joined(left, right, how) == joined(left, right, how, join=ordered_pairs)


@given(key_tables(ordered=False), st.sampled_from(HOWS), st.randoms())
def test_shuffling_the_sides_shuffles_the_pairs(sides, how, random):
    """Which rows are paired depends on the keys alone, not on where the rows stand."""
    (left, left_cols), (_, right_cols) = sides
    before = set(joined(left_cols, right_cols, how))
    order = random.sample(range(len(left)), len(left))
    shuffled = [col.take(np.array(order, int)) for col in left_cols]
    after = joined(shuffled, right_cols, how)
    assert {(None if i is None else order[i], j) for i, j in after} == before


def test_join_refuses_what_ordered_merge_refuses():
    """Numbers beside strings, and unknown kinds, are the same errors on both paths."""
    with pytest.raises(TypeError, match="never equal"):
        joined_at_once(unsorted_join.join_rows, [np.zeros(1)], [strings.encode(["0"])], "left")
    with pytest.raises(ValueError, match="how must be"):
        joined_at_once(unsorted_join.join_rows, [np.zeros(1)], [np.zeros(1)], "semi")


@pytest.mark.parametrize("chunk", [1, 2, 7, 100])
@pytest.mark.parametrize(("n", "m"), [(2, 3), (4, 9), (0, 3), (3, 0)])
def test_cross_pairs_every_row_with_every_row(n, m, chunk):
    """Ordered by left row, then right row, in chunks of a bounded size."""
    with mock.patch.object(row_pairs, "CHUNK", chunk):
        chunks = list(row_pairs.cross_pairs(n, m))
    assert all(len(rows) <= chunk for rows, _ in chunks)
    found = row_pairs.concatenated(chunks)
    assert list(zip(*(rows.tolist() for rows in found), strict=True)) == [
        (i, j) for i in range(n) for j in range(m)
    ]


@given(tables(max_rows=20))
def test_sorting_twice_changes_nothing(table):
    """Sorted rows are in order, and sorting them again keeps them."""
    rows, cols = table
    index = sorting.sort_index(cols).tolist()
    again = [rows[i] for i in index]
    assert [order_key(r) for r in again] == sorted(order_key(r) for r in again)
    kinds = ["text" if not isinstance(c, np.ndarray) else c.dtype.str for c in cols]
    assert sorting.sort_index(as_columns(kinds, again)).tolist() == list(range(len(rows)))
