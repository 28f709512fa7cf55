"""``field.plot`` and ``df.plot``: pictures as pandas draws them, of any number of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from exetera_zarr.errors import ArgumentError, listing, needing
from exetera_zarr.plots import figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from exetera_zarr.fields.base import Field
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["FieldPlots", "TablePlots"]

FieldKind: TypeAlias = Literal["hist", "bar", "line"]
TableKind: TypeAlias = Literal["line", "scatter", "bar", "hist"]

_DRAWN = 20_000
"""Rows of which each is drawn; of more, figures of ranges are."""
_POINTS = 1_000
_CELLS = 200
_BARS = 20
_BINS = 20


class FieldPlots:
    """
    Pictures of a field: ``field.plot()`` chooses one by its type.

    Parameters
    ----------
    field
        The field.
    """

    def __init__(self, field: Field) -> None:
        self._field = field

    def __call__(
        self, kind: FieldKind | None = None, *, bins: int = _BINS, ax: Axes | None = None
    ) -> Axes:
        """
        Draw it.

        Parameters
        ----------
        kind
            ``"hist"``, the default for numbers and timestamps; ``"bar"``, for categories, bool and
            text; ``"line"``, row by row.
        bins
            Ranges of a histogram.
        ax
            Where to; new axes by default.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        TypeError
            The field has no numbers for such a picture.
        UnsupportedError
            matplotlib is not installed.
        """
        field = self._field
        if kind is None:
            numbers = field.of_numbers and field.fieldtype != "numeric,bool"
            drawn = (numbers and field.type_name != "categorical") or figures.is_time(field)
            kind = "hist" if drawn else "bar"
        if kind == "hist":
            return self.hist(bins, ax=ax)
        if kind == "bar":
            return self.bar(ax=ax)
        if kind == "line":
            return self.line(ax=ax)
        raise ArgumentError(f"a field is drawn as 'hist', 'bar' or 'line', not {kind!r}")

    def hist(self, bins: int = _BINS, *, ax: Axes | None = None) -> Axes:
        """A histogram of numbers or timestamps, which are read block by block."""
        ax = ax or _new_axes()
        found = figures.histogram(self._field, bins)
        edges = _on_axis(found.edges, self._field)
        ax.stairs(found.counts, edges, fill=True)
        ax.set_xlabel(_label(self._field))
        ax.set_ylabel("rows")
        _tell_missing(ax, found.missing)
        return ax

    def bar(self, *, most: int = _BARS, ax: Axes | None = None) -> Axes:
        """How often each value occurs: of categories all, of others the most frequent."""
        ax = ax or _new_axes()
        shown, others, missing = figures.frequencies(self._field, most)
        names, counts = [name for name, _ in shown], [count for _, count in shown]
        if others:
            names, counts = [*names, "others"], [*counts, others]
        ax.bar(range(len(names)), counts)
        _name_ticks(ax, names)
        ax.set_xlabel(_label(self._field))
        ax.set_ylabel("rows")
        _tell_missing(ax, missing)
        return ax

    def line(self, *, ax: Axes | None = None) -> Axes:
        """The values row by row; of many rows the mean, and the range, of those near each other."""
        ax = ax or _new_axes()
        _draw_line(ax, None, self._field)
        ax.set_xlabel("row")
        ax.set_ylabel(_label(self._field))
        return ax


class TablePlots:
    """
    Pictures of a table: ``df.plot(x="date", y="weight")``.

    Parameters
    ----------
    frame
        The table, or a view.
    """

    def __init__(self, frame: DataFrame) -> None:
        self._frame = frame

    def __call__(
        self,
        x: str | None = None,
        y: str | Sequence[str] | None = None,
        kind: TableKind = "line",
        *,
        ax: Axes | None = None,
        **options: Any,
    ) -> Axes:
        """
        Draw columns.

        Parameters
        ----------
        x
            Name of the field on the horizontal axis; row numbers by default.
        y
            Of the fields that are drawn; all that have numbers by default.
        kind
            ``"line"``, ``"scatter"``, ``"bar"`` or ``"hist"``.
        ax
            Where to; new axes by default.
        options
            Of the method of that name, such as ``bins``.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ValueError
            There is no such field, or nothing to draw.
        UnsupportedError
            matplotlib is not installed.
        """
        if kind == "line":
            return self.line(x, y, ax=ax, **options)
        if kind == "bar":
            return self.bar(x, y, ax=ax, **options)
        if kind == "hist":
            return self.hist(y, ax=ax, **options)
        if kind == "scatter":
            if x is None or not isinstance(y, str):
                raise ArgumentError("a scatter plot has one field for x, and one for y")
            return self.scatter(x, y, ax=ax, **options)
        raise ArgumentError(f"a table is drawn as 'line', 'scatter', 'bar' or 'hist', not {kind!r}")

    def line(
        self, x: str | None = None, y: str | Sequence[str] | None = None, *, ax: Axes | None = None
    ) -> Axes:
        """Lines along `x`; of many rows the mean, and the range, of those near each other."""
        ax = ax or _new_axes()
        along = None if x is None else self._frame.get_field(x)
        names = self._numbers(y, x)
        for name in names:
            field = self._frame.get_field(name)
            _draw_line(ax, along, field, label=_label(field))
        ax.set_xlabel("row" if along is None else _label(along))
        self._legend(ax, names)
        return ax

    def scatter(self, x: str, y: str, *, ax: Axes | None = None) -> Axes:
        """A point for each row; of many rows, how many there are in each cell of a grid."""
        ax = ax or _new_axes()
        first, second = self._frame.get_field(x), self._frame.get_field(y)
        if len(first) <= _DRAWN:
            for (one, other), _ in figures.pairs(first, second):
                ax.scatter(_on_axis(one, first), _on_axis(other, second), s=8)
        else:
            counts, across, up = figures.density(first, second, _CELLS)
            shown = np.ma.masked_equal(counts.T, 0)
            mesh = ax.pcolormesh(_on_axis(across, first), _on_axis(up, second), shown)
            ax.figure.colorbar(mesh, ax=ax, label="rows")
        ax.set_xlabel(_label(first))
        ax.set_ylabel(_label(second))
        return ax

    def bar(
        self, x: str | None = None, y: str | Sequence[str] | None = None, *, ax: Axes | None = None
    ) -> Axes:
        """A bar for each row of a short table, as a group or a count gives; `x` names the rows."""
        ax = ax or _new_axes()
        rows = self._frame.length()
        if rows > 10 * _BARS:
            raise ArgumentError(
                f"{rows:,} bars cannot be told from each other: draw figures of groups, such as "
                "df.groupby('town').size().plot.bar(x='town'), or a histogram, df['x'].plot()"
            )
        names = self._numbers(y, x)
        table = self._frame.to_arrow(columns=names if x is None else [*names, x])
        width = 0.8 / len(names)
        for number, name in enumerate(names):
            heights = [np.nan if v is None else float(v) for v in table[name].to_pylist()]
            label = _label(self._frame.get_field(name))
            ax.bar(
                np.arange(rows) + (number - (len(names) - 1) / 2) * width,
                heights,
                width,
                label=label,
            )
        ticks = range(rows) if x is None else table[x].to_pylist()
        _name_ticks(ax, [figures.plain(one) for one in ticks])
        ax.set_xlabel("row" if x is None else _label(self._frame.get_field(x)))
        self._legend(ax, names)
        return ax

    def hist(
        self, y: str | Sequence[str] | None = None, *, bins: int = _BINS, ax: Axes | None = None
    ) -> Axes:
        """Histograms of fields over each other, in the same ranges."""
        ax = ax or _new_axes()
        names = self._numbers(y, None)
        fields = [self._frame.get_field(name) for name in names]
        whole = [figures.histogram(field, 1).edges for field in fields]
        ends = min(edges[0] for edges in whole), max(edges[-1] for edges in whole)
        missing = 0
        for field in fields:
            found = figures.histogram(field, bins, ends)
            missing += found.missing
            edges = _on_axis(found.edges, field)
            ax.stairs(found.counts, edges, fill=True, alpha=0.6, label=_label(field))
        ax.set_ylabel("rows")
        self._legend(ax, names, of_x=True)
        _tell_missing(ax, missing)
        return ax

    def _numbers(self, y: str | Sequence[str] | None, x: str | None) -> list[str]:
        """The fields that are drawn."""
        if y is not None:
            return [str(self._frame.get_field(name).name) for name in figures.named(y)]
        names = []
        for name in self._frame.own_columns():
            field = self._frame.get_field(name)
            drawn = field.of_numbers and field.type_name not in ("categorical", "timestamp")
            if name != x and drawn and field.fieldtype != "numeric,bool":
                names.append(name)
        if not names:
            raise ArgumentError(
                f"the table {self._frame.name!r} has no numbers to draw; it has "
                f"{listing(self._frame.own_columns())}"
            )
        return names

    def _legend(self, ax: Axes, names: list[str], *, of_x: bool = False) -> None:
        if len(names) > 1:
            ax.legend()
        else:
            (ax.set_xlabel if of_x else ax.set_ylabel)(_label(self._frame.get_field(names[0])))


def _draw_line(ax: Axes, x: Field | None, y: Field, label: str | None = None) -> None:
    if len(y) <= _DRAWN:
        columns = [np.arange(len(y), dtype=np.float64) if x is None else _values(x), _values(y)]
        across = columns[0] if x is None else _on_axis(columns[0], x)
        ax.plot(across, _on_axis(columns[1], y), label=label)
        return
    found = figures.course(x, y, _POINTS)
    across = found.at if x is None else _on_axis(found.at, x)
    (line,) = ax.plot(across, _on_axis(found.mean, y), label=label)
    least, greatest = _on_axis(found.least, y), _on_axis(found.greatest, y)
    ax.fill_between(across, least, greatest, color=line.get_color(), alpha=0.25, linewidth=0)


def _values(field: Field) -> Any:
    """All values of a short field as float64; NaN for what is missing."""
    figures.check(field)
    column, mask = field.masked_rows()
    values = np.asarray(column, np.float64).copy()
    if mask is not None:
        values[~mask] = np.nan
    return values


def _on_axis(values: Any, field: Field) -> Any:
    """Numbers as they are, POSIX seconds as numpy's moments, which an axis shows as dates."""
    if not figures.is_time(field):
        return values
    moments = np.full(len(values), np.datetime64("NaT", "us"))
    there = np.isfinite(values)
    moments[there] = (values[there] * 1e6).astype("int64").astype("datetime64[us]")
    return moments


def _label(field: Field) -> str:
    """What an axis says of a field: its label, or else its name, and its unit."""
    text = field.label or field.name or "values"
    unit = field.unit
    return f"{text} [{unit}]" if unit else str(text)


def _name_ticks(ax: Axes, names: list[str]) -> None:
    short = [name if len(name) <= 24 else f"{name[:23]}\N{HORIZONTAL ELLIPSIS}" for name in names]
    long = sum(map(len, short)) > 60
    ax.set_xticks(
        range(len(short)), short, rotation=45 if long else 0, ha="right" if long else "center"
    )


def _tell_missing(ax: Axes, missing: int) -> None:
    """Say how many rows are not in the picture."""
    if missing:
        ax.set_title(f"{missing:,} missing", loc="right", fontsize="small")


def _new_axes() -> Axes:
    with needing("a picture", "exetera-zarr[plots]"):
        from matplotlib import pyplot as plt
    axes: Axes = plt.subplots(layout="constrained")[1]
    return axes
