"""Files in a bucket whose rows are appended to a table."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
from pyarrow import feather, parquet

from exetera_zarr import Session
from exetera_zarr.io.appending import append_files
from exetera_zarr.storage import create_file


def test_files_in_a_bucket(s3_place, tmp_path) -> None:
    """Of each kind; the table may be elsewhere."""
    options = s3_place.storage_options
    table = pa.table({"id": np.arange(5), "town": list("abcde")})
    for name, write in (("a.parquet", parquet.write_table), ("b.feather", feather.write_feather)):
        data = io.BytesIO()
        write(table, data)
        with create_file(s3_place.url(name), options) as file:
            file.write(data.getvalue())
    with create_file(s3_place.url("c.csv"), options) as file:
        file.write(b"town,id\nx,7\ny,3\n")
    with Session() as s:
        people = s.open_dataset(tmp_path / "x.zarr", "w", "d").create_dataframe("people")
        people.create_numeric("id", "int16")
        people.create_indexed_string("town")
        files = [s3_place.url(name) for name in ("a.parquet", "b.feather", "c.csv")]
        found = append_files(people, files[:1], source_options=options)
        assert (found.new, found.changed, found.unchanged) == (5, 0, 0)
        found = append_files(people, files, key=["id"], source_options=options)
        assert (found.new, found.changed, found.unchanged) == (1, 1, 10)
        assert people["town"].data[:] == ["a", "b", "c", "y", "e", "x"]
