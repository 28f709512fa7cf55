"""Rows that change those with the same key, or are appended where there are none."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.engine import changes
from exetera_zarr.engine.columns import selection
from exetera_zarr.engine.streams.row_gather import RowNumbers
from exetera_zarr.engine.streams.workspace import Workspace
from exetera_zarr.errors import DataError, listing
from exetera_zarr.fields.data import put_rows
from exetera_zarr.fields.missing.companions import holds_nan
from exetera_zarr.fields.missing.keys import absence, blanked
from exetera_zarr.fields.missing.masked import chosen_masked, masked_of
from exetera_zarr.fields.sources import source_of, workspace
from exetera_zarr.tables.rows.columns import Columns, append_missing, append_to
from exetera_zarr.tables.rows.given import rows_given
from exetera_zarr.tables.rows.staged import StagedColumn
from exetera_zarr.tables.rows.values import of_field
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterator, Mapping, Sequence

    from exetera_zarr.engine import Column
    from exetera_zarr.engine.streams.source import Source
    from exetera_zarr.engine.streams.workspace import Spill
    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.missing.masked import Masked
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.rows.columns import Missing, New
    from exetera_zarr.tables.rows.given import Given

__all__ = ["Upserted", "upsert"]

_STEP = 1 << 20
#: Of the memory, for all rows that are given, and for a sequence of what is said of each.
_STAGED, _TOLD = 1 / 8, 1 / 32
#: A column has this part of the memory: strings that are written anew are held several times.
_PART = 4


@dataclass(frozen=True)
class Upserted:
    """
    What an upsert did with the rows that were given.

    Parameters
    ----------
    new
        Rows with a key that the table had not; they were appended.
    changed
        Rows that differed from that with the same key, which is as they are now.
    unchanged
        Rows that did not; nothing was written for them.
    """

    new: int
    changed: int
    unchanged: int


def upsert(
    table: DataFrame,
    rows: Any,
    key: str | list[str],
    missing: Missing = "error",
    new: New = "error",
    *,
    kept: Sequence[str] = (),
) -> Upserted:
    """
    Change the rows of a table that have the keys of others, and append the rest of these.

    Parameters
    ----------
    table
        The table.
    rows, key, missing, new
        As of `DataFrame.upsert`.
    kept
        Fields in which rows that are there keep what they have.
    """
    keys = table.selected(key)
    given = rows_given(rows)
    columns = Columns(table, given, missing, new)
    if lacking := [name for name in keys if name not in columns.names]:
        raise DataError(
            f"the rows that are given have no {listing(lacking)}, which is a key; they have "
            f"{listing(given.names)}: a key has to be given"
        )
    with workspace(table.dataset.settings) as work, table.atomic():
        staged = _staged(table, given, columns, work)
        if not staged:
            return Upserted(0, 0, 0)
        table.group.rely_on_rows()
        run = _Run(table, staged, keys, work)
        matches = run.match()
        changed = run.overwrite(matches, {*keys, *kept})
        run.append(matches, columns.lacking)
        pairs = len(matches.old)
        return Upserted(new=len(matches.added), changed=changed, unchanged=pairs - changed)


def _staged(
    table: DataFrame, given: Given, columns: Columns, work: Workspace
) -> dict[str, StagedColumn]:
    """The rows as the fields take them, by field; nothing if there are none."""
    staged: dict[str, StagedColumn] = {}
    done = 0
    with closing(given.blocks(columns.wanted, work.memory)) as blocks:
        for block in blocks:
            if not block[0]:
                continue
            columns.create_new(block)
            for name, column, mask in columns.fitted(block, done):
                if name not in staged:
                    share = _STAGED / len(columns.names)
                    staged[name] = StagedColumn(table[name], work, share)
                staged[name].append(column, mask)
                del column
            done += block[0]
    return staged


class _Run:
    """Rows on their way into a table."""

    def __init__(
        self,
        table: DataFrame,
        staged: Mapping[str, StagedColumn],
        keys: Sequence[str],
        work: Workspace,
    ) -> None:
        self._table, self._staged, self._keys, self._work = table, staged, keys, work

    # -- keys

    def match(self) -> changes.Matches:
        """Pair the rows of the table with those of the same key; DataError if one repeats."""
        old: list[Source] = []
        new: list[Source] = []
        for name in self._keys:
            ours, theirs = masked_of(self._table[name]), self._staged[name].masked
            if not holds_nan(ours.empty) and (ours.any_missing() or theirs.any_missing()):
                old.append(absence(ours))
                new.append(absence(theirs))
            old.append(blanked(ours, codes=False))
            new.append(blanked(theirs, codes=False))
        try:
            matches = changes.match(old, new, None, None, self._work)
        except changes.RepeatedKeyError as error:
            columns = {name: self._staged[name].masked for name in self._keys}
            raise DataError(
                f"the key {self._shown(columns, error.row)} occurs more than once in the rows that "
                f"are given, again in row {error.row}: give one row for each key"
            ) from error
        if len(matches.overtaken):
            first = int(matches.overtaken.read(0, 1)[0])
            again = int(matches.successors.read(0, 1)[0])
            columns = {name: masked_of(self._table[name]) for name in self._keys}
            raise DataError(
                f"the key {self._shown(columns, first)} occurs more than once in the table "
                f"{self._table.name!r}, in rows {first} and {again}, so that nobody knows which is "
                "meant: delete one of them, or give more fields as the key"
            )
        return changes.by_rows(matches, self._work)

    def _shown(self, columns: Mapping[str, Masked], row: int) -> str:
        parts = []
        for name, column in columns.items():
            values = of_field(self._table[name], *column.read(row, row + 1))
            shown = "missing" if values.all_missing else repr(values.one(0))
            parts.append(visible(f"{name} = {shown}"))
        return ", ".join(parts)

    # -- rows that are there

    def overwrite(self, matches: changes.Matches, kept: Collection[str]) -> int:
        """Give fields but some the values that differ; how many rows have other ones now."""
        if not len(matches.old):
            return 0
        changed: Spill | None = None
        for name, staged in self._staged.items():
            if name in kept:
                continue
            with Workspace(self._work.memory // _PART, self._work.spill_dir) as part:
                differs = _Column(self._table[name], staged.masked, matches, part).bring_up()
                if differs is not None:
                    before, changed = changed, _either(changed, differs, self._work)
                    if before is not None:
                        before.close()
        if changed is None:
            return 0
        return sum(int(np.count_nonzero(some)) for some in changed.blocks(_STEP))

    # -- new rows

    def append(self, matches: changes.Matches, lacking: Sequence[str]) -> None:
        """Append the rows whose key the table has not, in the order in which they were given."""
        count = len(matches.added)
        if not count:
            return
        for name, staged in self._staged.items():
            with Workspace(self._work.memory // _PART, self._work.spill_dir) as part:
                rows = RowNumbers(part, matches.added, ascending=True)
                for column, mask in chosen_masked(staged.masked, rows, part):
                    append_to(self._table[name], column, mask)
        for name in lacking:
            append_missing(self._table[name], count)


class _Column:
    """
    A field that is brought up to the rows that were given.

    Parameters
    ----------
    field
        The field.
    new
        The rows that were given.
    matches
        Which of them are which of the field.
    work
        The memory, and where what is found out is kept.
    """

    def __init__(
        self, field: Field, new: Masked, matches: changes.Matches, work: Workspace
    ) -> None:
        self._field, self._old, self._new = field, masked_of(field), new
        self._matches, self._work = matches, work

    def bring_up(self) -> Spill | None:
        """Write what differs; for each pair of rows whether it did, or None if none did."""
        told = None
        of_nan = holds_nan(self._old.empty) and not self._field.missing_codes
        if self._old.mask is not None or (self._new.mask is not None and not of_nan):
            told = self._differing(absence(self._old), absence(self._new))
        differs = self._differing(blanked(self._old), blanked(self._new))
        if told is not None:
            # What is stored where a value was missing may be anything.
            differs = told if differs is None else _either(told, differs, self._work)
        if differs is None:
            return None
        self._write_values(*self._rows(differs))
        if told is not None:
            self._write_presence(*self._rows(told))
        return differs

    def _differing(self, old: Source, new: Source) -> Spill | None:
        found = changes.changed([(old, new, changes.Tolerance())], self._matches, self._work)
        return found if any(some.any() for some in found.blocks(_STEP)) else None

    def _rows(self, differs: Spill) -> tuple[Spill, Spill]:
        """The rows of the field that differ, ascending, and those that were given for them."""
        old, new = self._work.spill(np.int64, _TOLD), self._work.spill(np.int64, _TOLD)
        for start in range(0, len(differs), _STEP):
            stop = min(start + _STEP, len(differs))
            some = differs.read(start, stop)
            old.append(self._matches.old.read(start, stop)[some])
            new.append(self._matches.new.read(start, stop)[some])
        return old, new

    def _write_values(self, rows: Spill, numbers: Spill) -> None:
        self._field.check_writeable()
        source = blanked(self._new)
        with closing(RowNumbers(self._work, numbers).of(source)) as columns:
            if self._field.indexed:
                self._field.replace(self._with_other_strings(rows, columns))
                return
            _put(self._field, rows, columns)

    def _write_presence(self, rows: Spill, numbers: Spill) -> None:
        companion = self._field.with_companion()
        with closing(RowNumbers(self._work, numbers).of(absence(self._new))) as columns:
            _put(companion, rows, (~np.asarray(absent) for absent in columns))

    def _with_other_strings(self, rows: Spill, columns: Generator[Column]) -> Iterator[Column]:
        """The rows of the field, with other strings in some of them."""
        source = source_of([self._field])
        others = changes.Pieces(columns, source.empty[0])
        done = 0
        for start, stop in source.cuts():
            (column,) = source.read(start, stop)
            ahead = rows.read(done, min(done + stop - start, len(rows)))
            here = ahead[: np.searchsorted(ahead, stop)] - start
            if len(here):
                places = np.arange(stop - start)
                places[here] = np.arange(len(here)) + (stop - start)
                both = selection.concat([column, others.take(len(here))])
                column = selection.take(both, places)
                done += len(here)
            yield column


def _either(first: Spill | None, second: Spill, work: Workspace) -> Spill:
    """Where one of two sequences of bool, or the only one, is true; kept where `work` keeps it."""
    found = work.spill(np.bool_, _TOLD)
    for start in range(0, len(second), _STEP):
        stop = min(start + _STEP, len(second))
        some = second.read(start, stop)
        found.append(some if first is None else some | first.read(start, stop))
    return found


def _put(field: Field, rows: Spill, columns: Iterator[Column]) -> None:
    """Overwrite rows of a field, whose numbers ascend."""
    array, done = field.array(), 0
    for column in columns:
        stop = done + len(column)
        put_rows(array, rows.read(done, stop), np.asarray(column))
        done = stop
