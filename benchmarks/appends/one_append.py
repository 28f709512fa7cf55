"""One append to a wide table far away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks.appends.stage import OURS, FailedError, Stage, measured, seconds
from benchmarks.contest import progress
from benchmarks.contestants.growing import Lap
from benchmarks.report import table
from benchmarks.standings import met
from benchmarks.timing import Spread
from benchmarks.traffic import Client, Traffic

TITLE = "1,000 rows appended to {columns} columns, in a bucket far away (`append`)"
ABOUT = """\
The table has {columns} columns of {rows:,} int32 in one chunk; once more for ours in {chunks}
chunks. Each process appends once, which makes connections and is not counted, then {times} times;
every append opens the table anew. *at most* is the most that one append took: ours joins packs of
rows now and then, and has segments of a quarter of a chunk and more, which are small here ({chunk}
rows in a chunk) so that there are many. Who has taken {patience:g} s is not timed again."""
LIMITS = {"seconds": 0.35, "requests": 12, "in sequence": 8}
CHUNK = 1 << 12
TIMES = 3


def run(made: Stage) -> str:
    """Hold the contest; the section of the report."""
    arguments = made.arguments
    tall = replace(OURS, name=f"{OURS.name}, {arguments.chunks} chunks", options=block(CHUNK))
    entrants = [OURS, tall, *made.peers]
    places = {entrant.name: made.fresh() for entrant in entrants}

    def create(entrant: Client) -> None:
        rows = CHUNK * arguments.chunks if entrant is tall else arguments.rows
        place = made.in_bucket(places[entrant.name])
        made.have(entrant, "create", place, shape=(arguments.columns, rows))

    failed = measured("append, create", entrants, create)
    laps: dict[str, list[Lap]] = {entrant.name: [] for entrant in entrants}
    for number in range(arguments.repeats):
        start = number % len(entrants)
        for entrant in entrants[start:] + entrants[:start]:
            if (
                failed[entrant.name] is None
                and sum(seconds(laps[entrant.name])) < arguments.patience
            ):
                try:
                    laps[entrant.name] += append(made, entrant, places[entrant.name])
                except FailedError as error:
                    failed[entrant.name] = error
                progress("append", entrant.name, "round", str(number))
    rows = [
        [name, str(failed[name]), *["-"] * 5] if failed[name] else line(made, name, laps[name])
        for name in laps
    ]
    about = ABOUT.format(**vars(arguments), times=TIMES, chunk=CHUNK)
    head = "contestant|time|processor|requests|at most|in sequence|target"
    return "\n\n".join([f"## {TITLE.format(**vars(arguments))}", about, table(head, rows)])


def block(rows: int) -> dict[str, Any]:
    return {"row_block": rows}


def append(made: Stage, entrant: Client, path: str) -> list[Lap]:
    """Append in a fresh process, and leave out the first time."""
    shape = made.arguments.columns, made.arguments.appended
    done = made.have(
        *(entrant, "append", made.far_away(path)),
        shape=shape,
        times=TIMES + 1,
        patience=made.arguments.patience,
    )
    return [tuple(lap) for lap in done.laps[1:]]


def line(made: Stage, name: str, laps: Sequence[Lap]) -> list[str]:
    """The cells of one contestant."""
    times = Spread.of(seconds(laps))
    processor = Spread.of([lap[3] for lap in laps])
    traffic = [made.traffic(lap) for lap in laps]
    each = [one.verbs.total() for one in traffic]
    counts = Spread.of(each)
    sequence = Spread.of([one.in_sequence for one in traffic])
    verdict = "-"
    if name.startswith(OURS.name):
        reached = dict(zip(LIMITS, (times.median, counts.median, sequence.median), strict=True))
        verdict = ", ".join(
            f"<= {limit:g} {what}: {met(reached[what] <= limit)}" for what, limit in LIMITS.items()
        )
    return [
        name,
        times.show(" s"),
        f"{processor.median:.2f} s",
        f"{counts.median:.0f}: {common(traffic)}",
        f"{max(seconds(laps)):.3g} s, {max(each)} requests",
        f"{sequence.median:.0f}",
        verdict,
    ]


def common(traffic: Sequence[Traffic]) -> str:
    """The requests that there were most often."""
    said = [str(one) for one in traffic]
    return max(said, key=said.count)
