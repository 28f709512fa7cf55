"""Tables as journals of their snapshots: the methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, cast

from exetera_zarr.errors import ArgumentError
from exetera_zarr.fields.describing import copy_table_codebook

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from exetera_zarr.fields.numeric import NumericField
    from exetera_zarr.journal.applying import Journaled
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["Journaling"]


class Journaling:
    """The methods of a table that has a history, row by row."""

    def journal(
        self,
        snapshot: DataFrame,
        by: str | list[str],
        valid_from: str | float | datetime | None = None,
        *,
        close_vanished: bool = False,
        fields: Sequence[str] | None = None,
        compare: Sequence[str] | None = None,
        absolute: float | Mapping[str, float] = 0.0,
        relative: float | Mapping[str, float] = 0.0,
        progress: Callable[[int, int], None] | None = None,
    ) -> Journaled:
        """
        Keep in this table, a journal, what a new snapshot of its rows changes.

        A row says with ``j_valid_from`` and ``j_valid_to`` from when to when it was so. Rows of new
        keys, and rows that differ from those before, are appended; those before end at that moment.
        An empty table becomes a journal by its first snapshot.

        Parameters
        ----------
        snapshot
            The whole table as it is now, with one row for each key; in any order.
        by
            Name of the key, or names. Any field type.
        valid_from
            The moment of the snapshot: text, a datetime or POSIX seconds, UTC unless it says else.
            That in its ``j_valid_from`` by default, which every import writes.
        close_vanished
            Whether rows whose key the snapshot lacks end, too.
        fields
            Names of the fields to journal; all of the snapshot by default.
        compare
            Names of the fields whose difference makes a row another one; all by default.
        absolute, relative
            How far floats and timestamps may be from those before, for all or by name:
            ``absolute + relative * abs(before)``. A relative one for all is not for timestamps.
        progress
            Called with how many steps are done, and how many there are.

        Returns
        -------
        Journaled
            How many rows were new, changed, unchanged, and vanished.

        Raises
        ------
        ValueError
            A key occurs twice in the snapshot; the snapshot is of an earlier moment than the last
            one; a field does not exist, or is of a type that the journal's cannot hold. Nothing is
            changed then.

        Notes
        -----
        NaN equals NaN, strings are compared by their bytes, categories by their names. A field that
        only one side has is empty (0, False or no text) on the other. What had ended and comes
        again is new.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://journal.zarr", "w", "study")
        ...     days = ds.from_dict("monday", {"id": [1, 2], "dose": [5, 2]})
        ...     people = ds.create_dataframe("people")
        ...     _ = people.journal(days, "id", "2020-03-02")
        ...     later = ds.from_dict("tuesday", {"id": [1, 2], "dose": [5, 3]})
        ...     _ = people.journal(later, "id", "2020-03-03")
        ...     people.length()
        3
        """
        from exetera_zarr.journal.applying import journal

        frame = cast("DataFrame", self)
        with frame.atomic():
            found = journal(
                frame,
                snapshot,
                by,
                valid_from,
                close_vanished=close_vanished,
                fields=fields,
                compare=compare,
                absolute=absolute,
                relative=relative,
                progress=progress,
            )
            copy_table_codebook(snapshot, frame)
            frame.note("journal", snapshot, **asdict(found))
        return found

    def valid_at(self, moment: str | float | datetime) -> NumericField:
        """
        Which rows of a journal are valid at a moment: a filter.

        Parameters
        ----------
        moment
            Text, a datetime or POSIX seconds, UTC unless it says else.

        Returns
        -------
        NumericField
            Of bool, in memory: where ``j_valid_from <= moment < j_valid_to``.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://valid_at.zarr", "w", "study")
        ...     days = ds.from_dict("monday", {"id": [1, 2], "dose": [5, 2]})
        ...     people = ds.create_dataframe("people")
        ...     _ = people.journal(days, "id", "2020-03-02")
        ...     later = ds.from_dict("tuesday", {"id": [1, 2], "dose": [5, 3]})
        ...     _ = people.journal(later, "id", "2020-03-03")
        ...     people.valid_at("2020-03-02 12:00").tolist()
        [True, True, False]
        """
        from exetera_zarr.journal.applying import valid_at

        return valid_at(cast("DataFrame", self), moment)

    def as_of(self, moment: str | float | datetime, ddf: DataFrame | None = None) -> DataFrame:
        """
        The rows of a journal that are valid at a moment, in `ddf` or a view; see `valid_at`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://as_of.zarr", "w", "study")
        ...     days = ds.from_dict("monday", {"id": [1, 2], "dose": [5, 2]})
        ...     people = ds.create_dataframe("people")
        ...     _ = people.journal(days, "id", "2020-03-02")
        ...     later = ds.from_dict("tuesday", {"id": [1, 2], "dose": [5, 3]})
        ...     _ = people.journal(later, "id", "2020-03-03")
        ...     people.as_of("2020-03-02 12:00")["dose"].tolist()
        [5, 2]
        """
        frame = cast("DataFrame", self)
        valid = self.valid_at(moment)
        if ddf is None:
            return frame._where(valid)  # noqa: SLF001
        if not hasattr(ddf, "apply_filter"):
            raise ArgumentError(f"ddf is a table to write to, not a {type(ddf).__name__}")
        return frame.apply_filter(valid, ddf)
