"""The functions of a session on fields and arrays, as older scripts call them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from exetera_zarr.engine.columns import selection, spans, strings
from exetera_zarr.engine.group import aggregate
from exetera_zarr.engine.sort import sorting
from exetera_zarr.engine.streams.source import Source
from exetera_zarr.errors import ArgumentError, ArgumentTypeError
from exetera_zarr.fields.base import Field, column_of
from exetera_zarr.fields.container import FieldContainer
from exetera_zarr.fields.create import is_field_group, wrap
from exetera_zarr.fields.sources import source_of, workspace
from exetera_zarr.storage import Group, adopted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from exetera_zarr.engine import Column
    from exetera_zarr.settings import Settings
    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["FieldFunctions", "is_foreign"]


class FieldFunctions:
    """
    Sorting, choosing, spans and aggregation of fields and arrays.

    Where a field is meant, a `Field`, its storage group or an ndarray can be given.
    """

    settings: Settings

    def get(self, field: Any) -> Any:
        """
        The field that is meant: a field is itself.

        Raises
        ------
        ValueError
            It is a table or something else that holds no field.
        AttributeError
            It is nothing stored at all, such as a name.
        """
        field = adopted(field)
        if isinstance(field, Field):
            return field
        if isinstance(field, Group):
            if is_field_group(field):
                return wrap(self, field)
        elif not isinstance(field, FieldContainer) and not hasattr(field, "attrs"):
            raise AttributeError(f"a {type(field).__name__} has no field; write s.get(ds['name'])")
        raise ArgumentError(f"{field!r} is not a field")

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
        """
        if not isinstance(sort_indices, (tuple, list)) or not sort_indices:
            raise ArgumentError("the keys are a tuple or list of fields or of arrays")
        start = None if index is None else np.asarray(column_of(index))
        keys = self._source(*sort_indices)
        if start is not None:
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
        """

        def chosen(column: Column) -> Column:
            keep = _array("filter", filter_to_apply)
            if not isinstance(src, Field) and keep.dtype != bool:
                return selection.take(column, keep)
            return selection.compress(column, selection.as_mask(keep, len(column)))

        return self._choose(chosen, src, dest)

    def apply_index(self, index_to_apply: Any, src: Any, dest: Any = None) -> Any:
        """Choose rows by number; parameters and result are as in `apply_filter`."""

        def chosen(column: Column) -> Column:
            return selection.take(
                column, selection.as_rows(_array("index", index_to_apply), len(column))
            )

        return self._choose(chosen, src, dest)

    def _choose(self, chosen: Callable[[Column], Column], src: Any, dest: Any) -> Any:
        dest = None if dest is None else self.get(dest)
        result = chosen(self._column(src))
        if dest is not None:
            if isinstance(src, Field):
                dest.replace([result])
            else:
                dest.append(result)
        if isinstance(result, np.ndarray):
            return result
        if isinstance(src, np.ndarray):
            return np.asarray(strings.decode(result), src.dtype)
        return strings.from_arrow(result)

    def _column(self, value: Any) -> Column:
        """All rows of what stands for a field: itself, its group, an array, or a list of str."""
        value = adopted(value)
        if isinstance(value, Group):
            value = self.get(value)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return strings.encode(value)
        if isinstance(value, np.ndarray) and value.dtype.kind in "UO":
            return strings.encode(value.tolist())
        return column_of(value)

    def _source(self, *values: Any) -> Source:
        """The same as columns that are read by rows; all of fields, or all in memory."""
        values = tuple(adopted(value) for value in values)
        if all(isinstance(value, (Field, Group)) for value in values):
            return source_of([self.get(value) for value in values])
        columns = [v if isinstance(v, pa.Array) else self._column(v) for v in values]
        return Source.of(columns)

    # -- spans

    def get_spans(self, field: Any = None, dest: Any = None, **kwargs: Any) -> Any:
        """
        Starts of the runs of equal adjacent rows, and the number of rows at the end.

        Parameters
        ----------
        field : Field or ndarray
        fields : tuple of Field or ndarray
            Runs of rows that are equal in all of them.
        dest : Field
            Also append them there; returned then.

        Returns
        -------
        ndarray; list for an indexed string field and for several fields; or `dest`
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
            found = spans.find_in_blocks(self._source(*given).blocks())
            result = found.astype(np.int32) if found[-1] < 2**31 - 1 else found
        if dest is not None:
            dest.data.write(np.asarray(result))
            return dest
        # A list of two fields, as in ExeTera; of an indexed string field it is one already.
        of_fields = len(given) > 1 and all(isinstance(one, Field) for one in given)
        return [int(start) for start in result] if of_fields else result

    def apply_spans_index_of_min(self, spans: Any, target: Any, dest: Any = None) -> Any:
        """Row number of the least value of each span, the first of equal ones."""
        return self._of_spans("index_of_min", spans, target, dest)

    def apply_spans_index_of_max(self, spans: Any, target: Any, dest: Any = None) -> Any:
        """Row number of the greatest value of each span, the first of equal ones."""
        return self._of_spans("index_of_max", spans, target, dest)

    def apply_spans_index_of_first(self, spans: Any, dest: Any = None) -> Any:
        """Row number of the first row of each span."""
        return self._of_spans("index_of_first", spans, None, dest)

    def apply_spans_index_of_last(self, spans: Any, dest: Any = None) -> Any:
        """Row number of the last row of each span."""
        return self._of_spans("index_of_last", spans, None, dest)

    def apply_spans_count(self, spans: Any, dest: Any = None) -> Any:
        """Number of rows of each span, int64."""
        return self._of_spans("count", spans, None, dest)

    def apply_spans_min(
        self, spans: Any, target: Any = None, dest: Any = None, **older: Any
    ) -> Any:
        """Least value of each span; `src` and `reader` are older names of `target`."""
        return self._of_spans("min", spans, _target(target, older), dest)

    def apply_spans_max(
        self, spans: Any, target: Any = None, dest: Any = None, **older: Any
    ) -> Any:
        """Greatest value of each span; `src` and `reader` are older names of `target`."""
        return self._of_spans("max", spans, _target(target, older), dest)

    def apply_spans_first(
        self, spans: Any, target: Any = None, dest: Any = None, **older: Any
    ) -> Any:
        """First value of each span; `src` and `reader` are older names of `target`."""
        return self._of_spans("first", spans, _target(target, older), dest)

    def apply_spans_last(
        self, spans: Any, target: Any = None, dest: Any = None, **older: Any
    ) -> Any:
        """Last value of each span; `src` and `reader` are older names of `target`."""
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
        if target is None:
            result: Column = getattr(spans, what)(starts)
        else:
            source = self._source(target)
            checked = spans.check_spans(starts, source.rows)
            with workspace(self.settings) as work:
                parts = list(aggregate.over_spans(what, checked, source, work))
            empty = np.empty(0, np.int64) if what.startswith("index_of") else source.empty[0]
            result = selection.concat(parts) if parts else empty
        if isinstance(result, np.ndarray) and what.startswith("index_of"):
            result = result.astype(starts.dtype)
        if dest is not None:
            dest.append(result)
        return result if isinstance(result, np.ndarray) else strings.from_arrow(result)

    # -- aggregation over runs of an index

    def aggregate_count(self, index: Any, dest: Any = None) -> Any:
        """Number of rows of each run of equal values of `index`."""
        _check_dest(dest)
        result = self.apply_spans_count(self._runs(index), dest)
        return result if dest is None else dest

    def aggregate_first(
        self, index: Any, target: Any = None, dest: Any = None, **older: Any
    ) -> Any:
        """First value of `target` in each run of `index`; `src`, `reader`: older names."""
        return self.aggregate_custom(self.apply_spans_first, index, target, dest, **older)

    def aggregate_last(self, index: Any, target: Any = None, dest: Any = None, **older: Any) -> Any:
        """Last value of `target` in each run of `index`; `src`, `reader`: older names."""
        return self.aggregate_custom(self.apply_spans_last, index, target, dest, **older)

    def aggregate_min(self, index: Any, target: Any = None, dest: Any = None, **older: Any) -> Any:
        """Least value of `target` in each run of `index`; `src`, `reader`: older names."""
        return self.aggregate_custom(self.apply_spans_min, index, target, dest, **older)

    def aggregate_max(self, index: Any, target: Any = None, dest: Any = None, **older: Any) -> Any:
        """Greatest value of `target` in each run of `index`; `src`, `reader`: older names."""
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
        return spans.find_in_blocks(self._source(index).blocks())


def is_foreign(group: Any) -> bool:
    """Whether it is a group of a file that the script itself opened, with h5py."""
    return adopted(group) is not group


def _check_dest(dest: Any) -> None:
    if dest is not None and not isinstance(dest, Field):
        raise ArgumentError(f"dest is a {type(dest).__name__}, not a field")


def _array(what: str, value: Any) -> AnyArray:
    if isinstance(value, Field):
        value = column_of(value)
    if not isinstance(value, np.ndarray):
        raise ArgumentError(f"the {what} is a field or an ndarray, not a {type(value).__name__}")
    return value


def _target(target: Any, older: Mapping[str, Any]) -> Any:
    """The target, under its present or an older name."""
    unknown = set(older) - {"src", "reader"}
    if unknown:
        raise ArgumentTypeError(f"unexpected arguments: {sorted(unknown)}")
    given = [value for value in (target, *older.values()) if value is not None]
    if len(given) != 1:
        raise ArgumentError("give one target")
    return given[0]
