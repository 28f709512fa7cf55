"""Columns that are read block after block from far away: fetched ahead, once, and never wrongly."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exetera_zarr import Session, StorageError
from exetera_zarr.storage.stores.opening import wrapped_stores
from exetera_zarr.storage.zarr import readahead
from exetera_zarr.storage.zarr.readahead import Order, ReadAhead
from exetera_zarr.testing import WrapperStore

BLOCK, BLOCKS = 100, 40
VALUES = np.arange(BLOCK * BLOCKS, dtype="int32")
PATIENCE = 60


class FarStore(WrapperStore):
    """A store as if a network were before it, with something to do before each chunk is read."""

    def __init__(self, store, before=lambda key: None):
        super().__init__(store)
        self.concurrency = 32
        self.distant = True
        self.gets = Counter()
        self._before = before

    def get(self, key):
        if "/c/" in key:
            self.gets[int(key.rpartition("/")[2])] += 1
            self._before(key)
        return self.store.get(key)


@contextmanager
def opened(before=lambda key: None, mode="r"):
    """A column of 40 blocks, and the store that it is read from."""
    stores = []

    def far(store):
        stores.append(FarStore(store, before))
        return stores[-1]

    with Session(row_block=BLOCK) as s:
        ds = s.open_dataset("memory://readahead.zarr", "w", "d")
        ds.create_dataframe("t").create_numeric("f", "int32").data.write(VALUES)
    with wrapped_stores(far), Session() as s:
        ds = s.open_dataset("memory://readahead.zarr", mode, "d")
        yield ds["t"]["f"].data, stores[0]


def test_blocks_are_fetched_together_before_they_are_asked_for():
    """The third block on come with others: none of four requests ends before all are made."""
    together = threading.Barrier(4)

    def wait(key):
        if 2 <= int(key.rpartition("/")[2]) < 6:
            together.wait(PATIENCE)

    with opened(wait) as (data, store):
        found = [data[start : start + BLOCK] for start in range(0, len(VALUES), BLOCK)]
        assert np.array_equal(np.concatenate(found), VALUES)
        assert store.gets == dict.fromkeys(range(BLOCKS), 1)


def test_the_first_rows_and_single_blocks_cost_what_they_are():
    """Nothing is fetched on suspicion where no order is to be seen."""
    with opened() as (data, store):
        for block in (0, 17, 3, 30, 29, 28):
            assert data[block * BLOCK] == block * BLOCK
    assert store.gets == dict.fromkeys((0, 17, 3, 30, 29, 28), 1)


def test_a_jump_to_what_is_on_its_way_waits_for_that():
    """It is fetched once, although nothing is read in order any more."""
    begun, gate = threading.Event(), threading.Event()

    def wait(key):
        if key.endswith("/4"):
            begun.set()
            assert gate.wait(PATIENCE)

    with opened(wait) as (data, store):
        _ = data[0], data[BLOCK]
        assert begun.wait(PATIENCE)
        threading.Timer(0.1, gate.set).start()
        assert data[4 * BLOCK] == 4 * BLOCK
        assert store.gets[4] == 1


def test_what_could_not_be_fetched_ahead_is_asked_for_again():
    """A failure that nobody has waited for is nobody's."""
    failed = set()

    def fail_ahead(key):
        if threading.current_thread().name.startswith("exetera-ahead"):
            failed.add(key)
            raise StorageError("lost")

    with opened(fail_ahead) as (data, _):
        found = [data[start : start + BLOCK] for start in range(0, len(VALUES), BLOCK)]
    assert failed
    assert np.array_equal(np.concatenate(found), VALUES)


def test_what_cannot_be_fetched_at_all_is_an_error_where_it_is_read():
    """The blocks before it are there."""

    def fail(key):
        if key.endswith("/7"):
            raise StorageError("gone for good")

    with opened(fail) as (data, _):
        starts = iter(range(0, len(VALUES), BLOCK))
        for start in range(0, 7 * BLOCK, BLOCK):
            assert data[start] == next(starts)
        with pytest.raises(StorageError, match="gone for good"):
            _ = data[7 * BLOCK]


@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, BLOCK * BLOCKS),
            st.integers(0, 3 * BLOCK),
            st.integers(0, 8),
            st.booleans(),
        ),
        max_size=8,
    )
)
def test_any_order_of_reads_and_changes_is_right(steps):
    """Runs of reads from anywhere, and values that were changed in between."""
    expected = VALUES.copy()
    with opened(mode="r+") as (data, _):
        for start, size, times, changes in steps:
            for number in range(times):
                low = start + number * size
                assert np.array_equal(data[low : low + size], expected[low : low + size])
            if changes and size:
                data[start : start + size] = expected[start : start + size] = -1
        assert np.array_equal(data[:], expected)


def test_what_is_fetched_ahead_is_bounded():
    """Of all columns together; there is room again once something was taken."""
    with opened() as (_, store):
        ahead = ReadAhead(store, limit=10)
        keys = [f"t/f/values/c/{number}" for number in range(8)]
        ahead.expect(keys, 3)
        assert len(ahead) == 3
        assert ahead.get(keys[0]) == store.store.get(keys[0])
        ahead.expect(keys[4:], 3)
        assert len(ahead) == 3
        assert ahead.get(keys[7]) == store.store.get(keys[7])
        # What is still on its way is waited for, and not asked for again.
        for number in (4, 1, 2):
            assert ahead.get(keys[number]) == store.store.get(keys[number])
        assert store.gets == {0: 1, 1: 1, 2: 1, 4: 1, 7: 1}


def test_an_abandoned_reader_makes_room(monkeypatch):
    """Nobody says that the rest of a column is not wanted any more."""
    with opened() as (_, store):
        ahead = ReadAhead(store, limit=10)
        ahead.expect(["t/f/values/c/0"], 10)
        ahead.expect(["t/f/values/c/1"], 10)
        assert len(ahead) == 1
        later = readahead.time.monotonic() + 3600
        monkeypatch.setattr(readahead.time, "monotonic", lambda: later)
        ahead.expect(["t/f/values/c/1", "t/f/values/c/2"], 5)
        assert len(ahead) == 2


def test_a_forked_process_waits_for_no_thread_of_its_parent(monkeypatch):
    """Those do not survive the fork, so what they were fetching never comes."""
    gate = threading.Event()

    def wait(_):
        if threading.current_thread().name.startswith("exetera-ahead"):
            gate.wait(PATIENCE)

    try:
        with opened(wait) as (_, store):
            ahead = ReadAhead(store, 100)
            ahead.expect(["t/f/values/c/0"], 10)
            monkeypatch.setattr(readahead.os, "getpid", lambda: -1)
            assert ahead.get("t/f/values/c/0") == store.store.get("t/f/values/c/0")
            monkeypatch.undo()
            assert not gate.is_set()
    finally:
        gate.set()


def test_the_window_grows_with_the_order_that_is_seen():
    """Reads within one block change nothing, and a jump begins anew."""
    order = Order()
    assert list(order.read(0, 0, 32)) == []
    assert list(order.read(0, 0, 32)) == []
    assert list(order.read(1, 1, 32)) == list(range(2, 6))
    assert list(order.read(1, 2, 32)) == list(range(3, 19))
    assert list(order.read(3, 5, 32)) == list(range(6, 38))
    assert list(order.read(9, 9, 32)) == []
