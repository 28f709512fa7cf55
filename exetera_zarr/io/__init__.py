"""Data from files and to files."""

from exetera_zarr.io.csv.text import CsvError
from exetera_zarr.io.importer import import_csv, import_tables, import_with_schema
from exetera_zarr.io.options import ImportOptions, ImportSummary, Progress, TableSummary
from exetera_zarr.io.schema.load import (
    Categorical,
    Date,
    DateTime,
    Definition,
    Numeric,
    Schema,
    String,
    load_schema,
)

__all__ = [
    "Categorical",
    "CsvError",
    "Date",
    "DateTime",
    "Definition",
    "ImportOptions",
    "ImportSummary",
    "Numeric",
    "Progress",
    "Schema",
    "String",
    "TableSummary",
    "import_csv",
    "import_tables",
    "import_with_schema",
    "load_schema",
]
