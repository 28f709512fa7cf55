"""How a chunk is packed: by what is tried on a sample of its array.

A Blosc frame names its own compressor, filter and width of an element, and every decoder heeds that
rather than the array's document. So chunks of one array may be packed in different ways, and the
document names the one that small chunks have.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numcodecs import blosc

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BLOCK", "Packer", "Packing", "usual"]

# Blosc's own threads are global to the process and not fork-safe; we bring threads of our own.
# zarr sets the same when it is imported.
blosc.use_threads = False

# Measured on a core with 1 MiB of L2 cache: compressed in blocks of half of that, columns take as
# many bytes as at level 3 with blocks of Blosc's choice, and are written up to 2.5 times as fast.
BLOCK = 1 << 19
_FILTERS = {"noshuffle": blosc.NOSHUFFLE, "shuffle": blosc.SHUFFLE, "bitshuffle": blosc.BITSHUFFLE}
_WIDEST = 255
"""Bytes of an element that a frame can name."""
_LEAST = 1 << 19
"""Bytes of a chunk for which a trial pays."""
_SAMPLE = 1 << 16
_LARGER, _THAN_SMALLEST = 1.02, 1.15
"""How much larger than as usual, and than the smallest, what is fast may be."""
_READS = 2
"""How often a chunk is read for each time that it is written, for the sake of the choice."""
_DRIFT = 1.3
"""Of the ratio of sizes, after which another trial is made."""


@dataclass(frozen=True)
class Packing:
    """
    What a Blosc frame says of itself.

    Parameters
    ----------
    compressor
        ``zstd`` or ``lz4``.
    level
        Of the compressor.
    shuffle
        Blosc's filter: ``noshuffle``, ``shuffle`` or ``bitshuffle``.
    typesize
        Bytes of an element for the filter.
    """

    compressor: str
    level: int
    shuffle: str
    typesize: int

    def pack(self, data: NDArray[np.uint8]) -> bytes:
        """The frame of some bytes."""
        packed = blosc.compress(
            data,
            self.compressor.encode(),
            self.level,
            _FILTERS[self.shuffle],
            BLOCK,
            typesize=self.typesize,
        )
        return cast("bytes", packed)


@cache
def usual(role: str, dtype: np.dtype[Any]) -> Packing:
    """How small chunks of an array are packed, and how its document says that all are."""
    if dtype.kind == "S" or role == "index" or dtype == np.uint8:
        return Packing("zstd", 1, "shuffle", 1 if dtype.kind == "S" else dtype.itemsize)
    # Level 2 decodes numbers faster than level 1 does, where blocks are small.
    return Packing("zstd", 2, "bitshuffle", dtype.itemsize)


@cache
def _others(dtype: np.dtype[Any]) -> tuple[Packing, ...]:
    """What is tried beside the usual; each is the best of some columns, by measurement."""
    width = dtype.itemsize
    if dtype == np.uint8:
        return ()  # bytes of text have no width, and matches of any length: nothing is better
    if dtype.kind == "S":
        return (Packing("zstd", 1, "shuffle", width),) if 1 < width <= _WIDEST else ()
    found = (Packing("zstd", 1, "bitshuffle", width), Packing("zstd", 1, "noshuffle", width))
    if width == 1:
        return (*found, Packing("lz4", 1, "bitshuffle", width))
    return (*found, Packing("zstd", 1, "shuffle", width), Packing("lz4", 1, "shuffle", width))


class Packer:
    """
    Packs the chunks of one array, as a trial says that they pack best.

    The fastest packing is taken of those that make a sample at most 2 % larger than the usual one
    does, and 15 % than the smallest. The time is that of the thread's processor, so that what else
    a machine does counts little.

    Parameters
    ----------
    role, dtype
        Of the array.
    """

    def __init__(self, role: str, dtype: np.dtype[Any]) -> None:
        self.usual = usual(role, dtype)
        self._others = _others(dtype)
        self._chosen: Packing | None = None
        self._ratio = 0.0
        self._trying = threading.Lock()

    def pack(self, data: NDArray[np.uint8]) -> bytes:
        """The frame of a chunk; threads may pack chunks of one array beside each other."""
        if len(data) < _LEAST or not self._others:
            return self.usual.pack(data)
        if self._chosen is None and self._trying.acquire(blocking=False):
            try:
                chosen, self._ratio = self._tried(data), 0.0
                self._chosen = chosen
            finally:
                self._trying.release()
        # Chunks that come while another one is tried do not wait for that.
        chosen = self._chosen or self.usual
        packed = chosen.pack(data)
        ratio = len(packed) / len(data)
        if not self._ratio:
            self._ratio = ratio
        elif chosen is self._chosen and not self._ratio / _DRIFT <= ratio <= self._ratio * _DRIFT:
            self._chosen = None
        return packed

    def _tried(self, data: NDArray[np.uint8]) -> Packing:
        """What packs the middle of a chunk best."""
        start = (len(data) - _SAMPLE) // 2
        start -= start % self._others[0].typesize
        sample = data[start : start + _SAMPLE]
        packed, nanoseconds = dict[Packing, bytes](), dict[Packing, int]()
        for packing in (self.usual, *self._others):
            started = time.thread_time_ns()
            packed[packing] = packing.pack(sample)
            nanoseconds[packing] = time.thread_time_ns() - started
        smallest = min(map(len, packed.values()))
        most = min(len(packed[self.usual]) * _LARGER, smallest * _THAN_SMALLEST)
        out = np.empty_like(sample)
        able = [packing for packing in packed if len(packed[packing]) <= most]
        for packing in able:
            started = time.thread_time_ns()
            blosc.decompress(packed[packing], out)
            nanoseconds[packing] += _READS * (time.thread_time_ns() - started)
        return min(able, key=lambda packing: (nanoseconds[packing], len(packed[packing])))
