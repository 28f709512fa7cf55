"""A connection to DuckDB within the limits of a workspace, and its errors in our words."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import MemoryLimitError, full_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

    from exetera_zarr.engine.streams.workspace import Workspace

__all__ = ["asking", "connected"]

_THREAD_BYTES = 128 << 20
_MOST_IDLE = 2


@contextmanager
def connected(work: Workspace) -> Iterator[duckdb.DuckDBPyConnection]:
    """
    A DuckDB connection within the limits.

    Raises
    ------
    MemoryError
        An operation inside does not fit, not even with spilling.
    StorageError
        The folder for what does not fit is full.
    """
    import duckdb

    config = _config(work, work.folder) | {"preserve_insertion_order": False}
    connection = duckdb.connect(config=config)
    try:
        # In the output of a program a bar would be no part of the answer. In a Jupyter kernel
        # without ipywidgets there is none, and this statement is an error.
        with suppress(duckdb.InvalidInputException):
            connection.execute("SET enable_progress_bar = false")
        yield connection
    except Exception as error:
        raise _in_our_words(error, work) or error from error
    finally:
        connection.close()


@contextmanager
def asking(work: Workspace) -> Iterator[duckdb.DuckDBPyConnection]:
    """
    A connection for one question that somebody asks, within the limits; it changes nothing.

    It reads neither files nor the variables of a script, its answers depend on no machine's zone,
    and rows come in order. A database takes longer to make than many a question to answer, so one
    that has answered is kept for the next one.

    Raises
    ------
    MemoryError, StorageError
        As of `connected`.
    """
    database = _Database.of(work)
    connection = database.connection.cursor()
    try:
        connection.begin()  # never committed: what the question needs to have made is gone after it
        yield connection
        connection.rollback()
    except BaseException as error:
        connection.close()
        database.close()
        if not isinstance(error, Exception):
            raise
        raise _in_our_words(error, work) or error from error
    connection.close()
    database.keep()


@dataclass
class _Database:
    """A database without tables of its own, which nothing it is asked can give any."""

    limits: tuple[object, ...]
    folder: str
    connection: duckdb.DuckDBPyConnection
    process: int = field(default_factory=os.getpid)

    @classmethod
    def of(cls, work: Workspace) -> _Database:
        """One with these limits, which nobody else has."""
        import duckdb

        limits = work.memory, work.spill_dir, _cpus()
        for database in reversed(_idle):
            if database.limits == limits and database.usable:
                with suppress(ValueError):  # another thread was faster
                    _idle.remove(database)
                    return database
        try:
            folder = tempfile.mkdtemp(prefix="exetera-", dir=work.spill_dir)
        except OSError as error:
            raise full_folder(work.spill_dir, error) or error from error
        connection = duckdb.connect(config=_config(work, folder))
        with suppress(duckdb.InvalidInputException):  # as in `connected`
            connection.execute("SET enable_progress_bar = false")
        for setting in _ASKED:
            connection.execute(f"SET GLOBAL {setting}")
        return cls(limits, folder, connection)

    @property
    def usable(self) -> bool:
        """Whether it is of this process, and has its folder still."""
        return self.process == os.getpid() and Path(self.folder).is_dir()

    def keep(self) -> None:
        """Have the next question answered by it."""
        _idle.append(self)
        while len(_idle) > _MOST_IDLE:
            _idle.pop(0).close()

    def close(self) -> None:
        """End it, and what it has on disk."""
        if self.process == os.getpid():
            self.connection.close()
            shutil.rmtree(self.folder, ignore_errors=True)


_idle: list[_Database] = []


@atexit.register
def _close_idle() -> None:
    while _idle:
        _idle.pop().close()


_ASKED = (
    "TimeZone = 'UTC'",
    "preserve_insertion_order = true",
    "python_enable_replacements = false",
    "allow_persistent_secrets = false",  # those that DuckDB keeps of whoever runs this
    "enable_external_access = false",
    "lock_configuration = true",
)


def _config(work: Workspace, folder: str) -> dict[str, Any]:
    # DuckDB's own count leaves some of what it uses out.
    own = work.memory * 6 // 10
    return {
        "temp_directory": f"{folder}/duckdb",
        "memory_limit": f"{own}B",
        "threads": max(1, min(_cpus(), own // _THREAD_BYTES)),
    }


def _in_our_words(error: Exception, work: Workspace) -> BaseException | None:
    """What an error of DuckDB means; None for others, which stay as they are."""
    import duckdb
    import pyarrow as pa

    # Through a reader of Arrow's batches DuckDB's errors come as those of Arrow: an OSError for
    # what is an OutOfMemoryException otherwise (duckdb/duckdb#11334).
    if not isinstance(error, (duckdb.Error, pa.ArrowException, OSError, RuntimeError)):
        return None
    text = str(error)
    # Ctrl-C, of which DuckDB makes a plain error.
    if isinstance(error, duckdb.InterruptException) or text in _INTERRUPTED:
        return KeyboardInterrupt()
    if (full := full_folder(work.spill_dir, error)) is not None:
        return full
    if isinstance(error, duckdb.OutOfMemoryException) or "Out of Memory Error" in text:
        problem = text.partition("\n")[0].replace("Out of Memory Error: ", "")
        return MemoryLimitError(
            f"this does not fit the memory limit of {work.memory} bytes: {problem}; give "
            "Session(memory_limit=...) more"
        )
    return None


_INTERRUPTED = ("Query interrupted", "INTERRUPT Error: Interrupted!")


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
