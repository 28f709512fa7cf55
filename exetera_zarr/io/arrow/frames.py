"""Tables as frames of Polars: whole, or read lazily by what a query needs."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import needing
from exetera_zarr.io.arrow.stream import ArrowStream
from exetera_zarr.storage import Capability
from exetera_zarr.tables.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl

    from exetera_zarr.storage.base import VersionLike
    from exetera_zarr.tables.dataset import Dataset

__all__ = ["polars_frame", "scan"]


def polars_frame(stream: ArrowStream) -> pl.DataFrame:
    """A stream as a frame of Polars, in which categories are an Enum: all names, in order."""
    with needing("to_polars", "polars"):
        import polars as pl

    return _with_enums(pl.DataFrame(stream.reader()), stream)


def _with_enums(frame: pl.DataFrame, stream: ArrowStream) -> pl.DataFrame:
    import polars as pl

    enums = {name: pl.Enum(names) for name, names in stream.categories.items()}
    return frame.with_columns(pl.col(name).cast(enum) for name, enum in enums.items())


def scan(
    dataset_path: Any,
    table: str,
    *,
    storage_options: Mapping[str, Any] | None = None,
    version: VersionLike | None = None,
    **session_options: Any,
) -> pl.LazyFrame:
    """
    A table as a LazyFrame of Polars, which reads the columns that a query needs, block by block.

    Parameters
    ----------
    dataset_path, storage_options, version
        As of `Session.open_dataset`. Without a version it is the newest at the time of this call.
    table
        The name of the table.
    session_options
        As of `Session`.

    Returns
    -------
    pl.LazyFrame
        Each time that it is collected the dataset is opened anew, at the same version.

    Examples
    --------
    >>> import polars as pl
    >>> from exetera_zarr import Session, scan
    >>> with Session() as s:
    ...     ds = s.open_dataset("memory://scan.zarr", "w", "study")
    ...     _ = ds.from_dict("people", {"age": [34, None, 51], "id": [1, 2, 3]})
    >>> scan("memory://scan.zarr", "people").filter(pl.col("age") > 40).collect()["id"].to_list()
    [3]
    """
    with needing("scan", "polars"):
        import polars as pl
        from polars.io.plugins import register_io_source

    @contextmanager
    def opened(at: VersionLike | None) -> Iterator[Dataset]:
        with Session(**session_options) as session:
            yield session.open_dataset(
                dataset_path, "r", storage_options=storage_options, version=at
            )

    at = version
    with opened(version) as dataset:
        if version is None and Capability.VERSIONS in dataset.capabilities:
            at = dataset.version
        stream = ArrowStream(dataset.get_dataframe(table))
        schema = _with_enums(pl.DataFrame(stream.schema.empty_table()), stream).schema

    def read(
        columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, _size: int | None
    ) -> Iterator[pl.DataFrame]:
        with opened(at) as dataset:
            stream = ArrowStream(dataset.get_dataframe(table), columns)
            with closing(stream.batches()) as batches:
                for batch in batches:
                    frame = _with_enums(pl.DataFrame(batch), stream)
                    frame = frame if rows is None else frame.head(rows)
                    rows = None if rows is None else rows - len(frame)
                    yield frame if predicate is None else frame.filter(predicate)
                    if rows == 0:
                        return

    return register_io_source(read, schema=schema, validate_schema=True)
