"""ExeTera 0.6 on HDF5; runs in the environment that `benchmarks.peers` makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from exetera.core.dataframe import merge
from exetera.core.journal import journal_table
from exetera.core.session import Session
from exetera.io.importer import import_with_schema

from benchmarks.contestants.script import Script

BLOCK = 1 << 20


def session(memory_limit: Any = None) -> Session:
    """It has no limit of memory to set."""
    return Session()


def make_inputs(inputs: Path, output: Path, **options: Any) -> None:
    """Write the columns of a folder, as `benchmarks.inputs` leaves them, as a file of ExeTera's."""
    with session() as made:
        table = made.open_dataset(str(output), "w", "made").create_dataframe("table")
        for column in json.loads((inputs / "columns.json").read_text(encoding="utf-8")):
            name = column["name"]
            if column["kind"] == "text":
                field = table.create_indexed_string(name)
                _fill(field.indices, inputs / f"{name}.index.npy")
                _fill(field.values, inputs / f"{name}.values.npy")
                continue
            values = np.load(inputs / f"{name}.npy", mmap_mode="r")
            match column["kind"]:
                case "fixed":
                    field = table.create_fixed_string(name, values.dtype.itemsize)
                case "time":
                    field = table.create_timestamp(name)
                case _:
                    field = table.create_numeric(name, values.dtype.name)
            _fill(field.data, inputs / f"{name}.npy")


def _fill(data: Any, path: Path) -> None:
    values = np.load(path, mmap_mode="r")
    for start in range(0, len(values), BLOCK):
        data.write_part(values[start : start + BLOCK])
    data.complete()


SCRIPT = Script(session, merge, journal_table, import_with_schema, ".hdf5")
TASKS = SCRIPT.tasks() | {"make_inputs": make_inputs}
CANNOT = {
    **dict.fromkeys(("q1", "q2", "q4", "q5"), "has neither sum nor mean"),
    "journal_in_place": "writes another table",
}
