"""Chunks: one block of an array as the bytes of one object. The hot path.

Format 1 stores ``bytes -> blosc -> crc32c``. These chunks are coded here with `numcodecs`, straight
into the destination; zarr's own pipeline reads the same bytes at half the speed.
"""

from __future__ import annotations

import struct
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt
from numcodecs import blosc

from exetera_zarr.errors import CorruptDataError
from exetera_zarr.storage.zarr.chunks.packing import BLOCK, Packer

__all__ = ["HEADER", "ChunkCodec", "checked"]

HEADER = struct.Struct("<BBBBIII")
"""Of a Blosc frame: version, version of zstd, flags, typesize, nbytes, block, cb."""
_CRC = struct.Struct("<I")
# The CRC-32C of any bytes followed by their own CRC-32C, low byte first: checking needs no copy.
_RESIDUE = 0x48674BC7


class ChunkCodec:
    """
    How the chunks of an array are stored.

    Parameters
    ----------
    role
        Of the array.
    dtype
        Of the elements in memory; ``S<width>`` is stored as ``width`` bytes a row.
    """

    def __init__(self, role: str, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self._packer = Packer(role, dtype)

    def documents(self) -> list[dict[str, Any]]:
        """The ``codecs`` of the array's Zarr document."""
        order: dict[str, Any] = {"name": "bytes"}
        packing = self._packer.usual
        if packing.typesize > 1:
            order["configuration"] = {"endian": "little"}
        settings = {
            "typesize": packing.typesize,
            "cname": packing.compressor,
            "clevel": packing.level,
            "shuffle": packing.shuffle,
            "blocksize": BLOCK,
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
        packed = self._packer.pack(little.view(np.uint8))
        return packed + _CRC.pack(google_crc32c.value(packed))

    def decode(self, encoded: bytes, out: npt.NDArray[Any]) -> None:
        """
        Decode one chunk into `out`, which has exactly the elements of a full chunk.

        Raises
        ------
        CorruptDataError
            The checksum or the size is wrong. Nothing is allocated by what a header claims.
        """
        if len(encoded) < HEADER.size + _CRC.size:
            raise CorruptDataError(f"a chunk of {len(encoded)} bytes is too short to be one")
        body = checked(encoded)
        _, _, _, _, raw, _, packed = HEADER.unpack_from(body)
        if raw != out.nbytes or packed != len(body):
            raise CorruptDataError(
                f"the chunk holds {raw} bytes in {packed}, expected {out.nbytes} in {len(body)}"
            )
        try:
            blosc.decompress(body, out.view(np.uint8))
        except (RuntimeError, ValueError) as error:
            raise CorruptDataError(f"the chunk cannot be decompressed: {error}") from error


def checked(encoded: bytes) -> memoryview:
    """
    Some bytes without the checksum at their end.

    Raises
    ------
    CorruptDataError
        It is another one.
    """
    if google_crc32c.value(encoded) != _RESIDUE:
        raise CorruptDataError("the chunk's checksum (crc32c) does not match its bytes")
    return memoryview(encoded)[: -_CRC.size]
