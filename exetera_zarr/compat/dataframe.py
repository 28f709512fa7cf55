"""`exetera.core.dataframe`."""

from exetera_zarr.tables.dataframe import DataFrame, copy, move
from exetera_zarr.tables.groupby import DataFrameGroupBy
from exetera_zarr.tables.merge import merge

__all__ = ["DataFrame", "HDF5DataFrame", "HDF5DataFrameGroupBy", "copy", "merge", "move"]

HDF5DataFrame = DataFrame
HDF5DataFrameGroupBy = DataFrameGroupBy
