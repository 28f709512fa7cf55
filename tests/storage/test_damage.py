"""Damaged, missing and lying objects are errors that name themselves, never other values."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from exetera_zarr import CorruptDataError, Session, UnsupportedError
from exetera_zarr.errors import DatasetExistsError, DatasetNotFoundError
from support import strangers

VALUES = np.random.default_rng(2).integers(0, 1000, 95).astype("int32")
TEXTS = [f"text {n}" * (n % 3) for n in range(95)]


@pytest.fixture
def study(tmp_path) -> Path:
    path = tmp_path / "study.zarr"
    with Session(row_block=20) as s:
        table = s.open_dataset(str(path), "w", "d").create_dataframe("t")
        table.create_numeric("n", "int32").data.write(VALUES)
        table.create_indexed_string("s").data.write(TEXTS)
    return path


def read_all(path: Path) -> tuple[list, list]:
    with Session() as s:
        table = s.open_dataset(str(path), "r", "d")["t"]
        return table["n"].data[:].tolist(), table["s"].data[:]


def newest_manifest(study: Path) -> Path:
    return min((study / "__exetera__" / "commits").iterdir())


def objects(study: Path) -> list[Path]:
    """Every object of the newest version, and the manifests."""
    return [path for path in study.rglob("*") if path.is_file()]


def verify(path: Path) -> None:
    with Session() as s:
        s.open_dataset(str(path), "r", "d").verify()


def test_a_flipped_bit_is_an_error_or_changes_nothing(study):
    """Of 500 flipped bits in chunks, manifests and documents, none gives a wrong value."""
    good = read_all(study)
    files = objects(study)
    rng = random.Random(4)
    for _ in range(500):
        path = rng.choice(files)
        original = path.read_bytes()
        changed = bytearray(original)
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(changed))
        try:
            try:
                assert read_all(study) == good
            except (CorruptDataError, UnsupportedError) as error:
                assert "study.zarr" in str(error)  # noqa: PT017 - reading may also succeed
            with pytest.raises((CorruptDataError, UnsupportedError)):
                verify(study)
        finally:
            path.write_bytes(original)
    assert read_all(study) == good
    verify(study)


def test_each_object_deleted_once(study):
    """Every read is right or an error, and `verify` notices each of them."""
    good = read_all(study)
    for path in objects(study):
        original = path.read_bytes()
        path.unlink()
        try:
            try:
                assert read_all(study) == good
            except CorruptDataError:
                assert "/c/" in str(path)
            if path == newest_manifest(study) or "commits" not in str(path):
                with pytest.raises((CorruptDataError, DatasetNotFoundError)):
                    verify(study)
        finally:
            path.write_bytes(original)
    verify(study)


def test_a_missing_chunk_is_an_error_that_names_it(study):
    """Zarr would read zeros; we say which object is not there."""
    (study / "t" / "n" / "values" / "c" / "2").unlink()
    with Session() as s:
        table = s.open_dataset(str(study), "r", "d")["t"]
        assert table["n"].data[:40].tolist() == VALUES[:40].tolist()
        with pytest.raises(CorruptDataError, match="t/n/values/c/2: the chunk is missing"):
            table["n"].data[:]


def test_a_truncated_chunk_is_an_error(study):
    path = study / "t" / "n" / "values" / "c" / "1"
    data = path.read_bytes()
    for size in (0, 3, 19, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(CorruptDataError, match="t/n/values/c/1"):
            read_all(study)


def test_a_chunk_of_another_place_is_noticed(study):
    """A whole, valid chunk of another size does not pass for this one."""
    source = study / "t" / "s" / "values" / "c" / "0"
    (study / "t" / "n" / "values" / "c" / "1").write_bytes(source.read_bytes())
    with pytest.raises(CorruptDataError, match="expected 80"):
        read_all(study)


def test_a_lost_root_document_is_revealed_again(study):
    """Readers do without it; the next writer puts it back for other Zarr readers."""
    good = read_all(study)
    root = study / "zarr.json"
    document = root.read_bytes()
    for damage in (b"", b"{}", document[:-3]):
        root.write_bytes(damage)
        assert read_all(study) == good
    root.unlink()
    assert read_all(study) == good
    with Session() as s:
        s.open_dataset(str(study), "r+", "d")
    assert root.read_bytes() == document


def test_a_root_document_that_is_behind_is_not_believed(study):
    """Its version is compared with the newest manifest, which then is read instead."""
    old = (study / "zarr.json").read_bytes()
    with Session() as s:
        s.open_dataset(str(study), "r+", "d")["t"]["n"].data[0] = -7
    (study / "zarr.json").write_bytes(old)
    assert read_all(study)[0] == [-7, *VALUES[1:].tolist()]


def test_an_unknown_format_or_feature_is_refused_by_name(study):
    """A later format is not misread as this one."""
    for change, said in (
        ({"format": 2}, "format 2"),
        ({"requires": ["time crystals"]}, "time crystals"),
    ):
        path = newest_manifest(study)
        original = path.read_bytes()
        document = json.loads(original)
        document["attributes"]["exetera"] |= change
        for target in (path, study / "zarr.json"):
            target.write_text(json.dumps(document))
        with pytest.raises(UnsupportedError, match=said):
            read_all(study)
        for target in (path, study / "zarr.json"):
            target.write_bytes(original)


@pytest.mark.parametrize("key", [5, ["f"], [["f"]], [[None, 0]], [[1, 0]], [["f", "0"]]])
def test_a_key_that_is_none_is_an_error_that_names_the_field(tmp_path, key):
    """Also one that was signed: when the dataset is opened, not when the field is used."""
    place = strangers.make(tmp_path)

    def change(document):
        nodes = document["consolidated_metadata"]["metadata"]
        nodes["t/sex"]["attributes"]["key"] = key

    strangers.forge(place, change)
    with Session() as s, pytest.raises(CorruptDataError, match=r"'t/sex' is not well formed.*key"):
        s.open_dataset(place, "r", "d")


def test_what_is_no_dataset_is_left_alone(tmp_path):
    """A folder or file of something else is neither read nor written over."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "precious.txt").write_text("mine")
    file = tmp_path / "file.zarr"
    file.write_text("mine, too")
    for mode in ("w", "x", "a"):
        with Session() as s:
            with pytest.raises(DatasetExistsError, match="not a dataset"):
                s.open_dataset(str(folder), mode, "d")
            with pytest.raises((DatasetExistsError, DatasetNotFoundError), match=r"file\.zarr"):
                s.open_dataset(str(file), mode, "d")
    for mode in ("r", "r+"):
        with Session() as s, pytest.raises(DatasetNotFoundError):
            s.open_dataset(str(folder), mode, "d")
    assert (folder / "precious.txt").read_text() == "mine"
    assert file.read_text() == "mine, too"


def test_an_empty_folder_can_become_a_dataset(tmp_path):
    with Session() as s:
        s.open_dataset(str(tmp_path), "w", "d").create_dataframe("t")
    with Session() as s:
        assert s.open_dataset(str(tmp_path), "r", "d").keys() == ["t"]
