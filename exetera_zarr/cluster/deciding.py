"""Whether a verb runs on the cluster of its session: asked once a verb, and here alone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from exetera_zarr.cluster.running import Run
from exetera_zarr.dask.reading import place_of
from exetera_zarr.errors import ArgumentError, DataError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["LEAST_BLOCKS", "run_for"]

LEAST_BLOCKS = 4
"""Row blocks of a table from which a cluster pays: tasks cost milliseconds."""
_MEMORY = "memory://"
_log = logging.getLogger("exetera_zarr.cluster")
_said: set[tuple[str, str]] = set()


def run_for(
    verb: str, frames: Sequence[DataFrame], dest: DataFrame | None, *, rows: bool
) -> Run | None:
    """
    What runs a verb on the cluster; None where it runs in this process, which is logged once.

    Parameters
    ----------
    verb
        Its name.
    frames
        The tables that it reads.
    dest
        The table that the result goes to.
    rows
        Whether workers write to that; else what they find comes here.
    """
    why, where = _why_here(frames), None
    if why is None:
        for table in [dest] if rows else [dest, *frames]:
            why = _why_not_beside(table)
            if why is None:
                where = table
                break
    if where is not None:
        return Run(verb, frames, where)
    if (verb, why or "") not in _said:
        _said.add((verb, why or ""))
        _log.info("%s runs in this process, and not on the cluster: %s", verb, why)
    return None


def _why_here(frames: Sequence[DataFrame]) -> str | None:
    """Why workers cannot read some tables, or had better not; None where they do."""
    try:
        for frame in frames:
            if frame.is_view:
                return "a view is rows that were chosen here: make a table of it, and commit it"
            if place_of(frame).address.url.startswith(_MEMORY):
                return "memory:// is in this process alone"
        if all(_blocks(frame) < LEAST_BLOCKS for frame in frames):
            return f"tables below {LEAST_BLOCKS} row blocks take less time here"
    except (ArgumentError, DataError, UnsupportedError) as error:
        return str(error)
    return None


def _why_not_beside(table: Any) -> str | None:
    """Why workers cannot write where a table is; None where they can."""
    storage = getattr(getattr(table, "group", None), "storage", None)
    if storage is None or getattr(table, "is_view", False):
        return "the result is in no dataset: give a table of one, as ddf="
    try:
        storage.workshop("0" * 16)
    except UnsupportedError as error:
        return str(error)
    try:
        if storage.address().url.startswith(_MEMORY):
            return "memory:// is in this process alone"
    except UnsupportedError:
        return "the result is in no dataset: give a table of one, as ddf="
    return None if storage.writable else "no dataset is open for writing, where workers work"


def _blocks(frame: DataFrame) -> int:
    return -(-frame.length() // frame.group.row_block)
