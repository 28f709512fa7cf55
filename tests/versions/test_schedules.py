"""Random changes, random failures, several requests at a time: all or nothing all the same."""

from __future__ import annotations

import random
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exetera_zarr import StorageError
from exetera_zarr.storage import sharing
from exetera_zarr.tables.dataframe import DataFrame
from exetera_zarr.tables.dataset import Dataset
from exetera_zarr.testing import Faults, as_another_process, failing
from support.fault_model import BLOCK, NAME, quiet, seen, seen_by_zarr, session, values_of

Change = Callable[[Dataset], None]
FAILURES = 3


def random_values(rng: random.Random, rows: int) -> tuple[np.ndarray, list[str]]:
    numbers = np.array([rng.randrange(-50, 50) for _ in range(rows)], "int32")
    return numbers, [f"text {rng.randrange(100)}" * rng.randrange(3) for _ in range(rows)]


def new_table(rng: random.Random, ds: Dataset) -> Change:
    """Of short blocks, or of such that what is appended is a pack, or may be."""
    name = next(name for name in map("t{}".format, range(100)) if name not in ds)
    numbers, texts = random_values(rng, rng.randrange(12))
    block = rng.choice([BLOCK, 24, 200])

    def change(ds: Dataset) -> None:
        with ds.transaction():
            table = ds.create_dataframe(name, row_block=block)
            table.create_numeric("n", "int32").data.write(numbers)
            table.create_indexed_string("s").data.write(texts)

    return change


def append(rng: random.Random, ds: Dataset) -> Change:
    name = rng.choice(ds.keys())
    numbers, texts = random_values(rng, rng.randrange(1, 12))

    def change(ds: Dataset) -> None:
        with ds.transaction():
            for field in ds[name].values():
                field.data.write(texts if field.indexed else numbers)

    return change


def assign(rng: random.Random, ds: Dataset) -> Change:
    name = rng.choice(ds.keys())
    rows = ds[name].length()
    start = rng.randrange(rows + 1)
    numbers, _ = random_values(rng, rng.randrange(rows - start + 1))

    def change(ds: Dataset) -> None:
        with ds.transaction():
            for field in ds[name].values():
                if not field.indexed:
                    field.data[start : start + len(numbers)] = numbers

    return change


def rows_for(rng: random.Random, table: DataFrame, rows: int) -> dict[str, Any]:
    """Rows with a value of each field of a table."""
    numbers, texts = random_values(rng, rows)
    return {name: texts if field.indexed else numbers for name, field in table.items()}


def append_rows(rng: random.Random, ds: Dataset) -> Change:
    name = rng.choice(ds.keys())
    rows = rows_for(rng, ds[name], rng.choice([1, 2, 3, 30]))
    return lambda ds: ds[name].append(rows) and None


def upsert(rng: random.Random, ds: Dataset) -> Change:
    """Where some field tells the rows apart; else they are appended."""
    name = rng.choice(ds.keys())
    table = ds[name]
    rows = rows_for(rng, table, 5)
    for key, field in table.items():
        there = np.asarray(field.data[:]).tolist()
        if not field.indexed and len(set(there)) == len(there):
            rows[key] = [*there[1:4], *range(1000, 1002 + len(there[:1]))]
            rows = {name: values[: len(rows[key])] for name, values in rows.items()}
            if len(rows[key]) == 5:
                return lambda ds: ds[name].upsert(rows, key) and None
    return append_rows(rng, ds)


def delete_rows(rng: random.Random, ds: Dataset) -> Change:
    name = rng.choice(ds.keys())
    gone = [row for row in range(ds[name].length()) if rng.random() < 0.3]
    return lambda ds: ds[name].delete(gone) and None


def add_field(rng: random.Random, ds: Dataset) -> Change:
    name = rng.choice(ds.keys())
    field = f"f{rng.getrandbits(32):x}"
    numbers, _ = random_values(rng, ds[name].length())
    return lambda ds: ds[name].create_numeric(field, "int32").data.write(numbers)


def compact(rng: random.Random, ds: Dataset) -> Change:
    """In the draft, as the commit is made by others here."""
    name = rng.choice(ds.keys())
    return lambda ds: ds.storage.compact(name)


def filter_rows(rng: random.Random, ds: Dataset) -> Change:
    name = rng.choice(ds.keys())
    mask = np.array([rng.random() < 0.7 for _ in range(ds[name].length())], bool)
    return lambda ds: ds[name].apply_filter(mask) and None


def sort(rng: random.Random, ds: Dataset) -> Change:
    name = rng.choice(ds.keys())
    by = rng.choice(ds[name].keys())
    return lambda ds: ds[name].sort_values(by) and None


def rename(rng: random.Random, ds: Dataset) -> Change:
    name = rng.choice(ds.keys())
    new = uuid.UUID(int=rng.getrandbits(128)).hex[:6]
    if rng.random() < 0.5:
        return lambda ds: ds.__setitem__(new, ds[name])
    field = rng.choice(ds[name].keys())
    return lambda ds: ds[name].rename(field, new)


def delete(rng: random.Random, ds: Dataset) -> Change:
    name = rng.choice(ds.keys())
    if len(ds[name].keys()) > 1 and rng.random() < 0.7:
        field = rng.choice(ds[name].keys())
        return lambda ds: ds[name].__delitem__(field)
    return lambda ds: ds.__delitem__(name)


def random_change(rng: random.Random, ds: Dataset) -> Change:
    """One that can be made on the dataset as it is."""
    kinds = [append, append, assign, filter_rows, sort, rename, delete, new_table]
    kinds += [
        append_rows,
        append_rows,
        append_rows,
        upsert,
        upsert,
        delete_rows,
        add_field,
        compact,
    ]
    return (rng.choice(kinds) if len(ds.keys()) else new_table)(rng, ds)


class Schedule:
    """A dataset on a store that fails now and then, and its twin on one that does not."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.rng = random.Random(seed)
        self.place = folder / NAME
        self.faults = Faults(serial=False)
        self.twin_session = session()
        self.twin = self.twin_session.open_dataset(f"memory://{uuid.uuid4().hex}", "w", "twin")
        self.open("w")
        self.ds.commit()
        self.possible: list[dict] = [{}]
        self.plain = [seen_by_zarr(self.place)]
        self.failures = 0

    def open(self, mode: str = "r+") -> None:
        self.session = session()
        with failing(self.faults):
            self.ds = self.session.open_dataset(self.place, mode, "d", durability="none")

    def arm(self) -> None:
        calls = [self.rng.randrange(1, 40) for _ in range(self.rng.randrange(1, FAILURES + 1))]
        self.faults.arm(*calls, applied=self.rng.random() < 0.5, lasting=self.rng.random() < 0.2)

    def disarm(self) -> None:
        self.failures += len(self.faults.failed)
        self.faults.disarm()

    def change(self) -> None:
        """Make a change, again if it fails; then nothing of it is to be there."""
        change = random_change(self.rng, self.twin)
        unchanged = values_of(self.twin)
        for _ in range(FAILURES + 2):
            try:
                change(self.ds)
            except StorageError:
                self.disarm()
                assert values_of(self.ds) == unchanged
            else:
                break
        else:
            raise AssertionError("the change fails, though the store does not")
        change(self.twin)

    def store(self) -> bool:
        """Commit, or more; False where that failed."""
        try:
            with quiet():
                if self.rng.random() < 0.2:
                    self.ds.vacuum(keep=1, older_than=0)
                else:
                    self.ds.commit()
        except StorageError:
            return False
        return True

    def look(self) -> bool:
        """See one of the versions that were to be, whole; whether it is the last one."""
        after = values_of(self.twin)
        found = seen(self.place)
        assert found in (*self.possible, after)
        assert seen_by_zarr(self.place) is not None
        return found == after

    def crash(self, *, committed: bool) -> None:
        """The process ends, and another one goes on with what it finds."""
        draft = self.ds.storage.draft
        self.ds._dropped.detach()
        draft.users.clear()
        sharing.forget(draft)
        if committed:
            self.twin.commit()
        else:
            self.twin.rollback()
        with quiet():
            self.open()

    def step(self) -> None:
        """Change something and commit it, with failures, until it is there."""
        self.arm()
        for _ in range(self.rng.randrange(1, 4)):
            self.change()
        stored = self.store()
        self.disarm()
        committed = self.look()
        assert committed or not stored
        if self.rng.random() < 0.3:
            self.crash(committed=committed)
        elif not stored and self.rng.random() < 0.5:
            self.possible.append(values_of(self.twin))
            self.change()  # and go on, not knowing whether the commit was made
        self.ds.commit()
        assert self.look()
        self.twin.commit()
        self.settled()

    def settled(self) -> None:
        """All that was done is committed."""
        self.possible = [values_of(self.twin)]
        assert values_of(self.ds) == self.possible[0] == seen(self.place)

    def other_writer(self) -> None:
        """Another process does something, under the feet of this one."""
        change = random_change(self.rng, self.twin)
        with as_another_process(), session() as s:
            change(s.open_dataset(self.place, "r+", "d", durability="none"))
        change(self.twin)
        self.twin.commit()
        self.ds.refresh()
        self.settled()

    def appends_beside(self) -> None:
        """Another process appends to a table to which this one has appended, and is faster."""
        mine, theirs = (append_rows(self.rng, self.twin) for _ in range(2))
        mine(self.ds)
        with as_another_process(), session() as s:
            theirs(s.open_dataset(self.place, "r+", "d", durability="none"))
        for change in (theirs, mine):
            change(self.twin)
        self.twin.commit()
        self.arm()
        self.store()
        self.disarm()
        self.ds.commit()
        self.settled()

    def run(self) -> int:
        for _ in range(self.rng.randrange(2, 5)):
            self.step()
            if self.rng.random() < 0.2:
                self.other_writer()
            if len(self.twin.keys()) and self.rng.random() < 0.3:
                self.appends_beside()
        self.ds.verify()
        self.session.close()
        self.twin_session.close()
        assert seen(self.place) == self.possible[0]
        return self.failures


def check_schedules(seeds: range, folder: Path) -> None:
    failures = 0
    for seed in seeds:
        place = folder / str(seed)
        place.mkdir()
        try:
            failures += Schedule(seed, place).run()
        except BaseException as error:
            error.add_note(f"schedule {seed}")
            raise
        shutil.rmtree(place)
    print(f"{len(seeds)} schedules, {failures} failed calls")  # noqa: T201
    assert failures > len(seeds)


def test_random_schedules(tmp_path):
    """What others see is the version before or after; what was to be stored gets stored, once."""
    check_schedules(range(24), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(1000, 1500, 100))
def test_many_random_schedules(start, tmp_path):
    """The same, 500 times."""
    check_schedules(range(start, start + 100), tmp_path)
