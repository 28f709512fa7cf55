"""Files and folders that are compared: on the disk, and how much of it.

Also used within ExeTera's environment: the standard library alone.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def make_durable(path: Path) -> None:
    """Have the system put a file or folder, and the name of it, on the disk."""
    for entry in (path.parent, path, *(path.rglob("*") if path.is_dir() else ())):
        descriptor = os.open(entry, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def stored_bytes(path: Path) -> int:
    """Bytes that a file or folder takes."""
    if path.is_file():
        return path.stat().st_size
    return sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())


def remove(path: Path) -> None:
    """Delete a file or folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
