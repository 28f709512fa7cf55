"""pandas, from Parquet to Parquet with zstd."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.contestants.tasks import csv_columns, make_tasks, questions, wide_names


def write(frame: pd.DataFrame, output: Path) -> None:
    frame.to_parquet(output, compression="zstd", index=False)


def join(name: str, inputs: Path, output: Path, **options: Any) -> None:
    left = pd.read_parquet(inputs / f"{name}_left.parquet")
    right = pd.read_parquet(inputs / f"{name}_right.parquet")
    write(left.merge(right, how="left", left_on="pk", right_on="fk"), output)


def sort(inputs: Path, output: Path, **options: Any) -> None:
    table = pd.read_parquet(inputs / "records.parquet")
    write(table.sort_values(["key", "time"], kind="stable"), output)


def filter_rows(share: float, inputs: Path, output: Path, **options: Any) -> None:
    table = pd.read_parquet(inputs / "records.parquet")
    write(table[table["uniform"] < share], output)


def group(inputs: Path, output: Path, **options: Any) -> None:
    table = pd.read_parquet(inputs / "records.parquet", columns=["key", "count", "score"])
    result = table.groupby("key").agg(
        count_max=("count", "max"),
        score_max=("score", "max"),
        count_last=("count", "last"),
        score_last=("score", "last"),
    )
    write(result.reset_index(), output)


def aggregate(
    by: list[str], how: Any, targets: list[str], inputs: Path, output: Path, **options: Any
) -> None:
    table = pd.read_parquet(inputs / "groups.parquet", columns=[*by, *targets])
    result = table.groupby(by)[targets].agg(how).add_suffix(f"_{how}")
    write(result.reset_index(), output)


def read(k: int, inputs: Path, output: Path, **options: Any) -> dict[str, Any]:
    table = pd.read_parquet(inputs / "wide.parquet", columns=wide_names(k))
    return {name: table[name] for name in wide_names(k)}


def import_csv(inputs: Path, output: Path, **options: Any) -> None:
    """Dates and times are converted after reading, which is faster than while reading."""
    types: dict[str, Any] = {}
    formats: dict[str, str] = {}
    for name, kind, detail in csv_columns(inputs):
        match kind:
            case "categorical":
                types[name] = pd.CategoricalDtype(detail)
            case "numeric":
                types[name] = NULLABLE[detail]
            case "datetime" | "zoned" | "date":
                formats[name] = FORMATS[kind]
            case _:
                types[name] = "string"
    table = pd.read_csv(inputs / "table.csv", dtype=types)
    for name, pattern in formats.items():
        table[name] = pd.to_datetime(table[name], format=pattern)
    write(table, output)


FORMATS = {
    "datetime": "%Y-%m-%d %H:%M:%S",
    "zoned": "%Y-%m-%d %H:%M:%S.%f%z",
    "date": "%Y-%m-%d",
}
NULLABLE = {
    "int8": "Int8",
    "int16": "Int16",
    "int32": "Int32",
    "float32": "Float32",
    "float64": "Float64",
    "bool": "boolean",
}

TASKS = make_tasks(join, sort, filter_rows, group, read, import_csv) | questions(aggregate)
CANNOT: dict[str, str] = {}
