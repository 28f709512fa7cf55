"""Import of CSV files into the tables of a dataset, a block at a time.

The main thread reads blocks and writes fields, in order; the threads of a pool split, check and
convert the blocks between (Arrow and numpy release the lock). What is in memory is a few blocks,
whatever the size of the file. All tables are one transaction: an error leaves the dataset as it
was.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import ArgumentTypeError, NameTakenError, SchemaError, listing
from exetera_zarr.io.csv.files import open_binary
from exetera_zarr.io.leniency import Teller, teller
from exetera_zarr.io.options import (
    ROWS_PER_WRITE,
    Choice,
    Files,
    ImportKeywords,
    ImportOptions,
    ImportSummary,
    PathLike,
    Progress,
    ProgressCallback,
    SourceKeywords,
    TableSummary,
    Timestamp,
)
from exetera_zarr.io.plan import TablePlan, callers_level, plan_tables
from exetera_zarr.io.schema.definitions import Definition, Schema
from exetera_zarr.io.schema.load import load_schema
from exetera_zarr.io.tables import import_table
from exetera_zarr.settings import settings_of
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from typing import Unpack

    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.dataset import Dataset
    from exetera_zarr.tables.session import Session

__all__ = [
    "ImportOptions",
    "ImportSummary",
    "Progress",
    "ProgressCallback",
    "TableSummary",
    "import_csv",
    "import_tables",
    "import_with_schema",
]


def import_csv(
    dataset: Dataset,
    table: str,
    csv: PathLike | Sequence[PathLike],
    schema: Any,
    *,
    include: Collection[str] | None = None,
    exclude: Collection[str] | None = None,
    **options: Unpack[ImportKeywords],
) -> DataFrame:
    """
    Import CSV files as a new table.

    Parameters
    ----------
    dataset
        Where to; it is not committed here.
    table
        Name of the new table.
    csv
        Path or URL of the file, or several of them, of which the rows follow each other: UTF-8, a
        header, commas, ``"`` as quote. A name that ends in ``.gz``, ``.bz2``, ``.xz`` or ``.zst``
        is decompressed, and one with ``*``, ``?`` or ``[]`` stands for all files that it fits, in
        the order of their names.
    schema
        ``{column: definition}``, or a schema (its path, URL, open file, or what `load_schema`
        gives), of which the table of this name counts, or else its only one.
    include, exclude
        Columns to import, or not to.
    options
        See `ImportOptions`. The dataset is open already, so `storage_options` and `source_options`
        are both for the source files (CSV, schema and rejects).

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

    Warns
    -----
    UserWarning
        Rows were left out, or the file has columns that the schema does not know.
    """
    if isinstance(include, str) or isinstance(exclude, str):
        raise ArgumentTypeError("include and exclude are lists of column names, not one text")
    settings = ImportOptions(
        include=None if include is None else {table: include},
        exclude=None if exclude is None else {table: exclude},
        **options,
    )
    tell = teller(dataset.settings)
    definitions = {table: definitions_of(schema, table, settings.for_sources, tell)}
    summary = _import_into(dataset, definitions, {table: csv}, settings, paths_of(schema))
    if rejected := summary.rejected:
        place = summary[table].rejects
        warnings.warn(
            visible(
                f"{rejected} of {rejected + summary.rows} rows were not imported into {table!r}"
                + (f"; they are in {place}" if place else "")
            ),
            UserWarning,
            stacklevel=callers_level(),
        )
    return dataset.get_dataframe(table)


def import_with_schema(
    session: Session,
    dataset_filename: Any,
    dataset_alias: str,
    schema_file: Any,
    files: Files,
    overwrite: bool,
    include: Choice | None = None,
    exclude: Choice | None = None,
    timestamp: Timestamp = None,
    chunk_row_size: int = ROWS_PER_WRITE,
    **options: Unpack[SourceKeywords],
) -> ImportSummary:
    """
    Import CSV files as new tables of a dataset, which is committed and stays open in the session.

    Parameters
    ----------
    session
        Opens the dataset.
    dataset_filename
        Its path or URL. It is made if there is none, once the headers of all files fit the schema.
    dataset_alias
        The name that it is open under.
    schema_file
        Path, URL or open file of the JSON schema.
    files
        ``{table: path or URL, or a list of them}``; see `import_csv`.
    overwrite
        Whether the dataset is replaced; otherwise tables are added to it.
    include, exclude, timestamp, chunk_row_size, options
        See `ImportOptions`: `storage_options` open the dataset, and the source files as well unless
        `source_options` do.

    Returns
    -------
    ImportSummary
        Rows and rejected rows of each table.

    Raises
    ------
    CsvError, SchemaError, NameTakenError
        As in `import_csv`. The dataset is closed, and at its last version: with
        `commit_each_table` the last complete table, else that from before. One that was not there
        is an empty dataset of version 0.
    """
    settings = ImportOptions(
        include=include,
        exclude=exclude,
        timestamp=timestamp,
        chunk_row_size=chunk_row_size,
        **options,
    )
    tell = teller(settings_of(session))
    schema = read_schema(schema_file, settings.for_sources, tell)
    with ExitStack() as stack:
        plans = plan_tables(stack, schema, files, settings, paths_of(schema_file), tell)
        dataset = session.open_dataset(
            dataset_filename,
            "w" if overwrite else "a",
            dataset_alias,
            storage_options=settings.for_dataset,
        )
        complete = False
        try:
            summary = _import_plans(dataset, plans, settings)
            complete = True
            dataset.commit()
        except BaseException:
            # Closing commits, and neither a draft that starts empty (mode 'w') nor one that was
            # interrupted on the way to its commit may be. Otherwise the draft is as it was,
            # perhaps with changes of others who share it.
            if overwrite or complete or settings.commit_each_table:
                dataset.rollback()
            session.close_dataset(dataset_alias)
            raise
        # Not before the commit: those of the last import belong to what it left.
        _save_rejects(plans, settings)
    return summary


def import_tables(
    dataset: Dataset,
    schema: Schema,
    files: Files,
    *,
    include: Choice | None = None,
    exclude: Choice | None = None,
    **options: Unpack[ImportKeywords],
) -> ImportSummary:
    """
    Import CSV files as new tables, all or none of them.

    Parameters
    ----------
    dataset
        Where to; it is not committed here, but by `commit_each_table`.
    schema
        ``{table: {column: definition}}``.
    files
        ``{table: path or URL, or a list of them}``; see `import_csv`.
    include, exclude
        ``{table: columns}`` to import, or not to.
    options
        See `ImportOptions`; storage options as of `import_csv`.

    Returns
    -------
    ImportSummary
        Rows and rejected rows of each table.

    Raises
    ------
    CsvError, SchemaError, NameTakenError
        As in `import_csv`. The dataset is as it was.
    """
    settings = ImportOptions(include=include, exclude=exclude, **options)
    return _import_into(dataset, schema, files, settings)


def _import_into(
    dataset: Dataset,
    schema: Schema,
    files: Files,
    options: ImportOptions,
    kept: Collection[str] = (),
) -> ImportSummary:
    with ExitStack() as stack:
        plans = plan_tables(stack, schema, files, options, kept, teller(dataset.settings))
        summary = _import_plans(dataset, plans, options)
        _save_rejects(plans, options)
    return summary


def paths_of(schema: object) -> list[str]:
    """Return where a schema was read from, if it has a place."""
    place = schema if isinstance(schema, str | os.PathLike) else getattr(schema, "name", None)
    return [os.fspath(place)] if isinstance(place, str | os.PathLike) else []


def _save_rejects(plans: Sequence[TablePlan], options: ImportOptions) -> None:
    if options.commit_each_table:
        return  # each with its table
    for plan in plans:
        plan.save_rejects()


def read_schema(
    source: Any, source_options: Mapping[str, Any] | None = None, tell: Teller | None = None
) -> Schema:
    """Read a schema as `load_schema` does, from a URL as well."""
    if isinstance(source, str | os.PathLike) and "://" in os.fspath(source):
        file, _ = open_binary(source, source_options)
        with file:
            return load_schema(file, tell=tell)
    return load_schema(source, tell=tell)


def definitions_of(
    schema: Any,
    table: str,
    source_options: Mapping[str, Any] | None = None,
    tell: Teller | None = None,
) -> dict[str, Definition]:
    """Return the definitions of one table, from any form of schema."""
    if not isinstance(schema, Mapping):
        schema = read_schema(schema, source_options, tell)
    elif all(isinstance(value, Definition) for value in schema.values()):
        return dict(schema)
    elif not all(isinstance(value, Mapping) for value in schema.values()):
        raise ArgumentTypeError("a schema maps columns to definitions, or tables to such mappings")
    if table in schema or len(schema) != 1:
        found = schema.get(table)
    else:
        (found,) = schema.values()
    if found is None:
        raise SchemaError(f"the schema has no table {table!r}; it has {listing(schema)}")
    return dict(found)


def _import_plans(
    dataset: Dataset, plans: Sequence[TablePlan], options: ImportOptions
) -> ImportSummary:
    if taken := [plan.table for plan in plans if plan.table in dataset]:
        raise NameTakenError(
            f"{dataset.name} already has table {listing(taken)}; an import makes new tables"
        )
    since = options.valid_from
    done: dict[str, TableSummary] = {}
    with nullcontext() if options.commit_each_table else dataset.transaction():
        for plan in plans:
            with dataset.transaction():
                table = dataset.create_dataframe(plan.table)
                done[plan.table] = import_table(table, plan, since, options)
            if options.commit_each_table:
                dataset.commit()
                plan.save_rejects()
    return ImportSummary(done)
