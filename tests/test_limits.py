"""How much memory may be used."""

from __future__ import annotations

import math

import pytest

from exetera_zarr import DataError, limits


@pytest.mark.parametrize("wanted", [math.nan, math.inf, "inf", "", "2PB"])
def test_what_is_no_limit_is_an_error_of_ours(wanted):
    with pytest.raises(DataError, match="memory limit"):
        limits.memory_limit(wanted)


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
    monkeypatch.setattr(limits, "_CGROUPS", str(tmp_path))
    monkeypatch.setattr(limits, "_OWN_CGROUPS", str(tmp_path / "cgroup"))
    assert limits.physical_memory() == 300_000_000
    path.write_text("max\n")
    assert limits.physical_memory() > 300_000_000
