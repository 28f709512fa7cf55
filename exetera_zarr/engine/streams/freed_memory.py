"""Memory that is no longer used, and how it gets back to the system.

What is freed stays with the allocators, for the next one who asks. At a limit of 256 MB they kept
as much again as was in use (measured): that of glibc, for each thread, and that of pyarrow.
"""

from __future__ import annotations

import ctypes
import mmap
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["give_back", "give_back_beyond", "keep_little"]

_LITTLE = 512 * 10**6
#: Bytes of a block from which on the limit is far above what the allocators keep.
_PLENTY = 128 << 20
#: Number of the option in glibc's <malloc.h>, and the size from which each piece is by itself.
_M_MMAP_THRESHOLD, _BY_ITSELF = -3, 4 << 20


@cache
def _function(name: str) -> Any:
    """A function of the C library; None where it has none of that name."""
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return None


def keep_little(memory_limit: int) -> None:
    """
    Have large pieces go back to the system when they are freed, where there is little memory.

    This is for the whole process, and stays. It costs the system's work for each such piece; at
    256 MB the peak of a sort or group of long strings falls by a third (measured).
    """
    if memory_limit <= _LITTLE and (mallopt := _function("mallopt")) is not None:
        mallopt(_M_MMAP_THRESHOLD, _BY_ITSELF)


def give_back() -> None:
    """Give memory that is free back to the system. It takes some milliseconds."""
    import pyarrow as pa

    if (trim := _function("malloc_trim")) is not None:
        trim(0)
    pa.default_memory_pool().release_unused()
    _Resident.after = _resident()


def give_back_beyond(growth: int) -> None:
    """
    Give it back where the process has grown since it was last done, and memory is scarce.

    Parameters
    ----------
    growth
        Bytes: those of a block, of which a session allows more where it has more memory. From
        128 MiB on nothing is done, since allocators are faster with what they keep.
    """
    if growth < _PLENTY and _resident() > _Resident.after + growth:
        give_back()


class _Resident:
    """Bytes of the process that were in memory when memory was last given back."""

    after = 0


def _resident() -> int:
    """Bytes of the process that are in memory; 0 where the system does not say."""
    try:
        pages = Path("/proc/self/statm").read_bytes().split()[1]
    except OSError:
        return 0
    return int(pages) * mmap.PAGESIZE
