"""Polars: lazy, streaming from Parquet to Parquet with zstd."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.contestants.tasks import csv_columns, make_tasks, questions, wide_names


def write(frame: pl.LazyFrame, output: Path) -> None:
    frame.sink_parquet(output, compression="zstd")


def join(name: str, inputs: Path, output: Path, **options: Any) -> None:
    left = pl.scan_parquet(inputs / f"{name}_left.parquet")
    right = pl.scan_parquet(inputs / f"{name}_right.parquet")
    if name == "sorted":
        left, right = left.set_sorted("pk"), right.set_sorted("fk")
    write(left.join(right, how="left", left_on="pk", right_on="fk", coalesce=False), output)


def sort(inputs: Path, output: Path, **options: Any) -> None:
    write(pl.scan_parquet(inputs / "records.parquet").sort("key", "time"), output)


def filter_rows(share: float, inputs: Path, output: Path, **options: Any) -> None:
    table = pl.scan_parquet(inputs / "records.parquet")
    write(table.filter(pl.col("uniform") < share), output)


def group(inputs: Path, output: Path, **options: Any) -> None:
    columns = pl.col("count", "score")
    table = pl.scan_parquet(inputs / "records.parquet").group_by("key")
    write(table.agg(columns.max().name.suffix("_max"), columns.last().name.suffix("_last")), output)


def aggregate(
    by: list[str], how: str, targets: list[str], inputs: Path, output: Path, **options: Any
) -> None:
    result = getattr(pl.col(targets), how)().name.suffix(f"_{how}")
    write(pl.scan_parquet(inputs / "groups.parquet").group_by(by).agg(result), output)


def read(k: int, inputs: Path, output: Path, **options: Any) -> dict[str, Any]:
    return pl.read_parquet(inputs / "wide.parquet", columns=wide_names(k)).to_dict()


def import_csv(inputs: Path, output: Path, **options: Any) -> None:
    types: dict[str, Any] = {}
    zoned: list[str] = []
    for name, kind, detail in csv_columns(inputs):
        match kind:
            case "categorical":
                types[name] = pl.Enum(detail)
            case "numeric":
                types[name] = NUMBERS[detail]
            case "datetime":
                types[name] = pl.Datetime("us")
            case "date":
                types[name] = pl.Date
            case _:
                types[name] = pl.String
                zoned += [name] if kind == "zoned" else []
    pattern = "%Y-%m-%d %H:%M:%S%.f%:z"  # which its reader takes for text
    table = pl.scan_csv(inputs / "table.csv", schema=types)
    write(table.with_columns(pl.col(zoned).str.to_datetime(pattern, time_zone="UTC")), output)


NUMBERS = {
    "int8": pl.Int8,
    "int16": pl.Int16,
    "int32": pl.Int32,
    "float32": pl.Float32,
    "float64": pl.Float64,
    "bool": pl.Boolean,
}

TASKS = make_tasks(join, sort, filter_rows, group, read, import_csv) | questions(aggregate)
CANNOT: dict[str, str] = {}
