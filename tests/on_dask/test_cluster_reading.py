"""What the workers of a cluster can read, and what is said where they cannot."""

from __future__ import annotations

import pickle
from typing import Any

import pandas as pd
import pytest

from exetera_zarr import Session
from exetera_zarr.dask import WorkerCredentials, clients
from exetera_zarr.errors import (
    AccessDeniedError,
    ArgumentTypeError,
    StorageError,
)
from exetera_zarr.storage.remote.credentials import provider_for
from support.dask_tables import as_pandas, make_people

CANARY = "canary-4c1d9e"


@pytest.fixture
def people(tmp_path):
    with Session() as s:
        ds = s.open_dataset(str(tmp_path / "dask.zarr"), "w", "study")
        table = make_people(ds)
        ds.commit()
        yield table


def keys_of_the_server() -> dict[str, Any]:
    """A provider of credentials, as an institute has one."""
    return {"access_key_id": "test", "secret_access_key": "a-secret-of-tests"}


def has_provider(url: str) -> bool:
    return provider_for(url) is not None


def test_workers_read_what_the_client_reads(client, people):
    pd.testing.assert_frame_equal(people.to_dask().compute(), as_pandas(people))
    found = people.to_dask(["id", "dose"], where=[("age", ">", 20)], index="id")
    assert found["dose"].sum().compute() == pytest.approx(
        as_pandas(people).query("age > 20")["dose"].sum()
    )
    assert people["id"].to_dask_array().sum().compute() == people["id"].data[:].sum()
    assert len(people.to_dask()) == 40


def test_memory_of_one_process_is_told(client):
    with Session() as s:
        ds = s.open_dataset("memory://of-the-client.zarr", "w", "study")
        table = make_people(ds)
        ds.commit()
        with pytest.raises(
            StorageError,
            match=r"2 of 2 workers cannot .*this process alone",
        ):
            table.to_dask()


def test_a_folder_that_workers_have_not_is_told(client, people, monkeypatch):
    """Only the path is known to the workers, where there is nothing."""
    address = people.dataset.storage.address("people")
    moved = type(address)(address.url + "-not-there", address.options, 1, address.digest)
    with pytest.raises(StorageError, match="on a disk that all machines"):
        clients.check_workers(client, moved)


def test_another_release_on_the_workers_is_told(client, people, monkeypatch):
    monkeypatch.setattr(clients, "__version__", "999.0")
    with pytest.raises(StorageError, match=r"it has version .* and this process has 999\.0"):
        people.to_dask()


def test_workers_are_asked_once(client, people, monkeypatch):
    people.to_dask()
    monkeypatch.setattr(client, "run", None)
    people.to_dask(["age"])


@pytest.mark.s3
def test_credentials_stay_where_they_are(client, s3_place):
    """Neither what a task is, nor what the scheduler knows of it, has what the client has."""
    options = {**s3_place.storage_options, "key": "testing", "secret": CANARY}
    with Session() as s:
        ds = s.open_dataset(s3_place.url("x.zarr"), "w", "study", storage_options=options)
        table = make_people(ds)
        ds.commit()
        assert table.to_dask()["id"].sum().compute() == table["id"].sum()  # by the environment
        found = table.to_dask(where=[("id", ">", 3)])
        graph = found.optimize().__dask_graph__()
        shown = f"{found!r}{found.expr.tree_repr()}{graph}{list(graph)}"
        shown += pickle.dumps(found.expr).decode("latin-1") + pickle.dumps(graph).decode("latin-1")
        shown += pickle.dumps(table["id"].to_dask_array().__dask_graph__()).decode("latin-1")
        persisted = found.persist()
        persisted.compute()
        state = client.run_on_scheduler(_state)
        assert CANARY not in shown + state


@pytest.mark.s3
def test_workers_without_credentials_are_named(client, seaweedfs_place):
    """The client has them in its options, which stay there; those of the environment are others."""
    url, options = seaweedfs_place.url("x.zarr"), seaweedfs_place.storage_options
    with Session() as s:
        ds = s.open_dataset(url, "w", "study", storage_options=options)
        table = make_people(ds)
        ds.commit()
        with pytest.raises(AccessDeniedError, match="WorkerCredentials") as caught:
            table.to_dask()
        assert "secret" in str(caught.value)
        assert options["secret"] not in repr(caught.value)
        plugin = WorkerCredentials(seaweedfs_place.prefix, keys_of_the_server)
        client.register_plugin(plugin)
        assert table.to_dask()["id"].sum().compute() == table["id"].sum()
        client.unregister_worker_plugin(plugin.name)
        assert not any(client.run(has_provider, seaweedfs_place.prefix).values())


def _state(dask_scheduler: Any = None) -> str:
    state = dask_scheduler.tasks
    found = [f"{key}{task.run_spec}" for key, task in state.items()]
    return "".join(found) + pickle.dumps([t.run_spec for t in state.values()]).decode("latin-1")


def test_credentials_themselves_are_no_provider():
    with pytest.raises(ArgumentTypeError, match="not sent"):
        WorkerCredentials("s3://study", {"access_key_id": "a", "secret_access_key": CANARY})  # type: ignore[arg-type]
    with pytest.raises(ArgumentTypeError, match="module:function"):
        WorkerCredentials("s3://study", "vault")
    plugin = WorkerCredentials("s3://study", "exetera_zarr.dask:nothing")
    assert "nothing" not in repr(plugin)
