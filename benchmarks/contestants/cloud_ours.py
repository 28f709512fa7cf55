"""exetera_zarr in a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.contestants.bucket import COUNTS, Bucket, Shape
from exetera_zarr import Session
from exetera_zarr.storage import Mode

SUFFIX = ".zarr"


@contextmanager
def opened(bucket: dict[str, str], path: Path | str, mode: Mode = "r") -> Iterator[Any]:
    place = Bucket(**bucket)
    with Session() as session:
        yield session.open_dataset(place.url(path), mode, "d", storage_options=place.options)


def read(
    k: int, inputs: Path, output: Path, *, bucket: dict[str, str], **options: Any
) -> dict[str, Any]:
    names = Shape.of(inputs).some(k)
    with opened(bucket, f"{inputs}/ours{SUFFIX}") as dataset:
        table = dataset["table"]
        if k == 1:
            return {names[0]: table[names[0]].data[:]}
        frame = table.to_pandas(col_filter=names, types="raw")
        return {name: frame[name] for name in names}


def write(
    inputs: Path,
    output: Path,
    *,
    bucket: dict[str, str],
    block: int | None = None,
    **options: Any,
) -> None:
    shape = Shape.of(inputs)
    place = Bucket(**bucket)
    with Session() as session:
        dataset = session.open_dataset(place.url(output), "w", "d", storage_options=place.options)
        table = dataset.create_dataframe("table", row_block=block)
        for name, values in shape.table().items():
            table.create_numeric(name, "int32").data.write(values)


def read_back(
    inputs: Path, output: Path, *, bucket: dict[str, str], **options: Any
) -> dict[str, Any]:
    with opened(bucket, output) as dataset:
        table = dataset["table"]
        return {name: table[name].data[:] for name in Shape.of(inputs).names}


def scan(inputs: Path, output: Path, *, bucket: dict[str, str], **options: Any) -> dict[str, Any]:
    with opened(bucket, f"{inputs}/ours{SUFFIX}") as dataset:
        return {"c000": dataset["table"]["c000"].data[:]}


def scan_blocks(
    inputs: Path, output: Path, *, bucket: dict[str, str], **options: Any
) -> dict[str, Any]:
    """The sum, by the blocks that the engine streams."""
    with opened(bucket, f"{inputs}/ours{SUFFIX}") as dataset:
        blocks = dataset["table"]["c000"].blocks()
        return {"sum": [sum(int(block.sum(dtype="int64")) for block in blocks)]}


def scan_slices(
    inputs: Path, output: Path, *, bucket: dict[str, str], **options: Any
) -> dict[str, Any]:
    """The sum, by slices of a chunk, as a user who has little memory would read."""
    with opened(bucket, f"{inputs}/ours{SUFFIX}") as dataset:
        data = dataset["table"]["c000"].data
        step = options["block"]
        parts = (data[start : start + step] for start in range(0, len(data), step))
        return {"sum": [sum(int(part.sum(dtype="int64")) for part in parts)]}


TASKS = {
    **{f"read_{k}": partial(read, k) for k in COUNTS},
    "write": write,
    "read_back": read_back,
    "scan": scan,
    "scan_blocks": scan_blocks,
    "scan_slices": scan_slices,
}
CANNOT: dict[str, str] = {}
