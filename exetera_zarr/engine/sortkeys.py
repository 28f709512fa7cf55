"""Columns as digits: unsigned numbers that order as the rows of the column do.

A digit knows its range, so it takes only the bits it needs, and several digits, with the row number
as the last one, often fit one 64-bit word. Sorting such words is a stable sort of the rows, with
no index carried along, whatever sorts them. The idea is that of the normalised keys of database
systems (Graefe, "Implementing sorting in database systems", ACM Computing Surveys 38(3), 2006).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exetera_zarr.engine.keys import words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Digit", "Words", "number_digits", "pack", "row_digit"]

WORD_BITS = 64
_SCAN = 1 << 18
_SIGN = np.uint64(1 << 63)
_MAGNITUDE = np.uint64((1 << 63) - 1)


@dataclass(frozen=True)
class Digit:
    """A column whose order is that of ``(ordinal - low) >> shift``, or of its complement."""

    values: npt.NDArray[Any] | None  #: None for the row number
    low: int
    shift: int
    top: int  #: the greatest digit
    descending: bool = False

    @property
    def bits(self) -> int:
        """How many bits the greatest digit takes."""
        return self.top.bit_length()

    def read(self, start: int, stop: int) -> npt.NDArray[np.uint64]:
        """The digits of the rows `start` to `stop`, uint64."""
        if self.values is None:
            return np.arange(start, stop, dtype=np.uint64)
        digits = _ordinal(self.values[start:stop], self.descending)
        digits -= np.uint64(self.low)
        digits >>= np.uint64(self.shift)
        if self.descending and self.values.dtype.kind != "f":
            np.subtract(np.uint64(self.top), digits, out=digits)
        return digits


def row_digit(n: int) -> Digit:
    """The row number as a digit: as the last one it makes any sort a stable one."""
    return Digit(None, 0, 0, max(n - 1, 0))


def number_digits(col: npt.NDArray[Any], descending: bool = False) -> list[Digit]:
    """The digits of a numpy column, most significant first; one, or one for 8 bytes of a string.

    NaN is greater than all in either direction; -0.0 equals 0.0.
    """
    parts = words(col) if col.dtype.kind == "S" else [col]
    return [_measure(part, descending) for part in parts]


def _measure(col: npt.NDArray[Any], descending: bool) -> Digit:
    """Find the range of the ordinals, and the low bits in which none of them differ."""
    low, high, differing = (1 << WORD_BITS) - 1, 0, 0
    origin: np.uint64 | None = None
    for start in range(0, len(col), _SCAN):
        ordinals = _ordinal(col[start : start + _SCAN], descending)
        origin = ordinals[0] if origin is None else origin
        low = min(low, int(ordinals.min()))
        high = max(high, int(ordinals.max()))
        # The low zero bits that all differences from one value share, all differences share.
        differing |= int(np.bitwise_or.reduce(ordinals - origin))
    if not differing:
        return Digit(col, low if len(col) else 0, 0, 0, descending)
    shift = (differing & -differing).bit_length() - 1
    return Digit(col, low, shift, (high - low) >> shift, descending)


def _ordinal(values: npt.NDArray[Any], descending: bool) -> npt.NDArray[np.uint64]:
    """A new uint64 array that orders as `values`; floats already in the wanted direction."""
    kind = values.dtype.kind
    if kind == "f":
        return _float_ordinal(values, descending)
    if kind == "i":
        return values.astype(np.int64).view(np.uint64) ^ _SIGN
    return values.astype(np.uint64)


def _float_ordinal(values: npt.NDArray[Any], descending: bool) -> npt.NDArray[np.uint64]:
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


@dataclass(frozen=True)
class Words:
    """Digits packed into as few 64-bit words as hold them whole, most significant first."""

    groups: tuple[tuple[Digit, ...], ...]

    def read(self, start: int, stop: int) -> Iterator[npt.NDArray[np.uint64]]:
        """The words of the rows `start` to `stop`, uint64 each."""
        for group in self.groups:
            word = group[0].read(start, stop)
            for digit in group[1:]:
                word <<= np.uint64(digit.bits)
                word |= digit.read(start, stop)
            yield word

    def __len__(self) -> int:
        return len(self.groups)


def pack(digits: Sequence[Digit]) -> Words:
    """Pack digits into words, in their order; digits of no bits are left out unless all are."""
    groups: list[list[Digit]] = []
    room = 0
    for digit in [d for d in digits if d.bits] or list(digits[:1]):
        if not groups or digit.bits > room:
            groups.append([])
            room = WORD_BITS
        groups[-1].append(digit)
        room -= digit.bits
    return Words(tuple(tuple(group) for group in groups))
