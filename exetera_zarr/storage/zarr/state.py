"""What a draft is at one moment: replaced as a whole, so that nothing sees or leaves a half."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exetera_zarr.storage.provenance import NOTHING_SAID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exetera_zarr.storage.provenance import About, Tag
    from exetera_zarr.storage.zarr.layout import Node
    from exetera_zarr.storage.zarr.segments import SettledArray
    from exetera_zarr.storage.zarr.versions.manifests import Version
    from exetera_zarr.storage.zarr.versions.retention import Keep
    from exetera_zarr.storage.zarr.versions.rewritten import Rewritten

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
    about
        What that version says of itself.
    """

    checksum: str
    arrays: tuple[SettledArray, ...]
    about: About


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
    about
        What the next version is to say of itself.
    tags
        Tags that it is to set, and None for those that it is to remove.
    restoring
        Whether it has what an older version had, and that may be gone from those between.
    rewritten
        Versions that have other documents from then on, where an erasure has written these.
    """

    base: Version
    root: Node
    dirty: bool = False
    emptied: bool = False
    policy: Keep | None = None
    sent: tuple[Sent, ...] = ()
    about: About = NOTHING_SAID
    tags: Mapping[str, Tag | None] = field(default_factory=dict)
    restoring: bool = False
    rewritten: Rewritten | None = None
