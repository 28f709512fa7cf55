"""Versions for people: messages, authors, tags, moments, what was done, and the way back."""

from __future__ import annotations

import datetime as dt
import math
import time
from pathlib import Path

import numpy as np
import pytest

import exetera_zarr
from exetera_zarr import ConflictError, DataError, Session, UnsupportedError
from exetera_zarr.errors import NameTakenError, ReadOnlyError, VersionNotFoundError
from exetera_zarr.storage import Tag, sharing
from exetera_zarr.storage.zarr.versions import facts as facts_module
from exetera_zarr.testing import as_another_process

pytestmark = pytest.mark.zarr


def study(place, versions=1, row_block=4):
    """A dataset with one table; of each version the first value of `n` is its number."""
    with Session(row_block=row_block) as s:
        ds = s.open_dataset(place.url("x.zarr"), "w", "d", storage_options=place.storage_options)
        table = ds.create_dataframe("t")
        table.create_numeric("n", "int32").data.write(np.arange(10))
        table.create_indexed_string("s").data.write([f"text {n}" for n in range(10)])
        for version in range(1, versions + 1):
            table["n"].data[0] = version
            ds.commit(message=f"version {version}")


def opened(session, place, mode="r+", **options):
    return session.open_dataset(
        place.url("x.zarr"),
        mode,
        f"opened {len(session.datasets)}",
        storage_options=place.storage_options,
        **options,
    )


def first(ds):
    return int(ds["t"]["n"].data[0])


def test_messages_authors_and_programs(place, monkeypatch):
    """What is said of a version is said of that one alone, and survives a lost session."""
    study(place)
    monkeypatch.setenv("EXETERA_ZARR_AUTHOR", "Ada")
    with Session() as s:
        ds = opened(s, place)
        ds["t"]["n"].data[1] = 70
        ds.commit(message="corrected", author="Grace")
        ds["t"]["n"].data[1] = 71
        ds.commit()
        assert ds.commit(message="nothing but a word") == 4
        assert ds.commit() == 4
    with Session(author="Mary") as s:
        ds = opened(s, place)
        ds["t"]["n"].data[1] = 72
        ds.close()  # which commits
    with Session() as s:
        history = opened(s, place, "r").history()
    said = [(one.version, one.message, one.author) for one in history]
    assert said == [
        (5, "", "Mary"),
        (4, "nothing but a word", "Ada"),
        (3, "", "Ada"),
        (2, "corrected", "Grace"),
        (1, "version 1", ""),
        (0, "", ""),
    ]
    assert all(one.about.program for one in history)
    with Session() as s, pytest.raises(DataError.__mro__[1], match="at most"):
        opened(s, place).commit(message="x" * 20_000)


def test_what_an_older_writer_carries_along_is_not_said_of_its_version(place, monkeypatch):
    study(place)
    real = facts_module.following

    def older(state, *args):
        """One that knows nothing of messages keeps what it does not know."""
        found = real(state, *args)
        found["about"] = state.base.facts["about"]
        return found

    monkeypatch.setattr(facts_module, "following", older)
    with Session() as s:
        ds = opened(s, place)
        ds["t"]["n"].data[1] = 70
        ds.commit(message="lost")
        assert [one.message for one in ds.history()][:2] == ["", "version 1"]


def test_a_tag_outlives_thirty_versions_and_a_vacuum(place):
    study(place, 2)
    with Session() as s:
        ds = opened(s, place)
        assert ds.tag("freeze-1", message="as analysed", author="Ada") == 2
        for version in range(3, 34):
            ds["t"]["n"].data[0] = version
            ds.commit()
        ds.retain(1, 0.0)
        ds.commit()
        ds.vacuum()
        assert [one.version for one in ds.history() if one.kept] == [ds.version, 2]
        assert [one.tags for one in ds.history() if one.tags] == [("freeze-1",)]
        tag = ds.tags()["freeze-1"]
        assert (tag.version, tag.message, tag.author) == (2, "as analysed", "Ada")
        frozen = opened(s, place, "r", version="freeze-1")
        assert first(frozen) == 2
        frozen.verify()
        ds.verify()
        ds.untag("freeze-1")
        ds["t"]["n"].data[0] = 99
        ds.commit()
        ds.vacuum()
        assert [one.version for one in ds.history() if one.kept] == [ds.version]
        with pytest.raises(VersionNotFoundError, match="has no tag 'freeze-1'"):
            opened(s, place, "r", version="freeze-1")
        ds.verify()


def test_the_default_keeps_every_version(place):
    study(place, 30)
    with Session() as s:
        ds = opened(s, place)
        assert ds.retention == (1, math.inf)
        ds.vacuum()
        assert all(one.kept for one in ds.history())
        assert [first(ds.at(number)) for number in (1, 12, 30)] == [1, 12, 30]


def test_a_version_by_number_tag_and_moment(place):
    study(place, 1)
    moments = {}
    with Session() as s:
        ds = opened(s, place)
        for version in (2, 3, 4):
            moments[version] = dt.datetime.now(dt.UTC)
            time.sleep(0.002)
            ds["t"]["n"].data[0] = version
            ds.commit()
        ds.tag("a", 2)
        for asked, wanted in (
            (1, 1),
            ("1", 1),
            (np.int64(3), 3),
            ("a", 2),
            (moments[2], 1),
            (moments[4], 3),
            (moments[4].isoformat(), 3),
            (np.datetime64(moments[4].replace(tzinfo=None)), 3),
            (dt.datetime.now(dt.UTC), 4),
            ((dt.datetime.now(dt.UTC) + dt.timedelta(days=2)).date(), 4),
        ):
            assert first(opened(s, place, "r", version=asked)) == wanted, asked
        for asked, why in (
            ("b", "has no tag 'b'; there are: 'a'"),
            (99, "has no version 99"),
            ("99", "has no version 99"),
            ("2001-01-01", "did not exist at 2001-01-01"),
        ):
            with pytest.raises(VersionNotFoundError, match=why):
                opened(s, place, "r", version=asked)
        for nothing in (True, np.datetime64("NaT", "us"), 2.0):
            with pytest.raises(TypeError, match="number, a tag or a moment"):
                opened(s, place, "r", version=nothing)


def test_a_moment_among_many_versions(tmp_path, monkeypatch):
    """Most versions are not listed by then; each second has one."""
    now = [1_000_000.0]
    monkeypatch.setattr("exetera_zarr.storage.zarr.draft.clock", lambda: now[0])
    with Session(row_block=4) as s:
        ds = s.open_dataset(str(tmp_path / "x.zarr"), "w", durability="none")
        table = ds.create_dataframe("t")
        table.create_numeric("n", "int32").data.write([0])
        for version in range(1, 400):
            now[0] += 1
            table["n"].data[0] = version
            ds.commit()
        start = dt.datetime.fromtimestamp(1_000_000, dt.UTC)
        for second in (1, 2, 77, 150, 151, 398, 399, 4000):
            asked = start + dt.timedelta(seconds=second + 0.5)
            assert first(ds.at(asked)) == min(second, 399)


@pytest.mark.parametrize(
    "name", ["12", "-1", " a", "x\n", "2026-03-01", "2026-03-01 12:00:00", "", "..", "a\0b"]
)
def test_names_that_no_tag_has(tmp_path, name):
    with Session() as s:
        ds = s.open_dataset(str(tmp_path / "x.zarr"), "w")
        with pytest.raises(DataError):
            ds.tag(name)
        assert ds.version == 0


def test_two_writers_and_one_tag(place):
    """The second one is told, whichever of them was first, and whatever else he has done."""
    study(place, 3)
    with Session() as s:
        ds = opened(s, place)
        ds["t"]["n"].data[2] = 5
        ds.storage.draft.set_tag("x", Tag("x", 1))
        with as_another_process(), Session() as other:
            opened(other, place).tag("x", 2)
        with pytest.raises(ConflictError, match="the tag 'x' was set or removed"):
            ds.commit()
        ds.rollback()
        ds.refresh()
        with pytest.raises(NameTakenError, match="has the tag 'x' already, for version 2"):
            ds.tag("x", 1)
        assert ds.tags()["x"].version == 2


def test_another_writer_lets_go_of_what_is_to_be_tagged(place):
    study(place, 3)
    with Session() as s:
        ds = opened(s, place)
        ds.storage.draft.set_tag("x", Tag("x", 1))
        with as_another_process(), Session() as other:
            theirs = opened(other, place)
            theirs.retain(1, 0.0)
            theirs["t"]["n"].data[0] = 50
            theirs.commit()
        with pytest.raises(VersionNotFoundError, match="version 1 cannot be tagged 'x'"):
            ds.commit()
        ds.rollback()
        ds["t"]["n"].data[0] = 8
        with pytest.raises(VersionNotFoundError):
            ds.tag("x", 1)
        ds.commit()  # of what else was changed
        assert first(ds) == 8
        assert ds.tags() == {}


def test_a_writer_that_expires_versions_meets_a_new_tag(place):
    """His manifest is written anew over that of the tag, and keeps its version."""
    study(place, 3)
    with Session() as s:
        ds = opened(s, place)
        ds.retain(1, 0.0)
        ds["t"]["n"].data[1] = 50
        with as_another_process(), Session() as other:
            opened(other, place).tag("x", 1)
        ds.commit()
        ds.vacuum()
        assert [one.version for one in ds.history() if one.kept] == [ds.version, 1]
        assert first(ds.at("x")) == 1
        ds.at("x").verify()


def test_tags_and_older_readers(place, monkeypatch):
    """A library that does not know of tags refuses by name, and so never sweeps what one keeps."""
    study(place, 2)
    with Session() as s:
        opened(s, place).tag("x", 1)
    known = "exetera_zarr.storage.zarr.layout._KNOWN_FEATURES"
    monkeypatch.setattr(known, frozenset(["changes", "ranges", "segments", "packs"]))
    with Session() as s, pytest.raises(UnsupportedError, match=r"requires \['tags'\]"):
        opened(s, place)


def test_what_is_restored_is_as_it_was_and_stays(place):
    """Whatever has been done since: also to the names, and by appends that are in packs."""
    study(place, 2)
    with Session() as s:
        ds = opened(s, place)
        before = ds["t"].to_pandas()
        table = ds["t"]
        table.append({"n": [7, 8], "s": ["x", "y"]})
        ds.commit()
        packed = ds["t"].to_pandas()
        table.rename("s", "text")
        table.create_numeric("more", "int8").data.write(np.zeros(12, np.int8))
        ds.create_dataframe("u")
        ds.commit()
        table.delete([0, 1])
        del ds["u"]
        ds.commit()
        assert ds.restore(2, message="back", author="Ada") == 6
        assert ds["t"].to_pandas().equals(before)
        assert table.keys() == ["n", "s"]
        assert ds.history()[0].message == "back"
        assert ds.history()[0].operations[0].details == {"version": 2}
        ds.verify()
        assert ds.restore(3) == 7
        assert ds["t"].to_pandas().equals(packed)
        assert ds.keys() == ["t"]
        assert ds.restore(5) == 8
        assert "u" not in ds
        assert table.keys() == ["n", "text", "more"]
        for number in range(1, 9):
            ds.at(number).verify()
        # What was restored goes when nothing has it any more, and not before.
        ds.retain(2, 0.0)
        for _ in range(4):
            ds["t"]["n"].data[0] += 1
            ds.commit()
        ds.vacuum()
        ds.verify()
    with Session() as s:
        assert len(opened(s, place, "r")["t"]["n"]) == 10


@pytest.mark.parametrize("seed", range(6))
def test_any_history_of_changes_restorations_tags_and_expiry(tmp_path, seed):
    """Every version that is kept is what it was, and nothing else is in the store."""
    rng = np.random.default_rng(seed)
    model, tags = {}, {}
    with Session(row_block=4) as s:
        ds = s.open_dataset(str(tmp_path / "x.zarr"), "w", durability="none")
        table = ds.create_dataframe("t")
        table.create_numeric("n", "int32").data.write(np.arange(6))
        table.create_indexed_string("s").data.write([f"text {n}" for n in range(6)])
        model[ds.commit()] = ds["t"].to_pandas()
        for _ in range(40):
            kept = [number for number in ds.storage.kept() if number]
            match rng.integers(8):
                case 0:
                    ds["t"]["n"].data[int(rng.integers(3))] = int(rng.integers(100))
                case 1:
                    ds["t"].append({"n": rng.integers(0, 9, 2), "s": ["a", "b"]})
                case 2 if len(ds["t"]["n"]) > 4:
                    ds["t"].delete([0])
                case 3:
                    ds.restore(int(rng.choice(kept)))
                case 4 if len(tags) < 3:
                    name = f"tag {len(tags)} {rng.integers(10**6)}"
                    tags[name] = ds.tag(name, int(rng.choice(kept)))
                case 5 if tags:
                    name = next(iter(tags))
                    del tags[name]
                    ds.untag(name)
                case 6:
                    ds.retain(int(rng.integers(1, 4)), 0.0)
                case 7:
                    ds.compact()
            model[ds.commit()] = ds["t"].to_pandas()
            for number in range(1, ds.version):
                model.setdefault(number, model.get(number - 1))
        ds.vacuum()
        kept = [number for number in ds.storage.kept() if number]
        assert set(tags.values()) <= set(kept)
        for number in kept:
            there = ds.at(number)
            there.verify()
            assert there["t"].to_pandas().equals(model[number]), number
    assert nothing_else(tmp_path / "x.zarr", kept)


def nothing_else(place: Path, kept) -> bool:
    """Whether every array in a store is one that a version has."""
    with Session() as s:
        ds = s.open_dataset(str(place), "r")
        versions = [ds.at(number) for number in kept]
        live = set().union(*(one.storage.draft.base.below for one in versions))
    there = {str(path.parent.relative_to(place)) for path in place.glob("*/*/values*/zarr.json")}
    return there <= live


def test_a_restoration_beside_another_writer(place):
    study(place, 3)
    with Session() as s:
        ds = opened(s, place)
        with as_another_process(), Session() as other:
            theirs = opened(other, place)
            theirs.create_dataframe("theirs").create_numeric("x", "int8").data.write([1])
        assert ds.restore(1) == 5  # over what they made, which is gone from the newest
        assert ds.keys() == ["t"]
        ds["t"]["n"].data[0] = 9
        with pytest.raises(ValueError, match="not committed"):
            ds.restore(1)
        ds.rollback()
        with ds.transaction(), pytest.raises(ValueError, match="transaction"):
            ds.restore(1)
        assert first(ds) == 1


def test_operations_are_told_unless_they_are_undone(place):
    study(place)
    with Session() as s:
        ds = opened(s, place)
        other = ds.create_dataframe("other")
        ds["t"].apply_filter(ds["t"]["n"] > 3, other)
        with pytest.raises(RuntimeError), ds.transaction():
            ds["t"].sort_values("n")
            raise RuntimeError
        joined = ds.create_dataframe("joined")
        exetera_zarr.merge(ds["t"], other, joined, "n", "n")
        joined.groupby("n_l").count(ds.create_dataframe("counts"))
        ds.note("impute", "counts", [joined], method="mean")
        ds.commit(message="analysis")
        ds["t"].append({"n": [1], "s": ["x"]})
        ds.rollback()
        ds["t"].upsert({"n": [5], "s": ["changed"]}, "n")
        ds.commit()
        told = [(one.verb, one.table, one.read) for one in ds.history()[1].operations]
        assert told == [
            ("filter", "other", ("t",)),
            ("merge", "joined", ("t", "other")),
            ("group", "counts", ("joined",)),
            ("impute", "counts", ("joined",)),
        ]
        assert [one.verb for one in ds.history()[0].operations] == ["upsert"]
        way = ds.history("counts")
        assert [one.version for one in way] == [2, 1]
        assert [one.verb for one in ds.history("other")[-2].operations] == ["filter"]


def test_an_import_tells_its_files_and_schema(tmp_path):
    (tmp_path / "p.csv").write_text("id,age\n1,30\n2,x\n3,40\n")
    schema = tmp_path / "schema.json"
    schema.write_text(
        """{"exetera": {"version": "1.1.0"}, "schema": {"p": {"fields": {
            "id": {"field_type": "fixed_string", "length": 4},
            "age": {"field_type": "numeric", "value_type": "int32",
                    "validation_mode": "strict", "invalid_value": 0}}}}}"""
    )
    with Session() as s:
        ds = s.open_dataset(str(tmp_path / "x.zarr"), "w")
        with pytest.warns(UserWarning, match="1 of 3 rows"):
            exetera_zarr.import_csv(ds, "p", tmp_path / "p.csv", schema, on_error="skip")
        ds.commit()
        (operation,) = ds.history()[0].operations
    assert operation.details["rows"] == 2
    assert operation.details["rejected"] == 1
    (file,) = operation.details["files"]
    import hashlib

    assert file == {
        "name": "p.csv",
        "bytes": 21,
        "sha256": hashlib.sha256((tmp_path / "p.csv").read_bytes()).hexdigest(),
    }
    told = operation.details["schema"]
    assert told["sha256"] == hashlib.sha256(schema.read_bytes()).hexdigest()


def test_hdf5_says_what_it_lacks(tmp_path):
    with Session() as s:
        ds = s.open_dataset(str(tmp_path / "x.hdf5"), "w")
        ds.create_dataframe("t").create_numeric("n", "int8").data.write([1])
        for call in (
            lambda: ds.commit(message="x"),
            lambda: ds.tag("x"),
            ds.tags,
            lambda: ds.untag("x"),
            lambda: ds.restore(0),
            lambda: ds.diff(0),
            lambda: ds.at(0),
        ):
            with pytest.raises(UnsupportedError, match="has no versions"):
                call()
        assert ds.commit() == 1


def test_a_reader_cannot_tag(place):
    study(place)
    with Session() as s:
        ds = opened(s, place, "r")
        for call in (lambda: ds.tag("x"), lambda: ds.untag("x"), lambda: ds.restore(0)):
            with pytest.raises(ReadOnlyError):
                call()


def test_a_tag_costs_a_manifest(tmp_path):
    """And no other object but the root, whatever the number of columns."""
    with Session(row_block=4) as s:
        ds = s.open_dataset(str(tmp_path / "x.zarr"), "w")
        table = ds.create_dataframe("t")
        for number in range(50):
            table.create_numeric(f"f{number}", "int8").data.write([1, 2])
        ds.commit()
        before = {path for path in (tmp_path / "x.zarr").rglob("*") if path.is_file()}
        ds.tag("x")
        after = {path for path in (tmp_path / "x.zarr").rglob("*") if path.is_file()}
        assert len(after - before) == 1
        (made,) = after - before
        assert made.stat().st_size < 2000
    assert not sharing.drafts


def test_a_history_shows_itself(tmp_path):
    """As lines in a terminal, as a table in a notebook; it is a list as before."""
    with Session(author="Ada") as session:
        ds = session.open_dataset(tmp_path / "x.zarr", "w", "d")
        ds.from_dict("t", {"a": [1]})
        ds.commit(message="first <import>")
        ds.tag("paper")
        history = ds.history()
        assert [one.version for one in history] == [2, 1, 0]
        first, *lines = repr(history).splitlines()
        assert first == f"{ds.url}: 3 versions"
        assert [line.split()[:2] for line in lines] == [["version", str(n)] for n in (2, 1, 0)]
        assert lines[1].endswith("Ada  first <import>  [paper]")
        assert "first &lt;import&gt;" in history._repr_html_()
