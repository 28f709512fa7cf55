"""Files to and from the real ExeTera 0.6; run by `tox -e interop`.

ExeTera writes, we read, convert to Zarr and back, and ExeTera reads again: every array of every
field is what it was.
"""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exetera_zarr import Session
from exetera_zarr.conversion.datasets import convert

pytestmark = pytest.mark.interop
HERE = Path(__file__).parent
ROWS = 1_000_000


def categorical(**more: Any) -> dict[str, Any]:
    key = {"": 0, "no": 1, "yes": 2, "not sure": 3}
    about = {"value_type": "int8", "strings_to_values": key, **more}
    return {"field_type": "categorical", "categorical": about}


def number(kind: str, **more: Any) -> dict[str, Any]:
    return {"field_type": "numeric", "value_type": kind, **more}


# Each option of the schema, with cells for it. ExeTera cannot import 64-bit integers.
COLUMNS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "text": ({"field_type": "string"}, ["", "plain", 'with "quotes", commas', "ünï"]),
    "code": ({"field_type": "fixed_string", "length": 4}, ["", "ab", "abcd"]),
    "answer": (categorical(), ["", "no", "yes", "not sure", "no such"]),
    "open_answer": (categorical(out_of_range="freetext"), ["", "no", "yes", "my own words"]),
    "strict": (number("int32", validation_mode="strict"), ["0", "-5", "123456"]),
    "empty": (number("int16", invalid_value=-1), ["", "7", "-300"]),
    "relaxed": (number("float32", validation_mode="relaxed"), ["", "1.5", "about 3", "nan"]),
    "least": (number("uint8", invalid_value="min", flag_field_name="_ok"), ["", "200"]),
    "most": (number("int8", invalid_value="max"), ["", "-100"]),
    "unflagged": (number("float64", create_flag_field=False), ["", "1e300", "-0.0"]),
    "flag": (number("bool", validation_mode="relaxed"), ["yes", "No", "t", "0", "", "?"]),
    "large": (number("uint32"), ["4294967295", "0"]),
    "short": (number("uint16"), ["65535", "0"]),
    "moment": (
        {"field_type": "datetime", "create_day_field": True, "create_flag_field": True},
        ["", "2020-05-06 07:08:09", "1969-12-31 23:59:59", "2021-01-01 00:00:00.123456+01:00"],
    ),
    "plain_moment": ({"field_type": "datetime"}, ["2020-05-06 07:08:09", ""]),
    "day": (
        {"field_type": "date", "create_day_field": True, "optional": True},
        ["", "2020-02-29", "1950-01-01"],
    ),
    "plain_day": ({"field_type": "date"}, ["2020-02-29", ""]),
}


def write_inputs(folder: Path) -> None:
    rng = random.Random(5)
    fields = {name: about for name, (about, _) in COLUMNS.items()}
    schema = {
        "exetera": {"version": "1.1.0"},
        "schema": {"imported": {"primary_keys": [], "foreign_keys": {}, "fields": fields}},
    }
    (folder / "schema.json").write_text(json.dumps(schema), encoding="utf-8")
    with (folder / "in.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        cells = [values for _, values in COLUMNS.values()]
        for _ in range(ROWS):
            writer.writerow([rng.choice(values) for values in cells])


def real(*arguments: object) -> None:
    """Have ExeTera do something."""
    from benchmarks.peers import exetera_python

    environment = {**os.environ, "TZ": "UTC"}
    environment.pop("PYTHONPATH", None)
    command = [exetera_python(), HERE / "real.py", *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


Dump = dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]]


def dumped(path: Path, folder: Path) -> Dump:
    """Every array of every field of a file, as ExeTera reads it."""
    real("dump", path, folder)
    found = {}
    for number, about in enumerate(json.loads((folder / "index.json").read_text("utf-8"))):
        arrays = {
            file.suffixes[-2][1:] if len(file.suffixes) > 1 else "": np.load(file)
            for file in sorted(folder.glob(f"{number}.*.npy"))
        }
        found[about["table"], about["field"]] = (about, arrays)
    return found


def check_ours(url: object, expected: Dump) -> None:
    """What we read is what ExeTera reads."""
    with Session() as s:
        ds = s.open_dataset(url, "r", "ours")
        found = {(table, field) for table in ds for field in ds[table]}
        assert found == set(expected)
        for (table, name), (about, arrays) in expected.items():
            field = ds[table][name]
            assert len(field) == about["rows"], (table, name)
            ours = {role: array.read(0, len(array)) for role, array in field.arrays().items()}
            check_arrays(ours, arrays, (table, name))
            if "keys" in about:
                keys = sorted([code, key.hex()] for code, key in field.keys.items())
                assert keys == about["keys"], (table, name)
        ds.verify()


def check_arrays(ours: dict[str, Any], theirs: dict[str, Any], where: object) -> None:
    assert set(ours) == set(theirs), where
    for role, values in theirs.items():
        assert ours[role].dtype == values.dtype, (where, role)
        assert ours[role].tobytes() == values.tobytes(), (where, role)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `real.hdf5`, which ExeTera has made."""
    folder = tmp_path_factory.mktemp("interop")
    write_inputs(folder)
    real("make", folder / "real.hdf5", folder / "in.csv", folder / "schema.json", ROWS)
    return folder


@pytest.fixture(scope="module")
def expected(folder: Path) -> Dump:
    return dumped(folder / "real.hdf5", folder / "dump")


def test_we_read_what_exetera_writes(folder: Path, expected: Dump) -> None:
    assert len(expected) > 60
    assert max(about["rows"] for about, _ in expected.values()) == ROWS
    check_ours(folder / "real.hdf5", expected)


def test_exetera_reads_what_came_back_from_zarr(folder: Path, expected: Dump) -> None:
    convert(folder / "real.hdf5", folder / "ours.zarr")
    check_ours(folder / "ours.zarr", expected)
    convert(folder / "ours.zarr", folder / "back.hdf5")
    again = dumped(folder / "back.hdf5", folder / "dump_of_back")
    assert set(again) == set(expected)
    for where, (about, arrays) in expected.items():
        assert again[where][0] == about
        check_arrays(again[where][1], arrays, where)


def test_exetera_goes_on_with_our_file_and_we_with_its(folder: Path, expected: Dump) -> None:
    if not (folder / "back.hdf5").exists():
        convert(folder / "real.hdf5", folder / "back.hdf5")
    path = folder / "back.hdf5"
    with Session() as s:
        table = s.open_dataset(path, "r+", "ours").create_dataframe("ours")
        table.create_categorical("large", "int32", {"a": 1, "b": 70_000}).data.write([1, 70_000])
        table.create_indexed_string("later").data.write(["x", ""])
        table.create_fixed_string("b", 3).data.write([b"abc", b"d"])
        table.rename("b", "a/b")
    check_ours_without_names(path, dumped(path, folder / "dump_of_ours"))
    real("change", path)
    check_ours_without_names(path, dumped(path, folder / "dump_of_changed"))
    with Session() as s:
        ds = s.open_dataset(path, "r", "ours")
        assert len(ds["made"]["text"]) == ROWS + 2
        assert ds["made"]["text"].data[ROWS] == "appended"
        assert "n_int8" not in ds["made"]
        assert len(ds["filtered"]["text"]) == 3


def check_ours_without_names(path: Path, found: Dump) -> None:
    """ExeTera sees a name with a slash as it is encoded."""
    check_ours(path, {(t, name.replace("%2F", "/")): rest for (t, name), rest in found.items()})


def test_a_file_in_the_layout_of_04(tmp_path: Path) -> None:
    """What both read of it; ExeTera 0.6 cannot open one with fields that were never flushed."""
    import h5py

    from support import hdf5_files

    hdf5_files.made_by_04(tmp_path / "old.hdf5")
    with h5py.File(tmp_path / "old.hdf5", "r+") as file:
        for name in [name for name in file["assessments"] if name.startswith("never")]:
            del file["assessments"][name]
    found = dumped(tmp_path / "old.hdf5", tmp_path / "dump")
    assert len(found) == 8
    check_ours(tmp_path / "old.hdf5", found)
    convert(tmp_path / "old.hdf5", tmp_path / "new.hdf5")
    check_ours(tmp_path / "new.hdf5", found)
    again = dumped(tmp_path / "new.hdf5", tmp_path / "dump_of_new")
    for where, (_, arrays) in found.items():
        check_arrays(again[where][1], arrays, where)
