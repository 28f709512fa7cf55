"""A CSV file, and which of its columns become which fields."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exetera_zarr.errors import DataError, SchemaError, listing
from exetera_zarr.io.csv.dialect import called
from exetera_zarr.io.csv.files import InputFile
from exetera_zarr.io.csv.rejects import REJECT_COLUMNS, TEXT_COLUMN
from exetera_zarr.io.csv.text import CsvText
from exetera_zarr.io.schema.definitions import Blank, Column, Definition, String
from exetera_zarr.io.schema.formats import PLAIN
from exetera_zarr.io.schema.load import RESERVED_NAMES
from exetera_zarr.storage.names import check

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from exetera_zarr.io.leniency import Teller
    from exetera_zarr.io.options import ImportOptions
    from exetera_zarr.io.schema.formats import CsvFormat, Dialect

__all__ = ["CsvInput", "Source", "definition_of", "own_columns", "sources_of"]

UNSPLIT = Blank("is the text of a row that has to be split into its cells first")
OTHER_SEPARATOR = re.compile(r"[;\t|]")


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
    field
        What its field is called, if not by the same name.
    """

    position: int
    name: str
    definition: Definition | Blank
    field: str | None = None

    @property
    def columns(self) -> tuple[Column, ...]:
        """The fields that it becomes."""
        return self.definition.columns(self.field or self.name)


class CsvInput:
    """
    A CSV file of which the header is known and the rest is still to be read.

    Parameters
    ----------
    path
        Path or URL.
    options
        How it is read.
    dialect
        How it is written.
    """

    def __init__(self, path: str, options: ImportOptions, dialect: Dialect = PLAIN) -> None:
        self._path = path
        self._options = options
        self._dialect = dialect
        file, text = self._open()
        self.name: str = file.name
        self.size: int | None = file.size
        self.header: list[str] = text.names
        self.names: list[str] = called(text.names)
        self.dialect: Dialect = text.dialect
        self._opened = None if file.seekable else (file, text)
        if self._opened is None:
            # There may be thousands of them.
            file.close()

    def _open(self) -> tuple[InputFile, CsvText]:
        file = InputFile(self._path, self._options.for_sources)
        try:
            return file, CsvText(file, self._options.block_bytes, self._dialect)
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
        if text.names != self.header:
            file.close()
            raise DataError(f"{self.name} was changed while it was imported")
        return file, text

    def close(self) -> None:
        """Close it, if it is one that could not be opened again."""
        if self._opened:
            self._opened[0].close()


def _is_rejects(file: CsvInput) -> bool:
    """Whether it is, perhaps corrected, what an earlier import rejected."""
    return all(name in file.names for name in REJECT_COLUMNS)


def own_columns(file: CsvInput) -> list[str]:
    """The columns of a file but those that say why it was rejected."""
    hidden = REJECT_COLUMNS if _is_rejects(file) else ()
    return [name for name in file.names if name not in hidden]


def sources_of(
    file: CsvInput,
    table: str,
    definitions: Mapping[str, Definition],
    form: CsvFormat,
    options: ImportOptions,
    tell: Teller | None,
) -> tuple[Source, ...]:
    """Choose the columns of a file to import, in its order."""
    include = (options.include or {}).get(table, form.columns)
    exclude = (options.exclude or {}).get(table, ())
    renamed = form.rename or {}
    form.check_columns(file.names, file.name)
    chosen = _choose(file, include, exclude)
    _check_made_up(file, chosen, {*definitions, *(include or ()), *exclude, *renamed})
    if options.missing == "error":
        _check_missing(file, definitions, renamed, include, exclude, tell)
    places = {name: place for place, name in enumerate(file.names)}
    sources = [
        Source(
            places[name],
            name,
            form.applied(name, definition_of(name, definitions, renamed) or String()),
            renamed.get(name),
        )
        for name in chosen
    ]
    if _is_rejects(file):
        # The first, for the reason that a row is refused for.
        sources.insert(0, Source(file.names.index(TEXT_COLUMN), TEXT_COLUMN, UNSPLIT))
    _check_fields(file.name, sources)
    return tuple(sources)


def definition_of(
    name: str, definitions: Mapping[str, Definition], renamed: Mapping[str, str]
) -> Definition | None:
    """The definition of a column, which goes by its name in the file, or by that of its field."""
    return definitions.get(name) or definitions.get(renamed.get(name, name))


def _check_made_up(file: CsvInput, chosen: Sequence[str], mentioned: Collection[str]) -> None:
    """Refuse a header whose names tell no columns apart, unless somebody knows what they become."""
    made = [
        (place, name, written)
        for place, (name, written) in enumerate(zip(file.names, file.header, strict=True), 1)
        if name != written and name not in mentioned
    ]
    if repeats := dict.fromkeys(written for _, _, written in made if written):
        known_as = [name for _, name, written in made if written]
        raise SchemaError(
            f"{file.name}: the header has {listing(repeats)} more than once; in schema, rename and "
            f"columns the others are {listing(known_as)}"
        )
    for place, name, _ in made:
        if name in chosen:
            raise SchemaError(
                f"{file.name}: column {place} of {len(file.names)} has no name in the header; in "
                f"schema, rename and columns it is {name!r}"
            )


def _choose(file: CsvInput, include: Collection[str] | None, exclude: Collection[str]) -> list[str]:
    """Return the names of the columns to import, in the order of the file."""
    names = own_columns(file)
    there = {*names, *file.header}  # one without a name goes by none as well
    for choice in (include, exclude):
        if unknown := [name for name in choice or () if name not in there]:
            raise SchemaError(
                f"{file.name} has no column {listing(unknown)} to include or exclude; it has "
                f"{listing(names)}"
            )
    nameless = {made for made, written in zip(file.names, file.header, strict=True) if not written}
    included = there if include is None else set(include) | (nameless if "" in include else set())
    left_out = set(exclude) | (nameless if "" in exclude else set())
    return [name for name in names if name in included and name not in left_out]


def _check_missing(
    file: CsvInput,
    definitions: Mapping[str, Definition],
    renamed: Mapping[str, str],
    include: Collection[str] | None,
    exclude: Collection[str],
    tell: Teller | None,
) -> None:
    wanted = definitions if include is None else include
    known = {*file.names, *exclude, *renamed.values()}
    if absent := [name for name in wanted if name not in known]:
        if tell is not None:
            tell(f"left out {listing(absent)} of the schema, which the file lacks", file.name)
            return
        raise SchemaError(
            f"{file.name} lacks {listing(absent)}, which the schema asks for; its header has "
            f"{listing(file.names)} (missing='skip' leaves such columns out){other_mark(file)}"
        )


def other_mark(file: CsvInput) -> str:
    """What is said of a header of one name, if its cells seem to be separated by another mark."""
    if len(file.header) > 1 or not (found := OTHER_SEPARATOR.search(file.header[0])):
        return ""
    return f"; perhaps its cells are separated by {found[0]!r}: write sep={found[0]!r}"


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
