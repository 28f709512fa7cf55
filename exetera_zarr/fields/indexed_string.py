"""Strings of any length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from exetera_zarr.engine.columns import membership, selection, strings
from exetera_zarr.engine.streams.row_gather import take
from exetera_zarr.errors import ArgumentTypeError, CorruptDataError, about
from exetera_zarr.fields.base import Field, of_all_rows
from exetera_zarr.fields.data import RawData, StringData
from exetera_zarr.fields.expressions.text import Text
from exetera_zarr.fields.sources import source_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from exetera_zarr.engine import Column
    from exetera_zarr.storage.base import AnyArray, Array

__all__ = ["IndexedStringField"]


class IndexedStringField(Text, Field):
    """Field of UTF-8 strings of any length: offsets, and bytes back to back."""

    type_name = "indexedstring"
    indexed = True

    @staticmethod
    def rows_of(arrays: Mapping[str, Array]) -> int:
        """Rows that arrays of such a field hold."""
        return max(len(arrays["index"]) - 1, 0)

    @property
    def data(self) -> StringData:
        """Reading and writing of the strings as text."""
        return StringData(self)

    @property
    def indices(self) -> RawData:
        """The offsets: int64, one more than rows, or none when nothing was written."""
        return RawData(self, "index")

    @property
    def values(self) -> RawData:
        """The bytes of all strings: uint8."""
        return RawData(self, "values")

    def read(
        self, start: int, stop: int, arrays: Mapping[str, Array] | None = None
    ) -> pa.LargeBinaryArray:
        """Rows ``start`` to ``stop`` as an Arrow array; else as of the other types."""
        if stop <= start:
            return strings.encode([])
        arrays = arrays or self.arrays()
        offsets = arrays["index"].read(start, stop + 1)
        values = arrays["values"]
        first, last = int(offsets[0]), int(offsets[-1])
        if not 0 <= first <= last <= len(values):
            raise CorruptDataError(
                f"{self.phrase()}: rows {start} to {stop} claim the bytes {first} to {last} of "
                f"{len(values)}"
            )
        try:
            return strings.to_arrow(offsets, values.read(first, last))
        except ValueError as error:
            raise CorruptDataError(f"{self.phrase()}: {error}") from error

    def append(self, column: Column, *, given: bool = False) -> None:
        """Append an Arrow array; see `Field.append`."""
        self.check_writeable()
        offsets, data = strings.from_arrow(column)
        with self.group.exclusive():
            if len(offsets) > 1:
                self._append(offsets, data, given=given)

    def _append(self, offsets: AnyArray, data: AnyArray, *, given: bool) -> None:
        index, values = self.array("index"), self.array("values")
        base = int(index.read(len(index) - 1, len(index))[0]) if len(index) else 0
        if not 0 <= base <= len(values):
            raise CorruptDataError(
                f"{self.phrase()}: its last offset is {base}, and it has {len(values)} bytes"
            )
        # Bytes past the last offset are what a failed append left behind: they are overwritten.
        left_over = min(len(values) - base, len(data))
        if left_over:
            values.write(base, data[:left_over])
        values.append(data[left_over:], given=given)
        offsets = (offsets if len(index) == 0 else offsets[1:]) + base
        index.append(offsets, given=True)

    def filler(self, value: Any) -> Self:
        """As of the other types."""
        filler = self.memory_like()
        with about(self.phrase):
            filler.append(strings.encode([value]))
        return filler

    def take(self, rows: AnyArray) -> Column:
        """Rows by number; what is far from all of them is not read."""
        return take(source_of([self]), np.asarray(rows, np.int64))

    def get_spans(self) -> list[int]:
        """
        As of the other types, but a list, as in ExeTera.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://get_spans.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"town": ["York", "York", "Bath"]})
        ...     people["town"].get_spans()
        [0, 2, 3]
        """
        return [int(start) for start in super().get_spans()]

    def isin(self, test_elements: Any) -> AnyArray:
        """
        Row by row, whether the string is one of `test_elements`.

        Parameters
        ----------
        test_elements : iterable of str
            None among them is ignored.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://isin.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"town": ["York", "Bath", None]})
        ...     people["town"].isin(["Bath", "Hull"]).tolist()
        [False, True, None]
        """
        if test_elements is None:
            raise ArgumentTypeError(
                "'NoneType' object is not iterable: test_elements must be a collection"
            )
        with about(self.phrase):
            return super().isin(test_elements)

    def _members(self, elements: Any) -> Any:
        return [element for element in elements if element is not None]

    def _elements(self, elements: Any) -> Any:
        return elements

    def _among(self, column: Column, wanted: Any) -> AnyArray:
        return strings.isin(column, wanted)

    def unique(
        self, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False
    ) -> Any:
        """
        The distinct strings by their bytes, as an array of text; else as `numpy.unique`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://unique.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"town": ["York", "Bath", "York"]})
        ...     people["town"].unique()
        array(['Bath', 'York'], dtype='<U4')
        """
        if not (return_index or return_inverse or return_counts):
            return _as_text(membership.distinct(self._valued_blocks(), self.empty_column()))
        column, mask = self.read(0, len(self)), self._there()
        if mask is not None:
            column = selection.compress(column, mask)
        found = strings.unique(column, return_index, return_inverse, return_counts)
        parts = [_as_text(found.values)]
        for wanted, part in (
            (return_index, found.index),
            (return_inverse, found.inverse),
            (return_counts, found.counts),
        ):
            if wanted and part is not None:
                parts.append(part)
        return (
            tuple(parts) if mask is None else of_all_rows(parts, mask, return_index, return_inverse)
        )


def _as_text(values: Column) -> AnyArray:
    """
    An array of text; of objects where numpy's own would lose NULs, or take far more memory.

    All elements of numpy's text have the room of the longest.
    """
    text = strings.decode(values)
    longest = max(map(len, text), default=0)
    wasteful = longest * len(text) > _WIDE + 16 * sum(map(len, text))
    of_objects = wasteful or any(one.endswith("\0") for one in text)
    return np.asarray(text, object if of_objects else str)


_WIDE = 1 << 20
"""Characters that an array of text may waste in any case."""
