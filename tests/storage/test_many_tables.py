"""What a change costs, which does not depend on how many tables and fields there are already."""

from __future__ import annotations

import contextlib
import sys

import numpy as np
import pytest

from exetera_zarr import Session
from exetera_zarr.storage.hdf5.handle import FileHandle
from exetera_zarr.storage.undo import UndoLog

ENDINGS = ["zarr", "hdf5"]


@pytest.fixture(params=ENDINGS)
def url(tmp_path, request):
    return tmp_path / f"x.{request.param}"


def calls(work):
    """How many functions of Python are called."""
    count = 0

    def note(_, event, __):
        nonlocal count
        count += event == "call"

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def fill(ds, tables, fields):
    for number in range(tables):
        table = ds.create_dataframe(f"t{number}")
        for field in range(fields):
            table.create_numeric(f"f{field}", "int32").data.write([1, 2])


def new_table(ds):
    ds.create_dataframe("new").create_numeric("a", "int32").data.write([1])


def deleted_field(ds):
    del ds["t1"]["f1"]


def deleted_table(ds):
    del ds["t2"]


def appended_rows(ds):
    with ds.transaction():
        ds["t3"]["f0"].data.write([3])


def failed_transaction(ds):
    with contextlib.suppress(KeyError), ds.transaction():
        ds["t3"]["f0"].data.write([3])
        raise KeyError


CHANGES = [new_table, deleted_field, appended_rows, failed_transaction]
CASES = [
    *((change, (150, 4)) for change in [*CHANGES, deleted_table]),
    *((change, (5, 120)) for change in CHANGES),
]


@pytest.mark.parametrize(("change", "many"), CASES)
def test_a_change_costs_the_same_among_few_and_among_many(tmp_path, url, change, many):
    costs = []
    for tables, fields in ((5, 4), many):
        with Session() as s:
            place = tmp_path / f"{tables}-{fields}"
            place.mkdir()
            ds = s.open_dataset(place / url.name, "w", "d", durability="none")
            fill(ds, tables, fields)
            _ = [list(table.values()) for table in ds.values()]  # so that all of them are known
            costs.append(calls(lambda ds=ds: change(ds)))
            ds.rollback()
    assert costs[1] < costs[0] * 1.5 + 50


def test_a_small_commit_to_a_large_file_opens_little_of_it(tmp_path, monkeypatch):
    opened, found, real = [], [], FileHandle.at
    monkeypatch.setattr(FileHandle, "at", lambda *a: found.append(a) or real(*a))
    for tables in (5, 60):
        with Session() as s:
            ds = s.open_dataset(tmp_path / f"{tables}.hdf5", "w", "d", durability="none")
            fill(ds, tables, 5)
            ds.commit()
            new_table(ds)
            found.clear()
            ds.commit()
            opened.append(len(found))
    assert 0 < opened[0] == opened[1]


def test_a_commit_after_a_rollback_of_one_that_failed_writes_what_is_missing(tmp_path, monkeypatch):
    """What is taken to be in the file is in it, whatever a commit has left behind."""
    from exetera_zarr.errors import StorageError
    from exetera_zarr.storage.hdf5 import writing
    from exetera_zarr.testing import as_another_process

    path = tmp_path / "x.hdf5"
    with Session() as s:
        ds = s.open_dataset(path, "w", "d", durability="none")
        fill(ds, 3, 3)
        ds.commit()
        real = writing._set
        for at in range(1, 40):
            count = iter(range(1, 1_000))

            def failing(*given, at=at, count=count):
                if next(count) == at:
                    raise StorageError("no room")
                return real(*given)

            ds["t1"].create_numeric("new", "int32").data.write([7])
            ds["t2"]["f0"].data.write([3])
            del ds["t0"]["f1"]
            with monkeypatch.context() as patched:
                patched.setattr(writing, "_set", failing)
                try:
                    ds.commit()
                except StorageError:
                    ds.rollback()
                else:
                    break
            ds["t1"]["f0"].data[0] = at
            ds.commit()
            with as_another_process(), Session() as other:
                found = other.open_dataset(path, "r", "d")
                assert list(found["t0"].keys()) == ["f0", "f1", "f2"]
                assert list(found["t1"].keys()) == ["f0", "f1", "f2"]
                assert found["t1"]["f0"].data[:].tolist() == [at, 2]
                assert found["t2"]["f0"].data[:].tolist() == [1, 2]
        assert at > 3


class Part:
    def __init__(self):
        self.value = 0

    def saved(self):
        value = self.value

        def restore():
            self.value = value

        return restore


def put(log, part, value):
    log.save(part)
    part.value = value


@pytest.mark.parametrize("always", [True, False])
def test_moments_one_inside_of_the_other(always):
    log, part, other = UndoLog(always=always), Part(), Part()
    put(log, part, 1)
    outer = log.mark(0)
    put(log, part, 2)
    inner = log.mark(1)
    put(log, part, 3)
    put(log, other, 1)
    log.undo(inner)
    assert (part.value, other.value) == (2, 0)
    inner = log.mark(1)
    put(log, other, 4)
    log.forget(inner)
    put(log, other, 5)
    log.undo(outer)
    assert (part.value, other.value) == (1, 0)
    if always:
        log.undo_all()
        assert part.value == 0


def test_everything_is_taken_back_inside_of_a_transaction_that_fails_then():
    log, part = UndoLog(always=True), Part()
    put(log, part, 1)
    moment = log.mark(0)
    put(log, part, 2)
    log.undo_all()
    assert part.value == 0
    put(log, part, 9)
    log.undo(moment)
    assert part.value == 1
    log.undo_all()
    assert part.value == 0


def test_nothing_is_kept_where_nobody_returns():
    log = UndoLog()
    moment = log.mark(0)
    put(log, Part(), 1)
    log.forget(moment)
    put(log, Part(), 1)
    assert not log._steps


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_error_after_a_rollback_in_a_transaction_brings_back_what_was_before(tmp_path, ending):
    with Session() as s:
        ds = s.open_dataset(tmp_path / f"x.{ending}", "w", "d", durability="none")
        fill(ds, 2, 2)
        ds.commit()
        ds.create_dataframe("mine").create_numeric("a", "int64").data.write(np.arange(9))
        with contextlib.suppress(KeyError), ds.transaction():
            del ds["t0"]
            ds.rollback()
            assert list(ds.keys()) == ["t0", "t1"]
            del ds["t1"]
            raise KeyError
        assert list(ds.keys()) == ["t0", "t1", "mine"]
        ds.commit()
        assert ds["mine"]["a"].data[:].tolist() == list(range(9))
        ds.verify()
