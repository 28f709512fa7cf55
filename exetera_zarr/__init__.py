"""A cloud-native, versioned column store for longitudinal research data, with ExeTera's API.

>>> from exetera_zarr import Session
>>> with Session() as s:
...     ds = s.open_dataset("memory://hello.zarr", "w", "hello")
...     ds.create_dataframe("people").create_numeric("age", "int32").data.write([34, 51])
...     print(len(ds["people"]["age"]))
2
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exetera_zarr._version import __version__
from exetera_zarr.dataframe import DataFrame
from exetera_zarr.dataset import Dataset
from exetera_zarr.errors import (
    ConflictError,
    CorruptDataError,
    DataError,
    DatasetExistsError,
    DatasetNotFoundError,
    ExeteraError,
    NameTakenError,
    ReadOnlyError,
    SchemaError,
    StorageError,
    UnsupportedError,
)
from exetera_zarr.merging import merge
from exetera_zarr.session import Session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exetera_zarr.io.importer import import_csv

__all__ = [
    "ConflictError",
    "CorruptDataError",
    "DataError",
    "DataFrame",
    "Dataset",
    "DatasetExistsError",
    "DatasetNotFoundError",
    "ExeteraError",
    "NameTakenError",
    "ReadOnlyError",
    "SchemaError",
    "Session",
    "StorageError",
    "UnsupportedError",
    "__version__",
    "import_csv",
    "merge",
    "open_dataset",
]


def open_dataset(
    dataset_path: Any,
    mode: str = "r",
    *,
    storage_options: Mapping[str, Any] | None = None,
    **session_options: Any,
) -> Dataset:
    """
    Open one dataset, without a session to keep.

    Parameters
    ----------
    dataset_path, mode, storage_options
        As of `Session.open_dataset`.
    session_options
        As of `Session`.

    Returns
    -------
    Dataset
        Close it, or use it in a ``with`` block.
    """
    session = Session(**session_options)
    return session.open_dataset(dataset_path, mode, storage_options=storage_options)


def __getattr__(name: str) -> Any:
    # Reading CSV pulls in more of Arrow than most scripts need.
    if name == "import_csv":
        from exetera_zarr.io.importer import import_csv

        return import_csv
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
