"""Bars on the terminal while long work runs."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeAlias

from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from exetera_zarr.conversion.datasets import Progress as Conversion
    from exetera_zarr.io.options import Progress

__all__ = ["Stepping", "progress_bars", "step_bars"]

Stepping: TypeAlias = "Callable[[str], Callable[[int, int], None]]"


def progress_bars(
    tables: Iterable[str], *, quiet: bool
) -> AbstractContextManager[Callable[[Progress | Conversion], None] | None]:
    """
    Show how far an import or a conversion is, if stderr is a terminal.

    Parameters
    ----------
    tables
        In the order of the import; others are added as they are heard of.
    quiet
        Whether not to.
    """
    if quiet or not sys.stderr.isatty():
        return nullcontext()
    return _bars(tables)


@contextmanager
def _bars(tables: Iterable[str]) -> Iterator[Callable[[Progress | Conversion], None]]:
    """Show a bar for each table: how much is read, rows, rows a second, time left."""
    from rich.console import Console
    from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
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
        tasks: dict[str, TaskID] = {}

        def add(table: str) -> TaskID:
            tasks[table] = bars.add_task(visible(table), start=False, total=None, rows=0, rate=0)
            return tasks[table]

        for table in tables:
            add(table)
        started: dict[str, float] = {}
        latest = time.monotonic()

        def show(progress: Progress | Conversion) -> None:
            nonlocal latest
            step = getattr(progress, "step", "")
            name = f"{progress.table} {step}".strip()
            task = tasks[name] if name in tasks else add(name)
            if name not in started:
                # Tables follow each other: this one began when the last one was heard of.
                started[name] = latest
                bars.start_task(task)
            latest = time.monotonic()
            since = latest - started[name]
            bars.update(
                task,
                completed=progress.bytes_read,
                total=progress.bytes_total,
                rows=progress.rows,
                rate=int(progress.rows / since) if since else 0,
            )

        yield show


def step_bars(*, quiet: bool) -> AbstractContextManager[Stepping | None]:
    """
    Show how far work in steps is, if stderr is a terminal.

    Parameters
    ----------
    quiet
        Whether not to.

    Returns
    -------
    context manager
        Of what begins a bar by its title, and gives what to call with how many steps are done, and
        how many there are.
    """
    if quiet or not sys.stderr.isatty():
        return nullcontext()
    return _step_bars()


@contextmanager
def _step_bars() -> Iterator[Stepping]:
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:

        def begin(title: str) -> Callable[[int, int], None]:
            task = bars.add_task(visible(title), total=None)
            return lambda done, total: bars.update(task, completed=done, total=total)

        yield begin
