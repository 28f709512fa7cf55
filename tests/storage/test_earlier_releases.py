"""Datasets that earlier releases have written open for ever, and go on."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from exetera_zarr import Session
from support import earlier

KEPT = sorted((Path(__file__).parent / "earlier").glob("*.zip"))


@pytest.fixture(params=KEPT, ids=lambda path: path.stem)
def kept(request, tmp_path):
    """A dataset of an earlier release, and what each of its versions had when it was written."""
    with zipfile.ZipFile(request.param) as archive:
        archive.extractall(tmp_path)
    expected = json.loads((tmp_path / "expected.json").read_text(encoding="utf-8"))
    return tmp_path / "study.zarr", {int(version): rows for version, rows in expected.items()}


def test_each_version_is_as_it_was(kept):
    place, expected = kept
    assert len(expected) == 6
    for version, rows in expected.items():
        with Session() as session:
            dataset = session.open_dataset(place, "r", "d", version=version)
            assert earlier.rows_of(dataset) == rows
    with Session() as session:
        session.open_dataset(place, "r", "d").verify()


def test_they_are_written_on(kept):
    place, expected = kept
    newest = expected[max(expected)]
    with Session() as session:
        dataset = session.open_dataset(place, "r+", "d")
        table = dataset["people of 2020/ü"]
        table["age"].data[0] = 7
        table.apply_filter(table["age"] == 7)
        dataset["copy"]["note"].data.write(["one more"])
        for name, field in dataset["copy"].items():
            if name not in ("note", *dataset["copy"].companions().values()):
                field.data.write(field.data[:1])
        dataset.commit()
        dataset.compact()
        dataset.vacuum(older_than=0)
        dataset.verify()
        assert table["age"].data[:].tolist() == [7]
        before = newest["copy"]["note"]
        assert earlier.rows_of(dataset)["copy"]["note"] == [*before, "one more"]


def test_what_is_written_now_is_like_what_is_kept(kept, tmp_path):
    """The script still makes these tables, so that a release can be kept like those before."""
    _, expected = kept
    again = tmp_path / "again"
    again.mkdir()
    earlier.make(again)
    made = json.loads((again / "expected.json").read_text(encoding="utf-8"))
    assert {int(version): rows for version, rows in made.items()} == expected
