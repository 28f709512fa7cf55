"""`exetera-zarr import`: ExeTera's options and ours, the summary, interrupts."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from exetera_zarr import Session
from exetera_zarr.cli import options, progress
from exetera_zarr.errors import ConflictError
from exetera_zarr.tables.dataset import Dataset


def tables() -> list[str]:
    with Session() as session:
        return sorted(session.open_dataset("study.zarr", "r").keys())


def test_from_files_to_tables(imported, values) -> None:
    """And a summary of what was done."""
    done = imported("-i", "patients:p.csv, tests:t.csv", "-ts", "2021-01-01 00:00:00")
    assert (done.exit_code, done.stderr) == (0, "")
    patients, tests, whole = done.stdout.splitlines()
    assert patients.startswith("patients: 2 rows, ")
    assert tests.startswith("tests: 1 row, ")
    assert whole.startswith("version 1 of ")
    assert values("patients", "id") == [1, 2]
    assert values("tests", "colour") == [1]
    assert values("tests", "j_valid_from") == [1609459200.0]


def test_the_summary_as_json(imported) -> None:
    done = imported("-i", "patients:p.csv", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    assert (done.json["version"], done.json["rows"], done.json["rejected"]) == (1, 2, 0)
    assert done.json["tables"]["patients"]["bytes"] == Path("p.csv").stat().st_size
    assert imported("-w", "-i", "patients:p.csv", "--quiet").stdout == ""


def test_exeteras_options(run, study: Path) -> None:
    """The command line of an old script works, but for the program's name."""
    arguments = ["-ds", "study.zarr", "-w", "-te", "GB", "-n", "patients:(id), tests:(colour)"]
    done = run("import", "-s", "s.json", "-i", "patients:p.csv, tests:t.csv", *arguments)
    assert (done.exit_code, done.stderr) == (0, "")
    with Session() as session:
        ds = session.open_dataset("study.zarr", "r", "ds")
        assert list(ds["patients"].keys()) == ["id", "j_valid_from", "j_valid_to"]
        assert list(ds["tests"].keys()) == ["colour", "j_valid_from", "j_valid_to"]


def test_adding_excluding_and_replacing(imported) -> None:
    """Without -w tables are added, with it the dataset is replaced."""
    assert imported("-i", "patients:p.csv", "-x", "patients:(note)").exit_code == 0
    assert imported("-i", "tests:t.csv").exit_code == 0
    again = imported("-i", "patients:p.csv")
    assert again.exit_code == 1
    assert "study.zarr already has table 'patients'" in again.stderr
    assert tables() == ["patients", "tests"]
    with Session() as session:
        assert "note" not in session.open_dataset("study.zarr", "r")["patients"]
    assert imported("-w", "-i", "patients:p.csv").exit_code == 0
    assert tables() == ["patients"]


def test_a_table_of_several_files(imported, values, study: Path) -> None:
    """Named again, or by a pattern; compressed ones as well."""
    (study / "p2.csv.gz").write_bytes(gzip.compress(b"note,id\nz,3\n"))
    assert imported("-i", "patients:p.csv,patients:p2.csv.gz").exit_code == 0
    assert values("patients", "id") == [1, 2, 3]
    assert imported("-w", "-i", "patients:p*.csv*").exit_code == 0
    assert values("patients", "note") == ["x", "y", "z"]


def test_a_wrong_value_is_one_line_and_changes_nothing(imported, values, study: Path) -> None:
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


def test_rows_that_do_not_fit_can_be_left_out(imported, values, study: Path) -> None:
    """They are counted, written where they were asked for, and never lost without a word."""
    (study / "t.csv").write_text("id,colour\n7,\n8,pink\n")
    done = imported("-i", "tests:t.csv", "--on-error", "skip", "--rejects", "bad.csv")
    assert done.exit_code == 0
    assert done.stdout.startswith("tests: 1 row, 1 rejected to bad.csv, ")
    assert values("tests", "id") == [7]
    assert "pink" in (study / "bad.csv").read_text()
    quiet = imported("-w", "-i", "tests:t.csv", "--on-error", "skip", "-q")
    assert quiet.stderr == "exetera-zarr: warning: 1 row did not fit and were left out\n"


def test_tables_can_be_committed_one_by_one(imported, study: Path) -> None:
    """What is complete stays when a later table fails."""
    (study / "t.csv").write_text("id,colour\n8,pink\n")
    inputs = ("-i", "patients:p.csv,tests:t.csv")
    assert imported(*inputs).exit_code == 1
    assert tables() == []
    assert imported(*inputs, "--commit-each-table").exit_code == 1
    assert tables() == ["patients"]


def test_a_missing_column_and_an_unknown_one(imported, values, study: Path) -> None:
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
    ("arguments", "code", "message"),
    [
        (["-i", "p.csv"], 2, "-i/--inputs: 'p.csv' is not TABLE:FILE"),
        (["-i", "patients:"], 2, "-i/--inputs: 'patients:' is not TABLE:FILE"),
        (["-i", "s3://bucket/p.csv"], 2, "-i/--inputs: 's3://bucket/p.csv' is not TABLE:FILE"),
        (["-i", "patients:no.csv"], 1, "no.csv: No such file or directory"),
        (["-i", "people:p.csv"], 1, "the schema has no table 'people'; it has 'patients', 'tests'"),
        (
            ["-i", "patients:p.csv", "-n", "patients:id"],
            2,
            "-n/--include: 'patients:id' is not TABLE:(COLUMN,...)",
        ),
        (
            ["-i", "patients:p.csv", "-x", "patients:(id), patients:(note)"],
            2,
            "-x/--exclude: table 'patients' occurs more than once",
        ),
        (
            ["-i", "patients:p.csv", "-n", "tests:(id)"],
            1,
            (
                "-n/--include: the following include table(s) are not part of any input files: "
                "{'tests'}"
            ),
        ),
        (["-i", "patients:p.csv", "-ts", "soon"], 1, "timestamp 'soon' is not a date and time"),
        (
            ["-i", "patients:p.csv", "--storage-option", "hunter2"],
            2,
            "--storage-option number 1 is not KEY=VALUE",
        ),
        (
            ["-i", "patients:p.csv", "--source-storage-option", "hunter2"],
            2,
            "--source-storage-option number 1 is not KEY=VALUE",
        ),
        (
            ["-i", "patients:p.csv", "--rejects", "r.csv"],
            2,
            "--rejects is where skipped rows go: it needs --on-error skip",
        ),
    ],
)
def test_arguments_that_do_not_fit(
    imported, study: Path, arguments: list[str], code: int, message: str
) -> None:
    """One line; exit code 2 where it cannot be understood, else 1; and no dataset."""
    done = imported(*arguments)
    assert done.stderr == f"exetera-zarr: error: {message}\n"
    assert done.exit_code == code
    assert not (study / "study.zarr").exists()


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["a:x.csv,b:y.csv"], {"a": ["x.csv"], "b": ["y.csv"]}),
        (["a:x.csv", " b : y.csv "], {"a": ["x.csv"], "b": ["y.csv"]}),
        (["a:x.csv,b:z.csv", "a:y.csv"], {"a": ["x.csv", "y.csv"], "b": ["z.csv"]}),
        (
            ["a:s3://bucket/x.csv, b:memory://y.csv"],
            {"a": ["s3://bucket/x.csv"], "b": ["memory://y.csv"]},
        ),
        (["a:with,comma.csv,b:y.csv"], {"a": ["with,comma.csv"], "b": ["y.csv"]}),
        (["a:http://host:80/x.csv?v=1,2"], {"a": ["http://host:80/x.csv?v=1,2"]}),
        (["a:/tmp/10:30.csv"], {"a": ["/tmp/10:30.csv"]}),
    ],
)
def test_inputs(texts: list[str], expected: dict[str, list[str]]) -> None:
    """Colons and commas belong to paths where they do not begin another table."""
    assert options.parse_inputs(texts) == expected


def test_choices() -> None:
    parsed = options.parse_choice(["t:(a, b ), u :()", "v:(c)"], "-n")
    assert parsed == {"t": ["a", "b"], "u": [], "v": ["c"]}


def test_progress_bars_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bar with rows for each table; none where stderr is no terminal, or with --quiet."""
    from exetera_zarr.io import Progress

    with progress.progress_bars({"t": "t.csv"}, quiet=False) as show:
        assert show is None
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress.progress_bars({"t": "t.csv", "u": "u.csv"}, quiet=False) as show:
        assert show is not None
        show(Progress("t", 0, 0, None))
        show(Progress("t", 1234, 10, 10))
    shown = capsys.readouterr().err
    assert "1,234 rows" in shown
    assert "100%" in shown
    with progress.progress_bars({"t": "t.csv"}, quiet=True) as show:
        assert show is None


def test_another_writer_who_is_faster(imported, monkeypatch: pytest.MonkeyPatch) -> None:
    """In words of the command, which has no draft to commit by force."""

    def overtaken(*_: Any, **__: Any) -> None:
        raise ConflictError("commit(force=True) lets it win")

    monkeypatch.setattr(Dataset, "commit", overtaken)
    done = imported("-i", "patients:p.csv")
    assert done.exit_code == 1
    assert done.stderr == (
        "exetera-zarr: error: another writer changed study.zarr during the import, of which "
        "nothing was kept but tables committed one by one: import again\n"
    )


# Interrupts


def test_an_interrupt_says_where_the_dataset_stands(
    imported, values, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its last version, with what that had."""

    def interrupted(*_, **__) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("exetera_zarr.io.csv.text.CsvText.blocks", interrupted)
        done = imported("-i", "patients:p.csv")
        assert (done.exit_code, done.stdout) == (130, "")
        assert done.stderr == (
            "exetera-zarr: interrupted: study.zarr has no tables yet (version 0)\n"
        )
    assert imported("-i", "patients:p.csv").exit_code == 0
    with monkeypatch.context() as patch:
        patch.setattr("exetera_zarr.io.csv.text.CsvText.blocks", interrupted)
        done = imported("-w", "-i", "tests:t.csv")
    assert done.exit_code == 130
    assert done.stderr == (
        "exetera-zarr: interrupted: study.zarr is at version 1, its last whole one\n"
    )
    assert values("patients", "id") == [1, 2]


def test_an_interrupt_before_anything_is_there(
    imported, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_, **__) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("exetera_zarr.io.importer.plan_tables", interrupted)
    done = imported("-i", "patients:p.csv")
    assert done.stderr == "exetera-zarr: interrupted: nothing was written to study.zarr\n"
    assert not (study / "study.zarr").exists()


def opened_for_writing(path: str, process: subprocess.Popen[str]) -> Any:
    """Open a pipe once the process has opened its other end."""
    while process.poll() is None:
        try:
            return os.fdopen(os.open(path, os.O_WRONLY | os.O_NONBLOCK), "w")
        except OSError:
            time.sleep(0.01)
    raise AssertionError(process.communicate()[1])


def wait_until_read(pipe: Any, process: subprocess.Popen[str]) -> None:
    """Wait until what is in a pipe was taken, and whoever took it waits for more.

    Python looks for signals when one interrupts a call, not between two reads: one that comes just
    there is seen when the next read returns, which is never.
    """
    import fcntl
    import termios

    while any(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4))):
        time.sleep(0.1)
    threads = Path(f"/proc/{process.pid}/task")
    if threads.is_dir():
        while not any("pipe_read" in path.read_text() for path in threads.glob("*/wchan")):
            assert process.poll() is None
            time.sleep(0.01)
    else:
        time.sleep(1)  # no other system tells where a process waits


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes and SIGINT of POSIX")
def test_ctrl_c_in_a_process(imported, values, study: Path) -> None:
    """A real signal while the command waits for the rest of its input."""
    assert imported("-i", "patients:p.csv").exit_code == 0
    os.mkfifo("slow.csv")
    # Who started the tests may ignore the signal, and then this process would, too.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{heed}; from exetera_zarr.cli import main; main()"
    arguments = ["import", "-s", "s.json", "-o", "study.zarr", "-i", "tests:slow.csv"]
    environment = os.environ | {"PYTHONPATH": str(Path(options.__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE, text=True, env=environment
    )
    with opened_for_writing("slow.csv", process) as pipe:
        pipe.write("id,colour\n1,\n")
        pipe.flush()
        wait_until_read(pipe, process)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr == ("exetera-zarr: interrupted: study.zarr is at version 1, its last whole one\n")
    assert values("patients", "id") == [1, 2]
    assert tables() == ["patients"]


# -- files of other dialects


@pytest.fixture
def german(study: Path) -> Path:
    path = study / "g.csv"
    path.write_bytes("Größe;Tag\n1.234,5;31.12.2020\nk.A.;\n".encode("cp1252"))
    return path


def test_without_a_schema_one_is_proposed(run, values, study: Path) -> None:
    """And said on stderr, with its notes."""
    (study / "g.csv").write_bytes("Größe;Tag\n1.234,5;31.12.2020\n;\n".encode("cp1252"))
    done = run("import", "-i", "g:g.csv", "-o", "study.zarr")
    assert done.exit_code == 0
    assert "g: no schema was given, so one was proposed from 2 rows" in done.stderr
    assert "note: g.Tag: it has dates (day/month/year)" in done.stderr
    assert values("g", "Größe") == [1234.5, 0.0]
    assert values("g", "Tag")[0] == 1609372800.0


def test_options_say_how_files_are_written(run, values, german: Path) -> None:
    how = ["--sep", ";", "--encoding", "cp1252", "--decimal", ",", "--thousands", "."]
    how += ["--date-format", "Tag=%d.%m.%Y", "--na-value", "k.A.", "--rename", "g:(Größe=size)"]
    done = run("import", "-i", "g:g.csv", "-o", "study.zarr", *how)
    assert done.exit_code == 0, done.stderr
    assert values("g", "size") == [1234.5, 0.0]
    proposed = run("schema", "g.csv", "-q", *how[:-2])
    csv = proposed.json["schema"]["g"]["csv"]
    assert csv["date_format"] == {"Tag": "%d.%m.%Y"}
    assert (csv["na_values"], csv["decimal"], csv["thousands"]) == (["k.A."], ",", ".")
    bad = [
        (["--sep", ";;"], "sep is one ASCII character"),
        (["--rename", "g:(Tag)"], "--rename: 'Tag' is not OLD=NEW"),
        (["--date-format", "%Y", "--date-format", "a=%Y"], "one more format for the same columns"),
        (["--decimal", "x"], "decimal must be"),
    ]
    for arguments, words in bad:
        failed = run("import", "-i", "g:g.csv", "-o", "study.zarr", *arguments)
        assert failed.exit_code
        assert words in " ".join(failed.stderr.split())


def test_tables_are_replaced_or_appended_to(imported, values) -> None:
    arguments = ["-i", "patients:p.csv"]
    assert imported(*arguments).exit_code == 0
    assert "already has table 'patients'" in imported(*arguments).stderr
    assert imported(*arguments, "--mode", "append").exit_code == 0
    assert values("patients", "id") == [1, 2, 1, 2]
    assert imported(*arguments, "--mode", "replace").exit_code == 0
    assert values("patients", "id") == [1, 2]
