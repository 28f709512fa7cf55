"""h5py, used by one thread at a time, and its errors in our words."""

from __future__ import annotations

import errno
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import (
    CorruptDataError,
    ExeteraError,
    StorageError,
    UnsupportedError,
    says_full,
)
from exetera_zarr.storage import ending

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SIGNATURE", "library", "opened", "using"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_library: Any = None
_lock = threading.RLock()
"""The library does one thing at a time in any case; so what belongs together stays together."""
_HANDLES = {"rdcc_nbytes": 0}
"""The oldest format that will do, as h5py and ExeTera write it. With ``libver=("v108", "v108")``, a
group that gets hundreds of links at once loses all of them in silence. Blocks are far larger than a
chunk, so caching chunks would only cost memory: with a thousand columns open, a gigabyte."""


def library() -> Any:
    """
    The h5py module.

    Raises
    ------
    UnsupportedError
        It is not installed.
    """
    global _library  # noqa: PLW0603 - it is loaded once
    if _library is None:
        try:
            import h5py
        except ImportError as error:
            raise UnsupportedError(
                "HDF5 files need h5py: install exetera-zarr with the extra 'hdf5'"
            ) from error
        _library = h5py
        at_exit = getattr(h5py, "_unregister_converters", None)
        if at_exit is not None:  # after which it cannot write text any more
            ending.commit_before(at_exit)
    return _library


@contextmanager
def using(what: str) -> Iterator[None]:
    """
    A ``with`` block that alone uses h5py.

    Parameters
    ----------
    what
        The file, or the part of it, for messages.

    Raises
    ------
    StorageError
        The system refused: a full disk, another process, a lost connection.
    CorruptDataError
        The library could not make sense of what it read.
    """
    with _lock:
        try:
            yield
        except (ExeteraError, MemoryError):
            raise
        except (OSError, RuntimeError) as error:
            if says_full(error):  # of what it does at the end, HDF5 gives the text alone
                raise _full(what) from error
            if isinstance(error, OSError):
                raise _explained(what, error) from error
            raise _unreadable(what, error) from error
        except (ValueError, KeyError, TypeError) as error:
            raise _unreadable(what, error) from error


def _unreadable(what: str, error: Exception) -> CorruptDataError:
    return CorruptDataError(f"{what} cannot be read or written as HDF5: {error}")


def _full(what: str) -> StorageError:
    full = StorageError(
        f"there is no room left on the disk, or in the quota, of {what}: free some, then repeat "
        "what failed, or rollback(); vacuum() writes the file anew without the room that was "
        "taken by what is not in it any more"
    )
    full.errno = errno.ENOSPC
    return full


def _explained(what: str, error: OSError) -> ExeteraError:
    if "lock file" in str(error) or error.errno in (errno.EAGAIN, errno.EACCES):
        return StorageError(
            f"{what} is open in another process, of which one writes, or may not be opened: {error}"
        )
    if error.errno is not None:
        return StorageError(f"{what}: {error}")
    text = str(error)
    if "already open" in text:
        return StorageError(f"{what} is open in this process by other means than a session")
    if "truncated" in text:
        return CorruptDataError(f"{what} is truncated: its end is missing ({text})")
    return CorruptDataError(f"{what} is damaged, or no HDF5 file: {text}")


def opened(place: object, mode: str, what: str) -> Any:
    """
    An open ``h5py.File``.

    Parameters
    ----------
    place
        Path, or file object.
    mode
        As of h5py.
    what
        The file in words, for messages.
    """
    h5py = library()
    with using(what):
        return h5py.File(place, mode, **_HANDLES)
