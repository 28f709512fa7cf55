"""From a URL or a path to the back end that holds what is there."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING, Any, cast

import fsspec

from exetera_zarr.errors import DatasetNotFoundError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exetera_zarr.storage.base import Storage

__all__ = ["MODES", "list_files", "open_file", "open_storage", "shown"]

MODES = {"r": "r", "r+": "r+", "w": "w", "a": "a", "x": "x", "w-": "x"}
_HDF5_SUFFIXES = (".hdf5", ".h5", ".hdf")
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def open_storage(
    place: object, mode: str, options: Mapping[str, Any] | None = None, **settings: Any
) -> Storage:
    """
    Open the dataset at a place with the back end for it.

    Parameters
    ----------
    place
        A path (str or os.PathLike) or a URL.
    mode
        One of `MODES`.
    options
        Passed to the fsspec file system.
    settings
        See `storage.zarr.backend.open_zarr`.

    Raises
    ------
    ValueError
        The mode is none of `MODES`.
    UnsupportedError
        It is an HDF5 file or a file object.
    DatasetNotFoundError, DatasetExistsError
        There is nothing, or there is something.
    """
    if mode not in MODES:
        raise ValueError(f"the mode is {mode!r}; it can be one of {', '.join(map(repr, MODES))}")
    if not isinstance(place, (str, os.PathLike)):
        raise UnsupportedError(
            f"a dataset in a {type(place).__name__} needs the HDF5 back end (extra 'hdf5'), which "
            "this version does not have yet"
        )
    url = os.fspath(place)
    if _is_hdf5(url, mode):
        raise UnsupportedError(
            f"{shown(url)} is, or would be, an HDF5 file: that needs the HDF5 back end (extra "
            "'hdf5'), which this version does not have yet; a path that ends in .zarr makes a Zarr "
            "dataset"
        )
    from exetera_zarr.storage.zarr.backend import open_zarr

    return open_zarr(url, MODES[mode], options, **settings)


def shown(url: str) -> str:
    """
    A URL as it may be shown: without credentials.

    Parameters
    ----------
    url
        URL or path.
    """
    from exetera_zarr.storage.zarr.remote import without_secrets

    return without_secrets(url)


def _is_hdf5(url: str, mode: str) -> bool:
    """By content where there is a local file, by suffix where there is nothing yet."""
    local = "://" not in url
    if local and os.path.isfile(url):
        with open(url, "rb") as file:
            if file.read(len(_HDF5_SIGNATURE)) == _HDF5_SIGNATURE:
                return True
        raise DatasetNotFoundError(f"{url} is a file, and not one of a dataset")
    named = url.lower().endswith(_HDF5_SUFFIXES)
    if local:
        return named and not os.path.isdir(url) and MODES[mode] in ("w", "x", "a")
    return named


def open_file(url: str, options: Mapping[str, Any] | None = None, mode: str = "rb") -> IO[bytes]:
    """
    A binary file at a path or any fsspec URL, for reading or writing tables in other formats.

    Parameters
    ----------
    url
        Path or URL.
    options
        Passed to the fsspec file system.
    mode
        ``rb`` or ``wb``.
    """
    return cast("IO[bytes]", fsspec.open(url, mode, **(options or {})).open())


def list_files(pattern: str, options: Mapping[str, Any] | None = None) -> list[str]:
    """
    The files that a URL with ``*``, ``?`` or ``[]`` stands for, as URLs, sorted.

    Parameters
    ----------
    pattern
        The URL.
    options
        Passed to the fsspec file system.
    """
    found = fsspec.open_files(pattern, "rb", expand=True, **(options or {}))
    return sorted(found.fs.unstrip_protocol(file.path) for file in found)
