"""What operating systems do in different ways: locks, durable files, names that must be free.

Linux and macOS have links, locks on folders, and folders that can be made durable. Windows has none
of that; there a rename does not replace, a lock file keeps others out, and NTFS keeps its own
journal of names.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import StorageError, UnsupportedError

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "MOVES_OPEN_FILES",
    "NO_LINK",
    "check_file",
    "exclusive",
    "link_or_move",
    "processors",
    "read_at",
    "replace",
    "sync",
    "write_at",
]

WINDOWS = os.name == "nt"
SYNCS_FOLDERS = not WINDOWS
MOVES_OPEN_FILES = not WINDOWS
"""Whether a file may get another name while it is open."""

# No links on this file system, not across these folders, or 65,000 of them to one file already.
NO_LINK = frozenset(
    [errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EMLINK]
    + ([errno.EINVAL] if WINDOWS else [])
)
# Some network and user-space file systems have no locks; who reveals looks again there.
_NO_LOCK = frozenset([errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL])
_NO_REPLACE = 1  # RENAME_NOREPLACE of Linux's renameat2(2)
_EXCLUSIVE = 4  # RENAME_EXCL of macOS's renamex_np(2)
_ATTEMPTS = 50
_PAUSE = 0.02
_positions = threading.Lock()


def check_file(path: str) -> None:
    """
    Refuse what cannot be read here and there, before opening it waits for a writer for ever.

    Parameters
    ----------
    path
        On a local disk.

    Raises
    ------
    StorageError
        It is a device or a pipe. Opening a folder is an error as it is.
    """
    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise StorageError(f"{path} is a device or a pipe, and no file to be read here and there")


def lock_folder(folder: int) -> bool:
    """
    Wait for the lock of an open folder; whether there are such locks.

    Parameters
    ----------
    folder
        Descriptor; closing it gives the lock back, and so does the end of the process.
    """
    assert fcntl is not None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCK:
            raise
        return False
    return True


@contextmanager
def exclusive(folder: str) -> Iterator[bool]:
    """
    A ``with`` block in which no other process or thread has the lock of a folder.

    Where folders cannot be locked, a file beside what is in it can.

    Parameters
    ----------
    folder
        Its path; it exists.

    Yields
    ------
    bool
        Whether the others are really kept out.
    """
    if fcntl is None:
        from filelock import FileLock

        # It is another object each time, since threads are to be kept out as well.
        with FileLock(os.path.join(folder, ".lock"), poll_interval=_PAUSE, thread_local=False):
            yield True
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # It is locked within this block, so that no interruption leaves it locked.
        yield lock_folder(descriptor)
    finally:
        os.close(descriptor)


def sync(path: str) -> None:
    """Return when a file, or the names in a folder, would survive a loss of power."""
    if not SYNCS_FOLDERS and os.path.isdir(path):
        return
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0) if WINDOWS else os.O_RDONLY)
    try:
        sync_open(descriptor)
    finally:
        os.close(descriptor)


def sync_open(descriptor: int) -> None:
    """The same for an open file."""
    full = getattr(fcntl, "F_FULLFSYNC", None)  # of macOS, where fsync leaves it to the drive
    if full is not None and fcntl is not None:
        try:
            fcntl.fcntl(descriptor, full)
        except OSError:  # a file system without it
            os.fsync(descriptor)
    else:
        os.fsync(descriptor)


def replace(source: str, target: str) -> None:
    """Rename over what is there; on Windows, when nobody has that open just now."""
    for attempt in range(_ATTEMPTS):
        try:
            os.replace(source, target)
        except PermissionError:
            if not WINDOWS or attempt == _ATTEMPTS - 1:
                raise
            time.sleep(_PAUSE)
        else:
            return


def link_or_move(temporary: str, path: str) -> None:
    """Give a file another name unless that exists; FileExistsError then."""
    try:
        # link() fails where the name exists, on every system; a rename would replace it.
        os.link(temporary, path)
    except AttributeError:  # a system without links
        _move_without_replacing(temporary, path)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        _move_without_replacing(temporary, path)


def _move_without_replacing(temporary: str, path: str) -> None:
    """Rename a file unless the new name exists, by what the system has where there are no links."""
    if WINDOWS:
        os.rename(temporary, path)  # which does not replace there
        return
    try:
        system = ctypes.CDLL(None, use_errno=True)
    except (OSError, TypeError) as error:
        raise _no_way(path) from error
    before, after = os.fsencode(temporary), os.fsencode(path)
    if hasattr(system, "renameat2"):
        here = ctypes.c_int(-100)  # AT_FDCWD
        failed = system.renameat2(here, before, here, after, _NO_REPLACE)
    elif hasattr(system, "renamex_np"):
        failed = system.renamex_np(before, after, _EXCLUSIVE)
    else:
        raise _no_way(path)
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)


def _no_way(path: str) -> UnsupportedError:
    return UnsupportedError(
        f"{path}: this file system has no hard links, and this system no rename that does not "
        "replace, so two writers could overwrite each other; put the dataset on another disk"
    )


def read_at(file: int, out: memoryview, start: int) -> int:
    """
    Read from a position of an open file; how many bytes there were.

    Parameters
    ----------
    file
        Descriptor.
    out
        Where to put them.
    start
        The position.
    """
    if hasattr(os, "preadv"):
        return os.preadv(file, [out], start)
    with _positions:
        os.lseek(file, start, os.SEEK_SET)
        found = os.read(file, min(len(out), 1 << 30))
    out[: len(found)] = found
    return len(found)


def write_at(file: int, data: Any, start: int) -> int:
    """
    Write at a position of an open file; how many bytes were written.

    Parameters
    ----------
    file
        Descriptor.
    data
        Bytes.
    start
        The position.
    """
    if hasattr(os, "pwrite"):
        return os.pwrite(file, data, start)
    with _positions:
        os.lseek(file, start, os.SEEK_SET)
        return os.write(file, data)


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
