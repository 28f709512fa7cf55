"""Which columns that are given go to which fields of a table, and those that only one side has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, cast, get_args

import numpy as np

from exetera_zarr.errors import ArgumentError, DataError, listing
from exetera_zarr.fields.container import normal
from exetera_zarr.fields.missing.companions import (
    BY_LINK,
    COMPANION_OF,
    companion_names,
    holds_nan,
    link,
    without_meaning,
)
from exetera_zarr.fieldtypes import label_bytes, label_text, numeric_attributes
from exetera_zarr.settings import let_pass
from exetera_zarr.tables.rows.fitting import empty_rows, fitted
from exetera_zarr.tables.rows.told_codes import check_codes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exetera_zarr.engine import Column
    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.categorical import CategoricalField
    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.rows.given import Block, Given
    from exetera_zarr.tables.rows.values import Values

__all__ = ["Columns", "Missing", "New", "append_missing", "append_to"]

Missing: TypeAlias = Literal["error", "fill"]
New: TypeAlias = Literal["error", "add"]

_STEP = 1 << 17


class Columns:
    """
    The columns that are given, and the fields of a table that they go to.

    Parameters
    ----------
    table
        The table.
    given
        Its rows to be.
    missing, new
        As of `DataFrame.append`.

    Attributes
    ----------
    lacking : list of str
        The fields for which no column is given.

    Raises
    ------
    DataError
        One side has columns that the other lacks, and that is not to be so.
    """

    def __init__(self, table: DataFrame, given: Given, missing: Missing, new: New) -> None:
        if missing not in get_args(Missing):
            raise ArgumentError(f"missing is 'error' or 'fill', not {missing!r}")
        if new not in get_args(New):
            raise ArgumentError(f"new is 'error' or 'add', not {new!r}")
        self._table, self._given = table, given
        fields = table.items()  # first, so that what follows finds the same ones again
        self._rows = table.length()
        companions = table.companions()
        hidden = set(companions.values())
        self._fields: dict[str, Field] = {n: f for n, f in fields if n not in hidden}
        ours = list(self._fields)
        columns = {normal(name): name for name in given.names}
        if len(columns) < len(given.names):
            raise DataError(
                f"among the columns that are given, {listing(given.names)}, two have the same "
                "name, written with different characters: give each one name"
            )
        self._told = self._telling(columns, companions, ours)
        self._columns = {name: at for name, at in columns.items() if name not in self._told}
        self._new = [name for name in self._columns if name not in ours]
        self._open: list[str] = []  # categorical fields of our making, whose names come by and by
        self.lacking: list[str] = [name for name in ours if name not in self._columns]
        if self.lacking and missing == "error":
            raise DataError(
                f"the rows that are given lack {listing(self.lacking)} of the table "
                f"{table.name!r}; they have {listing(given.names)}: give all, or write "
                "missing='fill' to have no value there"
            )
        if self._new and new == "error":
            raise DataError(
                f"the table {table.name!r} has no field {listing(self._new)}; it has "
                f"{listing(ours)}: leave these columns out, or write new='add' to have such fields"
            )

    def _telling(
        self, columns: dict[str, str], companions: dict[str, str], ours: list[str]
    ) -> dict[str, list[str]]:
        """Columns that say what is missing of others, and of which, as in a file that has both."""
        if not self._table.dataset.settings.face.sees_missing:
            return {}
        found: dict[str, list[str]] = {}
        for owner, companion in companions.items():
            if companion in columns:
                found.setdefault(companion, []).append(owner)
        for owner, given in columns.items():
            told = self._given.told(given)
            linked = None if told is None or owner in companions else told.companion
            if linked in columns and self._given.of_bool(columns[linked]):
                found.setdefault(linked, []).append(owner)
        for owner in columns:
            if owner not in ours:  # by its name alone a new field is like any other
                continue
            for name in companion_names(owner, self._fields[owner].type_name):
                unknown = name in columns and name not in ours and name not in found
                if unknown and self._given.of_bool(columns[name]):
                    found[name] = [owner]
        for name, owners in found.items():
            if without := [owner for owner in owners if owner not in columns]:
                raise DataError(
                    f"{name!r} says which values of {listing(without)} there are, which are not "
                    "given: give these, too, or leave it out"
                )
        return found

    def field(self, name: str) -> Field:
        """A field of the table."""
        return self._fields[name]

    @property
    def names(self) -> list[str]:
        """The fields for which a column is given."""
        return list(self._columns)

    @property
    def wanted(self) -> list[str]:
        """The columns to be read."""
        return [*self._columns.values(), *(self._given_name(name) for name in self._told)]

    def _given_name(self, name: str) -> str:
        return next(one for one in self._given.names if normal(one) == name)

    def create_new(self, block: Block) -> None:
        """Create the fields that the table lacks, by the first block; no row has a value so far."""
        for name in self._new:
            attributes = self._given.attributes(self._columns[name], block[1][self._columns[name]])
            attributes = dict(without_meaning(name, attributes))  # in either face
            field = self._fields[name] = self._table.create_field(name, attributes)
            self._link_as_told(field)
            append_missing(field, self._rows)
            if field.type_name == "categorical":
                self._open.append(name)
        self._new = []

    def _link_as_told(self, field: Field) -> None:
        """Give a new field the companion that it had where it came from."""
        name = str(field.name)
        told = self._given.told(self._columns[name])
        if told is None or told.companion is None or self._rows or not field.face.sees_missing:
            return
        other = told.companion
        if other in self._columns or normal(other) != other:
            return
        if other not in self._table:
            about = {COMPANION_OF: name} if told.own else {BY_LINK: True}
            self._table.create_field(other, {**numeric_attributes("bool"), **about})
        elif other in self._fields:
            return
        link(field.group, self._table[other].group, owner=name if told.own else None)

    def fitted(self, block: Block, first: int) -> Iterator[tuple[str, Column, AnyArray | None]]:
        """
        The columns of a block as the fields take them, one after the other; they leave the block.

        Parameters
        ----------
        block
            Some of the rows.
        first
            The number of the first of them.

        Raises
        ------
        DataError
            A field cannot hold a value.

        Yields
        ------
        name : str
            Of the field.
        column, mask
            As of `fitting.fitted`.
        """
        values = block[1]
        for companion, owners in self._told.items():
            given = self._given_name(companion)
            told = _presence(given, values[given], first)
            for owner in owners:
                column = self._columns[owner]
                values[column] = values[column].present_in(told)
        for name in self._open:
            _name_all(cast("CategoricalField", self._fields[name]), values[self._columns[name]])
        for name, column in self._columns.items():
            field = self._fields[name]
            check_codes(field, column, values[column], self._given.told(column))
            yield name, *fitted(field, column, values.pop(column), first)


def _presence(name: str, values: Values, first: int) -> AnyArray:
    """Which values another column has, by the one that says so."""
    there = np.ones(len(values), np.bool_) if values.mask is None else values.mask
    if values.kind != "numbers" or (there & ~np.isin(values.data, (0, 1))).any():
        raise DataError(
            f"{name!r}, from row {first} of those given, is not of bool: it says which values of "
            "another column there are"
        )
    told: AnyArray = there & (values.data == 1)
    return told


def _name_all(field: CategoricalField, values: Values) -> None:
    """Have a field know all names that stand in some values, as far as its codes reach."""
    known = {label_bytes(name): code for code, name in field.keys.items()}
    names = [] if values.labels is None else values.labels.to_pylist()
    new = [name for name in dict.fromkeys(names) if name not in known]
    if new and len(known) + len(new) <= np.iinfo(field.nformat).max:
        known |= {name: code for code, name in enumerate(new, max(known.values()) + 1)}
        pairs = [[label_text(name), code] for name, code in known.items()]
        field.group.update_attributes({"key": pairs})


def append_missing(field: Field, rows: int) -> None:
    """Append rows to a field that have no value."""
    for start in range(0, rows, _STEP):
        append_to(field, *empty_rows(field, min(_STEP, rows - start)))


def append_to(field: Field, column: Column, mask: AnyArray | None) -> None:
    """Append rows, as `fitted` gives them, to a field, and to what says which are missing."""
    if mask is not None and not field.face.sees_missing and not holds_nan(column):
        gone = int(np.count_nonzero(~mask))
        let_pass(field.settings, "stored 0 or no text for what is missing", field.phrase(), gone)
    field.append_masked(column, mask)
