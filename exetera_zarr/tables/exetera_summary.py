"""Summaries of the fields of a table as ExeTera makes them."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.engine import is_strings
from exetera_zarr.engine.columns import strings
from exetera_zarr.engine.group import frequencies
from exetera_zarr.errors import ArgumentError, DataError, FieldNotFoundError, listing
from exetera_zarr.fields.sources import source_of, workspace
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from exetera_zarr.engine.streams.source import Source
    from exetera_zarr.engine.streams.workspace import Workspace
    from exetera_zarr.fields.base import Field
    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["describe", "selected"]

_NUMBERS = ("mean", "std", "min", "25%", "50%", "75%", "max")
_CATEGORIES = ("unique", "top", "freq")
# ExeTera passes these to numpy.percentile: they are a quarter of one percent, and so on.
_PERCENTILES = {"25%": 0.25, "50%": 0.5, "75%": 0.75}
_NONE = "NaN"
_FIELDS_ABREAST = 5


def describe(
    frame: DataFrame, include: Any = None, exclude: Any = None, output: str = "terminal"
) -> dict[str, list[Any]]:
    """See `DataFrame.describe`."""
    fields = {name: frame[name] for name in selected(frame, include, exclude)}
    rows = ["count", *_NUMBERS]
    if not all(_is_number(field) for field in fields.values()):
        rows.extend(_CATEGORIES)
    with workspace(frame.dataset.settings) as work:
        summaries = [_summary(field, work) for field in fields.values()]
    result: dict[str, list[Any]] = {"fields": list(fields)}
    result |= {row: [summary.get(row, _NONE) for summary in summaries] for row in rows}
    if output == "terminal":
        print("\n".join(_table(result)))
    return result


# -- which fields


def selected(frame: DataFrame, include: Any, exclude: Any) -> list[str]:
    """The names that `include` and `exclude` of `DataFrame.describe` leave."""
    names, types = _criteria("include", include)
    unwanted, unwanted_types = _criteria("exclude", exclude)
    if exclude is not None:
        if isinstance(include, str):
            raise ArgumentError("with one name, or 'all', to include there is nothing to exclude")
        if (names and unwanted) or (types and unwanted_types):
            raise ArgumentError("include and exclude are not both names, nor both types")
    chosen = _included(frame, include, names, types)
    if missing := [name for name in unwanted if name not in frame]:
        raise FieldNotFoundError(f"there are no fields {missing}; there are: {listing(frame)}")
    kept = [
        name for name in chosen if name not in unwanted and not _is_of(frame[name], unwanted_types)
    ]
    if not kept:
        raise DataError(f"no field of {frame.name!r} is left to describe")
    return kept


def _criteria(what: str, given: Any) -> tuple[list[str], list[type]]:
    """Names, and types, in an argument that is one of either, a list of either, or None."""
    items = given if isinstance(given, list) else [] if given is None else [given]
    if all(isinstance(item, str) for item in items):
        return items, []
    if all(isinstance(item, (type, np.dtype)) for item in items):
        return [], items
    raise ArgumentError(f"{what} is a name, a type, or a list of names or of types, not {given!r}")


def _included(frame: DataFrame, include: Any, names: list[str], types: list[type]) -> list[str]:
    if include is None:
        return [name for name, field in frame.items() if _is_number(field)]
    if include == "all":
        return frame.keys()
    if types:
        found = [name for kind in types for name, field in frame.items() if _is_of(field, [kind])]
        return list(dict.fromkeys(found))
    found = [name for name in names if name in frame]
    if not found:
        raise FieldNotFoundError(f"there are no fields {names}; there are: {listing(frame)}")
    return found


def _is_of(field: Field, types: list[type]) -> bool:
    return not field.indexed and any(np.issubdtype(field.data.dtype, kind) for kind in types)


def _is_number(field: Field) -> bool:
    return field.type_name in ("numeric", "timestamp")


# -- what is said of one field


def _summary(field: Field, work: Workspace) -> Mapping[str, Any]:
    if _is_number(field):
        return {"count": len(field)} | {
            row: f"{value:.2f}" for row, value in _of_numbers(field).items()
        }
    if field.type_name == "categorical":
        return {"count": len(field)} | _of_codes(field)
    mode = frequencies.most_frequent(_as_strings(source_of([field])), work)
    if mode is None:
        return {"count": 0, "unique": 0}
    top = mode.value.decode("utf-8", "surrogateescape") if field.indexed else mode.value
    return {"count": len(field), "unique": mode.distinct, "top": top, "freq": mode.rows}


def _as_strings(source: Source) -> Source:
    (empty,) = source.empty
    if is_strings(empty):
        return source
    return replace(
        source,
        empty=[strings.from_fixed(empty)],
        read=lambda start, stop: [strings.from_fixed(source.read(start, stop)[0])],
        step=source.block,
    )


def _of_codes(field: Field) -> dict[str, int]:
    counts: Counter[int] = Counter()
    for column in field.blocks():
        codes, numbers = np.unique(np.asarray(column), return_counts=True)
        counts.update(dict(zip(codes.tolist(), numbers.tolist(), strict=True)))
    if not counts:
        return {"unique": 0}
    top = min(counts, key=lambda code: (-counts[code], code))
    return {"unique": len(counts), "top": top, "freq": counts[top]}


def _of_numbers(field: Field) -> dict[str, float]:
    """Two passes: of the rows only those that a low percentile needs are kept."""
    count = len(field)
    if count == 0:
        return {}
    with np.errstate(all="ignore"):
        sums, least = [], np.empty(0)
        low, high = math.inf, -math.inf
        for values in _blocks(field):
            if np.isnan(values).any():
                return dict.fromkeys(_NUMBERS, math.nan)
            sums.append(float(values.sum()))
            low, high = min(low, float(values.min())), max(high, float(values.max()))
            least = _least(np.concatenate([least, values]), count)
        mean = math.fsum(sums) / count if all(map(math.isfinite, sums)) else sum(sums) / count
        squares = math.fsum(float(np.square(values - mean).sum()) for values in _blocks(field))
        percentiles = {row: _percentile(least, q, count) for row, q in _PERCENTILES.items()}
    found = {"mean": mean, "std": math.sqrt(squares / count), "min": low, "max": high}
    return found | percentiles


def _blocks(field: Field) -> Iterator[AnyArray]:
    return (np.asarray(column).astype(np.float64) for column in field.blocks())


def _least(values: AnyArray, count: int) -> AnyArray:
    """The least values, as many as the percentiles of `count` rows need."""
    needed = math.floor(max(_PERCENTILES.values()) / 100 * (count - 1)) + 2
    return np.partition(values, needed)[:needed] if len(values) > needed else values


def _percentile(least: AnyArray, percent: float, count: int) -> float:
    position = percent / 100 * (count - 1)
    ordered = np.sort(least)
    below = math.floor(position)
    above = min(below + 1, count - 1)
    return float(ordered[below] + (ordered[above] - ordered[below]) * (position - below))


# -- printing


def _table(result: Mapping[str, list[Any]]) -> Iterator[str]:
    rows = ["fields", "count", *_CATEGORIES, *_NUMBERS]
    for start in range(0, len(result["fields"]), _FIELDS_ABREAST):
        for row in rows:
            if row in result:
                cells = result[row][start : start + _FIELDS_ABREAST]
                yield "\t".join([row, *(f"{visible(cell):>15}" for cell in cells)])
        yield ""
