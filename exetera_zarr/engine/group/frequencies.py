"""How many distinct values there are, and which is there most often."""

from __future__ import annotations

from contextlib import closing
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from exetera_zarr.engine.columns import strings
from exetera_zarr.engine.duckdb.feed import feeding
from exetera_zarr.engine.sort.long_strings import Ranks, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exetera_zarr.engine.streams.source import Source
    from exetera_zarr.engine.streams.workspace import Workspace

__all__ = ["Mode", "most_frequent"]


class Mode(NamedTuple):
    """The most frequent string, how often it is there, and how many distinct ones there are."""

    value: bytes
    rows: int
    distinct: int


def most_frequent(source: Source, work: Workspace) -> Mode | None:
    """
    The string that is there most often; of several the least by its bytes.

    Parameters
    ----------
    source
        A column of strings.
    work
        Where to do it: the distinct strings need not fit its memory.

    Returns
    -------
    Mode
        None if there are no rows.
    """
    _, ranks = shortened([source], work, with_text=True)
    if ranks:
        return _of_ranks(ranks[0])
    with closing(source.blocks()) as columns:
        return _of_blocks((block for (block,) in columns), work)


def _of_ranks(ranks: Ranks) -> Mode:
    counts = np.bincount(ranks.of_rows)
    top = np.argmax(counts)
    return Mode(ranks.spelled(np.array([top]))[0].as_py(), int(counts[top]), len(counts))


def _of_blocks(blocks: Iterator[pa.LargeBinaryArray], work: Workspace) -> Mode | None:
    leading = list(islice(blocks, 2))
    if len(leading) < 2:
        return _of_one_block(leading[0]) if leading and len(leading[0]) else None
    schema = pa.schema([("value", pa.large_binary())])
    with feeding(work) as feeder:
        connection = feeder.connection
        feeder.register("rows", schema, ([block] for block in chain(leading, blocks)))
        # One operator that may have to spill for each statement.
        connection.execute(
            "CREATE TEMP TABLE counts AS SELECT value, count(*) AS n FROM rows GROUP BY value"
        )
        found = connection.execute(
            "SELECT value, n, (SELECT count(*) FROM counts) FROM counts "
            "ORDER BY n DESC, value LIMIT 1"
        ).fetchone()
    return None if found is None else Mode(*found)


def _of_one_block(block: pa.LargeBinaryArray) -> Mode:
    """Without DuckDB, which takes longer to start than a block takes to count."""
    distinct = strings.unique(block, return_counts=True)
    assert distinct.counts is not None
    top = int(np.argmax(distinct.counts))
    return Mode(distinct.values[top].as_py(), int(distinct.counts[top]), len(distinct.values))
