"""The tree of a draft: what there will be in the file once it is committed."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exetera_zarr.storage.base import ROW_BLOCK
from exetera_zarr.storage.undo import TreeNode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exetera_zarr.storage.hdf5.arrays import DraftArray
    from exetera_zarr.storage.hdf5.handle import Reference
    from exetera_zarr.storage.hdf5.stored import Stored

__all__ = ["InFile", "Node"]

_ids = itertools.count()


@dataclass(eq=False)
class InFile:
    """What the file has of a node; only a commit changes it."""

    reference: Reference | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    notes: str | None = ""
    """None while nobody knows."""
    groups: dict[bytes, Node] = field(default_factory=dict)
    """By the names of their links."""
    unsure: set[bytes] = field(default_factory=set)
    """Links that an error has left behind half made."""
    arrays: dict[str, Stored] = field(default_factory=dict)
    written: dict[str, Any] = field(default_factory=dict)
    """The attributes and the key that were put there by commits."""
    proven: object = None
    """The signature of the node when it was last seen in the file."""


@dataclass(eq=False)
class Node(TreeNode):
    """A group: the root, a table or a field."""

    attributes: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, Node] = field(default_factory=dict)
    arrays: dict[str, DraftArray] = field(default_factory=dict)
    row_block: int = ROW_BLOCK
    version: int = 0
    """Of the root: how often it was committed."""
    in_file: InFile = field(default_factory=InFile)
    load: Callable[[Node], None] | None = None
    """Finds the children, where they have not been looked for."""
    id: int = field(default_factory=lambda: next(_ids))

    @property
    def is_field(self) -> bool:
        """Whether it is a field rather than a table."""
        return "fieldtype" in self.attributes

    def signature(self) -> object:
        """What is another one whenever a commit has changed what there is to be read back."""
        there = self.in_file
        arrays = [(r, there.arrays.get(r), a.length) for r, a in self.arrays.items()]
        return there.reference, there.notes, there.attributes, arrays

    def loaded(self) -> Node:
        """Itself, with its children."""
        load, self.load = self.load, None
        if load is not None:
            load(self)
        return self

    def walk(self, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Node]]:
        """It and all below, with the names that lead there."""
        yield path, self
        for name, child in self.groups.items():
            yield from child.walk((*path, name))
