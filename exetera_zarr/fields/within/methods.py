"""The methods of fields that go on within spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from exetera_zarr.fields.within import moving, ranking, running
from exetera_zarr.fields.within.rolling import Rolling

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    import numpy as np

    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.numeric import NumericField
    from exetera_zarr.fields.within.groups import By
    from exetera_zarr.fields.within.ranking import RankMethod

__all__ = ["Within"]


class Within:
    """
    Rows before and after, running sums, windows and ranks: of each participant by ``by=df["id"]``.

    ``by`` is the key, or a list of keys, by which the rows are sorted; or spans, as
    ``key.get_spans()`` gives them; or left out, for all rows. A row whose key is missing belongs to
    no span: what is asked of it is missing. Rows that are not sorted by the key are an error.
    """

    def shift(self, periods: int = 1, *, by: By = None) -> Any:
        """
        The value of the row before each row, or of one further away, of the same span.

        Parameters
        ----------
        periods
            How many rows before; negative for rows after.
        by
            The key or keys by which the rows are sorted, or spans; all rows are one span if it is
            left out.

        Returns
        -------
        Field
            Of the same type, in memory; missing where the span has no such row.

        Raises
        ------
        DataError
            The rows are not sorted by the key.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     t = s.open_dataset("memory://shift.zarr", "w", "d").create_dataframe("t")
        ...     t["id"] = [1, 1, 1, 2, 2]
        ...     t["weight"] = [70, 72, 71, 55, 54]
        ...     t["before"] = t["weight"].shift(by=t["id"])
        ...     t["before"].tolist(), t["weight"].diff(by=t["id"]).tolist()
        ([None, 70, 72, None, 55], [None, 2, -1, None, -1])
        """
        return moving.shift(_field(self), periods, by)

    def diff(self, periods: int = 1, *, by: By = None) -> NumericField:
        """
        How much each value is more than that of the row before, of the same span.

        Of points in time it is in seconds, of which ``.dt.days`` are the days:
        ``df["date"].diff(by=df["id"]).dt.days`` is how many days ago the row before was.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://diff.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people["age"].diff().tolist()
        [None, 17, None, None]
        """
        return moving.diff(_field(self), periods, by)

    def ffill(self, *, by: By = None) -> Any:
        """
        The values, with the last one before, of the same span, where one is missing.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://ffill.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people["age"].ffill().tolist()
        [34, 51, 51, 47]
        """
        return moving.ffill(_field(self), by)

    def is_first(self, *, by: By = None) -> NumericField:
        """
        Whether each row is the first one of its span; the field is the key by default.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://is_first.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8]})
        ...     people["id"].is_first().tolist()
        [True, False, True]
        """
        return moving.is_first(_field(self), by)

    def is_last(self, *, by: By = None) -> NumericField:
        """
        Whether each row is the last one of its span; the field is the key by default.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://is_last.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8]})
        ...     people["id"].is_last().tolist()
        [False, True, True]
        """
        return moving.is_last(_field(self), by)

    def cumcount(self, *, by: By = None) -> NumericField:
        """
        How many rows of its span are before each row; the field is the key by default.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://cumcount.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8]})
        ...     people["id"].cumcount().tolist()
        [0, 1, 0]
        """
        return running.cumcount(_field(self), by)

    def cumsum(self, *, by: By = None) -> NumericField:
        """
        The sum of the values so far, that of the row included, in each span.

        Returns
        -------
        NumericField
            In memory: float64 of floats, else int64, or uint64 of unsigned numbers. Missing where
            the value is; the next sums go on without it.

        Raises
        ------
        ResultRangeError
            A sum of whole numbers is beyond 64 bits.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://cumsum.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people["age"].cumsum().tolist()
        [34, 85, None, 132]
        """
        return running.cumsum(_field(self), by)

    def cummax(self, *, by: By = None) -> Any:
        """
        The greatest value so far in each span, of the field's own type.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://cummax.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people["age"].cummax().tolist()
        [34, 51, None, 51]
        """
        return running.cummax(_field(self), by)

    def cummin(self, *, by: By = None) -> Any:
        """
        The least value so far in each span, of the field's own type.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://cummin.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people["age"].cummin().tolist()
        [34, 34, None, 34]
        """
        return running.cummin(_field(self), by)

    def rank(
        self,
        method: RankMethod = "average",
        *,
        ascending: bool = True,
        by: Field | Sequence[Field] | None = None,
    ) -> NumericField:
        """
        The rank of each value, from 1, among those of its group.

        Parameters
        ----------
        method
            Of equal values: ``average``, ``min``, ``max``, ``first`` or ``dense``, as in pandas.
        ascending
            Whether the least value is the first.
        by
            The key of the groups, or several; the rows need not be sorted.

        Returns
        -------
        NumericField
            Of float64 in memory; missing where the value or a key is.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://rank.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people["age"].rank().tolist()
        [1.0, 3.0, None, 2.0]
        """
        return ranking.rank(_field(self), method, ascending=ascending, by=by)

    def rolling(
        self,
        window: str | int | dt.timedelta | np.timedelta64,
        *,
        on: Field | None = None,
        by: By = None,
        min_periods: int | None = None,
    ) -> Rolling:
        """
        The windows of time, or of so many rows, that end at each row.

        Parameters
        ----------
        window
            How long it is, such as ``7D`` or ``12h``, or how many rows it has.
        on
            The times of the rows, which ascend within a span.
        by
            As of `shift`.
        min_periods
            How many values there have to be in a window: by default 1, and in one of rows as many
            as it has.

        Returns
        -------
        Rolling
            With the methods ``sum``, ``mean``, ``min``, ``max`` and ``count``.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     t = s.open_dataset("memory://roll.zarr", "w", "d").create_dataframe("t")
        ...     t["id"] = [1, 1, 1, 2]
        ...     t.create_timestamp("day").data.write(
        ...         ["2020-01-01", "2020-01-05", "2020-01-09", "2020-01-09"]
        ...     )
        ...     t["pain"] = [1, 3, 5, 7]
        ...     t["pain"].rolling("7D", on=t["day"], by=t["id"]).mean().tolist()
        [1.0, 2.0, 4.0, 7.0]
        """
        return Rolling(_field(self), window, on, by, min_periods)


def _field(within: Within) -> Field:
    return cast("Field", within)
