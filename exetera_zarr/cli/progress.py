"""Bars on the terminal while an import runs."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from exetera_zarr.io.options import Progress, ProgressCallback

__all__ = ["progress_bars"]


def progress_bars(
    tables: Iterable[str], *, quiet: bool
) -> AbstractContextManager[ProgressCallback | None]:
    """
    Show how far an import is, if stderr is a terminal.

    Parameters
    ----------
    tables
        In the order of the import.
    quiet
        Whether not to.
    """
    if quiet or not sys.stderr.isatty():
        return nullcontext()
    return _bars(tables)


@contextmanager
def _bars(tables: Iterable[str]) -> Iterator[ProgressCallback]:
    """Show a bar for each table: how much is read, rows, rows a second, time left."""
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns: tuple[Any, ...] = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:>13,} rows"),
        TextColumn("{task.fields[rate]:>10,}/s"),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks = {
            table: bars.add_task(table, start=False, total=None, rows=0, rate=0) for table in tables
        }
        started: dict[str, float] = {}
        latest = time.monotonic()

        def show(progress: Progress) -> None:
            nonlocal latest
            task = tasks[progress.table]
            if progress.table not in started:
                # Tables follow each other: this one began when the last one was heard of.
                started[progress.table] = latest
                bars.start_task(task)
            latest = time.monotonic()
            since = latest - started[progress.table]
            bars.update(
                task,
                completed=progress.bytes_read,
                total=progress.bytes_total,
                rows=progress.rows,
                rate=int(progress.rows / since) if since else 0,
            )

        yield show
