"""Chunks: one block of an array as the bytes of one object. The hot path.

Format 1 stores ``bytes -> blosc(zstd) -> crc32c``. These chunks are coded here with `numcodecs`,
straight into the destination; zarr's own pipeline reads the same bytes at half the speed, and
decodes here what has other codecs.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import google_crc32c
import numpy as np
import numpy.typing as npt
from numcodecs import blosc

from exetera_zarr.errors import CorruptDataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ChunkCodec", "decode_foreign"]

_SHARDS = "sharding_indexed"
_NOT_THERE = (1 << 64) - 1
"""Where, and how long, a part of a shard is that was not written."""

# Blosc's own threads are global to the process and not fork-safe; we bring threads of our own.
# zarr sets the same when it is imported.
blosc.use_threads = False

_HEADER = struct.Struct("<BBBBIII")  # version, version of zstd, flags, typesize, nbytes, block, cb
_CRC = struct.Struct("<I")
_WIDEST = 9  # bytes of an element, and of what codecs between may add
# The CRC-32C of any bytes followed by their own CRC-32C, low byte first: checking needs no copy.
_RESIDUE = 0x48674BC7
# Measured on a core with 1 MiB of L2 cache: compressed in blocks of half of that, columns take as
# many bytes as at level 3 with blocks of Blosc's choice, and are written up to 2.5 times as fast.
# Level 2 decodes numbers faster than level 1 does; bytes are encoded much faster at level 1.
_BLOCK = 1 << 19
_LEVELS = {"bitshuffle": 2, "shuffle": 1}
_SHUFFLES = {"noshuffle": blosc.NOSHUFFLE, "shuffle": blosc.SHUFFLE, "bitshuffle": blosc.BITSHUFFLE}


@dataclass(frozen=True)
class ChunkCodec:
    """
    How the chunks of an array are stored.

    Parameters
    ----------
    dtype
        Of the elements in memory; ``S<width>`` is stored as ``width`` bytes a row.
    shuffle
        Blosc's filter: ``noshuffle``, ``shuffle`` or ``bitshuffle``.
    """

    dtype: np.dtype[Any]
    shuffle: str

    @classmethod
    def of(cls, role: str, dtype: np.dtype[Any]) -> ChunkCodec:
        """The codec of format 1 for an array in that role."""
        plain = dtype.kind == "S" or role == "index" or dtype == np.uint8
        return cls(dtype, "shuffle" if plain else "bitshuffle")

    @property
    def typesize(self) -> int:
        """Bytes of one stored element."""
        return 1 if self.dtype.kind == "S" else self.dtype.itemsize

    def documents(self) -> list[dict[str, Any]]:
        """The ``codecs`` of the array's Zarr document."""
        order: dict[str, Any] = {"name": "bytes"}
        if self.typesize > 1:
            order["configuration"] = {"endian": "little"}
        settings = {
            "typesize": self.typesize,
            "cname": "zstd",
            "clevel": _LEVELS[self.shuffle],
            "shuffle": self.shuffle,
            "blocksize": _BLOCK,
        }
        return [order, {"name": "blosc", "configuration": settings}, {"name": "crc32c"}]

    def encode(self, values: npt.NDArray[Any], rows: int) -> bytes:
        """
        The object of one chunk.

        Parameters
        ----------
        values, shape (n,)
            Elements, at most `rows`.
        rows
            Elements of a full chunk; what is missing is padded with zeros.
        """
        if len(values) < rows:
            padded = np.zeros(rows, self.dtype)
            padded[: len(values)] = values
            values = padded
        little = np.ascontiguousarray(values, self.dtype.newbyteorder("<"))
        packed = blosc.compress(
            little.view(np.uint8),
            b"zstd",
            _LEVELS[self.shuffle],
            _SHUFFLES[self.shuffle],
            _BLOCK,
            typesize=self.typesize,
        )
        return cast("bytes", packed) + _CRC.pack(google_crc32c.value(packed))

    def decode(self, encoded: bytes, out: npt.NDArray[Any]) -> None:
        """
        Decode one chunk into `out`, which has exactly the elements of a full chunk.

        Raises
        ------
        CorruptDataError
            The checksum or the size is wrong. Nothing is allocated by what a header claims.
        """
        if len(encoded) < _HEADER.size + _CRC.size:
            raise CorruptDataError(f"a chunk of {len(encoded)} bytes is too short to be one")
        if google_crc32c.value(encoded) != _RESIDUE:
            raise CorruptDataError("the chunk's checksum (crc32c) does not match its bytes")
        body = memoryview(encoded)[: -_CRC.size]
        _, _, _, _, raw, _, packed = _HEADER.unpack_from(body)
        if raw != out.nbytes or packed != len(body):
            raise CorruptDataError(
                f"the chunk holds {raw} bytes in {packed}, expected {out.nbytes} in {len(body)}"
            )
        try:
            blosc.decompress(body, out.view(np.uint8))
        except (RuntimeError, ValueError) as error:
            raise CorruptDataError(f"the chunk cannot be decompressed: {error}") from error


def decode_foreign(
    document: Mapping[str, Any], encoded: bytes, dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    """
    Decode one chunk with codecs that are not ours, through zarr.

    Parameters
    ----------
    document
        The array's Zarr document.
    encoded
        The object of one chunk.
    dtype
        Of the elements in memory.

    Returns
    -------
    ndarray, shape (chunk,)
        All elements of the chunk.
    """
    import json

    import zarr
    from zarr.core.buffer import default_buffer_prototype
    from zarr.storage import MemoryStore

    chunk = document["chunk_grid"]["configuration"]["chunk_shape"]
    codecs, encoded = _inflated(document["codecs"], encoded, math.prod(chunk) * _WIDEST)
    for number, codec in enumerate(codecs):
        if codec["name"] == _SHARDS:
            if number < len(codecs) - 1:
                raise CorruptDataError("what is in shards is packed once more")
            _check_shard(codec.get("configuration", {}), encoded, chunk)
    alone = {**document, "shape": list(chunk), "codecs": codecs}
    make = default_buffer_prototype().buffer.from_bytes
    key = "/".join(["c"] + ["0"] * len(chunk))
    store = MemoryStore({"zarr.json": make(json.dumps(alone).encode()), key: make(encoded)})
    values = np.asarray(zarr.open_array(store, mode="r", zarr_format=3)[...])
    return values.reshape(len(values), -1).view(dtype).reshape(-1) if dtype.kind == "S" else values


def _inflated(
    codecs: Sequence[Mapping[str, Any]], encoded: bytes, most: int
) -> tuple[list[Mapping[str, Any]], bytes]:
    """
    The bytes as they are before the last codecs of some arrays, and the codecs before these.

    What zstd and gzip say of the size of their content is anybody's word, so no more is taken of
    them than a chunk can have; zarr would take everything.

    Raises
    ------
    CorruptDataError
        There is more.
    """
    left = list(codecs)
    while left and (name := left[-1]["name"]) in ("crc32c", "gzip", "zstd"):
        left.pop()
        if name == "crc32c":
            if google_crc32c.value(encoded) != _RESIDUE:
                raise CorruptDataError("the chunk's checksum (crc32c) does not match its bytes")
            encoded = encoded[: -_CRC.size]
            continue
        encoded = _inflated_once(name, encoded, most)
    if left and left[-1]["name"] == "blosc" and _claimed_by_blosc(encoded) > most:
        raise CorruptDataError(f"the chunk holds more than the {most:,} bytes that it can have")
    return left, encoded


def _check_shard(about: Mapping[str, Any], encoded: bytes, chunk: Sequence[int]) -> None:
    """
    Raise CorruptDataError where a part of a shard is more than it can be; zarr would take it all.

    Parameters
    ----------
    about
        The configuration of the codec.
    encoded
        The shard.
    chunk
        Its shape.
    """
    inner, codecs = about["chunk_shape"], about["codecs"]
    counts = [whole // part for whole, part in zip(chunk, inner, strict=True)]
    if any(w % p or p < 1 for w, p in zip(chunk, inner, strict=True)):
        raise CorruptDataError(f"shards of {chunk} are not made of parts of {inner}")
    names = [codec["name"] for codec in about["index_codecs"]]
    if names[:1] != ["bytes"] or names[1:] not in ([], ["crc32c"]):
        raise CorruptDataError(f"the index of a shard is packed by {names}")
    if any(codec["name"] == _SHARDS for codec in codecs):
        raise CorruptDataError("there are shards in shards")
    count = math.prod(counts)
    size = 16 * count + 4 * (len(names) - 1)
    if size > len(encoded):
        raise CorruptDataError(f"a shard of {len(encoded)} bytes has no room for {count} parts")
    start = 0 if about.get("index_location") == "start" else len(encoded) - size
    most = math.prod(inner) * _WIDEST
    for first, length in np.frombuffer(encoded, "<u8", 2 * count, start).reshape(-1, 2).tolist():
        if first == length == _NOT_THERE:
            continue
        if first + length > len(encoded):
            raise CorruptDataError("a part of a shard is beyond its end")
        _inflated(codecs, encoded[first : first + length], most)


def _inflated_once(name: str, encoded: bytes, most: int) -> bytes:
    import pyarrow as pa

    with pa.CompressedInputStream(pa.BufferReader(encoded), name) as stream:
        found = stream.read(most + 1)
    if len(found) > most:
        raise CorruptDataError(f"the chunk holds more than the {most:,} bytes that it can have")
    return cast("bytes", found)


def _claimed_by_blosc(encoded: bytes) -> int:
    return int(_HEADER.unpack_from(encoded)[4]) if len(encoded) >= _HEADER.size else 0
