"""What else befalls those who write: full disks, servers, shuffles, clients, frozen workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from exetera_zarr import Session
from exetera_zarr.dask import jobs
from exetera_zarr.errors import StorageError
from support import dask_faults
from support.dask_faults import CLIENT_ENDS, strays, wait_until
from support.dask_tables import as_pandas, make_people
from support.rules import LOSE, PASS, answer, burst, nth, only

ROWS = 40
TIMEOUT = 60.0


@pytest.fixture
def study(tmp_path):
    with Session() as s:
        ds = s.open_dataset(str(tmp_path / "dask.zarr"), "w", "study")
        make_people(ds, ROWS)
        ds.commit()
        yield ds


def assert_same(table: Any, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        as_pandas(table).reset_index(drop=True), expected.reset_index(drop=True), check_dtype=False
    )


def assert_clean(study: Any) -> None:
    """All that is said to be there is, and what a vacuum leaves is of a version."""
    study.verify()
    study.storage.vacuum(keep=99, orphans_older_than=-1)
    assert not strays(study)
    study.verify()


# -- disks


@pytest.mark.parametrize(
    ("part", "number"),
    [
        pytest.param("/staged/", 2, id="second staged object"),
        pytest.param("/c/.tmp-", 4, id="fourth block"),
    ],
)
def test_a_disk_that_is_full_for_workers_changes_nothing(client, study, part, number):
    """The error says so; what was written is removed; with room, the same call succeeds."""
    before = {entry.key for entry in study.storage.draft.store.everything("")}
    client.run(dask_faults.fill_disk, part, number)
    try:
        with pytest.raises(StorageError, match="no room left"):
            study.write_dask(study["people"].to_dask(), "copy", row_block=7)
    finally:
        client.run(dask_faults.free_disk)
    assert "copy" not in study
    assert {entry.key for entry in study.storage.draft.store.everything("")} == before
    study.write_dask(study["people"].to_dask(), "copy", row_block=7)
    study.commit()
    assert_same(study["copy"], as_pandas(study["people"]))
    assert_clean(study)


# -- servers


@pytest.fixture
def far_study(far_place):
    """A dataset on a real server, and the proxy before it."""
    with Session() as s:
        options = far_place.storage_options
        ds = s.open_dataset(far_place.url, "w", "study", storage_options=options)
        make_people(ds, ROWS)
        ds.commit()
        yield ds, far_place.proxy


@pytest.mark.s3
def test_servers_that_refuse_for_a_while_are_asked_again(client, far_study):
    """Workers meet 503s when they stage, read and place, and the client loses two replies."""
    study, proxy = far_study
    stage = only(burst(3), "PUT", "/staged/")
    place = only(nth(2, LOSE), "PUT", "/copy/.*/c/")
    read = only(burst(2), "GET", "/staged/")
    commit = only(nth(1, LOSE), "PUT", "/commits/")
    rules = (stage, place, read, commit)
    proxy.rule = lambda request: next(
        (action for action in (rule(request) for rule in rules) if action is not PASS), PASS
    )
    study.write_dask(study["people"].to_dask(), "copy", row_block=7)
    version = study.version
    assert study.commit() == version + 1
    asked = [one for one in proxy.log if one.action is not PASS]
    assert [one.action for one in asked].count(LOSE) == 2
    assert len(asked) == 7
    assert_same(study["copy"], as_pandas(study["people"]))
    assert next(iter(study.history())).version == version + 1
    assert_clean(study)


@pytest.fixture
def in_a_hurry(client):
    """Neither the client nor its workers wait long for a server."""
    dask_faults.hurry()
    client.run(dask_faults.hurry)
    yield
    dask_faults.relax()
    client.run(dask_faults.relax)


def is_staging(request: Any) -> bool:
    return request.verb == "PUT" and "/staged/" in request.path


def is_tidying(request: Any) -> bool:
    return request.kind == "LIST" and "staged" in request.query


@pytest.mark.s3
@pytest.mark.slow
def test_servers_that_refuse_for_good_change_nothing(far_study, in_a_hurry):
    """What is told is what the worker met, also where not even its remains can be removed."""
    study, proxy = far_study
    down = answer(503)
    proxy.rule = lambda request: down if is_staging(request) else PASS
    with pytest.raises(StorageError, match=r"partition . of what .* Service Unavailable"):
        study.write_dask(study["people"].to_dask(), "copy", row_block=7)
    assert not strays(study)
    staged = only(burst(100, after=4), "PUT", "/staged/")
    proxy.rule = lambda request: down if is_tidying(request) else staged(request)
    with pytest.raises(StorageError, match="Service Unavailable") as caught:
        study.write_dask(study["people"].to_dask(), "copy", row_block=7)
    assert "/staged/" in str(caught.value)
    assert any("until a vacuum" in note for note in caught.value.__notes__)
    assert "copy" not in study
    proxy.rule = lambda request: down if is_tidying(request) else PASS
    with pytest.warns(RuntimeWarning, match="until a vacuum"):
        study.write_dask(study["people"].to_dask(), "copy", row_block=7)
    study.commit()
    proxy.rule = lambda _: PASS
    assert strays(study)
    assert_same(study["copy"], as_pandas(study["people"]))
    assert_clean(study)


# -- kills


@pytest.mark.parametrize(
    "at", ["unpacks", *(pytest.param(at, marks=pytest.mark.slow) for at in ("sends", "receives"))]
)
def test_a_worker_that_is_killed_in_a_shuffle_loses_no_row(doomed, study, tmp_path, at):
    """What the shuffle feeds to the write is there once, though parts of it were made twice."""
    marker = tmp_path / "killed"
    doomed.run(dask_faults.die_in_shuffle, str(marker), at)
    found = study["people"].to_dask().reset_index().rename(columns={"index": "row"})
    shuffled = found.shuffle("id", npartitions=5)
    study.write_dask(shuffled, "copy", row_block=7)
    assert marker.exists(), "nobody was killed"
    study.commit()
    copied = as_pandas(study["copy"]).sort_values("row")
    assert copied.pop("row").tolist() == list(range(ROWS))
    expected = as_pandas(study["people"])
    pd.testing.assert_frame_equal(copied.reset_index(drop=True), expected, check_dtype=False)
    assert_clean(study)


def test_a_worker_that_is_killed_within_a_block_leaves_what_a_vacuum_removes(
    doomed, study, tmp_path
):
    """A file that was to be renamed is no object of anything."""
    marker = tmp_path / "killed"
    doomed.run(dask_faults.die_in_shuffle, str(marker), "creates")
    study.write_dask(study["people"].to_dask(), "copy", row_block=7)
    assert marker.exists(), "nobody was killed"
    study.commit()
    assert_same(study["copy"], as_pandas(study["people"]))
    assert strays(study)
    assert_clean(study)


@pytest.mark.parametrize(
    "at",
    [
        pytest.param(at, marks=() if at == "when blocks are being placed" else pytest.mark.slow)
        for at in CLIENT_ENDS
    ],
)
def test_a_client_that_is_killed_leaves_the_version_before_or_after(client, tmp_path, at):
    """Its workers go on for a while; what they write nobody looks at."""
    url = str(tmp_path / "dask.zarr")
    with Session() as s:
        make_people(s.open_dataset(url, "w", "study"), ROWS)
    script = Path(dask_faults.__file__)
    ended = subprocess.run(
        [sys.executable, str(script), client.scheduler.address, url, at],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    wait_until(lambda: not client.run_on_scheduler(count_tasks), "the scheduler forgets its tasks")
    wait_until(lambda: not any(client.run(count_writing).values()), "workers have ended")
    with Session() as s:
        study = s.open_dataset(url, "r+", "study")
        assert study.version == 1 + (at == "after the manifest")
        assert ("copy" in study) == (at == "after the manifest")
        if at not in ("when partitions are being staged", "after the manifest"):
            assert strays(study), "nothing had been written yet"
        if "copy" in study:
            assert_same(study["copy"], as_pandas(study["people"]))
        assert_clean(study)
        study.write_dask(study["people"].to_dask(), "copy", "replace", row_block=5)
        study.commit()
        assert_same(study["copy"], as_pandas(study["people"]))
        assert_clean(study)


def count_tasks(dask_scheduler: Any = None) -> int:
    return len(dask_scheduler.tasks)


def count_writing() -> int:
    return sum(jobs._active.values())


# -- workers that freeze


@contextmanager
def without_nannies() -> Any:
    """A client of two workers that nobody starts again, and their processes."""
    import dask
    from distributed import Client, LocalCluster

    code = "from distributed.cli.dask_worker import main; main()"
    options = ["--no-nanny", "--nthreads", "1", "--no-dashboard"]
    with (
        dask.config.set({"distributed.scheduler.worker-ttl": "10s"}),
        LocalCluster(n_workers=0, dashboard_address=":0") as made,
        Client(made) as client,
    ):
        workers = [
            subprocess.Popen(
                [sys.executable, "-c", code, made.scheduler_address, *options],
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
            for _ in range(2)
        ]
        try:
            client.wait_for_workers(2, timeout=TIMEOUT)
            yield client, workers
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()


def freezes(pid: int, verb: str) -> None:
    """Have one worker stop itself before it first stages or places."""
    if os.getpid() != pid:
        return
    from exetera_zarr.storage.zarr.jobs import workshop

    kind: Any = workshop.ZarrWorkshop
    called = getattr(kind, verb)

    def calling(*given: Any) -> Any:
        setattr(kind, verb, called)
        os.kill(os.getpid(), signal.SIGSTOP)
        return called(*given)

    setattr(kind, verb, calling)


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["stage", "place"])
def test_a_worker_that_wakes_up_after_the_commit_changes_nothing(study, verb):
    """Without a nanny, one that was taken for dead goes on where it was frozen."""
    expected = as_pandas(study["people"])
    with without_nannies() as (client, workers):
        frozen = min(client.run(os.getpid).values())
        woken = next(worker for worker in workers if worker.pid == frozen)
        client.run(freezes, frozen, verb)
        study.write_dask(study["people"].to_dask(), "copy", row_block=7)
        study.commit()
        before = objects(study)
        with reading_all_the_time(study.url, expected) as readings:
            enough = len(readings)
            os.kill(frozen, signal.SIGCONT)
            with suppress(subprocess.TimeoutExpired):  # it ends, as nobody knows it any more
                woken.wait(timeout=20)
            wait_until(lambda: len(readings) > enough + 3, "others read")
        after = objects(study)
        assert {key: data for key, data in after.items() if key in before} == before
        assert all("staged" in key for key in after.keys() - before.keys())
        assert_same(study["copy"], expected)
        assert_clean(study)


def objects(study: Any) -> dict[str, bytes]:
    """All that is there, but for files that are no objects yet."""
    store = study.storage.draft.store
    found = {entry.key for entry in store.everything("") if ".tmp-" not in entry.key}
    return {key: store.get(key) for key in found}


@contextmanager
def reading_all_the_time(url: str, expected: pd.DataFrame) -> Any:
    """Another session opens and reads the copy again and again; each time it is whole."""
    readings: list[int] = []
    problems: list[BaseException] = []
    ended = threading.Event()

    def read() -> None:
        try:
            while not ended.is_set():
                with Session() as s:
                    ds = s.open_dataset(url, "r", "reading")
                    assert_same(ds["copy"], expected)
                    readings.append(ds.version)
        except BaseException as error:  # noqa: BLE001 - it is raised by who asked for this
            problems.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield readings
    finally:
        ended.set()
        thread.join(TIMEOUT)
    assert not problems, problems[0]


@pytest.mark.slow
def test_a_worker_that_is_frozen_is_not_waited_for_for_ever(study):
    """It is asked before a job whether it can read; once it is taken for dead the job goes on."""
    with without_nannies() as (_, workers):
        os.kill(workers[0].pid, signal.SIGSTOP)
        done = threading.Event()
        thread = threading.Thread(
            target=lambda: (study["people"].to_dask().sum(numeric_only=True), done.set()),
            daemon=True,
        )
        thread.start()
        assert done.wait(TIMEOUT), "to_dask() waits for a worker that does not answer"
