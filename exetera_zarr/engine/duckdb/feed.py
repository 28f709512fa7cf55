"""Columns on their way into DuckDB, made block by block as it asks for them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from exetera_zarr.engine.duckdb.codec import numbers_of, to_arrow
from exetera_zarr.engine.duckdb.connection import connected

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    import duckdb

    from exetera_zarr.engine.columns.types import Column
    from exetera_zarr.engine.streams.radix_sort import WordArray
    from exetera_zarr.engine.streams.workspace import Workspace

__all__ = ["BATCH", "Feeder", "feeding", "schema_of", "words_of"]

#: Rows of a batch in either direction.
BATCH = 1 << 17


class Feeder:
    """A connection, and the blocks that its statements read."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self._sources: list[Generator[Sequence[Column | pa.Array]]] = []
        self.error: BaseException | None = None

    def register(
        self, table: str, schema: pa.Schema, blocks: Generator[Sequence[Column | pa.Array]]
    ) -> None:
        """Make blocks of columns, in numpy or Arrow, a table that is read once."""
        self._sources.append(blocks)
        reader = pa.RecordBatchReader.from_batches(schema, self._batches(blocks, schema))
        self.connection.register(table, reader)

    def _batches(
        self, blocks: Generator[Sequence[Column | pa.Array]], schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        try:
            for columns in blocks:
                arrays = [c if isinstance(c, pa.Array) else to_arrow(c) for c in columns]
                batch = pa.record_batch(arrays, schema=schema)
                for start in range(0, len(batch), BATCH):
                    yield batch.slice(start, BATCH)
        except GeneratorExit:
            raise
        except BaseException as error:
            self.error = error  # DuckDB passes on no more than its text
            raise

    def close(self) -> None:
        """Read no further; the connection has to be closed before."""
        for blocks in self._sources:
            blocks.close()


@contextmanager
def feeding(work: Workspace) -> Iterator[Feeder]:
    """A feeder with a connection of its own; an error of a block is raised as it was."""
    feeder: Feeder | None = None
    try:
        with connected(work) as connection:
            feeder = Feeder(connection)
            yield feeder
    except Exception as error:
        if feeder is not None and feeder.error is not None and _of_engine(error):
            raise feeder.error from error
        raise
    finally:
        if feeder is not None:
            feeder.close()


def _of_engine(error: Exception) -> bool:
    import duckdb

    return isinstance(error, duckdb.Error | pa.ArrowException | MemoryError | OSError)


def schema_of(names: Sequence[str], empty: Sequence[Column]) -> pa.Schema:
    """The Arrow schema of columns of those names that are like the empty ones."""
    types = [
        pa.from_numpy_dtype(col.dtype) if isinstance(col, np.ndarray) else col.type for col in empty
    ]
    return pa.schema(list(zip(names, types, strict=True)))


def words_of(batch: pa.RecordBatch) -> list[WordArray]:
    """The columns of a result, which are uint64 without nulls; not to be changed."""
    return [numbers_of(col, np.uint64) for col in batch.columns]
