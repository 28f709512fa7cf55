"""The command `append` with files of strangers: each is an error, soon, and changes nothing."""

from __future__ import annotations

import os
import sys

import pytest
from typer.testing import CliRunner

from exetera_zarr import DataError, Session
from exetera_zarr.cli.application import application
from support.strangers import nothing_else_changes, soon

pyarrow = pytest.importorskip("pyarrow")


def parquet():
    import pyarrow.parquet as pq

    sink = pyarrow.BufferOutputStream()
    pq.write_table(pyarrow.table({"a": [1, 2, 3]}), sink)
    return sink.getvalue().to_pybytes()


ZSTD = b"\x28\xb5\x2f\xfd"
"""How what is packed by it begins."""


def packed():
    sink = pyarrow.BufferOutputStream()
    rows = pyarrow.table({"a": [0] * 10_000})
    options = pyarrow.ipc.IpcWriteOptions(compression="zstd")
    with pyarrow.ipc.new_file(sink, rows.schema, options=options) as writer:
        writer.write_table(rows)
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
TYPED = [".parquet", ".arrow", ".feather"]
SUFFIXES = [".csv", ".csv.gz", *TYPED]
BROKEN = {
    # A footer that is no Thrift, one that is no FlatBuffer, and packed values that are none.
    ".parquet": b"PAR1" + b"\xff" * 100 + (100).to_bytes(4, "little") + b"PAR1",
    ".arrow": b"ARROW1\0\0" + b"\xff" * 100 + (100).to_bytes(4, "little") + b"ARROW1",
    ".feather": packed().replace(ZSTD, bytes(4), 1),
}
SPECIAL = ["folder", "device", "link to itself"]
MOST = (1 << 31) - 1
ENDS = {
    ".parquet": (b"PAR1", MOST.to_bytes(4, "little") + b"PAR1"),
    ".arrow": (b"ARROW1\0\0", MOST.to_bytes(4, "little") + b"ARROW1"),
    ".feather": (b"\xff\xff\xff\xff" + MOST.to_bytes(4, "little"), b""),
    ".ipc": (MOST.to_bytes(4, "little"), b""),
}


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
@pytest.mark.parametrize("suffix", [*TYPED, ".sav", ".dta", ".sas7bdat", ".xpt"])
def test_a_pipe_that_would_have_to_be_read_here_and_there(place, suffix):
    """Nobody waits for one who writes to it."""
    path = place.parent / f"x{suffix}"
    os.mkfifo(path)
    is_refused(place, str(path))


@pytest.mark.skipif(sys.platform == "win32", reason="holes take room there")
@pytest.mark.parametrize("suffix", ENDS)
def test_more_metadata_than_any_file_has(place, suffix):
    """What is claimed is there, as holes; Arrow would read all of it."""
    start, end = ENDS[suffix]
    path = place.parent / f"x{suffix}"
    with path.open("wb") as file:
        file.write(start)
        file.truncate(1 << 33)
        file.seek(0, os.SEEK_END)
        file.write(end)
    is_refused(place, str(path))
    with Session() as session:
        dataset = session.open_dataset(str(place), "r+", "d")
        with pytest.raises(DataError, match="bytes of metadata"):
            dataset.from_parquet("u", str(path))


@pytest.mark.parametrize("suffix", TYPED)
def test_what_arrow_calls_an_error_of_the_system(place, suffix):
    """Of which most are none."""
    path = place.parent / f"x{suffix}"
    path.write_bytes(BROKEN[suffix])
    with Session() as session:
        dataset = session.open_dataset(str(place), "r+", "d")
        with pytest.raises(DataError, match=f"x{suffix}|given cannot be read"):
            dataset.from_parquet("u", str(path))


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such files")
@pytest.mark.parametrize("schema", ["/dev/zero", os.sep, "/dev/null"])
def test_a_schema_that_is_none(place, schema):
    (place.parent / "x.csv").write_bytes(b"a\n4\n")
    is_refused(place, str(place.parent / "x.csv"), "--schema", schema)
