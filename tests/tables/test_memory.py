"""The most memory that an operation takes, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from exetera_zarr import Session

LIMIT = 256 * 10**6
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the system says it nowhere else")

OPERATION = """
import sys
from exetera_zarr import Session, merge
operation, source, target, limit = sys.argv[1:]
with Session(memory_limit=int(limit)) as session:
    old = session.open_dataset(source, "r", "old")["a"]
    made = session.open_dataset(target, "w", "new").create_dataframe("made")
    if operation == "sort":
        old.sort_values("text", made)
    elif operation == "group":
        old.groupby("text").max("number", made)
    elif operation == "distinct":
        old.drop_duplicates("text", made)
    else:
        merge(old, session.get_dataset("old")["b"], made, "text", "text", how="inner")
    print(len(made["number_max" if operation == "group" else next(iter(made))]))
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak.split()[1]) * 1024)
"""


def texts_of(numbers, size):
    return [f"{number:09d}".ljust(size, "x") for number in numbers]


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    """Two tables of so many texts of so many bytes, made when they are first asked for."""
    made = {}

    def of(rows, size):
        if (rows, size) in made:
            return made[rows, size]
        url = str(tmp_path_factory.mktemp("texts") / "old.zarr")
        rng = np.random.default_rng(rows)
        numbers = rng.integers(0, rows, rows)
        with Session(memory_limit=LIMIT) as session:
            dataset = session.open_dataset(url, "w", "old")
            for table in ("a", "b"):
                frame = dataset.create_dataframe(table)
                text = frame.create_indexed_string("text")
                frame.create_numeric("number", "int64").data.write(numbers)
                for start in range(0, rows, 5000):
                    text.data.write_part(texts_of(numbers[start : start + 5000].tolist(), size))
                text.data.complete()
        made[rows, size] = url, numbers
        return made[rows, size]

    return of


def check(operation, rows, size, limit, datasets, folder):
    url, numbers = datasets(rows, size)
    counts = np.unique(numbers, return_counts=True)[1]
    expected = {"sort": rows, "merge": int((counts**2).sum())}.get(operation, len(counts))
    target = str(folder / "new.zarr")
    command = [sys.executable, "-c", OPERATION, operation, url, target, str(limit)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert ended.returncode == 0, ended.stderr
    found, peak = map(int, ended.stdout.split())
    assert found == expected
    assert peak <= 1.4 * limit


@pytest.mark.parametrize("operation", ["sort", "group"])
def test_long_texts_stay_within_the_limit(operation, datasets, tmp_path):
    check(operation, 150_000, 1000, LIMIT, datasets, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("limit", [LIMIT, 10**9])
@pytest.mark.parametrize(("rows", "size"), [(400_000, 1000), (100_000, 10_000)])
@pytest.mark.parametrize("operation", ["sort", "group", "distinct", "merge"])
def test_many_long_texts_stay_within_the_limit(operation, rows, size, limit, datasets, tmp_path):
    check(operation, rows, size, limit, datasets, tmp_path)
