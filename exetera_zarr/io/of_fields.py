"""CSV columns whose rows go to a table that is there: what its fields say that their cells mean."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from exetera_zarr.fieldtypes import label_text
from exetera_zarr.io.schema.definitions import (
    DAY_LENGTH,
    Categorical,
    Date,
    DateTime,
    Numeric,
    String,
)
from exetera_zarr.journal.snapshots import VALID_FROM, VALID_TO
from exetera_zarr.tables.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from exetera_zarr.fields.base import Field
    from exetera_zarr.io.propose.sampling import CsvSample
    from exetera_zarr.io.schema.definitions import Definition
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.dataset import Dataset

__all__ = ["beside", "columns_of_days", "definition_of_field", "without_validity"]


@contextmanager
def beside(table: DataFrame) -> Iterator[Dataset]:
    """A dataset on the local disk, for rows until they are appended to a table."""
    settings = table.dataset.settings
    with (
        tempfile.TemporaryDirectory(prefix="exetera-", dir=settings.spill_dir) as folder,
        Session(memory_limit=settings.memory_limit, spill_dir=settings.spill_dir) as session,
    ):
        scratch = session.open_dataset(f"{folder}/rows.zarr", "w", "rows")
        try:
            yield scratch
        finally:
            scratch.rollback()


def without_validity(rows: DataFrame, table: DataFrame) -> None:
    """Delete from imported rows when they are valid, if a table does not say it of its own."""
    for column in (VALID_FROM, VALID_TO):
        if column not in table:
            del rows[column]


def columns_of_days(sample: CsvSample) -> set[str]:
    """The columns whose first cell is as long as a day, so that it has no time of day."""
    found: dict[str, bool] = {}
    for rows in sample:
        for name, cells in zip(sample.names, rows.cells, strict=True):
            if name in found:
                continue
            filled = next((cell for cell in cells.to_pylist() if cell.strip()), None)
            if filled is not None:
                found[name] = len(filled.strip()) <= DAY_LENGTH
    return {name for name, of_days in found.items() if of_days}


def definition_of_field(
    table: DataFrame, field: Field, header: Sequence[str], days: set[str]
) -> Definition:
    """How the cells of a column are read for a field that is there."""
    name = str(field.name)
    match field.type_name:
        case "numeric":
            return Numeric(str(field.data.dtype), create_flag_field=False)
        case "categorical":
            keys = {label_text(label): code for code, label in field.keys.items()}  # type: ignore[attr-defined]
            free = f"{name}_freetext"
            has_free = free in table and free not in header
            return Categorical(keys, str(field.data.dtype), allow_freetext=has_free)
        case "timestamp":
            day = f"{name}_day"
            has_day = day in table and day not in header
            return (Date if name in days else DateTime)(create_day_field=has_day)
        case "fixedstring":
            return String(field.length)  # type: ignore[attr-defined]
    return String()
