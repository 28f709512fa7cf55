"""Summaries of the fields of a table: what there is, what is missing, and how it is distributed."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from exetera_zarr.engine import is_strings
from exetera_zarr.engine.columns import selection, strings
from exetera_zarr.engine.group import frequencies
from exetera_zarr.errors import DataError, listing
from exetera_zarr.fields.missing.companions import any_missing, masked_reader
from exetera_zarr.fields.sources import source_of, workspace
from exetera_zarr.fields.statistics import figures
from exetera_zarr.tables.exetera_summary import selected
from exetera_zarr.tables.seeing.grids import columns_that_fit, lines_of, terminal_width, width_of
from exetera_zarr.tables.seeing.preview import MISSING, cell

if TYPE_CHECKING:
    from exetera_zarr.engine import Column
    from exetera_zarr.engine.streams.source import Source
    from exetera_zarr.fields.base import Field
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["Summary", "describe"]

_ROWS = (
    "label",
    "unit",
    "count",
    "missing",
    "mean",
    "std",
    "min",
    "25%",
    "50%",
    "75%",
    "max",
    "unique",
    "top",
    "freq",
)
_QUARTILES = {"25%": 0.25, "50%": 0.5, "75%": 0.75}
_WIDEST = 24
_DAY = 86400


class Summary(Mapping[str, Mapping[str, Any]]):
    """
    What `DataFrame.describe` found: ``summary["age"]["mean"]``.

    Parameters
    ----------
    table
        Name of the table.
    fields
        For each field, by its name, what is said of it.
    """

    def __init__(self, table: str, fields: Mapping[str, Mapping[str, Any]]) -> None:
        self.table = table
        self._fields = dict(fields)

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """The same as plain dicts."""
        return {name: dict(found) for name, found in self._fields.items()}

    def _columns(self) -> tuple[list[str], list[list[str]]]:
        """What is said, by name, and for each field a column of it."""
        heads = [row for row in _ROWS if any(row in found for found in self._fields.values())]
        columns = [
            [cell(name, _WIDEST), *(_cell(found, row) for row in heads)]
            for name, found in self._fields.items()
        ]
        return ["", *heads], columns

    def __repr__(self) -> str:
        heads, columns = self._columns()
        first = max(map(width_of, heads))
        blocks, rest = [], columns
        while rest:  # as many fields abreast as fit
            widths = [first, *(max(map(width_of, column)) for column in rest)]
            fit = max(columns_that_fit(widths, terminal_width(), mark=0) - 1, 1)
            here, rest = rest[:fit], rest[fit:]
            lines = zip(heads, *here, strict=True)
            kept = [line for line in lines if not line[0] or any(line[1:])]
            right = [False, *[True] * len(here)]
            blocks.append("\n".join(lines_of(list(zip(*kept, strict=True)), right)))
        return "\n\n".join(blocks)

    def _repr_html_(self) -> str:
        from exetera_zarr.tables.html import summary_html

        return summary_html(self.table, *self._columns())


def _cell(found: Mapping[str, Any], row: str) -> str:
    """One of the things that are said of a field; nothing where it does not apply."""
    if row not in found:
        return ""
    value = found[row]
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if row == "std" and isinstance(found["mean"], dt.datetime):
        return f"{value / _DAY:.6g} days" if value >= _DAY else f"{value:.6g} s"
    if isinstance(value, dt.datetime):
        text = f"{value:%Y-%m-%d %H:%M:%S}"
        return text.removesuffix(" 00:00:00")
    if isinstance(value, float):
        return f"{value:.6g}"
    return cell(value, _WIDEST) or "''"


def describe(frame: DataFrame, include: Any = None, exclude: Any = None) -> Summary:
    """See `DataFrame.describe`."""
    hidden = set(frame.companions().values())
    names = selected(frame, "all" if include is None and exclude is None else include, exclude)
    named = include if isinstance(include, list) else [include]
    kept = [name for name in names if name in named or name not in hidden]
    if not kept:
        raise DataError(
            f"no field of {frame.name!r} is left to describe but {listing(names)}, which say what "
            "is missing of others: include them by name"
        )
    return Summary(frame.name, {name: _summary(frame[name]) for name in kept})


def _summary(field: Field) -> dict[str, Any]:
    count = field.count()
    said = {"label": field.label, "unit": field.unit}
    found: dict[str, Any] = {key: text for key, text in said.items() if text is not None}
    found |= {"count": count, "missing": len(field) - count}
    if field.type_name in ("numeric", "timestamp") and field.dtype_of_rows.kind != "b":
        found |= {"mean": field.mean(), "std": field.std(), "min": field.min()}
        quartiles = field.quantile(list(_QUARTILES.values()))
        found |= dict(zip(_QUARTILES, quartiles, strict=True))
        return found | {"max": field.max()}
    if field.type_name in ("numeric", "categorical"):
        counts = field.value_counts()
        top = next(iter(counts), None)
        return found | {"unique": len(counts), "top": top, "freq": counts.get(top, 0)}
    with workspace(field.settings) as work:
        mode = frequencies.most_frequent(_as_strings(field), work)
    if mode is None:
        return found | {"unique": 0, "top": None, "freq": 0}
    top = figures.shown(field, mode.value)
    return found | {"unique": mode.distinct, "top": top, "freq": mode.rows}


def _as_strings(field: Field) -> Source:
    """The strings that there are, whatever their length, as a source."""
    source = source_of([field])
    read_masked = masked_reader(field)[1] if any_missing(field) else None

    def read(start: int, stop: int) -> list[Column]:
        (column,), mask = source.read(start, stop), None
        if read_masked is not None:
            column, mask = read_masked(start, stop)
        texts = column if is_strings(column) else strings.from_fixed(column)
        return [texts if mask is None else selection.compress(texts, mask)]

    return replace(source, empty=[strings.encode([])], read=read)
