"""Where records and cells of CSV text begin and end, over the positions of a few bytes only.

The dialect is ExeTera's unless another is given: comma, ``"`` with ``""`` as its escape, spaces at
the start of a cell skipped. Lines end in LF, CRLF or CR. What readers understand differently -
quotes in odd places, blank lines - is a problem with a row number, never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from exetera_zarr.io.schema.formats import PLAIN, Dialect

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BYTE_ORDER_MARK", "NO_POSITIONS", "QuoteProblem", "RecordText", "called"]

Positions: TypeAlias = npt.NDArray[np.int64]
Bytes: TypeAlias = npt.NDArray[np.uint8]
Mask: TypeAlias = npt.NDArray[np.bool_]

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
SPACE, LF, CR = b" \n\r"
NO_POSITIONS: Positions = np.empty(0, np.int64)


def called(header: Sequence[str]) -> list[str]:
    """
    Names of columns by which each can be told apart, as pandas makes them.

    Parameters
    ----------
    header
        The names in a header, of which some may be empty, or occur again.

    Returns
    -------
    list of str
        ``Unnamed: 0`` for the first column if it has no name, ``a.1`` for a second ``a``.
    """
    written = set(header)
    found: dict[str, None] = {}
    numbers: dict[str, int] = {}
    for place, given in enumerate(header):
        base = name = given or f"Unnamed: {place}"
        while name in found or (name != given and name in written):
            numbers[base] = numbers.get(base, 0) + 1
            name = f"{base}.{numbers[base]}"
        found[name] = None
    return list(found)


@dataclass(frozen=True)
class QuoteProblem:
    """
    A quote that neither opens, closes nor escapes.

    Parameters
    ----------
    position
        Where it is.
    reason
        What is wrong, to follow "row 3: ".
    """

    position: int
    reason: str


class RecordText:
    """
    Complete records of CSV text.

    Parameters
    ----------
    data
        Their bytes, in UTF-8.
    dialect
        What separates and encloses cells.
    """

    def __init__(self, data: bytes, dialect: Dialect = PLAIN) -> None:
        self.data = data
        self.dialect = dialect
        self.array: Bytes = np.frombuffer(data, np.uint8)
        self.has_quotes: bool = bool(dialect.quotechar) and dialect.quotechar.encode() in data
        self.has_returns: bool = b"\r" in data

    @cached_property
    def quotes(self) -> Positions:
        """Positions of all quotes."""
        if not self.has_quotes:
            return NO_POSITIONS
        return np.flatnonzero(self.array == ord(self.dialect.quotechar))

    @cached_property
    def line_ends(self) -> Positions:
        """Positions of the last byte of every line end (LF, CRLF or CR), quoted ones too."""
        array = self.array
        if not self.has_returns:
            return np.flatnonzero(array == LF)
        ends = np.flatnonzero((array == LF) | (array == CR))
        paired = (array[ends] == CR) & (array[np.minimum(ends + 1, len(array) - 1)] == LF)
        single: Positions = ends[~paired]
        return single

    @cached_property
    def record_ends(self) -> Positions:
        """Positions of the last byte of every line end that is not quoted."""
        return self._outside_quotes(self.line_ends)

    @cached_property
    def lines(self) -> int:
        """Number of line ends, quoted ones too."""
        if self.has_returns:
            return len(self.line_ends)
        return int(np.count_nonzero(self.array == LF))

    @property
    def has_quoted_ends(self) -> bool:
        """Whether there are line ends in quoted cells."""
        return self.has_quotes and len(self.record_ends) < len(self.line_ends)

    @property
    def is_open(self) -> bool:
        """Whether the last line has no end."""
        return not self.data.endswith((b"\n", b"\r"))

    @property
    def records(self) -> int:
        """Number of records, blank lines counted."""
        if not self.has_quotes and not self.has_returns:
            return self.lines + self.is_open
        ends = self.record_ends
        return len(ends) + (not len(ends) or bool(ends[-1] < len(self.array) - 1))

    def starts(self, rows: Positions) -> Positions:
        """Return where records begin."""
        return np.concatenate([np.zeros(1, np.int64), self.record_ends + 1])[rows]

    def lines_before(self, rows: Positions) -> Positions:
        """Return how many lines there are before records."""
        found: Positions = np.searchsorted(self.line_ends, self.starts(rows))
        return found

    def record(self, row: int) -> bytes:
        """Return the text of a record, without its line end."""
        start = int(self.record_ends[row - 1]) + 1 if row else 0
        end = int(self.record_ends[row]) + 1 if row < len(self.record_ends) else len(self.data)
        return self.data[start:end].rstrip(b"\r\n")

    def until(self, end: int) -> RecordText:
        """Return the records up to a position that ends one, with what is known of them."""
        text = RecordText(self.data[:end], self.dialect)
        for name in ("quotes", "line_ends", "record_ends"):
            if name in self.__dict__:
                known: Positions = self.__dict__[name]
                text.__dict__[name] = known[: np.searchsorted(known, end)]
        return text

    def _outside_quotes(self, positions: Positions) -> Positions:
        """Keep the positions that have an even number of quotes before them."""
        if not self.has_quotes:
            return positions
        kept: Positions = positions[np.searchsorted(self.quotes, positions) % 2 == 0]
        return kept

    def without_leading_spaces(self) -> RecordText:
        """Return the records without the spaces at the start of cells, the quoted ones apart."""
        if b" " not in self.data or self.dialect.delimiter == " ":
            return self
        array = self.array
        spaces = np.flatnonzero(array == SPACE)
        before = array[np.maximum(spaces - 1, 0)]
        leading = self._ends_cell(before) | (spaces == 0)
        starts = self._outside_quotes(spaces[leading])
        if not len(starts):
            return self
        if (array[np.maximum(starts - 1, 0)] == CR).any():
            # A CR that ends a line must not meet an LF when the spaces between them are gone.
            array = array.copy()
            array[self.record_ends] = LF
        # What holds for the first space of a run holds for all of it.
        first = np.ones(len(spaces), bool)
        first[1:] = spaces[1:] != spaces[:-1] + 1
        leading = np.isin(spaces[first], starts, assume_unique=True)
        dropped = spaces[leading[np.cumsum(first) - 1]]
        data = np.delete(array, dropped).tobytes()
        if array[-1] == SPACE and (not data or data.endswith((b"\n", b"\r"))):
            # The last line, which has no end, was all spaces: a record still.
            data += b"\n"
        return RecordText(data, self.dialect)

    def quote_problem(self) -> QuoteProblem | None:
        """
        Find the first quote that does not open, close or escape.

        Where all are in their place, counting them tells which bytes are quoted, and pyarrow reads
        the same cells; where one is not, readers differ. Whether the last quote is ever closed is
        not asked here.
        """
        if not self.has_quotes:
            return None
        array, opening, closing = self.array, self.quotes[0::2], self.quotes[1::2]
        fits = self._ends_cell(array[np.maximum(opening - 1, 0)]) | (opening == 0)
        # The second of two quotes in a row inside a quoted cell: one closes, this opens again.
        fits[1:] |= opening[1:] == closing[: len(opening) - 1] + 1
        if not fits.all():
            fits[~fits] = self._follows_spaces(opening[~fits])
        after = array[np.minimum(closing + 1, len(array) - 1)]
        quote = ord(self.dialect.quotechar)
        closes = self._ends_cell(after) | (after == quote) | (closing == len(array) - 1)
        found = []
        if not fits.all():
            reason = f"has a quote ({self.dialect.quotechar}) in a cell that is not quoted"
            found.append((int(opening[~fits][0]), reason))
        if not closes.all():
            found.append((int(closing[~closes][0]), "has text after the closing quote of a cell"))
        return QuoteProblem(*min(found)) if found else None

    def _follows_spaces(self, positions: Positions) -> Mask:
        """Which positions have nothing but spaces between them and the start of their cell."""
        array = self.array
        others = np.flatnonzero(array != SPACE)
        nearest = np.searchsorted(others, positions) - 1
        at_start: Mask = (nearest < 0) | self._ends_cell(array[others[np.maximum(nearest, 0)]])
        return at_start

    def blank_rows(self) -> Positions:
        """Return the records that are blank lines."""
        array, ends = self.array, self.record_ends
        starts = np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1])
        pairs = (array[ends] == LF) & (array[np.maximum(ends - 1, 0)] == CR) & (ends > starts)
        return np.flatnonzero(ends - starts - pairs == 0)

    def rows_between_returns(self) -> Positions:
        """Return the blank lines that are the second half of a CR CR LF."""
        if b"\r\r\n" not in self.data:
            return NO_POSITIONS
        rows = self.blank_rows()
        starts = self.starts(rows)
        array = self.array
        found = (starts > 0) & (array[np.maximum(starts - 1, 0)] == CR) & (array[starts] == CR)
        follows: Positions = rows[found & (array[self.record_ends[rows]] == LF)]
        return follows

    def without_records(self, rows: Positions) -> RecordText:
        """Return the records but the given ones, all of which have a line end."""
        starts, ends = self.starts(rows), self.record_ends[rows] + 1
        steps = np.zeros(len(self.array) + 1, np.int8)
        steps[starts] += 1
        steps[ends] -= 1
        return RecordText(self.array[np.cumsum(steps[:-1]) == 0].tobytes(), self.dialect)

    def _ends_cell(self, bytes_: Bytes) -> Mask:
        """Which bytes stand between two cells."""
        delimiter = ord(self.dialect.delimiter)
        found: Mask = (bytes_ == delimiter) | (bytes_ == LF) | (bytes_ == CR)
        return found
