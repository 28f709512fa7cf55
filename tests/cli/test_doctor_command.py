"""The command that says why something does not work."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import pytest

from exetera_zarr.cli import doctor
from exetera_zarr.storage.stores.local import LocalStore

SECRET = "canary-71f0c2"


@pytest.mark.zarr
def test_a_place_that_works(run: Any, place: Any) -> None:
    """All is tried there, nothing is left, and no credential is shown."""
    options = [f"{name}={value}" for name, value in place.storage_options.items()]
    given = [word for option in options for word in ("--storage-option", option)]
    if place.backend == "local":
        Path(place.url("below")).mkdir()
    done = run("doctor", place.url("below"), "--json", *given)
    found = done.json["place"]
    assert done.exit_code == 0, found
    assert (found["equal"], found["heeds_conditions"]) == (True, True)
    assert found["bytes"] == 8 << 20
    assert "remains" not in found
    if place.backend == "local":
        assert list(Path(place.url("below")).iterdir()) == []


def test_what_is_missing_and_what_is_there(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    version = importlib.metadata.version

    def without(name: str) -> str:
        if name == "gcsfs":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", without)
    done = run("doctor")
    assert done.exit_code == 0
    assert "no: pip install 'exetera-zarr[gcs]'" in done.stdout
    assert "AWS_SECRET_ACCESS_KEY" in done.stdout
    assert SECRET not in done.stdout
    assert f"numpy {version('numpy')}" in done.stdout


def test_a_folder_that_does_not_exist_is_not_made(run: Any, tmp_path: Path) -> None:
    done = run("doctor", str(tmp_path / "mistyped" / "x"))
    assert done.exit_code == 1
    assert f"there is no folder {tmp_path / 'mistyped' / 'x'}" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{SECRET}@127.0.0.1:1/x?signature={SECRET}",
        f"ftp://user:{SECRET}@127.0.0.1:1/x",
        f"s3://key:{SECRET}@bucket/x",
        f"nothing://user:{SECRET}@host/x",
    ],
)
@pytest.mark.parametrize("how", [[], ["--json"]])
def test_a_login_in_a_url_is_not_shown(run: Any, url: str, how: list[str]) -> None:
    done = run("doctor", url, *how)
    assert done.exit_code == 1
    assert SECRET not in done.stdout + done.stderr


def test_a_step_that_fails_is_named_and_nothing_stays(
    run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fails(*_: Any) -> None:
        raise OSError("the disk is on fire")

    monkeypatch.setattr(doctor, "_written", fails)
    done = run("doctor", str(tmp_path))
    assert done.exit_code == 1
    assert "could not write and commit: the disk is on fire" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_removed_is_told(
    run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fails(*_: Any) -> None:
        raise PermissionError("nobody removes anything here")

    monkeypatch.setattr(LocalStore, "delete", fails)
    done = run("doctor", str(tmp_path))
    assert "could not remove all of it: nobody removes" in done.stdout
