"""Sort and join of keys that are in no order, within a given memory.

Keys that fit one 64-bit word together with their row number, as most do, are sorted as words. Other
keys, strings among them, go to DuckDB through an Arrow reader that is filled while it reads; it
works within a memory limit, and spills to disk.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from exetera_zarr.engine.columns import comparable_keys, selection, strings
from exetera_zarr.engine.duckdb.codec import numbers_of
from exetera_zarr.engine.duckdb.feed import BATCH, feeding, schema_of
from exetera_zarr.engine.sort import sort_keys
from exetera_zarr.engine.sort.long_strings import shortened
from exetera_zarr.engine.streams.radix_sort import Words, bits_of, mask_of
from exetera_zarr.engine.streams.sorted_runs import Runs
from exetera_zarr.engine.streams.source import Source
from exetera_zarr.engine.streams.workspace import DEFAULT_MEMORY, Workspace
from exetera_zarr.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from exetera_zarr.engine.columns.types import Column, IntArray
    from exetera_zarr.engine.streams.workspace import Spill

__all__ = ["ranked_rows", "sort_index", "sort_rows"]

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
    directions = directions_of(ascending, len(source.empty))
    if source.rows < 2 or _in_order(source, directions):
        return None
    (source,), _ = shortened([source], work)
    plan = sort_keys.measure([source], directions)
    rows = work.spill(np.int64)
    mask = mask_of(bits_of(source.rows))
    with closing(_sorted([source], plan, directions, work, rows_only=True)) as blocks:
        for *_, words in blocks:
            rows.append((words & mask).view(np.int64))
    return rows


def ranked_rows(sources: Sequence[Source], work: Workspace) -> Generator[tuple[IntArray, IntArray]]:
    """All rows in the order of the keys, some at a time, with the ranks of their keys.

    Parameters
    ----------
    sources
        The keys, with columns of the same types; their rows are numbered one source after another.
    work
        As of `sort_rows`.

    Yields
    ------
    rows, ranks : int64 arrays
        Row numbers, those of one key ascending, and how many distinct keys are less than theirs.
    """
    directions = [True] * len(sources[0].empty)
    sources, _ = shortened(sources, work)
    plan = sort_keys.measure(sources, directions)
    bits, runs, rank = bits_of(_rows(sources)), Runs(), -1
    with closing(_sorted(sources, plan, directions, work, rows_only=False)) as blocks:
        for *columns, words in blocks:
            bounds, continued = runs.feed([*columns, words >> np.uint64(bits)])
            rank += not continued
            ranks = np.repeat(np.arange(rank, rank + len(bounds) - 1), np.diff(bounds))
            yield (words & mask_of(bits)).view(np.int64), ranks
            rank += len(bounds) - 2


def _rows(sources: Sequence[Source]) -> int:
    return sum(source.rows for source in sources)


def directions_of(ascending: Sequence[bool] | bool, count: int) -> list[bool]:
    """
    The direction of each of some keys.

    Parameters
    ----------
    ascending
        That of all, or of each; 1 and 0 are True and False.
    count
        How many keys there are.

    Raises
    ------
    ValueError
        There are no keys, or `ascending` is something else, or has not one entry for each.
    """
    if count == 0:
        raise ArgumentError("at least one column is needed")
    given: Any = ascending
    if isinstance(given, np.ndarray):
        given = given.tolist()
    if not isinstance(given, (list, tuple)):
        given = [given] * count
    if any(not isinstance(one, (bool, np.bool_, int)) or one not in (0, 1) for one in given):
        raise ArgumentError(f"ascending is True, False, or a list of them, not {ascending!r}")
    if len(given) != count:
        raise ArgumentError(f"{len(given)} directions for {count} sort keys")
    return [bool(one) for one in given]


def _in_order(source: Source, directions: Sequence[bool]) -> bool:
    """Whether there is nothing to sort; a look at the first rows mostly says that there is."""
    last: list[Column] = []
    with closing(source.blocks()) as blocks:
        for block in blocks:
            for columns in ([col[:_SAMPLE] for col in block], block):
                if comparable_keys.first_disorder(columns, directions) is not None:
                    return False
            if last:
                border = [selection.concat([a, b[:1]]) for a, b in zip(last, block, strict=True)]
                if comparable_keys.first_disorder(border, directions) is not None:
                    return False
            # take() copies the row, a slice would keep the whole block alive.
            last = [selection.take(col, [len(col) - 1]) for col in block]
    return True


def _sorted(
    sources: Sequence[Source],
    plan: sort_keys.Keys,
    directions: Sequence[bool],
    work: Workspace,
    *,
    rows_only: bool,
) -> Generator[Sequence[Any]]:
    """The keys as `_numbered` gives them, in order; or of them the last, with the row numbers."""
    bits = None if plan.bits is None else plan.bits + bits_of(_rows(sources))
    if bits is not None and bits <= sort_keys.WORD_BITS:
        store = Words(work, bits)
        try:
            for (words,) in _numbered(sources, plan):
                store.append(words)
            for words in store.sorted():
                yield (words,)
        finally:
            store.close()
    elif plan.bits is not None and _rows(sources) <= WORDS_ROWS:
        blocks = list(_numbered(sources, plan))
        parts = [selection.concat(blocks_of) for blocks_of in zip(*blocks, strict=True)]
        order = np.lexsort(parts[::-1])
        yield [part.take(order) for part in (parts[-1:] if rows_only else parts)]
    else:
        yield from _duckdb_sort(sources, plan, directions, work, rows_only=rows_only)


def _numbered(sources: Sequence[Source], plan: sort_keys.Keys) -> Generator[list[Column]]:
    """The keys as words and strings, the row number last."""
    bits = bits_of(_rows(sources))
    start = 0
    for source in sources:
        with closing(source.blocks()) as blocks:
            for block in blocks:
                stop = start + len(block[0])
                yield plan.read(block, np.arange(start, stop, dtype=np.uint64), bits)
                start = stop


def _duckdb_sort(
    sources: Sequence[Source],
    plan: sort_keys.Keys,
    directions: Sequence[bool],
    work: Workspace,
    *,
    rows_only: bool,
) -> Iterator[list[Column]]:
    empty = plan.read(sources[0].empty, np.zeros(0, np.uint64), bits_of(_rows(sources)))
    with feeding(work) as feeder:
        names = [f"k{i}" for i in range(len(empty))]
        feeder.register("keys", schema_of(names, empty), _numbered(sources, plan))
        texts = iter([up for key, up in zip(plan.keys, directions, strict=True) if key.raw])
        order = [
            f"{name} DESC" if isinstance(part, pa.Array) and not next(texts) else name
            for name, part in zip(names, empty, strict=True)
        ]
        given = names[-1:] if rows_only else names
        query = f"SELECT {', '.join(given)} FROM keys ORDER BY {', '.join(order)}"  # noqa: S608 - all ours
        for batch in feeder.connection.sql(query).to_arrow_reader(BATCH):
            yield [
                strings.as_strings(column)
                if isinstance(part, pa.Array)
                else numbers_of(column, np.uint64)
                for column, part in zip(batch.columns, empty[-len(given) :], strict=True)
            ]


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
