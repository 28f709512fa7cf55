"""The report on columns: one line for each comparison, laid out as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.stores import Column, ExeteraHDF5, PolarsParquet
from benchmarks.timing import Comparison

RANDOM_FLOATS = "random float64"

# Least acceptable "times as fast as". Random floats do not compress: Parquet stores them as they
# are, and they are shown beside it without a target.
TARGETS = {
    (PolarsParquet.name, "read"): 1.0,
    (PolarsParquet.name, "write"): 2.0,
    (ExeteraHDF5.name, "read"): 5.0,
    (ExeteraHDF5.name, "write"): 5.0,
}

EXPLANATION = """\
Medians, with the interquartile range in brackets. *peer / ours* is how many times longer the peer
took within a pair of runs: above 1, ours is faster. GB/s is the size in memory over our median.
Each writes and reads the form that it works with itself: numpy arrays and Arrow strings (ours),
numpy arrays (zarr, h5py), its own frame (Polars). Opening and closing count. Each file is fresh,
reads come from a warm cache, and values were compared before anything was timed.

Durability: ours waits by default until the disk has the data (*synced*). The peers do not; they are
measured as they are and with an fsync of each of their files, ours also with `durability="none"`.
Targets are set for each column and peer where the last column shows one."""


@dataclass(frozen=True)
class Row:
    """One line: a column written or read by ours and by a peer."""

    column: Column
    operation: str
    peer: str
    durability: str
    times: Comparison

    @property
    def target(self) -> float | None:
        if self.peer == PolarsParquet.name and self.column.name == RANDOM_FLOATS:
            return None
        return TARGETS.get((self.peer, self.operation))

    @property
    def verdict(self) -> str:
        if self.target is None:
            return "-"
        met = self.times.ratio.median >= self.target
        return f">= {self.target:g}: {'met' if met else '**missed**'}"

    def cells(self) -> list[str]:
        ours, peer, ratio = self.times.ours, self.times.peer, self.times.ratio
        return [
            self.column.name,
            self.peer,
            *([self.durability] if self.durability else []),
            ours.show(" s"),
            f"{self.column.nbytes / ours.median / 1e9:.2f}",
            peer.show(" s"),
            ratio.show(),
            self.verdict,
        ]


@dataclass(frozen=True)
class Size:
    """Bytes that one column takes in ours and in a peer's file."""

    column: Column
    peer: str
    ours: int
    theirs: int

    def cells(self) -> list[str]:
        return [self.column.name, self.peer, megabytes(self.ours), megabytes(self.theirs)]


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def table(head: str, rows: Sequence[Sequence[str]]) -> str:
    """Lay out a Markdown table; the names of its columns are separated by `|`."""
    names = head.split("|")
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def columns_report(
    about: str, columns: Sequence[Column], rows: Sequence[Row], sizes: Sequence[Size]
) -> str:
    """Put the whole report together."""
    described = [[c.name, f"{len(c.values):,}", megabytes(c.nbytes), c.about] for c in columns]
    reads = [row.cells() for row in rows if row.operation == "read"]
    writes = [row.cells() for row in rows if row.operation == "write"]
    parts = [
        "# Column write and read",
        about,
        EXPLANATION,
        table("column|rows|in memory|what", described),
        "## Read",
        table("column|peer|ours|GB/s|peer|peer / ours|target", reads),
        "## Write",
        table("column|peer|durability|ours|GB/s|peer|peer / ours|target", writes),
        "## Stored size",
        table("column|peer|ours|peer's", [size.cells() for size in sizes]),
    ]
    return "\n\n".join(parts) + "\n"
