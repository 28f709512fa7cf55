"""The command `head`: the first rows of a table."""

from __future__ import annotations

import math
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

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
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exetera_zarr.tables.dataset import Dataset

__all__ = ["Head", "head"]

# Columns are read side by side, since most of the time each waits for the store.
THREADS = 16
LONGEST = 40
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Head:
    """
    The first rows of a table.

    Parameters
    ----------
    table
        Its name.
    rows
        How many rows it has; None where its fields differ.
    types
        ``{field: type}``.
    columns
        ``{field: values}``: categories by name, moments as text, None for what is missing.
    """

    table: str
    rows: int | None
    types: dict[str, str]
    columns: dict[str, list[Any]]

    @property
    def shown(self) -> int:
        """How many rows there are here."""
        return max(map(len, self.columns.values()), default=0)


def head(
    place: Place,
    rows: Annotated[int, typer.Option("-n", "--rows", min=0, help="How many rows.")] = 10,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "-c", "--columns", metavar="NAME,...", help="Only these fields; may be repeated."
        ),
    ] = None,
    at: Version = None,
    as_json: AsJson = False,
    storage_option: StorageOptions = None,
) -> None:
    """
    Show the first rows of a table, or of each table.

    Categories are shown by name, moments in UTC, and what is missing as - (in JSON null); fields
    that say what is missing of others are shown if they are named. Only the first block of each
    field is read. Where a row does not fit the width of the terminal, each field has a line
    instead.
    """
    from exetera_zarr.tables.session import Session

    wanted = [name.strip() for text in columns or () for name in text.split(",")]
    with Session() as session:
        dataset, table = open_place(session, place, storage_option, at)
        heads = [_head_of(dataset, name, rows, wanted) for name in tables_of(dataset, table)]
    if as_json:
        found = [
            {"table": one.table, "rows": one.rows, "types": one.types, "head": _records(one)}
            for one in heads
        ]
        print_json(found[0] if table is not None else found)
    else:
        _print(heads)


def _head_of(dataset: Dataset, table: str, rows: int, wanted: Sequence[str]) -> Head:
    frame = dataset.get_dataframe(table)
    hidden = set() if wanted else set(frame.companions().values())
    fields = {name: frame[name] for name in wanted or frame.keys() if name not in hidden}
    lengths = {len(field) for field in fields.values()} or {0}
    with ThreadPoolExecutor(THREADS, thread_name_prefix="exetera-head") as pool:
        values = pool.map(lambda field: _values(field, rows), fields.values())
        columns = dict(zip(fields, values, strict=True))
    return Head(
        table,
        next(iter(lengths)) if len(lengths) == 1 else None,
        {name: field.fieldtype for name, field in fields.items()},
        columns,
    )


def _values(field: Any, rows: int) -> list[Any]:
    """Return the first values of a field, None for those that are missing."""
    from exetera_zarr.fields.missing.companions import masked_reader

    length, read = masked_reader(field)
    column, mask = read(0, min(rows, length))
    values = _present_values(field, column)
    if mask is None:
        return values
    return [value if has else None for value, has in zip(values, mask.tolist(), strict=True)]


def _present_values(field: Any, values: Any) -> list[Any]:
    match field.fieldtype.partition(",")[0]:
        case "indexedstring":
            return [value.decode("utf-8", "backslashreplace") for value in values.to_pylist()]
        case "fixedstring":
            return [value.decode("utf-8", "backslashreplace") for value in values.tolist()]
        case "categorical":
            names = {code: name.decode("utf-8", "replace") for code, name in field.keys.items()}
            return [names.get(code, code) for code in values.tolist()]
        case "timestamp" | "datetime" | "date":
            return [_moment(value) for value in values.tolist()]
    if values.dtype == "float32":
        # Its own shortest text, not that of the double which Python would make of it.
        return [float(str(value)) for value in values]
    found: list[Any] = values.tolist()
    return found


def _moment(seconds: float) -> str | float:
    try:
        return (EPOCH + timedelta(seconds=seconds)).isoformat(" ").removesuffix("+00:00")
    except (OverflowError, ValueError):  # outside the years 1 to 9999, or NaN
        return seconds


def _records(one: Head) -> list[dict[str, Any]]:
    return [
        {name: _json(values[row]) for name, values in one.columns.items() if row < len(values)}
        for row in range(one.shown)
    ]


def _json(value: Any) -> Any:
    """Return a value as JSON has it: there is no NaN and no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


# On paper


def _print(heads: Sequence[Head]) -> None:
    from rich.console import Console
    from rich.measure import Measurement

    console = Console(highlight=False)
    for number, one in enumerate(heads):
        if number:
            console.print()
        total = "fields of different lengths" if one.rows is None else counted(one.rows, "row")
        title = f"{one.table}: {total}, {counted(len(one.types), 'field')}"
        console.print(visible(title), markup=False, style="bold")
        grid = _grid(one)
        unlimited = console.options.update(max_width=sys.maxsize)
        fits = Measurement.get(console, unlimited, grid).maximum <= console.width
        console.print(grid if fits else _lines(one))


def _grid(one: Head) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, kind in one.types.items():
        number = kind.startswith("numeric") and kind != "numeric,bool"
        title = Text(f"{_shown(name)}\n", "bold").append(visible(kind), "dim")
        table.add_column(title, justify="right" if number else "left", no_wrap=True)
    for row in range(one.shown):
        cells = [values[row] if row < len(values) else "" for values in one.columns.values()]
        table.add_row(*(Text(_shown(cell)) for cell in cells))
    return table


def _lines(one: Head) -> Any:
    """Lay out a table of many fields: a line each, cut where the terminal ends."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False, expand=True)
    table.add_column(no_wrap=True, max_width=LONGEST, overflow="ellipsis", style="bold")
    table.add_column(no_wrap=True, style="dim")
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for name, values in one.columns.items():
        text = ", ".join(_shown(value) for value in values)
        table.add_row(Text(_shown(name)), Text(visible(one.types[name])), Text(text))
    return table


def _shown(value: Any) -> str:
    """Return a value on one line, and not too long."""
    text = "-" if value is None else visible(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
