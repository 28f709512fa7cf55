"""A disk without room: the last version is whole, and what failed gives its room back."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import warnings

import numpy as np
import pytest

from exetera_zarr import ConflictError, Session, StorageError
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


@pytest.mark.parametrize("lasting", [True, False])
def test_a_full_disk_at_any_write_of_a_commit(url, tmp_path, lasting):
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
                change(ds)
                ds.commit()
                committed = True
            failed = bool(faults.failed)
            if not committed:
                assert values(place) == {"t/a": OLD}
                ds.rollback()  # while there is still no room
                assert objects(place) == before, at
                assert ds["t"]["a"].data[:].tolist() == OLD
            faults.disarm()
            if not committed:
                ds["t"]["a"].data[0] = 1
                ds.commit()
                assert values(place) == {"t/a": [1, *OLD[1:]]}
        if not failed:
            break
        assert values(place)["t/a"][20:] == OLD[20:]
    assert at > 15


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
            shutil.rmtree(url)
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
