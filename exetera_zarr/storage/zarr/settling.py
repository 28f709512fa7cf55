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
from exetera_zarr.storage.zarr.segments import (
    SettledArray,
    have_their_bytes_alone,
    parts_of_next,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

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
        fields = [(path, node)] if node.arrays else []
        fields += [(f"{path}/{f.segment}", f) for f in node.groups.values() if f.arrays]
        for _, column in fields:
            have_their_bytes_alone(column.arrays)
        kept = [pack for pack in node.packs if pack.path.startswith(f"{path}/")]
        added = _Added.of(node)
        joined = None
        if added is not None:
            joined = added.to_join(kept) if self.joins else []
        if added is None or joined is None:
            left = kept if added is None else []
            for where, column in fields:
                self._field(column, where, parts_of_next(column.arrays, left))
            return
        left = kept[: len(kept) - len(joined)]
        columns = [column for column in added.columns if _goes_on(column, joined)]
        if not columns:  # all of them have left some of these packs
            left, joined, columns = kept, [], added.columns
        parts = {id(column): self._before(column, left, len(joined)) for column in columns}
        pack = self._pack(path, added, columns, joined)
        for where, column in fields:
            known = parts.get(id(column))
            if known is None:  # which is behind all packs, and so in none
                self._field(column, where, parts_of_next(column.arrays, ()))
                continue
            for role, array in column.arrays.items():
                known[role].append(PackedPart(self.context, pack, column.id, role, array.dtype))
            self._field(column, where, known)

    def _before(
        self, column: Node, packs: Collection[StoredPack], joined: int
    ) -> dict[str, list[Part]]:
        """The parts of a field in front of a new pack, which has its last rows, and packs."""
        end = len(next(iter(column.arrays.values())).parts) - 1 - joined
        return parts_of_next(column.arrays, packs, end)

    def _field(self, node: Node, path: str, parts: Mapping[str, Sequence[Part]]) -> None:
        """The arrays of a field."""
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

    def _pack(
        self, path: str, added: _Added, columns: Sequence[Node], joined: Sequence[StoredPack]
    ) -> StoredPack:
        """A pack of what was added to some columns of a table, and of packs before it."""
        arrays = [
            (column.id, role, array) for column in columns for role, array in column.arrays.items()
        ]
        last = [(array.segments[-1].serial, array.segments[-1].changes) for *_, array in arrays]
        identity = (path, *last, *(pack.path for pack in joined))
        pack = self.known.get(identity)
        if pack is None:
            data, pieces = pack_of(
                (owner, role, array.from_part(len(array.parts) - 1 - len(joined)))
                for owner, role, array in arrays
            )
            rows = added.rows + sum(one.rows for one in joined)
            name = self.context.fresh_pack(path)
            pack = StoredPack(name, rows, pack_document(name, len(data), rows, pieces))
            self.packs[identity] = pack
            self._put(pack.path, pack.key, data)
            document = layout.plain(pack.document)
            self._put(pack.path, f"{pack.path}/{keys.DOCUMENT}", document)
        return pack


@dataclass(frozen=True)
class _Added:
    """
    Rows that were added to all columns of a table, and few enough for a pack.

    Parameters
    ----------
    rows
        How many.
    size
        Their bytes in memory.
    limit
        Rows that a pack has at most.
    columns
        Those that can go on in a pack. Others were written anew, or alone, and have all of their
        rows in segments.
    """

    rows: int
    size: int
    limit: int
    columns: list[Node]

    @classmethod
    def of(cls, table: Node) -> _Added | None:
        """What was added to a table; None if that is something else, or more."""
        found = [(column, _tail_rows(column)) for column in table.groups.values()]
        columns = [column for column, count in found if count]
        rows = {count for _, count in found if count}
        if len(rows) != 1 or len({_rows_of(column) for column in table.groups.values()}) != 1:
            return None
        tails = [array.segments[-1] for c in columns for array in c.arrays.values()]
        size = sum(tail.length * tail.dtype.itemsize for tail in tails)
        limit = table.row_block // _SHARE
        if min(rows) >= limit or size > LARGEST_PACK:
            return None
        return cls(min(rows), size, limit, columns)

    def to_join(self, packs: list[StoredPack]) -> list[StoredPack] | None:
        """The packs that it is joined with; None where that would be more than a pack."""
        left = list(packs)
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


def _lead(column: Node) -> SegmentedArray | None:
    """The array of a field that tells its rows."""
    return column.arrays.get("index", column.arrays.get("values"))


def _rows_of(column: Node) -> int | None:
    """Rows of a field."""
    lead = _lead(column)
    return None if lead is None else max(lead.length - (lead.role == "index"), 0)


def _tail_rows(column: Node) -> int:
    """Rows of the last segment of a field, if these were added and it is not stored; 0 if not."""
    lead = _lead(column)
    if lead is None or len(lead.parts) < 2:
        return 0
    for array in column.arrays.values():
        last = array.parts[-1]
        if not isinstance(last, DraftArray) or not last.buffered:
            return 0
        if len(array.parts) != len(lead.parts):
            return 0
    tail = lead.parts[-1].length - (lead.role == "index")
    added = lead.length - sum(count for *_, count in lead.spread_over(lead.committed))
    return tail if tail == added else 0


def _goes_on(column: Node, joined: Sequence[StoredPack]) -> bool:
    """Whether a field has all rows of some packs in these, in front of its last segment."""
    for array in column.arrays.values():
        before = array.parts[len(array.parts) - 1 - len(joined) : -1]
        if [part.pack for part in before if isinstance(part, PackedPart)] != list(joined):
            return False
    return True
