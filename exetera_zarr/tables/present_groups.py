"""Groups in which a missing value is no value: what the engine groups is what there is.

A column that has missing values is aggregated in a pass of its own, over the rows that have a
value. The groups of such a pass are some of all groups, in the same order; how many values each
group has, which the pass over all rows counts, says which ones.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from exetera_zarr.engine.columns import selection
from exetera_zarr.engine.group import aggregate
from exetera_zarr.engine.streams.source import Source, side_by_side
from exetera_zarr.fields.missing.companions import any_missing, both, masked_reader, present
from exetera_zarr.fields.missing.keys import key_source, whole_keys
from exetera_zarr.fields.missing.masked import masked_of, present_rows, rows_of
from exetera_zarr.fields.missing.present_spans import spread
from exetera_zarr.fields.sources import source_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from exetera_zarr.engine import Column
    from exetera_zarr.engine.streams.workspace import Workspace
    from exetera_zarr.fields.base import Field
    from exetera_zarr.storage.base import AnyArray

__all__ = ["PresentGroups", "as_stored", "grouped"]

_COUNTS = ("count", "nunique")
"""Aggregates that are 0, not missing, of no values."""


class PresentGroups(NamedTuple):
    """Some groups: their keys and results, each with which of them there are; None for all."""

    keys: list[tuple[Column, AnyArray | None]]
    results: list[tuple[Column, AnyArray | None]]

    def with_keys(self) -> PresentGroups:
        """The groups of which no key is missing."""
        kept = None
        for column, mask in self.keys:
            kept = both(kept, present(column, mask))
        if kept is None:
            return self
        return PresentGroups(*(_compressed(parts, kept) for parts in self))


def _compressed(
    parts: list[tuple[Column, AnyArray | None]], kept: AnyArray
) -> list[tuple[Column, AnyArray | None]]:
    return [
        (selection.compress(column, kept), None if mask is None else mask[kept])
        for column, mask in parts
    ]


def grouped(
    keys: Sequence[Field],
    targets: Sequence[Field],
    wanted: Sequence[tuple[int, str]],
    work: Workspace,
    *,
    ordered: bool | None,
) -> Generator[PresentGroups]:
    """
    Aggregate the values that there are in each group.

    Parameters
    ----------
    keys
        Missing values of a key are a group, the last one.
    targets
        Fields to aggregate, each once; as long as the keys.
    wanted
        For each aggregate its target, and its name; see `engine.group.aggregate.grouped`. Here
        ``count`` is the number of values, and ``size`` that of rows.
    work, ordered
        As of the engine.

    Yields
    ------
    PresentGroups
        In ascending order of the keys.
    """
    (of_keys,), split = key_source(keys)
    lacking = [number for number, field in enumerate(targets) if any_missing(field)]
    values, masks = _values(targets, lacking, of_keys.rows)
    if masks is not None:
        values = side_by_side([values, masks]) if values.empty else masks
    main = [(number, name) for number, name in wanted if number not in lacking or name == "size"]
    counted = [(len(targets) + at, "sum") for at in range(len(lacking))]
    with ExitStack() as stack:
        parts = work.part(1 + len(lacking)) if lacking else work
        passes: dict[int, _Pass] = {}
        for number in lacking:
            names = [name for of, name in wanted if of == number and name not in ("size", "count")]
            if names:
                source = targets[number]
                empty = [aggregate.result_of(name, source.empty_column()) for name in names]
                found = _over_present(of_keys, source, names, parts, ordered)
                passes[number] = _Pass(stack.enter_context(closing(found)), empty)
        groups = aggregate.grouped(of_keys, values, [*main, *counted], parts, ordered=ordered)
        for some in stack.enter_context(closing(groups)):
            in_main = iter(some.results[: len(main)])
            counts = dict(zip(lacking, some.results[len(main) :], strict=True))
            yield PresentGroups(
                whole_keys(some.keys, split),
                list(_results(wanted, in_main, counts, passes)),
            )


def _results(
    wanted: Sequence[tuple[int, str]],
    in_main: Iterator[Column],
    counts: dict[int, Column],
    passes: dict[int, _Pass],
) -> Iterator[tuple[Column, AnyArray | None]]:
    """The results in the order in which they are wanted."""
    taken: dict[int, Iterator[Column]] = {}
    for number, name in wanted:
        if number not in counts or name == "size":
            yield next(in_main), None
            continue
        numbers = np.asarray(counts[number])
        if name == "count":
            yield numbers, None
            continue
        there = numbers > 0
        if number not in taken:
            taken[number] = iter(passes[number].take(int(there.sum())))
        column = spread(next(taken[number]), there)
        yield column, None if name in _COUNTS or there.all() else there


def _values(
    targets: Sequence[Field], lacking: Sequence[int], rows: int
) -> tuple[Source, Source | None]:
    """The targets as they are, and whether there is a value, for each that lacks some."""
    plain = source_of(list(targets), rows)
    if not lacking:
        return plain, None
    readers = [masked_reader(targets[number])[1] for number in lacking]

    def read(start: int, stop: int) -> list[Column]:
        masks = (reader(start, stop)[1] for reader in readers)
        return [np.ones(stop - start, np.bool_) if m is None else m for m in masks]

    empty = [np.zeros(0, np.bool_) for _ in lacking]
    return plain, replace(plain, empty=empty, read=read, offsets=None)


class _Pass:
    """The results of a pass over the rows of one target that have a value, so many at a time."""

    def __init__(self, groups: Generator[aggregate.Groups], empty: Sequence[Column]) -> None:
        self._groups = groups
        self._held: list[list[Column]] = [[column] for column in empty]
        self._count = 0

    def take(self, count: int) -> list[Column]:
        """The results of the next groups, a column for each aggregate."""
        while self._count < count:
            some = next(self._groups)
            for held, column in zip(self._held, some.results, strict=True):
                held.append(column)
            self._count += len(some.results[0])
        taken = []
        for number, parts in enumerate(self._held):
            whole = selection.concat(parts)
            taken.append(whole[:count])
            self._held[number] = [whole[count:]]
        self._count -= count
        return taken


def _over_present(
    keys: Source,
    target: Field,
    names: Sequence[str],
    work: Workspace,
    ordered: bool | None,
) -> Generator[aggregate.Groups]:
    """The groups of the rows in which a target has a value."""
    column = masked_of(target)
    numbers = present_rows(column, work)
    wanted = [(0, name) for name in names]
    yield from aggregate.grouped(
        rows_of(keys, numbers), rows_of(column.values, numbers), wanted, work, ordered=ordered
    )


def as_stored(
    keys: Sequence[Field],
    targets: Sequence[Field],
    wanted: Sequence[tuple[int, str]],
    work: Workspace,
    *,
    ordered: bool | None,
) -> Generator[PresentGroups]:
    """The groups of what is stored, whether there is a value or not: as ExeTera groups."""
    of_keys = source_of(list(keys))
    values = source_of(list(targets), of_keys.rows)
    for some in aggregate.grouped(of_keys, values, wanted, work, ordered=ordered):
        yield PresentGroups(
            [(column, None) for column in some.keys], [(column, None) for column in some.results]
        )
