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
    seconds
        Longest that ours may take.
    """

    against: tuple[tuple[Contestant, float], ...]
    best: float | None = None
    peak: int | None = None
    seconds: float | None = None

    def and_best(self, ratio: float) -> Target:
        return replace(self, best=ratio)

    def of(self, standing: Standing, best: Contestant | None) -> float | None:
        """Ratio that is asked for beside this one."""
        if standing.contestant == best:
            return self.best
        return dict(self.against).get(standing.contestant)

    def of_ours(self, seconds: float, peak: int) -> str:
        """Say whether time and memory of ours are as they should be."""
        said = []
        if self.seconds is not None:
            said.append(f"<= {self.seconds:g} s: {met(seconds <= self.seconds)}")
        if self.peak is not None:
            said.append(f"peak <= {self.peak / 1e9:g} GB: {met(peak <= self.peak)}")
        return ", ".join(said) or "-"


def median_seconds(standing: Standing) -> float:
    return Spread.of(standing.seconds).median


def better_of(standings: Sequence[Standing]) -> Contestant | None:
    """Whichever of Polars and DuckDB was faster."""
    both = [s for s in standings if s.counts and s.contestant in (POLARS, DUCKDB)]
    return min(both, key=median_seconds).contestant if both else None


def contest_table(
    standings: Sequence[Standing],
    target: Target,
    extra: Sequence[tuple[str, Callable[[Standing], str]]] = (),
    ours: Contestant = OURS,
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
        Heads of more columns, and what they show of each.
    ours
        Which one is compared with the others.
    """
    our = next((s for s in standings if s.contestant == ours), None)
    best = better_of(standings)
    rows = []
    for standing in standings:
        name = standing.contestant.name
        if not standing.counts:
            more = ["-"] * (3 + len(extra))
            rows.append([name, standing.error or "not timed", *more])
            continue
        spread = Spread.of(standing.seconds)
        peak = max(standing.peaks)
        ratio, verdict = "", "-"
        if standing is our:
            verdict = target.of_ours(spread.median, peak)
        elif our is not None and our.counts:
            found = standing.ratio_to(our)
            ratio = found.show()
            asked = target.of(standing, best)
            if asked is not None:
                verdict = f">= {asked:.2g}: {met(found.median >= asked)}"
        shown = [show(standing) for _, show in extra]
        rows.append([name, spread.show(" s"), *shown, ratio, f"{peak / 1e6:,.0f} MB", verdict])
    middle = "".join(f"|{head}" for head, _ in extra)
    return table(f"contestant|time{middle}|peer / ours|peak|target", rows)


def met(reached: bool) -> str:
    return "met" if reached else "**missed**"
