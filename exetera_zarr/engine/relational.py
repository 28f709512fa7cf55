"""Sort and join of keys that are in no order: by numpy where they fit few bits, else by DuckDB.

DuckDB gets the keys as 64-bit words and BLOBs through an Arrow reader that is filled while it
reads; it sorts within a memory limit and spills to disk. A join is two sorts and the merge of
`ordered`: so both give the same rows in the same order.
"""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from exetera_zarr.engine import gather, keys, sortkeys, strings
from exetera_zarr.engine.columns import Column, IntArray, common_length
from exetera_zarr.engine.ordered import collapse_by, match_distinct
from exetera_zarr.engine.pairs import Grouped, How, check_how, pair_rows
from exetera_zarr.engine.spans import find_spans

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["cross_rows", "join", "sort_index"]

#: Up to so many rows numpy is faster than DuckDB (measured, 2 cores): if the keys and the row
#: number fit one word; if they take more words; if there are strings among them to be numbered.
ONE_WORD_ROWS = 4_000_000
WORDS_ROWS = 250_000
STRINGS_ROWS = 60_000
#: Bytes a row that the sort of one word holds at its peak.
_PACKED_BYTES = 24
_BATCH = 1 << 17
_SAMPLE = 1 << 14
_THREAD_BYTES = 128 << 20

Part: TypeAlias = "tuple[pa.LargeBinaryArray, bool] | sortkeys.Words"


def sort_index(
    columns: Sequence[Column],
    ascending: Sequence[bool] | bool = True,
    *,
    memory_limit: int | None = None,
    spill_dir: str | None = None,
) -> IntArray:
    """The row numbers in the order of the keys; a stable sort.

    Parameters
    ----------
    columns : sequence of columns, all of one length
        The most significant key first. Strings order by bytes; NaN comes last in either direction,
        and -0.0 equals 0.0.
    ascending : bool or sequence of bool
        The direction of all keys, or of each.
    memory_limit : int, optional
        Bytes that the sort may use beside the columns and the result. By default what there is.
    spill_dir : str, optional
        A folder for what does not fit; by default the system's for temporary files.

    Returns
    -------
    int64 array (rows,)

    Raises
    ------
    ValueError
        If there are no columns, their lengths differ, or `ascending` has not one entry for each.
    TypeError
        If a column is of a type that has no order here.
    MemoryError
        If the limit is too small even with spilling; the message names it.
    """
    n = common_length(columns)
    directions = _directions(ascending, len(columns))
    if n < 2 or (all(directions) and _ascends(columns)):
        return np.arange(n)
    parts = _parts(columns, directions, n, rank_strings=n <= STRINGS_ROWS)
    packed = parts[0]
    if len(parts) == 1 and isinstance(packed, sortkeys.Words):
        fits = memory_limit is None or n * _PACKED_BYTES <= memory_limit
        if len(packed) == 1 and n <= ONE_WORD_ROWS and fits:
            return _sort_word(packed, n)
        if n <= WORDS_ROWS:
            return np.lexsort(tuple(packed.read(0, n))[::-1])
    return _duckdb_sort(parts, n, memory_limit, spill_dir)


def _directions(ascending: Sequence[bool] | bool, count: int) -> list[bool]:
    if isinstance(ascending, bool | np.bool_):
        return [bool(ascending)] * count
    directions = [bool(one) for one in ascending]
    if len(directions) != count:
        raise ValueError(f"{len(directions)} directions for {count} sort keys")
    return directions


def _ascends(columns: Sequence[Column]) -> bool:
    """Whether there is nothing to sort; a look at the first rows mostly says that there is."""
    head = [col[:_SAMPLE] for col in columns]
    return keys.first_disorder(head) is None and keys.first_disorder(columns) is None


def _parts(
    columns: Sequence[Column], directions: Sequence[bool], n: int, rank_strings: bool
) -> list[Part]:
    """The keys as words and strings, in the order of significance, the row number last."""
    parts: list[Part] = []
    digits: list[sortkeys.Digit] = []
    for col, ascending in zip(columns, directions, strict=True):
        if isinstance(col, np.ndarray):
            digits += sortkeys.number_digits(col, not ascending)
        elif rank_strings or _repetitive(col):
            digits += sortkeys.number_digits(strings.ranks(col)[0], not ascending)
        else:
            if digits:
                parts.append(sortkeys.pack(digits))
            parts.append((col, ascending))
            digits = []
    parts.append(sortkeys.pack([*digits, sortkeys.row_digit(n)]))
    return parts


def _repetitive(col: pa.LargeBinaryArray) -> bool:
    """Whether a look at some rows promises few distinct strings: numbering them pays off then."""
    rows = np.linspace(0, len(col) - 1, _SAMPLE).astype(np.int64)
    return len(strings.take(col, rows).unique()) < _SAMPLE // 8


def _row_numbers(words: npt.NDArray[np.uint64], n: int) -> IntArray:
    """The row numbers, which are the lowest bits of the last word."""
    words &= np.uint64((1 << (n - 1).bit_length()) - 1)
    return words.view(np.int64)


def _sort_word(packed: sortkeys.Words, n: int) -> IntArray:
    word = np.empty(n, np.uint64)
    for start in range(0, n, _BATCH):
        (word[start : start + _BATCH],) = packed.read(start, min(start + _BATCH, n))
    word.sort()
    return _row_numbers(word, n)


# -- DuckDB ----------------------------------------------------------------------------------------


def _duckdb_sort(
    parts: Sequence[Part], n: int, memory_limit: int | None, spill_dir: str | None
) -> IntArray:
    import duckdb

    schema, order = _schema(parts)
    names = schema.names
    reader = pa.RecordBatchReader.from_batches(schema, _batches(parts, n, schema))
    result = np.empty(n, np.int64)
    done = 0
    with tempfile.TemporaryDirectory(prefix="exetera-sort-", dir=spill_dir) as spill:
        con = duckdb.connect(config=_config(memory_limit, spill))
        try:
            con.register("keys", reader)
            query = f"SELECT {names[-1]} FROM keys ORDER BY {', '.join(order)}"  # noqa: S608 - all ours
            rows = con.sql(query)
            for batch in rows.to_arrow_reader(_BATCH):
                words = batch.column(0).to_numpy()
                result[done : done + len(words)] = _row_numbers(words.copy(), n)
                done += len(words)
        except duckdb.OutOfMemoryException as err:
            limit = "there is" if memory_limit is None else f"the limit of {memory_limit} bytes"
            raise MemoryError(f"sorting {n} rows needs more memory than {limit}") from err
        finally:
            con.close()
    return result


def _schema(parts: Sequence[Part]) -> tuple[pa.Schema, list[str]]:
    """The Arrow schema of the keys, and the terms to order by."""
    fields: list[tuple[str, Any]] = []
    order = []
    for part in parts:
        if isinstance(part, sortkeys.Words):
            for _ in range(len(part)):
                order.append(f"k{len(fields)}")
                fields.append((order[-1], pa.uint64()))
        else:
            name = f"k{len(fields)}"
            order.append(name if part[1] else f"{name} DESC")
            fields.append((name, pa.large_binary()))
    return pa.schema(fields), order


def _batches(parts: Sequence[Part], n: int, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The keys, made batch by batch as DuckDB asks for them."""
    for start in range(0, n, _BATCH):
        stop = min(start + _BATCH, n)
        arrays: list[pa.Array] = []
        for part in parts:
            if isinstance(part, sortkeys.Words):
                arrays.extend(pa.array(word) for word in part.read(start, stop))
            else:
                arrays.append(part[0][start:stop])
        yield pa.record_batch(arrays, schema=schema)


def _config(memory_limit: int | None, spill: str) -> dict[str, Any]:
    """Settings of a connection: 60 % of the limit, since DuckDB's own count leaves some out."""
    threads = _cpus()
    config: dict[str, Any] = {"temp_directory": spill}
    if memory_limit is not None:
        own = memory_limit * 6 // 10
        threads = max(1, min(threads, own // _THREAD_BYTES))
        config["memory_limit"] = f"{own}B"
    config["threads"] = threads
    return config


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# -- join ------------------------------------------------------------------------------------------


def join(
    left: Sequence[Column],
    right: Sequence[Column],
    how: How,
    *,
    memory_limit: int | None = None,
    spill_dir: str | None = None,
) -> tuple[IntArray, IntArray]:
    """Pair the rows of two tables by keys that are in no order.

    Parameters
    ----------
    left, right : sequences of columns
        The key columns, as many on one side as on the other. NaN equals NaN, -0.0 equals 0.0.
    how : {'left', 'right', 'inner', 'outer'}
    memory_limit, spill_dir
        As for `sort_index`.

    Returns
    -------
    left_rows, right_rows : int64 arrays
        Row numbers, -1 for no partner. In the order of `pairs.pair_rows`; the same as that of
        `ordered.ordered_map` where both apply.

    Raises
    ------
    ValueError
        If `how` is none of these, there are no keys, or their numbers or lengths do not fit.
    TypeError
        If a key is a number on one side and a string on the other.
    MemoryError
        As for `sort_index`.
    """
    check_how(how)
    left, right = keys.align(left, right)
    left_groups, left_keys = _group(left, memory_limit, spill_dir)
    right_groups, right_keys = _group(right, memory_limit, spill_dir)
    partner = match_distinct(left_keys, right_keys)
    del left, right, left_keys, right_keys  # not held while the pairs are made
    return pair_rows(left_groups, right_groups, partner, how)


def _group(
    columns: Sequence[Column], memory_limit: int | None, spill_dir: str | None
) -> tuple[Grouped, list[Column]]:
    """Bring equal keys together: the groups, and the key of each, ascending."""
    index: IntArray | None = None
    if not _ascends(columns):
        index = sort_index(columns, memory_limit=memory_limit, spill_dir=spill_dir)
        columns = [gather.take(col, index) for col in columns]
    spans = find_spans(columns, nan_equal=True)
    return Grouped(spans, index), collapse_by(spans, columns)


def cross_rows(n_left: int, n_right: int) -> tuple[IntArray, IntArray]:
    """Pair every left row with every right row, ordered by (left row, right row); int64 arrays."""
    return np.repeat(np.arange(n_left), n_right), np.tile(np.arange(n_right), n_left)
