"""Representations for notebooks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from exetera_zarr.tables.overview import TableInfo, describe_dataset, describe_table
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exetera_zarr.fields.base import Field
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.dataset import Dataset
    from exetera_zarr.tables.session import Session

__all__ = ["dataset_html", "field_html", "session_html", "table_html"]

_MOST = 60


def _rows(count: int | None) -> str:
    return "unequal" if count is None else f"{count:,}"


def _grid(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A plain table; every cell is escaped, and columns of numbers are set to the right."""
    body = list(lines)
    numbers = [
        bool(body) and all(line[n].replace(",", "").isdigit() for line in body)
        for n in range(len(heads))
    ]
    style = [f' style="text-align: {"right" if number else "left"}"' for number in numbers]
    head = "".join(f"<th{s}>{escape(visible(h))}</th>" for s, h in zip(style, heads, strict=True))
    shown = [
        "".join(f"<td{s}>{escape(visible(cell))}</td>" for s, cell in zip(style, line, strict=True))
        for line in body[:_MOST]
    ]
    if len(body) > _MOST:
        more = f'<td colspan="{len(heads)}">and {len(body) - _MOST:,} more</td>'
        shown.append(more)
    rows = "".join(f"<tr>{line}</tr>" for line in shown)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _titled(title: str, content: str) -> str:
    return f"<div><strong>{escape(visible(title))}</strong>{content}</div>"


def _fields(table: TableInfo) -> str:
    lines = [(field.name, field.type, _rows(field.rows)) for field in table.fields]
    return _grid(("field", "type", "rows"), lines)


def session_html(session: Session) -> str:
    """A session: its open datasets."""
    lines = [(name, ds.url, str(len(ds))) for name, ds in session.datasets.items()]
    return _titled("Session", _grid(("dataset", "place", "tables"), lines))


def dataset_html(dataset: Dataset) -> str:
    """A dataset: its tables."""
    tables = describe_dataset(dataset)
    lines = [(t.name or "(top level)", str(len(t.fields)), _rows(t.rows)) for t in tables]
    title = f"Dataset {dataset.name}, version {dataset.version} of {dataset.url}"
    return _titled(title, _grid(("table", "fields", "rows"), lines))


def table_html(table: DataFrame) -> str:
    """A table: its fields."""
    about = describe_table(table)
    title = f"{about.name}: {len(about.fields)} fields, {_rows(about.rows)} rows"
    return _titled(title, _fields(about))


def field_html(field: Field) -> str:
    """A field: its type, rows and, where there are any, its categories."""
    title = f"{field.phrase()}: {field.fieldtype}, {len(field):,} rows"
    keys = getattr(field, "keys", None)
    if not isinstance(keys, dict):
        return _titled(title, "")
    lines = [
        (str(code), name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name))
        for code, name in keys.items()
    ]
    return _titled(title, _grid(("code", "category"), lines))
