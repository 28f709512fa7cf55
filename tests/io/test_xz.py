"""Compressed CSV files of several streams are read to their end, or are an error."""

from __future__ import annotations

import lzma

import pytest

from exetera_zarr import Session
from exetera_zarr.io import import_csv

FIRST, SECOND = b"a\n1\n2\n", b"3\n4\n"


def imported(tmp_path, raw):
    (tmp_path / "a.csv.xz").write_bytes(raw)
    schema = {
        "exetera": {"version": "1.1.0"},
        "schema": {
            "t": {
                "primary_keys": [],
                "fields": {
                    "a": {
                        "field_type": "numeric",
                        "value_type": "int32",
                        "validation_mode": "strict",
                    }
                },
            }
        },
    }
    import json

    (tmp_path / "schema.json").write_text(json.dumps(schema))
    with Session() as s:
        ds = s.open_dataset("memory://xz", "w", "d")
        table = import_csv(ds, "t", tmp_path / "a.csv.xz", tmp_path / "schema.json")
        return table["a"].data[:].tolist()


@pytest.mark.parametrize(
    "raw",
    [
        lzma.compress(FIRST) + lzma.compress(SECOND),
        lzma.compress(FIRST) + b"\0" * 4 + lzma.compress(SECOND),
        lzma.compress(FIRST) + b"\0" * 8 + lzma.compress(SECOND) + b"\0" * 12,
        lzma.compress(b"") + lzma.compress(FIRST + SECOND),
    ],
    ids=["two", "padded", "padded twice", "an empty one first"],
)
def test_all_streams_are_read(tmp_path, raw):
    assert imported(tmp_path, raw) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "raw",
    [
        lzma.compress(FIRST) + lzma.compress(SECOND)[:-9],
        lzma.compress(FIRST) + b"\0" * 4 + lzma.compress(SECOND)[:20] + b"\xff" * 12,
        lzma.compress(FIRST) + b"\0" * 3 + lzma.compress(SECOND),
        lzma.compress(FIRST) + b"more",
        b"plain",
        b"",
    ],
    ids=["cut", "damaged", "odd padding", "garbage", "not xz", "empty"],
)
def test_what_is_damaged_is_an_error(tmp_path, raw):
    with pytest.raises(ValueError, match=r"a\.csv\.xz"):
        imported(tmp_path, raw)
