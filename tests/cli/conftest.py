"""Running the command in this process, and a study for it to work on."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exetera_zarr import Session

pytest.importorskip("typer")

NUMBER = {"field_type": "numeric", "value_type": "int32", "validation_mode": "strict"}
COLOUR = {
    "field_type": "categorical",
    "categorical": {"value_type": "int8", "strings_to_values": {"": 0, "grün": 1}},
}


@dataclass(frozen=True)
class Done:
    """What a call of the command came to."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Call the command as its entry point does, with a terminal of 80 columns."""
    from exetera_zarr.cli.application import application

    monkeypatch.setenv("COLUMNS", "80")
    # A script that is run becomes the main module, which processes that are spawned import again.
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])

    def call(*arguments: str) -> Done:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as exit_:
            application()(arguments)
        code = exit_.value.code
        return Done(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())

    return call


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a schema of two tables and a CSV file for each; it is the working folder."""
    tables = {
        "patients": {"fields": {"id": NUMBER, "note": {"field_type": "string"}}},
        "tests": {"fields": {"id": NUMBER, "colour": COLOUR}},
    }
    schema = {"exetera": {"version": "1.1.0"}, "schema": tables}
    (tmp_path / "s.json").write_text(json.dumps(schema))
    (tmp_path / "p.csv").write_text("id,note\n1,x\n2,y\n")
    (tmp_path / "t.csv").write_text("id,colour\n7,grün\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def imported(run: Callable[..., Done], study: Path) -> Callable[..., Done]:
    """Import into ``study.zarr`` by the schema of `study`."""
    return lambda *arguments: run("import", "-s", "s.json", "-o", "study.zarr", *arguments)


@pytest.fixture
def values(study: Path) -> Callable[[str, str], list[Any]]:
    """Read what ``study.zarr`` holds."""

    def read(table: str, field: str) -> list[Any]:
        with Session() as session:
            return list(session.open_dataset("study.zarr", "r")[table][field].data[:])

    return read
