"""Tables: named fields, and the operations over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.engine.sort import sorting
from exetera_zarr.engine.streams.row_gather import RowNumbers
from exetera_zarr.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    FieldNotFoundError,
    NameTakenError,
    TableNotFoundError,
    UnsupportedError,
    about,
    listing_lengths,
)
from exetera_zarr.fields import filters
from exetera_zarr.fields.base import Field
from exetera_zarr.fields.container import FieldContainer, normal
from exetera_zarr.fields.missing import companions
from exetera_zarr.fields.missing.keys import directions, key_source
from exetera_zarr.fields.sources import source_of, workspace
from exetera_zarr.settings import let_pass
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    import contextlib
    import os
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from typing import IO

    import pandas as pd

    from exetera_zarr.fields.names import Names
    from exetera_zarr.fields.numeric import NumericField
    from exetera_zarr.journal.applying import Journaled
    from exetera_zarr.storage.base import Group
    from exetera_zarr.tables.dataset import Dataset
    from exetera_zarr.tables.groupby import DataFrameGroupBy, MissingGroups
    from exetera_zarr.tables.rows.columns import Missing, New
    from exetera_zarr.tables.rows.upserting import Upserted

__all__ = ["DataFrame", "copy", "move"]


class DataFrame(FieldContainer):
    """
    A table: named fields, usually of one length.

    Parameters
    ----------
    dataset
        The dataset it is a table of.
    group
        Its storage group.
    """

    def __init__(self, dataset: Dataset, group: Group) -> None:
        super().__init__()
        self._dataset = dataset
        self._group = group
        self._left: Names | None = None  # the names when the dataset was closed

    @property
    def exists(self) -> bool:
        """Whether it was neither deleted, moved nor rolled back."""
        try:
            return self.group is not None
        except ValueError:
            return False

    def leave(self, names: Names) -> None:
        """Keep the names of the fields beyond the end of the dataset."""
        self._left = names

    @property
    def group(self) -> Group:
        """The storage group; ValueError if the table exists no more."""
        try:
            _ = self._group.attributes
        except KeyError as error:
            raise TableNotFoundError(
                f"the table {self._group.name!r} does not exist any more: it was deleted, moved "
                "or rolled back"
            ) from error
        return self._group

    # the second is how ExeTera's own tests reach it
    h5group = _h5group = group

    @property
    def name(self) -> str:
        """Its name in the dataset."""
        return str(self.group.name)

    @name.setter
    def name(self, name: object) -> None:
        raise AttributeError(
            f"the name of {self._phrase()} is not set, but changed by ds[{name!r}] = df, and "
            "ended by ds.delete_dataframe(df)"
        )

    @property
    def dataset(self) -> Dataset:
        """The dataset it is a table of."""
        return self._dataset

    @property
    def columns(self) -> dict[str, Field]:
        """The fields by name, in order; a copy."""
        return dict(self.items())

    def _phrase(self) -> str:
        return f"the table {self._group.name!r} of {self._dataset.url}"

    def _field_arguments(self) -> dict[str, Any]:
        return {"session": self._dataset.session, "dataframe": self}

    def _default_timestamp(self) -> str:
        return self._dataset.settings.timestamp

    def __repr__(self) -> str:
        fields = ", ".join(visible(f"{name}: {field.fieldtype}") for name, field in self.items())
        return f"<DataFrame {self.name!r}: {fields or 'no fields'}>"

    def _repr_html_(self) -> str:
        from exetera_zarr.tables.html import table_html

        return table_html(self)

    # -- fields

    def create_group(self, name: str) -> Field:
        """
        Refused: a table holds fields, and no groups that are none.

        Raises
        ------
        UnsupportedError
            Always. What ExeTera made here kept it from opening the file again.
        """
        raise UnsupportedError(
            f"{self._phrase()} holds fields, so there can be no group {name!r} in it: use "
            "create_numeric and the like for a field, create_dataframe of the dataset for a table"
        )

    def add(self, field: Field) -> Field:
        """Copy a field, with its name, into the table."""
        if field.name is None:
            raise ArgumentError("a field in memory has no name: write df[name] = field")
        added: Field = copy(field, self, field.name)
        return added

    def get_field(self, name: str) -> Field:
        """The field of that name; FieldNotFoundError (a ValueError) where there is none."""
        field: Field = self._field(name)
        return field

    def __getitem__(self, name: str) -> Any:
        if not isinstance(name, str):
            raise ArgumentTypeError(
                f"{self._phrase()} gives one field by its name, not by a {type(name).__name__}: "
                "apply_filter and apply_index choose rows, to_pandas several fields"
            )
        return self._field(name)

    def __setitem__(self, name: str, field: Field) -> None:
        if not isinstance(name, str) or not isinstance(field, Field):
            raise ArgumentTypeError("a table takes fields by name: df[str] = Field")
        copy(field, self, name)

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            raise ArgumentTypeError(f"a name is a str, not a {type(name).__name__}")
        return normal(name) in (self.group if self._left is None else self._left)

    def contains_field(self, field: Field) -> bool:
        """Whether that field is one of this table; TypeError for something else."""
        if not isinstance(field, Field):
            raise ArgumentTypeError(f"expected a field, not a {type(field).__name__}")
        return field.dataframe is self and field.valid

    def __delitem__(self, name: str) -> None:
        self._field(name)
        self._delete_field(name)

    def drop(self, name: str) -> None:
        """Delete the field of that name; FieldNotFoundError (a KeyError) where there is none."""
        if not isinstance(name, str):
            raise FieldNotFoundError(f"a name is a str, not a {type(name).__name__}")
        del self[name]

    def delete_field(self, field: Field) -> None:
        """Delete a field of this table; ValueError if it is not one."""
        if field.dataframe is not self:
            raise ArgumentError(f"{field.phrase()} is not of {self._phrase()}")
        del self[str(field.name)]

    def keys(self) -> Names:
        """Names of the fields, in order; as sets they go together by ``& | - ^``."""
        return self._field_names() if self._left is None else self._left

    def rename(self, field: str | Mapping[str, str], field_to: str | None = None) -> None:
        """
        Give fields other names.

        Parameters
        ----------
        field
            The present name, or ``{present: new}`` for several at once, which may swap.
        field_to
            The new name, when `field` is one.

        Raises
        ------
        FieldNotFoundError
            There is no such field. It is a KeyError and a ValueError.
        ValueError
            Two fields would have the same name, or the arguments are of another form.
        """
        if isinstance(field, str) == (field_to is None) or not isinstance(field, (str, Mapping)):
            raise ArgumentError("rename takes (present, new) or ({present: new, ...})")
        renames = {field: str(field_to)} if isinstance(field, str) else dict(field)
        for old in renames:
            self._field(old)
        self._rename_fields(renames)

    # -- rows

    def length(self, names: Sequence[str] | None = None) -> int:
        """
        Number of rows of the fields, which have to agree.

        Parameters
        ----------
        names
            Which fields; all by default.

        Raises
        ------
        DataError
            They have different lengths.
        """
        lengths = {name: len(self[name]) for name in (self.keys() if names is None else names)}
        if len(set(lengths.values())) > 1:
            raise DataError(
                f"the fields of {self._phrase()} have different lengths: "
                f"{listing_lengths(lengths)}; write as many rows to each"
            )
        return next(iter(lengths.values()), 0)

    def refuse_ragged(self) -> None:
        """DataError if fields have different lengths, unless that is let pass in ExeTera's face."""
        if self._dataset.settings.face.refuses_ragged:
            self.length()

    def apply_filter(self, filter_to_apply: Any, ddf: DataFrame | None = None) -> DataFrame:
        """
        Keep the rows for which a filter is true.

        Parameters
        ----------
        filter_to_apply : Field, array or list
            Bool, or numbers of which all but zero keep; as long as the table. What is missing
            keeps no row.
        ddf
            Table to write the rows to, as new fields; this table's own rows are replaced if it is
            not given.

        Returns
        -------
        DataFrame
            `ddf`, or this table.

        Raises
        ------
        IndexError, TypeError, ValueError
            The filter does not fit; nothing is changed then.
        """
        length, settings = self.length(), self._dataset.settings
        with workspace(settings) as work:
            with about(self._phrase):
                rows = filters.filter_rows(filter_to_apply, length, work, settings.face)
            return self._rewrite(rows, ddf)

    def apply_index(self, index_to_apply: Any, ddf: DataFrame | None = None) -> DataFrame:
        """
        Choose rows by number, in the order given.

        Parameters
        ----------
        index_to_apply : Field, array or list of integers
            Negative ones count from the end; they may repeat.
        ddf
            As in `apply_filter`.

        Returns
        -------
        DataFrame
            `ddf`, or this table.
        """
        length, settings = self.length(), self._dataset.settings
        with workspace(settings) as work:
            with about(self._phrase):
                rows = filters.index_rows(index_to_apply, length, work, settings.face)
            return self._rewrite(rows, ddf)

    def _rewrite(self, rows: RowNumbers | None, ddf: DataFrame | None) -> DataFrame:
        """Give each field other rows (or all), here or in another table, all or nothing."""
        if ddf is not None and not isinstance(ddf, DataFrame):
            raise ArgumentTypeError(f"expected a DataFrame to write to, not a {type(ddf).__name__}")
        target = self if ddf is None or ddf is self else ddf
        with target.atomic():
            for name, field in self.items():
                if rows is None and target is self:
                    continue
                found = field.blocks() if rows is None else filters.chosen(field, rows)
                with closing(found) as columns:
                    if target is self:
                        field.replace(columns)
                        continue
                    other = field.create_like(target, name)
                    for column in columns:
                        other.append(column, given=True)
            if target is not self:
                self.link_companions(target)
        return target

    def link_companions(self, target: DataFrame, names: Iterable[str] | None = None) -> None:
        """
        Have copies of fields know their companions, which were copied as well, as these do.

        Parameters
        ----------
        target
            The table of the copies, of the same names.
        names
            Which fields; all by default.
        """
        for name in self.keys() if names is None else names:
            if companions.BY_LINK in self[name].group.attributes:
                target[name].group.update_attributes({companions.BY_LINK: True})
            for attribute in (companions.COMPANION, companions.COMPANION_OF):
                other = self[name].group.attributes.get(attribute)
                if other is not None and other in target:
                    target[name].group.update_attributes({attribute: other})
            by_name = self._companion_by_name(name)
            if by_name is not None and by_name in target:
                # The copies were made in this face, where no name says that they belong together.
                companions.link(target[name].group, target[by_name].group, owner=None)

    def copy_rows(self, ddf: DataFrame) -> DataFrame:
        """Write all rows to another table, as new fields, all or none."""
        return self._rewrite(None, ddf)

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
        """
        from exetera_zarr.tables.rows.appending import append

        return append(self, rows, missing, new)

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
        """
        from exetera_zarr.tables.rows.upserting import upsert

        return upsert(self, rows, key, missing, new)

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
        """
        from exetera_zarr.tables.rows.deleting import kept_rows

        length, settings = self.length(), self._dataset.settings
        with workspace(settings) as work:
            with about(self._phrase):
                rows = kept_rows(where_or_rows, length, work, settings.face)
            if len(rows) < length:
                self._rewrite(rows, None)
            return length - len(rows)

    def atomic(self) -> contextlib.AbstractContextManager[None]:
        """A ``with`` block that leaves the dataset as it was when an exception leaves it."""
        return self._dataset.transaction()

    def sort_values(
        self,
        by: str | list[str],
        ddf: DataFrame | None = None,
        axis: int = 0,
        ascending: bool | list[bool] = True,
        kind: str = "stable",
    ) -> DataFrame:
        """
        Sort the rows.

        Parameters
        ----------
        by
            Name of the key, or names, the first one leading. Any field type.
        ddf
            As in `apply_filter`.
        axis, kind
            0 and ``"stable"``, as in pandas.
        ascending
            For all keys, or for each. What is missing comes last in either direction.

        Returns
        -------
        DataFrame
            `ddf`, or this table.
        """
        if axis != 0 or kind != "stable":
            raise ArgumentError("rows are sorted with axis=0 and kind='stable'")
        names = self.selected(by)
        self.length()
        with workspace(self._dataset.settings) as work:
            (keys,), split = key_source([self[name] for name in names])
            numbers = sorting.sort_rows(keys, directions(ascending, split), work)
            rows = None if numbers is None else RowNumbers(work, numbers)
            return self._rewrite(rows, ddf)

    def selected(self, by: str | list[str]) -> list[str]:
        """
        The names in an argument that is one name or a list of names.

        Raises
        ------
        ValueError
            It is something else, is empty, or names a field that there is not.
        """
        names = [by] if isinstance(by, str) else by
        if not isinstance(names, list) or not names:
            raise ArgumentError(f"expected a name or a list of names, not {by!r}")
        for name in names:
            if not isinstance(name, str):
                raise ArgumentError(f"expected a name or a list of names, not {by!r}")
            self._field(name)
        return names

    def groupby(
        self,
        by: str | list[str],
        hint_keys_is_sorted: bool = False,
        missing_keys: MissingGroups = "equal",
    ) -> DataFrameGroupBy:
        """
        Group the rows by keys.

        Parameters
        ----------
        by
            Name of the key, or names. Any field type.
        hint_keys_is_sorted
            The rows are sorted by the keys already; a wrong hint is an error.
        missing_keys
            ``"equal"``: the rows whose key is missing are one group, the last one; ``"drop"``:
            they are in no group.

        Returns
        -------
        DataFrameGroupBy
            Whose methods write one row per group to a table.
        """
        from exetera_zarr.tables.groupby import DataFrameGroupBy

        return DataFrameGroupBy(self, self.selected(by), hint_keys_is_sorted, missing_keys)

    def drop_duplicates(
        self, by: str | list[str], ddf: DataFrame | None = None, hint_keys_is_sorted: bool = False
    ) -> DataFrame:
        """Write each distinct combination of the keys, sorted, to `ddf`."""
        if not isinstance(ddf, DataFrame):
            raise ArgumentError("drop_duplicates needs a table to write to: ddf")
        return self.groupby(by, hint_keys_is_sorted).distinct(ddf)

    # -- journals

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
        """
        from exetera_zarr.journal.applying import journal

        return journal(
            self,
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
        """
        from exetera_zarr.journal.applying import valid_at

        return valid_at(self, moment)

    def as_of(self, moment: str | float | datetime, ddf: DataFrame) -> DataFrame:
        """Write the rows of a journal that are valid at a moment to `ddf`; see `valid_at`."""
        if not isinstance(ddf, DataFrame):
            raise ArgumentError("as_of needs a table to write to: ddf")
        return self.apply_filter(self.valid_at(moment), ddf)

    def describe(self, include: Any = None, exclude: Any = None, output: str = "terminal") -> Any:
        """
        Summarise fields, reading them a block at a time.

        Parameters
        ----------
        include
            ``'all'``, a name, a number type such as ``np.int32`` or ``np.number``, or a list of
            names or of types, of which names that do not exist are left out; all fields by default.
            Those that say what is missing of others are described only if they are named.
        exclude
            A name, a type, or a list of either; the other of what `include` is.
        output
            Heeded in ExeTera's face alone.

        Returns
        -------
        Summary
            For each field ``count`` (of values), ``missing``; of numbers and points in time
            ``mean``, ``std`` (with ``n - 1``), ``min``, the quartiles ``25%``, ``50%``, ``75%``,
            and ``max``; of others ``unique``, ``top`` (the most frequent, of several the least) and
            ``freq``. It is shown as a table, as text or in a notebook.

        Raises
        ------
        ValueError
            An argument is of another form, or no field is left.

        Notes
        -----
        In ExeTera's face it returns a dict of lists of text, which ``output="terminal"`` prints as
        well, of numeric and timestamp fields by default; its percentiles are those of 0.25, 0.5 and
        0.75 *percent* of the rows, and its ``std`` is that of the population, as scripts may rely
        on.
        """
        from exetera_zarr.tables import exetera_summary, summary

        if self._dataset.settings.face.describes_percentiles:
            return summary.describe(self, include, exclude)
        what = "gave percentiles of 0.25, 0.5 and 0.75 percent of the rows as quartiles"
        let_pass(self._dataset.settings, what, self._phrase())
        return exetera_summary.describe(self, include, exclude, output)

    def companions(self) -> dict[str, str]:
        """For each field that has a companion, which says what is missing of it, its name."""
        return self._companions()

    def to_csv(
        self,
        filepath: str | os.PathLike[str] | IO[str],
        row_filter: Any = None,
        column_filter: str | list[str] | None = None,
        chunk_row_size: int = 1 << 15,
        *,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        """
        Write a CSV file, reading the fields a block at a time.

        Missing values are empty, categories have their names, points in time are in UTC as
        ``2020-05-06 07:08:09`` with a fraction if they have one, bool is ``True`` and ``False``,
        and what could be taken for something else is in quotes: an import reads the same table.
        Fields that say what is missing of others are not written unless they are asked for.

        In ExeTera's face what is stored is written: categories as their codes, timestamps as
        seconds since 1970, whether there is a value or not; but fixed strings as text, where
        ExeTera writes ``b'text'``.

        Parameters
        ----------
        filepath
            Path or URL, or a text file open for writing.
        row_filter : Field, array or list
            Which rows, as of `apply_filter`. In ExeTera's face a field of this table is left out
            of the file.
        column_filter
            Name of a field, or names; all by default.
        chunk_row_size
            Rows that are made text at a time.
        storage_options
            For the file system behind a URL.

        Raises
        ------
        ValueError
            A field does not exist, the fields have different lengths, or an argument is of another
            form.
        IndexError
            The filter has another length.
        """
        from exetera_zarr.io.csv.export import write_csv

        write_csv(self, filepath, row_filter, column_filter, chunk_row_size, storage_options)

    def to_pandas(
        self, row_filter: Any = None, col_filter: str | list[str] | None = None
    ) -> pd.DataFrame:
        """
        The table as a pandas DataFrame, in memory.

        Missing values are missing: whole numbers and bool of which some are come as pandas'
        nullable types, strings as None, floats and seconds as NaN. Fields that say what is missing
        of others are left out unless they are asked for. In ExeTera's face what is stored comes.

        Parameters
        ----------
        row_filter : Field, array or list of bool or of row numbers, or slice
            Which rows; all by default. A condition that is missing chooses no row.
        col_filter
            Which fields; all by default.
        """
        from exetera_zarr.tables.pandas_frame import pandas_frame

        return pandas_frame(self, row_filter, col_filter)


def copy(field: Field, ddf: DataFrame, name: str) -> Any:
    """
    Copy a field into a table.

    Parameters
    ----------
    field
        Of any table or in memory.
    ddf
        Where to.
    name
        Its name there.

    Returns
    -------
    Field
        The copy.
    """
    # Not a transaction: that would note every field of the dataset, to have one more.
    with ddf.group.exclusive():
        if _is_there_already(field, ddf, name):
            return ddf[name]
        result = field.create_like(ddf, name)
        try:
            for column, mask in field.masked_blocks():
                result.append_masked(column, mask)
        except BaseException:
            ddf.delete_field(result)
            raise
    return result


def _is_there_already(field: Field, ddf: DataFrame, name: str) -> bool:
    """Whether it is a companion, of which the copy of its own field has made an equal one."""
    frame = field.dataframe
    if frame is None or not (ddf.gives_way(name) and frame.users_of(str(field.name))):
        return False
    made: Field = ddf[name]
    return len(made) == len(field) and all(
        np.array_equal(field.read(start, stop), made.read(start, stop))
        for start, stop in source_of([field]).cuts()
    )


def move(field: Field, ddf: DataFrame, name: str) -> Any:
    """
    Move a field to a table or to another name.

    Within a table the same object stays valid; after a move to another table the old one is not.

    Returns
    -------
    Field
        The field where it is now.
    """
    source = field.dataframe
    if source is ddf and source is not None:
        if name != field.name and name in ddf:
            raise NameTakenError(f"{name!r} exists already in {ddf.name!r}")
        ddf.rename(str(field.name), name)
        return field
    if source is not None:
        source.refuse_to_lose(str(field.name))
    result = copy(field, ddf, name)
    if source is not None:
        source.delete_field(field)
    return result
