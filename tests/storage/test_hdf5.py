"""HDF5 files: older layouts, damaged and hostile ones, and what happens to the file itself."""

from __future__ import annotations

import contextlib
import gc
import io
import itertools
import os
import subprocess
import sys
import warnings
from pathlib import Path

import fsspec
import numpy as np
import pytest

from exetera_zarr import (
    ConflictError,
    CorruptDataError,
    DataError,
    DatasetExistsError,
    DatasetNotFoundError,
    Session,
    StorageError,
    UnsupportedError,
)
from exetera_zarr.storage import Capability

h5py = pytest.importorskip("h5py")
from support import hdf5_files  # noqa: E402 - it needs h5py

PATIENTS = {
    "age": [0, 1, 2, 3, 4],
    "well": [True, False, True, True, False],
    "sex": [0, 1, 2, 1, 0],
    "code": [b"a", b"bcd", b"a", b"bcd"],
    "seen": [0.5, 1.5, -1.0],
    "note": ["", "one", "zwei ä", "", "5"],
    "unused": [],
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "study.hdf5"


def contents(table):
    return {name: list(np.asarray(field.data[:], object)) for name, field in table.items()}


def write(path, values, mode="w", **options):
    with Session() as s:
        table = s.open_dataset(path, mode, "d", **options).require_dataframe("t")
        name = f"f{len(table)}"
        table.create_numeric(name, "int32").data.write(values)


def files_in(folder):
    return sorted(found.name for found in folder.iterdir())


# -- what others have written


def test_every_field_type_of_06(path):
    hdf5_files.made_by_06(path)
    with Session() as s:
        ds = s.open_dataset(path, "r", "d")
        assert ds.keys() == ["patients"]
        assert contents(ds["patients"]) == PATIENTS
        table = ds["patients"]
        assert table["sex"].keys == {0: b"", 1: b"female", 2: "mäle".encode()}
        assert table["well"].data.dtype == bool
        assert (table["code"].length, table["age"].chunksize) == (3, 1 << 20)
        assert {f.fieldtype for f in table.values()} >= {"numeric,bool", "fixedstring,3"}
        ds.verify()


def test_the_layout_of_04(path):
    """Old types by their present names, what was never made as empty, the trash left out."""
    hdf5_files.made_by_04(path)
    with Session() as s:
        ds = s.open_dataset(path, "r", "d")
        assert ds.keys() == ["assessments"]
        table = ds["assessments"]
        assert contents(table) == {
            "temperature": [36.5, 0],
            "temperature_valid": [True, False],
            "tested": [2, 1],
            "created_at": [1e9, 2e9],
            "created_at_day": [b"2001-09-09", b"2033-05-18"],
            "born": [0.0, 86400.0],
            "born_set": [True, True],
            "note": ["first", "second"],
            "never_flushed": [],
            "never_flushed_text": [],
            "never_flushed_code": [],
        }
        assert table["tested"].keys == {-1: b"freetext", 0: b"", 1: b"no", 2: b"yes"}
        assert table["tested"].nformat == "int8"
        assert table["created_at"].fieldtype == table["born"].fieldtype == "timestamp"
        assert table["note"].timestamp == hdf5_files.STAMP
        assert table["never_flushed_code"].length == 4


def test_fields_at_the_top_level(path):
    hdf5_files.fields_at_the_top(path)
    with Session() as s:
        ds = s.open_dataset(path, "r+", "d")
        assert {name: list(s.get(ds[name]).data[:]) for name in ds} == {
            "bar": ["x", "yz", ""],
            "foo": [0, 1, 2],
        }
        ds["foo"].data.write([7])
    with h5py.File(path) as file:
        assert file["foo/values"][:].tolist() == [0, 1, 2, 7]


@pytest.mark.parametrize("layout", [hdf5_files.made_by_04, hdf5_files.made_by_06])
def test_opening_for_writing_changes_nothing_by_itself(path, layout):
    layout(path)
    before = path.read_bytes()
    with Session() as s:
        s.open_dataset(path, "r+", "d")
    assert path.read_bytes() == before


def test_what_was_there_is_changed_in_place(path):
    """Appending, overwriting, renaming and deleting in a file of ExeTera's."""
    hdf5_files.made_by_06(path)
    with Session() as s:
        table = s.open_dataset(path, "r+", "d")["patients"]
        table["age"].data.write([5])
        table["age"].data[0] = 9
        table["note"].data.write(["six"])
        table.rename({"seen": "code", "code": "seen"})
        del table["well"]
        table.create_numeric("a_new", "float32").data.write([1.5])
    with h5py.File(path) as file:
        patients = file["patients"]
        assert patients["age/values"][:].tolist() == [9, 1, 2, 3, 4, 5]
        assert patients["seen"].attrs["fieldtype"] == "fixedstring,3"
        assert patients["note/index"][:].tolist() == [0, 0, 3, 10, 10, 11, 14]
        assert "well" not in patients
        new = patients["a_new"]
        assert dict(new.attrs)["fieldtype"] == "numeric,float32"
        assert {"chunksize", "timestamp", "nformat"} <= set(new.attrs)
        assert new["values"].maxshape == (None,)
    with Session() as s:
        table = s.open_dataset(path, "r", "d")["patients"]
        assert table.keys() == ["age", "seen", "note", "code", "sex", "unused", "a_new"]
        assert table["seen"].data[:2].tolist() == [b"a", b"bcd"]


@pytest.mark.parametrize("bad", hdf5_files.HOSTILE, ids=lambda f: f.__name__)
@pytest.mark.parametrize("mode", ["r", "r+"])
def test_what_is_not_of_exetera_is_passed_over(path, bad, mode):
    """One warning names it; the rest is read, and nothing that is elsewhere."""
    bad(path)
    with Session() as s:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            ds = s.open_dataset(path, mode, "d")
            assert ds["t"].keys() == ["good"]
            assert [t for t in ds if "bad" in t] == []
            assert ds["t"]["good"].data[:].tolist() == [0, 1, 2]
        assert [w.category for w in told] == [UserWarning]
        assert "passed over" in str(told[0].message)


@pytest.mark.parametrize(
    "make",
    [
        hdf5_files.external_link,
        hdf5_files.external_values,
        hdf5_files.external_storage,
        hdf5_files.virtual_dataset,
    ],
)
def test_what_is_elsewhere_can_be_allowed(path, make, monkeypatch):
    """Who trusts a file may have it followed to where it leads."""
    make(path)
    monkeypatch.chdir(path.parent)
    with Session() as s:
        ds = s.open_dataset(path, "r", "d", external=True)
        assert ds["t"]["bad"].data[:].tolist() == [42, 42, 42]


@pytest.mark.parametrize("bad", hdf5_files.DAMAGED, ids=lambda f: f.__name__)
def test_a_damaged_column_is_an_error(path, bad):
    """Its message names the field; nothing is allocated for what is only claimed."""
    bad(path)
    with Session() as s:
        ds = s.open_dataset(path, "r", "d")
        with pytest.raises(CorruptDataError, match=r"t/bad|field"):
            _ = ds["t"]["bad"].data[0:3] if "huge" in bad.__name__ else ds["t"]["bad"].data[:]
        with pytest.raises(CorruptDataError, match="t/bad"):
            ds.verify()


@pytest.mark.parametrize("kept", [9, 100, 1000, 3000])
@pytest.mark.parametrize("mode", ["r", "r+"])
def test_a_truncated_file_is_an_error(path, kept, mode):
    hdf5_files.made_by_06(path)
    path.write_bytes(path.read_bytes()[:kept])
    with Session() as s, pytest.raises(CorruptDataError, match=r"study\.hdf5"):
        s.open_dataset(path, mode, "d")


def test_flipped_bytes_are_an_error_or_harmless(path):
    """Whatever byte of a file's structure is wrong, nothing but our errors comes of it."""
    hdf5_files.made_by_06(path)
    whole = path.read_bytes()
    random = np.random.default_rng(3)
    for at in random.integers(8, min(len(whole), 20_000), 120).tolist():
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        with warnings.catch_warnings(), Session() as s:
            warnings.simplefilter("ignore")
            try:
                for table in s.open_dataset(path, "r", "d").values():
                    contents(table)
            except (CorruptDataError, UnsupportedError, UnicodeDecodeError):
                pass


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a workbook", b"id,age\n1,2\n"])
def test_what_is_no_hdf5_is_no_dataset(path, content):
    path.write_bytes(content)
    with Session() as s, pytest.raises(DatasetNotFoundError, match="not one of a dataset"):
        s.open_dataset(path, "r", "d")
    assert path.read_bytes() == content


def test_a_file_of_something_else_is_not_replaced(path):
    with h5py.File(path, "w") as file:
        file["df/block0_values"] = np.zeros((3, 2))
    with Session() as s, pytest.raises(DatasetExistsError, match="left alone"):
        s.open_dataset(path, "w", "d")
    path.write_bytes(b"id,age\n1,2\n")
    with Session() as s, pytest.raises(DatasetNotFoundError):
        s.open_dataset(path, "w", "d")
    assert path.read_bytes() == b"id,age\n1,2\n"


# -- the file itself


def test_it_is_recognised_by_its_content(tmp_path):
    """Not by its name; and what was put before it, as Matlab does, does no harm."""
    hdf5_files.made_by_06(tmp_path / "plain.dat")
    with h5py.File(tmp_path / "shifted.bin", "w", userblock_size=1024) as file:
        table = file.create_group("t")
        hdf5_files.put(
            hdf5_files.field(table, "n", "numeric,int8", nformat="int8"),
            "values",
            np.arange(3, dtype="i1"),
        )
    with Session() as s:
        assert s.open_dataset(tmp_path / "plain.dat", "r", "a").keys() == ["patients"]
        assert s.open_dataset(tmp_path / "shifted.bin", "r", "b")["t"]["n"].data[1] == 1


@pytest.mark.parametrize("mode", ["w", "x", "a"])
def test_a_new_file_comes_whole(path, mode):
    """Nothing is at its path before it is closed, and nothing else stays behind."""
    with Session() as s:
        ds = s.open_dataset(path, mode, "d")
        ds.create_dataframe("t").create_numeric("n", "int32").data.write(np.arange(200_000))
        assert not path.exists()
    assert files_in(path.parent) == ["study.hdf5"]
    with h5py.File(path) as file:
        assert file["t/n/values"].shape == (200_000,)


def test_a_file_is_replaced_only_when_the_new_one_is_whole(path):
    write(path, [1, 2])
    with Session() as s:
        ds = s.open_dataset(path, "w", "d")
        ds.create_dataframe("u")
        with h5py.File(path) as file:
            assert list(file) == ["t"]
        ds.rollback()
        assert ds.keys() == ["t"]
        assert ds["t"]["f0"].data[:].tolist() == [1, 2]
    assert files_in(path.parent) == ["study.hdf5"]
    write(path, [3])
    with h5py.File(path) as file:
        assert file["t/f0/values"][:].tolist() == [3]


def test_two_make_the_same_file(path):
    """The second one is told, and its own work is not lost."""
    with Session() as s:
        ds = s.open_dataset(path, "x", "d")
        ds.create_dataframe("mine")
        hdf5_files.made_by_06(path)
        with pytest.raises(RuntimeError, match="another process has made"):
            ds.commit()
        path.unlink()
        ds.commit()
    with h5py.File(path) as file:
        assert list(file) == ["mine"]


def test_what_an_error_says_is_kept_is_kept(path):
    """Who goes on without the file that was in the way finds the work where the error says."""
    ds = Session().open_dataset(path, "x", "d")
    ds.create_dataframe("mine")
    hdf5_files.made_by_06(path)
    with pytest.raises(ConflictError, match="what was written is in") as caught:
        ds.commit()
    ds.rollback()
    kept = Path(str(caught.value).split(" is in ")[1])
    del ds, caught
    gc.collect()
    assert kept.exists()
    with h5py.File(path) as file:
        assert "mine" not in file


def test_a_file_that_was_replaced_is_not_written_to(path):
    """Who replaced it wins, and who has it open is told instead of writing to what is gone."""
    write(path, [1])
    with Session() as s:
        ds = s.open_dataset(path, "r+", "d")
        ds["t"]["f0"].data.write([2])
        hdf5_files.made_by_06(path.with_name("other"))
        path.with_name("other").replace(path)
        with pytest.raises(ConflictError, match="replaced"):
            ds.commit()
        ds.rollback()
        ds.refresh()
        assert ds.keys() == ["patients"]


@pytest.mark.parametrize("inner", [True, False])
@pytest.mark.parametrize("outer", [True, False])
def test_transactions_in_transactions(path, inner, outer):
    """What is overwritten in the file itself comes back as far as each of them says."""
    values = np.arange(20_000)
    write(path, values)
    with Session() as s:
        ds = s.open_dataset(path, "r+", "d")
        data = ds["t"]["f0"].data
        data[7:9_000] = values[7:9_000] = -1
        expected = values.copy()
        with contextlib.suppress(KeyError), ds.transaction():
            data[8_000:17_000] = -2
            with contextlib.suppress(IndexError), ds.transaction():
                data[5:8_500] = -3
                data.write([-4])
                if not inner:
                    raise IndexError
            data[16_999] = -5
            if not outer:
                raise KeyError
        if outer:
            expected[8_000:17_000] = -2
            if inner:
                expected[5:8_500] = -3
                expected = np.append(expected, -4)
            expected[16_999] = -5
        assert data[:].tolist() == expected.tolist()
        ds.rollback()
        assert data[:].tolist() == list(range(20_000))


KILLED = """
import os, sys
from exetera_zarr import Session
s = Session()
ds = s.open_dataset(sys.argv[1], sys.argv[2], "d")
ds.require_dataframe("t").create_numeric("new", "int32").data.write(range(500_000))
os._exit(1) if sys.argv[3] == "kill" else None
"""


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-c", KILLED, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


@pytest.mark.parametrize("mode", ["w", "r+"])
def test_a_kill_before_the_commit_leaves_what_was_there(path, mode):
    """Of a file that is replaced, for sure; of one that is changed, as far as HDF5 goes."""
    write(path, [1, 2])
    assert run(path, mode, "kill").returncode == 1
    with Session() as s:
        assert contents(s.open_dataset(path, "r", "d")["t"]) == {"f0": [1, 2]}


def test_normal_exit_commits(path):
    done = run(path, "w", "exit")
    assert (done.returncode, done.stderr) == (0, "")
    assert files_in(path.parent) == ["study.hdf5"]
    with Session() as s:
        assert len(s.open_dataset(path, "r", "d")["t"]["new"]) == 500_000


def test_a_dropped_dataset_is_committed(path):
    s = Session()
    s.open_dataset(path, "w", "d").create_dataframe("t").create_numeric("n", "int8").data.write([1])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        del s
        gc.collect()
        with Session() as s:  # waits for whoever closes it
            assert s.open_dataset(path, "r", "d")["t"]["n"].data[:].tolist() == [1]
    assert [w.category for w in told] == [ResourceWarning]


HOLD = """
import sys, h5py
with h5py.File(sys.argv[1], sys.argv[2]):
    print("open", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(("theirs", "ours"), [("r+", "r"), ("r+", "r+"), ("r+", "w"), ("r", "r+")])
def test_a_file_that_another_process_has_is_an_error(path, theirs, ours):
    write(path, [1])
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLD, path, theirs], **pipes, text=True) as other:
        assert other.stdout.readline() == "open\n"
        with Session() as s, pytest.raises(StorageError, match="open in another process"):
            s.open_dataset(path, ours, "d")
        other.stdin.close()
    assert files_in(path.parent) == ["study.hdf5"]


def test_a_reader_goes_on_when_the_file_is_opened_for_writing(path, shared_reads):
    """Within a process both see the same; a reader of a file that is replaced keeps its own."""
    write(path, [1, 2])
    with Session() as s, Session() as other:
        reader = s.open_dataset(path, "r", "d")
        field = reader["t"]["f0"]
        assert field.data[:].tolist() == [1, 2]
        writer = other.open_dataset(path, "r+", "d")
        writer["t"]["f0"].data.write([3])
        assert field.data[:].tolist() == [1, 2, 3]
        other.close()
        assert field.data[:].tolist() == [1, 2, 3]
    with Session() as s, Session() as other:
        reader = s.open_dataset(path, "r", "d")
        other.open_dataset(path, "w", "d").create_dataframe("u")
        other.close()
        assert reader["t"]["f0"].data[:].tolist() == [1, 2, 3]
        assert reader.keys() == ["t"]
        reader.refresh()
        assert reader.keys() == ["u"]


def test_bytes_io(path):
    """It is written where it is, and read again; an empty one can be opened with 'r+'."""
    for mode in ("w", "r+", "a"):
        file = io.BytesIO()
        with Session() as s:
            table = s.open_dataset(file, mode, "d").create_dataframe("t")
            table.create_indexed_string("x").data.write(["a", "bc"])
        with Session() as s:
            assert s.open_dataset(file, "r", "d")["t"]["x"].data[:] == ["a", "bc"]
        path.write_bytes(file.getvalue())
        with Session() as s:
            assert s.open_dataset(path, "r", "d")["t"]["x"].data[:] == ["a", "bc"]
    with Session() as s, path.open("rb") as file:
        assert s.open_dataset(file, "r", "d")["t"]["x"].data[1] == "bc"
    with Session() as s, pytest.raises(DatasetNotFoundError):
        s.open_dataset(io.BytesIO(), "r", "d")


@pytest.mark.parametrize("name", ["study.hdf5", "study"])
def test_a_url_is_read_in_blocks(tmp_path, name):
    """As much as is asked for, from anywhere; there it is only read."""
    path = tmp_path / "local.hdf5"
    write(path, np.arange(3_000_000))
    write(path, np.arange(3), "r+")
    with fsspec.open(f"memory://hdf5-urls/{name}", "wb") as file:
        file.write(path.read_bytes())
    with Session() as s:
        ds = s.open_dataset(f"memory://hdf5-urls/{name}", "r", "d")
        assert ds["t"]["f0"].data[2_999_990:].tolist() == list(range(2_999_990, 3_000_000))
        assert ds["t"]["f1"].data[:].tolist() == [0, 1, 2]
    for mode in ("r+", "a", "w"):
        if name == "study" and mode != "r+":
            continue
        with Session() as s, pytest.raises(UnsupportedError, match="only on a local disk"):
            s.open_dataset(f"memory://hdf5-urls/{name}", mode, "d")
    with Session() as s, pytest.raises(DatasetNotFoundError):
        s.open_dataset("memory://hdf5-urls/nothing.hdf5", "r", "d")


@pytest.mark.s3
def test_one_column_of_a_large_file_in_a_bucket(tmp_path, s3_place, s3_server):
    """What is fetched is what is asked for, and the structure around it."""
    path = tmp_path / "wide.hdf5"
    with Session() as s:
        table = s.open_dataset(path, "w", "d").create_dataframe("t")
        for number in range(12):
            table.create_numeric(f"n{number}", "float64").data.write(np.arange(500_000.0))
    url, options = s3_place.url("wide.hdf5"), s3_place.storage_options
    with fsspec.open(url, "wb", **options) as file:
        file.write(path.read_bytes())
    s3_server.requests.clear()
    with Session() as s:
        field = s.open_dataset(url, "r", "d", storage_options=options)["t"]["n7"]
        assert field.data[:].tolist() == list(range(500_000))
    assert path.stat().st_size > 40 << 20
    assert len(s3_server.requests) < 40  # of a megabyte each, at the most


def test_what_a_file_cannot_do_is_said(path):
    write(path, [1])
    with Session() as s:
        ds = s.open_dataset(path, "r+", "d")
        assert ds.capabilities == {Capability.ROLLBACK}
        for attempt in (ds.history, ds.retain):
            with pytest.raises(UnsupportedError, match="versions"):
                attempt()
        with pytest.raises(UnsupportedError, match="versions"):
            s.open_dataset(path, "r", "e", version=1)


def test_purging_and_vacuum_remove_the_bytes(path):
    """What was deleted is in the file until it is written anew."""
    secret = "a name that must go"
    with Session() as s:
        table = s.open_dataset(path, "w", "d").create_dataframe("t")
        table.create_indexed_string("text").data.write([secret, "stays"] * 5_000)
        table.create_numeric("n", "int64").data.write(np.arange(10_000))
        table.create_fixed_string("dull", 100).data.write([b"x" * 100] * 10_000)
    before = path.stat().st_size
    with Session() as s:
        ds = s.open_dataset(path, "r+", "d")
        table = ds["t"]
        ds.purge("t", rows=np.arange(10_000) % 2 == 0)
        assert table["text"].data[:3] == ["stays"] * 3
        assert len(table["n"]) == 5_000
        assert secret.encode() not in path.read_bytes()
        del table["dull"]
        ds.vacuum()
        assert table.keys() == ["text", "n"]
    assert path.stat().st_size < before / 3


def test_columns_keep_their_order_and_names(path):
    """Also those that HDF5 could not have, and beside what ExeTera adds and renames meanwhile."""
    names = ["z", "a/b", "a%2Fb", ".", "trash", "m", "ä", "A", "a"]
    with Session() as s:
        ds = s.open_dataset(path, "w", "d")
        for table in (ds.create_dataframe("t"), ds.create_dataframe("trash")):
            for number, name in enumerate(n for n in names if n != "."):
                table.create_numeric(name, "int8").data.write([number])
    with Session() as s:
        ds = s.open_dataset(path, "r", "d")
        assert ds.keys() == ["t", "trash"]
        for table in ds.values():
            assert table.keys() == [n for n in names if n != "."]
            assert [f.data[0] for f in table.values()] == list(range(8))
    with h5py.File(path, "r+") as file:
        file["t"].move("a%2Fb", "renamed")
        file["t"].copy("z", "added")
    with Session() as s:
        table = s.open_dataset(path, "r", "d")["t"]
        assert set(table.keys()) == {"z", "a%2Fb", "renamed", "added", "trash", "m", "ä", "A", "a"}


def test_codes_beyond_a_byte_and_names_that_are_no_text(path):
    key = {"small": 1, "large": 70_000, "odd": -5}
    with Session() as s:
        table = s.open_dataset(path, "w", "d").create_dataframe("t")
        table.create_categorical("c", "int32", key).data.write([1, 70_000, -5])
    with h5py.File(path, "r+") as file:
        file["t/c/key_names"][2] = b"odd \xff"
    with Session() as s:
        field = s.open_dataset(path, "r", "d")["t"]["c"]
        assert field.keys == {1: b"small", 70_000: b"large", -5: b"odd \xff"}
        assert field.data[:].tolist() == [1, 70_000, -5]


def _failing_at(number):
    """What interrupts a commit before its so-many-th line, and how many lines it was from that."""
    left = [number]

    def trace(frame, event, _):
        if not frame.f_code.co_filename.endswith("hdf5/writing.py"):
            return None
        if event == "line":
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
        return trace

    return trace, left


def _change_all(ds):
    """Replace, delete, rename, add and overwrite."""
    t = ds["t"]
    t["a"].data.clear()
    t["a"].data.write(np.arange(50_000) + 7)
    t["b"].data[0:2] = [8, 8]
    t["b"].data.write([9])
    del t["s"]
    t.rename("c", "a/b")
    t.create_numeric("s", "int8").data.write(np.ones(3, "int8"))
    ds.create_dataframe("u").create_numeric("z", "int8").data.write(np.ones(3, "int8"))
    del ds["v"]


def _to_be_changed(path):
    with Session() as s:
        ds = s.open_dataset(path, "w", "d")
        t = ds.create_dataframe("t")
        t.create_numeric("a", "int64").data.write(np.arange(50_000))
        t.create_numeric("b", "int64").data.write([1, 2, 3])
        t.create_indexed_string("s").data.write([str(i) for i in range(1000)])
        t.create_categorical("c", "int8", {"no": 0, "yes": 1}).data.write([0, 1, 1])
        ds.create_dataframe("v").create_fixed_string("w", 3).data.write([b"abc"])


def _all_of(ds):
    return {name: contents(table) for name, table in ds.items()}


@pytest.mark.parametrize("then", ["rollback", "commit"])
def test_a_commit_that_fails_at_any_point_can_be_undone_or_tried_again(path, then):
    """What is there then, in the file as well, is all of the one or all of the other."""
    _to_be_changed(path)
    original = path.read_bytes()
    with Session() as s:
        before = _all_of(s.open_dataset(path, "r", "d"))
    for number in itertools.count(1, 7):
        path.write_bytes(original)
        with Session() as s:
            ds = s.open_dataset(path, "r+", "d", durability="none")
            _change_all(ds)
            after = _all_of(ds)
            trace, left = _failing_at(number)
            sys.settrace(trace)
            try:
                ds.commit()
            except KeyboardInterrupt:
                pass
            finally:
                sys.settrace(None)
            if left[0] > 0:
                break
            getattr(ds, then)()
            expected = after if then == "commit" else before
            assert _all_of(ds) == expected
            if then == "commit":
                ds["t"]["a"].data[0:2] = [-1, -1]
                ds.rollback()
                assert _all_of(ds) == expected
        with Session() as s:
            assert _all_of(s.open_dataset(path, "r", "d")) == expected, number
    assert number > 100


NOTES = [np.arange(3.0), 5, '{"order": 5}', "[" * 100_000, '{"attributes": {"fieldtype": "x"}}']


@pytest.mark.parametrize("where", ["/", "t", "t/a", "t/s"])
@pytest.mark.parametrize("notes", NOTES, ids=["array", "number", "order", "deep", "type"])
def test_notes_by_somebody_else_hide_nothing(path, notes, where):
    _to_be_changed(path)
    with h5py.File(path, "r+") as file:
        file[where].attrs["exetera_zarr"] = notes
    with Session() as s, warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        ds = s.open_dataset(path, "r+", "d")
        assert ds.keys() == ["t", "v"]
        assert sorted(ds["t"].keys()) == ["a", "b", "c", "s"]
        assert ds["t"]["s"].data[:2] == ["0", "1"]
        assert ds["t"]["a"].fieldtype == "numeric,int64"
        ds["t"].create_numeric("more", "int8").data.write([1])


def test_names_of_codes_that_are_only_claimed_are_not_allocated(path):
    _to_be_changed(path)
    with h5py.File(path, "r+") as file:
        group = file["t/c"]
        del group["key_names"], group["key_values"]
        group.create_dataset("key_values", shape=(1 << 20,), dtype="i1")
        group.create_dataset("key_names", shape=(1 << 20,), dtype="S65536", chunks=(1,))
    with Session() as s, pytest.warns(UserWarning, match="names of codes, of 65536 bytes"):
        assert s.open_dataset(path, "r", "d")["t"].keys() == ["a", "b", "s"]


def test_a_file_with_two_names_is_written_under_one(path):
    _to_be_changed(path)
    other = path.with_name("other.hdf5")
    os.link(path, other)
    with Session() as s:
        s.open_dataset(path, "r", "reads")
        s.open_dataset(other, "r", "reads too")
        with pytest.raises(StorageError, match="is open in this process"):
            s.open_dataset(other, "r+", "writes")
    with Session() as s:
        s.open_dataset(path, "r+", "writes")
        for mode in ("r", "r+"):
            with pytest.raises(StorageError, match="open already as"):
                s.open_dataset(other, mode, "d")


def test_what_leads_out_of_a_file_is_not_shared_with_who_did_not_allow_it(path, tmp_path):
    _to_be_changed(tmp_path / "secret.hdf5")
    with h5py.File(path, "w") as file:
        file["out"] = h5py.ExternalLink("secret.hdf5", "/t")
    with Session() as s:
        assert s.open_dataset(path, "r", "trusts", external=True).keys() == ["out"]
        for mode in ("r", "r+", "a"):
            with pytest.raises(StorageError, match="external=True"):
                s.open_dataset(path, mode, "d")


def test_a_label_that_a_file_cannot_hold_is_refused_at_once(path):
    with Session() as s:
        table = s.open_dataset(path, "w", "d").create_dataframe("t")
        with pytest.raises(DataError, match="NUL"):
            table.create_categorical("c", "int8", {"a\0b": 0})
        table.create_numeric("n", "int8").data.write([1])
    with Session() as s:
        assert s.open_dataset(path, "r", "d")["t"].keys() == ["n"]


@pytest.mark.parametrize("mode", ["w", "x", "a"])
def test_a_url_with_the_suffix_of_a_file_makes_no_dataset_of_another_kind(mode):
    with Session() as s, pytest.raises(UnsupportedError, match="local disk"):
        s.open_dataset("memory://review/study.hdf5", mode, "d")
    assert not fsspec.filesystem("memory").exists("/review")
