"""DuckDB, from Parquet to Parquet with zstd; it keeps an order where the task demands one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from benchmarks.contestants.tasks import csv_columns, make_tasks, questions, wide_names


def connect(memory_limit: Any = None) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    if memory_limit is not None:
        connection.execute(f"SET memory_limit = '{memory_limit}'")
    return connection


def copy(query: str, output: Path, *, ordered: bool = False, **options: Any) -> None:
    with connect(**options) as connection:
        if not ordered:
            connection.execute("SET preserve_insertion_order = false")
        connection.execute(f"COPY ({query}) TO '{output}' (FORMAT parquet, COMPRESSION zstd)")


def join(name: str, inputs: Path, output: Path, **options: Any) -> None:
    left, right = (f"'{inputs}/{name}_{side}.parquet'" for side in ("left", "right"))
    copy(f"FROM {left} LEFT JOIN {right} ON pk = fk", output, **options)


def sort(inputs: Path, output: Path, **options: Any) -> None:
    copy(f"FROM '{inputs}/records.parquet' ORDER BY key, time", output, ordered=True, **options)


def filter_rows(share: float, inputs: Path, output: Path, **options: Any) -> None:
    copy(f"FROM '{inputs}/records.parquet' WHERE uniform < {share}", output, **options)


def group(inputs: Path, output: Path, **options: Any) -> None:
    names = ("count", "score")
    results = [f'max("{name}") AS {name}_max' for name in names]
    # What last() gives depends on the order in which threads come by.
    results += [f'arg_max("{name}", file_row_number) AS {name}_last' for name in names]
    source = f"read_parquet('{inputs}/records.parquet', file_row_number = true)"
    copy(f"SELECT key, {', '.join(results)} FROM {source} GROUP BY key", output, **options)


def aggregate(
    by: list[str], how: str, targets: list[str], inputs: Path, output: Path, **options: Any
) -> None:
    results = ", ".join(f"{how}({target}) AS {target}_{how}" for target in targets)
    keys = ", ".join(by)
    source = f"'{inputs}/groups.parquet'"
    copy(f"SELECT {keys}, {results} FROM {source} GROUP BY {keys}", output, **options)


def read(k: int, inputs: Path, output: Path, **options: Any) -> dict[str, Any]:
    query = f"SELECT {', '.join(wide_names(k))} FROM '{inputs}/wide.parquet'"
    with connect(**options) as connection:
        table = connection.sql(query).to_arrow_table()
    return dict(zip(table.column_names, table.columns, strict=True))


def import_csv(inputs: Path, output: Path, **options: Any) -> None:
    types = ", ".join(
        f"'{name}': '{sql_type(kind, detail)}'" for name, kind, detail in csv_columns(inputs)
    )
    source = f"read_csv('{inputs}/table.csv', header = true, columns = {{{types}}})"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"COPY (FROM {source}) TO '{output}' (FORMAT parquet, COMPRESSION zstd)")


def sql_type(kind: str, detail: Any) -> str:
    match kind:
        case "categorical":
            return f"ENUM({', '.join(chr(39) * 2 + label + chr(39) * 2 for label in detail)})"
        case "numeric":
            return NUMBERS[detail]
        case "datetime":
            return "TIMESTAMP"
        case "zoned":
            return "TIMESTAMPTZ"
        case "date":
            return "DATE"
    return "VARCHAR"


NUMBERS = {
    "int8": "TINYINT",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "float32": "FLOAT",
    "float64": "DOUBLE",
    "bool": "BOOLEAN",
}

TASKS = make_tasks(join, sort, filter_rows, group, read, import_csv) | questions(aggregate)
CANNOT: dict[str, str] = {}
