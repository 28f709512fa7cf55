"""Ours and its peers: how each writes one column to a fresh place and reads it back.

Every store gets a column in the form that it works with itself (`prepare`, not timed) and reads it
into that form again. Strings are held the way Arrow holds them: offsets and bytes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import h5py
import numpy as np
import polars as pl
import pyarrow as pa
import zarr

from exetera_zarr import Session

Kind = Literal["numeric", "timestamp", "categorical", "string"]

BLOCK_ROWS = 1 << 20
EXETERA_CHUNK_ROWS = 1024


@dataclass(frozen=True)
class Column:
    """A column to write: a numpy array, or a `pyarrow.LargeStringArray`."""

    name: str
    about: str
    kind: Kind
    values: Any

    @property
    def nbytes(self) -> int:
        return int(self.values.nbytes)


class Store(ABC):
    """One way to keep a column in a file or folder."""

    name: ClassVar[str]

    def prepare(self, column: Column) -> Any:
        """Bring the column into the form that this store writes, outside the timed region."""
        return column.values

    @abstractmethod
    def write(self, path: Path, column: Column, prepared: Any) -> None:
        """Write to a path where there is nothing yet."""

    @abstractmethod
    def read(self, path: Path, column: Column) -> Any:
        """Read the whole column into memory."""

    def restore(self, read: Any) -> Any:
        """Bring what `read` gave into the form of `Column.values`, to compare it."""
        return read


def offsets_and_bytes(strings: pa.LargeStringArray) -> tuple[Any, Any]:
    """Offsets and bytes of an Arrow array of strings, as numpy arrays and without a copy."""
    _, offsets, data = strings.buffers()
    return np.frombuffer(offsets, dtype="int64"), np.frombuffer(data, dtype="uint8")


def strings_of(offsets: Any, data: Any) -> pa.LargeStringArray:
    """Arrow array of strings over offsets and bytes."""
    rows = len(offsets) - 1
    return pa.LargeStringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(data))


class Ours(Store):
    """exetera_zarr by its public interface, from opening the dataset to closing it."""

    name = "exetera_zarr"

    def __init__(self, **options: Any) -> None:
        self.options = options

    def write(self, path: Path, column: Column, prepared: Any) -> None:
        with Session() as session:
            dataset = session.open_dataset(str(path), "w", "bench", **self.options)
            table = dataset.create_dataframe("table")
            match column.kind:
                case "string":
                    table.create_indexed_string("column").data.write_arrow(prepared)
                case "timestamp":
                    table.create_timestamp("column").data.write(prepared)
                case "categorical":
                    keys = {f"label {value}": value for value in range(int(prepared.max()) + 1)}
                    table.create_categorical("column", "int8", keys).data.write(prepared)
                case "numeric":
                    table.create_numeric("column", prepared.dtype.name).data.write(prepared)

    def read(self, path: Path, column: Column) -> Any:
        with Session() as session:
            data = session.open_dataset(str(path), "r", "bench")["table"]["column"].data
            return data.read_arrow() if column.kind == "string" else data[:]

    def restore(self, read: Any) -> Any:
        return read.cast(pa.large_string()) if isinstance(read, pa.Array) else read


class PolarsParquet(Store):
    """Polars writing Parquet with zstd, otherwise as it comes."""

    name = "Polars, zstd Parquet"

    def prepare(self, column: Column) -> pl.DataFrame:
        values = column.values
        series = pl.Series(values) if column.kind != "string" else pl.from_arrow(values)
        assert isinstance(series, pl.Series)
        return series.alias("column").to_frame()

    def write(self, path: Path, column: Column, prepared: pl.DataFrame) -> None:
        prepared.write_parquet(path, compression="zstd")

    def read(self, path: Path, column: Column) -> pl.Series:
        return pl.read_parquet(path)["column"]

    def restore(self, read: pl.Series) -> Any:
        if read.dtype == pl.String:
            return read.to_arrow().cast(pa.large_string())
        return read.to_numpy()


class PlainZarr(Store):
    """zarr-python with its default codecs and chunks of our row block."""

    name = "zarr-python"

    def prepare(self, column: Column) -> Any:
        if column.kind == "string":
            return dict(zip(("index", "values"), offsets_and_bytes(column.values), strict=True))
        return {"values": column.values}

    def write(self, path: Path, column: Column, prepared: Any) -> None:
        group = zarr.create_group(str(path), zarr_format=3)
        for name, values in prepared.items():
            chunks = (min(BLOCK_ROWS, len(values)),)
            array = group.create_array(name, shape=values.shape, dtype=values.dtype, chunks=chunks)
            array[:] = values

    def read(self, path: Path, column: Column) -> Any:
        group = zarr.open_group(str(path), mode="r", zarr_format=3)
        names = ("index", "values") if column.kind == "string" else ("values",)
        return [zarr_array(group, name)[:] for name in names]

    def restore(self, read: Any) -> Any:
        return strings_of(*read) if len(read) == 2 else read[0]


def zarr_array(group: zarr.Group, name: str) -> Any:
    """Return the array of that name, for whose elements zarr has no narrower type."""
    return group[name]


class ExeteraHDF5(PlainZarr):
    """h5py in the layout that ExeTera gives its files: resizable, 1,024 rows a chunk, no filter."""

    name = "h5py, ExeTera's layout"

    def write(self, path: Path, column: Column, prepared: Any) -> None:
        with h5py.File(path, "w") as file:
            group = file.create_group("table").create_group("column")
            for name, values in prepared.items():
                dataset = group.create_dataset(
                    name, (0,), values.dtype, maxshape=(None,), chunks=(EXETERA_CHUNK_ROWS,)
                )
                dataset.resize(values.shape)
                dataset[:] = values

    def read(self, path: Path, column: Column) -> Any:
        with h5py.File(path, "r") as file:
            group = file["table"]["column"]
            names = ("index", "values") if column.kind == "string" else ("values",)
            return [group[name][:] for name in names]
