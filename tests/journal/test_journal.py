"""Journals: snapshots one after the other, and each of them read back as of its moment."""

from __future__ import annotations

import math
import re
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exetera_zarr import DataError, Session
from exetera_zarr.compat import operations
from exetera_zarr.compat.journal import journal_table, journal_test_harness
from exetera_zarr.engine.changes import Tolerance, differing
from exetera_zarr.engine.streams.workspace import Workspace
from support.missing import brought

NAMES = ["", "no", "yes", "perhaps"]
EMPTY = {"note": "", "code": b"", "score": 0.0, "sure": "", "when": 0.0, "count": 0}


def write(table, fields, rows, names=tuple(NAMES), moment=None):
    """Write rows, which are dicts by name, as fields of one type each."""
    keys = {name: code for code, name in enumerate(names)}
    makers = {
        "site": lambda: table.create_indexed_string("site"),
        "id": lambda: table.create_numeric("id", "int32"),
        "note": lambda: table.create_indexed_string("note"),
        "code": lambda: table.create_fixed_string("code", 2),
        "score": lambda: table.create_numeric("score", "float64"),
        "sure": lambda: table.create_categorical("sure", "int8", keys),
        "when": lambda: table.create_timestamp("when"),
        "count": lambda: table.create_numeric("count", "int16"),
    }
    for name in fields:
        values = [row[name] for row in rows]
        makers[name]().data.write([keys[v] for v in values] if name == "sure" else values)
    if moment is not None:
        table.create_timestamp("j_valid_from").data.write([moment] * len(rows))
    return table


def rows_of(table, *, missing=False):
    """The rows by key, categories by name, a NaN as a text that equals itself; None if missing."""
    columns = {}
    for name, field in table.items():
        values = list(field.data[:])
        if name == "sure":
            values = [field.keys[v].decode() for v in values]
        columns[name] = ["NaN" if isinstance(v, float) and math.isnan(v) else v for v in values]
        if missing:
            gone = field.isna().data[:]
            columns[name] = [None if g else v for g, v in zip(gone, columns[name], strict=True)]
    found = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return sorted(found, key=lambda row: (row.get("site", ""), row["id"], row["j_valid_from"]))


ROW = st.fixed_dictionaries(
    {
        "note": st.sampled_from(["", "a", "b", "é"]),
        "code": st.sampled_from([b"", b"x", b"yy"]),
        "score": st.sampled_from([0.0, -0.0, 1.5, math.nan, math.inf]),
        "sure": st.sampled_from(NAMES),
        "when": st.sampled_from([0.0, 5.0]),
        "count": st.integers(0, 2),
    }
)
OPTIONAL = list(EMPTY)
KEYS = st.tuples(st.sampled_from(["", "n", "north"]), st.integers(-2, 3))
SNAPSHOT = st.fixed_dictionaries(
    {
        "rows": st.dictionaries(KEYS, ROW, max_size=8),
        "fields": st.lists(st.sampled_from(OPTIONAL), unique=True),
        "names": st.permutations(NAMES[1:]),
        "reverse": st.booleans(),
    }
)


@settings(max_examples=20)
@given(st.lists(SNAPSHOT, min_size=1, max_size=5), st.sampled_from([2, 3, 64]), st.booleans())
def test_each_snapshot_is_there_as_of_its_moment(snapshots, block, exetera):
    """Whatever changes, comes, goes and comes again: rows, fields, codes of categories, order."""
    absent = EMPTY if exetera else dict.fromkeys(EMPTY)
    plain = as_exetera_sees if exetera else with_missing
    with Session(row_block=block, exetera=exetera) as session:
        dataset = session.open_dataset(f"memory://{uuid.uuid4().hex}", "w", "d")
        table = dataset.create_dataframe("journal")
        expected, written = {}, 0
        for number, snapshot in enumerate(snapshots):
            rows = [
                {"site": site, "id": key} | row for (site, key), row in snapshot["rows"].items()
            ]
            rows.reverse() if snapshot["reverse"] else None
            moment = 10.0 * number
            frame = write(
                dataset.create_dataframe(f"snapshot {number}"),
                ["site", "id", *snapshot["fields"]],
                rows,
                ["", *snapshot["names"]],
                moment,
            )
            found = table.journal(frame, ["site", "id"], moment, close_vanished=True)
            before = expected.get(number - 1, {})
            kept = {name: absent[name] for name in OPTIONAL if name not in snapshot["fields"]}
            expected[number] = {(r["site"], r["id"]): plain(r | kept) for r in rows}
            now = expected[number]
            assert found.new == len(now.keys() - before.keys())
            assert found.closed == found.vanished == len(before.keys() - now.keys())
            assert found.unchanged == sum(before.get(key) == row for key, row in now.items())
            assert found.new + found.changed + found.unchanged == len(now)
            written += found.new + found.changed
        assert table.length() == written
        for number, wanted in expected.items():
            there = table.as_of(10.0 * number, dataset.create_dataframe(f"as of {number}"))
            read = [
                {name: row.get(name, absent.get(name)) for name in ("site", "id", *OPTIONAL)}
                for row in rows_of(there, missing=not exetera)
            ]
            assert read == [wanted[key] for key in sorted(wanted)]


def as_exetera_sees(row):
    """A row in which a NaN equals itself; 0.0 equals -0.0."""
    return {name: "NaN" if is_nan(value) else value for name, value in row.items()}


def with_missing(row):
    """The same with None for NaN, which is a missing value."""
    return {name: None if is_nan(value) else value for name, value in row.items()}


def is_nan(value):
    return isinstance(value, float) and math.isnan(value)


@pytest.fixture
def dataset(place):
    with Session(row_block=2) as s:
        yield s.open_dataset(place.url("x.zarr"), "w", "d", storage_options=place.storage_options)


@pytest.fixture
def exetera_dataset(place):
    with Session(row_block=2, exetera=True) as s:
        yield s.open_dataset(place.url("x.zarr"), "w", "d", storage_options=place.storage_options)


def snapshot(dataset, name, ids, moment=None, **columns):
    rows = [{"id": key} | {n: v[i] for n, v in columns.items()} for i, key in enumerate(ids)]
    return write(dataset.create_dataframe(name), ["id", *columns], rows, moment=moment)


def test_what_a_journal_holds(dataset):
    """Keys and moments are there; what is superseded ends when its successor begins."""
    table = dataset.create_dataframe("journal")
    first = snapshot(dataset, "a", [3, 1, 2], 100.0, note=["c", "a", "b"])
    second = snapshot(dataset, "b", [4, 1, 3], 200.0, note=["d", "a", "C"])
    table.journal(first, "id")
    dataset.commit()
    version = dataset.version
    found = table.journal(second, "id")
    assert (found.new, found.changed, found.unchanged) == (1, 1, 1)
    assert (found.vanished, found.closed, found.valid_from) == (1, 0, 200.0)
    end = datetime(3000, 1, 1, tzinfo=UTC).timestamp()
    assert [tuple(row.values()) for row in rows_of(table)] == [
        (1, "a", 100.0, end),
        (2, "b", 100.0, end),
        (3, "c", 100.0, 200.0),
        (3, "C", 200.0, end),
        (4, "d", 200.0, end),
    ]
    assert dataset.commit() == version + 1


def test_filters_of_a_moment(dataset):
    table = dataset.create_dataframe("journal")
    for number, moment in enumerate(["2020-01-01", "2020-02-01"]):
        frame = snapshot(dataset, str(number), [1], count=[number])
        table.journal(frame, "id", moment)
    february = datetime(2020, 2, 1)  # noqa: DTZ001 - without a time zone it is UTC
    for moment, wanted in [
        ("2019-12-31", [False, False]),
        (datetime(2020, 1, 1, tzinfo=UTC), [True, False]),
        ("2020-01-31 23:59:59", [True, False]),
        (february, [False, True]),
        (february.replace(tzinfo=UTC).timestamp(), [False, True]),
    ]:
        assert table.valid_at(moment).data[:].tolist() == wanted
    assert table.as_of("2020-01-01", None)["count"].data[:].tolist() == [0]
    with pytest.raises(ValueError, match="ddf"):
        table.as_of("2020-01-01", "a table")


def test_vanished_keys_come_again(dataset):
    """A key that was closed begins anew, even with the same values; one that was not goes on."""
    for close, wanted in ((True, [(1.0, 2.0), (3.0, None)]), (False, [(1.0, None)])):
        table = dataset.create_dataframe(f"journal {close}")
        for moment, ids in ((1.0, [7, 8]), (2.0, [8]), (3.0, [8, 7])):
            frame = snapshot(dataset, f"{close} {moment}", ids, moment, note=["n"] * len(ids))
            table.journal(frame, "id", close_vanished=close)
        rows = [row for row in rows_of(table) if row["id"] == 7]
        found = [
            (row["j_valid_from"], row["j_valid_to"] if row["j_valid_to"] < 4 else None)
            for row in rows
        ]
        assert found == wanted


def test_tolerances(dataset):
    """Floats and timestamps within a tolerance are as before."""
    table = dataset.create_dataframe("journal")
    values = {"score": [1.0, 100.0, math.nan], "when": [1e9, 1e9, 1e9]}
    table.journal(snapshot(dataset, "a", [1, 2, 3], 1.0, **values), "id")
    near = {"score": [1.05, 100.5, math.nan], "when": [1e9 + 0.5, 1e9, 1e9 + 90]}
    frame = snapshot(dataset, "b", [1, 2, 3], 2.0, **near)

    dataset.commit()

    def changes(**tolerances):
        found = table.journal(frame, "id", **tolerances).changed
        dataset.rollback()
        return found

    assert changes() == 3
    assert changes(absolute=0.6) == 1
    assert changes(absolute={"score": 0.6}) == 2
    assert changes(relative=0.01) == 2
    assert changes(absolute={"when": 100.0}, relative={"score": 0.06}) == 0
    assert changes(compare=["score"], relative=0.01) == 1
    for wrong, said in (
        ({"absolute": {"id": 1}}, "'id'"),
        ({"relative": -1.0}, "0 or more"),
        ({"absolute": math.nan}, "0 or more"),
        ({"absolute": {"when": math.inf}}, "0 or more"),
    ):
        with pytest.raises(DataError, match=said):
            table.journal(frame, "id", **wrong)


def test_categories_by_name(dataset):
    """Other codes for the same names change nothing; new names get codes that are free."""
    table = dataset.create_dataframe("journal")
    one = dataset.create_dataframe("a")
    one.create_numeric("id", "int32").data.write([1, 2])
    one.create_categorical("kind", "int8", {"": 0, "cat": 1, "dog": 2}).data.write([1, 2])
    two = dataset.create_dataframe("b")
    two.create_numeric("id", "int32").data.write([1, 2, 3, 4])
    key = {"": 0, "dog": 1, "cat": 2, "emu": 127, "ox": 3}
    two.create_categorical("kind", "int8", key).data.write([2, 1, 127, 3])
    table.journal(one, "id", 1.0)
    found = table.journal(two, "id", 2.0)
    assert (found.new, found.changed, found.unchanged) == (2, 0, 2)
    names = table["kind"].keys
    assert [names[code] for code in table["kind"].data[:]] == [b"cat", b"dog", b"emu", b"ox"]
    many = dataset.create_dataframe("c")
    many.create_numeric("id", "int32").data.write([1])
    many.create_categorical("kind", "int8", {"fox": 1}).data.write([1])
    table.journal(many, "id", 3.0)
    names = table["kind"].keys
    assert [names[code] for code in table["kind"].data[:]][-1] == b"fox"
    assert table["kind"].nformat == "int16"


def test_codes_without_a_name(exetera_dataset):
    """ExeTera's face stores them; a journal in which another name has the code refuses them."""
    dataset, table = exetera_dataset, exetera_dataset.create_dataframe("journal")
    one = dataset.create_dataframe("a")
    one.create_numeric("id", "int32").data.write([1])
    one.create_categorical("kind", "int8", {"cat": 1}).data.write([1])
    table.journal(one, "id", 1.0)
    odd = dataset.create_dataframe("d")
    odd.create_numeric("id", "int32").data.write([1])
    odd.create_categorical("kind", "int8", {"fox": 5}).data.write([1])
    with pytest.raises(DataError, match="d/kind has the code 1"):
        table.journal(odd, "id", 4.0)


def test_several_valid_rows_of_one_key(dataset):
    """In a table that was no journal, of the rows of a key the latest is compared."""
    table = dataset.create_dataframe("journal")
    write(table, ["id", "note"], [{"id": 1, "note": n} for n in "bca"])
    table.create_timestamp("j_valid_from").data.write([2.0, 3.0, 1.0])
    end = operations.MAX_DATETIME.replace(tzinfo=UTC).timestamp()
    table.create_timestamp("j_valid_to").data.write([end, end, end])
    found = table.journal(snapshot(dataset, "s", [1], 5.0, note=["c"]), "id")
    assert (found.new, found.changed, found.unchanged) == (0, 0, 1)
    assert table["j_valid_to"].data[:].tolist() == [3.0, end, 2.0]


def test_what_does_not_fit_changes_nothing(dataset):
    """Each error says what and where, and the journal is as it was."""
    table = dataset.create_dataframe("journal")
    table.journal(snapshot(dataset, "a", [1, 2], 10.0, count=[1, 2]), "id")
    before = rows_of(table)
    twice = snapshot(dataset, "twice", [5, 1, 5], 20.0, count=[1, 2, 3])
    wide = dataset.create_dataframe("wide")
    wide.create_numeric("id", "int32").data.write([1])
    wide.create_numeric("count", "int32").data.write([70_000])
    other = dataset.create_dataframe("other")
    other.create_numeric("id", "int32").data.write([1])
    other.create_numeric("count", "float32").data.write([1.5])
    plain_table = snapshot(dataset, "plain", [1])
    for frame, arguments, said in (
        (twice, ("id",), "id = 5 occurs more than once in the snapshot 'twice'"),
        (wide, ("id",), "'wide' does not say of what moment"),
        (wide, ("id", 20.0), "70000, does not fit"),
        (other, ("id", 20.0), "other/count is numeric,float32"),
        (twice, ("id", 9.0), "1970-01-01 00:00:09 UTC, before the last one"),
        (twice, ("id", 4e10), "before the year 3000"),
        (twice, ("id", math.nan), "before the year 3000"),
        (twice, ("no",), "no field 'no'"),
        (table, ("id",), "is the table itself"),
    ):
        with pytest.raises(ValueError, match=said):
            table.journal(frame, *arguments)
        assert rows_of(table) == before
    with pytest.raises(ValueError, match="'plain' is no journal"):
        plain_table.journal(twice, "id")
    with pytest.raises(ValueError, match="'plain' is no journal"):
        plain_table.valid_at(0)


def test_chosen_fields(dataset):
    table = dataset.create_dataframe("journal")
    frame = snapshot(dataset, "a", [1], 1.0, note=["n"], count=[1])
    steps = []
    table.journal(frame, "id", fields=["id", "note"], progress=lambda *step: steps.append(step))
    assert table.keys() == ["id", "note", "j_valid_from", "j_valid_to"]
    assert steps == [(n, 5) for n in range(1, 6)]
    with pytest.raises(DataError, match="among the fields"):
        table.journal(frame, "id", fields=["note"])
    with pytest.raises(DataError, match="among the fields"):
        table.journal(frame, "id", fields=["id", "note"], compare=["count"])


def test_beyond_the_memory(monkeypatch):
    """The same where row numbers go to a file, and rows are chosen part by part."""
    rng = np.random.default_rng(5)
    ids = rng.permutation(3000).tolist()
    monkeypatch.setattr(
        "exetera_zarr.journal.applying.workspace", lambda _session: Workspace(1 << 16)
    )
    with Session(row_block=64) as session:
        big = session.open_dataset(f"memory://{uuid.uuid4().hex}", "w", "big")
        table = big.create_dataframe("journal")
        notes = [f"note {key}" for key in ids]
        table.journal(snapshot(big, "a", ids, 1.0, note=notes), "id")
        again = rng.permutation(3000).tolist()
        changed = [f"note {key}" + "!" * (key % 10 == 0) for key in again]
        found = table.journal(snapshot(big, "b", again, 2.0, note=changed), "id")
        assert (found.new, found.changed, found.unchanged) == (0, 300, 2700)
        now = table.as_of(2.0, big.create_dataframe("now")).to_pandas().sort_values("id")
        assert now["note"].tolist() == [f"note {k}" + "!" * (k % 10 == 0) for k in range(3000)]


def test_the_page_on_journals(tmp_path, monkeypatch, capsys):
    """Its example runs as it stands there, and prints what its comments say."""
    text = (Path(__file__).parents[2] / "docs/journal.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "docs/journal.md", "exec"), {})
    said = [line.partition("  # ")[2] for line in block.splitlines() if "  # " in line]
    assert capsys.readouterr().out.splitlines() == said


# -- under ExeTera's names


class Schema:
    """What ExeTera's function asks of a schema."""

    fields: ClassVar = {"note": None, "count": None, "never": None}


def test_journal_table(exetera_dataset):
    """The journal and the snapshot by key and moment; the keys and moments ExeTera leaves out."""
    dataset = exetera_dataset
    end = operations.MAX_DATETIME.replace(tzinfo=UTC).timestamp()
    old = snapshot(dataset, "old", [1, 3, 3], note=["a", "b", "c"], code=[b"", b"", b""])
    old.create_timestamp("j_valid_from").data.write([1.0, 2.0, 1.0])
    old.create_timestamp("j_valid_to").data.write([end, end, 2.0])
    new = snapshot(dataset, "new", [2, 3, 1], 5.0, note=["x", "B", "a"], count=[0, 0, 7])
    for name, schema in (("one", Schema), ("two", Schema.fields)):
        result = dataset.create_group(name)
        journal_table(dataset.session, schema, old, new, "id", result)
        assert {n: list(f.data[:]) for n, f in result.items()} == {
            "id": [1, 1, 2, 3, 3, 3],
            "note": ["a", "a", "x", "c", "b", "B"],
            "count": [0, 7, 0, 0, 0, 0],
            "j_valid_from": [1.0, 5.0, 5.0, 1.0, 2.0, 5.0],
            "j_valid_to": [5.0, end, end, 2.0, 5.0, end],
        }
    assert len(old["id"]) == 3
    with pytest.raises(ValueError, match="new_src is a Schema"):
        journal_table(None, Schema, old, Schema(), "id", result)


def test_journals_of_a_dataset(tmp_path):
    """Table by table, which both have to have."""
    urls = [str(tmp_path / f"{name}.zarr") for name in ("old", "new", "dest")]
    with Session() as session:
        for moment, url in enumerate(urls[:2]):
            made = session.open_dataset(url, "w", url)
            for table in ("t", "u"):
                frame = snapshot(made, table, [1, 2], float(moment), note=["a", "b" * moment])
                end = operations.MAX_DATETIME.replace(tzinfo=UTC).timestamp()
                frame.create_timestamp("j_valid_to").data.write([end, end])
            session.close_dataset(url)
        schema = {"t": Schema, "other": Schema}
        journal_test_harness(session, schema, *urls)
        dest = session.open_dataset(urls[2], "r", "d")
        assert list(dest) == ["t"]
        assert dest["t"]["note"].data[:] == ["a", "", "b"]
        session.close_dataset("d")
        one = session.open_dataset(urls[1], "r+", "n")
        del one["u"]
        session.close_dataset("n")
        with pytest.raises(ValueError, match="the same tables"):
            journal_test_harness(session, schema, *urls)


# -- the comparison


@given(
    st.lists(st.tuples(st.floats(), st.floats()), max_size=8),
    st.sampled_from([0.0, 0.5, 1e308]),
    st.sampled_from([0.0, 0.1]),
)
def test_which_floats_differ(pairs, absolute, relative):
    def apart(a, b):
        if a == b or (math.isnan(a) and math.isnan(b)):
            return False
        if not (math.isfinite(a) and math.isfinite(b)):
            return True
        return not abs(a - b) <= absolute + relative * abs(a)

    old, new = (np.array([pair[i] for pair in pairs], np.float64) for i in (0, 1))
    found = differing(old, new, Tolerance(absolute, relative))
    assert found.tolist() == [apart(a, b) for a, b in pairs]


def test_numbers_of_different_types_are_compared_exactly():
    old = np.array([2**53 + 1, 3, -1], np.int64)
    new = np.array([2.0**53, 3.0, math.nan])
    assert differing(old, new, Tolerance()).tolist() == [True, False, True]
    assert differing(old, old.astype(np.uint64), Tolerance()).tolist() == [False, False, True]


def table_of(dataset, name, way, **columns):
    """Ids, and columns of int8 or float64 of which some are missing."""
    frame = dataset.create_dataframe(name)
    for field, values in columns.items():
        made = frame.create_numeric(field, "float64" if field == "weight" else "int8")
        if way == "none":
            made.data.write(values)
            continue
        made.data.write([1 if value is None else value for value in values])
        brought(frame, f"{field}_valid", [value is not None for value in values])
    return frame


def missing_of(frame, field):
    return frame[field].isna().data[:].tolist()


@pytest.mark.parametrize("way", ["none", "by name"])
def test_companions_may_have_other_names_in_each_snapshot(way):
    """What is missing is so of a field, not of a name."""
    with Session() as session:
        dataset = session.open_dataset(f"memory://{uuid.uuid4().hex}", "w", "d")
        first = table_of(dataset, "one", way, id=[1, 2, 3], age=[None, 5, 6], height=[7, None, 8])
        first.rename({"age": "height", "height": "age"})
        second = table_of(
            dataset, "two", "none", id=[1, 2, 3], age=[7, None, 9], height=[None, 5, 6]
        )
        table = dataset.create_dataframe("journal")
        table.journal(first, "id", 1.0)
        found = table.journal(second, "id", 2.0)
        assert (found.new, found.changed, found.unchanged) == (0, 1, 2)
        now = table.as_of(2.0, dataset.create_dataframe("now"))
        assert now["id"].data[:].tolist() == [1, 2, 3]
        assert missing_of(now, "age") == [False, True, False]
        assert missing_of(now, "height") == [True, False, False]
        assert now["age"].mean() == 8


def test_floats_that_are_missing_are_so_in_any_way():
    """By NaN in one snapshot, by a companion in the other; as keys, too."""
    with Session() as session:
        dataset = session.open_dataset(f"memory://{uuid.uuid4().hex}", "w", "d")
        first = table_of(dataset, "one", "by name", id=[1, 2], weight=[None, 2.5])
        second = table_of(dataset, "two", "none", id=[1, 2], weight=[None, 2.5])
        for number, key in enumerate(["id", "weight"]):
            table = dataset.create_dataframe(f"journal {number}")
            table.journal(first, key, 1.0)
            found = table.journal(second, key, 2.0)
            assert (found.new, found.changed, found.unchanged) == (0, 0, 2)


@pytest.mark.parametrize("way", ["nan", "companion"])
def test_a_row_that_has_no_end_is_open(way):
    """As tables that were made elsewhere have it; it is closed as others are."""
    with Session(row_block=2) as session:
        dataset = session.open_dataset(f"memory://{uuid.uuid4().hex}", "w", "d")
        table = table_of(dataset, "journal", "none", id=[1, 2, 3], age=[5, 6, 7])
        table.create_timestamp("j_valid_from").data.write([10.0, 10.0, 10.0])
        ends = table.create_timestamp("j_valid_to")
        ends.data.write([np.nan, 20.0, np.nan] if way == "nan" else [0.0, 20.0, 0.0])
        if way == "companion":
            brought(table, "j_valid_to_set", [False, True, False])
        assert table.valid_at(30).data[:].tolist() == [True, False, True]
        assert table.valid_at(15).data[:].tolist() == [True, True, True]
        snapshot = table_of(dataset, "new", "none", id=[1, 2, 3], age=[5, 6, 8])
        found = table.journal(snapshot, "id", 40.0)
        assert (found.new, found.changed, found.unchanged) == (1, 1, 1)
        assert table.valid_at(30).data[:].tolist() == [True, False, True, False, False]
        assert table.valid_at(50).data[:].tolist() == [True, False, False, True, True]


@pytest.mark.parametrize("way", ["nan", "companion"])
def test_a_row_that_has_no_beginning_is_an_error(way):
    with Session(row_block=2) as session:
        dataset = session.open_dataset(f"memory://{uuid.uuid4().hex}", "w", "d")
        table = table_of(dataset, "journal", "none", id=[1, 2, 3])
        first = table.create_timestamp("j_valid_from")
        first.data.write([10.0, 10.0, np.nan if way == "nan" else 0.0])
        if way == "companion":
            brought(table, "j_valid_from_set", [True, True, False])
        table.create_timestamp("j_valid_to").data.write([20.0] * 3)
        snapshot = table_of(dataset, "new", "none", id=[1])
        for asked in (lambda: table.valid_at(15), lambda: table.journal(snapshot, "id", 40.0)):
            with pytest.raises(DataError, match=r"row 2 of the journal 'journal' .* j_valid_from"):
                asked()
        assert len(table["id"]) == 3
        with pytest.raises(DataError, match="its j_valid_from is missing in some rows"):
            dataset.create_dataframe("another").journal(table, "id")


def test_what_is_missing_counts_where_fields_are_chosen():
    """None is not 0, though the companion is named nowhere."""
    with Session() as session:
        dataset = session.open_dataset(f"memory://{uuid.uuid4().hex}", "w", "d")
        first = table_of(dataset, "one", "none", id=[1, 2], age=[0, None])
        second = table_of(dataset, "two", "none", id=[1, 2], age=[None, 0])
        table = dataset.create_dataframe("journal")
        table.journal(first, "id", 1.0, fields=["id", "age"])
        assert missing_of(table, "age") == [False, True]
        found = table.journal(second, "id", 2.0, fields=["id", "age"], compare=["age"])
        assert found.changed == 2
        assert missing_of(table, "age") == [False, True, True, False]
