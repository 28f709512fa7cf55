"""Files that say the types of their columns: Parquet, Arrow's own, SPSS, Stata and SAS."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from exetera_zarr.errors import DataError, SchemaError, listing
from exetera_zarr.io.arrow.files import kind_of_file, rows_of_file
from exetera_zarr.io.csv.files import CODECS, expand, is_url, shown, suffix_of
from exetera_zarr.io.options import Progress, TableSummary
from exetera_zarr.io.statistics.reading import package_of
from exetera_zarr.io.statistics.reading import rows_of_file as rows_of_statistics
from exetera_zarr.journal.snapshots import END, VALID_FROM, VALID_TO
from exetera_zarr.tables.rows.appending import append
from exetera_zarr.tables.rows.arrow_metadata import renamed as names_told
from exetera_zarr.tables.rows.arrow_metadata import told_by
from exetera_zarr.tables.rows.given import rows_given

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from exetera_zarr.io.options import Files, ImportOptions
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = [
    "TypedPlan",
    "csv_of",
    "import_typed",
    "is_typed",
    "open_typed",
    "typed_plan",
    "with_validity",
]

_MOMENT = pa.timestamp("us", "UTC")


def is_typed(name: str) -> bool:
    """
    Whether a file says the types of its columns, by the suffix of its name.

    Raises
    ------
    DataError
        It would, if it were not compressed as a whole.
    """
    if suffix_of(name) in CODECS:
        inner = re.sub(r"\.[^.]*$", "", re.split("[?#]", name)[0] if is_url(name) else name)
        if is_typed(inner):
            raise DataError(
                f"{shown(name)} is compressed as a whole, and {suffix_of(inner)} files are read "
                "from any place: decompress it first"
            )
        return False
    return kind_of_file(name) is not None or package_of(name) is not None


@contextmanager
def open_typed(
    name: str, memory: int, options: Mapping[str, Any] | None
) -> Iterator[pa.RecordBatchReader]:
    """
    The rows of such a file, some at a time.

    Parameters
    ----------
    name
        Path or URL.
    memory
        Bytes, of which some are used.
    options
        For a URL.

    Raises
    ------
    DataError
        It is not what its name says.
    """
    package = package_of(name)
    if package is not None:
        yield rows_of_statistics(name, package, None, memory, options)
        return
    with rows_of_file(name, options) as rows:
        yield rows


def csv_of(files: Files, options: ImportOptions) -> Files:
    """Those of the files to import that do not say the types of their columns, by table."""
    return {
        table: paths
        for table, paths in files.items()
        if not any(map(is_typed, expand(paths, options.for_sources)))
    }


@dataclass(frozen=True)
class TypedPlan:
    """
    What one table is imported from, of files that say the types of their columns.

    Parameters
    ----------
    table
        The table's name.
    names
        Of the files.
    include, exclude
        Columns to import, or not to; all by default.
    rename
        Names of fields by those of columns.
    """

    table: str
    names: tuple[str, ...]
    include: Collection[str] | None = None
    exclude: Collection[str] = ()
    rename: Mapping[str, str] | None = None

    def save_rejects(self) -> None:
        """Nothing: a row that does not fit ends the import."""

    def chosen(self, name: str, rows: pa.RecordBatchReader) -> pa.RecordBatchReader:
        """The rows of a file with the columns that are wanted, by the names of their fields."""
        there = rows.schema.names
        renamed = self.rename or {}
        for choice in (self.include or (), self.exclude, renamed):
            if unknown := [one for one in choice if one not in there]:
                raise SchemaError(
                    f"{shown(name)} has no column {listing(unknown)} to include, exclude or "
                    f"rename; it has {listing(there)}"
                )
        places = [
            place
            for place, one in enumerate(there)
            if (self.include is None or one in self.include) and one not in self.exclude
        ]
        fields = [
            field.with_name(renamed.get(field.name, field.name))
            for field in (rows.schema.field(place) for place in places)
        ]
        told_by(rows.schema)  # so that what is wrong with it is known
        schema = pa.schema(fields, names_told(rows.schema.metadata, renamed))

        def batches() -> Iterator[pa.RecordBatch]:
            for batch in rows:
                yield pa.record_batch([batch.column(place) for place in places], schema=schema)

        return pa.RecordBatchReader.from_batches(schema, batches())


def typed_plan(
    table: str, names: Sequence[str], schema: Mapping[str, Any], options: ImportOptions
) -> TypedPlan:
    """
    Plan the import of a table from files that say the types of their columns.

    Raises
    ------
    SchemaError
        Some of the files do not, or something is said of them that is for CSV files alone.
    """
    if others := [name for name in names if not is_typed(name)]:
        raise SchemaError(
            f"table {table!r} has files of several kinds, such as {shown(names[0])} and "
            f"{shown(others[0])}: import one kind, and append the others"
        )
    if table in schema:
        raise SchemaError(
            f"the schema has the table {table!r}, of which {shown(names[0])} says the types by "
            "itself: leave it out of the schema, or import a CSV file"
        )
    form = options.format_of(table, {})
    if said := [key for key in form.said if key != "rename"]:
        raise SchemaError(
            f"{shown(names[0])} is no CSV file, of which alone these say how it is written: "
            f"{listing(said)}; leave them out, or import the CSV files by themselves"
        )
    include, exclude = options.include or {}, options.exclude or {}
    return TypedPlan(table, tuple(names), include.get(table), exclude.get(table, ()), form.rename)


def import_typed(
    table: DataFrame, plan: TypedPlan, since: float, options: ImportOptions
) -> TableSummary:
    """
    Append the rows of files to a table, new or not, with when they are valid.

    Parameters
    ----------
    table
        Where to.
    plan
        What it is imported from.
    since
        POSIX seconds for ``j_valid_from``, where the files do not say it themselves.
    options
        Of the import.

    Raises
    ------
    DataError, SchemaError
        Something does not fit.
    """
    began = time.perf_counter()
    is_new = not list(table)
    rows, read = 0, 0
    files: list[Mapping[str, Any]] = []
    for number, name in enumerate(plan.names):
        with open_typed(name, table.dataset.settings.memory_limit, options.for_sources) as found:
            wanted = plan.chosen(name, found)
            if options.timestamp is not None and VALID_FROM in wanted.schema.names:
                raise SchemaError(
                    f"{shown(name)} has a column {VALID_FROM!r}, which says from when its rows are "
                    "valid: give no timestamp, or exclude the column"
                )
            if options.has_validity or not is_new:
                wanted = with_validity(wanted, None if is_new else table, since)
            if is_new and not number:
                given = rows_given(wanted)
                if given.about:
                    table.group.update_attributes(given.about)
                rows += append(table, given, new="add", empty=True)
            else:
                rows += append(table, wanted)
        size = None if is_url(name) else Path(name).stat().st_size
        read += size or 0
        called = shown(name) if is_url(name) else Path(name).name
        files.append({"name": called} | ({} if size is None else {"bytes": size}))
        if options.progress is not None:
            options.progress(Progress(plan.table, rows, read, None))
    return TableSummary(rows, 0, time.perf_counter() - began, read, None, tuple(files))


def with_validity(
    rows: pa.RecordBatchReader, table: DataFrame | None, since: float
) -> pa.RecordBatchReader:
    """
    Rows, and when they are valid, unless they say so themselves.

    Parameters
    ----------
    rows
        The rows.
    table
        Where they go, if it is there: only what it has fields for is said.
    since
        POSIX seconds.
    """
    schema, lacking = rows.schema, []
    for column, moment in ((VALID_FROM, since), (VALID_TO, END)):
        if column not in rows.schema.names and (table is None or column in table):
            schema = schema.append(pa.field(column, _MOMENT))
            lacking.append(pa.scalar(round(moment * 1e6), _MOMENT))

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in rows:
            more = [pa.repeat(moment, len(batch)) for moment in lacking]
            yield pa.record_batch([*batch.columns, *more], schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches()) if lacking else rows
