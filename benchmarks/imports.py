"""Import of a CSV by a schema, from text to typed columns on the disk, beside today's tools."""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.contest import (
    DUCKDB,
    EXETERA,
    PACKAGES,
    Work,
    add_options,
    compete,
    taking_part,
)
from benchmarks.covid_csv import compared, make, make_columns
from benchmarks.machine import describe
from benchmarks.results import Check, compare
from benchmarks.standings import EXPLANATION, Target, contest_table, median_seconds

SMALL_ROWS = 200
ABOUT = """\
Each gives typed columns: categories as codes, numbers, truth values, dates and times in UTC, text;
an empty cell is a null in Parquet, and a false flag beside it in ExeTera's formats. What is written
is synced to the disk. pandas, Polars and DuckDB write Parquet with zstd. A cell without text and
one of the empty text are the same to all but the numbers."""
TARGET = Target(((EXETERA, 10.0), (DUCKDB, 1.0)), peak=10**9)


def run(arguments: argparse.Namespace) -> None:
    """Import the same file with each, and write the report."""
    contestants = taking_part(arguments.contestant)
    columns = make_columns(arguments.columns)
    folder, small = (
        arguments.cache / f"csv-{rows}-{arguments.columns}" for rows in (arguments.rows, SMALL_ROWS)
    )
    make(small, SMALL_ROWS, columns)
    size = make(folder, arguments.rows, columns).stat().st_size
    check = Check(compared(columns), zeros=False)
    with tempfile.TemporaryDirectory(dir=arguments.work_dir, prefix="benchmark-") as scratch:
        work = Work("import", folder, small, Path(scratch), options={})
        agree = partial(compare, check, work, contestants)
        standings = compete(work, contestants, arguments.repeats, agree)
    speed = "MB/s", lambda standing: f"{size / 1e6 / median_seconds(standing):.0f}"
    parts = [
        f"# Import of a CSV: {arguments.rows:,} rows, {len(columns)} columns, {size / 1e6:,.0f} MB",
        describe(PACKAGES, folder),
        ABOUT,
        EXPLANATION,
        contest_table(standings, TARGET, [speed]),
    ]
    text = "\n\n".join(parts) + "\n"
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    else:
        print(text)


def add_command(commands: Any) -> None:
    """Add `import` to the command line."""
    parser = commands.add_parser("import", help=__doc__, description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--columns", type=int, default=200, metavar="N")
    add_options(parser)
    parser.set_defaults(run=run)
