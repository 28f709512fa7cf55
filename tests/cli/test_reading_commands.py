"""`info`, `head`, `history`, `verify` and `vacuum`: what they say, and what they read for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exetera_zarr import Session
from exetera_zarr.cli.info import size
from exetera_zarr.testing.stores import counting

COLUMNS = 200


@pytest.fixture
def wide(tmp_path: Path) -> str:
    """A dataset of a table with 200 fields of three blocks each."""
    place = str(tmp_path / "wide.zarr")
    with Session(row_block=1 << 16) as session:
        table = session.open_dataset(place, "w").create_dataframe("t")
        rows = np.arange(3 << 16)
        for number in range(COLUMNS):
            table.create_numeric(f"n{number}", "int32").data.write(rows)
    return place


@pytest.fixture
def mixed(tmp_path: Path) -> str:
    """A dataset with a field of each type, and text that is hard to show."""
    place = str(tmp_path / "mixed.zarr")
    with Session() as session:
        dataset = session.open_dataset(place, "w")
        table = dataset.create_dataframe("t")
        table.create_numeric("n", "float32").data.write(np.array([0.1, np.nan, np.inf], "f4"))
        table.create_numeric("b", "bool").data.write([True, False, True])
        table.create_categorical("c", "int8", {"no": 0, "[yes]": 1}).append(
            np.array([1, 0, 7], "int8")  # as a file of somebody else may have a code without a name
        )
        table.create_timestamp("when").data.write([0.0, 1.5, float("nan")])
        table.create_fixed_string("f", 3).data.write([b"a", b"", "ö".encode()])
        table.create_indexed_string("s").data.write(["two\nlines\x1b[31m", "x" * 5000, ""])
        dataset.create_dataframe("empty")
    return place


def test_every_place(run, study: Path, place: Any) -> None:
    """From a URL to a URL, with the options of the store."""
    fs_options = [
        part
        for name, value in place.storage_options.items()
        for part in (
            "--storage-option",
            f"{name}={value if isinstance(value, str) else json.dumps(value)}",
        )
    ]
    url = place.url("study.zarr")
    done = run("import", "-s", "s.json", "-i", "patients:p.csv", "-o", url, "-q", *fs_options)
    assert (done.exit_code, done.stderr) == (0, "")
    assert run("info", url, "--json", *fs_options).json["tables"]["patients"]["rows"] == 2
    found = run("head", f"{url}/patients", "-n", "1", "-c", "id,note", "--json", *fs_options).json
    assert found["head"] == [{"id": 1, "note": "x"}]
    assert "whole" in run("verify", url, *fs_options).stdout


# info


def test_info(run, imported) -> None:
    """As a tree for people, as JSON for programs."""
    assert imported("-i", "patients:p.csv, tests:t.csv").exit_code == 0
    lines = run("info", "study.zarr").stdout.splitlines()
    assert lines[0].endswith("study.zarr  (version 1)")
    assert lines[1] == "patients: 2 rows, 4 fields, 66 B raw"
    assert [line.split() for line in lines[2:4]] == [
        ["id", "numeric,int32", "8", "B"],
        ["note", "indexedstring", "26", "B"],
    ]
    found = run("info", "study.zarr", "--json").json
    assert found["version"] == 1
    assert list(found["tables"]) == ["patients", "tests"]
    assert found["tables"]["tests"]["rows"] == 1
    assert found["tables"]["tests"]["fields"]["colour"] == {
        "type": "categorical,int8",
        "rows": 1,
        "raw_bytes": 1,
        "stored_bytes": None,
        "categories": {"": 0, "grün": 1},
    }
    assert list(run("info", "study.zarr/tests", "--json").json["tables"]) == ["tests"]


def test_info_reads_metadata_only(run, wide: str) -> None:
    """However many fields there are; the stored sizes take a listing, which is asked for."""
    with counting() as stores:
        assert run("info", wide).exit_code == 0
    calls = [call for store in stores for call in store.calls]
    assert len(calls) <= 3
    assert not any(store.chunks("get") for store in stores)
    with counting() as stores:
        stored = run("info", wide, "--sizes", "--json").json["tables"]["t"]["fields"]["n0"]
    assert not any(store.chunks("get") for store in stores)
    assert 0 < stored["stored_bytes"] < stored["raw_bytes"] == 4 * (3 << 16)
    assert " stored" in run("info", wide, "--sizes").stdout.splitlines()[1]


def test_info_of_uneven_and_of_empty_tables(run, tmp_path: Path) -> None:
    """Lengths stand with the fields where they differ; a table without fields is shown too."""
    place = str(tmp_path / "study.zarr")
    with Session() as session:
        ds = session.open_dataset(place, "w", "ds")
        table = ds.create_dataframe("t")
        table.create_numeric("a", "int8").data.write([1, 2])
        table.create_numeric("b", "int8").data.write([1])
        ds.create_dataframe("empty")
    lines = run("info", place).stdout.splitlines()
    assert lines[1] == "t: 2 fields, 3 B raw"
    assert lines[2].split()[:4] == ["a", "numeric,int8", "2", "rows"]
    assert lines[3].split()[:4] == ["b", "numeric,int8", "1", "rows"]
    assert lines[4].startswith("empty: 0 rows, 0 fields")
    assert run("info", place, "--json").json["tables"]["t"]["rows"] is None


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (5 << 30, "5.0 GiB"),
        (1 << 50, "1024.0 TiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


# head


def test_head_of_a_narrow_table(run, imported) -> None:
    """Rows under names and types."""
    assert imported("-i", "patients:p.csv", "-x", "patients:(note)").exit_code == 0
    done = run("head", "study.zarr/patients", "-n", "1", "--columns", "id")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["patients:", "2", "rows,", "1", "field"],
        ["id"],
        ["numeric,int32"],
        ["1"],
    ]


def test_head_of_every_type(run, mixed: str) -> None:
    """Values by their meaning, in JSON that every reader takes."""
    done = run("head", f"{mixed}/t", "--json")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    found = json.loads(done.stdout, parse_constant=refuse)
    assert found["rows"] == 3
    assert found["types"]["c"] == "categorical,int8"
    assert found["head"] == [
        {
            "n": 0.1,
            "b": True,
            "c": "[yes]",
            "when": "1970-01-01 00:00:00",
            "f": "a",
            "s": "two\nlines\x1b[31m",
        },
        {
            "n": None,
            "b": False,
            "c": "no",
            "when": "1970-01-01 00:00:01.500000",
            "f": "",
            "s": "x" * 5000,
        },
        {"n": None, "b": True, "c": 7, "when": None, "f": "ö", "s": ""},
    ]


@pytest.mark.parametrize("rest", [[], ["-c", "age,town,sex,when,age_valid"]])
def test_head_shows_what_is_missing_as_missing(run, tmp_path: Path, rest: list[str]) -> None:
    """Not as the 0 that is stored for it; its companion is shown to those who ask for it."""
    place = str(tmp_path / "missing.zarr")
    with Session() as session:
        table = session.open_dataset(place, "w").create_dataframe("t")
        table.create_numeric("age", "int8").data.write([34, None, 0])
        table.create_indexed_string("town").data.write(["", None, "York"])
        table.create_categorical("sex", "int8", {"f": 0, "m": 1}).data.write([0, None, 1])
        table.create_timestamp("when").data.write([0.0, None, 1.0])
    told = [{"age_valid": True}, {"age_valid": False}, {"age_valid": True}] if rest else [{}] * 3
    expected = [
        {"age": 34, "town": "", "sex": "f", "when": "1970-01-01 00:00:00"},
        {"age": None, "town": None, "sex": None, "when": None},
        {"age": 0, "town": "York", "sex": "m", "when": "1970-01-01 00:00:01"},
    ]
    found = run("head", f"{place}/t", "--json", *rest).json
    assert found["head"] == [row | more for row, more in zip(expected, told, strict=True)]
    lines = run("head", f"{place}/t", "-c", "age,town,sex").stdout.splitlines()
    assert lines[-2].split() == ["-", "-", "-"]
    assert lines[-1].split() == ["0", "York", "m"]


def test_head_shows_hard_text_on_one_line(run, mixed: str) -> None:
    """No control characters, nothing too long, no mark-up taken from the data."""
    shown = run("head", mixed, "-n", "2").stdout
    assert "two\\nlines\\x1b[31m" in shown
    assert "\x1b" not in shown
    assert "[yes]" in shown
    assert "0.1, - " in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert "empty: 0 rows, 0 fields" in shown


def test_head_of_a_wide_table(run, wide: str) -> None:
    """A line for each field; of each field one block is read."""
    with counting() as stores:
        lines = run("head", f"{wide}/t", "-n", "3").stdout.splitlines()
    assert len(lines) == 1 + COLUMNS
    assert lines[1].split(maxsplit=2)[:2] == ["n0", "numeric,int32"]
    assert lines[1].split(maxsplit=2)[2].strip() == "0, 1, 2"
    chunks = [key for store in stores for key in store.chunks("get")]
    assert len(chunks) == COLUMNS
    with counting() as stores:
        assert run("head", f"{wide}/t", "-c", "n7,n3", "-n", "1").exit_code == 0
    assert len([key for store in stores for key in store.chunks("get")]) == 2


def test_head_of_what_is_not_there(run, mixed: str) -> None:
    """The message has the names that are."""
    assert run("head", f"{mixed}/u").stderr.endswith("; there are: 't', 'empty'\n")
    done = run("head", f"{mixed}/t", "-c", "m")
    assert done.exit_code == 1
    assert done.stderr.endswith("there are: 'n', 'b', 'c', 'when', 'f', 's'\n")


def test_a_place_without_a_suffix_may_name_a_table(run, mixed: str, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    Path(mixed).rename(plain)
    assert run("head", f"{plain}/t", "-n", "0", "--json").json["table"] == "t"
    assert len(run("head", str(plain), "--json").json) == 2
    missing = run("head", str(tmp_path / "no" / "t"))
    assert (
        missing.stderr == f"exetera-zarr: error: there is no dataset at {tmp_path / 'no' / 't'}\n"
    )


# versions


def test_history_verify_and_vacuum(run, tmp_path: Path) -> None:
    """Versions are listed, checked and removed; a damaged dataset is exit code 1."""
    place = tmp_path / "versions.zarr"
    with Session() as session:
        dataset = session.open_dataset(str(place), "w", "d")
        for number in range(3):
            dataset.create_dataframe(f"t{number}").create_numeric("n", "int8").data.write([number])
            dataset.commit()
    listed = run("history", str(place))
    assert listed.exit_code == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["3", "2", "1", "0"]
    assert "changed: t2" in listed.stdout
    as_json = run("history", str(place), "--json").json
    assert [commit["changed"] for commit in as_json] == [["t2"], ["t1"], ["t0"], []]
    assert list(run("info", str(place), "--at", "1", "--json").json["tables"]) == ["t0"]
    assert run("verify", str(place)).stdout == "version 3 is whole: 3 tables, 3 fields\n"
    assert run("verify", str(place), "--json").json["whole"] is True
    swept = run("vacuum", str(place), "--keep", "1", "--older-than", "0")
    assert swept.stdout == "kept: 1 version; removed: 0 objects of no version\n"
    assert run("vacuum", str(place), "--json").json["kept_versions"] == 1
    assert "(removed)" in run("history", str(place)).stdout
    next(iter((place / "t0" / "n").glob("values*/c/0"))).unlink()
    damaged = run("verify", str(place))
    assert (damaged.exit_code, damaged.stdout) == (1, "")
    assert "table 't0', field 'n', values, chunk 0" in damaged.stderr
