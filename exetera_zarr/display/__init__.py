"""What a session, a dataset, a table and a field look like, from metadata alone."""

from exetera_zarr.display.html import dataset_html, field_html, session_html, table_html
from exetera_zarr.display.overview import FieldInfo, TableInfo, describe_dataset, describe_table

__all__ = [
    "FieldInfo",
    "TableInfo",
    "dataset_html",
    "describe_dataset",
    "describe_table",
    "field_html",
    "session_html",
    "table_html",
]
