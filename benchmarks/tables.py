"""Tables from storage to storage: join, sort, filter, group and read, beside today's tools."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.contest import (
    EXETERA,
    PACKAGES,
    PANDAS,
    Work,
    add_options,
    compete,
    taking_part,
)
from benchmarks.inputs import SMALL_ROWS, Inputs
from benchmarks.machine import describe
from benchmarks.results import Check, Column, compare
from benchmarks.standings import EXPLANATION, Target, contest_table
from exetera_zarr.settings import memory_limit

JOINED = (
    Column("pk", "int"),
    Column("amount", "int"),
    Column("weight", "float"),
    Column("fk", "int"),
    Column("visit", "int"),
    Column("dose", "float"),
)
RECORDS = (
    Column("key", "fixed"),
    Column("time", "time"),
    Column("uniform", "float"),
    Column("count", "int"),
    Column("score", "float"),
    Column("serial", "int"),
    Column("temperature", "float"),
    Column("level", "int"),
    Column("flag", "bool"),
    Column("note", "text"),
)
GROUPED = (
    Column("key", "fixed"),
    Column("count_max", "int"),
    Column("score_max", "float"),
    Column("count_last", "int"),
    Column("score_last", "float"),
)

ABOUT = """\
All tasks go from stored input to stored output: the result is a new dataset (ours), HDF5 file
(ExeTera) or Parquet file with zstd (the others), synced to the disk. Reading ends in memory, in the
form that each works with itself. `memory_limit` is given to ours and to DuckDB."""

FASTER = Target(((EXETERA, 1.0), (PANDAS, 1.0)))
FIVE_TIMES = Target(((EXETERA, 5.0), (PANDAS, 1.0)))
PEAK_TO_LIMIT = 1.4  # interpreter and libraries come on top of what the limit governs
EQUAL = 0.95  # 5 % counts as equal
WITHIN = 1 / 1.5


def sums(how: str, keys: tuple[Column, ...], *targets: Column) -> Check:
    """Check of a group question: its keys and the aggregates of its columns."""
    results = tuple(Column(f"{target.name}_{how}", target.kind) for target in targets)
    return Check((*keys, *results), keys=tuple(key.name for key in keys))


@dataclass(frozen=True)
class Question:
    """One task: its name, what it reads, what must come out, and how fast ours has to be."""

    number: int
    task: str
    title: str
    tables: tuple[str, ...]
    target: Target
    check: Check | None = None


V1, V2, V3 = Column("v1", "int"), Column("v2", "int"), Column("v3", "float")
M1, M2 = Column("v1", "float"), Column("v2", "float")  # whose means are floats
QUESTIONS = (
    Question(
        1,
        "join_sorted",
        "ordered left join, one row to about ten, all columns written",
        ("sorted_left", "sorted_right"),
        FASTER.and_best(EQUAL),
        Check(JOINED),
    ),
    Question(
        2,
        "join_shuffled",
        "the same join, keys of both sides shuffled",
        ("shuffled_left", "shuffled_right"),
        FIVE_TIMES.and_best(WITHIN),
        Check(JOINED),
    ),
    Question(
        3,
        "sort",
        "sort of ten columns by a string and a timestamp",
        ("records",),
        FIVE_TIMES.and_best(WITHIN),
        Check(RECORDS, ordered=True),
    ),
    Question(
        4,
        "filter_half",
        "filter of ten columns, half of the rows kept",
        ("records",),
        FASTER.and_best(EQUAL),
        Check(RECORDS),
    ),
    Question(
        4,
        "filter_hundredth",
        "filter of ten columns, 1 % of the rows kept",
        ("records",),
        FASTER.and_best(EQUAL),
        Check(RECORDS),
    ),
    Question(
        5,
        "group_string",
        "group by a string of a million values, max and last of two columns",
        ("records",),
        FIVE_TIMES.and_best(WITHIN),
        Check(GROUPED),
    ),
    Question(
        6,
        "q1",
        "db-benchmark 1: sum of one column by a string of 100 values",
        ("groups",),
        FASTER.and_best(WITHIN),
        sums("sum", (Column("id1", "fixed"),), V1),
    ),
    Question(
        6,
        "q2",
        "db-benchmark 2: sum of one column by two strings of 100 values",
        ("groups",),
        FASTER.and_best(WITHIN),
        sums("sum", (Column("id1", "fixed"), Column("id2", "fixed")), V1),
    ),
    Question(
        6,
        "q4",
        "db-benchmark 4: means of three columns by a number of 100 values",
        ("groups",),
        FASTER.and_best(WITHIN),
        sums("mean", (Column("id4", "int"),), M1, M2, V3),
    ),
    Question(
        6,
        "q5",
        "db-benchmark 5: sums of three columns by a number of rows / 100 values",
        ("groups",),
        FASTER.and_best(WITHIN),
        sums("sum", (Column("id6", "int"),), V1, V2, V3),
    ),
    *(
        Question(
            7,
            f"read_{k}",
            f"{k} of 50 columns read into memory",
            ("wide",),
            FASTER.and_best(EQUAL),
        )
        for k in range(1, 9)
    ),
)


def prepare(
    arguments: argparse.Namespace, tables: Iterable[str], *, for_exetera: bool
) -> tuple[Inputs, Inputs]:
    """Make the tables of a contest, and small ones of the same kinds."""
    inputs, small = (
        Inputs(arguments.cache / f"tables-{rows}", rows) for rows in (arguments.rows, SMALL_ROWS)
    )
    for table in tables:
        for each in (inputs, small):
            each.make(table, for_exetera=for_exetera)
    return inputs, small


def limits(arguments: argparse.Namespace) -> tuple[dict[str, str], int | None]:
    """What contestants are told of the memory limit, and the peak that it allows."""
    if not arguments.memory_limit:
        return {}, None
    peak = round(memory_limit(arguments.memory_limit) * PEAK_TO_LIMIT)
    return {"memory_limit": arguments.memory_limit}, peak


def run(arguments: argparse.Namespace) -> None:
    """Compete in each task, and write the report."""
    contestants = taking_part(arguments.contestant)
    questions = [q for q in QUESTIONS if not arguments.only or q.number in arguments.only]
    tables = dict.fromkeys(table for question in questions for table in question.tables)
    inputs, small = prepare(arguments, tables, for_exetera=EXETERA in contestants)
    options, peak = limits(arguments)
    about = describe(PACKAGES, inputs.folder)
    parts = [f"# Tables of {arguments.rows:,} rows", about, ABOUT, EXPLANATION]
    with tempfile.TemporaryDirectory(dir=arguments.work_dir, prefix="benchmark-") as scratch:
        for question in questions:
            work = Work(question.task, inputs.folder, small.folder, Path(scratch), options)
            agree = partial(compare, question.check, work, contestants)
            standings = compete(work, contestants, arguments.repeats, agree)
            parts.append(f"## {question.number}. {question.title} (`{question.task}`)")
            # What is read whole, by request, is not for the limit to govern.
            target = replace(question.target, peak=peak if question.check else None)
            parts.append(contest_table(standings, target))
            if arguments.out:  # each time: all of it takes hours
                arguments.out.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    if not arguments.out:
        print("\n\n".join(parts))


def numbers(text: str) -> set[int]:
    return {int(number) for number in text.split(",")}


def add_command(commands: Any) -> None:
    """Add `tables` to the command line."""
    parser = commands.add_parser("tables", help=__doc__, description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, metavar="N")
    parser.add_argument("--only", type=numbers, metavar="1,2,...", help="numbers of the tasks")
    parser.add_argument("--memory-limit", metavar="1GB", help="for ours and DuckDB")
    add_options(parser)
    parser.set_defaults(run=run)
