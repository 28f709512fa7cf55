"""`exetera-zarr schema`: from CSV files to a schema file that `import` takes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two CSV files in the working folder."""
    (tmp_path / "p.csv").write_text("id,lead\n1,007\n2,08\n")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"id,day\n7,2020-01-01\n"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_schema_then_import(run, files: Path) -> None:
    """What is proposed is imported as it stands."""
    done = run("schema", "patients:p.csv", "t.csv.gz", "-o", "s.json", "--all")
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "patients: 2 columns (1 numeric, 1 string), 2 rows read",
        "t: 2 columns (1 numeric, 1 date), 1 row read",
        "written to s.json; 'import -s s.json' takes it",
    ]
    assert done.stderr == (
        "exetera-zarr: note: patients.lead: '007' would lose characters as a number, so it is "
        "text\n"
    )
    inputs = "patients:p.csv,t:t.csv.gz"
    assert run("import", "-s", "s.json", "-i", inputs, "-o", "x.zarr").exit_code == 0


def test_schema_on_stdout(run, files: Path) -> None:
    """Nothing but the schema, so that it can be redirected; the notes are in it as well."""
    done = run("schema", "p.csv", "p:p.csv", "--all", "--quiet")
    assert done.exit_code == 1
    assert "p.csv is given more than once" in done.stderr
    done = run("schema", "p.csv", "--all", "--quiet")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "007" in json.loads(done.stdout)["schema"]["p"]["fields"]["lead"]["note"]


def test_what_was_written_as_json(run, files: Path) -> None:
    found = run("schema", "p.csv", "-o", "s.json", "--json").json
    assert found["schema"] == "s.json"
    assert found["tables"] == {"p": {"rows": 2, "columns": 2}}
    assert found["notes"][0]["column"] == "lead"


def test_a_schema_that_was_edited_is_not_replaced(run, files: Path) -> None:
    """Unless that is asked for."""
    (files / "s.json").write_text("mine")
    done = run("schema", "p.csv", "-o", "s.json")
    assert (done.exit_code, (files / "s.json").read_text()) == (2, "mine")
    assert done.stderr == (
        "exetera-zarr: error: -o/--output: s.json exists already; --force replaces it\n"
    )
    assert run("schema", "p.csv", "-o", "s.json", "--force").exit_code == 0
    assert run("schema", "p.csv", "-o", "s3://bucket/s.json").exit_code == 2


def test_files_of_one_name_must_be_told_apart(run, files: Path) -> None:
    (files / "more").mkdir()
    (files / "more" / "p.csv").write_text("id,lead\n3,1\n")
    done = run("schema", "p.csv", "more/p.csv")
    assert done.exit_code == 2
    assert "p.csv and more/p.csv would both be the table 'p'" in done.stderr
    done = run("schema", "p:p.csv", "p:more/p.csv", "--all", "-q")
    assert done.json["schema"]["p"]["fields"]["id"]["value_type"] == "int8"


def test_a_file_that_cannot_be_read(run, files: Path) -> None:
    assert run("schema", "no.csv").stderr == (
        "exetera-zarr: error: no.csv: No such file or directory\n"
    )
    assert run("schema", "memory://nowhere/no.csv").stderr == (
        "exetera-zarr: error: there is no memory://nowhere/no.csv\n"
    )
    (files / "u.csv").write_bytes("a,b\n1,2\n".encode("utf-16"))
    done = run("schema", "u.csv", "--encoding", "utf-8")
    assert done.exit_code == 1
    assert "u.csv is UTF-16, not CSV text in UTF-8" in done.stderr
    done = run("schema", "u.csv")
    assert done.exit_code == 0
    assert done.json["schema"]["u"]["csv"] == {"encoding": "utf-16"}


def test_an_export_of_redcap(run, files: Path) -> None:
    """By its data dictionary; a code and its meaning are said for the whole project."""
    (files / "d.csv").write_text(
        "Variable / Field Name,Form Name,Field Type,Field Label,"
        '"Choices, Calculations, OR Slider Labels",Text Validation Type OR Show Slider Number\n'
        'record_id,f,text,ID,,\nsex,f,radio,Sex,"1, f | 2, m",\nage,f,text,Age,,integer\n'
    )
    (files / "e.csv").write_text("record_id,sex,age\n1,2,-9\n2,,30\n")
    options = ["--redcap", "d.csv", "--missing-code", "-9=refused"]
    done = run("schema", "people:e.csv", "-o", "s.json", *options)
    assert (done.exit_code, done.stderr.count("note")) == (0, 0)
    assert run("import", "-s", "s.json", "-i", "people:e.csv", "-o", "x.zarr").exit_code == 0
    rows = run("head", "x.zarr/people", "--json").json["head"]
    assert [row["sex"] for row in rows] == ["m", None]
    assert "refused" in run("codebook", "x.zarr").stdout
    assert run("schema", "e.csv", "--missing-code", "-9=x").exit_code == 1
    assert run("schema", "e.csv", "--redcap", "d.csv", "--missing-code", "-9").exit_code == 2
