"""Import of CSV files into the tables of a dataset, a block at a time.

The main thread reads blocks and writes fields, in order; the threads of a pool split, check and
convert the blocks between (Arrow and numpy release the lock). What is in memory is a few blocks,
whatever the size of the file. All tables are one transaction: an error leaves the dataset as it
was.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

from exetera_zarr.errors import NameTakenError, SchemaError, listing
from exetera_zarr.io.convert_time import parse_moment
from exetera_zarr.io.csv_text import BLOCK_BYTES, CsvError, line_of
from exetera_zarr.io.definitions import Column, Definition, Schema
from exetera_zarr.io.pipeline import Failure, converted_blocks
from exetera_zarr.io.plan import Choice, Missing, PathLike, TablePlan, open_binary, plan_tables
from exetera_zarr.io.schema import load_schema

if TYPE_CHECKING:
    from exetera_zarr.dataframe import DataFrame
    from exetera_zarr.dataset import Dataset
    from exetera_zarr.io.convert import Produced
    from exetera_zarr.session import Session

__all__ = ["Progress", "import_csv", "import_tables", "import_with_schema"]

Timestamp: TypeAlias = str | float | datetime | None
ProgressCallback: TypeAlias = "Callable[[Progress], None]"

VALID_FROM = Column("j_valid_from", "timestamp")
VALID_TO = Column("j_valid_to", "timestamp")
# The start of the year 3000 in UTC; ExeTera's depends on the time zone of the machine.
END_OF_VALIDITY = 32_503_680_000.0
ROWS_PER_WRITE = 1 << 20


@dataclass(frozen=True)
class Progress:
    """
    How far an import is.

    Parameters
    ----------
    table
        The table that is being written.
    rows
        Rows of it that are written.
    bytes_read
        Bytes of its file that are read.
    bytes_total
        Bytes that there are, if known.
    """

    table: str
    rows: int
    bytes_read: int
    bytes_total: int | None


def import_csv(
    dataset: Dataset,
    table: str,
    csv: PathLike,
    schema: Any,
    *,
    include: Collection[str] | None = None,
    exclude: Collection[str] | None = None,
    timestamp: Timestamp = None,
    missing: Missing = "error",
    storage_options: Mapping[str, Any] | None = None,
    progress: ProgressCallback | None = None,
) -> DataFrame:
    """
    Import a CSV file as a new table.

    Parameters
    ----------
    dataset
        Where to; it is not committed here.
    table
        Name of the new table.
    csv
        Path or URL of the file: UTF-8, a header, commas, ``"`` as quote.
    schema
        ``{column: definition}``, or a schema (its path, URL, open file, or what `load_schema`
        gives), of which the table of this name counts, or else its only one.
    include, exclude
        Columns to import, or not to.
    timestamp
        Stored in ``j_valid_from``: text, a datetime or POSIX seconds, UTC unless it says else. Now,
        if not given.
    missing
        ``"error"``, or ``"skip"`` to leave out columns of the schema that the file lacks.
    storage_options
        Passed to fsspec, for URLs.
    progress
        Called after each block.

    Returns
    -------
    DataFrame
        The new table. It also has the fields ``j_valid_from`` and ``j_valid_to``.

    Raises
    ------
    CsvError
        A record or cell that does not fit; nothing is imported.
    SchemaError
        The schema is wrong, or does not fit the header.
    NameTakenError
        The dataset has a table of that name.
    """
    if isinstance(include, str) or isinstance(exclude, str):
        raise TypeError("include and exclude are lists of column names, not one text")
    import_tables(
        dataset,
        {table: _definitions(schema, table, storage_options)},
        {table: csv},
        include=None if include is None else {table: include},
        exclude=None if exclude is None else {table: exclude},
        timestamp=timestamp,
        missing=missing,
        storage_options=storage_options,
        progress=progress,
    )
    return dataset.get_dataframe(table)


def import_with_schema(
    session: Session,
    dataset_filename: Any,
    dataset_alias: str,
    schema_file: Any,
    files: Mapping[str, PathLike],
    overwrite: bool,
    include: Choice | None = None,
    exclude: Choice | None = None,
    timestamp: Timestamp = None,
    chunk_row_size: int = ROWS_PER_WRITE,
    *,
    missing: Missing = "error",
    storage_options: Mapping[str, Any] | None = None,
    progress: ProgressCallback | None = None,
) -> None:
    """
    Import CSV files as new tables of a dataset, which stays open in the session.

    Parameters
    ----------
    session
        Opens the dataset.
    dataset_filename
        Its path or URL. It is made if there is none.
    dataset_alias
        The name that it is open under.
    schema_file
        Path, URL or open file of the JSON schema.
    files
        ``{table: path or URL}``.
    overwrite
        Whether the dataset is replaced; otherwise tables are added to it.
    include, exclude
        ``{table: columns}`` to import, or not to.
    timestamp
        Stored in ``j_valid_from``; now, if not given.
    chunk_row_size
        The most rows that are written to a field at once.
    missing, storage_options, progress
        As in `import_csv`; `storage_options` also open the dataset.

    Raises
    ------
    CsvError, SchemaError, NameTakenError
        As in `import_csv`. The dataset is as it was, and closed; one that was not there is empty.
    """
    schema = _load(schema_file, storage_options)
    with ExitStack() as stack:
        plans = plan_tables(
            stack,
            schema,
            files,
            include=include,
            exclude=exclude,
            missing=missing,
            storage_options=storage_options,
        )
        since = _seconds(timestamp)
        mode = "w" if overwrite else "a"
        dataset = session.open_dataset(
            dataset_filename, mode, dataset_alias, storage_options=storage_options
        )
        try:
            _import_plans(dataset, plans, since, chunk_row_size, progress)
            dataset.commit()
        except BaseException:
            # Closing commits, and mode 'w' is a draft that starts empty: it must not be kept. In
            # mode 'a' the draft is as it was, perhaps with changes of others who share it.
            if overwrite:
                dataset.rollback()
            session.close_dataset(dataset_alias)
            raise


def import_tables(
    dataset: Dataset,
    schema: Schema,
    files: Mapping[str, PathLike],
    *,
    include: Choice | None = None,
    exclude: Choice | None = None,
    timestamp: Timestamp = None,
    chunk_row_size: int = ROWS_PER_WRITE,
    missing: Missing = "error",
    storage_options: Mapping[str, Any] | None = None,
    progress: ProgressCallback | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> dict[str, int]:
    """
    Import CSV files as new tables, all or none of them.

    Parameters
    ----------
    dataset
        Where to; it is not committed here.
    schema
        ``{table: {column: definition}}``.
    files
        ``{table: path or URL}``.
    include, exclude
        ``{table: columns}`` to import, or not to.
    timestamp, missing, storage_options, progress
        As in `import_csv`.
    chunk_row_size
        The most rows that are written to a field at once.
    block_bytes
        How much of a file is read at a time.

    Returns
    -------
    dict
        ``{table: rows}``.

    Raises
    ------
    CsvError, SchemaError, NameTakenError
        As in `import_csv`. The dataset is as it was.
    """
    since = _seconds(timestamp)
    with ExitStack() as stack:
        plans = plan_tables(
            stack,
            schema,
            files,
            include=include,
            exclude=exclude,
            missing=missing,
            storage_options=storage_options,
            block_bytes=block_bytes,
        )
        return _import_plans(dataset, plans, since, chunk_row_size, progress)


# What there is to import


def _load(source: Any, storage_options: Mapping[str, Any] | None) -> Schema:
    if isinstance(source, str | os.PathLike) and "://" in os.fspath(source):
        file, _ = open_binary(source, storage_options)
        with file:
            return load_schema(file)
    return load_schema(source)


def _definitions(
    schema: Any, table: str, storage_options: Mapping[str, Any] | None
) -> dict[str, Definition]:
    """Return the definitions of one table, from any form of schema."""
    if not isinstance(schema, Mapping):
        schema = _load(schema, storage_options)
    elif all(isinstance(value, Definition) for value in schema.values()):
        return dict(schema)
    elif not all(isinstance(value, Mapping) for value in schema.values()):
        raise TypeError("a schema maps columns to definitions, or tables to such mappings")
    if table in schema or len(schema) != 1:
        found = schema.get(table)
    else:
        (found,) = schema.values()
    if found is None:
        raise SchemaError(f"the schema has no table {table!r}; it has {listing(schema)}")
    return dict(found)


def _seconds(timestamp: Timestamp) -> float:
    if timestamp is None:
        return datetime.now(UTC).timestamp()
    if isinstance(timestamp, int | float):
        return float(timestamp)
    if isinstance(timestamp, str):
        try:
            return parse_moment(timestamp.strip().encode())
        except ValueError:
            timestamp = _iso(timestamp)
    if timestamp.tzinfo is None:
        timestamp = timestamp.replace(tzinfo=UTC)
    return timestamp.timestamp()


def _iso(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"timestamp {text!r} is not a date and time") from None


# Doing it


def _import_plans(
    dataset: Dataset,
    plans: Iterable[TablePlan],
    since: float,
    rows_per_write: int,
    progress: ProgressCallback | None,
) -> dict[str, int]:
    if rows_per_write < 1:
        raise ValueError(f"chunk_row_size must be 1 or more, not {rows_per_write}")
    plans = list(plans)
    if taken := [plan.table for plan in plans if plan.table in dataset]:
        raise NameTakenError(
            f"{dataset.name} already has table {listing(taken)}; an import makes new tables"
        )
    with dataset.transaction():
        return {
            plan.table: _import_table(
                dataset.create_dataframe(plan.table), plan, since, rows_per_write, progress
            )
            for plan in plans
        }


def _import_table(
    table: DataFrame,
    plan: TablePlan,
    since: float,
    rows_per_write: int,
    progress: ProgressCallback | None,
) -> int:
    columns = [column for source in plan.sources for column in source.columns]
    fields = [_create(table, column) for column in (*columns, VALID_FROM, VALID_TO)]
    rows, lines = 0, plan.text.header_lines
    # Closed at once, so that an error does not keep the threads as long as its traceback lives.
    with closing(converted_blocks(plan)) as blocks:
        for block, converted in blocks:
            if converted.failure is not None:
                line = lines + line_of(block, converted.failure.row) + 1
                raise _located(plan, rows, line, converted.failure)
            validity = [np.full(converted.rows, value) for value in (since, END_OF_VALIDITY)]
            for field, values in zip(fields, (*converted.arrays, *validity), strict=True):
                for start in range(0, converted.rows, rows_per_write):
                    _append(field, values[start : start + rows_per_write])
            rows += converted.rows
            lines += converted.lines
            if progress is not None:
                progress(Progress(plan.table, rows, plan.text.bytes_read, plan.size))
    for field in fields:
        field.data.complete()
    return rows


def _create(table: DataFrame, column: Column) -> Any:
    match column.kind:
        case "numeric":
            return table.create_numeric(column.name, column.nformat)
        case "categorical":
            return table.create_categorical(column.name, column.nformat, dict(column.keys))
        case "timestamp":
            return table.create_timestamp(column.name)
        case "fixed_string":
            return table.create_fixed_string(column.name, column.length)
        case "indexed_string":
            return table.create_indexed_string(column.name)


def _append(field: Any, values: Produced) -> None:
    if isinstance(values, pa.Array):
        field.data.write_arrow(values)
    else:
        field.data.write_part(values)


def _located(plan: TablePlan, rows_before: int, line: int, failure: Failure) -> CsvError:
    return CsvError(
        plan.text.name,
        rows_before + failure.row + 1,
        line,
        failure.reason,
        failure.column,
        failure.value,
    )
