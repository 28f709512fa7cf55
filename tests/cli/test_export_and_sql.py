"""`export` and `sql`, and what `convert` refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from exetera_zarr import Session


@pytest.fixture
def people(tmp_path: Path) -> str:
    place = str(tmp_path / "study.zarr")
    with Session() as session:
        dataset = session.open_dataset(place, "w")
        table = dataset.from_dict("people", {"age": [34, None, 51], "town": ["York", "", None]})
        table.create_categorical("sex", "int8", {"f": 1, "m": 2}).data.write(["m", None, "f"])
    return place


def test_a_file_is_of_the_kind_that_its_name_says(run: Any, people: str, tmp_path: Path) -> None:
    rows = [
        {"age": 34, "sex": "m"},
        {"age": None, "sex": None},
        {"age": 51, "sex": "f"},
    ]
    read = {"x.parquet": parquet.read_table, "x.feather": feather.read_table}
    for name, reader in read.items():
        done = run("export", f"{people}/people", str(tmp_path / name), "-c", "age,sex")
        assert (done.exit_code, done.stderr) == (0, "")
        assert "3 rows" in done.stdout
        assert reader(tmp_path / name).to_pylist() == rows
    done = run("export", f"{people}/people", str(tmp_path / "x.csv"), "--json")
    assert json.loads(done.stdout)["rows"] == 3
    assert (tmp_path / "x.csv").read_text().startswith("age,town,sex\n34,York,m\n")
    done = run("export", f"{people}/people", str(tmp_path / "y.parquet"), "--raw")
    assert parquet.read_table(tmp_path / "y.parquet")["sex"].to_pylist() == [2, 0, 1]


def test_files_of_statistics_packages(run: Any, people: str, tmp_path: Path) -> None:
    pyreadstat = pytest.importorskip("pyreadstat")
    for name, read in (("x.sav", pyreadstat.read_sav), ("x.dta", pyreadstat.read_dta)):
        done = run("export", f"{people}/people", str(tmp_path / name), "-c", "age,sex")
        assert (done.exit_code, done.stderr) == (0, "")
        assert "3 rows" in done.stdout
        found = read(tmp_path / name, apply_value_formats=True)[0]
        assert found["sex"].astype(object).where(found["sex"].notna(), None).tolist() == [
            "m",
            None,
            "f",
        ]
        done = run("export", f"{people}/people", str(tmp_path / name), "--raw")
        assert done.exit_code == 1
        assert "leave --raw out" in done.stderr


def test_what_export_cannot_do(run: Any, people: str, tmp_path: Path) -> None:
    for place, name, message in (
        (f"{people}/people", "x.xlsx", ".parquet"),
        (people, "x.parquet", "name one of its tables"),
        (f"{people}/nobody", "x.parquet", "nobody"),
    ):
        done = run("export", place, str(tmp_path / name))
        assert done.exit_code == 1
        assert message in done.stderr
        assert not (tmp_path / name).exists()


def test_questions(run: Any, people: str) -> None:
    query = "SELECT sex, sum(age) AS s, max(town) AS t FROM people GROUP BY sex ORDER BY sex"
    done = run("sql", people, query, "--json")
    assert json.loads(done.stdout) == [
        {"sex": "f", "s": 51, "t": None},
        {"sex": "m", "s": 34, "t": "York"},
        {"sex": None, "s": None, "t": ""},
    ]
    done = run("sql", people, query, "-n", "1")
    assert (done.exit_code, "York" in done.stdout) == (0, False)
    done = run("sql", people, "DROP TABLE people")
    assert done.exit_code == 1
    assert "SELECT" in done.stderr


@pytest.mark.parametrize("name", ["b.parquet", "b.csv", "b.feather", "b.XLSX"])
def test_convert_refuses_what_it_does_not_write(
    run: Any, people: str, tmp_path: Path, name: str
) -> None:
    done = run("convert", people, str(tmp_path / name))
    assert done.exit_code == 1
    assert "exetera-zarr export" in done.stderr
    assert not (tmp_path / name).exists()


def test_what_is_exported_comes_back(run: Any, people: str, tmp_path: Path) -> None:
    run("export", f"{people}/people", str(tmp_path / "x.arrow"))
    with Session() as session:
        dataset = session.open_dataset(people, "r+")
        again = dataset.from_parquet("again", tmp_path / "x.arrow")
        assert pa.table(again).equals(pa.table(dataset["people"]))
