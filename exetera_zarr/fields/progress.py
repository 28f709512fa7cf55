"""How far long work is, told to a person at a terminal or a notebook, and to nobody else."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from exetera_zarr.engine import Column
    from exetera_zarr.settings import Settings

__all__ = ["Tick", "counted", "in_notebook", "is_watched", "watched"]

Tick: TypeAlias = Callable[[int], object]
"""Called with how many more rows, or bytes, are done."""

DELAY = 2.0
"""Seconds that work may take without a word."""
INTERVAL = 0.1
"""Seconds between two looks of the line."""
SWITCH = "EXETERA_ZARR_PROGRESS"
_running = threading.local()


def is_watched(settings: Settings | None) -> bool:
    """
    Whether a person sees how far work is.

    ``Session(progress=...)`` decides, else the environment variable ``EXETERA_ZARR_PROGRESS`` (0 or
    1), else whether this is a notebook, or stderr is a terminal.
    """
    asked = None if settings is None else settings.progress
    if asked is not None:
        return asked
    said = os.environ.get(SWITCH, "").strip().lower()
    if said:
        return said not in ("0", "false", "no", "off")
    return in_notebook() or bool(sys.stderr is not None and sys.stderr.isatty())


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook."""
    shell = sys.modules.get("IPython")
    found = shell.get_ipython() if shell is not None else None
    return found is not None and getattr(found, "kernel", None) is not None


@contextmanager
def watched(
    settings: Settings | None, title: str, total: int | None, unit: str = "rows"
) -> Iterator[Tick]:
    """
    A ``with`` block around work, of which a line tells how far it is once it has taken 2 seconds.

    Work inside of other work has no line of its own: what it does counts for that.

    Parameters
    ----------
    settings
        Of the session.
    title
        What is done to what: ``sort visits``.
    total
        How many rows there are to do; None where that is not known.
    unit
        What is counted: ``rows`` or ``B`` for bytes.

    Yields
    ------
    Tick
        To be called with how many more are done.
    """
    outer = getattr(_running, "bar", None)
    if outer is not None or not is_watched(settings):
        yield _nothing if outer is None else outer.update
        return
    bar = _bar(title, total, unit)
    _running.bar = bar
    # A phase that counts nothing, such as a sort, is told of as well.
    timer = threading.Timer(DELAY, bar.refresh)
    timer.daemon = True
    timer.start()
    try:
        yield bar.update
    finally:
        timer.cancel()
        _running.bar = None
        bar.close()


def counted(columns: Iterable[Column], tick: Tick) -> Iterator[Column]:
    """Columns as they come, each of which counts when the next one is asked for."""
    for column in columns:
        yield column
        tick(len(column))


def _nothing(_: int) -> None:
    """Nobody looks."""


def _bar(title: str, total: int | None, unit: str) -> Any:
    # The plain one: that for notebooks is a widget, which is not there where ipywidgets is not.
    from tqdm.std import tqdm

    of_rows = unit == "rows"
    return tqdm(
        total=total or None,
        desc=visible(title),
        unit=" rows" if of_rows else unit,
        unit_scale=True,
        delay=DELAY,
        mininterval=INTERVAL,
        miniters=1,
        file=sys.stderr,
        dynamic_ncols=True,
        leave=False,
    )
