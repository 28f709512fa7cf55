"""What is said of a snapshot that goes into a journal: its fields, tolerances, and its moment."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from exetera_zarr.engine.changes import Tolerance
from exetera_zarr.errors import DataError, FieldNotFoundError, listing
from exetera_zarr.fields.missing.companions import in_place_of_missing, masked_reader
from exetera_zarr.fields.sources import source_of
from exetera_zarr.moments import SECONDS_PER_DAY, moment, moment_text
from exetera_zarr.tables.dataframe import DataFrame

if TYPE_CHECKING:
    from datetime import datetime

    from exetera_zarr.fields.base import Field
    from exetera_zarr.storage.base import AnyArray

__all__ = [
    "END",
    "VALID_FROM",
    "VALID_TO",
    "Tolerances",
    "beginnings",
    "begun_by",
    "check_validity",
    "compared_names",
    "ended_by",
    "ends",
    "journalled_names",
    "moment_in_order",
    "only_moment",
    "tolerances_by_name",
]

VALID_FROM, VALID_TO = "j_valid_from", "j_valid_to"
END = 32_503_680_000.0
"""``j_valid_to`` of a row that is valid still: the start of the year 3000 in UTC, whereas ExeTera's
depends on the time zone of the machine."""

Tolerances: TypeAlias = float | Mapping[str, float]


# -- fields


def journalled_names(
    table: DataFrame, snapshot: DataFrame, fields: Sequence[str] | None
) -> list[str]:
    """
    The fields of a snapshot that go into a journal.

    Raises
    ------
    DataError
        The snapshot is no table or is the journal, has no such field, or its fields have different
        lengths.
    """
    if not isinstance(snapshot, DataFrame):
        raise DataError(f"the snapshot is a {type(snapshot).__name__}, not a table")
    if snapshot.group.key == table.group.key:
        raise DataError(f"the snapshot of {table.name!r} is the table itself")
    chosen = snapshot.keys() if fields is None else snapshot.selected(_listed(fields))
    names = [name for name in chosen if name not in (VALID_FROM, VALID_TO)]
    snapshot.length(names)
    return names


def compared_names(
    snapshot: DataFrame,
    names: Sequence[str],
    keys: Sequence[str],
    compare: Sequence[str] | None,
    told: Collection[str] = (),
) -> list[str]:
    """
    The fields of a snapshot whose difference makes a row another one.

    Parameters
    ----------
    snapshot, names, keys, compare
        As of `DataFrame.journal`.
    told
        Fields that say what is missing of others, with which they are compared.
    """
    chosen = names if compare is None else snapshot.selected(_listed(compare))
    chosen = [name for name in chosen if name not in told]
    if outside := [name for name in chosen if name not in names]:
        raise DataError(f"{outside} to compare are not among the fields to journal")
    return [name for name in chosen if name not in keys]


def _listed(names: Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def tolerances_by_name(
    snapshot: DataFrame, names: Sequence[str], absolute: Tolerances, relative: Tolerances
) -> dict[str, Tolerance]:
    """The tolerance of each field that has one."""
    floats = [name for name in names if _is_float(snapshot[name])]
    moments = [name for name in floats if snapshot[name].type_name == "timestamp"]
    found: dict[str, dict[str, float]] = {name: {} for name in floats}
    for what, given in (("absolute", absolute), ("relative", relative)):
        _check_tolerance(what, given)
        # Of seconds since 1970 a share means nothing, unless somebody asks for it.
        plain = floats if what == "absolute" else [n for n in floats if n not in moments]
        by_name = given if isinstance(given, Mapping) else dict.fromkeys(plain, given)
        for name, value in by_name.items():
            if name not in floats:
                raise DataError(
                    f"a tolerance is for floats and timestamps, and {name!r} is none of "
                    f"{snapshot.name!r}; there are: {listing(floats)}"
                )
            found[name][what] = float(value)
    return {name: Tolerance(**given) for name, given in found.items()}


def _check_tolerance(what: str, given: Tolerances) -> None:
    named: Iterable[tuple[str | None, float]] = (
        given.items() if isinstance(given, Mapping) else [(None, given)]
    )
    for name, value in named:
        if not isinstance(value, Real) or not 0 <= value < np.inf:
            of = "" if name is None else f" of {name!r}"
            raise DataError(f"the {what} tolerance{of} is a number, 0 or more, not {value!r}")


# -- moments


def moment_in_order(
    table: DataFrame,
    snapshot: DataFrame,
    keys: Sequence[str],
    valid_from: str | float | datetime | None,
) -> float:
    """The moment of a snapshot, which is not before the last one of the journal."""
    if table.length():
        check_validity(table)
        table.selected(list(keys))
    since = only_moment(snapshot) if valid_from is None else moment(valid_from)
    if not -np.inf < since < END:
        raise DataError(f"a snapshot is of a moment before the year 3000, not of {since}")
    latest = _latest(table) if table.length() else since
    if since < latest:
        raise DataError(
            f"the snapshot {snapshot.name!r} is of {moment_text(since)}, before the last one in "
            f"the journal {table.name!r}, of {moment_text(latest)}: they are journalled in order"
        )
    return since


def only_moment(snapshot: DataFrame) -> float:
    """
    The moment that a snapshot says it is of.

    Raises
    ------
    DataError
        It says none, or several.
    """
    why = f"it has no timestamps {VALID_FROM}"
    if VALID_FROM in snapshot and _is_float(snapshot[VALID_FROM]):
        blocks = [block for block in _with_nan(snapshot[VALID_FROM]) if len(block)]
        moments = {float(at) for block in blocks for at in (block.min(), block.max())}
        if any(map(np.isnan, moments)):
            why = f"its {VALID_FROM} is missing in some rows"
        elif len(moments) == 1:
            return moments.pop()
        else:
            why = f"its {VALID_FROM} has several" if moments else "it has no rows"
    raise DataError(
        f"the snapshot {snapshot.name!r} does not say of what moment it is, as {why}: give "
        "valid_from (--timestamp of the command), or import it with a timestamp"
    )


def _latest(table: DataFrame) -> float:
    """The last moment at which a row of a journal began, or ended."""
    began = max(float(block.max()) for block in beginnings(table) if len(block))
    # ExeTera's end is that of the time zone of the machine.
    ended = (block[block < END - SECONDS_PER_DAY] for block in ends(table))
    return max([began, *(float(block.max()) for block in ended if len(block))])


def beginnings(table: DataFrame) -> Iterator[AnyArray]:
    """
    From when each row of a journal is valid, some at a time.

    Raises
    ------
    DataError
        A row does not say it.
    """
    start = 0
    for block in _with_nan(table[VALID_FROM]):
        _check_beginnings(table, start, block)
        yield block
        start += len(block)


def ends(table: DataFrame) -> Iterator[AnyArray]:
    """Until when each row of a journal is valid, some at a time; one that has no end is open."""
    for block in _with_nan(table[VALID_TO]):
        yield np.where(np.isnan(block), END, block)


def begun_by(table: DataFrame, moment: float) -> Iterator[AnyArray]:
    """
    Which rows of a journal are valid from a moment on or from an earlier one, some at a time.

    What the zones of a chunk decide is not read.

    Raises
    ------
    DataError
        As of `beginnings`.
    """
    for start, block in _until(table[VALID_FROM], moment):
        if block.dtype != np.bool_:
            _check_beginnings(table, start, block)
            block = block <= moment  # noqa: PLW2901
        yield block


def ended_by(table: DataFrame, moment: float) -> Iterator[AnyArray]:
    """Which rows of a journal have ended at a moment or before it, some at a time."""
    for _, block in _until(table[VALID_TO], moment):
        if block.dtype != np.bool_:
            block = np.where(np.isnan(block), END, block) <= moment  # noqa: PLW2901
        yield block


def _until(field: Field, moment: float) -> Iterator[tuple[int, AnyArray]]:
    """
    Moments, some at a time, with NaN where one is missing; each time with the number of the first.

    Where zones tell that all of them, or none, are up to one moment, it is that: an array of bool.
    """
    companion = field.validity
    length, read = masked_reader(field)
    for start, stop in source_of([field], length).cuts():
        known = None if companion is not None else field.extremes(start, stop)
        if known is not None and (known[1] <= moment or known[0] > moment):
            yield start, np.full(stop - start, known[1] <= moment)
        else:
            yield start, np.asarray(in_place_of_missing(*read(start, stop)))


def _check_beginnings(table: DataFrame, start: int, block: AnyArray) -> None:
    missing = np.isnan(block)
    if missing.any():
        raise DataError(
            f"row {start + int(np.argmax(missing))} of the journal {table.name!r} does not say "
            f"from when it is valid: its {VALID_FROM} is missing; write a moment there"
        )


def _with_nan(field: Field) -> Iterator[AnyArray]:
    """Moments, some at a time, with NaN where one is missing."""
    for column, mask in field.masked_blocks():
        yield np.asarray(in_place_of_missing(column, mask))


def check_validity(table: DataFrame) -> None:
    """Raise ValueError unless a table has the fields of a journal."""
    for name in (VALID_FROM, VALID_TO):
        if name not in table:
            raise FieldNotFoundError(
                f"the table {table.name!r} is no journal, having no field {name!r}: journal its "
                "first snapshot into an empty table"
            )
        if getattr(table[name].empty_column(), "dtype", None) != np.float64:
            raise DataError(
                f"the table {table.name!r} is no journal, as {name!r} is {table[name].fieldtype}, "
                "not timestamp"
            )


def _is_float(field: Field) -> bool:
    empty = field.empty_column()
    return isinstance(empty, np.ndarray) and empty.dtype.kind == "f"
