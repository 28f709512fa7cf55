"""The command: its options, its words, its exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from exetera_zarr import Session, __version__, cli
from exetera_zarr.cli import options
from exetera_zarr.cli.application import application

COMMANDS = ["import", "schema", "info", "head", "history", "verify", "vacuum", "compact", "run"]


def test_wrong_usage(run) -> None:
    """As every command: exit code 2."""
    assert run("import", "-s", "s.json").exit_code == 2
    assert run("nonsense").exit_code == 2
    assert run("head", "x.zarr", "-n", "-1").exit_code == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_a_terminal(run, command: str) -> None:
    """Of 80 columns; and the list of commands has the whole first sentence of each."""
    text = run(command, "--help").stdout
    assert max(map(len, text.splitlines())) <= 80
    first = text.splitlines()[2].strip()
    (line,) = [
        line for line in run("--help").stdout.splitlines() if line.startswith(f"  {command} ")
    ]
    assert line.endswith("."), line
    assert first.startswith(line.split(maxsplit=1)[1][:40])


def test_completion() -> None:
    """The script for a shell, and what it is told about a word that was begun."""
    # Which shell it is would else be asked of the processes above this one.
    shown = python_command(
        "--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1"
    )
    assert "_EXETERA_ZARR_COMPLETE" in shown.stdout
    found = python_command(
        _EXETERA_ZARR_COMPLETE="complete_bash", COMP_WORDS="exetera-zarr he", COMP_CWORD="1"
    )
    assert found.stdout == "head\n"


def test_a_dataset_that_does_not_exist(run, study: Path) -> None:
    done = run("info", "nothing.zarr")
    assert done.exit_code == 1
    assert done.stderr.startswith("exetera-zarr: error: ")
    assert "nothing.zarr" in done.stderr
    assert done.stderr.count("\n") == 1


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


def test_storage_options_reach_the_store(run, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_an_interrupt_is_one_line(run, monkeypatch: pytest.MonkeyPatch) -> None:
    def open_dataset(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Session, "open_dataset", open_dataset)
    done = run("info", "memory://x")
    assert (done.exit_code, done.stderr) == (130, "exetera-zarr: interrupted\n")


def test_an_unforeseen_error_is_one_line_too(run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless its traceback is asked for."""

    def open_dataset(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("how\ncome")

    monkeypatch.setattr(Session, "open_dataset", open_dataset)
    done = run("info", "memory://x")
    assert (done.exit_code, done.stderr) == (
        1,
        (
            "exetera-zarr: error: ZeroDivisionError: how come (exetera-zarr --debug ... shows "
            "where)\n"
        ),
    )
    with pytest.raises(ZeroDivisionError):
        application()(["--debug", "info", "memory://x"])
    monkeypatch.setenv("EXETERA_ZARR_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        application()(["info", "memory://x"])
    monkeypatch.delenv("EXETERA_ZARR_DEBUG")
    assert run("info", "memory://x").exit_code == 1


def test_a_missing_library_names_the_extra(run, monkeypatch: pytest.MonkeyPatch) -> None:
    def open_dataset(*_: Any, **__: Any) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(Session, "open_dataset", open_dataset)
    assert run("info", "s3://bucket/x.zarr").stderr == (
        "exetera-zarr: error: Install s3fs to access S3: pip install 'exetera-zarr[s3]'\n"
    )


def test_a_reader_that_stops_early_is_no_error(imported, study: Path) -> None:
    """As in ``exetera-zarr info x.zarr | head -1``."""
    assert imported("-i", "patients:p.csv").exit_code == 0
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        done = python_command("info", "study.zarr", stdout=closed)
    assert done.stderr == ""


def python(code: str, stdout: Any = subprocess.PIPE, **variables: str) -> Any:
    environment = os.environ | {"PYTHONPATH": str(Path(cli.__file__).parents[2])} | variables
    return subprocess.run(
        [sys.executable, "-c", code],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )


def python_command(*arguments: str, stdout: Any = subprocess.PIPE, **variables: str) -> Any:
    """Run the command in a process of its own, with environment variables."""
    code = "import sys; from exetera_zarr.cli import main; sys.argv[1:] = {!r}; main()"
    return python(code.format(list(arguments)), stdout, **variables)


def test_the_entry_point() -> None:
    """In a process of its own: the version, and the exit code of a failure."""
    done = python_command("--version")
    assert (done.returncode, done.stdout) == (0, f"exetera-zarr {__version__}\n")
    done = python_command("info", "/no/such/dataset.zarr")
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


def test_only_a_command_that_needs_a_slow_library_loads_it() -> None:
    """Saying its version or its options is quick."""
    code = (
        "import sys; from exetera_zarr.cli.application import application; application(); "
        "print({'rich', 'zarr', 'duckdb', 'pyarrow.csv'} & {*sys.modules})"
    )
    assert python(code).stdout == "set()\n"
