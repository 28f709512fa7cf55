"""Sort and join of keys that are in no order, within a given memory.

Keys that fit one 64-bit word together with their row number, as most do, are sorted as words. Other
keys, strings among them, go to DuckDB through an Arrow reader that is filled while it reads; it
works within a memory limit, and spills to disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from exetera_zarr.engine import gather, keys, pairs, sortkeys
from exetera_zarr.engine.feeding import BATCH, feeding, schema_of, words_of
from exetera_zarr.engine.joining import join_rows
from exetera_zarr.engine.source import Source
from exetera_zarr.engine.wordsort import Words, bits_of, mask_of
from exetera_zarr.engine.workspace import DEFAULT_MEMORY, Workspace

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from exetera_zarr.engine.columns import Column, IntArray
    from exetera_zarr.engine.pairs import Pairs
    from exetera_zarr.engine.wordsort import WordArray
    from exetera_zarr.engine.workspace import Spill

__all__ = ["cross_pairs", "join_rows", "sort_index", "sort_rows"]

#: Up to so many rows numpy is faster than DuckDB (measured, 2 cores), where one word is too small.
WORDS_ROWS = 250_000
_SAMPLE = 1 << 12


def sort_rows(source: Source, ascending: Sequence[bool] | bool, work: Workspace) -> Spill | None:
    """The row numbers in the order of the keys; a stable sort.

    Parameters
    ----------
    source
        The keys, the most significant one first. Strings order by bytes; NaN comes last in either
        direction, and -0.0 equals 0.0.
    ascending
        The direction of all keys, or of each.
    work
        The memory, and where the numbers are.

    Returns
    -------
    Spill of int64 or None
        None if the rows are in that order already.

    Raises
    ------
    ValueError
        If there are no columns, or `ascending` has not one entry for each.
    MemoryError
        If the memory is too small even with spilling; the message names it.
    """
    directions = _directions(ascending, len(source.empty))
    if source.rows < 2 or _in_order(source, directions):
        return None
    plan = sortkeys.measure([source], directions)
    rows = work.spill(np.int64)
    mask = mask_of(bits_of(source.rows))
    with closing(_sorted_words(source, plan, directions, work)) as blocks:
        for words in blocks:
            rows.append((words & mask).view(np.int64))
    return rows


def _directions(ascending: Sequence[bool] | bool, count: int) -> list[bool]:
    if count == 0:
        raise ValueError("at least one column is needed")
    if isinstance(ascending, bool | np.bool_):
        return [bool(ascending)] * count
    if isinstance(ascending, str) or not isinstance(ascending, Iterable):
        raise ValueError(f"ascending is True, False, or a list of them, not {ascending!r}")
    directions = [bool(one) for one in ascending]
    if len(directions) != count:
        raise ValueError(f"{len(directions)} directions for {count} sort keys")
    return directions


def _in_order(source: Source, directions: Sequence[bool]) -> bool:
    """Whether there is nothing to sort; a look at the first rows mostly says that there is."""
    last: list[Column] = []
    with closing(source.blocks()) as blocks:
        for block in blocks:
            for columns in ([col[:_SAMPLE] for col in block], block):
                if keys.first_disorder(columns, directions) is not None:
                    return False
            if last:
                border = [gather.concat([a, b[:1]]) for a, b in zip(last, block, strict=True)]
                if keys.first_disorder(border, directions) is not None:
                    return False
            # take() copies the row, a slice would keep the whole block alive.
            last = [gather.take(col, [len(col) - 1]) for col in block]
    return True


def _sorted_words(
    source: Source, plan: sortkeys.Keys, directions: Sequence[bool], work: Workspace
) -> Generator[WordArray]:
    """Words in the order of the rows, whose low bits are the row numbers."""
    bits = None if plan.bits is None else plan.bits + bits_of(source.rows)
    if bits is not None and bits <= sortkeys.WORD_BITS:
        store = Words(work, bits)
        try:
            for (words,) in _numbered(source, plan):
                store.append(words)
            yield from store.sorted()
        finally:
            store.close()
    elif plan.bits is not None and source.rows <= WORDS_ROWS:
        blocks = list(_numbered(source, plan))
        parts = [gather.concat(blocks_of) for blocks_of in zip(*blocks, strict=True)]
        yield parts[-1].take(np.lexsort(parts[::-1]))
    else:
        yield from _duckdb_sort(source, plan, directions, work)


def _numbered(source: Source, plan: sortkeys.Keys) -> Generator[list[Column]]:
    """The keys as words and strings, the row number last."""
    bits = bits_of(source.rows)
    start = 0
    with closing(source.blocks()) as blocks:
        for block in blocks:
            stop = start + len(block[0])
            yield plan.read(block, np.arange(start, stop, dtype=np.uint64), bits)
            start = stop


def _duckdb_sort(
    source: Source, plan: sortkeys.Keys, directions: Sequence[bool], work: Workspace
) -> Iterator[WordArray]:
    empty = plan.read(source.empty, np.zeros(0, np.uint64), bits_of(source.rows))
    with feeding(work) as feeder:
        names = [f"k{i}" for i in range(len(empty))]
        feeder.register("keys", schema_of(names, empty), _numbered(source, plan))
        texts = iter([up for key, up in zip(plan.keys, directions, strict=True) if key.raw])
        order = [
            f"{name} DESC" if isinstance(part, pa.Array) and not next(texts) else name
            for name, part in zip(names, empty, strict=True)
        ]
        query = f"SELECT {names[-1]} FROM keys ORDER BY {', '.join(order)}"  # noqa: S608 - all ours
        for batch in feeder.connection.sql(query).to_arrow_reader(BATCH):
            yield words_of(batch)[0]


def cross_pairs(n_left: int, n_right: int) -> Generator[Pairs]:
    """Pair every left row with every right row, ordered by (left row, right row), in chunks."""
    if n_left and n_right:
        start = np.zeros(1, np.int64)
        yield from pairs.expand(start, start + n_left, start, start + n_right)


# -- columns in memory -----------------------------------------------------------------------------


def sort_index(
    columns: Sequence[Column],
    ascending: Sequence[bool] | bool = True,
    *,
    memory_limit: int = DEFAULT_MEMORY,
    spill_dir: str | None = None,
) -> IntArray:
    """`sort_rows` of columns that are in memory; int64 (rows,)."""
    source = Source.of(columns)
    with Workspace(memory_limit, spill_dir) as work:
        rows = sort_rows(source, ascending, work)
        return np.arange(source.rows) if rows is None else rows.read(0, source.rows)
