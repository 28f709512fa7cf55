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


def make_file(inputs: Path, output: Path, rows: int, columns: int) -> None:
    """Write a file with columns of the usual kinds, four of ten of them categories."""
    rng = np.random.default_rng(0)
    key = {"": 0, "no": 1, "yes": 2, "maybe": 3}
    with session() as made:
        table = made.open_dataset(str(output), "w", "made").create_dataframe("table")
        for number in range(columns):
            name = f"c{number}"
            match number % 10:
                case 0 | 1 | 2 | 3:
                    field = table.create_categorical(name, "int8", key)
                case 4 | 5:
                    field = table.create_numeric(name, "int32")
                case 6:
                    field = table.create_numeric(name, "float64")
                case 7:
                    field = table.create_timestamp(name)
                case 8:
                    field = table.create_numeric(name, "bool")
                case _:
                    _fill_text(table.create_indexed_string(name), rows, rng)
                    continue
            for start in range(0, rows, BLOCK):
                field.data.write_part(_some(number % 10, min(BLOCK, rows - start), rng))
            field.data.complete()


def _some(kind: int, count: int, rng: Any) -> Any:
    """Values of a column of `make_file`."""
    match kind:
        case 0 | 1 | 2 | 3:
            return rng.choice(4, count, p=(0.7, 0.2, 0.07, 0.03)).astype("int8")
        case 4 | 5:
            return rng.integers(0, 100, count, dtype="int32")
        case 6:
            return rng.normal(70, 15, count).round(1)
        case 7:
            return rng.integers(1_584_000_000, 1_680_000_000, count).astype("f8")
        case _:
            return rng.integers(0, 2, count).astype(bool)


def _fill_text(field: Any, rows: int, rng: Any) -> None:
    """Write strings as bytes and offsets, which ExeTera's own way takes minutes for."""
    texts = np.array([b"", b"no", b"a few words", "naïve".encode(), b"x" * 40], object)
    lengths = np.array([len(text) for text in texts])
    field.indices.write_part(np.zeros(1, "int64"))
    last = 0
    for start in range(0, rows, BLOCK):
        chosen = rng.integers(0, len(texts), min(BLOCK, rows - start))
        field.values.write_part(np.frombuffer(b"".join(texts[chosen].tolist()), "uint8"))
        offsets = last + np.cumsum(lengths[chosen])
        field.indices.write_part(offsets)
        last = int(offsets[-1])


def read_file(inputs: Path, output: Path) -> None:
    """Every column of a file, a block at a time; text as it is stored, not as Python's."""
    with session() as opened:
        for field in opened.open_dataset(str(inputs), "r", "read")["table"].values():
            parts = [field.data]
            if hasattr(field, "indices"):
                parts = [field.indices, field.values]
            for part in parts:
                for start in range(0, len(part), BLOCK):
                    part[start : start + BLOCK]


SCRIPT = Script(session, merge, journal_table, import_with_schema, ".hdf5")
TASKS = SCRIPT.tasks() | {
    "make_inputs": make_inputs,
    "make_file": make_file,
    "read_file": read_file,
}
CANNOT = {
    **dict.fromkeys(("q1", "q2", "q4", "q5"), "has neither sum nor mean"),
    "journal_in_place": "writes another table",
}
