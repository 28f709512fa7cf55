"""A table that grows, as each contestant keeps it, and what is done with it.

Runs also in the environments of peers, which have numpy and what each of them needs.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.contestants.bucket import Bucket, Shape

Columns = dict[str, npt.NDArray[Any]]
Lap = tuple[str, float, float, float]
"""What was timed, when it began and ended, and the seconds of the processor in between."""
Told = tuple[list[Lap], Columns | None]
DAYS = 1000


class CannotError(Exception):
    """A contestant has no such operation."""


@dataclass(frozen=True)
class Place:
    """
    Where a table is kept.

    Parameters
    ----------
    path
        A folder on the disk, or in the bucket.
    bucket
        The bucket, if it is in one.
    """

    path: str
    bucket: Bucket | None = None

    @classmethod
    def of(cls, path: str, bucket: dict[str, str] | None) -> Place:
        return cls(path, Bucket(**bucket) if bucket else None)

    @property
    def url(self) -> str:
        return self.bucket.url(self.path) if self.bucket else self.path

    @property
    def rust_options(self) -> dict[str, str]:
        return self.bucket.rust_options if self.bucket else {}


class Growing(ABC):
    """
    A table, which each operation opens anew, as a script does that runs once a day.

    Parameters
    ----------
    place
        Where it is; clients of the service are made here, and are not timed.
    """

    def __init__(self, place: Place) -> None:
        self.place = place

    @abstractmethod
    def create(self, rows: Columns) -> None:
        """Make the table."""

    @abstractmethod
    def append(self, rows: Columns) -> None:
        """Append rows, and have them committed."""

    @abstractmethod
    def read(self, names: Sequence[str] | None = None, day: int | None = None) -> Columns:
        """All columns or some, of all rows or of those of which the column `day` is this one."""

    def compact(self) -> None:
        """Make of many small parts a few large ones."""
        raise CannotError("has no such operation")

    def load(self, source: Path) -> None:
        """Make the table of a Parquet file."""
        raise CannotError("has no such operation")

    def upsert(self, source: Path) -> None:
        """Change the rows whose `id` is there, and append the others, of a Parquet file."""
        raise CannotError("has no upsert")

    def export(self, target: Path) -> None:
        """Write the table as a Parquet file."""
        raise CannotError("has no such operation")

    def history(self) -> int:
        """How many versions there are."""
        raise CannotError("has no such operation")

    def vacuum(self) -> None:
        """Forget all versions but the newest."""
        raise CannotError("has no such operation")


class Laps(list[Lap]):
    """What was timed, in order."""

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Time something, unless it fails."""
        start, busy = time.perf_counter(), time.process_time()
        yield
        self.append((name, start, time.perf_counter(), time.process_time() - busy))


def by_day(shape: Shape) -> Columns:
    """A table of one shape that is sorted by day; its values repeat, so that it is soon made."""
    rows = shape.table()
    rows["day"] = np.sort(rows[shape.names[0]] % DAYS).astype("int32")
    return rows


# -- what is done; `inputs` is a folder, and `place` and `settings` say which table


def create(
    kind: Callable[..., Growing],
    inputs: Path,
    output: Path,
    *,
    place: dict[str, Any],
    settings: dict[str, Any],
    shape: tuple[int, int],
    sorted_by_day: bool = False,
    days: Sequence[int] = (),
) -> Told:
    """Make a table; with `days`, with the rows in it that were appended on these."""
    made = Shape(*shape)
    rows: Columns = by_day(made) if sorted_by_day else dict(made.table())
    for day, count in enumerate(days, 1):
        more = Shape(made.columns, count).table(day)
        rows = {name: np.concatenate([rows[name], more[name]]) for name in rows}
    laps = Laps()
    table = kind(Place.of(**place), **settings)
    with laps.time("create"):
        table.create(rows)
    return laps, None


def append(
    kind: Callable[..., Growing],
    inputs: Path,
    output: Path,
    *,
    place: dict[str, Any],
    settings: dict[str, Any],
    shape: tuple[int, int],
    times: int,
    first: int = 1,
    patience: float = 3600.0,
) -> Told:
    """Append this many rows, this many times, until the patience is at an end."""
    table = kind(Place.of(**place), **settings)
    laps = Laps()
    for number in range(first, first + times):
        rows = Shape(*shape).table(number)
        with laps.time("append"):
            table.append(dict(rows))
        if laps[-1][2] - laps[0][1] > patience:
            break
    return laps, None


def read(
    kind: Callable[..., Growing],
    inputs: Path,
    output: Path,
    *,
    place: dict[str, Any],
    settings: dict[str, Any],
    names: Sequence[str] | None,
    times: int,
    days: Sequence[int | None] = (None,),
    ordered: bool = True,
) -> Told:
    """Read columns; of the last of `days` so many times, after once each of the others."""
    table = kind(Place.of(**place), **settings)
    laps = Laps()
    for day in [*days[:-1], *[days[-1]] * times]:
        with laps.time("read"):
            found = table.read(names, day)
    return laps, found if ordered else sorted_columns(found)


def sorted_columns(columns: Columns) -> Columns:
    """What can be compared where the order of rows is not kept."""
    return {name: np.sort(values) for name, values in columns.items()}


def begin(
    kind: Callable[..., Growing],
    inputs: Path,
    output: Path,
    *,
    place: dict[str, Any],
    settings: dict[str, Any],
    rows: int,
) -> Told:
    """Make the table of a crowd."""
    kind(Place.of(**place), **settings).create(batch_of(0, 0, rows))
    return [], None


def crowd(
    kind: Callable[..., Growing],
    inputs: Path,
    output: Path,
    *,
    place: dict[str, Any],
    settings: dict[str, Any],
    writer: int,
    batches: int,
    rows: int,
) -> Told:
    """Be one of many who append, once there is a file `go`; what is not acknowledged is told."""
    table = kind(Place.of(**place), **settings)
    table.read(["writer"])
    (inputs / f"ready-{writer}").touch()
    while not (inputs / "go").exists():
        time.sleep(0.01)
    laps = Laps()
    for batch in range(batches):
        values = batch_of(writer, batch, rows)
        start = time.perf_counter()
        try:
            with laps.time(f"acknowledged {batch}"):
                table.append(values)
        except Exception as error:  # noqa: BLE001 - whatever it is, it was told
            laps.append((f"refused: {type(error).__name__}", start, time.perf_counter(), 0.0))
    return laps, None


def batch_of(writer: int, batch: int, rows: int) -> Columns:
    """Rows that say where they come from."""
    numbers = np.arange(rows, dtype="int32")
    whose = {"writer": writer, "batch": batch}
    return {name: np.full(rows, value, "int32") for name, value in whose.items()} | {"row": numbers}


def operation(
    name: str,
    kind: Callable[..., Growing],
    inputs: Path,
    output: Path,
    *,
    place: dict[str, Any],
    settings: dict[str, Any],
    file: str | None = None,
    warm: Sequence[str] = (),
) -> Told:
    """Do something that takes no more than a file of the inputs; before, read some columns."""
    table = kind(Place.of(**place), **settings)
    laps = Laps()
    if warm:
        table.read(warm)
    with laps.time(name):
        getattr(table, name)(*([inputs / file] if file else []))
    return laps, None


def save(
    kind: Callable[..., Growing],
    inputs: Path,
    output: Path,
    *,
    place: dict[str, Any],
    settings: dict[str, Any],
    file: str,
) -> Told:
    """Save all columns as arrays of numpy."""
    columns: dict[str, Any] = kind(Place.of(**place), **settings).read()
    np.savez(inputs / file, **columns)
    return [], None


OPERATIONS = ("compact", "load", "upsert", "export", "history", "vacuum")
TASKS = {
    **{task.__name__: task for task in (create, append, read, begin, crowd, save)},
    **{name: partial(operation, name) for name in OPERATIONS},
}


def tasks_of(kind: Callable[..., Growing]) -> dict[str, Callable[..., Told]]:
    """All tasks as done with one contestant's tables."""
    return {name: partial(task, kind) for name, task in TASKS.items()}
