"""Changes of two drafts put together: by the names of tables, whatever their folders are."""

from __future__ import annotations

import json

import pytest

from exetera_zarr import ConflictError, CorruptDataError, Session
from exetera_zarr.storage.zarr import layout
from exetera_zarr.tables.dataset import move
from support.drafts import drafts, make, put, seen, values_of


def test_a_name_that_was_given_meanwhile_is_a_conflict(tmp_path):
    """One renames `age` to `AGE`, the other one makes an `AGE`, in another folder."""
    url = tmp_path / "x.zarr"
    make(url, age=[1, 2, 3])
    with drafts(url, 2) as (one, two):
        put(two, "AGE", [100])
        move(one["age"], one, "AGE")
        one.commit()
        with pytest.raises(ConflictError, match="'AGE'"):
            two.commit()
        assert seen(url) == {"AGE": [1, 2, 3]}


def test_names_that_differ_by_case_are_two_tables(tmp_path):
    """Both land, each in a folder of its own on any system."""
    url = tmp_path / "x.zarr"
    make(url, t=[1])
    with drafts(url, 2) as (one, two):
        put(one, "age", [1, 2, 3])
        put(two, "AGE", range(9))
        one.commit()
        two.commit()
        two["AGE"]["x"].data[0] = 7
        two.commit()
        assert seen(url) == {"t": [1], "age": [1, 2, 3], "AGE": [7, *range(1, 9)]}
        two.verify()
    below = json.loads((url / "zarr.json").read_text())["consolidated_metadata"]["metadata"]
    assert len({path.casefold() for path in below}) == len(below)


def test_a_forced_table_is_not_the_one_that_was_renamed(tmp_path):
    """Each has its own values, read and written by name or by an object from before."""
    url = tmp_path / "x.zarr"
    make(url, t=[1, 2, 3])
    with drafts(url, 2) as (one, two):
        table, field = two["t"], two["t"]["x"]
        field.data.write([99])
        one["t2"] = one["t"]
        one.commit()
        two.commit(force=True)
        assert values_of(two) == seen(url) == {"t2": [1, 2, 3], "t": [1, 2, 3, 99]}
        two["t2"]["x"].data[0] = -5
        field.data[1] = 7
        table["x"].data[2] = 8
        two.commit()
        assert values_of(two) == seen(url) == {"t2": [-5, 2, 3], "t": [1, 7, 8, 99]}
        two.verify()


def test_verify_finds_an_id_twice(tmp_path):
    url = tmp_path / "x.zarr"
    make(url, t=[1], u=[2])
    newest = min((url / "__exetera__" / "commits").iterdir())
    document = json.loads(newest.read_bytes())
    below = document["consolidated_metadata"]["metadata"]
    below["u"]["attributes"]["id"] = below["t"]["attributes"]["id"]
    facts = document["attributes"].pop("exetera")
    facts.pop("checksum")
    data = layout.encode(below, facts, document["attributes"])
    for path in (newest, url / "zarr.json"):
        path.unlink()
        path.write_bytes(data)
    with Session() as s, pytest.raises(CorruptDataError, match="u and t have the same id"):
        s.open_dataset(url, "r", "d").verify()


def test_the_order_of_tables_stays(tmp_path):
    """What was changed beside another writer does not move to the end."""
    url = tmp_path / "x.zarr"
    make(url, a=[1], b=[2], c=[3])
    with drafts(url, 2) as (one, two):
        one["c"]["x"].data[0] = 4
        two["a"]["x"].data[0] = 5
        put(two, "d", [6])
        one.commit()
        two.commit()
        assert list(seen(url)) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("again", [False, True])
def test_a_dataset_that_was_replaced_is_not_written_to(tmp_path, again):
    """A draft over what is not there any more is told so, and keeps its changes."""
    url = tmp_path / "x.zarr"
    make(url, t=[1])
    with drafts(url) as (ds,):
        for number in range(3):
            ds["t"]["x"].data[0] = number
            ds.commit()
        url.rename(tmp_path / "before.zarr")
        if again:
            make(url, mine=[5, 6])
        put(ds, "k", [1])
        with pytest.raises(ConflictError, match="removed, or replaced by another dataset"):
            ds.commit()
        assert ds["k"]["x"].data[:].tolist() == [1]
        if again:
            assert seen(url) == {"mine": [5, 6]}


def test_a_place_that_was_removed_is_opened_anew(tmp_path):
    """Nobody shares the draft of a dataset that is gone, although somebody holds it still."""
    url = tmp_path / "x.zarr"
    with Session() as s, Session() as again:
        ds = s.open_dataset(url, "w", "d")
        put(ds, "t", [1])
        ds.commit()
        url.rename(tmp_path / "before.zarr")
        found = again.open_dataset(url, "x", "d")
        assert found.keys() == []
        put(found, "u", [2])
        found.commit()
        assert again.open_dataset(url, "r", "e").keys() == ["u"]
        assert seen(url) == {"u": [2]}
