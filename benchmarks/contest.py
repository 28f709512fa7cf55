"""Contestants in processes of their own, taking turns, and what came out."""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.files import remove
from benchmarks.peers import NoEnvironmentError, cache_folder, exetera_python
from benchmarks.timing import Spread

PACKAGES = ("exetera-zarr", "zarr", "numpy", "pyarrow", "duckdb", "polars", "pandas")
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Contestant:
    """Who takes part, and how its module and its files are called."""

    name: str
    module: str
    suffix: str
    keeps_order: bool = True
    python: Callable[[], Path] = field(default=lambda: Path(sys.executable), repr=False)


OURS = Contestant("exetera_zarr", "benchmarks.contestants.ours", ".zarr")
EXETERA = Contestant(
    "ExeTera 0.6", "benchmarks.contestants.exetera", ".hdf5", python=exetera_python
)
PANDAS = Contestant("pandas", "benchmarks.contestants.with_pandas", ".parquet")
POLARS = Contestant("Polars", "benchmarks.contestants.with_polars", ".parquet", keeps_order=False)
DUCKDB = Contestant("DuckDB", "benchmarks.contestants.with_duckdb", ".parquet", keeps_order=False)
CONTESTANTS = (OURS, EXETERA, PANDAS, POLARS, DUCKDB)


@dataclass(frozen=True)
class Outcome:
    """Of one run: seconds and peak memory in bytes, or why there are none."""

    seconds: float = 0.0
    peak: int = 0
    error: str = ""
    digest: Any = None
    laps: Any = None


@dataclass
class Standing:
    """All runs of one contestant at one task."""

    contestant: Contestant
    seconds: list[float] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)
    error: str = ""

    def add(self, outcome: Outcome) -> None:
        """Count a run; an error takes the contestant out."""
        if outcome.error:
            self.error = outcome.error
        else:
            self.seconds.append(outcome.seconds)
            self.peaks.append(outcome.peak)

    @property
    def counts(self) -> bool:
        return not self.error and bool(self.seconds)

    def ratio_to(self, ours: Standing) -> Spread:
        """How many times as long as ours it took, within the rounds; the slow have fewer."""
        pairs = zip(self.seconds, ours.seconds, strict=False)
        return Spread.of([theirs / our for theirs, our in pairs])


@dataclass(frozen=True)
class Work:
    """One task on one input: where it reads, how each names its output, what to warm up on."""

    task: str
    inputs: Path
    small_inputs: Path
    scratch: Path
    options: dict[str, Any]
    timeout: float = 3600.0

    def output(self, contestant: Contestant) -> Path:
        module = contestant.module.rpartition(".")[2]
        return self.scratch / f"{self.task}-{module}{contestant.suffix}"

    def clear(self, contestant: Contestant) -> None:
        """Remove its output."""
        remove(self.output(contestant))

    def run(self, contestant: Contestant) -> Outcome:
        """Do it once in a fresh process; the output is left in place."""
        output = self.output(contestant)
        remove(output)
        with tempfile.TemporaryDirectory(dir=self.scratch, prefix="small-") as small:
            report = Path(small) / "report.json"
            request = {
                "contestant": contestant.module,
                "task": self.task,
                "options": self.options,
                "report": str(report),
                "small": {
                    "inputs": str(self.small_inputs),
                    "output": f"{small}/small{contestant.suffix}",
                },
                "work": {"inputs": str(self.inputs), "output": str(output)},
            }
            return run_worker(contestant, request, report, self.timeout)


def run_worker(
    contestant: Contestant, request: dict[str, Any], report: Path, timeout: float | None
) -> Outcome:
    """Start a process for a request, and read what it reports."""
    os.sync()
    try:
        done = subprocess.run(
            [contestant.python(), "-m", "benchmarks.worker"],
            cwd=report.parent,  # where DuckDB spills
            env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(report.parent)},
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome(error=f"took longer than {timeout:g} s")
    if not report.exists():
        said = done.stderr.strip().splitlines()[-1:] or ["no message"]
        ended = f"ended by signal {-done.returncode}" if done.returncode < 0 else said[0]
        return Outcome(error=ended)
    return Outcome(**json.loads(report.read_text(encoding="utf-8")))


def compete(
    work: Work,
    contestants: Sequence[Contestant],
    rounds: int,
    check: Callable[[dict[str, Outcome]], dict[str, str]],
    patience: float = math.inf,
) -> list[Standing]:
    """
    Let each do a task once, have the values compared, then time all in turn.

    Each round starts with another contestant, so that a slow minute of the machine hits all alike.

    Parameters
    ----------
    work
        The task.
    contestants
        Who takes part.
    rounds
        How many times each is timed, after the run whose values are compared.
    check
        Gets the outcomes by name, and gives what is wrong with whom.
    patience
        Seconds of runs after which a contestant is not timed again; also of the first run, which
        is the one that counts if it takes longer.
    """
    standings = [Standing(contestant) for contestant in contestants]
    outcomes = {c.name: work.run(c) for c in contestants}
    wrong = check({name: o for name, o in outcomes.items() if not o.error})
    for standing in standings:
        name = standing.contestant.name
        standing.error = outcomes[name].error or wrong.get(name, "")
        progress(work.task, name, standing.error or "values compared")
        if outcomes[name].seconds >= patience:
            standing.add(replace(outcomes[name], error=standing.error))
    for contestant in contestants:
        work.clear(contestant)
    for number in range(rounds):
        start = number % len(standings)
        for standing in standings[start:] + standings[:start]:
            if not standing.error and sum(standing.seconds) < patience:
                outcome = work.run(standing.contestant)
                work.clear(standing.contestant)
                standing.add(outcome)
                shown = outcome.error or f"{outcome.seconds:.2f} s, {outcome.peak / 1e6:.0f} MB"
                progress(work.task, standing.contestant.name, shown)
    return standings


progress = partial(print, sep=": ", file=sys.stderr, flush=True)


def taking_part(names: Sequence[str] | None) -> list[Contestant]:
    """Who was asked for, without ExeTera if its environment cannot be made."""
    chosen = [c for c in CONTESTANTS if not names or c.name in names]
    if EXETERA in chosen:
        try:
            exetera_python()
        except NoEnvironmentError as error:
            print(f"without ExeTera: {error}", file=sys.stderr, flush=True)
            chosen.remove(EXETERA)
    return chosen


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what the commands that hold a contest have in common."""
    names = [contestant.name for contestant in CONTESTANTS]
    kept = cache_folder() / "benchmarks"
    parser.add_argument("--repeats", type=int, default=7, metavar="N")
    parser.add_argument("--contestant", action="append", choices=names, help="only this one")
    folders = {
        "--cache": (kept, "where inputs are kept; default: the user's cache"),
        "--work-dir": (None, "on the disk to measure; default: temporary"),
    }
    for option, (default, about) in folders.items():  # workers run somewhere else
        parser.add_argument(option, type=lambda p: Path(p).resolve(), default=default, help=about)
    parser.add_argument("--out", type=Path, help="write the report here instead of printing it")
