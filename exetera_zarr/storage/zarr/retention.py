"""Which versions are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ORPHAN_AGE", "Keep", "kept_versions"]

ORPHAN_AGE = 7 * 86_400.0
"""Seconds after which what no version reaches cannot belong to a draft that is alive."""


@dataclass(frozen=True)
class Keep:
    """
    Which versions are kept: the last ones, by number and by age.

    Parameters
    ----------
    versions
        At least so many, the newest included.
    seconds
        All that are not older than that.
    """

    versions: int = 3
    seconds: float = 86_400.0

    def __post_init__(self) -> None:
        if self.versions < 1 or self.seconds < 0:
            raise ValueError("at least one version is kept, and none younger than 0 seconds")

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Keep:
        """What a manifest says."""
        said = facts.get("keep", {})
        return cls(said.get("versions", cls.versions), said.get("seconds", cls.seconds))

    def choose(
        self, before: Sequence[Sequence[float]], number: int, present: float
    ) -> list[list[float]]:
        """
        Versions that are kept when a new one comes.

        Parameters
        ----------
        before
            Number and time of each version kept so far, ascending.
        number, present
            Those of the new one.

        Returns
        -------
        list of [number, time]
            The end of those, with the new one: never one that follows a version that is not kept.
        """
        ages = [*before, [number, present]]
        for start, (_, created) in enumerate(ages):
            if len(ages) - start <= max(self.versions, 1) or present - created < self.seconds:
                return [list(pair) for pair in ages[start:]]
        return [[number, present]]


def kept_versions(facts: Mapping[str, Any]) -> list[int]:
    """Numbers of the versions that a manifest keeps, ascending; its own included."""
    return [int(number) for number, _ in facts.get("kept", [])] or [int(facts["version"])]
