"""Versions of which an erasure has written other documents, without what had to go.

A manifest is not changed, and a version is known by its number. So the documents that a version has
since an erasure are beside the manifests, in a folder of that erasure, and the manifest by which it
is committed says which versions have such documents. It is then that all of them count, at once.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exetera_zarr.storage import keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["UNCHANGED", "Rewritten"]


@dataclass(frozen=True)
class Rewritten:
    """
    Which versions have other documents than their manifests.

    Parameters
    ----------
    id
        Of the last erasure, which wrote all of them.
    ranges
        First and last number of versions that follow each other, ascending.
    """

    id: str = ""
    ranges: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Rewritten:
        """What a manifest says."""
        said = facts.get("rewritten", {})
        return cls(said.get("id", ""), tuple((low, high) for low, high in said.get("ranges", ())))

    @classmethod
    def by(cls, erasure: str, numbers: Iterable[int]) -> Rewritten:
        """Those of an erasure, by their numbers, ascending."""
        ranges: list[tuple[int, int]] = []
        for number in numbers:
            if ranges and ranges[-1][1] == number - 1:
                ranges[-1] = ranges[-1][0], number
            else:
                ranges.append((number, number))
        return cls(erasure, tuple(ranges))

    def document(self) -> dict[str, Any]:
        """As a manifest says it; nothing if there are none."""
        return {"id": self.id, "ranges": [list(one) for one in self.ranges]} if self.ranges else {}

    def __contains__(self, number: object) -> bool:
        return any(low <= number <= high for low, high in self.ranges)  # type: ignore[operator]

    def among(self, runs: Iterable[range]) -> Rewritten:
        """Those in runs of versions, which ascend; it takes as many steps as there are runs."""
        found: list[tuple[int, int]] = []
        mine, theirs = deque(self.ranges), deque(run for run in runs if run)
        while mine and theirs:
            low = max(mine[0][0], theirs[0].start)
            high = min(mine[0][1], theirs[0].stop - 1)
            if low <= high and found and found[-1][1] == low - 1:
                found[-1] = found[-1][0], high
            elif low <= high:
                found.append((low, high))
            if mine[0][1] == high:
                mine.popleft()
            else:
                theirs.popleft()
        return Rewritten(self.id, tuple(found))

    def written_with(self, number: int) -> Rewritten:
        """
        What a version is over, if it has other documents: those of the same erasure.

        Versions among these may no longer be kept, but what was written for them is there.
        """
        return Rewritten(self.id, ((0, number),)) if number in self else UNCHANGED

    def key(self, number: int) -> str:
        """Key of the documents of a version; of its manifest, unless it has others."""
        if number in self:
            return keys.rewritten_key(self.id, number)
        return keys.manifest_key(number)


UNCHANGED = Rewritten()
