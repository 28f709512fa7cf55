"""Which versions are kept."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import ArgumentError, ArgumentTypeError

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
        At least so many, the newest included; any whole number.
    seconds
        All that are not older than that; infinity keeps all of them, and 0 asks no clock.
    """

    versions: int = 3
    seconds: float = 86_400.0

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
        """What a manifest says."""
        said = facts.get("keep", {})
        seconds = said.get("seconds", cls.seconds)
        return cls(said.get("versions", cls.versions), math.inf if seconds is None else seconds)

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
            # A version that a fast clock wrote is not young for ever: 0 seconds keeps none by age.
            young = self.seconds > 0 and present - created < self.seconds
            if len(ages) - start <= self.versions or young:
                return [list(pair) for pair in ages[start:]]
        return [[number, present]]


def kept_versions(facts: Mapping[str, Any]) -> list[int]:
    """Numbers of the versions that a manifest keeps, ascending; its own included."""
    return [int(number) for number, _ in facts.get("kept", [])] or [int(facts["version"])]
