"""What every test can ask for."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from exetera_zarr.testing import servers
from exetera_zarr.testing.servers import S3Server

settings.register_profile(
    "ci", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("nightly", parent=settings.get_profile("ci"), max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

BACKENDS = ("local", "memory", "s3", "hdf5")
# What a back end does, rather than what is done with it: the rest is tested on HDF5 files by
# `--backends hdf5`, for the sake of the suite's time.
HDF5_TOO = {"test_converting", "test_machine", "test_older_scripts", "test_tables"}


@dataclass(frozen=True)
class Place:
    """Where a test may put datasets: `place.url("study.zarr")`, and what opening one needs."""

    backend: str
    prefix: str
    storage_options: dict[str, Any] = field(default_factory=dict)

    def url(self, name: str) -> str:
        if self.backend == "hdf5":
            name = name.replace(".zarr", ".hdf5")
        return f"{self.prefix}/{name}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backends",
        help=f"comma-separated places that the `place` fixture runs over, of {', '.join(BACKENDS)}",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "place" not in metafunc.fixturenames:
        return
    option = metafunc.config.getoption("--backends")
    chosen = [name.strip() for name in (option or "local,memory,s3").split(",")]
    if option is None and metafunc.module.__name__.rpartition(".")[2] in HDF5_TOO:
        chosen.append("hdf5")
    if unknown := set(chosen) - set(BACKENDS):
        raise pytest.UsageError(f"unknown back ends {sorted(unknown)}; there are {BACKENDS}")
    if metafunc.definition.get_closest_marker("zarr"):
        chosen = [name for name in chosen if name != "hdf5"]
    marks = {"s3": [pytest.mark.s3]}
    metafunc.parametrize(
        "place",
        [pytest.param(name, marks=marks.get(name, ())) for name in chosen],
        indirect=True,
    )


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 server that lives as long as the test session."""
    with servers.s3_server() as server:
        yield server


@pytest.fixture
def s3_place(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A bucket of its own on the test session's S3 server."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs = pytest.importorskip("s3fs")
    options = s3_server.storage_options
    bucket = f"test-{uuid.uuid4().hex}"
    s3fs.S3FileSystem(**options).mkdir(bucket)
    s3_server.requests.clear()
    return Place("s3", f"s3://{bucket}", options)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty place on each back end that the run chose."""
    match request.param:
        case "local":
            return Place("local", str(tmp_path))
        case "memory":
            return Place("memory", f"memory://{uuid.uuid4().hex}")
        case "hdf5":
            pytest.importorskip("h5py")
            return Place("hdf5", str(tmp_path))
        case _:
            found: Place = request.getfixturevalue("s3_place")
            return found
