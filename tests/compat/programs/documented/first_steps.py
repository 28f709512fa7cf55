"""Sessions, datasets, tables and fields, by the calls that ExeTera's first pages show."""

from datetime import UTC, datetime

import numpy as np
from exetera.core import dataset
from exetera.core.session import Session

ROWS = 5


def make():
    """Two datasets: one with every type of field, and one with a column to be copied."""
    with Session() as s:
        ds = s.open_dataset("clinic.hdf5", "w", "clinic")
        visits = ds.create_dataframe("visits")
        visits.create_indexed_string("remark").data.write(["well", "", "coughs", "é", "well"])
        visits.create_fixed_string("nurse", 10).data.write([b"Ada", b"Bo", b"Cy", b"Ada", b"Bo"])
        visits.create_numeric("pulse", "int32").data.write(np.array([60, 72, 88, 64, 70], "int32"))
        mood = visits.create_categorical("mood", "int8", {"low": 0, "high": 1})
        mood.data.write(np.array([0, 1, 1, 0, 1], "int8"))
        visits.create_timestamp("at").data.write(np.arange(ROWS) * 3600.0)
        other = s.open_dataset("ward.hdf5", "w", "ward")
        other.create_dataframe("beds").create_numeric("bed", "int16").data.write([4, 2, 9, 1, 3])


def look():
    """Open for reading, list, get, count, read, close."""
    with Session() as s:
        ds = s.open_dataset("clinic.hdf5", "r", "clinic")
        assert list(ds.keys()) == ["visits"]
        visits = ds["visits"]
        assert sorted(visits.keys()) == ["at", "mood", "nurse", "pulse", "remark"]
        pulse = s.get(visits["pulse"])
        assert len(pulse) == len(pulse.data) == ROWS
        assert pulse.data[:].tolist() == [60, 72, 88, 64, 70]
        assert visits["pulse"].data[1:3].tolist() == [72, 88]
        remark = visits["remark"]
        assert remark.data[:] == ["well", "", "coughs", "é", "well"]
        assert remark.indices[:].tolist() == [0, 4, 4, 10, 12, 16]
        assert bytes(remark.values[:]).decode() == "wellcoughséwell"
        assert len(remark) == len(remark.data) == ROWS
        assert visits["mood"].keys == {0: b"low", 1: b"high"}
        assert np.char.decode(visits["nurse"].data[:]).tolist() == ["Ada", "Bo", "Cy", "Ada", "Bo"]
        s.close_dataset("clinic")
        assert list(s.list_datasets()) == []


def change():
    """Open for more: create with the session, write in parts, copy, rename, delete."""
    s = Session()
    ds = s.open_dataset("clinic.hdf5", "r+", "clinic")
    visits = ds["visits"]
    now = datetime.now(UTC)
    note = s.create_indexed_string(visits, "note", now)
    for part in (["a", "bb"], [], ["ccc", "", "e"]):
        note.data.write_part(part)
    note.data.complete()
    s.create_fixed_string(visits, "room", 4).data.write([b"n1", b"n2", b"n1", b"s1", b"s2"])
    s.create_categorical(visits, "seen", "int8", {"no": 0, "yes": 1}).data.write([1, 1, 0, 1, 0])
    s.create_numeric(visits, "steps", "uint32").data.write(np.arange(ROWS, dtype="uint32"))
    s.create_timestamp(visits, "until").data.write(np.full(ROWS, 1.6e9))
    assert note.data[:] == ["a", "bb", "ccc", "", "e"]

    copied = ds.create_dataframe("copied")
    copied["pulse"] = visits["pulse"]
    assert "pulse" in visits
    assert copied["pulse"].data[:].tolist() == visits["pulse"].data[:].tolist()
    empty = visits["mood"].create_like(copied, "mood")
    assert len(empty) == 0
    assert copied["mood"].keys == visits["mood"].keys
    assert len(visits["pulse"].create_like()) == 0

    dataset.copy(visits, ds, "backup")
    dataset.move(ds["backup"], ds, "older")
    assert sorted(ds.keys()) == ["copied", "older", "visits"]
    ds["oldest"] = ds["older"]  # which gives it another name
    assert sorted(ds.keys()) == ["copied", "oldest", "visits"]
    ward = s.open_dataset("ward.hdf5", "r+", "ward")
    ward["visits"] = visits  # which copies, as it is another dataset
    assert ward["visits"]["note"].data[:] == note.data[:]
    assert "visits" in ds
    visits["bed"] = ward["beds"]["bed"]
    assert visits["bed"].data[:].tolist() == [4, 2, 9, 1, 3]
    del visits["bed"]
    visits.drop("until")
    visits.rename("steps", "walked")
    ds.delete_dataframe(ds["oldest"])
    s.close()


def check():
    """All of it is there in a new session."""
    with Session() as s:
        ds = s.open_dataset("clinic.hdf5", "r", "clinic")
        assert sorted(ds.keys()) == ["copied", "visits"]
        names = ["at", "mood", "note", "nurse", "pulse", "remark", "room", "seen", "walked"]
        assert sorted(ds["visits"].keys()) == names
        assert ds["visits"]["walked"].data[:].tolist() == [0, 1, 2, 3, 4]
        assert ds["visits"]["seen"].keys == {0: b"no", 1: b"yes"}


make()
look()
change()
check()
