"""`convert`, and the reading commands on an HDF5 file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("h5py")
from support import hdf5_files


@pytest.fixture
def old(tmp_path: Path) -> str:
    hdf5_files.made_by_06(tmp_path / "old.hdf5")
    return str(tmp_path / "old.hdf5")


def test_it_says_what_it_did(run: Any, old: str, tmp_path: Path) -> None:
    new = str(tmp_path / "new.zarr")
    done = run("convert", old, new)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "patients" in done.stdout
    assert "compared with its source" in done.stdout
    done = run("convert", new, str(tmp_path / "back.hdf5"), "--json", "--no-verify")
    found = json.loads(done.stdout)
    assert (found["verified"], list(found["tables"])) == (False, ["patients"])
    done = run("convert", old, new)
    assert done.exit_code == 1
    assert "left alone" in done.stderr


def test_what_is_chosen(run: Any, old: str, tmp_path: Path) -> None:
    new = str(tmp_path / "new.zarr")
    done = run("convert", old, new, "-t", "patients", "-n", "patients:(age,sex)", "-q")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
    found = json.loads(run("info", new, "--json").stdout)
    assert list(found["tables"]["patients"]["fields"]) == ["age", "sex"]
    done = run("convert", old, str(tmp_path / "x.zarr"), "-t", "nobody")
    assert (done.exit_code, "'nobody'" in done.stderr) == (1, True)


def test_an_interrupt(run: Any, old: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from exetera_zarr.conversion import copying

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(copying.Copier, "fields", interrupt)
    done = run("convert", old, str(tmp_path / "new.zarr"))
    assert done.exit_code == 130
    assert "goes on" in done.stderr


def test_the_reading_commands_take_a_file(run: Any, old: str) -> None:
    for arguments in (["info", "--sizes"], ["verify"]):
        done = run(*arguments, old)
        assert (done.exit_code, done.stderr) == (0, ""), arguments
    done = run("head", f"{old}/patients", "-c", "age,note", "-n", "3")
    assert "zwei" in done.stdout, done.stderr
    done = run("history", old)
    assert (done.exit_code, "no versions" in done.stderr) == (1, True)
