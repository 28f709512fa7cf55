"""Field by field import, as scripts written against ExeTera's own importers do it.

An importer makes the fields of one column and appends to them what it is given: cells as three
arrays that all columns of a block share. `column_inds`, int64 of shape (columns, rows + 1), says
where the cells of a column begin and end; `column_vals`, uint8, has their bytes;
`column_offsets`, int64, says where in it those of a column begin.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from exetera_zarr.errors import ArgumentError, DataError
from exetera_zarr.io.csv.cells import CellError, Faults
from exetera_zarr.io.csv.convert import convert
from exetera_zarr.io.csv.text import CsvError
from exetera_zarr.io.leniency import teller
from exetera_zarr.io.schema.definitions import (
    Categorical,
    Column,
    Date,
    DateTime,
    Definition,
    Numeric,
    String,
)
from exetera_zarr.io.tables import append, create_field, link_companion
from exetera_zarr.moments import EPOCH, parse_moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from exetera_zarr.tables.dataframe import DataFrame

__all__ = [
    "FIELD_MAPPING_TO_IMPORTER",
    "INDEXED_STRING_FIELD_SIZE",
    "Categorical",
    "CategoricalImporter",
    "Date",
    "DateImporter",
    "DateTime",
    "DateTimeImporter",
    "FieldImporter",
    "FixedStringImporter",
    "ImporterDefinition",
    "IndexedStringImporter",
    "LeakyCategoricalImporter",
    "Numeric",
    "NumericImporter",
    "String",
    "TimestampImporter",
    "parse_timestamp_bytes",
]

Integers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

INDEXED_STRING_FIELD_SIZE = 10
ImporterDefinition = Definition


class FieldImporter:
    """
    The fields that one column becomes, being filled.

    Parameters
    ----------
    df
        The table.
    name
        Name of the column.
    definition
        What its cells mean.
    timestamp
        What the fields say of when they were made.

    Attributes
    ----------
    field
        The field of that name; `fields` has its side fields as well.
    """

    def __init__(
        self, df: DataFrame, name: str, definition: Definition, timestamp: Any = None
    ) -> None:
        self.name = name
        self.definition = definition
        columns: tuple[Column, ...] = definition.columns(name)
        self._columns = columns
        self.fields: list[Any] = [create_field(df, column, timestamp) for column in columns]
        self.field: Any = self.fields[0]
        self._tell = teller(df.dataset.settings)

    def import_part(
        self,
        column_inds: Integers,
        column_vals: Bytes,
        column_offsets: Integers,
        col_idx: int,
        written_row_count: int,
    ) -> None:
        """
        Append cells of a block.

        Parameters
        ----------
        column_inds, column_vals, column_offsets
            The cells of all columns, as the module says.
        col_idx
            Number of the column.
        written_row_count
            How many of its rows count.

        Raises
        ------
        DataError
            A cell does not fit; nothing is appended.
        """
        ends = np.ascontiguousarray(column_inds[col_idx, : written_row_count + 1], np.int64)
        start = int(column_offsets[col_idx])
        values = np.ascontiguousarray(column_vals[start : start + int(ends[-1])])
        large = pa.Array.from_buffers(
            pa.large_binary(), written_row_count, [None, pa.py_buffer(ends), pa.py_buffer(values)]
        )
        self._append(large.cast(pa.binary()))

    def write_part(self, values: Iterable[bytes]) -> None:
        """Append cells given one by one, as bytes."""
        self._append(pa.array([bytes(value) for value in values], pa.binary()))

    def complete(self) -> None:
        """Note that the column is whole."""
        for field, column in zip(self.fields, self._columns, strict=True):
            field.data.complete()
            link_companion(field, column)

    def _append(self, cells: pa.Array) -> None:
        faults = Faults(lenient=self._tell is not None)
        try:
            arrays = convert(cells, self.definition, faults)
        except CellError as error:
            value, reason = cells[error.row].as_py(), error.reasons[error.row]
            raise DataError(
                f"row {error.row + 1} of a part for column {self.name!r}: "
                f"{CsvError.tell(reason, value)}"
            ) from None
        for field, array in zip(self.fields, arrays, strict=True):
            append(field, array)
        if self._tell is not None:
            for what, rows in faults.passed.items():
                self._tell(what, self.field.phrase(), rows)


class CategoricalImporter(FieldImporter):
    """Imports a `Categorical` column; every parameter but `session` is one of that or the table."""

    _free_text = False

    def __init__(
        self,
        session: Any,
        df: DataFrame,
        name: str,
        categories: Mapping[str, int],
        value_type: str = "int8",
        timestamp: Any = None,
    ) -> None:
        del session
        super().__init__(df, name, Categorical(categories, value_type, self._free_text), timestamp)


class LeakyCategoricalImporter(CategoricalImporter):
    """Imports a `Categorical` column that allows free text."""

    _free_text = True


class NumericImporter(FieldImporter):
    """Imports a `Numeric` column."""

    def __init__(
        self,
        session: Any,
        df: DataFrame,
        name: str,
        dtype: str,
        invalid_value: bool | float | str = 0,
        validation_mode: Any = "allow_empty",
        create_flag_field: bool | str = True,
        flag_field_suffix: str = "_valid",
        timestamp: Any = None,
    ) -> None:
        del session
        definition = Numeric(
            dtype, invalid_value, validation_mode, create_flag_field, flag_field_suffix
        )
        super().__init__(df, name, definition, timestamp)


class IndexedStringImporter(FieldImporter):
    """Imports a `String` column of any length."""

    def __init__(self, session: Any, df: DataFrame, name: str, timestamp: Any = None) -> None:
        del session
        super().__init__(df, name, String(), timestamp)


class FixedStringImporter(FieldImporter):
    """Imports a `String` column of a fixed length in bytes."""

    def __init__(
        self, session: Any, df: DataFrame, name: str, strlen: int, timestamp: Any = None
    ) -> None:
        del session
        super().__init__(df, name, String(strlen), timestamp)


class DateTimeImporter(FieldImporter):
    """Imports a `DateTime` column."""

    kind: type[DateTime] = DateTime

    def __init__(
        self,
        session: Any,
        df: DataFrame,
        name: str,
        create_day_field: bool | str = False,
        create_flag_field: bool | str = False,
        timestamp: Any = None,
    ) -> None:
        del session
        super().__init__(df, name, self.kind(create_day_field, create_flag_field), timestamp)


class DateImporter(DateTimeImporter):
    """Imports a `Date` column."""

    kind = Date


class TimestampImporter:
    """
    Writes POSIX seconds into a new timestamp field.

    Parameters
    ----------
    session
        Not looked at.
    df
        The table.
    name
        Name of the field.
    timestamp
        What the field says of when it was made.
    """

    def __init__(self, session: Any, df: DataFrame, name: str, timestamp: Any = None) -> None:
        del session
        self.field: Any = df.create_timestamp(name, timestamp)

    def write_part(self, values: Any) -> None:
        """Append values."""
        self.field.data.write_part(values)

    def complete(self) -> None:
        """Note that the column is whole."""
        self.field.data.complete()

    def write(self, values: Any) -> None:
        """Append values, and `complete`."""
        self.write_part(values)
        self.complete()


def parse_timestamp_bytes(field_name: str, value: bytes) -> datetime:
    """
    Read one moment.

    Parameters
    ----------
    field_name
        What the error calls the field.
    value
        The moment, in any form that a `DateTime` column takes.

    Returns
    -------
    datetime.datetime
        In UTC.

    Raises
    ------
    ValueError
        It is no moment.
    """
    try:
        seconds = parse_moment(value)
    except ValueError:
        raise ArgumentError(
            f"Date field '{field_name}' has unexpected format '{value!r}'"
        ) from None
    # By a difference, which is exact for every year, unlike `fromtimestamp`.
    return EPOCH + timedelta(microseconds=round(seconds * 1e6))


def _maker(kind: Callable[..., Definition]) -> Callable[..., Callable[..., FieldImporter]]:
    def with_options(*options: Any) -> Callable[..., FieldImporter]:
        definition = kind(*options)
        return lambda session, df, name, timestamp=None: FieldImporter(  # noqa: ARG005 - ExeTera's
            df, name, definition, timestamp
        )

    return with_options


# What makes an importer, by the arguments of a definition.
FIELD_MAPPING_TO_IMPORTER = {
    "categorical": _maker(Categorical),
    "numeric": _maker(Numeric),
    "string": _maker(String),
    "datetime": _maker(DateTime),
    "date": _maker(Date),
}
