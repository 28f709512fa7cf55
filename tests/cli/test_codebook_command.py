"""`codebook`, and what `info` and `history --html` show."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from exetera_zarr import Session, load_schema


@pytest.fixture
def labelled(tmp_path: Path) -> str:
    """Two versions of a table, of which the second has another label."""
    place = str(tmp_path / "study.zarr")
    with Session(author="Ada <b>") as session:
        study = session.open_dataset(place, "w", "study")
        people = study.create_dataframe("people")
        people.create_numeric("age", "int8").data.write([34, -9])
        people.label, people["age"].label, people["age"].unit = "People", "Age", "years"
        people["age"].missing_codes = {-9: "refused\x1b[31m"}
        study.create_dataframe("other").create_indexed_string("note").data.write(["x"])
        study.commit(message="first <i>")
        people["age"].label = "How old"
    return place


def test_it_is_printed_and_written(run, labelled: str, tmp_path: Path) -> None:
    done = run("codebook", labelled)
    assert "label: How old" in done.stdout
    assert "missing codes: -9 = refused\\x1b[31m" in done.stdout
    assert "note" in done.stdout
    found = json.loads(run("codebook", f"{labelled}/people", "--json", "--missing").stdout)
    (people,) = found["tables"]
    assert (people["label"], people["fields"][0]["missing"]) == ("People", 1)
    names = [tmp_path / name for name in ("c.csv", "c.html", "c.json")]
    options = zip(("--csv", "--html", "--schema"), map(str, names), strict=True)
    done = run("codebook", labelled, *(part for pair in options for part in pair))
    assert done.stdout.splitlines() == [f"written to {name}" for name in names]
    with names[0].open(encoding="utf-8", newline="") as file:
        assert [row["label"] for row in csv.DictReader(file)] == ["How old", ""]
    assert "refused\\x1b[31m" in names[1].read_text("utf-8")
    schema = load_schema(names[2])
    assert schema["people"]["age"].missing_codes == {-9: "refused\x1b[31m"}


def test_it_is_that_of_an_older_version(run, labelled: str) -> None:
    assert "label: Age" in run("codebook", labelled, "--at", "1").stdout


def test_two_forms_do_not_go_to_one_file(run, labelled: str, tmp_path: Path) -> None:
    file = str(tmp_path / "x")
    done = run("codebook", labelled, "--csv", file, "--html", file)
    assert (done.exit_code, "named twice" in done.stderr) == (2, True)


def test_info_shows_it(run, labelled: str) -> None:
    lines = run("info", labelled).stdout.splitlines()
    assert any(line.startswith("people:") and line.endswith("People") for line in lines)
    assert any("age" in line and line.endswith("How old  [years]") for line in lines)
    found = json.loads(run("info", labelled, "--json").stdout)["tables"]
    assert found["people"]["label"] == "People"
    assert found["people"]["fields"]["age"]["missing_codes"] == [[-9, "refused\x1b[31m"]]
    assert "label" not in found["other"]["fields"]["note"]


def test_the_way_of_a_table_is_a_page(run, labelled: str) -> None:
    page = run("history", f"{labelled}/people", "--html").stdout
    assert page.startswith("<!DOCTYPE html>")
    assert "first &lt;i&gt;" in page
    assert "Ada &lt;b&gt;" in page
    assert "<i>" not in page
    assert page.count("<tr>") == 3  # heads and two versions
