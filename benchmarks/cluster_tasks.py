"""What the benchmarks of clusters share: the table, where it is stored, and contests."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd

from benchmarks.files import make_durable, remove
from benchmarks.timing import Action, Comparison, compare

BLOCK = 1 << 20
FLOATS = ("a", "b", "c", "d", "e")
TOWNS = [f"town number {number}" for number in range(100)]
FAR = """\
The bucket is on a SeaweedFS on this machine, behind a proxy of ours that holds every request back
for {latency:g} ms, each for itself."""


# -- what is stored


def part(first: int, last: int, *, strings: bool = False) -> pd.DataFrame:
    """Rows of the table, which are a function of their numbers."""
    numbers = np.arange(first, last)
    made: dict[str, Any] = {
        "id": numbers,
        "k": (numbers * 2_654_435_761 >> 7) % 5,
        "age": ((numbers * 40_503 >> 3) % 90).astype("int8"),
    }
    for place, name in enumerate(FLOATS):
        # Of the bits of the number, so that any cut of the rows gives the same.
        mixed = (numbers.astype("uint64") + np.uint64(place << 40)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
        made[name] = mixed.astype("float64") / 2.0**64
    made["flag"] = numbers % 3 == 0
    made["seen"] = (numbers * 1_000_000).astype("datetime64[us]")
    if strings:
        made["town"] = pd.array(np.asarray(TOWNS)[numbers * 31 % len(TOWNS)], "string[pyarrow]")
    return pd.DataFrame(made)


def collection(rows: int, step: int, *, strings: bool = False) -> dd.DataFrame:
    """The table, made by the workers in partitions of some rows."""
    starts = range(0, rows, step)
    return dd.from_map(
        part,
        list(starts),
        [min(start + step, rows) for start in starts],
        strings=strings,
        meta=part(0, 0, strings=strings),
    )


# -- where


@dataclass(frozen=True)
class Place:
    """
    A folder or a place in a bucket.

    Parameters
    ----------
    url
        Of it.
    options
        By which it is reached.
    """

    url: str
    options: dict[str, Any] = field(default_factory=dict)

    def at(self, name: str) -> str:
        return f"{self.url}/{name}"

    @property
    def far(self) -> bool:
        return "://" in self.url

    @property
    def fsspec_options(self) -> dict[str, Any]:
        """As fsspec takes them."""
        if not self.far:
            return {}
        given = dict(self.options)
        return {"client_kwargs": {"endpoint_url": given.pop("endpoint_url")}, **given}

    def store(self, name: str) -> Any:
        """For zarr."""
        from zarr.storage import FsspecStore

        url = self.at(name)
        return FsspecStore.from_url(url, storage_options=self.fsspec_options) if self.far else url

    def settle(self, name: str) -> None:
        """Have what a peer wrote on the disk; a bucket has it."""
        if not self.far:
            make_durable(Path(self.at(name)))

    def remove(self, name: str) -> None:
        if not self.far:
            remove(Path(self.at(name)))
            return
        import fsspec

        fs, path = fsspec.core.url_to_fs(self.at(name), **self.fsspec_options)
        if fs.exists(path):
            fs.rm(path, recursive=True)


@contextmanager
def places(arguments: argparse.Namespace) -> Iterator[tuple[Place, str]]:
    """Where everything is stored, and what is to be said of it."""
    with tempfile.TemporaryDirectory(dir=arguments.work_dir, prefix="benchmark-") as scratch:
        if not arguments.bucket:
            yield Place(scratch), ""
            return
        from support.proxy import fault_proxy
        from support.rules import latency
        from support.servers import seaweedfs_server

        with seaweedfs_server() as server, fault_proxy(server.endpoint) as proxy:
            # Workers find credentials where any program does.
            os.environ["AWS_ACCESS_KEY_ID"] = server.credentials["key"]
            os.environ["AWS_SECRET_ACCESS_KEY"] = server.credentials["secret"]
            bucket = server.make_bucket("benchmark")
            options = server.at(proxy.endpoint).storage_options
            proxy.rule = latency(arguments.latency)
            yield Place(bucket, options), FAR.format(latency=arguments.latency * 1000)


# -- contests


@dataclass(frozen=True)
class Contest:
    """
    Ours and a peer at one task.

    Parameters
    ----------
    title, peer
        Of it.
    ours, theirs
        What is timed.
    same
        Raises AssertionError where what one gave is not what the other did.
    target
        Least times as fast as the peer.
    """

    title: str
    peer: str
    ours: Action
    theirs: Action
    same: Callable[[], None]
    target: float

    def row(self, pairs: int) -> list[str]:
        """Compare the values, then the times."""
        self.same()
        times = compare(self.ours, self.theirs, pairs)
        return [self.title, times.ours.show(" s"), self.peer, *self._rest(times)]

    def _rest(self, times: Comparison) -> list[str]:
        met = "met" if times.ratio.median >= self.target else "**missed**"
        return [times.peer.show(" s"), times.ratio.show(), f">= {self.target:g}: {met}"]
