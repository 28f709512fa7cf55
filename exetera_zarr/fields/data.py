"""`field.data`, `field.indices` and `field.values`: reading and writing by the names of ExeTera."""

from __future__ import annotations

import operator
from types import EllipsisType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from exetera_zarr.engine.columns import selection, strings
from exetera_zarr.errors import ArgumentTypeError, DataError, ReadOnlyError, RowError, about
from exetera_zarr.fields.filters import row_numbers
from exetera_zarr.fields.missing.companions import without
from exetera_zarr.fields.rows import Rows
from exetera_zarr.fields.writing.given import in_a_row, split_missing
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.indexed_string import IndexedStringField
    from exetera_zarr.fields.rows import Read
    from exetera_zarr.storage.base import AnyArray, Array

__all__ = ["RawData", "StringData", "blank_missing", "put_rows"]


_UFUNCS = (np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal)


def _of_field(function: Any) -> Any:
    """A comparison of the data of a field, which is one of the field."""

    def method(self: Any, other: Any) -> Any:
        return function(self.comparable(), other)

    return method


def _no_sum(self: Any, other: Any) -> Any:
    """Operators that reckon: those of arrays and fields work it out, for others there are two."""
    if hasattr(other, "__array_ufunc__") and not isinstance(other, _Data):
        return NotImplemented
    raise ArgumentTypeError(
        f"{self!r} is no array to reckon with: write the field itself, as in field + 1, which "
        "neither wraps around nor forgets what is missing, or field.data[:] for an array of what "
        "is stored"
    )


def _positions(item: Any, length: int, field: Field) -> AnyArray:
    """Row numbers of a mask, or of an array or list of row numbers (negative ones from the end)."""
    with about(field.phrase):
        return row_numbers(item, length)


def _one_index(item: Any) -> Any:
    """What stands for the rows in ``data[item]``: ``data[1, ]`` and ``data[()]`` included."""
    if isinstance(item, tuple):
        if len(item) > 1:
            raise RowError("a field has one dimension")
        item = item[0] if item else Ellipsis
    return slice(None) if isinstance(item, EllipsisType) else item


def one_row(item: Any, length: int, field: Field) -> int | None:
    """The row of a single whole number, counted from the start; None if it is something else."""
    if isinstance(item, (bool, np.bool_)):
        return None
    try:
        row = operator.index(item)
    except TypeError:
        return None
    if not -length <= row < length:
        # ExeTera raises ValueError here, numpy IndexError; DataError is the former.
        raise RowError(f"{field.phrase()} has no row {row}, only {length} rows")
    return row % length


class _Data(Rows):
    """What is stored, as arrays have it; but comparisons are those of the field."""

    __hash__: Any = object.__hash__
    __eq__: Any = _of_field(operator.eq)
    __ne__: Any = _of_field(operator.ne)
    __lt__: Any = _of_field(operator.lt)
    __le__: Any = _of_field(operator.le)
    __gt__: Any = _of_field(operator.gt)
    __ge__: Any = _of_field(operator.ge)

    __add__ = _no_sum
    __radd__ = _no_sum
    __sub__ = _no_sum
    __rsub__ = _no_sum
    __mul__ = _no_sum
    __rmul__ = _no_sum
    __truediv__ = _no_sum
    __rtruediv__ = _no_sum
    __floordiv__ = _no_sum
    __rfloordiv__ = _no_sum
    __mod__ = _no_sum
    __rmod__ = _no_sum
    __pow__ = _no_sum
    __rpow__ = _no_sum

    def comparable(self) -> Field:
        """What stands for the data in a comparison: the field, if these are its values."""
        raise NotImplementedError

    def as_rows(self) -> Rows:
        """What stands for the data where it is written to another field: as in a comparison."""
        return self.comparable()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if any(isinstance(one, _Data) for one in options.get("out", ())):
            return NotImplemented
        if method == "__call__" and ufunc in _UFUNCS and not options:
            return ufunc(*(one.comparable() if isinstance(one, _Data) else one for one in inputs))
        arrays = (np.asarray(one) if isinstance(one, _Data) else one for one in inputs)
        return getattr(ufunc, method)(*arrays, **options)

    @property
    def _data(self) -> AnyArray:
        """What a masked array on the left asks for: see `Field`; numbers are taken as stored."""
        field = self.comparable()
        if field.fieldtype.startswith("numeric"):
            raise AttributeError("_data")
        return field._data  # noqa: SLF001 - numpy's name for it


class RawData(_Data):
    """
    One array of a field, as numpy sees it.

    Parameters
    ----------
    field
        The field.
    role
        Which of its arrays.
    """

    def __init__(self, field: Field, role: str = "values") -> None:
        self._field = field
        self._role = role

    @property
    def field(self) -> Field:
        """The field whose values these are."""
        return self._field

    @property
    def of_numbers(self) -> bool:  # type: ignore[override]
        """Whether the elements are numbers rather than fixed strings."""
        return self.dtype.kind != "S"

    @property
    def dtype_of_rows(self) -> np.dtype[Any]:
        return self.dtype

    def reader(self) -> tuple[int, Read]:
        array = self.array()
        return len(array), array.read

    def comparable(self) -> Field:
        if self._role != "values" or self._field.indexed:
            raise ArgumentTypeError(
                f"the {self._role} of {self._field.phrase()} are compared as an array: add [:]"
            )
        return self._field

    def as_rows(self) -> Rows:
        """The field; offsets and bytes of strings are an array."""
        return self if self._role != "values" or self._field.indexed else self._field

    def array(self) -> Array:
        """The storage array, as it is now."""
        return self._field.array(self._role)

    def _to_change(self) -> Array:
        self._field.check_writeable()
        return self.array()

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        return self.array().dtype

    def __len__(self) -> int:
        return len(self.array())

    def __getitem__(self, item: Any) -> Any:
        array = self.array()
        item = _one_index(item)
        row = one_row(item, len(array), self._field)
        if row is not None:
            return array.read(row, row + 1)[0]
        if isinstance(item, slice):
            start, stop, step = item.indices(len(array))
            if step == 1:
                return array.read(start, max(start, stop))
            rows = range(start, stop, step)
            if not rows:
                return np.empty(0, array.dtype)
            low, high = min(rows[0], rows[-1]), max(rows[0], rows[-1])
            return array.read(low, high + 1)[::step][: len(rows)].copy()
        return take_rows(array, _positions(item, len(array), self._field))

    def __iter__(self) -> Iterator[Any]:
        array = self.array()
        for start in range(0, len(array), array.block):
            yield from array.read(start, min(start + array.block, len(array)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> AnyArray:
        values: AnyArray = self[:]
        return values if dtype is None else values.astype(dtype)

    def __repr__(self) -> str:
        return f"<{len(self)} {self.dtype} of {visible(self._field.phrase())}>"

    def __setitem__(self, item: Any, values: Any) -> None:
        array = self._to_change()
        item = _one_index(item)
        values, mask = self._field.encoded(values)
        coded = self._field.coded(values.reshape(-1))
        mask = without(mask, None if coded is None else coded.reshape(values.shape))
        row = one_row(item, len(array), self._field)
        if row is not None:
            if values.size != 1:
                raise DataError(f"{values.size} values for one row of {self._field.phrase()}")
            self._note_present(item, mask)
            array.write(row, values.reshape(1))
        elif isinstance(item, slice) and item.indices(len(array))[2] == 1:
            start, stop, _ = item.indices(len(array))
            values = self._as_many(values, max(start, stop) - start)
            self._note_present(item, mask)
            array.write(start, values)
        else:
            rows = (
                np.arange(*item.indices(len(array)))
                if isinstance(item, slice)
                else _positions(item, len(array), self._field)
            )
            values = self._as_many(values, len(rows))
            self._note_present(rows, mask)
            put_rows(array, rows, values)

    def _note_present(self, item: Any, mask: AnyArray | None) -> None:
        """Have the companion say which of the rows that are overwritten have a value now."""
        companion = self._field.own_companion()
        if companion is None and mask is not None:
            companion = self._field.with_companion()
        if companion is not None:
            companion.data[item] = True if mask is None else mask

    def _as_many(self, values: AnyArray, count: int) -> AnyArray:
        """A value for each of `count` rows; DataError if there is neither that many nor one."""
        if values.ndim > 1 or (values.ndim == 1 and len(values) not in (1, count)):
            raise DataError(f"{values.size} values for {count} rows of {self._field.phrase()}")
        return values if values.shape == (count,) else np.broadcast_to(values, count)

    def write_part(self, part: Any, move_mem: bool = False) -> None:
        """
        Append values.

        Parameters
        ----------
        part
            A field, an array, a list or another iterable of values.
        move_mem
            Whether an array is given away: it must not be changed any more, and is not waited for.

        Raises
        ------
        DataError
            A value does not fit the field's type; nothing is written then.
        """
        array = self._to_change()
        values, mask = self._field.encoded(part)
        if values.ndim != 1:
            raise DataError(f"{self._field.phrase()} has one dimension, not {values.ndim}")
        if mask is not None:
            self._field.append_masked(values, mask)
            return
        self._field.extend_companion(values)
        array.append(values, given=move_mem)

    def write(self, part: Any) -> None:
        """Append values, and `complete`."""
        self.write_part(part)
        self.complete()

    def complete(self) -> None:
        """Note that a column is whole; what was written is safe at the next commit."""

    flush = complete

    def clear(self) -> None:
        """Forget all rows, and what is missing of them."""
        array = self._to_change()
        self._field.forget_companion()
        array.clear()


def take_rows(array: Array, rows: AnyArray) -> AnyArray:
    """
    Elements by number, each block that holds some of them read once.

    Parameters
    ----------
    array
        The source.
    rows : ndarray of int64
        Element numbers within the array, in any order.
    """
    out = np.empty(len(rows), array.dtype)
    if len(rows) == 0:
        return out
    low, high = int(rows.min()), int(rows.max()) + 1
    if high - low <= array.block:
        return np.take(array.read(low, high), rows - low, out=out)
    for number, places, within in selection.partition_rows(rows, array.block):
        start = number * array.block
        out[places] = array.read(start, min(start + array.block, len(array)))[within]
    return out


def put_rows(array: Array, rows: AnyArray, values: AnyArray) -> None:
    """
    Overwrite elements by number, each block that holds some of them read and written once.

    Parameters
    ----------
    array
        What is overwritten.
    rows : ndarray of int64
        Element numbers within the array, in any order; of one that repeats the last value counts.
    values
        As many, of the type of the array.
    """
    order = np.argsort(rows, kind="stable")
    blocks = rows[order] // array.block
    for part in np.split(order, np.flatnonzero(np.diff(blocks)) + 1):
        if len(part):
            low, high = int(rows[part].min()), int(rows[part].max()) + 1
            block = array.read(low, high)
            block[rows[part] - low] = values[part]
            array.write(low, block)


def blank_missing(column: pa.LargeBinaryArray, mask: AnyArray) -> pa.LargeBinaryArray:
    """The strings with none where there is no value."""
    with_blank = selection.concat([column, strings.encode([""])])
    return selection.take(with_blank, np.where(mask, np.arange(len(mask)), len(mask)))


class StringData(_Data):
    """
    The values of an indexed string field, as text.

    Parameters
    ----------
    field
        The field.
    """

    def __init__(self, field: IndexedStringField) -> None:
        self._field = field

    indexed = True

    @property
    def field(self) -> IndexedStringField:
        """The field whose values these are."""
        return self._field

    def reader(self) -> tuple[int, Read]:
        return self._field.reader()

    def comparable(self) -> Field:
        return self._field

    @property
    def dtype(self) -> np.dtype[Any]:
        """``S<bytes of the longest string>``; reads the offsets."""
        index = self._field.array("index")
        longest, last = 0, 0
        for start in range(0, len(index), index.block):
            offsets = index.read(start, min(start + index.block, len(index)))
            longest = max(longest, int(np.diff(offsets, prepend=last).max()))
            last = int(offsets[-1])
        return np.dtype(f"S{longest}")

    def __len__(self) -> int:
        return len(self._field)

    def __getitem__(self, item: Any) -> Any:
        arrays = self._field.arrays()
        length = self._field.rows_of(arrays)
        item = _one_index(item)
        row = one_row(item, length, self._field)
        if row is not None:
            return strings.decode(self._field.read(row, row + 1, arrays))[0]
        return strings.decode(self._read(item, length, arrays))

    def _read(self, item: Any, length: int, arrays: Mapping[str, Array]) -> pa.LargeBinaryArray:
        if isinstance(item, slice):
            start, stop, step = item.indices(length)
            if step == 1:
                return self._field.read(start, max(start, stop), arrays)
            return self._field.take(np.arange(start, stop, step))
        return self._field.take(_positions(item, length, self._field))

    def __setitem__(self, item: Any, values: Any) -> None:
        raise ReadOnlyError(
            f"{self._field.phrase()} holds strings of any length: they cannot be overwritten in "
            "place; write a new field"
        )

    def __iter__(self) -> Iterator[str]:
        for column in self._field.blocks():
            yield from strings.decode(column)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> AnyArray:
        return np.asarray(self[:], dtype=dtype if dtype is not None else object)

    def __repr__(self) -> str:
        return f"<{len(self)} strings of {visible(self._field.phrase())}>"

    def read_arrow(self) -> pa.LargeStringArray:
        """All strings as an Arrow array, over the stored bytes without a copy."""
        arrays = self._field.arrays()
        column = self._field.read(0, self._field.rows_of(arrays), arrays)
        _, offsets, data = column.buffers()
        return pa.LargeStringArray.from_buffers(len(column), offsets, data, offset=column.offset)

    def write_arrow(self, column: pa.Array | pa.ChunkedArray) -> None:
        """
        Append strings from an Arrow array.

        Parameters
        ----------
        column
            Any string or binary type; a null is missing, in ExeTera's face the empty string.
        """
        with about(self._field.phrase):
            texts = strings.as_strings(column)
        mask = np.asarray(column.is_valid(), np.bool_) if column.null_count else None
        self._append(texts, mask)

    def _append(self, column: Any, mask: AnyArray | None) -> None:
        if mask is None or not self._field.face.sees_missing:
            self._field.extend_companion(column)
            self._field.append(column)
        else:
            self._field.append_masked(blank_missing(column, mask), mask)

    def write_part(self, part: Any, move_mem: bool = False) -> None:
        """
        Append strings.

        Parameters
        ----------
        part
            A field, its data, an array or another iterable of str. What is missing of it is
            missing here, but in ExeTera's face.
        move_mem
            Accepted for ExeTera's sake; there is nothing to move.

        Raises
        ------
        TypeError
            A value is not a string; nothing is written then.
        """
        if isinstance(part, StringData):
            part = part.field
        elif isinstance(part, RawData) and self._field.face.sees_missing:
            part = part.as_rows()
        if isinstance(part, (pa.Array, pa.ChunkedArray)):
            self.write_arrow(part)
        elif getattr(part, "indexed", False):
            for column, mask in part.masked_blocks():
                if mask is None:
                    self._field.extend_companion(column)
                    self._field.append(column)
                else:
                    self._field.append_masked(column, mask)
        else:
            part, mask = self._split(part)
            with about(self._field.phrase):
                column = strings.encode(part)
            self._append(column, mask)

    def _split(self, part: Any) -> tuple[Any, AnyArray | None]:
        """Strings, and which of them there are; in ExeTera's face None is no string."""
        if part is None or isinstance(part, (str, bytes, int, float)):
            raise ArgumentTypeError(
                f"{self._field.phrase()} takes a list, or another iterable, of str, not {part!r}"
            )
        missing = self._field.face.sees_missing
        if missing and hasattr(part, "masked_blocks"):
            found: tuple[Any, AnyArray | None] = part.masked_rows()
            return found
        given = in_a_row(part, self._field.phrase(), missing=missing)
        if not missing:
            return given, None
        found, mask = split_missing(given)
        return ([""] * len(mask) if mask is not None and not mask.any() else found), mask

    def write(self, part: Any) -> None:
        """Append strings, and `complete`."""
        self.write_part(part)
        self.complete()

    def complete(self) -> None:
        """Note that a column is whole; what was written is safe at the next commit."""

    flush = complete

    def clear(self) -> None:
        """Forget all rows, and what is missing of them."""
        self._field.check_writeable()
        self._field.forget_companion()
        self._field.replace([])
