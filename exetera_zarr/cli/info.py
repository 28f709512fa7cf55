"""The command `info`: what a dataset holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from exetera_zarr.cli.options import (
    AsJson,
    Place,
    StorageOptions,
    Version,
    counted,
    open_place,
    print_json,
    tables_of,
)
from exetera_zarr.cli.reporting import tell
from exetera_zarr.tables.codebook.book import said_of_field
from exetera_zarr.tables.overview import raw_bytes, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from exetera_zarr.tables.dataset import Dataset

__all__ = ["describe", "info", "size"]

Description: TypeAlias = dict[str, Any]


def info(
    place: Place,
    sizes: Annotated[
        bool,
        typer.Option("--sizes", help="Also the stored size of each field; lists all its objects."),
    ] = False,
    at: Version = None,
    as_json: AsJson = False,
    storage_option: StorageOptions = None,
) -> None:
    """
    Show the tables of a dataset: fields, types, rows and size.

    It reads metadata only. "Raw" is the size of the values uncompressed.
    """
    from exetera_zarr.tables.session import Session

    with Session() as session:
        dataset, table = open_place(session, place, storage_option, at)
        found = describe(dataset, table, sizes=sizes)
    if as_json:
        print_json(found)
    else:
        tell(_lines(found))


def describe(dataset: Dataset, table: str | None = None, *, sizes: bool = False) -> Description:
    """
    Say what a dataset holds.

    Parameters
    ----------
    dataset
        Open for reading or writing.
    table
        The one table to describe; all by default.
    sizes
        Whether to list the store for what is stored.

    Returns
    -------
    dict
        ``url``, ``version``, ``tables`` and, if there are any, ``fields`` at the top level; each
        table has ``rows`` (None where its fields differ) and ``fields``, each field ``type``,
        ``rows``, ``raw_bytes``, ``stored_bytes`` (None without `sizes`) and, if it is categorical,
        ``categories``. Tables and fields also have what their codebook says.
    """
    stored = dataset.stored_sizes() if sizes else {}
    tables = {name: _describe_table(dataset, name, stored) for name in tables_of(dataset, table)}
    found: Description = {"url": dataset.url, "version": dataset.version, "tables": tables}
    fields = {
        name: _describe_field(item, stored.get((name,)))
        for name, item in dataset.items()
        if table is None and hasattr(item, "fieldtype")
    }
    return found | {"fields": fields} if fields else found


def _describe_table(
    dataset: Dataset, name: str, stored: Mapping[tuple[str, ...], int]
) -> Description:
    fields = {
        column: _describe_field(field, stored.get((name, column)))
        for column, field in dataset[name].items()
    }
    lengths = {field["rows"] for field in fields.values()} or {0}
    table = dataset[name]
    said = {key: getattr(table, key) for key in ("label", "description", "annotations")}
    found = {"rows": next(iter(lengths)) if len(lengths) == 1 else None}
    return found | {k: v for k, v in said.items() if v not in (None, {})} | {"fields": fields}


def _describe_field(field: Any, stored: int | None) -> Description:
    found = {
        "type": field.fieldtype,
        "rows": len(field),
        "raw_bytes": raw_bytes(field),
        "stored_bytes": stored,
    }
    if field.fieldtype.startswith("categorical"):
        found["categories"] = {
            name.decode("utf-8", "replace"): value for value, name in field.keys.items()
        }
    said = said_of_field(field)
    if codes := said.get("missing_codes"):
        said["missing_codes"] = [list(pair) for pair in codes.items()]
    return found | said


def _lines(found: Description) -> Iterator[str]:
    """Lay out a description as a tree."""
    yield f"{found['url']}  (version {found['version']})"
    groups = list(found["tables"].items())
    if "fields" in found:
        groups.append(("(top level)", {"rows": None, "fields": found["fields"]}))
    if not groups:
        yield "no tables"
    for name, table in groups:
        rows, fields = table["rows"], table["fields"]
        counts = [counted(len(fields), "field")]
        if rows is not None:
            counts.insert(0, counted(rows, "row"))
        counts.append(f"{size(_total(fields, 'raw_bytes'))} raw")
        if any(field["stored_bytes"] is not None for field in fields.values()):
            counts.append(f"{size(_total(fields, 'stored_bytes'))} stored")
        label = f"  {table['label']}" if "label" in table else ""
        yield f"{name}: {', '.join(counts)}{label}"
        yield from _field_lines(fields, with_rows=rows is None)


def _field_lines(fields: Mapping[str, Description], *, with_rows: bool) -> Iterator[str]:
    names = max((len(name) for name in fields), default=0)
    types = max((len(field["type"]) for field in fields.values()), default=0)
    for name, field in fields.items():
        parts = [f"{name:{names}}", f"{field['type']:{types}}"]
        if with_rows:
            parts.append(f"{field['rows']:>14,} rows")
        parts.append(f"{size(field['raw_bytes']):>10}")
        if field["stored_bytes"] is not None:
            parts.append(f"{size(field['stored_bytes']):>10} stored")
        if "label" in field:
            parts.append(field["label"])
        if "unit" in field:
            parts.append(f"[{field['unit']}]")
        yield f"  {'  '.join(parts)}".rstrip()


def _total(fields: Mapping[str, Description], key: str) -> int:
    return sum(field[key] or 0 for field in fields.values())
