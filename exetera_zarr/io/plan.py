"""Which columns of which file become which fields: decided from the headers, before any data."""

from __future__ import annotations

import inspect
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exetera_zarr.errors import DataError, SchemaError, listing
from exetera_zarr.io.csv.files import expand, identity, shown
from exetera_zarr.io.csv.rejects import REJECT_COLUMNS, TEXT_COLUMN, Rejects, place_of
from exetera_zarr.io.inputs import CsvInput, Source, definition_of, own_columns, sources_of
from exetera_zarr.io.schema.definitions import Blank, Column, Definition, Schema
from exetera_zarr.io.schema.described import TableSchema
from exetera_zarr.io.schema.load import RESERVED_NAMES
from exetera_zarr.io.typed_files import TypedPlan, is_typed, typed_plan
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from contextlib import ExitStack

    from exetera_zarr.io.leniency import Teller
    from exetera_zarr.io.options import Choice, Files, ImportOptions
    from exetera_zarr.io.schema.formats import CsvFormat

__all__ = ["CsvInput", "Source", "TablePlan", "callers_level", "plan_tables"]

PACKAGE = __name__.partition(".")[0]


@dataclass(frozen=True)
class TablePlan:
    """
    What one table is imported from, and as what.

    Parameters
    ----------
    table
        The table's name.
    inputs
        Its files, each with the columns that are imported, which are the same for all.
    rejects
        Where rows go that do not fit, if they go anywhere.
    described
        What the schema says of the table for people, if it does.
    """

    table: str
    inputs: tuple[tuple[CsvInput, tuple[Source, ...]], ...]
    rejects: Rejects | None
    described: TableSchema | None = None

    @property
    def definitions(self) -> dict[str, Definition]:
        """By field, the definition of the column whose values it has."""
        _, sources = self.inputs[0]
        return {
            source.columns[0].name: source.definition
            for source in sources
            if not isinstance(source.definition, Blank)
        }

    @property
    def columns(self) -> tuple[Column, ...]:
        """The fields that the table gets from its files, in order."""
        _, sources = self.inputs[0]
        return tuple(column for source in sources for column in source.columns)

    @property
    def size(self) -> int | None:
        """Bytes of all files, if known."""
        sizes = [file.size for file, _ in self.inputs]
        return None if None in sizes else sum(size or 0 for size in sizes)

    def save_rejects(self) -> None:
        """Write the file of rejects, if there should be one."""
        if self.rejects is not None:
            self.rejects.save()


def plan_tables(
    stack: ExitStack,
    schema: Schema,
    files: Files,
    options: ImportOptions,
    kept: Collection[str] = (),
    tell: Teller | None = None,
) -> list[TablePlan | TypedPlan]:
    """
    Open files, read their headers and compare them with the schema.

    Parameters
    ----------
    stack
        Closes what stays open.
    schema
        ``{table: {column: definition}}``.
    files
        ``{table: path or URL, or several}``.
    options
        Of the import.
    kept
        Other files that rejects must not overwrite.
    tell
        Tells what is let pass; None where nothing is. See `leniency.teller`.

    Returns
    -------
    list of TablePlan or TypedPlan
        In the order of `files`.

    Raises
    ------
    SchemaError
        Schema, files and options do not fit together.
    DataError
        A file is no CSV file.

    Warns
    -----
    UserWarning
        For each table of which a file has columns that the schema does not know.
    """
    names = {table: expand(paths, options.for_sources) for table, paths in files.items()}
    typed = {table for table, of_table in names.items() if any(map(is_typed, of_table))}
    _check_tables(schema, files, typed, options.include or {}, options.exclude or {})
    places = _reject_places(names, typed, kept, options)
    plans: list[TablePlan | TypedPlan] = []
    for table in files:
        if table in typed:
            plans.append(typed_plan(table, names[table], schema, options))
            continue
        rejects = None
        inputs: list[CsvInput] = []
        form = options.format_of(table, schema[table])
        for name in names[table]:
            inputs.append(CsvInput(name, options, form.dialect))
            stack.callback(inputs[-1].close)
        if table in places:
            rejects = _rejects(places[table], inputs, options)
            stack.callback(rejects.close)
        chosen = [sources_of(file, table, schema[table], form, options, tell) for file in inputs]
        about = schema[table]
        said = about if isinstance(about, TableSchema) else None
        plans.append(TablePlan(table, _aligned(inputs, chosen), rejects, said))
        _warn_of_unknown(table, inputs, chosen, schema[table], form)
    return plans


def _check_tables(
    schema: Schema, files: Files, typed: Collection[str], include: Choice, exclude: Choice
) -> None:
    if not files:
        raise SchemaError("no files to import")
    for option, choice in (("-n/--include", include), ("-x/--exclude", exclude)):
        if extra := set(choice) - set(files):
            which = option.rpartition("--")[2]
            raise SchemaError(
                f"{option}: the following {which} table(s) are not part of any input files: {extra}"
            )
    if both := [table for table in include if table in exclude]:
        raise SchemaError(f"table {listing(both)} is in both include and exclude")
    for table in files:
        if table in typed:
            continue
        if table not in schema:
            raise SchemaError(f"the schema has no table {table!r}; it has {listing(schema)}")
        for name in RESERVED_NAMES:
            if name in schema[table]:
                raise SchemaError(f"table {table!r} declares the reserved name {name!r}")


def _reject_places(
    names: Mapping[str, Sequence[str]],
    typed: Collection[str],
    kept: Collection[str],
    options: ImportOptions,
) -> dict[str, str]:
    """Say where the rejects of each table go, which is no file that the import reads."""
    if options.rejects is None:
        return {}
    places = {
        table: place_of(options.rejects, table, len(names)) for table in names if table not in typed
    }
    read = {identity(name): "is to be imported" for of_table in names.values() for name in of_table}
    read |= {identity(name): "is the schema" for name in kept}
    for place in places.values():
        if what := read.get(identity(place)):
            raise DataError(f"rejects would overwrite {shown(place)}, which {what}")
    return places


def _rejects(place: str, inputs: Sequence[CsvInput], options: ImportOptions) -> Rejects:
    columns = dict.fromkeys(name for file in inputs for name in own_columns(file))
    if clash := [name for name in columns if name in REJECT_COLUMNS]:
        raise SchemaError(f"column {listing(clash)} has the name of a column of rejects")
    return Rejects(place, tuple(columns), options.for_sources, next(iter(inputs)).dialect)


def _aligned(
    inputs: Sequence[CsvInput], chosen: Sequence[tuple[Source, ...]]
) -> tuple[tuple[CsvInput, tuple[Source, ...]], ...]:
    """Bring the columns of all files into the order of the first one."""
    order = {TEXT_COLUMN: -1} | {source.name: place for place, source in enumerate(chosen[0])}
    for file, sources in zip(inputs[1:], chosen[1:], strict=True):
        names = {source.name for source in sources} | {TEXT_COLUMN}
        for one, other, lacking in (
            (file, inputs[0], order.keys() - names),
            (inputs[0], file, names - order.keys()),
        ):
            if lacking:
                raise SchemaError(
                    f"{one.name} lacks {listing(sorted(lacking))}, which {other.name} has; files "
                    "of one table have the same columns"
                )
    return tuple(
        (file, tuple(sorted(sources, key=lambda source: order[source.name])))
        for file, sources in zip(inputs, chosen, strict=True)
    )


def _warn_of_unknown(
    table: str,
    inputs: Sequence[CsvInput],
    chosen: Sequence[tuple[Source, ...]],
    definitions: Mapping[str, Definition],
    form: CsvFormat,
) -> None:
    unknown = [
        source.name
        for source in chosen[0]
        if source.columns and definition_of(source.name, definitions, form.rename or {}) is None
    ]
    if unknown:
        warnings.warn(
            visible(
                f"{inputs[0].name} has columns that the schema of table {table!r} does not know; "
                f"they are imported as indexed strings: {listing(unknown)}"
            ),
            UserWarning,
            stacklevel=callers_level(),
        )


def callers_level() -> int:
    """Return the `stacklevel` with which a warning points at the code that called this package."""
    level, frame = 0, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith(f"{PACKAGE}."):
        level, frame = level + 1, frame.f_back
    return level
