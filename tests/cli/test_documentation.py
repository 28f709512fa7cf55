"""What the page on the command shows is run as it stands there."""

from __future__ import annotations

import gzip
import re
import shlex
from pathlib import Path

import pytest

from exetera_zarr import Session

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "docs/command.md", "docs/hdf5.md"]
SCRIPT = """
import sys
from exetera.core.session import Session

if len(sys.argv) == 1:
    with Session() as s:
        s.open_dataset("data/study.hdf5", "w", "study")
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that the page speaks of, in the working folder."""
    rows = "".join(f"p{number},{number}\n" for number in range(5))
    (tmp_path / "patients.csv").write_text(f"id,age\n{rows}")
    (tmp_path / "may.csv").write_text("id,age\np3,3\np9,9\n")
    (tmp_path / "analysis.py").write_text(SCRIPT)
    (tmp_path / "tests.csv.gz").write_bytes(gzip.compress(b"id,patient_id\n1,p3\n"))
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("h5py")
    with Session() as session:
        patients = session.open_dataset("old.hdf5", "w", "old").create_dataframe("patients")
        patients.create_numeric("age", "int8").data.write([34, 51])
        patients.create_fixed_string("id", 2).data.write([b"p0", b"p1"])


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_work(run, page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    lines = re.findall(r"^exetera-zarr .*", text, flags=re.MULTILINE)
    assert len(lines) >= 3
    for line in lines:
        here = line.replace("s3://bucket/", "bucket/")
        done = run(*shlex.split(here, comments=True)[1:])
        assert (done.exit_code, done.stderr) == (0, ""), line


@pytest.mark.usefixtures("files")
def test_the_python_example_works(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs/command.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    exec(compile(block, "docs/command.md", "exec"), {})
    assert '"patients"' in capsys.readouterr().out


def test_every_command_is_listed() -> None:
    from exetera_zarr.cli.application import application

    names = {command.name for command in application().registered_commands}
    text = (ROOT / "docs/command.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE)) == names
