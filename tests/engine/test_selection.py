from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exetera_zarr.engine.columns import selection, strings
from support.engine_model import build, columns, listed
from support.model import is_nan


def same(a, b) -> bool:
    """Equal lists, a NaN equal to a NaN."""
    return len(a) == len(b) and all(
        x == y or (is_nan(x) and is_nan(y)) for x, y in zip(a, b, strict=True)
    )


@given(columns(), st.data())
def test_take_is_list_indexing(drawn, data):
    """Any rows, repeated and counted from the end, are those that a list gives."""
    _, values, col = drawn
    n = len(values)
    rows = data.draw(st.lists(st.integers(-n, n - 1), max_size=15)) if n else []
    assert same(listed(selection.take(col, rows)), [values[i] for i in rows])
    assert selection.length(col) == n


@given(columns(), st.data())
def test_take_or_default_fills_where_there_is_no_partner(drawn, data):
    """-1 gives the zero of the type, also from a column without rows."""
    kind, values, col = drawn
    rows = data.draw(st.lists(st.integers(-1, len(values) - 1), max_size=15))
    zero = b"" if kind[0] in "St" else 0
    found = selection.take_or_default(col, np.array(rows, np.int64))
    assert same(listed(found), [zero if i < 0 else values[i] for i in rows])
    assert type(found) is type(col)
    assert getattr(found, "null_count", 0) == 0


def test_take_or_default_takes_a_default_of_the_callers():
    """A default other than zero is used for numbers and strings."""
    assert selection.take_or_default(np.array([5]), [-1, 0], default=7).tolist() == [7, 5]
    assert listed(selection.take_or_default(strings.encode(["a"]), [-1, 0], "no")) == [b"no", b"a"]


@pytest.mark.parametrize("col", [np.arange(3), strings.encode(["a", "b", "c"])], ids=type)
@pytest.mark.parametrize("rows", [[3], [-4], [0, 9]])
def test_rows_out_of_range_are_an_index_error(col, rows):
    """No row outside the column is ever read, of numbers or of strings."""
    with pytest.raises(IndexError, match="out of range for 3 rows"):
        selection.take(col, rows)
    with pytest.raises(IndexError, match="out of range for 3 rows"):
        selection.take_or_default(col, [-1, *rows])
    with pytest.raises(IndexError, match="out of range"):
        selection.take_or_default(col, [-2])


@pytest.mark.parametrize("rows", [[0.0], [True], ["a"]])
def test_rows_that_are_no_integers_are_a_type_error(rows):
    """A mask or floats given as row numbers are a mistake, not rows."""
    with pytest.raises(TypeError, match="integers"):
        selection.take(np.arange(3), np.array(rows))


def test_row_numbers_of_any_integer_type_are_taken():
    """uint64 row numbers work, and one beyond int64 is out of range."""
    assert selection.take(np.arange(3), np.array([2], np.uint64)).tolist() == [2]
    with pytest.raises(IndexError):
        selection.take(np.arange(3), np.array([2**64 - 1], np.uint64))
    with pytest.raises(ValueError, match="dimension"):
        selection.take(np.arange(3), np.zeros((1, 1), np.int64))


@given(columns(), st.data())
def test_compress_keeps_the_rows_of_the_mask(drawn, data):
    """A filter of bool or of numbers keeps what is not zero."""
    _, values, col = drawn
    mask = data.draw(st.lists(st.integers(0, 2), min_size=len(values), max_size=len(values)))
    expected = [v for v, keep in zip(values, mask, strict=True) if keep]
    for dtype in (bool, "uint64", "int8", "float32"):
        assert same(listed(selection.compress(col, np.array(mask, dtype))), expected)


def test_a_filter_of_another_length_is_an_index_error_that_names_both():
    """A short filter is refused for strings too (ExeTera accepted it silently)."""
    with pytest.raises(IndexError, match="filter has 2 rows, the data has 3"):
        selection.compress(strings.encode(["a", "b", "c"]), [True, False])
    with pytest.raises(TypeError, match="bool or numbers"):
        selection.as_mask(np.array([b"a"]), 1)
    with pytest.raises(ValueError, match="dimension"):
        selection.as_mask(np.ones((1, 1)), 1)


@given(columns(), st.lists(st.integers(0, 12), max_size=4))
def test_concat_undoes_slicing(drawn, cuts):
    """The parts of a column, put together, are the column."""
    _, values, col = drawn
    bounds = [0, *sorted(min(c, len(values)) for c in cuts), len(values)]
    parts = [col[a:b] for a, b in itertools.pairwise(bounds)]
    assert same(listed(selection.concat(parts)), values)


def test_concat_widens_fixed_strings_and_refuses_other_mixtures():
    """S2 beside S3 is S3; int beside float is not rounded but refused."""
    assert selection.concat([np.array([b"ab"]), np.array([b"abc"])]).dtype == "S3"
    for parts in ([np.array([1]), np.array([1.0])], [np.array([b"a"]), strings.encode(["a"])]):
        with pytest.raises(TypeError, match="different types"):
            selection.concat(parts)
    with pytest.raises(ValueError, match="nothing"):
        selection.concat([])


@given(columns(), st.booleans())
def test_is_sorted_compares_neighbours(drawn, ordered):
    """Sorted means that no row is greater than the next, and a NaN is never in order."""
    kind, values, _ = drawn
    if ordered:
        values = sorted(values)
    expected = all(a <= b for a, b in itertools.pairwise(values))
    assert selection.is_sorted(build(kind, values)) == expected


def test_is_sorted_looks_across_its_windows(monkeypatch):
    """Disorder at the seam of two windows is seen."""
    monkeypatch.setattr(selection, "_SCAN", 2)
    for n in range(2, 8):
        for bad in range(1, n):
            col = np.arange(n)
            col[bad] = -1
            assert not selection.is_sorted(col)
            assert not selection.is_sorted(strings.encode([f"{v + 1}" for v in col]))
        assert selection.is_sorted(np.arange(n))


@given(st.lists(st.integers(-1, 40), max_size=30), st.integers(1, 45), st.booleans())
def test_partitioned_rows_gather_what_take_gathers(rows, block, skip):
    """Block by block, each visited once and in order, the same rows arrive at their places."""
    source = np.arange(100, 141)
    if not skip:
        rows = [abs(r) for r in rows]
    out = np.zeros(len(rows), np.int64)
    visited = []
    for number, positions, inside in selection.partition_rows(np.array(rows, int), block, skip):
        visited.append(number)
        assert inside.min() >= 0
        assert inside.max() < block
        assert (np.diff(positions) > 0).all()
        out[positions] = source[number * block :][inside]
    assert visited == sorted(set(visited))
    assert out.tolist() == [0 if r < 0 else source[r] for r in rows]


def test_partitioning_refuses_negative_rows_and_empty_blocks():
    """Rows from the end must be resolved before, and -1 be allowed in words."""
    for rows, skip in (([-1], False), ([-2], True)):
        with pytest.raises(IndexError):
            list(selection.partition_rows(rows, 4, skip))
    with pytest.raises(ValueError, match="at least one row"):
        list(selection.partition_rows([1], 0))


def test_partitioning_scales_beyond_16_bit_block_numbers():
    """Block numbers that do not fit the radix sort are ordered all the same."""
    rows = np.array([200_000, 5, 70_000, 5])
    plan = [(b, p.tolist(), r.tolist()) for b, p, r in selection.partition_rows(rows, 1)]
    assert plan == [(5, [1, 3], [0, 0]), (70_000, [2], [0]), (200_000, [0], [0])]
