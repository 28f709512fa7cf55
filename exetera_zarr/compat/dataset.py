"""`exetera.core.dataset`."""

from exetera_zarr.tables.dataset import Dataset, copy, move

__all__ = ["Dataset", "HDF5Dataset", "copy", "move"]

HDF5Dataset = Dataset
