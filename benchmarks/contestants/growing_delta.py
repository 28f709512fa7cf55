"""Delta Lake by delta-rs: a table that grows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake

from benchmarks.contestants.growing import Columns, Growing, tasks_of


class Delta(Growing):
    """A table of Delta Lake."""

    @property
    def options(self) -> dict[str, str]:
        if self.place.bucket is None:
            return {}
        options = {name.upper(): value for name, value in self.place.rust_options.items()}
        return options | {"conditional_put": "etag"}

    def opened(self) -> Any:
        return DeltaTable(self.place.url, storage_options=self.options)

    def create(self, rows: Columns) -> None:
        write_deltalake(self.place.url, pa.table(rows), storage_options=self.options)

    def append(self, rows: Columns) -> None:
        write_deltalake(self.place.url, pa.table(rows), mode="append", storage_options=self.options)

    def read(self, names: Sequence[str] | None = None, day: int | None = None) -> Columns:
        chosen = {"columns": list(names)} if names else {}
        if day is not None:
            chosen["filters"] = [("day", "=", day)]  # type: ignore[list-item]
        found = self.opened().to_pyarrow_table(**chosen)
        return {name: found[name].to_numpy() for name in found.column_names}

    def compact(self) -> None:
        self.opened().optimize.compact()

    def load(self, source: Path) -> None:
        file = pq.ParquetFile(source)
        batches = pa.RecordBatchReader.from_batches(file.schema_arrow, file.iter_batches())
        write_deltalake(self.place.url, batches, storage_options=self.options)

    def upsert(self, source: Path) -> None:
        merging = self.opened().merge(
            pq.read_table(source), "t.id = s.id", source_alias="s", target_alias="t"
        )
        merging.when_matched_update_all().when_not_matched_insert_all().execute()

    def export(self, target: Path) -> None:
        scanner = self.opened().to_pyarrow_dataset().scanner()
        with pq.ParquetWriter(target, scanner.projected_schema) as writer:
            for batch in scanner.to_batches():
                writer.write_batch(batch)

    def history(self) -> int:
        return len(self.opened().history())

    def vacuum(self) -> None:
        table = self.opened()
        table.vacuum(0, dry_run=False, enforce_retention_duration=False)
        table.create_checkpoint()
        table.cleanup_metadata()


TASKS = tasks_of(Delta)
CANNOT: dict[str, str] = {}
