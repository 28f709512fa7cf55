"""A CSV file in the shape of the Covid Symptom Study's, and ExeTera's schema for it.

Invented values: mostly questions with a few answers, many of them not answered, beside numbers,
truth values, dates and times, identifiers and free text. The file is written a block at a time.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.results import Column

BLOCK = 50_000
ANSWERS = (
    ("no", "yes"),
    ("no", "yes", "maybe"),
    ("never", "sometimes", "often", "always"),
    ("no", "mild", "severe"),
    ("not_allowed", "home", "hospital", "back_from_hospital"),
    ("healthy", "not_healthy"),
    ("none", "once", "twice", "three_or_more"),
    ("negative", "positive", "failed", "waiting", "unsure"),
    ("less_than_a_week", "one_to_two_weeks", "more_than_two_weeks"),
    ("AZ", "Pfizer", "Moderna", "other", "not_sure", "pfnts"),
)
NUMBERS = ("int8", "int16", "int32", "float32", "float64")
TEXT = (
    'sore throat, dry cough headache since Tuesday "brain fog" tired mild fever none better '
    "today taste smell lost, slowly back aching legs café naïve"
)


@dataclass(frozen=True)
class CsvColumn:
    """One column: its name, what the schema says of it, and how often it is empty."""

    name: str
    field: dict[str, Any]
    empty: float

    @property
    def kind(self) -> str:
        return str(self.field["field_type"])


def make_columns(count: int) -> list[CsvColumn]:
    """Lay out the columns: three of four are questions; the others of each kind, in turn."""
    rng = random.Random(20_130_101)
    makers: tuple[Callable[[int], tuple[str, dict[str, Any]]], ...] = (
        lambda n: (f"id_{n}", {"field_type": "fixed_string", "length": 32}),
        lambda n: (f"number_{n}", number_field(NUMBERS[n // 9 % len(NUMBERS)])),
        lambda n: (f"created_{n}", {"field_type": "datetime", "create_flag_field": True}),
        lambda n: (f"number_{n}", number_field(NUMBERS[(n // 9 + 2) % len(NUMBERS)])),
        lambda n: (f"is_{n}", number_field("bool")),
        lambda n: (f"text_{n}", {"field_type": "string"}),
        lambda n: (f"zoned_{n}", {"field_type": "datetime", "create_flag_field": True}),
        lambda n: (f"day_{n}", {"field_type": "date", "create_flag_field": True}),
        lambda n: (f"version_{n}", {"field_type": "fixed_string", "length": 8}),
    )
    columns = []
    for number in range(count):
        if number % 4 == 0:
            name, field = makers[number // 4 % len(makers)](number)
        else:
            name, field = f"answer_{number}", answer_field(rng.choice(ANSWERS))
        empty = 0.0 if number == 0 else rng.choice((0.02, 0.3, 0.6, 0.9))
        columns.append(CsvColumn(name, field, empty))
    return columns


def number_field(value_type: str) -> dict[str, Any]:
    return {"field_type": "numeric", "value_type": value_type, "validation_mode": "allow_empty"}


def answer_field(answers: tuple[str, ...]) -> dict[str, Any]:
    codes = {text: code for code, text in enumerate(("", *answers))}
    return {
        "field_type": "categorical",
        "categorical": {"value_type": "int8", "strings_to_values": codes},
    }


def schema(columns: list[CsvColumn]) -> dict[str, Any]:
    fields = {column.name: column.field for column in columns}
    return {
        "exetera": {"version": "1.1.0"},
        "schema": {"table": {"primary_keys": [columns[0].name], "fields": fields}},
    }


def compared(columns: list[CsvColumn]) -> tuple[Column, ...]:
    """Describe the stored columns, for comparing them with null where a cell was empty."""
    return tuple(compared_column(column) for column in columns)


def compared_column(column: CsvColumn) -> Column:
    made = Column(column.name, column.kind)
    match column.kind:
        case "categorical":
            codes = column.field["categorical"]["strings_to_values"]
            return replace(made, kind="category", keys=codes)
        case "numeric":
            value_type = column.field["value_type"]
            kind = "bool" if value_type == "bool" else value_type.rstrip("0123456789")
            return replace(made, kind=kind, flag=f"{column.name}_valid")
        case "datetime" | "date":
            return replace(made, kind="time", flag=f"{column.name}_set")
        case "fixed_string":
            return replace(made, kind="fixed")
    return replace(made, kind="text")


def cells(column: CsvColumn, rows: int, rng: np.random.Generator) -> pl.Series:
    """Texts of a block of a column; null for an empty cell."""
    texts = filled_cells(column, rows, rng)
    there = rng.random(rows) >= column.empty
    return pl.select(pl.when(pl.Series(there)).then(texts).alias(column.name)).to_series()


def filled_cells(column: CsvColumn, rows: int, rng: np.random.Generator) -> pl.Series:
    moments = rng.integers(1_584_000_000_000_000, 1_680_000_000_000_000, rows)
    match column.kind:
        case "categorical":
            answers = pl.Series([a for a in column.field["categorical"]["strings_to_values"] if a])
            weights = 1 / np.arange(1, len(answers) + 1)
            return answers.gather(rng.choice(len(answers), rows, p=weights / weights.sum()))
        case "numeric":
            return number_cells(column.field["value_type"], rows, rng)
        case "date":
            return pl.Series(moments).cast(pl.Datetime("us")).dt.to_string("%Y-%m-%d")
        case "datetime":
            pattern = "%Y-%m-%d %H:%M:%S"
            pattern += ".%6f+00:00" if column.name.startswith("zoned") else ""
            return pl.Series(moments).cast(pl.Datetime("us")).dt.to_string(pattern)
        case "fixed_string" if column.field["length"] == 32:
            digits = rng.bytes(16 * rows).hex()
            return pl.Series([digits[start : start + 32] for start in range(0, 32 * rows, 32)])
        case "fixed_string":
            return pl.Series(["1.2.3", "1.10.0", "2.0.14", "2.1"]).gather(rng.integers(0, 4, rows))
    return free_text(rows, rng)


def number_cells(value_type: str, rows: int, rng: np.random.Generator) -> pl.Series:
    match value_type:
        case "bool":
            return pl.Series(["false", "true"]).gather(rng.integers(0, 2, rows))
        case "float32" | "float64":
            return pl.Series(rng.normal(70, 15, rows).round(1)).cast(pl.String)
    top = {"int8": 100, "int16": 2000, "int32": 1_000_000}[value_type]
    return pl.Series(rng.integers(-5, top, rows)).cast(pl.String)


def free_text(rows: int, rng: np.random.Generator) -> pl.Series:
    """One to eight words, of which some make the cell a quoted one."""
    count = rng.integers(1, 9, rows)
    choice = TEXT.split(" ")
    words = pl.Series(choice).gather(rng.integers(0, len(choice), int(count.sum())))
    rows_of_words = pl.Series(np.repeat(np.arange(rows), count))
    frame = pl.DataFrame({"row": rows_of_words, "word": words})
    return frame.group_by("row", maintain_order=True).agg(pl.col("word").str.join(" "))["word"]


def make(folder: Path, rows: int, columns: list[CsvColumn]) -> Path:
    """Write ``table.csv`` and ``schema.json`` to a folder, unless they are there."""
    path = folder / "table.csv"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    print(f"making a CSV of {rows:,} rows in {folder}", file=sys.stderr, flush=True)
    (folder / "schema.json").write_text(json.dumps(schema(columns), indent=1), encoding="utf-8")
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        for start in range(0, rows, BLOCK):
            rng = np.random.default_rng([20_130_101, start])
            block = [cells(column, min(BLOCK, rows - start), rng) for column in columns]
            pl.DataFrame(block).write_csv(file, include_header=start == 0)
    unfinished.rename(path)
    return path
