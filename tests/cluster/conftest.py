"""Two workers for the tests of verbs, and sessions that are alike but for them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from support.clusters import local_cluster
from support.verbs import make_study

pytest.importorskip("dask.dataframe")
pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Two workers of one thread each, in processes of their own."""
    from distributed import Client

    with (
        local_cluster(memory_limit="1GB") as made,
        Client(made, set_as_default=False, timeout="30s") as client,
    ):
        yield client


@pytest.fixture(scope="module")
def twins(client: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Makes two datasets that are alike, of a session on the cluster and of one without."""
    from exetera_zarr import Session

    counted = itertools.count()
    with Session(cluster=client) as there, Session() as here:

        def make(*tables: tuple[str, int, int, int]) -> list[Any]:
            place, found = tmp_path_factory.mktemp("twins"), []
            for session, side in ((there, "there"), (here, "here")):
                name = f"{side}-{next(counted)}"
                url = str(place / f"{side}.zarr")
                ds = session.open_dataset(url, "w", name, durability="none")
                for table in tables:
                    make_study(ds, *table)
                ds.commit()
                found.append(ds)
            return found

        yield make
