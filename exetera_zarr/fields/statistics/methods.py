"""The statistics that every field has as methods."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from exetera_zarr.engine.columns.selection import length
from exetera_zarr.fields.statistics import figures

if TYPE_CHECKING:
    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.statistics.figures import Interpolation

__all__ = ["Statistical"]


class Statistical:
    """
    Statistics over the values that there are: what is missing counts nowhere.

    In ExeTera's face nothing is missing, and what is stored in its place counts.
    """

    def count(self) -> int:
        """How many rows have a value."""
        return figures.count(self._field())

    def sum(self) -> int | float | None:
        """The sum, exact of whole numbers whatever their size; None of no values."""
        return figures.total(self._field())

    def mean(self) -> Any:
        """The arithmetic mean: a float, NaN of no values; of timestamps a datetime, or None."""
        return self._middle(figures.mean(self._field()))

    def median(self) -> Any:
        """The middle value, or what is half-way between two; else as `mean`."""
        return self._middle(figures.quantiles(self._field(), [0.5])[0])

    def quantile(
        self, q: float | Sequence[float] = 0.5, interpolation: Interpolation = "linear"
    ) -> Any:
        """
        The value below which a share of the values is.

        Parameters
        ----------
        q
            A share, 0 to 1, or several.
        interpolation
            Between two values: ``linear``, ``lower``, ``higher``, ``nearest`` or ``midpoint``.

        Returns
        -------
        float or datetime, or a list of these
            As of `mean`.
        """
        shares = list(q) if isinstance(q, Sequence) else [q]
        found = [self._middle(v) for v in figures.quantiles(self._field(), shares, interpolation)]
        return found if isinstance(q, Sequence) else found[0]

    def var(self, ddof: int = 1) -> float:
        """The variance with ``n - ddof``; NaN of too few values; of times in square seconds."""
        return figures.variance(self._field(), ddof)

    def std(self, ddof: int = 1) -> float:
        """The standard deviation with ``n - ddof``, as of `var`."""
        return math.sqrt(figures.variance(self._field(), ddof))

    def min(self) -> Any:
        """The least value, strings by their bytes, categories by their codes; None of no values."""
        return self._shown(figures.extreme(self._field(), "min"))

    def max(self) -> Any:
        """The greatest value; else as `min`."""
        return self._shown(figures.extreme(self._field(), "max"))

    def nunique(self) -> int:
        """How many distinct values there are."""
        return length(figures.distinct(self._field()))

    def value_counts(self) -> dict[Any, int]:
        """
        How often each value occurs, the most frequent first, of several the least.

        Returns
        -------
        dict
            Categories by their names, points in time as datetimes.
        """
        return dict(figures.frequencies(self._field()))

    def mode(self) -> Any:
        """The most frequent value, of several the least; None of no values."""
        found = figures.frequencies(self._field())
        return found[0][0] if found else None

    def _field(self) -> Field:
        return cast("Field", self)

    def _shown(self, value: Any) -> Any:
        return figures.shown(self._field(), value)

    def _middle(self, value: float) -> Any:
        return self._shown(value) if self._field().type_name == "timestamp" else value
