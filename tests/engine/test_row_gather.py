"""Rows by number, in any order, within a limit."""

from __future__ import annotations

import contextlib
import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exetera_zarr.engine.columns import selection, strings
from exetera_zarr.engine.streams.row_gather import RowNumbers, ends_of, take
from exetera_zarr.engine.streams.source import Source
from exetera_zarr.engine.streams.workspace import Workspace

KINDS = {
    "float64": lambda n: np.arange(n) * 0.5,
    "bool": lambda n: np.arange(n) % 3 == 0,
    "fixed": lambda n: np.array([f"v{i}" for i in range(n)], "S4"),
    "strings": lambda n: strings.encode([f"{i}é" * (i % 4) for i in range(n)]),
}


def listed(column):
    return strings.decode(column) if not isinstance(column, np.ndarray) else column.tolist()


def bytes_of(column):
    if isinstance(column, np.ndarray):
        return column.nbytes
    return int(strings.lengths(column).sum()) + 8 * len(column)


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
    memory = data.draw(st.sampled_from([0, 100, 1000, 1 << 30]))
    room = data.draw(st.sampled_from([1, 20, 100, 1 << 30]))
    column = KINDS[kind](rows)
    with Workspace(memory) as work:
        given_numbers = numbers
        if data.draw(st.booleans()):
            given_numbers = work.spill(np.int64)
            given_numbers.append(numbers)
        found = list(RowNumbers(work, given_numbers).of(Source.of([column], step, room)))
    expected = listed(selection.take_or_default(column, numbers))
    assert [value for part in found for value in listed(part)] == expected
    if memory == 1 << 30:  # else parts are made at once that are as large as it allows
        assert all(bytes_of(part) <= room or len(part) == 1 for part in found)


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


@given(
    st.lists(st.lists(st.integers(0, 30), max_size=6), max_size=6),
    st.integers(1, 60),
)
def test_parts_end_before_what_does_not_fit(blocks, room):
    """Wherever blocks of sizes end; what is too large for a part has one of its own."""
    sizes = [size for block in blocks for size in block]
    expected, start = [], 0
    for row in range(1, len(sizes) + 1):
        if row == len(sizes) or sum(sizes[start : row + 1]) > room:
            expected.append(row)
            start = row
    assert list(ends_of((np.array(b, np.int64) for b in blocks if b), room)) == expected


@given(st.lists(st.integers(0, 50), max_size=40), st.integers(1, 12), st.integers(1, 200))
def test_blocks_hold_no_more_bytes_than_there_is_room(lengths, step, room):
    """Nor more rows than a step; a string that has more is a block of its own."""
    column = strings.encode(["x" * length for length in lengths])
    beside = np.arange(len(lengths), dtype=np.int32)
    source = Source.of([column, beside], step, room)
    with contextlib.closing(source.blocks()) as blocks:
        found = list(blocks)
    for texts, numbers in found:
        assert len(texts) == len(numbers) <= step
        assert bytes_of(texts) + numbers.nbytes <= room or len(texts) == 1
    assert [value for texts, _ in found for value in listed(texts)] == listed(column)
    assert [value for _, numbers in found for value in numbers.tolist()] == beside.tolist()


def test_long_strings_among_short_ones_are_not_gathered_at_once(tmp_path):
    """Of a part of the result the bytes count, which rows alone do not tell."""
    lengths = np.where(np.arange(2000) % 20 == 0, 4000, 2)
    column = strings.encode(["x" * length for length in lengths.tolist()])
    numbers = np.argsort(lengths, kind="stable")[::-1].copy()
    with Workspace(300_000, str(tmp_path)) as work:
        found = list(RowNumbers(work, numbers).of(Source.of([column], 100, 50_000)))
    assert [len(one) for part in found for one in listed(part)] == lengths[numbers].tolist()
    assert max(map(bytes_of, found)) <= 100_000 // 3


def test_rows_far_apart_are_taken_one_by_one():
    """Not with all that is between them, which may be gigabytes of strings."""
    column = strings.encode([f"{i:05}" for i in range(1000)])
    read = []

    def reading(start, stop):
        read.append(stop - start)
        return [column[start:stop]]

    source = dataclasses.replace(Source.of([column], 500, room=200), read=reading)
    found = take(source, np.array([998, 3, 500, 3]))
    assert listed(found) == ["00998", "00003", "00500", "00003"]
    assert read == [1, 1, 1]
