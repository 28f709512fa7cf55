"""Rows by number, from a table to fields: tasks pull what they choose, and place whole blocks."""

from __future__ import annotations

import secrets
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.cluster.numbers import Part, StagedNumbers
from exetera_zarr.dask.jobs import working
from exetera_zarr.dask.placing import Place, Placed, Staged, Target
from exetera_zarr.dask.staging import BYTES, INDEX, VALUES, Fragment
from exetera_zarr.engine import is_strings
from exetera_zarr.engine.columns import selection, strings
from exetera_zarr.engine.streams.row_gather import RowNumbers
from exetera_zarr.errors import StorageError
from exetera_zarr.fields.missing.companions import holds_nan, in_place_of_missing
from exetera_zarr.fields.sources import source_of, workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from exetera_zarr.cluster.running import Run
    from exetera_zarr.dask.opened import TablePlace
    from exetera_zarr.dask.staging import Job
    from exetera_zarr.engine import Column
    from exetera_zarr.engine.streams.workspace import Workspace
    from exetera_zarr.fields.base import Field
    from exetera_zarr.storage.base import AnyArray, Array
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["RowsOnCluster"]

_BLOCKS = 32
"""Blocks that a task places at most, where it reads no more than it places."""
_ROOM = 128 << 20
"""Bytes of a column that such a task has at a time, at most."""
_MEAN = 4
"""How many times the mean the strings of a task may have, as its share of memory is reckoned."""


class RowsOnCluster(RowNumbers):
    """
    Row numbers that tasks have staged, and the rows that they choose, which tasks gather.

    Parameters
    ----------
    run
        The verb.
    frame
        The table that rows are chosen of.
    parts
        The numbers, in order.
    work
        Where numbers are kept that are read here.
    """

    def __init__(self, run: Run, frame: DataFrame, parts: Sequence[Part], work: Workspace) -> None:
        self._staged = StagedNumbers(run.workshop, parts)
        super().__init__(work, self._staged, self._staged.ascending)
        self._run, self._frame = run, frame

    @property
    def incomplete(self) -> bool:
        return self._staged.incomplete

    def fill(
        self, names: Mapping[str, Field], *, nan_alone: bool = False, replace: bool = False
    ) -> None:
        """
        Put the chosen rows into fields.

        Parameters
        ----------
        names
            By the names of the fields that rows are chosen of, the new fields that take them.
        nan_alone
            Whether a float of no row is NaN, not 0.
        replace
            Whether the fields have rows, in the place of which these are put.
        """
        run, frame = self._run, self._frame
        dest = next(iter(names.values())).dataframe
        assert dest is not None
        path_of = run.workshop.paths(dest.name, [str(f.name) for f in names.values()], anew=False)
        few = len(self) < dest.group.row_block
        columns = []
        for name, result in names.items():
            path = "" if few or result.indexed else path_of(str(result.name), "values")
            run.paths += [path] if path else []
            columns.append(_Column(name, path, result.arrays()["values"].block))
        made: dict[str, list[_Made]] = {name: [] for name in names}
        for found in run.all(list(self._tasks(columns, nan_alone=nan_alone))):
            for one in found:
                made[one.name].append(one)
        for name, result in names.items():
            parts = sorted(made[name], key=lambda one: one.start)
            if few:
                column = self._column(frame[name], parts)
                if replace:
                    result.replace([column])
                else:
                    result.append(column, given=True)
                continue
            adopt = self._strings if result.indexed else self._numbers_of
            fill = adopt(name, result, parts, path_of, columns)
            if replace:
                result.rewrite(fill)
            else:
                fill(result.arrays())

    def _tasks(self, columns: Sequence[_Column], *, nan_alone: bool) -> list[Gather]:
        """As many tasks as keep the workers busy, each of which holds what its memory allows."""
        run, frame, total = self._run, self._frame, len(self)
        source = frame.group.row_block
        sizes = [_row_bytes(frame[one.name]) for one in columns]
        room = min(run.memory, _ROOM) if self.ascending else run.memory
        most = max(int(room / (max(sizes) + 8)), 1)
        grid = run.job.rows
        if self.ascending:
            most = min(most, _BLOCKS * source, -(-total // (2 * run.threads)) + grid - 1)
        step = max(most // grid, 1) * grid
        ranges = [(start, min(start + step, total)) for start in range(0, total, step)]
        if not ranges:
            return []
        # Columns apart where ranges are few: what each task reads again are the numbers alone.
        groups = max(-(-2 * run.threads // len(ranges)), 1) if self.ascending else len(columns)
        groups = min(groups, len(columns))
        return [
            Gather(
                run.job,
                run.place_of(frame),
                tuple(columns[number::groups]),
                *self._staged.needed(start, min(stop + grid, total)).told(),
                start,
                stop,
                total,
                self.ascending,
                nan_alone,
            )
            for start, stop in ranges
            for number in range(groups)
        ]

    def _column(self, field: Field, parts: Sequence[_Made]) -> Column:
        """All chosen rows of a field, of which there are few."""
        found = [field.empty_column()]
        for one in parts:
            fragment = one.fragment
            if fragment is not None and fragment.rows:
                found.append(_read(self._run, one.name, field, fragment))
        column = selection.concat(found)
        self._check(field, len(column))
        return column

    def _check(self, field: Field, rows: int) -> None:
        if rows != len(self):  # never seen; better told than written
            raise StorageError(
                f"{rows:,} rows of {field.phrase()} were gathered, and {len(self):,} were chosen"
            )

    def _numbers_of(
        self,
        name: str,
        result: Field,
        parts: Sequence[_Made],
        _path_of: Callable[[str, str], str],
        columns: Sequence[_Column],
    ) -> Callable[[Mapping[str, Array]], None]:
        (column,) = (one for one in columns if one.name == name)
        blocks = {number: known for one in parts for number, known in one.blocks}
        whole = len(self) // column.block
        known = [blocks[number] for number in range(whole)]
        rest = result.empty_column()
        for one in parts:
            if one.fragment is not None:
                rest = _read(self._run, name, self._frame[name], one.fragment)
        self._check(self._frame[name], whole * column.block + len(rest))

        def fill(arrays: Mapping[str, Array]) -> None:
            array: Any = arrays["values"]
            array.adopt(column.path, known, np.asarray(rest, array.dtype))

        return fill

    def _strings(
        self,
        name: str,
        result: Field,
        parts: Sequence[_Made],
        path_of: Callable[[str, str], str],
        _columns: Sequence[_Column],
    ) -> Callable[[Mapping[str, Array]], None]:
        run = self._run
        placed, row, size = [], 0, 0
        for one in parts:
            assert one.fragment is not None
            placed.append(Placed(one.fragment, row, {name: size}))
            row += one.fragment.rows
            size += one.fragment.texts[name][1][0]
        self._check(self._frame[name], row)
        targets = {}
        for role, array in result.arrays().items():
            kind, elements = (INDEX, row + 1) if role == "index" else (BYTES, size)
            path = path_of(str(result.name), role)
            run.paths.append(path)
            targets[role] = Target(name, kind, array.dtype, array.block, elements, path)
        work = [
            Place.of(run.job, [(target, number) for number in range(first, last)], placed)
            for target in targets.values()
            for first in range(0, target.blocks, _BLOCKS)
            for last in (min(first + _BLOCKS, target.blocks),)
        ]
        known = {(path, number): one for some in run.all(work) for path, number, one in some}
        staged = Staged(run.workshop, placed)

        def fill(arrays: Mapping[str, Array]) -> None:
            for role, target in targets.items():
                array: Any = arrays[role]
                rest = staged.read(target, target.blocks * target.block, target.elements)
                blocks = [known[target.path, number] for number in range(target.blocks)]
                array.adopt(target.path, blocks, rest)

        return fill


def _row_bytes(field: Field) -> int:
    """Bytes of a row of a column in memory, of strings as it is reckoned with."""
    if not field.indexed:
        return field.dtype_of_rows.itemsize
    rows = max(len(field), 1)
    return 16 + _MEAN * len(field.arrays()["values"]) // rows


def _read(run: Run, name: str, field: Field, fragment: Fragment) -> Column:
    """A fragment of a column, here."""
    workshop = run.workshop
    data = workshop.staged(fragment.key)
    if field.indexed:
        ends = workshop.piece(data, fragment.pieces[name, INDEX], np.dtype(np.int64))
        key, piece = fragment.texts[name]
        return strings.to_arrow(ends, workshop.piece(workshop.staged(key), piece, np.dtype("u1")))
    return workshop.piece(data, fragment.pieces[name, VALUES], field.dtype_of_rows)


@dataclass(frozen=True)
class _Column:
    """A field that rows are chosen of, and where blocks go, where any are placed at once."""

    name: str
    path: str
    block: int


@dataclass(frozen=True)
class _Made:
    """Of a column the blocks that a task has placed, and the rows that it has staged."""

    name: str
    start: int
    blocks: tuple[tuple[int, Any], ...]
    fragment: Fragment | None


@dataclass(frozen=True)
class Gather:
    """
    Gathers chosen rows of some columns: blocks of numbers are placed, strings and rests staged.

    Parameters
    ----------
    job, place
        What it is part of, and the table that is read.
    columns
        Which fields, and where their blocks go.
    parts, before
        The row numbers, and how many come before these.
    start, stop, total
        Which of them: blocks that begin there are placed; and how many there are of all.
    ascending, nan_alone
        As of `RowsOnCluster`.
    """

    job: Job
    place: TablePlace
    columns: tuple[_Column, ...]
    parts: tuple[Part, ...] = field(repr=False)
    before: int
    start: int
    stop: int
    total: int
    ascending: bool
    nan_alone: bool

    @cached_property
    def name(self) -> str:
        """A name for the task."""
        return f"gather-{self.job.id}-{self.columns[0].name}-{self.start}-{secrets.token_hex(4)}"

    def __call__(self) -> list[_Made]:
        """Place, and say what was placed and staged."""
        with working(self.job.id):
            frame = self.place.open()
            staged = StagedNumbers(self.job.workshop(), self.parts, self.before)
            numbers = lru_cache(1)(staged.read)  # columns mostly have blocks of as many rows
            return [self._gathered(frame[one.name], one, numbers) for one in self.columns]

    def _gathered(
        self, source: Field, column: _Column, numbers: Callable[[int, int], AnyArray]
    ) -> _Made:
        workshop = self.job.workshop()
        if not column.path:
            rows = self._rows(source, numbers(self.start, self.stop))
            return _Made(column.name, self.start, (), self._staged(column.name, rows))
        block, name = column.block, column.name
        first, last = -(-self.start // block), -(-self.stop // block)  # blocks that begin there
        end = min(last * block, self.total)
        if first * block >= end:
            return _Made(name, self.start, (), None)
        rows = self._rows(source, numbers(first * block, end))
        found = []
        whole = min(last, self.total // block)
        for number in range(first, whole):
            values = np.asarray(rows[(number - first) * block : (number - first + 1) * block])
            found.append((number, workshop.place(column.path, "values", number, values)))
        left = rows[(whole - first) * block :]
        fragment = self._staged(name, left) if len(left) else None
        return _Made(name, self.start, tuple(found), fragment)

    def _rows(self, source: Field, numbers: AnyArray) -> Column:
        with workspace(source.settings) as work:
            rows = RowNumbers(work, numbers, self.ascending)
            with closing(rows.of(source_of([source]))) as columns:
                column = selection.concat([source.empty_column(), *columns])
        if self.nan_alone and holds_nan(column) and (numbers < 0).any():
            column = in_place_of_missing(column, numbers >= 0)
        return column

    def _staged(self, name: str, rows: Column) -> Fragment:
        workshop, attempt = self.job.workshop(), secrets.token_hex(8)
        if not is_strings(rows):
            key, pieces = workshop.stage(attempt, {VALUES: np.asarray(rows)})
            return Fragment(len(rows), key, {(name, VALUES): pieces[VALUES]}, {})
        offsets, data = strings.from_arrow(rows)
        offsets = np.asarray(offsets - offsets[:1], np.int64)
        text, sizes = workshop.stage(f"{attempt}-text", {BYTES: np.asarray(data)})
        key, pieces = workshop.stage(attempt, {INDEX: offsets})
        index = {(name, INDEX): pieces[INDEX]}
        return Fragment(len(rows), key, index, {name: (text, sizes[BYTES])})
