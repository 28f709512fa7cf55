"""Fixed strings as 64-bit numbers, which hash, compare and sort at a fraction of the cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exetera_zarr.engine.columns.types import ByteArray

__all__ = ["WORD_BYTES", "from_words", "word_count", "words"]

WORD_BYTES = 8


def word_count(width: int) -> int:
    """How many words hold a string of so many bytes; at least one."""
    return max(-(-width // WORD_BYTES), 1)


def words(col: npt.NDArray[np.bytes_], width: int | None = None) -> list[npt.NDArray[np.uint64]]:
    """
    Fixed strings as columns of uint64, eight bytes each, which order as the strings do.

    Parameters
    ----------
    col : ``S<width>`` array (rows,)
    width : int, optional
        Pad with NULs to this many bytes; by default those of the dtype.
    """
    own = col.dtype.itemsize
    data = np.ascontiguousarray(col).view(np.uint8) if own else np.zeros(0, np.uint8)
    return [
        _word(data, len(col), own, at * WORD_BYTES)
        if at * WORD_BYTES < own
        else np.zeros(len(col), np.uint64)
        for at in range(word_count(width or own))
    ]


def _word(data: ByteArray, rows: int, width: int, at: int) -> npt.NDArray[np.uint64]:
    """The eight bytes from `at` of each string, NULs where it ends before."""
    found = np.empty(rows, np.uint64)
    # Eight bytes are read of each row, also where they belong to the next one, and then cut off:
    # this is ten times as fast as to pad the strings. Of the last rows they would be outside.
    inside = min(max((len(data) - at - WORD_BYTES) // width + 1, 0), rows)
    found[:inside] = np.ndarray((inside,), ">u8", data, at, (width,)) if inside else 0
    tail = bytes(data[inside * width :]) + bytes(WORD_BYTES)
    for row in range(inside, rows):
        start = (row - inside) * width + at
        found[row] = int.from_bytes(tail[start : start + WORD_BYTES], "big")
    unused = 8 * max(at + WORD_BYTES - width, 0)
    if unused:
        found &= np.uint64((1 << 64) - (1 << unused))
    return found


def from_words(
    columns: Sequence[npt.NDArray[np.uint64]], dtype: np.dtype[Any]
) -> npt.NDArray[np.bytes_]:
    """The fixed strings of that type of which `words` made these."""
    cells = np.empty((len(columns[0]), len(columns)), ">u8")
    for i, column in enumerate(columns):
        cells[:, i] = column
    return cells.view(f"S{len(columns) * WORD_BYTES}")[:, 0].astype(dtype)
