"""Grouping: one row per distinct combination of the keys."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Literal, NoReturn, TypeAlias, get_args

from exetera_zarr.engine.group import aggregate
from exetera_zarr.engine.group.aggregate import NAMES, result_of
from exetera_zarr.engine.group.aggregate_states import NUMERIC
from exetera_zarr.engine.streams.sorted_runs import DisorderError
from exetera_zarr.errors import ArgumentError, DataError, UnsupportedError
from exetera_zarr.fields import within
from exetera_zarr.fields.categorical import CategoricalField
from exetera_zarr.fields.describing import describe_aggregate
from exetera_zarr.fields.progress import watched
from exetera_zarr.fields.sources import workspace
from exetera_zarr.fields.timestamp import TimestampField
from exetera_zarr.fieldtypes import numeric_attributes
from exetera_zarr.tables import present_groups
from exetera_zarr.tables.grouped_columns import GroupedColumns, Wanted
from exetera_zarr.tables.neighbours.verbs_on_dask import cluster_run
from exetera_zarr.tables.views.new_tables import new_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.numeric import NumericField
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["DataFrameGroupBy", "MissingGroups"]

MissingGroups: TypeAlias = Literal["equal", "drop"]

#: Aggregates whose result is of the field's own type.
_LIKE = ("min", "max", "first", "last")
#: Of points in time the middle ones are such, too; a sum of them is nothing.
_OF_TIMES = (*_LIKE, "mean", "median")


class DataFrameGroupBy:
    """
    The groups of a table, in ascending order of the keys.

    A key that is missing is one like others and the last; strings order by their bytes. Aggregates
    are of the values that there are: of none of them a minimum, a sum or a mean is missing, and
    a number of them is 0. In ExeTera's face what is stored counts, and NaN is a value. Each method
    makes one pass over the fields that it needs, and writes all of its fields or none: to the table
    `ddf`, or to a new one of the session's own, which ``ds["name"] = table`` keeps. Given no
    fields, an aggregate is of all but the keys, and has their names, as in pandas.

    Parameters
    ----------
    frame
        The table.
    by
        Names of the keys.
    keys_sorted
        The rows are sorted by the keys already; a wrong hint is an error.
    missing_keys
        See `DataFrame.groupby`.
    """

    def __init__(
        self,
        frame: DataFrame,
        by: list[str],
        keys_sorted: bool = False,
        missing_keys: MissingGroups = "equal",
    ) -> None:
        if missing_keys not in get_args(MissingGroups):
            raise ArgumentError(f"missing_keys is 'equal' or 'drop', not {missing_keys!r}")
        self._missing_keys = missing_keys
        self._frame = frame
        self._by = by
        self._keys_sorted = keys_sorted
        self._present = frame.dataset.settings.face.sees_missing
        frame.length(by)
        frame.refuse_ragged()

    def __getitem__(self, names: str | list[str]) -> GroupedColumns:
        """
        Some fields of the groups: ``df.groupby("sex")["age"].mean()``.

        Parameters
        ----------
        names
            Of a field, or a list of them.

        Returns
        -------
        GroupedColumns
            With the same aggregates, whose results have the names of the fields.
        """
        frame, chosen = self._frame, self._frame.selected(names)
        return GroupedColumns(self, frame, self._by, chosen, alone=isinstance(names, str))

    def __getattr__(self, name: str) -> NoReturn:
        why = f"groups have no attribute {name!r}"
        if not name.startswith("_") and name in self._frame:
            why += f": write df.groupby(...)[{name!r}] for the field"
        raise AttributeError(why, name=name, obj=self)

    def __iter__(self) -> NoReturn:
        raise UnsupportedError(
            "groups are not gone through one by one: write df.groupby(...).agg(...) for figures of "
            "each, df.sort(by) and the spans of the key for rows, or df[df['key'] == value] for one"
        )

    # -- aggregates that ExeTera has

    def distinct(self, ddf: DataFrame | None = None, write_keys: bool = True) -> DataFrame:
        """
        Write the keys of each group, to `ddf` or a new table.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://distinct.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, None]})
        ...     people.groupby("id").distinct().keys()
        ['id']
        """
        return self.write(ddf, write_keys, [])

    def count(self, ddf: DataFrame | None = None, write_keys: bool = True) -> DataFrame:
        """
        Count, as ExeTera does with a table to write to, and as pandas does without.

        Parameters
        ----------
        ddf
            Where the number of rows of each group is written to, as int64 field ``count``; those
            without values are counted, too. If it is not given, the result is a new table that has
            for each other field the number of its values, under its name; `size` counts rows.
        write_keys
            Also write the keys.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://count.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, None]})
        ...     people.groupby("id")["dose"].count()
           id   dose
        int64  int64
            7      2
            8      0
        people: 2 rows x 2 fields
        """
        if ddf is None:
            return self.of_all("count", write_keys=write_keys)
        return self.write(ddf, write_keys, [Wanted("", "count", "count")])

    def cumcount(self) -> NumericField:
        """
        The number of each row within its group, from 0; the rows are sorted by the keys.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://cumcount.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, None]})
        ...     people.groupby("id").cumcount().tolist()
        [0, 1, 0]
        """
        by = [self._frame.get_field(name) for name in self._by]
        return within.cumcount(by[0], by)

    def size(self) -> DataFrame:
        """
        A new table of the number of rows of each group, as int64 field ``size``.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://size.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, None]})
        ...     people.groupby("id").size()
           id   size
        int64  int64
            7      2
            8      1
        people: 2 rows x 2 fields
        """
        return self.write(None, True, [Wanted("", "count", "size")])

    def max(
        self,
        target: str | list[str] | None = None,
        ddf: DataFrame | None = None,
        write_keys: bool = True,
    ) -> DataFrame:
        """
        Write the greatest value of each group as fields ``<name>_max``.

        It is missing where no row of the group has one. In ExeTera's face it is NaN if one is.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://max.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, None]})
        ...     people.groupby("id")["dose"].max()
           id   dose
        int64  int64
            7      5
            8      -
        people: 2 rows x 2 fields (- is missing)
        """
        return self._aggregate("max", target, ddf, write_keys)

    def min(
        self,
        target: str | list[str] | None = None,
        ddf: DataFrame | None = None,
        write_keys: bool = True,
    ) -> DataFrame:
        """
        Write the least value of each group as fields ``<name>_min``.

        It is missing where no row of the group has one. In ExeTera's face it is NaN if one is.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://min.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, None]})
        ...     people.groupby("id")["dose"].min()
           id   dose
        int64  int64
            7      2
            8      -
        people: 2 rows x 2 fields (- is missing)
        """
        return self._aggregate("min", target, ddf, write_keys)

    def first(
        self,
        target: str | list[str] | None = None,
        ddf: DataFrame | None = None,
        write_keys: bool = True,
    ) -> DataFrame:
        """
        Write the first value that there is of each group, as fields ``<name>_first``.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://first.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, None]})
        ...     people.groupby("id")["dose"].first()
           id   dose
        int64  int64
            7      5
            8      -
        people: 2 rows x 2 fields (- is missing)
        """
        return self._aggregate("first", target, ddf, write_keys)

    def last(
        self,
        target: str | list[str] | None = None,
        ddf: DataFrame | None = None,
        write_keys: bool = True,
    ) -> DataFrame:
        """
        Write the last value that there is of each group, as fields ``<name>_last``.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://last.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, None]})
        ...     people.groupby("id")["dose"].last()
           id   dose
        int64  int64
            7      2
            8      -
        people: 2 rows x 2 fields (- is missing)
        """
        return self._aggregate("last", target, ddf, write_keys)

    # -- aggregates that pandas has

    def sum(
        self,
        target: str | list[str] | None = None,
        ddf: DataFrame | None = None,
        write_keys: bool = True,
        *,
        numeric_only: bool = False,
    ) -> DataFrame:
        """
        Write the sum of each group as fields ``<name>_sum``.

        They are int64, uint64 of unsigned numbers, float64 of floats; one of whole numbers that
        does not fit is an error.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://sum.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, None]})
        ...     people.groupby("id")["dose"].sum()
           id   dose
        int64  int64
            7      7
            8      -
        people: 2 rows x 2 fields (- is missing)
        """
        return self._aggregate("sum", target, ddf, write_keys, numeric_only=numeric_only)

    def mean(
        self,
        target: str | list[str] | None = None,
        ddf: DataFrame | None = None,
        write_keys: bool = True,
        *,
        numeric_only: bool = False,
    ) -> DataFrame:
        """
        Write the mean of each group, of no values NaN, as fields ``<name>_mean``.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://mean.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, None]})
        ...     people.groupby("id")["dose"].mean()
           id     dose
        int64  float64
            7      3.5
            8        -
        people: 2 rows x 2 fields (- is missing)
        """
        return self._aggregate("mean", target, ddf, write_keys, numeric_only=numeric_only)

    def std(
        self,
        target: str | list[str] | None = None,
        ddf: DataFrame | None = None,
        write_keys: bool = True,
        *,
        numeric_only: bool = False,
    ) -> DataFrame:
        """
        Write the standard deviation with ``n - 1`` of each group, as fields ``<name>_std``.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://std.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, None]})
        ...     people.groupby("id")["dose"].std()
           id              dose
        int64           float64
            7  2.12132034355964
            8                 -
        people: 2 rows x 2 fields (- is missing)
        """
        return self._aggregate("std", target, ddf, write_keys, numeric_only=numeric_only)

    def var(
        self,
        target: str | list[str] | None = None,
        ddf: DataFrame | None = None,
        write_keys: bool = True,
        *,
        numeric_only: bool = False,
    ) -> DataFrame:
        """
        Write the variance with ``n - 1`` of each group, as fields ``<name>_var``.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://var.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, None]})
        ...     people.groupby("id")["dose"].var()
           id     dose
        int64  float64
            7      4.5
            8        -
        people: 2 rows x 2 fields (- is missing)
        """
        return self._aggregate("var", target, ddf, write_keys, numeric_only=numeric_only)

    def median(
        self,
        target: str | list[str] | None = None,
        ddf: DataFrame | None = None,
        write_keys: bool = True,
        *,
        numeric_only: bool = False,
    ) -> DataFrame:
        """
        Write the median of each group, of no values NaN, as fields ``<name>_median``.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://median.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, None]})
        ...     people.groupby("id")["dose"].median()
           id     dose
        int64  float64
            7      3.5
            8        -
        people: 2 rows x 2 fields (- is missing)
        """
        return self._aggregate("median", target, ddf, write_keys, numeric_only=numeric_only)

    def nunique(
        self,
        target: str | list[str] | None = None,
        ddf: DataFrame | None = None,
        write_keys: bool = True,
    ) -> DataFrame:
        """
        Write the number of distinct values of each group, as fields ``<name>_nunique``.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://nunique.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, None]})
        ...     people.groupby("id")["dose"].nunique()
           id   dose
        int64  int64
            7      2
            8      0
        people: 2 rows x 2 fields
        """
        return self._aggregate("nunique", target, ddf, write_keys)

    def agg(
        self,
        aggregates: Mapping[str, str | Sequence[str]] | None = None,
        ddf: DataFrame | None = None,
        write_keys: bool = True,
        **named: tuple[str, str],
    ) -> DataFrame:
        """
        Write several aggregates of several fields in one pass, as fields ``<name>_<aggregate>``.

        Parameters
        ----------
        aggregates
            For each field the name of one of the other methods, or several; ``count`` is the number
            of values, in ExeTera's face of rows, and ``size`` that of rows.
        ddf
            The table to write to; a new one of the session's own by default.
        write_keys
            Also write the keys.
        named
            Aggregates by the names that they have in the result: ``oldest=("age", "max")``.

        Returns
        -------
        DataFrame
            `ddf`, or the new table.

        Raises
        ------
        ValueError
            A field that there is not, is a key, or has no such aggregate; `ddf` has a field of that
            name already; a sum of whole numbers does not fit.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as session:
        ...     study = session.open_dataset("memory://agg.zarr", "w", "study")
        ...     visits = study.create_dataframe("visits")
        ...     summary = study.create_dataframe("summary")
        ...     visits.create_numeric("id", "int32").data.write([1, 1, 2])
        ...     visits.create_numeric("weight", "float64").data.write([60.0, 62.0, 71.5])
        ...     _ = visits.groupby("id").agg({"weight": ["mean", "max"]}, ddf=summary)
        ...     {name: field.data[:].tolist() for name, field in summary.items()}
        {'id': [1, 2], 'weight_mean': [61.0, 71.5], 'weight_max': [62.0, 71.5]}
        """
        if (aggregates is not None or not named) and (
            not hasattr(aggregates, "items") or not aggregates
        ):
            raise ArgumentError(
                f"expected the aggregates of each field, not {aggregates!r}: write "
                "agg({'age': ['mean', 'max']}), or agg(oldest=('age', 'max'))"
            )
        wanted = [
            Wanted(target, str(aggregate), f"{target}_{aggregate}")
            for target, several in (aggregates or {}).items()
            for aggregate in (several if isinstance(several, (list, tuple, set)) else [several])
        ]
        for name, one in named.items():
            if not (isinstance(one, tuple) and len(one) == 2):
                raise ArgumentError(
                    f"{name}={one!r}: expected a field and an aggregate, such as ('age', 'mean')"
                )
            wanted.append(Wanted(one[0], one[1], name))
        return self.write(ddf, write_keys, wanted)

    aggregate = agg

    def _aggregate(
        self,
        aggregate: str,
        target: str | list[str] | None,
        ddf: DataFrame | None,
        write_keys: bool,
        *,
        numeric_only: bool = False,
    ) -> DataFrame:
        if target is None:
            return self.of_all(aggregate, ddf, write_keys, numeric_only=numeric_only)
        names = self._frame.selected(target)
        return self.write(
            ddf, write_keys, [Wanted(name, aggregate, f"{name}_{aggregate}") for name in names]
        )

    def of_all(
        self,
        aggregate: str,
        ddf: DataFrame | None = None,
        write_keys: bool = True,
        *,
        numeric_only: bool = False,
    ) -> DataFrame:
        """An aggregate of all fields but the keys, under their names; errors as of `agg`."""
        names = [name for name in self._frame.own_columns() if name not in self._by]
        if numeric_only:
            names = [name for name in names if _of_numbers(self._frame[name])]
        for name in names:
            try:
                _check(self._frame[name], aggregate)
            except DataError as error:
                error.add_note(
                    f"name the fields: df.groupby({self._by!r})[['age']].{aggregate}(), or give "
                    "numeric_only=True"
                )
                raise
        return self.write(ddf, write_keys, [Wanted(name, aggregate, name) for name in names])

    def write(self, ddf: DataFrame | None, write_keys: bool, wanted: list[Wanted]) -> DataFrame:
        """
        Write the keys and aggregates, all or nothing.

        Parameters
        ----------
        ddf
            The table to write to; a new one of the session's own by default.
        write_keys
            Also write the keys.
        wanted
            The aggregates.
        """
        if ddf is None:
            ddf = new_table(self._frame.dataset, self._frame.name)
        if not hasattr(ddf, "atomic"):
            raise ArgumentError(f"ddf is the table to write to, not a {type(ddf).__name__}")
        wanted = [self._of_rows(one) for one in wanted]
        targets = self._checked(wanted)
        fields = [self._frame[name] for name in self._by]
        values = [self._frame[name] for name in targets]
        columns = [(targets.index(w.target) if w.target else 0, w.aggregate) for w in wanted]
        # The sources hold the arrays as they are now, so it may write to the table it reads.
        settings = self._frame.dataset.settings
        watch = watched(settings, f"group {self._frame.name}", None)
        run = cluster_run("groupby", [self._frame], ddf, rows=False)
        with ExitStack() as stack:
            work = stack.enter_context(workspace(settings))
            stack.enter_context(ddf.atomic())
            tick = stack.enter_context(watch)
            key_fields, result_fields = self._create(ddf, write_keys, wanted)
            ordered = True if self._keys_sorted else None
            if run is not None:
                stack.enter_context(run)
                found = run.groups(self._frame, self._by, targets, columns, ordered=ordered)
            else:
                grouped = present_groups.grouped if self._present else present_groups.as_stored
                found = grouped(fields, values, columns, work, ordered=ordered)
            try:
                with closing(found):
                    for groups in found:
                        tick(len(groups.keys[0][0]))
                        if self._missing_keys == "drop":
                            groups = groups.with_keys()  # noqa: PLW2901
                        for field, (column, mask) in zip(key_fields, groups.keys, strict=False):
                            field.append_masked(column, mask)
                        for field, (column, mask) in zip(
                            result_fields, groups.results, strict=True
                        ):
                            field.append_masked(column, mask)
            except DisorderError as error:
                raise DataError(
                    f"hint_keys_is_sorted, but row {error.row} of {self._frame.name!r} has a key "
                    f"{self._by} less than the row before it"
                ) from error
            except aggregate.SumError as error:
                where = self._frame[targets[error.column]].phrase()
                raise DataError(f"sum of {where}: {error.__cause__}") from error
            if hasattr(ddf, "note"):
                results = [
                    f"{w.aggregate} of {w.target}" if w.target else w.aggregate for w in wanted
                ]
                ddf.note("group", self._frame, by=self._by, results=results)
        return ddf

    def _of_rows(self, one: Wanted) -> Wanted:
        """The number of a key in its groups is that of their rows, where no key is missing."""
        counted = one.aggregate == "size" or (
            one.aggregate == "count" and self._missing_keys == "drop" and self._present
        )
        return Wanted("", "size", one.name) if one.target in self._by and counted else one

    def _checked(self, wanted: list[Wanted]) -> list[str]:
        """The fields to be aggregated, each once; raises unless they have these aggregates."""
        targets = list(dict.fromkeys(one.target for one in wanted if one.target))
        if targets:
            self._frame.selected(targets)
            self._frame.length([*self._by, *targets])
        of_keys = [name for name in targets if name in self._by]
        if of_keys:
            raise ArgumentError(
                f"{of_keys} are keys of the groups, which have one value each: .size(), or "
                f"agg(rows=({of_keys[0]!r}, 'size')), is the number of rows"
            )
        for one in wanted:
            if one.target:
                _check(self._frame[one.target], one.aggregate)
        return targets

    def _create(
        self, ddf: DataFrame, write_keys: bool, wanted: list[Wanted]
    ) -> tuple[list[Field], list[Field]]:
        """The fields of the result, of the keys and of the aggregates."""
        keys = [self._frame[name].create_like(ddf, name) for name in self._by if write_keys]
        return keys, [self._create_one(ddf, *one) for one in wanted]

    def _create_one(self, ddf: DataFrame, target: str, aggregate: str, name: str) -> Field:
        if not target:
            return _numeric(ddf, name, "int64")
        field = self._frame[target]
        of_time = isinstance(field, TimestampField) and aggregate in _OF_TIMES
        if aggregate in _LIKE or of_time:
            result: Field = field.create_like(ddf, name)
        else:
            result = _numeric(ddf, name, result_of(aggregate, field.empty_column()).dtype)
        describe_aggregate(result, field, aggregate)
        return result


def _of_numbers(field: Field) -> bool:
    """Whether a field is of numbers, as pandas counts them: categories and moments are none."""
    return field.of_numbers and not isinstance(field, (CategoricalField, TimestampField))


def _numeric(ddf: DataFrame, name: str, dtype: npt.DTypeLike) -> Field:
    field: Field = ddf.create_field(name, numeric_attributes(dtype))
    return field


def _check(field: Field, aggregate: str) -> None:
    """Raise unless values of the field's type have that aggregate."""
    where = f"{aggregate} of {field.phrase()}"
    if aggregate not in NAMES:
        raise DataError(f"{where}: there is no such aggregate, only {', '.join(NAMES)}")
    if aggregate not in NUMERIC:
        return
    if isinstance(field, CategoricalField):
        raise DataError(f"{where}: its codes stand for names, and are no numbers to reckon with")
    if isinstance(field, TimestampField) and aggregate in ("sum", "var"):
        raise DataError(f"{where}: points in time have none")
    try:
        result_of(aggregate, field.empty_column())
    except TypeError as error:
        raise DataError(f"{where}: {error}") from error
