"""Keys of a table as tasks read them, and samples of them by which partitions are cut."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from exetera_zarr.engine.columns import comparable_keys, selection
from exetera_zarr.engine.columns.spans import find_spans
from exetera_zarr.engine.sort.sorting import sort_index
from exetera_zarr.engine.streams.sorted_runs import first_disorder
from exetera_zarr.fields.missing.keys import keys_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exetera_zarr.dask.opened import TablePlace
    from exetera_zarr.engine import Column
    from exetera_zarr.engine.streams.source import Source
    from exetera_zarr.storage.base import AnyArray

__all__ = ["KeyPlace", "Look", "Looked", "ranks", "window"]


@dataclass(frozen=True)
class KeyPlace:
    """
    Keys of a table, for tasks.

    Parameters
    ----------
    place
        Of the table.
    names
        Of the fields, the first one leading.
    split
        As of `fields.missing.keys.key_source`.
    """

    place: TablePlace
    names: tuple[str, ...]
    split: tuple[bool, ...]

    def __dask_tokenize__(self) -> object:
        return (type(self).__name__, self.place.__dask_tokenize__(), self.names, self.split)

    def source(self) -> Source:
        """The keys as the engine compares them."""
        frame = self.place.open()
        return keys_of([frame[name] for name in self.names], self.split)


def window(source: Source, start: int, stop: int) -> Source:
    """Some rows of a source, as a source of its own."""
    offsets = source.offsets
    return replace(
        source,
        rows=stop - start,
        read=lambda first, last: source.read(start + first, start + last),
        offsets=None
        if offsets is None
        else lambda first, last: offsets(start + first, start + last),
    )


@dataclass(frozen=True)
class Looked:
    """
    What was seen of the keys of some rows.

    Parameters
    ----------
    ascending
        Whether they ascend, also behind the row before them.
    ends
        The first and the last key.
    sample
        Some of them, and their row numbers, as the last column.
    """

    ascending: bool
    ends: tuple[Column, ...]
    sample: tuple[Column, ...]


@dataclass(frozen=True)
class Look:
    """
    Looks at the keys of some rows.

    Parameters
    ----------
    name
        Of the task.
    keys
        Of the table.
    start, stop
        Which rows; at least one.
    samples
        How many of them are taken, evenly.
    """

    name: str
    keys: KeyPlace
    start: int
    stop: int
    samples: int

    def __call__(self) -> Looked:
        """Look."""
        source = self.keys.source()
        before = max(self.start - 1, 0)
        ascending = first_disorder(window(source, before, self.stop)) is None
        columns = source.read(self.start, self.stop)
        last = self.stop - self.start - 1
        ends = tuple(selection.take(column, [0, last]) for column in columns)
        count = min(self.samples, last + 1)
        at = np.unique(np.linspace(0, last, count).astype(np.int64)) if count else np.zeros(0, int)
        sample = (*(selection.take(column, at) for column in columns), at + self.start)
        return Looked(ascending, ends, sample)


def ranks(
    left: Sequence[Sequence[Column]], right: Sequence[Sequence[Column]]
) -> tuple[AnyArray, AnyArray]:
    """
    Numbers that are equal where keys of two tables are, and ordered as they are.

    Parameters
    ----------
    left, right
        Some keys of either table, in parts.
    """
    sides = [
        [selection.concat(parts) for parts in zip(*some, strict=True)] for some in (left, right)
    ]
    one, other = comparable_keys.align(*sides)
    both = [selection.concat([a, b]) for a, b in zip(one, other, strict=True)]
    order = sort_index(both)
    bounds = find_spans([selection.take(column, order) for column in both], nan_equal=True)
    found = np.empty(len(order), np.int64)
    found[order] = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    return found[: len(one[0])], found[len(one[0]) :]
