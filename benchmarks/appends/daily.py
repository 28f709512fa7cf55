"""A table that gets some rows every day, on the disk and in a bucket, and reading it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.appends.stage import OURS, FailedError, Stage, busy, check, measured, middle
from benchmarks.contestants.bucket import Shape
from benchmarks.contestants.growing import CannotError, Columns, Lap
from benchmarks.report import megabytes, table
from benchmarks.standings import met
from benchmarks.traffic import Client

ABOUT = """\
A table of {day_columns} columns of {day_rows:,} int32 gets {day_appended} rows a day, for {days}
days; *last* is the median of the last five. *stored* is what it then takes with all history, *of
live* as a multiple of a table of the same rows that was written at once. Then a fresh process reads
3 columns, and all, {times} times after once that is not counted, and once more after compaction.
Values were compared. Who has appended for {patience:g} s no longer appends; the number of days is
said then."""
NOT_SYNCED = """\
Only ours and LMDB's wait for the disk; *not synced* is ours with `durability="none"`."""
TIMES = 5
LAST = 5
LIMITS = {"a day": 0.03, "of live": 1.5, "of compacted": 1.5}


@dataclass
class Growth:
    """What was measured of one contestant."""

    laps: list[Lap]
    stored: int
    live: int
    grown: tuple[list[Lap], list[Lap]]
    compacted: tuple[list[Lap], list[Lap]] | None = None
    stored_compacted: int = 0
    compaction: float = 0.0

    def __str__(self) -> str:
        """What is told while it goes on."""
        return f"{middle(self.laps):.3g} s a day, {busy(self.laps):.3g} s of the processor"


def run(made: Stage, *, far: bool) -> str:
    """Measure on the disk or far away; the section of the report."""
    about = ABOUT.format(**vars(made.arguments), times=TIMES)
    unsynced = replace(OURS, name=f"{OURS.name}, not synced", options={"durability": "none"})
    entrants = made.contestants if far else [OURS, unsynced, *made.peers]
    found = measured("daily", entrants, partial(growth, made, far=far))
    parts = [
        (
            f"## a table that grows every day, {'in a bucket far away' if far else 'on the disk'} "
            f"(`{'daily-far' if far else 'daily'}`)"
        ),
        about if far else f"{about}\n\n{NOT_SYNCED}",
        appended(found, made.arguments.days, far=far),
        read(found, far=far),
    ]
    return "\n\n".join(parts)


def growth(made: Stage, contestant: Client, *, far: bool) -> Growth:
    """Have a table grow, read it, compact it, and read it again."""
    arguments = made.arguments
    shape = Shape(arguments.day_columns, arguments.day_rows)
    name, other = made.fresh(), made.fresh()
    near = made.in_bucket(name) if far else made.on_disk(name)
    place = made.far_away(name) if far else near
    made.have(contestant, "create", near, shape=(shape.columns, shape.rows))
    added = shape.columns, arguments.day_appended
    laps = made.have(
        *(contestant, "append", place),
        shape=added,
        times=arguments.days,
        patience=arguments.patience,
    ).laps
    days = [arguments.day_appended] * len(laps)
    live = made.in_bucket(other) if far else made.on_disk(other)
    made.have(contestant, "create", live, shape=(shape.columns, shape.rows), days=days)
    found = Growth(
        laps, made.size(near), made.size(live), reads(made, contestant, place, shape, days)
    )
    try:
        ((_, start, end, _),) = made.have(contestant, "compact", place).laps
    except FailedError as error:
        if CannotError.__name__ not in str(error):
            raise
        return found
    found.compaction = end - start
    found.stored_compacted = made.size(near)
    found.compacted = reads(made, contestant, place, shape, days)
    return found


def reads(
    made: Stage, contestant: Client, place: dict[str, Any], shape: Shape, days: list[int]
) -> tuple[list[Lap], list[Lap]]:
    """Read some and all columns; whoever reads something else fails."""
    some, every = (
        read_one(made, contestant, place, shape, days, names)
        for names in (shape.some(3), shape.names)
    )
    return some, every


def read_one(
    made: Stage,
    contestant: Client,
    place: dict[str, Any],
    shape: Shape,
    days: list[int],
    names: list[str],
) -> list[Lap]:
    done = made.have(
        *(contestant, "read", place),
        names=names,
        times=TIMES + 1,
        ordered=contestant.keeps_order,
    )
    parts = [shape.table(), *(Shape(shape.columns, n).table(i) for i, n in enumerate(days, 1))]
    check(done, contestant, joined(parts, names))
    return list(done.laps[1:])


def joined(parts: Sequence[Columns], names: Sequence[str]) -> Columns:
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def appended(found: dict[str, Any], days: int, *, far: bool) -> str:
    """The table of appending."""
    rows = []
    for name, growth in found.items():
        if isinstance(growth, FailedError):
            rows.append([name, str(growth), *["-"] * 6])
            continue
        number = len(growth.laps)
        a_day, share = middle(growth.laps), growth.stored / growth.live
        verdict = "-"
        if name == OURS.name:
            verdict = f"<= {LIMITS['of live']:g} of live: {met(share <= LIMITS['of live'])}"
            if not far:
                said = met(a_day <= LIMITS["a day"])
                verdict = f"<= {LIMITS['a day']:g} s a day: {said}, {verdict}"
        rows.append(
            [
                name + (f", {number} days" if number < days else ""),
                f"{a_day:.3g} s",
                f"{middle(growth.laps[-LAST:]):.3g} s",
                f"{busy(growth.laps):.3g} s",
                megabytes(growth.stored),
                f"{share:.2f}",
                megabytes(growth.stored_compacted) if growth.compacted else "-",
                verdict,
            ]
        )
    return table("contestant|a day|last|processor|stored|of live|after compaction|target", rows)


def read(found: dict[str, Any], *, far: bool) -> str:
    """The table of reading."""
    there = {name: one for name, one in found.items() if isinstance(one, Growth)}
    rivals = [
        middle(one.grown[0])
        for name, one in there.items()
        if not name.startswith((OURS.name, "DuckLake"))
    ]
    rows = []
    for name, one in there.items():
        some, every = (middle(laps) for laps in one.grown)
        after = [middle(laps) for laps in one.compacted] if one.compacted else []
        verdict = "-"
        if name == OURS.name and not far:
            limit = LIMITS["of compacted"]
            verdict = f"<= {limit:g} of compacted: {met(some <= limit * after[0])}"
        elif name == OURS.name and rivals:
            verdict = f"<= {min(rivals):.3g} s, the best peer's: {met(some <= min(rivals))}"
        rows.append(
            [
                name,
                *(f"{time:.3g} s" for time in (some, every)),
                f"{one.compaction:.3g} s" if one.compacted else "-",
                *([f"{time:.3g} s" for time in after] or ["-", "-"]),
                verdict,
            ]
        )
    head = "contestant|3 columns|all|compaction|3 columns after it|all after it|target"
    return table(head, rows)
