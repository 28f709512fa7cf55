"""Rows to the partition of their key, by Dask's own shuffle: columns as pandas carries them.

Where a row goes is decided here, as a number of a partition; Dask's P2P shuffle brings it there.
Which rows it brings in which order does not matter, since the number of the row is the last key of
whatever a partition does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa

from exetera_zarr.dask.running import taken_from
from exetera_zarr.engine import is_strings
from exetera_zarr.engine.columns import selection, strings
from exetera_zarr.engine.sort.sorting import sort_index
from exetera_zarr.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exetera_zarr.cluster.running import Run
    from exetera_zarr.engine import Column
    from exetera_zarr.engine.columns.types import IntArray

__all__ = ["Cuts", "as_columns", "as_frame", "cuts_of", "shuffled"]

_P = "p"
_BINARY = pd.ArrowDtype(pa.large_binary())


def as_frame(columns: Sequence[Column], to: IntArray) -> pd.DataFrame:
    """Columns for the shuffle, beside the partition of each row; strings stay bytes."""
    made: dict[str, Any] = {_P: np.asarray(to, np.int64)}
    for number, column in enumerate(columns):
        if not is_strings(column) and column.dtype.kind == "S":
            column = strings.from_fixed(column)  # noqa: PLW2901 - of which Dask's shuffle knows nothing
        carried: Any = column
        made[f"c{number}"] = pd.array(carried, _BINARY) if is_strings(column) else carried
    return pd.DataFrame(made, copy=False)


def as_columns(frame: pd.DataFrame, empty: Sequence[Column]) -> list[Column]:
    """The columns again, of the types of those without rows."""
    found: list[Column] = []
    for number, like in enumerate(empty):
        given = frame[f"c{number}"]
        if is_strings(like) or like.dtype.kind == "S":
            column = strings.as_strings(pa.chunked_array(pa.array(given.array)))
            fixed = not is_strings(like)
            found.append(np.array(column.to_pylist(), like.dtype) if fixed else column)
        else:
            found.append(given.to_numpy(like.dtype))
    return found


@dataclass(frozen=True)
class Cuts:
    """
    Where partitions begin: rows of keys, each the first of its partition; and the directions.

    Parameters
    ----------
    keys
        Columns of those rows, in their order.
    ascending
        The direction of each.
    """

    keys: tuple[Column, ...]
    ascending: tuple[bool, ...]

    @property
    def partitions(self) -> int:
        """How many partitions there are."""
        return len(self.keys[0]) + 1

    def partition_of(self, keys: Sequence[Column]) -> IntArray:
        """The partition of each of some rows."""
        cuts = self.partitions - 1
        both = [selection.concat([a, b]) for a, b in zip(self.keys, keys, strict=True)]
        order = sort_index(both, list(self.ascending))  # stable: a row equal to a cut is after it
        found = np.empty(len(order), np.int64)
        found[order] = np.cumsum(order < cuts)
        return found[cuts:]


def cuts_of(samples: Sequence[Sequence[Column]], ascending: Sequence[bool], count: int) -> Cuts:
    """
    Cuts for partitions of about as many rows.

    Parameters
    ----------
    samples
        Some rows of the keys, of several tasks.
    ascending
        The direction of each key.
    count
        How many partitions there are to be, at most.
    """
    columns = [selection.concat(parts) for parts in zip(*samples, strict=True)]
    order = sort_index(columns, list(ascending))
    at = np.unique(np.linspace(0, len(order), count + 1).astype(np.int64)[1:-1])
    at = at[at < len(order)]
    keys = tuple(selection.take(column, order[at]) for column in columns)
    return Cuts(keys, tuple(ascending))


class Reads(Protocol):
    """What reads rows for a shuffle; in tasks, so it has an address, and nothing open."""

    def __call__(self, rows: tuple[int, int], /) -> pd.DataFrame: ...


def shuffled(
    run: Run,
    name: str,
    reads: Reads,
    ranges: Sequence[tuple[int, int]],
    meta: pd.DataFrame,
    partitions: int,
) -> dd.DataFrame:
    """
    Rows in the partitions that `as_frame` has said, which is the order of nothing else.

    Parameters
    ----------
    run, name
        The verb, and what is shuffled: names of this shuffle alone.
    reads, ranges
        What makes a partition of each of these; not none.
    meta
        The types.
    partitions
        How many.
    """
    label = f"{run.verb}-{name}-{run.job.id}"
    frame = dd.from_map(reads, list(ranges), meta=meta, label=label, enforce_metadata=False)
    return frame.set_index(
        _P, divisions=list(range(partitions + 1)), shuffle_method="p2p", npartitions=None
    )


def each(
    run: Run, name: str, frames: Sequence[dd.DataFrame], does: Callable[..., Any]
) -> list[Any]:
    """What a function gives of each partition, or of those of several frames together, in order."""
    first, *others = frames
    found = first.map_partitions(
        does,
        *others,
        meta=pd.Series([], dtype=object),
        enforce_metadata=False,
        align_dataframes=False,
        token=f"{run.verb}-{name}-{run.job.id}",
    )
    return taken_from(run.client, found)


def check_rows(what: str, found: int, expected: int) -> None:
    """Raise StorageError unless a shuffle has brought all rows, and each once."""
    if found != expected:
        raise StorageError(
            f"the shuffle of {what} brought {found:,} of {expected:,} rows: nothing was written; "
            "please report it, with the version of Dask"
        )
