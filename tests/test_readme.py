"""What the README shows is run as it stands there."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import exetera_zarr

ROOT = Path(__file__).parent.parent
SCHEMA = Path("examples/flights/schema.json")


def python_blocks() -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


def write_flights(path: Path) -> None:
    """Three flights of two planes, one of them cancelled, in the columns of the schema."""
    schema = json.loads((ROOT / SCHEMA).read_text(encoding="utf-8"))
    names = list(schema["schema"]["flights"]["fields"])
    common = dict.fromkeys(names, "1") | {
        "carrier": "AA",
        "dest": "MIA",
        "origin": "JFK",
        "time_hour": "2013-01-01T10:00:00Z",
    }
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        for plane, delay in (("N2", "7"), ("N1", "NA"), ("N1", "4")):
            writer.writerow(common | {"tailnum": plane, "dep_delay": delay})


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ten lines import, filter, sort, group and keep their answer."""
    (tmp_path / SCHEMA).parent.mkdir(parents=True)
    shutil.copy(ROOT / SCHEMA, tmp_path / SCHEMA)
    write_flights(tmp_path / "flights.csv")
    monkeypatch.chdir(tmp_path)
    exec(compile(python_blocks()[0], "README.md", "exec"), {})
    with exetera_zarr.Session() as session:
        by_plane = session.open_dataset("results.zarr", "r", "results")["by_plane"]
        assert by_plane["tailnum"].data[:].tolist() == [b"N1", b"N2"]
        assert np.array_equal(by_plane["dep_delay_mean"].data[:], [4.0, 7.0])


@pytest.mark.parametrize("block", python_blocks())
def test_every_example_is_python(block: str) -> None:
    compile(block, "README.md", "exec")
