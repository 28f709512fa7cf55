"""The second round of a write: blocks of the arrays to be, cut from what was staged."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.dask.jobs import working
from exetera_zarr.dask.staging import BYTES, INDEX

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from exetera_zarr.dask.staging import Fragment, Job, Piece
    from exetera_zarr.storage.base import AnyArray, Workshop

__all__ = ["Place", "Placed", "Staged", "Target", "by_rows"]


@dataclass(frozen=True)
class Placed:
    """
    A fragment, and what comes before it.

    Parameters
    ----------
    fragment
        The rows.
    row
        How many rows come before.
    bytes
        By field, how many bytes of strings come before.
    """

    fragment: Fragment
    row: int
    bytes: dict[str, int]

    def of(self, wanted: Collection[tuple[str, str]], owners: Collection[str]) -> Placed:
        """What a task has to know: some pieces, by owner and kind, and texts of some owners."""
        fragment = self.fragment
        pieces = {one: piece for one, piece in fragment.pieces.items() if one in wanted}
        texts = {owner: text for owner, text in fragment.texts.items() if owner in owners}
        befores = {owner: count for owner, count in self.bytes.items() if owner in owners}
        return Placed(replace(fragment, pieces=pieces, texts=texts), self.row, befores)


@dataclass(frozen=True)
class Target:
    """
    An array to be, or a part of one.

    Parameters
    ----------
    owner
        Name of the field whose rows it has; of what says which are missing, of that field.
    kind
        What it has of these, of `staging.VALUES` and the others.
    dtype
        Of the elements.
    block
        Elements of a block.
    elements
        How many there are.
    path
        Where whole blocks go; empty where there is none.
    """

    owner: str
    kind: str
    dtype: np.dtype[Any]
    block: int
    elements: int
    path: str = ""

    @property
    def role(self) -> str:
        """Role of the array in its field."""
        return "index" if self.kind == INDEX else "values"

    @property
    def blocks(self) -> int:
        """How many of its blocks are whole."""
        return self.elements // self.block


class Staged:
    """
    Elements of arrays to be, from the fragments that have them.

    Parameters
    ----------
    workshop
        Where they are staged.
    placed
        The fragments, in order.
    """

    def __init__(self, workshop: Workshop, placed: Sequence[Placed]) -> None:
        self._workshop, self._placed = workshop, placed
        self._objects: dict[str, tuple[int, bytes]] = {}

    def read(self, target: Target, start: int, stop: int) -> AnyArray:
        """Elements from one number to another."""
        out = np.empty(stop - start, target.dtype)
        if target.kind == INDEX and start == 0 and stop:
            out[0] = 0
        overlapping = list(_overlapping(self._placed, target, start, stop))
        # The arrays of the same rows come one after another, and are in the same objects.
        needed = {_key_of(placed, target) for _, placed, *_ in overlapping}
        self._objects = {key: one for key, one in self._objects.items() if key in needed}
        for _, placed, first, last in overlapping:
            low, high = max(start, first), min(stop, last)
            if low < high:
                values = self._values(placed, target)
                out[low - start : high - start] = values[low - first : high - first]
        return out

    def _values(self, placed: Placed, target: Target) -> AnyArray:
        """All that a fragment has of an array."""
        fragment, owner = placed.fragment, target.owner
        if target.kind == BYTES:
            key, piece = fragment.texts[owner]
            return self._piece(key, piece, (piece,), target)
        found = fragment.pieces.get((owner, target.kind))
        if found is None:  # of which all rows have a value
            return np.ones(fragment.rows, np.bool_)
        values = self._piece(fragment.key, found, fragment.pieces.values(), target)
        return values[1:] + placed.bytes[owner] if target.kind == INDEX else values

    def _piece(self, key: str, piece: Piece, wanted: Iterable[Piece], target: Target) -> AnyArray:
        """An array in an object, of which all that is wanted is read at once."""
        if key not in self._objects:
            pieces = list(wanted)
            begin = min(first for _, first, _ in pieces)
            end = max(first + size for _, first, size in pieces)
            self._objects[key] = begin, self._workshop.staged(key, begin, end)
        begin, data = self._objects[key]
        elements, first, size = piece
        return self._workshop.piece(data, (elements, first - begin, size), target.dtype)


def _key_of(placed: Placed, target: Target) -> str:
    """The object in which a fragment has what it has of an array."""
    if target.kind == BYTES:
        return placed.fragment.texts[target.owner][0]
    return placed.fragment.key


def _overlapping(
    placed: Sequence[Placed], target: Target, start: int, stop: int
) -> Iterator[tuple[int, Placed, int, int]]:
    """The fragments that have some elements: number, itself, and its first and end among them."""
    owner, of_bytes = target.owner, target.kind == BYTES
    shift = 1 if target.kind == INDEX else 0

    def before(one: Placed) -> int:
        return one.bytes[owner] if of_bytes else one.row

    # Of those that begin at one number, all but the last one are empty.
    at = max(bisect_right(placed, start - shift, key=before) - 1, 0)
    for number in range(at, len(placed)):
        one = placed[number]
        first = before(one) + shift
        if first >= stop:
            return
        last = first + (one.fragment.texts[owner][1][0] if of_bytes else one.fragment.rows)
        if last > max(start, first):
            yield number, one, first, last


@dataclass(frozen=True)
class Place:
    """
    Places some blocks; whoever does it, and however often, the same ones.

    Parameters
    ----------
    job
        What it is part of.
    blocks
        Arrays, and the number of a block of each.
    placed
        The fragments that have something of them.
    """

    job: Job
    blocks: tuple[tuple[Target, int], ...] = field(repr=False)
    placed: tuple[Placed, ...] = field(repr=False)

    @classmethod
    def of(cls, job: Job, blocks: Sequence[tuple[Target, int]], placed: Sequence[Placed]) -> Place:
        """What is needed to place some blocks."""
        needed: dict[int, set[tuple[str, str]]] = {}
        for target, block in blocks:
            start = block * target.block
            for number, *_ in _overlapping(placed, target, start, start + target.block):
                needed.setdefault(number, set()).add((target.owner, target.kind))
        owners = {target.owner for target, _ in blocks}
        some = tuple(placed[number].of(needed[number], owners) for number in sorted(needed))
        return cls(job, tuple(blocks), some)

    @cached_property
    def name(self) -> str:
        """A name for the task."""
        target, number = self.blocks[0]
        return f"place-{self.job.id}-{target.path}-{number}"

    def __call__(self) -> list[tuple[str, int, Any]]:
        """
        Place them.

        Returns
        -------
        list of (str, int, object)
            Path and number of each block, and what is to be known of it.
        """
        with working(self.job.id):
            return self._place()

    def _place(self) -> list[tuple[str, int, Any]]:
        workshop = self.job.workshop()
        staged = Staged(workshop, self.placed)
        blocks = (
            (target.path, target.role, number, staged.read(target, start, start + target.block))
            for target, number in self.blocks
            for start in [number * target.block]
        )
        placed = zip(self.blocks, workshop.place_each(blocks), strict=True)
        return [(target.path, number, known) for (target, number), known in placed]


def by_rows(
    work: Sequence[tuple[Target, int]], rows: int, most: int
) -> Iterator[list[tuple[Target, int]]]:
    """
    The blocks of each task.

    Those of the same rows come together, so that what is staged of them is read once; of very many
    columns a task has some, which lie side by side in what is staged.

    Parameters
    ----------
    work
        Arrays, and the number of a block of each.
    rows
        Of a block of the table.
    most
        Blocks of a task.
    """
    first: Callable[[tuple[Target, int]], int] = lambda one: one[1] * one[0].block  # noqa: E731
    group: list[tuple[Target, int]] = []
    for _, found in groupby(sorted(work, key=first), key=lambda one: first(one) // rows):
        blocks = list(found)
        if group and len(group) + len(blocks) > most:
            yield group
            group = []
        while len(blocks) > most:
            yield blocks[:most]
            blocks = blocks[most:]
        group += blocks
    if group:
        yield group
