"""What the arrays of a table become in the next version: segments, or pieces of a pack."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from exetera_zarr.storage import keys
from exetera_zarr.storage.zarr import layout, zones
from exetera_zarr.storage.zarr.arrays import DraftArray, StoredArray
from exetera_zarr.storage.zarr.packs import (
    LARGEST_PACK,
    PackedPart,
    StoredPack,
    pack_document,
    pack_of,
)
from exetera_zarr.storage.zarr.segments import SettledArray, parts_of_next

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from exetera_zarr.storage.zarr.arrays import DraftContext
    from exetera_zarr.storage.zarr.layout import Node
    from exetera_zarr.storage.zarr.segments import Part, SegmentedArray

__all__ = ["Settling"]

_SHARE = 4
"""
This many packs of about the same size become one, and a pack has fewer rows than a block divided by
this.

A pack is written again once for each fourfold of its rows, and there are up to three of each size.
"""


@dataclass
class Settling:
    """
    What a version will have, and what must be done before that is true.

    Parameters
    ----------
    context
        Of the draft.
    known
        Packs that were written before, by what is in them.
    joins
        Whether packs are joined with what was appended, so that there are few of them.
    """

    context: DraftContext
    known: dict[tuple[Any, ...], StoredPack]
    joins: bool = True
    arrays: list[SettledArray] = field(default_factory=list)
    work: list[Callable[[], None]] = field(default_factory=list)
    """Independent of each other; each may be repeated."""
    packs: dict[tuple[Any, ...], StoredPack] = field(default_factory=dict)
    """Those that are written by that, as of `known`."""

    def table(self, path: str, node: Node) -> None:
        """A child of the root, with all below."""
        kept = [pack for pack in node.packs if pack.path.startswith(f"{path}/")]
        appended = _Appended.of(path, node)
        if appended is not None:
            joined = appended.to_join(kept) if self.joins else []
            if joined is not None:
                self._pack(path, node, appended, joined)
                return
            kept = []
        self._fields(node, path, kept)
        for below in node.groups.values():
            self._fields(below, f"{path}/{below.segment}", kept)

    def _fields(self, node: Node, path: str, packs: Collection[StoredPack]) -> None:
        """The arrays of a field."""
        if not node.arrays:
            return
        parts = parts_of_next(node.arrays, packs)
        for role, array in node.arrays.items():
            dimensions = layout.dimensions_of(role, array.dtype, of_bytes="index" in node.arrays)
            stored = [
                self._part(path, role, part, dimensions, first=number == 0)
                for number, part in enumerate(parts[role])
            ]
            self.arrays.append(
                SettledArray(array, array.changes, tuple(parts[role]), tuple(stored))
            )

    def _part(
        self, path: str, role: str, part: Part, dimensions: list[str], *, first: bool
    ) -> StoredArray | StoredPack:
        if isinstance(part, PackedPart):
            return part.pack
        target, work = part.settle(path)
        if not target.document:
            if not first:  # other rows than those of the first segment have another dimension
                suffix = target.path.rpartition("-")[2]
                dimensions = [f"{dimensions[0]}-{suffix}", *dimensions[1:]]
            target = self._documented(target, role, part, dimensions)
            if isinstance(part, DraftArray) and part.zoned(target):
                work.append(partial(part.settle_zones, target))
        self.work += work
        return target

    def _documented(
        self, target: StoredArray, role: str, part: DraftArray, dimensions: list[str]
    ) -> StoredArray:
        said = {}
        if role == "index" and part.length:
            said["bytes"] = int(part.read(part.length - 1, part.length)[0])
        if part.zoned(target):
            said["zones"] = zones.FORMAT
        document = layout.array_document(target, role, dimensions, said)
        made = StoredArray(
            target.path, target.dtype, target.length, target.chunk, document, target.native
        )
        # Nobody looks at the path yet, and nobody ever writes another document there.
        self._put(target.path, f"{target.path}/{keys.DOCUMENT}", layout.plain(document))
        return made

    def _put(self, path: str, key: str, data: bytes) -> None:
        key = self.context.note(path, key)
        self.work.append(partial(self.context.store.put, key, data))
        self.context.settled.add(path)

    def _pack(self, path: str, table: Node, appended: _Appended, joined: list[StoredPack]) -> None:
        """Have what was appended, and packs before it, in one pack."""
        identity = (path, *appended.identity, *(pack.path for pack in joined))
        pack = self.known.get(identity)
        if pack is None:
            columns = [
                (column.id, role, array.from_part(len(array.committed) - len(joined)))
                for column in table.groups.values()
                for role, array in column.arrays.items()
            ]
            data, pieces = pack_of(columns)
            rows = appended.rows + sum(one.rows for one in joined)
            name = self.context.fresh_pack(path)
            pack = StoredPack(name, rows, pack_document(name, len(data), rows, pieces))
            self.packs[identity] = pack
            self._put(pack.path, pack.key, data)
            document = layout.plain(pack.document)
            self._put(pack.path, f"{pack.path}/{keys.DOCUMENT}", document)
        for column in table.groups.values():
            for role, array in column.arrays.items():
                end = len(array.committed) - len(joined)
                piece = PackedPart(self.context, pack, column.id, role, array.dtype)
                parts = (*array.committed[:end], piece)
                stored = (*array.stored[:end], pack)
                self.arrays.append(SettledArray(array, array.changes, parts, stored))


@dataclass(frozen=True)
class _Appended:
    """
    Rows that were appended to all columns of a table, and few enough for a pack.

    Parameters
    ----------
    rows
        How many.
    size
        Their bytes in memory.
    limit
        Rows that a pack has at most.
    arrays
        All of the table.
    """

    rows: int
    size: int
    limit: int
    arrays: list[SegmentedArray]

    @classmethod
    def of(cls, path: str, table: Node) -> _Appended | None:
        """What was appended to a table; None if that is something else, or more."""
        arrays, rows, before, size = [], set(), set(), 0
        for column in table.groups.values():
            lead = column.arrays.get("index", column.arrays.get("values"))
            tail = None if lead is None else lead.tail
            if lead is None or tail is None:
                return None
            extra = int(lead.role == "index")  # offsets are one more than rows
            rows.add(tail.length - extra)
            before.add(lead.length - tail.length)
            if len(rows) > 1 or len(before) > 1:
                return None
            for array in column.arrays.values():
                if not _can_be_packed(array, len(lead.committed), f"{path}/{column.segment}/"):
                    return None
                size += array.tail.length * array.dtype.itemsize if array.tail else 0
                arrays.append(array)
        limit = table.row_block // _SHARE
        if not arrays or not 0 < min(rows) < limit or size > LARGEST_PACK:
            return None
        return cls(min(rows), size, limit, arrays)

    @property
    def identity(self) -> tuple[Any, ...]:
        """What tells it from all that was or will be appended."""
        tails = (array.tail for array in self.arrays)
        return tuple((tail.serial, tail.changes) for tail in tails if tail is not None)

    def to_join(self, packs: list[StoredPack]) -> list[StoredPack] | None:
        """The packs that it is joined with; None where that would be more than a pack."""
        common = min(len(array.packs) for array in self.arrays)
        left = packs[len(packs) - common :]
        joined: list[StoredPack] = []
        rows, size = self.rows, self.size
        while True:
            first = len(left)
            while first and left[first - 1].rows < _SHARE * rows:
                first -= 1
            if len(left) - first < _SHARE - 1:
                return joined
            joined = [*left[first:], *joined]
            rows += sum(pack.rows for pack in left[first:])
            size += sum(pack.size for pack in left[first:])
            left = left[:first]
            if rows >= self.limit or size > LARGEST_PACK:
                return None


def _can_be_packed(array: SegmentedArray, committed: int, prefix: str) -> bool:
    """Whether what was appended to an array is in memory, and the rest stays where it is."""
    tail = array.tail
    if tail is None or not tail.buffered or len(array.committed) != committed:
        return False
    return all(
        isinstance(part, PackedPart)
        or (part.stored is not None and part.stored.path.startswith(prefix))
        for part in array.committed
    )
