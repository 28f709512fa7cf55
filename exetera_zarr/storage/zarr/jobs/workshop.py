"""What the tasks of a job write for a draft: staged by each attempt, then placed as blocks."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import StorageError
from exetera_zarr.storage import concurrency, keys, names
from exetera_zarr.storage.base import Workshop
from exetera_zarr.storage.zarr import zones
from exetera_zarr.storage.zarr.arrays import chunk_key
from exetera_zarr.storage.zarr.chunks.coding import ChunkCodec
from exetera_zarr.storage.zarr.versions import manifests

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.storage.zarr.draft import Draft

__all__ = ["ZarrWorkshop"]

_AT_ONCE = 8
"""Blocks that a task has on their way at a time."""


class ZarrWorkshop(Workshop):
    """
    The workshop of a job in the store of a draft.

    Parameters
    ----------
    draft
        Of which the store, and on the client the base, count.
    job
        Sixteen hexadecimal digits.
    """

    def __init__(self, draft: Draft, job: str) -> None:
        self._draft, self._store = draft, draft.store
        self._folder = f"{keys.STAGED}/{job}"

    def stage(
        self, name: str, arrays: Mapping[str, AnyArray]
    ) -> tuple[str, dict[str, tuple[int, int, int]]]:
        found, pieces = bytearray(), {}
        for one, values in arrays.items():
            piece = _codec(values.dtype).encode(values, len(values)) if len(values) else b""
            pieces[one] = len(values), len(found), len(piece)
            found += piece
        key = f"{self._folder}/{name}"
        self._store.put(key, bytes(found))
        return key, pieces

    def staged(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        try:
            return self._store.get(key) if stop is None else self._store.part(key, start, stop)
        except FileNotFoundError as error:
            raise StorageError(
                f"{self._store.url}/{key}, which a task of a job had staged, is gone: the job has "
                "ended meanwhile, or somebody has removed it"
            ) from error

    def piece(self, data: bytes, piece: tuple[int, int, int], dtype: np.dtype[Any]) -> AnyArray:
        elements, first, size = piece
        out = np.empty(elements, dtype)
        if elements:
            _codec(dtype).decode(data[first : first + size], out)
        return out

    def place(self, path: str, role: str, number: int, values: AnyArray) -> Any:
        data = ChunkCodec(role, values.dtype).encode(values, len(values))
        # What is there was written by another attempt, from the same staged objects.
        self._store.create(chunk_key(path, values.dtype, number), data)
        with_zones = zones.have_zones(role, values.dtype, zones.LEAST_CHUNKS)
        return zones.extremes(values) if with_zones else None

    def place_each(self, blocks: Iterable[tuple[str, str, int, AnyArray]]) -> Iterator[Any]:
        place: Callable[[tuple[str, str, int, AnyArray]], Any] = lambda one: self.place(*one)  # noqa: E731
        return concurrency.ordered(place, blocks, _AT_ONCE, _AT_ONCE, "place")

    def paths(self, table: str, fields: Sequence[str], *, anew: bool) -> Callable[[str, str], str]:
        root = self._draft.root
        node = root.groups.get(table)
        if anew or node is None:
            others = {one.segment.casefold() for name, one in root.groups.items() if name != table}
            segment, columns = names.unique_segment(names.check(table), others), {}
        else:
            segment = node.segment
            columns = {name: below.segment for name, below in node.groups.items()}
        taken = {one.casefold() for one in columns.values()}
        for field in fields:
            if field not in columns:
                columns[field] = names.unique_segment(names.check(field), taken)
                taken.add(columns[field].casefold())
        return lambda field, role: f"{segment}/{columns[field]}/{role}-{secrets.token_hex(6)}"

    def changed_since(self) -> Collection[str]:
        base = self._draft.base
        newest = manifests.load(self._store)
        if newest is None or newest.number == base.number:
            return ()
        found: set[str] = set()
        for number in range(base.number + 1, newest.number + 1):
            found |= set(manifests.manifest(self._store, number).facts["changed"])
        return found

    def remove(self, paths: Collection[str] = ()) -> None:
        gone = [entry.key for entry in self._store.everything(self._folder)]
        for path in paths:
            gone += [entry.key for entry in self._store.everything(path)]
        concurrency.each(self._store.delete, gone, self._store.concurrency)
        self._store.sync()


def _codec(dtype: np.dtype[Any]) -> ChunkCodec:
    """How a staged array is coded."""
    return ChunkCodec("values", dtype)
