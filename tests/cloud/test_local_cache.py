"""A cache of chunks on the local disk: it spares requests, and is never wrong."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import numpy as np
import pytest

import exetera_zarr
from exetera_zarr import Session
from exetera_zarr.storage.stores import disk_cache
from exetera_zarr.storage.stores.opening import open_store
from support.rules import nth, only, truncate
from support.study import ROWS, STEPS, append, content, create, extend, read, select

SIZE = "10MB"


@pytest.fixture
def cache(tmp_path):
    """A folder that is not there yet, as a keyword of `open_dataset`."""
    return {"cache": tmp_path / "cache", "cache_size": SIZE}


def chunks_asked_for(bucket) -> int:
    """How many chunks the proxy was asked for; afterwards it has forgotten them."""
    count = sum(e.verb == "GET" and "/c/" in e.path for e in bucket.proxy.log)
    bucket.proxy.clear()
    return count


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in files_in(folder))


def test_the_second_reading_asks_for_no_chunk(bucket, cache):
    """Nor does any after that; what a later version has instead is asked for once."""
    create(bucket.url(), bucket.options)
    bucket.proxy.clear()
    assert read(bucket.url(), bucket.options, **cache) == STEPS[0][1]
    assert chunks_asked_for(bucket) == 3 + 3 + 1  # of age, and of offsets and text of note
    for _ in range(2):
        assert read(bucket.url(), bucket.options, **cache) == STEPS[0][1]
        assert chunks_asked_for(bucket) == 0
    append(bucket.url(), bucket.options, **cache)
    select(bucket.url(), bucket.options, **cache)
    bucket.proxy.clear()
    assert read(bucket.url(), bucket.options, **cache) == STEPS[2][1]
    assert chunks_asked_for(bucket) > 0
    assert read(bucket.url(), bucket.options, **cache) == STEPS[2][1]
    assert chunks_asked_for(bucket) == 0


def test_older_versions(s3_bucket, cache):
    """Each version reads what it had, by the same cache."""
    bucket = s3_bucket
    for step, _ in STEPS:
        step(bucket.url(), bucket.options, **cache)
    for _ in range(2):
        bucket.proxy.clear()
        for number, (_, after) in enumerate(STEPS, 1):
            assert read(bucket.url(), bucket.options, version=number, **cache) == after
    assert chunks_asked_for(bucket) == 0


def test_what_a_writer_has_not_committed(bucket, cache, monkeypatch):
    """A draft reads what it wrote last, also where it writes the same object again."""
    with Session(row_block=16) as s:
        ds = s.open_dataset(bucket.url(), "w", "d", storage_options=bucket.options, **cache)
        data = ds.create_dataframe("t").create_numeric("c", "int32").data
        for number in range(4):
            data.clear()
            data.write(np.full(32, number))
            assert set(data[:].tolist()) == {number}
            assert set(data[3:20].tolist()) == {number}
        ds.commit()
        assert set(data[:].tolist()) == {3}
        data[5:25] = np.arange(20)
        assert data[5:25].tolist() == list(range(20))
        ds.rollback()
        assert set(data[:].tolist()) == {3}
        ds.verify()


def test_a_field_that_is_named_like_the_folder_of_chunks(bucket, cache):
    """Its documents change with the versions, and are not cached."""
    with Session() as s:
        ds = s.open_dataset(bucket.url(), "w", "d", storage_options=bucket.options, **cache)
        field = ds.create_dataframe("t").create_numeric("c", "int32")
        for number in range(3):
            field.data.write([number])
            ds.commit()
            ds.verify()
            assert field.data[:].tolist() == list(range(number + 1))


def make(url, options, value, **more):
    """A dataset of one table, with as many bytes as any other of these."""
    with Session(row_block=16) as s:
        ds = s.open_dataset(url, "x", "d", storage_options=options, **more)
        ds.create_dataframe("t").create_numeric("x", "int32").data.write(np.full(40, value))


def values(url, options, **more):
    with Session() as s:
        ds = s.open_dataset(url, "r", "d", storage_options=options, **more)
        return ds["t"]["x"].data[:].tolist()


def remove(bucket, url) -> None:
    """As somebody does who knows nothing of us."""
    store = open_store(url, bucket.direct, durable=False, single_writer=False)
    for entry in list(store.everything("")):
        store.delete(entry.key)


def test_a_dataset_that_was_made_anew(bucket, cache):
    """The same URL, the same names, another dataset: never a value of the one before."""
    for value in range(3):
        make(bucket.url("x.zarr"), bucket.options, value)
        for _ in range(2):
            assert values(bucket.url("x.zarr"), bucket.options, **cache) == [value] * 40
        remove(bucket, bucket.url("x.zarr"))


def test_the_size(s3_bucket, tmp_path):
    """The folder stays within it, and what is in use stays in the folder."""
    bucket, folder = s3_bucket, tmp_path / "cache"
    numbers = np.random.default_rng(1).integers(0, 1 << 62, 40_000)
    with Session(row_block=1000) as s:
        ds = s.open_dataset(bucket.url(), "w", "d", storage_options=bucket.direct)
        ds.create_dataframe("t").create_numeric("x", "int64").data.write(numbers)
    size = 100_000  # of 320 kB
    with Session() as s:
        ds = s.open_dataset(
            bucket.url(), "r", "d", storage_options=bucket.options, cache=folder, cache_size=size
        )
        data = ds["t"]["x"].data
        for start in range(39_000, 1000, -1000):  # backwards, so that nothing is read ahead
            for low in (start, 0):
                assert data[low : low + 1000].tolist() == numbers[low : low + 1000].tolist()
            assert size_of(folder) <= size * 1.05 + 8100
        assert chunks_asked_for(bucket) == 39
        assert data[2000:3000].tolist() == numbers[2000:3000].tolist()
        assert chunks_asked_for(bucket) == 0
    assert files_in(folder)


def test_nothing_fits(bucket, tmp_path):
    create(bucket.url(), bucket.direct)
    for size in (1, 100):
        tiny = {"cache": tmp_path / "cache", "cache_size": size}
        for _ in range(2):
            assert read(bucket.url(), bucket.options, **tiny) == STEPS[0][1]
        assert size_of(tmp_path) <= size


READER = """
import sys, json
from exetera_zarr import Session
url, options, folder, rounds = json.loads(sys.argv[1])
for _ in range(rounds):
    with Session() as s:
        ds = s.open_dataset(url, "r", "d", storage_options=options, cache=folder, cache_size=60_000)
        found = ds["t"]["x"].data[:]
        assert (found == (found[0] + range(len(found)))).all()
        assert len(found) == 20_000
"""


def test_processes_that_share_one(s3_bucket, tmp_path):
    """What does not fit makes each of them remove what the others have: all values are right."""
    bucket = s3_bucket
    with Session(row_block=500) as s:
        ds = s.open_dataset(bucket.url(), "w", "d", storage_options=bucket.direct)
        ds.create_dataframe("t").create_numeric("x", "int64").data.write(np.arange(20_000))
    task = json.dumps([bucket.url(), bucket.direct, str(tmp_path / "cache"), 3])
    environment = {**os.environ, "PYTHONPATH": str(Path(exetera_zarr.__file__).parents[1])}
    started = [
        subprocess.Popen([sys.executable, "-c", READER, task], env=environment) for _ in range(3)
    ]
    assert [process.wait() for process in started] == [0, 0, 0]
    assert 0 < size_of(tmp_path / "cache") <= 60_000 * 1.2


DAMAGES = {
    "cut": lambda data: data[:-7],
    "empty": lambda data: b"",
    "flipped": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "another": lambda data: os.urandom(len(data)),
    "longer": lambda data: data + b"x",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file(s3_bucket, cache, damage):
    """It is fetched again, and the file is whole after that."""
    bucket = s3_bucket
    create(bucket.url(), bucket.options)
    read(bucket.url(), bucket.options, **cache)
    for path in files_in(cache["cache"]):
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    bucket.proxy.clear()
    assert read(bucket.url(), bucket.options, **cache) == STEPS[0][1]
    assert chunks_asked_for(bucket) == 7
    assert read(bucket.url(), bucket.options, **cache) == STEPS[0][1]
    assert chunks_asked_for(bucket) == 0


def test_a_chunk_that_was_damaged_on_its_way(s3_bucket, cache):
    """Bytes that are no chunk, though they came so, do not stay in the cache."""
    bucket = s3_bucket
    create(bucket.url(), bucket.options)
    bucket.proxy.rule = only(nth(1, truncate(20)), path="/c/")
    assert read(bucket.url(), bucket.options, **cache) == STEPS[0][1]
    bucket.fine()
    assert read(bucket.url(), bucket.options, **cache) == STEPS[0][1]


def refused(kind):
    def refuse(*_, **__):
        raise OSError(kind, os.strerror(kind))

    return refuse


@pytest.mark.parametrize("call", ["replace", "makedirs", "utime", "unlink", "scandir", "open"])
@pytest.mark.parametrize("kind", [errno.EACCES, errno.ENOSPC], ids=["denied", "full"])
def test_a_disk_that_does_not_take_anything(s3_bucket, cache, call, kind, monkeypatch):
    """Reading goes on without the cache, or with what is in it."""
    bucket = s3_bucket
    create(bucket.url(), bucket.options)
    fake = type(os)("os")
    fake.__dict__.update(os.__dict__)
    setattr(fake, call, refused(kind))
    with monkeypatch.context() as patch:
        patch.setattr(disk_cache, "os", fake)
        if call == "open":
            patch.setattr(disk_cache, "open", refused(kind), raising=False)
        for _ in range(2):
            assert read(bucket.url(), bucket.options, **cache) == STEPS[0][1]
    read(bucket.url(), bucket.options, **cache)
    bucket.proxy.clear()
    with monkeypatch.context() as patch:
        patch.setattr(disk_cache, "os", fake)
        assert read(bucket.url(), bucket.options, **cache) == STEPS[0][1]
    assert chunks_asked_for(bucket) == 0


LIMITED = """
import json, resource, sys
from exetera_zarr import Session
url, options, folder = json.loads(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
for _ in range(2):
    with Session() as s:
        ds = s.open_dataset(url, "r", "d", storage_options=options, cache=folder)
        assert ds["t"]["x"].data[:].tolist() == list(range(5000))
"""


def test_a_file_that_cannot_be_finished(s3_bucket, tmp_path):
    """What was begun of it does not stay."""
    bucket = s3_bucket
    with Session() as s:
        ds = s.open_dataset(bucket.url(), "w", "d", storage_options=bucket.direct)
        ds.create_dataframe("t").create_numeric("x", "int64").data.write(np.arange(5000))
    task = json.dumps([bucket.url(), bucket.direct, str(tmp_path / "cache")])
    environment = {**os.environ, "PYTHONPATH": str(Path(exetera_zarr.__file__).parents[1])}
    # Python 3.11 takes no notice of a file that it could not finish: modules would stay cut.
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    subprocess.run([sys.executable, "-c", LIMITED, task], env=environment, check=True)
    assert files_in(tmp_path / "cache") == []


@pytest.mark.parametrize("taken", ["by a file", "by nothing that may be"])
def test_a_place_that_is_no_folder(s3_bucket, tmp_path, taken):
    bucket = s3_bucket
    create(bucket.url(), bucket.options)
    (tmp_path / "file").write_bytes(b"")
    place = tmp_path / "file" if taken == "by a file" else tmp_path / "file" / "below"
    assert read(bucket.url(), bucket.options, cache=place) == STEPS[0][1]


def test_a_folder_that_is_removed_meanwhile(s3_bucket, cache):
    bucket = s3_bucket
    create(bucket.url(), bucket.options)
    with Session() as s:
        ds = s.open_dataset(bucket.url(), "r", "d", storage_options=bucket.options, **cache)
        for _ in range(2):
            assert ds["people"]["age"].data[:].tolist() == list(range(ROWS))
            shutil.rmtree(cache["cache"])


def test_nothing_is_kept_of_what_is_near(tmp_path, cache):
    """A local folder, memory, and an archive on the disk are no slower than the cache."""
    create(str(tmp_path / "a.zarr"), {})
    shutil.make_archive(str(tmp_path / "a"), "zip", tmp_path / "a.zarr")
    fsspec.filesystem("memory").put(str(tmp_path / "a.zarr"), "/near.zarr", recursive=True)
    for url in (str(tmp_path / "a.zarr"), str(tmp_path / "a.zip"), "memory://near.zarr"):
        assert read(url, {}, **cache) == STEPS[0][1]
    assert not cache["cache"].exists()


def test_a_purge(s3_bucket, cache):
    """Who is to be forgotten is forgotten by the cache of the one who purges, too."""
    bucket = s3_bucket
    create(bucket.url(), bucket.options)
    read(bucket.url(), bucket.options, **cache)
    before = set(files_in(cache["cache"]))
    with Session() as s:
        ds = s.open_dataset(bucket.url(), "r+", "d", storage_options=bucket.options, **cache)
        ds.purge("people", rows=ds["people"]["age"].data[:] == 7)
    assert before
    assert not before & set(files_in(cache["cache"]))
    expected = content(range(ROWS))
    assert read(bucket.url(), bucket.options, **cache) == {
        name: [value for n, value in enumerate(found) if n != 7] for name, found in expected.items()
    }


def test_threads(s3_bucket, cache):
    """Many that read one dataset fill one cache."""
    bucket = s3_bucket
    create(bucket.url(), bucket.options)
    with Session() as s:
        ds = s.open_dataset(bucket.url(), "r+", "d", storage_options=bucket.options, **cache)
        with ThreadPoolExecutor(8) as executor:
            reads = [executor.submit(lambda: ds["people"]["note"].data[:]) for _ in range(40)]
            assert all(list(each.result()) == content(range(ROWS))["note"] for each in reads)
        extend(ds)
        assert list(ds["people"]["note"].data[:]) == STEPS[1][1]["note"]
