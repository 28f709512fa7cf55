"""The join of keys that fit a word together with their row number.

The words of both sides are divided alike by the leading bits of the key, until a part of both sides
fits; there they are sorted and matched.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import numpy as np

from exetera_zarr.engine.columns.spans import find_spans
from exetera_zarr.engine.join.matches import Matches, numbered, regrouped
from exetera_zarr.engine.join.merge_join import match_groups
from exetera_zarr.engine.join.row_pairs import expand, invert, ranges
from exetera_zarr.engine.streams.radix_sort import WordArray, Words, bits_of, groups_of, mask_of
from exetera_zarr.engine.streams.source import Source, prefetched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exetera_zarr.engine.columns.types import IntArray
    from exetera_zarr.engine.sort import sort_keys
    from exetera_zarr.engine.streams.workspace import Spill, Workspace

__all__ = ["WordJoin"]

#: Bytes for each left row that numbering them anew takes, if it is done in memory.
_REGROUP_BYTES = 96


class WordJoin:
    """The join of keys that fit a word together with their row numbers."""

    def __init__(self, left: Source, right: Source, plan: sort_keys.Keys, work: Workspace) -> None:
        assert plan.bits is not None
        self._left, self._right, self._plan, self._work = left, right, plan, work
        self._bits = plan.bits
        self._row_bits = bits_of(left.rows), bits_of(right.rows)
        self._words = self._read(left, self._row_bits[0], None)
        self._stores = ExitStack()
        self._stores.callback(self._words.close)

    def _read(self, source: Source, row_bits: int, places: Spill | None) -> Words:
        store = Words(self._work, self._bits + row_bits, self._bits)
        for block, numbers in numbered(source, places):
            (words,) = self._plan.read(block, numbers, row_bits)
            store.append(words)
        return store

    def regroup(self) -> Spill | None:
        """
        Number the left rows anew, so that those of one key follow their first one.

        Returns
        -------
        Spill or None
            For each number the row; None if no key occurs twice, so that rows keep their numbers.
        """
        n = self._left.rows
        if n * _REGROUP_BYTES <= self._work.memory:
            return self._regroup_at_once()
        order = regrouped(self._heads(), n, self._work)
        if order is None:
            return None
        self._replace(self._read(self._left, self._row_bits[0], order.places))
        order.places.close()
        return order.rows

    def _replace(self, words: Words) -> None:
        self._words.close()
        self._words = words
        self._stores.callback(words.close)

    def _regroup_at_once(self) -> Spill | None:
        n, bits = self._left.rows, self._row_bits[0]
        with closing(self._words.sorted()) as blocks:
            words = np.concatenate([np.empty(0, np.uint64), *blocks])
        distinct, spans, rows = _groups(words, bits)
        if len(distinct) == n:
            return None
        counts = np.diff(spans)
        heads = rows.take(spans[:-1]).view(np.int64)
        ends = np.zeros(n, np.int64)
        ends[heads] = counts
        np.cumsum(ends, out=ends)
        places = ranges(ends.take(heads) - counts, counts)
        order = np.empty(n, np.int64)
        order[places] = rows
        words &= ~mask_of(bits)
        words |= places.view(np.uint64)
        again = Words(self._work, self._words.bits, self._bits)
        again.append(words)
        self._replace(again)
        found = self._work.spill(np.int64)
        found.append(order)
        return found

    def _heads(self) -> Words | None:
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

    def find(self, found: Matches) -> None:
        """Find all pairs, of left rows by their new numbers."""
        right = self._read(self._right, self._row_bits[1], None)
        self._stores.callback(right.close)
        with closing(prefetched(self._parts(self._words, right, self._bits))) as parts:
            for part in parts:
                self._match(*part, found)

    def _parts(
        self, left: Words, right: Words, key_bits: int
    ) -> Iterator[tuple[WordArray, WordArray]]:
        """The words of both sides in order, a part of the keys at a time."""
        sizes = left.sizes() + right.sizes()
        for first, last in groups_of(sizes):
            if last - first > 1 or left.fits(int(sizes[first])):
                yield left.ascending(first, last), right.ascending(first, last)
            elif key_bits == left.split:
                yield from _combined(left, right, first)
            else:
                rest = key_bits - left.split
                inner = left.divided(first, rest), right.divided(first, rest)
                try:
                    yield from self._parts(*inner, rest)
                finally:
                    for store in inner:
                        store.close()

    def _match(self, left: WordArray, right: WordArray, found: Matches) -> None:
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

    def close(self) -> None:
        """Forget all."""
        self._stores.close()


def _combined(left: Words, right: Words, bucket: int) -> Iterator[tuple[WordArray, WordArray]]:
    """Each piece of a side with each of the other: one key, with too many rows for the memory."""
    nothing = [np.empty(0, np.uint64)]
    many = right.sizes()[bucket] > 0
    for piece in left.pieces(bucket, bucket + 1) if left.sizes()[bucket] else nothing:
        for other in right.pieces(bucket, bucket + 1) if many else nothing:
            yield piece, other


def _groups(words: WordArray, row_bits: int) -> tuple[WordArray, IntArray, WordArray]:
    """The distinct keys of words in order, the spans of each, and the numbers of all rows."""
    key = words >> np.uint64(row_bits)
    spans = find_spans([key])
    return key.take(spans[:-1]), spans, words & mask_of(row_bits)
