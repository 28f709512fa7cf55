"""Keys that come block by block: where they change, and whether they ascend."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from exetera_zarr.engine.columns import comparable_keys, selection
from exetera_zarr.engine.columns.fixed_strings import words
from exetera_zarr.engine.columns.spans import find_spans
from exetera_zarr.engine.columns.types import Column, IntArray, is_strings
from exetera_zarr.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exetera_zarr.engine.streams.source import Source

__all__ = ["DisorderError", "Runs", "first_disorder"]

_WINDOW = 1 << 16


class DisorderError(ArgumentError):
    """
    Keys that should ascend do not.

    Parameters
    ----------
    row
        The first row that is less than the one before.
    """

    def __init__(self, row: int) -> None:
        super().__init__(f"the keys do not ascend: row {row} is less than row {row - 1} before it")
        self.row = row


class Runs:
    """Runs of equal keys in blocks of rows that ascend; NaN equals NaN, -0.0 equals 0.0."""

    def __init__(self) -> None:
        self.rows = 0
        self._last: list[Column] | None = None

    def feed(self, columns: Sequence[Column]) -> tuple[IntArray, bool]:
        """
        Take the next block, which is not empty.

        Returns
        -------
        bounds : int64 array
            Its spans, from 0 to its number of rows.
        continued : bool
            Whether the first of them goes on from the block before.

        Raises
        ------
        DisorderError
            A row is less than the one before.
        """
        columns = _comparable(columns)
        bounds = find_spans(columns, nan_equal=True)
        heads = [selection.take(column, bounds[:-1]) for column in columns]
        disorder = comparable_keys.first_disorder(heads)
        continued = False
        if self._last is not None:
            border = _joined(self._last, heads)
            if comparable_keys.first_disorder(border) is not None:
                raise DisorderError(self.rows)
            continued = len(find_spans(border, nan_equal=True)) == 2
        if disorder is not None:
            raise DisorderError(self.rows + int(bounds[disorder]))
        self._last = [selection.take(column, [-1]) for column in heads]
        self.rows += int(bounds[-1])
        return bounds, continued


def first_disorder(source: Source) -> int | None:
    """The first row that is less than the row before it, or None; nothing after it is read."""
    last: list[Column] | None = None
    start = 0
    with contextlib.closing(source.blocks()) as blocks:
        for block in blocks:
            columns = _comparable(block)
            if (
                last is not None
                and comparable_keys.first_disorder(_joined(last, columns)) is not None
            ):
                return start
            rows = len(columns[0])
            for at in range(0, rows, _WINDOW):
                window = [column[max(at - 1, 0) : at + _WINDOW] for column in columns]
                disorder = comparable_keys.first_disorder(window)
                if disorder is not None:
                    return start + max(at - 1, 0) + disorder
            last = [selection.take(column, [-1]) for column in columns]
            start += rows
    return None


def _comparable(columns: Sequence[Column]) -> list[Column]:
    """Columns that order and compare as these, and fast: of fixed strings their words."""
    found: list[Column] = []
    for column in columns:
        fixed = not is_strings(column) and column.dtype.kind == "S"
        found += words(column) if fixed else [column]
    return found


def _joined(last: Sequence[Column], columns: Sequence[Column]) -> list[Column]:
    """The last row of a block, and the first of the next one."""
    return [selection.concat([a, b[:1]]) for a, b in zip(last, columns, strict=True)]
