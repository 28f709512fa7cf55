"""Columns as digits: unsigned numbers that order as the rows of the column do.

A digit knows its range, so it takes only the bits it needs, and several digits, with the row number
as the last one, often fit one 64-bit word. Sorting such words is a stable sort of the rows, with
no index carried along, whatever sorts them. The idea is that of the normalised keys of database
systems (Graefe, "Implementing sorting in database systems", ACM Computing Surveys 38(3), 2006).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from exetera_zarr.engine.columns import strings
from exetera_zarr.engine.columns.fixed_strings import words
from exetera_zarr.engine.columns.types import Column, is_strings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exetera_zarr.engine.streams.radix_sort import WordArray
    from exetera_zarr.engine.streams.source import Source

__all__ = ["Digit", "Keys", "Numbers", "Text", "measure"]

WORD_BITS = 64
#: Strings are numbered if there are no more than so many distinct ones.
DISTINCT = 1 << 16
_DISTINCT_BYTES = 1 << 24
_SIGN = np.uint64(1 << 63)
_MAGNITUDE = np.uint64((1 << 63) - 1)


@dataclass(frozen=True)
class Digit:
    """An order-preserving number: ``(ordinal - low) >> shift``, or what lacks to `top` of it."""

    low: int
    shift: int
    top: int  #: the greatest digit
    complement: bool = False

    @property
    def bits(self) -> int:
        """How many bits the greatest digit takes."""
        return self.top.bit_length()

    def read(self, ordinals: WordArray) -> WordArray:
        """The digits of ordinals, in place."""
        ordinals -= np.uint64(self.low)
        ordinals >>= np.uint64(self.shift)
        if self.complement:
            np.subtract(np.uint64(self.top), ordinals, out=ordinals)
        return ordinals


@dataclass(frozen=True)
class Numbers:
    """A numpy column as digits, most significant first: one, or one for 8 bytes of a string."""

    digits: tuple[Digit, ...]
    descending: bool
    raw: ClassVar[bool] = False

    def read(self, col: Column) -> list[WordArray]:
        """The digits of all rows, uint64 each."""
        ordinals = _ordinals(col, self.descending)
        return [digit.read(values) for digit, values in zip(self.digits, ordinals, strict=True)]


@dataclass(frozen=True)
class Text:
    """A column of strings: as the numbers of its distinct ones, or as it is."""

    distinct: pa.LargeBinaryArray | None  #: ascending
    descending: bool

    @property
    def raw(self) -> bool:
        """Whether the strings are too many to be numbered."""
        return self.distinct is None

    @property
    def digits(self) -> tuple[Digit, ...]:
        """One, or none if the strings stay as they are."""
        if self.distinct is None:
            return ()
        return (Digit(0, 0, max(len(self.distinct) - 1, 0), self.descending),)

    def read(self, col: Column) -> list[WordArray]:
        """The digits of all rows, uint64 each."""
        import pyarrow.compute as pc

        assert isinstance(col, pa.Array)
        encoded = col.dictionary_encode()
        places = pc.index_in(encoded.dictionary, value_set=self.distinct)
        ranks = _int32(places).take(_int32(encoded.indices)).astype(np.uint64)
        return [self.digits[0].read(ranks)]


def _int32(arr: pa.Int32Array) -> npt.NDArray[np.int32]:
    # Not arr.to_numpy(), which would import pandas.
    if len(arr) == 0:
        return np.zeros(0, np.int32)
    return np.frombuffer(arr.buffers()[1], np.int32, len(arr), arr.offset * 4)


@dataclass(frozen=True)
class Keys:
    """How rows of some columns become words and strings whose order is that of the rows."""

    keys: tuple[Numbers | Text, ...]

    @property
    def bits(self) -> int | None:
        """How many bits all digits take together; None if there are strings beside them."""
        if any(key.raw for key in self.keys):
            return None
        return sum(digit.bits for key in self.keys for digit in key.digits)

    def read(
        self, columns: Sequence[Column], rows: WordArray | None = None, row_bits: int = 0
    ) -> list[WordArray | pa.LargeBinaryArray]:
        """The rows, most significant part first, in as few words as hold the digits whole.

        Parameters
        ----------
        columns
            Of the types that were measured, with values that were there then.
        rows
            Their numbers, which become the last digit, of `row_bits` bits.
        """
        parts: list[WordArray | pa.LargeBinaryArray] = []
        room = 0
        for key, col in zip(self.keys, columns, strict=True):
            if key.raw:
                parts.append(col)
                room = 0
                continue
            for digit, values in zip(key.digits, key.read(col), strict=True):
                room = _put(parts, room, values, digit.bits)
        if rows is not None:
            # A row number of no bits needs a word too, where there is none to hold it.
            alone = not parts or isinstance(parts[-1], pa.Array)
            _put(parts, room, rows, max(row_bits, int(alone)))
        elif not parts:
            parts.append(np.zeros(len(columns[0]), np.uint64))
        return parts


def _put(
    parts: list[WordArray | pa.LargeBinaryArray], room: int, values: WordArray, bits: int
) -> int:
    """Put digits into the last word, which has so much room, or into a new one; the room left."""
    if bits == 0:
        return room
    if bits > room:
        parts.append(values)
        return WORD_BITS - bits
    parts[-1] <<= np.uint64(bits)
    parts[-1] |= values
    return room - bits


# -- measuring -------------------------------------------------------------------------------------


def measure(sources: Sequence[Source], ascending: Sequence[bool]) -> Keys:
    """Read all rows of tables with columns of the same types, and find what their keys need."""
    empty = sources[0].empty
    gauges = [
        _TextGauge(not up) if is_strings(col) else _NumberGauge(not up)
        for col, up in zip(empty, ascending, strict=True)
    ]
    for source in sources:
        for block in source.blocks():
            for gauge, col in zip(gauges, block, strict=True):
                gauge.update(col)
    return Keys(tuple(gauge.result(col) for gauge, col in zip(gauges, empty, strict=True)))


class _NumberGauge:
    """Finds the ranges of ordinals, and the low bits in which none of them differ."""

    def __init__(self, descending: bool) -> None:
        self._descending = descending
        self._ranges: list[tuple[int, int, int, np.uint64]] = []

    def update(self, col: npt.NDArray[Any]) -> None:
        if len(col) == 0:
            return
        parts = _ordinals(col, self._descending)
        if not self._ranges:
            self._ranges = [(int(part[0]), 0, 0, part[0]) for part in parts]
        self._ranges = [
            _widen(*before, part) for before, part in zip(self._ranges, parts, strict=True)
        ]

    def result(self, col: npt.NDArray[Any]) -> Numbers:
        # Floats are in the wanted direction as they are.
        complement = self._descending and col.dtype.kind != "f"
        if not self._ranges:
            return Numbers(tuple(Digit(0, 0, 0) for _ in _ordinals(col, False)), self._descending)
        digits = []
        for low, high, differing, _ in self._ranges:
            shift = (differing & -differing).bit_length() - 1 if differing else 0
            digits.append(Digit(low, shift, (high - low) >> shift, complement))
        return Numbers(tuple(digits), self._descending)


def _widen(
    low: int, high: int, differing: int, origin: np.uint64, ordinals: WordArray
) -> tuple[int, int, int, np.uint64]:
    low, high = min(low, int(ordinals.min())), max(high, int(ordinals.max()))
    # The low zero bits that all differences from one value share, all differences share.
    ordinals -= origin
    return low, high, differing | int(np.bitwise_or.reduce(ordinals)), origin


class _TextGauge:
    """Collects the distinct strings while they are few."""

    def __init__(self, descending: bool) -> None:
        self._descending = descending
        self._found: pa.LargeBinaryArray | None = strings.encode([])

    def update(self, col: pa.LargeBinaryArray) -> None:
        if self._found is None:
            return
        self._found = strings.concat([self._found, col.unique()]).unique()
        if len(self._found) > DISTINCT or self._found.nbytes > _DISTINCT_BYTES:
            self._found = None

    def result(self, _: Column) -> Text:
        found = self._found
        return Text(None if found is None else strings.ranks(found)[1], self._descending)


# -- ordinals --------------------------------------------------------------------------------------


def _ordinals(col: npt.NDArray[Any], descending: bool) -> list[WordArray]:
    """New uint64 arrays that order as the column; floats already in the wanted direction.

    NaN is greater than all in either direction; -0.0 equals 0.0.
    """
    kind = col.dtype.kind
    if kind == "S":
        return words(col)
    if kind == "f":
        return [_float_ordinal(col, descending)]
    if kind == "i":
        ordinal = col.astype(np.int64).view(np.uint64)
        ordinal ^= _SIGN
        return [ordinal]
    return [col.astype(np.uint64)]


def _float_ordinal(values: npt.NDArray[Any], descending: bool) -> WordArray:
    # Sign and magnitude to an offset: both zeros meet at 2**63, and the low bits stay zero in whole
    # numbers, so that timestamps in seconds lose half of their bits.
    wide = values.astype(np.float64)
    nan = np.isnan(wide)
    if nan.any():
        wide[nan] = np.nan  # of all the NaNs, one
    bits = wide.view(np.uint64)
    magnitude = bits & _MAGNITUDE
    negative = (bits != magnitude) ^ descending
    negative &= ~nan
    return np.where(negative, _SIGN - magnitude, _SIGN + magnitude)
