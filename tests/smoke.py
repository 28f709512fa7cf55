"""A round trip with only the package and what it requires installed; run by `tox -e minimal`."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np

import exetera_zarr
from exetera_zarr import Session

AT_FIRST = frozenset(sys.modules)


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


def ten_lines() -> str:
    """What README begins with."""
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert found is not None, "README has no lines of Python"
    return found[1]


def readme_ends_with_a_table(folder: str) -> None:
    before, said = Path.cwd(), io.StringIO()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(said):
            exec(compile(ten_lines(), "README.md", "exec"), {})
    finally:
        os.chdir(before)
    assert "4 rows x 5 fields" in said.getvalue(), said.getvalue()


def main() -> None:
    home = Path(exetera_zarr.__file__).parent
    assert (home / "py.typed").is_file()
    assert "site-packages" in home.parts, f"{home} is not the installed wheel"
    assert version("exetera-zarr") == exetera_zarr.__version__
    with tempfile.TemporaryDirectory() as folder:
        round_trip(str(Path(folder) / "study.zarr"))
        hdf5_says_what_is_missing(str(Path(folder) / "old.hdf5"))
    with tempfile.TemporaryDirectory() as folder:
        readme_ends_with_a_table(folder)
    round_trip("memory://smoke/study.zarr")
    optional = {"dask", "h5py", "matplotlib", "pandas", "polars", "s3fs", "typer"}
    assert not optional & sys.modules.keys()
    # These take longer to import than the package itself, and are not needed by every program.
    assert not {"pyarrow.compute", "fsspec", "asyncio"} & AT_FIRST


if __name__ == "__main__":
    main()
