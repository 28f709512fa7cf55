"""Jobs whose tasks write in this process: once a job has ended, none of them begins to."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from exetera_zarr.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["end", "working"]

_lock = threading.Lock()
_active: Counter[str] = Counter()
_ended: dict[str, None] = {}
_REMEMBERED = 1000


@contextmanager
def working(job: str) -> Iterator[None]:
    """
    A block in which a task writes for a job.

    Raises
    ------
    StorageError
        The job has ended, so that nobody would take what is written, or remove it.
    """
    with _lock:
        if job in _ended:
            raise StorageError(f"the job {job} has ended, so its tasks write nothing any more")
        _active[job] += 1
    try:
        yield
    finally:
        with _lock:
            _active[job] -= 1
            if not _active[job]:
                del _active[job]


def end(job: str) -> int:
    """Have no task of a job begin to write in this process; how many still do."""
    with _lock:
        _ended[job] = None
        while len(_ended) > _REMEMBERED:
            del _ended[next(iter(_ended))]
        return _active[job]
