"""DuckLake: a table that grows; its catalogue is a file of DuckDB on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import pyarrow as pa

from benchmarks.contestants.growing import Columns, Growing, Place, tasks_of


def extension(name: str) -> Path:
    """Path of an extension that is installed as a package."""
    spec = find_spec(f"duckdb_extension_{name}")
    assert spec is not None
    assert spec.origin is not None
    (found,) = Path(spec.origin).parent.rglob("*.duckdb_extension")
    return found


class DuckLake(Growing):
    """
    A table of DuckLake.

    Parameters
    ----------
    place
        Where its data are.
    catalogues
        The folder of catalogues.
    """

    def __init__(self, place: Place, catalogues: str) -> None:
        super().__init__(place)
        self.connection: Any = duckdb.connect()
        run = self.connection.execute
        for name in ("httpfs", "ducklake"):
            run(f"LOAD '{extension(name)}'")
        if bucket := place.bucket:
            server = urlsplit(bucket.endpoint_url).netloc
            run(
                f"CREATE SECRET (TYPE s3, KEY_ID '{bucket.key}', SECRET '{bucket.secret}', "
                f"ENDPOINT '{server}', URL_STYLE 'path', USE_SSL false)"
            )
        name = f"{'bucket' if place.bucket else 'disk'}-{Path(place.path).name}"
        run(f"ATTACH 'ducklake:{catalogues}/{name}' AS lake (DATA_PATH '{place.url}/')")

    def create(self, rows: Columns) -> None:
        given = pa.table(rows)  # found by its name in the query
        assert given.num_rows
        self.connection.execute("CREATE TABLE lake.t AS FROM given")

    def append(self, rows: Columns) -> None:
        given = pa.table(rows)
        assert given.num_rows
        self.connection.execute("INSERT INTO lake.t FROM given")

    def read(self, names: Sequence[str] | None = None, day: int | None = None) -> Columns:
        condition = "" if day is None else f"WHERE day = {day}"
        query = f"SELECT {', '.join(names or '*')} FROM lake.t {condition}"
        found: Columns = self.connection.execute(query).fetchnumpy()
        return found

    def compact(self) -> None:
        self.connection.execute("CALL ducklake_merge_adjacent_files('lake')")

    def history(self) -> int:
        ((count,),) = self.connection.execute("SELECT count(*) FROM lake.snapshots()").fetchall()
        return int(count)


TASKS = tasks_of(DuckLake)
CANNOT: dict[str, str] = {}
