"""Erasing people and fields from all versions: no byte stays, and nothing else goes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import zarr

from exetera_zarr import ConflictError, Session, StorageError, UnsupportedError
from exetera_zarr.errors import FieldNotFoundError, TableNotFoundError, VersionNotFoundError
from exetera_zarr.testing import Faults, as_another_process, failing
from support.fault_model import quiet

pytestmark = pytest.mark.zarr

WHO = "P0003"
PEOPLE = [f"P{n:04d}" for n in range(20)]


def study(place, *, tags=True):
    """People and their visits, corrected and appended to, in versions of which some have tags."""
    with Session(row_block=8) as s:
        ds = s.open_dataset(place.url("x.zarr"), "w", storage_options=place.storage_options)
        people = ds.create_dataframe("people")
        people.create_indexed_string("id").data.write(PEOPLE)
        people.create_numeric("age", "int32").data.write(
            [None if n % 7 == 1 else n for n in range(20)]
        )
        people.create_fixed_string("code", 5).data.write([one.encode() for one in PEOPLE])
        people.create_categorical("name", "int8", {p: n for n, p in enumerate(PEOPLE)}).data.write(
            np.arange(20)
        )
        visits = ds.create_dataframe("visits")
        visits.create_indexed_string("id").data.write([p for p in PEOPLE for _ in range(2)])
        visits.create_numeric("x", "float64").data.write(np.arange(40.0))
        ds.create_dataframe("places").create_indexed_string("town").data.write(["York", "Leeds"])
        ds.commit(message="first")
        if tags:
            ds.tag("freeze-1")
        for day in range(5):
            people.append({"id": [f"Q{day}"], "age": [day], "code": ["-"], "name": ["P0001"]})
            visits.append({"id": [WHO, "P0004"], "x": [day, day]})
            ds.commit(message=f"day {day}")
        people["age"].data[5] = 77
        ds.commit(message="corrected")
        if tags:
            ds.tag("freeze-2", 3)
        ds["places"]["town"].data.clear()
        ds["places"]["town"].data.write(["Hull"])
        ds.commit()


def values(ds) -> dict[str, Any]:
    return {name: ds[name].to_pandas() for name in ds}


def all_values(ds) -> dict[int, dict[str, Any]]:
    return {number: values(ds.at(number)) for number in ds.storage.kept()}


def same(found, wanted) -> bool:
    return found.keys() == wanted.keys() and all(
        found[name]
        .astype(object)
        .where(found[name].notna(), None)
        .equals(wanted[name].astype(object).where(wanted[name].notna(), None))
        for name in found
    )


def without(tables, who=WHO):
    return {
        name: frame[frame["id"] != who].reset_index(drop=True) if "id" in frame else frame
        for name, frame in tables.items()
    }


def decoded(place: Path) -> bytes:
    """All objects, as they are and as Zarr decodes them."""
    found = [path.read_bytes() for path in place.rglob("*") if path.is_file()]
    documents = place.glob("*/**/zarr.json")
    arrays = [one.parent for one in documents if b'"node_type":"array"' in one.read_bytes()]
    found += [np.asarray(zarr.open_array(one, mode="r")[:]).tobytes() for one in arrays]
    return b"\n".join(found)


def opened(session, place, mode="r+", **options):
    return session.open_dataset(
        place.url("x.zarr"),
        mode,
        f"opened {len(session.datasets)}",
        storage_options=place.storage_options,
        **options,
    )


def test_a_person_is_erased_and_every_release_stays(place):
    study(place)
    with Session() as s:
        ds = opened(s, place)
        before = all_values(ds)
        said = [(one.version, one.message, one.tags) for one in ds.history()]
        told = ds.purge(key="id", values=[WHO], versions="rewrite", dry_run=True)
        assert told.dry_run
        assert told.rows == {"people": 1, "visits": 7}
        assert same(values(ds), before[ds.version])
        certificate = ds.purge(key="id", values=[WHO], versions="rewrite")
        assert certificate.rows == told.rows
        assert certificate.rewritten == told.rewritten
        assert WHO not in str(certificate)
        assert WHO not in json.dumps(certificate.to_dict())
        assert certificate.remains
        assert same(values(ds), without(before[ds.version - 1]))
        for number, tables in before.items():
            there = ds.at(number)
            there.verify()
            assert same(values(there), without(tables)), number
        assert [(o.version, o.message, o.tags) for o in ds.history()][1:] == said
        ds.verify()
        ds.vacuum()
        ds.verify()
    with Session() as s:
        frozen = opened(s, place, "r", version="freeze-2")
        assert same(values(frozen), without(before[3]))


def test_no_byte_stays(tmp_path):
    place = _Local(tmp_path)
    study(place)
    root = tmp_path / "x.zarr"
    assert WHO.encode() in decoded(root)
    with Session() as s:
        ds = opened(s, place)
        ds.purge(key="id", values=[WHO], versions="rewrite")
    assert WHO.encode() not in decoded(root)
    assert b"P0004" in decoded(root)
    with Session() as s:  # and others after him, over what is rewritten
        ds = opened(s, place)
        ds["places"]["town"].data.write(["Bath"])
        ds.commit()
        ds.purge(key="id", values=["P0004", "P0005"], versions="rewrite")
        for number in ds.storage.kept():
            ds.at(number).verify()
    for who in (WHO, "P0004", "P0005"):
        assert who.encode() not in decoded(root)
    folders = list((root / "__exetera__" / "rewritten").iterdir())
    assert len([one for one in folders if any(one.iterdir())]) == 1


def test_versions_share_what_is_written_as_they_shared_what_was_there(tmp_path):
    """Twelve versions of a table that was corrected in one column do not become twelve tables."""
    place = _Local(tmp_path)
    rng = np.random.default_rng(1)
    with Session(row_block=1 << 12) as s:
        ds = s.open_dataset(str(tmp_path / "x.zarr"), "w", durability="none")
        table = ds.create_dataframe("t")
        table.create_numeric("id", "int64").data.write(np.arange(1 << 14))
        for name in "abcdefgh":
            table.create_numeric(name, "float64").data.write(rng.random(1 << 14))
        ds.commit()
        for number in range(12):
            table["a"].data[number] = 0.0
            ds.commit()
    size = _size(tmp_path)
    with Session() as s:
        ds = opened(s, place)
        ds.purge(key="id", values=[5, 900], versions="rewrite")
        assert len(ds.storage.kept()) == 15
    assert _size(tmp_path) < 3 * size


def _size(place: Path) -> int:
    return sum(path.stat().st_size for path in place.rglob("*") if path.is_file())


def test_a_rewritten_version_outlives_those_that_it_was_written_over(tmp_path):
    """Also where the commit that erases lets go of versions before, and others follow."""
    place = _Local(tmp_path)
    study(place, tags=False)
    with Session() as s:
        ds = opened(s, place)
        ds.retain(3, 0.0)
        ds.commit()
        before = values(ds)
        ds.purge(key="id", values=[WHO], versions="rewrite")
        for step in range(4):
            for number in ds.storage.kept():
                ds.at(number).verify()
                found, wanted = values(ds.at(number)), without(before)
                assert same({"v": found["visits"]}, {"v": wanted["visits"]})
            ds["people"]["age"].data[0] = step
            ds.commit()
            ds.vacuum()
        ds.verify()
    assert WHO.encode() not in decoded(tmp_path / "x.zarr")


def test_rows_choose_whose_rows_go(place):
    """Row numbers of the newest version mean nothing in others; with a key they do."""
    study(place)
    with Session() as s:
        ds = opened(s, place)
        before = all_values(ds)
        with pytest.raises(ValueError, match="give the key as well"):
            ds.purge("people", rows=[3], versions="rewrite")
        certificate = ds.purge("people", rows=[3], key="id", versions="rewrite")
        assert certificate.rows == {"people": 1, "visits": 7}
        for number, tables in before.items():
            assert same(values(ds.at(number)), without(tables))


def test_a_field_is_erased_from_all_versions(place):
    study(place)
    with Session() as s:
        ds = opened(s, place)
        before = all_values(ds)
        ds.purge("people", field="code", versions="rewrite")
        for number, tables in before.items():
            there = ds.at(number)
            there.verify()
            wanted = {n: f.drop(columns="code", errors="ignore") for n, f in tables.items()}
            assert same(values(there), wanted)


def test_the_bytes_of_a_field_leave_packs_and_manifests(tmp_path):
    """Rows that were appended are in one object for all columns, and categories in documents."""
    place = _Local(tmp_path)
    for versions in ("drop", "rewrite"):
        study(place, tags=False)
        with Session() as s:
            ds = opened(s, place)
            ds["people"].append({"id": ["Z"], "age": [1], "code": ["SECRT"], "name": ["P0001"]})
            ds.commit()
            ds.purge("people", field="code", versions=versions)
            ds.purge("people", field="name", versions=versions)
            ds.verify()
        content = decoded(tmp_path / "x.zarr")
        assert b"SECRT" not in content
        assert b'"P0017"' not in content


def test_tags_are_not_dropped_without_a_word(place):
    study(place)
    with Session() as s:
        ds = opened(s, place)
        with pytest.raises(ValueError, match=r"tags, 'freeze-1', 'freeze-2': .*rewrite"):
            ds.purge(key="id", values=[WHO])
        certificate = ds.purge(key="id", values=[WHO], versions="drop")
        assert ds.tags() == {}
        assert [one.version for one in ds.history() if one.kept] == [ds.version]
        assert certificate.dropped == tuple(range(ds.version))
        ds.verify()
        with pytest.raises(VersionNotFoundError):
            ds.at(2)


def test_wrong_arguments(place):
    study(place, tags=False)
    with Session() as s:
        ds = opened(s, place)
        version = ds.version
        for arguments, kind, why in (
            ({"key": "nope", "values": [1]}, FieldNotFoundError, "no table .* has a field 'nope'"),
            ({"table": "nope", "rows": [0]}, TableNotFoundError, "'nope'"),
            ({"table": "people", "field": "nope"}, FieldNotFoundError, "has no field 'nope'"),
            ({"values": ["x"]}, ValueError, "values are those of a key"),
            ({"key": "id"}, ValueError, "give these as well"),
            ({"key": "id", "values": []}, ValueError, "no values"),
            ({"key": "id", "values": [None]}, ValueError, "leave None out"),
            ({"rows": [0]}, ValueError, "give its name"),
            ({"field": "age"}, ValueError, "give its name"),
            ({"table": "people", "rows": [0], "versions": "keep"}, ValueError, "'keep'"),
            (
                {"table": "people", "rows": [0], "field": "age"},
                ValueError,
                "either rows or a field",
            ),
        ):
            with pytest.raises(kind, match=why):
                ds.purge(**arguments)
        assert ds.version == version
        assert not ds.storage.changed


def test_somebody_else_commits_meanwhile(place, monkeypatch):
    """What he has may have the rows as well: nothing is erased, and he is told of."""
    study(place)
    with Session() as s:
        ds = opened(s, place)
        before = all_values(ds)
        real = ds.storage.draft.commit_erasure

        def slow(*args):
            with as_another_process(), Session() as other:
                theirs = opened(other, place)
                theirs["visits"].append({"id": [WHO], "x": [1.0]})
                theirs.commit()
            return real(*args)

        monkeypatch.setattr(ds.storage.draft, "commit_erasure", slow)
        with pytest.raises(ConflictError, match="erase it again"):
            ds.purge(key="id", values=[WHO], versions="rewrite")
        monkeypatch.undo()
        for number, tables in before.items():
            assert same(values(ds.at(number)), tables)
        ds.refresh()
        assert ds.purge(key="id", values=[WHO], versions="rewrite").rows["visits"] == 8
        ds.verify()


def test_what_was_called_otherwise_is_found(tmp_path):
    """The key, and its table, had other names in the version that is tagged."""
    place = _Local(tmp_path)
    study(place)
    with Session() as s:
        ds = opened(s, place)
        ds["people"].rename("id", "participant")
        ds["visits"].rename("id", "participant")
        ds.group.rename_groups({"people": "participants"})
        ds.commit()
        certificate = ds.purge(key="participant", values=[WHO], versions="rewrite")
        assert certificate.rows == {"participants": 1, "visits": 7}
        assert certificate.rewritten[1] == 3
        ds.purge("participants", field="code", versions="rewrite")
        assert "code" not in ds.at("freeze-1")["people"]
    assert WHO.encode() not in decoded(tmp_path / "x.zarr")


@pytest.mark.parametrize("how", ["written anew", "dropped"])
@pytest.mark.parametrize("versions", ["drop", "rewrite"])
def test_what_no_column_uses_leaves_packs(tmp_path, how, versions):
    with Session(row_block=4096) as s:
        ds = s.open_dataset(str(tmp_path / "x.zarr"), "w")
        for name in ("t", "u"):
            table = ds.create_dataframe(name)
            table.create_indexed_string("id").data.write([f"a{n}" for n in range(300)])
            table.create_numeric("x", "int8").data.write(np.zeros(300, np.int8))
            ds.commit()
            table.append({"id": [WHO, "q"], "x": [1, 2]})
        ds.commit()
        if how == "dropped":
            ds["t"].drop("id")
        else:
            values = ds["t"]["id"].data[:]
            ds["t"]["id"].data.clear()
            ds["t"]["id"].data.write(values)
        ds.commit()
        ds.purge(key="id", values=[WHO], versions=versions)
        ds.verify()
    assert WHO.encode() not in decoded(tmp_path / "x.zarr")


def test_somebody_in_a_later_pack(tmp_path):
    """Small daily appends, as a study has them: what is left of a pack is joined with another."""
    with Session() as s:
        ds = s.open_dataset(str(tmp_path / "x.zarr"), "w")
        table = ds.create_dataframe("t")
        table.create_indexed_string("id").data.write([f"a{n}" for n in range(200)])
        ds.commit()
        for ids in (["r"], [WHO, "q"], ["z"], [WHO]):
            table.append({"id": ids})
            ds.commit()
        before = all_values(ds)
        ds.purge(key="id", values=[WHO], versions="rewrite")
        for number, tables in before.items():
            assert same(values(ds.at(number)), without(tables)), number
            ds.at(number).verify()


def test_names_of_categories_that_no_row_has(tmp_path):
    """In a version before his first row, and in a table without the key."""
    with Session() as s:
        ds = s.open_dataset(str(tmp_path / "x.zarr"), "w")
        table = ds.create_dataframe("t")
        table.create_categorical("id", "int8", {"a": 0, WHO: 1}).data.write([0, 0])
        other = ds.create_dataframe("other")
        other.create_categorical("pid", "int8", {"a": 0, WHO: 1}).data.write([0])
        ds.commit()
        ds.tag("one")
        table.append({"id": [WHO]})
        ds.commit()
        ds.purge(key="id", values=[WHO], versions="rewrite")
        assert ds.at("one")["t"]["id"].data[:].tolist() == [0, 0]
    assert WHO.encode() not in decoded(tmp_path / "x.zarr")


def test_a_draft_from_before_cannot_bring_somebody_back(place):
    study(place)
    with Session() as s:
        theirs = opened(s, place)
        theirs["copy"] = theirs["people"]
        with as_another_process(), Session() as other:
            opened(other, place).purge(key="id", values=[WHO], versions="rewrite")
        for force in (False, True):
            with pytest.raises(ConflictError, match="something was erased by version"):
                theirs.commit(force=force)
        theirs.rollback()
        theirs.refresh()
        assert "copy" not in theirs
        theirs["copy"] = theirs["people"]
        theirs.commit()
        assert WHO not in theirs["copy"].to_pandas()["id"].tolist()


def test_a_reader_of_an_older_version_is_told(tmp_path):
    place = _Local(tmp_path)
    study(place)
    with Session() as s:
        reader = opened(s, place, "r", version="freeze-1")
        with as_another_process(), Session() as other:
            opened(other, place).purge(key="id", values=[WHO], versions="rewrite")
        with pytest.raises(VersionNotFoundError, match="something was erased by version"):
            reader["people"]["age"].data[:]
        again = opened(s, place, "r", version="freeze-1")
        assert len(again["people"]["age"]) == 19
        again.verify()


def test_a_ragged_version_and_keys_of_several_types(tmp_path):
    with Session() as s:
        ds = s.open_dataset(str(tmp_path / "x.zarr"), "w")
        table = ds.create_dataframe("t")
        table.create_numeric("id", "int32").data.write([1, 12, 3])
        table.create_numeric("x", "int8").data.write([1, 2, 3, 4])
        with pytest.warns(UserWarning, match="different lengths"):
            ds.commit()
        ds.tag("one")
        del table["x"], table["id"]
        table.create_indexed_string("id").data.write(["1", "12", "3"])
        ds.commit()
        certificate = ds.purge(key="id", values=["12"], versions="rewrite")
        assert certificate.rows == {"t": 1}
        assert ds.at("one")["t"]["id"].data[:].tolist() == [1, 3]
        assert ds.at("one")["t"]["x"].data[:].tolist() == [1, 3, 4]


def test_a_field_that_was_dropped_since_is_erased_from_older_versions(tmp_path):
    place = _Local(tmp_path)
    study(place)
    with Session() as s:
        ds = opened(s, place)
        ds["people"].drop("code")
        ds.commit()
        version = ds.version
        with pytest.raises(FieldNotFoundError, match="has no field 'code'"):
            ds.purge("people", field="code", versions="drop")
        with pytest.raises(FieldNotFoundError, match="nor has an older version"):
            ds.purge("people", field="nope", versions="rewrite")
        assert ds.version == version
        ds.purge("people", field="code", versions="rewrite")
        assert "code" not in ds.at("freeze-1")["people"]


def test_a_file_has_one_version(tmp_path):
    """Of an HDF5 file it goes as well, and from all tables that have the key."""
    path = tmp_path / "x.hdf5"
    with Session() as s:
        ds = s.open_dataset(str(path), "w")
        for name in ("people", "visits"):
            table = ds.create_dataframe(name)
            table.create_indexed_string("id").data.write(["a", "WITHDRAWN", "b"])
            table.create_numeric("x", "int8").data.write([1, None, 3])
        ds.commit()
        told = ds.purge(key="id", values=["WITHDRAWN"], dry_run=True)
        certificate = ds.purge(key="id", values=["WITHDRAWN"])
        assert certificate.rows == told.rows == {"people": 1, "visits": 1}
        assert ds["visits"].to_pandas()["x"].tolist() == [1, 3]
        with pytest.raises(UnsupportedError, match="no versions"):
            ds.purge(key="id", values=["a"], versions="rewrite")
    assert b"WITHDRAWN" not in path.read_bytes()


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("lasting", [False, True])
def test_a_failure_at_any_call(tmp_path, applied, lasting):
    """All versions are without the person, or none is; and trying again ends it."""
    place = _Local(tmp_path / "template")
    small(place)
    with Session() as s:
        before = all_values(opened(s, place, "r"))
    step = 5 if lasting else 3
    for at in range(1, _calls(tmp_path) + 1, step):
        folder = tmp_path / f"{at}"
        shutil.copytree(tmp_path / "template", folder)
        here = _Local(folder)
        faults = Faults()
        with quiet(), failing(faults), Session(row_block=4) as s:
            ds = opened(s, here)
            faults.arm(at, applied=applied, lasting=lasting)
            acknowledged = True
            try:
                ds.purge(key="id", values=["b"], versions="rewrite")
            except StorageError:
                acknowledged = False
            faults.disarm()
            with as_another_process(), Session() as other:
                theirs = opened(other, here, "r")
                found = {n: values(theirs.at(n)) for n in before}
                gone = [same(found[n], without(before[n], "b")) for n in before if n]
                there = [same(found[n], before[n]) for n in before if n]
                assert all(gone) or (all(there) and not acknowledged), at
            if ds.storage.changed:
                ds.rollback()
            ds.refresh()
            ds.purge(key="id", values=["b"], versions="rewrite")
            for number in before:
                assert same(values(ds.at(number)), without(before[number], "b"))
                ds.at(number).verify()
        if at % 5 == 0:
            assert b"WITHDRAWN" not in decoded(folder / "x.zarr")
        shutil.rmtree(folder)


def small(place):
    with Session(row_block=4) as s:
        ds = s.open_dataset(place.url("x.zarr"), "w", durability="none")
        table = ds.create_dataframe("t")
        table.create_indexed_string("id").data.write(["a", "b", "c"])
        table.create_indexed_string("s").data.write(["x", "WITHDRAWN", "y"])
        ds.commit()
        ds.tag("one")
        table.append({"id": ["d"], "s": ["z"]})


def _calls(tmp_path: Path) -> int:
    folder = tmp_path / "count"
    shutil.copytree(tmp_path / "template", folder)
    faults = Faults()
    with failing(faults), Session(row_block=4) as s:
        ds = opened(s, _Local(folder))
        faults.arm()
        ds.purge(key="id", values=["b"], versions="rewrite")
        calls = faults.disarm()
    shutil.rmtree(folder)
    return calls


class _Local:
    """A local folder as the `place` of a test."""

    storage_options: ClassVar[dict[str, Any]] = {}

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def url(self, name: str) -> str:
        return str(self._folder / name)
