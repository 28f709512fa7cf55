"""Tables of who took how long and how much memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks.contest import DUCKDB, OURS, POLARS, Contestant, Standing
from benchmarks.report import table
from benchmarks.timing import Spread

EXPLANATION = """\
Each run is a fresh process that first does the task on a small input, so that loading libraries
and numba's compilation do not count. Contestants take turns, each round beginning with another.
Medians, with the interquartile range in brackets; *peer / ours* is how many times longer the peer
took within a round: above 1, ours is faster. *peak* is the most memory that was resident in any run
(VmHWM), interpreter, libraries and mapped files included. Inputs are in the system's cache. Values
were compared before anything was timed."""


@dataclass(frozen=True)
class Target:
    """
    Least acceptable times-as-fast-as: by contestant, and against the better of Polars and DuckDB.

    Parameters
    ----------
    against
        Contestants and ratios.
    best
        Ratio to the better of Polars and DuckDB.
    peak
        Most bytes that ours may have resident.
    """

    against: tuple[tuple[Contestant, float], ...]
    best: float | None = None
    peak: int | None = None

    def and_best(self, ratio: float) -> Target:
        return replace(self, best=ratio)

    def of(self, standing: Standing, best: Contestant | None) -> float | None:
        """Ratio that is asked for beside this one."""
        if standing.contestant == best:
            return self.best
        return dict(self.against).get(standing.contestant)


def median_seconds(standing: Standing) -> float:
    return Spread.of(standing.seconds).median


def better_of(standings: Sequence[Standing]) -> Contestant | None:
    """Whichever of Polars and DuckDB was faster."""
    both = [s for s in standings if s.counts and s.contestant in (POLARS, DUCKDB)]
    return min(both, key=median_seconds).contestant if both else None


def contest_table(
    standings: Sequence[Standing],
    target: Target,
    extra: tuple[str, Callable[[float], str]] | None = None,
) -> str:
    """
    Lay out what came out at one task.

    Parameters
    ----------
    standings
        Of all who took part.
    target
        What ours should reach.
    extra
        Head of one more column, and what it shows for a median of seconds.
    """
    ours = next((s for s in standings if s.contestant == OURS), None)
    best = better_of(standings)
    rows = []
    for standing in standings:
        name = standing.contestant.name
        if not standing.counts:
            more = ["-"] * (4 if extra else 3)
            rows.append([name, standing.error or "not timed", *more])
            continue
        spread = Spread.of(standing.seconds)
        peak = max(standing.peaks)
        ratio, verdict = "", "-"
        if standing is ours:
            if target.peak is not None:
                verdict = f"peak <= {target.peak / 1e9:g} GB: {met(peak <= target.peak)}"
        elif ours is not None and ours.counts:
            found = standing.ratio_to(ours)
            ratio = found.show()
            asked = target.of(standing, best)
            if asked is not None:
                verdict = f">= {asked:.2g}: {met(found.median >= asked)}"
        shown = [extra[1](spread.median)] if extra else []
        rows.append([name, spread.show(" s"), *shown, ratio, f"{peak / 1e6:,.0f} MB", verdict])
    middle = f"|{extra[0]}" if extra else ""
    return table(f"contestant|time{middle}|peer / ours|peak|target", rows)


def met(reached: bool) -> str:
    return "met" if reached else "**missed**"
