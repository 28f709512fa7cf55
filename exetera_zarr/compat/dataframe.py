"""`exetera.core.dataframe`."""

from exetera_zarr.dataframe import DataFrame, copy, move
from exetera_zarr.grouping import DataFrameGroupBy
from exetera_zarr.merging import merge

__all__ = ["DataFrame", "HDF5DataFrame", "HDF5DataFrameGroupBy", "copy", "merge", "move"]

HDF5DataFrame = DataFrame
HDF5DataFrameGroupBy = DataFrameGroupBy
