"""Compressed chunks of HDF5 files that are unpacked here: to the bit what HDF5 makes of them."""

from __future__ import annotations

import zlib

import h5py
import numpy as np
import pytest

from exetera_zarr import CorruptDataError, Session

CHUNK = 1000
ROWS = 70 * CHUNK + 7
FILTERS = {
    "gzip": {"compression": "gzip"},
    "shuffle and gzip": {"compression": "gzip", "shuffle": True},
    "gzip and a checksum": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "lzf": {"compression": "lzf", "shuffle": True},
    "shuffle": {"shuffle": True},
}
DTYPES = ["bool", "int8", "uint16", "int32", "int64", "float32", "float64", ">i4", ">f8"]


def values_of(dtype, rows=ROWS):
    """Any bytes, with runs among them: gzip makes less of some chunks, and more of others."""
    noise = np.random.default_rng(7).integers(0, 256, rows * 8, np.uint8)
    noise[: rows * 4] = np.repeat(noise[:rows], 4)
    if dtype == "bool":
        return noise[:rows] % 2 == 0
    found = noise.view(np.uint64).astype(f"u{np.dtype(dtype).itemsize}")
    return found.view(np.dtype(dtype).newbyteorder("=")).astype(dtype)


@pytest.fixture
def column(tmp_path):
    """Put values into a field of a file, as another program may have compressed them."""

    def make(dtype, values=None, **filters):
        path = tmp_path / "x.hdf5"
        name = np.dtype(dtype).newbyteorder("=").name
        with Session() as session:
            frame = session.open_dataset(str(path), "w", "d").create_dataframe("t")
            frame.create_numeric("a", name)
        values = values_of(dtype) if values is None else values
        with h5py.File(path, "r+") as file:
            del file["t/a/values"]
            file["t/a"].create_dataset(
                "values", data=values, chunks=(CHUNK,), maxshape=(None,), **filters
            )
        return path, values

    return make


@pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_it_is_what_was_written(column, dtype, filters):
    path, values = column(dtype, **filters)
    expected = values.astype(values.dtype.newbyteorder("="))
    with Session() as session:
        data = session.open_dataset(str(path), "r", "d")["t"]["a"].data
        for start, stop in ((0, ROWS), (5, ROWS - 3), (999, 2001), (3, 9), (70_000, ROWS), (0, 0)):
            assert data[start:stop].tobytes() == expected[start:stop].tobytes()


@pytest.mark.parametrize("left_out", [0b01, 0b10, 0b11])
def test_filters_that_were_left_out_of_a_chunk(column, left_out):
    """HDF5 leaves one out where it fails, and says so of the chunk."""
    path, values = column("int32", compression="gzip", shuffle=True)
    part = values[CHUNK : 2 * CHUNK]
    data = part.tobytes()
    if not left_out & 1:
        data = part.view(np.uint8).reshape(CHUNK, 4).T.tobytes()
    if not left_out & 2:
        data = zlib.compress(data)
    with h5py.File(path, "r+") as file:
        file["t/a/values"].id.write_direct_chunk((CHUNK,), data, filter_mask=left_out)
    with Session() as session:
        read = session.open_dataset(str(path), "r", "d")["t"]["a"].data[:]
    with h5py.File(path) as file:
        assert read.tobytes() == file["t/a/values"][:].tobytes() == values.tobytes()


WRONG = {
    "more": zlib.compress(bytes(4 * CHUNK + 1)),
    "far more": zlib.compress(bytes(1 << 28)),
    "fewer": zlib.compress(bytes(4 * CHUNK - 1)),
    "cut": zlib.compress(bytes(4 * CHUNK))[:-1],
    "no stream": b"x" * 40,
    "a wrong sum": zlib.compress(bytes(4 * CHUNK))[:-1] + b"\xff",
}


@pytest.mark.parametrize("rows", [slice(None), slice(CHUNK, CHUNK + 5)], ids=["all", "few"])
@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG)
def test_a_chunk_that_has_not_what_it_should(column, data, rows):
    path, _ = column("int32", compression="gzip", shuffle=True)
    with h5py.File(path, "r+") as file:
        file["t/a/values"].id.write_direct_chunk((CHUNK,), data[: 5 * CHUNK])
    with Session() as session:
        field = session.open_dataset(str(path), "r", "d")["t"]["a"]
        with pytest.raises(CorruptDataError):
            field.data[rows]


def test_what_is_overwritten_is_what_is_read(column):
    """Chunks that HDF5 has changed, and keeps in memory, are written before they are looked at."""
    path, values = column("int32", compression="gzip", shuffle=True)
    with Session() as session:
        data = session.open_dataset(str(path), "r+", "d")["t"]["a"].data
        data[5:2500] = 7
        values[5:2500] = 7
        assert data[:].tolist() == values.tolist()
        data.write(values[:9])
        assert data[:].tolist() == [*values.tolist(), *values[:9].tolist()]
