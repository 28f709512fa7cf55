"""Another process for the tests: it runs Python sent to it, or appends or watches by itself."""

from __future__ import annotations

import json
import random
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from exetera_zarr import ConflictError, Session
from exetera_zarr.errors import VersionNotFoundError
from exetera_zarr.tables.dataset import Dataset

ROWS = 7
"""Rows of a batch: no divisor of any block, so that batches share chunks."""


def batch(number: int) -> dict[str, list[Any]]:
    """What the batch of that number has in each field."""
    return {
        "batch": [number] * ROWS,
        "row": list(range(ROWS)),
        "text": [f"{number}é{row}" * (row % 3) for row in range(ROWS)],
    }


def create(dataset: Dataset, table: str = "t") -> None:
    """Make the table that batches are appended to."""
    frame = dataset.create_dataframe(table, row_block=16)
    frame.create_numeric("batch", "int32")
    frame.create_numeric("row", "int8")
    frame.create_indexed_string("text")


def append(dataset: Dataset, number: int, table: str = "t") -> None:
    """Append a batch."""
    with dataset.transaction():
        for name, values in batch(number).items():
            dataset[table][name].data.write(values)


def batches(dataset: Dataset, table: str = "t") -> list[int]:
    """Numbers of the batches that a table has, each of them checked to be whole and together."""
    frame = dataset[table]
    found = {name: list(frame[name].data[:]) for name in ("batch", "row", "text")}
    numbers = [int(number) for number in found["batch"][::ROWS]]
    for name, values in found.items():
        expected = [value for number in numbers for value in batch(number)[name]]
        assert values == expected, f"{name} of version {dataset.version}: {values}"
    return numbers


def append_all(
    url: str, options: dict[str, Any], numbers: list[int], wait: float = 0.0, **opening: Any
) -> list[Any]:
    """
    Commit each batch, however often somebody else is faster; the version of each, and losses.

    After a loss it waits for up to so many seconds, by chance, and twice as long after each more.
    """
    done, lost = [], 0
    with Session() as s:
        ds = s.open_dataset(url, "r+", "d", storage_options=options, **opening)
        for number in numbers:
            longest = wait
            while True:
                try:
                    append(ds, number)
                    done.append([number, ds.commit()])
                    break
                except (ConflictError, VersionNotFoundError):
                    # The chunk that an append begins with may be gone as well.
                    lost += 1
                    time.sleep(random.uniform(0.0, longest))
                    longest = min(2 * longest, 32 * wait)
                    ds.rollback()
                    ds.refresh()
    return [done, lost]


def watch(url: str, options: dict[str, Any], stop: str, before: int = 0) -> list[Any]:
    """
    Open and read until a file is there; versions seen, reads that came too late, opens.

    There are at most so many batches as commits, and those of `before`.
    """
    seen, late, opens = [-1], 0, 0
    while True:
        last = Path(stop).exists()
        opens += 1
        try:
            with Session() as s:
                ds = s.open_dataset(url, "r", "d", storage_options=options)
                version = ds.version
                assert version >= seen[-1], f"version {version} after {seen[-1]}"
                assert len(batches(ds)) <= before + version
                if version > seen[-1]:
                    seen.append(version)
        except VersionNotFoundError:
            late += 1
        if last:
            return [seen, late, opens]


def main() -> None:
    """Answer each line, a piece of Python, with what its `result` is, or the error it met."""
    space: dict[str, Any] = {name: value for name, value in globals().items() if name[0] != "_"}
    for line in sys.stdin:
        space["result"] = None
        try:
            exec(json.loads(line), space)
            reply = {"result": space["result"]}
        except Exception as error:  # noqa: BLE001
            space.pop("result", None)
            reply = {"error": type(error).__name__, "text": str(error)}
            reply["trace"] = traceback.format_exc()
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()
        time.sleep(0)


if __name__ == "__main__":
    main()
