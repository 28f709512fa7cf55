"""Some fields of the groups of a table: figures of each group, and values row by row."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from exetera_zarr.errors import ArgumentError, listing
from exetera_zarr.fields import within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.within import Rolling
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.groupby import DataFrameGroupBy

__all__ = ["GroupedColumns", "Wanted"]

_FIGURES = (
    *("min", "max", "first", "last", "mean", "median", "sum", "std", "var"),
    *("count", "nunique"),
)
_WITHIN = ("shift", "diff", "ffill", "cumsum", "cummax", "cummin", "rank")


class Wanted(NamedTuple):
    """An aggregate of a field, none for all rows, and the name of the result."""

    target: str
    aggregate: str
    name: str


class GroupedColumns:
    """
    Some fields of the groups of a table; see `DataFrameGroupBy.__getitem__`.

    Parameters
    ----------
    groups
        The groups.
    frame, by
        The table, and the names of the keys.
    names
        Of the fields.
    alone
        Whether one field is meant, by its name, and not a list of fields.
    """

    def __init__(
        self,
        groups: DataFrameGroupBy,
        frame: DataFrame,
        by: list[str],
        names: list[str],
        *,
        alone: bool,
    ) -> None:
        self._groups, self._frame, self._by = groups, frame, by
        self._names, self._alone = names, alone

    def __getattr__(self, name: str) -> Any:
        if name in _FIGURES:
            return partial(self._figure, name)
        if name in _WITHIN:
            return partial(self._within, name)
        raise AttributeError(
            f"the groups of {listing(self._names)} have no {name!r}, only agg, size, rolling, "
            f"{', '.join(_FIGURES)}, and row by row {', '.join(_WITHIN)}"
        )

    def __dir__(self) -> list[str]:
        return ["agg", "size", "rolling", *_FIGURES, *_WITHIN]

    def rolling(
        self, window: str | int, on: str | None = None, min_periods: int | None = None
    ) -> Rolling:
        """
        Windows that go along the rows of each group; see `Field.rolling`.

        Parameters
        ----------
        window
            A number of rows, or a time such as ``"7D"``.
        on
            Name of the field of points in time, for a window of time.
        min_periods
            Values that a window has at least, so that its figure is not missing.
        """
        moments = None if on is None else self._frame.get_field(on)
        return within.rolling(self._one("rolling"), window, moments, self._keys(), min_periods)

    def _within(self, name: str, *arguments: Any, **options: Any) -> Any:
        """A value for each row, by what is before and after it in its group; in memory."""
        function = getattr(within, name)
        return function(self._one(name), *arguments, by=self._keys(), **options)

    def _keys(self) -> list[Field]:
        return [self._frame.get_field(name) for name in self._by]

    def _one(self, name: str) -> Field:
        if len(self._names) != 1:
            raise ArgumentError(
                f"{name} is of one field at a time: write df.groupby({self._by!r})"
                f"[{self._names[0]!r}].{name}()"
            )
        return self._frame.get_field(self._names[0])

    def _figure(self, aggregate: str, ddf: DataFrame | None = None) -> DataFrame:
        """One aggregate of each field, under its name, in `ddf` or a new table."""
        wanted = [Wanted(name, aggregate, name) for name in self._names]
        return self._groups.write(ddf, True, wanted)

    def size(self) -> DataFrame:
        """As of `DataFrameGroupBy`."""
        return self._groups.size()

    def agg(
        self,
        aggregates: str | Sequence[str] | None = None,
        ddf: DataFrame | None = None,
        **named: str,
    ) -> DataFrame:
        """
        Several aggregates: ``["mean", "max"]``, or by their names in the result, ``top="max"``.

        Of one field they have their own names, of several ``<name>_<aggregate>``.
        """
        if isinstance(aggregates, str):
            return self._groups.write(
                ddf, True, [Wanted(name, aggregates, name) for name in self._names]
            )
        by_name = {**{one: one for one in aggregates or ()}, **named}
        if not by_name:
            raise ArgumentError("expected the names of aggregates, such as agg(['mean', 'max'])")
        wanted = [
            Wanted(name, aggregate, called if self._alone else f"{name}_{called}")
            for name in self._names
            for called, aggregate in by_name.items()
        ]
        return self._groups.write(ddf, True, wanted)

    aggregate = agg
