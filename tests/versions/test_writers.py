"""Several writers on one table, any of their verbs: each batch is there, or was told of."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exetera_zarr import ConflictError, Session
from exetera_zarr.tables.dataset import Dataset
from exetera_zarr.testing import as_another_process

Rows = list[dict[str, Any]]
BLOCK = 64
"""So that packs have up to 15 rows, and what has more is a segment."""
TEXTS = ("", "\u00e9", "some words")


@dataclass
class Plain:
    """A table as rows, and what its writer has done since these were read."""

    columns: list[str]
    rows: Rows
    appended: Rows = field(default_factory=list)
    changed: bool = False

    def copy(self) -> Plain:
        return Plain(list(self.columns), [dict(row) for row in self.rows])

    def change(self) -> None:
        self.changed = True


def rows_of(first: int, count: int, columns: list[str]) -> Rows:
    """New rows, whose keys nobody else has; each tells in every column which one it is."""
    made = {
        "key": lambda n: n,
        "n": lambda n: n % 1000,
        "text": lambda n: TEXTS[n % 3] + str(n),
        "fixed": lambda n: f"{n % 100:02}",
    }
    return [
        {name: made.get(name, lambda n: n / 2)(first + k) for name in columns} for k in range(count)
    ]


def by_columns(rows: Rows, columns: list[str]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in columns}


class Writer:
    """A session that shares nothing with the others, and what it believes to be in the table."""

    def __init__(self, url: str, options: Any, plain: Plain, number: int) -> None:
        with as_another_process():
            self.session = Session(row_block=BLOCK)
            self.ds: Dataset = self.session.open_dataset(
                url, "r+", "d", storage_options=options, durability="none"
            )
        self.plain = plain.copy()
        self.version = self.ds.version
        self._next = number * 1_000_000

    def fresh(self, count: int) -> Rows:
        self._next += count
        return rows_of(self._next - count, count, self.plain.columns)

    @property
    def table(self) -> Any:
        return self.ds["t"]

    # -- the verbs; `size` is 0 to 40

    def append(self, size: int) -> None:
        rows = self.fresh(size + 1)
        self.table.append(by_columns(rows, self.plain.columns))
        self.plain.rows += rows
        self.plain.appended += rows

    def write_fields(self, size: int) -> None:
        """As scripts of ExeTera do it, field by field, in two pieces of different cuts."""
        rows = self.fresh(size + 2)
        for number, name in enumerate(self.plain.columns):
            values = [row[name] for row in rows]
            cut = number % (size + 1)
            for part in (values[:cut], values[cut:]):
                if part:
                    self.table[name].data.write(part)
        self.plain.rows += rows
        self.plain.appended += rows

    def upsert(self, size: int) -> None:
        """Every third row gets other values, and some rows are new."""
        columns = self.plain.columns
        others = rows_of(size + 500, len(self.plain.rows), columns)
        changed = [{**others[k], "key": row["key"]} for k, row in enumerate(self.plain.rows)][::3]
        new = self.fresh(size % 5)
        done = self.table.upsert(by_columns([*changed, *new], columns), "key")
        assert done.new == len(new)
        by_key = {row["key"]: row for row in changed}
        self.plain.rows = [by_key.get(row["key"], row) for row in self.plain.rows] + new
        self.plain.change()

    def assign(self, size: int) -> None:
        at = size % len(self.plain.rows)
        self.table["n"].data[at] = -1 - size
        self.plain.rows[at]["n"] = -1 - size
        if at < len(self.plain.rows) - len(self.plain.appended):  # else of a row that nobody has
            self.plain.change()

    def delete(self, size: int) -> None:
        gone = [k for k in range(len(self.plain.rows)) if k % 5 == size % 5 and k]
        if gone:
            self.table.delete(gone)
            self.plain.rows = [r for k, r in enumerate(self.plain.rows) if k not in gone]
            self.plain.change()

    def add_column(self, size: int) -> None:
        name = f"x{size}-{len(self.plain.columns)}-{self._next}"
        values = [k / 4 for k in range(len(self.plain.rows))]
        self.table.create_numeric(name, "float64").data.write(values)
        for row, value in zip(self.plain.rows, values, strict=True):
            row[name] = value
        self.plain.columns.append(name)
        self.plain.change()

    def rename_column(self, size: int) -> None:
        for old in self.plain.columns[4:][:1]:
            new = f"y{size}-{self._next}-{uuid.uuid4().hex[:4]}"
            self.table.rename(old, new)
            self.plain.columns = [new if name == old else name for name in self.plain.columns]
            for row in self.plain.rows:
                row[new] = row.pop(old)
            self.plain.change()

    def drop_column(self, _: int) -> None:
        for name in self.plain.columns[4:][:1]:
            del self.table[name]
            self.plain.columns.remove(name)
            for row in self.plain.rows:
                del row[name]
            self.plain.change()

    def sort(self, _: int) -> None:
        self.table.sort_values("key", ascending=False)
        self.plain.rows.sort(key=lambda row: -row["key"])
        self.plain.change()

    def nothing(self, _: int) -> None:
        """Only commit what there is."""

    VERBS = (
        *(append, append, append, append, write_fields, upsert, assign, delete),
        *(add_column, rename_column, drop_column, sort, nothing),
    )

    def look(self) -> None:
        """What it sees is what it believes."""
        assert read(self.ds) == by_columns(self.plain.rows, self.plain.columns)


def read(ds: Dataset) -> dict[str, list[Any]]:
    found = {}
    for name, one in ds["t"].items():
        values = np.asarray(one.data[:]).tolist()
        found[name] = [v.decode() if isinstance(v, bytes) else v for v in values]
    return found


class World:
    """The dataset, its writers, and the newest version as it has to be."""

    def __init__(self, url: str, options: Any, writers: int) -> None:
        self.url, self.options = url, options
        columns = ["key", "n", "text", "fixed"]
        self.newest = Plain(columns, rows_of(0, 9, columns))
        with Session(row_block=BLOCK) as s:
            ds = s.open_dataset(url, "w", "d", storage_options=options, durability="none")
            table = ds.create_dataframe("t")
            table.create_numeric("key", "int64")
            table.create_numeric("n", "int32")
            table.create_indexed_string("text")
            table.create_fixed_string("fixed", 3)
            table.append(by_columns(self.newest.rows, columns))
            ds.commit()
            self.version = ds.version
        self.since: list[bool | None] = [False] * (self.version + 1)
        """Of each version, whether it only appended rows; None where it did nothing at all."""
        self.writers = [Writer(url, options, self.newest, n + 1) for n in range(writers)]
        self.conflicts = self.met = 0

    def commit(self, writer: Writer, how: Callable[[], Any]) -> None:
        """Have a writer commit, which is to succeed exactly where that loses nothing."""
        mine = writer.plain
        theirs = [one for one in self.since[writer.version + 1 :] if one is not None]
        may = not theirs or not (mine.changed or mine.appended)
        if theirs and all(theirs) and mine.appended and not mine.changed:
            may, self.met = True, self.met + 1
        try:
            how()
        except ConflictError:
            assert not may
            self.conflicts += 1
            writer.ds.rollback()
        else:
            made = writer.ds.version >= len(self.since)  # not where all is as it was
            assert may or not made
            if made and (mine.changed or mine.appended):
                appended = not mine.changed
                if theirs:
                    self.newest.rows += [dict(row) for row in mine.appended]
                else:
                    self.newest = mine.copy()
                self.since.append(appended)
        writer.ds.refresh()
        writer.plain, writer.version = self.newest.copy(), writer.ds.version
        writer.look()

    def compact(self, writer: Writer) -> None:
        """Which commits as well."""
        if len(self.since) == writer.version + 1:  # else it may be a conflict, and may be none
            base = writer.ds.storage.draft.base
            writer.ds.compact()
            self.newest = writer.plain.copy()
            same = writer.ds.storage.draft.base.below == base.below
            self.since += [None if same else False] * (writer.ds.version - base.number)
            writer.plain, writer.version = self.newest.copy(), writer.ds.version
            writer.look()

    def look(self, *, verify: bool = False) -> None:
        """Another process sees the newest version, and finds nothing wrong."""
        with as_another_process(), Session() as s:
            ds = s.open_dataset(self.url, "r", "d", storage_options=self.options)
            assert ds.version + 1 == len(self.since)
            assert read(ds) == by_columns(self.newest.rows, self.newest.columns)
            if verify:
                ds.verify()

    def close(self) -> None:
        for writer in self.writers:
            writer.ds.rollback()
            writer.session.close()


STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.lists(st.tuples(st.sampled_from(Writer.VERBS), st.integers(0, 40)), max_size=3),
        st.sampled_from(["commit", "commit", "commit", "wait", "wait", "rollback", "compact"]),
    ),
    min_size=4,
    max_size=14,
)


def run(world: World, steps: Any) -> None:
    for number, verbs, after in steps:
        writer = world.writers[number]
        for verb, size in verbs:
            verb(writer, size)
        writer.look()
        match after:
            case "commit":
                world.commit(writer, writer.ds.commit)
            case "rollback":
                writer.ds.rollback()
                writer.ds.refresh()
                writer.plain, writer.version = world.newest.copy(), writer.ds.version
                writer.look()
            case "compact":
                world.compact(writer)
        world.look()
    for writer in world.writers:
        world.commit(writer, writer.ds.commit)
    world.look(verify=True)


@pytest.mark.zarr
@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_any_verbs_of_three_writers(place, steps):
    """Appends go beside appends, whole and in the order of their commits; all else is told."""
    check(place, steps)


@pytest.mark.slow
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_many_verbs_of_three_writers(place, steps):
    """The same, more of it."""
    check(place, steps)


def check(place: Any, steps: Any) -> None:
    world = World(place.url(f"{uuid.uuid4().hex}.zarr"), place.storage_options, 3)
    try:
        run(world, steps)
    finally:
        world.close()
