"""Taking back changes: what was changed is remembered as it was, and nothing else is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Changeable", "Moment", "TreeNode", "UndoLog"]


class Changeable(Protocol):
    """A part of a draft that remembers what it is."""

    def saved(self) -> Callable[[], None]:
        """What has it as it is now."""


class TreeNode:
    """A node of the tree of a draft, whose parts are replaced as a whole where they change."""

    attributes: dict[str, Any]
    groups: Any
    arrays: Any

    def saved(self) -> Callable[[], None]:
        """As of `Changeable`; whoever has the node sees it return, too."""
        attributes, groups, arrays = self.attributes, self.groups, self.arrays

        def restore() -> None:
            self.attributes, self.groups, self.arrays = attributes, groups, arrays

        return restore


class Moment(NamedTuple):
    """A moment to return to."""

    steps: int
    seen: set[int]
    depth: int
    life: int


class UndoLog:
    """
    The parts of a draft as they were before they changed.

    Each is remembered once since the latest moment, so that a transaction costs what it changes,
    however large the dataset is.

    Parameters
    ----------
    always
        Whether changes are also remembered where no moment was marked, until `clear`.
    """

    def __init__(self, *, always: bool = False) -> None:
        self._always = always
        self._depth = 0
        self._life = 0
        self._steps: list[tuple[Changeable, Callable[[], None]]] = []
        self._seen: set[int] = set()

    def save(self, part: Changeable) -> None:
        """Remember a part, which is about to change."""
        if (self._depth or self._always) and id(part) not in self._seen:
            self._steps.append((part, part.saved()))
            self._seen.add(id(part))  # which no other part gets, as the step has this one

    def mark(self, depth: int) -> Moment:
        """The present moment, which somebody may return to; `depth` others before it, likewise."""
        moment = Moment(len(self._steps), self._seen, depth, self._life)
        self._seen = set()
        self._depth = depth + 1
        return moment

    def forget(self, moment: Moment) -> None:
        """Note that nobody returns to a moment, but perhaps to one before."""
        if moment.life != self._life:
            return
        self._depth = moment.depth
        if self._depth or self._always:
            moment.seen.update(self._seen)
            self._seen = moment.seen
        else:
            self.clear()

    def undo(self, moment: Moment) -> None:
        """Have everything as it was at a moment; where that is interrupted, it can be repeated."""
        if moment.life != self._life:
            return
        while len(self._steps) > moment.steps:
            self._steps[-1][1]()
            self._steps.pop()
        self._seen, self._depth = moment.seen, moment.depth

    def undo_all(self) -> None:
        """
        Have everything as it was before the first change that is remembered.

        That is a change itself, which goes when somebody returns to a moment before it.
        """
        before = self._steps.copy()
        if self._depth:
            parts = {id(part): part for part, _ in before}
            self._steps += [(part, part.saved()) for part in parts.values()]
        for _, restore in reversed(before):
            restore()
        if not self._depth:
            self.clear()

    def clear(self) -> None:
        """Forget all: nobody returns to anything before now."""
        self._steps, self._seen = [], set()
        self._depth, self._life = 0, self._life + 1
