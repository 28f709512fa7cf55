"""Small datasets, and several drafts over them in one process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from exetera_zarr import Session
from exetera_zarr.tables.dataset import Dataset
from exetera_zarr.testing import as_another_process

Values = dict[str, list[int]]


def put(ds: Dataset, table: str, values: Sequence[int]) -> Any:
    """A new table with one field of these values."""
    frame = ds.create_dataframe(table)
    frame.create_numeric("x", "int64").data.write(np.asarray(values))
    return frame


def values_of(ds: Dataset) -> Values:
    return {name: ds[name]["x"].data[:].tolist() for name in ds}


def make(url: Any, **tables: Sequence[int]) -> None:
    with Session(row_block=4) as s:
        ds = s.open_dataset(url, "x", "d", durability="none")
        for name, values in tables.items():
            put(ds, name, values)


@contextmanager
def drafts(url: Any, count: int = 1) -> Iterator[list[Dataset]]:
    """So many drafts over the newest version; what they have not committed is dropped."""
    sessions = [Session(row_block=4) for _ in range(count)]
    opened = []
    for session in sessions:
        with as_another_process():
            opened.append(session.open_dataset(url, "r+", "d", durability="none"))
    try:
        yield opened
    finally:
        for session, ds in zip(sessions, opened, strict=True):
            if not ds.closed:
                ds.rollback()
            session.close()


def seen(url: Any, version: int | None = None) -> Values:
    """What another process reads."""
    with as_another_process(), Session() as s:
        return values_of(s.open_dataset(url, "r", "d", version=version))


def files(place: Path) -> set[str]:
    """Keys of all objects in a folder."""
    return {p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file()}
