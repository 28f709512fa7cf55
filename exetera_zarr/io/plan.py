"""Which columns of which file become which fields: decided from the headers, before any data."""

from __future__ import annotations

import inspect
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exetera_zarr.errors import DataError, SchemaError, listing
from exetera_zarr.io.csv.files import InputFile, expand, identity, shown
from exetera_zarr.io.csv.rejects import REJECT_COLUMNS, TEXT_COLUMN, Rejects, place_of
from exetera_zarr.io.csv.text import CsvText
from exetera_zarr.io.schema.definitions import Blank, Column, Definition, Schema, String
from exetera_zarr.io.schema.load import RESERVED_NAMES
from exetera_zarr.storage.names import check
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from contextlib import ExitStack

    from exetera_zarr.io.leniency import Teller
    from exetera_zarr.io.options import Choice, Files, ImportOptions

__all__ = ["CsvInput", "Source", "TablePlan", "callers_level", "plan_tables"]

PACKAGE = __name__.partition(".")[0]
UNSPLIT = Blank("is the text of a row that has to be split into its cells first")


@dataclass(frozen=True)
class Source:
    """
    One CSV column that is imported.

    Parameters
    ----------
    position
        Its number in the file, from 0.
    name
        Its name in the header.
    definition
        What its cells mean.
    """

    position: int
    name: str
    definition: Definition | Blank

    @property
    def columns(self) -> tuple[Column, ...]:
        """The fields that it becomes."""
        return self.definition.columns(self.name)


class CsvInput:
    """
    A CSV file of which the header is known and the rest is still to be read.

    Parameters
    ----------
    path
        Path or URL.
    options
        How it is read.
    """

    def __init__(self, path: str, options: ImportOptions) -> None:
        self._path = path
        self._options = options
        file, text = self._open()
        self.name = file.name
        self.size = file.size
        self.names = text.names
        self._opened = None if file.seekable else (file, text)
        if self._opened is None:
            # There may be thousands of them.
            file.close()

    def _open(self) -> tuple[InputFile, CsvText]:
        file = InputFile(self._path, self._options.for_sources)
        try:
            return file, CsvText(file, self._options.block_bytes)
        except BaseException:
            file.close()
            raise

    def open(self) -> tuple[InputFile, CsvText]:
        """
        Open it, after its header.

        Raises
        ------
        DataError
            Somebody replaced it by a file with another header.
        """
        file, text = self._opened or self._open()
        if text.names != self.names:
            file.close()
            raise DataError(f"{self.name} was changed while it was imported")
        return file, text

    def close(self) -> None:
        """Close it, if it is one that could not be opened again."""
        if self._opened:
            self._opened[0].close()


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
    """

    table: str
    inputs: tuple[tuple[CsvInput, tuple[Source, ...]], ...]
    rejects: Rejects | None

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
) -> list[TablePlan]:
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
    list of TablePlan
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
    _check_tables(schema, files, options.include or {}, options.exclude or {})
    names = {table: expand(paths, options.for_sources) for table, paths in files.items()}
    places = _reject_places(names, kept, options)
    plans = []
    for table in files:
        rejects = None
        inputs: list[CsvInput] = []
        for name in names[table]:
            inputs.append(CsvInput(name, options))
            stack.callback(inputs[-1].close)
        if table in places:
            rejects = _rejects(places[table], inputs, options)
            stack.callback(rejects.close)
        chosen = [_sources(file, table, schema[table], options, tell) for file in inputs]
        plans.append(TablePlan(table, _aligned(inputs, chosen), rejects))
        _warn_of_unknown(table, inputs, chosen, schema[table])
    return plans


def _check_tables(schema: Schema, files: Files, include: Choice, exclude: Choice) -> None:
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
        if table not in schema:
            raise SchemaError(f"the schema has no table {table!r}; it has {listing(schema)}")
        for name in RESERVED_NAMES:
            if name in schema[table]:
                raise SchemaError(f"table {table!r} declares the reserved name {name!r}")


def _reject_places(
    names: Mapping[str, Sequence[str]], kept: Collection[str], options: ImportOptions
) -> dict[str, str]:
    """Say where the rejects of each table go, which is no file that the import reads."""
    if options.rejects is None:
        return {}
    places = {table: place_of(options.rejects, table, len(names)) for table in names}
    read = {identity(name): "is to be imported" for of_table in names.values() for name in of_table}
    read |= {identity(name): "is the schema" for name in kept}
    for place in places.values():
        if what := read.get(identity(place)):
            raise DataError(f"rejects would overwrite {shown(place)}, which {what}")
    return places


def _rejects(place: str, inputs: Iterable[CsvInput], options: ImportOptions) -> Rejects:
    columns = dict.fromkeys(name for file in inputs for name in _own_columns(file))
    if clash := [name for name in columns if name in REJECT_COLUMNS]:
        raise SchemaError(f"column {listing(clash)} has the name of a column of rejects")
    return Rejects(place, tuple(columns), options.for_sources)


def _is_rejects(file: CsvInput) -> bool:
    """Whether it is, perhaps corrected, what an earlier import rejected."""
    return all(name in file.names for name in REJECT_COLUMNS)


def _own_columns(file: CsvInput) -> list[str]:
    hidden = REJECT_COLUMNS if _is_rejects(file) else ()
    return [name for name in file.names if name not in hidden]


def _sources(
    file: CsvInput,
    table: str,
    definitions: Mapping[str, Definition],
    options: ImportOptions,
    tell: Teller | None,
) -> tuple[Source, ...]:
    """Choose the columns of a file to import, in its order."""
    include = (options.include or {}).get(table)
    exclude = (options.exclude or {}).get(table, ())
    chosen = _choose(file, include, exclude)
    if options.missing == "error":
        _check_missing(file, definitions, include, exclude, tell)
    places = {name: place for place, name in enumerate(file.names)}
    sources = [Source(places[name], name, definitions.get(name, String())) for name in chosen]
    if _is_rejects(file):
        # The first, for the reason that a row is refused for.
        sources.insert(0, Source(file.names.index(TEXT_COLUMN), TEXT_COLUMN, UNSPLIT))
    _check_fields(file.name, sources)
    return tuple(sources)


def _choose(file: CsvInput, include: Collection[str] | None, exclude: Collection[str]) -> list[str]:
    """Return the names of the columns to import, in the order of the file."""
    names = _own_columns(file)
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise SchemaError(f"{file.name}: the header has {listing(twice)} more than once")
    there = set(names)
    for choice in (include, exclude):
        if unknown := [name for name in choice or () if name not in there]:
            raise SchemaError(
                f"{file.name} has no column {listing(unknown)} to include or exclude; it has "
                f"{listing(names)}"
            )
    included = there if include is None else set(include)
    left_out = set(exclude)
    chosen = [name for name in names if name in included and name not in left_out]
    if "" in chosen:
        raise SchemaError(
            f"{file.name}: column {file.names.index('') + 1} of {len(file.names)} has no name in "
            "the header"
        )
    return chosen


def _check_missing(
    file: CsvInput,
    definitions: Mapping[str, Definition],
    include: Collection[str] | None,
    exclude: Collection[str],
    tell: Teller | None,
) -> None:
    wanted = definitions if include is None else include
    known = {*file.names, *exclude}
    if absent := [name for name in wanted if name not in known]:
        if tell is not None:
            tell(f"left out {listing(absent)} of the schema, which the file lacks", file.name)
            return
        raise SchemaError(
            f"{file.name} lacks {listing(absent)}, which the schema asks for; its header has "
            f"{listing(file.names)} (missing='skip' leaves such columns out)"
        )


def _check_fields(file: str, sources: Iterable[Source]) -> None:
    """Find names that no field can have, and two columns that would become fields of one name."""
    makers: dict[str, str] = dict.fromkeys(RESERVED_NAMES, "every table")
    for source in sources:
        for column in source.columns:
            try:
                name = check(column.name)
            except DataError as error:
                raise SchemaError(f"{file}, column {source.name!r}: {error}") from None
            if name in makers:
                raise SchemaError(
                    f"{file}: column {source.name!r} makes the field {column.name!r}, which "
                    f"{makers[name]} already has"
                )
            makers[name] = f"column {source.name!r}"


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
) -> None:
    unknown = [
        source.name for source in chosen[0] if source.columns and source.name not in definitions
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
