"""Datasets for a while: of one user, in a folder that goes with them, and never committed."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING

from exetera_zarr.errors import UnsupportedError, full_folder
from exetera_zarr.storage import sharing
from exetera_zarr.storage.base import OWN_TABLES
from exetera_zarr.storage.zarr.backend import open_zarr
from exetera_zarr.storage.zarr.storage import ZarrStorage

if TYPE_CHECKING:
    from exetera_zarr.storage.base import Address
    from exetera_zarr.storage.options import OpenOptions

__all__ = ["ScratchStorage"]

_CACHE = 32 << 20
"""Bytes of blocks that one of them keeps in memory: there may be many."""


class ScratchStorage(ZarrStorage):
    """
    A new, empty dataset in a temporary folder, of which no version is made.

    Parameters
    ----------
    options
        Of which the cache's limit, the row block and the spill folder count.
    """

    def __init__(self, options: OpenOptions) -> None:
        folder = options.spill_dir
        try:
            place = tempfile.mkdtemp(prefix="exetera-", dir=folder)
        except OSError as error:
            raise full_folder(folder, error) or error from error
        limit = min(options.cache_limit, _CACHE)
        opened = open_zarr(place, "w", replace(options, durability="none", cache_limit=limit))
        draft = opened.draft
        super().__init__(draft, writable=True)
        # Else the end of the process, or another user of the folder, would have a version made.
        sharing.drop(draft)
        sharing.leave(draft, id(opened))
        weakref.finalize(draft, shutil.rmtree, place, ignore_errors=True)

    @property
    def url(self) -> str:
        return OWN_TABLES

    def address(self, name: str | None = None) -> Address:
        raise UnsupportedError(
            f"the table {name!r} is the session's own, and in this process alone: have it in a "
            f"dataset by ds[{name!r}] = table, and call ds.commit()"
        )

    def close(self) -> None:
        self.abandon()

    def abandon(self) -> None:
        draft, self._draft = self._draft, None
        if draft is not None and sharing.leave(draft, id(self)):
            draft.release()
