"""A round trip with only the package and what it requires installed; run by `tox -e minimal`."""

from __future__ import annotations

import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np

import exetera_zarr
from exetera_zarr import Session


def round_trip(url: str) -> None:
    ages = np.array([54, 31, 31, 78], dtype="int32")
    with Session() as session:
        people = session.open_dataset(url, "w", "study").create_dataframe("people")
        people.create_numeric("age", "int32").data.write(ages)
        people.create_indexed_string("note").data.write(["a", "", "ccc", "ö"])
    with Session() as session:
        people = session.open_dataset(url, "r", "study")["people"]
        assert np.array_equal(people["age"].data[:], ages)
        assert list(people["note"].data[:]) == ["a", "", "ccc", "ö"]


def hdf5_says_what_is_missing(path: str) -> None:
    said = ""
    try:
        with Session() as session:
            session.open_dataset(path, "w", "old")
    except exetera_zarr.UnsupportedError as error:
        said = str(error)
    assert "'hdf5'" in said, "an HDF5 file without h5py"


def main() -> None:
    home = Path(exetera_zarr.__file__).parent
    assert (home / "py.typed").is_file()
    assert "site-packages" in home.parts, f"{home} is not the installed wheel"
    assert version("exetera-zarr") == exetera_zarr.__version__
    with tempfile.TemporaryDirectory() as folder:
        round_trip(str(Path(folder) / "study.zarr"))
        hdf5_says_what_is_missing(str(Path(folder) / "old.hdf5"))
    round_trip("memory://smoke/study.zarr")
    optional = {"dask", "h5py", "matplotlib", "pandas", "polars", "s3fs", "typer"}
    assert not optional & sys.modules.keys()


if __name__ == "__main__":
    main()
