"""Grouping: one row per distinct combination of the keys."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.engine import Column, gather, keys, spans
from exetera_zarr.errors import DataError
from exetera_zarr.fields import create
from exetera_zarr.fields.base import Field, column_of
from exetera_zarr.fields.numeric import NumericField

if TYPE_CHECKING:
    from collections.abc import Callable

    from exetera_zarr.dataframe import DataFrame
    from exetera_zarr.storage.base import AnyArray

__all__ = ["DataFrameGroupBy"]


class DataFrameGroupBy:
    """
    The groups of a table, in ascending order of the keys.

    Parameters
    ----------
    frame
        The table.
    by
        Names of the keys.
    keys_sorted
        The rows are sorted by the keys already; a wrong hint is an error.
    """

    def __init__(self, frame: DataFrame, by: list[str], keys_sorted: bool = False) -> None:
        self._frame = frame
        self._by = by
        self._length = frame.length(by)
        self._keys: list[Column] = [column_of(frame[name]) for name in by]
        self._order: AnyArray | None = None
        disorder = keys.first_disorder(self._keys)
        if disorder is not None:
            if keys_sorted:
                raise DataError(
                    f"hint_keys_is_sorted, but row {disorder} of {frame.name!r} has a key {by} "
                    "less than the row before it"
                )
            self._sort()

    def _sort(self) -> None:
        from exetera_zarr.engine import relational

        settings = self._frame.dataset.settings
        self._order = relational.sort_index(
            self._keys, memory_limit=settings.memory_limit, spill_dir=settings.spill_dir
        )
        self._keys = [gather.take(column, self._order) for column in self._keys]

    @cached_property
    def _spans(self) -> AnyArray:
        return spans.find_spans(self._keys, nan_equal=True)

    # -- aggregates that ExeTera has

    def distinct(self, ddf: DataFrame, write_keys: bool = True) -> DataFrame:
        """Write the keys of each group to `ddf`."""
        return self._write(ddf, write_keys, [])

    def count(self, ddf: DataFrame, write_keys: bool = True) -> DataFrame:
        """Write the number of rows of each group to `ddf`, as int64 field ``count``."""
        return self._write(ddf, write_keys, [("count", None, spans.count(self._spans))])

    def max(self, target: str | list[str], ddf: DataFrame, write_keys: bool = True) -> DataFrame:
        """Write the greatest value of each group to `ddf`, as fields ``<name>_max``."""
        return self._aggregate("max", spans.max, target, ddf, write_keys, like=True)

    def min(self, target: str | list[str], ddf: DataFrame, write_keys: bool = True) -> DataFrame:
        """Write the least value of each group to `ddf`, as fields ``<name>_min``."""
        return self._aggregate("min", spans.min, target, ddf, write_keys, like=True)

    def first(self, target: str | list[str], ddf: DataFrame, write_keys: bool = True) -> DataFrame:
        """Write the first row's value of each group to `ddf`, as fields ``<name>_first``."""
        return self._aggregate("first", spans.first, target, ddf, write_keys, like=True)

    def last(self, target: str | list[str], ddf: DataFrame, write_keys: bool = True) -> DataFrame:
        """Write the last row's value of each group to `ddf`, as fields ``<name>_last``."""
        return self._aggregate("last", spans.last, target, ddf, write_keys, like=True)

    # -- aggregates of numbers

    def sum(self, target: str | list[str], ddf: DataFrame, write_keys: bool = True) -> DataFrame:
        """Write the sum of each group to `ddf`, as fields ``<name>_sum``."""
        return self._aggregate("sum", spans.sum, target, ddf, write_keys, like=False)

    def mean(self, target: str | list[str], ddf: DataFrame, write_keys: bool = True) -> DataFrame:
        """Write the mean of each group to `ddf`, as float64 fields ``<name>_mean``."""
        return self._aggregate("mean", spans.mean, target, ddf, write_keys, like=False)

    def _aggregate(
        self,
        suffix: str,
        function: Callable[[Any, Any], Any],
        target: str | list[str],
        ddf: DataFrame,
        write_keys: bool,
        *,
        like: bool,
    ) -> DataFrame:
        results: list[tuple[str, Field | None, Column]] = []
        for name in self._targets(target):
            field = self._frame[name]
            column = column_of(field)
            if self._order is not None:
                column = gather.take(column, self._order)
            try:
                result = function(self._spans, column)
            except TypeError as error:
                raise DataError(f"{suffix} of {field.describe()}: {error}") from error
            results.append((f"{name}_{suffix}", field if like else None, result))
        return self._write(ddf, write_keys, results)

    def _targets(self, target: str | list[str]) -> list[str]:
        names = self._frame.selected(target)
        of_keys = [name for name in names if name in self._by]
        if of_keys:
            raise ValueError(f"{of_keys} are keys of the groups, which have one value each")
        self._frame.length([*self._by, *names])
        return names

    def _write(
        self,
        ddf: DataFrame,
        write_keys: bool,
        results: list[tuple[str, Field | None, Column]],
    ) -> DataFrame:
        """Write the keys and the results, all or nothing."""
        written: list[tuple[str, Field | None, Column]] = []
        if write_keys:
            for name, column in zip(self._by, self._keys, strict=True):
                written.append((name, self._frame[name], spans.first(self._spans, column)))
        with ddf.atomic():
            for name, like, column in [*written, *results]:
                if like is not None:
                    field = like.create_like(ddf, name)
                else:
                    attributes = create.numeric_attributes(np.asarray(column).dtype)
                    field = ddf.create_field(NumericField, name, attributes)
                field.append(column)
        return ddf
