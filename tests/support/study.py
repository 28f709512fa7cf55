"""A small study that is written, changed and read, and what it must hold after each step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from exetera_zarr import Dataset, Session

ROWS = 40
Content = dict[str, list[Any]]


def create(url: str, options: dict[str, Any], **more: Any) -> int:
    """A table of several chunks; the version that it is in."""
    with Session(row_block=16) as s:
        ds = s.open_dataset(url, "w", "study", storage_options=options, **more)
        table = ds.create_dataframe("people")
        table.create_numeric("age", "int32").data.write(np.arange(ROWS, dtype="int32"))
        table.create_indexed_string("note").data.write([f"note {n}" for n in range(ROWS)])
        ds.commit()
        return ds.version


def append(url: str, options: dict[str, Any], **more: Any) -> int:
    """More rows, so that chunks are read, copied and written anew."""
    with Session() as s:
        ds = s.open_dataset(url, "r+", "study", storage_options=options, **more)
        extend(ds)
        ds.commit()
        return ds.version


def extend(ds: Dataset) -> None:
    """Ten more rows, all or none."""
    table = ds["people"]
    with ds.transaction():
        table["age"].data.write(np.arange(ROWS, ROWS + 10, dtype="int32"))
        table["note"].data.write([f"note {n}" for n in range(ROWS, ROWS + 10)])


def select(url: str, options: dict[str, Any], **more: Any) -> int:
    """Every second row stays."""
    with Session() as s:
        ds = s.open_dataset(url, "r+", "study", storage_options=options, **more)
        table = ds["people"]
        table.apply_filter(table["age"].data[:] % 2 == 0)
        ds.commit()
        return ds.version


def read(url: str, options: dict[str, Any], **more: Any) -> Content:
    """All of the newest version."""
    with Session() as s:
        ds = s.open_dataset(url, "r", "study", storage_options=options, **more)
        if "people" not in ds:
            return {}
        table = ds["people"]
        return {"age": table["age"].data[:].tolist(), "note": list(table["note"].data[:])}


def content(numbers: range) -> Content:
    return {"age": list(numbers), "note": [f"note {n}" for n in numbers]}


Step = Callable[..., int]
STEPS: list[tuple[Step, Content]] = [
    (create, content(range(ROWS))),
    (append, content(range(ROWS + 10))),
    (select, content(range(0, ROWS + 10, 2))),
]
