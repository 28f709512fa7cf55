"""The command: its options, its words, its exit codes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("typer")

from exetera_zarr import Session, __version__, cli
from exetera_zarr.cli import options, progress
from exetera_zarr.cli.application import application
from exetera_zarr.cli.info import size

NUMBER = {"field_type": "numeric", "value_type": "int32", "validation_mode": "strict"}
COLOUR = {
    "field_type": "categorical",
    "categorical": {"value_type": "int8", "strings_to_values": {"": 0, "grün": 1}},
}


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


@dataclass(frozen=True)
class Done:
    exit_code: int
    stdout: str
    stderr: str


def run(*arguments: str) -> Done:
    """Run the command in this process, as its entry point does."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as exit_:
        application()(arguments)
    code = exit_.value.code
    return Done(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())


def imported(*arguments: str) -> Done:
    return run("import", "-s", "s.json", "-o", "study.zarr", *arguments)


def values(table: str, field: str) -> list[Any]:
    with Session() as session:
        data = session.open_dataset("study.zarr", "r", "ds")[table][field].data[:]
        return list(data)


def test_import_and_info(study: Path) -> None:
    """From files to tables, and what is then there."""
    done = imported("-i", "patients:p.csv, tests:t.csv", "-ts", "2021-01-01 00:00:00")
    assert (done.exit_code, done.stderr) == (0, "")
    patients, tests, whole = done.stdout.splitlines()
    assert patients.startswith("patients: 2 rows, ")
    assert tests.startswith("tests: 1 rows, ")
    assert whole.startswith(f"version 1 of {study / 'study.zarr'}, ")
    assert values("patients", "id") == [1, 2]
    assert values("tests", "colour") == [1]
    assert values("tests", "j_valid_from") == [1609459200.0]

    shown = run("info", "study.zarr")
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert lines[0].endswith("study.zarr  (version 1)")
    assert lines[1].startswith("patients: 2 rows, 4 fields")
    assert [line.split()[:2] for line in lines[2:4]] == [
        ["id", "numeric,int32"],
        ["note", "indexedstring"],
    ]

    found = json.loads(run("info", "study.zarr", "--json").stdout)
    assert found["version"] == 1
    assert list(found["tables"]) == ["patients", "tests"]
    colour = found["tables"]["tests"]["fields"]["colour"]
    assert (colour["type"], colour["rows"]) == ("categorical,int8", 1)
    assert colour["categories"] == {"": 0, "grün": 1}


def test_exeteras_options(study: Path) -> None:
    """The command line of an old script works, but for the program's name."""
    arguments = ["-ds", "study.zarr", "-w", "-te", "GB", "-n", "patients:(id), tests:(colour)"]
    done = run("import", "-s", "s.json", "-i", "patients:p.csv, tests:t.csv", *arguments)
    assert (done.exit_code, done.stderr) == (0, "")
    with Session() as session:
        ds = session.open_dataset("study.zarr", "r", "ds")
        assert list(ds["patients"].keys()) == ["id", "j_valid_from", "j_valid_to"]
        assert list(ds["tests"].keys()) == ["colour", "j_valid_from", "j_valid_to"]


def test_adding_excluding_and_replacing(study: Path) -> None:
    """Without -w tables are added, with it the dataset is replaced."""
    assert imported("-i", "patients:p.csv", "-x", "patients:(note)").exit_code == 0
    assert imported("-i", "tests:t.csv").exit_code == 0
    again = imported("-i", "patients:p.csv")
    assert again.exit_code == 1
    assert "already has table 'patients'" in again.stderr
    with Session() as session:
        ds = session.open_dataset("study.zarr", "r", "ds")
        assert sorted(ds.keys()) == ["patients", "tests"]
        assert "note" not in ds["patients"]
    assert imported("-w", "-i", "patients:p.csv").exit_code == 0
    with Session() as session:
        assert list(session.open_dataset("study.zarr", "r", "ds").keys()) == ["patients"]


def test_a_wrong_value_is_one_line_and_changes_nothing(study: Path) -> None:
    assert imported("-i", "patients:p.csv").exit_code == 0
    (study / "t.csv").write_text("id,colour\n7,\n8,pink\n")
    done = imported("-w", "-i", "tests:t.csv")
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr == (
        "exetera-zarr: error: t.csv, row 2 (line 3), column 'colour': 'pink' is none of the "
        "categories '', 'grün'\n"
    )
    assert values("patients", "id") == [1, 2]


def test_a_missing_column_and_an_unknown_one(study: Path) -> None:
    """The one is an error unless asked for, the other a warning of one line."""
    (study / "p.csv").write_text("id,more\n1,x\n")
    done = imported("-i", "patients:p.csv")
    assert done.exit_code == 1
    assert "p.csv lacks 'note'" in done.stderr
    done = imported("-i", "patients:p.csv", "--skip-missing")
    assert done.exit_code == 0
    assert done.stderr.startswith("exetera-zarr: warning: p.csv has columns")
    assert done.stderr.count("\n") == 1
    assert values("patients", "more") == ["x"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-i", "p.csv"], "-i/--inputs: 'p.csv' is not TABLE:FILE"),
        (["-i", "patients:"], "-i/--inputs: 'patients:' is not TABLE:FILE"),
        (["-i", "s3://bucket/p.csv"], "-i/--inputs: 's3://bucket/p.csv' is not TABLE:FILE"),
        (
            ["-i", "patients:p.csv", "-i", "patients:t.csv"],
            "-i/--inputs: table 'patients' occurs more than once",
        ),
        (["-i", "patients:no.csv"], "no.csv: No such file or directory"),
        (["-i", "people:p.csv"], "the schema has no table 'people'; it has 'patients', 'tests'"),
        (
            ["-i", "patients:p.csv", "-n", "patients:id"],
            "-n/--include: 'patients:id' is not TABLE:(COLUMN,...)",
        ),
        (
            ["-i", "patients:p.csv", "-x", "patients:(id), patients:(note)"],
            "-x/--exclude: table 'patients' occurs more than once",
        ),
        (
            ["-i", "patients:p.csv", "-n", "tests:(id)"],
            (
                "-n/--include: the following include table(s) are not part of any input files: "
                "{'tests'}"
            ),
        ),
        (["-i", "patients:p.csv", "-ts", "soon"], "timestamp 'soon' is not a date and time"),
        (
            ["-i", "patients:p.csv", "--storage-option", "hunter2"],
            "--storage-option number 1 is not KEY=VALUE",
        ),
    ],
)
def test_arguments_that_do_not_fit(study: Path, arguments: list[str], message: str) -> None:
    """One line, exit code 1, and no dataset."""
    done = imported(*arguments)
    assert done.exit_code == 1
    assert done.stderr == f"exetera-zarr: error: {message}\n"
    assert not (study / "study.zarr").exists()


def test_wrong_usage() -> None:
    """As every command: exit code 2."""
    assert run("import", "-s", "s.json").exit_code == 2
    assert run("nonsense").exit_code == 2


def test_a_dataset_that_does_not_exist(study: Path) -> None:
    done = run("info", "nothing.zarr")
    assert done.exit_code == 1
    assert done.stderr.startswith("exetera-zarr: error: ")
    assert "nothing.zarr" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["a:x.csv,b:y.csv"], {"a": "x.csv", "b": "y.csv"}),
        (["a:x.csv", " b : y.csv "], {"a": "x.csv", "b": "y.csv"}),
        (
            ["a:s3://bucket/x.csv, b:memory://y.csv"],
            {"a": "s3://bucket/x.csv", "b": "memory://y.csv"},
        ),
        (["a:with,comma.csv,b:y.csv"], {"a": "with,comma.csv", "b": "y.csv"}),
        (["a:http://host:80/x.csv?v=1,2"], {"a": "http://host:80/x.csv?v=1,2"}),
        (["a:/tmp/10:30.csv"], {"a": "/tmp/10:30.csv"}),
    ],
)
def test_inputs(texts: list[str], expected: dict[str, str]) -> None:
    """Colons and commas belong to paths where they do not begin another table."""
    assert options.parse_inputs(texts) == expected


def test_choices() -> None:
    parsed = options.parse_choice(["t:(a, b ), u :()", "v:(c)"], "-n")
    assert parsed == {"t": ["a", "b"], "u": [], "v": ["c"]}


def test_storage_options() -> None:
    """Flags and objects are JSON; digits stay text, since keys are made of them."""
    texts = ["anon=true", "key=00123", "endpoint_url=http://h/?a=b", 'client_kwargs={"v": 1}', "x="]
    assert options.parse_storage_options(texts) == {
        "anon": True,
        "key": "00123",
        "endpoint_url": "http://h/?a=b",
        "client_kwargs": {"v": 1},
        "x": "",
    }


def test_storage_options_reach_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the option and from the environment."""
    seen = []

    def open_dataset(*_: Any, storage_options: Any, **__: Any) -> None:
        seen.append(storage_options)
        raise FileNotFoundError("stop")

    monkeypatch.setattr(Session, "open_dataset", open_dataset)
    assert run("info", "memory://x", "--storage-option", "anon=true").exit_code == 1
    monkeypatch.setenv("EXETERA_ZARR_STORAGE_OPTION", "anon=false key=7")
    run("info", "memory://x")
    assert seen == [{"anon": True}, {"anon": False, "key": "7"}]


def test_an_interrupt_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_dataset(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Session, "open_dataset", open_dataset)
    done = run("info", "memory://x")
    assert (done.exit_code, done.stderr) == (130, "exetera-zarr: interrupted\n")


def test_an_unforeseen_error_is_one_line_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless a variable asks for the traceback."""

    def open_dataset(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("how\ncome")

    monkeypatch.setattr(Session, "open_dataset", open_dataset)
    done = run("info", "memory://x")
    assert (done.exit_code, done.stderr) == (
        1,
        (
            "exetera-zarr: error: ZeroDivisionError: how come (set EXETERA_ZARR_TRACEBACK=1 to see "
            "where)\n"
        ),
    )
    monkeypatch.setenv("EXETERA_ZARR_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        application()(["info", "memory://x"])


def test_progress_bars_on_a_terminal(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bar with rows for each table; none where stderr is no terminal, or with --quiet."""
    from exetera_zarr.io import Progress

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress.progress_bars({"t": "t.csv", "u": "u.csv"}, quiet=False) as progress:
        assert progress is not None
        progress(Progress("t", 0, 0, None))
        progress(Progress("t", 1234, 10, 10))
    shown = capsys.readouterr().err
    assert "1,234 rows" in shown
    assert "100%" in shown
    with progress.progress_bars({"t": "t.csv"}, quiet=True) as progress:
        assert progress is None


def test_info_of_uneven_and_of_empty_tables(study: Path) -> None:
    """Lengths stand with the fields where they differ; a table without fields is shown too."""
    with Session() as session:
        ds = session.open_dataset("study.zarr", "w", "ds")
        table = ds.create_dataframe("t")
        table.create_numeric("a", "int8").data.write([1, 2])
        table.create_numeric("b", "int8").data.write([1])
        ds.create_dataframe("empty")
    lines = run("info", "study.zarr").stdout.splitlines()
    assert lines[1].startswith("t: 2 fields")
    assert lines[2].split()[:4] == ["a", "numeric,int8", "2", "rows"]
    assert lines[3].split()[:4] == ["b", "numeric,int8", "1", "rows"]
    assert lines[4].startswith("empty: 0 fields")


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (5 << 30, "5.0 GiB"),
        (1 << 50, "1024.0 TiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


def python(code: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(cli.__file__).parents[1])}
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )


def test_the_entry_point() -> None:
    """In a process of its own: the version, and the exit code of a failure."""
    call = "import sys; from exetera_zarr.cli import main; sys.argv[1:] = {!r}; main()"
    done = python(call.format(["--version"]))
    assert (done.returncode, done.stdout) == (0, f"exetera-zarr {__version__}\n")
    done = python(call.format(["info", "/no/such/dataset.zarr"]))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_without_the_extra_the_command_names_it() -> None:
    code = "import sys; sys.modules['typer'] = None; from exetera_zarr.cli import main; main()"
    done = python(code)
    assert done.returncode == 1
    assert done.stderr == (
        "exetera-zarr: the command needs the extra 'cli': pip install 'exetera-zarr[cli]'\n"
    )


def test_importing_the_package_loads_no_command_line_library() -> None:
    """Nor does importing the import module, which scripts use."""
    code = (
        "import sys, exetera_zarr.io; print({'typer', 'rich', 'pandas', 'duckdb'} & {*sys.modules})"
    )
    assert python(code).stdout == "set()\n"


def test_history_verify_and_vacuum(study: Path) -> None:
    """Versions are listed, checked and removed; a damaged dataset is exit code 1."""
    place = study / "versions.zarr"
    with Session() as session:
        dataset = session.open_dataset(str(place), "w", "d")
        for number in range(3):
            dataset.create_dataframe(f"t{number}").create_numeric("n", "int8").data.write([number])
            dataset.commit()
    listed = run("history", str(place))
    assert listed.exit_code == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["3", "2", "1", "0"]
    assert "changed: t2" in listed.stdout
    as_json = json.loads(run("history", str(place), "--json").stdout)
    assert [commit["changed"] for commit in as_json] == [["t2"], ["t1"], ["t0"], []]
    assert run("verify", str(place)).stdout == "version 3 is whole: 3 tables, 3 fields\n"
    swept = run("vacuum", str(place), "--keep", "1", "--older-than", "0")
    assert swept.stdout == "1 versions are kept; 0 objects of no version were removed\n"
    assert "(removed)" in run("history", str(place)).stdout
    next(iter((place / "t0" / "n").glob("values*/c/0"))).unlink()
    damaged = run("verify", str(place))
    assert (damaged.exit_code, damaged.stdout) == (1, "")
    assert "table 't0', field 'n', values, chunk 0" in damaged.stderr
