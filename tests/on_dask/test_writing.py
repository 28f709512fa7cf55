"""Collections of Dask as tables: the same rows as of one process, all of them or none."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exetera_zarr import Session
from exetera_zarr.dask import running, staging
from exetera_zarr.errors import (
    ArgumentError,
    ArgumentTypeError,
    ConflictError,
    DataError,
    NameTakenError,
    ReadOnlyError,
    StorageError,
)
from exetera_zarr.testing import counting
from support.dask_tables import as_pandas, make_people, opened


@pytest.fixture(autouse=True)
def in_this_process():
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture
def study(tmp_path):
    with Session() as s:
        yield s.open_dataset(str(tmp_path / "dask.zarr"), "w", "study")


def plain(rows: int = 40) -> pd.DataFrame:
    """Every type, with missing values."""
    with Session() as s:
        table = make_people(s.open_dataset("memory://plain.zarr", "w", "d"), rows)
        return as_pandas(table)


def cut(frame: pd.DataFrame, sizes: list[int]) -> Any:
    """A collection whose partitions have as many rows."""
    ends = np.cumsum([0, *sizes])
    parts = [frame.iloc[low:high] for low, high in zip(ends, ends[1:], strict=False)]
    return dd.from_map(lambda part: part, parts, meta=frame.iloc[:0])


def files(study: Any) -> set[str]:
    root = Path(study.url)
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def assert_same(table: Any, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        as_pandas(table).reset_index(drop=True), expected.reset_index(drop=True), check_dtype=False
    )


@pytest.mark.parametrize(
    "sizes", [[40], [7] * 5 + [5], [14, 14, 12], [3, 0, 20, 1, 16], [0, 40, 0]]
)
def test_it_is_the_table_that_was_given(place, sizes):
    expected = plain()
    with Session() as s:
        ds = opened(s, place)
        table = ds.write_dask(cut(expected, sizes), "people", row_block=7)
        assert_same(table, expected)
        assert ds.commit() == 1
        assert_same(table, expected)
        ds.storage.verify()
        assert table["sex"].keys == {0: b"x", 1: b"f", 2: b"m"}
        assert not [key for key in keys_of(ds) if "staged" in key]
    with Session() as s:
        ds = opened(s, place, "r")
        assert_same(ds["people"], expected)
        assert ds["people"].group.row_block == 7


def commits_elsewhere(part: pd.DataFrame, url: str) -> pd.DataFrame:
    """What another process makes meanwhile."""
    code = (
        "from exetera_zarr import Session\n"
        f"with Session() as s: s.open_dataset({url!r}, 'r+').from_dict('t', {{'a': [1]}})"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    return part


def keys_of(ds: Any) -> list[str]:
    return [entry.key for entry in ds.storage.draft.store.everything("")]


@settings(max_examples=8)
@given(
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=6),
    block=st.integers(1, 8),
    before=st.integers(0, 12),
    committed=st.booleans(),
)
def test_any_cut_on_any_grid(sizes, block, before, committed):
    """Rows that are appended follow those that are there, whatever the grids are."""
    rows = sum(sizes)
    expected = plain(before + rows)
    with Session() as s:
        ds = s.open_dataset("memory://cuts.zarr", "w", "study")
        table = ds.write_dask(cut(expected.iloc[:before], [before]), "t", row_block=block)
        if committed:
            ds.commit()
        ds.write_dask(cut(expected.iloc[before:], sizes), "t", "append")
        assert_same(table, expected)
        ds.commit()
        assert_same(table, expected)
        ds.storage.verify()
        table.append(expected)
        ds.commit()
        assert_same(table, pd.concat([expected, expected]))


def test_long_texts_are_cut_by_bytes(study, monkeypatch):
    """The blocks of their bytes end in the middle of a text, or have many."""
    monkeypatch.setattr("exetera_zarr.storage.zarr.arrays._BYTES_BLOCK", 100)
    texts = ["Ø" * (n * 37 % 300) for n in range(50)]
    frame = pd.DataFrame({"text": pd.array(texts, "string[pyarrow]")})
    table = study.write_dask(cut(frame, [20, 5, 25]), "t", row_block=4)
    study.commit()
    assert table["text"].tolist() == texts
    study.storage.verify()


def test_nothing_of_a_new_table_is_written_twice(tmp_path):
    """Whole blocks are placed by tasks, and neither read nor copied by the commit."""
    with counting() as stores, Session() as s:
        ds = s.open_dataset(str(tmp_path / "x.zarr"), "w", "study")
        ds.write_dask(cut(plain(), [14, 26]), "people", row_block=7)
        calls = [call for store in stores for call in store.calls]
        for store in stores:
            store.calls.clear()
        ds.commit()
    placed = [key for verb, key in calls if verb == "create" and "/c/" in key]
    assert len(placed) == len(set(placed))
    assert len([key for key in placed if key.startswith("people/id/values-")]) == 5
    assert not [call for store in stores for call in store.calls if call[0] == "copy"]
    written = [key for store in stores for key in store.chunks("put")]
    assert len([key for key in written if "/id/" in key]) == 1  # the rows that fill no block


def test_a_result_is_one_version_with_what_else_is_in_the_draft(study):
    people = make_people(study)
    study.commit()
    found = people.to_dask(["id", "dose"], index="id")
    study.from_dict("other", {"a": [1, 2]})
    sums = found.groupby("id").sum().reset_index()
    study.write_dask(sums, "sums", row_block=4)
    assert study.version == 1
    assert study.commit() == 2
    expected = as_pandas(people).groupby("id")["dose"].sum()
    assert study["sums"]["dose"].tolist() == pytest.approx(expected.tolist())
    assert sorted(study) == ["other", "people", "sums"]


def test_the_partition_is_reckoned_once(study):
    """Two runs of what draws random numbers would not be of the same rows."""
    seen: list[int] = []

    def drawn(part: pd.DataFrame) -> pd.DataFrame:
        seen.append(len(part))
        some = np.random.default_rng().random(len(part)) < 0.5
        return part[some]

    found = cut(plain(), [20, 20]).map_partitions(drawn, meta=plain().iloc[:0])
    table = study.write_dask(found, "drawn", row_block=3)
    assert seen == [20, 20]
    assert len(table["id"]) == len(table["town"]) == len(table["age"])


def test_replacing_and_appending(study):
    expected = plain()
    study.write_dask(cut(expected, [40]), "t", row_block=7)
    study.commit()
    with pytest.raises(NameTakenError, match="mode='replace'"):
        study.write_dask(cut(expected, [40]), "t")
    table = study.write_dask(cut(expected.iloc[:20], [9, 11]), "t", "replace", row_block=5)
    assert_same(table, expected.iloc[:20])
    study.commit()
    assert_same(study["t"], expected.iloc[:20])
    assert not [name for name in study if name != "t"]
    study.write_dask(cut(expected.iloc[20:], [9, 11]), "t", "append")
    study.commit()
    assert_same(study["t"], expected)
    study.storage.verify()
    with pytest.raises(ArgumentError, match="row_block"):
        study.write_dask(cut(expected, [40]), "t", "append", row_block=3)


def test_what_is_missing_first_in_an_append_makes_a_companion(study):
    frame = pd.DataFrame({"n": pd.array([1, 2, 3, 4, 5], "Int16")})
    table = study.write_dask(cut(frame, [5]), "t", row_block=2)
    study.commit()
    assert table["n"].validity is None
    gone = pd.DataFrame({"n": pd.array([6, None, 8, 9, None], "Int16")})
    study.write_dask(cut(gone, [2, 3]), "t", "append")
    study.commit()
    assert table["n"].isna().tolist() == [False] * 6 + [True, False, False, True]
    assert table["n"].sum() == 38
    study.storage.verify()


def test_types_that_partitions_differ_in(study):
    """After a merge, a partition has floats where others, and what Dask says, have integers."""
    parts = [
        pd.DataFrame({"n": np.array([1, 2], "int64")}),
        pd.DataFrame({"n": np.array([3.0, np.nan])}),
        pd.DataFrame({"n": pd.array([None, 5], "Int8")}),
        pd.DataFrame({"n": np.array([], object)}),
    ]
    found = dd.from_map(lambda p: p, parts, meta=parts[0].iloc[:0], enforce_metadata=False)
    table = study.write_dask(found, "t", row_block=2)
    assert table["n"].fieldtype == "numeric,int64"
    assert table["n"].tolist() == [1, 2, 3, None, None, 5]


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"n": [1.5], "sex": ["f"]}, r"partition 1 of what is written to 't': row 0 .*'n' is 1\.5"),
        ({"n": [1], "sex": ["q"]}, r"partition 1 .*'sex' is 'q'.*no category"),
        ({"n": [1]}, r"partition 1 .*lack 'sex'"),
        ({"n": [1], "sex": ["f"], "m": [1]}, r"partition 1 .*no field 'm'"),
        ({"n": ["one"], "sex": ["f"]}, r"partition 1 .*'n' is 'one'"),
    ],
)
def test_a_partition_that_does_not_fit_is_named_and_nothing_is_left(study, part, words):
    good = pd.DataFrame({"n": [1, 2], "sex": pd.Categorical(["f", "m"], ["f", "m"])})
    found = dd.from_map(lambda p: p, [good, pd.DataFrame(part)], meta=good.iloc[:0])
    before = files(study)
    with pytest.raises(DataError, match=words):
        study.write_dask(found, "t", row_block=1)
    assert files(study) == before
    assert "t" not in study
    assert not study.storage.changed


def test_categories_go_by_their_names(study):
    parts = [
        pd.DataFrame({"sex": pd.Categorical(["f", "m"], ["f", "m"])}),
        pd.DataFrame({"sex": pd.Categorical(["f", "m"], ["m", "f"])}),
        pd.DataFrame({"sex": pd.Series(["m", None], dtype="string")}),
    ]
    found = dd.from_map(lambda p: p, parts, meta=parts[0].iloc[:0])
    table = study.write_dask(found, "t")
    assert table["sex"].keys == {0: b"f", 1: b"m"}
    assert table.to_pandas(types="typed")["sex"].tolist()[:5] == ["f", "m", "f", "m", "m"]
    assert table["sex"].isna().tolist() == [False] * 5 + [True]
    unknown = found.assign(sex=found["sex"].astype("category"))
    with pytest.raises(DataError, match="as_known"):
        study.write_dask(unknown.assign(sex=unknown["sex"].cat.as_unknown()), "u")


def test_what_is_wrong_is_told_before_anything_is_reckoned(study):
    seen: list[int] = []
    study.from_dict("t", {"a": [1], "b": [2]})
    study.commit()
    frame = pd.DataFrame({"a": [1]})
    found = dd.from_map(lambda n: seen.append(n) or frame, [0, 1], meta=frame.iloc[:0])
    with pytest.raises(DataError, match="lack 'b'"):
        study.write_dask(found, "t", "append")
    with pytest.raises(ArgumentError, match="mode"):
        study.write_dask(found, "u", "w")
    with pytest.raises(ArgumentTypeError, match="to_frame"):
        study.write_dask(found["a"], "u")
    with pytest.raises(ArgumentTypeError, match="from_pandas"):
        study.write_dask(frame, "u")
    assert seen == []


def test_a_conflict_is_told_before_the_blocks_are_placed(study, tmp_path, monkeypatch):
    placed: list[Any] = []
    monkeypatch.setattr("exetera_zarr.dask.writing.place_all", lambda work: placed.append(work))
    frame = pd.DataFrame({"a": np.arange(9)})
    study.commit()

    found = cut(frame, [9]).map_partitions(commits_elsewhere, study.url, meta=frame.iloc[:0])
    with pytest.raises(ConflictError, match="'t'"):
        study.write_dask(found, "t", row_block=2)
    assert placed == []
    assert not [name for name in files(study) if "staged" in name]


def test_only_a_writer_writes(study, tmp_path):
    study.commit()
    with Session() as s:
        ds = s.open_dataset(study.url, "r", "reading")
        with pytest.raises(ReadOnlyError):
            ds.write_dask(cut(plain(), [40]), "t")


def test_a_rollback_leaves_nothing(study):
    study.commit()
    before = files(study)
    study.write_dask(cut(plain(), [40]), "people", row_block=7)
    assert files(study) > before
    study.rollback()
    assert files(study) == before
    assert "people" not in study


def test_an_error_after_blocks_were_placed_leaves_nothing(study, monkeypatch):
    before = files(study)
    monkeypatch.setattr(
        "exetera_zarr.storage.tree.DraftArrayHandle.adopt", lambda *_: 1 / 0, raising=True
    )
    with pytest.raises(ZeroDivisionError):
        study.write_dask(cut(plain(), [40]), "people", row_block=7)
    assert files(study) == before
    assert "people" not in study


def test_a_task_that_runs_again_changes_nothing(study, monkeypatch):
    """Another attempt stages beside the first, and places what is there already."""
    once = staging.Stage.__call__
    attempts = []

    def twice(self: Any, partition: Any) -> Any:
        attempts.append(once(self, partition))
        return once(self, partition)

    monkeypatch.setattr(staging.Stage, "__call__", twice)
    late: list[Any] = []
    place_all = running.place_all

    def again(work: Any) -> Any:
        late.extend(work)
        place_all(work)
        return place_all(work)

    monkeypatch.setattr("exetera_zarr.dask.writing.place_all", again)
    table = study.write_dask(cut(plain(), [14, 26]), "people", row_block=7)
    study.commit()
    before = {name: (Path(study.url) / name).read_bytes() for name in files(study)}
    assert attempts
    with pytest.raises(StorageError):  # what it would read is gone
        late[0]()
    assert {name: (Path(study.url) / name).read_bytes() for name in files(study)} == before
    assert_same(table, plain())


def test_vacuum_removes_what_a_dead_client_has_staged(study):
    study.commit()
    before = files(study)
    workshop = study.storage.workshop("0123456789abcdef")
    workshop.stage("fedcba9876543210-0", {"a": np.arange(3)})
    assert files(study) > before
    study.vacuum()
    assert files(study) > before  # it may be of a client that is alive
    study.storage.vacuum(orphans_older_than=-1)
    assert files(study) == before


def test_in_the_face_of_exetera(tmp_path):
    with Session(exetera=True) as s:
        ds = s.open_dataset(str(tmp_path / "x.zarr"), "w", "study")
        frame = pd.DataFrame({"n": np.arange(5), "t": pd.array(list("abcde"), "string[pyarrow]")})
        table = ds.write_dask(cut(frame, [2, 3]), "t", row_block=2)
        ds.commit()
        assert table["n"].data[:].tolist() == [0, 1, 2, 3, 4]
        assert table["t"].data[:] == list("abcde")


@pytest.mark.parametrize("chunks", [40, 7, (3, 30, 7), 5])
def test_an_array_becomes_a_column(study, chunks):
    table = make_people(study)
    study.commit()
    values = np.where(np.arange(40) % 3 == 0, np.nan, np.arange(40) / 3)
    numbers = table["id"].to_dask_array()
    made = table.write_dask_array("third", da.from_array(values, chunks=chunks))
    np.testing.assert_array_equal(made.data[:], values)
    whole = table.write_dask_array("twice", numbers * 2)
    assert whole.fieldtype == "numeric,int64"
    study.commit()
    np.testing.assert_array_equal(table["third"].data[:], values)
    assert table["twice"].data[:].tolist() == (table["id"].data[:] * 2).tolist()
    study.storage.verify()
    assert not [name for name in files(study) if "staged" in name]


def test_an_array_of_another_length_is_no_column(study):
    table = make_people(study)
    study.commit()
    with pytest.raises(DataError, match="has 39 rows, and the table 'people' has 40"):
        table.write_dask_array("n", da.ones(39))
    some = da.ones(80, chunks=20)
    some = some[some > 2]  # of which Dask does not know how many there are
    before = files(study)
    with pytest.raises(DataError, match="has 0 rows"):
        table.write_dask_array("n", some)
    assert files(study) == before
    assert "n" not in table
    with pytest.raises(NameTakenError, match="'id'"):
        table.write_dask_array("id", da.ones(40))
    with pytest.raises(ArgumentTypeError, match="one dimension"):
        table.write_dask_array("n", da.ones((40, 2)))
    with pytest.raises(ArgumentTypeError, match="mask"):
        table.write_dask_array("n", da.ma.masked_array(np.arange(40), np.arange(40) > 3))


def appends_elsewhere(part: pd.DataFrame, url: str) -> pd.DataFrame:
    """What another process appends meanwhile."""
    code = (
        "from exetera_zarr import Session\n"
        f"with Session() as s: s.open_dataset({url!r}, 'r+')['t'].append({{'a': [-1, -2]}})"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    return part


def test_appends_of_two_writers_go_together(study):
    frame = pd.DataFrame({"a": np.arange(9)})
    study.write_dask(cut(frame, [9]), "t", row_block=2)
    study.commit()
    found = cut(frame, [9]).map_partitions(appends_elsewhere, study.url, meta=frame.iloc[:0])
    study.write_dask(found, "t", "append")
    assert study.commit() == 3
    assert study["t"]["a"].tolist() == [*range(9), -1, -2, *range(9)]
    study.storage.verify()


def test_a_write_asks_for_what_it_needs(tmp_path):
    """Of numbers in partitions of whole blocks: each is staged, read and placed once."""
    frame = pd.DataFrame({"a": np.arange(32), "b": np.arange(32) / 4})
    with counting() as stores, Session() as s:
        ds = s.open_dataset(str(tmp_path / "x.zarr"), "w", "study")
        for store in stores:
            store.calls.clear()
        ds.write_dask(cut(frame, [8] * 4), "t", row_block=8)
        calls = [call for store in stores for call in store.calls]
    found = {verb: [key for one, key in calls if one == verb] for verb in dict(calls)}
    assert len([key for key in found["put"] if "staged" in key]) == 4
    assert len([key for key in found["part"] if "staged" in key]) == 4
    assert len([key for key in found["create"] if "/c/" in key]) == 2 * 4
    assert len([key for key in found["delete"] if "staged" in key]) == 4
    assert "copy" not in found


# -- what says no type, and what Dask finds


@pytest.mark.parametrize(
    ("values", "kind", "stored"),
    [
        ([1, None, 3], "Int64", "numeric,int64"),
        ([dt.date(2020, 1, 1), None, None], "datetime64[us]", "timestamp"),
        ([Decimal("1.5"), None, None], "float64", "numeric,float64"),
        (["a", None, "b"], "string", "indexedstring"),
    ],
)
def test_columns_of_objects_are_given_a_type(study, values, kind, stored):
    frame = pd.DataFrame({"o": pd.Series(values, dtype=object)})
    with dask.config.set({"dataframe.convert-string": False}):
        given = dd.from_pandas(frame, npartitions=2)
        with pytest.raises(DataError, match=r"values of 'o' .* ddf.astype\(\{'o': ") as told:
            study.write_dask(given, "t")
        assert f"'{kind}'" in str(told.value)
        assert "t" not in study
        made = study.write_dask(given.astype({"o": kind}), "t")
    assert made["o"].fieldtype == stored
    assert made["o"].isna().tolist() == [value is None for value in values]


@pytest.mark.parametrize(
    ("array", "stored"),
    [
        (np.array([0, 1, "NaT"], "datetime64[D]"), [0.0, 86400.0]),
        (np.array([0, 1, "NaT"], "datetime64[M]"), [0.0, 31 * 86400.0]),
        (np.array([0, 1, "NaT"], "timedelta64[h]"), [0.0, 3600.0]),
        (np.array([0, 1, "NaT"], "datetime64[us]"), [0.0, 1e-6]),
        (np.array(["a", "é", ""]), ["a", "é", ""]),
    ],
)
def test_arrays_of_any_unit(study, array, stored):
    table = study.from_dict("t", {"a": [1, 2, 3]})
    made = table.write_dask_array("x", da.from_array(array, chunks=2))
    assert list(made.data[: len(stored)]) == stored
    assert np.asarray(made.isna()[:]).tolist() == [False, False, len(stored) == 2]


def test_arrays_of_objects_that_were_given_a_type(study):
    table = study.from_dict("t", {"a": [1, 2, 3]})
    for values, kind in (([1.5, None, 2], float), (["a", "long text", "é"], "U")):
        array = da.from_array(np.array(values, object), chunks=2)
        made = table.write_dask_array(str(kind), array.astype(kind))
        assert made.tolist() == values
    dates = da.from_array(np.array([dt.date(1970, 1, 2), None, None], object), chunks=2)
    made = table.write_dask_array("w", dates.astype("datetime64[us]"))
    assert (made.data[0], made.isna().tolist()) == (86400.0, [False, True, True])


@pytest.mark.parametrize("dtype", ["O", "datetime64[ps]", "timedelta64[Y]"])
def test_arrays_that_dask_makes_no_column_of(study, dtype):
    table = study.from_dict("t", {"a": [1, 2]})
    with pytest.raises(DataError, match=r"write array\.astype"):
        table.write_dask_array("x", da.from_array(np.array([1, 2]).astype(dtype), chunks=1))
    assert list(table) == ["a"]


def test_partitions_of_other_columns(study):
    meta = pd.DataFrame({"a": [0], "b": [0]}).iloc[:0]
    good, less, column = (
        pd.DataFrame({"a": [1], "b": [2]}),
        pd.DataFrame({"a": [1]}),
        pd.Series([1]),
    )
    for bad, error in ((less, DataError), (column, ArgumentTypeError)):
        parts = dd.from_map(lambda part: part, [good, bad], meta=meta)
        with pytest.raises(error, match="partition 1 of what is written to 't'"):
            study.write_dask(parts, "t")
    checked = dd.from_map(lambda part: part, [good, good], meta=meta)
    with pytest.raises(ValueError, match="do not match the columns") as told:
        study.write_dask(checked.map_partitions(lambda _: less, meta=meta), "t")
    assert any("give that step the right meta=" in note for note in told.value.__notes__)
    assert "t" not in study
