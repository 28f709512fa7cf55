"""Representations for notebooks."""

from __future__ import annotations

from contextlib import suppress
from html import escape
from typing import TYPE_CHECKING

from exetera_zarr.fieldtypes import label_text
from exetera_zarr.storage.base import OWN_TABLES
from exetera_zarr.tables.overview import TO_THE_RIGHT
from exetera_zarr.tables.seeing.preview import (
    MISSING,
    ROWS,
    cell,
    cells,
    counted,
    is_number,
    names_and_rows,
    preview_of,
    spoken,
)
from exetera_zarr.tables.seeing.texts import (
    about,
    about_dataset,
    ended,
    first_of,
    labelled,
    problem,
    size_of,
    tables_of,
    version_of,
)
from exetera_zarr.tables.versions.difference import told
from exetera_zarr.texts import json_text, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exetera_zarr.fields.base import Field
    from exetera_zarr.storage.base import Commit
    from exetera_zarr.tables.codebook.book import Codebook
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.dataset import Dataset
    from exetera_zarr.tables.overview import TableInfo
    from exetera_zarr.tables.seeing.preview import Kept
    from exetera_zarr.tables.session import Session
    from exetera_zarr.tables.versions.difference import Difference

__all__ = [
    "codebook_html",
    "dataset_html",
    "difference_html",
    "field_html",
    "history_html",
    "info_html",
    "page",
    "session_html",
    "summary_html",
    "table_html",
]

_MOST = 60
_MOST_FIELDS = 20
"""How many fields of a table have their rows shown."""
_LONGEST = 60
_FAINT = "font-weight: normal; opacity: 0.7"
_STYLE = (
    "<style>body { font-family: sans-serif; margin: 2em } table { border-collapse: collapse; "
    "margin: 0.5em 0 2em } th, td { border: 1px solid #ccc; padding: 0.3em 0.6em; "
    "vertical-align: top }</style>"
)


def _grid(
    heads: Sequence[str],
    lines: Iterable[Sequence[str]],
    *,
    most: int | None = _MOST,
    and_more: int = 0,
) -> str:
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
        for line in body[:most]
    ]
    if most is not None:
        and_more += max(len(body) - most, 0)
    if and_more:
        more = f'<td colspan="{len(heads)}">and {and_more:,} more</td>'
        shown.append(more)
    rows = "".join(f"<tr>{line}</tr>" for line in shown)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _titled(title: str, content: str) -> str:
    return f"<div><strong>{escape(visible(title))}</strong>{content}</div>"


def page(title: str, content: str) -> str:
    """A whole page, to be kept as a file."""
    head = f'<meta charset="utf-8"><title>{escape(visible(title))}</title>{_STYLE}'
    return f"<!DOCTYPE html>\n<html><head>{head}</head><body>{content}</body></html>\n"


def _text(text: str | None) -> str:
    return f'<div style="margin: 0.3em 0">{escape(visible(text))}</div>' if text else ""


def difference_html(difference: Difference) -> str:
    """What differs between two versions: of each table its rows, and its columns below."""
    title = f"{difference.url}: version {difference.before} to {difference.after}"
    if not difference:
        return _titled(title, "<p>no differences</p>")
    heads = ("table", "", "rows before", "rows after", "added", "removed", "changed", "columns")
    lines = []
    for table in difference.tables:
        name = f"{table.name} (was {table.renamed_from})" if table.renamed_from else table.name
        counts = (table.rows_before, table.rows_after, table.added, table.removed, table.changed)
        other = [f"other {', '.join(table.codebook)}"] if table.codebook else []
        columns = "; ".join([*other, *(told(column) for column in table.columns)])
        lines.append((name, table.kind, *(f"{count:,}" for count in counts), columns))
    return _titled(title, _grid(heads, lines))


def session_html(session: Session) -> str:
    """A session: its open datasets."""
    lines = [
        (name, "closed" if ds.closed else about(ds), ds.url)
        for name, ds in session.datasets.items()
    ]
    if not lines:
        return _titled("Session without an open dataset", "")
    title = f"Session with {counted(len(lines), 'open dataset')}"
    return _titled(title, _grid(("dataset", "", "place"), lines))


def dataset_html(dataset: Dataset, kept: Kept) -> str:
    """A dataset: its version, and its tables with their sizes."""
    if dataset.closed:
        return _muted(repr(dataset))
    tables = tables_of(dataset, kept)
    heads = ("table", "size", "label")
    if not any(label for _, _, label in tables):
        heads, tables = heads[:2], [line[:2] for line in tables]  # type: ignore[assignment, misc]
    more = len(dataset) - len(tables)
    content = _grid(heads, tables) if tables else _muted("no tables")
    if more > 0:
        content += _muted(f"and {more:,} more")
    title = f"Dataset {dataset.name}"
    return _titled(title, _muted(about_dataset(dataset)) + content)


def info_html(found: TableInfo) -> str:
    """What `DataFrame.info` found."""
    heads, lines = found.cells()
    sides = ["right" if head in TO_THE_RIGHT else "left" for head in heads]
    body = "".join(_line("td", [escape(text) for text in line], sides) for line in lines)
    notes = "".join(_muted(note) for note in found.notes())
    grid = _table(_line("th", heads, sides), body)
    return _titled(found.title, _text(found.label) + grid + notes)


def summary_html(table: str, heads: Sequence[str], columns: Sequence[Sequence[str]]) -> str:
    """What `DataFrame.describe` found: a field each line."""
    sides = ["left" if head in ("", "label", "unit") else "right" for head in heads]
    head = _line("th", [escape(one) for one in heads], sides)
    lines = [_line("td", [_value(text) for text in column], sides) for column in columns]
    return _titled(table, _table(head, "".join(lines)))


# -- a table and its rows


def table_html(table: DataFrame, kept: Kept) -> str:
    """A table: its first rows below names, types, labels and units, and how large it is."""
    if ended(table) is not None:
        return _muted(repr(table))
    try:
        names, rows = names_and_rows(table, kept)
        said = _text(table.label) + _text(table.description)
        title = f"{table.name}: {size_of(rows, len(names))}"
    except Exception:  # noqa: BLE001 - whoever asks how it looks is not to fail
        return _muted(repr(table))
    if table.group.stored:
        said = _muted(_place_of(table)) + said
    shown = names[:_MOST_FIELDS]
    try:
        content = _rows_html(table, shown, kept) if names else ""
        notes = [_cut(rows, len(names))]
    except Exception as error:  # noqa: BLE001 - likewise
        content, notes = "", [f"its rows cannot be read: {problem(error)}"]
    below = "".join(_muted(note) for note in notes if note)
    if names and (len(shown) < len(names) or rows is None or not content):
        with suppress(Exception):  # of a damaged one, which is told above
            below += _all_fields(table, names, rows)
    return _titled(title, said + content + below)


def _place_of(table: DataFrame) -> str:
    if table.dataset.url == OWN_TABLES:
        return "a result that is not kept: ds['name'] = table keeps it"
    return f"{table.dataset.name}, {version_of(table.dataset)}"


def _cut(rows: int | None, fields: int) -> str:
    """What of a table is not shown, in a sentence."""
    parts = []
    if rows is not None and rows > ROWS:
        parts.append(f"the first {ROWS} of {rows:,} rows")
    if fields > _MOST_FIELDS:
        parts.append(f"the first {_MOST_FIELDS} of {fields:,} fields")
    return f"Shown are {' and '.join(parts)}." if parts else ""


def _rows_html(table: DataFrame, names: Sequence[str], kept: Kept) -> str:
    one = preview_of(table, ROWS, names, kept=kept)
    sides = ["right" if is_number(kind) else "left" for kind in one.types.values()]
    fields = [table[name] for name in names]
    heads = [
        _line("th", [escape(cell(name, _LONGEST)) for name in names], sides, "font-weight: bold"),
        _line("th", [escape(visible(spoken(k))) for k in one.types.values()], sides, _FAINT),
    ]
    labels = [escape(cell(labelled(field), _LONGEST)) for field in fields]
    if any(labels):
        heads.append(_line("th", labels, sides, _FAINT))
    columns = [
        [_value(text) for text in cells(values, one.types[name], _LONGEST)]
        for name, values in one.columns.items()
    ]
    lines = [
        _line("td", [column[row] if row < len(column) else "" for column in columns], sides)
        for row in range(one.shown)
    ]
    return _table("".join(heads), "".join(lines))


def _value(text: str) -> str:
    if text == MISSING:
        return f'<span style="opacity: 0.45" title="missing">{MISSING}</span>'
    return escape(text)


def _line(tag: str, texts: Sequence[str], sides: Sequence[str], style: str = "") -> str:
    """A line of a table, of HTML."""
    return "<tr>{}</tr>".format(
        "".join(
            f'<{tag} style="text-align: {side}; white-space: pre; {style}">{text}</{tag}>'
            for text, side in zip(texts, sides, strict=True)
        )
    )


def _table(head: str, body: str) -> str:
    """A table that scrolls where it is wider than the page."""
    return (
        f'<div style="overflow-x: auto"><table><thead>{head}</thead><tbody>{body}</tbody>'
        "</table></div>"
    )


def _all_fields(table: DataFrame, names: Sequence[str], rows: int | None) -> str:
    """The names, types and labels of all fields, folded."""
    fields = [table[name] for name in names[:_MOST]]
    columns = {
        "field": [str(field.name) for field in fields],
        "type": [spoken(field.fieldtype) for field in fields],
        "rows": [f"{len(field):,}" if rows is None else "" for field in fields],
        "label": [labelled(field) for field in fields],
    }
    heads = [head for head, texts in columns.items() if any(texts)]
    more = len(names) - len(fields)
    grid = _grid(heads, zip(*(columns[head] for head in heads), strict=True), and_more=more)
    opened = " open" if rows is None else ""
    return f"<details{opened}><summary>all fields</summary>{grid}</details>"


def _muted(text: str) -> str:
    return f'<div style="opacity: 0.7">{escape(visible(text))}</div>'


def field_html(field: Field) -> str:
    """A field: its type, rows, codebook and first values and, if there are any, its categories."""
    if ended(field) is not None:
        return _muted(repr(field))
    try:
        title = f"{field.phrase()}: {spoken(field.fieldtype)}, {counted(len(field), 'row')}"
        said = _text(labelled(field)) + _text(field.description)
        said += _first_html(field)
        if codes := field.missing_codes:
            pairs = [(str(code), meaning) for code, meaning in codes.items()]
            said += _grid(("missing code", "meaning"), pairs)
        keys = getattr(field, "keys", None)
        if isinstance(keys, dict):
            pairs = [(str(code), label_text(name)) for code, name in keys.items()]
            said += _grid(("code", "category"), pairs)
        return _titled(title, said)
    except Exception:  # noqa: BLE001 - whoever asks how it looks is not to fail
        return _muted(repr(field))


def _first_html(field: Field) -> str:
    try:
        values = first_of(field)
    except Exception as error:  # noqa: BLE001 - likewise
        return _muted(f"its values cannot be read: {problem(error)}")
    if not values:
        return ""
    texts = [_value(text) for text in cells(values, field.fieldtype, _LONGEST)]
    more = _muted(f"Shown are the first {ROWS} rows.") if len(field) > len(values) else ""
    side = "right" if is_number(field.fieldtype) else "left"
    return _table("", "".join(_line("td", [text], [side]) for text in texts)) + more


def codebook_html(codebook: Codebook) -> str:
    """A codebook: of each table its fields, and what is said of them."""
    heads = (
        *("field", "type", "label", "unit", "description", "categories"),
        *("missing codes", "rows", "missing", "told by", "annotations"),
    )
    rows = list(codebook.rows())
    parts = []
    for table in codebook.tables:
        lines = [row[1:] for row in rows[: len(table.fields)]]
        rows = rows[len(table.fields) :]
        filled = [at for at in range(len(heads)) if at < 2 or any(line[at] for line in lines)]
        shown = [[line[at] for at in filled] for line in lines]
        grid = _grid([heads[at] for at in filled], shown, most=None)
        said = _text(table.label) + _text(table.description)
        parts.append(_titled(table.name or "(top level)", said + grid))
    return _titled(f"{codebook.url}, version {codebook.version}", "".join(parts))


def history_html(title: str, commits: Sequence[Commit]) -> str:
    """The versions of a dataset, or the way of a table, the newest first."""
    lines = []
    for commit in commits:
        done = [
            f"{one.verb} {one.table}".rstrip()
            + (f" from {', '.join(one.read)}" if one.read else "")
            + (f": {json_text(dict(one.details), indent=None)}" if one.details else "")
            for one in commit.operations
        ]
        version = f"{commit.version}{'' if commit.kept else ' (removed)'}"
        made = commit.created[:19].replace("T", " ")
        lines.append(
            (
                *(version, ", ".join(commit.tags), made, commit.author, commit.message),
                *("; ".join(done), ", ".join(commit.changed), commit.about.program),
            )
        )
    heads = (
        "version",
        "tags",
        "made (UTC)",
        "by",
        "message",
        "what was done",
        "changed",
        "program",
    )
    return _titled(title, _grid(heads, lines, most=None))
