"""Aggregates that need the values of a group together: medians, and numbers of distinct values."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np

from exetera_zarr.engine.group.aggregate_states import Distinct, result_of
from exetera_zarr.engine.group.duckdb_groups import (
    CannotHashError,
    Parts,
    Wanted,
    hashed_groups,
    sorted_blocks,
)
from exetera_zarr.engine.group.span_aggregates import Running
from exetera_zarr.engine.streams.sorted_runs import Runs

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from exetera_zarr.engine.columns.types import IntArray
    from exetera_zarr.engine.streams.source import Source
    from exetera_zarr.engine.streams.workspace import Spill, Workspace

__all__ = ["RANKED", "can_hash", "ranked"]

RANKED = ("median", "nunique")
#: Memory for each row from which hashing is faster than sorting: it holds all values, and where
#: they hardly fit, DuckDB takes many times as long before it gives up (measured).
_HASHED_BYTES = 64


def can_hash(rows: Source, work: Workspace) -> bool:
    """Whether the values of all groups fit the memory."""
    return rows.rows * _HASHED_BYTES <= work.memory


def ranked(rows: Source, keys: int, wanted: Wanted, work: Workspace) -> Spill:
    """The medians or the numbers of distinct values of all groups, in their order."""
    number, name = wanted
    if can_hash(rows, work):
        with contextlib.suppress(CannotHashError):
            found = work.spill(result_of(name, rows.empty[keys + number]).dtype)
            for _, results in hashed_groups(rows, keys, [wanted], work):
                found.append(results[0])
            return found
    blocks = sorted_blocks(rows, keys, [number], work, by_value=True)
    return _medians(blocks, work) if name == "median" else _distinct(blocks, work)


def _distinct(blocks: Iterable[Parts], work: Workspace) -> Spill:
    """How many values each group has, which ascend, NaN last."""
    found, runs = work.spill(np.int64), Runs()
    running = Running([(0, Distinct())])
    for key_columns, (values,) in blocks:
        bounds, continued = runs.feed(key_columns)
        found.append(running.feed(bounds, [values], continued)[0][0])
    for state in running.finish():
        found.append(state[0])
    return found


def _medians(blocks: Iterable[Parts], work: Workspace) -> Spill:
    """The middle of each group's values, which ascend, NaN last."""
    found, runs = work.spill(np.float64), Runs()
    open_group = work.spill(np.float64)

    def close_group() -> None:
        if len(open_group):
            found.append(_middle(open_group))
            open_group.close()

    for key_columns, (column,) in blocks:
        bounds, continued = runs.feed(key_columns)
        values = column.astype(np.float64)
        if continued:
            open_group.append(values[: bounds[1]].copy())
            bounds = bounds[1:]
        if len(bounds) > 1:
            close_group()
            found.append(_middles(values, bounds[:-1]))
            open_group.append(values[bounds[-2] :].copy())
    close_group()
    return found


def _middles(values: npt.NDArray[np.float64], bounds: IntArray) -> npt.NDArray[np.float64]:
    if len(bounds) == 1:
        return np.empty(0, np.float64)
    present = np.add.reduceat(~np.isnan(values[: bounds[-1]]), bounds[:-1], dtype=np.int64)
    low = values[bounds[:-1] + np.maximum(present - 1, 0) // 2]
    high = values[bounds[:-1] + present // 2]
    return _halfway(low, high)


def _middle(values: Spill) -> npt.NDArray[np.float64]:
    """The same of one group, which may be larger than the memory."""
    present = sum(int((~np.isnan(block)).sum()) for block in values.blocks(1 << 20))
    low, high = max(present - 1, 0) // 2, present // 2
    return _halfway(values.read(low, low + 1), values.read(high, high + 1))


def _halfway(
    low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    with np.errstate(all="ignore"):
        # The sum of one number with itself might overflow.
        return np.where(low == high, low, (low + high) / 2)
