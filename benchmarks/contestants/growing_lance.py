"""Lance: a table that grows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import lance
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.contestants.growing import Columns, Growing, tasks_of


class Lance(Growing):
    """A dataset of Lance."""

    def opened(self) -> Any:
        return lance.dataset(self.place.url, storage_options=self.place.rust_options)

    def write(self, rows: Any, mode: str) -> None:
        options = self.place.rust_options
        lance.write_dataset(rows, self.place.url, mode=mode, storage_options=options)

    def create(self, rows: Columns) -> None:
        self.write(pa.table(rows), "create")

    def append(self, rows: Columns) -> None:
        self.write(pa.table(rows), "append")

    def read(self, names: Sequence[str] | None = None, day: int | None = None) -> Columns:
        condition = None if day is None else f"day = {day}"
        columns = list(names) if names else None
        found = self.opened().to_table(columns=columns, filter=condition)
        return {name: found[name].to_numpy() for name in found.column_names}

    def compact(self) -> None:
        self.opened().optimize.compact_files()

    def load(self, source: Path) -> None:
        file = pq.ParquetFile(source)
        self.write(
            pa.RecordBatchReader.from_batches(file.schema_arrow, file.iter_batches()), "create"
        )

    def upsert(self, source: Path) -> None:
        merging = self.opened().merge_insert("id")
        merging.when_matched_update_all().when_not_matched_insert_all()
        merging.execute(pq.read_table(source))

    def export(self, target: Path) -> None:
        scanner = self.opened().scanner()
        with pq.ParquetWriter(target, scanner.projected_schema) as writer:
            for batch in scanner.to_batches():
                writer.write_batch(batch)

    def history(self) -> int:
        return len(self.opened().versions())

    def vacuum(self) -> None:
        self.opened().cleanup_old_versions(older_than=timedelta(0), delete_unverified=True)


TASKS = tasks_of(Lance)
CANNOT: dict[str, str] = {}
