"""What a draft is at one moment: replaced as a whole, so that nothing sees or leaves a half."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exetera_zarr.storage.zarr.layout import Node
    from exetera_zarr.storage.zarr.segments import SettledArray
    from exetera_zarr.storage.zarr.versions.manifests import Version
    from exetera_zarr.storage.zarr.versions.retention import Keep

__all__ = ["Sent", "State"]


@dataclass(frozen=True)
class Sent:
    """
    A manifest of which it is not known whether it was written.

    Parameters
    ----------
    checksum
        What tells it from every other one.
    arrays
        What each array is in that version.
    """

    checksum: str
    arrays: tuple[SettledArray, ...]


@dataclass(frozen=True)
class State:
    """
    A version, and a tree with the changes over it.

    Parameters
    ----------
    base
        The committed version.
    root
        The tree.
    dirty
        Whether there may be something to commit.
    emptied
        Whether it started empty, and so changes every table that others have.
    policy
        Which versions are to be kept, where that was changed.
    sent
        Manifests sent for the number after the base's, until it is known whose that is.
    """

    base: Version
    root: Node
    dirty: bool = False
    emptied: bool = False
    policy: Keep | None = None
    sent: tuple[Sent, ...] = ()
