"""Key columns on their way into DuckDB, made block by block as it asks for them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from exetera_zarr.engine.codes import numbers_of
from exetera_zarr.engine.columns import is_strings

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    import duckdb

    from exetera_zarr.engine.columns import Column
    from exetera_zarr.engine.wordsort import WordArray
    from exetera_zarr.engine.workspace import Workspace

__all__ = ["Feeder", "feeding", "words_of"]

#: Rows of a batch in either direction.
BATCH = 1 << 17


class Feeder:
    """A connection, and the blocks that its statements read."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self._sources: list[Generator[Sequence[Column]]] = []
        self.error: BaseException | None = None

    def register(
        self,
        table: str,
        names: Sequence[str],
        empty: Sequence[Column],
        blocks: Generator[Sequence[Column]],
    ) -> None:
        """Make blocks of uint64 and strings, like the empty ones, a table that is read once."""
        schema = pa.schema(
            [
                (name, pa.large_binary() if is_strings(col) else pa.uint64())
                for name, col in zip(names, empty, strict=True)
            ]
        )
        self._sources.append(blocks)
        reader = pa.RecordBatchReader.from_batches(schema, self._batches(blocks, schema))
        self.connection.register(table, reader)

    def _batches(
        self, blocks: Generator[Sequence[Column]], schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        try:
            for columns in blocks:
                arrays = [col if isinstance(col, pa.Array) else pa.array(col) for col in columns]
                batch = pa.record_batch(arrays, schema=schema)
                for start in range(0, len(batch), BATCH):
                    yield batch.slice(start, BATCH)
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
    import duckdb

    feeder: Feeder | None = None
    try:
        with work.connection() as connection:
            feeder = Feeder(connection)
            yield feeder
    except (duckdb.Error, pa.ArrowException) as error:
        if feeder is not None and feeder.error is not None:
            raise feeder.error from error
        raise
    finally:
        if feeder is not None:
            feeder.close()


def words_of(batch: pa.RecordBatch) -> list[WordArray]:
    """The columns of a result, which are uint64 without nulls; not to be changed."""
    return [numbers_of(col, np.uint64) for col in batch.columns]
