"""What a table makes of itself, as pandas and Polars do: this one stays, and a new one comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from exetera_zarr.errors import DataError

if TYPE_CHECKING:
    from exetera_zarr.fields.base import Field
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.merge import How
    from exetera_zarr.tables.views.view import View

__all__ = ["Deriving"]


class Deriving:
    """The methods of a table that give another one."""

    def sort(
        self,
        by: str | list[str],
        *,
        ascending: bool | list[bool] = True,
        descending: bool | list[bool] | None = None,
    ) -> DataFrame:
        """
        A new table of the same rows, sorted; this one stays as it is.

        Parameters
        ----------
        by
            Name of the key, or names, the first one leading.
        ascending
            For all keys, or for each. What is missing comes last in either direction.
        descending
            The same the other way around, as Polars has it.

        Returns
        -------
        DataFrame
            Of the session's own: ``ds["name"] = table`` keeps it.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://sort.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, 47]})
        ...     people.sort("age")["age"].tolist()
        [34, 47, 51]
        """
        from exetera_zarr.tables.views.new_tables import new_table

        if descending is not None:
            ascending = (
                [not one for one in descending] if isinstance(descending, list) else not descending
            )
        frame = self._frame
        return frame.sort_values(by, new_table(frame.dataset, frame.name), ascending=ascending)

    def select(self, *columns: str | list[str]) -> View:
        """
        Some columns, as a view; the same as ``df[["a", "b"]]``.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://select.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [1, 2], "age": [34, 51]})
        ...     list(people.select("age"))
        ['age']
        """
        names = [name for one in columns for name in ([one] if isinstance(one, str) else one)]
        return cast("View", self._frame[names])

    def assign(self, **columns: Any) -> View:
        """
        A view with more columns, or others in the place of some; this table stays as it is.

        Parameters
        ----------
        columns
            By name: a field or an expression of fields, of as many rows; a function, which is
            called with this table; or what a field is assigned: an array, a list, a value.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     people = s.open_dataset("memory://assign.zarr", "w", "d").create_dataframe("people")
        ...     people.create_numeric("age", "int8").data.write([34, 51])
        ...     people.assign(next=people["age"] + 1)["next"].data[:].tolist()
        [35, 52]
        """
        frame: Any = self
        for name, value in columns.items():
            frame = frame._view(more={name: frame._field_from(name, value)})  # noqa: SLF001
        return cast("View", frame)

    def merge(
        self,
        right: DataFrame,
        how: How = "inner",
        on: str | list[str] | None = None,
        left_on: str | list[str] | None = None,
        right_on: str | list[str] | None = None,
        suffixes: tuple[str, str] = ("_x", "_y"),
    ) -> DataFrame:
        """
        The rows of two tables whose keys are equal, side by side, as a new table.

        Parameters
        ----------
        right
            The other table, or a view.
        how
            ``"inner"``: pairs alone; ``"left"``, ``"right"``, ``"outer"``: the rows of that side,
            or of both, without a partner, too; ``"cross"``: every pair, without keys.
        on
            Name of the key in both tables, or names; the names that both have by default, without
            ``j_valid_from`` and ``j_valid_to`` of imports. It is in the result once.
        left_on, right_on
            Or the names that the keys have in either table; both are in the result.
        suffixes
            Added to other names that both tables have.

        Returns
        -------
        DataFrame
            Of the session's own: ``ds["name"] = table`` keeps it. What a row without a partner
            lacks is missing.

        Raises
        ------
        ValueError
            A key does not exist, or the tables share no name.
        TypeError
            Keys do not go together, such as numbers and categories.

        Notes
        -----
        The order of the rows, and what keys are equal, is told by `exetera_zarr.merge`: keys that
        are missing are equal to each other, as in pandas.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://merge.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [1, 2], "town": ["York", "Leeds"]})
        ...     visits = ds.from_dict("visits", {"id": [2, 2, 1], "pain": [3, 0, 7]})
        ...     people.merge(visits, on="id").to_arrow().to_pydict()
        {'id': [1, 2, 2], 'town': ['York', 'Leeds', 'Leeds'], 'pain': [7, 3, 0]}
        """
        from exetera_zarr.tables.views.joining import merged

        return merged(self._frame, right, how, on, left_on, right_on, suffixes)

    # -- what the above is made of

    @property
    def _frame(self) -> DataFrame:
        return cast("DataFrame", self)

    def _field_from(self, name: str, value: Any) -> Field:
        """A field, of as many rows as the table has, of what a person assigns to a name."""
        from exetera_zarr.tables.rows.assigning import field_of

        frame = self._frame
        if callable(value) and not hasattr(value, "__array__"):
            value = value(frame)
        rows = frame.length()
        made = field_of(frame, name, value, rows)
        if len(made) != rows:
            raise DataError(
                f"the column {name!r} has {len(made)} rows, and the table {frame.name!r} {rows}"
            )
        return made
