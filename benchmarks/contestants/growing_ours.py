"""exetera_zarr: a table that grows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.contestants.growing import Columns, Growing, Place, tasks_of
from exetera_zarr import Session
from exetera_zarr.storage import Mode

TABLE = "table"
BLOCK = 1 << 18


class Ours(Growing):
    """
    A dataset with one table.

    Parameters
    ----------
    place
        Where it is.
    row_block
        Rows of a chunk.
    memory_limit
        Of the session.
    options
        More of those with which the dataset is opened.
    """

    def __init__(
        self,
        place: Place,
        row_block: int | None = None,
        memory_limit: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(place)
        self.row_block, self.memory_limit, self.options = row_block, memory_limit, options
        if place.bucket:
            self.options["storage_options"] = place.bucket.options

    @contextmanager
    def opened(self, mode: Mode) -> Iterator[Any]:
        with Session(memory_limit=self.memory_limit) as session:
            yield session.open_dataset(self.place.url, mode, "d", **self.options)

    def create(self, rows: Columns) -> None:
        with self.opened("w") as dataset:
            table = dataset.create_dataframe(TABLE, row_block=self.row_block)
            for name, values in rows.items():
                table.create_numeric(name, str(values.dtype)).data.write(values)

    def append(self, rows: Columns) -> None:
        with self.opened("r+") as dataset:
            dataset[TABLE].append(rows)

    def read(self, names: Sequence[str] | None = None, day: int | None = None) -> Columns:
        with self.opened("r") as dataset:
            table = dataset[TABLE]
            chosen = list(names or table.keys())
            rows = None if day is None else table["day"] == day
            frame = table.to_pandas(row_filter=rows, col_filter=chosen, types="raw")
            return {name: frame[name].to_numpy() for name in chosen}

    def compact(self) -> None:
        with self.opened("r+") as dataset:
            dataset.compact()

    def load(self, source: Path) -> None:
        """Texts of few values, which are a dictionary's in the file, become categories."""
        file = pq.ParquetFile(source)
        with self.opened("w") as dataset:
            table = dataset.create_dataframe(TABLE)
            for batch in file.iter_batches(BLOCK):
                if not table.keys():
                    create_categories(table, batch)
                table.append(batch, new="add")

    def upsert(self, source: Path) -> None:
        reader = pq.ParquetFile(source)
        batches = pa.RecordBatchReader.from_batches(reader.schema_arrow, reader.iter_batches())
        with self.opened("r+") as dataset:
            dataset[TABLE].upsert(batches, "id")

    def export(self, target: Path) -> None:
        writer = None
        with self.opened("r") as dataset:
            table = dataset[TABLE]
            types = {name: table[name].fieldtype.partition(",")[0] for name in table}
            for start in range(0, table.length(), BLOCK):
                frame = table.to_pandas(slice(start, start + BLOCK), types="raw")
                for name, kind in types.items():
                    if kind == "timestamp":
                        frame[name] = frame[name].to_numpy().astype("datetime64[s]")
                    elif kind == "categorical":
                        labels = {
                            code: str(label, "utf-8") for code, label in table[name].keys.items()
                        }
                        frame[name] = frame[name].map(labels)
                block = pa.Table.from_pandas(frame, preserve_index=False)
                writer = writer or pq.ParquetWriter(target, block.schema)
                writer.write_table(block.cast(writer.schema))
        if writer:
            writer.close()

    def history(self) -> int:
        with self.opened("r") as dataset:
            return len(dataset.history())

    def vacuum(self) -> None:
        with self.opened("r+") as dataset:
            dataset.vacuum(keep=1, older_than=0)


def create_categories(table: Any, batch: pa.RecordBatch) -> None:
    """Make the fields of which the values are known."""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_dictionary(column.type):
            labels = sorted(column.dictionary.to_pylist())
            table.create_categorical(name, "int8", {label: i for i, label in enumerate(labels)})


TASKS = tasks_of(Ours)
CANNOT: dict[str, str] = {}
