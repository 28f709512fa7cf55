"""`exetera-zarr append`: files of several kinds to a table that is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from exetera_zarr import Session
from support.missing import values_of

FIELDS = {
    "id": {"field_type": "numeric", "value_type": "int32", "validation_mode": "strict"},
    "age": {"field_type": "numeric", "value_type": "int8"},
    "sex": {
        "field_type": "categorical",
        "categorical": {
            "value_type": "int8",
            "strings_to_values": {"f": 1, "m": 2},
            "out_of_range": "freetext",
        },
    },
    "born": {"field_type": "date", "create_flag_field": True},
    "seen": {"field_type": "datetime", "create_day_field": True},
    "code": {"field_type": "fixed_string", "length": 2},
    "note": {"field_type": "string"},
}
FIRST = """\
id,age,sex,born,seen,code,note
1,30,f,1990-01-02,2020-01-02 03:04:05,a,hello
2,,other,,2020-01-02 03:04:06+01:00,bb,
"""
MORE = """\
note,seen,id,age,sex,born,code
x,2020-02-02 03:04:05.5,2,41,m,1980-01-02,q
"y, z",,3,42,f,,r
"""
NAMES = ["id", "age", "sex", "seen", "code", "note"]


@pytest.fixture
def study(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset of one table that was imported, and a file of more rows."""
    monkeypatch.chdir(tmp_path)
    document = {"exetera": {"version": "1.1.0"}, "schema": {"people": {"fields": FIELDS}}}
    Path("s.json").write_text(json.dumps(document))
    Path("first.csv").write_text(FIRST)
    Path("more.csv").write_text(MORE)
    done = run("import", "-s", "s.json", "-i", "people:first.csv", "-o", "study.zarr", "-q")
    assert (done.exit_code, done.stderr) == (0, "")
    return tmp_path / "study.zarr"


def rows(names: list[str] = NAMES) -> list[list[Any]]:
    with Session() as s:
        table = s.open_dataset("study.zarr", "r", "d")["people"]
        return [list(row.values()) for row in values_of(table, names)]


def test_csv_is_read_as_what_the_fields_hold(run, study: Path) -> None:
    """As by an import with the schema that the table was made by."""
    done = run("append", "study.zarr", "people", "more.csv")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("people: 2 rows appended, ")
    assert f"version 2 of {study}" in done.stdout
    names = [*NAMES, "sex_freetext", "born", "seen_day"]
    run("import", "-s", "s.json", "-i", "people:more.csv", "-o", "other.zarr", "-q")
    with Session() as s:
        other = s.open_dataset("other.zarr", "r", "d")["people"]
        expected = [list(row.values()) for row in values_of(other, names)]
    found = rows(names)
    assert found[2:] == expected
    assert found[1][NAMES.index("age")] is None


def test_a_key_makes_it_an_upsert(run, study: Path) -> None:
    """What was imported first keeps the moment from which it is valid."""
    done = run("append", "study.zarr", "people", "more.csv", "--key", "id")
    assert done.stdout.startswith("people: 1 row appended, 1 changed, 0 unchanged, ")
    assert [row[:2] for row in rows()] == [[1, 30], [2, 41], [3, 42]]
    done = run("append", "study.zarr", "people", "more.csv", "first.csv", "-k", "id", "--json")
    assert (done.json["new"], done.json["changed"], done.json["unchanged"]) == (0, 1, 3)
    assert done.json["version"] == 3
    done = run("append", "study.zarr", "people", "first.csv", "-k", "id", "-k", "note", "--json")
    assert (done.json["new"], done.json["unchanged"], done.json["version"]) == (0, 2, 3)


def test_parquet_and_arrow(run, study: Path) -> None:
    table = pa.table({"id": [7], "age": pa.array([None], pa.int8()), "note": ["p"]})
    parquet.write_table(table, "a.parquet")
    feather.write_feather(table, "b.feather")
    with pa.OSFile("c.arrow", "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    done = run(
        "append", "study.zarr", "people", "?.parquet", "b.feather", "c.arrow", "--missing", "fill"
    )
    assert (done.exit_code, done.stderr) == (0, "")
    assert "3 rows appended" in done.stdout
    assert rows()[2:] == [[7, None, None, None, None, "p"]] * 3


def test_columns_that_one_side_lacks(run, study: Path) -> None:
    Path("new.csv").write_text("id,town\n9,York\n")
    for options, message in (
        ([], "new.csv has the columns 'town', which the table 'people' lacks"),
        (["--new", "add"], "lack 'age', 'sex'"),
    ):
        done = run("append", "study.zarr", "people", "new.csv", *options)
        assert done.exit_code == 1
        assert message in done.stderr
    done = run("append", "study.zarr", "people", "new.csv", "--new", "add", "--missing", "fill")
    assert (done.exit_code, done.stderr) == (0, "")
    assert rows(["id", "age", "town"])[1:] == [[2, None, None], [9, None, "York"]]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("bad.csv", MORE.replace("42", "420"), "row 2 (line 3), column 'age': '420' is out of"),
        ("bad.csv", MORE.replace("1980-01-02", "soon"), "column 'born': 'soon'"),
        ("bad.parquet", "PAR1", "bad.parquet is no Parquet file"),
        ("bad.arrow", "x", "bad.arrow is no Arrow file"),
        ("none.csv", None, "none.csv"),
    ],
)
def test_a_file_that_does_not_fit_leaves_nothing(run, study, file, text, message) -> None:
    """Of the files before it, either."""
    before = rows()
    if text is not None:
        Path(file).write_text(text)
    done = run("append", "study.zarr", "people", "more.csv", file)
    assert done.exit_code == 1
    assert message in done.stderr
    assert rows() == before
    with Session() as s:
        assert s.open_dataset("study.zarr", "r", "d").version == 1


def test_a_table_that_is_not_there(run, study: Path) -> None:
    done = run("append", "study.zarr", "nix", "more.csv")
    assert done.exit_code == 1
    assert "there is no table 'nix'" in done.stderr
    assert run("append", "none.zarr", "people", "more.csv").exit_code == 1
    assert run("append", "study.zarr", "people", "more.csv", "--missing", "skip").exit_code == 2


def test_a_schema_says_more(run, study: Path) -> None:
    """Than the fields do: here that an unreadable number counts as missing."""
    Path("na.csv").write_text(MORE.replace("42", "n/a"))
    assert run("append", "study.zarr", "people", "na.csv").exit_code == 1
    fields = FIELDS | {"age": {**FIELDS["age"], "validation_mode": "relaxed"}}
    document = {"exetera": {"version": "1.1.0"}, "schema": {"people": {"fields": fields}}}
    Path("relaxed.json").write_text(json.dumps(document))
    done = run("append", "study.zarr", "people", "na.csv", "-s", "relaxed.json")
    assert (done.exit_code, done.stderr) == (0, "")
    assert [row[1] for row in rows()] == [30, None, 41, None]
