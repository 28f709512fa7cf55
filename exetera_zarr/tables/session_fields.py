"""The functions of a session on fields and arrays, as older scripts call them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.engine.columns import selection, spans
from exetera_zarr.engine.sort import sorting
from exetera_zarr.engine.streams.source import Source
from exetera_zarr.errors import ArgumentError, ArgumentTypeError, RowError
from exetera_zarr.fields.base import Field, column_of
from exetera_zarr.fields.missing.present_spans import over_present
from exetera_zarr.fields.sources import workspace
from exetera_zarr.storage import adopted
from exetera_zarr.tables.session_items import Items, as_bytes, as_given

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from exetera_zarr.engine import Column
    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["FieldFunctions", "is_foreign"]


class FieldFunctions(Items):
    """
    Sorting, choosing, spans and aggregation of fields and arrays.

    Where a field is meant, a `Field`, its storage group or an ndarray can be given. Missing values
    are in no aggregate, and last among keys; what is missing of a result is NaN in an array of
    floats, and masked in others. In ExeTera's face they are what is stored.
    """

    # -- sorting

    def dataset_sort_index(self, sort_indices: Any, index: Any = None) -> AnyArray:
        """
        The row numbers that sort the rows by keys, stably.

        Parameters
        ----------
        sort_indices : tuple or list of Field or ndarray
            Keys, the leading one first.
        index : Field or ndarray
            Row numbers to start from: rows with equal keys stay in this order.

        Returns
        -------
        ndarray
            Of the type of `index`, or int64.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://dataset_sort_index.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [51, 34, 47]})
        ...     s.dataset_sort_index((people["age"],))
        array([1, 2, 0])
        """
        if not isinstance(sort_indices, (tuple, list)) or not sort_indices:
            raise ArgumentError("the keys are a tuple or list of fields or of arrays")
        keys, start = self._key(*sort_indices), None
        if index is not None:
            start, there = self._whole(index)
            if there is not None:
                raise RowError(f"the row number at position {np.argmin(there)} is missing")
            keys = Source.of([selection.take(column, start) for column in keys.whole()])
        with workspace(self.settings) as work:
            rows = sorting.sort_rows(keys, True, work)
            order = np.arange(keys.rows) if rows is None else rows.read(0, len(rows))
        return order if start is None else start[order]

    def sort_on(
        self,
        src_group: DataFrame,
        dest_group: DataFrame,
        keys: Sequence[str],
        timestamp: Any = None,
        write_mode: str = "write",
        verbose: bool = True,
    ) -> None:
        """
        Sort a table by keys, in place or to another table.

        Parameters
        ----------
        src_group, dest_group
            The tables; the same one sorts in place.
        keys
            Names of the keys, the leading one first.
        timestamp, write_mode, verbose
            Accepted for ExeTera's sake.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://sort_on.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [51, 34, 47]})
        ...     s.sort_on(people, people, ("age",))
        ...     people["age"].tolist()
        [34, 47, 51]
        """
        names = [keys] if isinstance(keys, str) else list(keys)
        if is_foreign(src_group) or is_foreign(dest_group):
            self._sort_groups(src_group, dest_group, names)
            return
        src_group.sort_values(names, None if dest_group is src_group else dest_group)

    def _sort_groups(self, source: Any, dest: Any, keys: Sequence[str]) -> None:
        """The same where one of both is a group of a file that the script itself opened."""
        fields = {name: self.get(source[name]) for name in source}
        order = self.dataset_sort_index([fields[key] for key in keys])
        for name, field in fields.items():
            same = source == dest
            target = field if same else self.create_like(field, dest, name)
            field.apply_index(order, target=target)

    def create_like(
        self,
        field: Any,
        dest_group: Any,
        dest_name: str,
        timestamp: Any = None,
        chunksize: int | None = None,
    ) -> Any:
        """An empty field of the type of `field`, in a table; ValueError if it is no field."""
        raise NotImplementedError

    # -- rows

    def apply_filter(self, filter_to_apply: Any, src: Any, dest: Any = None) -> Any:
        """
        Keep the rows for which a filter is true.

        Parameters
        ----------
        filter_to_apply : Field or ndarray
            Numbers keep where they are not zero if `src` is a field; else they are row numbers.
        src : Field, ndarray, or the list of str that the data of an indexed string field is
        dest : Field
            Also write the rows there: replacing its rows if `src` is a field, else appending.

        Returns
        -------
        ndarray, or (offsets, bytes) for strings of any length that are no array
            What is missing is NaN in an array of floats, and else masked, of strings in an array
            of str.

        Examples
        --------
        >>> import numpy as np
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     s.apply_filter(np.array([True, False, True]), np.array([34, 51, 47]))
        array([34, 47])
        """
        keep = self._rows("filter", filter_to_apply)

        def chosen(column: Column) -> Column:
            if not isinstance(src, Field) and keep.dtype != bool:
                return selection.take(column, keep)
            return selection.compress(column, selection.as_mask(keep, len(column)))

        return self._choose(chosen, src, dest)

    def apply_index(self, index_to_apply: Any, src: Any, dest: Any = None) -> Any:
        """
        Choose rows by number; parameters and result are as in `apply_filter`.

        Examples
        --------
        >>> import numpy as np
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     s.apply_index(np.array([2, 0]), np.array([34, 51, 47]))
        array([47, 34])
        """
        index = self._rows("index", index_to_apply)

        def chosen(column: Column) -> Column:
            return selection.take(column, index)

        return self._choose(chosen, src, dest)

    def _choose(self, chosen: Callable[[Column], Column], src: Any, dest: Any) -> Any:
        dest = None if dest is None else self.get(dest)
        column, mask = self._whole(src)
        result = chosen(column)
        if mask is not None:
            mask = np.asarray(chosen(mask))
            mask = None if mask.all() else mask
        if dest is not None:
            put = self._replace if isinstance(src, Field) else self._append
            put(dest, result, mask, self._receiving(dest, src))
        return (
            as_given(result, mask, src) if isinstance(src, np.ndarray) else as_bytes(result, mask)
        )

    # -- spans

    def get_spans(self, field: Any = None, dest: Any = None, **kwargs: Any) -> Any:
        """
        Starts of the runs of equal adjacent rows, and the number of rows at the end.

        Parameters
        ----------
        field : Field or ndarray
        dest : Field
            Also append them there; returned then.
        **kwargs
            ``fields``, a tuple of Field or ndarray, in place of `field`: runs of rows that are
            equal in all of them.

        Returns
        -------
        ndarray; list for an indexed string field and for several fields; or `dest`

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://get_spans.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8]})
        ...     s.get_spans(people["id"])
        array([0, 2, 3], dtype=int32)
        """
        fields = kwargs.get("fields")
        if (field is None) == (fields is None):
            raise ArgumentError("give either field or fields")
        if dest is not None and not isinstance(dest, Field):
            raise ArgumentTypeError(f"dest is a {type(dest).__name__}, not a field")
        given = fields if field is None else (field,)
        assert given is not None
        if len(given) == 1 and isinstance(given[0], Field):
            result = given[0].get_spans()
        else:
            found = spans.find_in_blocks(self._key(*given).blocks())
            result = found.astype(np.int32) if found[-1] < 2**31 - 1 else found
        if dest is not None:
            dest.data.write(np.asarray(result))
            return dest
        # A list of two fields, as in ExeTera; of an indexed string field it is one already.
        of_fields = len(given) > 1 and all(isinstance(one, Field) for one in given)
        return [int(start) for start in result] if of_fields else result

    def apply_spans_index_of_min(self, spans: Any, target: Any, dest: Any = None) -> Any:
        """
        Row number of the least value of each span, the first of equal ones.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://apply_spans_index_of_min.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, 9]})
        ...     s.apply_spans_index_of_min(s.get_spans(people["id"]), people["dose"])
        array([1, 2], dtype=int32)
        """
        return self._of_spans("index_of_min", spans, target, dest)

    def apply_spans_index_of_max(self, spans: Any, target: Any, dest: Any = None) -> Any:
        """
        Row number of the greatest value of each span, the first of equal ones.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://apply_spans_index_of_max.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, 9]})
        ...     s.apply_spans_index_of_max(s.get_spans(people["id"]), people["dose"])
        array([0, 2], dtype=int32)
        """
        return self._of_spans("index_of_max", spans, target, dest)

    def apply_spans_index_of_first(self, spans: Any, dest: Any = None) -> Any:
        """
        Row number of the first row of each span.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://apply_spans_index_of_first.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8]})
        ...     s.apply_spans_index_of_first(s.get_spans(people["id"]))
        array([0, 2], dtype=int32)
        """
        return self._of_spans("index_of_first", spans, None, dest)

    def apply_spans_index_of_last(self, spans: Any, dest: Any = None) -> Any:
        """
        Row number of the last row of each span.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://apply_spans_index_of_last.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8]})
        ...     s.apply_spans_index_of_last(s.get_spans(people["id"]))
        array([1, 2], dtype=int32)
        """
        return self._of_spans("index_of_last", spans, None, dest)

    def apply_spans_count(self, spans: Any, dest: Any = None) -> Any:
        """
        Number of rows of each span, int64.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://apply_spans_count.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, 9]})
        ...     spans = s.get_spans(people["id"])
        ...     s.apply_spans_count(spans)
        array([2, 1])
        """
        return self._of_spans("count", spans, None, dest)

    def apply_spans_min(
        self, spans: Any, target: Any = None, dest: Any = None, **older: Any
    ) -> Any:
        """
        Least value of each span; `src` and `reader` are older names of `target`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://apply_spans_min.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, 9]})
        ...     spans = s.get_spans(people["id"])
        ...     s.apply_spans_min(spans, people["dose"])
        array([2, 9])
        """
        return self._of_spans("min", spans, _target(target, older), dest)

    def apply_spans_max(
        self, spans: Any, target: Any = None, dest: Any = None, **older: Any
    ) -> Any:
        """
        Greatest value of each span; `src` and `reader` are older names of `target`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://apply_spans_max.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, 9]})
        ...     spans = s.get_spans(people["id"])
        ...     s.apply_spans_max(spans, people["dose"])
        array([5, 9])
        """
        return self._of_spans("max", spans, _target(target, older), dest)

    def apply_spans_first(
        self, spans: Any, target: Any = None, dest: Any = None, **older: Any
    ) -> Any:
        """
        First value of each span; `src` and `reader` are older names of `target`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://apply_spans_first.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, 9]})
        ...     spans = s.get_spans(people["id"])
        ...     s.apply_spans_first(spans, people["dose"])
        array([5, 9])
        """
        return self._of_spans("first", spans, _target(target, older), dest)

    def apply_spans_last(
        self, spans: Any, target: Any = None, dest: Any = None, **older: Any
    ) -> Any:
        """
        Last value of each span; `src` and `reader` are older names of `target`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://apply_spans_last.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, 9]})
        ...     spans = s.get_spans(people["id"])
        ...     s.apply_spans_last(spans, people["dose"])
        array([2, 9])
        """
        return self._of_spans("last", spans, _target(target, older), dest)

    def apply_spans_concat(
        self,
        spans: Any,
        target: Any = None,
        dest: Any = None,
        src_chunksize: int | None = None,
        dest_chunksize: int | None = None,
        chunksize_mult: int | None = None,
        **older: Any,
    ) -> None:
        """
        Join the strings of each span with commas, as a line of CSV, and append them to `dest`.

        Parameters
        ----------
        spans : ndarray or list
        target, dest : IndexedStringField
        src_chunksize, dest_chunksize, chunksize_mult
            Accepted for ExeTera's sake.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://apply_spans_concat.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "town": ["York", "Bath", "Hull"]})
        ...     towns = ds.create_dataframe("towns").create_indexed_string("town")
        ...     s.apply_spans_concat(s.get_spans(people["id"]), people["town"], towns)
        ...     towns.tolist()
        ['York,Bath', 'Hull']
        """
        target = _target(target, older)
        for field in (target, dest):
            if not isinstance(field, Field) or not field.indexed:
                raise ArgumentError("target and dest are indexed string fields")
        self._of_spans("concat", spans, target, dest)

    def _of_spans(self, what: str, given: Any, target: Any, dest: Any) -> Any:
        if dest is not None and not isinstance(dest, Field):
            raise ArgumentTypeError(f"dest is a {type(dest).__name__}, not a field")
        starts = np.asarray(column_of(given) if isinstance(given, Field) else given)
        result: Column
        mask = None
        if target is None:
            result = getattr(spans, what)(starts)
        else:
            column = self._masked(target)
            checked = spans.check_spans(starts, column.rows)
            empty = np.empty(0, np.int64) if what.startswith("index_of") else column.empty
            with workspace(self.settings) as work:
                parts, mask = over_present(what, checked, column, work)
                result = selection.concat([empty, *parts])
        if isinstance(result, np.ndarray) and what.startswith("index_of"):
            result = result.astype(starts.dtype)
        if dest is not None:
            source = None if what.startswith("index_of") else target
            self._append(dest, result, mask, self._receiving(dest, source))
        return as_bytes(result, mask)

    # -- aggregation over runs of an index

    def aggregate_count(self, index: Any, dest: Any = None) -> Any:
        """
        Number of rows of each run of equal values of `index`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://aggregate_count.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, 9]})
        ...     s.aggregate_count(people["id"])
        array([2, 1])
        """
        _check_dest(dest)
        result = self.apply_spans_count(self._runs(index), dest)
        return result if dest is None else dest

    def aggregate_first(
        self, index: Any, target: Any = None, dest: Any = None, **older: Any
    ) -> Any:
        """
        First value of `target` in each run of `index`; `src`, `reader`: older names.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://aggregate_first.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, 9]})
        ...     s.aggregate_first(people["id"], people["dose"])
        array([5, 9])
        """
        return self.aggregate_custom(self.apply_spans_first, index, target, dest, **older)

    def aggregate_last(self, index: Any, target: Any = None, dest: Any = None, **older: Any) -> Any:
        """
        Last value of `target` in each run of `index`; `src`, `reader`: older names.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://aggregate_last.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, 9]})
        ...     s.aggregate_last(people["id"], people["dose"])
        array([2, 9])
        """
        return self.aggregate_custom(self.apply_spans_last, index, target, dest, **older)

    def aggregate_min(self, index: Any, target: Any = None, dest: Any = None, **older: Any) -> Any:
        """
        Least value of `target` in each run of `index`; `src`, `reader`: older names.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://aggregate_min.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, 9]})
        ...     s.aggregate_min(people["id"], people["dose"])
        array([2, 9])
        """
        return self.aggregate_custom(self.apply_spans_min, index, target, dest, **older)

    def aggregate_max(self, index: Any, target: Any = None, dest: Any = None, **older: Any) -> Any:
        """
        Greatest value of `target` in each run of `index`; `src`, `reader`: older names.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://aggregate_max.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, 9]})
        ...     s.aggregate_max(people["id"], people["dose"])
        array([5, 9])
        """
        return self.aggregate_custom(self.apply_spans_max, index, target, dest, **older)

    def aggregate_custom(
        self,
        predicate: Callable[[Any, Any, Any], Any],
        index: Any,
        target: Any = None,
        dest: Any = None,
        **older: Any,
    ) -> Any:
        """
        Aggregate `target` over the runs of equal values of `index`, which is not sorted.

        Parameters
        ----------
        predicate
            One of the ``apply_spans_*`` of this session that take a target.
        index, target : Field or ndarray
        dest : Field
            Also append the result there; returned then.
        """
        _check_dest(dest)
        result = predicate(self._runs(index), _target(target, older), dest)
        return result if dest is None else dest

    def _runs(self, index: Any) -> AnyArray:
        return spans.find_in_blocks(self._key(index).blocks())


def is_foreign(group: Any) -> bool:
    """Whether it is a group of a file that the script itself opened, with h5py."""
    return adopted(group) is not group


def _check_dest(dest: Any) -> None:
    if dest is not None and not isinstance(dest, Field):
        raise ArgumentError(f"dest is a {type(dest).__name__}, not a field")


def _target(target: Any, older: Mapping[str, Any]) -> Any:
    """The target, under its present or an older name."""
    unknown = set(older) - {"src", "reader"}
    if unknown:
        raise ArgumentTypeError(f"unexpected arguments: {sorted(unknown)}")
    given = [value for value in (target, *older.values()) if value is not None]
    if len(given) != 1:
        raise ArgumentError("give one target")
    return given[0]
