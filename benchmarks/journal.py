"""A new snapshot of a table into its journal, beside ExeTera's own function."""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.contest import EXETERA, OURS, PACKAGES, Work, add_options, compete, taking_part
from benchmarks.machine import describe
from benchmarks.results import Check, Column, compare
from benchmarks.standings import EXPLANATION, Target, contest_table
from benchmarks.tables import limits, prepare

TASKS = {
    "journal": "journal and snapshot in the order of their keys, all written to a new table",
    "journal_shuffled": "the same with both in no order",
    "journal_in_place": "what is new appended to a copy of the journal, both in no order",
}
# The columns that ExeTera writes, too.
RESULT = (
    Column("count", "int"),
    Column("score", "float"),
    Column("level", "int"),
    Column("flag", "bool"),
    Column("seen", "time"),
    Column("note", "text"),
)

ABOUT = """\
A journal of two versions of each key, seven columns beside the two moments, gets a snapshot of half
as many rows, of which 1 % changed. The result is a new dataset (ours) or HDF5 file (ExeTera), put
on the disk; `memory_limit` is given to ours. ExeTera leaves keys and moments out of its result."""


def run(arguments: argparse.Namespace) -> None:
    """Compete in each task, and write the report."""
    contestants = [c for c in taking_part(arguments.contestant) if c in (OURS, EXETERA)]
    orders, sides = ("sorted", "shuffled"), ("journal", "snapshot")
    tables = [f"{order}_{side}" for order in orders for side in sides]
    inputs, small = prepare(arguments, tables, for_exetera=EXETERA in contestants)
    options, peak = limits(arguments)
    about = describe(PACKAGES, inputs.folder)
    parts = [f"# A journal of {arguments.rows:,} rows", about, ABOUT, EXPLANATION]
    target = Target(((EXETERA, 1.0),), peak=peak)
    with tempfile.TemporaryDirectory(dir=arguments.work_dir, prefix="benchmark-") as scratch:
        for task, title in TASKS.items():
            work = Work(task, inputs.folder, small.folder, Path(scratch), options)
            check = None if task == "journal_in_place" else Check(RESULT)
            agree = partial(compare, check, work, contestants)
            standings = compete(work, contestants, arguments.repeats, agree)
            parts += [f"## {title} (`{task}`)", contest_table(standings, target)]
            if arguments.out:
                arguments.out.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    if not arguments.out:
        print("\n\n".join(parts))


def add_command(commands: Any) -> None:
    """Add `journal` to the command line."""
    parser = commands.add_parser("journal", help=__doc__, description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, metavar="N")
    parser.add_argument("--memory-limit", metavar="1GB", help="for ours")
    add_options(parser)
    parser.set_defaults(run=run)
