"""How chunks of HDF5 datasets are compressed: what they come to is known before it is taken.

HDF5 takes as much memory as a compressed chunk comes to, whatever its size should be, and reads
beyond the end of one that comes to less, which ends the process (2.0).
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import CorruptDataError
from exetera_zarr.storage.hdf5.library import library

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exetera_zarr.storage.base import AnyArray

__all__ = ["COMPRESSIONS", "PLAIN_FILTERS", "Packing"]

_DEFLATE, _SHUFFLE, _FLETCHER32, _LZF = 1, 2, 3, 32000
PLAIN_FILTERS = frozenset([_SHUFFLE, _FLETCHER32])
"""Numbers of the filters that leave the size as it is, but for a checksum."""
COMPRESSIONS = frozenset([_DEFLATE, _LZF])
"""Numbers of the filters of which it can be told what they come to before HDF5 applies them."""
_SLACK = 4096
"""Bytes by which a chunk that cannot be compressed may grow, besides a hundredth of them."""
_PIECE = 1 << 16
_REMEMBERED = 1 << 12
_AT_ONCE = 1 << 24
"""Bytes of a chunk that is unpacked here: there is no room for a larger one besides the result."""


class Packing:
    """
    How the chunks of a dataset are compressed, and whether one holds what it has to.

    Those that were compressed by gzip, as most are, are unpacked here when they are read as a
    whole: to have HDF5 do it once more would take as long again.

    Parameters
    ----------
    filters
        Their numbers, in the order in which they were applied.
    chunk
        Elements of a chunk.
    itemsize
        Bytes of an element.
    kind
        The low-level type of the elements in the file, where HDF5 need not unpack the chunks.
    """

    def __init__(
        self, filters: Sequence[int], chunk: int, itemsize: int, kind: Any | None = None
    ) -> None:
        self._filters, self._chunk, self._itemsize = filters, chunk, itemsize
        self._size = chunk * itemsize
        self._kind = kind
        self._proven: set[int] = set()

    @classmethod
    def of(cls, dataset: Any) -> Packing | None:
        """That of a low-level dataset; None where nothing has to be looked at."""
        plan, kind = dataset.get_create_plist(), dataset.get_type()
        found = [plan.get_filter(number) for number in range(plan.get_nfilters())]
        if not found or plan.get_layout() != library().h5d.CHUNKED:
            return None
        filters, itemsize = [one[0] for one in found], int(kind.get_size())
        chunk = int(plan.get_chunk()[0])
        ours = (
            filters in ([_DEFLATE], [_SHUFFLE, _DEFLATE])
            and (filters[0] == _DEFLATE or tuple(found[0][2]) == (itemsize,))
            and chunk * itemsize <= _AT_ONCE
        )
        return cls(filters, chunk, itemsize, kind if ours else None)

    def read(self, dataset: Any, start: int, out: AnyArray, where: str) -> bool:
        """
        Fill an array with the elements from one on, or prove that HDF5 may.

        Parameters
        ----------
        dataset
            Low-level dataset.
        start
            Number of the first element.
        out, shape (n,)
            The array.
        where
            For messages.

        Returns
        -------
        bool
            Whether it is filled. Where it is not, its chunks have what they have to.

        Raises
        ------
        CorruptDataError
            A chunk has more, or less.
        """
        stop = start + len(out)
        chunks = range(start // self._chunk * self._chunk, stop, self._chunk)
        # HDF5 keeps the chunk of which little is read at a time.
        if len(out) >= self._chunk and out.flags.c_contiguous and self._is_of(out.dtype):
            for first in chunks:
                found = self._unpacked(dataset, first, where)
                if found is None:
                    break
                low, high = max(first, start), min(first + self._chunk, stop)
                _put(found[low - first : high - first], out[low - start : high - start])
            else:
                return True
        for first in chunks:
            self.prove(dataset, first, where)
        return False

    def _is_of(self, dtype: np.dtype[Any]) -> bool:
        """Whether elements are in memory as they are in the file, once they are unpacked."""
        if self._kind is None:
            return False
        return bool(self._kind.equal(library().h5t.py_create(dtype, logical=True)))

    def _unpacked(self, dataset: Any, first: int, where: str) -> AnyArray | None:
        """
        The bytes of a chunk, a row for each element; None where there is none.

        With HDF5's shuffle, all first bytes of elements are stored before all second ones.
        """
        stored = self._stored(dataset, first, where)
        if stored is None:
            return None
        data, mask = stored
        if not mask >> self._filters.index(_DEFLATE) & 1:
            data = _inflated(data, self._size)
        self._check_size(len(data), first, where)
        found = np.frombuffer(data, np.uint8)
        if self._filters[0] == _SHUFFLE and not mask & 1:
            return found.reshape(self._itemsize, self._chunk).T
        return found.reshape(self._chunk, self._itemsize)

    def _stored(self, dataset: Any, first: int, where: str) -> tuple[bytes, int] | None:
        """The bytes of a chunk in the file, and the filters that were left out."""
        about = dataset.get_chunk_info_by_coord((first,))
        if about.byte_offset is None:
            return None
        if about.size > self._size + self._size // 100 + _SLACK:
            raise CorruptDataError(
                f"{where}: the chunk of element {first} takes {about.size:,} bytes, which is "
                f"more than the {self._size:,} that are in it"
            )
        mask, data = dataset.read_direct_chunk((first,))
        return data, mask

    def prove(self, dataset: Any, first: int, where: str) -> None:
        """Raise CorruptDataError unless the chunk of an element has what it has to."""
        if first in self._proven:
            return
        stored = self._stored(dataset, first, where)
        if stored is not None:
            self._check_size(self._size_of(*stored), first, where)
        if len(self._proven) >= _REMEMBERED:
            self._proven.clear()
        self._proven.add(first)

    def _check_size(self, found: int, first: int, where: str) -> None:
        if found != self._size:
            more = "more" if found > self._size else f"{found:,} bytes"
            raise CorruptDataError(
                f"{where}: the chunk of element {first} has {more} where it has to have "
                f"{self._size:,}"
            )

    def _size_of(self, data: bytes, mask: int) -> int:
        """Bytes that a chunk comes to, or a few more than it may have where it is more."""
        size = len(data)
        for number, code in reversed(list(enumerate(self._filters))):
            if mask >> number & 1:
                continue  # it was left out, as where it would not make it smaller
            if code == _FLETCHER32:
                data, size = data[:-4], size - 4
            elif code == _DEFLATE:
                size = _inflated_size(data, self._size + _SLACK)
            elif code == _LZF:
                size = _lzf_size(data)
        return size


def _put(found: AnyArray, out: AnyArray) -> None:
    """Put the bytes of elements into an array, the n-th of each at a time, which is the fastest."""
    there = out.view(np.uint8).reshape(found.shape)
    if found.flags.c_contiguous:
        there[:] = found
    else:
        for number in range(found.shape[1]):
            there[:, number] = found[:, number]


def _inflated(data: bytes, size: int) -> bytes:
    """What a zlib stream inflates to; one byte more than it may have where it is more."""
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(data, size + 1)
    except zlib.error as error:
        raise CorruptDataError(f"a chunk cannot be decompressed: {error}") from error
    if not stream.eof and len(found) <= size:
        raise CorruptDataError("a chunk cannot be decompressed: its end is missing")
    return found


def _inflated_size(data: bytes, most: int) -> int:
    """Bytes that a zlib stream inflates to; no more of them than are asked for are looked at."""
    stream, size = zlib.decompressobj(), 0
    for start in range(0, len(data), _PIECE):
        left = data[start : start + _PIECE]
        while left and not stream.eof and size <= most:
            try:
                size += len(stream.decompress(left, 1 << 20))
            except zlib.error as error:
                raise CorruptDataError(f"a chunk cannot be decompressed: {error}") from error
            left = stream.unconsumed_tail
    if not stream.eof and size <= most:
        raise CorruptDataError("a chunk cannot be decompressed: its end is missing")
    return size


def _lzf_size(data: bytes) -> int:
    """Bytes that a stream of LZF comes to."""
    at, size, end = 0, 0, len(data)
    while at < end:
        control = data[at]
        if control < 32:
            at, size = at + control + 2, size + control + 1
            continue
        length = control >> 5
        if length == 7:
            at += 1
            length += data[at] if at < end else 0
        at, size = at + 2, size + length + 2
    return size
