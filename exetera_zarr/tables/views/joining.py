"""`DataFrame.merge`: the result of a merge with its keys once, as a table of the session's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exetera_zarr.errors import ArgumentError, ArgumentTypeError, DataError, listing
from exetera_zarr.tables.dataframe import DataFrame
from exetera_zarr.tables.merge import How, merge
from exetera_zarr.tables.views.new_tables import new_table

if TYPE_CHECKING:
    from exetera_zarr.fields.base import Field

__all__ = ["merged"]


def merged(
    left: DataFrame,
    right: DataFrame,
    how: How,
    on: str | list[str] | None,
    left_on: str | list[str] | None,
    right_on: str | list[str] | None,
    suffixes: tuple[str, str],
) -> DataFrame:
    """Merge two tables; parameters and errors are those of `DataFrame.merge`."""
    if not isinstance(right, DataFrame):
        raise ArgumentTypeError(
            f"a table is merged with a table or a view, not with a {type(right).__name__}: "
            "ds.from_pandas, from_polars and from_dict make tables"
        )
    result = new_table(left.dataset, left.name)
    if how == "cross":
        merge(left, right, result, "", "", None, None, *suffixes, how="cross")
        return result
    if (left_on is None) != (right_on is None) or (on is not None and left_on is not None):
        raise ArgumentError("merge takes `on` for names that are in both, or left_on and right_on")
    if left_on is not None and right_on is not None:
        merge(left, right, result, left_on, right_on, None, None, *suffixes, how=how)
        _without_flags(result, suffixes)
        return result
    keys = _shared(left, right) if on is None else left.selected(on)
    right.selected(keys)
    _with_keys_once(left, right, result, how, keys, suffixes)
    return result


def _shared(left: DataFrame, right: DataFrame) -> list[str]:
    """The names that both tables have, but for when an import made the rows: that is no key."""
    from exetera_zarr.journal.snapshots import VALID_FROM, VALID_TO

    of_right = set(right.own_columns()) - {VALID_FROM, VALID_TO}
    keys = [name for name in left.own_columns() if name in of_right]
    if not keys:
        raise ArgumentError(
            f"{left.name!r} and {right.name!r} have no field of the same name: give left_on and "
            f"right_on; there are {listing(left.keys())}, and {listing(right.keys())}"
        )
    return keys


def _with_keys_once(
    left: DataFrame,
    right: DataFrame,
    result: DataFrame,
    how: How,
    keys: list[str],
    suffixes: tuple[str, str],
) -> None:
    of_left, of_right = left.own_columns(), right.own_columns()
    if how == "outer":
        _check_types(left, right, keys)
    if how == "right":
        of_left = [name for name in of_left if name not in keys]
    elif how != "outer":
        of_right = [name for name in of_right if name not in keys]
    merge(left, right, result, keys, keys, of_left, of_right, *suffixes, how=how)
    if how == "outer":
        _coalesce(result, keys, suffixes)
    _without_flags(result, suffixes)
    # As in pandas, the keys are where the left table has them.
    called = [name if name in result else name + suffixes[0] for name in left.own_columns()]
    first = [name for name in called if name in result]
    result.group.reorder([*first, *(name for name in result if name not in first)])


def _check_types(left: DataFrame, right: DataFrame, keys: list[str]) -> None:
    """DataError where the keys of both sides cannot be in one field."""
    for name in keys:
        one, other = left[name], right[name]
        if one.type_attributes() != other.type_attributes():
            raise DataError(
                f"an outer merge has each key in one field, and {one.phrase()} is of the type "
                f"{one.fieldtype}, {other.phrase()} of {other.fieldtype}: give both the same type, "
                "categories and missing codes first, or merge by left_on and right_on, which keeps "
                "both"
            )


def _coalesce(result: DataFrame, keys: list[str], suffixes: tuple[str, str]) -> None:
    """Make one field of the keys of both sides: those of the left, then of the right rows alone."""
    flag = f"valid{suffixes[0]}"
    paired = int(result[flag].data[:].sum()) if flag in result else result.length()
    for name in keys:
        first, second = (result[name + suffix] for suffix in suffixes)
        made = result[first.name].create_like(result, name)
        _append_rows(made, first, 0, paired)
        _append_rows(made, second, paired, len(second))
    for name in keys:
        for suffix in suffixes:
            del result[name + suffix]


def _append_rows(made: Field, field: Field, start: int, stop: int) -> None:
    """Append the rows of a field from one number to another."""
    at = 0
    for column, mask in field.masked_blocks():
        low, high = max(start - at, 0), min(stop - at, len(column))
        if low < high:
            some = column[low:high]
            made.append_masked(some, None if mask is None else mask[low:high])
        at += len(column)


def _without_flags(result: DataFrame, suffixes: tuple[str, str]) -> None:
    """Delete what says which rows have a partner, where no field needs that."""
    for suffix in suffixes:
        flag = f"valid{suffix}"
        if flag in result and not result.users_of(flag):
            del result[flag]
