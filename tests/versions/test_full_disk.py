"""A disk without room: the last version is whole, and what failed gives its room back."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import shutil
import subprocess
import warnings

import numpy as np
import pytest

from exetera_zarr import ConflictError, CorruptDataError, Session, StorageError, merge, settings
from exetera_zarr.engine.streams.workspace import Workspace
from exetera_zarr.io import import_tables
from exetera_zarr.io.schema.load import load_schema
from exetera_zarr.storage.hdf5.room import Room
from exetera_zarr.testing import as_another_process, failing
from exetera_zarr.testing.faults import Faults

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
OLD = list(range(95))


def objects(folder):
    """Files below a folder, but for what tells other readers of a version."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def values(url, *, verify=True):
    with as_another_process(), Session() as s:
        ds = s.open_dataset(url, "r", "d")
        if verify:
            ds.verify()
        return {f"{t}/{n}": list(f.data[:]) for t, x in ds.items() for n, f in x.items()}


@pytest.fixture
def url(tmp_path):
    with Session(row_block=10) as s:
        ds = s.open_dataset(tmp_path / "x.zarr", "w", "d", durability="none")
        ds.create_dataframe("t").create_numeric("a", "int64").data.write(np.arange(95))
    return tmp_path / "x.zarr"


def change(ds):
    ds["t"]["a"].data[3:20] = 0
    ds["t"].create_indexed_string("s").data.write([str(n) for n in range(95)])
    ds.create_dataframe("u").create_fixed_string("f", 3).data.write([b"abc"] * 95)


def opened(s, url):
    return s.open_dataset(url, "r+", "d", durability="none")


def fail_at_any_write(url, tmp_path, work, *, lasting, undone, again):
    """
    Have the disk full at one write after the other, on a copy of a dataset each; the copies.

    The last version is whole then, and a rollback gives back what was taken, while there is still
    no room; `undone` and `again` are called after that, and when there is room. The last copy is
    that of the run that failed nowhere.
    """
    before = objects(url)
    for at in range(1, 10_000):
        place = tmp_path / f"y{at}.zarr"
        shutil.copytree(url, place)
        faults = Faults()
        with failing(faults), Session(row_block=10) as s:
            ds = opened(s, place)
            faults.arm(at, lasting=lasting, full=True)
            committed = False
            with contextlib.suppress(StorageError):
                work(ds)
                ds.commit()
                committed = True
            failed = bool(faults.failed)
            if not committed:
                assert values(place) == {"t/a": OLD}
                ds.rollback()
                assert objects(place) == before, at
                undone(ds)
            faults.disarm()
            if not committed:
                again(ds, place)
        yield place, failed
        if not failed:
            break
    assert at > 15


@pytest.mark.parametrize("lasting", [True, False])
def test_a_full_disk_at_any_write_of_a_commit(url, tmp_path, lasting):
    def undone(ds):
        assert ds["t"]["a"].data[:].tolist() == OLD

    def again(ds, place):
        ds["t"]["a"].data[0] = 1
        ds.commit()
        assert values(place) == {"t/a": [1, *OLD[1:]]}

    for place, failed in fail_at_any_write(
        url, tmp_path, change, lasting=lasting, undone=undone, again=again
    ):
        if failed:
            assert values(place)["t/a"][20:] == OLD[20:]


def test_a_commit_that_failed_and_is_made_smaller_leaves_nothing(url):
    faults = Faults()
    with failing(faults), Session(row_block=10) as s:
        ds = opened(s, url)
        change(ds)
        faults.arm(12, lasting=True, full=True)
        with pytest.raises(StorageError):
            ds.commit()
        faults.disarm()
        del ds["u"]
        ds["t"]["a"].data[5] = 77
        ds.commit()
        there = objects(url)
        ds.storage.vacuum(orphans_older_than=0)
        assert objects(url) == there


@pytest.mark.parametrize("lasting", [True, False])
def test_a_full_disk_at_any_write_of_a_vacuum(url, tmp_path, lasting):
    """What a crashed process left is removed, also where nothing at all can be written."""
    with Session(row_block=10) as s:
        ds = opened(s, url)
        for number in range(3):
            ds["t"]["a"].data[0] = number
            ds.commit()
    wanted = values(url)
    orphan = "t/a/values-0123456789ab/c/0"
    for at in range(1, 10_000):
        place = tmp_path / f"y{at}.zarr"
        shutil.copytree(url, place)
        (place / orphan).parent.mkdir(parents=True)
        (place / orphan).write_bytes(b"x" * 1000)
        faults = Faults()
        with failing(faults), Session(row_block=10) as s:
            ds = opened(s, place)
            faults.arm(at, lasting=lasting, full=True)
            with contextlib.suppress(StorageError):
                ds.storage.vacuum(1, 0, orphans_older_than=0)
            failed = bool(faults.failed)
            assert orphan not in objects(place), at
            faults.disarm()
            assert values(place, verify=False) == wanted
            ds.storage.vacuum(1, 0, orphans_older_than=0)
        assert values(place) == wanted
        if not failed:
            break
    assert at > 3


def test_rolling_back_leaves_what_another_thread_is_making(url):
    """It is in no table yet, and is going to be."""
    with Session(row_block=10) as s:
        ds = opened(s, url)
        group = ds.storage.root.group("t").group("a")
        made = group.new_array("values", "int64")
        made.append(np.arange(40))
        change(ds)
        ds.rollback()
        group.set_arrays({"values": made})
        ds.commit()
    assert values(url) == {"t/a": list(range(40))}


def test_an_error_that_leaves_a_transaction_after_a_rollback_in_it(url):
    with Session(row_block=10) as s:
        ds = opened(s, url)
        ds["t"]["a"].data.write(np.arange(40))
        with contextlib.suppress(KeyError), ds.transaction():
            ds.rollback()
            raise KeyError
        ds.commit()
    assert values(url) == {"t/a": [*OLD, *range(40)]}


@pytest.mark.parametrize("how", ["moved", "removed"])
def test_a_commit_to_a_place_that_is_gone(url, tmp_path, how):
    """It is refused, and a rollback leaves nothing where the dataset was."""
    with contextlib.suppress(ConflictError), Session(row_block=10) as s:
        ds = opened(s, url)
        change(ds)
        if how == "moved":
            url.rename(tmp_path / "elsewhere.zarr")
        else:
            while url.exists():  # what is being uploaded meanwhile makes folders anew
                shutil.rmtree(url, ignore_errors=True)
        with pytest.raises(ConflictError, match="removed"):
            ds.commit()
        ds.rollback()
        assert not url.exists()


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("only root mounts a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_really_full(small_disk):
    rows = np.random.default_rng(0).integers(0, 1 << 60, 100_000)
    url = small_disk / "x.zarr"
    with Session() as s:
        ds = s.open_dataset(url, "w", "d")
        ds.create_dataframe("t").create_numeric("a", "int64").data.write(rows)
        ds.commit()
        for name in "bcdefg":
            ds["t"].create_numeric(name, "int64").data.write(rows)
        with pytest.raises(StorageError, match=r"no room left .*x\.zarr"):
            ds.commit()
        ds.rollback()
        used = sum(p.stat().st_size for p in url.rglob("*") if p.is_file())
        assert used < 1_000_000
        ds["t"].create_numeric("b", "int64").data.write(rows)
        ds.commit()
        orphan = url / "t/a/values-0123456789ab/c/0"
        orphan.parent.mkdir(parents=True)
        with contextlib.suppress(OSError), orphan.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            ds.storage.vacuum(orphans_older_than=0)
        assert not orphan.exists()
        ds.verify()


# HDF5, which is written in place


def filled(folder, left):
    """A file that leaves so many bytes of a disk, and its path."""
    free = os.statvfs(folder)
    (folder / "filler").write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - left)))
    return folder / "filler"


def grow(ds):
    ds["t"]["a"].data[0] = -1
    ds["t"]["a"].data.write(np.arange(5_000))
    for name in "bc":
        ds["t"].create_numeric(name, "int64").data.write(np.arange(20_000))
    ds["t"].create_categorical("k", "int8", {"é" * n: n for n in range(1, 100)})
    for number in range(10):
        ds.create_dataframe(f"u{number}").create_indexed_string("s").data.write(["é"])


LEFT = [0, 4_096, 70_000, *range(130_000, 1_400_000, 90_000)]


@pytest.mark.parametrize("mode", ["r+", "w"])
def test_an_hdf5_file_on_a_disk_with_ever_less_room(small_disk, mode):
    """What is there stays, what failed gives its room back, and it works once there is some."""
    wanted = list(range(20_000))
    committed = []
    for left in LEFT:
        url = small_disk / f"x{left}.hdf5"
        with Session() as s:
            ds = s.open_dataset(url, "w", "d")
            ds.create_dataframe("t").create_numeric("a", "int64").data.write(wanted)
        before = url.stat().st_size
        filler = filled(small_disk, left)
        with Session() as s:
            ds = None
            try:
                ds = s.open_dataset(url, mode, "d")
                if mode == "w":
                    ds.create_dataframe("t").create_numeric("a", "int64").data.write(wanted)
                grow(ds)
                ds.commit()
                committed.append(left)
            except StorageError as error:
                refused = error
                if ds is not None:
                    ds.rollback()
                    assert ds["t"]["a"].data[:].tolist() == wanted
        if left not in committed:
            assert f"no room left on the disk, or in the quota, of {url}" in str(refused)
            assert not isinstance(refused, CorruptDataError)
            assert url.stat().st_size == before
            assert [p.name for p in small_disk.iterdir() if p != filler] == [url.name]
            assert values(url) == {"t/a": wanted}
        filler.unlink()
        with Session() as s:
            ds = s.open_dataset(url, "r+", "d")
            if left not in committed:
                grow(ds)
            ds.commit()
        found = values(url)
        assert found["t/a"] == [-1, *wanted[1:], *range(5_000)]
        assert len(found) == 14
        url.unlink()
    assert 0 < len(committed) < len(LEFT)


def test_an_hdf5_file_takes_no_more_room_than_it_needs(tmp_path):
    """What is taken before it is needed is given back at a commit, and at the end."""
    sizes = []
    for ahead in (True, False):
        url = tmp_path / f"{ahead}.hdf5"
        with pytest.MonkeyPatch.context() as patched, Session() as s:
            if not ahead:
                patched.setattr(Room, "reserve", lambda *_: None)
            ds = s.open_dataset(url, "w", "d")
            ds.create_dataframe("t").create_numeric("a", "int64").data.write(range(20_000))
            ds.commit()
            sizes.append(url.stat().st_size)
            grow(ds)
        sizes.append(url.stat().st_size)
    assert sizes[:2] == sizes[2:]


# Imports

SCHEMA = {
    "exetera": {"version": "1.1.0"},
    "schema": {
        "p": {
            "fields": {
                "n": {"field_type": "numeric", "value_type": "int32"},
                "s": {"field_type": "string"},
                "d": {"field_type": "date", "create_flag_field": True},
            }
        }
    },
}


def csv(path, rows):
    texts = np.random.default_rng(0).bytes(20 * rows).hex()  # which nothing can make small
    lines = [f"{n},{texts[40 * n : 40 * n + 40]},2020-01-{n % 28 + 1:02d}\n" for n in range(rows)]
    path.write_text("n,s,d\n" + "".join(lines))
    return str(path)


def do_import(ds, file):
    schema = load_schema(io.StringIO(json.dumps(SCHEMA)))
    return import_tables(ds, schema, {"p": file})


@pytest.mark.parametrize("lasting", [True, False])
def test_a_full_disk_at_any_write_of_an_import(url, tmp_path, lasting):
    file = csv(tmp_path / "p.csv", 25)

    def work(ds):
        do_import(ds, file)

    def undone(ds):
        assert list(ds.keys()) == ["t"]

    for place, _ in fail_at_any_write(
        url, tmp_path, work, lasting=lasting, undone=undone, again=lambda ds, _: work(ds)
    ):
        assert values(place)["p/n"] == list(range(25))


@pytest.mark.parametrize("ending", ["zarr", "hdf5"])
def test_an_import_to_a_disk_that_is_really_full(small_disk, tmp_path, ending):
    """Another session finds what was there, the message says where, and the room is given back."""
    url = small_disk / f"x.{ending}"
    few, many = csv(tmp_path / "few.csv", 500), csv(tmp_path / "many.csv", 60_000)
    with Session() as s:
        s.open_dataset(url, "w", "d").create_dataframe("t").create_numeric("a", "int64").data.write(
            OLD
        )

    def used():
        return sum(p.stat().st_size for p in small_disk.rglob("*") if p.is_file())

    before = used()
    filler = filled(small_disk, 700_000 if ending == "hdf5" else 150_000)
    with Session() as s:
        ds = s.open_dataset(url, "r+", "d")
        with pytest.raises(StorageError, match=rf"no room left on the disk.*{url}.*rollback\(\)"):
            do_import(ds, many)
            ds.commit()
        ds.rollback()
        # HDF5 takes 2 KB at a time for what describes the rest.
        assert used() - filler.stat().st_size <= before + (2_048 if ending == "hdf5" else 0)
        assert values(url) == {"t/a": OLD}
        do_import(ds, few)
    assert values(url)["p/n"] == list(range(500))


# What does not fit the memory

ROWS = 200_000


@pytest.fixture
def little_memory(monkeypatch):
    monkeypatch.setattr(settings, "_LEAST", 1)


def two_tables(path, **how):
    """A session with two tables of which a sort does not fit its memory."""
    keys = np.random.default_rng(0).integers(0, 1 << 40, ROWS)
    with Session() as s:
        ds = s.open_dataset(path, "w", "d", durability="none")
        t = ds.create_dataframe("t")
        t.create_numeric("k", "int64").data.write(keys)
        t.create_indexed_string("s").data.write([f"a text of some length {n}" for n in range(ROWS)])
        u = ds.create_dataframe("u")
        u.create_numeric("k", "int64").data.write(keys[::-1])
        u.create_numeric("w", "int64").data.write(np.arange(ROWS))
    session = Session(**how)
    return session, opened(session, path), keys


def sort(ds):
    ds["t"].sort_values(["s", "k"])


def group(ds):
    ds["u"].groupby("k").max(target="w", ddf=ds.create_dataframe("g"))


def join(ds):
    merge(ds["t"], ds["u"], ds.create_dataframe("m"), "k", "k")


def distinct(ds):
    ds["t"].drop_duplicates(["s", "k"], ddf=ds.create_dataframe("h"))


WORK = [sort, group, join, distinct]


@pytest.mark.parametrize("ending", ["zarr", "hdf5"])
@pytest.mark.parametrize("work", WORK)
def test_a_spill_folder_that_is_really_full(small_disk, tmp_path, little_memory, ending, work):
    path = tmp_path / f"x.{ending}"
    failed = 0
    limit = "4MB" if work is join else "24MB"
    session, ds, keys = two_tables(path, spill_dir=small_disk, memory_limit=limit)
    with session:
        for left in (8_192, 300_000, 1_500_000):
            filler = filled(small_disk, left)
            try:
                work(ds)
            except StorageError as error:
                failed += 1
                message = str(error)
                assert (
                    f"the folder for what does not fit the memory is full: {small_disk}" in message
                )
                assert "Session(spill_dir=...)" in message
            ds.rollback()
            assert list(ds.keys()) == ["t", "u"]
            assert ds["t"]["k"].data[:].tolist() == keys.tolist()
            filler.unlink()
            if ending == "hdf5":
                assert list(small_disk.iterdir()) == []
        assert failed
    assert list(small_disk.iterdir()) == []
    assert values(path)["u/w"] == list(range(ROWS))


class FullFile:
    """A temporary file that has no room at a given write."""

    def __init__(self, file, counted, at):
        self.file, self.counted, self.at = file, counted, at
        self.fileno, self.close = file.fileno, file.close

    def write(self, data):
        self.counted.append(len(data))
        if len(self.counted) == self.at:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.file.write(data)


@pytest.mark.parametrize("ending", ["zarr", "hdf5"])
def test_a_full_spill_folder_at_any_write(tmp_path, monkeypatch, little_memory, ending):
    spills = tmp_path / "spills"
    spills.mkdir()
    path = tmp_path / f"x.{ending}"
    session, ds, keys = two_tables(path, spill_dir=spills, memory_limit="4MB")
    real = Workspace.temporary_file
    with session:
        for at in range(1, 1_000):
            counted = []
            monkeypatch.setattr(
                Workspace,
                "temporary_file",
                lambda work, c=counted, a=at: FullFile(real(work), c, a),
            )
            try:
                ds["t"].sort_values("k")
            except StorageError as error:
                message = str(error)
            else:
                break
            assert f"does not fit the memory is full: {spills} has" in message
            ds.rollback()
            assert ds["t"]["k"].data[:].tolist() == keys.tolist()
            left = [p for p in spills.iterdir() if not p.name.startswith("exetera-zarr-")]
            assert left == []
        assert at > 2
        assert ds["t"]["k"].data[:].tolist() == sorted(keys.tolist())
    assert list(spills.iterdir()) == []


def test_a_block_that_cannot_be_spilled_is_as_it_was(small_disk, tmp_path, little_memory):
    """What raises has changed nothing, also where the draft's blocks do not fit."""
    with Session(memory_limit="1MB", spill_dir=small_disk, row_block=50_000) as s:
        ds = s.open_dataset(tmp_path / "x.zarr", "w", "d", durability="none")
        t = ds.create_dataframe("t")
        for name in "abcdef":
            t.create_numeric(name, "int64").data.write(np.zeros(40_000, "int64"))
        ds.commit()
        filler = filled(small_disk, 8_192)
        changed = []
        with pytest.raises(StorageError, match=rf"memory is full: {small_disk} has"):
            for name in "abcdef":
                t[name].data[5] = 1
                changed.append(name)
        assert changed
        found = {name: int(t[name].data[5]) for name in "abcdef"}
        assert found == {name: int(name in changed) for name in "abcdef"}
        filler.unlink()
        for name in "abcdef":
            t[name].data[5] = 2
    assert {name: v[5] for name, v in values(tmp_path / "x.zarr").items()} == {
        f"t/{name}": 2 for name in "abcdef"
    }
    assert list(small_disk.iterdir()) == []
