"""Writing and reading single columns: ours beside Parquet, plain zarr and ExeTera's HDF5."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.files import make_durable, remove, stored_bytes
from benchmarks.machine import describe
from benchmarks.report import RANDOM_FLOATS, Row, Size, columns_report
from benchmarks.stores import (
    Column,
    ExeteraHDF5,
    Ours,
    PlainZarr,
    PolarsParquet,
    Store,
)
from benchmarks.timing import Action, compare

PACKAGES = ("exetera-zarr", "zarr", "numcodecs", "numpy", "pyarrow", "polars", "h5py")
PEERS: tuple[Store, ...] = (PolarsParquet(), PlainZarr(), ExeteraHDF5())

AS_SHIPPED = "ours synced, peer not"
BOTH_SYNCED = "both synced"
NEITHER_SYNCED = "neither synced"


def small_integers(rows: int, rng: np.random.Generator) -> Column:
    values = rng.integers(0, 100, rows, dtype="int32")
    return Column("int32", "whole numbers of 0 to 99", "numeric", values)


def timestamps(rows: int, rng: np.random.Generator) -> Column:
    """Reports of three years, in order, to the second."""
    seconds = np.sort(rng.integers(1_584_000_000, 1_680_000_000, rows)).astype("float64")
    return Column("timestamp", "sorted float64 POSIX seconds", "timestamp", seconds)


def categories(rows: int, rng: np.random.Generator) -> Column:
    values = rng.choice(4, rows, p=(0.7, 0.2, 0.07, 0.03)).astype("int8")
    return Column("category", "int8 of four values, unevenly frequent", "categorical", values)


def random_floats(rows: int, rng: np.random.Generator) -> Column:
    return Column(RANDOM_FLOATS, "0 to 1, incompressible", "numeric", rng.random(rows))


def short_strings(rows: int, rng: np.random.Generator) -> Column:
    """None to three words with a space between, as in a field of free text."""
    letters = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz", dtype="S1")
    lengths = rng.integers(2, 10, 1000)
    words = pa.array([b"".join(rng.choice(letters, n)).decode() for n in lengths])
    count = rng.integers(0, 4, rows)
    picked = [
        words.take(pa.array(rng.integers(0, len(words), rows), mask=count <= place))
        for place in range(3)
    ]
    picked[0] = picked[0].fill_null("")  # the join drops a row of nulls alone
    phrases = pc.binary_join_element_wise(*picked, " ", null_handling="skip")
    about = "UTF-8, none to three of a thousand words"
    return Column("string", about, "string", phrases.cast(pa.large_string()))


COLUMNS: dict[str, Callable[[int, np.random.Generator], Column]] = {
    "int32": small_integers,
    "timestamp": timestamps,
    "category": categories,
    "random": random_floats,
    "string": short_strings,
}


class Bench:
    """Runs the comparisons of one column in a folder of its own."""

    def __init__(self, folder: Path, pairs: int) -> None:
        self.folder = folder
        self.pairs = pairs
        self.number = 0

    def fresh(self) -> Path:
        self.number += 1
        return self.folder / f"{self.number}"

    def remove_all(self) -> None:
        for entry in self.folder.iterdir():
            remove(entry)

    def written(self, store: Store, column: Column) -> Path:
        """Write a column, read it back, and refuse to go on if a value differs."""
        path = self.fresh()
        store.write(path, column, store.prepare(column))
        found = store.restore(store.read(path, column))
        if isinstance(column.values, pa.Array):
            equal = column.values.equals(found)
        else:
            equal = found.dtype == column.values.dtype and np.array_equal(found, column.values)
        if not equal:
            raise SystemExit(f"{store.name} gave other values back for {column.name}")
        return path

    def writing(self, store: Store, column: Column, *, sync: bool) -> Action:
        prepared = store.prepare(column)

        def run() -> None:
            path = self.fresh()
            store.write(path, column, prepared)
            if sync:
                make_durable(path)

        return Action(run, after=self.remove_all)

    def reads(self, column: Column, peers: tuple[Store, ...]) -> Iterator[tuple[Row, Size]]:
        ours = Ours()
        our_path = self.written(ours, column)
        for peer in peers:
            path = self.written(peer, column)
            times = compare(
                Action(partial(ours.read, our_path, column)),
                Action(partial(peer.read, path, column)),
                self.pairs,
            )
            row = Row(column, "read", peer.name, "", times)
            yield row, Size(column, peer.name, stored_bytes(our_path), stored_bytes(path))
        self.remove_all()

    def writes(self, column: Column, peers: tuple[Store, ...]) -> Iterator[Row]:
        synced, unsynced = Ours(), Ours(durability="none")
        for peer in peers:
            for durability, ours, sync in (
                (AS_SHIPPED, synced, False),
                (BOTH_SYNCED, synced, True),
                (NEITHER_SYNCED, unsynced, False),
            ):
                times = compare(
                    self.writing(ours, column, sync=False),
                    self.writing(peer, column, sync=sync),
                    self.pairs,
                )
                yield Row(column, "write", peer.name, durability, times)


def run(arguments: argparse.Namespace) -> None:
    """Measure, print progress, and write the report."""
    if arguments.pairs < 1:
        raise SystemExit("--pairs must be at least 1")
    rng = np.random.default_rng(20_130_101)
    peers = tuple(peer for peer in PEERS if not arguments.peer or peer.name in arguments.peer)
    columns: list[Column] = []
    rows: list[Row] = []
    sizes: list[Size] = []
    with tempfile.TemporaryDirectory(dir=arguments.work_dir, prefix="benchmark-") as folder:
        about = describe(PACKAGES, Path(folder))
        bench = Bench(Path(folder), arguments.pairs)
        for name in arguments.column or COLUMNS:
            count = arguments.strings if name == "string" else arguments.rows
            column = COLUMNS[name](count, rng)
            columns.append(column)
            for row, size in bench.reads(column, peers):
                rows.append(row)
                sizes.append(size)
                progress(row)
            for row in bench.writes(column, peers):
                rows.append(row)
                progress(row)
    text = columns_report(about, columns, rows, sizes)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    else:
        print(text)


def progress(row: Row) -> None:
    print(f"{row.operation:5} {' | '.join(row.cells())}", file=sys.stderr, flush=True)


def add_command(commands: Any) -> None:
    """Add `columns` to the command line."""
    parser = commands.add_parser("columns", help=__doc__, description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000_000, metavar="N")
    parser.add_argument("--strings", type=int, default=5_000_000, metavar="N")
    parser.add_argument("--pairs", type=int, default=7, metavar="N")
    parser.add_argument("--column", action="append", choices=list(COLUMNS), help="only this one")
    parser.add_argument(
        "--peer", action="append", choices=[p.name for p in PEERS], help="only this"
    )
    parser.add_argument("--work-dir", type=Path, help="on the disk to measure; default: temporary")
    parser.add_argument("--out", type=Path, help="write the report here instead of printing it")
    parser.set_defaults(run=run)
