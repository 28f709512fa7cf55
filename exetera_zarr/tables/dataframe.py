"""Tables: named fields, and the operations over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, ClassVar, overload

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
from exetera_zarr.fields.describing import Described, copy_table_codebook
from exetera_zarr.fields.missing import companions
from exetera_zarr.fields.missing.keys import directions, key_source
from exetera_zarr.fields.progress import counted, watched
from exetera_zarr.fields.sources import source_of, workspace
from exetera_zarr.settings import let_pass
from exetera_zarr.tables.journaling import Journaling
from exetera_zarr.tables.neighbours.of_tables import TableNeighbours
from exetera_zarr.tables.neighbours.verbs_on_dask import cluster_run
from exetera_zarr.tables.rows.verbs import RowVerbs
from exetera_zarr.tables.seeing.faces import TableFaces
from exetera_zarr.tables.views.choosing import Choosing
from exetera_zarr.tables.views.deriving import Deriving

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Hashable, Iterable

    from exetera_zarr.cluster.running import Run
    from exetera_zarr.fields.names import Names
    from exetera_zarr.storage.base import Group
    from exetera_zarr.tables.dataset import Dataset
    from exetera_zarr.tables.groupby import DataFrameGroupBy, MissingGroups
    from exetera_zarr.tables.views.duplicates import Keep
    from exetera_zarr.tables.views.view import View

__all__ = ["DataFrame", "copy", "move"]


class DataFrame(
    Choosing,
    Deriving,
    RowVerbs,
    Journaling,
    TableFaces,
    TableNeighbours,
    Described,
    FieldContainer,
):
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
        self.stood_for: Hashable | None = None
        """The key of the group that it stood for when another table was put in its place."""

    is_view: ClassVar[bool] = False
    """Whether it has rows and columns of another table, which are chosen and not copied."""
    becomes: str | None = None
    """The name that it gets in the end, for messages, while another table still has that."""

    @property
    def exists(self) -> bool:
        """Whether it was neither deleted, moved nor rolled back."""
        try:
            return self.group is not None
        except ValueError:
            return False

    @property
    def replaced(self) -> bool:
        """Whether it stands for a table that was put in the place of the one it was made for."""
        return self.stood_for is not None and self.group.key != self.stood_for

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
        """
        The fields by name, in order; a copy.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://columns.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [1, 2], "age": [34, 51]})
        ...     list(people.columns)
        ['id', 'age']
        """
        return dict(self.items())

    def _phrase(self) -> str:
        return f"the table {self._group.name!r} of {self._dataset.url}"

    _who = _phrase

    def _field_arguments(self) -> dict[str, Any]:
        return {"session": self._dataset.session, "dataframe": self}

    def _default_timestamp(self) -> str:
        return self._dataset.settings.timestamp

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
        """
        Copy a field, with its name, into the table.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://add.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     others = ds.create_dataframe("others")
        ...     _ = others.add(people["age"])
        ...     others["age"].tolist()
        [34, 51]
        """
        if field.name is None:
            raise ArgumentError("a field in memory has no name: write df[name] = field")
        added: Field = copy(field, self, field.name)
        return added

    def get_field(self, name: str) -> Field:
        """
        The field of that name; FieldNotFoundError (a ValueError) where there is none.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://get_field.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     people.get_field("age").tolist()
        [34, 51]
        """
        field: Field = self._field(name)
        return field

    def __getitem__(self, name: Any) -> Any:
        if isinstance(name, str):
            return self._field(name)
        if self._dataset.settings.face.chooses_by_item:
            return self._chosen(name)
        raise ArgumentTypeError(
            f"{self._phrase()} gives one field by its name, not by a {type(name).__name__}: "
            "apply_filter and apply_index choose rows, to_pandas several fields"
        )

    def __setitem__(self, name: str, field: Any) -> None:
        """
        Have a field of these values, in the place of one of that name if there is one.

        Parameters
        ----------
        name
            Its name.
        field : scalar, Field, array, list or Series
            A scalar for all rows, or a value for each: a field of any table or of an expression,
            an array, a masked array, a list, or a column of pandas, Polars or Arrow. What is
            missing of it is missing. The type is that which `Dataset.from_dict` finds. If the
            field that is replaced has the same type, its codebook stays.

        Raises
        ------
        DataError
            There are not as many values as rows, or no field holds them; nothing is changed then.

        Notes
        -----
        In ExeTera's face it takes a field alone, and only under a new name.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     t = s.open_dataset("memory://set.zarr", "w", "d").create_dataframe("t")
        ...     t["height"] = [1.5, None, 2.0]
        ...     t["twice"] = t["height"] * 2
        ...     t["site"] = "York"
        ...     t["twice"].tolist(), t["site"].tolist()
        ([3.0, None, 4.0], ['York', 'York', 'York'])
        """
        if self._dataset.settings.face.assigns_values:
            from exetera_zarr.tables.rows.assigning import assign

            assign(self, name, field)
            return
        if not isinstance(name, str) or not isinstance(field, Field):
            raise ArgumentTypeError("a table takes fields by name: df[str] = Field")
        copy(field, self, name)

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            raise ArgumentTypeError(f"a name is a str, not a {type(name).__name__}")
        return normal(name) in (self.group if self._left is None else self._left)

    def contains_field(self, field: Field) -> bool:
        """
        Whether that field is one of this table; TypeError for something else.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://contains_field.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     people.contains_field(people["age"])
        True
        """
        if not isinstance(field, Field):
            raise ArgumentTypeError(f"expected a field, not a {type(field).__name__}")
        return field.dataframe is self and field.valid

    def __delitem__(self, name: str) -> None:
        self._field(name)
        self._delete_field(name)

    @overload
    def drop(self, name: str) -> None: ...
    @overload
    def drop(self, name: None = None, *, columns: str | Sequence[str]) -> View: ...

    def drop(
        self, name: str | None = None, *, columns: str | Sequence[str] | None = None
    ) -> View | None:
        """
        Delete a field, as ExeTera does; or, as pandas does, choose all columns but some.

        Parameters
        ----------
        name
            Of the field that is deleted from this table.
        columns
            Names of the columns that a view of this table, which stays as it is, has not.

        Returns
        -------
        View or None
            The view, if `columns` are given.

        Raises
        ------
        FieldNotFoundError
            There is no such field. It is a KeyError and a ValueError.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://drop.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [1, 2], "age": [34, 51]})
        ...     people.drop("age")
        ...     list(people)
        ['id']
        """
        if columns is not None:
            if name is not None:
                raise ArgumentError("drop takes a field to delete, or columns=, not both")
            return self._without([columns] if isinstance(columns, str) else columns)
        if not isinstance(name, str):
            raise FieldNotFoundError(
                f"drop deletes the field of one name, and {name!r} is none: write "
                "df.drop(columns=[...]) for a view without some columns"
            )
        del self[name]
        return None

    def delete_field(self, field: Field) -> None:
        """
        Delete a field of this table; ValueError if it is not one.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://delete_field.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [1, 2], "age": [34, 51]})
        ...     people.delete_field(people["age"])
        ...     list(people)
        ['id']
        """
        if field.dataframe is not self:
            raise ArgumentError(f"{field.phrase()} is not of {self._phrase()}")
        del self[str(field.name)]

    def keys(self) -> Names:
        """
        Names of the fields, in order; as sets they go together by ``& | - ^``.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://keys.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [1, 2], "age": [34, 51]})
        ...     list(people.keys())
        ['id', 'age']
        """
        return self._field_names() if self._left is None else self._left

    @overload
    def rename(self, field: str | Mapping[str, str], field_to: str | None = None) -> None: ...
    @overload
    def rename(
        self, field: None = None, field_to: None = None, *, columns: Mapping[str, str]
    ) -> View: ...

    def rename(
        self,
        field: str | Mapping[str, str] | None = None,
        field_to: str | None = None,
        *,
        columns: Mapping[str, str] | None = None,
    ) -> View | None:
        """
        Give fields other names, as ExeTera does; or, as pandas does, those of a view.

        Parameters
        ----------
        field
            The present name, or ``{present: new}`` for several at once, which may swap.
        field_to
            The new name, when `field` is one.
        columns
            ``{present: new}`` for a view of this table, which stays as it is.

        Returns
        -------
        View or None
            The view, if `columns` are given.

        Raises
        ------
        FieldNotFoundError
            There is no such field. It is a KeyError and a ValueError.
        ValueError
            Two fields would have the same name, or the arguments are of another form.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://rename.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [1, 2], "years": [34, 51]})
        ...     people.rename("years", "age")
        ...     list(people)
        ['id', 'age']
        """
        if columns is not None:
            if field is not None or not isinstance(columns, Mapping):
                raise ArgumentError("rename takes columns={present: new, ...} alone")
            return self._renamed(columns)
        if isinstance(field, str) == (field_to is None) or not isinstance(field, (str, Mapping)):
            raise ArgumentError("rename takes (present, new) or ({present: new, ...})")
        renames = {field: str(field_to)} if isinstance(field, str) else dict(field)
        for old in renames:
            self._field(old)
        self._rename_fields(renames)
        return None

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

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://length.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     people.length()
        2
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

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://apply_filter.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, 47]})
        ...     older = ds.create_dataframe("older")
        ...     people.apply_filter(people["age"] > 40, older)["age"].tolist()
        [51, 47]
        """
        length, settings = self.length(), self._dataset.settings
        if (run := self._run("filter", ddf)) is not None:
            with run:
                with about(self._phrase):
                    kept = run.filtered(self, filter_to_apply)
                return self._rewrite(kept, ddf, "filter")
        with workspace(settings) as work:
            with about(self._phrase):
                rows = filters.filter_rows(filter_to_apply, length, work, settings.face)
            return self._rewrite(rows, ddf, "filter")

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

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://apply_index.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, 47]})
        ...     _ = people.apply_index([2, 0])
        ...     people["age"].tolist()
        [47, 34]
        """
        length, settings = self.length(), self._dataset.settings
        with workspace(settings) as work:
            with about(self._phrase):
                rows = filters.index_rows(index_to_apply, length, work, settings.face)
            return self._rewrite(rows, ddf, "choose")

    def _run(self, verb: str, ddf: DataFrame | None) -> Run | None:
        """What runs a verb on the session's cluster; None where it runs here."""
        return cluster_run(verb, [self], self if ddf is None else ddf)

    def _rewrite(
        self, rows: RowNumbers | None, ddf: DataFrame | None, verb: str, **details: Any
    ) -> DataFrame:
        """Give each field other rows (or all), here or in another table, all or nothing."""
        if ddf is not None and not isinstance(ddf, DataFrame):
            raise ArgumentTypeError(f"expected a DataFrame to write to, not a {type(ddf).__name__}")
        target = self if ddf is None or ddf is self else ddf
        fields = self.values()  # which may have different lengths
        lengths = [len(field) if rows is None else len(rows) for field in fields]
        watch = watched(self._dataset.settings, f"{verb} {self.name}", sum(lengths))
        with target.atomic(), watch as tick:
            if (fill := getattr(rows, "fill", None)) is not None:  # tasks do it
                made = {
                    name: field if target is self else field.create_like(target, name)
                    for name, field in self.items()
                }
                fill(made, replace=target is self)
            for name, field in self.items() if fill is None else ():
                if rows is None and target is self:
                    continue
                found = field.blocks() if rows is None else filters.chosen(field, rows)
                with closing(found) as columns:
                    if target is self:
                        field.replace(counted(columns, tick))
                        continue
                    other = field.create_like(target, name)
                    for column in counted(columns, tick):
                        other.append(column, given=True)
            if target is not self:
                self.link_companions(target)
                copy_table_codebook(self, target)
            target.note(verb, self, **details, rows=max(lengths, default=0))
        return target

    def note(self, verb: str, *read: DataFrame, **details: Any) -> None:
        """Have the next version say that this table was made or changed; see `Dataset.note`."""
        self._dataset.note(verb, self.name, read, **details)

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
        return self._rewrite(None, ddf, "copy")

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

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://sort_values.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, 47]})
        ...     _ = people.sort_values("age")
        ...     people["age"].tolist()
        [34, 47, 51]
        """
        if axis != 0 or kind != "stable":
            raise ArgumentError("rows are sorted with axis=0 and kind='stable'")
        names = self.selected(by)
        settings, total = self._dataset.settings, self.length() * len(self)
        if (run := self._run("sort_values", ddf)) is not None:
            with run:
                chosen = run.ordered(self, names, ascending, copy=ddf not in (None, self))
                return self._rewrite(chosen, ddf, "sort", by=names)
        with workspace(settings) as work, watched(settings, f"sort {self.name}", total):
            (keys,), split = key_source([self[name] for name in names])
            numbers = sorting.sort_rows(keys, directions(ascending, split), work)
            rows = None if numbers is None else RowNumbers(work, numbers)
            return self._rewrite(rows, ddf, "sort", by=names)

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
        *,
        dropna: bool | None = None,
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
        dropna
            The same in pandas' words: True for ``"drop"``, which is the default there.

        Returns
        -------
        DataFrameGroupBy
            Whose methods write one row per group to a table.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://groupby.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"sex": ["f", "m", "f"], "age": [34, 51, 47]})
        ...     people.groupby("sex")["age"].mean().to_arrow().to_pylist()
        [{'sex': 'f', 'age': 40.5}, {'sex': 'm', 'age': 51.0}]
        """
        from exetera_zarr.tables.groupby import DataFrameGroupBy

        if dropna is not None:
            missing_keys = "drop" if dropna else "equal"
        return DataFrameGroupBy(self, self.selected(by), hint_keys_is_sorted, missing_keys)

    def drop_duplicates(
        self,
        by: str | list[str] | None = None,
        ddf: DataFrame | None = None,
        hint_keys_is_sorted: bool = False,
        *,
        keep: Keep = "first",
    ) -> DataFrame:
        """
        Write the distinct keys to a table, as ExeTera does; or, as pandas does, choose rows.

        Parameters
        ----------
        by
            Name of the key, or names; all fields by default.
        ddf
            Where each distinct combination of the keys is written to, sorted.
        hint_keys_is_sorted
            As of `groupby`.
        keep
            Without `ddf`: of the rows with equal keys the ``"first"``, the ``"last"``, or, if it is
            False, none of which there are several.

        Returns
        -------
        DataFrame
            `ddf`; or a view of the rows that are kept, with all columns, in the order of the table.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://drop_duplicates.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"town": ["York", "Bath", "York"]})
        ...     people.drop_duplicates()["town"].tolist()
        ['York', 'Bath']
        """
        if ddf is not None:
            if not isinstance(ddf, DataFrame):
                raise ArgumentError(f"ddf is a table to write to, not a {type(ddf).__name__}")
            keys = self.own_columns() if by is None else by
            return self.groupby(keys, hint_keys_is_sorted).distinct(ddf)
        from exetera_zarr.tables.views.duplicates import without_duplicates

        return without_duplicates(self, by, keep, hint_keys_is_sorted)

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

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://describe.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, 47]})
        ...     people.describe()
                     age
        count          3
        missing        0
        mean          44
        std      8.88819
        min           34
        25%         40.5
        50%           47
        75%           49
        max           51
        """
        from exetera_zarr.tables import exetera_summary, summary

        if self._dataset.settings.face.describes_percentiles:
            return summary.describe(self, include, exclude)
        what = "gave percentiles of 0.25, 0.5 and 0.75 percent of the rows as quartiles"
        let_pass(self._dataset.settings, what, self._phrase())
        return exetera_summary.describe(self, include, exclude, output)

    def own_columns(self) -> list[str]:
        """Names of the fields, in order, without those that say what is missing of others."""
        hidden = set(self._companions().values())
        return [name for name in self if name not in hidden]

    def companions(self) -> dict[str, str]:
        """
        For each field that has a companion, which says what is missing of it, its name.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://companions.zarr", "w", "study")
        ...     ds.from_dict("people", {"id": [1, 2], "age": [34, None]}).companions()
        {'age': 'age_valid'}
        """
        return self._companions()


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
