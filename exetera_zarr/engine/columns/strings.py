"""Variable strings: an offsets array and a byte array, seen as one Arrow array without a copy.

Stored, a column of strings is ``index`` (int64, rows + 1) and ``values`` (uint8, UTF-8). That is
the memory layout of an Arrow ``large_binary`` array, the form in which the engine works on strings.
It is ``large_binary`` and not ``large_string``, because order and equality are those of the bytes,
and because files in the wild hold text that is not valid UTF-8 and has to survive.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from exetera_zarr.errors import ArgumentError, ArgumentTypeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exetera_zarr.engine.columns.types import BoolArray, ByteArray, IntArray

__all__ = [
    "Unique",
    "as_strings",
    "compare",
    "compress",
    "concat",
    "decode",
    "differs",
    "encode",
    "exceeds",
    "from_arrow",
    "from_fixed",
    "holds_strings",
    "is_text",
    "isin",
    "lengths",
    "offsets",
    "ranks",
    "take",
    "to_arrow",
    "unique",
]

_BINARY = pa.large_binary()
#: Up to so many strings plain Python takes less time than the import of pandas, which pyarrow does
#: behind the first pa.array() and to_numpy().
_FEW = 1 << 16
_STRING_LIKE = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_string_view,
    pa.types.is_binary_view,
    pa.types.is_fixed_size_binary,
)


@dataclass(frozen=True)
class Unique:
    """The distinct strings of a column, ascending by bytes; what was not asked for is None."""

    values: pa.LargeBinaryArray
    index: IntArray | None = None
    inverse: IntArray | None = None
    counts: IntArray | None = None


# -- between the stored form and Arrow -------------------------------------------------------------


def to_arrow(offsets: npt.NDArray[np.integer[Any]], data: ByteArray) -> pa.LargeBinaryArray:
    """Make an Arrow array of the stored form; `data` is not copied.

    Parameters
    ----------
    offsets : int64 array (rows + 1,)
        Where each string starts, and the end of the last. It may start above 0 (a window of a
        column's index): then byte 0 of `data` is the column's byte ``offsets[0]``, and the offsets
        are copied to rebase them. Empty: no rows.
    data : uint8 array
        At least ``offsets[-1] - offsets[0]`` bytes; more are ignored.

    Raises
    ------
    ValueError
        If the offsets descend (the message names the row), are negative, or point outside `data`.
    """
    offsets = np.ascontiguousarray(offsets, dtype=np.int64)
    data = np.ascontiguousarray(data)
    if offsets.ndim != 1 or data.ndim != 1 or data.dtype != np.uint8:
        raise ArgumentError("offsets and data must have one dimension, and data must be uint8")
    rows = max(len(offsets) - 1, 0)
    if len(offsets) == 0:
        offsets = np.zeros(1, np.int64)
    if offsets[0] < 0:
        raise ArgumentError(f"offset {offsets[0]} of row 0 is negative")
    descending = offsets[1:] < offsets[:-1]
    if descending.any():
        row = int(np.argmax(descending))
        raise ArgumentError(
            f"offsets descend at row {row}: from {offsets[row]} to {offsets[row + 1]}"
        )
    size = int(offsets[-1] - offsets[0])
    if size > len(data):
        row = int(np.searchsorted(offsets, offsets[0] + len(data), "right")) - 1
        raise ArgumentError(
            f"the string of row {row} ends outside the data: {size} bytes wanted, {len(data)} given"
        )
    if offsets[0]:
        offsets = offsets - offsets[0]
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.LargeBinaryArray.from_buffers(_BINARY, rows, buffers)


def from_arrow(arr: pa.Array | pa.ChunkedArray) -> tuple[IntArray, ByteArray]:
    """Give the stored form of an Arrow array of strings.

    Parameters
    ----------
    arr : pa.Array or pa.ChunkedArray
        Any string or binary type, also dictionary-encoded, also a slice. Nulls become empty
        strings.

    Returns
    -------
    offsets : int64 array (rows + 1,)
        Starting at 0. May be a read-only view of the Arrow memory.
    data : uint8 array
        Exactly ``offsets[-1]`` bytes; a read-only view of the Arrow memory.

    Raises
    ------
    TypeError
        If `arr` does not hold strings.
    """
    offsets, data = _buffers(as_strings(arr))
    data = data[offsets[0] : offsets[-1]]
    return (offsets - offsets[0] if offsets[0] else offsets), data


def as_strings(arr: pa.Array | pa.ChunkedArray) -> pa.LargeBinaryArray:
    """Bring any Arrow array of strings to ``large_binary`` without nulls.

    Nothing is copied where it is that already.

    Raises
    ------
    TypeError
        If `arr` is not an Arrow array, or does not hold strings.
    """
    if isinstance(arr, pa.ChunkedArray):
        arr = arr.chunk(0) if arr.num_chunks == 1 else arr.combine_chunks()
    if isinstance(arr, pa.ChunkedArray):  # combine_chunks keeps what it cannot join
        arr = concat([as_strings(chunk) for chunk in arr.chunks])
    if not isinstance(arr, pa.Array):
        raise ArgumentTypeError(f"{type(arr).__name__} is not an Arrow array of strings")
    if pa.types.is_dictionary(arr.type):
        arr = arr.dictionary_decode()
    if not (holds_strings(arr.type) or pa.types.is_null(arr.type)):
        raise ArgumentTypeError(f"an Arrow array of {arr.type} does not hold strings")
    if pa.types.is_large_string(arr.type):
        arr = arr.view(_BINARY)
    elif arr.type != _BINARY:
        arr = arr.cast(_BINARY)
    return arr.fill_null(b"") if arr.null_count else arr


def _buffers(arr: pa.LargeBinaryArray) -> tuple[IntArray, ByteArray]:
    """Offsets (rows + 1,) of a slice into the whole byte buffer, and that buffer; both views."""
    _, offsets, data = arr.buffers()
    if len(arr) == 0:
        return np.zeros(1, np.int64), np.zeros(0, np.uint8)
    starts = np.frombuffer(offsets, np.int64, len(arr) + 1, arr.offset * 8)
    return starts, np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)


def offsets(arr: pa.LargeBinaryArray) -> IntArray:
    """Where each string starts in a buffer, and the last one ends: int64 (rows + 1,), a view."""
    return _buffers(arr)[0]


def lengths(arr: pa.LargeBinaryArray) -> IntArray:
    """The length of each string in bytes, int64 (rows,)."""
    return np.diff(_buffers(arr)[0])


# -- between Python and Arrow ----------------------------------------------------------------------


def encode(values: Iterable[Any]) -> pa.LargeBinaryArray:
    """Make a column of Python strings.

    Parameters
    ----------
    values : iterable of str
        ``str`` becomes UTF-8, with surrogate escapes as the bytes they stand for (so what `decode`
        gives for invalid UTF-8 comes back as it was); ``bytes`` are taken as they are. Also numpy
        arrays (``U``, ``S``, object) and Arrow arrays of strings.

    Raises
    ------
    TypeError
        If an element is neither; the message names its position and type. Also for a single string.
    ValueError
        If a string holds a surrogate that stands for no byte, or an array has more than one
        dimension.
    """
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return as_strings(values)
    if isinstance(values, str | bytes | bytearray):
        raise ArgumentTypeError(
            f"expected a sequence of strings, not a single {type(values).__name__}"
        )
    if isinstance(values, np.ndarray):
        if values.ndim != 1:
            raise ArgumentError(f"expected strings in one dimension, got an array of {values.ndim}")
        if values.dtype.kind == "S":
            return from_fixed(values)
        values = values.tolist()
    items = values if isinstance(values, list) else list(values)
    arr = _encode_fast(items) if len(items) > _FEW else None
    return _encode_each(items) if arr is None else arr


def _encode_fast(items: list[Any]) -> pa.LargeBinaryArray | None:
    """Encode by Arrow, or None if there is an element that needs a closer look."""
    try:
        arr = pa.array(items, _BINARY)
    except (UnicodeEncodeError, pa.ArrowException, TypeError):
        return None
    return None if arr.null_count else as_strings(arr)


def _encode_each(items: list[Any]) -> pa.LargeBinaryArray:
    encoded = None
    if set(map(type, items)) == {str}:  # as they usually are: a third of the time
        with contextlib.suppress(UnicodeEncodeError):
            encoded = [item.encode("utf-8", "surrogateescape") for item in items]
    if encoded is None:
        encoded = [_encode_one(i, item) for i, item in enumerate(items)]
    offsets = np.zeros(len(items) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, encoded), np.int64, len(items)), out=offsets[1:])
    return to_arrow(offsets, np.frombuffer(b"".join(encoded), np.uint8))


def _encode_one(position: int, item: Any) -> bytes:
    if isinstance(item, str):
        try:
            return item.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as err:
            problem = f"element {position} cannot be written as UTF-8: {err.reason}"
            raise ArgumentError(problem) from None
    if isinstance(item, bytes):
        return item
    raise ArgumentTypeError(f"element {position} is {type(item).__name__}, not str")


def holds_strings(kind: pa.DataType) -> bool:
    """Whether arrays of that type of Arrow hold text or bytes."""
    return any(test(kind) for test in _STRING_LIKE)


def is_text(arr: pa.LargeBinaryArray) -> bool:
    """Whether all strings of a column are UTF-8."""
    try:
        arr.cast(pa.large_string())
    except pa.ArrowInvalid:
        return False
    return True


def decode(arr: pa.LargeBinaryArray) -> list[str]:
    """The Python strings of a column.

    Bytes that are not UTF-8 become surrogate escapes (PEP 383), so that `encode` gives them back.
    """
    try:
        text = arr.cast(pa.large_string())
    except pa.ArrowInvalid:
        return [item.decode("utf-8", "surrogateescape") for item in arr.to_pylist()]
    # Through numpy objects it takes half the time, but that imports pandas.
    few = len(text) <= _FEW
    found: list[str] = text.to_pylist() if few else text.to_numpy(zero_copy_only=False).tolist()
    return found


def from_fixed(values: npt.NDArray[np.bytes_]) -> pa.LargeBinaryArray:
    """Variable strings of fixed ones (``S<width>``), without trailing NULs, as numpy sees them."""
    width = values.dtype.itemsize
    if width == 0 or len(values) == 0:
        return _encode_each([b""] * len(values))
    cells = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), width)
    size = np.strings.str_len(values)
    offsets = np.zeros(len(values) + 1, np.int64)
    np.cumsum(size, out=offsets[1:])
    return to_arrow(offsets, cells[np.arange(width) < size[:, None]])


def take(
    arr: pa.LargeBinaryArray, rows: IntArray, missing: BoolArray | None = None
) -> pa.LargeBinaryArray:
    """The strings at `rows`, which are in range (see `gather.take` for one that checks).

    Parameters
    ----------
    missing : bool array (rows,), optional
        Where the row is not looked at and the string null.
    """
    # Not pa.array(rows), which would import pandas.
    rows = np.ascontiguousarray(rows, dtype=np.int64)
    valid = None if missing is None else pa.py_buffer(np.packbits(~missing, bitorder="little"))
    return arr.take(pa.Array.from_buffers(pa.int64(), len(rows), [valid, pa.py_buffer(rows)]))


def compress(arr: pa.LargeBinaryArray, mask: BoolArray) -> pa.LargeBinaryArray:
    """The strings that `mask` keeps; it has one entry for each."""
    bits = np.packbits(mask, bitorder="little")
    return arr.filter(pa.Array.from_buffers(pa.bool_(), len(mask), [None, pa.py_buffer(bits)]))


# -- comparing -------------------------------------------------------------------------------------


def _numpy_bool(mask: pa.BooleanArray) -> BoolArray:
    # Not mask.to_numpy(), which would import pandas.
    bits = np.frombuffer(mask.buffers()[1], np.uint8) if len(mask) else np.zeros(0, np.uint8)
    end = mask.offset + len(mask)
    return np.unpackbits(bits, count=end, bitorder="little")[mask.offset :].view(np.bool_)


def differs(a: pa.LargeBinaryArray, b: pa.LargeBinaryArray) -> BoolArray:
    """Row by row ``a != b``, bool (rows,)."""
    import pyarrow.compute as pc

    return _numpy_bool(pc.not_equal(a, b))


def exceeds(a: pa.LargeBinaryArray, b: pa.LargeBinaryArray) -> BoolArray:
    """Row by row ``a > b`` in the order of bytes, bool (rows,)."""
    import pyarrow.compute as pc

    return _numpy_bool(pc.greater(a, b))


def compare(name: str, left: Any, right: Any) -> BoolArray:
    """
    Compare strings row by row, by their bytes.

    Parameters
    ----------
    name
        Of a comparison of `pyarrow.compute`, such as ``less_equal``.
    left, right
        Columns of strings, fixed or not, arrays of bytes, or bytes that are compared with all rows.
    """
    import pyarrow.compute as pc

    return _numpy_bool(pc.call_function(name, [_comparable(left), _comparable(right)]))


def _comparable(side: Any) -> pa.Array | pa.Scalar:
    if isinstance(side, bytes):
        return pa.scalar(side, _BINARY)
    if isinstance(side, np.ndarray):
        return from_fixed(side) if side.dtype.kind == "S" else encode(side.tolist())
    return side


def isin(arr: pa.LargeBinaryArray, values: Iterable[Any]) -> BoolArray:
    """Which rows hold one of `values` (as `encode` takes them), bool (rows,)."""
    import pyarrow.compute as pc

    return _numpy_bool(pc.is_in(arr, value_set=encode(values)))


def ranks(arr: pa.Array) -> tuple[IntArray, pa.Array]:
    """Number the distinct values of an Arrow binary array in the order of their bytes.

    Returns
    -------
    codes : int64 array (rows,)
        For each row the rank of its value among the distinct ones: equal as the values are, ordered
        as they are.
    distinct : pa.Array
        The distinct values, ascending.

    Notes
    -----
    Hashing first, then sorting only what is distinct: linear for the categories and repeated ids of
    research data.
    """
    import pyarrow.compute as pc

    encoded = arr.dictionary_encode()
    order = pc.sort_indices(encoded.dictionary)
    rank = np.empty(len(order), np.int64)
    rank[order.to_numpy()] = np.arange(len(order))
    return rank[encoded.indices.to_numpy()], encoded.dictionary.take(order)


def unique(
    arr: pa.LargeBinaryArray,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
) -> Unique:
    """The distinct strings, ascending by bytes, as `numpy.unique` gives them.

    Parameters
    ----------
    return_index : bool
        Also the first row of each.
    return_inverse : bool
        Also, for each row, the position of its string among the distinct ones.
    return_counts : bool
        Also how often each occurs.
    """
    codes, distinct = ranks(arr)
    index = counts = None
    if return_index:
        index = np.empty(len(distinct), np.int64)
        # Of several assignments to one place the last one stays: from the back, the first row.
        index[codes[::-1]] = np.arange(len(arr) - 1, -1, -1)
    if return_counts:
        counts = np.bincount(codes, minlength=len(distinct)).astype(np.int64, copy=False)
    return Unique(distinct, index, codes if return_inverse else None, counts)


def concat(arrays: list[pa.LargeBinaryArray]) -> pa.LargeBinaryArray:
    """One array of several; of none, an empty one."""
    if not arrays:
        return to_arrow(np.zeros(1, np.int64), np.zeros(0, np.uint8))
    return pa.concat_arrays(arrays)
