"""Conversion: whatever is in a dataset is in its copy, and a failure leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exetera_zarr import CorruptDataError, DataError, DatasetExistsError, Session
from exetera_zarr.conversion import copying, datasets
from exetera_zarr.conversion.datasets import convert
from exetera_zarr.errors import StorageError
from exetera_zarr.storage.staging import Staging
from exetera_zarr.storage.stores.bucket import BucketStore

pytest.importorskip("h5py")
from support import hdf5_files

STAMP = "2020-02-02 02:02:02"


def make(place, name="source.zarr", rows=20_000):
    """A dataset with everything in it, in an order that is nobody's."""
    url = place.url(name)
    random = np.random.default_rng(1)
    with Session(timestamp=STAMP) as s:
        ds = s.open_dataset(url, "w", "d", storage_options=place.storage_options)
        for table in ("zebra", "a/b", "empty"):
            t = ds.create_dataframe(table, row_block=1 << 14)
            n = 0 if table == "empty" else rows
            t.create_numeric("z", "uint64").data.write(random.integers(0, 2**63, n).astype("u8"))
            t.create_numeric("b", "bool").data.write(random.integers(0, 2, n).astype(bool))
            values = random.normal(size=n)
            values[: n // 10] = np.nan
            t.create_numeric("f", "float32", chunksize=77).data.write(values.astype("f4"))
            key = {"no": 0, "ja ä": 1, "70000": 70_000}
            t.create_categorical("c", "int32", key).data.write(random.choice([0, 1, 70_000], n))
            t.create_timestamp("when", timestamp="other").data.write(values)
            t.create_fixed_string("code", 5).data.write(random.integers(0, 999, n).astype("S5"))
            texts = [f"täxt {i}" * (i % 4) for i in range(n)]
            t.create_indexed_string("note").data.write(texts)
        ds.create_numeric("alone", "int8").data.write([1, 2, 3])
    return url


def contents(place, url, names=None):
    with Session() as s:
        ds = s.open_dataset(url, "r", "d", storage_options=place.storage_options)
        found = {}
        for name in ds:
            item = ds[name]
            fields = dict(item.items()) if hasattr(item, "columns") else {"": item}
            found[name] = {
                f: (
                    field.fieldtype,
                    field.timestamp,
                    field.chunksize,
                    getattr(field, "keys", None),
                    {role: bytes(a.read(0, len(a))) for role, a in field.arrays().items()},
                )
                for f, field in fields.items()
            }
            found[name] = (list(fields), item.group.row_block, found[name])
        ds.verify()
        return list(ds.keys()), found


def go(place, source, name, **options):
    return convert(
        source,
        place.url(name),
        source_options=place.storage_options,
        destination_options=place.storage_options,
        **options,
    )


def test_there_and_back(place, tmp_path):
    """To Zarr on every store, to HDF5 and to Zarr again: nothing is lost on the way."""
    source = make(place)
    expected = contents(place, source)
    done = go(place, source, "copy.zarr")
    assert done.verified
    assert done.resumed == []
    assert contents(place, place.url("copy.zarr")) == expected
    file = str(tmp_path / "copy.h5")
    convert(place.url("copy.zarr"), file, source_options=place.storage_options)
    assert contents(place, file)[1].keys() == expected[1].keys()
    again = go(place, file, "again.zarr")
    assert contents(place, place.url("again.zarr")) == expected
    assert again.bytes == done.bytes
    for name in ("copy.partial.zarr", "copy.partial.json"):
        assert not place_has(place, name)


def place_has(place, name):
    staging = Staging(place.url(name), place.storage_options)
    try:
        staging.check_free()
    except DatasetExistsError:
        return True
    return False


@pytest.mark.parametrize(
    "make_file", [hdf5_files.made_by_06, hdf5_files.made_by_04, hdf5_files.fields_at_the_top]
)
def test_from_what_exetera_wrote(tmp_path, make_file):
    make_file(tmp_path / "old.hdf5")
    convert(tmp_path / "old.hdf5", tmp_path / "new.zarr")
    with Session() as s:
        old = s.open_dataset(tmp_path / "old.hdf5", "r", "old")
        new = s.open_dataset(tmp_path / "new.zarr", "r", "new")
        assert old.keys() == new.keys()
        for name in old:
            for one, other in zip(fields_of(old[name]), fields_of(new[name]), strict=True):
                assert list(one.data[:]) == list(other.data[:])
                assert (one.name, one.fieldtype) == (other.name, other.fieldtype)
                assert one.timestamp == other.timestamp


def fields_of(item):
    return list(item.values()) if hasattr(item, "columns") else [item]


def test_only_what_is_chosen(tmp_path):
    hdf5_files.made_by_06(tmp_path / "old.hdf5")
    convert(tmp_path / "old.hdf5", tmp_path / "a.zarr", include={"patients": ["sex", "age"]})
    convert(tmp_path / "old.hdf5", tmp_path / "b.zarr", exclude={"patients": ["sex", "age"]})
    convert(tmp_path / "old.hdf5", tmp_path / "c.zarr", tables=[])
    convert(tmp_path / "old.hdf5", tmp_path / "e.zarr", tables="patients")
    with Session() as s:
        assert s.open_dataset(tmp_path / "e.zarr", "r", "e").keys() == ["patients"]
        assert s.open_dataset(tmp_path / "a.zarr", "r", "a")["patients"].keys() == ["age", "sex"]
        assert "sex" not in s.open_dataset(tmp_path / "b.zarr", "r", "b")["patients"]
        assert s.open_dataset(tmp_path / "c.zarr", "r", "c").keys() == []
    for wrong in ({"tables": ["x"]}, {"include": {"x": []}}, {"exclude": {"patients": ["x"]}}):
        with pytest.raises(DataError, match="'x'"):
            convert(tmp_path / "old.hdf5", tmp_path / "d.zarr", **wrong)
    assert not [p for p in tmp_path.iterdir() if p.name.startswith("d")]


def fail_after(monkeypatch, tables):
    """Have a copy fail in the table after so many."""
    real, left = copying.Copier.fields, [tables]

    def fields(self, source, target, names):
        real(self, source, target, names)
        left[0] -= 1
        if left[0] < 0:
            raise StorageError("the disk is full")

    monkeypatch.setattr(copying.Copier, "fields", fields)


@pytest.mark.parametrize("suffix", ["zarr", "hdf5"])
def test_a_failure_leaves_nothing_and_the_next_try_goes_on(place, tmp_path, suffix, monkeypatch):
    source = make(place, rows=3000)
    target = str(tmp_path / f"new.{suffix}")
    with monkeypatch.context() as patch:
        fail_after(patch, 1)
        with pytest.raises(StorageError, match="full"):
            convert(source, target, source_options=place.storage_options)
        assert not Path(target).exists()
    done = convert(source, target, source_options=place.storage_options)
    assert done.resumed == ["zebra"]
    assert contents(place, target) == contents(place, source)
    assert not [p for p in tmp_path.iterdir() if "partial" in p.name]


def test_the_remains_of_something_else_are_not_completed(tmp_path, monkeypatch):
    hdf5_files.made_by_06(tmp_path / "one.hdf5")
    hdf5_files.made_by_04(tmp_path / "two.hdf5")
    with monkeypatch.context() as patch:
        fail_after(patch, 0)
        with pytest.raises(StorageError):
            convert(tmp_path / "one.hdf5", tmp_path / "new.zarr")
    with pytest.raises(DatasetExistsError, match="restart"):
        convert(tmp_path / "two.hdf5", tmp_path / "new.zarr")
    convert(tmp_path / "two.hdf5", tmp_path / "new.zarr", restart=True)
    with pytest.raises(DatasetExistsError, match="left alone"):
        convert(tmp_path / "one.hdf5", tmp_path / "new.zarr")


@pytest.mark.parametrize("moved", [0, 5])
def test_a_move_within_a_store_that_fails_leaves_nothing(tmp_path, s3_place, monkeypatch, moved):
    hdf5_files.made_by_06(tmp_path / "old.hdf5")
    url, options = s3_place.url("new.zarr"), s3_place.storage_options
    real, left = BucketStore.copy, [moved]

    def copy(self, source, target):
        left[0] -= 1
        if left[0] < 0:
            raise OSError("the connection is lost")
        real(self, source, target)

    with monkeypatch.context() as patch:
        patch.setattr(BucketStore, "copy", copy)
        with pytest.raises(OSError, match="lost"):
            convert(tmp_path / "old.hdf5", url, destination_options=options)
    assert not place_has(s3_place, "new.zarr")
    done = convert(tmp_path / "old.hdf5", url, destination_options=options)
    assert done.resumed == ["patients"]


@pytest.mark.parametrize("restart", [False, True])
def test_what_only_has_the_name_of_remains_is_left_alone(tmp_path, restart):
    """Least of all is it removed when it is the source."""
    hdf5_files.made_by_06(tmp_path / "old.hdf5")
    convert(tmp_path / "old.hdf5", tmp_path / "new.partial.zarr")
    for source in ("old.hdf5", "new.partial.zarr"):
        with pytest.raises(DatasetExistsError, match=r"new\.partial\.zarr is"):
            convert(tmp_path / source, tmp_path / "new.zarr", restart=restart)
    with Session() as s:
        assert s.open_dataset(tmp_path / "new.partial.zarr", "r", "d").keys() == ["patients"]
    hdf5_files.made_by_06(tmp_path / "three.partial.hdf5")
    with pytest.raises(DatasetExistsError, match="another name"):
        convert(tmp_path / "three.partial.hdf5", tmp_path / "three.hdf5", restart=restart)
    (tmp_path / "two.partial.json").write_text('{"mine": 1}')
    with pytest.raises(DatasetExistsError, match=r"two\.partial\.json is in the way"):
        convert(tmp_path / "old.hdf5", tmp_path / "two.zarr", restart=restart)
    assert (tmp_path / "two.partial.json").read_text() == '{"mine": 1}'


def test_a_copy_that_differs_is_no_copy(tmp_path, monkeypatch):
    """Verification sees one wrong byte; without it nobody does."""
    hdf5_files.made_by_06(tmp_path / "old.hdf5")
    real = datasets._Work.copy_to

    def copy_to(self, dataset):
        real(self, dataset)
        dataset["patients"]["age"].data[2] = 3
        dataset.commit()

    monkeypatch.setattr(datasets._Work, "copy_to", copy_to)
    with pytest.raises(CorruptDataError, match="patients/age/values: element 2"):
        convert(tmp_path / "old.hdf5", tmp_path / "new.zarr")
    assert not (tmp_path / "new.zarr").exists()
    done = convert(tmp_path / "old.hdf5", tmp_path / "new.zarr", restart=True, verify=False)
    assert not done.verified


@pytest.mark.parametrize("bad", hdf5_files.DAMAGED, ids=lambda f: f.__name__)
def test_a_damaged_source_is_not_copied(tmp_path, bad):
    bad(tmp_path / "old.hdf5")
    with pytest.raises(CorruptDataError, match="t/bad"):
        convert(tmp_path / "old.hdf5", tmp_path / "new.zarr")
    assert not (tmp_path / "new.zarr").exists()


def test_progress_ends_at_the_whole(tmp_path):
    hdf5_files.made_by_06(tmp_path / "old.hdf5")
    seen = []
    convert(tmp_path / "old.hdf5", tmp_path / "new.zarr", progress=seen.append)
    assert {p.step for p in seen} == {"copy", "verify"}
    for step in ("copy", "verify"):
        last = [p for p in seen if p.step == step][-1]
        assert last.bytes_read == last.bytes_total > 0
