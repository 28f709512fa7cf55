"""What an import can be told, and what it tells."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias, TypedDict, get_args

from exetera_zarr.errors import ArgumentError
from exetera_zarr.io.csv.text import BLOCK_BYTES
from exetera_zarr.io.schema.formats import CsvFormat
from exetera_zarr.moments import moment
from exetera_zarr.texts import visible

__all__ = [
    "Choice",
    "Files",
    "FormatKeywords",
    "IfExists",
    "ImportKeywords",
    "ImportOptions",
    "ImportSummary",
    "PathLike",
    "Progress",
    "ProgressCallback",
    "Renamed",
    "SourceKeywords",
    "TableSummary",
    "Timestamp",
    "moment",
]

PathLike: TypeAlias = str | os.PathLike[str]
Files: TypeAlias = Mapping[str, PathLike | Sequence[PathLike]]
Choice: TypeAlias = Mapping[str, Collection[str]]
Missing: TypeAlias = Literal["error", "skip"]
IfExists: TypeAlias = Literal["error", "replace", "append"]
NaValues: TypeAlias = str | Sequence[str] | Mapping[str, str | Sequence[str]]
Renamed: TypeAlias = Mapping[str, str] | Mapping[str, Mapping[str, str]]
OnError: TypeAlias = Literal["raise", "skip"]
Timestamp: TypeAlias = str | float | datetime | None
ProgressCallback: TypeAlias = "Callable[[Progress], None]"

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
        Bytes of its files that are read, compressed ones as they are stored.
    bytes_total
        Bytes that there are, if known.
    rejected
        Rows of it that were left out so far.
    """

    table: str
    rows: int
    bytes_read: int
    bytes_total: int | None
    rejected: int = 0


@dataclass(frozen=True)
class TableSummary:
    """
    What became of the files of one table.

    Parameters
    ----------
    rows
        Rows of the new table.
    rejected
        Rows that were left out, which only ``on_error="skip"`` does.
    seconds
        How long it took, without the commit.
    bytes
        Bytes that were read, compressed ones as they are stored.
    rejects
        Path or URL of the file with the rows that were left out; none if there is no such file.
    files
        What was read: of each file ``name``, ``bytes`` and, as far as it was read to its end,
        ``sha256``.
    """

    rows: int
    rejected: int
    seconds: float
    bytes: int
    rejects: str | None = None
    files: tuple[Mapping[str, Any], ...] = ()


class ImportSummary(Mapping[str, TableSummary]):
    """
    What an import did: `TableSummary` by table, in the order of the import.

    Parameters
    ----------
    tables
        ``{table: summary}``.
    """

    def __init__(self, tables: Mapping[str, TableSummary]) -> None:
        self._tables = dict(tables)

    def __getitem__(self, table: str) -> TableSummary:
        return self._tables[table]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def __repr__(self) -> str:
        parts = (
            f"{table}: {found.rows:,} rows"
            + (f", {found.rejected:,} rejected" if found.rejected else "")
            for table, found in self.items()
        )
        return visible(f"<ImportSummary {'; '.join(parts)}>")

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(found.rows for found in self.values())

    @property
    def rejected(self) -> int:
        """Rows of all tables that were left out."""
        return sum(found.rejected for found in self.values())


class FormatKeywords(TypedDict, total=False):
    """How CSV files are written; `CsvFormat` says what these do."""

    sep: str | None
    encoding: str | None
    quotechar: str | None
    comment: str | None
    skiprows: int | None
    decimal: str | None
    thousands: str | None
    date_format: str | Mapping[str, str] | None
    dayfirst: bool | None
    na_values: NaValues | None


class SourceKeywords(FormatKeywords, total=False):
    """The keyword arguments that every import function takes; `ImportOptions` says what they do."""

    missing: Missing
    on_error: OnError
    rejects: PathLike | None
    commit_each_table: bool
    storage_options: Mapping[str, Any] | None
    source_options: Mapping[str, Any] | None
    progress: ProgressCallback | None
    block_bytes: int


class ImportKeywords(SourceKeywords, total=False):
    """Those, and some that are positional in ExeTera's own function, or that it has not."""

    mode: IfExists
    rename: Renamed | None
    timestamp: Timestamp
    validity: bool | None
    chunk_row_size: int


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """
    What an import can be told.

    Parameters
    ----------
    include, exclude
        ``{table: columns}``: import only these, or all but these.
    timestamp
        Stored in ``j_valid_from``: text, a datetime or POSIX seconds, UTC unless it says else. Now,
        if not given.
    validity
        Whether new tables have the fields ``j_valid_from`` and ``j_valid_to``, from which a journal
        is made. By default they do where a schema or a `timestamp` is given, as in ExeTera.
    mode
        What to do if there is a table of that name: ``"error"``; ``"replace"`` it, which leaves it
        as it was if the import fails; or ``"append"`` the rows to it, by the names of columns, of
        which each value has to fit its field exactly.
    rename
        ``{name in the file: name of the field}``, or several of these by table. In the schema such
        a column may go by either name.
    sep, encoding, quotechar, comment, skiprows
        How the text of the files is written, where that is not as the schema says: see `CsvFormat`
        and docs/importing.md.
    decimal, thousands, date_format, dayfirst, na_values
        How their cells are written, likewise.
    missing
        ``"error"``, or ``"skip"`` to leave out columns of the schema that no file of the table has.
    on_error
        What a row does that does not fit the schema or is no CSV: ``"raise"`` ends the import,
        ``"skip"`` leaves the row out.
    rejects
        Path or URL of a CSV file for the rows that are left out, with where they were and why. For
        several tables, each has a file of its own: the table's name comes before the suffix. Once
        corrected, such a file can itself be imported by the same schema. Without it the rows are
        only counted.
    commit_each_table
        Commit each table when it is complete, so that an error keeps those before it.
    storage_options
        For the URLs on both sides: the dataset, where the import opens it, and the source files,
        unless `source_options` are given. An import into a dataset that is open already has no
        other use for them than the source files.
    source_options
        For the URLs of the source files alone: the CSV files, the schema, and the file of rejects,
        which lies beside them. The dataset is never opened with these. `storage_options` by
        default.
    progress
        Called after each block with a `Progress`.
    chunk_row_size
        The most rows that are written to a field at once.
    block_bytes
        About how much of a file is read at a time.

    Raises
    ------
    ValueError
        An option has a value that there is not.
    """

    include: Choice | None = None
    exclude: Choice | None = None
    timestamp: Timestamp = None
    validity: bool | None = None
    mode: IfExists = "error"
    rename: Renamed | None = None
    sep: str | None = None
    encoding: str | None = None
    quotechar: str | None = None
    comment: str | None = None
    skiprows: int | None = None
    decimal: str | None = None
    thousands: str | None = None
    date_format: str | Mapping[str, str] | None = None
    dayfirst: bool | None = None
    na_values: NaValues | None = None
    missing: Missing = "error"
    on_error: OnError = "raise"
    rejects: PathLike | None = None
    commit_each_table: bool = False
    # Not shown: there may be secrets in them.
    storage_options: Mapping[str, Any] | None = field(default=None, repr=False)
    source_options: Mapping[str, Any] | None = field(default=None, repr=False)
    progress: ProgressCallback | None = None
    chunk_row_size: int = ROWS_PER_WRITE
    block_bytes: int = BLOCK_BYTES

    def __post_init__(self) -> None:
        for name, allowed in (("missing", Missing), ("on_error", OnError)):
            value = getattr(self, name)
            if value not in get_args(allowed):
                first, second = get_args(allowed)
                raise ArgumentError(f"{name}={value!r} is neither {first!r} nor {second!r}")
        if self.mode not in get_args(IfExists):
            raise ArgumentError(f"mode is 'error', 'replace' or 'append', not {self.mode!r}")
        self.format  # noqa: B018 - making it is the check
        for name in ("chunk_row_size", "block_bytes"):
            if getattr(self, name) < 1:
                raise ArgumentError(f"{name} must be 1 or more, not {getattr(self, name)}")
        if self.rejects is not None and self.on_error != "skip":
            raise ArgumentError("rejects= is where skipped rows go: it needs on_error='skip'")
        self.valid_from  # noqa: B018 - computing it is the check

    @property
    def format(self) -> CsvFormat:
        """How the files are written, as far as it is said here."""
        names = FormatKeywords.__annotations__
        return CsvFormat(**{name: getattr(self, name) for name in names})

    def format_of(self, table: str, schema: Mapping[str, Any]) -> CsvFormat:
        """How the files of a table are written: what is said here comes before the schema."""
        said = getattr(schema, "csv", None)
        found = self.format.over(said) if isinstance(said, CsvFormat) else self.format
        names: Any = self.rename or {}
        if any(isinstance(value, Mapping) for value in names.values()):
            names = names.get(table)
        return replace(found, rename=names) if names else found

    @property
    def skips(self) -> bool:
        """Whether bad rows are left out."""
        return self.on_error == "skip"

    @property
    def for_sources(self) -> Mapping[str, Any] | None:
        """The options for the source files: CSV, schema and rejects."""
        return self.storage_options if self.source_options is None else self.source_options

    @property
    def for_dataset(self) -> Mapping[str, Any] | None:
        """The options for the dataset."""
        return self.storage_options

    @property
    def has_validity(self) -> bool:
        """Whether imported tables have ``j_valid_from`` and ``j_valid_to``."""
        return self.validity is not False

    @property
    def valid_from(self) -> float:
        """`timestamp` in POSIX seconds; another one each time if none was given."""
        return datetime.now(UTC).timestamp() if self.timestamp is None else moment(self.timestamp)
