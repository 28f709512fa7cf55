"""Timing in alternating pairs, and the spread of what came out.

Two things are compared by timing them in turn, each going first in every other pair, so that a slow
minute of the machine hits both. What counts is the median of the ratios within the pairs. Before
each timing the garbage is collected and the system's write buffers are flushed; what a run leaves
behind is removed outside the timed region. Files that are read have just been written and are in
the system's cache: these are measurements of code, not of disks.
"""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Action:
    """Something to time, and what to do before and after each time."""

    run: Callable[[], object]
    before: Callable[[], object] = lambda: None
    after: Callable[[], object] = lambda: None

    def seconds(self) -> float:
        """Time one run."""
        self.before()
        gc.collect()
        os.sync()
        start = time.perf_counter()
        result = self.run()
        elapsed = time.perf_counter() - start
        del result  # freeing memory is not what is measured
        self.after()
        return elapsed


@dataclass(frozen=True)
class Spread:
    """Median and interquartile range."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread:
        if len(samples) == 1:
            return cls(samples[0], samples[0], samples[0])
        low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
        return cls(median, low, high)

    def show(self, unit: str = "") -> str:
        return f"{self.median:.3g}{unit} ({self.low:.3g}-{self.high:.3g})"


@dataclass(frozen=True)
class Comparison:
    """Seconds of ours and of a peer, and how many times longer the peer took."""

    ours: Spread
    peer: Spread
    ratio: Spread


def compare(ours: Action, peer: Action, pairs: int) -> Comparison:
    """Time both `pairs` times, in turn, after one run of each that does not count."""
    ours.seconds()
    peer.seconds()
    our_seconds, peer_seconds = [], []
    for number in range(pairs):
        if number % 2:
            peer_seconds.append(peer.seconds())
            our_seconds.append(ours.seconds())
        else:
            our_seconds.append(ours.seconds())
            peer_seconds.append(peer.seconds())
    ratios = [theirs / our for our, theirs in zip(our_seconds, peer_seconds, strict=True)]
    return Comparison(Spread.of(our_seconds), Spread.of(peer_seconds), Spread.of(ratios))
