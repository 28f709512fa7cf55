"""The command `append` with files of strangers: each is an error, soon, and changes nothing."""

from __future__ import annotations

import os
import sys

import pytest
from typer.testing import CliRunner

from exetera_zarr import Session
from exetera_zarr.cli.application import application
from support.strangers import nothing_else_changes, soon

pyarrow = pytest.importorskip("pyarrow")


def parquet():
    import pyarrow.parquet as pq

    sink = pyarrow.BufferOutputStream()
    pq.write_table(pyarrow.table({"a": [1, 2, 3]}), sink)
    return sink.getvalue().to_pybytes()


FILES = {
    "nothing": b"",
    "zeros": bytes(1000),
    "text": b"no,such\ncolumns,here\n",
    "NUL": b"a\n\0\n",
    "half a file": parquet()[:-9],
    "a footer beyond": parquet()[:-8] + b"\xff\xff\xff\x7fPAR1",
    "a footer of nothing": b"PAR1\0\0\0\0PAR1",
    "Arrow's mark": b"ARROW1\0\0" + bytes(100) + b"\xff\xff\xff\x7fARROW1",
    "a long line": b"x" * (100 << 20),
}
SUFFIXES = [".csv", ".csv.gz", ".parquet", ".arrow", ".feather"]
SPECIAL = ["folder", "device", "link to itself"]


@pytest.fixture
def place(tmp_path):
    place = tmp_path / "study.zarr"
    with Session() as session:
        frame = session.open_dataset(str(place), "w", "d").create_dataframe("t")
        frame.create_numeric("a", "int32").data.write([1, 2, 3])
    return place


def is_refused(place, *arguments):
    with nothing_else_changes(place.parent, place), soon():
        ended = CliRunner().invoke(application(), ["append", str(place), "t", *arguments])
    assert isinstance(ended.exception, SystemExit), repr(ended.exception)
    assert ended.exit_code != 0, ended.output
    assert "MemoryError" not in ended.output
    with Session() as session:
        found = session.open_dataset(str(place), "r", "d")["t"]["a"].data[:]
    assert found.tolist() == [1, 2, 3]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
def test_a_file_that_is_none(place, data, suffix):
    path = place.parent / f"x{suffix}"
    path.write_bytes(data)
    is_refused(place, str(path))


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such files")
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_file(place, kind, suffix):
    path = place.parent / f"x{suffix}"
    if kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "device" else path)
    is_refused(place, str(path))


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such files")
@pytest.mark.parametrize("schema", ["/dev/zero", os.sep, "/dev/null"])
def test_a_schema_that_is_none(place, schema):
    (place.parent / "x.csv").write_bytes(b"a\n4\n")
    is_refused(place, str(place.parent / "x.csv"), "--schema", schema)
