"""Whatever strangers have written into names and values, showing it does nothing to a terminal."""

from __future__ import annotations

import ast
import errno
import json
import os
import subprocess
import sys
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exetera_zarr
from exetera_zarr import Session
from exetera_zarr import errors as all_errors
from exetera_zarr.errors import ExeteraError, StorageError
from exetera_zarr.io.propose.discovery import propose_schema
from exetera_zarr.texts import json_text, visible

UNSAFE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
HOSTILE = {
    "a colour": "\x1b[31mred\x1b[0m",
    "a cleared screen": "\x1b[2J\x1b[H",
    "a title": "\x1b]0;owned\x07",
    "a link": "\x1b]8;;http://127.0.0.2/\x07here\x1b]8;;\x07",
    "an answer of the terminal": "\x1b[6n\x1bP$q\x1b\\",
    "a command of C1": "\x9b31m\x9d0;owned\x9c",
    "a line that is written over": "bad\rgood",
    "a letter that is taken back": "bad\x08\x08\x08good",
    "a bell": "ring\x07",
    "a page": "a\x0cb\x0bc",
    "a character that is deleted": "a\x7fb",
    "the other direction": "\u202egpj.exe\u202c",
    "isolates": "\u2066a\u2069\u2067b\u2069\u2068c\u2069",
    "marks of direction": "\u200fa\u200eb\u061cc",
    "an embedding": "\u202aa\u202bb\u202dc",
    "nothing to see": "pass\u200bword\u2060\u00ad\ufeff",
    "tags": "a\U000e0061\U000e0062\U000e007f",
    "a line of its own": "a\nexetera-zarr: all is well",
    "other ends of lines": "a\u2028b\u2029c\x85d",
    "a column of its own": "a\tb",
    "separators": "a\x1cb\x1dc\x1ed\x1fe",
}
HARMLESS = [
    "plain",
    "größe",
    "年齢",
    "\u0633\u0646\u200c\u0647\u0627",
    "👩\u200d🔬",
    "a\\nb",
    "non\u00a0breaking",
    "<b>&",
    "%1b",
]


def assert_harmless(text: str, *, lines: bool = True) -> None:
    """Nothing in a text that was shown is a command; only its own lines end."""
    allowed = "\u200c\u200d" + ("\n\t" if lines else "")
    bad = {c for c in text if unicodedata.category(c) in UNSAFE and c not in allowed}
    assert bad == set()


# -- the one function


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_text_is_visible(kind: str) -> None:
    """All of it, as Python would write it: nothing is left out."""
    text = HOSTILE[kind]
    shown = visible(text)
    assert_harmless(shown, lines=False)
    assert shown != text
    if "\\" not in text:
        assert shown.encode("latin-1", "backslashreplace").decode("unicode_escape") == text
    assert visible(shown) == shown


@pytest.mark.parametrize("text", HARMLESS)
def test_a_harmless_text_stays(text: str) -> None:
    assert visible(text) == text
    assert json_text(text) == json.dumps(text, ensure_ascii=False)


def test_half_a_pair_can_be_printed() -> None:
    assert visible("a\udc80b") == "a\\udc80b"
    assert json.loads(json_text("a\udc80b")) == "a\udc80b"


def test_every_character() -> None:
    """Each one is shown, or is none that could do anything."""
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    assert_harmless(visible(everything), lines=False)
    assert_harmless(visible(everything, lines=True))


@pytest.mark.parametrize("kind", HOSTILE)
def test_json_means_the_same(kind: str) -> None:
    value = {HOSTILE[kind]: [HOSTILE[kind], {"a": HOSTILE[kind]}]}
    text = json_text(value)
    assert_harmless(text)
    assert json.loads(text) == value


# -- errors


def kinds_of_errors() -> Iterator[type[ExeteraError]]:
    for name in dir(all_errors):
        found = getattr(all_errors, name)
        if isinstance(found, type) and issubclass(found, ExeteraError):
            yield found


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("error", list(kinds_of_errors()), ids=lambda error: error.__name__)
def test_an_error_is_harmless(error: type[ExeteraError], kind: str) -> None:
    """In every form in which a terminal or a log could get it."""
    raised = error(f"there is no {HOSTILE[kind]}")
    for text in (str(raised), repr(raised), f"{raised}", f"{error('a')}: {raised}"):
        assert_harmless(text)
    assert raised.args == (f"there is no {HOSTILE[kind]}",)
    assert str(error("no quotes around it")) == "no quotes around it"


def test_an_error_with_a_number() -> None:
    raised = StorageError(errno.ENOSPC, os.strerror(errno.ENOSPC), "\x1b[31mfile")
    assert str(raised).startswith(f"[Errno {errno.ENOSPC}] {os.strerror(errno.ENOSPC)}: ")
    assert_harmless(str(raised))


# -- what is shown of a dataset


def make(place: Path) -> None:
    """A dataset of nothing but hostile texts."""
    everything = list(HOSTILE.values())
    with Session() as session:
        dataset = session.open_dataset(place, "w", "d")
        table = dataset.create_dataframe("all")
        table.create_indexed_string("text").data.write(everything)
        table.create_fixed_string("fixed", 60).data.write([t.encode() for t in everything])
        kinds = {text: code for code, text in enumerate(everything)}
        table.create_categorical("kind", "int8", kinds).data.write(
            np.arange(len(everything), dtype="int8")
        )
        for text in everything:
            table.create_numeric(text, "int32").data.write(np.arange(len(everything)))
            dataset.create_dataframe(text).create_numeric(text, "int8").data.write([1])


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("hostile") / "\x1b[31m\u202estudy.zarr"
    make(found)
    return found


def shown_of(dataset: Any, capsys: pytest.CaptureFixture[str]) -> Iterator[str]:
    """All that Python or a notebook shows of it."""
    yield repr(dataset.session)
    for thing in (dataset, *dataset.values(), *(f for t in dataset.values() for f in t.values())):
        yield repr(thing)
        yield unescape(thing._repr_html_())
    for field in dataset["all"].values():
        yield repr(field.data)
        yield field.phrase() if field.phrase().isprintable() else ""
    summary = dataset["all"].describe()
    yield repr(summary)
    yield unescape(summary._repr_html_())
    yield repr(dataset.history())
    yield capsys.readouterr().out


def test_what_python_shows(hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Session() as session:
        dataset = session.open_dataset(hostile, "r", "\x1b[1md")
        texts = list(shown_of(dataset, capsys))
    for text in texts:
        assert_harmless(text)
    joined = "".join(texts)
    for text in HOSTILE.values():
        assert visible(text) in joined or repr(text)[1:-1] in joined


def test_what_exeteras_describe_prints(hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from exetera_zarr.tables.exetera_summary import describe

    with Session() as session:
        describe(session.open_dataset(hostile, "r", "d")["all"], "all")
    printed = capsys.readouterr().out
    assert_harmless(printed)
    assert "\\x1b[31mred" in printed


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_not_found(kind: str, hostile: Path) -> None:
    with Session() as session:
        dataset = session.open_dataset(hostile, "r", "d")
        for attempt in (
            lambda: dataset["all"][f"no {HOSTILE[kind]}"],
            lambda: dataset[f"no {HOSTILE[kind]}"],
            lambda: dataset[HOSTILE[kind]]["none"],
            lambda: session.open_dataset(f"{hostile}{HOSTILE[kind]}", "r"),
        ):
            with pytest.raises((ExeteraError, ValueError)) as raised:
                attempt()
            assert isinstance(raised.value, ExeteraError)
            assert_harmless(str(raised.value))


def test_a_warning(tmp_path: Path) -> None:
    """As `warnings` has it, whoever shows it."""
    from exetera_zarr.io.importer import import_csv

    bad = tmp_path / "\x1b[31m.csv"
    bad.write_text("a\n1\nx\n", encoding="utf-8")
    with Session() as session, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = session.open_dataset(tmp_path / "d.zarr", "w", "d")
        try:
            import_csv(dataset, "\x1b[2Jt", bad, {"a": "int32"}, on_error="keep")
        except (ExeteraError, TypeError) as error:
            assert_harmless(str(error))
    for each in caught:
        assert_harmless(str(each.message))


@pytest.fixture(scope="module")
def csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV file whose heads and values are hostile."""
    from csv import writer

    found = tmp_path_factory.mktemp("csv") / "\x1b[31mfile.csv"
    with found.open("w", newline="", encoding="utf-8") as file:
        lines = writer(file)
        lines.writerow(["id", *HOSTILE.values()])
        for row in range(30):
            lines.writerow([row, *([f"{text}{row % 2}" for text in HOSTILE.values()])])
        lines.writerow(["\x1b[31mx", *HOSTILE.values()])
    return found


def test_notes_of_a_proposal(csv: Path) -> None:
    proposal = propose_schema({"\x1b[1mt": [str(csv)]})
    assert proposal.notes
    for note in proposal.notes:
        assert_harmless(str(note))
    assert_harmless(proposal.to_json())
    names = json.loads(proposal.to_json())["schema"]["\x1b[1mt"]["fields"]
    assert set(HOSTILE.values()) <= set(names)


# -- the command, as it is called


# Each call is a process of its own, forked from one that has imported the package. It ends as an
# interpreter does, and its output goes to files by the numbers of the streams.
CALLS = """
import json, os, sys
from exetera_zarr.cli import main
import exetera_zarr.conversion.datasets, exetera_zarr.io
for line in sys.stdin:
    arguments, *streams = json.loads(line)
    child = os.fork()
    if child == 0:
        for number, path in enumerate(streams, 1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.argv[1:] = arguments
        main()
        sys.exit()
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""
Command = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """The command, called with arguments."""
    environment = {
        **os.environ, "PYTHONIOENCODING": "utf-8", "COLUMNS": "200", "FORCE_COLOR": ""
    }  # fmt: skip
    if not hasattr(os, "fork"):
        code = "from exetera_zarr.cli import main; main()"
        yield lambda *given: subprocess.run(
            [sys.executable, "-c", code, *given],
            capture_output=True, check=False, timeout=120, env=environment,
        )  # fmt: skip
        return
    folder = tmp_path_factory.mktemp("streams")
    streams = folder / "out", folder / "error"
    with subprocess.Popen(
        [sys.executable, "-c", CALLS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def call(*arguments: str) -> subprocess.CompletedProcess[bytes]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps([arguments, *map(str, streams)]) + "\n")
            process.stdin.flush()
            code = int(process.stdout.readline())
            out, error = (path.read_bytes() for path in streams)
            return subprocess.CompletedProcess(arguments, code, out, error)

        yield call
        process.stdin.close()


COMMANDS = [
    ("info", "{place}"),
    ("info", "{place}", "--json"),
    ("info", "{place}", "--sizes"),
    ("head", "{place}"),
    ("head", "{place}", "-n", "30"),
    ("head", "{place}", "--json"),
    ("head", "{place}/all", "-c", "text"),
    ("head", "{place}/no\x1b[31msuch"),
    ("head", "{place}/all", "-c", "no\u202esuch"),
    ("history", "{place}"),
    ("history", "{place}", "--json"),
    ("verify", "{place}"),
    ("verify", "{place}\x1b[31m"),
    ("info", "http://user:word@127.0.0.1:9/\x1b[31m?token=word"),
    ("schema", "{csv}"),
    ("schema", "t\x1b[31m:{csv}", "-q"),
    ("schema", "{csv}\u202e"),
    ("schema", "{csv}", "-o", "{csv}.json", "--force"),
    ("schema", "{csv}", "-o", "{csv}.json", "--force", "--json"),
    ("import", "-s", "{csv}", "-o", "{csv}.zarr", "-i", "\x1b[31mt:{csv}"),
    ("import", "-s", "{csv}\x1b[31m", "-o", "{csv}.zarr", "-i", "t:{csv}"),
    ("sql", "{place}", "SELECT '\x1b[31mred' AS \"\u202e\""),
    ("sql", "{place}", "SELECT '\x1b[31mred' AS \"\u202e\"", "--json"),
    ("sql", "{place}", "SELECT \x1b[31m"),
    ("export", "{place}/no\x1b[31msuch", "x.parquet"),
    ("export", "{place}/all", "x\x1b[31m.none"),
    ("convert", "{place}", "{csv}.zarr", "--json"),
    ("convert", "{place}", "{place}"),
    ("run", "--map", "no\x1b[31mmap", "{script}"),
    ("run", "--map", "no\x1b[31mmap=b", "{script}"),
    ("run", "{script}\x1b[31m"),
]


@pytest.mark.parametrize(
    "arguments",
    COMMANDS,
    ids=lambda arguments: " ".join(arguments).encode("ascii", "backslashreplace").decode(),
)
def test_the_command(
    arguments: tuple[str, ...], command: Command, hostile: Path, csv: Path, tmp_path: Path
) -> None:
    script = tmp_path / "\x1b[31mscript.py"
    script.write_text("import exetera_zarr")
    given = [part.format(place=hostile, csv=csv, script=script) for part in arguments]
    if "{csv}.zarr" in arguments:
        given[given.index(f"{csv}.zarr")] = str(tmp_path / "\x1b[31mnew.zarr")
    done = command(*given)
    for text in (done.stdout.decode(), done.stderr.decode()):
        assert_harmless(text)
        assert "word" not in text.replace("pass\\u200bword", "")
    assert done.stdout or done.stderr
    if "--json" in arguments and done.stdout:
        json.loads(done.stdout)
    if arguments[0] in ("info", "head") and done.returncode == 0:
        assert b"x1b[31mred" in done.stdout or b"u001b[31mred" in done.stdout
    one_line = done.stderr.decode().splitlines()
    assert not any("Traceback" in line for line in one_line)
    assert not any(line.startswith("exetera-zarr: all is well") for line in one_line)


# -- nobody goes past it

HOME = Path(exetera_zarr.__file__).parent


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_warnings_are_visible() -> None:
    """What warns has its text from `visible`, since whoever shows a warning shows all of it."""
    raw = [
        f"{path.name}:{call.lineno}"
        for path in HOME.rglob("*.py")
        for name, call in calls(path)
        if name == "warnings.warn" and not ast.unparse(call.args[0]).startswith("visible(")
    ]
    assert raw == []


def test_the_command_prints_in_one_place() -> None:
    """By `say` and `tell`, by `print_json`, and by rich, of which each cell is checked above."""
    allowed = {"reporting.py", "__init__.py"}
    raw = [
        f"{path.name}:{call.lineno}: {ast.unparse(call)}"
        for path in (HOME / "cli").glob("*.py")
        if path.name not in allowed
        for name, call in calls(path)
        if name in ("print", "sys.stdout.write", "sys.stderr.write", "typer.echo")
    ]
    assert sorted(raw) == sorted(
        [
            next(r for r in raw if "PROGRAM, __version__" in r),
            next(r for r in raw if "json_text(found)" in r),
            next(r for r in raw if "proposal.to_json()" in r),
        ]
    )
