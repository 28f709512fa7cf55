"""Commits of one row, very many of them, on the disk."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.appends.stage import (
    ARCTICDB,
    DELTA,
    LANCE,
    OURS,
    FailedError,
    Stage,
    measured,
    middle,
)
from benchmarks.contestants.growing import CannotError, Lap
from benchmarks.report import megabytes, table
from benchmarks.standings import met
from benchmarks.traffic import Client

ABOUT = """\
A table of 5 columns of int32 gets one row in each of {commits:,} commits of ours and
{peer_commits:,} of each peer, each of which opens the table anew. *stored* is what it then takes
with all history. *open* reads one column, *history* counts the versions, *vacuum* forgets all but
the newest; each is a fresh process that has read the column before."""
READ = ["c000"]
COLUMNS = 5
SOME = 100
GROWS = 1.5


@dataclass
class Commits:
    """What was measured of one contestant."""

    laps: list[Lap]
    stored: int
    left: int
    seconds: dict[str, float | None]


def run(made: Stage) -> str:
    """Measure; the section of the report."""
    entrants = made.some(ARCTICDB, DELTA, LANCE)
    found = measured("commits", entrants, lambda who: commits(made, who))
    about = ABOUT.format(**vars(made.arguments))
    rows = []
    for name, one in found.items():
        if isinstance(one, FailedError):
            rows.append([name, str(one), *["-"] * 8])
            continue
        first, last = (middle(laps) for laps in (one.laps[1 : SOME + 1], one.laps[-SOME:]))
        verdict = "-"
        if name == OURS.name:
            verdict = f"last <= {GROWS:g} of first: {met(last <= GROWS * first)}"
        rows.append(
            [
                name,
                f"{len(one.laps):,}",
                *(f"{time * 1000:.1f} ms" for time in (first, last)),
                *(megabytes(size) for size in (one.stored, one.left)),
                *("-" if t is None else f"{t:.2g} s" for t in one.seconds.values()),
                verdict,
            ]
        )
    head = f"contestant|commits|first {SOME}|last {SOME}|stored|after vacuum|open|history|vacuum"
    return "\n\n".join(["## commits of one row (`commits`)", about, table(f"{head}|target", rows)])


def commits(made: Stage, entrant: Client) -> Commits:
    """Commit row after row, and see what comes of it."""
    arguments = made.arguments
    place = made.on_disk(made.fresh())
    made.have(entrant, "create", place, shape=(COLUMNS, 1))
    times = arguments.commits if entrant is OURS else arguments.peer_commits
    laps = made.have(entrant, "append", place, shape=(COLUMNS, 1), times=times).laps
    stored = made.size(place)
    opened = made.have(entrant, "read", place, names=READ, times=4).laps
    took = {"open": middle(opened[1:])} | {
        what: operation(made, entrant, place, what) for what in ("history", "vacuum")
    }
    return Commits(laps, stored, made.size(place), took)


def operation(made: Stage, entrant: Client, place: dict[str, object], what: str) -> float | None:
    """Seconds of an operation, if there is such a thing."""
    try:
        return middle(made.have(entrant, what, place, warm=READ).laps)
    except FailedError as error:
        if CannotError.__name__ not in str(error):
            raise
        return None
