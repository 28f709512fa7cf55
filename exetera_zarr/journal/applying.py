"""Journals: tables that keep what each row was, and from when to when."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from exetera_zarr import moments
from exetera_zarr.engine import changes as comparison
from exetera_zarr.engine.columns import selection
from exetera_zarr.engine.streams.row_gather import RowNumbers
from exetera_zarr.engine.streams.source import Source, prefetched
from exetera_zarr.errors import DataError
from exetera_zarr.fields import create
from exetera_zarr.fields.categorical import CategoricalField
from exetera_zarr.fields.missing.companions import add_companion, holds_nan
from exetera_zarr.fields.missing.keys import blank_source
from exetera_zarr.fields.missing.masked import masked_of
from exetera_zarr.fields.sources import source_of, workspace
from exetera_zarr.fields.writing.incoming import Incoming
from exetera_zarr.journal.snapshots import (
    END,
    VALID_FROM,
    VALID_TO,
    Tolerances,
    begun_by,
    check_validity,
    compared_names,
    ended_by,
    ends,
    journalled_names,
    moment_in_order,
    tolerances_by_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from exetera_zarr.engine import Column
    from exetera_zarr.engine.streams.workspace import Spill, Workspace
    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.numeric import NumericField
    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["Journaled", "journal", "valid_at"]

_STEP = 1 << 20


@dataclass(frozen=True)
class Journaled:
    """
    What a snapshot brought.

    Parameters
    ----------
    valid_from
        Its moment, in POSIX seconds.
    new
        Rows whose key was not valid before.
    changed
        Rows that differ from those before.
    unchanged
        Rows that do not; nothing is written for them.
    vanished
        Rows that were valid before, and whose key the snapshot lacks.
    closed
        How many of these were closed.
    """

    valid_from: float
    new: int
    changed: int
    unchanged: int
    vanished: int
    closed: int


def journal(
    table: DataFrame,
    snapshot: DataFrame,
    by: str | list[str],
    valid_from: str | float | datetime | None = None,
    *,
    close_vanished: bool = False,
    fields: Sequence[str] | None = None,
    compare: Sequence[str] | None = None,
    absolute: Tolerances = 0.0,
    relative: Tolerances = 0.0,
    progress: Callable[[int, int], None] | None = None,
) -> Journaled:
    """
    Bring a journal up to a new snapshot of its table; see `DataFrame.journal`.

    Parameters
    ----------
    table
        The journal.
    snapshot, by, valid_from, close_vanished, fields, compare, absolute, relative, progress
        As of `DataFrame.journal`.
    """
    names = journalled_names(table, snapshot, fields)
    told = set(snapshot.companions().values())
    names = [name for name in names if name not in told]
    keys = snapshot.selected(by)
    if missing := [key for key in keys if key not in names]:
        raise DataError(f"the keys {missing} are not among the fields to journal")
    compared = compared_names(snapshot, names, keys, compare, told)
    tolerances = tolerances_by_name(snapshot, names, absolute, relative)
    since = moment_in_order(table, snapshot, keys, valid_from)
    rows = table.length()
    with workspace(table.dataset.settings) as work, table.atomic():
        table.group.rely_on_rows()
        before = set(table.keys())
        incoming = {name: _incoming(table, snapshot, name, rows) for name in names}
        _with_validity(table)
        for name in names:
            _with_companion(table, snapshot[name], rows, is_new=name not in before)
        companions = table.companions()
        lacking = [n for n in _ours(table) if n not in incoming and n not in companions.values()]
        _tell_missing(table, lacking, rows)
        if compare is None:
            compared += lacking  # What the snapshot lacks is empty in it.
        compared += _telling(table, compared)
        run = _Run(table, incoming, since, work, progress)
        matches = run.match(keys)
        return run.write(matches, run.changes(compared, tolerances, matches), close_vanished)


def valid_at(table: DataFrame, moment: str | float | datetime) -> NumericField:
    """
    Which rows of a journal are valid at a moment; see `DataFrame.valid_at`.

    Parameters
    ----------
    table
        The journal.
    moment
        As of `DataFrame.valid_at`.
    """
    seconds = moments.moment(moment)
    result = create.numeric_in_memory(table.dataset.session, "bool")
    check_validity(table)
    table.length([VALID_FROM, VALID_TO])
    # Both are cut into the same blocks: they are of one type, and of one table.
    for begun, ended in zip(begun_by(table, seconds), ended_by(table, seconds), strict=True):
        result.append(begun & ~ended)
    return result


class _Run:
    """One snapshot on its way into a journal."""

    def __init__(
        self,
        table: DataFrame,
        incoming: Mapping[str, Incoming],
        since: float,
        work: Workspace,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._table, self._incoming = table, incoming
        self._since, self._work, self._progress = since, work, progress
        self._rows = max(len(theirs.field) for theirs in incoming.values())
        self._owners = {companion: name for name, companion in table.companions().items()}
        self._done = 0

    def match(self, keys: Sequence[str]) -> comparison.Matches:
        """Pair the rows that are valid still with those of the snapshot."""
        table = self._table
        # A key that may be missing is also compared by whether it is.
        told = _telling(table, keys)
        old = [blank_source(table[key], codes=False) for key in [*keys, *told]]
        new = [self._theirs(key, codes=False) for key in [*keys, *told]]
        version = source_of([table[VALID_FROM]])
        try:
            return comparison.match(old, new, version, self._open_rows(), self._work)
        except comparison.RepeatedKeyError as error:
            values = {key: _one(self._incoming[key].field, error.row) for key in keys}
            shown = ", ".join(f"{key} = {value}" for key, value in values.items())
            frame = self._incoming[keys[0]].field.dataframe
            raise DataError(
                f"the key {shown} occurs more than once in the snapshot "
                f"{frame.name if frame is not None else ''!r}; a key stands for one row"
            ) from error

    def _theirs(self, name: str, *, codes: bool = True) -> Source:
        """What the snapshot has for a field of the journal, which it may lack."""
        owner = self._owners.get(name, "")
        if owner in self._incoming:  # the snapshot may say in another way what is missing of it
            return _presence(self._incoming[owner], self._table[owner])
        if (theirs := self._incoming.get(name)) is not None:
            return theirs.source(codes=codes)
        return _nothing(self._table[name], self._rows)

    def _open_rows(self) -> RowNumbers | None:
        """The rows that are valid after the moment; None if all are."""
        rows, start = self._work.spill(np.int64), 0
        for until in ends(self._table):
            rows.append(np.flatnonzero(until > self._since) + start)
            start += len(until)
        return RowNumbers(self._work, rows, ascending=True) if len(rows) < start else None

    def changes(
        self,
        compared: Sequence[str],
        tolerances: Mapping[str, comparison.Tolerance],
        matches: comparison.Matches,
    ) -> Spill:
        """Which of the pairs of rows differ."""
        self._total = len(compared) + len(self._table)

        def pairs() -> Iterator[tuple[Source, Source, comparison.Tolerance]]:
            for name in compared:
                yield (
                    blank_source(self._table[name]),
                    self._theirs(name),
                    tolerances.get(name, comparison.Tolerance()),
                )
                self._step()

        return comparison.changed(pairs(), matches, self._work)

    def _step(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)

    def write(self, matches: comparison.Matches, changed: Spill, close_vanished: bool) -> Journaled:
        """Close the rows that have ended, and append those that begin."""
        ended, begun = self._work.spill(np.int64), self._work.spill(np.int64)
        for start in range(0, len(changed), _STEP):
            stop = min(start + _STEP, len(changed))
            differs = changed.read(start, stop)
            ended.append(matches.old.read(start, stop)[differs])
            begun.append(matches.new.read(start, stop)[differs])
        self._close(ended)
        if close_vanished:
            self._close(matches.vanished)
        self._close_overtaken(matches)
        part = self._work.part(2)
        parts = [RowNumbers(part, begun), RowNumbers(part, matches.added)]
        for name in self._table:
            for rows in parts:
                self._append(name, rows)
            self._step()
        return Journaled(
            valid_from=self._since,
            new=len(matches.added),
            changed=len(begun),
            unchanged=len(changed) - len(begun),
            vanished=len(matches.vanished),
            closed=len(matches.vanished) if close_vanished else 0,
        )

    def _close(self, rows: Spill) -> None:
        until = self._table[VALID_TO].data
        for numbers in rows.blocks(_STEP):
            until[numbers] = np.full(len(numbers), self._since)

    def _close_overtaken(self, matches: comparison.Matches) -> None:
        """End the rows that a later one with the same key has followed already."""
        until, since = self._table[VALID_TO].data, self._table[VALID_FROM]
        for numbers, following in zip(
            matches.overtaken.blocks(_STEP), matches.successors.blocks(_STEP), strict=True
        ):
            until[numbers] = since.take(following)

    def _append(self, name: str, rows: RowNumbers) -> None:
        field: Field = self._table[name]
        if name in (VALID_FROM, VALID_TO):
            value = self._since if name == VALID_FROM else END
            for numbers in rows.blocks():
                field.append(np.full(len(numbers), value))
        elif len(rows):
            theirs = self._incoming.get(name)
            with closing(prefetched(rows.of(self._theirs(name)))) as columns:
                for column in columns:
                    field.append(column if theirs is None else theirs.stored(column))


# -- fields


def _with_validity(table: DataFrame) -> None:
    """Let an empty table have the fields of a journal."""
    for name in (VALID_FROM, VALID_TO):
        if name not in table:
            table.create_timestamp(name)
    check_validity(table)


def _telling(table: DataFrame, names: Sequence[str]) -> list[str]:
    """The companions that are compared with these fields; a float is NaN where it is missing."""
    companions = table.companions()
    return [
        companions[name]
        for name in names
        if name in companions and not holds_nan(table[name].empty_column())
    ]


def _ours(table: DataFrame) -> list[str]:
    return [name for name in table if name not in (VALID_FROM, VALID_TO)]


def _incoming(table: DataFrame, snapshot: DataFrame, name: str, rows: int) -> Incoming:
    """A field of the snapshot, and that of the journal, made if it is not there."""
    theirs: Field = snapshot[name]
    table.make_way(name)
    if name not in table:
        _append_empty(theirs.create_like(table, name), rows)
    return Incoming(theirs, table[name])


def _with_companion(table: DataFrame, theirs: Field, rows: int, *, is_new: bool) -> None:
    """Have a field of the journal say what is missing where the snapshot's does."""
    name = str(theirs.name)
    field: Field = table[name]
    if field.own_companion() is not None:
        return
    of_nan = holds_nan(field.empty_column()) and not field.missing_codes
    if is_new and rows and (of_nan or not holds_nan(field.empty_column())):
        _tell_missing(table, [name], rows, np.zeros)
    elif theirs.validity is not None or field.missing_codes:
        made = add_companion(field, like=theirs.validity)
        for start in range(0, rows, _STEP):
            made.append(np.ones(min(_STEP, rows - start), np.bool_))


def _tell_missing(
    table: DataFrame,
    names: Sequence[str],
    rows: int,
    present: Callable[[int, type[np.bool_]], AnyArray] = np.ones,
) -> None:
    """Have fields of a journal say which of their rows have a value, so that some may have none."""
    if not table.dataset.settings.face.sees_missing:
        return
    companions = table.companions()
    for name in names:
        field: Field = table[name]
        if name in companions or holds_nan(field.empty_column()):
            continue
        made = add_companion(field)
        for start in range(0, rows, _STEP):
            made.append(present(min(_STEP, rows - start), np.bool_))


def _append_empty(field: Field, rows: int) -> None:
    with closing(_nothing(field, rows).blocks()) as blocks:
        for (column,) in blocks:
            field.append(column)


def _nothing(field: Field, rows: int) -> Source:
    """Empty rows of the type of a field; a float that has none is NaN, unless ExeTera says 0."""
    empty = field.empty_column()
    of_nan = holds_nan(empty) and field.face.sees_missing
    default = np.nan if of_nan else None
    return Source(
        rows,
        [empty],
        lambda start, stop: [selection.take_or_default(empty, np.full(stop - start, -1), default)],
        offsets=(lambda start, stop: np.zeros(stop - start + 1, np.int64))
        if field.indexed
        else None,
    )


def _presence(theirs: Incoming, ours: Field) -> Source:
    """Which rows of the snapshot have a value in the journal, which may have codes for none."""
    told = Source(
        len(theirs.field),
        [np.zeros(0, np.bool_)],
        lambda start, stop: [np.ones(stop - start, np.bool_)],
    )
    if theirs.field.validity is not None:
        told = source_of([theirs.field.validity])
    if not ours.missing_codes:
        return told
    values = theirs.source()

    def read(start: int, stop: int) -> list[Column]:
        (mask,) = told.read(start, stop)
        coded = ours.coded(theirs.stored(values.read(start, stop)[0]))
        return [mask if coded is None else np.asarray(mask) & ~coded]

    return replace(told, read=read)


def _one(field: Field, row: int) -> str:
    """What a key is in a row, for messages."""
    column, mask = masked_of(field).read(row, row + 1)
    if mask is not None:
        return "missing"
    value = column[0].item() if isinstance(column, np.ndarray) else column[0].as_py()
    if isinstance(field, CategoricalField):
        value = field.keys.get(value, value)
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return repr(value)
