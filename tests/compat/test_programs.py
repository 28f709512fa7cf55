"""Programs as users of ExeTera write them: the same tables here as ExeTera 0.6 made of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exetera_zarr.compat import finder
from exetera_zarr.compat.running import run_script
from exetera_zarr.tables.redirects import Redirect, redirected

PROGRAMS = Path(__file__).parent / "programs"
NAMES = ("cleaning", "daily", "longitudinal")
DOCUMENTED = sorted(path.stem for path in (PROGRAMS / "documented").glob("*.py"))

# What ExeTera leaves behind in a merge of ordered keys (Q10): row numbers, which are no result.
HELPERS = {"_left_map", "_right_map"}


def stored(name: str) -> Any:
    return json.loads((PROGRAMS / "results" / f"{name}.json").read_text(encoding="utf-8"))


def load(module: str) -> Any:
    """A module beside the programs; it is in no package, as they are not."""
    import importlib.util

    spec = importlib.util.spec_from_file_location(module, PROGRAMS / f"{module}.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    load("inputs").write_inputs(folder)
    shutil.copy(PROGRAMS / "schema.json", folder)
    return folder


@pytest.fixture
def as_a_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put back what a script changes in the process it runs in."""
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    yield
    finder.uninstall()


@pytest.mark.parametrize("name", NAMES)
def test_a_program_makes_the_tables_that_exetera_makes(place, name, inputs, tmp_path, as_a_process):
    """Value by value, with types, categories, order and summaries, on every back end."""
    out = tmp_path / "found.json"
    elsewhere = Redirect.parse(f"*.hdf5={place.url('*.zarr')}", place.storage_options)
    with redirected([elsewhere]):
        run_script(str(PROGRAMS / f"{name}.py"), [str(inputs), "made.hdf5"])
        run_script(str(PROGRAMS / "dump.py"), ["made.hdf5", str(out)])
    check(json.loads(out.read_text(encoding="utf-8")), stored(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_stored_results_are_those_of_exetera(name, inputs, tmp_path):
    """Run on ExeTera 0.6 and HDF5 a program gives what is stored here of it."""
    peers = pytest.importorskip("benchmarks.peers")
    try:
        python = peers.exetera_python()
    except peers.NoEnvironmentError as error:
        pytest.skip(str(error))
    for file in inputs.iterdir():
        shutil.copy(file, tmp_path)
    assert load("record").run_real(python, name, tmp_path) == stored(name)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_program_by_the_calls_of_exeteras_documentation(
    place, name, tmp_path, monkeypatch, as_a_process
):
    """It asserts by itself what each of them gives."""
    monkeypatch.chdir(tmp_path)
    elsewhere = Redirect.parse(f"*.hdf5={place.url('*.zarr')}", place.storage_options)
    with redirected([elsewhere]):
        run_script(str(PROGRAMS / "documented" / f"{name}.py"), [])


@pytest.mark.interop
@pytest.mark.parametrize("name", DOCUMENTED)
def test_exetera_itself_gives_what_the_programs_assert(name, tmp_path):
    """Otherwise they would say nothing of ExeTera."""
    python = pytest.importorskip("benchmarks.peers").exetera_python()
    environment = {**os.environ, "TZ": "UTC"}
    environment.pop("PYTHONPATH", None)
    command = [python, PROGRAMS / "documented" / f"{name}.py"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


def check(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert list(found) == list(wanted)
    for table, content in wanted.items():
        fields = {n: f for n, f in content["fields"].items() if n not in HELPERS}
        assert list(found[table]["fields"]) == sorted(fields), table
        for name, field in fields.items():
            assert found[table]["fields"][name] == field, f"{table}/{name}"
        assert columns(found[table]["describe"]) == columns(content["describe"]), table


def columns(described: dict[str, list[Any]]) -> dict[str, dict[str, Any]]:
    """What is said of each field, without ExeTera's helpers and their cells."""
    rows = [row for row in described if row != "fields"]
    return {
        name: {row: described[row][n] for row in rows}
        for n, name in enumerate(described["fields"])
        if name not in HELPERS
    }
