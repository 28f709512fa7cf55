"""Inputs of the tasks on tables: made once in each format, and kept.

A table is first left as plain numpy files, one for each column, from which every format is written
a million rows at a time; they are removed again. Each has the types that its users would take:
timestamps are float64 seconds in ExeTera's formats and microseconds in Parquet; short texts are
fixed strings and ordinary ones.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.contest import EXETERA, run_worker
from benchmarks.peers import NoEnvironmentError
from benchmarks.results import Column, arrow_column
from exetera_zarr import Session

BLOCK = 1 << 20
SMALL_ROWS = 2000
Values = npt.NDArray[Any]
Made = Iterator[tuple[Column, Values | tuple[Values, Values]]]
Maker = Callable[[int, np.random.Generator], Made]


def left_side(pk: Values, rng: np.random.Generator) -> Made:
    yield Column("pk", "int"), pk
    yield Column("amount", "int"), rng.integers(-(2**40), 2**40, len(pk))
    yield Column("weight", "float"), rng.random(len(pk))


def right_side(fk: Values, rng: np.random.Generator) -> Made:
    yield Column("fk", "int"), fk
    yield Column("visit", "int"), rng.integers(0, 2**31, len(fk))
    yield Column("dose", "float"), rng.normal(size=len(fk)).round(3)


def primary_keys(rows: int) -> Values:
    """Ten rows of the other side for each, on average: some have none."""
    return np.arange(1, max(rows // 10, 1) + 1, dtype="int64") * 10


def sorted_left(rows: int, rng: np.random.Generator) -> Made:
    return left_side(primary_keys(rows), rng)


def sorted_right(rows: int, rng: np.random.Generator) -> Made:
    return right_side(np.sort(rng.choice(primary_keys(rows), rows)), rng)


def shuffled_left(rows: int, rng: np.random.Generator) -> Made:
    return left_side(rng.permutation(primary_keys(rows)), rng)


def shuffled_right(rows: int, rng: np.random.Generator) -> Made:
    return right_side(rng.choice(primary_keys(rows), rows), rng)


def records(rows: int, rng: np.random.Generator) -> Made:
    """Ten columns; a time for each row, so that no two rows are equal to a sort."""
    keys = np.array([f"p{number:011}" for number in range(min(rows, 1_000_000))], dtype="S12")
    yield Column("key", "fixed"), keys[rng.integers(0, len(keys), rows)]
    # whole seconds, several years of them; one row a second at most
    yield Column("time", "time"), 1.5e9 + rng.permutation(rows).astype("float64")
    yield Column("uniform", "float"), rng.random(rows)
    yield Column("count", "int"), rng.integers(0, 1000, rows, dtype="int32")
    yield Column("score", "float"), rng.normal(size=rows)
    yield Column("serial", "int"), np.arange(rows)
    yield Column("temperature", "float"), rng.normal(37, 1, rows).round(1).astype("float32")
    yield Column("level", "int"), rng.choice(4, rows, p=(0.7, 0.2, 0.07, 0.03)).astype("int8")
    yield Column("flag", "bool"), rng.random(rows) < 0.1
    yield Column("note", "text"), notes(rows, rng)


def notes(rows: int, rng: np.random.Generator) -> tuple[Values, Values]:
    """Offsets and bytes of texts of 0 to 19 letters; half of them are empty."""
    lengths = rng.integers(1, 20, rows) * rng.integers(0, 2, rows)
    index = np.concatenate([np.zeros(1, "int64"), np.cumsum(lengths)])
    return index, rng.integers(97, 123, index[-1], dtype="uint8")


def groups(rows: int, rng: np.random.Generator) -> Made:
    """Columns of db-benchmark's table for groups, with 100 values of the small keys."""
    few, many = 100, max(rows // 100, 1)
    names = np.array([f"id{number:03}" for number in range(1, few + 1)], dtype="S5")
    long_names = np.array([f"id{number:010}" for number in range(1, many + 1)], dtype="S12")
    yield Column("id1", "fixed"), names[rng.integers(0, few, rows)]
    yield Column("id2", "fixed"), names[rng.integers(0, few, rows)]
    yield Column("id3", "fixed"), long_names[rng.integers(0, many, rows)]
    yield Column("id4", "int"), rng.integers(1, few + 1, rows, dtype="int32")
    yield Column("id5", "int"), rng.integers(1, few + 1, rows, dtype="int32")
    yield Column("id6", "int"), rng.integers(1, many + 1, rows, dtype="int32")
    yield Column("v1", "int"), rng.integers(1, 6, rows, dtype="int32")
    yield Column("v2", "int"), rng.integers(1, 16, rows, dtype="int32")
    yield Column("v3", "float"), (rng.random(rows) * 100).round(6)


def wide(rows: int, rng: np.random.Generator) -> Made:
    """Fifty columns: small whole numbers, large ones, floats of few digits and of all."""
    makers: tuple[tuple[str, Callable[[], Values]], ...] = (
        ("int", lambda: rng.choice(4, rows, p=(0.7, 0.2, 0.07, 0.03)).astype("int8")),
        ("int", lambda: rng.integers(0, 10_000, rows, dtype="int32")),
        ("float", lambda: rng.normal(37, 1, rows).round(1)),
        ("float", lambda: rng.random(rows)),
    )
    for number in range(50):
        kind, make = makers[number % len(makers)]
        yield Column(f"c{number:02}", kind), make()


JOURNAL_SEED = 7  # of a journal and its snapshot, which go together
END = 32_503_680_000.0


def versions(rows: int) -> dict[str, Values | tuple[Values, Values]]:
    """Two versions of each key, the first of which has ended."""
    rng = np.random.default_rng(JOURNAL_SEED)
    return {
        "id": np.repeat(np.arange(rows // 2, dtype="int64") * 3, 2),
        "count": rng.integers(0, 1000, rows, dtype="int32"),
        "score": rng.normal(size=rows),
        "level": rng.choice(4, rows, p=(0.7, 0.2, 0.07, 0.03)).astype("int8"),
        "flag": rng.random(rows) < 0.1,
        "seen": 1.5e9 + rng.integers(0, 10**8, rows).astype("float64"),
        "note": notes(rows, rng),
        "j_valid_from": np.tile([1.0e9, 1.1e9], rows // 2),
        "j_valid_to": np.tile([1.1e9, END], rows // 2),
    }


def sorted_journal(rows: int, rng: np.random.Generator) -> Made:
    return journal_columns(versions(rows), np.arange(rows))


def sorted_snapshot(rows: int, rng: np.random.Generator) -> Made:
    return journal_columns(next_snapshot(rows), np.arange(1, rows, 2))


def shuffled_journal(rows: int, rng: np.random.Generator) -> Made:
    return journal_columns(versions(rows), rng.permutation(rows))


def shuffled_snapshot(rows: int, rng: np.random.Generator) -> Made:
    return journal_columns(next_snapshot(rows), rng.permutation(np.arange(1, rows, 2)))


def next_snapshot(rows: int) -> dict[str, Values | tuple[Values, Values]]:
    """The versions that have not ended, of which one in a hundred changed."""
    made = versions(rows)
    made["count"][1::200] += 1  # type: ignore[index,operator]
    made["j_valid_from"][:] = 1.2e9  # type: ignore[index]
    return made


def journal_columns(made: dict[str, Values | tuple[Values, Values]], chosen: Values) -> Made:
    kinds = {"id": "int", "count": "int", "score": "float", "level": "int", "flag": "bool"}
    for name, values in made.items():
        if isinstance(values, tuple):
            yield Column(name, "text"), taken(*values, chosen)
        else:
            yield Column(name, kinds.get(name, "time")), values[chosen]


def taken(index: Values, data: Values, rows: Values) -> tuple[Values, Values]:
    """Some of the texts that offsets and bytes stand for."""
    texts = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(index) - 1, [None, pa.py_buffer(index), pa.py_buffer(data)]
    ).take(pa.array(rows))
    _, offsets, content = texts.buffers()
    return np.frombuffer(offsets, "int64", len(texts) + 1), np.frombuffer(content, "uint8")


MAKERS: dict[str, Maker] = {
    maker.__name__: maker
    for maker in (
        sorted_left,
        sorted_right,
        shuffled_left,
        shuffled_right,
        records,
        groups,
        wide,
        sorted_journal,
        sorted_snapshot,
        shuffled_journal,
        shuffled_snapshot,
    )
}
WITHOUT_EXETERA = {"groups"}


@dataclass(frozen=True)
class Inputs:
    """A folder of tables of so many rows."""

    folder: Path
    rows: int

    def path(self, table: str, suffix: str) -> Path:
        return self.folder / f"{table}{suffix}"

    def make(self, table: str, *, for_exetera: bool) -> None:
        """Make a table in the formats in which it is not there yet."""
        writers: dict[str, Callable[[Path, Path], None]] = {
            ".zarr": write_zarr,
            ".parquet": write_parquet,
        }
        if for_exetera and table not in WITHOUT_EXETERA:
            writers[".hdf5"] = write_hdf5
        missing = [suffix for suffix in writers if not self.path(table, suffix).exists()]
        if not missing:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        print(f"making {table} of {self.rows:,} rows", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="columns-") as scratch:
            columns = Path(scratch)
            leave_columns(columns, MAKERS[table], self.rows, list(MAKERS).index(table))
            for suffix in missing:
                unfinished = columns / f"{table}{suffix}"
                writers[suffix](columns, unfinished)
                unfinished.rename(self.path(table, suffix))


def leave_columns(folder: Path, maker: Maker, rows: int, seed: int) -> None:
    """Write each column as it is made, so that one at a time is in memory."""
    described = []
    for column, values in maker(rows, np.random.default_rng([20_130_101, seed])):
        described.append(asdict(column))
        if isinstance(values, tuple):
            np.save(folder / f"{column.name}.index.npy", values[0])
            np.save(folder / f"{column.name}.values.npy", values[1])
        else:
            np.save(folder / f"{column.name}.npy", values)
    (folder / "columns.json").write_text(json.dumps(described), encoding="utf-8")


def left_columns(folder: Path) -> list[Column]:
    text = (folder / "columns.json").read_text(encoding="utf-8")
    return [Column(**about) for about in json.loads(text)]


def blocks(folder: Path, column: Column) -> Iterator[Any]:
    """Blocks of a column that was left: arrays, or offsets from 0 and bytes."""
    if column.kind != "text":
        values = np.load(folder / f"{column.name}.npy", mmap_mode="r")
        for start in range(0, len(values), BLOCK):
            yield np.asarray(values[start : start + BLOCK])
        return
    index = np.load(folder / f"{column.name}.index.npy", mmap_mode="r")
    data = np.load(folder / f"{column.name}.values.npy", mmap_mode="r")
    for start in range(0, len(index) - 1, BLOCK):
        part = np.asarray(index[start : start + BLOCK + 1])
        yield part - part[0], np.asarray(data[part[0] : part[-1]])


def write_zarr(columns: Path, path: Path) -> None:
    with Session() as session:
        table = session.open_dataset(str(path), "w", "made").create_dataframe("table")
        for column in left_columns(columns):
            for block in blocks(columns, column):
                if column.name not in table:
                    create_field(table, column, block)
                if column.kind == "text":
                    table[column.name].data.write_arrow(arrow_column(column, block))
                else:
                    table[column.name].data.write_part(block)
            table[column.name].data.complete()


def create_field(table: Any, column: Column, block: Any) -> None:
    match column.kind:
        case "text":
            table.create_indexed_string(column.name)
        case "fixed":
            table.create_fixed_string(column.name, block.dtype.itemsize)
        case "time":
            table.create_timestamp(column.name)
        case _:
            table.create_numeric(column.name, block.dtype.name)


def write_parquet(columns: Path, path: Path) -> None:
    described = left_columns(columns)
    writer = None
    for parts in zip(*(blocks(columns, column) for column in described), strict=True):
        arrays = [arrow_column(c, part) for c, part in zip(described, parts, strict=True)]
        batch = pa.table(arrays, names=[c.name for c in described])
        if writer is None:
            writer = pq.ParquetWriter(path, batch.schema, compression="zstd")
        writer.write_table(batch)
    assert writer is not None
    writer.close()


def write_hdf5(columns: Path, path: Path) -> None:
    report = columns / "report.json"
    step = {"inputs": str(columns), "output": str(path)}
    request = {
        "contestant": EXETERA.module,
        "task": "make_inputs",
        "options": {},
        "report": str(report),
        "small": None,
        "work": step,
    }
    outcome = run_worker(EXETERA, request, report, timeout=None)
    if outcome.error:
        raise NoEnvironmentError(f"ExeTera could not write its input: {outcome.error}")
