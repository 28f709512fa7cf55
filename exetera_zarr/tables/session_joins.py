"""The functions of a session that join fields and arrays, as older scripts call them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.engine import Column, is_strings
from exetera_zarr.engine.columns import selection, spans
from exetera_zarr.engine.join import key_ranks, merge_join, unsorted_join
from exetera_zarr.engine.streams.row_gather import RowNumbers, both_sides
from exetera_zarr.errors import ArgumentError, DataError
from exetera_zarr.fields.base import Field
from exetera_zarr.fields.sources import workspace
from exetera_zarr.fields.writing.values import as_values
from exetera_zarr.storage import Group, adopted
from exetera_zarr.tables.session_fields import FieldFunctions
from exetera_zarr.tables.session_items import as_given

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from exetera_zarr.engine.join.row_pairs import How, Pairs
    from exetera_zarr.engine.streams.source import Source
    from exetera_zarr.engine.streams.workspace import Workspace
    from exetera_zarr.storage.base import AnyArray

__all__ = ["INVALID_INDEX", "JoinFunctions"]

INVALID_INDEX = 1 << 62
"""What stands for no row, from here on, in the row numbers that older scripts keep."""
_NO_ROW = np.iinfo(np.int64).max
"""One of these that no function of a session gives."""


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

        Examples
        --------
        >>> import numpy as np
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     s.get_shared_index((np.array([10, 30]), np.array([30, 20])))
        (array([0, 2]), array([2, 1]))
        """
        if not isinstance(keys, tuple) or not keys:
            raise ArgumentError("the keys are a tuple of fields or of arrays")
        sources = key_ranks.comparable(self._keys(*([key] for key in keys))[0])
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
            What is missing is one value, the last one: NaN, None, or masked.

        Examples
        --------
        >>> import numpy as np
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     s.distinct(np.array([3, 1, 3]))
        array([1, 3])
        """
        if (field is None) == (fields is None):
            raise ArgumentError("give either field or fields")
        given = [self._kept(item, filter) for item in ([field] if fields is None else fields)]
        with workspace(self.settings) as work:
            rows = RowNumbers(work, key_ranks.first_rows(self._key(*given), work))
            found = [self._of_rows(item, rows, work) for item in given]
        return found[0] if fields is None else found

    def _kept(self, item: Any, keep: Any) -> Any:
        """A field or an array, of which a filter keeps rows if there is one."""
        if keep is None:
            return item
        mask = selection.as_mask(self._rows("filter", keep), self._masked(item).rows)
        if isinstance(adopted(item), (Field, Group)):
            return self.get(item).apply_filter(mask)
        if isinstance(item, np.ndarray):
            return item[mask]
        return selection.compress(self._column(item), mask)

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

        Examples
        --------
        >>> import numpy as np
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     s.get_index(np.array([10, 20, 30]), np.array([30, 10, 30]))
        array([2, 0, 2])
        """
        keys, _ = self._keys([target], [foreign_key])
        with workspace(self.settings) as work:
            targets, wanted = key_ranks.comparable(keys)
            result = key_ranks.last_rows(targets, wanted, work, INVALID_INDEX)
        if destination is None:
            return result
        if isinstance(destination, np.ndarray):
            exact = self.settings.face.writes_exactly
            where = "the destination of get_index"
            destination[...] = as_values(result, destination.dtype, where) if exact else result
        else:
            target = self.get(destination)
            self._append(target, result, None, self._receiving(target, None))
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
            What nothing was joined to is missing; in ExeTera's face 0, or the empty string.

        Examples
        --------
        >>> import numpy as np
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ids, fks, doses = np.array([7, 8, 9]), np.array([0, 0, 2]), np.array([5, 9])
        ...     s.join(ids, fks, doses)
        masked_array(data=[5, --, 9],
                     mask=[False,  True, False],
               fill_value=999999)
        """
        length = self._masked(destination_pkey).rows
        rows, values = self._fkey_rows(fkey_indices), self._masked(values_to_join)
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
                return self._of_rows(values_to_join, numbers, work)
            target = self.get(writer)
            receiving = self._receiving(target, values_to_join)
            for column, mask in self._chosen(values_to_join, numbers, work):
                self._append(target, column, mask, receiving)
            return None

    def _fkey_rows(self, indices: Any) -> Source:
        """Row numbers, with one that names no row in the place of what is missing."""
        column = self._masked(indices)
        if is_strings(column.empty):
            raise ArgumentError("the foreign key indices are row numbers, not strings")
        if not column.any_missing():
            return column.values

        def read(start: int, stop: int) -> list[Column]:
            rows, mask = column.read(start, stop)
            return [rows.astype(np.int64) if mask is None else np.where(mask, rows, _NO_ROW)]

        return replace(column.values, empty=[np.empty(0, np.int64)], read=read)

    # -- merges of keys in any order

    def merge_left(
        self, left_on: Any, right_on: Any, right_fields: Any = (), right_writers: Any = None
    ) -> list[Any]:
        """
        The rows of right fields beside the left keys, missing where there is none.

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
            For each field one in memory, for each array an array; empty with writers. What is
            missing is NaN in an array of floats, and masked in others. In ExeTera's face it is 0,
            or the empty string.

        Examples
        --------
        >>> import numpy as np
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     s.merge_left(np.array([1, 2, 3]), np.array([3, 1]), (np.array([30, 10]),))
        [masked_array(data=[10, --, 30],
                     mask=[False,  True, False],
               fill_value=999999)]
        """
        return self._merge("left", left_on, right_on, (), None, right_fields, right_writers)[1]

    def merge_right(
        self, left_on: Any, right_on: Any, left_fields: Any = (), left_writers: Any = None
    ) -> list[Any]:
        """
        The rows of left fields beside the right keys; else as `merge_left`.

        Examples
        --------
        >>> import numpy as np
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     s.merge_right(np.array([3, 1]), np.array([1, 2, 3]), (np.array([30, 10]),))
        [masked_array(data=[10, --, 30],
                     mask=[False,  True, False],
               fill_value=999999)]
        """
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
        """
        The rows of both sides whose keys are equal, as two lists; else as `merge_left`.

        Examples
        --------
        >>> import numpy as np
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     left, right = np.array([1, 2, 3]), np.array([3, 1])
        ...     s.merge_inner(left, right, (left,), None, (right * 10,))
        ([array([1, 3])], [array([10, 30])])
        """
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
            (one, other), _ = self._keys([left_on], [right_on])
            left, right = both_sides(work, unsorted_join.join_rows(one, other, how, work))
            return (
                self._deliver(left_fields, left_writers, left, work),
                self._deliver(right_fields, right_writers, right, work),
            )

    def _deliver(self, fields: Any, writers: Any, rows: RowNumbers, work: Workspace) -> list[Any]:
        """Rows of fields and arrays, in memory or appended to writers."""
        if writers is not None and len(writers) != len(fields):
            raise DataError(f"{len(writers)} writers for {len(fields)} fields")
        results = []
        for number, item in enumerate(map(adopted, fields)):
            is_field = isinstance(item, (Field, Group))
            if writers is None and not is_field:
                results.append(as_given(*self._joined(item, rows, work), item))
                continue
            target = self.get(item).memory_like() if writers is None else self.get(writers[number])
            receiving = self._receiving(target, item)
            for column, mask in self._chosen(item, rows, work):
                self._append(target, column, mask, receiving)
            if writers is None:
                results.append(target)
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
            What is missing, as where a key is not there, is NaN in an array of floats, None in a
            list of text, and masked in others. In ExeTera's face it is 0, or the empty string.

        Examples
        --------
        >>> import numpy as np
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     s.ordered_merge_left(
        ...         np.array([1, 2, 3]), np.array([1, 3]), (np.array([10, 30]),), right_unique=True
        ...     )
        (masked_array(data=[10, --, 30],
                     mask=[False,  True, False],
               fill_value=999999),)
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
        """
        The same with the sides changed; `left_unique` has to be True.

        Examples
        --------
        >>> import numpy as np
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     s.ordered_merge_right(
        ...         np.array([1, 3]), np.array([1, 2, 3]), (np.array([10, 30]),), left_unique=True
        ...     )
        (masked_array(data=[10, --, 30],
                     mask=[False,  True, False],
               fill_value=999999),)
        """
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
            numbers, last = work.spill(np.int64), -1
            for rows, found in self._ordered_pairs(keys, others, "left", work):
                if (np.diff(rows, prepend=last) == 0).any():
                    raise DataError("the keys that have to be distinct are not: one occurs twice")
                last = int(rows[-1]) if len(rows) else last
                numbers.append(found)
            chosen = RowNumbers(work, numbers, ascending=True)
            # Of an array ExeTera makes no use.
            if row_map is not None and not isinstance(row_map, np.ndarray):
                target = self.get(row_map)
                receiving = self._receiving(target, None)
                for some in chosen.blocks():
                    self._append(target, np.where(some < 0, INVALID_INDEX, some), None, receiving)
            return self._deliver_arrays(sources, sinks, chosen, work)

    def _ordered_pairs(self, left: Any, right: Any, how: How, work: Workspace) -> Generator[Pairs]:
        """Pairs of rows of keys that ascend; those that are missing may lie anywhere among them."""
        (one, other), split = self._keys([left], [right])
        join = unsorted_join.join_rows if any(split) else merge_join.ordered_pairs
        return join(one, other, how, work)

    def _deliver_arrays(
        self, sources: Any, sinks: Any, rows: RowNumbers, work: Workspace
    ) -> tuple[Any, ...] | None:
        if sinks is not None:
            self._deliver(sources, sinks, rows, work)
            return None
        return tuple(as_given(*self._joined(one, rows, work), one) for one in sources)

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
        """
        The rows of both sides whose keys, which ascend, are equal; any multiplicity.

        Examples
        --------
        >>> import numpy as np
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     left, right = np.array([1, 2, 3]), np.array([1, 3])
        ...     s.ordered_merge_inner(left, right, (left,), None, (right * 10,))
        ((array([1, 3]),), (array([10, 30]),))
        """
        with workspace(self.settings) as work:
            left, right = both_sides(work, self._ordered_pairs(left_on, right_on, "inner", work))
            return (
                self._deliver_arrays(left_field_sources, left_field_sinks, left, work),
                self._deliver_arrays(right_field_sources, right_field_sinks, right, work),
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
