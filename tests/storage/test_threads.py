"""One dataset, several threads, forks and failures: nothing hangs, is lost or is mixed."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from exetera_zarr import DataError, Session, StorageError
from exetera_zarr.fields import IndexedStringField, NumericField
from exetera_zarr.storage.stores.opening import wrapped_stores
from exetera_zarr.tables.dataset import move
from exetera_zarr.testing import WrapperStore
from support.locks import watch_lock

PATIENCE = 60


def run_all(*functions):
    """Run functions in threads, and raise the first error; a hang is a failure."""
    failures = []

    def guarded(function):
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - raised in the main thread
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(f,), daemon=True) for f in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "a thread hangs"
    if failures:
        raise failures[0]


@pytest.fixture
def table(tmp_path):
    with Session(row_block=1000) as s:
        yield s.open_dataset(str(tmp_path / "x.zarr"), "w", "d").create_dataframe("t")


def test_reading_while_appending(table):
    """Readers that wait for blocks on their way do not keep those from going."""
    field = table.create_numeric("n", "int32")
    done = threading.Event()

    def write():
        for number in range(300):
            field.data.write(np.full(1000, number, "int32"))
        done.set()

    def read():
        while not done.is_set():
            values = field.data[:]
            assert np.array_equal(values, np.repeat(np.arange(len(values) // 1000), 1000))

    run_all(write, read, read, read)
    assert len(field) == 300_000


def test_reading_strings_while_they_are_replaced(table):
    """A reader sees all of the old rows or all of the new ones."""
    field = table.create_indexed_string("s")
    field.data.write(["old"] * 3000)
    done = threading.Event()

    def replace():
        for turn in range(30):
            keep = np.ones(len(field), bool)
            field.apply_index(np.arange(len(field)), in_place=True)
            field.apply_filter(keep, in_place=True)
            field.data.clear()
            field.data.write([f"new{turn}"] * (1000 + turn))
        done.set()

    def read():
        while not done.is_set():
            assert len(set(field.data[:])) <= 1

    run_all(replace, read, read)


def test_two_threads_append_strings(table):
    """Offsets and bytes of one batch stay together."""
    field = table.create_indexed_string("s")

    def append(letter):
        for _ in range(200):
            field.data.write([letter * 5, letter * 7])

    run_all(lambda: append("a"), lambda: append("b"), lambda: append("é"))
    texts = field.data[:]
    assert len(texts) == 1200
    assert set(texts) == {letter * n for letter in "abé" for n in (5, 7)}


def test_changes_while_another_thread_commits(table, tmp_path):
    """What is written while a commit is under way is in it or stays to be committed."""
    ds = table.dataset
    field = table.create_numeric("n", "int32")
    done = threading.Event()

    def write():
        for number in range(200):
            field.data.write([number])
            if number % 20 == 0:
                table.create_numeric(f"f{number}", "int8").data.write([1])
        done.set()

    def commit():
        while not done.is_set():
            ds.commit()

    run_all(write, commit)
    ds.session.close()
    with Session() as s:
        again = s.open_dataset(str(tmp_path / "x.zarr"), "r", "d")["t"]
        assert again["n"].data[:].tolist() == list(range(200))
        assert len(again) == 11


def test_an_append_beside_a_failing_transaction_is_kept(table):
    """Another thread's change waits for the transaction, and goes over what that leaves."""
    field, other = table.create_numeric("a", "int8"), table.create_numeric("b", "int8")
    inside, appended = threading.Event(), threading.Event()
    lock = watch_lock(table.dataset)

    def fail():
        with pytest.raises(InterruptedError), table.dataset.transaction():
            field.data.write([1])
            inside.set()
            assert lock.waited_for.wait(PATIENCE)
            assert not appended.is_set()
            raise InterruptedError

    def append():
        inside.wait()
        other.data.write([5, 6])
        appended.set()

    run_all(fail, append)
    assert other.data[:].tolist() == [5, 6]
    assert len(field) == 0


def test_opening_another_dataset_inside_of_a_transaction(tmp_path):
    """Two threads that open each other's datasets do not wait for each other for ever."""
    url, other = str(tmp_path / "x.zarr"), str(tmp_path / "y.zarr")
    with Session() as s:
        ds = s.open_dataset(url, "w", "d")
        lock, inside = watch_lock(ds), threading.Event()

        def transact():
            with ds.transaction(), Session() as mine:
                inside.set()
                assert lock.waited_for.wait(PATIENCE)
                mine.open_dataset(other, "w", "d").create_dataframe("t")

        def open_first():
            inside.wait()
            with Session() as mine:
                mine.open_dataset(url, "r+", "d")
                mine.open_dataset(other, "a", "o")

        run_all(transact, open_first)


class SlowThenBroken(WrapperStore):
    """A store on which one block of an append is on its way until told, and another one fails."""

    armed = False
    arrive = threading.Event()

    def put(self, key, data):
        if SlowThenBroken.armed and key.endswith("/c/0"):
            assert SlowThenBroken.arrive.wait(PATIENCE)
        if SlowThenBroken.armed and key.endswith("/c/1"):
            SlowThenBroken.armed = False
            raise StorageError("boom")
        super().put(key, data)


def test_a_failed_append_cannot_overwrite_a_later_one(tmp_path):
    """Blocks that are still on their way when an append fails arrive where nobody looks."""
    url = str(tmp_path / "x.zarr")
    with wrapped_stores(SlowThenBroken), Session(row_block=100) as s:
        field = s.open_dataset(url, "w", "d").create_dataframe("t").create_numeric("n", "int32")
        SlowThenBroken.armed = True
        with pytest.raises(StorageError, match="boom"):
            for _ in range(50):
                field.data.write(np.full(200, 1, "int32"))
        kept = len(field)
        field.data.write(np.full(1000, 2, "int32"))
        assert field.data[:].tolist() == [1] * kept + [2] * 1000
        SlowThenBroken.arrive.set()
    with Session() as s:
        values = s.open_dataset(url, "r", "d")["t"]["n"].data[:].tolist()
    assert values == [1] * kept + [2] * 1000


class FailsOnce(WrapperStore):
    """A store that refuses one upload."""

    armed = False
    refused = threading.Event()

    def put(self, key, data):
        if FailsOnce.armed and "/c/" in key:
            FailsOnce.armed = False
            FailsOnce.refused.set()
            raise StorageError("boom")
        super().put(key, data)


def test_one_failed_upload_does_not_spoil_its_block(tmp_path):
    """After the error was told, the block can be read, changed, appended to and committed."""
    with wrapped_stores(FailsOnce), Session(row_block=4) as s:
        field = (
            s.open_dataset(str(tmp_path / "x.zarr"), "w", "d")
            .create_dataframe("t")
            .create_numeric("n", "int32")
        )
        FailsOnce.armed = True
        field.data.write(np.arange(10))
        assert FailsOnce.refused.wait(PATIENCE)
        with pytest.raises(StorageError, match="boom"):
            for _ in range(200):  # one of the next uploads tells it
                field.data.write(np.arange(4))
        rows = len(field)
        assert field.data[:10].tolist() == list(range(10))
        field.data[1] = 99
        field.data.write([7])
    with Session() as s:
        values = s.open_dataset(str(tmp_path / "x.zarr"), "r", "d")["t"]["n"].data[:].tolist()
    assert len(values) == rows + 1
    assert values[:10] == [0, 99, *range(2, 10)]
    assert values[-1] == 7


class LostReply(WrapperStore):
    """A store that makes a manifest and loses the reply, and the way to ask again."""

    armed = False

    sent = False

    def create(self, key, data):
        made = super().create(key, data)
        if LostReply.armed:
            self.sent = True
            raise StorageError("connection reset")
        return made

    def get(self, key):
        if LostReply.armed and self.sent and "commits" in key:
            raise StorageError("connection reset")
        return super().get(key)


def test_a_commit_whose_reply_was_lost(tmp_path):
    """It is recognised as ours later, and nothing that it reaches is written over."""
    url = str(tmp_path / "x.zarr")
    with wrapped_stores(LostReply), Session(row_block=4) as s:
        ds = s.open_dataset(url, "w", "d")
        field = ds.create_dataframe("t").create_numeric("n", "int32")
        field.data.write(np.arange(10))
        LostReply.armed = True
        with pytest.raises(StorageError, match="connection reset"):
            ds.commit()
        LostReply.armed = False
        field.data[0] = 77
        field.data.write([88, 89])
        with Session() as reader:
            first = reader.open_dataset(url, "r", "d", version=1)["t"]["n"]
            assert first.data[:].tolist() == list(range(10))
            ds.commit()
            assert first.data[:].tolist() == list(range(10))
    with Session() as s:
        ds = s.open_dataset(url, "r", "d")
        assert ds["t"]["n"].data[:].tolist() == [77, *range(1, 10), 88, 89]
        ds.verify()


# -- names and types after a failure


def test_objects_follow_a_rename_that_is_undone(table):
    """A field or table object is the same thing before, within and after a failed transaction."""
    a, b = table.create_numeric("a", "int8"), table.create_numeric("b", "int8")
    a.data.write([1])
    b.data.write([2])
    ds = table.dataset
    with pytest.raises(InterruptedError), ds.transaction():
        table.rename({"a": "b", "b": "a"})
        move(table, ds, "other")
        assert (a.name, b.name, table.name) == ("b", "a", "other")
        raise InterruptedError
    assert (a.name, b.name, table.name) == ("a", "b", "t")
    assert table["a"] is a
    assert (a.data[:].tolist(), b.data[:].tolist()) == ([1], [2])
    ds.commit()
    table.rename("a", "c")
    ds.rollback()
    assert a.name == "a"
    assert ds["t"] is table


def test_a_name_that_means_another_type_gives_another_object(table):
    """After a rollback the table does not answer with the field that had the name meanwhile."""
    table.create_indexed_string("a").data.write(["foo", "bar"])
    table.dataset.commit()
    text = table["a"]
    del table["a"]
    number = table.create_numeric("a", "int8")
    number.data.write([1])
    assert type(table["a"]) is NumericField
    table.dataset.rollback()
    assert type(table["a"]) is IndexedStringField
    assert table["a"].data[:] == text.data[:] == ["foo", "bar"]
    assert not number.valid


def test_names_in_either_unicode_form(table):
    """A letter and its accent, or both in one: the same table and field in every call."""
    ds = table.dataset
    decomposed, composed = "e\u0301", "\xe9"
    made = ds.require_dataframe(decomposed)
    assert ds.require_dataframe(decomposed) is made is ds[composed] is ds[decomposed]
    assert decomposed in ds
    made.create_numeric(decomposed, "int8")
    assert decomposed in made
    made.rename(decomposed, "x")
    made.rename("x", decomposed)
    made.drop(decomposed)
    del ds[decomposed]
    assert composed not in ds


def test_the_row_grid_of_a_table_stays(tmp_path):
    """Another session's row_block is for its own tables; also after a rollback."""
    url = str(tmp_path / "x.zarr")
    with Session() as s:
        s.open_dataset(url, "w", "d").create_dataframe("t")
    with Session(row_block=100) as s:
        ds = s.open_dataset(url, "r+", "d")
        ds.rollback()
        assert ds.create_dataframe("u").group.row_block == 100
        assert ds["t"].group.row_block == 1 << 20
    with Session() as s:
        ds = s.open_dataset(url, "r", "d")
        assert [frame.group.row_block for frame in ds.values()] == [1 << 20, 100]


def test_what_changes_nothing_makes_no_version(table):
    """An append of nothing, and operations that fail, leave nothing to commit."""
    field = table.create_numeric("n", "int8")
    ds = table.dataset
    ds.commit()
    field.data.write([])
    with pytest.raises(DataError):
        field.data.write(np.array([300]))
    with pytest.raises(ValueError, match="exists"):
        table.create_numeric("n", "int8")
    assert ds.commit() == 1


def test_the_scripts_own_error_is_raised(tmp_path):
    """Leaving `with dataset` on an error raises that, though the commit fails as well."""
    with (
        pytest.raises(KeyError, match="mine") as caught,
        wrapped_stores(FailsOnce),
        Session(on_error="commit") as s,
        s.open_dataset(str(tmp_path / "x.zarr"), "w", "d") as ds,
    ):
        ds.create_dataframe("t").create_numeric("n", "int8").data.write([1])
        FailsOnce.armed = True
        raise KeyError("mine")
    assert any("boom" in note for note in caught.value.__notes__)


def test_credentials_in_a_url_are_refused_and_not_shown():
    """They would reach logs by way of the client libraries."""
    with Session() as s, pytest.raises(DataError) as caught:
        s.open_dataset("s3://AKIA:SECRET@bucket/x.zarr", "r", "d")
    assert "SECRET" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_leaves_the_parents_draft_alone(tmp_path):
    """A child can read, cannot change or commit, and takes none of the parent's spilled blocks."""
    url, spill = str(tmp_path / "x.zarr"), tmp_path / "spill"
    spill.mkdir()
    with Session(row_block=1 << 20, spill_dir=spill) as s:
        ds = s.open_dataset(url, "w", "d")
        table = ds.create_dataframe("t")
        fields = [table.create_numeric(f"f{n}", "float64") for n in range(3)]
        for field in fields:
            field.data.write(np.arange(1000.0))
        ds.storage.draft.context.write_back._limit = 1
        for field in fields:
            field.data[0] = -1.0
        assert any(spill.rglob("*"))
        child = os.fork()
        if child == 0:
            status = 1
            try:
                assert fields[0].data[1] == 1.0
                for forbidden in (lambda: fields[0].data.write([1.0]), ds.commit, ds.rollback):
                    with pytest.raises(PermissionError, match="forked"):
                        forbidden()
                s.close()
                del fields, field, table, ds, s
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with Session() as s:
        table = s.open_dataset(url, "r", "d")["t"]
        for field in table.values():
            assert field.data[:].tolist() == [-1.0, *range(1, 1000)]
