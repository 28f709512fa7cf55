"""Writers that are killed; `kills.py` does it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import exetera_zarr


@pytest.mark.parametrize(
    ("kills", "between"), [(10, 2), pytest.param(200, 30, marks=pytest.mark.slow)]
)
def test_a_killed_writer_leaves_the_version_before_or_after(tmp_path, kills, between):
    """Whatever the phase: every value is right, other readers too, and the next commit works."""
    script = Path(__file__).with_name("kills.py")
    environment = {**os.environ, "PYTHONPATH": str(Path(exetera_zarr.__file__).parents[1])}
    command = [sys.executable, str(script), "--kills", str(kills), "--folder", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    print(done.stdout)  # noqa: T201
    assert done.returncode == 0, done.stdout + done.stderr
    said = next(line for line in done.stdout.splitlines() if " kills, " in line).split()
    assert int(said[0]) == kills
    assert int(said[2]) >= between
