"""A query in SQL, and what comes out of it, as often as that is asked for."""

from __future__ import annotations

import re
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

from exetera_zarr.engine.duckdb.connection import asking
from exetera_zarr.errors import ArgumentError, ArgumentTypeError, listing, needing
from exetera_zarr.fields.sources import workspace
from exetera_zarr.io.sql.scanner import ScannedTable
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    import duckdb
    import pandas as pd
    import polars as pl

    from exetera_zarr.settings import Settings
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.dataset import Dataset
    from exetera_zarr.tables.rows.creating import IfExists

__all__ = ["Query"]

_BATCH = 1 << 17
_SHOWN = 10
_DATABASES = (b"memory", b"system", b"temp", b"information_schema", b"pg_catalog")
"""Names that no dataset can have in SQL."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_Name: TypeAlias = tuple[str, ...]


class Query:
    """
    The result of a query, which is reckoned anew each time that it is read.

    Parameters
    ----------
    text
        The query.
    tables
        The tables that it may name: in a dataset by their names, or by dataset and table.
    settings
        Of the session.

    Raises
    ------
    ArgumentError
        DuckDB does not understand the query, or it is none that only reads; the message is
        DuckDB's.
    """

    def __init__(self, text: str, tables: Mapping[_Name, DataFrame], settings: Settings) -> None:
        if not isinstance(text, str):
            raise ArgumentTypeError(f"a query is a str, not a {type(text).__name__}")
        if found := _SURROGATE.search(text):
            raise ArgumentError(
                f"the query has half a surrogate pair, {found[0]!r}, at position {found.start()}, "
                "which is no text: leave it out"
            )
        self._text, self._tables, self._settings = text, dict(tables), settings
        with self._relation(limit=0) as relation:
            found = relation.to_arrow_table()
            self.schema: pa.Schema = found.rename_columns(_apart(found.column_names)).schema
        """The types of the columns."""

    def __repr__(self) -> str:
        columns = ", ".join(f"{field.name}: {field.type}" for field in self.schema)
        return f"<Query: {visible(columns)}>"

    def _repr_html_(self) -> str:
        _, columns = self.first(_SHOWN + 1)
        rows = list(zip(*columns.values(), strict=True))
        head = "".join(f"<th>{escape(visible(name))}</th>" for name in columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row) + "</tr>"
            for row in rows[:_SHOWN]
        )
        more = "<div>and more rows</div>" if len(rows) > _SHOWN else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"

    def first(self, rows: int) -> tuple[dict[str, str], dict[str, list[Any]]]:
        """The types of the columns, and their first values as Python has them, by name."""
        with self._relation(limit=rows) as relation:
            found = relation.to_arrow_table().rename_columns(self.schema.names)
        types = {field.name: str(field.type) for field in self.schema}
        return types, {name: found[name].to_pylist() for name in types}

    # -- as others have it

    def to_arrow(self) -> pa.Table:
        """The result as a table of Arrow, in memory."""
        return self.reader().read_all()

    def reader(self) -> pa.RecordBatchReader:
        """The result as a stream; the query runs while it is read, and ends with it."""
        return pa.RecordBatchReader.from_batches(self.schema, self._batches())

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The result for any library that takes Arrow's streams."""
        return self.reader().__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        """The types of the columns, for such a library."""
        return self.schema.__arrow_c_schema__()

    def to_pandas(self, **options: Any) -> pd.DataFrame:
        """The result as a pandas DataFrame, in memory; options as of ``pa.Table.to_pandas``."""
        with needing("to_pandas", "exetera-zarr[pandas]"):
            found: pd.DataFrame = self.to_arrow().to_pandas(**options)
        return found

    def to_polars(self) -> pl.DataFrame:
        """The result as a Polars DataFrame, in memory."""
        with needing("to_polars", "polars"):
            import polars as pl

        return pl.DataFrame(self.reader())

    def write(self, dataset: Dataset, name: str, mode: IfExists = "error") -> DataFrame:
        """
        Make a table of the result, block by block.

        Parameters
        ----------
        dataset
            Where to.
        name, mode
            As of `Dataset.from_arrow`.

        Returns
        -------
        DataFrame
            The table.
        """
        made: DataFrame = dataset.from_arrow(name, self.reader(), mode)
        return made

    # -- how it is reckoned

    def _batches(self) -> Generator[pa.RecordBatch]:
        with self._relation() as relation:
            for batch in relation.to_arrow_reader(_BATCH):
                yield batch.rename_columns(self.schema.names)

    @contextmanager
    def _relation(self, limit: int | None = None) -> Iterator[duckdb.DuckDBPyRelation]:
        """The result within a connection of its own, which is closed in the end."""
        import duckdb

        errors: list[Exception] = []
        refused: dict[_Name, str] = {}
        with workspace(self._settings) as work, asking(work) as connection:
            try:
                refused = self._register(connection, errors)
                statements = connection.extract_statements(_without_end(self._text))
                if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                    raise ArgumentError(
                        "a query is one SELECT statement, which reads: change tables by their own "
                        "methods, or by write() of a query"
                    )
                relation = connection.sql(statements[0].query)
                if relation is None:
                    raise ArgumentError("the query gives no rows: write one SELECT statement")
                yield relation if limit is None else relation.limit(limit)
            except Exception as error:
                if errors:
                    raise errors[0] from error
                if isinstance(error, duckdb.OutOfMemoryException | duckdb.InterruptException):
                    raise  # which means the same in every statement
                if not isinstance(error, duckdb.Error):
                    raise
                why = _refusal(str(error), refused) or f"{error}{self._hint()}"
                raise ArgumentError(f"the query cannot be answered: {why}") from error

    def _hint(self) -> str:
        names = [".".join(_quoted(part) for part in name) for name in self._tables]
        return f"\nThe tables are {listing(names)}." if names else "\nThere are no tables."

    def _register(
        self, connection: duckdb.DuckDBPyConnection, errors: list[Exception]
    ) -> dict[_Name, str]:
        """
        Have the connection know the tables that the query may name, and nothing else.

        Returns
        -------
        dict
            The tables among them that it cannot know, each with the reason, which is an error
            only if the query does name it.
        """
        mentioned = self._text.casefold()
        refused: dict[_Name, str] = {}
        others = _alike(self._tables)
        scans = "scan"
        taken = [_folded(part) for name in self._tables for part in name]
        while any(name.startswith(scans.encode()) for name in taken):
            scans += "_"  # so that no table is taken for what is scanned of another
        for number, (name, frame) in enumerate(self._tables.items()):
            if name[-1].replace('"', '""').casefold() not in mentioned:
                continue
            if why := _why_unknown(name, frame, others.get(name)):
                refused[name] = why
                continue
            scanned, scan = ScannedTable(frame, errors), f"{scans} {number}"
            connection.register(scan, scanned)
            view = ".".join(map(_quoted, name))
            if len(name) > 1:
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {_quoted(name[0])}")
            nothing = _quoted(scanned.nothing)
            connection.execute(
                f"CREATE VIEW {view} AS FROM {_quoted(scan)} SELECT * EXCLUDE ({nothing})"
            )
        return refused


def _apart(names: Sequence[str]) -> list[str]:
    """Names of columns; of several that are one, those that follow the first have a number."""
    found: list[str] = []
    for name in names:
        number, other = 0, name
        while other in found or (number and other in names):
            number += 1
            other = f"{name}_{number}"
        found.append(other)
    return found


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _cell(value: object) -> str:
    return "–" if value is None else escape(visible(value))  # noqa: RUF001 - as tables show it


def _folded(name: str) -> bytes:
    """A name as DuckDB compares it: without upper and lower case, of ASCII alone."""
    return name.encode("utf-8", "surrogateescape").lower()


def _alike(names: Iterable[_Name]) -> dict[_Name, _Name]:
    """Names that are one to SQL, each with another one of that name."""
    found: dict[tuple[bytes, ...], list[_Name]] = {}
    for name in names:
        found.setdefault(tuple(map(_folded, name)), []).append(name)
    return {name: same[name == same[0]] for same in found.values() if same[1:] for name in same}


def _why_unknown(name: _Name, frame: DataFrame, other: _Name | None) -> str:
    """What keeps SQL from telling a table, or its columns, from others; "" where nothing does."""
    shown = ".".join(name)
    if other is not None:
        return (
            f"the tables {shown!r} and {'.'.join(other)!r} differ only in upper and lower case, "
            "which SQL does not tell apart: rename one"
        )
    if len(name) > 1 and _folded(name[0]) in _DATABASES:
        return (
            f"{name[0]!r} is the name of one of DuckDB's own databases, so that SQL cannot name "
            f"the tables of the dataset that is open under it: open it under another name, or ask "
            f"by the sql() of the dataset, whose tables are called {_quoted(name[-1])} and the like"
        )
    for (column,), (same,) in _alike((str(column),) for column in frame).items():
        if {column, same} & set(frame.companions().values()):
            continue
        return (
            f"the columns {column!r} and {same!r} of the table {shown!r} differ only in upper and "
            f"lower case, which SQL does not tell apart: rename one by rename(), or read "
            f"ds[{name[-1]!r}][{column!r}] without SQL"
        )
    return ""


def _refusal(problem: str, refused: Mapping[_Name, str]) -> str | None:
    """Why DuckDB does not know the table that its error is about."""
    told = re.search(r'Table with name "?(.+?)"? does not exist', problem, re.DOTALL)
    if told is None:
        return None
    name = _folded(told[1])
    known = (
        (why, {_folded(table[-1]), _folded(".".join(table))}) for table, why in refused.items()
    )
    return next((why for why, names in known if name in names), None)


def _without_end(text: str) -> str:
    """A query without the semicolon after it, behind which DuckDB takes no comment."""
    import duckdb

    data, end = text.encode("utf-8", "surrogateescape"), None
    for at, kind in reversed(duckdb.tokenize(text)):
        if data[at : at + 1] == b";":
            end = at
        elif kind != duckdb.token_type.comment:
            break
    return data[:end].decode("utf-8", "surrogateescape")
