"""What a cluster bears at 10^9 and 10^10 rows: constants are measured, the rest is reckoned."""

from __future__ import annotations

import argparse
import math
import pickle
import time
import tracemalloc
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe
from benchmarks.report import table
from exetera_zarr import Session
from exetera_zarr.dask.placing import Place, Placed, Target, by_rows
from exetera_zarr.dask.staging import VALUES, Fragment, Job, Receipt
from exetera_zarr.dask.writing import _GROUP
from exetera_zarr.storage.zarr.jobs.workshop import _AT_ONCE

PACKAGES = ("exetera-zarr", "dask", "distributed", "zarr", "pandas", "numpy")
SIZES = ((10**9, 64), (10**9, 1000), (10**10, 64), (10**10, 1000))
LIMIT = 5 * 10**9
"""Bytes of an object that S3 takes in one request."""


@dataclass(frozen=True)
class Assumed:
    """
    What is taken for granted, as we have no such cluster.

    Parameters
    ----------
    columns, width
        Of the table, each of numbers of so many bytes.
    ratio
        Bytes that are stored for each byte of numbers.
    latency
        Seconds of a request.
    bandwidth
        Bytes a second between a worker and the bucket.
    in_flight
        Requests of a worker at a time, where there are so many.
    encode, decode
        Bytes of numbers a second that a worker of one thread codes.
    reads, writes
        Requests a second that a bucket bears below one prefix.
    worker, client
        Bytes of memory.
    """

    columns: int = 200
    width: int = 8
    ratio: float = 0.4
    latency: float = 0.03
    bandwidth: float = 250e6
    in_flight: int = 64
    encode: float = 0.8e9
    decode: float = 1.5e9
    reads: float = 5_500
    writes: float = 3_500
    worker: float = 16e9
    client: float = 16e9

    @property
    def row_block(self) -> int:
        """Rows of a block: docs/dask.md advises 2^17 for 200 columns."""
        return 1 << 17 if self.columns > 20 else 1 << 20


@dataclass(frozen=True)
class Measured:
    """
    What was measured on this machine.

    Parameters
    ----------
    task
        Seconds of the processor, of scheduler and client together, for a task that does nothing.
    receipt, receipt_memory
        Bytes of a receipt of all columns, as it is sent, and in the client's memory.
    place
        Bytes of a task that places blocks.
    chunk_seconds, chunk_memory
        Seconds of the processor and bytes of the client for a chunk that a draft takes over.
    manifest
        Bytes of the manifest of one version of the table.
    documents
        Bytes of the root document.
    """

    task: float
    receipt: int
    receipt_memory: int
    place: int
    chunk_seconds: float
    chunk_memory: float
    manifest: int
    documents: int


# -- what is measured


def measure(assumed: Assumed) -> Measured:
    """Measure all of it; half a minute."""
    receipt, memory = _receipt(assumed)
    chunk_seconds, chunk_memory = _chunk()
    manifest, documents = _documents(assumed)
    return Measured(
        _task(),
        receipt,
        memory,
        _place(assumed),
        chunk_seconds,
        chunk_memory,
        manifest,
        documents,
    )


def _task(count: int = 3000) -> float:
    from distributed import Client, LocalCluster, wait

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as made,
        Client(made) as client,
    ):
        wait(client.map(_nothing, range(100)))
        start = time.process_time()
        wait(client.map(_nothing, range(100, 100 + count)))
        return (time.process_time() - start) / count


def _nothing(number: int) -> int:
    return number


def _fragment(assumed: Assumed, number: int) -> Fragment:
    size = int(assumed.row_block * assumed.width * assumed.ratio)
    pieces = {
        (f"column {name}", VALUES): (assumed.row_block, name * size, size)
        for name in range(assumed.columns)
    }
    return Fragment(assumed.row_block, f"__exetera__/staged/{'0' * 16}/{number:016x}-0", pieces, {})


def _receipt(assumed: Assumed, count: int = 50) -> tuple[int, int]:
    sent = [pickle.dumps(Receipt("0" * 16, (_fragment(assumed, n),))) for n in range(count)]
    tracemalloc.start()
    kept = [pickle.loads(one) for one in sent]  # noqa: S301 - our own
    memory, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return len(sent[0]), memory // len(kept)


def _job() -> Job:
    with Session() as s:
        ds = s.open_dataset("memory://scale-of-a-job.zarr", "w", "study")
        ds.create_dataframe("t").create_numeric("n", "int32").data.write([1])
        ds.commit()
        return Job("0" * 16, ds.storage.address(), "t", (), 1)


def _place(assumed: Assumed) -> int:
    """Bytes of a task in the middle, of partitions that are not on the grid."""
    fragments = [
        Placed(_fragment(assumed, n), n * assumed.row_block - assumed.row_block // 3, {})
        for n in range(4)
    ]
    path = "table/column/values-0123456789ab"
    targets = [
        Target(f"column {n}", VALUES, np.dtype("f8"), assumed.row_block, 1 << 40, path)
        for n in range(assumed.columns)
    ]
    groups = by_rows([(one, 1) for one in targets], assumed.row_block, _GROUP)
    return len(pickle.dumps(Place.of(_job(), next(groups), fragments)))


def _chunk(count: int = 20_000) -> tuple[float, float]:
    with Session() as s:
        ds = s.open_dataset("memory://scale-of-chunks.zarr", "w", "study")
        field = ds.create_dataframe("t", row_block=4).create_numeric("n", "float64")
        ds.commit()
        array: Any = field.array("values")
        start = time.process_time()
        array.adopt("t/n/values-0123456789ab", [(0.0, 1.0)] * count, np.zeros(0))
        ds.commit()
        seconds = time.process_time() - start
    with Session() as s:
        ds = s.open_dataset("memory://scale-of-chunks-again.zarr", "w", "study")
        array = ds.create_dataframe("t", row_block=4).create_numeric("n", "float64").array("values")
        tracemalloc.start()
        array.adopt("t/n/values-0123456789ab", [(0.0, 1.0)] * count, np.zeros(0))
        memory, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        ds.rollback()
    return seconds / count, memory / count


def _documents(assumed: Assumed) -> tuple[int, int]:
    with Session() as s:
        ds = s.open_dataset("memory://scale-of-documents.zarr", "w", "study")
        made = ds.create_dataframe("t")
        for number in range(assumed.columns):
            made.create_numeric(f"column {number}", "float64").data.write([0.0])
        ds.commit()
        storage: Any = ds.storage
        store = storage.draft.store
        newest = store.first("__exetera__/commits")
        return len(store.get(newest)), len(store.get("zarr.json"))


# -- what follows


@dataclass(frozen=True)
class Line:
    """One resource: what is asked of it, what it bears, and the share."""

    what: str
    asked: str
    share: float


def reckon(rows: int, workers: int, a: Assumed, m: Measured) -> dict[str, list[Line]]:
    """What scanning a column, scanning all, and writing the table ask of each part."""
    blocks = math.ceil(rows / a.row_block)
    return {
        "sum of one column": _scan(blocks, workers, 1, a, m),
        "read all columns": _scan(blocks, workers, a.columns, a, m),
        "write all columns": _write(blocks, workers, a, m),
    }


def _scan(blocks: int, workers: int, columns: int, a: Assumed, m: Measured) -> list[Line]:
    tasks = blocks * 9 / 8  # and a tree of eight that joins what they give
    raw = columns * a.row_block * a.width
    waves = math.ceil(columns / a.in_flight)
    busy = waves * a.latency + raw * a.ratio / a.bandwidth + raw / a.decode
    gets = blocks * columns + workers
    times = {
        "the workers": blocks * busy / workers,
        "the scheduler": tasks * m.task,
        "the bucket, at the reads it bears": gets / a.reads,
    }
    return [
        *_times(times, max(times.values())),
        Line("reads of the bucket", f"{gets:,.0f}", 0.0),
        _bytes("a partition, 8 times, in a worker", 8 * raw, a.worker),
    ]


def _write(blocks: int, workers: int, a: Assumed, m: Measured) -> list[Line]:
    groups = math.ceil(a.columns / _GROUP)
    tasks = blocks * (1 + groups)
    raw = a.columns * a.row_block * a.width
    stored = raw * a.ratio
    stage = raw / a.encode + a.latency + stored / a.bandwidth
    # A task reads the pieces of its columns, of two fragments off the grid, and puts a few at once.
    place = groups * 2 * a.latency + math.ceil(a.columns / _AT_ONCE) * a.latency
    place += raw / a.decode + raw / a.encode + 2 * stored / a.bandwidth
    by_workers = blocks * (stage + place) / workers
    chunks = blocks * a.columns
    client = chunks * m.chunk_seconds + blocks / a.in_flight * a.latency
    times = {
        "the workers": by_workers,
        "the scheduler": tasks * m.task,
        "the bucket, at the writes it bears": (chunks + blocks) / a.writes,
    }
    seconds = max(times.values()) + client
    memory = blocks * m.receipt_memory + chunks * m.chunk_memory + blocks * groups * m.place
    return [
        *_times({**times, "the client alone, after them": client}, seconds),
        Line("writes of the bucket", f"{chunks + blocks:,.0f}", 0.0),
        _bytes("memory of the client", memory, a.client),
        _bytes("tasks, through the scheduler", blocks * groups * m.place, a.client),
        _bytes("a partition, 8 times, in a worker", 8 * raw, a.worker),
        _bytes("a staged object", stored, LIMIT),
    ]


def _times(times: Mapping[str, float], seconds: float) -> list[Line]:
    job = Line("seconds of the job", f"{seconds:,.0f} s", 0.0)
    return [job, *(Line(f"of {who}", f"{one:,.0f} s", one / seconds) for who, one in times.items())]


def _bytes(what: str, asked: float, borne: float) -> Line:
    return Line(what, f"{asked / 1e9:,.2f} GB", asked / borne)


# -- the page

ABOUT = """\
No such cluster was at hand: what a part of ours costs was measured on this machine, in seconds of
the processor, as others used it as well, and multiplied.
The share of a part in the seconds of the job says what the job waits for; the bucket takes the
requests a second that Amazon says it takes below one prefix (it splits a prefix further under load,
and what it refuses meanwhile is asked again). The share of bytes is of what is there: above 1, it
breaks."""


def _constants(a: Assumed, m: Measured) -> str:
    rows = [
        [
            "columns of a table, bytes of a value, rows of a block",
            f"{a.columns}, {a.width}, {a.row_block:,}",
            "assumed",
        ],
        ["bytes stored for each byte of numbers", f"{a.ratio:g}", "assumed"],
        [
            "latency of a request, bytes a second of a worker",
            f"{a.latency:g} s, {a.bandwidth / 1e6:g} MB/s",
            "assumed",
        ],
        [
            "coding and decoding, a thread",
            f"{a.encode / 1e9:g} and {a.decode / 1e9:g} GB/s",
            "assumed",
        ],
        ["reads and writes a second of a prefix", f"{a.reads:,.0f} and {a.writes:,.0f}", "assumed"],
        [
            "memory of a worker of one thread, of the client",
            f"{a.worker / 1e9:g} and {a.client / 1e9:g} GB",
            "assumed",
        ],
        ["a task that does nothing", f"{m.task * 1000:.2f} ms", "measured"],
        [
            "a receipt, sent and in memory",
            f"{m.receipt / 1000:.1f} and {m.receipt_memory / 1000:.1f} kB",
            "measured",
        ],
        ["a task that places 32 blocks", f"{m.place / 1000:.1f} kB", "measured"],
        [
            "a chunk that a draft takes over",
            f"{m.chunk_seconds * 1e6:.0f} us, {m.chunk_memory:.0f} B",
            "measured",
        ],
        [
            "a manifest, the root document",
            f"{m.manifest / 1000:.0f} and {m.documents / 1000:.0f} kB",
            "measured",
        ],
    ]
    return table("what|how much|", rows)


def run(arguments: argparse.Namespace) -> None:
    """Measure, reckon, and write the page."""
    assumed = Assumed()
    measured = measure(assumed)
    parts = ["# A cluster on 10^9 and 10^10 rows, reckoned", describe(PACKAGES, Path.cwd())]
    parts += [ABOUT, "## Constants", _constants(assumed, measured)]
    for rows, workers in SIZES:
        parts += [f"## 10^{round(math.log10(rows))} rows, {workers:,} workers"]
        for job, lines in reckon(rows, workers, assumed, measured).items():
            cells = [
                [one.what, one.asked, f"{one.share:.2f}" if one.share else ""] for one in lines
            ]
            parts += [f"### {job}", table("part|asked|share", cells)]
    text = "\n\n".join(parts) + "\n"
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    else:
        print(text)


def add_command(commands: Any) -> None:
    """Add `scale` to the command line."""
    parser = commands.add_parser("scale", help=__doc__, description=__doc__)
    parser.add_argument("--out", type=Path, help="write the page here instead of printing it")
    parser.set_defaults(run=run)
