"""What a join has found: pairs of row numbers in any order, brought into the promised one."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from exetera_zarr.engine.join import row_pairs
from exetera_zarr.engine.streams.radix_sort import WordArray, Words, bits_of, mask_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from exetera_zarr.engine.columns.types import Column, IntArray
    from exetera_zarr.engine.join.row_pairs import Pairs
    from exetera_zarr.engine.streams.source import Source
    from exetera_zarr.engine.streams.workspace import Spill, Workspace

__all__ = ["Matches", "Order", "numbered", "regrouped"]


class Matches:
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
        self.keep = keep
        self.alone = alone
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
                for start in range(0, len(words), row_pairs.CHUNK):
                    part = words[start : start + row_pairs.CHUNK]
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
        end = int(np.searchsorted(places, start + 2 * row_pairs.CHUNK))
        part = rows.read(start, int(places[end - 1]) + 1)
        named[done:end] = part[places[done:end] - start]
        done = end
    return named


@dataclass(frozen=True)
class Order:
    """The left rows, those of one key together, in the order of the first ones."""

    rows: Spill  #: for each place the row
    places: Spill  #: for each row the place


def regrouped(heads: Words | None, n: int, work: Workspace) -> Order | None:
    """The order of (first row with the same key, row); None if it is that of the rows."""
    if heads is None:
        return None
    bits = bits_of(n)
    order = Order(work.spill(np.uint32 if bits <= 32 else np.int64), work.spill(np.uint64))
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


def numbered(source: Source, places: Spill | None) -> Generator[tuple[Sequence[Column], WordArray]]:
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
