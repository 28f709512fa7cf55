"""Keys as numbers: their ranks, and the rows in which they are."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.engine.columns import comparable_keys, strings
from exetera_zarr.engine.columns.types import Column, is_strings
from exetera_zarr.engine.sort.sorting import ranked_rows
from exetera_zarr.errors import ArgumentTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from exetera_zarr.engine.columns.types import IntArray
    from exetera_zarr.engine.streams.source import Source
    from exetera_zarr.engine.streams.workspace import Spill, Workspace

__all__ = ["comparable", "first_rows", "last_rows", "ranks"]

_BLOCK = 1 << 20


def comparable(sources: Sequence[Source]) -> list[Source]:
    """
    Sources of as many columns each, as such whose columns are of the same types.

    Raises
    ------
    TypeError
        Numbers beside strings, or numbers that no type holds exactly.
    """
    conversions = [
        _conversion(columns) for columns in zip(*(source.empty for source in sources), strict=True)
    ]

    def convert(columns: Sequence[Column]) -> list[Column]:
        pairs = zip(conversions, columns, strict=True)
        return [made for conversion, column in pairs for made in conversion(column)]

    def converted(source: Source) -> Source:
        return replace(
            source,
            empty=convert(source.empty),
            read=lambda start, stop: convert(source.read(start, stop)),
            step=source.block,
        )

    return [converted(source) for source in sources]


def _conversion(columns: Sequence[Column]) -> Callable[[Any], list[Column]]:
    text = [is_strings(c) or c.dtype.kind == "S" for c in columns]
    if any(text) and not all(text):
        raise ArgumentTypeError(
            "a number is never equal to a string: the keys are of different types"
        )
    if any(is_strings(c) for c in columns):
        return lambda c: [c if is_strings(c) else strings.from_fixed(c)]
    kinds = {c.dtype.kind for c in columns}
    if "f" in kinds and any(c.dtype.kind in "iu" and c.itemsize == 8 for c in columns):
        raise ArgumentTypeError(
            "64-bit integers and floats cannot be compared exactly: convert one"
        )
    common = np.result_type(*(c.dtype for c in columns))
    if common.kind == "f" and "f" not in kinds:
        return _whole_64
    return lambda c: [c.astype(common, copy=False)]


def _whole_64(column: npt.NDArray[Any]) -> list[Column]:
    """Whole numbers that order and compare as they do, whatever their signs."""
    own, other = ("i8", "u8") if column.dtype.kind == "i" else ("u8", "i8")
    return comparable_keys.align([column.astype(own)], [np.zeros(0, other)])[0]


def ranks(sources: Sequence[Source], work: Workspace) -> list[IntArray]:
    """For each row of each source the position of its key among the distinct ones of all."""
    lengths = [source.rows for source in sources]
    found = np.empty(sum(lengths), np.int64)
    with closing(ranked_rows(sources, work)) as blocks:
        for rows, numbers in blocks:
            found[rows] = numbers
    return np.split(found, np.cumsum(lengths)[:-1])


def first_rows(source: Source, work: Workspace) -> Spill:
    """The first row of each distinct key, in the order of the keys."""
    found, last = work.spill(np.int64), -1
    with closing(ranked_rows([source], work)) as blocks:
        for rows, numbers in blocks:
            found.append(rows[np.diff(numbers, prepend=last) > 0])
            last = int(numbers[-1])
    return found


def last_rows(target: Source, wanted: Source, work: Workspace, missing: int) -> IntArray:
    """
    For each wanted key the last row of the target that has it.

    Parameters
    ----------
    target, wanted
        As `comparable` gives them.
    work
        Where to do it.
    missing
        What a key gets that is not there: from this number on, the same for the same key, more for
        a later one.
    """
    found = np.empty(wanted.rows, np.int64)
    before = -1, -1, -1  # the last rank, its last row in the target, its first one that is wanted
    with closing(ranked_rows([target, wanted], work)) as blocks:
        for rows, numbers in blocks:
            # Of one key the rows of the target come first.
            rank, last, head = before
            starts = np.flatnonzero(np.diff(numbers, prepend=-1))
            counts = np.diff(starts, append=len(rows))
            asks = rows >= target.rows
            of_target = counts - np.add.reduceat(asks, starts, dtype=np.int64)
            lasts = np.where(of_target > 0, rows[starts + np.maximum(of_target, 1) - 1], -1)
            heads = rows[starts + np.minimum(of_target, counts - 1)] - target.rows
            if numbers[0] == rank:
                lasts[0] = last if lasts[0] < 0 else lasts[0]
                heads[0] = heads[0] if head < 0 else head
            answers = np.repeat(np.where(lasts < 0, -1 - heads, lasts), counts)
            found[rows[asks] - target.rows] = answers[asks]
            before = int(numbers[-1]), int(lasts[-1]), int(heads[-1])
    _number_missing(found, missing)
    return found


def _number_missing(found: IntArray, missing: int) -> None:
    """Put numbers for the keys that are missing, each of which is noted by -1 - its first row."""
    for start in range(0, len(found), _BLOCK):
        part = found[start : start + _BLOCK]
        at = np.flatnonzero(part < 0)
        heads = -1 - part[at]
        first = heads == at + start
        part[at[first]] = missing + np.flatnonzero(first)
        part[at[~first]] = found[heads[~first]]
        missing += len(at)
