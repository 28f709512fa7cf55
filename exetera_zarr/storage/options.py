"""What a dataset is opened with, as one object that is handed down whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from exetera_zarr.errors import ArgumentError
from exetera_zarr.storage.provenance import NOTHING_SAID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exetera_zarr.storage.base import VersionLike
    from exetera_zarr.storage.provenance import About

__all__ = ["Durability", "Mode", "OpenOptions"]

Mode: TypeAlias = Literal["r", "r+", "w", "a", "x", "w-"]
"""Read; read and write; start empty; open or create; create (two spellings)."""
Durability: TypeAlias = Literal["fsync", "none"]
"""Whether a commit to a local disk waits until it would survive a loss of power."""


@dataclass(frozen=True, kw_only=True)
class OpenOptions:
    """
    What a dataset is opened with, beside its place and the mode.

    Parameters
    ----------
    storage_options
        For the file system behind a URL; `storage.remote.options` says which ones are ours.
    durability
        ``fsync``, or ``none`` where a commit to a local disk need not survive a loss of power.
    single_writer
        No other process writes: needed where create-if-absent is not known to be atomic.
    version
        An older version, for reading, by number, tag or moment; the newest one if not given. HDF5
        files have none.
    external
        Whether what leads out of an HDF5 file is followed.
    cache
        Folder of a cache of chunks that were read from elsewhere; no cache if None.
    cache_size
        Bytes that it may have.
    row_block
        Rows of a block of tables that do not say otherwise, when the dataset is created.
    cache_limit
        Bytes of changed blocks kept in memory.
    spill_dir
        Where changed blocks beyond that go, and old values that a rollback may want back.
    shared_reads
        Whether mode ``r`` shows what this process has not committed of the place, too, as in
        ExeTera, where a file is open once in a process. If not, it shows what is committed; where
        an HDF5 file is changed in its place there is nothing else to show, and reading is an error
        until the changes are committed or rolled back.
    about
        What versions say of themselves where a commit does not say otherwise.

    Raises
    ------
    ValueError
        The durability is none of the two.
    """

    # Not shown: there may be secrets in them.
    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    durability: Durability = "fsync"
    single_writer: bool = False
    version: VersionLike | None = None
    external: bool = False
    cache: str | None = None
    cache_size: int = 10**10
    row_block: int | None = None
    cache_limit: int = 1 << 30
    spill_dir: str | None = None
    shared_reads: bool = False
    about: About = NOTHING_SAID

    def __post_init__(self) -> None:
        if self.durability not in get_args(Durability):
            raise ArgumentError(f"durability is {self.durability!r}; it can be 'fsync' or 'none'")

    @property
    def durable(self) -> bool:
        """Whether a commit to a local disk survives a loss of power."""
        return self.durability == "fsync"
