"""Files that say the types of their columns, by the commands `import` and `append`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exetera_zarr import Session
from support.missing import values_of
from support.questionnaire import ROWS, write_questionnaire

pytest.importorskip("pyreadstat")


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    """The questionnaire, in the working folder."""
    monkeypatch.chdir(tmp_path)
    write_questionnaire()


def _write_schema(*columns):
    fields = {name: {"field_type": "string"} for name in columns}
    schema = {"exetera": {"version": "1.1.0"}, "schema": {"p": {"fields": fields}}}
    Path("s.json").write_text(json.dumps(schema))


def test_by_the_command(run):
    """Several tables of several kinds in one version; a schema is of the CSV files alone."""
    Path("p.csv").write_text("id,note\n1,x\n")
    _write_schema("id", "note")
    inputs = "spss:q.sav,stata:q.dta,p:p.csv,both:q.parquet"
    done = run("import", "-s", "s.json", "-i", inputs, "-n", "both:(age)", "-o", "x.zarr")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].startswith("spss: 4 rows, ")
    done = run("append", "x.zarr", "spss", "q.zsav", "--json")
    assert (done.json["new"], done.json["version"]) == (4, 2)
    done = run("import", "-i", "again:q.dta", "--rename", "again:(age=years)", "-o", "x.zarr")
    assert (done.exit_code, done.stderr) == (0, "")  # no schema is proposed, nor told
    with Session() as s:
        found = s.open_dataset("x.zarr", "r", "d")
        assert found.version == 3
        assert found["p"]["id"].data[:] == ["1"]
        assert list(found["both"]) == ["age", "j_valid_from", "j_valid_to"]
        assert found["again"]["years"].label == "Age at entry"
        assert found["again"]["years"].mean() == 42.5
        assert values_of(found["spss"], ["sex", "age"]) == ROWS * 2


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        ("q:q.sav,q:p.csv", [], "has files of several kinds, such as q.sav and p.csv"),
        ("q:q.sav", ["--sep", ";"], "q.sav is no CSV file, of which alone these say"),
        ("p:q.sav", ["-s", "s.json"], "of which q.sav says the types by itself"),
        ("q:q.sav", ["-n", "q:(nobody)"], "q.sav has no column 'nobody'"),
        ("q:q.sav.gz", [], "decompress it first"),
        ("q:q.sav,bad:bad.dta", [], "bad.dta cannot be read"),
        ("p:p.csv,bad:bad.parquet", [], "bad.parquet is no Parquet file"),
        ("a:q.sav,b:none.sav", [], "none.sav"),
    ],
)
def test_what_does_not_fit_leaves_nothing(run, inputs, options, message):
    for name, text in (("p.csv", "a\n1\n"), ("bad.dta", "x" * 999), ("bad.parquet", "PAR1")):
        Path(name).write_text(text)
    _write_schema("a")
    done = run("import", "-i", inputs, "-o", "x.zarr", *options)
    assert done.exit_code == 1
    assert message in done.stderr
    with Session() as s:
        assert not list(s.open_dataset("x.zarr", "a", "d"))
