"""One day of a long table that is sorted by day, from a bucket far away."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.appends.stage import (
    ARCTICDB,
    DELTA,
    LANCE,
    OURS,
    FailedError,
    Stage,
    check,
    measured,
    seconds,
)
from benchmarks.contest import progress
from benchmarks.contestants.bucket import Shape
from benchmarks.contestants.growing import DAYS, Lap, by_day
from benchmarks.report import table
from benchmarks.standings import met
from benchmarks.timing import Spread
from benchmarks.traffic import Client

ABOUT = """\
A table of {day_table_columns} columns of int32 and a day, {day_table_rows:,} rows sorted by day,
{days_in_it:,} days. A fresh process opens the table and reads three columns of the rows of one day,
once after the same with another day, which is not counted. Values were compared. ArcticDB's rows
are indexed by the day."""
REQUESTS = 8


def run(made: Stage) -> str:
    """Hold the contest; the section of the report."""
    arguments = made.arguments
    entrants = made.some(ARCTICDB, DELTA, LANCE)
    shape = Shape(arguments.day_table_columns, arguments.day_table_rows)
    paths = {entrant.name: made.fresh() for entrant in entrants}
    names = shape.some(3)
    day = DAYS // 2
    chosen = by_day(Shape(1, shape.rows))["day"] == day
    right = {name: values[chosen] for name, values in shape.table().items() if name in names}

    def create(entrant: Client) -> None:
        place = made.in_bucket(paths[entrant.name])
        size = (shape.columns, shape.rows)
        made.have(entrant, "create", place, shape=size, sorted_by_day=True)

    failed = measured("one day, create", entrants, create)
    laps: dict[str, list[Lap]] = {entrant.name: [] for entrant in entrants}
    for number in range(arguments.repeats):
        for entrant in entrants[number % len(entrants) :] + entrants[: number % len(entrants)]:
            if failed[entrant.name] is None:
                try:
                    done = made.have(
                        *(entrant, "read", made.far_away(paths[entrant.name])),
                        names=names,
                        times=1,
                        days=[day - 100, day],
                        ordered=entrant.keeps_order,
                    )
                    check(done, entrant, right)
                    laps[entrant.name].append(tuple(done.laps[-1]))
                except FailedError as error:
                    failed[entrant.name] = error
                progress("one day", entrant.name, "round", str(number))
    about = ABOUT.format(**vars(arguments), days_in_it=DAYS)
    rows = [
        [name, str(failed[name]), *["-"] * 3] if failed[name] else line(made, name, laps[name])
        for name in laps
    ]
    head = "contestant|time|requests|in sequence|target"
    title = "## one day of a table sorted by day (`day`)"
    return "\n\n".join([title, about, table(head, rows)])


def line(made: Stage, name: str, laps: Sequence[Lap]) -> list[str]:
    """The cells of one contestant."""
    traffic = [made.traffic(lap) for lap in laps]
    most = max(traffic, key=lambda one: one.verbs.total())
    count = most.verbs.total()
    verdict = f"<= {REQUESTS} requests: {met(count <= REQUESTS)}" if name == OURS.name else "-"
    return [
        name,
        Spread.of(seconds(laps)).show(" s"),
        f"{count}: {most}",
        str(max(one.in_sequence for one in traffic)),
        verdict,
    ]
