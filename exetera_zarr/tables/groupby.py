"""Grouping: one row per distinct combination of the keys."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from exetera_zarr.engine.group import aggregate
from exetera_zarr.engine.group.aggregate import NAMES, result_of
from exetera_zarr.engine.group.aggregate_states import NUMERIC
from exetera_zarr.engine.streams.sorted_runs import DisorderError
from exetera_zarr.errors import ArgumentError, DataError
from exetera_zarr.fields.categorical import CategoricalField
from exetera_zarr.fields.sources import workspace
from exetera_zarr.fields.timestamp import TimestampField
from exetera_zarr.fieldtypes import numeric_attributes
from exetera_zarr.tables import present_groups

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from exetera_zarr.fields.base import Field
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
    makes one pass over the fields that it needs, and writes all of its fields or none.

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

    # -- aggregates that ExeTera has

    def distinct(self, ddf: DataFrame, write_keys: bool = True) -> DataFrame:
        """Write the keys of each group to `ddf`."""
        return self._write(ddf, write_keys, [])

    def count(self, ddf: DataFrame, write_keys: bool = True) -> DataFrame:
        """
        Write the number of rows of each group to `ddf`, as int64 field ``count``.

        Those without values are counted, too: ``agg({name: "count"}, ddf)`` counts values.
        """
        return self._write(ddf, write_keys, [("", "count")])

    def max(self, target: str | list[str], ddf: DataFrame, write_keys: bool = True) -> DataFrame:
        """
        Write the greatest value of each group to `ddf`, as fields ``<name>_max``.

        It is missing where no row of the group has one. In ExeTera's face it is NaN if one is.
        """
        return self._aggregate("max", target, ddf, write_keys)

    def min(self, target: str | list[str], ddf: DataFrame, write_keys: bool = True) -> DataFrame:
        """
        Write the least value of each group to `ddf`, as fields ``<name>_min``.

        It is missing where no row of the group has one. In ExeTera's face it is NaN if one is.
        """
        return self._aggregate("min", target, ddf, write_keys)

    def first(self, target: str | list[str], ddf: DataFrame, write_keys: bool = True) -> DataFrame:
        """Write the first value that there is of each group, as fields ``<name>_first``."""
        return self._aggregate("first", target, ddf, write_keys)

    def last(self, target: str | list[str], ddf: DataFrame, write_keys: bool = True) -> DataFrame:
        """Write the last value that there is of each group, as fields ``<name>_last``."""
        return self._aggregate("last", target, ddf, write_keys)

    # -- aggregates that pandas has

    def sum(self, target: str | list[str], ddf: DataFrame, write_keys: bool = True) -> DataFrame:
        """
        Write the sum of each group to `ddf`, as fields ``<name>_sum``.

        They are int64, uint64 of unsigned numbers, float64 of floats; one of whole numbers that
        does not fit is an error.
        """
        return self._aggregate("sum", target, ddf, write_keys)

    def mean(self, target: str | list[str], ddf: DataFrame, write_keys: bool = True) -> DataFrame:
        """Write the mean of each group, of no values NaN, as fields ``<name>_mean``."""
        return self._aggregate("mean", target, ddf, write_keys)

    def std(self, target: str | list[str], ddf: DataFrame, write_keys: bool = True) -> DataFrame:
        """Write the standard deviation with ``n - 1`` of each group, as fields ``<name>_std``."""
        return self._aggregate("std", target, ddf, write_keys)

    def var(self, target: str | list[str], ddf: DataFrame, write_keys: bool = True) -> DataFrame:
        """Write the variance with ``n - 1`` of each group, as fields ``<name>_var``."""
        return self._aggregate("var", target, ddf, write_keys)

    def median(self, target: str | list[str], ddf: DataFrame, write_keys: bool = True) -> DataFrame:
        """Write the median of each group, of no values NaN, as fields ``<name>_median``."""
        return self._aggregate("median", target, ddf, write_keys)

    def nunique(
        self, target: str | list[str], ddf: DataFrame, write_keys: bool = True
    ) -> DataFrame:
        """Write the number of distinct values of each group, as fields ``<name>_nunique``."""
        return self._aggregate("nunique", target, ddf, write_keys)

    def agg(
        self,
        aggregates: Mapping[str, str | Sequence[str]],
        ddf: DataFrame,
        write_keys: bool = True,
    ) -> DataFrame:
        """
        Write several aggregates of several fields in one pass, as fields ``<name>_<aggregate>``.

        Parameters
        ----------
        aggregates
            For each field the name of one of the other methods, or several; ``count`` is the number
            of values, in ExeTera's face of rows, and ``size`` that of rows.
        ddf
            The table to write to.
        write_keys
            Also write the keys.

        Returns
        -------
        DataFrame
            `ddf`.

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
        if not hasattr(aggregates, "items") or not aggregates:
            raise ArgumentError(f"expected the aggregates of each field, not {aggregates!r}")
        wanted: list[tuple[str, Any]] = [
            (target, name)
            for target, names in aggregates.items()
            for name in (names if isinstance(names, (list, tuple, set)) else [names])
        ]
        return self._write(ddf, write_keys, wanted)

    aggregate = agg

    def _aggregate(
        self, aggregate: str, target: str | list[str], ddf: DataFrame, write_keys: bool
    ) -> DataFrame:
        wanted = [(name, aggregate) for name in self._frame.selected(target)]
        return self._write(ddf, write_keys, wanted)

    def _write(self, ddf: DataFrame, write_keys: bool, wanted: list[tuple[str, str]]) -> DataFrame:
        """Write the keys and aggregates (field, name), all or nothing; no field for bare counts."""
        if not hasattr(ddf, "atomic"):
            raise ArgumentError(f"ddf is the table to write to, not a {type(ddf).__name__}")
        targets = self._checked(wanted)
        fields = [self._frame[name] for name in self._by]
        values = [self._frame[name] for name in targets]
        columns = [(targets.index(target) if target else 0, name) for target, name in wanted]
        # The sources hold the arrays as they are now, so it may write to the table it reads.
        with workspace(self._frame.dataset.settings) as work, ddf.atomic():
            key_fields, result_fields = self._create(ddf, write_keys, wanted)
            ordered = True if self._keys_sorted else None
            grouped = present_groups.grouped if self._present else present_groups.as_stored
            found = grouped(fields, values, columns, work, ordered=ordered)
            try:
                with closing(found):
                    for groups in found:
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
        return ddf

    def _checked(self, wanted: list[tuple[str, str]]) -> list[str]:
        """The fields to be aggregated, each once; raises unless they have these aggregates."""
        targets = list(dict.fromkeys(target for target, _ in wanted if target))
        if targets:
            self._frame.selected(targets)
            self._frame.length([*self._by, *targets])
        of_keys = [name for name in targets if name in self._by]
        if of_keys:
            raise ArgumentError(f"{of_keys} are keys of the groups, which have one value each")
        for target, name in wanted:
            if target:
                _check(self._frame[target], name)
        return targets

    def _create(
        self, ddf: DataFrame, write_keys: bool, wanted: list[tuple[str, str]]
    ) -> tuple[list[Field], list[Field]]:
        """The fields of the result, of the keys and of the aggregates."""
        keys = [self._frame[name].create_like(ddf, name) for name in self._by if write_keys]
        return keys, [self._create_one(ddf, target, name) for target, name in wanted]

    def _create_one(self, ddf: DataFrame, target: str, aggregate: str) -> Field:
        if not target:
            return _numeric(ddf, aggregate, "int64")
        field, name = self._frame[target], f"{target}_{aggregate}"
        of_time = isinstance(field, TimestampField) and aggregate in _OF_TIMES
        if aggregate in _LIKE or of_time:
            like: Field = field.create_like(ddf, name)
            return like
        dtype = result_of(aggregate, field.empty_column()).dtype
        return _numeric(ddf, name, dtype)


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
