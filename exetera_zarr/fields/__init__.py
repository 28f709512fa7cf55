"""Field types, each one class, whether the bytes live in a dataset or in memory."""

from exetera_zarr.fields.base import Field
from exetera_zarr.fields.categorical import CategoricalField
from exetera_zarr.fields.fixed_string import FixedStringField
from exetera_zarr.fields.functions import argsort, as_field, isin
from exetera_zarr.fields.indexed_string import IndexedStringField
from exetera_zarr.fields.numeric import NumericField
from exetera_zarr.fields.timestamp import TimestampField
from exetera_zarr.fieldtypes import dtype_to_str

__all__ = [
    "CategoricalField",
    "Field",
    "FixedStringField",
    "IndexedStringField",
    "NumericField",
    "TimestampField",
    "argsort",
    "as_field",
    "dtype_to_str",
    "isin",
]
