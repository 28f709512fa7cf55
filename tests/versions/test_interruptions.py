"""A draft that is interrupted, or whose commit ends no one knows how, is before or after it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from exetera_zarr import ConflictError, Session, StorageError
from exetera_zarr.fields import base
from exetera_zarr.storage.stores.opening import wrapped_stores
from exetera_zarr.storage.zarr import layout
from exetera_zarr.storage.zarr.arrays import DraftArray
from exetera_zarr.storage.zarr.block_cache import ReadCache
from exetera_zarr.storage.zarr.versions import manifests
from exetera_zarr.tables.dataset import move
from exetera_zarr.testing import WrapperStore
from support.drafts import drafts, make, put, seen, values_of


def interrupt(monkeypatch, owner, name, at=1):
    """Have the `at`-th call of a function end in Ctrl-C, after it has done its work."""
    real, calls = getattr(owner, name), [0]

    def interrupted(*given, **options):
        result = real(*given, **options)
        calls[0] += 1
        if calls[0] == at:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(owner, name, interrupted)


@pytest.mark.parametrize("change", [False, True])
def test_an_interrupted_refresh_undoes_nobody(tmp_path, monkeypatch, change):
    """What another writer committed is still there after the next commit."""
    url = tmp_path / "x.zarr"
    make(url, t=[1, 2, 3], u=[1])
    with drafts(url, 2) as (mine, other):
        put(other, "theirs", [5])
        other.commit()
        if change:
            mine["t"]["x"].data[0] = 9
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            interrupt(patch, layout, "tree")
            mine.refresh()
        mine["t"]["x"].data[1] = 8
        mine.commit()
        assert seen(url) == {"t": [9 if change else 1, 8, 3], "u": [1], "theirs": [5]}


def test_a_transaction_holds_its_version(tmp_path):
    """Inside of one nothing moves to another version; what it set is undone with it."""
    url = tmp_path / "x.zarr"
    make(url, t=[1, 2, 3])
    with drafts(url, 2) as (mine, other):
        put(other, "theirs", [5])
        other.commit()
        with pytest.raises(ValueError, match="refresh inside of a transaction"), mine.transaction():
            mine.refresh()
        with pytest.raises(KeyError), mine.transaction():
            mine.retain(1, 0)
            raise KeyError
        assert not mine.storage.changed
        put(mine, "mine", [1])
        mine.commit()
        assert seen(url) == {"t": [1, 2, 3], "theirs": [5], "mine": [1]}
        assert all(entry.kept for entry in mine.history())


@pytest.mark.parametrize(
    ("owner", "name", "at"),
    [
        (manifests, "create", 1),
        (DraftArray, "settled", 1),
        (DraftArray, "settled", 2),
        (manifests, "reveal", 1),
    ],
    ids=["created", "settled one", "settled two", "revealed"],
)
def test_an_interrupted_commit_is_a_version_that_stays(tmp_path, monkeypatch, owner, name, at):
    """The next commit knows its own version, and writes over nothing that it reaches."""
    url = tmp_path / "x.zarr"
    make(url, t=range(6), u=[1])
    with drafts(url) as (ds,):
        ds["t"]["x"].data.write(np.arange(6, 10))
        ds["t"]["x"].data[0] = 100
        ds["u"]["x"].data[0] = 2
        wanted = values_of(ds)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            interrupt(patch, owner, name, at)
            ds.commit()
        assert values_of(ds) == wanted
        assert ds.commit() == 2
        ds["t"]["x"].data[9] = -9
        ds["t"]["x"].data.write([10])
        assert ds.commit() == 3
        assert seen(url, 2) == wanted
        assert seen(url) == {"t": [*wanted["t"][:-1], -9, 10], "u": [2]}
        ds.verify()


class Lost(WrapperStore):
    """A store that writes a manifest and loses the replies."""

    lost = 0

    def create(self, key, data):
        made = self.store.create(key, data)
        if Lost.lost:
            Lost.lost -= 1
            raise StorageError("the reply was lost")
        return made


def lose_a_commit(ds):
    Lost.lost = 2
    with pytest.raises(StorageError, match="lost"):
        ds.commit()
    assert Lost.lost == 0


@pytest.mark.parametrize("how", ["rollback", "refresh", "close"])
def test_whether_a_commit_was_made_is_found_out_first(tmp_path, how):
    """Two tables that were changed together stay together, whatever comes after."""
    url = tmp_path / "x.zarr"
    make(url, a=[1], b=[1])
    with wrapped_stores(Lost), drafts(url) as (ds,):
        ds["a"]["x"].data[0] = 2
        ds["b"]["x"].data[0] = 2
        lose_a_commit(ds)
        if how == "close":
            ds.close()
            assert seen(url) == {"a": [2], "b": [2]}
            return
        getattr(ds, how)()
        assert ds.version == 2
        assert not ds.storage.changed
        ds["a"]["x"].data[0] += 1
        assert ds.commit() == 3
        assert seen(url) == {"a": [3], "b": [2]}


def test_what_was_deleted_after_a_lost_reply_stays_deleted(tmp_path):
    url = tmp_path / "x.zarr"
    make(url, a=[1])
    with wrapped_stores(Lost), drafts(url) as (ds,):
        put(ds, "b", [1])
        lose_a_commit(ds)
        del ds["b"]
        assert ds.commit() == 3
        assert seen(url, 2) == {"a": [1], "b": [1]}
        assert seen(url) == {"a": [1]}


def test_a_commit_that_lands_after_a_rollback_is_another_writers(tmp_path, monkeypatch):
    """A request that was on its way is then a version like any other, and no key is used again."""
    url = tmp_path / "x.zarr"
    make(url, a=[1])
    late = []

    def held(store, number, data):
        late.append((store, number, data))
        raise StorageError("no reply")

    with drafts(url) as (ds,):
        ds["a"]["x"].data[0] = 2
        with monkeypatch.context() as patch, pytest.raises(StorageError):
            patch.setattr(manifests, "create", held)
            ds.commit()
        ds.rollback()
        ds["a"]["x"].data[0] = 3
        assert manifests.create(*late[0])
        with pytest.raises(ConflictError, match="'a'"):
            ds.commit()
        ds.commit(force=True)
        assert [seen(url, 2), seen(url)] == [{"a": [2]}, {"a": [3]}]


def test_an_assignment_over_blocks_is_all_or_nothing(tmp_path):
    """Where one of them cannot be read, none is changed, and there is nothing to commit."""
    url = tmp_path / "x.zarr"
    make(url, t=range(12))
    chunk = url / "t/x/values/c/2"
    with drafts(url) as (ds,):
        chunk.rename(tmp_path / "away")
        with pytest.raises(ValueError, match="chunk is missing"):
            ds["t"]["x"].data[2:10] = np.full(8, -1)
        (tmp_path / "away").rename(chunk)
        assert values_of(ds) == {"t": list(range(12))}
        assert not ds.storage.changed
        ds["t"]["x"].data[2:10] = np.full(8, -1)
        ds.commit()
    assert seen(url) == {"t": [0, 1, *[-1] * 8, 10, 11]}


def test_an_interrupted_rename_is_whole(tmp_path, monkeypatch):
    """What was renamed before Ctrl-C will be committed, under one name."""
    url = tmp_path / "x.zarr"
    make(url, t=[1])
    with drafts(url) as (ds,):
        draft = ds.storage.draft
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            interrupt(patch, draft, "reindex", at=2)
            move(ds["t"], ds, "new")
        found = values_of(ds)
        ds.commit()
        assert seen(url) == found == {"new": [1]}


@pytest.mark.parametrize("function", ["note", "changing"])
def test_an_interrupted_creation_is_whole(tmp_path, monkeypatch, function):
    """A table that Ctrl-C met while it was made is there as others are, or is not there."""
    url = tmp_path / "x.zarr"
    make(url, t=[1])
    with drafts(url) as (ds,):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            interrupt(patch, ds.storage.draft, function)
            ds.storage.root.create_group("new")
        frame = ds.require_dataframe("new")
        frame.create_numeric("x", "int64").data.write([2])
        move(frame, ds, "newer")
        assert (frame.name, ds["newer"]["x"].data[:].tolist()) == ("newer", [2])
        ds.commit()
        assert seen(url) == {"t": [1], "newer": [2]}


@pytest.mark.parametrize("ending", ["zarr", "hdf5"])
def test_half_a_field_is_never_committed(tmp_path, monkeypatch, ending):
    """Nobody commits between its name and its arrays, and Ctrl-C there leaves neither."""
    url = tmp_path / f"x.{ending}"
    others = []
    with Session() as s:
        ds = s.open_dataset(url, "w", "d")
        put(ds, "t", [1])
        lock = ds.storage.draft.lock

        def other():
            found = lock.acquire(blocking=False)
            if found:
                lock.release()
            return found

        def interrupted(_):
            assert "half" in ds["t"].group
            with ThreadPoolExecutor(1) as threads:
                others.append(threads.submit(other).result())
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(base, "array_dtypes", interrupted)
            ds["t"].create_numeric("half", "int64")
    assert others == [False]
    assert seen(url) == {"t": [1]}
    with Session() as s:
        assert s.open_dataset(url, "r", "d")["t"].keys() == ["x"]


def test_a_late_reader_leaves_no_old_block_behind(tmp_path, monkeypatch):
    """A block that is being read while it is changed and committed is not remembered as it was."""
    late = []
    with Session(row_block=10) as s:
        ds = s.open_dataset(tmp_path / "x.zarr", "w", "d")
        x = put(ds, "t", range(10))["x"]
        with monkeypatch.context() as patch:
            patch.setattr(ReadCache, "put", lambda *given: late.append(given))
            assert x.data[2:5].tolist() == [2, 3, 4]
        x.data[3] = 999
        ds.commit()
        for cache, key, block in late:
            cache.put(key, block)
        assert x.data[2:5].tolist() == [2, 999, 4]


class Recording(WrapperStore):
    """A store that notes what was written to each key."""

    def __init__(self, store):
        super().__init__(store)
        self.contents = {}
        self.broken = False

    def put(self, key, data):
        self.contents.setdefault(key, set()).add(bytes(data))
        if self.broken and key.endswith("/c/1"):
            raise StorageError("no route")
        self.store.put(key, data)


def test_no_key_has_a_second_content_after_a_failure(tmp_path):
    """Where a commit fails half-way, what was sent may arrive at any time, so it goes elsewhere."""
    stores = []

    def wrap(store):
        stores.append(Recording(store))
        return stores[-1]

    with wrapped_stores(wrap), Session(row_block=4) as s:
        ds = s.open_dataset(tmp_path / "x.zarr", "w", "d")
        x = put(ds, "t", range(6))["x"]
        stores[0].broken = True
        with pytest.raises(StorageError):
            ds.commit()
        x.data[5] = 50
        with pytest.raises(StorageError):
            ds.commit()
        stores[0].broken = False
        x.data[0] = 9
        x.data.write([6, 7, 8])
        ds.commit()
        assert x.data[:].tolist() == [9, 1, 2, 3, 4, 50, 6, 7, 8]
    written = {k: len(c) for k, c in stores[0].contents.items() if k.startswith("t/x/values")}
    assert set(written.values()) == {1}
