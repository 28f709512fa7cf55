"""Collections of Dask on two workers: reading and writing, beside Parquet and zarr-python."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd

from benchmarks.cluster_tasks import BLOCK, Contest, Place, collection, places
from benchmarks.cluster_verbs import Verbs
from benchmarks.machine import describe
from benchmarks.report import table
from benchmarks.timing import Action
from exetera_zarr import Session

PACKAGES = ("exetera-zarr", "dask", "distributed", "zarr", "pandas", "numpy", "pyarrow")
RAGGED = 0.7
"""Rows of a partition that is on no grid, in blocks."""
READ_PARQUET, FROM_ZARR = "dd.read_parquet", "da.from_zarr"
TO_PARQUET, TO_ZARR = "to_parquet", "da.to_zarr"

ABOUT = """\
A cluster on this machine of two workers, each of one thread and 2 GB, on which all contestants run.
The table has ten columns: a row number, a key of five values, an age, five random float64, a truth
value and a moment; tables with strings have the name of a town beside them. Row blocks of ours, row
groups of Parquet (zstd, a file for each) and chunks of zarr have 2^20 rows. Making the collection
counts: opening is part of the work.

Writes are from a graph that makes the rows, and end when they are on the disk: ours with
`commit()`, the peers with an fsync of each file and folder. Ours is one version that readers see as
a whole or not at all, and cuts partitions on its grid; the peers write what they are given where it
is to be.

Medians of alternating pairs, with the interquartile range in brackets; *peer / ours* is how many
times longer the peer took within a pair: above 1, ours is faster. What was read is in the system's
cache. Values were compared before anything was timed."""


class Reading:
    """The table as each has it, and what is asked of it."""

    def __init__(self, place: Place, rows: int) -> None:
        self.place, self.rows = place, rows
        made = collection(rows, BLOCK)
        self.session = Session()
        self.dataset = self.session.open_dataset(
            place.at("read.zarr"), "w", "read", storage_options=place.options
        )
        self.dataset.write_dask(made, "t", row_block=BLOCK)
        self.dataset.commit()
        made.to_parquet(
            place.at("read.parquet"),
            compression="zstd",
            write_index=False,
            storage_options=place.fsspec_options,
        )
        column = made["a"].to_dask_array(lengths=tuple(lengths(rows, BLOCK)))
        da.to_zarr(column, place.store("read-plain.zarr"), zarr_format=3)

    def ours(self) -> Any:
        return self.dataset["t"].to_dask()

    def parquet(self) -> Any:
        return dd.read_parquet(
            self.place.at("read.parquet"), storage_options=self.place.fsspec_options
        )

    def _array(self) -> da.Array:
        return self.dataset["t"]["a"].to_dask_array()

    def _plain(self) -> da.Array:
        return da.from_zarr(self.place.store("read-plain.zarr"))

    def contests(self) -> list[Contest]:
        asked: Sequence[tuple[str, Callable[[Any], Any]]] = (
            ("sum of a column", lambda d: d["a"].sum().compute()),
            (
                "mean of a column where another is > 40",
                lambda d: d[d["age"] > 40]["b"].mean().compute(),
            ),
            (
                "mean of a column by a key of 5",
                lambda d: d.groupby("k")["a"].mean().compute().sort_index(),
            ),
            ("number of rows", len),
        )
        found = [
            self._contest(title, READ_PARQUET, ask, self.ours, self.parquet, 1.3)
            for title, ask in asked
        ]
        found.append(
            self._contest(
                "sum of a column, as an array",
                FROM_ZARR,
                summed,
                self._array,
                self._plain,
                2.0 if self.place.far else 1.5,
            )
        )
        return found

    @staticmethod
    def _contest(
        title: str,
        peer: str,
        ask: Callable[[Any], Any],
        ours: Callable[[], Any],
        theirs: Callable[[], Any],
        target: float,
    ) -> Contest:
        def same() -> None:
            np.testing.assert_allclose(ask(ours()), ask(theirs()), rtol=1e-12)

        actions = Action(partial(_asked, ask, ours)), Action(partial(_asked, ask, theirs))
        return Contest(title, peer, *actions, same, target)


def summed(column: da.Array) -> float:
    return float(column.sum().compute())


def _asked(ask: Callable[[Any], Any], made: Callable[[], Any]) -> Any:
    return ask(made())


def lengths(rows: int, step: int) -> list[int]:
    return [min(step, rows - start) for start in range(0, rows, step)]


class Writing:
    """What is written, by each to a place of its own that is new every time."""

    def __init__(self, place: Place, rows: int) -> None:
        self.place, self.rows = place, rows
        self.session = Session()
        self.dataset: Any = None

    def contests(self) -> list[Contest]:
        kinds = (
            ("numbers in blocks of the grid", BLOCK, False, 0.9),
            ("numbers in partitions of any size", int(BLOCK * RAGGED), False, 0.6),
            ("numbers and strings in partitions of any size", int(BLOCK * RAGGED), True, 0.5),
        )
        found = [self._table(*kind) for kind in kinds]
        return [*found, self._array()]

    def _open(self) -> None:
        self.dataset = self.session.open_dataset(
            self.place.at("out.zarr"), "w", "out", storage_options=self.place.options
        )

    def _leave(self) -> None:
        self.session.close_dataset("out")
        self.place.remove("out.zarr")

    def _table(self, title: str, step: int, strings: bool, target: float) -> Contest:
        def ours() -> None:
            self.dataset.write_dask(
                collection(self.rows, step, strings=strings), "t", row_block=BLOCK
            )
            self.dataset.commit()

        def theirs() -> None:
            collection(self.rows, step, strings=strings).to_parquet(
                self.place.at("out.parquet"),
                compression="zstd",
                write_index=False,
                storage_options=self.place.fsspec_options,
            )
            self.place.settle("out.parquet")

        def same() -> None:
            self._open()
            ours()
            theirs()
            parquet = dd.read_parquet(
                self.place.at("out.parquet"), storage_options=self.place.fsspec_options
            )
            assert digest(self.dataset["t"].to_dask()) == digest(parquet)
            self._leave()
            self.place.remove("out.parquet")

        return Contest(
            title,
            TO_PARQUET,
            Action(ours, self._open, self._leave),
            Action(theirs, after=lambda: self.place.remove("out.parquet")),
            same,
            target,
        )

    def _array(self) -> Contest:
        def made() -> da.Array:
            return da.arange(self.rows, chunks=BLOCK).astype("float64") * 0.37

        def opened() -> None:
            self._open()
            self.dataset.create_dataframe("t", row_block=BLOCK)
            self.dataset["t"].create_numeric("id", "int8").data.write(np.zeros(self.rows, "int8"))
            self.dataset.commit()

        def ours() -> None:
            self.dataset["t"].write_dask_array("a", made())
            self.dataset.commit()

        def theirs() -> None:
            da.to_zarr(made(), self.place.store("out-plain.zarr"), zarr_format=3)
            self.place.settle("out-plain.zarr")

        def same() -> None:
            opened()
            ours()
            theirs()
            plain = da.from_zarr(self.place.store("out-plain.zarr"))
            written = self.dataset["t"]["a"].to_dask_array()
            assert bool((plain == written).all().compute())
            self._leave()
            self.place.remove("out-plain.zarr")

        return Contest(
            "an array in blocks of the grid",
            TO_ZARR,
            Action(ours, opened, self._leave),
            Action(theirs, after=lambda: self.place.remove("out-plain.zarr")),
            same,
            0.9,
        )


def digest(frame: dd.DataFrame) -> int:
    """A number of all values of all rows, whatever their partitions."""
    numbers = frame.map_partitions(hashed, meta=pd.Series([], dtype="uint64")).compute()
    return int(numbers.to_numpy().sum(dtype="uint64"))


def hashed(some: pd.DataFrame) -> pd.Series:
    moments = pd.to_datetime(some["seen"], utc=True).dt.as_unit("us")
    found = some.assign(seen=moments).reset_index(drop=True)
    return pd.Series([pd.util.hash_pandas_object(found, index=False).to_numpy().sum()])


def run(arguments: argparse.Namespace) -> None:
    """Compete in each task, and write the report."""
    from distributed import Client, LocalCluster

    head = "task|ours|peer|peer's|peer / ours|target"
    with (
        places(arguments) as (place, note),
        dask.config.set({"distributed.logging.distributed": "error"}),
        LocalCluster(
            n_workers=2, threads_per_worker=1, memory_limit="2GB", dashboard_address=":0"
        ) as made,
        Client(made),
    ):
        scratch = Path(tempfile.gettempdir()) if place.far else Path(place.url)
        where = "a bucket" if place.far else "a disk"
        parts = [f"# A cluster on {arguments.rows:,} rows, on {where}", describe(PACKAGES, scratch)]
        parts += [ABOUT, *([note] if note else [])]
        kinds = (
            ("Reading", Reading),
            ("Writing, the commit included", Writing),
            ("Verbs, beside this process alone on the same processors", Verbs),
        )
        for title, kind in kinds:
            rows: list[list[str]] = []
            parts += [f"## {title}", ""]
            for one in kind(place, arguments.rows).contests():
                rows.append(one.row(arguments.repeats))
                parts[-1] = table(head, rows)
                if arguments.out:
                    arguments.out.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    if not arguments.out:
        print("\n\n".join(parts))


def add_command(commands: Any) -> None:
    """Add `cluster` to the command line."""
    parser = commands.add_parser("cluster", help=__doc__, description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, metavar="N")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="pairs of runs")
    parser.add_argument("--bucket", action="store_true", help="in a bucket, instead of on the disk")
    parser.add_argument(
        "--latency", type=float, default=0.03, metavar="SECONDS", help="of a bucket"
    )
    parser.add_argument("--work-dir", type=Path, help="on the disk to measure; default: temporary")
    parser.add_argument("--out", type=Path, help="write the report here instead of printing it")
    parser.set_defaults(run=run)
