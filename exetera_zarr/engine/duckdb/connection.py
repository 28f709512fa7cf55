"""A connection to DuckDB within the limits of a workspace, and its errors in our words."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import MemoryLimitError, full_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

    from exetera_zarr.engine.streams.workspace import Workspace

__all__ = ["connected"]

_THREAD_BYTES = 128 << 20


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

    # DuckDB's own count leaves some of what it uses out.
    own = work.memory * 6 // 10
    config: dict[str, Any] = {
        "temp_directory": f"{work.folder}/duckdb",
        "memory_limit": f"{own}B",
        "threads": max(1, min(_cpus(), own // _THREAD_BYTES)),
        "preserve_insertion_order": False,
    }
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
