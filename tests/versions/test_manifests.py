"""Manifests have what changed: any version is what it was, and nothing is repeated for ever."""

from __future__ import annotations

import json
import math
import shutil
import uuid
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exetera_zarr import ConflictError, Session
from exetera_zarr.errors import CorruptDataError, UnsupportedError
from exetera_zarr.storage import keys
from exetera_zarr.storage.stores.local import LocalStore
from exetera_zarr.storage.zarr import layout
from exetera_zarr.storage.zarr.table_documents import TableDocuments
from exetera_zarr.storage.zarr.versions import manifests
from exetera_zarr.storage.zarr.versions.retention import Keep, kept_versions, lists_all
from exetera_zarr.tables.dataset import move
from exetera_zarr.testing import as_another_process, counting
from support.drafts import drafts, make, put, seen

NAMES = ["a", "A", "b", "\u00e9"]
ACTIONS = ["table", "drop", "rename", "field", "drop field", "rename field", "write", "key"]


def act(ds, action, one, two, number):
    """Change something, if there is what it needs."""
    tables = list(ds.keys())
    if action == "table":
        if one not in ds:
            put(ds, one, [number])
        return
    if not tables:
        return
    table = ds[tables[number % len(tables)]]
    fields = list(table.keys())
    match action:
        case "drop":
            del ds[table.name]
        case "rename" if one not in ds:
            move(table, ds, one)
        case "field" if one not in table:
            table.create_numeric(one, "int64").data.write(np.full(2, number))
        case "drop field" if len(fields) > 1:
            del table[fields[number % len(fields)]]
        case "rename field" if fields and two not in table:
            table.rename(fields[number % len(fields)], two)
        case "write" if fields:
            table[fields[number % len(fields)]].data.write([number])
        case "key" if "key" not in table:
            names = {f"{number}{code}": code for code in range(10)}
            table.create_categorical("key", "int8", names).data.write([number])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.lists(
            st.tuples(
                st.sampled_from(ACTIONS),
                st.sampled_from(NAMES),
                st.sampled_from(NAMES),
                st.integers(0, 9),
            ),
            min_size=1,
            max_size=4,
        ),
        min_size=1,
        max_size=12,
    ),
    st.data(),
)
def test_every_version_is_what_it_was(tmp_path_factory, commits, data):
    """Also those that another writer was faster with, and that were put over his."""
    place = tmp_path_factory.mktemp("m") / f"{uuid.uuid4().hex}.zarr"
    make(place)
    roots = {}

    def note():
        root = (place / "zarr.json").read_bytes()
        roots[json.loads(root)["attributes"]["exetera"]["version"]] = root

    with drafts(place, 2) as (first, second):
        first.retain(versions=10_000)
        for number, changes in enumerate(commits):
            ds = second if data.draw(st.booleans()) else first
            for change in changes:
                act(ds, *change)
            try:
                ds.commit()
            except ConflictError:
                ds.rollback()
                ds.refresh()
            else:
                note()
            if number == len(commits) // 2:
                first.refresh()
    store = LocalStore(place)
    newest = manifests.load(store)
    for number, root in roots.items():
        assert manifests.read(store, number).data == root
        if number < newest.number:
            assert manifests.read(store, newest.number, manifests.read(store, number)) == (
                manifests.read(store, newest.number)
            )
    with Session() as s:
        s.open_dataset(place, "r", "d").verify()
    shutil.rmtree(place)


def commit_rows(place, count):
    """So many commits of a row; the bytes of their manifests."""
    sizes = []
    with Session() as s:
        ds = s.open_dataset(place, "r+", "d", durability="none")
        for number in range(count):
            ds["t"]["x"].data.write([number])
            version = ds.commit()
            sizes.append(len((place / keys.manifest_key(version)).read_bytes()))
    return sizes


def test_a_manifest_has_the_size_of_what_changed(tmp_path):
    """Whatever else is in the dataset, and however many versions were before."""
    place = tmp_path / "x.zarr"
    make(place)
    with Session() as s:
        ds = s.open_dataset(place, "r+", "d", durability="none")
        for number in range(40):
            put(ds, f"table{number}", [1])
        put(ds, "t", [1])
        ds.commit()
        whole = len((place / "zarr.json").read_bytes())
    sizes = commit_rows(place, 400)
    assert max(sizes) < whole / 4
    assert sum(sizes[-100:]) < 1.2 * sum(sizes[:100]) + 100 * 30 * 100  # the list of what is kept
    assert sum(sizes[-100:]) < 1.2 * sum(sizes[200:300])


def test_tables_made_one_by_one_are_written_a_few_times_each(tmp_path):
    place = tmp_path / "x.zarr"
    make(place)
    with Session() as s:
        ds = s.open_dataset(place, "r+", "d", durability="none")
        ds.retain(1, 0)
        for number in range(100):
            put(ds, f"table{number}", [1])
            ds.commit()
    store, total, longest = LocalStore(place), 0, 0
    for number in range(1, 101):
        found = manifests.manifest(store, number)
        # Not the names of the tables, which every version has.
        total += len(found.data) - len(json.dumps(found.facts["tables"]))
        longest = max(longest, len(found.over))
    whole = len((place / "zarr.json").read_bytes())
    assert longest <= math.log2(whole)
    assert total < whole * math.log2(100)


@pytest.mark.zarr
def test_requests(place):
    """A commit asks for one manifest; who is behind for one; history for each, once."""
    with counting() as stores, Session(row_block=4) as s:
        options = {"storage_options": place.storage_options}
        ds = s.open_dataset(place.url("x.zarr"), "w", "d", **options)
        calls = stores[0].calls
        for number in range(30):
            put(ds, f"table{number}", [1])
            ds.commit()
        calls.clear()
        ds["table3"]["x"].data.write([2])
        newest = ds.commit()
        assert sum(verb == "get" and "commits" in key for verb, key in calls) == 1
        calls.clear()
        assert len(list(ds.history())) == newest + 1
        assert sum(verb == "get" for verb, _ in calls) == newest + 2  # and the root


def test_who_is_behind_asks_for_one_manifest(tmp_path):
    place = tmp_path / "x.zarr"
    make(place)
    commit = (place / "zarr.json").read_bytes
    with drafts(place) as (ds,):
        for number in range(8):
            put(ds, f"table{number}", list(range(number)))
            ds.commit()
        before = commit()
        put(ds, "last", [9])
        newest = ds.commit()
    (place / "zarr.json").write_bytes(before)
    asked = []
    store = LocalStore(place)
    real = store.get
    store.get = lambda key: (asked.append(key), real(key))[1]
    found = manifests.load(store)
    assert found.number == newest
    assert sorted(asked) == sorted(["zarr.json", keys.manifest_key(newest)])
    assert seen(place)["last"] == [9]


@pytest.fixture
def chain(tmp_path):
    """A dataset whose newest manifest is over others, the number of one of them, and its own."""
    place = tmp_path / "x.zarr"
    make(place)
    with drafts(place) as (ds,):
        for number in range(24):
            put(ds, f"table{number}", [number])
            ds.commit()
            newest = manifests.manifest(LocalStore(place), ds.version)
            if number >= 11 and newest.over:
                break
    assert newest.over
    (place / "zarr.json").unlink()
    return place, newest.over[-1][0], newest.number


def test_what_a_manifest_is_over_is_checked(chain):
    """A manifest of the same number that was made for something else, or is gone."""
    place, under, newest = chain
    key = place / keys.manifest_key(under)
    data = key.read_bytes()
    facts = json.loads(data)
    facts["attributes"]["exetera"]["writer"] = "somebody else"
    table = next(iter(facts["consolidated_metadata"]["metadata"].values()))
    table["attributes"]["note"] = "changed"
    key.write_bytes(layout._signed(layout.plain(_unsigned(facts))))
    with pytest.raises(CorruptDataError, match=r"not what it was written over"):
        manifests.load(LocalStore(place))
    key.unlink()
    with pytest.raises(CorruptDataError, match=f"over version {under}, whose manifest is missing"):
        manifests.load(LocalStore(place))
    key.write_bytes(data)
    assert manifests.load(LocalStore(place)).number == newest


def _unsigned(document):
    document["attributes"]["exetera"]["checksum"] = layout._UNSIGNED
    return document


@pytest.mark.parametrize(
    "over", [[], [[24, 1]], [[2, 1], [5, 1]], [[-1, 1]], [["1", 1]], "5", [[5]], None]
)
def test_what_cannot_be_over_is_refused(chain, over):
    place, _, newest = chain
    key = place / keys.manifest_key(newest)
    document = json.loads(key.read_bytes())
    document["over"] = over
    key.write_bytes(layout._signed(layout.plain(_unsigned(document))))
    with pytest.raises(CorruptDataError, match=r"well formed|cannot be over"):
        manifests.load(LocalStore(place))


def test_a_manifest_in_the_place_of_the_root_is_refused(chain):
    """It has the checksum of a manifest, and few of the documents."""
    place, _, newest = chain
    shutil.copy(place / keys.manifest_key(newest), place / "zarr.json")
    assert manifests.load(LocalStore(place)).revealed is False
    with Session() as s:
        assert len(s.open_dataset(place, "r", "d")) == newest


def test_a_reader_that_knows_no_changes_says_so(chain, monkeypatch):
    """As the versions before this one do, by name."""
    place, _, _ = chain
    monkeypatch.setattr(layout, "_KNOWN_FEATURES", frozenset())
    with pytest.raises(UnsupportedError, match="changes"):
        manifests.load(LocalStore(place))


# -- which versions are kept


class Plain:
    """Which versions are kept, with the time of each."""

    def __init__(self, keep):
        self.keep, self.kept = keep, [(0, 0.0)]

    def add(self, number, present):
        self.kept.append((number, present))
        while len(self.kept) > self.keep.versions:
            made = self.kept[0][1]
            if self.keep.seconds > 0 and present - made < self.keep.seconds:
                break
            self.kept.pop(0)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 300),
    st.sampled_from([0.0, 5.0, 50.0, math.inf]),
    st.lists(st.integers(0, 3), min_size=1, max_size=600),
)
def test_versions_that_are_kept(versions, seconds, steps):
    """At least those that were asked for, and few more where there are many."""
    keep = Keep(versions, seconds)
    plain, kept, now = Plain(keep), [[0, 0.0]], 0.0
    for number, step in enumerate(steps, 1):
        now += step
        plain.add(number, now)
        kept = keep.choose(kept, number, now)
        found = kept_versions({"kept": kept, "version": number})
        assert list(found)[-len(plain.kept) :] == [number for number, _ in plain.kept]
        assert len(kept) <= 101
        times = [time for _, time in kept]
        assert times == sorted(times)
        if number < 100:
            assert len(found) == len(plain.kept)
            assert lists_all(kept)
    if seconds in (0.0, math.inf):
        assert len(found) == len(plain.kept)


def test_many_versions_are_kept_and_swept(tmp_path):
    """Of those that are not listed as of the others."""
    place = tmp_path / "x.zarr"
    make(place, t=[0])
    with drafts(place) as (ds,):
        ds.retain(versions=150)
        for number in range(1, 201):
            ds["t"]["x"].data[0] = number
            ds.commit()
        facts = json.loads((place / "zarr.json").read_bytes())["attributes"]["exetera"]
        assert facts["requires"] == ["ranges"]
        assert len(facts["kept"]) <= 101
        newest = ds.version
        kept = [commit.version for commit in ds.history() if commit.kept]
        assert kept == list(range(newest, newest - len(kept), -1))
        assert len(kept) == newest + 1  # a day's are kept in any case
        assert seen(place, 57)["t"] == [56]
        ds.vacuum(keep=120, older_than=0)
        written, newest = newest, ds.version  # by the vacuum, which had a rule to write
        for version in (newest, newest - 50, newest - 119):
            assert seen(place, version)["t"] == [min(version, written) - 1]
        with as_another_process(), pytest.raises(Exception, match="no version"):
            seen(place, newest - 120)
        ds.verify()
        live = {path.name for path in Path(place, "t", "x").iterdir() if path.is_dir()}
        assert len(live) == 119  # the newest two have the same


@pytest.mark.parametrize(("first", "then"), [(1, True), (True, 1.0), (0.0, 0), ([1], [True])])
def test_attributes_that_are_equal_in_python_alone_are_told(tmp_path, first, then):
    """What a manifest does not repeat has to be what it is over, byte for byte."""
    make(tmp_path / "x.zarr")
    with drafts(tmp_path / "x.zarr", 1) as (ds,):
        ds.create_dataframe("v").create_numeric("n", "int8")
        group = ds["v"]["n"].group
        for value in (first, then):
            group.update_attributes({"unit": value})
            number = ds.commit()
    below = manifests.read(LocalStore(tmp_path / "x.zarr"), number).below
    assert repr(below["v/n"]["attributes"]["unit"]) == repr(then)


def test_a_commit_makes_the_documents_of_what_it_changes(tmp_path, monkeypatch):
    """Those of the other tables, and their bytes, are those of the version before."""
    place = tmp_path / "x.zarr"
    make(place)
    made = []
    checked = TableDocuments.checked
    monkeypatch.setattr(
        TableDocuments,
        "checked",
        lambda table, where: made.append(table.segment) or checked(table, where),
    )
    with drafts(place, 2) as (one, two):
        for number in range(10):
            one.create_dataframe(f"v{number}").create_numeric("n", "int8").data.write([number])
        one.commit()
        two.refresh()
        made.clear()
        one["v3"]["n"].data[0] = 100
        one.create_dataframe("w").create_numeric("n", "int8")
        one.commit()
        assert sorted(made) == ["v3", "w"]
        made.clear()
        two["v5"]["n"].data.write([1])
        two.commit()  # which meets what the first has written
        assert sorted(set(made)) == ["v3", "v5", "w"]
        made.clear()
        del two["v7"]
        two["v5"].rename("n", "m")
        two.commit()
        assert made == ["v5"]
        two.verify()
