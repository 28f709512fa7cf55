"""What workers write, and what is left when they are killed, frozen, or late."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from exetera_zarr import Session
from exetera_zarr.dask import running
from exetera_zarr.errors import DataError, StorageError
from support.dask_faults import strays
from support.dask_tables import as_pandas, make_people

ROWS = 40
ROUNDS, KILLS = 10, 20


@pytest.fixture
def study(tmp_path):
    with Session() as s:
        ds = s.open_dataset(str(tmp_path / "dask.zarr"), "w", "study")
        make_people(ds, ROWS)
        ds.commit()
        yield ds


def files(study: Any) -> set[str]:
    root = Path(study.url)
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def assert_same(table: Any, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        as_pandas(table).reset_index(drop=True), expected.reset_index(drop=True), check_dtype=False
    )


def assert_whole(study: Any, name: str) -> None:
    """The table is what it was made of, is committed, and nothing else is left."""
    assert_same(study[name], as_pandas(study["people"]))
    study.commit()
    assert_same(study[name], as_pandas(study["people"]))
    study.storage.verify()
    assert not [one for one in files(study) if "staged" in one]
    assert all("/.tmp-" in one for one in strays(study))
    study.storage.vacuum(keep=99, orphans_older_than=-1)
    assert not strays(study)


def test_workers_write_what_the_client_reads(client, study):
    table = study.write_dask(study["people"].to_dask(blocks=2), "copy", row_block=7)
    assert_same(table, as_pandas(study["people"]))
    study.write_dask(study["people"].to_dask(), "copy", "append")
    study.commit()
    assert_same(study["copy"], pd.concat([as_pandas(study["people"])] * 2))
    study.storage.verify()
    assert not [one for one in files(study) if "staged" in one]


def test_a_partition_that_does_not_fit_is_named(client, study):
    before = files(study)
    found = study["people"].to_dask(["id", "age"])
    bad = found.map_partitions(halves_after, 20, meta=found._meta)
    with pytest.raises(DataError, match=r"partition [345] of what .*: row 0 .*'id'"):
        study.write_dask(bad, "copy", row_block=3)
    assert files(study) == before
    assert "copy" not in study


def halves_after(part: pd.DataFrame, row: int) -> pd.DataFrame:
    return part if part.index[0] <= row else part.assign(id=part["id"] + 0.5)


def test_an_error_of_the_graph_leaves_nothing(client, study):
    before = files(study)
    found = study["people"].to_dask(["id"])
    bad = found.map_partitions(fails_after, 20, meta=found._meta)
    with pytest.raises(ZeroDivisionError):
        study.write_dask(bad, "copy", row_block=3)
    assert files(study) == before


def test_a_step_that_has_the_meta_of_other_columns_is_told(client, study):
    found = study["people"].to_dask(["id", "age"])
    bad = found.map_partitions(lambda part: part[["id"]], meta=found._meta)
    with pytest.raises(ValueError, match="do not match the columns") as told:
        study.write_dask(bad, "copy")
    assert any("partition " in n and "right meta=" in n for n in told.value.__notes__)


def fails_after(part: pd.DataFrame, row: int) -> pd.DataFrame:
    return part if part.index[0] <= row else part.assign(id=1 // 0)


# -- kills

ONCE = "exetera-once"


def kill_once(where: str, at: str) -> None:
    """Kill this worker when it comes there, unless one was killed already."""
    if at == where:
        try:
            os.close(os.open(os.environ[ONCE], os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)


def arm(marker: str, at: str) -> None:
    """Have a worker kill itself when it comes to a place, for the rest of its life."""
    os.environ[ONCE] = marker
    from exetera_zarr.storage.zarr.jobs import workshop

    kind = workshop.ZarrWorkshop
    stage, place = kind.stage, kind.place
    staged, placed = itertools.count(1), itertools.count(1)

    def staging(self: Any, name: str, arrays: Any) -> Any:
        number = next(staged)
        if number == 1:
            kill_once("before the first object", at)
        if number == 2:
            kill_once("between two objects", at)
        found = stage(self, name, arrays)
        if number == 3:
            kill_once("after the last object, before the receipt", at)
        return found

    def placing(self: Any, *given: Any) -> Any:
        number = next(placed)  # of several at a time
        if number == 2:
            kill_once("between two blocks", at)
        found = place(self, *given)
        if number == 4:
            kill_once("after a block, before it is told", at)
        return found

    kind.stage, kind.place = staging, placing  # type: ignore[method-assign]


PLACES = [
    "before the first object",
    "between two objects",
    "after the last object, before the receipt",
    "between two blocks",
    "after a block, before it is told",
]


@pytest.mark.parametrize(
    "places",
    [
        pytest.param(PLACES[2::2], id="after an object or a block"),
        pytest.param(PLACES[:2] + PLACES[3:4], id="before or between", marks=pytest.mark.slow),
    ],
)
def test_a_worker_that_is_killed_anywhere_changes_nothing(doomed, study, tmp_path, places):
    for number, at in enumerate(places):
        marker = tmp_path / f"killed-{number}"
        doomed.wait_for_workers(2)
        doomed.run(arm, str(marker), at)
        name = f"copy{number}"
        study.write_dask(study["people"].to_dask(), name, row_block=7)
        assert marker.exists(), f"nobody was killed {at}"
        assert_whole(study, name)


@pytest.mark.slow
@pytest.mark.parametrize("round_", range(ROUNDS))
def test_random_kills(doomed, study, round_):
    """A worker is killed at any time of a write: there is the whole table, or none."""
    random = np.random.default_rng(round_)
    write(study, "warm")
    started = time.monotonic()
    write(study, "whole")
    usual = time.monotonic() - started
    outcomes: Counter[str] = Counter()
    for number in range(KILLS):
        wait_for_two(doomed)
        pids = list(doomed.run(os.getpid, on_error="ignore").values())
        pid, killed = int(random.choice(pids)) if pids else 0, threading.Event()
        timer = threading.Timer(random.uniform(0, usual), kill, (pid, killed))
        before, name = files(study), f"copy{number}"
        timer.start()
        try:
            write(study, name)
        except Exception:  # noqa: BLE001 - of any of Dask's
            outcomes["none"] += 1
            assert name not in study
            assert files(study) == before
        else:
            outcomes["whole, after a kill" if killed.is_set() else "whole, before it"] += 1
            assert_whole(study, name)
        finally:
            timer.join()
    print(round_, dict(outcomes))  # noqa: T201


def write(study: Any, name: str) -> None:
    study.write_dask(study["people"].to_dask(), name, row_block=5)


def wait_for_two(client: Any) -> None:
    """Wait until two workers live; one that is killed as it begins has to be made anew."""
    for _ in range(5):
        try:
            client.wait_for_workers(2, timeout=20)
        except TimeoutError:
            client.cluster.scale(len(client.cluster.workers) + 1)
        else:
            return
    raise AssertionError("no two workers live")


def kill(pid: int, killed: threading.Event) -> None:
    """Kill a worker, if it lives."""
    killed.set()
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_two_clients_write_two_tables_and_not_one(client, study):
    with Session() as s:
        other = s.open_dataset(study.url, "r", "reading")
        assert "copy" not in other
        study.write_dask(study["people"].to_dask(["id"]), "copy")
        other.refresh()
        assert "copy" not in other  # before the commit nobody sees it
        study.commit()
        other.refresh()
        assert len(other["copy"]["id"]) == ROWS


def test_a_task_that_comes_after_the_commit_changes_nothing(client, study, monkeypatch):
    """What it would read is gone."""
    held: list[Any] = []
    place_all = running.place_all
    monkeypatch.setattr(
        "exetera_zarr.dask.writing.place_all",
        lambda work: (held.extend(work), place_all(work))[1],
    )
    study.write_dask(study["people"].to_dask(), "copy", row_block=7)
    study.commit()
    before = {one: (Path(study.url) / one).read_bytes() for one in files(study)}
    late = [client.submit(one, pure=False) for one in held]
    for future in late:
        with pytest.raises(StorageError, match="ended"):
            future.result()
    assert {one: (Path(study.url) / one).read_bytes() for one in files(study)} == before
    assert_whole(study, "copy")
