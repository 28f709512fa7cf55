"""Reading a CSV file into a table that exists, under ExeTera's names."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any

from exetera_zarr.errors import ArgumentError, ArgumentTypeError
from exetera_zarr.io.forms import read_schema
from exetera_zarr.io.leniency import teller
from exetera_zarr.io.options import ROWS_PER_WRITE, ImportOptions
from exetera_zarr.io.plan import TablePlan, plan_tables
from exetera_zarr.io.tables import import_table
from exetera_zarr.tables.dataframe import DataFrame

if TYPE_CHECKING:
    from typing import Unpack

    from exetera_zarr.io.leniency import Teller
    from exetera_zarr.io.options import PathLike, SourceKeywords, TableSummary, Timestamp
    from exetera_zarr.io.schema.definitions import Definition

__all__ = ["read_csv", "read_csv_with_schema_dict"]


def read_csv(
    csv_file: PathLike,
    ddf: DataFrame,
    schema_dictionary: Mapping[str, Definition] | None = None,
    schema_file: PathLike | IO[Any] | None = None,
    schema_key: str | None = None,
    include: Collection[str] | None = None,
    exclude: Collection[str] | None = None,
    chunk_row_size: int = ROWS_PER_WRITE,
    timestamp: Timestamp = None,
    **options: Unpack[SourceKeywords],
) -> TableSummary:
    """
    Read a CSV file into a table, all of it or nothing.

    Parameters
    ----------
    csv_file
        Path or URL; see `exetera_zarr.import_csv`.
    ddf
        The table. It is not committed here.
    schema_dictionary
        ``{column: definition}``.
    schema_file
        Or, instead, the path, URL or open file of a JSON schema.
    schema_key
        Which of its tables counts, if it has several.
    include, exclude
        Columns to import, or not to.
    chunk_row_size, timestamp, options
        See `ImportOptions`.

    Returns
    -------
    TableSummary
        Rows and rejected rows.

    Raises
    ------
    CsvError, SchemaError
        As of `exetera_zarr.import_csv`; the table is as it was.
    TypeError
        `ddf` is no table, or the schema no schema.
    ValueError
        Both or neither form of schema is given, or `schema_key` names no table of it.
    """
    if not isinstance(ddf, DataFrame):
        raise ArgumentTypeError("The destination object must be an instance of DataFrame.")
    if (schema_dictionary is None) == (schema_file is None):
        raise ArgumentError(
            "'schema_dict' and 'schema_file', one and only one of them should be provided."
        )
    if schema_dictionary is None:
        sources = ImportOptions(**options).for_sources
        schema_dictionary = _one_table(
            schema_file, schema_key, sources, teller(ddf.dataset.settings)
        )
    elif not isinstance(schema_dictionary, Mapping):
        raise ArgumentTypeError(
            f"'schema_dict' must be a dict, not a {type(schema_dictionary).__name__}"
        )
    settings = _settings(ddf, timestamp, include, exclude, chunk_row_size, options)
    kept = [os.fspath(schema_file)] if isinstance(schema_file, str | os.PathLike) else []
    return _read(csv_file, ddf, schema_dictionary, settings, kept=kept)


def read_csv_with_schema_dict(
    csv_file: PathLike,
    ddf: DataFrame,
    schema_dictionary: Mapping[str, Definition],
    timestamp: Timestamp = None,
    include: Collection[str] | None = None,
    exclude: Collection[str] | None = None,
    chunk_row_size: int = ROWS_PER_WRITE,
    stop_after_rows: int | None = None,
    **options: Unpack[SourceKeywords],
) -> TableSummary:
    """
    Read a CSV file into a table, as `read_csv` does.

    Parameters
    ----------
    csv_file, ddf, schema_dictionary, timestamp, include, exclude, chunk_row_size, options
        As of `read_csv`.
    stop_after_rows
        Read so many records at the most; what follows them is not looked at.

    Returns
    -------
    TableSummary
        Rows and rejected rows.
    """
    settings = _settings(ddf, timestamp, include, exclude, chunk_row_size, options)
    return _read(csv_file, ddf, schema_dictionary, settings, stop_after_rows)


def _settings(
    ddf: DataFrame,
    timestamp: Timestamp,
    include: Collection[str] | None,
    exclude: Collection[str] | None,
    chunk_row_size: int,
    options: SourceKeywords,
) -> ImportOptions:
    return ImportOptions(
        include=None if include is None else {ddf.name: include},
        exclude=None if exclude is None else {ddf.name: exclude},
        timestamp=timestamp,
        chunk_row_size=chunk_row_size,
        **options,
    )


def _read(
    csv_file: PathLike,
    ddf: DataFrame,
    schema: Mapping[str, Definition],
    settings: ImportOptions,
    most_rows: int | None = None,
    kept: Collection[str] = (),
) -> TableSummary:
    name, tell = ddf.name, teller(ddf.dataset.settings)
    with ExitStack() as stack:
        (plan,) = plan_tables(stack, {name: dict(schema)}, {name: csv_file}, settings, kept, tell)
        assert isinstance(plan, TablePlan)  # since there is a schema
        with ddf.dataset.transaction():
            summary = import_table(ddf, plan, settings.valid_from, settings, most_rows)
        plan.save_rejects()
    return summary


def _one_table(
    source: Any,
    key: str | None,
    source_options: Mapping[str, Any] | None,
    tell: Teller | None,
) -> Mapping[str, Definition]:
    if not isinstance(source, str | os.PathLike) and not hasattr(source, "read"):
        raise ArgumentTypeError(
            f"'schema_file' must be a path or an open file, not a {type(source).__name__}"
        )
    tables = read_schema(source, source_options, tell)
    if key is None:
        if len(tables) == 1:
            return next(iter(tables.values()))
        raise ArgumentError(
            "'schema_key' must be provided when there's multiple schemas in the schema file."
        )
    if key not in tables:
        raise ArgumentError(
            f"'schema_key' {key!r} is no table of the schema; it has {list(tables)}"
        )
    return tables[key]
