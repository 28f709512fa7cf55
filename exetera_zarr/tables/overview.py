"""Names, types and numbers of rows, as plain data; no value is read for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.dataset import Dataset

__all__ = ["FieldInfo", "TableInfo", "describe_dataset", "describe_table"]


@dataclass(frozen=True)
class FieldInfo:
    """One field: its name, its type as it is stored, and how many rows it has."""

    name: str
    type: str
    rows: int


@dataclass(frozen=True)
class TableInfo:
    """One table, and its fields in order."""

    name: str
    fields: tuple[FieldInfo, ...]

    @property
    def rows(self) -> int | None:
        """Rows of the table; None where its fields do not agree."""
        lengths = {field.rows for field in self.fields}
        if len(lengths) > 1:
            return None
        return next(iter(lengths), 0)


def _field_info(field: Any) -> FieldInfo:
    return FieldInfo(field.name or "", field.fieldtype, len(field))


def describe_table(table: DataFrame) -> TableInfo:
    """The fields of a table."""
    return TableInfo(str(table.name), tuple(_field_info(field) for field in table.values()))


def describe_dataset(dataset: Dataset) -> list[TableInfo]:
    """
    The tables of a dataset.

    Returns
    -------
    list of TableInfo
        In order; fields at the top level come first, as a table without a name.
    """
    tables, loose = [], []
    for value in dataset.values():
        if hasattr(value, "fieldtype"):
            loose.append(_field_info(value))
        else:
            tables.append(describe_table(value))
    return [TableInfo("", tuple(loose)), *tables] if loose else tables
