"""Zones: the least and the greatest value of each chunk of an array, in one object beside them.

They say which chunks a comparison need not read. The object ``zones`` in the folder of an array of
at least four chunks has the least value of each chunk, then the greatest of each, then a byte for
each that is 1 where these are known, all little-endian, and behind that the checksum of these bytes
(CRC32C, little-endian). A chunk of floats with a NaN has no known ones. What is missing or damaged
says nothing, so readers then look at the chunks themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from google_crc32c import value as crc32c

if TYPE_CHECKING:
    from exetera_zarr.storage.base import AnyArray

__all__ = [
    "FORMAT",
    "LEAST_CHUNKS",
    "Extremes",
    "Zones",
    "extremes",
    "have_zones",
    "size_of",
    "zones_key",
]

FORMAT = 1
"""What the attribute `zones` of an array's document says where it has them."""
LEAST_CHUNKS = 4
"""Of an array that has zones."""
Extremes: TypeAlias = tuple[Any, Any] | None
"""The least and the greatest of some values, as Python's numbers; None where nothing is known."""


def zones_key(path: str) -> str:
    """Key of the object."""
    return f"{path}/zones"


def size_of(dtype: np.dtype[Any], chunks: int) -> int:
    """Bytes of the object."""
    return chunks * (2 * dtype.itemsize + 1) + 4


def have_zones(role: str, dtype: np.dtype[Any], chunks: int) -> bool:
    """Whether an array has zones; of values of one byte most would be in every chunk."""
    return (
        role == "values" and dtype.kind in "iuf" and dtype.itemsize > 1 and chunks >= LEAST_CHUNKS
    )


def extremes(values: AnyArray) -> Extremes:
    """The least and the greatest of some values; None where there are none, or one is NaN."""
    if len(values) == 0:
        return None
    least, greatest = values.min(), values.max()
    if least != least:  # noqa: PLR0124 - NaN
        return None
    return least.item(), greatest.item()


@dataclass(frozen=True)
class Zones:
    """
    The extremes of the chunks of an array.

    Parameters
    ----------
    least, greatest : ndarray, shape (chunks,)
        Of the dtype of the array.
    known : ndarray of bool, shape (chunks,)
        Where these mean something.
    """

    least: AnyArray
    greatest: AnyArray
    known: AnyArray

    @classmethod
    def of(cls, dtype: np.dtype[Any], each: list[Extremes]) -> Zones:
        """Those of an array, from those of each chunk."""
        known = np.array([one is not None for one in each], np.bool_)
        pairs = np.array([one or (0, 0) for one in each], dtype).reshape(len(each), 2)
        return cls(pairs[:, 0].copy(), pairs[:, 1].copy(), known)

    def over(self, first: int, end: int) -> Extremes:
        """The extremes of some chunks together."""
        if not self.known[first:end].all() or first >= end:
            return None
        return self.least[first:end].min().item(), self.greatest[first:end].max().item()

    def encoded(self) -> bytes:
        """The object."""
        little = self.least.dtype.newbyteorder("<")
        parts = [self.least.astype(little), self.greatest.astype(little)]
        data = b"".join([*(part.tobytes() for part in parts), self.known.astype("u1").tobytes()])
        digest: bytes = crc32c(data).to_bytes(4, "little")
        return data + digest

    @classmethod
    def decoded(cls, data: bytes, dtype: np.dtype[Any], chunks: int) -> Zones | None:
        """What an object says; None where it is damaged."""
        size = chunks * dtype.itemsize
        body, digest = data[:-4], data[-4:]
        if len(data) != size_of(dtype, chunks) or crc32c(body).to_bytes(4, "little") != digest:
            return None
        little = dtype.newbyteorder("<")
        least, greatest = (
            np.frombuffer(body, little, chunks, offset).astype(dtype) for offset in (0, size)
        )
        # Not where one is NaN, or they are no bounds.
        known = (np.frombuffer(body, np.uint8, chunks, 2 * size) == 1) & (least <= greatest)
        return cls(least, greatest, known)
