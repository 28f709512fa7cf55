"""How many requests operations make, by verb, and how many of them wait for others."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from exetera_zarr import Session
from support.rules import latency

COLUMNS = 200


@pytest.fixture(scope="module")
def wide():
    return [f"c{number:03}" for number in range(COLUMNS)]


def make(bucket, names, rows=1000, row_block=1000):
    with Session(row_block=row_block) as s:
        ds = s.open_dataset(bucket.url(), "w", "study", storage_options=bucket.options)
        table = ds.create_dataframe("wide")
        for number, name in enumerate(names):
            values = np.arange(rows, dtype="int32") + number
            table.create_numeric(name, "int32").data.write(values)


def chunks_of(log):
    return [exchange for exchange in log if "/c/" in exchange.path]


def waits(log):
    """The longest chain of requests of which each began after the one before had ended."""
    chains = {}
    for exchange in sorted(log, key=lambda e: e.started):
        before = [chain for ended, chain in chains.items() if ended <= exchange.started]
        chains[exchange.ended] = max(before, default=0) + 1
    return max(chains.values())


@pytest.mark.parametrize(
    "count",
    [1, pytest.param(4, marks=pytest.mark.slow), pytest.param(16, marks=pytest.mark.slow), 64],
)
def test_reading_some_of_200_columns(bucket, wide, count):
    """The root, the newest manifest's name, and a chunk of each: in two round trips."""
    make(bucket, wide)
    chosen = wide[7 : 7 + count]
    # Long enough that all are sent before one is answered, on a machine that is busy, too.
    bucket.proxy.rule = latency(2.0 if count > 4 else 0.5)
    bucket.proxy.clear()
    with Session() as s:
        ds = s.open_dataset(bucket.url(), "r", "study", storage_options=bucket.options)
        found = ds["wide"].to_pandas(col_filter=chosen)
    assert found[chosen[-1]].tolist() == (np.arange(1000) + 7 + count - 1).tolist()
    assert bucket.proxy.verbs() == {"GET": 1 + count, "LIST": 1}
    assert len(chunks_of(bucket.proxy.log)) == count
    assert waits(bucket.proxy.log) == 2


def test_creating_200_columns(bucket, wide):
    """Each column is one upload; then one manifest, and a document per node for other readers."""
    make(bucket, wide)
    log = bucket.proxy.log
    verbs = bucket.proxy.verbs()
    writes = verbs["PUT"] + verbs["POST"]
    documents = 2 * COLUMNS + 2  # array and group of each field, the table, the root
    manifests, probes = 2, 3
    assert writes == COLUMNS + documents + manifests + probes
    assert verbs["HEAD"] == verbs["COPY"] == 0
    # Its newest manifest; anything else there; and a dataset around it, on each level above.
    assert verbs["LIST"] == 1 + bucket.prefix.count("/")
    assert not any("/c/" in exchange.path for exchange in log if exchange.verb == "GET")


@pytest.mark.parametrize("count", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_appending_to_columns_of_40_chunks(bucket, wide, count):
    """What stays is copied by the server; of the rest, only last chunks are read and written."""
    names = wide[:count]
    make(bucket, names, rows=3_950, row_block=100)
    bucket.proxy.clear()
    with Session() as s:
        ds = s.open_dataset(bucket.url(), "r+", "study", storage_options=bucket.options)
        with ds.transaction():
            for name in names:
                ds["wide"][name].data.write(np.arange(100, dtype="int32"))
    verbs = bucket.proxy.verbs()
    assert verbs["COPY"] <= 40 * count
    assert verbs["HEAD"] == 0
    reads = [e.path for e in bucket.proxy.log if e.verb == "GET" and "/c/" in e.path]
    assert Counter(path.rpartition("/")[2] for path in reads) in ({}, {"39": count})
    if verbs["PUT"]:
        chunks = [e for e in chunks_of(bucket.proxy.log) if e.kind == "PUT"]
        assert len(chunks) <= 2 * count


def test_many_requests_at_a_time(bucket, wide):
    """A scan, block after block or at once, and an upload have at least 32 under way."""
    make(bucket, wide[:1], rows=100_000, row_block=1000)
    for read in (in_one, block_by_block):
        bucket.proxy.rule = latency(0.5)
        bucket.proxy.clear()
        with Session() as s:
            ds = s.open_dataset(bucket.url(), "r", "study", storage_options=bucket.options)
            assert read(ds["wide"][wide[0]]) == 100_000 * 99_999 // 2
        assert len(chunks_of(bucket.proxy.log)) == 100
        assert bucket.proxy.most_in_flight() >= 32


def in_one(field):
    return int(field.data[:].astype("int64").sum())


def block_by_block(field):
    total = 0
    for start in range(0, 100_000, 1000):
        total += int(field.data[start : start + 1000].astype("int64").sum())
    return total


@pytest.mark.parametrize("chunks", [1, 3])
def test_appending_rows_to_200_columns(bucket, wide, chunks):
    """Whatever is there: one object of rows, one manifest, and what reveals both to others."""
    make(bucket, wide, rows=4096 * chunks, row_block=4096)
    rows = {name: np.arange(1000, dtype="int32") for name in wide}
    bucket.proxy.rule = latency(0.3)  # what is sent at one time overlaps, also on a busy machine
    bucket.proxy.clear()
    with Session() as s:
        ds = s.open_dataset(bucket.url(), "r+", "study", storage_options=bucket.options)
        assert ds["wide"].append(rows) == 1000
    verbs = bucket.proxy.verbs()
    # On GCS the documents that are replaced are read before.
    assert (verbs["LIST"], verbs["PUT"] + verbs["POST"]) == (1, 5)
    assert verbs["GET"] == (4 if verbs["POST"] else 2)
    assert sum(verbs.values()) == 6 + verbs["GET"] <= 12
    assert waits(bucket.proxy.log) <= 8
    assert not any("/c/" in e.path for e in bucket.proxy.log if e.verb == "GET")
    with Session() as s:
        ds = s.open_dataset(bucket.url(), "r", "study", storage_options=bucket.options)
        assert ds["wide"][wide[-1]].data[-1000:].tolist() == list(range(1000))
