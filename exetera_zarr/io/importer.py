"""Import of CSV files into the tables of a dataset, a block at a time.

The main thread reads blocks and writes fields, in order; the threads of a pool split, check and
convert the blocks between (Arrow and numpy release the lock). What is in memory is a few blocks,
whatever the size of the file. All tables are one transaction: an error leaves the dataset as it
was.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import ArgumentError, ArgumentTypeError, NameTakenError, listing
from exetera_zarr.io.forms import definitions_of, paths_of, read_schema, told_of
from exetera_zarr.io.leniency import teller
from exetera_zarr.io.of_fields import beside, without_validity
from exetera_zarr.io.options import (
    ROWS_PER_WRITE,
    Choice,
    Files,
    IfExists,
    ImportKeywords,
    ImportOptions,
    ImportSummary,
    PathLike,
    Progress,
    ProgressCallback,
    Renamed,
    SourceKeywords,
    TableSummary,
    Timestamp,
)
from exetera_zarr.io.plan import TablePlan, callers_level, plan_tables
from exetera_zarr.io.tables import import_table
from exetera_zarr.io.typed_files import TypedPlan, csv_of, import_typed
from exetera_zarr.io.unasked import (
    import_proposed,
    keep_habits,
    proposed_for,
    schema_for,
    without_schema,
)
from exetera_zarr.settings import settings_of
from exetera_zarr.tables.rows.appending import append
from exetera_zarr.tables.rows.creating import replacing
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from typing import Unpack

    from exetera_zarr.io.schema.definitions import Schema
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
    schema: Any = None,
    *,
    columns: Collection[str] | None = None,
    include: Collection[str] | None = None,
    exclude: Collection[str] | None = None,
    **options: Unpack[ImportKeywords],
) -> DataFrame:
    r"""
    Import CSV files as a table.

    Parameters
    ----------
    dataset
        Where to; it is not committed here.
    table
        Name of the table.
    csv
        Path or URL of the file, or several of them, of which the rows follow each other: with a
        header, and UTF-8, commas and ``"`` as quote unless options or the schema say otherwise. A
        name that ends in ``.gz``, ``.bz2``, ``.xz`` or ``.zst``
        is decompressed, and one with ``*``, ``?`` or ``[]`` stands for all files that it fits, in
        the order of their names.
    schema
        ``{column: definition}``, or a schema (its path, URL, open file, JSON as text or as Python
        has it, a `Proposal`, or what `load_schema` gives), of which the table of this name counts,
        or else its only one. Without it one is proposed from the files, which is told on stderr, as
        are its notes; columns that go to a table that is there are read as what its fields hold.
    columns, include
        Columns to import, by their names in the file; two names of one option.
    exclude
        Columns not to import.
    options
        How the files are written (``sep``, ``encoding``, ``decimal``, ``thousands``,
        ``date_format``, ``dayfirst``, ``na_values``, ``quotechar``, ``comment``, ``skiprows``),
        ``rename={name in the file: name of the field}``, ``mode="error"``, ``"replace"`` or
        ``"append"``, and more: see `ImportOptions`. The dataset is open already, so
        `storage_options` and `source_options` are both for the source files (CSV, schema and
        rejects).

    Returns
    -------
    DataFrame
        The table. A new one also has the fields ``j_valid_from`` and ``j_valid_to``, if a schema or
        a `timestamp` is given, or ``validity=True``.

    Raises
    ------
    CsvError
        A record or cell that does not fit; nothing is imported.
    SchemaError
        The schema is wrong, or does not fit the header.
    NameTakenError
        The dataset has a table of that name, and `mode` is ``"error"``.

    Warns
    -----
    UserWarning
        Rows were left out, or the file has columns that the schema does not know.

    Examples
    --------
    >>> import os, tempfile
    >>> from exetera_zarr import Session, import_csv
    >>> with Session() as s, tempfile.TemporaryDirectory() as folder:
    ...     file = os.path.join(folder, "patients.csv")
    ...     with open(file, "w") as out:
    ...         _ = out.write("Name;Gewicht;Geburt\nJan;81,5;31.12.1980\nUte;;1.2.1975\n")
    ...     ds = s.open_dataset("memory://import_csv.zarr", "w", "study")
    ...     patients = import_csv(ds, "patients", file, rename={"Gewicht": "weight"})
    ...     patients["weight"].mean(), patients["weight"].isna().data[:].tolist()
    (81.5, [False, True])
    """
    if any(isinstance(choice, str) for choice in (columns, include, exclude)):
        raise ArgumentTypeError(
            "columns, include and exclude are lists of column names, not one text"
        )
    if columns is not None and include is not None:
        raise ArgumentError("columns= and include= are one option: give one of them")
    include = include if columns is None else columns
    settings = ImportOptions(
        include=None if include is None else {table: include},
        exclude=None if exclude is None else {table: exclude},
        **options,
    )
    if schema is None:
        summary = import_proposed(dataset, {table: csv}, settings, _import_into)
    else:
        tell = teller(dataset.settings)
        definitions = {table: definitions_of(schema, table, settings.for_sources, tell)}
        told = told_of(schema, settings.for_sources)
        summary = _import_into(dataset, definitions, {table: csv}, settings, paths_of(schema), told)
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
    *,
    mode: IfExists = "error",
    rename: Renamed | None = None,
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
        Path, URL or open file of the JSON schema, or another form of it that `import_csv` takes.
        None for one that is proposed.
    files
        ``{table: path or URL, or a list of them}``; see `import_csv`.
    overwrite
        Whether the dataset is replaced; otherwise tables are added to it.
    include, exclude, timestamp, chunk_row_size, mode, rename, options
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
        mode=mode,
        rename=rename,
        **options,
    )
    tell = teller(settings_of(session))
    if schema_file is None:
        settings = without_schema(settings)
    without_types = csv_of(files, settings) if schema_file is None else {}
    proposal = proposed_for(without_types, settings) if without_types else None
    schema = (
        {}
        if proposal is None and schema_file is None
        else read_schema(proposal or schema_file, settings.for_sources, tell)
    )
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
            if proposal is not None and mode == "append":
                schema = schema_for(dataset, proposal, settings)
                plans = plan_tables(stack, schema, files, settings, (), tell)
            told = told_of(schema_file, settings.for_sources)
            there = set(dataset)
            summary = _import_plans(dataset, plans, settings, told)
            if proposal is not None:
                keep_habits(dataset, proposal, settings, there)
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
    schema: Any,
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
        ``{table: {column: definition}}``, or another form of schema that `import_csv` takes; None
        for one that is proposed.
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
    if schema is None:
        return import_proposed(dataset, files, settings, _import_into)
    known = read_schema(schema, settings.for_sources, teller(dataset.settings))
    return _import_into(dataset, known, files, settings)


def _import_into(
    dataset: Dataset,
    schema: Schema,
    files: Files,
    options: ImportOptions,
    kept: Collection[str] = (),
    told: Mapping[str, Any] | None = None,
) -> ImportSummary:
    with ExitStack() as stack:
        plans = plan_tables(stack, schema, files, options, kept, teller(dataset.settings))
        summary = _import_plans(dataset, plans, options, told)
        _save_rejects(plans, options)
    return summary


def _save_rejects(plans: Sequence[TablePlan | TypedPlan], options: ImportOptions) -> None:
    if options.commit_each_table:
        return  # each with its table
    for plan in plans:
        plan.save_rejects()


def _import_plans(
    dataset: Dataset,
    plans: Sequence[TablePlan | TypedPlan],
    options: ImportOptions,
    schema: Mapping[str, Any] | None = None,
) -> ImportSummary:
    if options.mode == "error" and (
        taken := [plan.table for plan in plans if plan.table in dataset]
    ):
        raise NameTakenError(
            f"{dataset.name} already has table {listing(taken)}; an import makes new tables, "
            "unless mode='replace' or mode='append' says otherwise"
        )
    since = options.valid_from
    done: dict[str, TableSummary] = {}
    with nullcontext() if options.commit_each_table else dataset.transaction():
        for plan in plans:
            with dataset.transaction():
                done[plan.table] = _import_plan(dataset, plan, since, options, schema)
            if options.commit_each_table:
                dataset.commit()
                plan.save_rejects()
    return ImportSummary(done)


def _import_plan(
    dataset: Dataset,
    plan: TablePlan | TypedPlan,
    since: float,
    options: ImportOptions,
    schema: Mapping[str, Any] | None,
) -> TableSummary:
    verb = "import"
    if options.mode == "append" and plan.table in dataset:
        table, verb = dataset.get_dataframe(plan.table), "append"
        summary = (
            import_typed(table, plan, since, options)
            if isinstance(plan, TypedPlan)
            else _append_plan(table, plan, since, options)
        )
    else:
        with replacing(dataset, plan.table) as table:
            summary = (
                import_typed(table, plan, since, options)
                if isinstance(plan, TypedPlan)
                else import_table(table, plan, since, options)
            )
    table.note(
        verb,
        files=[dict(file) for file in summary.files],
        rows=summary.rows,
        rejected=summary.rejected,
        **({"schema": dict(schema)} if schema else {}),
    )
    return summary


def _append_plan(
    table: DataFrame, plan: TablePlan, since: float, options: ImportOptions
) -> TableSummary:
    """Import CSV files beside a table, and append the rows to it."""
    with beside(table) as scratch:
        rows = scratch.create_dataframe(plan.table)
        # Those that the table has are wanted, and the others are taken away again.
        summary = import_table(rows, plan, since, replace(options, validity=True))
        without_validity(rows, table)
        append(table, rows)
    return summary
