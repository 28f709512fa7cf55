"""Mode 'r' beside a writer of the same process: what is committed, or by request what is not."""

from __future__ import annotations

import gc
import threading
import warnings
from contextlib import nullcontext

import numpy as np
import pytest

from exetera_zarr import DatasetNotFoundError, ReadOnlyError, Session, StorageError
from exetera_zarr.storage import OpenOptions, open_storage

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def put(ds, table, values):
    ds.create_dataframe(table).create_numeric("x", "int64").data.write(np.asarray(values))


def values(ds):
    return {name: table["x"].data[:].tolist() for name, table in ds.items()}


@pytest.fixture(params=["zarr", "hdf5"])
def url(tmp_path, request):
    path = tmp_path / f"x.{request.param}"
    with Session() as s:
        put(s.open_dataset(path, "w", "d"), "t", [1, 2, 3])
    return path


OLD = {"t": [1, 2, 3]}


def change(ds):
    ds["t"]["x"].data[0] = 7
    ds["t"]["x"].data.write([4])
    put(ds, "new", [5])


NEW = {"t": [7, 2, 3, 4], "new": [5]}


@pytest.mark.parametrize("url", ["zarr"], indirect=True)
@pytest.mark.parametrize("first", ["reader", "writer", "draft"])
def test_a_reader_sees_what_is_committed(url, first):
    """Whoever was first, and until it asks for more, also while the writer goes on and commits."""
    with Session() as writing, Session() as reading:
        if first == "reader":
            reader = reading.open_dataset(url, "r", "d")
            writer = writing.open_dataset(url, "r+", "d")
        else:
            writer = writing.open_dataset(url, "r+", "d")
            if first == "draft":
                change(writer)
            told = "with changes that are not committed.*call commit"
            with pytest.warns(UserWarning, match=told) if first == "draft" else nullcontext():
                reader = reading.open_dataset(url, "r", "d")
        if first != "draft":
            change(writer)
        assert (values(reader), reader.version) == (OLD, 1)
        assert values(writer) == NEW
        writer.commit()
        assert (values(reader), reader.version) == (OLD, 1)
        put(writer, "more", [6])
        reader.refresh()
        assert (values(reader), reader.version) == (NEW, 2)
        with pytest.raises(ReadOnlyError, match="open for reading"):
            put(reader, "no", [1])


@pytest.mark.parametrize("url", ["zarr"], indirect=True)
def test_a_writer_that_starts_empty_hides_nothing(url):
    with Session() as writing, Session() as reading:
        put(writing.open_dataset(url, "w", "d"), "u", [9])
        with pytest.warns(UserWarning, match="changes that are not committed"):
            reader = reading.open_dataset(url, "r", "d")
        assert values(reader) == OLD


@pytest.mark.parametrize("url", ["hdf5"], indirect=True)
def test_a_file_that_is_changed_in_place_cannot_be_read_as_it_was(url):
    """The reader is told, rather than shown what may never be; and goes on after the commit."""
    with Session() as writing, Session() as reading:
        reader = reading.open_dataset(url, "r", "d")
        writer = writing.open_dataset(url, "r+", "d")
        field = reader["t"]["x"]
        change(writer)
        for look in (lambda: values(reader), lambda: field.data[:], lambda: reader.version):
            with pytest.raises(StorageError, match="being changed by another user"):
                look()
        with Session() as another, pytest.raises(StorageError, match="being changed by another"):
            another.open_dataset(url, "r", "d")
        assert values(writer) == NEW
        writer.commit()
        assert values(reader) == NEW
        writer["t"]["x"].data[0] = 8
        writer.rollback()
        assert values(reader) == NEW


@pytest.mark.parametrize("url", ["hdf5"], indirect=True)
@pytest.mark.parametrize("then", ["commit", "rollback"])
def test_a_file_that_is_replaced_is_read_as_it_was(url, then):
    with Session() as writing, Session() as reading:
        writer = writing.open_dataset(url, "w", "d")
        put(writer, "u", [9])
        reader = reading.open_dataset(url, "r", "d")
        assert values(reader) == OLD
        getattr(writer, then)()
        assert values(reader) == OLD
        assert values(writer) == ({"u": [9]} if then == "commit" else OLD)
    with Session() as s:
        assert values(s.open_dataset(url, "r", "d")) == ({"u": [9]} if then == "commit" else OLD)


def test_a_new_file_is_not_there_before_it_is_committed(tmp_path):
    with Session() as writing, Session() as reading:
        put(writing.open_dataset(tmp_path / "y.hdf5", "w", "d"), "u", [9])
        with pytest.raises(DatasetNotFoundError):
            reading.open_dataset(tmp_path / "y.hdf5", "r", "d")


def test_a_draft_can_be_shared(url):
    """As ExeTera does, which opens a file once in a process."""
    with Session() as writing:
        change(writing.open_dataset(url, "r+", "d"))
        reader = open_storage(str(url), "r", OpenOptions(shared_reads=True))
        assert list(reader.root.group("new").group("x").array("values")[:]) == [5]
        assert list(reader.root.group("t").group("x").array("values")[:]) == NEW["t"]
        reader.close()


def test_exeteras_scripts_share_it(url, shared_reads):
    with Session() as s:
        change(s.open_dataset(url, "r+", "a"))
        assert values(s.open_dataset(url, "r", "b")) == NEW


def test_what_a_dropped_dataset_had_is_there(url):
    """Who opens for reading in the next cell of a notebook finds what the last one has written."""
    session = Session()
    change(session.open_dataset(url, "r+", "d"))
    session.me = session
    del session
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
        with Session() as s:
            assert values(s.open_dataset(url, "r", "d")) == NEW
        for thread in threading.enumerate():
            if "_commit_quietly" in thread.name:
                thread.join()
