"""A cloud-native, versioned column store for longitudinal research data, with ExeTera's API.

>>> from exetera_zarr import Session
>>> with Session() as s:
...     ds = s.open_dataset("memory://hello.zarr", "w", "hello")
...     ds.create_dataframe("people").create_numeric("age", "int32").data.write([34, 51])
...     print(len(ds["people"]["age"]))
2
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from exetera_zarr._version import __version__
from exetera_zarr.errors import (
    AccessDeniedError,
    CommitStateUnknownError,
    ConflictError,
    CorruptDataError,
    DataError,
    DatasetExistsError,
    DatasetNotFoundError,
    ExeteraCompatibilityWarning,
    ExeteraError,
    FieldNotFoundError,
    NameTakenError,
    RaggedTableWarning,
    ReadOnlyError,
    SchemaError,
    StorageError,
    TableNotFoundError,
    UnsupportedError,
    VersionNotFoundError,
)
from exetera_zarr.fields.expressions.cutting import cut, qcut
from exetera_zarr.settings import size_in_bytes
from exetera_zarr.storage.options import OpenOptions
from exetera_zarr.storage.remote.credentials import set_credentials
from exetera_zarr.storage.remote.options import GCSOptions, S3Options
from exetera_zarr.tables.dataframe import DataFrame
from exetera_zarr.tables.dataset import Dataset
from exetera_zarr.tables.merge import merge
from exetera_zarr.tables.session import Session, cache_folder

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from exetera_zarr.io.arrow.frames import scan
    from exetera_zarr.io.csv.text import CsvError
    from exetera_zarr.io.importer import import_csv, import_tables
    from exetera_zarr.io.propose.discovery import propose_schema
    from exetera_zarr.io.schema.load import load_schema
    from exetera_zarr.storage.base import VersionLike
    from exetera_zarr.storage.options import Durability, Mode

__all__ = [
    "AccessDeniedError",
    "CommitStateUnknownError",
    "ConflictError",
    "CorruptDataError",
    "CsvError",
    "DataError",
    "DataFrame",
    "Dataset",
    "DatasetExistsError",
    "DatasetNotFoundError",
    "ExeteraCompatibilityWarning",
    "ExeteraError",
    "FieldNotFoundError",
    "GCSOptions",
    "NameTakenError",
    "RaggedTableWarning",
    "ReadOnlyError",
    "S3Options",
    "SchemaError",
    "Session",
    "StorageError",
    "TableNotFoundError",
    "UnsupportedError",
    "VersionNotFoundError",
    "__version__",
    "cut",
    "import_csv",
    "import_tables",
    "load_schema",
    "merge",
    "open_dataset",
    "propose_schema",
    "qcut",
    "scan",
    "set_credentials",
]


def open_dataset(
    dataset_path: Any,
    mode: Mode = "r",
    name: str | None = None,
    *,
    storage_options: Mapping[str, Any] | None = None,
    durability: Durability = "fsync",
    single_writer: bool = False,
    version: VersionLike | None = None,
    external: bool = False,
    cache: str | os.PathLike[str] | None = None,
    cache_size: float | str = "10GB",
    **session_options: Any,
) -> Dataset:
    """
    Open one dataset, without a session to keep.

    Parameters
    ----------
    dataset_path, mode, name, storage_options, durability, single_writer, version, external
        As of `Session.open_dataset`.
    cache, cache_size
        As of `Session.open_dataset`.
    session_options
        As of `Session`.

    Returns
    -------
    Dataset
        Close it, or use it in a ``with`` block.

    Examples
    --------
    >>> from exetera_zarr import open_dataset
    >>> with open_dataset("memory://again.zarr", "w", "study") as ds:
    ...     ds.name
    'study'
    """
    options = OpenOptions(
        storage_options=storage_options or {},
        durability=durability,
        single_writer=single_writer,
        version=version,
        external=external,
        cache=None if cache is None else cache_folder(cache),
        cache_size=size_in_bytes(cache_size, "cache size"),
    )
    return Session(**session_options).open_with(dataset_path, mode, name, options)


# Reading CSV pulls in more of Arrow than most scripts need.
_LATER = {
    "CsvError": "exetera_zarr.io.csv.text",
    "import_csv": "exetera_zarr.io.importer",
    "scan": "exetera_zarr.io.arrow.frames",
    "import_tables": "exetera_zarr.io.importer",
    "load_schema": "exetera_zarr.io.schema.load",
    "propose_schema": "exetera_zarr.io.propose.discovery",
}
# What pandas and Polars call by these names.
_INSTEAD = {
    "read_csv": "import_csv(dataset, 'table', 'file.csv')",
    "read_parquet": "dataset.from_parquet('table', 'file.parquet')",
    "read_sql": "dataset.sql('select ...')",
    "concat": "table.append(rows)",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    why = f"module {__name__!r} has no attribute {name!r}"
    if name in _INSTEAD:
        why += f": write {_INSTEAD[name]}"
    raise AttributeError(why)


def __dir__() -> list[str]:
    return sorted(__all__)
