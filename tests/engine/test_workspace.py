"""Where an operation works, and columns that are read by rows."""

from __future__ import annotations

import _thread
import ctypes
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

from exetera_zarr.engine.duckdb.connection import connected
from exetera_zarr.engine.duckdb.feed import feeding, schema_of
from exetera_zarr.engine.streams.freed_memory import give_back
from exetera_zarr.engine.streams.source import Source, prefetched
from exetera_zarr.engine.streams.workspace import Workspace


@pytest.mark.parametrize("memory", [1 << 20, 800, 0])
def test_what_is_spilled_comes_back(tmp_path, memory):
    """In memory or in a file, read anywhere; the folder is empty at the end."""
    with Workspace(memory, str(tmp_path)) as work:
        spill = work.spill(np.int32)
        assert spill.read(0, 0).tolist() == []
        for start in range(0, 1000, 100):
            spill.append(np.arange(start, start + 100))
        spill.append(np.empty(0, np.int32))
        assert len(spill) == 1000
        assert spill.read(95, 205).tolist() == list(range(95, 205))
        assert np.concatenate(list(spill.blocks(7))).tolist() == list(range(1000))
    assert list(tmp_path.iterdir()) == []


def test_reading_beyond_the_end_is_an_error(tmp_path):
    """Also for a reader in another thread, below which the file was closed: it has to end."""
    with Workspace(0, str(tmp_path)) as work:
        spill = work.spill(np.int64)
        spill.append(np.arange(10))
        with pytest.raises(EOFError, match="16 bytes at 80"):
            spill.read(8, 12)


def test_nothing_is_left_after_an_error(tmp_path):
    def fail():
        with Workspace(0, str(tmp_path)) as work, connected(work) as connection:
            work.spill(np.int8).append(np.arange(10))
            assert list(tmp_path.iterdir()) != []
            connection.sql("select 1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_too_little_memory_is_an_error_that_names_the_limit(tmp_path):
    with (
        Workspace(40_000_000, str(tmp_path)) as work,
        pytest.raises(MemoryError, match="the memory limit of 40000000 bytes"),
        connected(work) as connection,
    ):
        connection.sql("select list(range) as l from range(100000000)").fetchall()
    assert not Path(tmp_path, "duckdb").exists()


@pytest.fixture
def heeding_interrupts():
    """Who started the tests may have had Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_in_the_database_is_one(tmp_path, heeding_interrupts):
    """Ctrl-C is a KeyboardInterrupt, and no error that a program would catch and go on."""

    def endless():
        _thread.interrupt_main()
        while True:
            yield [np.arange(1 << 16)]

    schema = schema_of(["x"], [np.arange(0)])
    with (
        pytest.raises(KeyboardInterrupt),
        Workspace(1 << 28, str(tmp_path)) as work,
        feeding(work) as feeder,
    ):
        feeder.register("rows", schema, endless())
        feeder.connection.sql("CREATE TEMP TABLE n AS SELECT count(*) FROM rows")
    assert list(tmp_path.iterdir()) == []


def test_the_database_prints_nothing():
    """DuckDB would draw a progress bar in the output of the program."""
    with Workspace() as work, connected(work) as connection:
        setting = connection.sql("SELECT current_setting('enable_progress_bar')").fetchall()
    assert setting == [(False,)]


def test_the_next_item_is_made_meanwhile():
    """An item is asked for before it is needed, in order, and an error comes in its place."""
    made = threading.Event()

    def items():
        yield 1
        made.set()
        yield 2
        raise ValueError("the third")

    found = prefetched(items())
    assert next(found) == 1
    assert made.wait(60)
    assert next(found) == 2
    with pytest.raises(ValueError, match="the third"):
        next(found)


def test_blocks_of_a_source():
    source = Source.of([np.arange(10), np.arange(10) * 2], 4)
    assert [[c.tolist() for c in block] for block in source.blocks()] == [
        [[0, 1, 2, 3], [0, 2, 4, 6]],
        [[4, 5, 6, 7], [8, 10, 12, 14]],
        [[8, 9], [16, 18]],
    ]
    assert source.whole()[1].tolist() == list(range(0, 20, 2))


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="glibc has it")
def test_free_memory_is_given_back():
    """What lies below something that is in use stays with the process otherwise."""

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    blocks = [np.ones(8000) for _ in range(2000)]
    last = blocks[-1]
    del blocks
    before = resident()
    give_back()
    assert resident() < before - (64 << 20)
    assert last[0] == 1
