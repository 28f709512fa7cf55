"""The draft: what is kept in memory, what goes to disk, and what a failing store leaves of it."""

from __future__ import annotations

import os
import subprocess
import sys
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from exetera_zarr import ConflictError, Session, StorageError
from exetera_zarr.storage import OpenOptions, open_storage
from exetera_zarr.storage.stores.opening import wrapped_stores
from exetera_zarr.storage.zarr.block_cache import Buffer
from exetera_zarr.testing import WrapperStore, as_another_process


def test_changed_blocks_beyond_the_limit_wait_on_disk(tmp_path):
    """Within a small cache, blocks go to the spill folder and come back; nothing stays there."""
    spill = tmp_path / "spill"
    spill.mkdir()
    rows = 5000
    storage = open_storage(
        str(tmp_path / "x.zarr"),
        "w",
        OpenOptions(row_block=100, cache_limit=4000, spill_dir=str(spill)),
    )
    group = storage.root.create_group("f", {"fieldtype": "numeric"})
    group.set_array("values", group.new_array("values", "int64"))
    array = group.array("values")
    array.append(np.zeros(rows, "int64"))
    expected = np.zeros(rows, "int64")
    for row in np.random.default_rng(0).permutation(rows)[:3000].tolist():
        array.write(row, np.array([row]))
        expected[row] = row
    spilled = sum(len(files) for _, _, files in os.walk(spill))
    assert spilled > 20
    assert np.array_equal(array.read(0, rows), expected)
    storage.close()
    del storage, group, array
    assert sum(len(files) for _, _, files in os.walk(spill)) == 0
    reader = open_storage(str(tmp_path / "x.zarr"), "r")
    assert np.array_equal(reader.root.group("f").array("values").read(0, rows), expected)
    reader.close()


def test_columns_that_grow_in_turn_are_spilled_once(tmp_path, monkeypatch):
    """A wide table that does not fit: what was spilled is not read back to append to it."""
    written = []
    spill = Buffer.spill

    def counted(buffer, folder):
        written.append(buffer.nbytes)
        spill(buffer, folder)

    monkeypatch.setattr(Buffer, "spill", counted)
    columns, rows, part = 40, 4000, 100
    url = str(tmp_path / "x.zarr")
    storage = open_storage(
        url, "w", OpenOptions(row_block=3000, cache_limit=columns * part * 8 // 2)
    )
    arrays = []
    for number in range(columns):
        group = storage.root.create_group(f"f{number}", {"fieldtype": "numeric"})
        group.set_array("values", group.new_array("values", "int64"))
        arrays.append(group.array("values"))
    for start in range(0, rows, part):
        for number, array in enumerate(arrays):
            array.append(np.arange(start, start + part) + number)
    assert sum(written) <= columns * rows * 8
    arrays[3].write(10, np.array([-1, -2]))
    expected = np.arange(rows) + 3
    expected[10:12] = -1, -2
    assert np.array_equal(arrays[3].read(0, rows), expected)
    assert np.array_equal(arrays[4].read(90, 3100), np.arange(90, 3100) + 4)
    storage.close()
    reader = open_storage(url, "r")
    for number in range(columns):
        found = reader.root.group(f"f{number}").array("values").read(0, rows)
        assert np.array_equal(found, expected if number == 3 else np.arange(rows) + number)
    reader.close()


@given(st.data())
def test_a_buffer_is_its_rows_wherever_they_are(data):
    """Against a plain list: grown, overwritten, spilled, and grown anew after a loss."""
    most = 200
    model: list[int] = []
    with TemporaryDirectory() as folder:
        buffer = Buffer(np.empty(0, "int32"), 0)
        for _ in range(data.draw(st.integers(1, 12))):
            match data.draw(st.sampled_from(("extend", "change", "spill", "read", "lost"))):
                case "extend":
                    values = data.draw(st.lists(st.integers(0, 99), max_size=most - len(model)))
                    buffer.extend(len(model), np.array(values, "int32"), most)
                    model += values
                case "lost" if model:
                    del model[data.draw(st.integers(0, len(model) - 1)) :]
                    buffer.extend(len(model), np.array([7], "int32"), most)
                    model.append(7)
                case "change" if model:
                    start = data.draw(st.integers(0, len(model) - 1))
                    stop = data.draw(st.integers(start, len(model)))
                    buffer.change(start, np.full(stop - start, -1, "int32"))
                    model[start:stop] = [-1] * (stop - start)
                case "spill":
                    buffer.spill(folder)
                    assert buffer.nbytes == 0
            start = data.draw(st.integers(0, len(model)))
            stop = data.draw(st.integers(start, len(model)))
            assert buffer.read(start, stop).tolist() == model[start:stop]
        del buffer


def test_one_group_more_is_no_work_for_the_others(tmp_path):
    """What is known of ids and path segments grows with each group, and is not made again."""
    storage = open_storage(str(tmp_path / "x.zarr"), "w")
    table = storage.root.create_group("t")
    made = {"first": table.create_group("first")}
    draft, node = storage.draft, table.node
    index, folded = draft._index[1], node.folded()
    for number in range(20):
        name = "aA"[number % 2] * (number // 2 + 1)
        made[name] = table.create_group(name)
        assert draft._index[1] is index
        assert node.folded() is folded
    known = dict(index)
    draft.reindex()
    for name, group in made.items():
        assert group.name == name
        assert known[group.key] == draft.find(group.key)
    assert folded == {child.segment.casefold() for child in node.groups.values()}
    assert len(folded) == len(made)
    others = {name: child for name, child in node.groups.items() if name != "first"}
    table.rename_groups({"first": "last"})
    assert table.group("last").key == made["first"].key
    assert all(node.groups[name] is child for name, child in others.items())
    storage.close()


class Failing(WrapperStore):
    """A store whose uploads fail while `broken` is set."""

    broken = False

    def put(self, key, data):
        if Failing.broken:
            raise StorageError(f"no route to {key}")
        super().put(key, data)


def test_a_failed_upload_is_told_and_can_be_committed_later(tmp_path):
    """When the store is back, a second commit has everything that was written meanwhile."""
    with wrapped_stores(Failing), Session(row_block=10) as s:
        ds = s.open_dataset(str(tmp_path / "x.zarr"), "w", "d")
        field = ds.create_dataframe("t").create_numeric("f", "int32")
        Failing.broken = True
        try:
            field.data.write(np.arange(25))
            with pytest.raises(StorageError, match="no route"):
                ds.commit()
            assert ds.version == 0
            assert field.data[:].tolist() == list(range(25))
        finally:
            Failing.broken = False
        assert ds.commit() == 1
    with Session() as s:
        ds = s.open_dataset(str(tmp_path / "x.zarr"), "r", "d")
        assert ds["t"]["f"].data[:].tolist() == list(range(25))


class Unrevealed(WrapperStore):
    """A store on which no document can be replaced while `broken` is set."""

    broken = False

    def advance(self, key, *given, **options):
        if Unrevealed.broken:
            raise StorageError(f"cannot replace {key}")
        return super().advance(key, *given, **options)


def test_a_commit_stands_though_revealing_fails(tmp_path):
    """Only a warning; our readers see the version, and the next writer reveals it."""
    url = str(tmp_path / "x.zarr")
    with wrapped_stores(Unrevealed), Session() as s:
        ds = s.open_dataset(url, "w", "d")
        ds.create_dataframe("t").create_numeric("f", "int8").data.write([1])
        Unrevealed.broken = True
        try:
            with pytest.warns(RuntimeWarning, match="version 1 .* is committed"):
                assert ds.commit() == 1
            assert not (tmp_path / "x.zarr" / "zarr.json").exists()
            with as_another_process(), Session() as other:
                assert other.open_dataset(url, "r", "d")["t"]["f"].data[:].tolist() == [1]
        finally:
            Unrevealed.broken = False
    assert (tmp_path / "x.zarr" / "zarr.json").exists()


def test_another_writer_is_a_conflict_and_the_draft_stays(tmp_path):
    """The slower of two writers is told; what it had is still there, and the other's version."""
    url = str(tmp_path / "x.zarr")
    with Session() as s:
        s.open_dataset(url, "w", "d").create_dataframe("t").create_numeric("f", "int32")
    s = Session()
    ds = s.open_dataset(url, "r+", "d")
    ds["t"]["f"].data.write([1, 2, 3])
    other = (
        "from exetera_zarr import Session\n"
        f"with Session() as s: s.open_dataset({url!r}, 'r+', 'd')['t']['f'].data.write([9])\n"
    )
    subprocess.run([sys.executable, "-c", other], check=True)
    with pytest.raises(ConflictError, match="version 2"):
        ds.commit()
    assert ds["t"]["f"].data[:].tolist() == [1, 2, 3]
    ds.rollback()
    with Session() as other_session:
        fresh = other_session.open_dataset(url, "r", "d")
        assert fresh["t"]["f"].data[:].tolist() in ([9], [])
    s.close()


class DraftMachine(RuleBasedStateMachine):
    """A storage against a dict of lists, through any order of changes, commits and reopenings."""

    fresh_url: staticmethod

    def __init__(self) -> None:
        super().__init__()
        self.url = type(self).fresh_url()
        self.storage = open_storage(self.url, "w", OpenOptions(row_block=4))
        self.model: dict[str, list[int]] = {}
        self.committed: dict[str, list[int]] = {}

    names = st.sampled_from(["a", "B", "b", "c/d"])
    numbers = st.lists(st.integers(-(2**31), 2**31 - 1), max_size=11)

    def teardown(self) -> None:
        self.storage.close()

    def array(self, name):
        return self.storage.root.group(name).array("values")

    @rule(name=names)
    def create(self, name):
        if name not in self.model:
            group = self.storage.root.create_group(name, {"fieldtype": "numeric,int32"})
            group.set_array("values", group.new_array("values", "int32"))
            self.model[name] = []

    @precondition(lambda self: self.model)
    @rule(data=st.data(), values=numbers)
    def append(self, data, values):
        name = data.draw(st.sampled_from(sorted(self.model)))
        self.array(name).append(np.array(values, "int32"))
        self.model[name] = self.model[name] + values

    @precondition(lambda self: self.model)
    @rule(data=st.data(), values=numbers)
    def overwrite(self, data, values):
        name = data.draw(st.sampled_from(sorted(self.model)))
        rows = self.model[name]
        start = data.draw(st.integers(0, len(rows)))
        values = values[: len(rows) - start]
        self.array(name).write(start, np.array(values, "int32"))
        self.model[name] = rows[:start] + values + rows[start + len(values) :]

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def clear(self, data):
        name = data.draw(st.sampled_from(sorted(self.model)))
        self.array(name).clear()
        self.model[name] = []

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def delete(self, data):
        name = data.draw(st.sampled_from(sorted(self.model)))
        self.storage.root.delete_group(name)
        del self.model[name]

    @precondition(lambda self: self.model)
    @rule(data=st.data(), new=names)
    def rename(self, data, new):
        old = data.draw(st.sampled_from(sorted(self.model)))
        if new not in self.model:
            self.storage.root.rename_groups({old: new})
            self.model = {new if n == old else n: rows for n, rows in self.model.items()}

    @precondition(lambda self: self.model)
    @rule(data=st.data(), values=numbers)
    def fail(self, data, values):
        name = data.draw(st.sampled_from(sorted(self.model)))
        with pytest.raises(InterruptedError), self.storage.atomic():
            self.array(name).append(np.array(values, "int32"))
            self.array(name).write(0, np.array(values[: len(self.model[name])], "int32"))
            self.storage.root.rename_groups({name: "elsewhere"})
            raise InterruptedError

    @rule()
    def commit(self):
        self.storage.commit()
        self.committed = dict(self.model)

    @rule()
    def rollback(self):
        self.storage.rollback()
        self.model = dict(self.committed)

    @rule()
    def reopen(self):
        self.storage.close()
        self.committed = dict(self.model)
        self.storage = open_storage(self.url, "r+")

    @invariant()
    def same(self):
        assert list(self.storage.root.keys()) == list(self.model)
        for name, rows in self.model.items():
            assert self.array(name).read(0, len(rows)).tolist() == rows
            assert len(self.array(name)) == len(rows)

    @invariant()
    def a_reader_elsewhere_sees_the_committed_version(self):
        if not self.committed:
            return
        with as_another_process():
            reader = open_storage(self.url, "r")
            found = {name: reader.root.group(name).array("values") for name in reader.root}
            rows = {name: array.read(0, len(array)).tolist() for name, array in found.items()}
            reader.close()
        assert rows == self.committed


def test_any_history_of_changes(tmp_path_factory):
    """Whatever is done in whatever order, the draft and the committed version are as the model."""
    machine = type(
        "Local",
        (DraftMachine,),
        {"fresh_url": staticmethod(lambda: str(tmp_path_factory.mktemp("d") / "x.zarr"))},
    )
    run_state_machine_as_test(
        machine, settings=settings(max_examples=60, stateful_step_count=30, deadline=None)
    )
