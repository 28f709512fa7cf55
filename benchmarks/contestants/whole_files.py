"""What is done with a whole HDF5 file: ours, plain h5py to zarr, and a copy of its bytes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

BLOCK = 1 << 20
LIMIT = "256MB"


def to_zarr(inputs: Path, output: Path, *, verify: bool = False) -> None:
    """`exetera-zarr convert`."""
    from exetera_zarr.conversion.datasets import convert

    convert(inputs, output, verify=verify, memory_limit=LIMIT)


def to_zarr_verified(inputs: Path, output: Path) -> None:
    to_zarr(inputs, output, verify=True)


def copy_bytes(inputs: Path, output: Path) -> None:
    """`cp`."""
    shutil.copyfile(inputs, output)


def plainly(inputs: Path, output: Path) -> None:
    """Every dataset of the file to a zarr array with default codecs, a block at a time."""
    import h5py
    import zarr

    root = zarr.create_group(output, zarr_format=3)

    def copy(name: str, found: Any) -> None:
        if isinstance(found, h5py.Dataset) and found.dtype.kind in "biufS" and len(found):
            kind = found.dtype if found.dtype.kind != "S" else f"V{found.dtype.itemsize}"
            made = root.create_array(name, shape=found.shape, dtype=kind, chunks=(BLOCK,))
            for start in range(0, len(found), BLOCK):
                made[start : start + BLOCK] = found[start : start + BLOCK].astype(kind)

    with h5py.File(inputs) as file:
        file.visititems(copy)


def read_by_ours(inputs: Path, output: Path) -> None:
    """Every column of the file, a block at a time, in memory once."""
    from exetera_zarr import Session

    with Session(memory_limit=LIMIT) as session:
        for table in session.open_dataset(inputs, "r", "read").values():
            for field in table.values():
                for array in field.arrays().values():
                    for start in range(0, len(array), BLOCK):
                        array.read(start, min(start + BLOCK, len(array)))


def write_by_ours(inputs: Path, output: Path) -> None:
    """The other way: a Zarr dataset to a file of ExeTera's layout."""
    from exetera_zarr.conversion.datasets import convert

    convert(inputs, output, verify=False, memory_limit=LIMIT)


TASKS = {
    "to_zarr": to_zarr,
    "to_zarr_verified": to_zarr_verified,
    "copy_bytes": copy_bytes,
    "plainly": plainly,
    "read": read_by_ours,
    "to_hdf5": write_by_ours,
}
CANNOT: dict[str, str] = {}
