"""Choosing rows and columns of a table, as pandas and Polars do: what comes is a view."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any, NoReturn, cast

import numpy as np

from exetera_zarr.errors import (
    ArgumentError,
    ArgumentTypeError,
    RowError,
    about,
)
from exetera_zarr.fields import filters
from exetera_zarr.fields.container import normal
from exetera_zarr.fields.sources import workspace
from exetera_zarr.tables.views.by_number import ByNumber
from exetera_zarr.tables.views.chosen_rows import ChosenRows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exetera_zarr.engine.columns.types import IntArray
    from exetera_zarr.fields.base import Field
    from exetera_zarr.plots.drawing import TablePlots
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.views.view import View

__all__ = ["Choosing"]


class Choosing:
    """The methods of a table that choose rows and columns, and change nothing."""

    def head(self, n: int = 5) -> View:
        """
        The first rows.

        Parameters
        ----------
        n
            How many; of a negative number, all but so many of the last.

        Returns
        -------
        View
            Of which only what is looked at is read.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     people = s.open_dataset("memory://head.zarr", "w", "d").create_dataframe("people")
        ...     people.create_numeric("age", "int8").data.write([34, 51, 47])
        ...     people.head(2)["age"].data[:].tolist()
        [34, 51]
        """
        rows = self._rows()
        return self._between(0, _count(n, rows))

    def tail(self, n: int = 5) -> View:
        """
        The last rows; of a negative number, all but so many of the first; else as `head`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://tail.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people.tail(2)["age"].tolist()
        [None, 47]
        """
        rows = self._rows()
        return self._between(rows - _count(n, rows), rows)

    def sample(
        self, n: int | None = None, frac: float | None = None, *, random_state: int | None = None
    ) -> View:
        """
        Rows at random, each at most once, in the order of the table.

        Parameters
        ----------
        n
            How many; 1 if neither is given.
        frac
            Or which part of all rows, from 0 to 1.
        random_state
            A seed, by which the same table gives the same rows.

        Raises
        ------
        ValueError
            Both are given, or more rows than there are.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://sample.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, 47]})
        ...     len(people.sample(2)["age"])
        2
        """
        rows = self._rows()
        if n is not None and frac is not None:
            raise ArgumentError("sample takes either a number of rows or a part of them")
        count = round(frac * rows) if frac is not None else 1 if n is None else n
        if not 0 <= count <= rows:
            raise ArgumentError(
                f"{count} of {rows} rows cannot be chosen, each at most once: sample takes n from "
                f"0 to {rows}, or frac from 0 to 1"
            )
        random = np.random.default_rng(random_state)
        chosen = np.sort(random.choice(rows, count, replace=False, shuffle=False))
        return self._view(rows=ChosenRows(self._settings, [chosen], ascending=True))

    def filter(self, condition: Any) -> View:
        """
        The rows for which a condition is true; the same as ``df[condition]``.

        Parameters
        ----------
        condition : Field, array, list or Series of bool, or str
            As long as the table; what is missing chooses no row. A text is one of `query`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     people = s.open_dataset("memory://flt.zarr", "w", "d").create_dataframe("people")
        ...     people.create_numeric("age", "int8").data.write([34, None, 47])
        ...     people.filter(people["age"] > 40)["age"].data[:].tolist()
        [47]
        """
        if isinstance(condition, str):
            return self.query(condition)
        return self._where(condition)

    def query(self, expression: str, **values: Any) -> View:
        """
        The rows for which an expression is true.

        Parameters
        ----------
        expression
            As Python writes it, with the names of the fields: ``age > 30 and town == 'York'``,
            ``1 < dose <= 3``, ``sex in ['f', 'm']``, ``not smoker``, ``weight / height ** 2 > 30``.
            A name with spaces is put in backticks. Methods of fields may be called:
            ``name.str.startswith('A')``, ``age.isna()``.
        values
            What ``@name`` stands for in the expression.

        Raises
        ------
        ValueError
            The expression is none, or names a field that does not exist.

        Notes
        -----
        The expression is taken apart by Python's `ast` and is never run as a program: it knows
        fields, constants, operators and public methods of fields, and nothing else.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     people = s.open_dataset("memory://query.zarr", "w", "d").create_dataframe("people")
        ...     people.create_numeric("age", "int8").data.write([34, 51, 47])
        ...     people.query("40 < age < @limit", limit=50)["age"].data[:].tolist()
        [47]
        """
        from exetera_zarr.tables.views.queries import evaluate

        return self._where(evaluate(expression, self._frame, values))

    def dropna(self, subset: str | Sequence[str] | None = None) -> View:
        """
        The rows in which every field has a value.

        Parameters
        ----------
        subset
            Names of the fields that count; all by default.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://dropna.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people.dropna()["age"].tolist()
        [34, 51, 47]
        """
        frame = self._frame
        names = [subset] if isinstance(subset, str) else subset
        chosen = frame.own_columns() if names is None else list(names)
        if not chosen:
            return self._between(0, self._rows())
        return self._where(reduce(operator.and_, (frame.get_field(n).notna() for n in chosen)))

    def __getattr__(self, name: str) -> NoReturn:
        from exetera_zarr.tables.views.pandas_names import INSTEAD

        why = f"a table has no attribute {name!r}"
        if name in INSTEAD:
            why += f": write {INSTEAD[name]}"
        elif not name.startswith("_") and "_group" in self.__dict__ and name in self._frame:
            why += f": write df[{name!r}] for the field"
        raise AttributeError(why, name=name, obj=self)

    @property
    def plot(self) -> TablePlots:
        """
        Pictures, by matplotlib: ``df.plot(x="date", y="weight")``, ``df.plot.scatter("x", "y")``.

        Of many rows figures are drawn that are gathered block by block. Axes have the labels and
        units of the fields.
        """
        from exetera_zarr.plots.drawing import TablePlots

        return TablePlots(self._frame)

    # -- by number

    @property
    def iloc(self) -> ByNumber:
        """
        Rows by number: ``df.iloc[3]``, ``df.iloc[2:5]``, ``df.iloc[[1, 4], 0:2]``.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://iloc.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people.iloc[1:3]["age"].tolist()
        [51, None]
        """
        return ByNumber(self._frame, labels=False)

    @property
    def loc(self) -> ByNumber:
        """
        Rows by number or condition, columns by name: ``df.loc[df["age"] > 30, ["id", "age"]]``.

        A table has no index but the numbers of its rows. As in pandas, a slice of these includes
        its end.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://loc.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people.loc[people["age"] > 40, "age"].tolist()
        [51, 47]
        """
        return ByNumber(self._frame, labels=True)

    # -- what the above is made of

    @property
    def _frame(self) -> DataFrame:
        return cast("DataFrame", self)

    @property
    def _settings(self) -> Any:
        return self._frame.dataset.settings

    def _rows(self) -> int:
        return self._frame.length()

    def _view(
        self,
        names: Mapping[str, str] | None = None,
        rows: ChosenRows | None = None,
        more: Mapping[str, Field] | None = None,
    ) -> View:
        from exetera_zarr.tables.views.view import view_of

        return view_of(self._frame, names, rows, more)

    def _between(self, start: int, stop: int) -> View:
        return self._view(rows=ChosenRows.between(self._settings, start, stop))

    def _chosen(self, item: Any) -> Any:
        """What ``df[...]`` gives for what is no name."""
        if callable(item) and not hasattr(item, "__array__"):
            item = item(self)
            if isinstance(item, str):
                return self._frame[item]
        if isinstance(item, slice):
            return self._by_slice(item)
        if isinstance(item, (list, tuple)) and all(isinstance(name, str) for name in item):
            if isinstance(item, tuple):
                raise ArgumentTypeError(
                    f"several columns are chosen by a list of names: write df[{list(item)!r}]"
                )
            return self._columns(item)
        if isinstance(item, (int, np.integer)) and not isinstance(item, bool):
            raise ArgumentTypeError(
                f"{self._phrase()} gives one field by its name: write df.iloc[{item}] for a row by "
                f"its number"
            )
        if item is None or isinstance(item, (bool, float, bytes, np.bool_)):
            raise ArgumentTypeError(
                f"{self._phrase()} gives one field by its name, several by a list of names, and "
                f"rows by a condition, not by {item!r}"
            )
        return self._where(item)

    def _columns(self, names: Sequence[str]) -> View:
        for name in names:
            self._frame.get_field(name)
        if twice := {name for name in names if names.count(name) > 1}:
            raise ArgumentError(f"the column {min(twice)!r} is named twice")
        return self._view({name: name for name in names})

    def _without(self, names: Sequence[str]) -> View:
        gone = {str(self._frame.get_field(name).name) for name in names}
        return self._view({name: name for name in self._frame.own_columns() if name not in gone})

    def _renamed(self, renames: Mapping[str, str]) -> View:
        new = {str(self._frame.get_field(old).name): normal(name) for old, name in renames.items()}
        return self._view({name: new.get(name, name) for name in self._frame.own_columns()})

    def _where(self, condition: Any) -> View:
        frame, settings = self._frame, self._settings
        _refuse_numbers(condition)
        with workspace(settings) as work:
            with about(frame._phrase):  # noqa: SLF001
                rows = filters.filter_rows(condition, frame.length(), work, settings.face)
            return self._view(rows=ChosenRows.of(settings, rows))

    def _by_numbers(self, numbers: Any) -> View:
        frame, settings = self._frame, self._settings
        with workspace(settings) as work:
            with about(frame._phrase):  # noqa: SLF001
                rows = filters.index_rows(numbers, frame.length(), work, settings.face)
            return self._view(rows=ChosenRows.of(settings, rows))

    def _by_slice(self, rows: slice) -> View:
        for end in (rows.start, rows.stop, rows.step):
            if end is not None and not isinstance(end, (int, np.integer)):
                raise ArgumentTypeError(f"rows are counted by whole numbers, not by {end!r}")
        start, stop, step = rows.indices(self._rows())
        if step == 1:
            return self._between(start, max(start, stop))
        chosen = ChosenRows(self._settings, _steps(range(start, stop, step)), ascending=step > 0)
        return self._view(rows=chosen)

    def _row(self, number: int) -> dict[str, Any]:
        """A row as Python's values: names of categories, moments, None for what is missing."""
        rows = self._rows()
        at = number + rows if number < 0 else number
        if not 0 <= at < rows:
            raise RowError(f"row {number} of {self._phrase()} does not exist: it has {rows} rows")
        found: list[dict[str, Any]] = self._between(at, at + 1).to_arrow().to_pylist()
        return found[0]

    def _phrase(self) -> str:
        raise NotImplementedError


def _refuse_numbers(condition: Any) -> None:
    """ArgumentTypeError for numbers where a condition is wanted: they may be meant as rows."""
    kind = condition.fieldtype if hasattr(condition, "masked_blocks") else None
    dtype = getattr(condition, "dtype", None)
    of_numbers = kind is not None and kind.startswith("numeric") and kind != "numeric,bool"
    if of_numbers or (isinstance(dtype, np.dtype) and dtype.kind in "iuf"):
        raise ArgumentTypeError(
            "rows are chosen by a condition, such as df['age'] > 30, not by numbers: write "
            "df.iloc[numbers] for rows by number"
        )


def _count(n: int, rows: int) -> int:
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        raise ArgumentTypeError(f"a number of rows is a whole number, not {n!r}")
    return max(0, min(int(n), rows) if n >= 0 else rows + int(n))


def _steps(numbers: range) -> Iterable[IntArray]:
    step = 1 << 20
    for at in range(0, len(numbers), step):
        part = numbers[at : at + step]
        yield np.arange(part.start, part.stop, part.step, dtype=np.int64)
