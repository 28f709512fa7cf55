"""What contestants wrote, brought into one form and compared.

Results in ExeTera's formats are copied to Parquet; then DuckDB reads all alike, a block at a time,
and hashes every value: by column, by row, and by row with its number where the order counts. Means
and sums of floats, which depend on the order of adding, are compared as numbers instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.contest import Contestant, Outcome, Work
from benchmarks.files import remove
from exetera_zarr import Session

BLOCK = 1 << 20
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Column:
    """
    A column of a result.

    Parameters
    ----------
    name
        Its name, the same with every contestant.
    kind
        ``int``, ``float``, ``bool``, ``time``, ``fixed``, ``text`` or ``category``.
    keys
        The labels of a category and their codes, where codes are stored.
    flag
        Name of the bool column that says where there is a value, where that is stored.
    """

    name: str
    kind: str
    keys: dict[str, int] | None = None
    flag: str = ""


def arrow_column(column: Column, block: Any) -> pa.Array:
    """Form that a block of a stored column has in Parquet: text of bytes, labels of codes."""
    match column.kind:
        case "text":
            offsets, data = (pa.py_buffer(np.ascontiguousarray(part)) for part in block)
            return pa.LargeStringArray.from_buffers(len(block[0]) - 1, offsets, data)
        case "fixed":
            return pa.array(block).cast(pa.string())
        case "time":
            micros = np.rint(block * 1e6).astype("int64")
            return pa.array(micros).cast(pa.timestamp("us"))
        case "category":
            assert column.keys is not None
            labels = [""] * (max(column.keys.values()) + 1)
            for label, code in column.keys.items():
                labels[code] = label
            return pa.array(labels).take(pa.array(block))
    return pa.array(block.astype(bool) if column.kind == "bool" else block)


# -- reading what was stored: rows from one to another of an array of a column

Read: TypeAlias = Callable[[str, str, int, int], Any]


@contextmanager
def zarr_reader(path: Path) -> Iterator[tuple[Read, set[str]]]:
    """Arrays of a result of ours, and the names of its columns."""
    with Session() as session:
        table = session.open_dataset(str(path), "r", "result")["table"]

        def read(name: str, array: str, start: int, stop: int) -> Any:
            field = table[name]
            data = {"index": "indices", "values": "values"}.get(array, "data")
            return getattr(field, data)[start:stop]

        yield read, set(table.keys())


@contextmanager
def hdf5_reader(path: Path) -> Iterator[tuple[Read, set[str]]]:
    """Arrays of a result of ExeTera, and the names of its columns."""
    with h5py.File(path, "r") as file:
        table = file["table"]

        def read(name: str, array: str, start: int, stop: int) -> Any:
            return table[name][array or "values"][start:stop]

        yield read, set(table)


READERS: dict[str, Callable[[Path], AbstractContextManager[tuple[Read, set[str]]]]] = {
    ".zarr": zarr_reader,
    ".hdf5": hdf5_reader,
}


def as_parquet(path: Path, columns: Sequence[Column], scratch: Path) -> Path:
    """Path of a result as a Parquet file: itself, or a copy of the columns that count."""
    if path.suffix == ".parquet":
        return path
    copy = scratch / f"{path.stem}-copy.parquet"
    with READERS[path.suffix](path) as (read, names):
        writer = None
        start = 0
        while True:
            arrays = [rows_of(read, column, names, start) for column in columns]
            block = pa.table(arrays, names=[column.name for column in columns])
            writer = writer or pq.ParquetWriter(copy, block.schema, compression="zstd")
            writer.write_table(block)
            start += BLOCK
            if block.num_rows < BLOCK:
                break
        writer.close()
    return copy


def rows_of(read: Read, column: Column, names: set[str], start: int) -> pa.Array:
    """A block of a column; null where its flag says that there is no value."""
    block: Any
    if column.kind == "text":
        index = read(column.name, "index", start, start + BLOCK + 1).astype("int64")
        bounds = (index[0], index[-1]) if len(index) else (0, 0)
        data = read(column.name, "values", int(bounds[0]), int(bounds[1]))
        block = (index - bounds[0] if len(index) else np.zeros(1, "int64"), data)
    else:
        block = read(column.name, "", start, start + BLOCK)
    array = arrow_column(column, block)
    if column.flag and column.flag in names:
        there = np.asarray(read(column.flag, "", start, start + BLOCK)).astype(bool)
        return pa.compute.if_else(pa.array(there), array, None)
    return array


# -- comparing


@dataclass(frozen=True)
class Check:
    """
    What a task's result must agree in.

    Parameters
    ----------
    columns
        The columns that count.
    ordered
        Every contestant has to give the same order of rows; else only those who keep it.
    keys
        Columns by which rows of floats are brought together, where floats may differ by rounding.
    zeros
        A missing value counts as 0 (what ExeTera stores for a row without a partner).
    """

    columns: tuple[Column, ...]
    ordered: bool = False
    keys: tuple[str, ...] = ()
    zeros: bool = True

    def expression(self, column: Column) -> str:
        """SQL for a column's values in the form that is compared."""
        name = f'"{column.name}"'
        match column.kind:
            case "int":
                value, nothing = f"{name}::BIGINT", "0"
            case "float":
                value, nothing = f"{name}::DOUBLE + 0.0", "0.0"  # -0.0 becomes 0.0
            case "bool":
                value, nothing = f"{name}::BOOLEAN", "false"
            case "time":
                value, nothing = f"epoch_us({name}::TIMESTAMPTZ)", "0"
            case _:  # nobody can tell an empty text from none in a CSV
                return f"coalesce({name}::VARCHAR, '')"
        return f"coalesce({value}, {nothing})" if self.zeros else value


@dataclass(frozen=True)
class Digest:
    """Number of rows, and sums of the hashes of columns, rows, and rows with their numbers."""

    rows: int
    columns: tuple[int, ...]
    unordered: int
    ordered: int


def digest(path: Path, check: Check) -> Digest:
    """Hash a Parquet file."""
    values = [check.expression(column) for column in check.columns]
    every = ", ".join(values)
    hashes = [*values, every, f"file_row_number, {every}"]
    sums = ", ".join(f"coalesce(sum(hash({of})::HUGEINT), 0)" for of in hashes)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        source = f"read_parquet('{path}', file_row_number = true)"
        ((rows, *of_columns, unordered, ordered),) = connection.sql(
            f"SELECT count(*), {sums} FROM {source}"
        ).fetchall()
    return Digest(rows, tuple(of_columns), unordered, ordered)


def difference(check: Check, ours: Path, theirs: Path, *, in_order: bool) -> str:
    """What differs between two results as Parquet files, or nothing."""
    if check.keys:
        return numeric_difference(check, ours, theirs)
    one, other = digest(ours, check), digest(theirs, check)
    if one.rows != other.rows:
        return f"{other.rows:,} rows instead of {one.rows:,}"
    pairs = zip(check.columns, one.columns, other.columns, strict=True)
    if wrong := [column.name for column, a, b in pairs if a != b]:
        return f"other values in {', '.join(wrong[:5])}{' ...' * (len(wrong) > 5)}"
    if one.unordered != other.unordered:
        return "other combinations of values"
    if in_order and one.ordered != other.ordered:
        return "another order of rows"
    return ""


def numeric_difference(check: Check, ours: Path, theirs: Path) -> str:
    """Compare two small results row by row in the order of their keys, floats nearly."""
    values = ", ".join(f"{check.expression(c)} AS v{i}" for i, c in enumerate(check.columns))
    order = ", ".join(f'"{key}"' for key in check.keys)
    with duckdb.connect() as connection:
        one, other = (
            connection.sql(f"SELECT {values} FROM '{path}' ORDER BY {order}").fetchnumpy()
            for path in (ours, theirs)
        )
    for i, column in enumerate(check.columns):
        a, b = one[f"v{i}"], other[f"v{i}"]
        if len(a) != len(b):
            return f"{len(b):,} rows instead of {len(a):,}"
        equal = partial(np.allclose, rtol=TOLERANCE) if column.kind == "float" else np.array_equal
        if not equal(a, b):
            return f"other values in {column.name}"
    return ""


def compare(
    check: Check | None,
    work: Work,
    contestants: Sequence[Contestant],
    outcomes: dict[str, Outcome],
) -> dict[str, str]:
    """Say what is wrong with whose values; all are held against the first that has some."""
    there = [contestant for contestant in contestants if contestant.name in outcomes]
    if not there:
        return {}
    first, *others = there
    if check is None:
        digest = outcomes[first.name].digest
        return {c.name: "other values" for c in others if outcomes[c.name].digest != digest}
    wrong = {}
    columns = check.columns
    reference = as_parquet(work.output(first), columns, work.scratch)
    for contestant in others:
        path = as_parquet(work.output(contestant), columns, work.scratch)
        in_order = check.ordered or (first.keeps_order and contestant.keeps_order)
        wrong[contestant.name] = difference(check, reference, path, in_order=in_order)
        if path != work.output(contestant):
            remove(path)
    if reference != work.output(first):
        remove(reference)
    if sum(map(bool, wrong.values())) > len(others) / 2:
        raise SystemExit(f"{work.task}: {first.name} disagrees with most: {wrong}")
    return wrong
