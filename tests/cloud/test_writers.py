"""Many processes that append to one table in a bucket, and others that read it all along."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import exetera_zarr
from exetera_zarr import Session
from support import worker


@contextmanager
def processes(*tasks: str) -> Iterator[list[subprocess.Popen[str]]]:
    """Other processes, each of which runs a line of Python."""
    started = [
        subprocess.Popen(
            [sys.executable, worker.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(exetera_zarr.__file__).parents[1])},
        )
        for _ in tasks
    ]
    try:
        for process, task in zip(started, tasks, strict=True):
            assert process.stdin is not None
            process.stdin.write(json.dumps(task) + "\n")
            process.stdin.close()
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def result(process: subprocess.Popen[str]) -> Any:
    """What a process has found, once it has."""
    assert process.stdout is not None
    reply = json.loads(process.stdout.readline())
    assert "error" not in reply, reply["trace"]
    return reply["result"]


def fill(url: str, options: dict[str, Any], chunks: int) -> list[int]:
    """A table of so many chunks a column; its batches."""
    numbers = list(range(chunks * 16 // worker.ROWS + 1))
    with Session() as s:
        ds = s.open_dataset(url, "x", "d", storage_options=options)
        worker.create(ds)
        for number in numbers:
            worker.append(ds, number)
    return numbers


def stampede(
    bucket: Any,
    stop: Path,
    *,
    writers: int,
    commits: int,
    chunks: int,
    seconds: float = 0.0,
) -> None:
    """Writers that append as fast as they can, two readers, and what is there in the end."""
    url, options, began = bucket.url(), bucket.direct, time.monotonic()
    filled = fill(url, options, chunks)
    watching = f"result = watch({url!r}, {options}, {str(stop)!r}, {len(filled)})"
    plans = [[1000 * (n + 1) + k for k in range(commits)] for n in range(writers)]
    appending = [f"result = append_all({url!r}, {options}, {plan})" for plan in plans]
    with processes(*appending, watching, watching) as running:
        done = [result(process) for process in running[:writers]]
        # How long they are watched at least is what `seconds` asks for.
        time.sleep(max(0.0, began + seconds - time.monotonic()))
        stop.touch()
        seen = [result(process) for process in running[writers:]]
    lost = sum(lost for _, lost in done)
    print(f"{time.monotonic() - began:.1f} s, {lost} conflicts, {seen}")  # noqa: T201
    assert lost == 0  # appends go together
    by_version = {version: number for acknowledged, _ in done for number, version in acknowledged}
    assert sorted(by_version) == list(range(2, 2 + writers * commits))
    with Session() as s:
        ds = s.open_dataset(url, "r", "d", storage_options=options)
        assert worker.batches(ds) == filled + [by_version[v] for v in sorted(by_version)]
        ds.verify()
    for versions, late, opens in seen:
        assert versions[-1] == 1 + writers * commits
        assert late == 0
        assert opens > 1


def test_writers_and_readers(s3_bucket, tmp_path):
    """Each commit that was acknowledged is there, once and in one piece; no read is torn."""
    stampede(s3_bucket, tmp_path / "stop", writers=3, commits=4, chunks=3)


@pytest.mark.slow
def test_writers_and_readers_of_each(bucket, tmp_path):
    """The same on Google's as well."""
    stampede(bucket, tmp_path / "stop", writers=3, commits=4, chunks=3)


@pytest.mark.slow
@pytest.mark.parametrize("writers", [8, 25])
def test_many_writers(s3_bucket, tmp_path, writers):
    """The same with 25 appends each to 40 chunks a column, read for half a minute and longer."""
    stampede(s3_bucket, tmp_path / "stop", writers=writers, commits=25, chunks=40, seconds=30.0)
