"""The cells of one CSV column in one block, and how converters look at them all at once."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["CellError", "Cells", "Faults", "Mask", "byte_set"]

Mask: TypeAlias = npt.NDArray[np.bool_]


class CellError(Exception):
    """
    Cells that do not fit their column's definition.

    Parameters
    ----------
    reasons
        What is wrong with each of them, by row in the block (from 0), to follow its value:
        "'x' " + reason.
    """

    def __init__(self, reasons: Mapping[int, str]) -> None:
        super().__init__(reasons)
        self.reasons = reasons

    @property
    def row(self) -> int:
        """The first of the rows."""
        return min(self.reasons)


class Faults:
    """
    Collects the cells of a column that do not fit, over several checks.

    Parameters
    ----------
    lenient
        Whether what ExeTera's imports let pass is no fault.

    Attributes
    ----------
    passed
        What was let pass, and in how many cells.
    """

    def __init__(self, *, lenient: bool = False) -> None:
        self.lenient = lenient
        self.passed: Counter[str] = Counter()
        self._reasons: dict[int, str] = {}

    def let_pass(self, wrong: Mask, what: str) -> None:
        """Count cells that do not fit, and are made to."""
        if count := int(np.count_nonzero(wrong)):
            self.passed[what] += count

    def add(self, wrong: Mask, reason: Callable[[int], str]) -> None:
        """
        Note cells that failed a check; what an earlier check said of one stays.

        Parameters
        ----------
        wrong
            Which cells.
        reason
            Says what is wrong with the cell of a row.
        """
        for row in np.flatnonzero(wrong).tolist():
            if row not in self._reasons:
                self._reasons[row] = reason(row)

    def __bool__(self) -> bool:
        return bool(self._reasons)

    def check(self) -> None:
        """Raise `CellError` if there are any."""
        if self._reasons:
            raise CellError(self._reasons)


def byte_set(allowed: bytes) -> Mask:
    """Return a table of 256 flags, true for the given bytes."""
    table = np.zeros(256, bool)
    table[np.frombuffer(allowed, np.uint8)] = True
    return table


class Cells:
    """
    One column of one block.

    Parameters
    ----------
    array
        Binary array without nulls.

    Attributes
    ----------
    offsets
        int32, (rows + 1,): where each cell starts in `data`, and where the last one ends.
    data
        uint8: the bytes of all cells, one after the other.
    """

    def __init__(self, array: pa.Array) -> None:
        self.array = array
        _, offsets, data = array.buffers()
        rows = len(array)
        self.offsets: npt.NDArray[np.int32] = (
            np.frombuffer(offsets, np.int32, rows + 1, array.offset * 4)
            if rows
            else np.zeros(1, np.int32)
        )
        first, last = int(self.offsets[0]), int(self.offsets[-1])
        self._buffer = data if data is not None else pa.py_buffer(b"")
        self._base = first
        self.data: npt.NDArray[np.uint8] = np.frombuffer(
            self._buffer, np.uint8, last - first, first
        )

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, row: int) -> bytes:
        value: bytes = self.array[row].as_py()
        return value

    @cached_property
    def lengths(self) -> npt.NDArray[np.int32]:
        """Bytes of each cell."""
        return np.diff(self.offsets)

    @cached_property
    def filled(self) -> Mask:
        """Which cells are not empty."""
        filled: Mask = self.lengths > 0
        return filled

    def byte_at(self, position: int) -> npt.NDArray[np.uint8]:
        """
        Return one byte of each cell: from its start, or (negative) from its end.

        Cells that are shorter give a byte of a neighbour or 0: ask for `lengths` as well.
        """
        if not len(self.data):
            return np.zeros(len(self), np.uint8)
        starts = self.offsets[:-1] if position >= 0 else self.offsets[1:]
        at = np.clip(starts - self._base + position, 0, len(self.data) - 1)
        return self.data[at]

    def rows_with_other_bytes(self, allowed: Mask) -> Mask:
        """Return which cells hold a byte outside a `byte_set`."""
        found = np.zeros(len(self), bool)
        positions = np.flatnonzero(~allowed[self.data])
        if len(positions):
            ends = self.offsets[1:] - self._base
            found[np.searchsorted(ends, positions, side="right")] = True
        return found

    def as_text(self, valid: Mask) -> pa.Array:
        """Return the cells as an Arrow string array, null where not valid; nothing is copied."""
        if not len(self):
            return pa.array([], pa.string())
        # Whoever casts this only looks at ASCII; the bytes need not be UTF-8.
        bits = pa.py_buffer(np.packbits(valid, bitorder="little"))
        offsets = pa.py_buffer(np.ascontiguousarray(self.offsets))
        return pa.Array.from_buffers(
            pa.string(), len(self), [bits, offsets, self._buffer], int(len(self) - valid.sum())
        )

    def utf8(self, faults: Faults) -> pa.Array:
        """
        Return the cells as an Arrow string array.

        Parameters
        ----------
        faults
            Is told of cells that are not UTF-8, which become empty.
        """
        try:
            return self.array.cast(pa.string())
        except pa.ArrowInvalid:
            reasons: dict[int, str] = {}
            for row, value in enumerate(self.array.to_pylist()):
                try:
                    value.decode()
                except UnicodeDecodeError as error:
                    reasons[row] = f"is not UTF-8: {error.reason}"
            wrong = np.zeros(len(self), bool)
            wrong[list(reasons)] = True
            faults.add(wrong, reasons.__getitem__)
            return pc.if_else(pa.array(wrong), pa.scalar(b""), self.array).cast(pa.string())

    def trimmed(self) -> Cells:
        """Return the cells without white space at either end."""
        space = byte_set(b" \t\r\n\x0b\x0c")
        edges = space[self.byte_at(0)] | space[self.byte_at(-1)]
        if not (edges & self.filled).any():
            return self
        # ascii_trim looks at bytes only, whatever they encode.
        text = pc.ascii_trim_whitespace(self.as_text(np.ones(len(self), bool)))
        return Cells(text.view(pa.binary()))

    def each(
        self, rows: Mask, parse: Callable[[bytes], Any], dtype: npt.DTypeLike
    ) -> tuple[npt.NDArray[Any], Mask]:
        """
        Convert the given cells with a Python function, called once for each distinct text.

        Parameters
        ----------
        rows
            Which cells.
        parse
            Gives a value for a text, or raises `ValueError`.
        dtype
            dtype of the values.

        Returns
        -------
        values
            For each of the chosen rows.
        failed
            For each of the chosen rows, whether `parse` raised.
        """
        coded = self.array.filter(pa.array(rows)).dictionary_encode()
        values = np.zeros(len(coded.dictionary), dtype)
        failed = np.zeros(len(coded.dictionary), bool)
        for code, text in enumerate(coded.dictionary.to_pylist()):
            try:
                values[code] = parse(text)
            except ValueError:
                failed[code] = True
        codes = coded.indices.to_numpy()
        return values[codes], failed[codes]
