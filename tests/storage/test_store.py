"""The object stores: what the commit protocol needs of each of them."""

from __future__ import annotations

import threading

import fsspec
import pytest
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from exetera_zarr import Session
from exetera_zarr.errors import UnsupportedError
from exetera_zarr.storage.zarr.store import LocalStore, open_store


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
    store.replace("a/b", b"new")
    store.copy("a/b", "c/d e")
    store.copy("a/b", "c/d e")
    store.settle()
    assert store.get("c/d e") == b"new"
    assert not store.empty()
    assert store.sizes("c") == {"c/d e": 3}
    store.delete("a/b")
    store.delete("a/b")
    with pytest.raises(FileNotFoundError):
        store.get("a/b")


def test_listing_is_in_order(store):
    assert store.first("names") is None
    assert list(store.list("names")) == []
    for name in ("b", "a", "c"):
        store.put(f"names/{name}", b"")
        store.put(f"names-of-others/{name}", b"")
    assert store.first("names") == "names/a"
    assert list(store.list("names")) == ["names/a", "names/b", "names/c"]


def test_only_one_of_many_creates(store):
    """Of eight at once, exactly one is told that it made the object, and its bytes are there."""
    for turn in range(5):
        start = threading.Barrier(8)
        made = []

        def create(number, key=f"claims/{turn}", start=start, made=made):
            start.wait()
            if store.create(key, b"%d" % number):
                made.append(number)

        threads = [threading.Thread(target=create, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 1
        assert store.get(f"claims/{turn}") == b"%d" % made[0]


def test_writing_over_a_copy_leaves_the_original(store):
    """A local copy is a hard link: writing to it again must not write through it."""
    store.put("original", b"committed")
    for write in (store.put, store.replace):
        store.copy("original", "twin")
        write("twin", b"changed")
        assert store.get("original") == b"committed"
        assert store.get("twin") == b"changed"


def test_no_temporary_files_stay(tmp_path):
    store = LocalStore(str(tmp_path / "x"))
    store.create("m/1", b"1")
    store.create("m/1", b"2")
    store.replace("m/2", b"3")
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
