"""zarr-python over s3fs or obstore: an array of one chunk for each column, in one group."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import zarr
from zarr.storage import FsspecStore, ObjectStore

from benchmarks.contestants.bucket import COUNTS, IN_FLIGHT, Bucket, Shape

zarr.config.set({"async.concurrency": IN_FLIGHT})


def store_of(bucket: dict[str, str], path: Path | str, client: str, *, read_only: bool) -> Any:
    place = Bucket(**bucket)
    if client == "obstore":
        return ObjectStore(place.obstore(str(path)), read_only=read_only)
    filesystem = place.filesystem(asynchronous=True)
    return FsspecStore(filesystem, path=f"{place.name}/{path}", read_only=read_only)


def read(
    k: int,
    inputs: Path,
    output: Path,
    *,
    bucket: dict[str, str],
    client: str,
    metadata: str = "plain",
    **options: Any,
) -> dict[str, Any]:
    """Columns by their names: of a table that is listed first, by one document, or directly."""
    names = Shape.of(inputs).some(k)
    kind = "consolidated" if metadata == "consolidated" else "plain"
    store = store_of(bucket, f"{inputs}/{kind}.zarr", client, read_only=True)
    group = zarr.open_group(store, mode="r", use_consolidated=kind == "consolidated")
    if metadata == "plain":
        arrays: dict[str, Any] = dict(group.arrays())
        return {name: arrays[name][:] for name in names}
    return {name: array_of(group, name)[:] for name in names}


def array_of(group: zarr.Group, name: str) -> Any:
    return group[name]


def write(
    inputs: Path,
    output: Path,
    *,
    bucket: dict[str, str],
    client: str,
    metadata: str = "plain",
    **options: Any,
) -> None:
    shape = Shape.of(inputs)
    store = store_of(bucket, output, client, read_only=False)
    group = zarr.create_group(store)
    for name, values in shape.table().items():
        group.create_array(name, data=values, chunks=(shape.rows,))
    if metadata == "consolidated":
        zarr.consolidate_metadata(store)


def read_back(
    inputs: Path, output: Path, *, bucket: dict[str, str], client: str, **options: Any
) -> dict[str, Any]:
    group = zarr.open_group(store_of(bucket, output, client, read_only=True), mode="r")
    return {name: array_of(group, name)[:] for name in Shape.of(inputs).names}


def scan(
    inputs: Path, output: Path, *, bucket: dict[str, str], client: str, **options: Any
) -> dict[str, Any]:
    """The very objects that ours reads."""
    store = store_of(bucket, f"{inputs}/ours.zarr/table/c000/values", client, read_only=True)
    array: Any = zarr.open_array(store, mode="r", zarr_format=3)
    return {"c000": array[:]}


TASKS = {
    **{f"read_{k}": partial(read, k) for k in COUNTS},
    "write": write,
    "read_back": read_back,
    "scan": scan,
}
CANNOT: dict[str, str] = {}
