"""How much memory may be used."""

from __future__ import annotations

import gc
import math
import warnings

import numpy as np
import pytest

from exetera_zarr import DataError, Session, merge, settings
from exetera_zarr.engine.streams.workspace import Workspace
from exetera_zarr.storage.memory import MemoryArray


@pytest.mark.parametrize("wanted", [math.nan, math.inf, "inf", "", "2PB"])
def test_what_is_no_limit_is_an_error_of_ours(wanted):
    with pytest.raises(DataError, match="memory limit"):
        settings.memory_limit(wanted)


@pytest.mark.parametrize(
    ("own", "limited"),
    [
        ("0::/user.slice/job_7\n", "user.slice/job_7/memory.max"),
        ("0::/user.slice/job_7\n", "user.slice/memory.max"),
        ("4:cpu:/\n3:memory,hugetlb:/slurm/job\n", "memory/slurm/job/memory.limit_in_bytes"),
        ("0::/\n", "memory.max"),
        ("", "memory/memory.limit_in_bytes"),
    ],
)
def test_the_limit_of_a_job_counts(tmp_path, monkeypatch, own, limited):
    """A batch job or a service has a control group of its own, below that of the machine."""
    (tmp_path / "cgroup").write_text(own)
    path = tmp_path / limited
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("300000000\n")
    monkeypatch.setattr(settings, "_CGROUPS", str(tmp_path))
    monkeypatch.setattr(settings, "_OWN_CGROUPS", str(tmp_path / "cgroup"))
    assert settings.physical_memory.__wrapped__() == 300_000_000
    path.write_text("max\n")
    assert settings.physical_memory.__wrapped__() > 300_000_000


def test_a_spill_folder_that_cannot_be_used_is_told_at_once(tmp_path):
    """Not by the first operation, hours later, that does not fit."""
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(DataError, match=f"spill_dir.*{place.name}"):
            Session(spill_dir=place)
    with Session(spill_dir=tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_operations_take_the_same_share_of_the_limit(monkeypatch):
    """A quarter stays for blocks on their way to a store, whatever the operation."""
    shares = []
    made = Workspace.__init__

    def making(work, memory=0, *more):
        shares.append(memory)
        made(work, memory, *more)

    monkeypatch.setattr(Workspace, "__init__", making)
    with Session(memory_limit="1GB") as s:
        ds = s.open_dataset("memory://shares", "w", "d")
        table = ds.create_dataframe("t")
        table.create_numeric("a", "int32").data.write([2, 1, 2])
        table.groupby("a").count(ds.create_dataframe("groups"))
        table.describe(output="")
        table.sort_values("a", ds.create_dataframe("sorted"))
        merge(table, table, ds.create_dataframe("merged"), "a", "a")
        s.get_index(table["a"], table["a"])
    assert len(shares) >= 5
    assert set(shares) == {750_000_000}


def test_the_file_of_values_in_memory_is_closed_with_them(tmp_path):
    """By `clear` and with the array, without a ResourceWarning; and it ends where they end."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        arrays = [MemoryArray(np.int64, room=80, folder=str(tmp_path)) for _ in range(2)]
        for array in arrays:
            array.append(np.arange(100))
        assert arrays[0].read(98, 100).tolist() == [98, 99]
        with pytest.raises(EOFError, match="8 bytes"):
            arrays[0].read(99, 101)
        arrays[0].clear()
        arrays[0].append(np.arange(3))
        assert arrays[0].read(0, 3).tolist() == [0, 1, 2]
        del array, arrays
        gc.collect()
    assert [str(one.message) for one in told if one.category is ResourceWarning] == []
    assert list(tmp_path.iterdir()) == []
