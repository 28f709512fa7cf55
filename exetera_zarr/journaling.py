"""Journals: tables that keep what each row was, and from when to when."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from exetera_zarr.engine import gather
from exetera_zarr.engine import journal as comparison
from exetera_zarr.engine.rows import RowNumbers
from exetera_zarr.engine.source import Source, ahead
from exetera_zarr.errors import DataError, FieldNotFoundError, listing
from exetera_zarr.fields import create
from exetera_zarr.fields.incoming import Incoming
from exetera_zarr.fields.sources import source_of, workspace

if TYPE_CHECKING:
    from datetime import datetime

    from exetera_zarr.dataframe import DataFrame
    from exetera_zarr.engine import Column
    from exetera_zarr.engine.workspace import Spill, Workspace
    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.numeric import NumericField

__all__ = ["END", "VALID_FROM", "VALID_TO", "Journaled", "journal", "moment_text", "valid_at"]

VALID_FROM, VALID_TO = "j_valid_from", "j_valid_to"
END = 32_503_680_000.0
"""``j_valid_to`` of a row that is valid still: the start of the year 3000 in UTC, whereas ExeTera's
depends on the time zone of the machine."""

Tolerances: TypeAlias = float | Mapping[str, float]
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
    if snapshot.group.key == table.group.key:
        raise DataError(f"the snapshot of {table.name!r} is the table itself")
    keys = snapshot.selected(by)
    names = [name for name in _names(snapshot, fields) if name not in (VALID_FROM, VALID_TO)]
    if missing := [key for key in keys if key not in names]:
        raise DataError(f"the keys {missing} are not among the fields to journal")
    compared = _compared(snapshot, names, keys, compare)
    tolerances = _tolerances(snapshot, names, absolute, relative)
    since = _moment(table, snapshot, keys, valid_from)
    rows = table.length()
    with workspace(table.dataset.session) as work, table.atomic():
        incoming = {name: _incoming(table, snapshot[name], name, rows) for name in names}
        _with_validity(table)
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
    seconds = _seconds(moment)
    result = create.numeric_in_memory(table.dataset.session, "bool")
    _check_validity(table)
    with closing(source_of([table[VALID_FROM], table[VALID_TO]]).blocks()) as blocks:
        for since, until in blocks:
            result.append((since <= seconds) & (seconds < until))
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
        self._done = 0

    def match(self, keys: Sequence[str]) -> comparison.Matches:
        """Pair the rows that are valid still with those of the snapshot."""
        table = self._table
        old = source_of([*(table[key] for key in keys), table[VALID_FROM]])
        sides = [self._incoming[key].source() for key in keys]
        new = Source(
            sides[0].rows,
            [side.empty[0] for side in sides],
            lambda start, stop: [side.read(start, stop)[0] for side in sides],
            sides[0].step,
        )
        try:
            return comparison.match(old, new, self._open_rows(), 1, self._work)
        except comparison.RepeatedKeyError as error:
            values = {key: _one(self._incoming[key].field, error.row) for key in keys}
            shown = ", ".join(f"{key} = {value!r}" for key, value in values.items())
            frame = self._incoming[keys[0]].field.dataframe
            raise DataError(
                f"the key {shown} occurs more than once in the snapshot "
                f"{frame.name if frame is not None else ''!r}; a key stands for one row"
            ) from error

    def _open_rows(self) -> RowNumbers | None:
        """The rows that are valid after the moment; None if all are."""
        rows, start = self._work.spill(np.int64), 0
        for until in self._table[VALID_TO].blocks():
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
        # What the snapshot lacks is empty in it.
        lacking = [name for name in self._ours() if name not in self._incoming]
        steps = len(compared) + len(lacking)
        self._total = steps + len(self._table)

        def pairs() -> Iterator[tuple[Source, Source | None, comparison.Tolerance]]:
            for name in [*compared, *lacking]:
                theirs = self._incoming.get(name)
                yield (
                    source_of([self._table[name]]),
                    None if theirs is None else theirs.source(),
                    tolerances.get(name, comparison.Tolerance()),
                )
                self._step()

        return comparison.changed(pairs(), matches, self._work)

    def _ours(self) -> list[str]:
        return [name for name in self._table if name not in (VALID_FROM, VALID_TO)]

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
        elif (theirs := self._incoming.get(name)) is None:
            _append_empty(field, len(rows))
        elif len(rows):
            with closing(ahead(rows.of(theirs.source()))) as columns:
                for column in columns:
                    field.append(theirs.stored(column))


# -- what is given


def _names(snapshot: DataFrame, fields: Sequence[str] | None) -> list[str]:
    return snapshot.keys() if fields is None else snapshot.selected(list(fields))


def _compared(
    snapshot: DataFrame, names: Sequence[str], keys: Sequence[str], compare: Sequence[str] | None
) -> list[str]:
    chosen = names if compare is None else snapshot.selected(list(compare))
    if outside := [name for name in chosen if name not in names]:
        raise DataError(f"{outside} to compare are not among the fields to journal")
    return [name for name in chosen if name not in keys]


def _tolerances(
    snapshot: DataFrame, names: Sequence[str], absolute: Tolerances, relative: Tolerances
) -> dict[str, comparison.Tolerance]:
    """The tolerance of each field that has one."""
    floats = [name for name in names if _is_float(snapshot[name])]
    moments = [name for name in floats if snapshot[name].type_name == "timestamp"]
    found: dict[str, dict[str, float]] = {name: {} for name in floats}
    for what, given in (("absolute", absolute), ("relative", relative)):
        # Of seconds since 1970 a share means nothing, unless somebody asks for it.
        plain = floats if what == "absolute" else [n for n in floats if n not in moments]
        by_name = given if isinstance(given, Mapping) else dict.fromkeys(plain, given)
        for name, value in by_name.items():
            if name not in floats:
                raise DataError(
                    f"a tolerance is for floats and timestamps, and {name!r} is none of "
                    f"{snapshot.name!r}; there are: {listing(floats)}"
                )
            if not 0 <= value < np.inf:
                raise DataError(
                    f"the {what} tolerance of {name!r} is a number, 0 or more, not {value!r}"
                )
            found[name][what] = float(value)
    return {name: comparison.Tolerance(**given) for name, given in found.items()}


def _moment(
    table: DataFrame,
    snapshot: DataFrame,
    keys: Sequence[str],
    valid_from: str | float | datetime | None,
) -> float:
    """The moment of the snapshot, which is not before the last one of the journal."""
    if table.length():
        _check_validity(table)
        table.selected(list(keys))
    since = _only_moment(snapshot) if valid_from is None else _seconds(valid_from)
    if not -np.inf < since < END:
        raise DataError(f"a snapshot is of a moment before the year 3000, not of {since}")
    latest = max((float(c.max()) for c in _blocks(table, VALID_FROM) if len(c)), default=since)
    if since < latest:
        raise DataError(
            f"the snapshot {snapshot.name!r} is of {moment_text(since)}, before the last one in "
            f"the journal {table.name!r}, of {moment_text(latest)}: they are journalled in order"
        )
    return since


def _only_moment(snapshot: DataFrame) -> float:
    moments = {float(c.min()) for c in _blocks(snapshot, VALID_FROM) if len(c)}
    moments |= {float(c.max()) for c in _blocks(snapshot, VALID_FROM) if len(c)}
    if len(moments) != 1:
        why = f"its {VALID_FROM} has several" if moments else f"it has no {VALID_FROM}"
        raise DataError(
            f"the snapshot {snapshot.name!r} does not say of what moment it is, as {why}: give "
            "valid_from"
        )
    return moments.pop()


def _blocks(table: DataFrame, name: str) -> Iterator[Any]:
    return table[name].blocks() if name in table else iter(())


def _seconds(moment: str | float | datetime) -> float:
    from exetera_zarr.io.options import moment as seconds_of

    return seconds_of(moment)


def moment_text(seconds: float) -> str:
    """A moment, to be read."""
    return f"{np.datetime64(int(seconds), 's')} UTC".replace("T", " ", 1)


def _check_validity(table: DataFrame) -> None:
    for name in (VALID_FROM, VALID_TO):
        if name not in table:
            raise FieldNotFoundError(
                f"the table {table.name!r} is no journal, having no field {name!r}: journal its "
                "first snapshot into an empty table"
            )


# -- fields


def _with_validity(table: DataFrame) -> None:
    """Let an empty table have the fields of a journal."""
    for name in (VALID_FROM, VALID_TO):
        if name not in table:
            table.create_timestamp(name)


def _incoming(table: DataFrame, theirs: Field, name: str, rows: int) -> Incoming:
    """A field of the snapshot, and that of the journal, made if it is not there."""
    if name not in table:
        _append_empty(theirs.create_like(table, name), rows)
    return Incoming(theirs, table[name])


def _append_empty(field: Field, rows: int) -> None:
    empty = field.empty_column()
    for start in range(0, rows, _STEP):
        field.append(gather.take_or_default(empty, np.full(min(_STEP, rows - start), -1)))


def _one(field: Field, row: int) -> Any:
    column: Column = field.read(row, row + 1)
    value = column[0].as_py() if not isinstance(column, np.ndarray) else column[0].item()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _is_float(field: Field) -> bool:
    empty = field.empty_column()
    return isinstance(empty, np.ndarray) and empty.dtype.kind == "f"
