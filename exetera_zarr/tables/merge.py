"""Merging two tables by keys."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from exetera_zarr.engine.join import merge_join, row_pairs, unsorted_join
from exetera_zarr.engine.streams.row_gather import RowNumbers, both_sides
from exetera_zarr.errors import ArgumentError, DataError, NameTakenError, listing_lengths
from exetera_zarr.fields import filters
from exetera_zarr.fields.base import Field
from exetera_zarr.fields.missing.companions import (
    COMPANION,
    COMPANION_OF,
    add_companion,
    holds_nan,
    in_place_of_missing,
    link,
)
from exetera_zarr.fields.missing.keys import apart, check_comparable, key_source
from exetera_zarr.fields.progress import watched
from exetera_zarr.fields.sources import workspace
from exetera_zarr.tables.dataframe import DataFrame
from exetera_zarr.tables.neighbours.verbs_on_dask import cluster_run
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from exetera_zarr.engine.streams.workspace import Workspace
    from exetera_zarr.fields.progress import Tick
    from exetera_zarr.storage.base import AnyArray

__all__ = ["How", "MissingKeys", "merge"]

MissingKeys: TypeAlias = Literal["equal", "never", "drop"]

How: TypeAlias = Literal["left", "right", "inner", "outer", "cross"]
Keys = str | Field | Sequence[str | Field]


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
    missing_keys: MissingKeys = "equal",
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
        Key of each: name of a field or the field, or a list or tuple of them. Any field type; NaN
        equals NaN. Categories go with the same categories only. Not used by ``cross``.
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

    missing_keys
        ``"equal"``: a key that is missing is equal to others that are; ``"never"``: it is equal to
        none, so its row has no partner; ``"drop"``: such rows are not in the result at all.

    Raises
    ------
    ValueError
        An argument is of another form, a field does not exist, lengths differ, or a hint is wrong.
        `dest` is left as it was.
    TypeError
        Keys do not go together, such as numbers and categories.

    Notes
    -----
    What a row without a partner lacks is 0, False or the empty string, and a bool field ``valid_l``
    or ``valid_r`` (with the suffix) says for which rows that side is there; it is written only when
    some are not. With both hints and one key, names get a suffix only when they exist in `dest`
    already; else, names that both sides have get both suffixes. These are ExeTera's rules.
    """
    for side, frame in (("left", left), ("right", right), ("dest", dest)):
        if not isinstance(frame, DataFrame):
            raise ArgumentError(f"{side} is a {type(frame).__name__}, not a DataFrame")
    if missing_keys not in get_args(MissingKeys):
        raise ArgumentError(f"missing_keys is 'equal', 'never' or 'drop', not {missing_keys!r}")
    if how not in get_args(How):
        raise ArgumentError(
            f"how is {how!r}; it can be one of {', '.join(map(repr, get_args(How)))}"
        )
    left_names = _chosen(left, left_fields)
    right_names = _chosen(right, right_fields)
    hinted = bool(hint_left_keys_ordered) and bool(hint_right_keys_ordered)
    left_keys, right_keys = [], []
    if how != "cross":
        left_keys = _keys(left, left_on, "left_on")
        right_keys = _keys(right, right_on, "right_on")
        if isinstance(left_on, (list, tuple)) != isinstance(right_on, (list, tuple)):
            raise ArgumentError(
                "left_on and right_on are both one key, or both a list or tuple of keys"
            )
        if len(left_keys) != len(right_keys):
            raise ArgumentError(f"{len(left_keys)} left keys for {len(right_keys)} right keys")
        _check_lengths(left, left_keys, left_names)
        _check_lengths(right, right_keys, right_names)
        check_comparable(left_keys, right_keys)
        _refuse_different_categories(left_keys, right_keys)
    single = len(left_keys) == 1 and how != "outer"
    watch = watched(dest.dataset.settings, f"merge {left.name} and {right.name}", None)
    run = None
    if how != "cross" and missing_keys == "equal":
        run = cluster_run("merge", [left, right], dest)
    with ExitStack() as stack:
        work = stack.enter_context(workspace(dest.dataset.settings))
        tick = stack.enter_context(watch)
        found: tuple[RowNumbers, RowNumbers] | None = None
        if run is not None:
            stack.enter_context(run)
            found = run.pairs(left, right, left_keys, right_keys, how, hinted=hinted)
        if found is None:
            pairs = _pairs(left, right, left_keys, right_keys, how, hinted, work, missing_keys)
            found = both_sides(work, pairs)
        left_rows, right_rows = found
        sides = [
            (left, left_names, left_rows, left_suffix),
            (right, right_names, right_rows, right_suffix),
        ]
        with dest.atomic():
            _write(dest, sides, tick, only_on_clash=hinted and single)
            labels = _label(dest, left, right)
            dest.note("merge", left, right, how=how, rows=len(left_rows), **labels)


def _chosen(frame: DataFrame, names: Sequence[str] | None) -> list[str]:
    if names is None:
        return frame.keys()
    names = [names] if isinstance(names, str) else list(names)
    return frame.selected(names) if names else []


def _keys(frame: DataFrame, on: Keys, what: str) -> list[Field]:
    found = []
    for key in on if isinstance(on, (list, tuple)) else (on,):
        if isinstance(key, Field):
            found.append(key)
        elif isinstance(key, str):
            found.append(frame[key])
        else:
            raise ArgumentError(f"{what} is a name, or a list or tuple of names, not {on!r}")
    if not found:
        raise ArgumentError(f"{what} is empty")
    return found


def _check_lengths(frame: DataFrame, keys: Sequence[Field], names: Sequence[str]) -> None:
    lengths = {str(key.name): len(key) for key in keys}
    lengths |= {name: len(frame[name]) for name in names}
    if len({*map(len, keys), *lengths.values()}) > 1:
        raise DataError(
            f"the keys and fields of {frame.name!r} have different lengths: "
            f"{listing_lengths(lengths)}; write as many rows to each"
        )
    frame.refuse_ragged()


def _pairs(
    left: DataFrame,
    right: DataFrame,
    left_keys: Sequence[Field],
    right_keys: Sequence[Field],
    how: str,
    hinted: bool,
    work: Workspace,
    missing_keys: MissingKeys,
) -> Generator[tuple[AnyArray, AnyArray]]:
    """Row numbers of both sides of the result, -1 where a side has none, some at a time."""
    if how == "cross":
        return row_pairs.cross_pairs(left.length(), right.length())
    (left_source, right_source), split = key_source(left_keys, right_keys)
    if missing_keys != "equal":
        left_source, left_lacks = apart(left_keys, left_source, odd=True)
        right_source, right_lacks = apart(right_keys, right_source, odd=False)
        found = unsorted_join.join_rows(left_source, right_source, how, work)  # type: ignore[arg-type]
        return _without(found, left_lacks, right_lacks) if missing_keys == "drop" else found
    if hinted and not any(split):
        return merge_join.ordered_pairs(left_source, right_source, how, work)  # type: ignore[arg-type]
    return unsorted_join.join_rows(left_source, right_source, how, work)  # type: ignore[arg-type]


def _without(
    pairs: Generator[tuple[AnyArray, AnyArray]],
    left_lacks: Callable[[AnyArray], AnyArray],
    right_lacks: Callable[[AnyArray], AnyArray],
) -> Generator[tuple[AnyArray, AnyArray]]:
    """The pairs without the rows, which have no partner, whose key is missing."""
    with closing(pairs):
        for left, right in pairs:
            kept = ~((right < 0) & left_lacks(left)) & ~((left < 0) & right_lacks(right))
            yield left[kept], right[kept]


def _refuse_different_categories(left: Sequence[Field], right: Sequence[Field]) -> None:
    for one, other in zip(left, right, strict=True):
        keys = [_names_of_codes(field) for field in (one, other)]
        if None not in keys and keys[0] != keys[1]:
            raise DataError(
                f"{one.phrase()} and {other.phrase()} name their categories differently: "
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
    tick: Tick,
    *,
    only_on_clash: bool,
) -> None:
    all_called = _names_in_result(dest, sides, only_on_clash=only_on_clash)
    for (frame, _, rows, suffix), called in zip(sides, all_called, strict=True):
        flag = f"valid{suffix}" if rows.incomplete else None
        written = {}
        fill = getattr(rows, "fill", None)  # by which tasks do it
        for name, new in called.items():
            field = frame[name]
            result = field.create_like(dest, new)
            written[name] = result
            if fill is None:
                _append_chosen(result, field, rows)
                tick(len(rows))
        if fill is not None and written:
            fill(written, nan_alone=frame.dataset.settings.face.sees_missing)
        if flag is not None:
            there = dest.create_numeric(flag, "bool")
            for numbers in rows.blocks():
                there.append(numbers >= 0)
        if frame.dataset.settings.face.sees_missing:
            _link(frame, written, rows, flag)


def _label(dest: DataFrame, left: DataFrame, right: DataFrame) -> dict[str, str]:
    """
    Give a result without a label that of a side; where both have one, the left one wins.

    Returns
    -------
    dict
        Where that was decided between two: ``label``, and ``instead_of`` the other.
    """
    if dest.label is not None:
        return {}
    first, second = left.label, right.label
    dest.label = second if first is None else first
    if first is None or second in (None, first):
        return {}
    warnings.warn(
        visible(
            f"the tables {left.name!r} and {right.name!r} have different labels: {dest.name!r} "
            f"has that of {left.name!r}, {first!r}, and not {second!r}; set its label for another"
        ),
        UserWarning,
        stacklevel=3,
    )
    return {"label": str(first), "instead_of": str(second)}


def _names_in_result(
    dest: DataFrame,
    sides: Sequence[tuple[DataFrame, list[str], RowNumbers, str]],
    *,
    only_on_clash: bool,
) -> list[dict[str, str]]:
    """
    What the fields of each side are called in the result.

    Raises
    ------
    NameTakenError
        One of them, or a field that is there, has the name of what says where no partner is.
    """
    shared = set(sides[0][1]) & set(sides[1][1])
    taken, found = set(dest.keys()), []
    for _, names, rows, suffix in sides:
        clashes = taken if only_on_clash else shared
        called = {name: name + suffix if name in clashes else name for name in names}
        found.append(called)
        taken |= {*called.values(), *([f"valid{suffix}"] if rows.incomplete else ())}
    others = {*dest.keys(), *(new for called in found for new in called.values())}
    for _, _, rows, suffix in sides:
        flag = f"valid{suffix}"
        if rows.incomplete and flag in others:
            raise NameTakenError(
                f"the merge has to say in {flag!r} for which rows there is a partner, and "
                f"another field of {dest.name!r} would have that name: give left_suffix or "
                "right_suffix another value"
            )
    return found


def _append_chosen(result: Field, field: Field, rows: RowNumbers) -> None:
    """The chosen rows of a field; a float that has no partner is NaN, unless ExeTera says 0."""
    of_floats = holds_nan(field.empty_column()) and field.face.sees_missing
    start = 0
    with closing(filters.chosen(field, rows)) as columns:
        for column in columns:
            stop = start + len(column)
            if of_floats and (alone := rows.read(start, stop) < 0).any():
                column = in_place_of_missing(column, ~alone)  # noqa: PLW2901
            result.append(column, given=True)
            start = stop


def _link(
    frame: DataFrame, written: Mapping[str, Field], rows: RowNumbers, flag: str | None
) -> None:
    """Have each field of the result know which field says what is missing of it."""
    for name, result in written.items():
        companion = frame[name].validity
        if companion is not None and companion.name in written:
            made_by_itself = COMPANION_OF in companion.group.attributes
            owner = result.name if made_by_itself else None
            link(result.group, written[str(companion.name)].group, owner=owner)
        elif companion is not None:
            made = add_companion(result)
            if (fill := getattr(rows, "fill", None)) is not None:
                fill({str(companion.name): made})
                continue
            with closing(filters.chosen(companion, rows)) as masks:
                for mask in masks:
                    made.append(mask)
        elif flag is not None and not holds_nan(result.empty_column()):
            is_companion = any(
                other.validity is not None and other.validity.name == name
                for other in (frame[each] for each in written)
            )
            if not is_companion:
                result.group.update_attributes({COMPANION: flag})
