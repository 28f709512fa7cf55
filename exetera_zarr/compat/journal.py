"""`exetera.core.journal`: a snapshot of a table, or of a dataset, into its journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import DataError, listing
from exetera_zarr.journal.snapshots import VALID_FROM, VALID_TO
from exetera_zarr.tables.dataframe import DataFrame, copy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exetera_zarr.storage import Mode
    from exetera_zarr.tables.dataset import Dataset
    from exetera_zarr.tables.session import Session

__all__ = ["journal_table", "journal_test_harness"]


def journal_table(
    session: Session,  # noqa: ARG001 - that of the tables counts
    schema: Any,
    old_src: DataFrame,
    new_src: DataFrame,
    src_pk: str,
    result: DataFrame,
) -> None:
    """
    Write a journal and what a snapshot adds to it, ordered by key and moment, to another table.

    Parameters
    ----------
    session
        Accepted for ExeTera's sake.
    schema
        Whose `fields`, or whose keys, are the names of fields to write. The key and the moments are
        written in any case, which ExeTera leaves out.
    old_src
        The journal; it stays as it is.
    new_src
        The snapshot; its ``j_valid_from`` is its moment.
    src_pk
        Name of the key.
    result
        Where to write; has no fields of these names.

    Raises
    ------
    ValueError
        As `DataFrame.journal`; a source is no table. `result` is left as it was.
    """
    for name, frame in (("old_src", old_src), ("new_src", new_src), ("result", result)):
        if not isinstance(frame, DataFrame):
            raise DataError(f"{name} is a {type(frame).__name__}, not a table")
    wanted = {*getattr(schema, "fields", schema), src_pk}
    with result.atomic():
        for name, field in old_src.items():
            if name in wanted or name in (VALID_FROM, VALID_TO):
                copy(field, result, name)
        result.journal(new_src, src_pk, fields=[name for name in new_src if name in wanted])
        result.sort_values([src_pk, VALID_FROM])


def journal_test_harness(
    session: Session, schema: Mapping[str, Any], old_file: Any, new_file: Any, dest_file: Any
) -> None:
    """
    Write the journals of a dataset, and what a new one adds to each, to a third one.

    Parameters
    ----------
    session
        Opens the three.
    schema
        ``{table: its schema}``, as `journal_table` takes them; others are left out.
    old_file, new_file, dest_file
        Paths or URLs. The key of each table is ``id``.

    Raises
    ------
    ValueError
        The two have not the same tables.
    """
    opened: list[Dataset] = []
    try:
        modes: tuple[tuple[Any, Mode], ...]
        modes = ((old_file, "r"), (new_file, "r"), (dest_file, "w"))
        for path, mode in modes:
            opened.append(session.open_dataset(path, mode, f"journal {len(opened)}"))
        old, new, dest = opened
        if set(old) != set(new):
            raise DataError(
                f"both datasets need the same tables; there are {listing(old)} in {old.url}, and "
                f"{listing(new)} in {new.url}"
            )
        with dest.transaction():
            for table in (table for table in schema if table in old):
                journal_table(
                    session, schema[table], old[table], new[table], "id", dest.create_group(table)
                )
    finally:
        for number in range(len(opened)):
            session.close_dataset(f"journal {number}")
