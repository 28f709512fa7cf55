"""Merging two tables by keys."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from exetera_zarr.engine.join import merge_join, row_pairs, unsorted_join
from exetera_zarr.engine.streams.row_gather import RowNumbers, both_sides
from exetera_zarr.errors import DataError, NameTakenError
from exetera_zarr.fields import filters
from exetera_zarr.fields.base import Field
from exetera_zarr.fields.sources import source_of, workspace
from exetera_zarr.tables.dataframe import DataFrame

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from exetera_zarr.engine.streams.workspace import Workspace
    from exetera_zarr.storage.base import AnyArray

__all__ = ["merge"]

_HOW = ("left", "right", "inner", "outer", "cross")
Keys = str | tuple[str, ...] | Field | tuple[Field, ...]


def merge(
    left: DataFrame,
    right: DataFrame,
    dest: DataFrame,
    left_on: Keys,
    right_on: Keys,
    left_fields: Sequence[str] | None = None,
    right_fields: Sequence[str] | None = None,
    left_suffix: str = "_l",
    right_suffix: str = "_r",
    how: str = "left",
    hint_left_keys_ordered: bool | None = None,
    hint_left_keys_unique: bool | None = None,
    hint_right_keys_ordered: bool | None = None,
    hint_right_keys_unique: bool | None = None,
    chunk_size: int = 1 << 20,
) -> None:
    """
    Write the rows of two tables whose keys are equal, side by side, to a third one.

    Parameters
    ----------
    left, right
        The tables.
    dest
        Where to write; may be one of them.
    left_on, right_on
        Key of each: name of a field or the field, or a tuple of them. Any field type; NaN equals
        NaN. Not used by ``cross``.
    left_fields, right_fields
        Names of the fields to write; all by default.
    left_suffix, right_suffix
        Added to names that would be there twice.
    how
        ``left``: every left row, in order, once for each partner; ``right`` likewise; ``inner``:
        pairs only, ordered by the first left row with that key; ``outer``: as inner, rows without
        a partner too, the right ones last; ``cross``: every pair.
    hint_left_keys_ordered, hint_right_keys_ordered
        The keys of that side ascend. With both the merge is one linear pass; a wrong hint is an
        error.
    hint_left_keys_unique, hint_right_keys_unique, chunk_size
        Accepted for ExeTera's sake; not needed.

    Raises
    ------
    ValueError
        An argument is of another form, a field does not exist, lengths differ, or a hint is wrong.
        `dest` is left as it was.

    Notes
    -----
    What a row without a partner lacks is 0, False or the empty string, and a bool field ``valid_l``
    or ``valid_r`` (with the suffix) says for which rows that side is there; it is written only when
    some are not. With both hints and one key, names get a suffix only when they exist in `dest`
    already; else, names that both sides have get both suffixes. These are ExeTera's rules.
    """
    for side, frame in (("left", left), ("right", right), ("dest", dest)):
        if not isinstance(frame, DataFrame):
            raise ValueError(f"{side} is a {type(frame).__name__}, not a DataFrame")
    if how not in _HOW:
        raise ValueError(f"how is {how!r}; it can be one of {', '.join(map(repr, _HOW))}")
    left_names = _chosen(left, left_fields)
    right_names = _chosen(right, right_fields)
    hinted = bool(hint_left_keys_ordered) and bool(hint_right_keys_ordered)
    left_keys, right_keys = [], []
    if how != "cross":
        left_keys = _keys(left, left_on, "left_on")
        right_keys = _keys(right, right_on, "right_on")
        if isinstance(left_on, tuple) != isinstance(right_on, tuple):
            raise ValueError("left_on and right_on are both one key or both a tuple of keys")
        if len(left_keys) != len(right_keys):
            raise ValueError(f"{len(left_keys)} left keys for {len(right_keys)} right keys")
        _check_lengths(left, left_keys, left_names)
        _check_lengths(right, right_keys, right_names)
        _refuse_different_categories(left_keys, right_keys)
    single = len(left_keys) == 1 and how != "outer"
    with workspace(dest.dataset.settings) as work:
        pairs = _pairs(left, right, left_keys, right_keys, how, hinted, work)
        left_rows, right_rows = both_sides(work, pairs)
        sides = [
            (left, left_names, left_rows, left_suffix),
            (right, right_names, right_rows, right_suffix),
        ]
        with dest.atomic():
            _write(dest, sides, only_on_clash=hinted and single)


def _chosen(frame: DataFrame, names: Sequence[str] | None) -> list[str]:
    if names is None:
        return frame.keys()
    names = [names] if isinstance(names, str) else list(names)
    return frame.selected(names) if names else []


def _keys(frame: DataFrame, on: Keys, what: str) -> list[Field]:
    found = []
    for key in on if isinstance(on, tuple) else (on,):
        if isinstance(key, Field):
            found.append(key)
        elif isinstance(key, str):
            found.append(frame[key])
        else:
            raise ValueError(f"{what} is a name or a tuple of names, not {on!r}")
    if not found:
        raise ValueError(f"{what} is empty")
    return found


def _check_lengths(frame: DataFrame, keys: Sequence[Field], names: Sequence[str]) -> None:
    lengths = {len(key) for key in keys} | {len(frame[name]) for name in names}
    if len(lengths) > 1:
        raise DataError(
            f"the keys and fields of {frame.name!r} have different lengths: {sorted(lengths)}"
        )


def _pairs(
    left: DataFrame,
    right: DataFrame,
    left_keys: Sequence[Field],
    right_keys: Sequence[Field],
    how: str,
    hinted: bool,
    work: Workspace,
) -> Generator[tuple[AnyArray, AnyArray]]:
    """Row numbers of both sides of the result, -1 where a side has none, some at a time."""
    if how == "cross":
        return row_pairs.cross_pairs(left.length(), right.length())
    sources = source_of(left_keys), source_of(right_keys)
    if hinted:
        return merge_join.ordered_pairs(*sources, how, work)  # type: ignore[arg-type]
    return unsorted_join.join_rows(*sources, how, work)  # type: ignore[arg-type]


def _refuse_different_categories(left: Sequence[Field], right: Sequence[Field]) -> None:
    for one, other in zip(left, right, strict=True):
        keys = [_names_of_codes(field) for field in (one, other)]
        if None not in keys and keys[0] != keys[1]:
            raise DataError(
                f"{one.describe()} and {other.describe()} name their categories differently: "
                f"{keys[0]} and {keys[1]}; remap one of them first"
            )


def _names_of_codes(field: Field) -> dict[int, str] | None:
    if field.type_name != "categorical":
        return None
    return {
        code: name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
        for code, name in field.keys.items()  # type: ignore[attr-defined]
    }


def _write(
    dest: DataFrame,
    sides: Sequence[tuple[DataFrame, list[str], RowNumbers, str]],
    *,
    only_on_clash: bool,
) -> None:
    shared = set(sides[0][1]) & set(sides[1][1])
    for frame, names, rows, suffix in sides:
        for name in names:
            clash = name in dest if only_on_clash else name in shared
            field = frame[name]
            result = field.create_like(dest, name + suffix if clash else name)
            with closing(filters.chosen(field, rows)) as columns:
                for column in columns:
                    result.append(column, given=True)
    for _, _, rows, suffix in sides:
        if rows.incomplete:
            flag = f"valid{suffix}"
            if flag in dest:
                raise NameTakenError(
                    f"{flag!r} exists already in {dest.name!r}, from an earlier merge: give "
                    "left_suffix or right_suffix another value"
                )
            there = dest.create_numeric(flag, "bool")
            for numbers in rows.blocks():
                there.append(numbers >= 0)
