"""Which versions are kept."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import ArgumentError, ArgumentTypeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["ORPHAN_AGE", "Keep", "KeptVersions", "kept_versions", "lists_all"]

ORPHAN_AGE = 7 * 86_400.0
"""Seconds after which what no version reaches cannot belong to a draft that is alive."""


@dataclass(frozen=True)
class Keep:
    """
    Which versions are kept beside those that have tags: the last ones, by number and by age.

    Parameters
    ----------
    versions
        At least so many, the newest included; any whole number.
    seconds
        All that are not older than that; infinity keeps all of them, and 0 asks no clock.
    """

    versions: int = 1
    seconds: float = math.inf

    def __post_init__(self) -> None:
        try:
            versions, seconds = operator.index(self.versions), float(self.seconds)
        except TypeError as error:
            raise ArgumentTypeError(
                f"versions are kept by a whole number and by seconds, not by {self.versions!r} and "
                f"{self.seconds!r}"
            ) from error
        if versions < 1 or seconds < 0 or math.isnan(seconds):
            raise ArgumentError(
                "at least one version is kept, and none younger than 0 seconds; not "
                f"{versions} versions and {seconds} seconds"
            )
        object.__setattr__(self, "versions", versions)
        object.__setattr__(self, "seconds", seconds)

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Keep:
        """What a manifest says; one that says nothing is of a writer that kept three and a day."""
        said = facts.get("keep", {})
        seconds = said.get("seconds", 86_400.0)
        return cls(said.get("versions", 3), math.inf if seconds is None else seconds)

    def document(self) -> dict[str, Any]:
        """As a manifest says it; JSON has no infinity."""
        return {
            "versions": self.versions,
            "seconds": None if math.isinf(self.seconds) else self.seconds,
        }

    def choose(
        self, before: Sequence[Sequence[float]], number: int, present: float
    ) -> list[list[float]]:
        """
        Versions that are kept when a new one comes.

        Parameters
        ----------
        before
            Number and time of versions kept so far, ascending: of the first, the last, and as many
            between them as are listed, which are kept whether they are listed or not.
        number, present
            Those of the new one.

        Returns
        -------
        list of [number, time]
            The same of those that are kept: all from a first one on, up to the new one.
        """
        ages = [*before, [number, present]]
        youngest = next((at for at, (_, made) in enumerate(ages) if self._young(made, present)), 0)
        # One that is not listed may be as young as the next that is.
        by_age = ages[youngest - 1][0] + 1 if youngest else ages[0][0]
        if not self._young(ages[youngest][1], present):
            by_age = number
        first = max(ages[0][0], min(by_age, number - self.versions + 1))
        kept = [list(pair) for pair in ages if pair[0] >= first]
        if kept[0][0] > first:
            kept.insert(0, [first, kept[0][1]])
        return _thinned(kept)

    def _young(self, made: float, present: float) -> bool:
        # A version that a fast clock wrote is not young for ever: 0 seconds keeps none by age.
        return self.seconds > 0 and present - made < self.seconds


_MOST_LISTED = 100


def _thinned(kept: list[list[float]]) -> list[list[float]]:
    """Without every second one in the older half, where there are many."""
    if len(kept) <= _MOST_LISTED:
        return kept
    half = len(kept) // 2
    return [*kept[:half:2], *kept[half:]]


def lists_all(kept: Sequence[Sequence[float]]) -> bool:
    """Whether all versions that are kept are listed."""
    return len(kept) == kept[-1][0] - kept[0][0] + 1


@dataclass(frozen=True)
class KeptVersions:
    """
    Numbers of the versions that can be opened.

    Parameters
    ----------
    apart
        Of those that are kept for their tags alone, ascending.
    recent
        Of all others: from a first one on, up to the newest.
    """

    apart: tuple[int, ...]
    recent: range

    def __iter__(self) -> Iterator[int]:
        yield from self.apart
        yield from self.recent

    def __len__(self) -> int:
        return len(self.apart) + len(self.recent)

    def __contains__(self, number: object) -> bool:
        return number in self.recent or number in self.apart

    @property
    def runs(self) -> list[range]:
        """Those that follow each other."""
        return [*(range(number, number + 1) for number in self.apart), self.recent]

    def without(self, after: KeptVersions) -> list[range]:
        """Those of these that others do not have, which are kept later on; none is listed."""
        gone = [range(number, number + 1) for number in self.apart if number not in after]
        first, stop = self.recent.start, min(self.recent.stop, after.recent.start)
        for tagged in (*after.apart, stop):
            if first < min(tagged, stop):
                gone.append(range(first, min(tagged, stop)))
            first = max(first, tagged + 1)
        return gone


def kept_versions(facts: Mapping[str, Any]) -> KeptVersions:
    """The versions that a manifest keeps, its own included."""
    kept, newest = facts.get("kept", []), int(facts["version"])
    first = int(kept[0][0]) if kept else newest
    tagged = {int(said["version"]) for said in facts.get("tags", {}).values()}
    apart = sorted(number for number in tagged if number < first)
    return KeptVersions(tuple(apart), range(first, newest + 1))
