"""What a table holds, as plain data: names, types, labels and sizes; values are read if asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exetera_zarr.fields.missing.companions import holds_nan
from exetera_zarr.tables.seeing.grids import lines_of
from exetera_zarr.tables.seeing.preview import cell, counted, spoken
from exetera_zarr.tables.seeing.texts import labelled, size_of
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exetera_zarr.fields.base import Field
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.dataset import Dataset

__all__ = [
    "TO_THE_RIGHT",
    "FieldInfo",
    "TableInfo",
    "describe_table",
    "frames_of",
    "raw_bytes",
    "size",
]

_MOST = 100
_UNKNOWN = "?"
TO_THE_RIGHT = ("rows", "missing", "size", "stored")


@dataclass(frozen=True)
class FieldInfo:
    """
    One field.

    Parameters
    ----------
    name, type, rows
        As of the field; the type is as it is stored.
    label
        Its label, with its unit in brackets; empty without both.
    missing
        How many rows have no value; None where that was not counted.
    raw_bytes
        Of its values, uncompressed.
    stored_bytes
        In the store; None where that was not asked, or nothing of it is committed.
    """

    name: str
    type: str
    rows: int
    label: str = ""
    missing: int | None = None
    raw_bytes: int = 0
    stored_bytes: int | None = None


@dataclass(frozen=True, repr=False)
class TableInfo:
    """
    What `DataFrame.info` gives: shown as text, or as a table in a notebook.

    Parameters
    ----------
    name
        Of the table.
    fields
        Its fields in order, without those that say what is missing of others.
    label
        Of the table; empty without one.
    hidden
        How many fields say what is missing of others.
    """

    name: str
    fields: tuple[FieldInfo, ...]
    label: str = ""
    hidden: int = 0

    @property
    def rows(self) -> int | None:
        """Rows of the table; None where its fields do not agree."""
        lengths = {field.rows for field in self.fields}
        if len(lengths) > 1:
            return None
        return next(iter(lengths), 0)

    @property
    def title(self) -> str:
        """The name of the table, and how large it is."""
        told = f"{self.name}: {size_of(self.rows, len(self.fields))}"
        told += f", {size(sum(field.raw_bytes for field in self.fields))}"
        stored = [f.stored_bytes for f in self.fields if f.stored_bytes is not None]
        return f"{told}, {size(sum(stored))} stored" if stored else told

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """The heads of a table, and its lines: a field each, of what at least one has."""
        ragged = self.rows is None
        columns: dict[str, list[str]] = {"field": [], "type": [], "missing": [], "label": []}
        columns |= {"rows": [], "size": [], "stored": []}
        for field in self.fields[:_MOST]:
            columns["field"].append(cell(field.name))
            columns["type"].append(cell(spoken(field.type)))
            columns["rows"].append(f"{field.rows:,}" if ragged else "")
            columns["missing"].append(_UNKNOWN if field.missing is None else f"{field.missing:,}")
            columns["label"].append(cell(field.label))
            columns["size"].append(size(field.raw_bytes))
            columns["stored"].append("" if field.stored_bytes is None else size(field.stored_bytes))
        heads = [head for head, texts in columns.items() if any(texts)]
        return heads, [list(line) for line in zip(*(columns[h] for h in heads), strict=True)]

    def notes(self) -> list[str]:
        """What is to be known beside the lines."""
        notes = []
        if (more := len(self.fields) - _MOST) > 0:
            notes.append(f"and {more:,} more")
        if any(field.missing is None for field in self.fields[:_MOST]):
            notes.append(f"{_UNKNOWN} is not counted; info(missing=True) counts it")
        if self.hidden:
            verb = "says" if self.hidden == 1 else "say"
            notes.append(f"{counted(self.hidden, 'more field')} {verb} what is missing of others")
        return notes

    def __repr__(self) -> str:
        heads, lines = self.cells()
        columns: list[Sequence[str]] = list(zip(heads, *lines, strict=True))
        title = visible(self.title) + (f", {cell(self.label)}" if self.label else "")
        grid = lines_of(columns, [head in TO_THE_RIGHT for head in heads])
        return "\n".join([title, *grid, *self.notes()])

    def _repr_html_(self) -> str:
        from exetera_zarr.tables.html import info_html

        return info_html(self)


def raw_bytes(field: Any) -> int:
    """Bytes of the values of a field, uncompressed."""
    return sum(len(array) * int(array.dtype.itemsize) for array in field.arrays().values())


def size(count: int) -> str:
    """Bytes, as people read them."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def describe_table(table: DataFrame, *, missing: bool = False, sizes: bool = False) -> TableInfo:
    """See `DataFrame.info`."""
    names, dataset = table.own_columns(), table.dataset
    stored = {}
    if sizes and table.name in dataset and dataset[table.name] is table:
        stored = dict(dataset.stored_sizes())
    found = []
    for name in names:
        field: Field = table[name]
        found.append(
            FieldInfo(
                name,
                field.fieldtype,
                len(field),
                labelled(field),
                _missing_of(field, counting=missing),
                raw_bytes(field),
                stored.get((table.name, name)),
            )
        )
    return TableInfo(str(table.name), tuple(found), table.label or "", len(table) - len(names))


def _missing_of(field: Field, *, counting: bool) -> int | None:
    """How many rows have no value, if that is asked, or known without reading."""
    if field.validity is None and not holds_nan(field.empty_column()):
        return 0
    return len(field) - field.count() if counting else None


def frames_of(dataset: Dataset) -> list[DataFrame]:
    """The tables of a dataset, in order, without the fields at its top."""
    return [one for one in dataset.values() if not hasattr(one, "fieldtype")]
