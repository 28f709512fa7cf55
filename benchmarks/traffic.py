"""What contestants ask of a bucket that is seen through a proxy."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from benchmarks.contest import Contestant, Outcome, Work, run_worker
from benchmarks.contestants.bucket import Bucket
from support.proxy import FaultProxy, fault_proxy
from support.rules import Exchange, latency


@dataclass(frozen=True)
class Client(Contestant):
    """A contestant that gets options of its own."""

    options: dict[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Traffic:
    """
    The requests of one run.

    Parameters
    ----------
    verbs
        How many of each kind.
    in_sequence
        How many of them one after another, at least: each began when another had ended.
    published
        Seconds from the commit to the last request.
    """

    verbs: Counter[str]
    in_sequence: int
    published: float

    @classmethod
    def of(cls, log: Sequence[Exchange]) -> Traffic:
        done = [exchange for exchange in log if exchange.ended is not None]
        commits = [e.ended for e in done if e.verb == "PUT" and "/__exetera__/commits/" in e.path]
        last = max((exchange.ended or 0.0 for exchange in done), default=0.0)
        published = last - (commits[-1] or 0.0) if commits else 0.0
        return cls(Counter(exchange.kind for exchange in done), chain(done), published)

    def __str__(self) -> str:
        parts = [f"{count:,} {verb}" for verb, count in sorted(self.verbs.items())]
        return ", ".join(parts) or "none"


def chain(log: Sequence[Exchange]) -> int:
    """Most requests of which none overlaps another."""
    length, free = 0, 0.0
    for ended, started in sorted((e.ended or 0.0, e.started) for e in log):
        if started >= free:
            length, free = length + 1, ended
    return length


@dataclass(frozen=True)
class BucketWork(Work):
    """
    A task on a folder of a bucket; the folder's name says how large the table in it is.

    Parameters
    ----------
    bucket
        Behind the proxy, or without one.
    proxy
        Where requests are noted, if there is one.
    seen
        The requests of each run, by contestant.
    outputs
        What each wrote last.
    """

    bucket: Bucket = field(kw_only=True)
    proxy: FaultProxy | None = None
    seen: dict[str, list[Traffic]] = field(default_factory=dict)
    outputs: dict[str, Path] = field(default_factory=dict)

    def output(self, contestant: Contestant) -> Path:
        name = "".join(c if c.isalnum() else "-" for c in contestant.name)
        return self.inputs / f"{self.task}-{name}-{len(self.seen.get(contestant.name, []))}"

    def clear(self, contestant: Contestant) -> None:
        """Nothing: removing is slow, and the server ends with the benchmark."""

    def run(self, contestant: Contestant) -> Outcome:
        assert isinstance(contestant, Client)
        output = self.outputs[contestant.name] = self.output(contestant)
        small = self.small_inputs, self.small_inputs / output.name
        if self.proxy is not None:
            self.proxy.clear()
        outcome = self.have(contestant, self.task, small, (self.inputs, output))
        traffic = Traffic.of(self.requests())
        self.seen.setdefault(contestant.name, []).append(traffic)
        return replace(outcome, seconds=outcome.seconds - traffic.published)

    def have(
        self,
        contestant: Client,
        task: str,
        small: tuple[Path, Path] | None,
        work: tuple[Path, Path],
    ) -> Outcome:
        """Have a process do a task, with a small input and output first."""
        steps = {
            name: step and {"inputs": str(step[0]), "output": str(step[1])}
            for name, step in {"small": small, "work": work}.items()
        }
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            report = Path(folder) / "report.json"
            request = {
                "contestant": contestant.module,
                "task": task,
                "options": {"bucket": asdict(self.bucket)} | self.options | contestant.options,
                "report": str(report),
                **steps,
            }
            return run_worker(contestant, request, report, self.timeout)

    def requests(self) -> list[Exchange]:
        """Those of the last run that came after the warm-up."""
        log = list(self.proxy.log) if self.proxy is not None else []
        small = [
            number
            for number, exchange in enumerate(log, 1)
            if str(self.small_inputs) in unquote(f"{exchange.path}?{exchange.query}")
        ]
        return log[max(small, default=0) :]


class Distance:
    """
    A proxy in a process of its own, which is not held up by what else this one does.

    Parameters
    ----------
    connection
        To the process.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.endpoint: str = connection.recv()

    def requests(self, start: float, end: float) -> list[Exchange]:
        """Those that came within a time, by the clock that all processes have in common."""
        self._connection.send((start, end))
        found: list[Exchange] = self._connection.recv()
        return found


@contextmanager
def distance(upstream: str, seconds: float) -> Iterator[Distance]:
    """Run a proxy that holds every request back for so long, each for itself."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_hold_back, args=(there, upstream, seconds), daemon=True)
    process.start()
    there.close()
    try:
        yield Distance(here)
    finally:
        here.close()  # by which the process ends
        process.join()


def _hold_back(connection: Connection, upstream: str, seconds: float) -> None:
    with fault_proxy(upstream, latency(seconds)) as proxy:
        connection.send(proxy.endpoint)
        while True:
            try:
                start, end = connection.recv()
            except EOFError:
                return
            connection.send([e for e in list(proxy.log) if start <= e.started <= end])
