"""The functions of a session that join fields and arrays, as older scripts call them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.engine import Column, is_strings
from exetera_zarr.engine.columns import selection, spans, strings
from exetera_zarr.engine.join import key_ranks, merge_join, unsorted_join
from exetera_zarr.engine.streams.row_gather import RowNumbers, both_sides
from exetera_zarr.engine.streams.source import Source
from exetera_zarr.errors import ArgumentError, DataError
from exetera_zarr.fields import filters
from exetera_zarr.fields.base import Field, column_of
from exetera_zarr.fields.sources import workspace
from exetera_zarr.storage import Group, adopted
from exetera_zarr.tables.session_fields import FieldFunctions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exetera_zarr.engine.join.row_pairs import How
    from exetera_zarr.storage.base import AnyArray

__all__ = ["INVALID_INDEX", "JoinFunctions"]

INVALID_INDEX = 1 << 62
"""What stands for no row, from here on, in the row numbers that older scripts keep."""


class JoinFunctions(FieldFunctions):
    """
    Row numbers of keys in others, and merges of single fields.

    Where a field is meant, a `Field`, its storage group or an ndarray can be given.
    """

    # -- distinct values

    def get_shared_index(self, keys: Any) -> tuple[AnyArray, ...]:
        """
        The position of each key among the sorted, distinct keys of all.

        Parameters
        ----------
        keys : tuple of Field or ndarray

        Returns
        -------
        tuple of ndarray of int64
            As long as each of `keys`.
        """
        if not isinstance(keys, tuple) or not keys:
            raise ArgumentError("the keys are a tuple of fields or of arrays")
        sources = key_ranks.comparable([self._source(key) for key in keys])
        with workspace(self.settings) as work:
            return tuple(key_ranks.ranks(sources, work))

    def distinct(self, field: Any = None, fields: Any = None, filter: Any = None) -> Any:
        """
        The distinct values of an array, or rows of several, in ascending order.

        Parameters
        ----------
        field : Field or ndarray
        fields : sequence of Field or ndarray
            One of the two.
        filter : Field or ndarray of bool
            Which rows count; all by default.

        Returns
        -------
        ndarray, or a list of ndarray for `fields`; of indexed strings a list of str
        """
        if (field is None) == (fields is None):
            raise ArgumentError("give either field or fields")
        given = [self._kept(item, filter) for item in ([field] if fields is None else fields)]
        with workspace(self.settings) as work:
            rows = RowNumbers(work, key_ranks.first_rows(self._source(*given), work))
            found = [self._of_rows(item, rows) for item in given]
        return found[0] if fields is None else found

    def _kept(self, item: Any, keep: Any) -> Any:
        """A field or an array, of which a filter keeps rows if there is one."""
        if keep is None:
            return item
        mask = np.asarray(self._column(keep))
        if isinstance(adopted(item), (Field, Group)):
            return self.get(item).apply_filter(mask)
        return selection.compress(self._column(item), mask)

    def _of_rows(self, item: Any, rows: RowNumbers) -> Any:
        """Rows of a field or an array, as users see them."""
        source = self._source(item)
        return _plain(selection.concat([*rows.of(source)] or [source.empty[0]]))

    # -- row numbers

    def get_index(self, target: Any, foreign_key: Any, destination: Any = None) -> Any:
        """
        For each foreign key its row in `target`, the last one where there are several.

        A key that is not there gets a number from `INVALID_INDEX` on, the same for the same key and
        a greater one for a later key.

        Parameters
        ----------
        target, foreign_key : Field or ndarray
        destination : Field or ndarray
            Appended to, or filled; returned then.

        Returns
        -------
        ndarray of int64, or `destination`
        """
        keys = [self._source(keys) for keys in (target, foreign_key)]
        with workspace(self.settings) as work:
            targets, wanted = key_ranks.comparable(keys)
            result = key_ranks.last_rows(targets, wanted, work, INVALID_INDEX)
        if destination is None:
            return result
        if isinstance(destination, np.ndarray):
            destination[...] = result
        else:
            self.get(destination).append(result)
        return destination

    def join(
        self,
        destination_pkey: Any,
        fkey_indices: Any,
        values_to_join: Any,
        writer: Any = None,
        fkey_index_spans: Any = None,
    ) -> Any:
        """
        Bring one value for each run of a foreign key to the rows of the primary key.

        Parameters
        ----------
        destination_pkey : Field or ndarray
            As long as the result.
        fkey_indices : Field or ndarray
            Rows in it, as `get_index` gives them, ascending; from `INVALID_INDEX` on they are left
            out.
        values_to_join : Field or ndarray
            One for each run of equal `fkey_indices`.
        writer : Field
            Appended to; else the result is returned.
        fkey_index_spans : ndarray
            The runs, if they are known.

        Returns
        -------
        ndarray or None
            Zeros where nothing was joined.
        """
        length = self._source(destination_pkey).rows
        rows, values = self._source(fkey_indices), self._source(values_to_join)
        if is_strings(rows.empty[0]):
            raise ArgumentError("the foreign key indices are row numbers, not strings")
        runs = (
            spans.find_in_blocks(rows.blocks())
            if fkey_index_spans is None
            else self._column(fkey_index_spans)
        )
        starts = spans.check_spans(runs, rows.rows)[:-1]
        if len(starts) != values.rows:
            raise DataError(f"{values.rows} values for {len(starts)} runs of the foreign key")
        with workspace(self.settings) as work:
            numbers = RowNumbers(work, _inverse(RowNumbers(work, starts).of(rows), length))
            if writer is None:
                return self._of_rows(values_to_join, numbers)
            target = self.get(writer)
            for column in numbers.of(values):
                target.append(column)
            return None

    # -- merges of keys in any order

    def merge_left(
        self, left_on: Any, right_on: Any, right_fields: Any = (), right_writers: Any = None
    ) -> list[Any]:
        """
        The rows of right fields beside the left keys, 0 or the empty string where there is none.

        Parameters
        ----------
        left_on, right_on : Field or ndarray
            The keys, in any order, of any multiplicity.
        right_fields : sequence of Field or ndarray
        right_writers : sequence of Field
            Appended to.

        Returns
        -------
        list
            For each field one in memory, for each array an array; empty with writers.
        """
        return self._merge("left", left_on, right_on, (), None, right_fields, right_writers)[1]

    def merge_right(
        self, left_on: Any, right_on: Any, left_fields: Any = (), left_writers: Any = None
    ) -> list[Any]:
        """The rows of left fields beside the right keys; else as `merge_left`."""
        return self._merge("right", left_on, right_on, left_fields, left_writers, (), None)[0]

    def merge_inner(
        self,
        left_on: Any,
        right_on: Any,
        left_fields: Any = None,
        left_writers: Any = None,
        right_fields: Any = None,
        right_writers: Any = None,
    ) -> tuple[list[Any], list[Any]]:
        """The rows of both sides whose keys are equal, as two lists; else as `merge_left`."""
        return self._merge(
            "inner",
            left_on,
            right_on,
            left_fields or (),
            left_writers,
            right_fields or (),
            right_writers,
        )

    def _merge(
        self,
        how: How,
        left_on: Any,
        right_on: Any,
        left_fields: Any,
        left_writers: Any,
        right_fields: Any,
        right_writers: Any,
    ) -> tuple[list[Any], list[Any]]:
        with workspace(self.settings) as work:
            keys = self._source(left_on), self._source(right_on)
            left, right = both_sides(work, unsorted_join.join_rows(*keys, how, work))
            return (
                self._deliver(left_fields, left_writers, left),
                self._deliver(right_fields, right_writers, right),
            )

    def _deliver(self, fields: Any, writers: Any, rows: RowNumbers) -> list[Any]:
        """Rows of fields and arrays, in memory or appended to writers."""
        if writers is not None and len(writers) != len(fields):
            raise DataError(f"{len(writers)} writers for {len(fields)} fields")
        results = []
        for number, item in enumerate(map(adopted, fields)):
            is_field = isinstance(item, (Field, Group))
            columns = (
                filters.chosen(self.get(item), rows)
                if is_field
                else rows.of(Source.of([self._column(item)]))
            )
            if writers is not None:
                writer = self.get(writers[number])
                for column in columns:
                    writer.append(column)
            elif is_field:
                result = self.get(item).memory_like()
                for column in columns:
                    result.append(column)
                results.append(result)
            else:
                parts = list(columns) or [self._column(item)[:0]]
                results.append(_as_given(selection.concat(parts), item))
        return results

    # -- merges of keys that ascend

    def ordered_merge_left(
        self,
        left_on: Any,
        right_on: Any,
        right_field_sources: Any = (),
        left_field_sinks: Any = None,
        left_to_right_map: Any = None,
        left_unique: bool = False,
        right_unique: bool = False,
    ) -> tuple[Any, ...] | None:
        """
        The rows of right fields beside the left keys, where both keys ascend.

        Parameters
        ----------
        left_on, right_on : Field or ndarray
            The keys, ascending; those on the right are distinct.
        right_field_sources : sequence of Field or ndarray
        left_field_sinks : sequence of Field
            Appended to.
        left_to_right_map : Field
            Row numbers are appended to it, `INVALID_INDEX` for none.
        left_unique
            The left keys are distinct, too; not needed.
        right_unique
            Has to be True, as in ExeTera.

        Returns
        -------
        tuple of ndarray, or None with sinks
            0 or the empty string where a key is not there.
        """
        if not right_unique:
            raise ArgumentError("right_unique must be True: the keys on the right are distinct")
        return self._ordered_side(
            left_on, right_on, right_field_sources, left_field_sinks, left_to_right_map
        )

    def ordered_merge_right(
        self,
        left_on: Any,
        right_on: Any,
        left_field_sources: Any = (),
        right_field_sinks: Any = None,
        right_to_left_map: Any = None,
        left_unique: bool = False,
        right_unique: bool = False,
    ) -> tuple[Any, ...] | None:
        """The same with the sides changed; `left_unique` has to be True."""
        if not left_unique:
            raise ArgumentError("left_unique must be True: the keys on the left are distinct")
        return self._ordered_side(
            right_on, left_on, left_field_sources, right_field_sinks, right_to_left_map
        )

    def _ordered_side(
        self, keys: Any, others: Any, sources: Any, sinks: Any, row_map: Any
    ) -> tuple[Any, ...] | None:
        _one_kind(sources)
        with workspace(self.settings) as work:
            other = self._source(others)
            numbers, last = work.spill(np.int64), -1
            for rows, found in merge_join.ordered_pairs(self._source(keys), other, "left", work):
                if (np.diff(rows, prepend=last) == 0).any():
                    raise DataError("the keys that have to be distinct are not: one occurs twice")
                last = int(rows[-1]) if len(rows) else last
                numbers.append(found)
            chosen = RowNumbers(work, numbers, ascending=True)
            # Of an array ExeTera makes no use.
            if row_map is not None and not isinstance(row_map, np.ndarray):
                target = self.get(row_map)
                for some in chosen.blocks():
                    target.append(np.where(some < 0, INVALID_INDEX, some))
            return self._deliver_arrays(sources, sinks, chosen)

    def _deliver_arrays(self, sources: Any, sinks: Any, rows: RowNumbers) -> tuple[Any, ...] | None:
        found = self._deliver(sources, sinks, rows)
        if sinks is not None:
            return None
        return tuple(_plain(column_of(one)) if isinstance(one, Field) else one for one in found)

    def ordered_merge_inner(
        self,
        left_on: Any,
        right_on: Any,
        left_field_sources: Any = (),
        left_field_sinks: Any = None,
        right_field_sources: Any = (),
        right_field_sinks: Any = None,
        left_unique: bool = False,
        right_unique: bool = False,
    ) -> tuple[tuple[Any, ...] | None, tuple[Any, ...] | None]:
        """The rows of both sides whose keys, which ascend, are equal; any multiplicity."""
        with workspace(self.settings) as work:
            keys = self._source(left_on), self._source(right_on)
            left, right = both_sides(work, merge_join.ordered_pairs(*keys, "inner", work))
            return (
                self._deliver_arrays(left_field_sources, left_field_sinks, left),
                self._deliver_arrays(right_field_sources, right_field_sinks, right),
            )


def _inverse(blocks: Iterable[Column], length: int) -> AnyArray:
    """For each row of a primary key which of these numbers, in order, names it; -1 for none."""
    numbers, start = np.full(length, -1, np.int64), 0
    for block in blocks:
        wanted = np.asarray(block).astype(np.int64)
        there = np.flatnonzero(wanted < INVALID_INDEX)
        named = wanted[there]
        if len(named) and not 0 <= named.min() <= named.max() < length:
            raise DataError(f"a foreign key index is no row of the {length} of the primary key")
        numbers[named] = there + start
        start += len(wanted)
    return numbers


def _one_kind(sources: Any) -> None:
    """ExeTera takes all fields, all groups or all arrays."""
    kinds = {"array" if isinstance(one, np.ndarray) else "field" for one in sources}
    if len(kinds) > 1:
        raise ArgumentError("the sources are all fields or all arrays")


def _as_given(column: Column, item: Any) -> Any:
    """A column as users see it: an array of strings where an array of them was given."""
    found = _plain(column)
    return np.asarray(found, item.dtype) if isinstance(item, np.ndarray) else found


def _plain(column: Column) -> Any:
    """A column as users see it: an array, or a list of str."""
    return strings.decode(column) if is_strings(column) else column
