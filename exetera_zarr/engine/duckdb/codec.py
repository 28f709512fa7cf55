"""How columns go into DuckDB, and come back.

DuckDB orders and compares whole numbers and BLOBs as the engine does. Fixed strings go in as 64-bit
words, which it hashes and sorts at a fraction of the cost of strings; long ones, of which it would
take many, as BLOBs of one width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from exetera_zarr.engine.columns import strings
from exetera_zarr.engine.columns.fixed_strings import from_words, word_count, words
from exetera_zarr.engine.columns.types import Column, is_strings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exetera_zarr.engine.columns.types import BoolArray

__all__ = ["Code", "canonical", "code_of", "key_code", "numbers_of", "to_arrow"]

#: Fixed strings of more words than this are BLOBs.
KEY_WORDS = 4


@dataclass(frozen=True)
class Code:
    """How a column goes into DuckDB and comes back, as one column there or as several."""

    types: tuple[pa.DataType, ...]
    encode: Callable[[Any], list[pa.Array]]
    decode: Callable[[Sequence[pa.Array]], Column]


def code_of(empty: Column, most_words: int = KEY_WORDS) -> Code:
    """
    The code of a column as it is.

    Parameters
    ----------
    empty
        A column of the type.
    most_words
        How many 64-bit words a fixed string may become; beyond, it becomes a BLOB.
    """
    if is_strings(empty):
        return Code((pa.large_binary(),), lambda c: [c], lambda a: strings.as_strings(a[0]))
    dtype = empty.dtype
    if dtype.kind == "S":
        count = word_count(dtype.itemsize)
        return _word_code(dtype, count) if count <= most_words else _blob_code(dtype)
    native = np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("=")
    return Code(
        (pa.from_numpy_dtype(native),),
        lambda c: [to_arrow(c.astype(native, copy=False))],
        lambda a: numbers_of(a[0], native).astype(dtype, copy=False),
    )


def _word_code(dtype: np.dtype[Any], count: int) -> Code:
    return Code(
        (pa.uint64(),) * count,
        lambda c: [to_arrow(word) for word in words(c)],
        lambda a: from_words([numbers_of(array, np.uint64) for array in a], dtype),
    )


def _blob_code(dtype: np.dtype[Any]) -> Code:
    return Code(
        (pa.binary(dtype.itemsize),),
        lambda c: [to_arrow(c)],
        # All have the same width, so the bytes back to back are the array.
        lambda a: strings.from_arrow(a[0])[1].view(dtype),
    )


def key_code(empty: Column, most_words: int = KEY_WORDS) -> Code:
    """
    The code in which a column orders and compares in DuckDB as it does here.

    Floats become the whole numbers that order as they do, which DuckDB sorts in a third of the
    time; there is one NaN, the greatest, and no -0.0. The parameters are those of `code_of`.
    """
    if is_strings(empty) or empty.dtype.kind != "f":
        return code_of(empty, most_words)
    floats = empty.dtype.newbyteorder("=")
    whole = np.dtype(f"i{floats.itemsize}")
    return Code(
        (pa.from_numpy_dtype(whole),),
        lambda c: [to_arrow(_turned(canonical(c).astype(floats, copy=False).view(whole)))],
        lambda a: _turned(numbers_of(a[0], whole)).view(floats).astype(empty.dtype, copy=False),
    )


def _turned(bits: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The bits of floats as whole numbers that order as they do, or these as bits again."""
    # The bits of negative floats descend, but for the sign.
    magnitude = np.iinfo(bits.dtype).max
    return np.asarray(bits ^ ((bits >> (bits.itemsize * 8 - 1)) & magnitude))


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
