"""Systems that lack what Linux has: simulated, by taking it away before anything is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

WITHOUT = """
import os, sys
GONE = ["register_at_fork", "sysconf", "preadv", "pread", "pwritev", "pwrite", "O_DIRECTORY",
        "fork", "posix_fallocate", "sched_getaffinity"]
import numpy, tempfile, threading, concurrent.futures, subprocess, shutil, glob, pathlib, random
import importlib
for name in ("zarr", "numcodecs", "h5py", "fsspec", "pyarrow", "duckdb"):
    importlib.import_module(name)  # which know their systems themselves
sys.modules["fcntl"] = None
for name in GONE:
    if hasattr(os, name):
        delattr(os, name)
if LINKS is False:
    del os.link
import exetera_zarr
from exetera_zarr import Session, settings
from exetera_zarr.storage import system
from exetera_zarr.storage.memory import MemoryArray
assert system.fcntl is None
system.SYNCS_FOLDERS = system.MOVES_OPEN_FILES = False
real_open = os.open
def opened(path, *given, **more):
    temporary = given and given[0] & os.O_TMPFILE == os.O_TMPFILE
    assert temporary or not os.path.isdir(path), f"folders are not opened: {path}"
    return real_open(path, *given, **more)
"""
WORK = """
import numpy as np, sys
assert settings.physical_memory() > 0
system.os.open = opened
url = sys.argv[1]
def run(rows):
    with Session(row_block=100) as s:
        ds = s.open_dataset(url, "a", "d")
        t = ds.require_dataframe("t")
        for n in range(3):
            name = f"f{len(t.keys())}"
            t.create_numeric(name, "int64").data.write(np.arange(rows))
            t[name].data[3] = 7
            t.create_indexed_string(name + "s").data.write([str(i) for i in range(rows)])
            ds.commit()
        t["f0"].data[0] = n
        ds.rollback()
        del t["f0"]
        ds.vacuum()
        ds.verify()
run(1_000)
with Session() as s:
    t = s.open_dataset(url, "r", "d")["t"]
    assert len(t["f2"].data) == 1_000 and t["f2"].data[3] == 7 and t["f2s"].data[9] == "9"
with Session() as s:
    s.open_dataset(url, "w", "d").create_dataframe("u")
    assert s.datasets["d"].commit() > 0
    assert s.datasets["d"].keys() == ["u"]
a = MemoryArray("int64", room=100)
a.append(np.arange(1000)); a.write(5, np.array([1, 2])); a.append(np.arange(5))
assert a.read(0, 8).tolist() == [0, 1, 2, 3, 4, 1, 2, 7] and len(a.read(0, len(a))) == 1005
import threading
with Session() as s:
    ds = s.open_dataset(url, "r+", "d")
    threads = [threading.Thread(target=lambda n=n: ds.create_dataframe(f"x{n}")) for n in range(8)]
    [t.start() for t in threads]; [t.join() for t in threads]
with Session() as s:
    assert len(s.open_dataset(url, "r", "d").keys()) == 9
print("done")
"""


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("suffix", ["zarr", "hdf5"])
def test_local_datasets_on_a_system_without_locks_and_folders_to_sync(tmp_path, suffix, links):
    if suffix == "zarr" and not links:
        pytest.skip("without links such a system renames, and does not replace; Linux would")
    script = WITHOUT.replace("LINKS", repr(links)) + WORK
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / f"x.{suffix}")],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
