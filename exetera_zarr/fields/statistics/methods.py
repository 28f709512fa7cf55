"""The statistics that every field has as methods."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from exetera_zarr.engine.columns.selection import length
from exetera_zarr.fields.statistics import figures
from exetera_zarr.fields.statistics.counting import Counts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.statistics.figures import Interpolation
    from exetera_zarr.plots.drawing import FieldPlots

__all__ = ["Statistical"]


class Statistical:
    """
    Statistics over the values that there are: what is missing counts nowhere.

    In ExeTera's face nothing is missing, and what is stored in its place counts.
    """

    @property
    def plot(self) -> FieldPlots:
        """
        Pictures, by matplotlib: ``field.plot()`` chooses one by the type, ``field.plot.hist(50)``.

        The field is read block by block. The axis has its label and unit, names of categories, and
        dates; rows without a value are told in a corner.
        """
        from exetera_zarr.plots.drawing import FieldPlots

        return FieldPlots(self._field())

    def hist(self, bins: int = 20, *, ax: Axes | None = None) -> Axes:
        """A histogram of numbers or timestamps; see `plot`."""
        return self.plot.hist(bins, ax=ax)

    def count(self) -> int:
        """
        How many rows have a value.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://count.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people["age"].count(), len(people["age"])
        (3, 4)
        """
        return figures.count(self._field())

    def sum(self) -> int | float | None:
        """
        The sum, exact of whole numbers whatever their size; None of no values.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://sum.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people["age"].sum()
        132
        """
        return figures.total(self._field())

    def mean(self) -> Any:
        """
        The arithmetic mean: a float, NaN of no values; of timestamps a datetime, or None.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://mean.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people["age"].mean()
        44.0
        """
        return self._middle(figures.mean(self._field()))

    def median(self) -> Any:
        """
        The middle value, or what is half-way between two; else as `mean`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://median.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people["age"].median()
        47.0
        """
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

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://quantile.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people["age"].quantile(0.25)
        40.5
        """
        shares = list(q) if isinstance(q, Sequence) else [q]
        found = [self._middle(v) for v in figures.quantiles(self._field(), shares, interpolation)]
        return found if isinstance(q, Sequence) else found[0]

    def var(self, ddof: int = 1) -> float:
        """
        The variance with ``n - ddof``; NaN of too few values; of times in square seconds.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://var.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     round(people["age"].var(), 2)
        79.0
        """
        return figures.variance(self._field(), ddof)

    def std(self, ddof: int = 1) -> float:
        """
        The standard deviation with ``n - ddof``, as of `var`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://std.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     round(people["age"].std(), 2)
        8.89
        """
        return math.sqrt(figures.variance(self._field(), ddof))

    def min(self) -> Any:
        """
        The least value, strings by their bytes, categories by their codes; None of no values.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://min.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people["age"].min()
        34
        """
        return self._shown(figures.extreme(self._field(), "min"))

    def max(self) -> Any:
        """
        The greatest value; else as `min`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://max.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people["age"].max()
        51
        """
        return self._shown(figures.extreme(self._field(), "max"))

    def nunique(self, dropna: bool = True) -> int:
        """
        How many distinct values there are; what is missing is one if `dropna` is False.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://nunique.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"town": ["York", "Bath", "York", None]})
        ...     people["town"].nunique()
        2
        """
        field = self._field()
        found = length(figures.distinct(field))
        return found if dropna or field.count() == len(field) else found + 1

    def value_counts(
        self, normalize: bool = False, *, ascending: bool = False, dropna: bool = True
    ) -> Counts:
        """
        How often each value occurs, the most frequent first, of several the least.

        Parameters
        ----------
        normalize
            Whether shares of all that are counted are given instead.
        ascending
            Whether the least frequent comes first.
        dropna
            Whether what is missing is left out; else it is counted under None.

        Returns
        -------
        Counts
            A dict, shown as a table: categories by their names, points in time as datetimes.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     t = s.open_dataset("memory://counts.zarr", "w", "d").create_dataframe("t")
        ...     t["town"] = ["York", "Bath", None, "York"]
        ...     t["town"].value_counts()
        town  count
        York      2
        Bath      1
        """
        field = self._field()
        found = figures.frequencies(field)
        if not dropna and (gone := len(field) - sum(number for _, number in found)):
            found.append((None, gone))
        found.sort(key=lambda pair: pair[1] if ascending else -pair[1])
        if not normalize:
            return Counts(found, field.name)
        whole = sum(number for _, number in found)
        return Counts([(v, number / whole) for v, number in found], field.name, "proportion")

    def mode(self) -> Any:
        """
        The most frequent value, of several the least; None of no values.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://mode.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"town": ["York", "Bath", "York"]})
        ...     people["town"].mode()
        'York'
        """
        found = figures.frequencies(self._field())
        return found[0][0] if found else None

    def _field(self) -> Field:
        return cast("Field", self)

    def _shown(self, value: Any) -> Any:
        return figures.shown(self._field(), value)

    def _middle(self, value: float) -> Any:
        return self._shown(value) if self._field().type_name == "timestamp" else value
