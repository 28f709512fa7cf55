"""Tables as collections of Dask: what `DataFrame.to_dask` hands over to."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import dask.dataframe as dd
import pandas as pd

from exetera_zarr.dask.clients import check_workers, current_client
from exetera_zarr.dask.conditions import as_condition, checked
from exetera_zarr.dask.cutting import cut_at_blocks, cut_at_keys
from exetera_zarr.dask.opened import TablePlace
from exetera_zarr.dask.reader import RowReader, made_frame
from exetera_zarr.dask.types import chosen_columns, index_of, pandas_column, types_for
from exetera_zarr.errors import ArgumentError, UnsupportedError
from exetera_zarr.io.arrow.conditions import Condition
from exetera_zarr.io.arrow.stream import ArrowStream
from exetera_zarr.tables.views.groups import ColumnGroup, TableGroup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exetera_zarr.dask.types import DaskTypes
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["collection", "place_of"]


def collection(
    frame: DataFrame,
    columns: str | Sequence[str] | None,
    where: Any,
    *,
    types: DaskTypes,
    index: str | None,
    blocks: int,
) -> dd.DataFrame:
    """See `DataFrame.to_dask`."""
    if isinstance(blocks, bool) or not isinstance(blocks, int) or blocks < 1:
        raise ArgumentError(f"blocks is a number of blocks of a partition, from 1, not {blocks!r}")
    if frame.is_view:
        table, names = _viewed(frame, columns)
        old_names = {new: old for old, new in names.items()}
        found = collection(
            table,
            list(names),
            _renamed(where, old_names),
            types=types,
            index=None if index is None else old_names.get(index, index),
            blocks=blocks,
        )
        renames = {old: new for old, new in names.items() if old != new}
        return found.rename(columns=renames) if renames else found
    types = types_for(frame, types)
    place = place_of(frame)
    condition = checked(frame, where)
    names_of = chosen_columns(frame, columns, types)
    length = frame.length()
    block = frame.group.row_block
    cuts = cut_at_blocks([frame[name] for name in frame], length, block * blocks)
    divisions: list[Any] | None = None
    if index is not None:
        key = pandas_column(frame.get_field(index), types)
        index_of(key, key.empty())
        cuts, divisions = cut_at_keys(key, cuts)
        names_of = [name for name in names_of if name != index]
    client = current_client()
    if client is not None:
        check_workers(client, place.address)
    ranges = list(pairwise(cuts)) or [(0, 0)]
    divisions = divisions or [start for start, _ in ranges] + [max(length - 1, 0)]
    if condition is not None:
        ranges, divisions = _that_may_fulfil(frame, condition, ranges, divisions)
    if length == 0 or divisions[0] is None:
        ranges, divisions = [(0, 0)], [None, None]
    reader = RowReader(place, types, condition, index, block)
    return _made(reader, ranges, tuple(divisions), names_of, _meta(frame, reader, names_of))


def place_of(frame: DataFrame) -> TablePlace:
    """Where other processes find a table; ArgumentError where that is not what it is here."""
    storage, name = frame.group.storage, frame.name
    if storage is None:
        raise UnsupportedError(
            f"the table {name!r} is in memory: ds[{name!r}] = table and ds.commit() keep it"
        )
    exetera = not frame.dataset.settings.face.sees_missing
    return TablePlace(storage.address(name), name, exetera)


def _meta(frame: DataFrame, reader: RowReader, names: Sequence[str]) -> pd.DataFrame:
    wanted = [*names, *([] if reader.index is None else [reader.index])]
    made = {name: pandas_column(frame[name], reader.types) for name in wanted}
    empty = [(one.field.empty_column(), None, lambda row: row) for one in made.values()]
    numbers = pd.RangeIndex(0, 0) if reader.where is None else pd.Index([], dtype="int64")
    return made_frame(names, made, reader.index, numbers, empty)


def _that_may_fulfil(
    frame: DataFrame, where: Any, ranges: list[tuple[int, int]], divisions: list[Any]
) -> tuple[list[tuple[int, int]], list[Any]]:
    """The partitions that zones do not rule out; the first one stays where they rule out all."""
    condition = Condition(frame, ArrowStream(frame).schema, as_condition(frame, where))
    kept = [number for number, one in enumerate(ranges) if condition.may_be_true(*one)] or [0]
    return [ranges[number] for number in kept], [
        *(divisions[number] for number in kept),
        divisions[kept[-1] + 1],
    ]


def _made(
    reader: RowReader,
    ranges: list[tuple[int, int]],
    divisions: tuple[Any, ...],
    names: list[str],
    meta: pd.DataFrame,
) -> dd.DataFrame:
    label = f"rows-of-{reader.place.name}"
    try:
        from dask.dataframe.dask_expr import new_collection

        from exetera_zarr.dask.expressions import ReadTable
    except ImportError:  # what is used there is no public part of Dask: here is the public one
        return dd.from_map(reader, ranges, meta=meta, divisions=divisions, label=label)
    return new_collection(
        ReadTable(reader, [ranges], names, [], {}, True, meta, False, divisions, label)
    )


def _viewed(
    view: DataFrame, columns: str | Sequence[str] | None
) -> tuple[DataFrame, dict[str, str]]:
    """The table that a view shows columns of, and the names that they have in it and here."""
    group: Any = view.group
    while isinstance(group, TableGroup):
        group = group.base
    table = view.dataset.get_dataframe(group.name)
    names: dict[str, str] = {}
    for name in chosen_columns(view, columns, "typed"):
        column = view[name].group
        of_table = []
        if isinstance(column, ColumnGroup) and column.chosen_rows is None:
            base = column.base
            while isinstance(base, ColumnGroup):
                base = base.base
            of_table = group.with_key_in({base.key})
        if not of_table:
            raise UnsupportedError(
                f"workers read what is stored, and not the rows or the new columns of a view, such "
                f"as {name!r} of {view.name!r}: choose rows by to_dask(where=[('age', '>', 40)]) "
                "of the table itself, or make a table of the view by ds['name'] = view and "
                "ds.commit(); a new column is made by assign() of the collection"
            )
        names[of_table[0]] = name
    return table, names


def _renamed(where: Any, names: Mapping[str, str]) -> Any:
    """A condition in the names of the table."""
    if isinstance(where, list):
        return [_renamed(one, names) for one in where]
    if isinstance(where, tuple) and len(where) == 3 and isinstance(where[0], str):
        return names.get(where[0], where[0]), *where[1:]
    return where
