"""Zones of strangers: whatever is in their place, comparisons give the rows that there are."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest
from google_crc32c import value as crc32c

from exetera_zarr import ExeteraError, Session
from support.strangers import below, forge, nothing_else_changes, soon

ROWS, BLOCK = 40, 4
CHUNKS = ROWS // BLOCK
LEAST = np.arange(0, ROWS, BLOCK)
GREATEST = LEAST + BLOCK - 1
ARRAY = "t/number/values"


def signed(body):
    return body + crc32c(body).to_bytes(4, "little")


def zones(least, greatest, known, dtype="<i8"):
    parts = np.array(least, dtype), np.array(greatest, dtype), np.array(known, "u1")
    return signed(b"".join(part.tobytes() for part in parts))


KNOWN = [1] * CHUNKS
OBJECTS = {
    "nothing": b"",
    "only a checksum": signed(b""),
    "of other numbers": zones(LEAST, GREATEST, KNOWN, "<i4"),
    "of floats": zones(LEAST, GREATEST, KNOWN, "<f8")[:-40],
    "too few": zones(LEAST[:3], GREATEST[:3], KNOWN[:3]),
    "too many": zones([*LEAST, 99], [*GREATEST, 99], [*KNOWN, 1]),
    "the wrong way round": zones(GREATEST, LEAST, KNOWN),
    "extremes the wrong way round": zones([2**63 - 1] * CHUNKS, [-(2**63)] * CHUNKS, KNOWN),
    "not known": zones(LEAST, GREATEST, [0] * CHUNKS),
    "known otherwise": zones(LEAST, GREATEST, [255] * CHUNKS),
    "a wrong checksum": zones(LEAST, GREATEST, KNOWN)[:-1] + b"x",
    "a document": b'{"zarr_format":3}',
    "huge": bytes(64 << 20),
}


@pytest.fixture
def theirs(tmp_path):
    folder = tmp_path / "folder"
    place = folder / "theirs.zarr"
    with Session(row_block=BLOCK) as session:
        frame = session.open_dataset(str(place), "w", "d").create_dataframe("t")
        frame.create_numeric("number", "int64").data.write(np.arange(ROWS))
    assert (place / ARRAY / "zones").is_file()
    (folder / "else").write_bytes(zones(LEAST + 1000, GREATEST + 1000, KNOWN))
    with nothing_else_changes(folder, place):
        yield place


def rows_of(place):
    """Rows of 13 and more, or an error of ours."""
    with soon(), Session() as session:
        try:
            field = session.open_dataset(str(place), "r", "d")["t"]["number"]
            return (field >= 13).data[:].tolist()
        except ExeteraError as error:
            return error


RIGHT = [number >= 13 for number in range(ROWS)]


def replace(place, data):
    (place / ARRAY / "zones").unlink()
    (place / ARRAY / "zones").write_bytes(data)


@pytest.mark.parametrize("data", OBJECTS.values(), ids=OBJECTS)
def test_an_object_that_is_none(theirs, data):
    replace(theirs, data)
    assert rows_of(theirs) == RIGHT


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bounds_that_are_no_numbers(tmp_path, dtype):
    place = tmp_path / "x.zarr"
    with Session(row_block=BLOCK) as session:
        frame = session.open_dataset(str(place), "w", "d").create_dataframe("t")
        frame.create_numeric("number", dtype).data.write(np.arange(ROWS))
    nan = np.full(CHUNKS, np.nan)
    for pair in ((nan, nan), (nan, GREATEST), (LEAST, nan)):
        replace(place, zones(*pair, KNOWN, np.dtype(dtype)))
        assert rows_of(place) == RIGHT


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such files")
@pytest.mark.parametrize("kind", ["gone", "folder", "pipe", "device", "link", "holes"])
def test_what_is_no_object(theirs, kind):
    path = theirs / ARRAY / "zones"
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "link":
        path.symlink_to(theirs.parent / "else")
    elif kind == "holes":
        with path.open("wb") as file:
            file.truncate(1 << 40)
    found = rows_of(theirs)
    assert found == RIGHT or isinstance(found, ExeteraError)


@pytest.mark.parametrize("value", [None, True, 0, 2, 1.0, "1", [1], {"x": 1}, 2**80], ids=repr)
def test_an_attribute_that_is_none_of_ours(theirs, value):
    forge(theirs, lambda document: below(document, ARRAY)["attributes"].update({"zones": value}))
    assert rows_of(theirs) == RIGHT


def test_an_array_without_attributes(theirs):
    forge(theirs, lambda document: below(document, ARRAY).pop("attributes"))
    found = rows_of(theirs)
    assert found == RIGHT or isinstance(found, ExeteraError)
