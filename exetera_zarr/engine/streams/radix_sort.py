"""64-bit words in any number, brought into order within a given memory.

Words come in blocks, and each block is put in the order of the words' leading bits (a counting sort
of one byte), so that the words of a bucket are a few slices, in memory or in a file. Buckets are
then sorted one after the other while they are small; one that is not is divided by its next bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from exetera_zarr.engine.streams.source import prefetched

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from exetera_zarr.engine.streams.workspace import Spill, Workspace

__all__ = ["WordArray", "Words", "bits_of", "mask_of"]

WordArray: TypeAlias = npt.NDArray[np.uint64]

_RADIX = 8
_BLOCK = 1 << 20
#: Words that are sorted at once, if their bucket is not larger: more do not fit the cache.
GROUP = 1 << 20


def bits_of(count: int) -> int:
    """How many bits the numbers below `count` take."""
    return max(count - 1, 0).bit_length()


def mask_of(bits: int) -> np.uint64:
    """The word of so many low bits."""
    return np.uint64((1 << bits) - 1)


class Words:
    """
    Words that are appended in any order and read in ascending order.

    Parameters
    ----------
    work
        The memory, and the folder for what does not fit.
    bits
        The low bits in which words differ; those above are alike in all of them.
    split
        How many of these, from the top, tell the buckets apart; at most 8.
    share
        Of the memory; more words than fit it go to a file.
    """

    def __init__(
        self, work: Workspace, bits: int, split: int = _RADIX, share: float = 0.125
    ) -> None:
        self._work, self._share = work, share
        self.bits, self.split = bits, min(split, bits, _RADIX)
        self._coming: list[WordArray] = []
        self._count = 0  # of those
        self._length = 0
        self._blocks: list[WordArray] = []
        self._spill: Spill | None = None
        #: For each block where each bucket starts, counted from the first word of all.
        self._bounds: list[npt.NDArray[np.int64]] = []

    def __len__(self) -> int:
        return self._length + self._count

    def append(self, words: WordArray) -> None:
        """Add words; the array is the store's own from now on."""
        for start in range(0, len(words), _BLOCK):
            part = words[start : start + _BLOCK]
            self._coming.append(part)
            self._count += len(part)
            if self._count >= _BLOCK:
                self._flush()

    def _flush(self) -> None:
        if self._count == 0:
            return
        block = self._coming[0] if len(self._coming) == 1 else np.concatenate(self._coming)
        self._coming, self._count = [], 0
        bounds = np.array([0, len(block)])
        if self.split:
            bucket = (block >> np.uint64(self.bits - self.split)).astype(np.uint8)
            bucket &= np.uint8((1 << self.split) - 1)
            block = block.take(np.argsort(bucket, kind="stable"))
            sizes = np.bincount(bucket, minlength=1 << self.split)
            bounds = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes)))
        self._bounds.append(bounds + self._length)
        self._length += len(block)
        if self._spill is None and self._length * 8 > self._work.memory * self._share:
            self._spill = self._work.spill(np.uint64, 0)
            for before in self._blocks:
                self._spill.append(before)
            self._blocks = []
        if self._spill is None:
            self._blocks.append(block)
        else:
            self._spill.append(block)

    def sizes(self) -> npt.NDArray[np.int64]:
        """How many words there are in each bucket, int64 (2 ** split,)."""
        self._flush()
        total = np.zeros(1 << self.split, np.int64)
        for bounds in self._bounds:
            total += np.diff(bounds)
        return total

    def pieces(self, first: int, last: int) -> Iterator[WordArray]:
        """The words of the buckets `first` to `last` (exclusive) as they came; read only."""
        self._flush()
        for number, bounds in enumerate(self._bounds):
            start, stop = int(bounds[first]), int(bounds[last])
            if start == stop:
                continue
            if self._spill is None:
                yield self._blocks[number][start - bounds[0] : stop - bounds[0]]
            else:
                yield self._spill.read(start, stop)

    def ascending(self, first: int, last: int) -> WordArray:
        """The words of the buckets `first` to `last` (exclusive) in order, all at once."""
        pieces = list(self.pieces(first, last))
        if not pieces:
            return np.empty(0, np.uint64)
        cuts = [
            bounds[first : last + 1] - bounds[first]
            for bounds in self._bounds
            if bounds[first] < bounds[last]
        ]
        ends = np.cumsum(np.sum([np.diff(cut) for cut in cuts], axis=0))
        out = np.empty(int(ends[-1]), np.uint64)
        start = 0
        # Bucket by bucket, since short sorts stay in the cache.
        for bucket, end in enumerate(ends.tolist()):
            part = out[start:end]
            if start < end:
                slices = [
                    piece[cut[bucket] : cut[bucket + 1]]
                    for piece, cut in zip(pieces, cuts, strict=True)
                ]
                np.concatenate(slices, out=part)
                part.sort()
            start = end
        return out

    def divided(self, bucket: int, split: int = _RADIX) -> Words:
        """The words of a bucket, told apart by their next bits."""
        # Half the share, as they may be divided again while these here are kept.
        inner = Words(self._work, self.bits - self.split, split, self._share / 2)
        for piece in self.pieces(bucket, bucket + 1):
            inner.append(piece)
        return inner

    def fits(self, count: int) -> bool:
        """Whether so many words can be sorted at once."""
        return count <= GROUP or count * 8 <= self._work.memory // 16

    def sorted(self) -> Generator[WordArray]:
        """All words in ascending order, some at a time; also a second time."""
        return prefetched(_ascending(self))

    def close(self) -> None:
        """Forget all."""
        if self._spill is not None:
            self._spill.close()
        self._spill, self._blocks, self._bounds = None, [], []
        self._coming, self._count, self._length = [], 0, 0


def _ascending(store: Words) -> Iterator[WordArray]:
    sizes = store.sizes()
    for first, last in groups_of(sizes):
        if last - first > 1 or store.fits(int(sizes[first])):
            yield store.ascending(first, last)
        elif store.bits == store.split:  # all alike
            yield from (piece.copy() for piece in store.pieces(first, last))
        else:
            inner = store.divided(first)
            try:
                yield from _ascending(inner)
            finally:
                inner.close()


def groups_of(sizes: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Adjacent buckets that have at most `GROUP` words together, or one that has more."""
    ends = np.cumsum(sizes)
    first = before = 0
    while before < ends[-1]:
        last = max(int(np.searchsorted(ends, before + GROUP, "right")), first + 1)
        if ends[last - 1] > before:
            yield first, last
        first, before = last, int(ends[last - 1])
