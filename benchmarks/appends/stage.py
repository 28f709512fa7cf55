"""Who takes part, where their tables are, and how processes are had do something with them."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.contest import Outcome, progress, run_worker
from benchmarks.contestants.bucket import Bucket
from benchmarks.contestants.growing import Columns, Lap, sorted_columns
from benchmarks.files import stored_bytes
from benchmarks.traffic import Client, Distance, Traffic, distance
from benchmarks.worker import digest
from support.servers import seaweedfs_server

MODULES = "benchmarks.contestants.growing_"


@dataclass(frozen=True)
class Peer:
    """One who may take part: the command line's name of it, and its package."""

    title: str
    name: str
    package: str


OURS = Client("exetera_zarr", f"{MODULES}ours", "")
LANCE, DELTA, ARCTICDB = "Lance", "Delta", "ArcticDB"
DUCKLAKE, ICECHUNK = "DuckLake", "icechunk"
PEERS = (
    Peer(ARCTICDB, "arcticdb", "arcticdb"),
    Peer(DELTA, "delta", "deltalake"),
    Peer(LANCE, "lance", "pylance"),
    Peer(DUCKLAKE, "ducklake", "duckdb-extension-ducklake"),
    Peer(ICECHUNK, "icechunk", "icechunk"),
)


class FailedError(Exception):
    """A contestant could not do something, or did it wrong."""


@dataclass
class Stage:
    """
    Where tables are kept.

    Parameters
    ----------
    arguments
        Of the command line.
    scratch
        An empty folder on the disk.
    peers
        Who is there.
    bucket, distant
        The bucket itself, and behind the proxy.
    distance
        The proxy.
    """

    arguments: argparse.Namespace
    scratch: Path
    peers: Sequence[Client]
    bucket: Bucket
    distant: Bucket
    distance: Distance
    made: int = field(default=0, init=False)

    @property
    def contestants(self) -> list[Client]:
        """Ours and the peers."""
        return [OURS, *self.peers]

    def some(self, *names: str) -> list[Client]:
        """Ours and those of the peers that have such a name."""
        return [OURS, *(peer for peer in self.peers if peer.name in names)]

    def fresh(self, what: str = "table") -> str:
        """A name that nothing has."""
        self.made += 1
        return f"{what}-{self.made}"

    def folder(self, what: str) -> Path:
        """A new folder on the disk."""
        made = self.scratch / self.fresh(what)
        made.mkdir()
        return made

    def on_disk(self, path: str) -> dict[str, Any]:
        """A place on the disk."""
        return {"path": str(self.scratch / path), "bucket": None}

    def in_bucket(self, path: str) -> dict[str, Any]:
        """A place in the bucket."""
        return {"path": path, "bucket": asdict(self.bucket)}

    def far_away(self, path: str) -> dict[str, Any]:
        """The same, behind the proxy."""
        return {"path": path, "bucket": asdict(self.distant)}

    def size(self, place: dict[str, Any]) -> int:
        """Bytes that a table takes."""
        if place["bucket"]:
            return int(self.bucket.filesystem().du(f"{self.bucket.name}/{place['path']}"))
        return stored_bytes(Path(place["path"]))

    def traffic(self, lap: Lap) -> Traffic:
        """The requests within a lap."""
        _, start, end, _ = lap
        return Traffic.of(self.distance.requests(start, end))

    def have(
        self,
        contestant: Client,
        task: str,
        place: dict[str, Any],
        inputs: Path | None = None,
        **options: Any,
    ) -> Outcome:
        """
        Have a fresh process do a task.

        Raises
        ------
        FailedError
            It did not.
        """
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            report = Path(folder) / "report.json"
            settings = {
                name: value.format(scratch=self.scratch) if isinstance(value, str) else value
                for name, value in contestant.options.items()
            }
            request = {
                "contestant": contestant.module,
                "task": task,
                "options": {"place": place, "settings": settings, **options},
                "report": str(report),
                "small": None,
                "work": {"inputs": str(inputs or folder), "output": f"{folder}/nothing"},
            }
            outcome = run_worker(contestant, request, report, self.arguments.timeout)
        if outcome.error:
            raise FailedError(outcome.error)
        return outcome


def check(outcome: Outcome, contestant: Client, expected: Columns) -> None:
    """
    Say whether what was read is right.

    Raises
    ------
    FailedError
        It is not.
    """
    right = expected if contestant.keeps_order else sorted_columns(expected)
    if outcome.digest != digest(right):
        raise FailedError("other values")


def measured(
    what: str,
    contestants: Sequence[Client],
    measure: Callable[[Client], Any],
) -> dict[str, Any]:
    """What was measured of each, by name, or the error that there was."""
    found: dict[str, Any] = {}
    for contestant in contestants:
        try:
            found[contestant.name] = measure(contestant)
        except FailedError as error:
            found[contestant.name] = error
        progress(what, contestant.name, str(found[contestant.name])[:200])
    return found


def seconds(laps: Sequence[Lap]) -> list[float]:
    return [end - start for _, start, end, _ in laps]


def middle(laps: Sequence[Lap]) -> float:
    """Median of their times."""
    return statistics.median(seconds(laps))


def busy(laps: Sequence[Lap]) -> float:
    """Median of the processor's times."""
    return statistics.median(lap[3] for lap in laps)


def interpreter(option: str) -> tuple[str, Path]:
    """Read `name=path`, as the command line has it."""
    name, _, path = option.partition("=")
    if name not in {peer.name for peer in PEERS} or not path:
        raise argparse.ArgumentTypeError(
            f"{option!r} is not NAME=PATH with one of {', '.join(peer.name for peer in PEERS)}"
        )
    return name, Path(
        path
    ).expanduser().absolute()  # not resolved: an environment is known by its link


def find_peers(interpreters: dict[str, Path]) -> tuple[list[Client], list[str]]:
    """Those who are there, and a line on each peer: its version, or that it is absent."""
    there, lines = [], []
    for peer in PEERS:
        python = interpreters.get(peer.name, Path(sys.executable))
        ask = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
        done = subprocess.run(
            [python, "-c", ask, peer.package], capture_output=True, text=True, check=False
        )
        if done.returncode:
            lines.append(f"{peer.title} absent: {peer.package} is not installed")
            continue
        options = {"catalogues": "{scratch}"} if peer.title == DUCKLAKE else {}
        ordered = peer.title not in (DELTA, DUCKLAKE)
        client = Client(peer.title, f"{MODULES}{peer.name}", "", ordered, options=options)
        there.append(replace(client, python=partial(Path, python)))
        lines.append(f"{peer.title} {done.stdout.strip()}")
    return there, lines


@contextmanager
def stage(arguments: argparse.Namespace, peers: Sequence[Client]) -> Iterator[Stage]:
    """A folder, a server, and a proxy before it."""
    with ExitStack() as stack:
        folder = tempfile.TemporaryDirectory(
            dir=arguments.work_dir, prefix="benchmark-", ignore_cleanup_errors=True
        )
        scratch = Path(stack.enter_context(folder))
        server = stack.enter_context(seaweedfs_server())
        server.make_bucket("bench")
        proxy = stack.enter_context(distance(server.endpoint, arguments.latency))
        near = Bucket("bench", server.endpoint, **server.credentials)
        far = replace(near, endpoint_url=proxy.endpoint)
        yield Stage(arguments, scratch, peers, near, far, proxy)
