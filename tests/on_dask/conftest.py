"""Clusters, which take a second to start and so are shared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from support.clusters import local_cluster
from support.proxy import FaultProxy, fault_proxy

pytest.importorskip("dask.dataframe")
pytest.importorskip("distributed")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """Two workers of one thread each, in processes of their own."""
    with local_cluster(memory_limit="1GB") as made:
        yield made


@pytest.fixture
def client(cluster: Any) -> Iterator[Any]:
    """A client, on which collections run while it is there."""
    from distributed import Client

    with Client(cluster) as made:
        yield made


@pytest.fixture
def doomed() -> Iterator[Any]:
    """A client of a cluster of its own, whose workers do not outlive the test as they were."""
    from distributed import Client

    with (
        # Nor for half a minute for one that was killed.
        local_cluster({"distributed.comm.timeouts.connect": "5s"}) as made,
        Client(made) as found,
    ):
        yield found


@dataclass(frozen=True)
class FarPlace:
    """A place on a real server by way of a proxy, which the workers of a cluster reach as well."""

    url: str
    storage_options: dict[str, Any]
    proxy: FaultProxy


def keys_of_the_server() -> dict[str, Any]:
    """A provider of credentials, as an institute has one."""
    return {"access_key_id": "test", "secret_access_key": "a-secret-of-tests"}


@pytest.fixture
def far_place(client: Any, seaweedfs_place: Any, seaweedfs_server: Any) -> Iterator[FarPlace]:
    """A place for a dataset of which all requests are counted, and may fail."""
    from exetera_zarr.dask import WorkerCredentials

    plugin = WorkerCredentials(seaweedfs_place.prefix, keys_of_the_server)
    client.register_plugin(plugin)
    with fault_proxy(seaweedfs_server.endpoint) as proxy:
        options = seaweedfs_server.at(proxy.endpoint).storage_options
        yield FarPlace(seaweedfs_place.url("x.zarr"), options, proxy)
    client.unregister_worker_plugin(plugin.name)
