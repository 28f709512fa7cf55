"""Appending, changing and deleting whole rows of a table: the methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from exetera_zarr.errors import about
from exetera_zarr.fields.sources import workspace

if TYPE_CHECKING:
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.rows.columns import Missing, New
    from exetera_zarr.tables.rows.upserting import Upserted

__all__ = ["RowVerbs"]


class RowVerbs:
    """The methods of a table that change whole rows."""

    def append(self, rows: Any, *, missing: Missing = "error", new: New = "error") -> int:
        """
        Append rows from elsewhere, all or none.

        Parameters
        ----------
        rows : DataFrame, Arrow or pandas or Polars table, or dict of columns
            A table of this package; a pandas or Polars DataFrame; a table, a batch or a reader of
            Arrow, or anything else that has ``__arrow_c_stream__``, which is read block by block;
            or ``{name: values}`` of arrays, lists, fields or Series. Columns go by name, in any
            order. Null, None, NaN, NaT, NA and what is masked is missing.
        missing
            What to do for fields that the rows lack: ``"error"``, or ``"fill"``, by which the new
            rows have no value there. Fields that say what is missing of others need not be given.
        new
            What to do with columns that the table lacks: ``"error"``, or ``"add"``, by which they
            become fields of it, without a value in the rows so far.

        Returns
        -------
        int
            How many rows were appended.

        Raises
        ------
        DataError
            A field cannot hold a value exactly: the message names row, column and value. Or there
            are columns that one side lacks, of different lengths, or none. Nothing is changed then.
        ArgumentTypeError
            `rows` is no table.

        Notes
        -----
        Categories go by their names, dates and times without a zone are in UTC, and a float may be
        rounded to a narrower one, as when it is written. What was there is neither read nor
        written, and writers that only append do not conflict.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://append.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     _ = people.append({"age": [60]})
        ...     people["age"].tolist()
        [34, 51, None, 47, 60]
        """
        from exetera_zarr.tables.rows.appending import append

        frame = cast("DataFrame", self)
        with frame.atomic():
            count = append(frame, rows, missing, new)
            frame.note("append", *_tables_in(rows), rows=count)
        return count

    def upsert(
        self,
        rows: Any,
        key: str | list[str],
        *,
        missing: Missing = "error",
        new: New = "error",
    ) -> Upserted:
        """
        Change the rows that have the keys of other ones, and append those of new keys.

        Parameters
        ----------
        rows
            As in `append`; each key once, in any order.
        key
            Name of the field that tells rows apart, or names. Any field type; keys that are missing
            are equal to each other.
        missing
            As in `append`. With ``"fill"``, rows that are there keep what they have in fields for
            which no column is given, and new ones have no value in them.
        new
            As in `append`.

        Returns
        -------
        Upserted
            How many rows were new, changed and unchanged.

        Raises
        ------
        DataError
            As in `append`; or a key occurs twice, in the rows or in the table: the message says
            which. Nothing is changed then.

        Notes
        -----
        Only fields, and of these only chunks, in which a value differs are written; fields of
        indexed strings are written as a whole. Rows that are as they were make no new version.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://upsert.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [1, 2], "age": [34, 51]})
        ...     _ = people.upsert({"id": [2, 3], "age": [52, 60]}, "id")
        ...     people["id"].tolist(), people["age"].tolist()
        ([1, 2, 3], [34, 52, 60])
        """
        from exetera_zarr.tables.rows.upserting import upsert

        frame = cast("DataFrame", self)
        with frame.atomic():
            found = upsert(frame, rows, key, missing, new)
            keys = frame.selected(key)
            frame.note("upsert", *_tables_in(rows), key=keys, new=found.new, changed=found.changed)
        return found

    def delete(self, where_or_rows: Any) -> int:
        """
        Delete rows.

        Parameters
        ----------
        where_or_rows : Field, array, list or Series
            Of bool: a condition, as `apply_filter` takes it; what is missing deletes no row. Of
            integers: row numbers, as `apply_index` takes them; one that repeats counts once.

        Returns
        -------
        int
            How many rows were deleted. Where there were none, nothing is written.

        Raises
        ------
        IndexError, TypeError, ValueError
            The condition has another length, or a row does not exist; nothing is changed then.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://delete.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [1, 2, 3]})
        ...     _ = people.delete(people["id"] == 2)
        ...     people["id"].tolist()
        [1, 3]
        """
        from exetera_zarr.tables.rows.deleting import kept_rows

        frame = cast("DataFrame", self)
        length, settings = frame.length(), frame.dataset.settings
        with workspace(settings) as work:
            with about(frame._phrase):  # noqa: SLF001
                rows = kept_rows(where_or_rows, length, work, settings.face)
            if len(rows) < length:
                frame._rewrite(rows, None, "delete", deleted=length - len(rows))  # noqa: SLF001
            return length - len(rows)


def _tables_in(rows: Any) -> list[DataFrame]:
    """The table that some rows are, if they are one."""
    return [rows] if hasattr(rows, "copy_rows") else []
