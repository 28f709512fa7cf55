"""Opening and creating HDF5 files of ExeTera's layout."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import (
    ArgumentError,
    CorruptDataError,
    DatasetExistsError,
    DatasetNotFoundError,
    ReadOnlyError,
    StorageError,
    UnsupportedError,
)
from exetera_zarr.storage import sharing
from exetera_zarr.storage.hdf5.draft import Draft, open_drafts
from exetera_zarr.storage.hdf5.storage import HDF5Storage

if TYPE_CHECKING:
    from exetera_zarr.storage.hdf5.places import Place
    from exetera_zarr.storage.options import OpenOptions

__all__ = ["open_hdf5"]


def open_hdf5(place: Place, mode: str, options: OpenOptions) -> HDF5Storage:
    """
    Open or create the file at a place.

    Parameters
    ----------
    place
        Where it is.
    mode
        ``r`` read, ``r+`` read and write, ``w`` start empty, ``x`` create, ``a`` open or create.
    options
        How; a file has no older versions, so that there is none to be asked for.

    Raises
    ------
    DatasetNotFoundError, DatasetExistsError
        There is nothing, or there is something.
    """
    external = options.external
    if options.version is not None:
        raise UnsupportedError(f"{place.url} is an HDF5 file, which has no older versions")
    if external and mode != "r":
        raise ArgumentError(f"what {place.url} has in other files can only be read: use mode 'r'")
    if mode != "r" and not place.writable:
        place.create()
        raise ReadOnlyError(f"{place.url} can only be read")
    settings: dict[str, Any] = {
        "row_block": options.row_block,
        "spill_dir": options.spill_dir,
        "durable": options.durable,
        "external": external,
    }
    with sharing.opening(place.identity):
        for left in [d for d in list(open_drafts) if d.identity == place.identity and not d.users]:
            if left.clean:
                left.close_file()
        committed = mode == "r" and not options.shared_reads
        if committed:
            sharing.commit_abandoned(place.identity)
        with sharing.lock:
            open_now = sharing.drafts.get(place.identity)
        if committed and isinstance(open_now, Draft) and open_now.made and place.local:
            # What is in the place is another file, as long as that draft is not committed.
            return HDF5Storage(_load(place, mode, settings), writable=False)
        draft = _shared(place, open_now, mode, external=external) or _load(place, mode, settings)
        storage = HDF5Storage(draft, writable=mode != "r", committed=committed)
        with sharing.lock:
            sharing.drafts[place.identity] = draft
        return storage


def _shared(place: Place, draft: object, mode: str, *, external: bool) -> Draft | None:
    """What this process has open of the place, if that is still what is there."""
    if not isinstance(draft, Draft) or draft.pid != os.getpid() or not draft.is_there():
        return None
    if draft.external != external and mode in ("r", "r+", "a"):
        raise StorageError(
            f"{place.url} is open already with external={draft.external}: close that first"
        )
    if mode == "r":
        return draft  # whose changes, if it has any, the handle looks for
    if mode == "x":
        raise DatasetExistsError(f"there is a dataset already at {place.url}")
    if mode == "w":
        if not draft.writable:
            return None  # its readers keep what they see
        draft.commit()
        draft.start_empty(replace=True, version=draft.version)
    else:
        draft.make_writable()
    return draft


def _load(place: Place, mode: str, settings: dict[str, Any]) -> Draft:
    there = place.state() is not None
    if mode == "r+" and not there and not place.local:
        mode = "a"  # as ExeTera does with an empty BytesIO
    if mode in ("r", "r+") and not there:
        raise DatasetNotFoundError(f"there is no dataset at {place.url}")
    if mode == "x" and there:
        raise DatasetExistsError(f"there is a dataset already at {place.url}")
    if mode != "w":
        _check_not_open(place, mode)
    draft = Draft(place, writable=mode != "r", **settings)
    version = _replaced(place, settings) if mode == "w" and there else 0
    if mode in ("r", "r+") or (mode == "a" and there):
        draft.open()
    else:
        draft.start_empty(replace=mode == "w", version=version)
    return draft


def _check_not_open(place: Place, mode: str) -> None:
    """Raise StorageError if the file is open under another of its names, and one of them writes."""
    state = place.state()
    for other in list(open_drafts) if state is not None else ():
        same = other.holds(state) and other.identity != place.identity
        if same and (mode != "r" or other.writable):
            raise StorageError(
                f"{place.url} is the file that is open already as {other.url}: use that name"
            )


def _replaced(place: Place, settings: dict[str, Any]) -> int:
    """Version of the file that is going to be replaced; DatasetExistsError if it is not ours."""
    look = Draft(place, writable=False, **settings)
    try:
        look.open(quiet=True)
    except CorruptDataError:
        return 1  # what a killed writer left
    try:
        ours = any(node.is_field for _, node in look.root.walk())
    finally:
        look.close_file()
    if look.passed_over and not ours:
        raise DatasetExistsError(
            f"{place.url} is an HDF5 file without any field of ExeTera's; it is left alone"
        )
    return look.version
