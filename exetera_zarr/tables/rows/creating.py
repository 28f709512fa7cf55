"""A table of rows from elsewhere, with the fields that hold them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import pyarrow as pa

from exetera_zarr.errors import ArgumentError, NameTakenError
from exetera_zarr.tables.rows.appending import append
from exetera_zarr.tables.rows.given import rows_given, stream_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.dataset import Dataset

__all__ = ["IfExists", "Structs", "create", "flattened", "replacing"]

IfExists: TypeAlias = Literal["error", "replace", "append"]
Structs: TypeAlias = Literal["error", "flatten"]


def create(
    dataset: Dataset, name: str, data: Any, mode: IfExists = "error", structs: Structs = "error"
) -> DataFrame:
    """
    A table of the rows that are given, or nothing; see `Dataset.from_arrow`.

    Parameters
    ----------
    dataset
        Where to.
    name, mode, structs
        As of `Dataset.from_arrow`.
    data
        In any form that `DataFrame.append` takes.

    Returns
    -------
    DataFrame
        The table.
    """
    if mode not in get_args(IfExists):
        raise ArgumentError(f"mode is 'error', 'replace' or 'append', not {mode!r}")
    if structs not in get_args(Structs):
        raise ArgumentError(f"structs is 'error' or 'flatten', not {structs!r}")
    if name in dataset and mode == "error":
        raise NameTakenError(
            f"the dataset {dataset.name!r} ({dataset.url}) has {name!r} already: write "
            "mode='replace' for another table in its place, or mode='append' for more rows of it"
        )
    stream = stream_of(data)
    given = rows_given(data if stream is None else _prepared(stream, structs))
    with dataset.transaction():
        if name in dataset and mode == "append":
            table = dataset.get_dataframe(name)
            table.note("append", *_tables_in(data), rows=append(table, given))
            return table
        with replacing(dataset, name) as table:
            if given.about:
                table.group.update_attributes(given.about)
            rows = append(table, given, new="add", empty=True)
        table.note("create", *_tables_in(data), rows=rows)
        return table


@contextmanager
def replacing(dataset: Dataset, name: str, row_block: int | None = None) -> Iterator[DataFrame]:
    """
    A new table, which in the end has a name, and takes the place of what has it; or nothing.

    Parameters
    ----------
    dataset
        Where to.
    name
        Of the table, by which another one is known until then: rows may come from it.
    row_block
        Rows of a block; as of `Dataset.create_dataframe`.
    """
    with dataset.transaction():
        passing = name
        while passing in dataset:
            passing += "_"
        table = dataset.create_dataframe(passing, row_block=row_block)
        table.becomes = name
        yield table
        table.becomes = None
        if passing != name:
            del dataset[name]
            dataset.group.rename_groups({passing: name})


def _tables_in(data: Any) -> list[DataFrame]:
    """The table of ours that some data are, if they are one."""
    return [data] if hasattr(data, "dataset") else []


def _prepared(stream: pa.RecordBatchReader, structs: Structs) -> pa.RecordBatchReader:
    return flattened(stream) if structs == "flatten" else stream


def flattened(stream: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """The same rows with a column ``name.child`` for each child of a struct, however deep."""

    def flat(table: pa.Table) -> pa.Table:
        while any(pa.types.is_struct(field.type) for field in table.schema):
            table = table.flatten()
        return table

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in stream:
            yield from flat(pa.Table.from_batches([batch])).to_batches()

    schema = flat(stream.schema.empty_table()).schema
    return pa.RecordBatchReader.from_batches(schema, batches())
