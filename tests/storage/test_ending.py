"""What is written while the process ends is committed, or its writer gets an error."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from exetera_zarr import Session

PRELUDE = """
import asyncio, atexit, gc, multiprocessing, os, sys, threading, time, weakref
from concurrent.futures import ThreadPoolExecutor
EARLY = []
atexit.register(lambda: [call() for call in EARLY])
weakref.finalize(EARLY.append, lambda: None)
from exetera_zarr import Session
session = Session(row_block=100)

def say(what):
    # Not by sys.stdout, whose lock a daemon thread may hold when the interpreter ends.
    os.write(1, (what + "\\n").encode())

def opened():
    options = eval(sys.argv[2])
    return session.open_dataset(sys.argv[1], "a", "d", **options)

def put(ds, name, rows=1_000):
    try:
        ds.require_dataframe("t").create_numeric(name, "int64").data.write(range(rows))
    except Exception as error:
        say(f"{name} {type(error).__name__} {error}")
    else:
        say(f"{name} written")
"""
AFTER = "threading.main_thread().join(); time.sleep(0.3)"
ENDS = {
    "nothing special": "put(ds, 'a')",
    "a thread": f"""
def work():
    put(ds, 'a')
    {AFTER}
    put(ds, 'b')
    time.sleep(0.2)
    put(ds, 'c')
threading.Thread(target=work).start()
""",
    "many threads": f"""
def work(n):
    {AFTER}
    put(ds, f'a{{n}}')
ds.create_dataframe('t')
for n in range(8):
    threading.Thread(target=work, args=(n,)).start()
""",
    "a pool": """
def work(n):
    time.sleep(0.1 * n)
    put(ds, f'a{n}')
ds.create_dataframe('t')
pool = ThreadPoolExecutor(2)
for n in range(6):
    pool.submit(work, n)
""",
    "asyncio": """
async def main():
    loop = asyncio.get_running_loop()
    for n in range(3):
        loop.run_in_executor(None, lambda n=n: (time.sleep(0.2), put(ds, f'a{n}')))
ds.create_dataframe('t')
asyncio.run(main())
""",
    "an asyncio loop that is left": """
loop = asyncio.new_event_loop()
ds.create_dataframe('t')
for n in range(3):
    loop.run_in_executor(None, lambda n=n: (time.sleep(0.2), put(ds, f'a{n}')))
""",
    "a daemon thread": """
def work():
    n = 0
    while True:
        put(ds, f'a{n}', 10)
        n += 1
        time.sleep(0.02)
ds.create_dataframe('t')
threading.Thread(target=work, daemon=True).start()
time.sleep(0.5)
""",
    "atexit": "atexit.register(put, ds, 'a')",
    "atexit, before ours": "EARLY.append(lambda: put(ds, 'a'))",
    "a finalizer": "kept = set(); weakref.finalize(put, lambda p: p(ds, 'a'), put)",
    "__del__": """
class Owner:
    def __del__(self, put=put, ds=ds):
        put(ds, 'a')
owner = Owner()
put(ds, 'b')
""",
    "a cycle of __del__": """
class Owner:
    def __del__(self, put=put, ds=ds):
        put(ds, 'a')
owner = Owner(); owner.me = owner
del owner
""",
    "a thread, and a commit of its own": f"""
def work():
    put(ds, 'a')
    {AFTER}
    put(ds, 'b')
    say(f'version {{ds.commit() > 0}}')
threading.Thread(target=work).start()
""",
    "a thread that closes": f"""
def work():
    put(ds, 'a')
    {AFTER}
    put(ds, 'b')
    ds.close()
threading.Thread(target=work).start()
""",
    "a thread that opens": f"""
def work():
    {AFTER}
    put(opened(), 'b')
put(ds, 'a')
ds.close()
threading.Thread(target=work).start()
""",
    "an exception": f"""
def work():
    {AFTER}
    put(ds, 'b')
put(ds, 'a')
threading.Thread(target=work).start()
raise SystemExit(0)
""",
}
CHILD = """
def child():
    ds = opened()
    put(ds, 'a')
    def work():
        time.sleep(0.5)
        put(ds, 'b')
    threading.Thread(target=work).start()
if __name__ == '__main__':
    process = multiprocessing.get_context(METHOD).Process(target=child)
    process.start()
    process.join()
    sys.exit(process.exitcode)
"""
PYTHON = os.environ.get("EXETERA_ZARR_TEST_PYTHON", sys.executable)


def run(script, tmp_path, url, options=None):
    """Run a script that says what it has written; what it said."""
    file = tmp_path / "script.py"
    file.write_text(PRELUDE + script)
    done = subprocess.run(
        [PYTHON, str(file), str(url), repr(options or {})],
        check=False,
        capture_output=True,
        text=True,
        timeout=90,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 0, done.stderr
    assert "lost" not in done.stderr
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert said
    return said


def check(said, url, options=None):
    """All that is said to be written is there, whole, and all else is an error of ours."""
    said = {name: what for name, what in said.items() if name != "version"}
    with Session() as s:
        ds = s.open_dataset(url, "a", "d", **(options or {}))
        there = {n: len(f.data) for n, f in ds["t"].items()} if "t" in ds else {}
    wanted = {name for name, what in said.items() if what == "written"}
    assert wanted <= there.keys()
    assert {there[name] for name in wanted} <= {10, 1_000}
    for what in said.values():
        # When modules are taken apart, nothing can be promised of the error but that it is one.
        assert what == "written" or "the process is ending" in what or "shutting down" in what


@pytest.mark.parametrize("end", ENDS)
def test_the_end_of_a_process(tmp_path, end):
    check_end(tmp_path, end, tmp_path / "x.zarr")


def check_end(tmp_path, end, url):
    said = run(f"ds = opened()\n{ENDS[end]}", tmp_path, url)
    check(said, url)
    if "before ours" not in end and "fin" not in end and "del" not in end and "daemon" not in end:
        assert set(said.values()) <= {"written", "True"}


# All of them end a process that writes to a folder; those that write elsewhere end in every other
# way each, and with `-m slow` in all.


def every_other(first):
    marks = [() if number % 2 == first else pytest.mark.slow for number in range(len(ENDS))]
    ends = [pytest.param(end, marks=mark) for end, mark in zip(ENDS, marks, strict=True)]
    return pytest.mark.parametrize("end", ends)


@every_other(0)
def test_the_end_of_a_process_that_writes_to_hdf5(tmp_path, end):
    check_end(tmp_path, end, tmp_path / "x.hdf5")


@pytest.mark.s3
@every_other(1)
def test_the_end_of_a_process_that_writes_to_a_bucket(tmp_path, end, s3_place):
    """By name, which the client has to resolve, although all pools have ended by then."""
    by_name = repr(s3_place.storage_options).replace("127.0.0.1", "localhost")
    options = {"storage_options": ast.literal_eval(by_name)}
    url = s3_place.url("x.zarr")
    said = run(f"ds = opened()\n{ENDS[end]}", tmp_path, url, options)
    check(said, url, options)


@pytest.mark.parametrize("suffix", ["zarr", "hdf5"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_the_end_of_a_child(tmp_path, method, suffix):
    url = tmp_path / f"x.{suffix}"
    said = run(CHILD.replace("METHOD", repr(method)), tmp_path, url)
    assert said == {"a": "written", "b": "written"}
    check(said, url)


def test_a_transaction_that_never_ends_holds_nobody_up(tmp_path):
    """It is undone, and the threads that go on can write."""
    script = """
ds = opened()
put(ds, 'a')
kept = ds.transaction()
kept.__enter__()
put(ds, 'c')
def work():
    time.sleep(0.3)
    put(ds, 'b')
threading.Thread(target=work).start()
"""
    said = run(script, tmp_path, tmp_path / "x.zarr")
    assert said.pop("c") == "written"
    check(said, tmp_path / "x.zarr")
    with Session() as s:
        assert s.open_dataset(tmp_path / "x.zarr", "r", "d")["t"].keys() == ["a", "b"]


WORDS = "ended by an exception"
RAISING = {
    "the script": "raise KeyError('x')",
    "a function": "def work():\n    raise KeyError('x')\nwork()",
    "its own hook": "sys.excepthook = lambda *error: say('hook called')\nraise KeyError('x')",
    "a loop of asyncio": "async def main():\n    raise KeyError('x')\nasyncio.run(main())",
    "a thread goes on": f"""
def work():
    {AFTER}
    put(ds, 'b')
threading.Thread(target=work).start()
raise KeyError('x')
""",
    "an exception of a thread": """
def work():
    raise ValueError('y')
(thread := threading.Thread(target=work)).start()
thread.join()
raise KeyError('x')
""",
}
QUIET = {
    "nothing": "",
    "an exception that was caught": "try:\n    raise KeyError('x')\nexcept KeyError:\n    pass",
    "sys.exit": "sys.exit(3)",
    "committed before": "ds.commit()\nraise KeyError('x')",
    "closed before": "session.close()\nraise KeyError('x')",
    "a shell inside": """
import code
code.InteractiveInterpreter().runcode(compile('1/0', 'x', 'exec'))
assert hasattr(sys, 'last_value')
""",
    "pytest": """
import pytest
(folder := os.path.join(os.path.dirname(__file__), 'test_x.py'))
open(folder, 'w').write('def test_x():\\n    assert 0')
pytest.main(['-q', '-p', 'no:cacheprovider', folder])
assert hasattr(sys, 'last_value')
""",
    "IPython": """
from IPython.core.interactiveshell import InteractiveShell
InteractiveShell.instance().run_cell('1/0')
assert hasattr(sys, 'last_value')
""",
    "a thread alone": "threading.Thread(target=lambda: 1 / 0).start()",
    "with": """
with Session() as s:
    other = s.open_dataset(sys.argv[1] + '.zarr', 'a', 'd')
    put(other, 'b')
    ds.commit()
    raise KeyError('x')
""",
}


def ended(tmp_path, url, script, *options):
    """What a program has said that ended with a change, and whether it succeeded."""
    file = tmp_path / "script.py"
    file.write_text(f"{PRELUDE}\nds = opened()\nput(ds, 'z')\nds.commit()\nput(ds, 'a')\n{script}")
    done = subprocess.run(
        [PYTHON, *options, str(file), str(url), "{}"],
        check=False,
        capture_output=True,
        text=True,
        timeout=90,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.DEVNULL,
    )
    assert "a written" in done.stdout, done.stderr
    return done


@pytest.mark.parametrize("suffix", ["zarr", "hdf5"])
@pytest.mark.parametrize("way", RAISING)
def test_a_program_that_is_ended_by_an_exception_says_what_became_of_its_changes(
    tmp_path, way, suffix
):
    """They are kept, half a table too, since they may be the work of days; but not silently."""
    url = tmp_path / f"x.{suffix}"
    done = ended(tmp_path, url, RAISING[way])
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if WORDS in line]
    assert "exetera_zarr: " in line
    assert "(KeyError)" in line
    assert str(url) in line
    assert "on_error='rollback'" in line
    assert ("hook called" if way == "its own hook" else "KeyError: 'x'") in (
        done.stdout + done.stderr
    )
    with Session() as s:
        ds = s.open_dataset(url, "r", "d")
        assert "a" in ds["t"]
        assert way == "a thread goes on" or f"as version {ds.version}, " in line
        assert ("version=1) reads what was there before" in line) == (suffix == "zarr")


@pytest.mark.parametrize("way", QUIET)
def test_a_program_that_ends_otherwise_says_nothing_of_it(tmp_path, way):
    done = ended(tmp_path, tmp_path / "x.zarr", QUIET[way])
    assert WORDS not in done.stderr, done.stderr


def test_an_exception_before_an_interactive_session_does_not_end_the_program(tmp_path):
    done = ended(tmp_path, tmp_path / "x.zarr", "raise KeyError('x')", "-i")
    assert "KeyError: 'x'" in done.stderr
    assert WORDS not in done.stderr


def test_a_script_that_is_run_for_exetera_says_it_as_well(tmp_path):
    """Though there an exception leaves the script, and not the program."""
    run_it = "from exetera_zarr.cli import main; main()"
    (starter := tmp_path / "starter.py").write_text(run_it)
    script = tmp_path / "s.py"
    script.write_text(
        "import exetera.core.session as sessions\n"
        f"ds = sessions.Session().open_dataset({str(tmp_path / 'y.hdf5')!r}, 'w', 'd')\n"
        "ds.create_dataframe('t').create_numeric('a', 'int8').data.write([1])\n"
        "raise KeyError('x')\n"
    )
    done = subprocess.run(
        [PYTHON, str(starter), "run", str(script)],
        check=False,
        capture_output=True,
        text=True,
        timeout=90,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 1
    assert WORDS in done.stderr
    assert "KeyError: 'x'" in done.stderr
