"""Fields as keys of sorts, groups and merges, with what is missing in them.

A missing value is equal to others that are missing, and comes last. So a key with missing values is
two columns: whether it is missing, and the value, which is the same for all rows that have none. A
float says by itself, as NaN, that it is missing.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from exetera_zarr.engine import is_strings
from exetera_zarr.engine.sort.sorting import directions_of
from exetera_zarr.engine.streams.source import Source, side_by_side
from exetera_zarr.errors import ArgumentTypeError, DataError
from exetera_zarr.fields.data import blank_missing
from exetera_zarr.fields.missing.companions import (
    any_missing,
    both,
    holds_nan,
    in_place_of_missing,
    masked_reader,
)
from exetera_zarr.fields.missing.masked import Masked, masked_of
from exetera_zarr.fields.sources import source_of
from exetera_zarr.fields.writing.receiving import names_by_code
from exetera_zarr.fieldtypes import label_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exetera_zarr.engine import Column
    from exetera_zarr.fields.base import Field
    from exetera_zarr.storage.base import AnyArray

__all__ = [
    "absence",
    "apart",
    "blank_source",
    "blanked",
    "check_comparable",
    "directions",
    "key_source",
    "keys_of",
    "masked_key_source",
    "whole_keys",
]


def key_source(*sides: Sequence[Field]) -> tuple[list[Source], list[bool]]:
    """
    Keys as the engine compares them.

    Parameters
    ----------
    sides
        The keys of each table, as many on each side; those of a side of one length.

    Returns
    -------
    sources : list of Source
        Of each side.
    split : list of bool
        For each key, whether a column before it says that it is missing.

    Raises
    ------
    TypeError, DataError
        Those of two sides do not go together; see `check_comparable`.
    """
    check_comparable(*sides)
    split = [any(_is_split(field) for field in fields) for fields in zip(*sides, strict=True)]
    return [keys_of(fields, split) for fields in sides], split


def check_comparable(*sides: Sequence[Field | None]) -> None:
    """
    Refuse keys that `==` does not compare: a category is its name, and no number.

    Parameters
    ----------
    sides
        The keys of each table, as many on each side; None for what is no field.

    Raises
    ------
    TypeError
        Categories beside something else.
    DataError
        Categories of which one code stands for two names, or one name has two codes.
    """
    for fields in zip(*sides, strict=True):
        given = [field for field in fields if field is not None]
        for one, other in combinations(given, 2):
            if one.face.sees_missing and other.face.sees_missing:
                _check_pair(one, other)


def _check_pair(one: Field, other: Field) -> None:
    ours, theirs = names_by_code(one), names_by_code(other)
    if ours is None and theirs is None:
        return
    if ours is not None and theirs is not None:
        codes = {name: code for code, name in ours.items()}
        for code, name in theirs.items():
            if ours.get(code, name) != name or codes.get(name, code) != code:
                raise DataError(
                    f"{one.phrase()} and {other.phrase()} name their categories differently: "
                    f"{_shown(ours)} and {_shown(theirs)}; remap one of them first"
                )
        return
    category, plain = (one, other) if theirs is None else (other, one)
    if plain.of_numbers:
        what, hint = (
            "number",
            (
                "where its codes are meant, write them to a numeric field and give that; where the "
                "numbers are codes of these categories, write them to a field like "
                f"{category.phrase()}"
            ),
        )
    else:
        what, hint = (
            "text",
            (
                f"write the text to a field of the categories of {category.phrase()}, such as "
                "create_like() makes, and give that"
            ),
        )
    raise ArgumentTypeError(
        f"the keys {one.phrase()} ({one.fieldtype}) and {other.phrase()} ({other.fieldtype}) do "
        f"not go together: a category is one of its field, and no {what}: {hint}"
    )


def _shown(names: dict[int, bytes]) -> dict[int, str]:
    return {code: label_text(name) for code, name in names.items()}


def _is_split(field: Field) -> bool:
    return not holds_nan(field.empty_column()) and any_missing(field)


def keys_of(fields: Sequence[Field], split: Sequence[bool]) -> Source:
    """The keys of one table as `key_source` gives them, where it is known which are split."""
    if not any(split) and all(field.validity is None for field in fields):
        return source_of(fields)
    return _beside([masked_of(field) for field in fields], split)


def masked_key_source(*sides: Sequence[Masked]) -> tuple[list[Source], list[bool]]:
    """The same of columns that need not be fields."""
    split = [
        any(not holds_nan(column.empty) and column.any_missing() for column in columns)
        for columns in zip(*sides, strict=True)
    ]
    return [_beside(columns, split) for columns in sides], split


def _beside(columns: Sequence[Masked], split: Sequence[bool]) -> Source:
    rows = [column.rows for column in columns]
    if len(set(rows)) > 1:
        raise DataError(f"the keys have different numbers of rows: {rows}")
    return side_by_side(
        [_one(column, also_absent=wanted) for column, wanted in zip(columns, split, strict=True)]
    )


def blank_source(field: Field, *, codes: bool = True) -> Source:
    """
    A field in which all rows that have no value are the same: 0, False, NaN or no text.

    Parameters
    ----------
    field
        The field.
    codes
        Whether its missing codes stay: values that are told apart, but not keys.
    """
    return blanked(masked_of(field), codes=codes)


def blanked(column: Masked, *, codes: bool = True) -> Source:
    """The same of a column that need not be a field."""
    return _one(column if codes else replace(column, coded=None), also_absent=False)


def absence(column: Masked) -> Source:
    """Row by row, whether a column has no value."""

    def read(start: int, stop: int) -> list[Column]:
        mask = column.read(start, stop)[1]
        return [np.zeros(stop - start, np.bool_) if mask is None else ~mask]

    return replace(column.values, empty=[np.zeros(0, np.bool_)], read=read, offsets=None)


def _one(column: Masked, *, also_absent: bool) -> Source:
    plain = column.values
    if column.mask is None and not also_absent:
        return plain

    def read(start: int, stop: int) -> list[Column]:
        values, mask = column.read(start, stop)
        if not also_absent:
            coded = None if mask is None or column.coded is None else column.coded(values)
            return [_blank(values, mask if coded is None else mask | coded)]
        absent = np.zeros(len(values), np.bool_) if mask is None else ~mask
        # A NaN is as missing as what is missing of whole numbers, beside which it may be.
        zero = holds_nan(values) and mask is not None
        return [absent, np.where(mask, values, 0) if zero else _blank(values, mask)]  # type: ignore[arg-type]

    empty = [np.zeros(0, np.bool_), *plain.empty] if also_absent else plain.empty
    return replace(plain, empty=empty, read=read)


def _blank(column: Column, mask: AnyArray | None) -> Column:
    """The column with one and the same value in all rows that have none."""
    if mask is None:
        return column
    if not is_strings(column):
        return in_place_of_missing(column, mask)
    return blank_missing(column, mask)


def whole_keys(
    columns: Sequence[Column], split: Sequence[bool]
) -> list[tuple[Column, AnyArray | None]]:
    """The columns of keys as the engine gives them, put together again: values, and which exist."""
    found: list[tuple[Column, AnyArray | None]] = []
    left = iter(columns)
    for is_split in split:
        mask = ~np.asarray(next(left)) if is_split else None
        found.append((next(left), None if mask is None or mask.all() else mask))
    return found


def apart(
    fields: Sequence[Field], keys: Source, *, odd: bool
) -> tuple[Source, Callable[[AnyArray], AnyArray]]:
    """
    Keys of which those that are missing are equal to none.

    Parameters
    ----------
    fields, keys
        The keys of a table, and what `key_source` made of them.
    odd
        Whether the numbers that keep them apart are odd: those of the other table are even.

    Returns
    -------
    source : Source
        The keys, with one more, by which rows with a missing key differ from all others.
    lacks : callable
        Takes row numbers, and says for which of them a key is missing; False for -1.
    """
    readers = [masked_reader(field)[1] for field in fields]

    def lacking(start: int, stop: int) -> AnyArray:
        mask = None
        for reader in readers:
            mask = both(mask, reader(start, stop)[1])
        return np.zeros(stop - start, np.bool_) if mask is None else ~mask

    def read(start: int, stop: int) -> list[Column]:
        numbers = 2 * np.arange(start + 1, stop + 1) + odd
        return [np.where(lacking(start, stop), numbers, 0), *keys.read(start, stop)]

    def lacks(rows: AnyArray) -> AnyArray:
        found = np.zeros(len(rows), np.bool_)
        there = np.flatnonzero(rows >= 0)
        for start in range(0, keys.rows, keys.block):
            stop = min(start + keys.block, keys.rows)
            within = there[(rows[there] >= start) & (rows[there] < stop)]
            if len(within):
                found[within] = lacking(start, stop)[rows[within] - start]
        return found

    empty = [np.zeros(0, np.int64), *keys.empty]
    return replace(keys, empty=empty, read=read), lacks


def directions(ascending: Sequence[bool] | bool, split: Sequence[bool]) -> list[bool]:
    """The directions of a sort for the columns of `key_source`: what is missing comes last."""
    found: list[bool] = []
    for direction, is_split in zip(directions_of(ascending, len(split)), split, strict=True):
        found += [True, direction] if is_split else [direction]
    return found
