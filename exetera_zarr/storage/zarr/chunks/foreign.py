"""Chunks that other writers coded: decoded by zarr, once it is known how much they can be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from exetera_zarr.errors import CorruptDataError
from exetera_zarr.storage.zarr.chunks.coding import HEADER, checked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["decode_foreign"]

_SHARDS = "sharding_indexed"
_NOT_THERE = (1 << 64) - 1
"""Where, and how long, a part of a shard is that was not written."""
_WIDEST = 9
"""Bytes of an element, and of what codecs between may add."""


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
            encoded = bytes(checked(encoded))
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
    return int(HEADER.unpack_from(encoded)[4]) if len(encoded) >= HEADER.size else 0
