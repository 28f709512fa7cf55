"""Several processes on one dataset: who wins, who is told, and that nobody's commit is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import exetera_zarr
from exetera_zarr import ConflictError, Session
from exetera_zarr.errors import VersionNotFoundError
from exetera_zarr.storage.stores.opening import open_store
from exetera_zarr.storage.zarr.versions import manifests
from support import worker


class Other:
    """Another process, which runs what it is told."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, worker.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(exetera_zarr.__file__).parents[1])},
        )

    def begin(self, code: str) -> None:
        """Have it run some Python, without waiting."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(code) + "\n")
        self._process.stdin.flush()

    def end(self) -> dict[str, Any]:
        """What came of the oldest piece of Python that has not been asked for."""
        assert self._process.stdout is not None
        reply: dict[str, Any] = json.loads(self._process.stdout.readline())
        return reply

    def result(self) -> Any:
        """The same, where it has to succeed."""
        reply = self.end()
        assert "error" not in reply, reply["trace"]
        return reply["result"]

    def run(self, code: str) -> Any:
        """Have it run some Python, which may set `result`."""
        self.begin(code)
        return self.result()

    def close(self) -> None:
        """Let it end, as a script does."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


@pytest.fixture
def start() -> Iterator[Callable[[], Other]]:
    """Start other processes; they end with the test."""
    started: list[Other] = []

    def one() -> Other:
        started.append(Other())
        return started[-1]

    yield one
    for other in started:
        other.close()


def opened(url: str, options: dict[str, Any] | None = None, mode: str = "r+") -> str:
    """Python that opens a dataset as `ds`."""
    return f"s = Session(); ds = s.open_dataset({url!r}, {mode!r}, 'd', storage_options={options})"


def make(url: str, tables: tuple[str, ...] = ("t",), options: Any = None) -> None:
    with Session() as s:
        ds = s.open_dataset(url, "x", "d", storage_options=options)
        for table in tables:
            worker.create(ds, table)


def found(url: str, table: str = "t", version: int | None = None, options: Any = None) -> list[int]:
    with Session() as s:
        ds = s.open_dataset(url, "r", "d", version=version, storage_options=options)
        numbers: list[int] = worker.batches(ds, table)
        return numbers


def check_history(url: str, options: Any = None) -> list[dict[str, Any]]:
    """The facts of all manifests, which have to be one chain without a gap."""
    store = open_store(url, options or {}, durable=False, single_writer=False)
    newest = manifests.newest(store)
    assert newest is not None
    facts = [manifests.read(store, number).facts for number in range(newest + 1)]
    assert len(list(store.list("__exetera__/commits"))) == newest + 1
    assert [f["previous"] for f in facts] == [None, *(f["checksum"] for f in facts[:-1])]
    return facts


def test_different_tables_both_land(tmp_path, start):
    """Two writers that opened the same version and changed different tables both commit."""
    url = str(tmp_path / "x.zarr")
    make(url, ("t", "u"))
    one, two = start(), start()
    for other, table in ((one, "t"), (two, "u")):
        other.run(f"{opened(url)}; append(ds, 5, {table!r})")
    assert one.run("result = ds.commit()") == 2
    assert two.run("result = ds.commit()") == 3
    assert one.run("ds.refresh(); result = batches(ds, 't') + batches(ds, 'u')") == [5, 5]
    assert two.run("result = batches(ds, 't') + batches(ds, 'u')") == [5, 5]
    assert [found(url, "t"), found(url, "u")] == [[5], [5]]
    assert [f["changed"] for f in check_history(url)] == [[], ["t", "u"], ["t"], ["u"]]


NO_APPEND = "ds['t'].group.update_attributes({'note': 1})"
"""A change of a table that does not go together with another one's."""


@pytest.mark.parametrize("way", ["force", "redo"])
def test_the_same_table_is_a_conflict(tmp_path, start, way):
    """The slower writer is told of table and versions, keeps its draft, and can force or redo."""
    url = str(tmp_path / "x.zarr")
    make(url, ("t", "u"))
    one, two = start(), start()
    one.run(f"{opened(url)}; append(ds, 1); ds.commit()")
    two.run(f"{opened(url)}; append(ds, 2); append(ds, 2, 'u')")
    assert one.run(f"append(ds, 3); {NO_APPEND}; result = ds.commit()") == 3
    for _ in range(2):
        two.begin("ds.commit()")
        reply = two.end()
        assert reply["error"] == "ConflictError"
        assert "'t'" in reply["text"]
        assert "'u'" not in reply["text"]
        assert "version 2," in reply["text"]
        assert "version 3;" in reply["text"]
        assert two.run("result = batches(ds), ds.version") == [[1, 2], 2]
        assert found(url) == [1, 3]
    if way == "force":
        assert two.run("result = ds.commit(force=True)") == 4
        assert found(url) == [1, 2]
        assert found(url, version=3) == [1, 3]
    else:
        assert two.run("ds.rollback(); result = ds.refresh()") == 3
        assert two.run("append(ds, 2); append(ds, 2, 'u'); result = ds.commit()") == 4
        assert found(url) == [1, 3, 2]
    assert found(url, "u") == [2]
    check_history(url)


def test_a_table_that_another_deletes_or_creates_is_a_conflict(tmp_path, start):
    """Deleting a table, or creating one of the same name, is a change of it as any other."""
    url = str(tmp_path / "x.zarr")
    make(url)
    one, two = start(), start()
    one.run(f"{opened(url)}; del ds['t']; create(ds, 'new')")
    two.run(f"{opened(url)}; append(ds, 1); ds.commit()")
    one.begin("ds.commit()")
    assert one.end()["error"] == "ConflictError"
    one.run("ds.rollback(); ds.refresh(); create(ds, 'new')")
    two.run("create(ds, 'new'); append(ds, 8, 'new'); ds.commit()")
    one.begin("ds.commit()")
    reply = one.end()
    assert reply["error"] == "ConflictError"
    assert "'new'" in reply["text"]
    one.run("ds.commit(force=True)")
    assert [found(url, "new"), found(url, "t")] == [[], [1]]


def stampede(url: str, options: Any, start: Any, tmp_path: Path, shape: tuple[int, int]) -> None:
    """Writers that append to one table at the same time, and a reader; then check all."""
    make(url, options=options)
    writers, commits = shape
    stop = tmp_path / "stop"
    watcher, others = start(), [start() for _ in range(writers)]
    watcher.begin(f"result = watch({url!r}, {options}, {str(stop)!r})")
    for n, other in enumerate(others):
        numbers = [1000 * (n + 1) + k for k in range(commits)]
        other.begin(f"result = append_all({url!r}, {options}, {numbers})")
    results = [other.result() for other in others]
    stop.touch()
    seen, late, opens = watcher.result()
    print(f"{sum(lost for _, lost in results)} conflicts, {opens} opens, {len(seen) - 1} seen")  # noqa: T201
    by_version = {v: number for done, _ in results for number, v in done}
    assert sorted(by_version) == list(range(2, 2 + writers * commits))
    expected = [by_version[v] for v in sorted(by_version)]
    assert found(url, options=options) == expected
    assert len(check_history(url, options)) == 2 + writers * commits
    assert late == 0
    assert seen[-1] == 1 + writers * commits
    with Session() as s:
        ds = s.open_dataset(url, "r", "d", storage_options=options)
        kept = [c.version for c in ds.history() if c.kept]
        assert len(kept) == 2 + writers * commits
        ds.verify()
    for v in kept[:-2:5]:
        assert found(url, version=v, options=options) == expected[: v - 1]


@pytest.mark.parametrize(
    "shape", [(4, 6), *(pytest.param((n, 25), marks=pytest.mark.slow) for n in (8, 25))]
)
def test_many_writers_of_one_table(tmp_path, start, shape):
    """Every acknowledged commit is there once and whole; readers see only whole versions."""
    stampede(str(tmp_path / "x.zarr"), None, start, tmp_path, shape)


@pytest.mark.s3
@pytest.mark.parametrize("shape", [(3, 3), pytest.param((4, 8), marks=pytest.mark.slow)])
def test_many_writers_of_one_table_in_a_bucket(s3_place, start, tmp_path, shape):
    """The same with conditional writes to a bucket."""
    stampede(s3_place.url("x.zarr"), s3_place.storage_options, start, tmp_path, shape)


@pytest.mark.parametrize("shape", [(2, 8), pytest.param((6, 20), marks=pytest.mark.slow)])
def test_many_writers_that_keep_only_the_newest(tmp_path, start, shape):
    """With nothing kept, a reader can come too late, and is told; what it reads is whole."""
    url, (writers, commits), stop = str(tmp_path / "x.zarr"), shape, tmp_path / "stop"
    make(url)
    with Session() as s:
        s.open_dataset(url, "r+", "d").retain(1, 0.0)
    watcher, others = start(), [start() for _ in range(writers)]
    watcher.begin(f"result = watch({url!r}, None, {str(stop)!r})")
    for n, other in enumerate(others):
        numbers = [1000 * (n + 1) + k for k in range(commits)]
        other.begin(f"result = append_all({url!r}, None, {numbers})")
    results = [other.result() for other in others]
    stop.touch()
    seen, late, opens = watcher.result()
    print(f"{late} of {opens} reads came too late, {len(seen) - 1} seen")  # noqa: T201
    by_version = {v: number for done, _ in results for number, v in done}
    assert found(url) == [by_version[v] for v in sorted(by_version)]
    assert len(by_version) == writers * commits
    check_history(url)
    with Session() as s:
        ds = s.open_dataset(url, "r+", "d")
        assert [c.version for c in ds.history() if c.kept] == [ds.version]
        ds.verify()


def wait_until(there: Callable[[], bool]) -> None:
    """Uploads go on beside the work of another process: return when they are there."""
    patience = time.monotonic() + 60
    while not there():
        assert time.monotonic() < patience
        time.sleep(0.01)


def leave_behind(url: str, start: Any, change: str) -> Other:
    """A writer with a change over version 2, and 20 commits and a vacuum of another after it."""
    make(url, ("t", "u"))
    slow, fast = start(), start()
    slow.run(f"{opened(url)}; [append(ds, n) for n in range(10)]; ds.commit()")
    slow.run(change)
    fast.run(opened(url))
    fast.run("for n in range(20): append(ds, 100 + n); ds.commit()")
    assert fast.run("ds.vacuum(keep=1, older_than=0); result = ds.version") >= 22
    return slow


LATER = [*range(10), *range(100, 120)]


def test_late_for_the_same_table(tmp_path, start):
    """After 20 commits and a vacuum, a commit to the same table is a conflict; force wins whole."""
    url = str(tmp_path / "x.zarr")
    slow = leave_behind(url, start, f"append(ds, 50); {NO_APPEND}")
    for _ in range(2):
        slow.begin("ds.commit()")
        reply = slow.end()
        assert reply["error"] == "ConflictError", reply
        assert "'t'" in reply["text"]
        assert found(url) == LATER
    slow.begin("result = ds.commit(force=True)")
    reply = slow.end()
    # What the draft was over is gone, so there is nothing to win with: it says so, and stays.
    assert reply["error"] == "ConflictError", reply
    assert "cannot win" in reply["text"]
    slow.begin("ds.commit()")
    assert slow.end()["error"] == "ConflictError"
    assert found(url) == LATER
    slow.run("ds.rollback(); ds.refresh(); append(ds, 50); result = ds.commit()")
    assert found(url) == [*LATER, 50]
    with Session() as s:
        s.open_dataset(url, "r+", "d").verify()


def test_late_with_an_append(tmp_path, start):
    """Rows that were appended to a version that was swept come after those of all the others."""
    url = str(tmp_path / "x.zarr")
    slow = leave_behind(url, start, "append(ds, 50)")
    slow.run("ds.commit()")
    assert found(url) == [*LATER, 50]
    assert slow.run("result = batches(ds)") == [*LATER, 50]
    with Session() as s:
        s.open_dataset(url, "r+", "d").verify()


def test_late_for_the_same_table_with_values_of_its_own(tmp_path, start):
    """A forced commit that needs nothing of the swept version lands, with every value right."""
    url = str(tmp_path / "x.zarr")
    change = "del ds['t']; create(ds); [append(ds, n) for n in range(60, 70)]"
    slow = leave_behind(url, start, change)
    slow.begin("ds.commit()")
    assert slow.end()["error"] == "ConflictError"
    slow.run("ds.commit(force=True)")
    assert found(url) == list(range(60, 70))
    with Session() as s:
        s.open_dataset(url, "r+", "d").verify()


def test_late_for_another_table(tmp_path, start):
    """After 20 commits and a vacuum, a commit to another table lands on top of them."""
    url = str(tmp_path / "x.zarr")
    slow = leave_behind(url, start, "append(ds, 50, 'u')")
    assert slow.run("result = ds.commit()") == len(check_history(url)) - 1
    assert [found(url), found(url, "u")] == [LATER, [50]]
    assert slow.run("result = batches(ds)") == LATER
    with Session() as s:
        s.open_dataset(url, "r+", "d").verify()


@pytest.mark.parametrize("table", ["t", "u"])
def test_a_live_draft_survives_a_vacuum(tmp_path, start, table):
    """Blocks that a draft has uploaded are still there after another process's vacuum."""
    url = str(tmp_path / "x.zarr")
    make(url, ("t", "u"))
    slow, fast = start(), start()
    slow.run(f"{opened(url)}; [append(ds, n, {table!r}) for n in range(30)]")
    uploaded = lambda: list((tmp_path / "x.zarr" / table / "row").glob("values-*/c/*"))
    wait_until(lambda: len(uploaded()) >= 12)
    fast.run(f"{opened(url)}; append(ds, 7, 'u' if {table!r} == 't' else 't')")
    fast.run("ds.commit(); ds.vacuum(keep=1, older_than=0)")
    slow.run("ds.commit()")
    other = "u" if table == "t" else "t"
    assert [found(url, table), found(url, other)] == [list(range(30)), [7]]
    with Session() as s:
        s.open_dataset(url, "r+", "d").verify()


def test_every_kept_version_opens(tmp_path, start):
    """What history calls kept reads what it had; the others are an error that says so."""
    url = str(tmp_path / "x.zarr")
    make(url)
    writer, vacuumer = start(), start()
    writer.run(f"{opened(url)}; result = [(append(ds, n), ds.commit()) for n in range(8)]")
    assert [found(url, version=v) for v in range(1, 10)] == [
        list(range(v - 1)) for v in range(1, 10)
    ]
    vacuumer.run(f"{opened(url)}; ds.vacuum(keep=4, older_than=0)")
    with Session() as s:
        ds = s.open_dataset(url, "r", "d")
        listed = ds.history()
        newest = ds.version
    assert [c.version for c in listed] == list(range(newest, -1, -1))
    kept = [c.version for c in listed if c.kept]
    assert kept == list(range(newest, newest - 4, -1))
    for version in range(newest + 2):
        if version in kept:
            assert found(url, version=version) == list(range(min(version - 1, 8)))
        else:
            with pytest.raises(VersionNotFoundError, match=f"no version {version}"):
                found(url, version=version)


def test_a_writer_here_is_told_like_one_elsewhere(tmp_path, start):
    """The error is a ConflictError in this process, and refresh says the same as commit."""
    url = str(tmp_path / "x.zarr")
    make(url)
    with Session() as s:
        ds = s.open_dataset(url, "r+", "d")
        worker.append(ds, 1)
        start().run(f"{opened(url)}; append(ds, 2); ds.commit()")
        for attempt in (ds.commit, ds.refresh):
            with pytest.raises(ConflictError, match="'t' changed"):
                attempt()
        ds.rollback()
        assert ds.refresh() == 2
        assert worker.batches(ds) == [2]
