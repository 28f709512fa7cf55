"""Arrays of a draft as their fields see them: one after the other, what they are stored in.

An array is stored in segments, which are arrays of their own, and in pieces of packs behind these.
What is appended to a committed array begins a new segment, so that nothing that is there is read or
copied. What is overwritten changes the segment that it is in.

The offsets of strings are local to their segment: each begins with 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from exetera_zarr.errors import CorruptDataError
from exetera_zarr.storage import concurrency
from exetera_zarr.storage.base import empty
from exetera_zarr.storage.zarr.arrays import DraftArray, StoredArray
from exetera_zarr.storage.zarr.packs import PackedPart, StoredPack
from exetera_zarr.storage.zarr.table_documents import PartOfTable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence

    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.storage.zarr.arrays import DraftContext
    from exetera_zarr.storage.zarr.zones import Extremes

__all__ = [
    "Part",
    "SegmentedArray",
    "SettledArray",
    "have_their_bytes_alone",
    "paired",
    "parts_of_next",
]

Part: TypeAlias = DraftArray | PackedPart
_FEW_BYTES = 1 << 18
"""Less than that is read in less time than it takes to hand it to another thread (measured)."""


class SegmentedArray(PartOfTable):
    """
    One array of a draft.

    Parameters
    ----------
    context
        Shared by the arrays of the draft.
    prefix
        Node path of the field.
    role
        ``values`` or ``index``.
    dtype
        Of the elements.
    block
        Elements of a full chunk of a new segment.
    parts
        What it is committed as.
    """

    def __init__(
        self,
        context: DraftContext,
        prefix: str,
        role: str,
        dtype: np.dtype[Any],
        block: int,
        parts: Sequence[Part] = (),
    ) -> None:
        self.context = context
        self.prefix = prefix
        self.role = role
        self.dtype = dtype
        self.block = block
        self.committed: tuple[Part, ...] = tuple(parts)
        self.parts: tuple[Part, ...] = tuple(parts) or (self.new_segment(),)
        self.other: SegmentedArray | None = None
        """Of strings, the array in the other role."""
        self._changes = 0

    def new_segment(self) -> DraftArray:
        """One that can be a part of it."""
        return DraftArray(self.context, self.prefix, self.role, self.dtype, self.block)

    # -- what it is

    @property
    def length(self) -> int:
        """Elements."""
        length = 0
        for part in self.parts:  # as of `spread_over`, and asked for very often
            length += part.length
            if self.role == "index" and length > part.length > 0:
                length -= 1
        return length

    @property
    def segments(self) -> list[DraftArray]:
        """Those of its parts that are arrays of their own."""
        return [part for part in self.parts if isinstance(part, DraftArray)]

    @property
    def changes(self) -> tuple[int, ...]:
        """Another one after each change."""
        return self._changes, *(part.changes for part in self.parts)

    @property
    def changed(self) -> bool:
        """Whether it differs from the committed array."""
        return self.parts != self.committed or any(part.changed for part in self.parts)

    @property
    def tail(self) -> DraftArray | None:
        """The segment that was appended, if nothing else was changed."""
        *before, last = self.parts
        if (
            not self.committed
            or tuple(before) != self.committed
            or not isinstance(last, DraftArray)
        ):
            return None
        return None if any(part.changed for part in before) else last

    @property
    def packs(self) -> list[StoredPack]:
        """The packs that it goes on in."""
        return [part.pack for part in self.parts if isinstance(part, PackedPart)]

    @property
    def stored(self) -> list[StoredArray | StoredPack]:
        """What its parts are in a version, as far as they are."""
        found = (p.pack if isinstance(p, PackedPart) else p.stored for p in self.parts)
        return [one for one in found if one is not None]

    @property
    def content(self) -> list[tuple[Hashable, int]]:
        """What its parts are stored as, and their elements; nothing if something was changed."""
        found: list[tuple[Hashable, int]] = []
        for part, _, _, count in self.spread_over(self.parts):
            if isinstance(part, PackedPart):
                found.append((part.known, count))
            elif part.stored is None or part.changed:
                return []
            else:
                found.append((part.stored.path, count))
        return found

    def take(self, tail: DraftArray) -> None:
        """Have a segment of another draft of the same array at the end."""
        self.touch()
        self._changes += 1
        self.parts = (*self.parts, tail)

    def compact(self) -> None:
        """Have it in one array."""
        if len(self.parts) > 1:
            merged = self.merged(0, len(self.parts))
            self.context.changing(self)
            self._changes += 1
            self.parts = (merged,)

    def at_once(self, elements: int) -> int:
        """How many arrays are better read at a time; see `storage.base.Array.at_once`."""
        return self.context.at_once(elements)

    def spread_over(self, parts: Sequence[Part]) -> Iterator[tuple[Part, int, int, int]]:
        """Each part, the elements before it, the first of its own that counts, and how many do."""
        before = 0
        for part in parts:
            local = 1 if self.role == "index" and before else 0  # the 0 that it begins with
            count = max(part.length - local, 0)
            yield part, before, local, count
            before += count

    def _base(self, number: int) -> int:
        """Bytes of strings before a part, whose offsets do not count them."""
        if self.role != "index" or number == 0 or self.other is None:
            return 0
        return sum(part.length for part in self.other.parts[:number])

    # -- reading

    def read(self, start: int, stop: int, out: AnyArray | None = None) -> AnyArray:
        """Elements ``start`` to ``stop``; see `storage.base.Array.read`."""
        parts = self.parts
        if self.role == "index" and stop - start == 1 and stop == self.length:
            known = _last_offset(parts[-1])
            if known is not None:
                out = np.empty(1, self.dtype) if out is None else out
                out[0] = known + self._base(len(parts) - 1)
                return out
        if len(parts) == 1 and isinstance(parts[0], DraftArray):
            return parts[0].read(start, stop, out)
        if out is None:
            out = empty(stop - start, self.dtype)
        jobs: list[Callable[[], None]] = []
        small: list[Callable[[], None]] = []
        near = not self.context.store.distant
        bases: list[tuple[AnyArray, int]] = []
        for number, (part, before, local, count) in enumerate(self.spread_over(parts)):
            low, high = max(start - before, 0), min(stop - before, count)
            if low < high:
                piece = out[before + low - start : before + high - start]
                few = near and piece.nbytes < _FEW_BYTES
                (small if few else jobs).extend(part.jobs(low + local, high + local, piece))
                bases.append((piece, self._base(number)))
        if len(jobs) > 1:
            concurrency.run([*jobs, *small], self.context.store.concurrency)
        else:
            for job in (*jobs, *small):
                job()
        for piece, base in bases:
            if base:
                np.add(piece, base, out=piece)
        return out

    def extremes(self, start: int, stop: int) -> Extremes:
        """Bounds of elements ``start`` to ``stop``; see `storage.base.Array.extremes`."""
        found: list[Any] = []
        for part, before, local, count in self.spread_over(self.parts):
            low, high = max(start - before, 0), min(stop - before, count)
            if low < high:
                one = None
                if isinstance(part, DraftArray):
                    one = part.extremes(low + local, high + local)
                if one is None:
                    return None
                found += one
        return (min(found), max(found)) if found else None

    # -- changing

    def append(self, values: AnyArray, *, given: bool = False) -> None:
        """Add elements at the end; whole blocks are uploaded at once, `given` ones beside work."""
        with self.context.lock:
            segment = self._to_extend()
            base = self._base(len(self.parts) - 1)
            segment.append(values - base if base else values, given=given)

    def adopt(self, path: str, extremes: Sequence[Extremes], rest: AnyArray) -> None:
        """
        Have a segment of blocks that others have written, and of a rest, at the end.

        Parameters
        ----------
        path, extremes
            As of `DraftArray.adopt`.
        rest
            Elements behind these blocks. Offsets of strings are those in this segment.
        """
        with self.context.lock:
            self.context.changing(self)
            segment = self.new_segment()
            segment.adopt(path, extremes)
            if len(rest):
                segment.append(rest)
            self._changes += 1
            alone = len(self.parts) == 1 and not self.committed and self.length == 0
            self.parts = (segment,) if alone else (*self.parts, segment)

    def _to_extend(self) -> DraftArray:
        """The segment that takes what is appended."""
        last = self.parts[-1]
        if not self._closed():
            assert isinstance(last, DraftArray)
            return last
        if self.role == "index" and self.other is not None and not self._follows():
            self.other.begin()  # of strings that have no bytes
        return self.begin()

    def _closed(self) -> bool:
        """Whether what is appended begins a new segment."""
        if not _of_a_version(self.parts[-1]):
            return False
        if self.other is None:
            return self.role == "values" and self.parts[-1].length > 0
        if self.role == "values":
            # The offsets that end here are looked at when they are appended to.
            return self.other.length > 0 and _of_a_version(self.other.parts[-1])
        return self.length > 0 and (self._follows() or self._ends_with_its_bytes())

    def _follows(self) -> bool:
        """Whether the bytes have begun a segment that has no offsets yet."""
        return self.other is not None and len(self.other.parts) > len(self.parts)

    def _ends_with_its_bytes(self) -> bool:
        """Whether the last offset is the number of bytes, as it is but after a failed append."""
        other = self.other
        if other is None or not _of_a_version(other.parts[-1]):
            return False
        return int(self.read(self.length - 1, self.length)[0]) == other.length

    def begin(self) -> DraftArray:
        """A new segment at the end."""
        self.context.changing(self)
        segment = self.new_segment()
        if self.role == "index":
            segment.append(np.zeros(1, self.dtype))
        self._changes += 1
        self.parts = (*self.parts, segment)
        return segment

    def write(self, start: int, values: AnyArray) -> None:
        """Overwrite from `start`, all or nothing."""
        with self.context.lock:
            stop = start + len(values)
            parts = list(self.spread_over(self.parts))
            packed = [
                number
                for number, (part, before, _, count) in enumerate(parts)
                if isinstance(part, PackedPart) and start < before + count and stop > before
            ]
            if packed:
                self._unpack(self.parts[: packed[-1] + 1])
                parts = list(self.spread_over(self.parts))
            undo: list[Callable[[], None]] = []
            try:
                for number, (part, before, local, count) in enumerate(parts):
                    low, high = max(start - before, 0), min(stop - before, count)
                    if low < high:
                        assert isinstance(part, DraftArray)
                        some = values[before + low - start : before + high - start]
                        base = self._base(number)
                        if len(parts) > 1:
                            undo.append(part.saved())
                        part.write(low + local, some - base if base else some)
            except BaseException:
                for restore in undo:
                    restore()
                raise

    def _unpack(self, upto: Sequence[Part]) -> None:
        """Have those of the first parts that are in packs in segments."""
        self.context.changing(self)
        self._changes += 1
        made: list[Part] = []
        for part in upto:
            if isinstance(part, PackedPart):
                segment = self.new_segment()
                segment.append(part.read(0, part.length))
                made.append(segment)
            else:
                made.append(part)
        self.parts = (*made, *self.parts[len(made) :])

    def replace(self, parts: Sequence[Part]) -> None:
        """Have other parts."""
        self.context.changing(self)
        self._changes += 1
        self.parts = tuple(parts) or (self.new_segment(),)

    def leave(self, packs: Collection[str]) -> None:
        """Have nothing in some packs, by their paths."""
        inside = [
            number
            for number, part in enumerate(self.parts)
            if isinstance(part, PackedPart) and part.pack.path in packs
        ]
        if inside:
            self._unpack(self.parts[: inside[-1] + 1])

    def emptied(self) -> SegmentedArray:
        """One of the same type and place without elements."""
        return SegmentedArray(self.context, self.prefix, self.role, self.dtype, self.block)

    def move(self) -> None:
        """Have the next version at new paths, although nothing was changed."""
        if self.packs:
            self._unpack(self.parts)
        for segment in self.segments:
            segment.move()

    def saved(self) -> Callable[[], None]:
        """As of `storage.undo.Changeable`; each segment remembers itself."""
        return partial(self._restore, self.parts)

    def _restore(self, parts: tuple[Part, ...]) -> None:
        self._changes += 1
        self.parts = parts

    # -- committing

    def from_part(self, first: int) -> AnyArray:
        """All elements from a part on, as a segment of their own would have them."""
        start = list(self.spread_over(self.parts))[first][1]
        values, base = self.read(start, self.length), self._base(first)
        values = values - base if base else values
        return np.append(np.zeros(1, self.dtype), values) if self._has_zero(start) else values

    def _has_zero(self, start: int) -> bool:
        """Whether a segment that begins there has a 0 that the array has not."""
        return self.role == "index" and start > 0

    def merged(self, first: int, end: int) -> DraftArray:
        """
        Some parts as one segment, which is written block by block.

        Parameters
        ----------
        first, end
            Numbers of the first one, and of the one after the last.
        """
        segment = self.new_segment()
        spread = list(self.spread_over(self.parts))
        start = spread[first][1]
        stop = spread[end - 1][1] + spread[end - 1][3]
        base = self._base(first)
        if self._has_zero(start):
            segment.append(np.zeros(1, self.dtype))
        for low in range(start, stop, self.block):
            values = self.read(low, min(low + self.block, stop))
            segment.append(values - base if base else values)
        return segment

    def settled(
        self,
        parts: Sequence[Part],
        stored: Sequence[StoredArray | StoredPack],
        changes: tuple[int, ...],
    ) -> None:
        """
        Take the committed array as the new start; its elements stay the same.

        Parameters
        ----------
        parts, stored
            As of `SettledArray`.
        changes
            What `changes` was then; what came after stays over it.
        """
        unchanged = changes == self.changes
        for part, target in zip(parts, stored, strict=True):
            if isinstance(part, DraftArray) and isinstance(target, StoredArray):
                part.settled(target, part.changes if unchanged else -1)
        self.committed = tuple(parts)
        if unchanged:
            self.parts = tuple(parts)
        else:
            for segment in self.segments:
                if segment not in parts and segment.stored is not None:
                    segment.move()  # the version has joined it with others


@dataclass(frozen=True)
class SettledArray:
    """
    An array as the next version will have it.

    Parameters
    ----------
    array
        Of the draft.
    changes
        What its `changes` was.
    parts
        What it is made of then.
    stored
        What each of them is then.
    """

    array: SegmentedArray
    changes: tuple[int, ...]
    parts: tuple[Part, ...]
    stored: tuple[StoredArray | StoredPack, ...]

    def settle(self) -> None:
        """Note that there is such a version."""
        self.array.settled(self.parts, self.stored, self.changes)


def parts_of_next(
    arrays: Mapping[str, SegmentedArray], packs: Collection[StoredPack], end: int | None = None
) -> dict[str, list[Part]]:
    """
    The parts of the arrays of a field in the next version: segments, then packs.

    What was appended, and what has to leave packs, becomes a segment. A segment that is new is
    joined with the one before unless that has more rows, so that there are few of them.

    Parameters
    ----------
    arrays
        By role.
    packs
        Those that the table will have.
    end
        How many of the parts that there are, if not all.
    """
    lead = arrays.get("index", arrays["values"])
    spread = list(lead.spread_over(lead.parts))[:end]
    columns = {role: list(array.parts[: len(spread)]) for role, array in arrays.items()}
    if len(spread) == 1:
        return columns
    kept = len(spread)
    while kept and all(_is_in(parts[kept - 1], packs) for parts in columns.values()):
        kept -= 1
    rows = [count for *_, count in spread]
    groups = _written_together(list(zip(*columns.values(), strict=True))[:kept], rows)
    made: dict[str, list[Part]] = {role: [] for role in arrays}
    for role, parts in columns.items():
        for group in groups:
            there = [k for k in group if rows[k]] or [group.start]
            alone = parts[there[0]]
            if len(there) == 1 and isinstance(alone, DraftArray):
                made[role].append(alone)
            else:
                made[role].append(arrays[role].merged(there[0], there[-1] + 1))
        made[role] += parts[kept:]
    return made


def _written_together(parts: Sequence[tuple[Part, ...]], rows: Sequence[int]) -> list[range]:
    """
    Which parts become one segment; one that is a segment stays it, where it is alone.

    Parameters
    ----------
    parts
        In order; of each the arrays of the field.
    rows
        Of each.
    """
    groups: list[range] = []
    new = False
    for number, arrays in enumerate(parts):
        before, new = new, any(_new(part) for part in arrays)
        if groups and before and new:
            groups[-1] = range(groups[-1].start, number + 1)
        else:
            groups.append(range(number, number + 1))
    while len(groups) > 1:
        held, last = (sum(rows[k] for k in group) for group in groups[-2:])
        if held and last and not (new and held <= last):
            break
        end = groups.pop().stop
        groups[-1] = range(groups[-1].start, end)
    return groups


def _new(part: Part) -> bool:
    """Whether a part has no array of its own so far."""
    return isinstance(part, PackedPart) or (part.stored is None and not part.adopted)


def have_their_bytes_alone(arrays: Mapping[str, SegmentedArray]) -> None:
    """Forget bytes behind the last offset, which a failed append left, as far as they are new."""
    if "index" not in arrays:
        return
    index, values = arrays["index"], arrays["values"]
    last = values.parts[-1]
    if (
        len(values.parts) > len(index.parts)
        or index.length == 0
        or not isinstance(last, DraftArray)
    ):
        return  # what nobody has offsets for is left out
    if last.stored is None and not _of_a_version(index.parts[-1]):
        used = int(index.read(index.length - 1, index.length)[0])
        spare = values.length - used
        if not 0 <= spare <= last.length:
            raise CorruptDataError(
                f"{index.prefix}: its last offset is {used}, and it has {values.length} bytes"
            )
        if spare:
            last.shorten(last.length - spare)


def _is_in(part: Part, packs: Collection[StoredPack]) -> bool:
    return isinstance(part, PackedPart) and part.pack in packs


def _last_offset(part: Part) -> int | None:
    """The last of the offsets of a part, where its document says it."""
    if isinstance(part, PackedPart):
        return part.last_offset
    if part.stored is None or part.changed:
        return None
    known: int | None = part.stored.document.get("attributes", {}).get("bytes")
    return known


def _of_a_version(part: Part) -> bool:
    """Whether a version has a part, which may have been overwritten since, and does not grow."""
    return isinstance(part, PackedPart) or part.stored is not None


def paired(arrays: Mapping[str, SegmentedArray]) -> None:
    """Have the two arrays of strings know each other."""
    if len(arrays) > 1:
        arrays["index"].other, arrays["values"].other = arrays["values"], arrays["index"]
