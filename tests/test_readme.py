"""What the README shows is run as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import exetera_zarr

ROOT = Path(__file__).parent.parent
WITHOUT = """
import sys
for name in {absent!r}:
    sys.modules[name] = None  # as where it is not installed
exec(compile(sys.stdin.read(), "README.md", "exec"), {{"__name__": "__main__"}})
"""


def blocks(language: str) -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return [block for name, block in found if name == language]


def modules_of_extras() -> list[str]:
    """What is there only for those who asked for it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    named = [
        re.split(r"[^\w-]", one)[0].replace("-", "_")
        for extra in ("s3", "gcs", "hdf5", "pandas", "dask", "cli", "plots")
        for one in extras[extra]
    ]
    return [*named, "polars", "IPython"]


def run_without_extras(code: str, folder: Path) -> str:
    """What it prints, in a process for which none of the extras is installed."""
    found = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(absent=modules_of_extras())],
        input=code,
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert (found.returncode, found.stderr) == (0, "")
    return found.stdout


def test_the_ten_lines_end_with_the_table_that_is_shown(tmp_path: Path) -> None:
    """In an empty folder, with the package alone; and once more beside what they left there."""
    code, shown = blocks("python")[0], blocks("")[0]
    assert len([line for line in code.splitlines() if line]) <= 10
    for _ in range(2):
        assert run_without_extras(code, tmp_path) == shown
    with exetera_zarr.Session() as session:
        study = session.open_dataset(tmp_path / "study.zarr", "r", "study")
        assert list(study.keys()) == ["people", "visits"]
        assert study["visits"]["change"].tolist() == [None, -1.5, None, None]


def test_the_smoke_test_runs_them_where_nothing_else_is_installed() -> None:
    """`tox -e minimal` has no extras at all."""
    from smoke import ten_lines

    assert ten_lines() == blocks("python")[0]


@pytest.mark.parametrize("block", blocks("python"))
def test_every_example_is_python(block: str) -> None:
    compile(block, "README.md", "exec")


def test_names_of_pandas_say_what_to_write() -> None:
    with pytest.raises(AttributeError, match=r"write import_csv\(dataset, 'table', 'file.csv'\)"):
        _ = exetera_zarr.read_csv


def test_without_pandas_there_is_a_sentence(tmp_path: Path) -> None:
    code = blocks("python")[0] + (
        "    try:\n        visits.to_pandas()\n"
        "    except NotImplementedError as error:\n        print(error)\n"
    )
    assert "pip install 'exetera-zarr[pandas]'" in run_without_extras(code, tmp_path)
