"""icechunk: arrays that grow together; needs Python 3.12."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import icechunk
import zarr

from benchmarks.contestants.growing import Columns, Growing, Place, tasks_of

CHUNK = 1 << 16


class Icechunk(Growing):
    """A repository with an array for each column."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        bucket = place.bucket
        self.storage: Any = (
            icechunk.local_filesystem_storage(place.path)
            if bucket is None
            else icechunk.s3_storage(
                bucket=bucket.name,
                prefix=place.path,
                endpoint_url=bucket.endpoint_url,
                access_key_id=bucket.key,
                secret_access_key=bucket.secret,
                region="us-east-1",
                allow_http=True,
                force_path_style=True,
            )
        )

    def create(self, rows: Columns) -> None:
        session = icechunk.Repository.create(self.storage).writable_session("main")
        group = zarr.create_group(session.store)
        for name, values in rows.items():
            group.create_array(name, data=values, chunks=(CHUNK,))
        session.commit("create")

    def append(self, rows: Columns) -> None:
        session = icechunk.Repository.open(self.storage).writable_session("main")
        group = zarr.open_group(session.store, mode="r+")
        for name, values in rows.items():
            group[name].append(values)  # type: ignore[union-attr]
        session.commit("append")

    def read(self, names: Sequence[str] | None = None, day: int | None = None) -> Columns:
        session = icechunk.Repository.open(self.storage).readonly_session("main")
        group = zarr.open_group(session.store, mode="r")
        found: Any = {name: group[name] for name in names or group.array_keys()}
        return {name: array[:] for name, array in found.items()}


TASKS = tasks_of(Icechunk)
CANNOT: dict[str, str] = {}
