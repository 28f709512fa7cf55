"""The command `head`: the first rows of a table."""

from __future__ import annotations

import sys
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
from exetera_zarr.tables.seeing.preview import (
    LONGEST,
    cell,
    cells,
    is_number,
    preview_of,
    records_of,
)
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exetera_zarr.tables.seeing.preview import Preview

__all__ = ["head", "print_heads"]


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
        frames = [dataset.get_dataframe(name) for name in tables_of(dataset, table)]
        heads = [preview_of(frame, rows, wanted or None) for frame in frames]
    if as_json:
        found = [
            {"table": one.table, "rows": one.rows, "types": one.types, "head": records_of(one)}
            for one in heads
        ]
        print_json(found[0] if table is not None else found)
    else:
        print_heads(heads)


# On paper


def print_heads(heads: Sequence[Preview]) -> None:
    """Print the first rows of tables, each as a grid or, where that is too wide, by lines."""
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


def _grid(one: Preview) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, kind in one.types.items():
        title = Text(f"{cell(name)}\n", "bold").append(visible(kind), "dim")
        table.add_column(title, justify="right" if is_number(kind) else "left", no_wrap=True)
    columns = [cells(values, one.types[name]) for name, values in one.columns.items()]
    for row in range(one.shown):
        table.add_row(*(Text(texts[row] if row < len(texts) else "") for texts in columns))
    return table


def _lines(one: Preview) -> Any:
    """Lay out a table of many fields: a line each, cut where the terminal ends."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False, expand=True)
    table.add_column(no_wrap=True, max_width=LONGEST, overflow="ellipsis", style="bold")
    table.add_column(no_wrap=True, style="dim")
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for name, values in one.columns.items():
        text = ", ".join(cells(values, one.types[name]))
        table.add_row(Text(cell(name)), Text(visible(one.types[name])), Text(text))
    return table
