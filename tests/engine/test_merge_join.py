from __future__ import annotations

import math
import weakref
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exetera_zarr.engine.columns import comparable_keys, fixed_strings, strings
from exetera_zarr.engine.join import merge_join, row_pairs
from exetera_zarr.engine.join.merge_join import ordered_pairs
from exetera_zarr.engine.streams.source import Source
from exetera_zarr.engine.streams.workspace import Workspace
from support.engine_model import NUMBERS, build, columns, joined_at_once, key_tables
from support.model import merge, order_key, same_key

HOWS = ["left", "right", "inner", "outer"]


def listed(chunks):
    """The pairs of all chunks, None for no partner."""
    found = []
    for rows in chunks:
        assert all(side.dtype == np.int64 for side in rows)
        assert 0 < len(rows[0]) <= row_pairs.CHUNK
        numbers = [[None if i < 0 else i for i in side.tolist()] for side in rows]
        found += zip(*numbers, strict=True)
    return found


def check_streaming(sides, how, steps, window, chunk):
    """Merge by blocks, windows and chunks of these sizes."""
    (left, left_cols), (right, right_cols) = sides
    sources = [
        Source.of(cols, step) for cols, step in zip((left_cols, right_cols), steps, strict=True)
    ]
    with (
        Workspace(0) as work,
        mock.patch.object(merge_join, "_WINDOW", window),
        mock.patch.object(row_pairs, "CHUNK", chunk),
    ):
        assert listed(ordered_pairs(*sources, how, work)) == merge(left, right, how)


STREAMS = (
    key_tables(ordered=True, max_rows=16),
    st.sampled_from(HOWS),
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
    st.integers(1, 6),
    st.integers(1, 20),
)


@settings(max_examples=150, deadline=None)
@given(*STREAMS)
def test_ordered_merge_pairs_what_dictionaries_pair(sides, how, steps, window, chunk):
    """One to three keys of any types, cut at any row, give the model's pairs in its order."""
    check_streaming(sides, how, steps, window, chunk)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None)
@given(*STREAMS)
def test_ordered_merge_pairs_what_dictionaries_pair_at_length(sides, how, steps, window, chunk):
    """The same, many times."""
    check_streaming(sides, how, steps, window, chunk)


def test_a_run_longer_than_many_blocks_is_held_as_its_bounds():
    """Blocks of one key are not kept: while they are read, each is gone before the third after."""
    alive = []

    def read(start, stop):
        block = np.full(stop - start, 7)
        alive.append(weakref.ref(block))
        assert sum(ref() is not None for ref in alive) <= 5
        return [block]

    long = Source(10_000, [np.zeros(0, np.int64)], read, 10)
    short = Source.of([np.array([6, 7, 7, 8])])
    with Workspace() as work, mock.patch.object(row_pairs, "CHUNK", 999):
        found = listed(ordered_pairs(short, long, "left", work))
    expected = [(i, j) for i in (1, 2) for j in range(10_000)]
    assert found == [(0, None), *expected, (3, None)]


@pytest.mark.parametrize("how", HOWS)
def test_a_merge_may_be_left_midway(tmp_path, how):
    """Of a merge that is given up after its first pairs nothing is left."""
    reading = []

    def read(start, stop):
        reading.append(start)
        return [np.arange(start, stop)]

    source = Source(100, [np.zeros(0, np.int64)], read, 3)
    with Workspace(0, str(tmp_path)) as work:
        chunks = ordered_pairs(source, source, how, work)
        next(chunks)
        chunks.close()
        assert len(reading) < 20
    assert list(tmp_path.iterdir()) == []


@given(
    st.lists(st.integers(0, 60), max_size=60),
    st.lists(st.integers(0, 60), max_size=60),
    st.sampled_from(HOWS),
    st.integers(1, 9),
    st.booleans(),
)
def test_windows_do_not_change_the_answer(left, right, how, window, text):
    """Long runs of keys, cut by windows at any place, are paired as if there were none."""
    left, right = sorted(left), sorted(right)
    model = merge([(x,) for x in left], [(x,) for x in right], how)
    if text:
        cols = [strings.encode([f"{x:03d}" for x in side]) for side in (left, right)]
    else:
        cols = [np.array(side, np.int32) for side in (left, right)]
    with mock.patch.object(merge_join, "_WINDOW", window):
        found = joined_at_once(ordered_pairs, [cols[0]], [cols[1]], how)
    assert listed([found] if model else []) == model


@pytest.mark.parametrize("how", HOWS)
def test_the_order_of_each_kind_of_merge(how):
    """The order of rows is part of the answer; this is the example in words."""
    left, right = [np.array([1, 1, 2, 4])], [np.array([1, 1, 3, 4])]
    both = [(0, 0), (0, 1), (1, 0), (1, 1)]
    expected = {
        "left": [*both, (2, -1), (3, 3)],
        "right": [(0, 0), (1, 0), (0, 1), (1, 1), (-1, 2), (3, 3)],
        "inner": [*both, (3, 3)],
        "outer": [*both, (2, -1), (3, 3), (-1, 2)],
    }[how]
    found = joined_at_once(ordered_pairs, left, right, how)
    assert list(zip(*(rows.tolist() for rows in found), strict=True)) == expected


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(
    ("bad", "row"),
    [
        ([np.array([1, 3, 3, 2])], 3),
        ([np.array([math.nan, 1.0])], 1),
        ([strings.encode(["b", "ab"])], 1),
        ([np.array([b"b", b"b", b"a"])], 2),
        ([np.array([1, 1, 2]), np.array([5.0, 4.0, 3.0])], 1),
    ],
    ids=["number", "nan", "string", "fixed", "second key"],
)
@pytest.mark.parametrize("how", HOWS)
def test_keys_out_of_order_are_refused_naming_side_and_row(side, bad, row, how):
    """A wrong hint "ordered" never gives a wrong merge."""
    good = [col[:0] for col in bad]
    sides = (bad, good) if side == "left" else (good, bad)
    for step in (1, 2, 9):
        sources = [Source.of(cols, step) for cols in sides]
        with (
            Workspace() as work,
            pytest.raises(ValueError, match=f"the {side} keys do not ascend: row {row} "),
        ):
            list(ordered_pairs(*sources, how, work))


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (np.array([2**53 + 1]), np.array([2.0**53]), False),
        (np.array([2**53]), np.array([2.0**53]), True),
        (np.array([2**63 - 1]), np.array([2.0**63]), False),
        (np.array([2**63], np.uint64), np.array([2.0**63]), True),
        (np.array([2**64 - 1], np.uint64), np.array([2.0**64]), False),
        (np.array([-1]), np.array([2**64 - 1], np.uint64), False),
        (np.array([2**63 - 1]), np.array([2**63 - 1], np.uint64), True),
        (np.array([0.1], np.float32), np.array([0.1]), False),
        (np.array([16777217], np.int32), np.array([16777216], np.float32), False),
        (np.array([True]), np.array([1.0]), True),
        (np.array([-0.0]), np.array([0]), True),
        (np.array([b"a\0"]), strings.encode(["a"]), True),
        (np.array([b"a"]), strings.encode(["a\0"]), False),
        (np.array([b"a"], "S1"), np.array([b"a"], "S9"), True),
    ],
)
def test_keys_of_different_types_are_compared_exactly(left, right, equal):
    """No key is rounded on its way to the other's type."""
    for a, b in ((left, right), (right, left)):
        assert len(joined_at_once(ordered_pairs, [a], [b], "inner")[0]) == equal


@given(columns(NUMBERS), columns(NUMBERS))
def test_aligned_numbers_compare_as_python_numbers(a, b):
    """Whatever two columns align to orders and equals as the numbers did."""
    (_, left, left_col), (_, right, right_col) = a, b
    cols = comparable_keys.align([left_col], [right_col])
    assert [x.dtype for x in cols[0]] == [x.dtype for x in cols[1]]
    aligned = [list(zip(*(c.tolist() for c in side), strict=True)) for side in cols]
    for x, x_parts in zip(left, aligned[0], strict=True):
        for y, y_parts in zip(right, aligned[1], strict=True):
            assert (same_key((x,)) == same_key((y,))) == (same_key(x_parts) == same_key(y_parts))
            assert (order_key((x,)) < order_key((y,))) == (order_key(x_parts) < order_key(y_parts))


@given(key_tables(ordered=False))
def test_joint_codes_order_and_equal_as_the_rows(sides):
    """Codes of two tables stand for their rows, also when they had to be renumbered midway."""
    (left, left_cols), (right, right_cols) = sides
    with mock.patch.object(comparable_keys, "_CODE_LIMIT", 40):
        codes = comparable_keys.joint_codes(*comparable_keys.align(left_cols, right_cols))
    rows = [*left, *right]
    numbers = [*codes[0].tolist(), *codes[1].tolist()]
    for x, i in zip(rows, numbers, strict=True):
        for y, j in zip(rows, numbers, strict=True):
            assert (same_key(x) == same_key(y)) == (i == j)
            assert (order_key(x) < order_key(y)) == (i < j)


def test_joint_codes_do_not_overflow():
    """Four keys of a million values each have more combinations than 64 bits; codes still order."""
    high = (1 << 20) - 1
    rows = [
        (a, b, c, d) for a in (0, high) for b in (0, high) for c in (0, high) for d in (0, high)
    ]
    cols = [np.array(col) for col in zip(*rows, strict=True)]
    codes = comparable_keys.joint_codes(cols, [col[:0] for col in cols])[0]
    assert (np.diff(codes) > 0).all()


@given(st.lists(st.binary(max_size=20), max_size=10))
def test_words_order_as_fixed_strings(values):
    """Eight bytes to a word, the words order and equal as the strings."""
    col = build("S12", [v[:12] for v in values])
    rows = list(zip(*(w.tolist() for w in fixed_strings.words(col, 20)), strict=True))
    listed = col.tolist()
    assert sorted(range(len(rows)), key=rows.__getitem__) == sorted(
        range(len(rows)), key=listed.__getitem__
    )
    assert len(set(rows)) == len(set(listed))


def test_numbers_and_strings_are_never_compared():
    """A number beside a string is a TypeError that names the key and both types."""
    with pytest.raises(TypeError, match="key 1 is int64 on the left and string on the right"):
        joined_at_once(
            ordered_pairs,
            [np.zeros(1), np.array([1])],
            [np.zeros(1), strings.encode(["1"])],
            "left",
        )
    with pytest.raises(TypeError, match="number is never equal"):
        joined_at_once(ordered_pairs, [np.array([b"1"])], [np.array([1])], "left")


def test_a_merge_that_makes_no_sense_is_refused():
    """Unknown kinds, no keys and unequal numbers of keys are errors in words."""
    one = [np.zeros(1)]
    with pytest.raises(ValueError, match="how must be one of left, right, inner, outer"):
        joined_at_once(ordered_pairs, one, one, "cross")
    with pytest.raises(ValueError, match="2 left keys, but 1 right"):
        joined_at_once(ordered_pairs, one * 2, one, "left")
    with pytest.raises(ValueError, match="at least one column"):
        joined_at_once(ordered_pairs, [], [], "left")
    with pytest.raises(TypeError, match="exactly"):
        joined_at_once(ordered_pairs, [np.zeros(1, np.longdouble)], one, "left")
