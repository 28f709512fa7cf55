"""From a URL or a path to the back end that holds what is there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

from exetera_zarr.errors import ArgumentError, DataError, DatasetNotFoundError, UnsupportedError
from exetera_zarr.storage import ending, sharing
from exetera_zarr.storage.base import OWN_TABLES
from exetera_zarr.storage.options import OpenOptions
from exetera_zarr.storage.remote.urls import without_secrets
from exetera_zarr.storage.system import check_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exetera_zarr.storage.base import Address, Storage
    from exetera_zarr.storage.hdf5.places import Place, RemotePlace

__all__ = ["MODES", "open_address", "open_scratch", "open_storage", "shown"]

MODES = {"r": "r", "r+": "r+", "w": "w", "a": "a", "x": "x", "w-": "x"}
HDF5_SUFFIXES = (".hdf5", ".h5", ".hdf")


def open_storage(place: object, mode: str, options: OpenOptions | None = None) -> Storage:
    """
    Open the dataset at a place with the back end for it.

    Parameters
    ----------
    place
        A path (str or os.PathLike), a URL, or a binary file object that holds an HDF5 file.
    mode
        One of `MODES`.
    options
        How; by default as `OpenOptions` is.

    Raises
    ------
    ValueError
        The mode is none of `MODES`.
    UnsupportedError
        An HDF5 file is at a URL, and is to be written; or h5py is not installed.
    DatasetNotFoundError, DatasetExistsError
        There is nothing, or there is something.
    """
    if mode not in MODES:
        raise ArgumentError(f"the mode is {mode!r}; it can be one of {', '.join(map(repr, MODES))}")
    if mode != "r":
        ending.check(shown(os.fspath(place)) if isinstance(place, (str, os.PathLike)) else "a file")
    options = options or OpenOptions()
    hdf5 = _hdf5_place(place, mode, options.storage_options)
    if hdf5 is not None:
        from exetera_zarr.storage.hdf5.backend import open_hdf5

        return open_hdf5(hdf5, MODES[mode], options)
    from exetera_zarr.storage.zarr.backend import open_zarr

    url = os.fspath(cast("str", place))
    try:
        return open_zarr(url, MODES[mode], options)
    except DatasetNotFoundError:
        # Only now, since looking costs a request that no dataset of ours should have to wait for.
        remote = _remote_hdf5(url, options.storage_options)
        if remote is None:
            raise
    from exetera_zarr.storage.hdf5.backend import open_hdf5

    return open_hdf5(remote, MODES[mode], options)


def open_address(address: Address, cache_limit: int) -> Storage:
    """Open a version that another process has said; see `storage.zarr.backend.open_address`."""
    from exetera_zarr.storage.zarr.backend import open_address

    return open_address(address, cache_limit)


def open_scratch(options: OpenOptions) -> Storage:
    """
    A new, empty dataset of one user, which is never committed and goes when nobody has it.

    Parameters
    ----------
    options
        Of which the cache's limit, the row block and the spill folder count.
    """
    from exetera_zarr.storage.zarr.scratch import ScratchStorage

    ending.check(OWN_TABLES)
    return ScratchStorage(options)


def shown(url: str) -> str:
    """
    A URL as it may be shown: without credentials.

    Parameters
    ----------
    url
        URL or path.
    """
    return without_secrets(url)


def _hdf5_place(place: object, mode: str, options: Mapping[str, Any]) -> Place | None:
    """Where there is or will be an HDF5 file; None for a dataset of another kind."""
    if not isinstance(place, (str, os.PathLike)):
        if not all(hasattr(place, name) for name in ("read", "seek", "tell")):
            raise DataError(
                "a dataset is at a path, at a URL or in a binary file object, not in a "
                f"{type(place).__name__}"
            )
        from exetera_zarr.storage.hdf5.places import ObjectPlace

        return ObjectPlace(place)
    url = os.fspath(place)
    scheme, separator, path = url.partition("://")
    if separator and scheme not in ("file", "local"):
        if not url.lower().endswith(HDF5_SUFFIXES):
            return None
        remote = _remote_hdf5(url, options)
        if remote is None and _is_named(url, mode):
            raise UnsupportedError(
                f"an HDF5 file can be written only on a local disk, not at {shown(url)}; a URL "
                "that ends in .zarr makes a Zarr dataset"
            )
        return remote
    path = path or url
    from exetera_zarr.storage.hdf5.places import FilePlace, holds_hdf5

    if os.path.isdir(path):
        return None
    if not (os.path.exists(path) or _is_named(path, mode)):
        made = FilePlace(path)  # a new file, which is not in its place yet
        return made if made.identity in sharing.drafts else None
    if os.path.exists(path):
        check_file(path)
        with open(path, "rb") as file:
            empty = not file.read(1)
            if empty and MODES[mode] in ("r", "r+", "x"):
                raise DatasetNotFoundError(f"{path} is an empty file, and not one of a dataset")
            if not empty and path.lower().endswith(".zip"):
                return None
            if not empty and not holds_hdf5(file):
                raise DatasetNotFoundError(f"{path} is a file, and not one of a dataset")
    return FilePlace(path)


def _is_named(path: str, mode: str) -> bool:
    """Whether an HDF5 file is to be made, by the name."""
    return path.lower().endswith(HDF5_SUFFIXES) and MODES[mode] in ("w", "x", "a")


def _remote_hdf5(url: str, options: Mapping[str, Any]) -> RemotePlace | None:
    """The HDF5 file at a URL; None where there is none."""
    from exetera_zarr.storage.hdf5.places import RemotePlace, holds_hdf5

    if "://" not in url:
        return None
    try:
        place = RemotePlace(url, options)
        with place.file() as file:
            return place if holds_hdf5(file) else None
    except (FileNotFoundError, PermissionError, UnsupportedError, DataError):
        return None  # of which the other back end has more to say
