"""Which columns of which file become which fields: settled from the headers, before any data."""

from __future__ import annotations

import inspect
import os
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, TypeAlias

from exetera_zarr.errors import SchemaError, listing
from exetera_zarr.io.csv_text import BLOCK_BYTES, CsvText
from exetera_zarr.io.definitions import Column, Definition, Schema, String
from exetera_zarr.io.schema import RESERVED_NAMES

if TYPE_CHECKING:
    from contextlib import ExitStack

__all__ = ["Choice", "Missing", "PathLike", "Source", "TablePlan", "open_binary", "plan_tables"]

PathLike: TypeAlias = str | os.PathLike[str]
Choice: TypeAlias = Mapping[str, Collection[str]]
Missing: TypeAlias = Literal["error", "skip"]

PACKAGE = __name__.partition(".")[0]


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
    definition: Definition

    @property
    def columns(self) -> tuple[Column, ...]:
        """The fields that it becomes."""
        return self.definition.columns(self.name)


@dataclass(frozen=True)
class TablePlan:
    """
    What one table is imported from, and as what.

    Parameters
    ----------
    table
        The table's name.
    text
        Its file, open, after the header.
    size
        Bytes of the file, if known.
    sources
        The columns that are imported, in the order of the file.
    """

    table: str
    text: CsvText
    size: int | None
    sources: tuple[Source, ...]


def open_binary(
    path: PathLike, storage_options: Mapping[str, Any] | None = None
) -> tuple[IO[bytes], int | None]:
    """
    Open a local file or a URL.

    Parameters
    ----------
    path
        Where it is.
    storage_options
        Passed to fsspec, for a URL.

    Returns
    -------
    file
        Open for reading.
    size
        Its bytes, if known.
    """
    name = os.fspath(path)
    if "://" not in name:
        local = Path(name)
        return local.open("rb"), local.stat().st_size
    from exetera_zarr.storage import open_file

    file = open_file(name, storage_options)
    return file, getattr(file, "size", None)


def plan_tables(
    stack: ExitStack,
    schema: Schema,
    files: Mapping[str, PathLike],
    *,
    include: Choice | None = None,
    exclude: Choice | None = None,
    missing: Missing = "error",
    storage_options: Mapping[str, Any] | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> list[TablePlan]:
    """
    Open files, read their headers and compare them with the schema.

    Parameters
    ----------
    stack
        Closes the files.
    schema
        ``{table: {column: definition}}``.
    files
        ``{table: path or URL}``.
    include, exclude
        ``{table: columns}``: import only these, or all but these.
    missing
        Whether a column of the schema that a file lacks is an error, or left out.
    storage_options
        Passed to fsspec, for URLs.
    block_bytes
        How much is read at a time.

    Returns
    -------
    list of TablePlan
        In the order of `files`.

    Raises
    ------
    SchemaError
        Schema, files, `include` and `exclude` do not fit together.

    Warns
    -----
    UserWarning
        For each table of which the file has columns that the schema does not know.
    """
    include, exclude = include or {}, exclude or {}
    _check_tables(schema, files, include, exclude)
    if missing not in ("error", "skip"):
        raise ValueError(f"missing={missing!r} is neither 'error' nor 'skip'")
    plans = []
    for table, path in files.items():
        file, size = open_binary(path, storage_options)
        stack.enter_context(file)
        text = CsvText(file, os.fspath(path), block_bytes)
        chosen = _choose(text, include.get(table), exclude.get(table))
        definitions = schema[table]
        if missing == "error":
            _check_missing(text, definitions, include.get(table), exclude.get(table, ()))
        sources = _sources(text, chosen, definitions)
        _check_fields(text.name, sources)
        plans.append(TablePlan(table, text, size, sources))
        _warn_of_unknown(table, text.name, [name for name in chosen if name not in definitions])
    return plans


def _check_tables(
    schema: Schema, files: Mapping[str, PathLike], include: Choice, exclude: Choice
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
        if table not in schema:
            raise SchemaError(f"the schema has no table {table!r}; it has {listing(schema)}")
        for name in RESERVED_NAMES:
            if name in schema[table]:
                raise SchemaError(f"table {table!r} declares the reserved name {name!r}")


def _choose(
    text: CsvText, include: Collection[str] | None, exclude: Collection[str] | None
) -> list[str]:
    """Return the names of the columns to import, in the order of the file."""
    names = text.names
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise SchemaError(f"{text.name}: the header has {listing(twice)} more than once")
    for choice in (include, exclude):
        if unknown := [name for name in choice or () if name not in names]:
            raise SchemaError(
                f"{text.name} has no column {listing(unknown)} to include or exclude; it has "
                f"{listing(names)}"
            )
    chosen = [
        name
        for name in names
        if (include is None or name in include) and name not in (exclude or ())
    ]
    if "" in chosen:
        raise SchemaError(
            f"{text.name}: column {names.index('') + 1} of {len(names)} has no name in the header"
        )
    return chosen


def _check_missing(
    text: CsvText,
    definitions: Mapping[str, Definition],
    include: Collection[str] | None,
    exclude: Collection[str],
) -> None:
    wanted = definitions if include is None else include
    if absent := [name for name in wanted if name not in text.names and name not in exclude]:
        raise SchemaError(
            f"{text.name} lacks {listing(absent)}, which the schema asks for; its header has "
            f"{listing(text.names)} (missing='skip' leaves such columns out)"
        )


def _sources(
    text: CsvText, chosen: Iterable[str], definitions: Mapping[str, Definition]
) -> tuple[Source, ...]:
    return tuple(
        Source(text.names.index(name), name, definitions.get(name, String())) for name in chosen
    )


def _check_fields(file: str, sources: Iterable[Source]) -> None:
    """Find two columns that would become fields of one name: 'a_valid', and the flag of 'a'."""
    makers: dict[str, str] = dict.fromkeys(RESERVED_NAMES, "every table")
    for source in sources:
        for column in source.columns:
            if column.name in makers:
                raise SchemaError(
                    f"{file}: column {source.name!r} makes the field {column.name!r}, which "
                    f"{makers[column.name]} already has"
                )
            makers[column.name] = f"column {source.name!r}"


def _warn_of_unknown(table: str, file: str, unknown: Sequence[str]) -> None:
    if unknown:
        warnings.warn(
            f"{file} has columns that the schema of table {table!r} does not know; they are "
            f"imported as indexed strings: {listing(unknown)}",
            UserWarning,
            stacklevel=_callers_level(),
        )


def _callers_level() -> int:
    """Return the `stacklevel` with which a warning points at the code that called this package."""
    level, frame = 0, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith(f"{PACKAGE}."):
        level, frame = level + 1, frame.f_back
    return level
