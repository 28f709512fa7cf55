"""Strings so long that DuckDB, which works on thousands of rows at a time, cannot hold them.

They are replaced by their ranks: blocks of them are sorted and written to a file, and merged by
looking at the start of each string, and at more only where two are alike.
"""

from __future__ import annotations

import heapq
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from exetera_zarr.engine.columns import strings
from exetera_zarr.engine.columns.types import Column, is_strings
from exetera_zarr.engine.streams.freed_memory import give_back
from exetera_zarr.engine.streams.row_gather import ends_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from exetera_zarr.engine.columns.types import IntArray
    from exetera_zarr.engine.streams.source import Source
    from exetera_zarr.engine.streams.workspace import Spill, Workspace

__all__ = ["Ranks", "Spelling", "shortened"]

#: Strings are long of which more than so many do not fit the memory.
_FEW = 1 << 14
#: Strings of so many bytes are long where all of them together do not fit a quarter of the memory:
#: DuckDB gives up on those before it spills them (measured, 400,000 of 1 KB at 256 MB).
_SPILLED, _SHARE = 256, 4
_SAMPLES, _SAMPLE = 4, 64
#: Bytes of each string that are compared first.
_HEAD = 1 << 12


@dataclass(frozen=True)
class Ranks:
    """Long strings of some sources as numbers."""

    of_rows: IntArray  #: for each row, one source after another, the rank of its string
    starts: IntArray  #: for each rank where its string starts in the text
    lengths: IntArray  #: for each rank the bytes of the string
    text: Spill  #: closed unless it was to be kept

    def spelled(self, ranks: IntArray) -> Column:
        """The strings of some ranks."""
        offsets = np.zeros(len(ranks) + 1, np.int64)
        np.cumsum(self.lengths[ranks], out=offsets[1:])
        data = np.empty(offsets[-1], np.uint8)
        bounds = offsets.tolist()
        places = zip(self.starts[ranks].tolist(), bounds[:-1], bounds[1:], strict=True)
        for start, low, high in places:
            data[low:high] = self.text.read(start, start + high - low)
        return strings.to_arrow(offsets, data)


@dataclass(frozen=True)
class Spelling:
    """
    Columns of results in which there are ranks, and whose strings they are.

    Parameters
    ----------
    ranks
        As `shortened` gives them, with the text.
    of
        For each column of the results the number of the column of the source whose ranks it has.
    room
        Bytes of a block.
    """

    ranks: dict[int, Ranks]
    of: dict[int, int]
    room: int

    def blocks(self, columns: Sequence[Column]) -> Iterator[list[Column]]:
        """The same rows with the strings, as many at a time as fit a block."""
        if not self.of:
            yield list(columns)
            return
        sizes = sum(self.ranks[of].lengths[columns[at]] + 8 for at, of in self.of.items())
        start = 0
        for stop in ends_of([np.asarray(sizes)], self.room):
            part = [column[start:stop] for column in columns]
            for at, of in self.of.items():
                part[at] = self.ranks[of].spelled(np.asarray(part[at]))
            yield part
            start = stop


def shortened(
    sources: Sequence[Source], work: Workspace, *, with_text: bool = False
) -> tuple[Sequence[Source], dict[int, Ranks]]:
    """
    Sources with the ranks of long strings in their place.

    Parameters
    ----------
    sources
        With columns of the same types. Ranks order and compare as the strings do, also those of one
        source with those of another.
    work
        Strings are long by its memory.
    with_text
        Whether the strings of the ranks will be asked for.

    Returns
    -------
    sources
        The same number of them, with the same rows.
    ranks
        For the number of each column that was replaced.
    """
    found = {
        number: _ranks(sources, number, work, with_text=with_text)
        for number, empty in enumerate(sources[0].empty)
        if is_strings(empty) and any(_is_long(source, number, work) for source in sources)
    }
    if not found:
        return sources, found
    starts = np.cumsum([0, *(source.rows for source in sources)])
    return [
        replace(
            source,
            empty=_replaced(source.empty, found, 0, 0),
            read=partial(_read, source, found, first),
        )
        for source, first in zip(sources, starts.tolist(), strict=False)
    ], found


def _read(
    source: Source, found: dict[int, Ranks], first: int, start: int, stop: int
) -> list[Column]:
    return _replaced(source.read(start, stop), found, first + start, first + stop)


def _replaced(
    columns: Sequence[Column], found: dict[int, Ranks], start: int, stop: int
) -> list[Column]:
    return [
        found[number].of_rows[start:stop] if number in found else column
        for number, column in enumerate(columns)
    ]


def _is_long(source: Source, number: int, work: Workspace) -> bool:
    """Whether the strings of a column are long, by a look at some of them."""
    few_fit = source.size * _FEW > source.rows * work.memory
    many = source.size > work.memory // _SHARE
    if not (few_fit or many):
        return False
    rows = size = 0
    for start in range(0, source.rows, max(source.rows // _SAMPLES, _SAMPLE)):
        stop = source.until(start, min(start + _SAMPLE, source.rows))
        column = source.read(start, stop)[number]
        rows, size = rows + len(column), size + int(strings.lengths(column).sum())
    return size * _FEW > rows * work.memory or (many and size > rows * _SPILLED)


def _ranks(sources: Sequence[Source], number: int, work: Workspace, *, with_text: bool) -> Ranks:
    data = work.spill(np.uint8, share=0.0)
    of_rows = np.empty(sum(source.rows for source in sources), np.int64)
    starts: list[int] = []
    lengths: list[int] = []
    before: _Text | None = None
    for text in heapq.merge(*_runs(sources, number, data)):
        if before is None or before < text:
            starts.append(text.start)
            lengths.append(len(text))
        of_rows[text.row] = len(starts) - 1
        before = text
    if not with_text:
        data.close()
    return Ranks(of_rows, np.array(starts, np.int64), np.array(lengths, np.int64), data)


def _runs(sources: Sequence[Source], number: int, data: Spill) -> list[Iterator[_Text]]:
    """The strings of each block in order, written to a file."""
    import pyarrow.compute as pc

    runs: list[Iterator[_Text]] = []
    first = 0
    for source in sources:
        with closing(source.blocks()) as blocks:
            for columns in blocks:
                order = np.asarray(pc.sort_indices(columns[number])).astype(np.int64)
                offsets, text = strings.from_arrow(strings.take(columns[number], order))
                runs.append(_texts(data, offsets + len(data), order + first))
                data.append(text)
                first += len(order)
    give_back()
    return runs


def _texts(data: Spill, offsets: IntArray, rows: IntArray) -> Iterator[_Text]:
    for row, start, stop in zip(
        rows.tolist(), offsets[:-1].tolist(), offsets[1:].tolist(), strict=True
    ):
        yield _Text(data, start, stop, row)


class _Text:
    """A string in a file, of which only the start is held."""

    __slots__ = ("_data", "_head", "_stop", "row", "start")

    def __init__(self, data: Spill, start: int, stop: int, row: int) -> None:
        self._data, self.start, self._stop, self.row = data, start, stop, row
        self._head = data.read(start, min(stop, start + _HEAD)).tobytes()

    def __len__(self) -> int:
        return self._stop - self.start

    def __lt__(self, other: _Text) -> bool:
        if self._head != other._head or len(self._head) < _HEAD:
            return self._head < other._head
        return self._whole() < other._whole()

    def _whole(self) -> bytes:
        return self._data.read(self.start, self._stop).tobytes()
