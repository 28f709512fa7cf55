"""The object stores: what the commit protocol needs of each of them."""

from __future__ import annotations

import errno
import fcntl
import os
import threading

import fsspec
import pytest
import s3fs
from fsspec.asyn import sync_wrapper
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from exetera_zarr import Session
from exetera_zarr.errors import (
    DatasetExistsError,
    DatasetNotFoundError,
    StorageError,
    UnsupportedError,
)
from exetera_zarr.storage.stores.bucket import ABSENT, BucketStore
from exetera_zarr.storage.stores.local import LocalStore
from exetera_zarr.storage.stores.opening import open_store
from exetera_zarr.testing import counting
from support import servers


@pytest.fixture
def store(place):
    return open_store(place.url("store"), place.storage_options, durable=True, single_writer=False)


def test_objects_come_back(store):
    assert store.empty()
    with pytest.raises(FileNotFoundError):
        store.get("a/b")
    for data in (b"", b"x", bytes(range(256)) * 1000):
        store.put("a/b", data)
        assert store.get("a/b") == data
    assert store.advance("a/b", b"new", lambda _: True)
    store.copy("a/b", "c/d e")
    store.copy("a/b", "c/d e")
    store.sync()
    assert store.get("c/d e") == b"new"
    assert not store.empty()
    assert [(entry.key, entry.size) for entry in store.everything("c")] == [("c/d e", 3)]
    store.delete("a/b")
    store.delete("a/b")
    with pytest.raises(FileNotFoundError):
        store.get("a/b")


def test_parts_of_an_object(store):
    """As slices of it, for stores that can ask for a part and for those that cannot."""
    data = bytes(range(256)) * 10
    store.put("a/b", data)
    for start, stop in ((0, 1), (7, 300), (2550, 2560), (2550, 9999), (5, 5)):
        assert store.part("a/b", start, stop) == data[start:stop]
    with pytest.raises(FileNotFoundError):
        store.part("a/c", 0, 1)


def test_listing_is_in_order(store):
    assert store.first("names") is None
    assert list(store.list("names")) == []
    for name in ("b", "a", "c"):
        store.put(f"names/{name}", b"")
        store.put(f"names-of-others/{name}", b"")
    assert store.first("names") == "names/a"
    assert list(store.list("names")) == ["names/a", "names/b", "names/c"]
    store.put("names/Z/below", b"")  # what is in folders comes before, and is none of them
    assert store.first("names") == "names/a"
    assert list(store.list("names")) == ["names/a", "names/b", "names/c"]


def test_only_one_of_many_creates(store, place):
    """Of eight at once, exactly one is told that it made the object, and its bytes are there."""
    # SeaweedFS lets them wait for each other, by the second.
    racers, turns = (4, 2) if place.backend == "seaweedfs" else (8, 5)
    for turn in range(turns):
        start = threading.Barrier(racers)
        made = []

        def create(number, key=f"claims/{turn}", start=start, made=made):
            start.wait()
            if store.create(key, b"%d" % number):
                made.append(number)

        threads = [threading.Thread(target=create, args=(n,)) for n in range(racers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 1
        assert store.get(f"claims/{turn}") == b"%d" % made[0]


def test_writing_over_a_copy_leaves_the_original(store):
    """A local copy is a hard link: writing to it again must not write through it."""
    store.put("original", b"committed")
    for write in (store.put, lambda key, data: store.advance(key, data, lambda _: True)):
        store.copy("original", "twin")
        write("twin", b"changed")
        assert store.get("original") == b"committed"
        assert store.get("twin") == b"changed"


def test_no_temporary_files_stay(tmp_path):
    store = LocalStore(str(tmp_path / "x"))
    store.create("m/1", b"1")
    store.create("m/1", b"2")
    store.advance("m/2", b"3", lambda present: present is None)
    store.advance("m/2", b"4", lambda present: present is None)
    assert {p.name for p in (tmp_path / "x").rglob("*") if p.is_file()} == {"1", "2"}


class Plain(DirFileSystem):
    """A file system of which nothing is known."""

    protocol = "plain"

    def __init__(self, **options):
        super().__init__(path="/plain", fs=MemoryFileSystem(), **options)


def test_a_store_without_create_if_absent_is_not_written_to():
    """Two writers could overwrite each other there, so writing takes a promise."""
    fsspec.register_implementation("plain", Plain, clobber=True)
    store = open_store("plain://store", {}, durable=True, single_writer=False)
    with pytest.raises(UnsupportedError, match="single_writer=True"):
        store.create("a", b"")
    with pytest.raises(UnsupportedError, match="plain"), Session() as s:
        s.open_dataset("plain://store", "w", "d")
    with Session() as s:
        ds = s.open_dataset("plain://store", "w", "d", single_writer=True)
        ds.create_dataframe("t")
    with Session() as s:
        assert s.open_dataset("plain://store", "r", "d").keys() == ["t"]


def test_a_disk_without_links(tmp_path, monkeypatch):
    """Where files cannot be linked, a claim is a rename that replaces nothing, a copy is a copy."""

    def link(source, target):
        raise OSError(errno.EPERM, "no links here", source)

    monkeypatch.setattr(os, "link", link)
    store = LocalStore(str(tmp_path / "x"))
    assert store.create("m/1", b"first")
    assert not store.create("m/1", b"second")
    assert store.get("m/1") == b"first"
    store.copy("m/1", "m/2")
    store.put("m/2", b"third")
    assert store.get("m/1") == b"first"
    assert sorted(p.name for p in (tmp_path / "x" / "m").iterdir()) == ["1", "2"]


@pytest.mark.s3
def test_two_servers_are_two_places(s3_place, s3_server):
    """The same URL at another endpoint shares no draft; nothing of the options is shown."""
    with servers.s3_server() as other, Session() as one, Session() as two:
        url = s3_place.url("x.zarr")
        first = one.open_dataset(url, "w", "d", storage_options=s3_place.storage_options)
        first.create_dataframe("first")
        # moto keeps one state for a process, so the other server has the empty version 0 as well.
        second = two.open_dataset(url, "r", "d", storage_options=other.storage_options)
        assert second.keys() == []
        assert other.endpoint not in repr(second)


@pytest.mark.s3
def test_a_server_that_is_not_there_is_named(monkeypatch, s3_place):
    """Whatever the network client raises comes as a StorageError that says what and where."""
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    nowhere = {
        "endpoint_url": "http://127.0.0.1:9",
        "config_kwargs": {"retries": {"max_attempts": 0}},
    }
    with Session() as s, pytest.raises(StorageError, match=r"s3://nowhere/x\.zarr"):
        s.open_dataset("s3://nowhere/x.zarr", "r", "d", storage_options=nowhere)
    missing = s3_place.storage_options
    with Session() as s, pytest.raises(DatasetNotFoundError, match="no-such-bucket"):
        s.open_dataset("s3://no-such-bucket/x.zarr", "r", "d", storage_options=missing)


def test_advancing_only_goes_forward(store):
    """Of many writers of growing numbers, the highest one stays, whatever the order."""

    def higher(number):
        return lambda present: present is None or int(present) < number

    assert store.advance("a/root", b"3", higher(3))
    assert not store.advance("a/root", b"2", higher(2))
    assert store.get("a/root") == b"3"
    start = threading.Barrier(6)

    def advance(number):
        start.wait()
        store.advance("a/root", b"%d" % number, higher(number))

    threads = [threading.Thread(target=advance, args=(n,)) for n in (9, 5, 7, 4, 8, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get("a/root") == b"9"


def test_a_disk_without_locks(tmp_path, monkeypatch):
    """Where folders cannot be locked, versions are revealed, and looked after once more."""

    def flock(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    with counting() as stores, Session() as s:
        ds = s.open_dataset(tmp_path / "x.zarr", "w", "d")
        ds.create_dataframe("t")
        ds.commit()
        stores[0].calls.clear()
        ds.create_dataframe("u")
        ds.commit()
        assert ("list", "__exetera__/commits") in stores[0].calls
        ds.verify()
        ds.vacuum()


@pytest.mark.parametrize("at", ["flock", "get"])
def test_an_interrupted_publication_leaves_no_lock(tmp_path, monkeypatch, at):
    """Ctrl-C while it waits, or once it has the lock: others can have it."""
    store = LocalStore(str(tmp_path / "x"))
    store.put("a", b"1")
    real = fcntl.flock

    def interrupted(*given):
        if at == "flock":
            real(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt) as caught:
        patch.setattr(*((fcntl, "flock") if at == "flock" else (store, "get")), interrupted)
        store.advance("a", b"2", lambda _: True)
    folder = os.open(tmp_path / "x" / "__exetera__" / "commits", os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(folder)
    del caught  # whose traceback has held all that was open until here


def without_conditions(monkeypatch, *ignored):
    """Have the S3 server not know some headers, as some compatible ones do not."""
    real = s3fs.S3FileSystem._call_s3

    async def call(self, method, *given, **options):
        if method == "put_object":
            for name in ignored:
                options.pop(name, None)
        return await real(self, method, *given, **options)

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", call)
    monkeypatch.setattr(s3fs.S3FileSystem, "call_s3", sync_wrapper(call))


@pytest.mark.s3
def test_a_bucket_that_ignores_if_none_match_is_not_written_to(s3_place, monkeypatch):
    """Two writers would both be told that they made a version."""
    without_conditions(monkeypatch, "IfNoneMatch", "IfMatch")
    url, options = s3_place.url("x.zarr"), s3_place.storage_options
    with Session() as s:
        for mode in ("w", "x"):
            with pytest.raises(UnsupportedError, match=r"only if absent.*single_writer=True"):
                s.open_dataset(url, mode, "d", storage_options=options)
        ds = s.open_dataset(url, "w", "d", storage_options=options, single_writer=True)
        ds.create_dataframe("t")
    with Session() as s:
        assert s.open_dataset(url, "r", "d", storage_options=options).keys() == ["t"]


@pytest.mark.s3
def test_a_bucket_that_ignores_if_match_is_looked_at_once_more(s3_place, s3_server, monkeypatch):
    """A late writer may have put the root back, so the newest version is shown again."""
    without_conditions(monkeypatch, "IfMatch")
    url, options = s3_place.url("x.zarr"), s3_place.storage_options
    with Session() as s:
        ds = s.open_dataset(url, "w", "d", storage_options=options)
        ds.create_dataframe("t")
        ds.commit()
        ds.create_dataframe("u")
        s3_server.requests.clear()
        ds.commit()
        assert s3_server.verbs()["LIST"] == 1
        assert s3_server.requests[-1].verb == "GET"
        ds.verify()


@pytest.mark.s3
def test_a_bucket_whose_etags_never_match_ends_in_a_warning(s3_place, monkeypatch):
    """The commit stands; nobody waits for ever to reveal it."""
    url, options = s3_place.url("x.zarr"), s3_place.storage_options
    with Session() as s:
        ds = s.open_dataset(url, "w", "d", storage_options=options)
        ds.create_dataframe("t")
        ds.commit()
        real = BucketStore._put_if
        monkeypatch.setattr(
            BucketStore,
            "_put_if",
            lambda self, key, data, tag: tag == ABSENT and real(self, key, data, tag),
        )
        ds.create_dataframe("u")
        with pytest.warns(RuntimeWarning, match=r"version 2 .* is committed.* tries"):
            assert ds.commit() == 2
        monkeypatch.setattr(BucketStore, "_put_if", real)


def test_a_folder_that_a_console_made_is_no_content(s3_place):
    """It is an object of no bytes at the address, with a slash at its end."""
    files = s3fs.S3FileSystem(**s3_place.storage_options)
    bucket = s3_place.prefix.removeprefix("s3://")
    files.call_s3("put_object", Bucket=bucket, Key="study.zarr/", Body=b"")
    with Session() as s:
        url, options = s3_place.url("study.zarr"), s3_place.storage_options
        ds = s.open_dataset(url, "w", "d", storage_options=options)
        ds.create_dataframe("t").create_numeric("x", "int8").data.write([1])
        ds.commit()
        ds.verify()
    files.call_s3("put_object", Bucket=bucket, Key="other.zarr/", Body=b"")
    files.call_s3("put_object", Bucket=bucket, Key="other.zarr/notes.txt", Body=b"mine")
    with Session() as s, pytest.raises(DatasetExistsError, match="not a dataset"):
        s.open_dataset(s3_place.url("other.zarr"), "w", "o", storage_options=options)


def test_a_folder_in_memory_that_changes_while_it_is_listed(monkeypatch):
    """As when another thread, or the end of what nobody has anymore, writes there meanwhile."""
    store = open_store("memory://listed", {}, durable=True, single_writer=False)
    store.put("a/b", b"x")
    find, failures = (
        MemoryFileSystem.find,
        [RuntimeError("dictionary changed size during iteration")],
    )

    def interrupted(self, path, **options):
        if failures:
            raise failures.pop()
        return find(self, path, **options)

    monkeypatch.setattr(MemoryFileSystem, "find", interrupted)
    assert [entry.key for entry in store.everything("a")] == ["a/b"]
    assert not failures
