"""Probes of ExeTera's API beside the real ExeTera 0.6: values, types, and classes of errors.

What differs on purpose is in a table of docs/exetera.md, "Probed beside ExeTera 0.6".
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.interop
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DOCS = ROOT / "docs" / "exetera.md"
AT_LEAST = 1_500


def intended() -> list[str]:
    """The patterns of probes that differ on purpose, from the table."""
    text = DOCS.read_text(encoding="utf-8").partition("\n## Probed beside ExeTera 0.6\n")[2]
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    assert lines, "docs/exetera.md has no table of what differs on purpose"
    return [line.split("`")[1].replace(r"\|", "|") for line in lines]


def outcomes(python: object, side: str, backend: str) -> dict[str, Any]:
    """What each probe gave, by its name."""
    environment = {**os.environ, "TZ": "UTC", "PYTHONPATH": str(ROOT)}
    if side == "real":
        del environment["PYTHONPATH"]
    command = [str(python), str(HERE / "probes.py"), side, backend]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(line) for line in done.stdout.splitlines())


@pytest.fixture(scope="module")
def real() -> dict[str, Any]:
    from benchmarks.peers import exetera_python

    return outcomes(exetera_python(), "real", "hdf5")


def alike(theirs: Any, ours: Any) -> bool:
    """Whether it is the same value, or an error that catches what caught ExeTera's."""
    if is_error(theirs) and is_error(ours):
        return theirs[1][0] in ours[1]
    return bool(theirs == ours)


def is_error(found: Any) -> bool:
    return isinstance(found, list) and found[:1] == ["error"]


def is_broken(found: Any) -> bool:
    return isinstance(found, list) and found[:1] == ["broken"]


@pytest.mark.parametrize("backend", ["zarr", "hdf5"])
def test_what_exetera_answers_is_what_we_answer(real: dict[str, Any], backend: str) -> None:
    ours = outcomes(sys.executable, "ours", backend)
    assert ours.keys() == real.keys()
    assert len(real) >= AT_LEAST
    assert not [name for name, found in ours.items() if is_broken(found)]
    patterns = intended()
    differing = [name for name, found in real.items() if not alike(found, ours[name])]
    unexpected = [n for n in differing if not any(re.fullmatch(p, n) for p in patterns)]
    assert unexpected == []
    unused = [p for p in patterns if not any(re.fullmatch(p, name) for name in differing)]
    assert unused == []
