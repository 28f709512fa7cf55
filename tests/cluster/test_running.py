"""What runs on a cluster and what does not; what is left when a worker dies or a task fails."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exetera_zarr import Session
from exetera_zarr.cluster import deciding
from exetera_zarr.errors import ArgumentTypeError, StorageError
from support.clusters import local_cluster
from support.verbs import assert_same_table, make_study


def files(ds: Any) -> set[str]:
    root = Path(ds.url)
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def doomed():
    """A cluster of its own, as its workers do not outlive the test as they were."""
    from distributed import Client

    with (
        local_cluster() as made,
        Client(made, set_as_default=False, timeout="30s") as client,
    ):
        yield client


def arm(marker: str, method: str, calls: int) -> None:
    """Have this worker kill itself at a call of its workshop, unless another one was killed."""
    from exetera_zarr.storage.zarr.jobs import workshop

    kind, counted = workshop.ZarrWorkshop, []
    whole = getattr(kind, method)

    def call(self: Any, *given: Any) -> Any:
        found = whole(self, *given)
        counted.append(1)
        if len(counted) == calls:
            try:
                os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return found
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    setattr(kind, method, call)


@pytest.mark.parametrize("method", ["place", pytest.param("stage", marks=pytest.mark.slow)])
def test_a_worker_that_is_killed_changes_nothing(doomed, tmp_path, method):
    made = []
    for cluster, side in ((doomed, "there"), (None, "here")):
        with Session(cluster=cluster) as s:
            ds = s.open_dataset(str(tmp_path / f"{side}.zarr"), "w")
            table = make_study(ds, "visits", 300, 16, 1)
            ds.commit()
            if cluster is not None:
                marker = tmp_path / "killed"
                doomed.run(arm, str(marker), method, 3)
            table.apply_filter(table["well"])
            if cluster is not None:
                assert marker.exists(), "nobody was killed"
            ds.commit()
            ds.storage.verify()
            assert not [one for one in files(ds) if "staged" in one]
        made.append(Session().open_dataset(str(tmp_path / f"{side}.zarr"))["visits"])
    assert_same_table(*made)


def fail_to_place() -> None:
    """Have this worker fail to place any block."""
    from exetera_zarr.storage.zarr.jobs import workshop

    def place(*_given: Any) -> Any:
        raise OSError(28, "No space left on device")

    workshop.ZarrWorkshop.place = place  # type: ignore[method-assign]


@pytest.mark.slow
def test_an_error_of_a_worker_leaves_the_draft_as_it_was(doomed, tmp_path):
    with Session(cluster=doomed) as s:
        ds = s.open_dataset(str(tmp_path / "d.zarr"), "w")
        table = make_study(ds, "visits", 300, 16, 1)
        ds.commit()
        doomed.run(fail_to_place)
        before, rows = files(ds), table["id"].data[:]
        with pytest.raises(OSError, match="No space left"):
            table.sort_values("id")
        assert files(ds) == before
        np.testing.assert_array_equal(table["id"].data[:], rows)
        ds.commit()
        ds.storage.verify()


def test_what_runs_here_all_the_same_is_told_once(twins, caplog):
    (ds, _) = twins(("small", 20, 16, 1), ("changed", 200, 16, 1))
    ds["changed"]["age"].data[0] = 3
    deciding._said.clear()
    with caplog.at_level(logging.INFO, "exetera_zarr.cluster"):
        for name in ("small", "changed"):
            for number in range(2):
                found = ds[name].apply_filter(
                    ds[name]["well"], ds.create_dataframe(f"{name}{number}")
                )
                assert found.length() == int(ds[name]["well"].data[:].sum())
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert "below 4 row blocks" in told[0]
    assert "changes that are not committed" in told[1]


def test_a_dataset_in_memory_is_worked_on_here(client):
    with Session(cluster=client) as s:
        table = make_study(s.open_dataset("memory://cluster.zarr", "w"), "visits", 100, 8, 1)
        table.dataset.commit()
        kept = int(table["well"].data[:].sum())
        assert table.apply_filter(table["well"]).length() == kept


def test_a_cluster_that_is_none_is_refused_at_once():
    with pytest.raises(ArgumentTypeError, match="not a int"):
        Session(cluster=3)
    with pytest.raises(StorageError, match="no scheduler of Dask's answers at nonsense"):
        Session(cluster="nonsense://nowhere:1")


SCRIPT = """
import sys
from exetera.core.session import Session

with Session() as s:
    ds = s.open_dataset(sys.argv[1], "r+", "d")
    visits = ds["visits"]
    visits.sort_values("id", ds.create_dataframe("sorted"))
    print(s.settings.cluster is not None, ds["sorted"]["id"].data[:].tolist())
"""


def test_a_script_of_exetera_runs_on_a_cluster_as_it_is(client, tmp_path):
    with Session() as s:
        ds = s.open_dataset(str(tmp_path / "d.zarr"), "w")
        ids = np.arange(100) * 37 % 101
        ds.create_dataframe("visits", row_block=9).create_numeric("id", "int64").data.write(ids)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    address = client.scheduler.address
    arguments = ["run", "--cluster", address, str(script), str(tmp_path / "d.zarr")]
    command = [sys.executable, "-c", "from exetera_zarr.cli import main; main()", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"True {sorted(ids.tolist())}"
