"""Between columns and DuckDB: what it is fed, and what it gives back.

DuckDB orders and compares whole numbers, floats and BLOBs as the engine does, once all NaNs are one
and there is no -0.0. Fixed strings go in as 64-bit words, which it hashes and sorts at a fraction
of the cost of strings; long ones, of which it would take many, as BLOBs of one width.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from exetera_zarr.engine import keys, strings
from exetera_zarr.engine.columns import Column, is_strings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from exetera_zarr.engine.columns import BoolArray
    from exetera_zarr.engine.source import Source

__all__ = ["Code", "Feed", "canonical", "code_of", "numbers_of", "to_arrow"]

_BATCH = 1 << 17
_WORD_BYTES = 8
#: Fixed strings of more words than this are BLOBs.
KEY_WORDS = 4


@dataclass(frozen=True)
class Code:
    """How a column goes into DuckDB and comes back, as one column there or as several."""

    types: tuple[pa.DataType, ...]
    encode: Callable[[Any], list[pa.Array]]
    decode: Callable[[Sequence[pa.Array]], Column]


def code_of(empty: Column, words: int = KEY_WORDS) -> Code:
    """
    The code in which a column orders and compares in DuckDB as it does here, if it is `canonical`.

    Parameters
    ----------
    empty
        A column of the type.
    words
        How many 64-bit words a fixed string may become; beyond, it becomes a BLOB.
    """
    if is_strings(empty):
        return Code((pa.large_binary(),), lambda c: [c], lambda a: strings.as_strings(a[0]))
    dtype = empty.dtype
    if dtype.kind == "S":
        count = max(-(-dtype.itemsize // _WORD_BYTES), 1)
        return _word_code(dtype, count) if count <= words else _blob_code(dtype)
    native = np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("=")
    return Code(
        (pa.from_numpy_dtype(native),),
        lambda c: [to_arrow(c.astype(native, copy=False))],
        lambda a: numbers_of(a[0], native).astype(dtype, copy=False),
    )


def _word_code(dtype: np.dtype[Any], count: int) -> Code:
    def decode(arrays: Sequence[pa.Array]) -> npt.NDArray[Any]:
        cells = np.empty((len(arrays[0]), count), ">u8")
        for i, array in enumerate(arrays):
            cells[:, i] = numbers_of(array, np.uint64)
        return cells.view(f"S{count * _WORD_BYTES}")[:, 0].astype(dtype)

    return Code((pa.uint64(),) * count, lambda c: [to_arrow(w) for w in keys.words(c)], decode)


def _blob_code(dtype: np.dtype[Any]) -> Code:
    return Code(
        (pa.binary(dtype.itemsize),),
        lambda c: [to_arrow(c)],
        # All have the same width, so the bytes back to back are the array.
        lambda a: strings.from_arrow(a[0])[1].view(dtype),
    )


def canonical(col: Column) -> Column:
    """The column with one NaN of all, and no -0.0; others than floats as they are."""
    if is_strings(col) or col.dtype.kind != "f":
        return col
    found = col + np.zeros((), col.dtype)
    found[np.isnan(found)] = np.nan
    return found


def to_arrow(col: npt.NDArray[Any], valid: BoolArray | None = None) -> pa.Array:
    """A numpy column as an Arrow array without a copy; null where it is not `valid`."""
    # Not pa.array(col), which would import pandas.
    fixed = col.dtype.kind == "S"
    dtype = pa.binary(col.dtype.itemsize) if fixed else pa.from_numpy_dtype(col.dtype)
    present = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
    data = pa.py_buffer(np.ascontiguousarray(col))
    return pa.Array.from_buffers(dtype, len(col), [present, data])


def numbers_of(array: pa.Array, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """The numbers of an Arrow array of that type without nulls; a view, not to be changed."""
    dtype = np.dtype(dtype)
    if len(array) == 0:
        return np.empty(0, dtype)
    return np.frombuffer(array.buffers()[1], dtype, len(array), array.offset * dtype.itemsize)


class Feed:
    """
    A source as DuckDB reads it: block by block, while it works.

    Parameters
    ----------
    source
        The columns.
    schema
        Of what `encode` makes.
    encode
        Makes Arrow arrays of a block; also gets the number of its first row.

    Examples
    --------
    >>> with Feed(source, schema, encode) as feed, work.connection() as con:
    ...     con.register("t", feed.reader)
    """

    def __init__(
        self,
        source: Source,
        schema: pa.Schema,
        encode: Callable[[int, Sequence[Column]], list[pa.Array]],
    ) -> None:
        self._batches = self._encoded(source, schema, encode)
        self._error: BaseException | None = None
        self.reader = pa.RecordBatchReader.from_batches(schema, self._batches)

    def _encoded(
        self,
        source: Source,
        schema: pa.Schema,
        encode: Callable[[int, Sequence[Column]], list[pa.Array]],
    ) -> Iterator[pa.RecordBatch]:
        start = 0
        try:
            with contextlib.closing(source.blocks()) as blocks:
                for columns in blocks:
                    rows = min(source.step, source.rows - start)
                    batch = pa.record_batch(encode(start, columns), schema=schema)
                    for at in range(0, rows, _BATCH):
                        yield batch.slice(at, _BATCH)
                    start += rows
        except Exception as error:
            self._error = error
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        self.reader.close()
        if self._error is not None and isinstance(error, Exception):
            # DuckDB has made its own error of it, which says less.
            raise self._error
