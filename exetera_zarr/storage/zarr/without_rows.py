"""Fields without some of their rows: what has none of them stays stored as it is."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from exetera_zarr.storage.zarr.arrays import DraftArray
from exetera_zarr.storage.zarr.packs import PackedPart

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping

    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.storage.zarr.arrays import DraftContext
    from exetera_zarr.storage.zarr.layout import Node
    from exetera_zarr.storage.zarr.segments import Part, SegmentedArray

__all__ = ["WrittenParts", "leave_packs", "strange_packs", "without_rows"]

_AT_ONCE = 64 << 20
"""Bytes of strings that are taken apart in memory."""


class WrittenParts:
    """
    Parts of arrays without some of their rows, as they were written for the version before.

    Versions that follow each other share them, as they shared what they were made from. They do
    not share them with any later one, since what a version no longer has comes back in none.
    """

    def __init__(self) -> None:
        self._before: dict[Hashable, Mapping[str, DraftArray]] = {}
        self._now: dict[Hashable, Mapping[str, DraftArray]] = {}

    def next_version(self) -> None:
        """Go on to the next version."""
        self._before, self._now = self._now, {}

    def find(self, known: Hashable, context: DraftContext) -> Mapping[str, DraftArray] | None:
        """What was written of a part, as arrays of a draft; None if nothing was."""
        found = self._before.get(known)
        # What was joined with other parts is not in an array of its own.
        if found is None or any(array.stored is None for array in found.values()):
            return None
        arrays = {role: _in(context, array) for role, array in found.items()}
        self._now[known] = arrays
        return arrays

    def note(self, known: Hashable, arrays: Mapping[str, DraftArray]) -> None:
        """Note what is written of a part."""
        self._now[known] = arrays


def _in(context: DraftContext, array: DraftArray) -> DraftArray:
    """The same stored array in another draft."""
    return DraftArray(context, array.prefix, array.role, array.dtype, array.block, array.stored)


def without_rows(
    node: Node,
    context: DraftContext,
    gone: Callable[[int, int], AnyArray],
    written: WrittenParts | None = None,
) -> None:
    """
    Take rows out of a field.

    Parameters
    ----------
    node
        The field.
    context
        Of its draft.
    gone
        For the rows from one number to another, which of them go: an array of bool.
    written
        What was written of the version before; None where nothing is shared.
    """
    lead = node.arrays.get("index", node.arrays["values"])
    made: dict[str, list[Part]] = {role: [] for role in node.arrays}
    first = 0
    for number, part in enumerate(lead.parts):
        rows = max(part.length - (lead.role == "index"), 0)
        parts = {role: array.parts[number] for role, array in node.arrays.items()}
        digest = _digest(gone, first, first + rows, node.row_block)
        if digest is None:
            for role, one in parts.items():
                made[role].append(one)
        else:
            known = (*(_known(one) for one in parts.values()), digest)
            arrays = written.find(known, context) if written is not None else None
            if arrays is None:
                arrays = _rest(node, first, rows, gone)
                if written is not None:
                    written.note(known, arrays)
            for role, rest in arrays.items():
                made[role].append(rest)
        first += rows
    for role, array in node.arrays.items():
        if tuple(made[role]) != array.parts:
            array.replace(made[role])


def _known(part: Part) -> Hashable:
    """What tells a part of a committed version from all others."""
    if isinstance(part, PackedPart):
        return part.known
    return id(part) if part.stored is None or part.changed else part.stored.path


def _digest(gone: Callable[[int, int], AnyArray], start: int, stop: int, step: int) -> bytes | None:
    """What tells which of some rows go; None if none does."""
    found, some = hashlib.sha256(), False
    for low in range(start, stop, step):
        mask = np.asarray(gone(low, min(low + step, stop)), np.bool_)
        some = some or bool(mask.any())
        found.update(np.packbits(mask).tobytes())
    return found.digest() if some else None


def _rest(
    node: Node, first: int, rows: int, gone: Callable[[int, int], AnyArray]
) -> dict[str, DraftArray]:
    """The rows of a part that stay, in arrays of their own; none where no row does."""
    made = {role: array.new_segment() for role, array in node.arrays.items()}
    step = min(node.row_block, *(array.block for array in node.arrays.values()))
    any_left = False
    for low in range(first, first + rows, step):
        high = min(low + step, first + rows)
        stays = ~np.asarray(gone(low, high), np.bool_)
        if not stays.any():
            continue
        if "index" in node.arrays:
            _append_strings(node.arrays, made, low, high, stays, begins=not any_left)
        else:
            made["values"].append(node.arrays["values"].read(low, high)[stays])
        any_left = True
    return made if any_left else {}


def _append_strings(
    arrays: Mapping[str, SegmentedArray],
    made: Mapping[str, DraftArray],
    low: int,
    high: int,
    stays: AnyArray,
    *,
    begins: bool,
) -> None:
    offsets = arrays["index"].read(low, high + 1)
    lengths = np.diff(offsets)
    if begins:
        made["index"].append(np.zeros(1, np.int64))
    made["index"].append(np.cumsum(lengths[stays]) + made["values"].length)
    begin, end = int(offsets[0]), int(offsets[-1])
    if end - begin <= _AT_ONCE:
        data = arrays["values"].read(begin, end)
        made["values"].append(data[np.repeat(stays, lengths)])
        return
    for start, stop in _runs(stays):
        for at in range(int(offsets[start]), int(offsets[stop]), arrays["values"].block):
            end = min(at + arrays["values"].block, int(offsets[stop]))
            made["values"].append(arrays["values"].read(at, end))


def _runs(stays: AnyArray) -> Iterator[tuple[int, int]]:
    """First and end of each run of rows that stay."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], stays, [False])).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def strange_packs(table: Node) -> set[str]:
    """
    The packs of a table that have what no column is in.

    That is what columns had that were deleted, or written anew, since the pack was.
    """
    used: dict[str, set[str]] = {}
    packs = {}
    for column in table.groups.values():
        for array in column.arrays.values():
            for pack in array.packs:
                packs[pack.path] = pack
                used.setdefault(pack.path, set()).add(column.id)
    return {path for path, pack in packs.items() if pack.pieces.keys() != used[path]}


def leave_packs(table: Node, packs: set[str]) -> None:
    """Have the columns of a table in none of these packs."""
    for column in table.groups.values():
        for array in column.arrays.values():
            array.leave(packs)
