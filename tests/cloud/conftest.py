"""Real servers behind a fault proxy, and clients in a hurry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from fsspec import AbstractFileSystem
from fsspec.asyn import AsyncFileSystem
from zarr.core import sync as zarr_sync

from exetera_zarr.storage.remote import requests
from support.proxy import FaultProxy, fault_proxy
from support.rules import PASS


@dataclass(frozen=True)
class Bucket:
    """A place on a server, directly and by way of a proxy."""

    prefix: str
    direct: dict[str, Any]
    options: dict[str, Any]
    proxy: FaultProxy

    def url(self, name: str = "study.zarr") -> str:
        return f"{self.prefix}/{name}"

    def fine(self) -> None:
        """Nothing goes wrong any more, and nothing has been asked."""
        self.proxy.rule = lambda _: PASS
        self.proxy.clear()


@contextmanager
def behind_proxy(request: pytest.FixtureRequest, name: str) -> Iterator[Bucket]:
    """A place of its own on a server, by way of a proxy of its own."""
    place = request.getfixturevalue(f"{name}_place")
    server = request.getfixturevalue(f"{name}_server")
    with fault_proxy(server.endpoint) as proxy:
        options = server.at(proxy.endpoint).storage_options
        yield Bucket(place.prefix, place.storage_options, options, proxy)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The patience of a test: as many tries as ever, in less time."""
    quick = {"deadline": 20.0, "first_contact": 2.0, "shortest": 0.001, "longest": 0.02}
    for name, value in quick.items():
        monkeypatch.setattr(requests.patience, name, value)


@pytest.fixture(autouse=True)
def no_clients_stay() -> Iterator[None]:
    """
    Have fsspec keep no file system for addresses that nobody asks again.

    Each is tens of thousands of objects, through which all searches for garbage have to go.
    """
    yield
    kinds = [AbstractFileSystem]
    for kind in kinds:
        for kept in kind._cache.values():
            if isinstance(kept, AsyncFileSystem) and kept.asynchronous:
                zarr_sync.sync(_close(kept))
        kind.clear_instance_cache()
        kinds += kind.__subclasses__()


async def _close(fs: Any) -> None:
    """Close the connections of a file system of zarr's own, which fsspec leaves to its user."""
    if (client := getattr(fs, "_s3creator", None)) is not None:
        await client.__aexit__(None, None, None)
    elif (session := getattr(fs, "_session", None)) is not None:
        await session.close()


@pytest.fixture(
    params=[
        pytest.param("seaweedfs", marks=pytest.mark.s3),
        pytest.param("gcs", marks=pytest.mark.gcs),
    ]
)
def bucket(request: pytest.FixtureRequest) -> Iterator[Bucket]:
    """A place of its own on each kind of real server, behind a proxy of its own."""
    with behind_proxy(request, request.param) as found:
        yield found


@pytest.fixture
def s3_bucket(request: pytest.FixtureRequest) -> Iterator[Bucket]:
    """A place of its own on the real S3 server alone."""
    with behind_proxy(request, "seaweedfs") as found:
        yield found
