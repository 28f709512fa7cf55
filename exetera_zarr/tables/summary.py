"""Summaries of the fields of a table: what there is, what is missing, and how it is distributed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any

from exetera_zarr.engine import is_strings
from exetera_zarr.engine.columns import selection, strings
from exetera_zarr.engine.group import frequencies
from exetera_zarr.errors import DataError, listing
from exetera_zarr.fields.missing.companions import any_missing, masked_reader
from exetera_zarr.fields.sources import source_of, workspace
from exetera_zarr.fields.statistics import figures
from exetera_zarr.tables.exetera_summary import selected
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from exetera_zarr.engine import Column
    from exetera_zarr.engine.streams.source import Source
    from exetera_zarr.fields.base import Field
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["Summary", "describe"]

_ROWS = (
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

    def _lines(self) -> list[list[str]]:
        """A line for each field, and one of heads, of what at least one field has."""
        heads = [row for row in _ROWS if any(row in found for found in self._fields.values())]
        lines = [["", *heads]]
        for name, found in self._fields.items():
            lines.append([visible(name), *(_cell(found.get(row, "")) for row in heads)])
        return lines

    def __repr__(self) -> str:
        lines = self._lines()
        widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if at == 0 else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )

    def _repr_html_(self) -> str:
        heads, *lines = self._lines()
        head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
        body = "".join(
            f"<tr><th>{escape(line[0])}</th>"
            + "".join(f'<td style="text-align:right">{escape(cell)}</td>' for cell in line[1:])
            + "</tr>"
            for line in lines
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = f"{value:%Y-%m-%d %H:%M:%S}" if hasattr(value, "strftime") else visible(value)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


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
    found: dict[str, Any] = {"count": count, "missing": len(field) - count}
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
