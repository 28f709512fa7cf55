"""HDF5 files of a stranger: what they claim to have is looked at before there is room for it."""

from __future__ import annotations

import numpy as np
import pytest

from exetera_zarr import Session
from exetera_zarr.errors import CorruptDataError

h5py = pytest.importorskip("h5py")


def field(file, kind):
    group = file.create_group("t").create_group("x")
    group.attrs["fieldtype"] = kind
    group.attrs["nformat"] = kind.rpartition(",")[2]
    return group


def whole_numbers(file):
    field(file, "numeric,int64").create_dataset("values", (2**40,), "i8", chunks=(2**20,))


def wide_strings(file):
    field(file, "fixedstring,1000000").create_dataset("values", (10**9,), "S1000000", chunks=(1,))


def offsets(file):
    group = field(file, "indexedstring")
    group.create_dataset("index", (2**36,), "i8", chunks=(2**20,))
    group.create_dataset("values", (2**40,), "u1", chunks=(2**20,))


@pytest.mark.parametrize("make", [whole_numbers, wide_strings, offsets])
@pytest.mark.parametrize("use", ["read", "verify"])
def test_rows_that_are_not_there(tmp_path, make, use):
    """An error that says so, and not one of the memory."""
    with h5py.File(tmp_path / "x.hdf5", "w") as file:
        make(file)
    with Session() as s:
        ds = s.open_dataset(tmp_path / "x.hdf5", "r", "d")
        with pytest.raises(CorruptDataError, match="of which the file has 0"):
            ds.verify() if use == "verify" else ds["t"]["x"].data[:]


def test_names_of_categories_that_take_more_than_they_may(tmp_path):
    """The field is passed over, and the others are there."""
    with h5py.File(tmp_path / "x.hdf5", "w") as file:
        group = field(file, "categorical,int8")
        group.create_dataset("values", data=np.zeros(3, "i1"))
        names = group.create_dataset("key_names", (700,), h5py.string_dtype())
        names[:] = "b" * 100_000
        group.create_dataset("key_values", data=np.arange(700))
        other = file["t"].create_group("y")
        other.attrs["fieldtype"] = "numeric,int8"
        other.create_dataset("values", data=np.ones(3, "i1"))
    told = pytest.warns(UserWarning, match="names of codes have more than")
    with Session() as s, told:
        assert list(s.open_dataset(tmp_path / "x.hdf5", "r", "d")["t"].keys()) == ["y"]
