"""``df[name] = values``: a field of values in any form, new or in the place of another one."""

from __future__ import annotations

import datetime as dt
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import ArgumentError, ArgumentTypeError, DataError
from exetera_zarr.fields.base import Field, new_field
from exetera_zarr.fields.container import normal
from exetera_zarr.fields.data import RawData, StringData
from exetera_zarr.fields.missing import companions
from exetera_zarr.fields.sources import workspace
from exetera_zarr.fields.writing.given import is_nothing, is_number
from exetera_zarr.storage import codebooks
from exetera_zarr.tables.rows.fitting import fitted
from exetera_zarr.tables.rows.given import Given, rows_given
from exetera_zarr.tables.rows.values import Values, of_objects
from exetera_zarr.tables.views.groups import ColumnGroup

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.rows.given import Block

__all__ = ["assign", "field_of"]

_STEP = 1 << 17
_ALONE = (str, bytes, dt.date, dt.timedelta, np.datetime64, np.timedelta64)


def assign(table: DataFrame, name: str, value: Any) -> None:
    """
    Have a table have a field of these values, or leave it as it was; see `DataFrame.__setitem__`.

    Parameters
    ----------
    table
        The table.
    name
        Of the field; one that it has is replaced, at its position.
    value
        A scalar for all rows; a field, an array, a list, or a column of pandas, Polars or Arrow.

    Raises
    ------
    DataError
        There are not as many values as rows; or no field holds them; or the field says which rows
        of others have a value.
    ArgumentTypeError
        The name is no text, or it is no values.
    """
    from exetera_zarr.tables.dataframe import copy

    if not isinstance(name, str):
        raise ArgumentTypeError(f"a name is a str, not a {type(name).__name__}: df[str] = values")
    known = name in table and not table.gives_way(name)
    if known and value is table[name]:
        return
    rows = _rows_of(table, name)
    for_all = len(table[name]) if rows is None and known else rows
    made = field_of(table, name, value, for_all)
    to_be_written = isinstance(value, Field) and not len(made) and not known
    if rows is not None and len(made) != rows and not to_be_written:
        raise DataError(
            f"{len(made)} values for {name!r} of the table {table.name!r}, which has {rows} rows: "
            "give as many values, or one for all"
        )
    if not known:
        copy(made, table, name)
        return
    name = normal(name)
    table.refuse_to_lose(name)
    with table.atomic():
        _keep_rows(table[name])
        _replace(table, name, made)
        if isinstance(value, Field):
            _say_as_of(table[name], made)


def _keep_rows(field: Field) -> None:
    """Have whoever holds a field go on with its rows: ``df["a"], df["b"] = df["b"], df["a"]``."""
    companion = field.validity
    groups = [_pinned(one) for one in (field, companion) if one is not None]
    if companion is not None:
        held = type(companion)(companion.session, groups[1])
        field.leave_table(groups[0], held)
    else:
        field.leave_table(groups[0], None)


def _pinned(field: Field) -> ColumnGroup:
    links = (companions.COMPANION, companions.COMPANION_OF, companions.BY_LINK)
    about = {key: value for key, value in field.group.attributes.items() if key not in links}
    return ColumnGroup(str(field.name), about, field.group, None, field.session)


def _say_as_of(field: Field, made: Field) -> None:
    """Give a computed column its own unit and missing codes, not those of the one before."""
    if field.unit != made.unit:
        field.unit = made.unit
    if field.missing_codes and not made.missing_codes:
        field.missing_codes = None


def _rows_of(table: DataFrame, name: str) -> int | None:
    """How many rows the other fields have; None if there is none, or they disagree."""
    companions = table.companions()
    own = {normal(name), companions.get(normal(name))}
    lengths = {len(field) for other, field in table.items() if other not in own}
    return lengths.pop() if len(lengths) == 1 else None


def _replace(table: DataFrame, name: str, made: Field) -> None:
    present: Field = table[name]
    if _type_of(present) == _type_of(made):
        with closing(made.blocks()) as columns:  # type: ignore[type-var]
            present.replace(columns)
    else:
        about = made.group.attributes.get(codebooks.ATTRIBUTE)
        present = table.replace_field(name, made.type_attributes(), made.blocks())
        present.group.update_attributes({codebooks.ATTRIBUTE: about})
    companion = made.validity
    present.say_present(None if companion is None else companion.blocks())


def _type_of(field: Field) -> dict[str, Any]:
    """What makes a field of the same type, its codebook apart."""
    about = {k: v for k, v in field.type_attributes().items() if k != codebooks.ATTRIBUTE}
    if "key" in about:
        about["key"] = sorted((code, _text(name)) for name, code in about["key"])
    return about


def _text(name: str | bytes) -> bytes:
    return name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")


def field_of(table: DataFrame, name: str, value: Any, rows: int | None) -> Field:
    """
    Values in any form as a field, in memory unless they are one.

    Parameters
    ----------
    table
        Whose session it is of.
    name
        Of the field to be, for messages and for the type of what is all missing.
    value
        As of `assign`.
    rows
        How many rows there are, for a scalar; None where that is open.

    Returns
    -------
    Field
        Of the type that such a column of `Dataset.from_dict` has.
    """
    if isinstance(value, (RawData, StringData)):
        value = value.comparable()
    if isinstance(value, Field):
        return value
    if isinstance(value, (set, frozenset)):
        raise ArgumentTypeError(f"a set has no order for the rows of {name!r}: give a list")
    if _is_alone(value):
        if rows is None:
            raise ArgumentError(
                f"{value!r} for all rows of the table {table.name!r}, which has no rows to tell "
                "how many: give values in a row"
            )
        given: Given = _Repeated(name, value, rows)
    else:
        given = rows_given({name: value})
    return _written(table, name, given)


def _is_alone(value: Any) -> bool:
    return isinstance(value, _ALONE) or is_number(value) or is_nothing(value)


class _Repeated(Given):
    """One value for all rows."""

    def __init__(self, name: str, value: Any, rows: int) -> None:
        super().__init__([name])
        self._value, self._rows = value, rows

    def blocks(self, names: Sequence[str], memory: int) -> Generator[Block]:  # noqa: ARG002
        for start in range(0, max(self._rows, 1), _STEP):
            count = min(_STEP, self._rows - start)
            yield count, {names[0]: _repeated(self._value, count)}

    def of_bool(self, name: str) -> bool:  # noqa: ARG002
        return isinstance(self._value, (bool, np.bool_))


def _repeated(value: Any, count: int) -> Values:
    one = of_objects([value])
    if isinstance(one.data, np.ndarray):
        mask = None if one.mask is None else np.repeat(one.mask, count)
        return Values(one.kind, np.repeat(one.data, count), mask)
    return of_objects([value] * count) if count else one.part(0, 0)


def _written(table: DataFrame, name: str, given: Given) -> Field:
    session = table.dataset.session
    made: Field | None = None
    done = 0
    with (
        workspace(table.dataset.settings) as work,
        closing(given.blocks([name], work.memory)) as blocks,
    ):
        for count, columns in blocks:
            values = columns[name]
            if made is None:
                made = new_field(session, _attributes(table, name, given, values))
            if count:
                made.append_masked(*fitted(made, name, values, done))
            done += count
    assert made is not None
    return made


def _attributes(table: DataFrame, name: str, given: Given, first: Values) -> dict[str, Any]:
    """Those of the values; of what is all missing, those of the field that is replaced."""
    if first.kind == "nothing" and first.type is None and name in table:
        there: Field = table[name]
        return there.type_attributes()
    return given.attributes(name, first)
