"""`exetera.core.dataset`."""

from exetera_zarr.dataset import Dataset, copy, move

__all__ = ["Dataset", "HDF5Dataset", "copy", "move"]

HDF5Dataset = Dataset
