"""The join of keys that are in no order, within a given memory.

Pairs are found in any order, as words of both row numbers, and sorted then: these are small, and
their order is part of the answer. They are found in words of key and row number, divided alike on
both sides by the leading bits of the key until a part of both sides fits; or, where a key and its
row number do not fit a word, by DuckDB's hash join.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from exetera_zarr.engine import gather, keys, pairs, sortkeys
from exetera_zarr.engine.feeding import BATCH, feeding, words_of
from exetera_zarr.engine.ordered import aligned, match_groups
from exetera_zarr.engine.pairs import How, Pairs, check_how, expand, invert
from exetera_zarr.engine.source import Source
from exetera_zarr.engine.spans import find_spans
from exetera_zarr.engine.wordsort import WordArray, Words, bits_of, groups_of, mask_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from exetera_zarr.engine.columns import Column, IntArray
    from exetera_zarr.engine.feeding import Feeder
    from exetera_zarr.engine.workspace import Spill, Workspace

__all__ = ["join_rows"]

#: Up to so many rows of both sides together, keys of several words are numbered in memory.
SMALL_ROWS = 250_000
#: Into how many parts the keys are divided if they do not fit at once.
PARTITIONS = (1, 8, 64)


def join_rows(left: Source, right: Source, how: How, work: Workspace) -> Iterator[Pairs]:
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
        Row numbers, -1 for no partner, at most some `pairs.CHUNK` at once. In the order of
        `ordered.ordered_pairs`.

    Raises
    ------
    ValueError
        If `how` is none of these, there are no keys, their numbers do not fit, or the tables have
        more rows together than the numbers of a pair can name in 64 bits.
    TypeError
        If a key is a number on one side and a string on the other.
    MemoryError
        If the memory is too small even with spilling; the message names it.
    """
    check_how(how)
    if how == "right":
        for rows, others in join_rows(right, left, "left", work):
            yield others, rows
        return
    if bits_of(left.rows) + right.rows.bit_length() > 64:
        raise ValueError(f"{left.rows} rows are too many to be merged with {right.rows} rows")
    left, right = aligned(left, right)
    plan = sortkeys.measure([left, right], [True] * len(left.empty))
    small = plan.bits is not None and left.rows + right.rows <= SMALL_ROWS
    if small and not _fits(plan, left, right):
        left, right = _coded(left, right, plan)
        plan = sortkeys.measure([left, right], [True])
    with ExitStack() as stack:
        found = _Found(left.rows, right.rows, work, keep=how != "inner", alone=how == "outer")
        stack.callback(found.close)
        way = _WordJoin if _fits(plan, left, right) else _DuckdbJoin
        join: _WordJoin | _DuckdbJoin = way(left, right, plan, work)
        stack.callback(join.close)
        order = None if how == "left" else _regrouped(join.heads(), left.rows, work)
        join.find(None if order is None else order.places, found)
        join.close()
        yield from found.read(None if order is None else order.rows)


def _fits(plan: sortkeys.Keys, left: Source, right: Source) -> bool:
    """Whether a key and its row number fit one word."""
    row_bits = max(bits_of(left.rows), bits_of(right.rows))
    return plan.bits is not None and plan.bits + row_bits <= sortkeys.WORD_BITS


def _coded(left: Source, right: Source, plan: sortkeys.Keys) -> tuple[Source, Source]:
    """Small tables whose keys are numbers below that of their rows."""
    both = [
        [gather.concat(parts) for parts in zip(*map(plan.read, source.blocks()), strict=True)]
        or plan.read(source.empty)
        for source in (left, right)
    ]
    codes = np.concatenate(keys.joint_codes(*both))
    codes = np.unique(codes, return_inverse=True)[1]
    return (
        Source.of([codes[: left.rows]], left.step),
        Source.of([codes[left.rows :]], right.step),
    )


class _Found:
    """
    The pairs that were found, and the rows without a partner.

    Parameters
    ----------
    n_left, n_right
        The rows of both sides.
    keep
        Whether a left row without a partner is kept, too.
    alone
        Whether a right row is.
    """

    def __init__(
        self, n_left: int, n_right: int, work: Workspace, *, keep: bool, alone: bool
    ) -> None:
        self.keep, self.alone = keep, alone
        self._missing, self._bits = n_right, n_right.bit_length()
        self._pairs = Words(work, bits_of(n_left) + self._bits)
        self._alone = Words(work, bits_of(n_right))

    def append(self, left: WordArray, right: WordArray) -> None:
        """Add pairs of row numbers; those of the left are taken over."""
        left <<= np.uint64(self._bits)
        left |= right
        self._pairs.append(left)

    def append_left(self, rows: WordArray) -> None:
        """Add left rows without a partner; they are taken over."""
        rows <<= np.uint64(self._bits)
        rows |= np.uint64(self._missing)
        self._pairs.append(rows)

    def append_right(self, rows: WordArray) -> None:
        """Add right rows without a partner; they are taken over."""
        self._alone.append(rows)

    def read(self, order: Spill | None) -> Iterator[Pairs]:
        """All in order, the right rows without a partner last; `order` names the left rows."""
        mask = mask_of(self._bits)
        with closing(self._pairs.sorted()) as blocks:
            for words in blocks:
                for start in range(0, len(words), pairs.CHUNK):
                    part = words[start : start + pairs.CHUNK]
                    right = (part & mask).view(np.int64)
                    right[right == self._missing] = -1
                    left = (part >> np.uint64(self._bits)).view(np.int64)
                    yield left if order is None else _named(left, order), right
        with closing(self._alone.sorted()) as blocks:
            for words in blocks:
                yield np.full(len(words), -1, np.int64), words.view(np.int64)

    def close(self) -> None:
        """Forget all."""
        self._pairs.close()
        self._alone.close()


def _named(places: IntArray, rows: Spill) -> IntArray:
    """The rows at places that ascend, which are read a part at a time."""
    named = np.empty_like(places)
    done = 0
    while done < len(places):
        start = int(places[done])
        end = int(np.searchsorted(places, start + 2 * pairs.CHUNK))
        part = rows.read(start, int(places[end - 1]) + 1)
        named[done:end] = part[places[done:end] - start]
        done = end
    return named


@dataclass(frozen=True)
class _Order:
    """The left rows, those of one key together, in the order of the first ones."""

    rows: Spill  #: for each place the row
    places: Spill  #: for each row the place


def _regrouped(heads: Words | None, n: int, work: Workspace) -> _Order | None:
    """The order of (first row with the same key, row); None if it is that of the rows."""
    if heads is None:
        return None
    bits = bits_of(n)
    order = _Order(work.spill(np.uint32 if bits <= 32 else np.int64), work.spill(np.uint64))
    back = Words(work, 2 * bits)
    at = 0
    with closing(heads.sorted()) as blocks:
        for words in blocks:
            rows = words & mask_of(bits)
            order.rows.append(rows)
            rows <<= np.uint64(bits)
            rows |= np.arange(at, at + len(rows), dtype=np.uint64)
            back.append(rows)
            at += len(words)
    heads.close()
    with closing(back.sorted()) as blocks:
        for words in blocks:
            order.places.append(words & mask_of(bits))
    back.close()
    return order


def _numbers(source: Source, places: Spill | None) -> Generator[tuple[Sequence[Column], WordArray]]:
    """The blocks of a side with the numbers of their rows, or the places of these."""
    start = 0
    with closing(source.blocks()) as blocks:
        for block in blocks:
            stop = start + len(block[0])
            if places is None:
                yield block, np.arange(start, stop, dtype=np.uint64)
            else:
                yield block, places.read(start, stop).copy()
            start = stop


# -- words -----------------------------------------------------------------------------------------


class _WordJoin:
    """The join of keys that fit a word together with their row numbers."""

    def __init__(self, left: Source, right: Source, plan: sortkeys.Keys, work: Workspace) -> None:
        assert plan.bits is not None
        self._left, self._right, self._plan, self._work = left, right, plan, work
        self._bits = plan.bits
        self._row_bits = bits_of(left.rows), bits_of(right.rows)
        self._words = self._read(left, self._row_bits[0], None)
        self._stores = ExitStack()
        self._stores.callback(self._words.close)

    def _read(self, source: Source, row_bits: int, places: Spill | None) -> Words:
        store = Words(self._work, self._bits + row_bits, self._bits)
        for block, numbers in _numbers(source, places):
            (words,) = self._plan.read(block, numbers, row_bits)
            store.append(words)
        return store

    def heads(self) -> Words | None:
        """(First row with the same key, row) of each left row; None if no key occurs twice."""
        bits = self._row_bits[0]
        heads = Words(self._work, 2 * bits)
        distinct = True
        before: tuple[int, int] | None = None  # the last key, and its first row
        with closing(self._words.sorted()) as blocks:
            for words in blocks:
                key, rows = words >> np.uint64(bits), words & mask_of(bits)
                spans = find_spans([key])
                first = rows.take(spans[:-1])
                if before is not None and before[0] == key[0]:
                    first[0] = before[1]
                    distinct = False
                distinct = distinct and len(first) == len(rows)
                before = int(key[-1]), int(first[-1])
                first = np.repeat(first, np.diff(spans))
                first <<= np.uint64(bits)
                first |= rows
                heads.append(first)
        if distinct:
            heads.close()
            return None
        return heads

    def find(self, places: Spill | None, found: _Found) -> None:
        """Find all pairs, left rows by their places."""
        if places is not None:
            self._words.close()
            self._words = self._read(self._left, self._row_bits[0], places)
            self._stores.callback(self._words.close)
        right = self._read(self._right, self._row_bits[1], None)
        self._stores.callback(right.close)
        self._divide(self._words, right, self._bits, found)

    def _divide(self, left: Words, right: Words, key_bits: int, found: _Found) -> None:
        """Join two stores, of whose keys the low bits differ."""
        sizes = left.sizes() + right.sizes()
        for first, last in groups_of(sizes):
            if last - first > 1 or left.fits(int(sizes[first])):
                self._match(left.ascending(first, last), right.ascending(first, last), found)
            elif key_bits == left.split:
                self._cross(left, right, first, found)
            else:
                rest = key_bits - left.split
                inner = left.divided(first, rest), right.divided(first, rest)
                try:
                    self._divide(*inner, rest, found)
                finally:
                    for store in inner:
                        store.close()

    def _match(self, left: WordArray, right: WordArray, found: _Found) -> None:
        """Join words in order."""
        left_keys, left_spans, left = _groups(left, self._row_bits[0])
        right_keys, right_spans, right = _groups(right, self._row_bits[1])
        if len(left) and len(right):
            partner = match_groups([left_keys], [right_keys])[0]
        else:
            partner = np.full(len(left_keys), -1)
        hit = np.flatnonzero(partner >= 0)
        other = partner[hit]
        left_counts, right_counts = np.diff(left_spans), np.diff(right_spans)
        for rows, others in expand(
            left_spans[hit], left_counts[hit], right_spans[other], right_counts[other]
        ):
            found.append(left.take(rows), right.take(others))
        if found.keep:
            found.append_left(left[np.repeat(partner < 0, left_counts)])
        if found.alone:
            back = invert(partner, len(right_keys))
            found.append_right(right[np.repeat(back < 0, right_counts)])

    def _cross(self, left: Words, right: Words, bucket: int, found: _Found) -> None:
        """Join all with all: rows of one key that do not fit the memory."""
        masks = [mask_of(bits) for bits in self._row_bits]
        count = int(right.sizes()[bucket])
        for rows in left.pieces(bucket, bucket + 1):
            if count == 0 and found.keep:
                found.append_left(rows & masks[0])
            elif count:
                self._match_key(rows & masks[0], right, bucket, found)
        if found.alone and left.sizes()[bucket] == 0:
            for rows in right.pieces(bucket, bucket + 1):
                found.append_right(rows & masks[1])

    def _match_key(self, left: WordArray, right: Words, bucket: int, found: _Found) -> None:
        """Join some rows of one key with all on the other side."""
        start = np.zeros(1, np.int64)
        for words in right.pieces(bucket, bucket + 1):
            numbers = words & mask_of(self._row_bits[1])
            for rows, others in expand(start, start + len(left), start, start + len(numbers)):
                found.append(left.take(rows), numbers.take(others))

    def close(self) -> None:
        """Forget all."""
        self._stores.close()


def _groups(words: WordArray, row_bits: int) -> tuple[WordArray, IntArray, WordArray]:
    """The distinct keys of words in order, the spans of each, and the numbers of all rows."""
    key = words >> np.uint64(row_bits)
    spans = find_spans([key])
    return key.take(spans[:-1]), spans, words & mask_of(row_bits)


# -- DuckDB ----------------------------------------------------------------------------------------


class _DuckdbJoin:
    """The join of any keys; the methods are those of `_WordJoin`."""

    def __init__(self, left: Source, right: Source, plan: sortkeys.Keys, work: Workspace) -> None:
        self._left, self._right, self._plan, self._work = left, right, plan, work
        self._keys = [f"k{i}" for i in range(len(plan.read(left.empty)))]

    def heads(self) -> Words | None:
        bits = bits_of(self._left.rows)
        heads = Words(self._work, 2 * bits)
        repeated = _by_partitions(lambda where: self._heads(where, heads), heads.close)
        if repeated:
            return heads
        heads.close()
        return None

    def _heads(self, where: str, heads: Words) -> bool:
        """Find the heads of a part of the keys; whether a key occurs twice."""
        names = ", ".join(self._keys)
        with feeding(self._work) as feeder:
            self._register(feeder, "fed", self._left, None)
            run = feeder.connection.sql
            run(f"CREATE TEMP TABLE l AS SELECT * FROM fed {where}")  # noqa: S608 - all ours
            run(
                "CREATE TEMP TABLE h AS "  # noqa: S608 - all ours
                f"SELECT {names}, min(row) AS head FROM l GROUP BY {names} HAVING count(*) > 1"
            )
            query = f"SELECT coalesce(head, row), row FROM l LEFT JOIN h USING ({names})"  # noqa: S608
            repeated = False
            for batch in run(query).to_arrow_reader(BATCH):
                head, row = words_of(batch)
                repeated = repeated or bool((head != row).any())
                heads.append((head << np.uint64(heads.bits // 2)) | row)
        return repeated

    def find(self, places: Spill | None, found: _Found) -> None:
        _by_partitions(lambda where: self._find(where, places, found), found.close)

    def _find(self, where: str, places: Spill | None, found: _Found) -> bool:
        """Find the pairs of a part of the keys."""
        n_left, n_right = self._left.rows, self._right.rows
        probe, build = ("r", "l") if n_left < n_right else ("l", "r")
        kept = {"l": found.keep, "r": found.alone}
        kind = {
            (True, True): "FULL",
            (True, False): "LEFT",
            (False, True): "RIGHT",
            (False, False): "INNER",
        }[kept[probe], kept[build]]
        on = " AND ".join(f"p.{name} = b.{name}" for name in self._keys)
        rows = {probe: "p.row", build: "b.row"}
        with feeding(self._work) as feeder:
            self._register(feeder, "l", self._left, places)
            self._register(feeder, "r", self._right, None)
            run = feeder.connection.sql
            run("SET disabled_optimizers = 'join_order,build_side_probe_side'")
            run(f"CREATE TEMP TABLE b AS SELECT * FROM {build} {where}")  # noqa: S608 - all ours
            query = (
                f"SELECT coalesce({rows['l']}, {n_left}::UBIGINT), "  # noqa: S608 - all ours
                f"coalesce({rows['r']}, {n_right}::UBIGINT) "
                f"FROM (SELECT * FROM {probe} {where}) p {kind} JOIN b ON {on}"
            )
            for batch in run(query).to_arrow_reader(BATCH):
                left, right = words_of(batch)
                if found.alone:
                    single = left == n_left
                    found.append_right(right[single])
                    left, right = left[~single], right[~single]
                found.append(left.copy(), right)
        return True

    def _register(self, feeder: Feeder, name: str, source: Source, places: Spill | None) -> None:
        def blocks() -> Generator[list[Column]]:
            for block, numbers in _numbers(source, places):
                yield [*self._plan.read(block), numbers]

        empty = [*self._plan.read(source.empty), np.zeros(0, np.uint64)]
        feeder.register(name, [*self._keys, "row"], empty, blocks())

    def close(self) -> None:
        """There is nothing to forget."""


def _by_partitions(work: Callable[[str], bool], clear: Callable[[], None]) -> bool:
    """Work on all keys at once, or on one part of them after the other; whether any did."""
    for parts in PARTITIONS:
        try:
            done = [work(where) for where in _conditions(parts)]
            return any(done)
        except MemoryError:
            clear()
            if parts == PARTITIONS[-1]:
                raise
    raise AssertionError


def _conditions(parts: int) -> list[str]:
    if parts == 1:
        return [""]
    return [f"WHERE hash(k0) % {parts} = {part}" for part in range(parts)]
