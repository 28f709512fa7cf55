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


VERBS = """
import sys
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from exetera_zarr import Session
url, limit, rows, times = sys.argv[1], *map(int, sys.argv[2:])
NAMES = [f"x{number}" for number in range(8)]

def batches(shift):
    for start in range(0, rows, 50_000):
        stop = min(start + 50_000, rows)
        ids = np.arange(start, stop)
        some = {"id": (ids * 7919) % rows}
        some |= {name: ids + float(shift) for name in NAMES}
        texts = pa.array(ids + shift).cast(pa.string())
        some["text"] = pc.utf8_rpad(texts, width=400, padding="x")
        yield pa.record_batch(some)

def reader(shift):
    some = batches(shift)
    first = next(some)
    def all_of_them():
        yield first
        yield from some
    return pa.RecordBatchReader.from_batches(first.schema, all_of_them())

with Session(memory_limit=limit) as session:
    table = session.open_dataset(url, "w", "d").create_dataframe("t")
    assert table.append(reader(0), new="add") == rows
    table.dataset.commit()
    for time in range(times):
        found = table.upsert(reader(time), "id")
        assert (found.new, found.changed + found.unchanged) == (0, rows)
        assert found.changed == (rows if time else 0)
        table.dataset.commit()
    assert table.delete(table["x0"] >= rows) == max(times - 1, 0)
    print(table.length())
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak.split()[1]) * 1024)
"""


@pytest.mark.parametrize(
    ("rows", "times"), [(600_000, 0), pytest.param(1_000_000, 2, marks=pytest.mark.slow)]
)
def test_whole_rows_stay_within_the_limit(rows, times, tmp_path):
    """A stream of several times the limit, appended, and upserted with every row another one."""
    command = [
        sys.executable,
        "-c",
        VERBS,
        str(tmp_path / "x.zarr"),
        str(LIMIT),
        str(rows),
        str(times),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert ended.returncode == 0, ended.stderr
    found, peak = map(int, ended.stdout.split())
    assert found == rows - max(times - 1, 0)
    # A writer's blocks and its cache have half of the limit beside what the verbs have.
    assert peak <= (2.0 if times else 1.4) * LIMIT
