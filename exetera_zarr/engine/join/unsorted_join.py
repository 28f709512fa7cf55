"""The join of keys that are in no order, within a given memory.

Pairs are found in any order, as words of both row numbers, and sorted then: these are small, and
their order is part of the answer. They are found in words of key and row number, or, where these do
not fit a word, by DuckDB.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import numpy as np

from exetera_zarr.engine.columns import comparable_keys, selection
from exetera_zarr.engine.join.duckdb_join import HashJoin
from exetera_zarr.engine.join.matches import Matches
from exetera_zarr.engine.join.merge_join import aligned
from exetera_zarr.engine.join.radix_join import WordJoin
from exetera_zarr.engine.join.row_pairs import How, Pairs, check_how
from exetera_zarr.engine.sort import sort_keys
from exetera_zarr.engine.sort.long_strings import shortened
from exetera_zarr.engine.streams.radix_sort import bits_of
from exetera_zarr.engine.streams.source import Source
from exetera_zarr.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Generator

    from exetera_zarr.engine.streams.workspace import Workspace

__all__ = ["join_rows"]

#: Up to so many rows of both sides together, keys of several words are numbered in memory.
SMALL_ROWS = 250_000


def join_rows(left: Source, right: Source, how: How, work: Workspace) -> Generator[Pairs]:
    """Pair the rows of two tables by keys that are in no order.

    Parameters
    ----------
    left, right
        The key columns, as many on one side as on the other. NaN equals NaN, -0.0 equals 0.0.
    how : {'left', 'right', 'inner', 'outer'}
    work
        The memory, and the folder for what does not fit.

    Yields
    ------
    left_rows, right_rows : int64 arrays
        Row numbers, -1 for no partner, at most some `row_pairs.CHUNK` at once. In the order of
        `merge_join.ordered_pairs`.

    Raises
    ------
    ValueError
        If `how` is none of these, there are no keys, their numbers do not fit, or the tables have
        more rows than the numbers of a pair can name in 64 bits (two times 2**32).
    TypeError
        If a key is a number on one side and a string on the other.
    MemoryError
        If the memory is too small even with spilling; the message names it.
    """
    check_how(how)
    if how == "right":
        with closing(join_rows(right, left, "left", work)) as chunks:
            for rows, others in chunks:
                yield others, rows
        return
    if bits_of(left.rows) + max(right.rows.bit_length(), bits_of(left.rows)) > 64:
        raise ArgumentError(f"{left.rows} rows are too many to be merged with {right.rows} rows")
    (left, right), _ = shortened(aligned(left, right), work)
    plan = sort_keys.measure([left, right], [True] * len(left.empty))
    small = plan.bits is not None and left.rows + right.rows <= SMALL_ROWS
    if small and not _fits(plan, left, right):
        left, right = _coded(left, right, plan)
        plan = sort_keys.measure([left, right], [True])
    with ExitStack() as stack:
        found = Matches(left.rows, right.rows, work, keep=how != "inner", alone=how == "outer")
        stack.callback(found.close)
        way = WordJoin if _fits(plan, left, right) else HashJoin
        join: WordJoin | HashJoin = way(left, right, plan, work)
        stack.callback(join.close)
        order = None if how == "left" else join.regroup()
        join.find(found)
        join.close()
        yield from found.read(order)


def _fits(plan: sort_keys.Keys, left: Source, right: Source) -> bool:
    """Whether a key and its row number fit one word."""
    row_bits = max(bits_of(left.rows), bits_of(right.rows))
    return plan.bits is not None and plan.bits + row_bits <= sort_keys.WORD_BITS


def _coded(left: Source, right: Source, plan: sort_keys.Keys) -> tuple[Source, Source]:
    """Small tables whose keys are numbers below that of their rows."""
    both = [
        [selection.concat(parts) for parts in zip(*map(plan.read, source.blocks()), strict=True)]
        or plan.read(source.empty)
        for source in (left, right)
    ]
    codes = np.concatenate(comparable_keys.joint_codes(*both))
    codes = np.unique(codes, return_inverse=True)[1]
    return (
        Source.of([codes[: left.rows]], left.step),
        Source.of([codes[left.rows :]], right.step),
    )
