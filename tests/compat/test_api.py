"""Every public name of ExeTera is there, with its parameters in order."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).parent / "check_api.py"


def test_no_public_name_is_missing():
    """In a process of its own, as the script that anybody can run."""
    done = subprocess.run(
        [sys.executable, str(CHECK)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stderr == ""
    assert done.stdout == ""
    assert done.returncode == 0


def test_the_check_finds_what_is_missing(monkeypatch):
    """A name that is not there, and parameters in another order, are told."""
    spec = importlib.util.spec_from_file_location("check_api", CHECK)
    check = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(check)
    check.exetera_zarr.compat.install()
    try:
        names = "Session.get(field) Session.nope Session.get_dataset(other) Session.close"
        monkeypatch.setattr(check, "NAMES", {"exetera.core.session": names, "exetera.nope": "x"})
        found = list(check.missing())
    finally:
        check.exetera_zarr.compat.uninstall()
    assert [line.split(":")[0] for line in found] == [
        "exetera.core.session.Session.nope",
        "exetera.core.session.Session.get_dataset",
        "exetera.nope.x",
    ]
    with pytest.raises(ImportError):
        importlib.import_module("exetera.core.session")
