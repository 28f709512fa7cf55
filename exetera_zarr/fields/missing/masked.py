"""A column beside what says which of its rows have a value, wherever both come from."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from exetera_zarr.engine.columns import selection
from exetera_zarr.engine.streams.source import prefetched
from exetera_zarr.fields.missing.companions import holds_nan, present
from exetera_zarr.fields.sources import source_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from exetera_zarr.engine import Column
    from exetera_zarr.engine.streams.row_gather import RowNumbers
    from exetera_zarr.engine.streams.source import Source
    from exetera_zarr.engine.streams.workspace import Spill, Workspace
    from exetera_zarr.fields.base import Field
    from exetera_zarr.storage.base import AnyArray

__all__ = ["Masked", "as_masked", "chosen", "chosen_masked", "masked_of", "present_rows", "rows_of"]


@dataclass(frozen=True)
class Masked:
    """
    A column in which some rows may have no value.

    Parameters
    ----------
    values
        The column.
    mask
        A column of bool that says which rows have a value; None where it is all of them.
    nan_is_missing
        Whether a row that is NaN has none either.
    coded
        Says which rows hold a missing code, which say more than that they have no value; see
        `Field.coded`.
    """

    values: Source
    mask: Source | None = None
    nan_is_missing: bool = False
    coded: Callable[[Column], AnyArray | None] | None = None

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.values.rows

    @property
    def empty(self) -> Column:
        """The column without its rows."""
        return self.values.empty[0]

    def read(self, start: int, stop: int) -> tuple[Column, AnyArray | None]:
        """The rows from one number to another, and which of them have a value; None for all."""
        (column,) = self.values.read(start, stop)
        mask = None if self.mask is None else np.asarray(self.mask.read(start, stop)[0])
        return column, self.present(column, mask)

    def present(self, column: Column, mask: AnyArray | None) -> AnyArray | None:
        """Which of some rows have a value, of those that a mask says have one; None for all."""
        if self.nan_is_missing:
            return present(column, mask)
        return None if mask is None or mask.all() else mask

    def any_missing(self) -> bool:
        """Whether a row has no value, NaN apart; reads the mask."""
        if self.mask is None:
            return False
        with closing(self.mask.blocks()) as blocks:
            return not all(np.asarray(columns[0]).all() for columns in blocks)


def masked_of(field: Field) -> Masked:
    """A field as it is now; in ExeTera's face all rows have a value."""
    values, companion = source_of([field]), field.validity
    mask = None if companion is None else source_of([companion], values.rows)
    of_nan = field.face.sees_missing and holds_nan(values.empty[0])
    return Masked(values, mask, of_nan, field.coded if field.missing_codes else None)


def as_masked(column: Column, mask: AnyArray | None) -> AnyArray:
    """Numbers as an array, in which what has no value is masked."""
    values = np.asarray(column)
    return values if mask is None else np.ma.masked_array(values, ~mask)


def chosen(source: Source, rows: RowNumbers) -> Generator[Column]:
    """The chosen rows of a column, some at a time; the next ones are read until it is closed."""
    columns = rows.of(source)
    return columns if max(len(rows), source.rows) <= source.block else prefetched(columns)


def chosen_masked(
    column: Masked, rows: RowNumbers, work: Workspace
) -> Iterator[tuple[Column, AnyArray | None]]:
    """
    The chosen rows of a column, and which of them have a value.

    Parameters
    ----------
    column
        What is chosen from.
    rows
        Row numbers; -1 for no row, which has no value.
    work
        Where the chosen rows of the mask are kept meanwhile.

    Yields
    ------
    values : Column
        Some rows, in order.
    mask : ndarray of bool, or None
        None where all have a value.
    """
    told = None
    if column.mask is not None:
        told = work.spill(np.bool_)
        with closing(chosen(column.mask, rows)) as masks:
            for some in masks:
                told.append(np.asarray(some))
    start = 0
    with closing(chosen(column.values, rows)) as columns:
        for values in columns:
            stop = start + len(values)
            mask = rows.read(start, stop) >= 0
            if told is not None:
                mask &= told.read(start, stop)
            yield values, column.present(values, mask)
            start = stop


def present_rows(column: Masked, work: Workspace) -> Spill:
    """The numbers of the rows that have a value."""
    numbers = work.spill(np.int64)
    for start, stop in column.values.cuts():
        mask, here = column.read(start, stop)[1], np.arange(start, stop)
        numbers.append(here if mask is None else here[mask])
    return numbers


def rows_of(source: Source, numbers: Spill) -> Source:
    """The columns of a source with some of its rows, whose numbers ascend."""

    def read(start: int, stop: int) -> list[Column]:
        rows = numbers.read(start, stop)
        if len(rows) == 0:
            return list(source.read(0, 0))
        parts: list[list[Column]] = [[] for _ in source.empty]
        low = int(rows[0])
        while low <= rows[-1]:  # a block at a time, however far apart the rows are
            high = min(low + source.block, int(rows[-1]) + 1)
            within = rows[np.searchsorted(rows, low) : np.searchsorted(rows, high)] - low
            for part, column in zip(parts, source.read(low, high), strict=True):
                part.append(selection.take(column, within))
            low = high
        return [selection.concat(part) for part in parts]

    return replace(source, rows=len(numbers), read=read, offsets=None)
