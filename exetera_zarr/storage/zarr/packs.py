"""Packs: rows that were appended to all columns of a table at once, in one object.

A pack is an array of bytes below its table, of one chunk without compression, whose attributes say
what is in it: for each array of each field a piece, coded as a chunk is.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import CorruptDataError
from exetera_zarr.storage.remote.limits import at_most
from exetera_zarr.storage.stores.base import LARGEST_CHUNK
from exetera_zarr.storage.zarr.chunks.coding import ChunkCodec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.storage.zarr.arrays import DraftContext

__all__ = [
    "LARGEST_PACK",
    "PackCache",
    "PackedPart",
    "StoredPack",
    "pack_document",
    "pack_of",
    "stored_pack",
]

LARGEST_PACK = 4 << 20
"""Bytes of a pack, which a reader of a bucket gets as a whole whatever it needs of it."""
_PIECES = 6
"""Pieces that are read one by one; who wants more of a pack reads it as a whole."""


@dataclass(frozen=True)
class StoredPack:
    """
    A pack as a committed version has it.

    Parameters
    ----------
    path
        Of its Zarr node.
    rows
        Which each of its fields has in it.
    document
        Its Zarr document.
    """

    path: str
    rows: int = field(compare=False)
    document: dict[str, Any] = field(compare=False)

    @property
    def key(self) -> str:
        """Key of its object."""
        return f"{self.path}/c/0"

    @property
    def name(self) -> str:
        """Its name in the table."""
        return self.path.rsplit("/", 1)[1]

    @property
    def size(self) -> int:
        """Bytes of its object."""
        return int(self.document["shape"][0])

    @property
    def pieces(self) -> Mapping[str, Mapping[str, tuple[int, int, int]]]:
        """Elements, first byte and bytes of each piece, by the field's id and the array's role."""
        found: Mapping[str, Mapping[str, tuple[int, int, int]]] = self.document["attributes"][
            "pieces"
        ]
        return found


class PackedPart:
    """
    What a pack has of an array; it is never changed.

    Parameters
    ----------
    context
        Shared by the arrays of the draft.
    pack
        The pack.
    field
        Id of the field.
    role
        Role of the array.
    dtype
        Of its elements.
    """

    changed = False
    changes = 0

    def __init__(
        self, context: DraftContext, pack: StoredPack, field: str, role: str, dtype: np.dtype[Any]
    ) -> None:
        self.context = context
        self.pack = pack
        self.dtype = dtype
        self.length, self._first, self.size = pack.pieces[field][role]
        self.last_offset = pack.pieces[field]["values"][0] if role == "index" else None
        self.known = pack.path, field, role
        """What tells it from all others."""
        if self.length * dtype.itemsize > LARGEST_CHUNK:
            raise CorruptDataError(
                f"{pack.path} has {self.length:,} elements of {dtype} in one piece; one of ours "
                f"has at most {LARGEST_CHUNK:,} bytes"
            )
        self._codec = ChunkCodec(role, dtype)

    def read(self, start: int, stop: int) -> AnyArray:
        """Elements ``start`` to ``stop``."""
        return self._decoded()[start:stop].copy()

    def jobs(self, start: int, stop: int, out: AnyArray) -> list[Callable[[], None]]:
        """What has to be done to have elements ``start`` to ``stop`` in an array."""
        return [partial(self._fill, start, stop, out)]

    def _fill(self, start: int, stop: int, out: AnyArray) -> None:
        out[...] = self._decoded()[start:stop]

    def _decoded(self) -> AnyArray:
        cache = self.context.read_cache
        decoded = cache.get(self.known)
        if decoded is None:
            decoded = np.empty(self.length, self.dtype)
            self._decode(decoded)
            cache.put(self.known, decoded)
        return decoded

    def _decode(self, out: AnyArray) -> None:
        if self.length == 0:
            return
        packs, pack = self.context.packs, self.pack
        end = self._first + self.size
        try:
            self._codec.decode(packs.piece(self.context, pack, self._first, end), out)
        except CorruptDataError as error:
            try:  # it may have been damaged on its way
                again = packs.get(self.context, pack, again=True)
                self._codec.decode(bytes(again[self._first : end]), out)
            except CorruptDataError:
                raise CorruptDataError(f"{self.context.store.url}/{pack.key}: {error}") from error

    def check(self) -> None:
        """Read it from the store; CorruptDataError if it is damaged."""
        self._decode(np.empty(self.length, self.dtype))


class PackCache:
    """The bytes of the last packs that were read, each of which several columns are read from."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._pieces: Counter[str] = Counter()

    def piece(self, context: DraftContext, pack: StoredPack, first: int, end: int) -> bytes:
        """
        Some bytes of a pack.

        Where parts of objects are cheap, a few pieces are read by themselves: a few columns of many
        are not worth the whole.
        """
        if context.store.cheap_parts and _PIECES * (end - first) < pack.size:
            with self._lock:
                self._pieces[pack.path] += 1
                few = self._pieces[pack.path] <= _PIECES
            if few and context.read_cache.get(pack.path) is None:
                try:
                    return context.store.part(pack.key, first, end)
                except FileNotFoundError as error:
                    raise context.gone(pack.key) from error
        return bytes(self.get(context, pack)[first:end])

    def get(self, context: DraftContext, pack: StoredPack, *, again: bool = False) -> memoryview:
        """
        The bytes of a pack.

        Parameters
        ----------
        context
            Of the draft.
        pack
            The pack.
        again
            Whether what is known is not to be trusted.
        """
        with self._lock:
            lock = self._locks.setdefault(pack.path, threading.Lock())
        with lock:  # so that who wants other columns waits for it, and does not ask as well
            cached = None if again else context.read_cache.get(pack.path)
            if cached is None:
                cached = np.frombuffer(self._fetch(context, pack, again=again), np.uint8)
                context.read_cache.put(pack.path, cached)
        return cached.data

    @staticmethod
    def _fetch(context: DraftContext, pack: StoredPack, *, again: bool) -> bytes:
        try:
            get = context.store.get_again if again else context.store.get
            with at_most(pack.size):
                found = get(pack.key)
        except FileNotFoundError as error:
            raise context.gone(pack.key) from error
        if len(found) != pack.size:
            raise CorruptDataError(
                f"{context.store.url}/{pack.key} has {len(found)} bytes, not {pack.size}"
            )
        return found


def pack_of(
    columns: Iterable[tuple[str, str, AnyArray]],
) -> tuple[bytes, dict[str, dict[str, list[int]]]]:
    """
    The object of a pack, and its pieces as its document has them.

    Parameters
    ----------
    columns
        Id of the field, role and elements of each array.
    """
    found, pieces = bytearray(), dict[str, dict[str, list[int]]]()
    for owner, role, values in columns:
        codec = ChunkCodec(role, values.dtype)
        piece = codec.encode(values, len(values)) if len(values) else b""
        pieces.setdefault(owner, {})[role] = [len(values), len(found), len(piece)]
        found += piece
    return bytes(found), pieces


def pack_document(
    path: str, size: int, rows: int, pieces: dict[str, dict[str, list[int]]]
) -> dict[str, Any]:
    """The Zarr document of a pack; the dimension of each is one of its own."""
    return {
        "shape": [size],
        "data_type": "uint8",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [size]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [{"name": "bytes"}],
        "attributes": {"rows": rows, "pieces": pieces},
        "dimension_names": ["byte-" + path.rpartition("-")[2]],
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }


def stored_pack(path: str, document: dict[str, Any]) -> StoredPack:
    """
    A committed pack, from its Zarr document.

    Raises
    ------
    ValueError
        The document says something that no pack has.
    """
    size, rows = document["shape"][0], document["attributes"]["rows"]
    codecs = [codec["name"] for codec in document["codecs"]]
    chunk = document["chunk_grid"]["configuration"]["chunk_shape"]
    if document["data_type"] != "uint8" or codecs != ["bytes"] or chunk != document["shape"]:
        raise ValueError("it is no pack: a pack is one chunk of bytes without compression")
    for pieces in document["attributes"]["pieces"].values():
        for role, (elements, first, length) in pieces.items():
            wanted = {"index": rows + 1}.get(role, rows if "index" not in pieces else elements)
            if elements != wanted or not 0 <= first <= first + length <= size:
                raise ValueError(f"its pieces are not those of {rows} rows in {size} bytes")
    return StoredPack(path, rows, document)
