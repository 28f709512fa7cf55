"""The spans within which something goes on, read along with the rows of a field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from exetera_zarr.engine.columns import spans
from exetera_zarr.engine.streams.sorted_runs import DisorderError, Runs
from exetera_zarr.errors import ArgumentTypeError, DataError, about
from exetera_zarr.fields.missing.companions import both, present
from exetera_zarr.fields.missing.keys import key_source, whole_keys
from exetera_zarr.fields.sources import source_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.numeric import NumericField
    from exetera_zarr.storage.base import AnyArray

    By: TypeAlias = "Field | Sequence[Field] | npt.NDArray[np.integer[Any]] | list[int] | None"

__all__ = ["Groups", "groups_of", "keys_of", "of_places"]


class Groups:
    """
    For each row the first row of its span; rows are asked for in order.

    Parameters
    ----------
    field
        The field whose rows they are.
    """

    def __init__(self, field: Field, *beside: Field) -> None:
        self.rows: int = len(field)
        self._field, self._beside = field, list(beside)

    def cuts(self) -> Iterator[tuple[int, int]]:
        """The first row of each block, and the first one after it."""
        return source_of([self._field, *self._beside], self.rows).cuts()

    def read(self, start: int, stop: int) -> tuple[AnyArray, AnyArray | None]:
        """
        The first rows of the spans of some rows.

        Parameters
        ----------
        start, stop
            The rows; `start` is the `stop` of the call before.

        Returns
        -------
        first : ndarray of int64
            For each row.
        known : ndarray of bool, or None
            Which rows are in a span; None for all.
        """
        return np.zeros(stop - start, np.int64), None


class _OfSpans(Groups):
    """Spans that are given."""

    def __init__(self, field: Field, given: Any, *beside: Field) -> None:
        super().__init__(field, *beside)
        with about(field.phrase):
            self._spans = spans.check_spans(given, self.rows)

    def read(self, start: int, stop: int) -> tuple[AnyArray, AnyArray | None]:
        at = np.searchsorted(self._spans, np.arange(start, stop), "right") - 1
        return self._spans[at], None


class _OfKeys(Groups):
    """Runs of equal keys, which ascend."""

    def __init__(self, field: Field, keys: Sequence[Field], *beside: Field) -> None:
        super().__init__(field, *keys, *beside)
        self._keys = keys
        (self._source,), self._split = key_source(keys)
        self._runs, self._first = Runs(), 0

    def read(self, start: int, stop: int) -> tuple[AnyArray, AnyArray | None]:
        if stop <= start:
            return super().read(start, start)
        columns = self._source.read(start, stop)
        try:
            bounds, continued = self._runs.feed(columns)
        except DisorderError as error:
            raise self._disorder(error.row) from error
        starts = bounds[:-1] + start
        if continued:
            starts[0] = self._first
        self._first = int(starts[-1])
        known = None
        for column, mask in whole_keys(columns, self._split):
            known = both(known, present(column, mask))
        return np.repeat(starts, np.diff(bounds)), known

    def _disorder(self, row: int) -> DataError:
        names = ", ".join(repr(key.name) if key.stored else key.phrase() for key in self._keys)
        return DataError(
            f"the rows are not sorted by {names}: row {row} is less than row {row - 1} before it. "
            "Sort the table first, with df.sort_values(by=[...]); or, where equal keys stand "
            "together in another order, give by=key.get_spans()"
        )


def keys_of(by: Any) -> list[Field] | None:
    """The keys that are given; None for spans."""
    if hasattr(by, "masked_blocks"):
        return [by]
    if isinstance(by, (list, tuple)) and by and all(hasattr(k, "masked_blocks") for k in by):
        return list(by)
    return None


def of_places(
    field: Field, by: By, dtype: str, made_of: Callable[[AnyArray], AnyArray]
) -> NumericField:
    """
    A field in memory, made of the place of each row in its span; missing where the key is.

    Parameters
    ----------
    field, by
        As of `groups_of`; without `by`, the field is the key itself.
    dtype
        Of the field that is made.
    made_of
        Its values, of places counted from 0.
    """
    groups = groups_of(field, field if by is None else by)
    made: NumericField = field.numeric_like(dtype)
    for start, stop in groups.cuts():
        first, known = groups.read(start, stop)
        made.append_masked(made_of(np.arange(start, stop) - first), known)
    return made


def groups_of(field: Field, by: By, *beside: Field) -> Groups:
    """
    The spans of a field.

    Parameters
    ----------
    field
        The field.
    by
        A key, or several, by which the rows are sorted; spans; or None for all rows.
    beside
        Other fields that are read along with it, of the same length.

    Raises
    ------
    DataError
        The keys have another length. That they are not sorted is told by `Groups.read`.
    ArgumentTypeError
        `by` is something else.
    """
    if by is None:
        return Groups(field, *beside)
    keys = keys_of(by)
    if keys is not None:
        source_of([field, *keys, *beside])
        return _OfKeys(field, keys, *beside)
    if isinstance(by, (str, bytes)) or not (
        isinstance(by, (list, tuple)) or hasattr(by, "__array__")
    ):
        raise ArgumentTypeError(
            f"by is a field, such as df['id'], a list of fields, or spans, not {by!r}"
        )
    return _OfSpans(field, by, *beside)
