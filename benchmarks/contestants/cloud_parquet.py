"""The same table as one Parquet file: Polars by its own client, pyarrow and DuckDB by s3fs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.contestants.bucket import COUNTS, Bucket, Shape


def columns_of(path: str, names: list[str], bucket: dict[str, str], reader: str) -> dict[str, Any]:
    place = Bucket(**bucket)
    if reader == "polars":
        import polars as pl

        frame = pl.read_parquet(place.url(path), columns=names, storage_options=place.rust_options)
        return frame.to_dict()
    if reader == "pyarrow":
        import pyarrow.parquet as pq

        table = pq.read_table(f"{place.name}/{path}", columns=names, filesystem=place.filesystem())
    else:
        import duckdb

        with duckdb.connect() as connection:
            connection.register_filesystem(place.filesystem())
            query = f"SELECT {', '.join(names)} FROM read_parquet('{place.url(path)}')"
            table = connection.sql(query).to_arrow_table()
    return dict(zip(table.column_names, table.columns, strict=True))


def read(
    k: int, inputs: Path, output: Path, *, bucket: dict[str, str], reader: str, **options: Any
) -> dict[str, Any]:
    return columns_of(f"{inputs}/table.parquet", Shape.of(inputs).some(k), bucket, reader)


def write(
    inputs: Path, output: Path, *, bucket: dict[str, str], reader: str, **options: Any
) -> None:
    place, values = Bucket(**bucket), Shape.of(inputs).table()
    if reader == "polars":
        import polars as pl

        pl.DataFrame(values).write_parquet(
            place.url(output), compression="zstd", storage_options=place.rust_options
        )
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = f"{place.name}/{output}"
        pq.write_table(pa.table(values), path, filesystem=place.filesystem(), compression="zstd")


def read_back(
    inputs: Path, output: Path, *, bucket: dict[str, str], reader: str, **options: Any
) -> dict[str, Any]:
    return columns_of(str(output), Shape.of(inputs).names, bucket, reader)


TASKS = {
    **{f"read_{k}": partial(read, k) for k in COUNTS},
    "write": write,
    "read_back": read_back,
}
CANNOT: dict[str, str] = {}
