"""HDF5 files of few and of very many objects: all that a commit says is there when it returns."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from exetera_zarr import CorruptDataError, Session
from exetera_zarr.storage.hdf5 import draft as drafts
from exetera_zarr.storage.hdf5 import library
from exetera_zarr.testing import as_another_process

LABELS = {"no": 0, "yes": 1}
slow = pytest.mark.slow


@pytest.fixture
def path(tmp_path):
    return tmp_path / "many.hdf5"


def add(table, kind, name, number):
    match kind:
        case "numeric":
            table.create_numeric(name, "int32").data.write(np.arange(3, dtype="int32") + number)
        case "categorical":
            table.create_categorical(name, "int8", LABELS).data.write(np.array([0, 1, 1], "int8"))
        case "string":
            table.create_indexed_string(name).data.write(["", "a", f"é{number}"])
        case "fixed":
            table.create_fixed_string(name, 4).data.write(np.array([b"a", b"", b"abcd"]))
        case "timestamp":
            table.create_timestamp(name).data.write([0.0, 1.5, float(number)])
        case "long":
            table.create_numeric(name, "int32").data.write(np.arange(70_000, dtype="int32"))


def expected(kind, number):
    return {
        "numeric": [number, number + 1, number + 2],
        "categorical": [0, 1, 1],
        "string": ["", "a", f"é{number}"],
        "fixed": [b"a", b"", b"abcd"],
        "timestamp": [0.0, 1.5, float(number)],
        "long": list(range(70_000)),
    }[kind]


def check(path, kind, tables, fields):
    """All of it, as we read it and as plain h5py does."""
    with as_another_process(), Session() as s:
        ds = s.open_dataset(path, "r", "d")
        assert len(ds.keys()) == tables
        for table in ds.values():
            assert list(table.keys()) == [f"f{n:05d}" for n in range(fields)]
            for number, field in enumerate(table.values()):
                assert list(field.data[:]) == expected(kind, number)
    with h5py.File(path) as file:
        assert len(file) == tables
        for table in file.values():
            assert len(table) == fields
            for number, group in enumerate(table.values()):
                assert {"fieldtype", "chunksize", "timestamp"} <= set(group.attrs)
                assert ("key_values" in group) == (kind == "categorical")
                values = group["values"][:]
                if kind == "string":
                    text = f"aé{number}".encode()
                    assert values.tobytes() == text
                    assert group["index"][:].tolist() == [0, 0, 1, len(text)]
                else:
                    assert values.tolist() == expected(kind, number)


KINDS = ["numeric", "categorical", "string", "fixed", "timestamp"]
SIZES = [
    *((kind, 1, 1) for kind in KINDS),
    ("numeric", 1, 600),
    ("string", 1, 300),
    ("categorical", 1, 200),
    ("numeric", 40, 10),
    ("long", 1, 30),
    *(pytest.param(kind, 1, 5_000, marks=slow) for kind in KINDS),
    pytest.param("numeric", 800, 10, marks=slow),
    pytest.param("string", 800, 1, marks=slow),
    pytest.param("long", 1, 1_500, marks=slow),
]


@pytest.mark.parametrize(("kind", "tables", "fields"), SIZES)
def test_any_number_of_fields_in_one_commit(path, kind, tables, fields):
    with Session() as s:
        ds = s.open_dataset(path, "w", "d", durability="none")
        for number in range(tables):
            table = ds.create_dataframe(f"t{number:04d}")
            for field in range(fields):
                add(table, kind, f"f{field:05d}", field)
        assert ds.commit() == 1
    check(path, kind, tables, fields)


@pytest.mark.parametrize("count", [1, 1_000, pytest.param(100_000, marks=slow)])
def test_any_number_of_categories_in_one_commit(path, count):
    labels = {f"label {n}": n for n in range(count)}
    with Session() as s:
        ds = s.open_dataset(path, "w", "d", durability="none")
        field = ds.create_dataframe("t").create_categorical("c", "int32", labels)
        field.data.write(np.arange(count, dtype="int32"))
        assert ds.commit() == 1
    with as_another_process(), Session() as s:
        field = s.open_dataset(path, "r", "d")["t"]["c"]
        assert len(field.keys) == count
        assert field.keys[count - 1] == f"label {count - 1}".encode()
    with h5py.File(path) as file:
        assert file["t/c/key_names"].asstr()[:].tolist() == list(labels)
        assert file["t/c/key_values"][:].tolist() == list(labels.values())


def names_in(path):
    with h5py.File(path) as file:
        return sorted(file["t"])


@pytest.mark.parametrize("count", [200, pytest.param(5_000, marks=slow)])
@pytest.mark.parametrize("written", ["now", "before"])
def test_many_fields_of_a_file_that_is_there(path, monkeypatch, written, count):
    """Added, rewritten, renamed in a chain, made anew and deleted, also in files of the past."""
    if written == "before":
        monkeypatch.setitem(library._HANDLES, "libver", ("v108", "v108"))
    with Session() as s:
        add(s.open_dataset(path, "w", "d").create_dataframe("t"), "numeric", "first", 0)
    monkeypatch.undo()
    names = [f"f{n:05d}" for n in range(count)]

    def change(change, left):
        with as_another_process(), Session() as s:
            change(s.open_dataset(path, "r+", "d", durability="none")["t"])
        assert names_in(path) == sorted([*left, "first"])

    def add_all(t):
        for n, name in enumerate(names):
            add(t, "numeric", name, n)

    def rewrite_all(t):
        for name in names:
            t[name].data.clear()
            t[name].data.write(np.array([1], "int32"))

    def make_anew(t):
        for name in names[1:]:
            del t[name]
            add(t, "string", name, 1)

    def delete_most(t):
        for name in names[10:]:
            del t[name]

    change(add_all, names)
    change(rewrite_all, names)
    change(
        lambda t: t.rename(dict(zip(names, [*names[1:], "last"], strict=True))),
        [*names[1:], "last"],
    )
    change(make_anew, [*names[1:], "last"])
    change(delete_most, [*names[1:10], "last"])
    with as_another_process(), Session() as s:
        t = s.open_dataset(path, "r", "d")["t"]
        assert t["last"].data[:].tolist() == [1]
        assert t["first"].data[:].tolist() == [0, 1, 2]
        assert t[names[3]].data[:] == ["", "a", "é1"]


def lose_link(file):
    del file["t"]["b"]


def lose_table(file):
    del file["t"]


def lose_attribute(file):
    del file["t/b"].attrs["chunksize"]


def change_type(file):
    file["t/b"].attrs["fieldtype"] = "timestamp"


def lose_values(file):
    del file["t/b/values"]


def lose_rows(file):
    file["t/b/values"].resize((2,))


def lose_key(file):
    file["t/c/key_names"].resize((1,))


def lose_notes(file):
    file.attrs["exetera_zarr"] = "{}"


LOSSES = [
    lose_link, lose_table, lose_attribute, change_type, lose_values, lose_rows, lose_key, lose_notes
]  # fmt: skip


@pytest.mark.parametrize("lose", LOSSES)
@pytest.mark.parametrize("mode", ["w", "r+"])
def test_a_commit_that_did_not_keep_all_says_so(path, monkeypatch, mode, lose):
    """It is an error, and a file that was to be replaced stays."""
    real = drafts.write_tree

    def losing(file, root):
        real(file, root)
        lose(file.file)

    with Session() as s:
        add(s.open_dataset(path, "w", "d").create_dataframe("before"), "numeric", "a", 0)
    with Session() as s:
        ds = s.open_dataset(path, mode, "d")
        table = ds.create_dataframe("t")
        add(table, "numeric", "b", 0)
        add(table, "categorical", "c", 0)
        monkeypatch.setattr(drafts, "write_tree", losing)
        with pytest.raises(CorruptDataError, match="did not keep what was written"):
            ds.commit()
        monkeypatch.undo()
        if mode == "w":
            with h5py.File(path) as file:
                assert list(file) == ["before"]
        ds.storage.draft.close_file()
        ds.storage.draft._dirty = ds.storage.draft._torn = ds.storage.draft._made = False


def test_a_loss_in_what_was_not_changed_is_seen(path, monkeypatch):
    """At least that a field is gone, which costs one look at the names of each table."""
    with Session() as s:
        table = s.open_dataset(path, "w", "d").create_dataframe("t")
        add(table, "numeric", "a", 0)
        add(table, "numeric", "b", 0)
    real = drafts.write_tree
    with Session() as s:
        ds = s.open_dataset(path, "r+", "d")
        ds.create_dataframe("u")
        with monkeypatch.context() as patched:
            patched.setattr(drafts, "write_tree", lambda f, r: (real(f, r), lose_link(f.file)))
            with pytest.raises(CorruptDataError, match="/t has lost 1 of 2"):
                ds.commit()
        ds.storage.draft.close_file()
        ds.storage.draft._dirty = ds.storage.draft._torn = False
