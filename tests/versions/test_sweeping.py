"""What a sweep removes: all that it should, and nothing that is somebody else's."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

from exetera_zarr import Session
from exetera_zarr.errors import CorruptDataError, DatasetExistsError
from exetera_zarr.storage import keys
from exetera_zarr.storage.stores.local import LocalStore
from exetera_zarr.storage.zarr import draft as draft_module
from exetera_zarr.storage.zarr.versions import manifests
from exetera_zarr.testing import WrapperStore, as_another_process
from support.drafts import drafts, files, make, put, seen


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("t/zarr.json", "group"),
        ("t/c/zarr.json", "group"),
        ("t/c/values/c/0", "array"),
        ("t/c/values-0123456789ab/c/12/0", "array"),
        ("f/index-0123456789ab/zarr.json", "array"),
        ("t/f/.tmp-zarr.json-0123456789abcdef", "passing"),
        ("t/f/values-0123456789ab/c/.tmp-3-0123456789abcdef", "passing"),
        ("t/f/values/c/3/.tmp-0-0123456789abcdef", "passing"),
        ("t/f/c/.tmp-3-0123456789abcdef", None),
        ("__exetera__/clock-0123456789abcdef", "passing"),
        ("__exetera__/commits/9999999999.json", None),
        ("zarr.json", None),
        ("README.txt", None),
        ("t/notes.md", None),
        ("t/f/values-backup/c/0", None),
        ("inner/t/f/values/c/0", None),
        ("t/f/values/c/0.orig", None),
    ],
)
def test_keys_of_the_format(key, kind):
    """Fields may be called `c`; everything else in the folder is nobody's business."""
    assert keys.is_array_key(key) == (kind == "array")
    assert keys.is_passing(key) == (kind == "passing")
    assert (keys.is_group_document(key) and not keys.is_array_key(key)) == (kind == "group")
    if kind == "array":
        assert keys.node_of(key).rsplit("/", 1)[1].startswith(("values", "index"))


def aged(monkeypatch):
    """Have everything be eight days old."""
    real = LocalStore.everything

    def everything(self, prefix):
        for e in real(self, prefix):
            old = 0 if "clock-" in e.key else 8 * 86_400
            yield type(e)(e.key, e.size, e.modified - old)

    monkeypatch.setattr(LocalStore, "everything", everything)


def test_a_vacuum_leaves_what_is_not_its_own(tmp_path, monkeypatch):
    """Another dataset inside, another Zarr group, and notes; a crashed draft's blocks go."""
    url, inner = tmp_path / "x.zarr", tmp_path / "inner.zarr"
    make(url, t=[1, 2, 3])
    make(inner, u=[4, 5])
    inner.rename(url / "inner")
    group = zarr.open_group(url / "t" / "foreign", mode="w")
    group.create_array("values", data=np.arange(3))
    (url / "README.txt").write_text("notes")
    crashed = url / "t" / "x" / "values-0123456789ab" / "c" / "0"
    crashed.parent.mkdir(parents=True)
    crashed.write_bytes(b"x")
    before = files(url)
    aged(monkeypatch)
    with drafts(url) as (ds,):
        assert ds.vacuum() == 1
        assert files(url) == before - {crashed.relative_to(url).as_posix()}
        assert not (url / "t" / "x" / "values-0123456789ab").exists()
        ds.purge("t", rows=np.array([True, False, False]))
    assert (url / "README.txt").exists()
    assert seen(url / "inner") == {"u": [4, 5]}
    assert zarr.open_group(url / "t" / "foreign", mode="r")["values"][:].tolist() == [0, 1, 2]


@pytest.mark.zarr
@pytest.mark.parametrize("mode", ["w", "x", "a"])
def test_no_dataset_inside_of_another(place, mode):
    """The outer one would take it for its own."""
    options = place.storage_options
    with Session() as s:
        s.open_dataset(place.url("x.zarr"), "w", "d", storage_options=options)
        for inside in ("x.zarr/derived", "x.zarr/t/deep/er"):
            with pytest.raises(DatasetExistsError, match=r"inside of the dataset \S+x\.zarr"):
                s.open_dataset(place.url(inside), mode, "e", storage_options=options)
        s.open_dataset(place.url("x.zarr.bak"), mode, "e", storage_options=options)


def test_a_purge_asks_no_clock(tmp_path, monkeypatch):
    """Also a version of a machine whose clock is ahead goes."""
    url = tmp_path / "x.zarr"
    with monkeypatch.context() as patch:
        real = draft_module.clock
        patch.setattr(draft_module, "clock", lambda: real() + 3600)
        make(url, t=[1, 2, 3])
    with drafts(url) as (ds,):
        version = ds.purge("t", rows=np.array([True, False, False])).version
        assert [entry.version for entry in ds.history() if entry.kept] == [version]
    assert len([key for key in files(url) if "/c/" in key]) == 1


@pytest.mark.parametrize("renamed", ["rolled back before", "rolled back after"])
def test_a_purge_finds_what_was_rolled_back(tmp_path, renamed):
    """Whatever the table was called when it was uploaded, and however its name is written."""
    url = tmp_path / "x.zarr"
    make(url, t=[1], café=range(8))
    with drafts(url) as (ds,):
        if renamed.endswith("after"):
            ds["people"] = ds["caf\xe9"]
        name = "people" if renamed.endswith("after") else "caf\xe9"
        with pytest.raises(KeyError), ds.transaction():
            ds[name]["x"].data.write(np.full(8, 77))
            raise KeyError
        if renamed.endswith("before"):
            ds["people"] = ds[name]
        ds["e\u0301"] = ds["people"]
        ds.purge("e\u0301", rows=np.zeros(8, bool))
        reached = {f"{p}/c" for p in ds.storage.draft.base.below}
    assert {key.rpartition("/")[0] for key in files(url) if "/c/" in key} <= reached


def test_a_table_that_comes_back_while_its_remains_go(tmp_path, monkeypatch):
    """Plain Zarr readers find it, with and without consolidated metadata."""
    url = tmp_path / "x.zarr"
    make(url, t=[1, 2, 3], k=[1])
    real = LocalStore.delete
    with drafts(url, 2) as (ds, other):
        del ds["t"]
        ds.commit()
        waiting = [True]

        def delete(self, key):
            if key == "t/zarr.json" and waiting:
                waiting.clear()
                other.refresh()
                put(other, "t", [7, 8, 9])
                other.commit()
            real(self, key)

        monkeypatch.setattr(LocalStore, "delete", delete)
        ds.vacuum(1, 0)
        assert not waiting
        ds.refresh()
        ds.verify()
    for consolidated in (True, False):
        root = zarr.open_group(url, mode="r", use_consolidated=consolidated)
        assert root["t"].attrs["columns"] == ["x"]


class Held(WrapperStore):
    """A store that does something before it replaces the document of a table."""

    def __init__(self, store, before):
        super().__init__(store)
        self.before = before

    def advance(self, key, data, wanted, expected=None):
        if key == "t/zarr.json":
            before, self.before = self.before, lambda: None
            before()
        return self.store.advance(key, data, wanted, expected)


def test_a_repair_does_not_undo_a_later_version(tmp_path):
    """A document of a version that was committed since the repair began is not damaged."""
    url = tmp_path / "x.zarr"
    make(url, t=[1, 2, 3])
    with drafts(url) as (ds,):
        ds["t"].create_numeric("y", "int8").data.write([1, 1, 1])
        ds.commit()

        def commit_another():
            ds["t"].create_numeric("z", "int8").data.write([2, 2, 2])
            ds.commit()

        store = Held(LocalStore(str(url), durable=False), commit_another)
        manifests.reveal(store, manifests.read(store, 2), None)
        ds.verify()
        root = zarr.open_group(url, mode="r", use_consolidated=False)
        assert root["t"].attrs["columns"] == ["x", "y", "z"]


def test_verify_beside_a_later_version(tmp_path):
    """A handle of an older version checks that one; damage is found in any case."""
    url = tmp_path / "x.zarr"
    make(url, t=range(8))
    with drafts(url) as (ds,), as_another_process(), Session() as s:
        behind = s.open_dataset(url, "r", "r")
        ds["t"]["x"].data[0] = 5
        ds.commit()
        old = s.open_dataset(url, "r", "o", version=1)
        behind.verify()
        old.verify()
        (url / "t/x/values/c/1").unlink()
        for handle in (behind, old):
            with pytest.raises(CorruptDataError, match="chunk 1"):
                handle.verify()


@pytest.mark.parametrize(
    "name", [".DS_Store", ".nfs0001", "9999999998 (copy).json", "9999999998.json~", "notes"]
)
def test_strange_files_beside_the_manifests(tmp_path, name):
    url = tmp_path / "x.zarr"
    make(url, t=[1])
    (url / "__exetera__" / "commits" / name).write_bytes(b"")
    with drafts(url) as (ds,):
        ds["t"]["x"].data[0] = 2
        assert ds.commit() == 2
        assert [entry.version for entry in ds.history()] == [2, 1, 0]
        ds.vacuum()
    assert seen(url) == {"t": [2]}


@pytest.mark.parametrize(
    ("versions", "seconds"), [(3, float("nan")), (0, 0), (1, -1), (2.5, 0), (1, "a week")]
)
def test_a_rule_that_cannot_be_is_refused_at_once(tmp_path, versions, seconds):
    with Session() as s:
        ds = s.open_dataset(tmp_path / "x.zarr", "w", "d")
        for call in (ds.retain, ds.vacuum):
            with pytest.raises((TypeError, ValueError)):
                call(versions, seconds)
        assert not ds.storage.changed


def test_versions_are_kept_for_ever_when_infinity_says_so(tmp_path):
    """Also by numpy's numbers, as they come out of a computation."""
    url = tmp_path / "x.zarr"
    make(url, t=[1])
    with drafts(url) as (ds,):
        ds.retain(np.int64(1), np.float32("inf"))
        for number in range(4):
            ds["t"]["x"].data[0] = number
            ds.commit()
        assert all(entry.kept for entry in ds.history())
        ds.retain(np.int8(2), np.int64(0))
        ds["t"]["x"].data[0] = 9
        ds.commit()
        assert [entry.kept for entry in ds.history()] == [True, True, *[False] * 5]
    assert seen(url) == {"t": [9]}
