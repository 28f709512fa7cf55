"""The rows that a filter keeps, found by tasks that read nothing but the filter."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.cluster.numbers import Part, stage_numbers
from exetera_zarr.dask.jobs import working
from exetera_zarr.engine.columns import selection
from exetera_zarr.fields.base import Field
from exetera_zarr.fields.filters import filter_reader

if TYPE_CHECKING:
    from exetera_zarr.cluster.running import Run
    from exetera_zarr.dask.opened import TablePlace
    from exetera_zarr.dask.staging import Job
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["all_rows", "kept_rows"]

_SHARE = 8
"""Tasks for each thread: enough to even out what some take longer."""


def kept_rows(run: Run, frame: DataFrame, given: Any) -> list[Part]:
    """
    The rows for which a filter is true.

    Parameters
    ----------
    run
        The verb.
    frame
        The table.
    given
        As of `DataFrame.apply_filter`; errors as well.

    Returns
    -------
    list of Part
        In order.
    """
    length, face = frame.length(), frame.dataset.settings.face
    read = filter_reader(given, length, face)
    stored = isinstance(given, Field) and given.stored and given.dataframe is frame
    name = given.name if stored else None
    tasks = []
    for start, stop in run.ranges(frame, _SHARE):
        bits = b""
        if name is None:  # what is here alone goes along, a bit for each row
            mask = selection.as_mask(read(start, stop), stop - start)
            bits = np.packbits(mask).tobytes()
        tasks.append(Keep(run.job, run.place_of(frame), name, bits, start, stop))
    parts: list[Part] = run.all(tasks)
    return parts


def all_rows(run: Run, frame: DataFrame) -> list[Part]:
    """All rows of a table, in order."""
    return run.all(
        [
            Keep(run.job, run.place_of(frame), None, None, start, stop)
            for start, stop in run.ranges(frame, _SHARE)
        ]
    )


@dataclass(frozen=True)
class Keep:
    """
    Stages the numbers of the rows that a filter keeps.

    Parameters
    ----------
    job, place
        What it is part of, and the table.
    filter
        Name of the field that is the filter; None where it is `bits`.
    bits
        Of each row whether it is kept; None for all.
    start, stop
        Which rows.
    """

    job: Job
    place: TablePlace
    filter: str | None
    bits: bytes | None = field(repr=False)
    start: int
    stop: int

    @property
    def name(self) -> str:
        """A name for the task."""
        return f"keep-{self.job.id}-{self.start}"

    def __call__(self) -> Part:
        """Stage, and say where."""
        rows = self.stop - self.start
        if self.filter is not None:
            frame = self.place.open()
            face = frame.dataset.settings.face
            read = filter_reader(frame[self.filter], frame.length(), face)
            kept = selection.as_mask(read(self.start, self.stop), rows)
        elif self.bits is None:
            kept = np.ones(rows, np.bool_)
        else:
            bits = np.frombuffer(self.bits, np.uint8)
            kept = np.unpackbits(bits, count=rows).astype(np.bool_)
        with working(self.job.id):
            return stage_numbers(self.job, np.flatnonzero(kept) + self.start)
