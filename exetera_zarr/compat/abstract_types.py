"""`exetera.core.abstract_types`: here there is one class for each."""

from exetera_zarr.fields.base import Field
from exetera_zarr.tables.dataframe import DataFrame
from exetera_zarr.tables.dataset import Dataset
from exetera_zarr.tables.groupby import DataFrameGroupBy
from exetera_zarr.tables.session import Session as AbstractSession

__all__ = ["AbstractSession", "DataFrame", "DataFrameGroupBy", "Dataset", "Field"]
