"""Questions in SQL of a table of ours, beside DuckDB on zstd Parquet."""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.files import stored_bytes
from benchmarks.machine import describe
from benchmarks.report import table
from benchmarks.timing import Action, compare
from exetera_zarr import Session

PACKAGES = ("exetera-zarr", "duckdb", "pyarrow", "numpy")
BLOCK = 1 << 20
TARGET = 0.7
ABOUT = """\
A table of a person (ten rows each), a moment that ascends, a category of 3, one of 200, a float32,
a whole number of which a tenth is missing, and a float of one decimal. Ours is asked by
`Dataset.sql`, which has DuckDB read our blocks; the peer is DuckDB on a Parquet file (zstd) of the
same rows, with as many threads. Each question is asked anew, and its answer taken as objects of
Python.

Medians of alternating pairs, with the interquartile range in brackets; *peer / ours* is how many
times longer the peer took within a pair: above 1, ours is faster. What was read is in the system's
cache. Answers were compared before anything was timed."""

QUESTIONS = {
    "three columns summed": "SELECT sum(v), avg(x), max(w) FROM {t}",
    "a number above a half, one category of three": (
        "SELECT count(*), sum(x) FROM {t} WHERE w > 5000 AND sex = 'male'"
    ),
    "groups of 3": "SELECT sex, count(*), avg(v), avg(x) FROM {t} GROUP BY sex ORDER BY sex",
    "groups of 600": (
        "SELECT town, sex, sum(w), avg(x) FROM {t} GROUP BY town, sex ORDER BY town, sex"
    ),
    "a month of the moments": (
        "SELECT count(*), avg(v) FROM {t} WHERE day BETWEEN '2021-01-01' AND '2021-02-01'"
    ),
    "groups of ten rows": (
        "SELECT max(c) FROM (SELECT id, count(*) c, sum(v) FROM {t} GROUP BY id)"
    ),
    "groups of a month": (
        "SELECT date_trunc('month', day) m, avg(x) FROM {t} GROUP BY m ORDER BY m"
    ),
    "the row before": (
        "SELECT sum(d) FROM (SELECT w - lag(w) OVER (PARTITION BY id ORDER BY day) d FROM {t})"
    ),
}


def batches(rows: int) -> Iterator[pa.RecordBatch]:
    """The table, a block at a time."""
    chance = np.random.default_rng(1)
    sexes, towns = (
        pa.array(["male", "female", "other"]),
        pa.array([f"town {n}" for n in range(200)]),
    )
    apart = 1000 * 86_400_000_000 // rows  # microseconds; all rows together are 1,000 days
    for start in range(0, rows, BLOCK):
        numbers = np.arange(start, min(start + BLOCK, rows))
        count = len(numbers)
        yield pa.record_batch(
            {
                "id": pa.array(numbers // 10),
                "day": pa.array(1_577_836_800_000_000 + numbers * apart, pa.timestamp("us", "UTC")),
                "sex": pa.DictionaryArray.from_arrays(chance.integers(0, 3, count, "i1"), sexes),
                "town": pa.DictionaryArray.from_arrays(chance.integers(0, 200, count, "i2"), towns),
                "v": pa.array(chance.normal(size=count).astype("f4")),
                "w": pa.array(
                    chance.integers(0, 10_000, count, "i4"), mask=chance.random(count) < 0.1
                ),
                "x": pa.array(np.round(chance.gamma(2, 30, count), 1)),
            }
        )


def make(rows: int, parquet: Path, dataset: Any) -> None:
    """Write the table for both."""
    schema = next(batches(1)).schema
    with pq.ParquetWriter(parquet, schema, compression="zstd") as writer:
        for batch in batches(rows):
            writer.write_batch(batch)
    dataset.from_arrow("t", pa.RecordBatchReader.from_batches(schema, batches(rows)))
    dataset.commit()


def alike(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> bool:
    """Whether two answers are one; sums of floats depend on their order in the last digits."""
    return len(ours) == len(theirs) and all(
        math.isclose(a, b, rel_tol=1e-9) if isinstance(a, float) else a == b
        for one, other in zip(ours, theirs, strict=True)
        for a, b in zip(one.values(), other.values(), strict=True)
    )


def run(arguments: argparse.Namespace) -> None:
    """Ask each question of both, and write the report."""
    head = "question|ours|DuckDB on Parquet|peer / ours|target"
    with (
        tempfile.TemporaryDirectory(dir=arguments.work_dir, prefix="benchmark-") as scratch,
        Session() as session,
        duckdb.connect(config={"threads": arguments.threads}) as connection,
    ):
        folder = Path(scratch)
        connection.execute("SET TimeZone = 'UTC'")
        parquet, url = folder / "t.parquet", folder / "t.zarr"
        dataset = session.open_dataset(url, "w", "d")
        make(arguments.rows, parquet, dataset)

        def ours(question: str) -> list[dict[str, Any]]:
            answer: list[dict[str, Any]] = (
                dataset.sql(question.format(t="t")).to_arrow().to_pylist()
            )
            return answer

        def theirs(question: str) -> list[dict[str, Any]]:
            found = connection.sql(question.format(t=f"'{parquet}'")).to_arrow_table()
            answer: list[dict[str, Any]] = found.to_pylist()
            return answer

        sizes = f"Bytes on the disk: ours {stored_bytes(url):,}, Parquet {stored_bytes(parquet):,}."
        parts = [f"# SQL of {arguments.rows:,} rows", describe(PACKAGES, folder), ABOUT, sizes, ""]
        rows: list[list[str]] = []
        for title, question in QUESTIONS.items():
            assert alike(ours(question), theirs(question)), title
            times = compare(
                Action(partial(ours, question)),
                Action(partial(theirs, question)),
                arguments.repeats,
            )
            met = "met" if times.ratio.median >= TARGET else "**missed**"
            shown = times.ours.show(" s"), times.peer.show(" s"), times.ratio.show()
            rows.append([title, *shown, f">= {TARGET}: {met}"])
            parts[-1] = table(head, rows)
    text = "\n\n".join(parts) + "\n"
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    else:
        print(text)


def add_command(commands: Any) -> None:
    """Add `sql` to the command line."""
    parser = commands.add_parser("sql", help=__doc__, description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, metavar="N")
    parser.add_argument("--repeats", type=int, default=7, metavar="N", help="pairs of runs")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="of DuckDB alone")
    parser.add_argument("--work-dir", type=Path, help="on the disk to measure; default: temporary")
    parser.add_argument("--out", type=Path, help="write the report here instead of printing it")
    parser.set_defaults(run=run)
