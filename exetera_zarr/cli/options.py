"""Arguments that several commands take, and how their texts are read."""

from __future__ import annotations

import json
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, cast

import typer

from exetera_zarr.cli.reporting import UsageError
from exetera_zarr.errors import DatasetNotFoundError
from exetera_zarr.texts import json_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exetera_zarr.io.options import FormatKeywords
    from exetera_zarr.storage import Mode
    from exetera_zarr.tables.dataset import Dataset
    from exetera_zarr.tables.session import Session

__all__ = [
    "AsJson",
    "Author",
    "Comment",
    "DatasetPlace",
    "DateFormats",
    "DayFirst",
    "Decimal",
    "Encoding",
    "Message",
    "NaValues",
    "Place",
    "Quote",
    "Separator",
    "SkipRows",
    "StorageOptions",
    "Thousands",
    "Version",
    "counted",
    "csv_format",
    "open_place",
    "opened",
    "parse_choice",
    "parse_inputs",
    "parse_keys",
    "parse_rename",
    "parse_storage_options",
    "print_json",
    "session_by",
    "tables_of",
]

# A comma that begins another table, not one inside a path: patients:a,b.csv, tests:s3://x/c.csv
NEXT_INPUT = re.compile(r",\s*(?=[^,:/\\]+:(?!//))")
CHOICE = re.compile(r"\s*([^:(),]+?)\s*:\s*\(([^()]*)\)\s*(?:,|$)")
# Where a place names a table as well: study.zarr/patients
SUFFIX = re.compile(r"\.zarr(/+)(?=[^/])", re.IGNORECASE)

Place: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="DATASET[/TABLE]",
        help="Path or URL of the dataset, and one of its tables; all tables without.",
        show_default=False,
    ),
]
DatasetPlace: TypeAlias = Annotated[
    str, typer.Argument(metavar="DATASET", help="Path or URL of the dataset.", show_default=False)
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Version: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="VERSION",
        help="An older version: its number, a tag, or a date and time; 'history' lists them.",
    ),
]
Message: TypeAlias = Annotated[
    str | None,
    typer.Option("-m", "--message", metavar="TEXT", help="Why; 'history' shows it."),
]
Author: TypeAlias = Annotated[
    str | None,
    typer.Option("--author", metavar="NAME", envvar="EXETERA_ZARR_AUTHOR", help="Who does it."),
]
StorageOptions: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--storage-option",
        metavar="KEY=VALUE",
        envvar="EXETERA_ZARR_STORAGE_OPTION",
        help="For URLs, such as anon=true; may be repeated.",
    ),
]


def session_by(author: str | None, message: str | None = None) -> Session:
    """Open a session of which the versions say who made them, and why."""
    from exetera_zarr.tables.session import Session

    session = Session(author=author, progress=False)  # commands have bars of their own
    session.settings.message = message or ""
    return session


def opened(
    session: Session,
    url: str,
    mode: Mode,
    options: Sequence[str] | None,
    version: str | None = None,
) -> Dataset:
    """Open the dataset that a command is about."""
    return session.open_dataset(
        url, mode, storage_options=parse_storage_options(options), version=version
    )


def open_place(
    session: Session, place: str, options: Sequence[str] | None, version: str | None
) -> tuple[Dataset, str | None]:
    """Open ``DATASET`` or ``DATASET/TABLE``; return the dataset, and the table if it is named."""
    if split := SUFFIX.search(place):
        dataset = opened(session, place[: split.start(1)], "r", options, version)
        return dataset, place[split.end() :].rstrip("/")
    try:
        return opened(session, place, "r", options, version), None
    except DatasetNotFoundError as error:
        url, _, table = place.rstrip("/").rpartition("/")
        if url.strip("/") and not url.endswith(":/"):
            with suppress(DatasetNotFoundError):
                return opened(session, url, "r", options, version), table
        raise error from None


def tables_of(dataset: Dataset, table: str | None) -> list[str]:
    """Return the table that is named, or else all of them."""
    if table is not None:
        return [str(dataset.get_dataframe(table).name)]
    return [name for name, item in dataset.items() if not hasattr(item, "fieldtype")]


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: "1 row", "2,000 rows"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def print_json(found: Any) -> None:
    """Print a value as JSON."""
    sys.stdout.write(f"{json_text(found)}\n")


def parse_inputs(inputs: Sequence[str]) -> dict[str, list[str]]:
    """
    Read ``TABLE:FILE, TABLE:FILE``.

    Parameters
    ----------
    inputs
        As the user wrote them. A file may be a URL, and may have commas and colons in its name. A
        table that occurs again has several files.

    Returns
    -------
    dict
        ``{table: files}``.

    Raises
    ------
    UsageError
        A part is something else.
    """
    files: dict[str, list[str]] = {}
    for part in (part for text in inputs for part in NEXT_INPUT.split(text)):
        table, colon, file = (piece.strip() for piece in part.partition(":"))
        if not (table and colon and file) or file.startswith("//"):
            raise UsageError(f"-i/--inputs: {part.strip()!r} is not TABLE:FILE")
        files.setdefault(table, []).append(file)
    return files


def parse_choice(texts: Sequence[str] | None, option: str) -> dict[str, list[str]]:
    """
    Read ``TABLE:(a,b), TABLE:(c)``.

    Parameters
    ----------
    texts
        As the user wrote them.
    option
        Name of the option, for the error.

    Returns
    -------
    dict
        ``{table: columns}``.

    Raises
    ------
    UsageError
        It is something else, or a table occurs twice.
    """
    chosen: dict[str, list[str]] = {}
    for text in texts or ():
        position = 0
        while position < len(text):
            match = CHOICE.match(text, position)
            if match is None:
                raise UsageError(f"{option}: {text[position:].strip()!r} is not TABLE:(COLUMN,...)")
            table, columns = match.groups()
            if table in chosen:
                raise UsageError(f"{option}: table {table!r} occurs more than once")
            chosen[table] = [name.strip() for name in columns.split(",")] if columns.strip() else []
            position = match.end()
    return chosen


def parse_keys(texts: Sequence[str] | None) -> dict[str | None, list[str]]:
    """
    Read the keys of tables: ``NAME``, ``TABLE:NAME``, or ``TABLE:(a,b), TABLE:(c)``.

    Parameters
    ----------
    texts
        As the user wrote them.

    Returns
    -------
    dict
        ``{table: names}``; those of None are for all other tables.

    Raises
    ------
    UsageError
        It is something else, or a table occurs twice.
    """
    keys: dict[str | None, list[str]] = {}
    for text in texts or ():
        table, colon, name = (part.strip() for part in text.partition(":"))
        found: dict[str | None, list[str]] = {}
        if "(" in text:
            found.update(parse_choice([text], "-k/--key"))
        else:
            found[table if colon else None] = [name if colon else table]
        for of, names in found.items():
            if of in keys:
                what = "all tables" if of is None else f"table {of!r}"
                raise UsageError(f"-k/--key: {what} occurs more than once")
            if not all(names) or not names:
                raise UsageError(f"-k/--key: {text!r} names no field")
            keys[of] = names
    return {None: ["id"], **keys}


def parse_storage_options(
    texts: Sequence[str] | None, option: str = "--storage-option"
) -> dict[str, Any]:
    """
    Read ``KEY=VALUE`` pairs.

    Parameters
    ----------
    texts
        As the user wrote them. A value that is JSON for a flag, a list or an object is that;
        anything else is text, so that a key made of digits stays one.
    option
        Name of the option, for the error.

    Returns
    -------
    dict
        Options for fsspec.

    Raises
    ------
    UsageError
        There is no ``=``. What follows it is not repeated: it may be a secret.
    """
    options: dict[str, Any] = {}
    for number, text in enumerate(texts or (), 1):
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise UsageError(f"{option} number {number} is not KEY=VALUE")
        options[key.strip()] = _json_or_text(value)
    return options


def _json_or_text(value: str) -> Any:
    try:
        found = json.loads(value)
    except ValueError:
        return value
    return found if isinstance(found, bool | list | dict) else value


# -- how CSV files are written

Separator: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--sep", metavar="CHARACTER", help="What separates cells: ';', '\\t', '|'; a comma without."
    ),
]
Encoding: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Of the text, such as cp1252 or utf-16; UTF-8 without."),
]
Quote: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--quotechar",
        metavar="CHARACTER",
        help="What encloses cells; '' if quotes have no meaning. '\"' without.",
    ),
]
Comment: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="Leave out lines that begin with it, such as '#'."),
]
SkipRows: TypeAlias = Annotated[
    int | None,
    typer.Option("--skiprows", min=0, metavar="COUNT", help="Leave out lines before the header."),
]
Decimal: TypeAlias = Annotated[
    str | None, typer.Option(metavar="MARK", help="What stands before decimals: '.' or ','.")
]
Thousands: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="MARK", help="What may stand between groups of three digits."),
]
DateFormats: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--date-format",
        metavar="[COLUMN=]FORMAT",
        help="Of dates, as strptime has it: '%d.%m.%Y'. Of one column with its name; may be "
        "repeated then.",
    ),
]
DayFirst: TypeAlias = Annotated[
    bool | None,
    typer.Option("--day-first/--month-first", help="Dates are such as 31/12/2024, or 12/31/2024."),
]
NaValues: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--na-value", metavar="TEXT", help="Read as an empty cell; may be repeated."),
]


def csv_format(
    *,
    date_formats: Sequence[str] | None = None,
    na_values: Sequence[str] | None = None,
    **said: Any,
) -> FormatKeywords:
    """
    What the options say, as imports take it.

    Parameters
    ----------
    date_formats, na_values
        As the user wrote them.
    said
        The others, by the names that imports have for them; None for what is not said.

    Raises
    ------
    UsageError
        There are formats for all columns twice, or for one of them.
    """
    found = {name: value for name, value in said.items() if value is not None}
    if na_values:
        found["na_values"] = list(na_values)
    formats: dict[str, str] = {}
    for text in date_formats or ():
        column, _, form = text.rpartition("=")
        if column in formats or (formats and "" in {column, *formats}):
            raise UsageError(f"--date-format: {text!r} is one more format for the same columns")
        formats[column] = form
    if formats:
        found["date_format"] = formats.get("", formats)
    return cast("FormatKeywords", found)


def parse_rename(texts: Sequence[str] | None) -> dict[str, dict[str, str]] | None:
    """
    Read ``TABLE:(OLD=NEW,...), TABLE:(OLD=NEW)``.

    Raises
    ------
    UsageError
        It is something else.
    """
    found: dict[str, dict[str, str]] = {}
    for table, pairs in parse_choice(texts, "--rename").items():
        found[table] = {}
        for pair in pairs:
            old, equals, new = (part.strip() for part in pair.partition("="))
            if not (old and equals and new):
                raise UsageError(f"--rename: {pair!r} is not OLD=NEW")
            found[table][old] = new
    return found or None
