"""The codebook of a dataset: what each table and field is, for people to read and to pass on."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import io
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from exetera_zarr.fieldtypes import label_text
from exetera_zarr.storage import create_file
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from exetera_zarr.fields.base import Field
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.dataset import Dataset

__all__ = ["Codebook", "FieldEntry", "TableEntry", "codebook", "said_of_field"]

_COLUMNS = (
    *("table", "field", "type", "label", "unit", "description", "categories"),
    *("missing codes", "rows", "missing", "told by", "annotations"),
)


@dataclass(frozen=True)
class FieldEntry:
    """
    What a codebook says of one field.

    Parameters
    ----------
    name, type, rows
        As of the field.
    label, unit, description, missing_codes, annotations
        Likewise; None, or empty, where nothing is said.
    categories
        The code of each name, of a categorical field.
    companion
        Name of the field that says which rows have a value, if there is one.
    missing
        How many rows have none; None where that was not counted.
    """

    name: str
    type: str
    rows: int
    label: str | None = None
    unit: str | None = None
    description: str | None = None
    categories: Mapping[str, int] = field(default_factory=dict)
    missing_codes: Mapping[Any, str] = field(default_factory=dict)
    annotations: Mapping[str, Any] = field(default_factory=dict)
    companion: str | None = None
    missing: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """What is said, as values of JSON; missing codes are a list of value and meaning."""
        said = {key: value for key, value in asdict(self).items() if value not in (None, {})}
        if self.missing_codes:
            said["missing_codes"] = [list(pair) for pair in self.missing_codes.items()]
        return said


@dataclass(frozen=True)
class TableEntry:
    """
    What a codebook says of one table.

    Parameters
    ----------
    name, label, description, annotations
        As of the table; the name is empty for the fields at the top level of a dataset.
    fields
        Its fields in order, without those that say what is missing of others.
    """

    name: str
    fields: tuple[FieldEntry, ...]
    label: str | None = None
    description: str | None = None
    annotations: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """What is said, as values of JSON."""
        said = {"label": self.label, "description": self.description}
        found: dict[str, Any] = {"name": self.name}
        found |= {key: value for key, value in said.items() if value is not None}
        if self.annotations:
            found["annotations"] = dict(self.annotations)
        return found | {"fields": [entry.to_dict() for entry in self.fields]}


class Codebook:
    """
    What `Dataset.codebook` gives: shown as text, as a table in a notebook, and exported.

    Parameters
    ----------
    url, version
        Of the dataset.
    tables
        In order.
    schemas
        The import schema of each table.
    """

    def __init__(
        self,
        url: str,
        version: int,
        tables: tuple[TableEntry, ...],
        schemas: Mapping[str, dict[str, Any]],
    ) -> None:
        self.url = url
        self.version = version
        self.tables = tables
        self._schemas = schemas

    def __getitem__(self, table: str) -> TableEntry:
        return next(entry for entry in self.tables if entry.name == table)

    def to_dict(self) -> dict[str, Any]:
        """All that it says, as values of JSON."""
        tables = [entry.to_dict() for entry in self.tables]
        return {"url": self.url, "version": self.version, "tables": tables}

    def to_schema(self) -> dict[str, Any]:
        """
        The schema by which an import makes these tables from what `to_csv` writes of them.

        What is missing of text is empty text in a CSV file, and comes back as such.
        """
        return {"exetera": {"version": "1.1.0"}, "schema": dict(self._schemas)}

    def to_csv(
        self,
        path: str | os.PathLike[str],
        *,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        """
        Write a CSV file with a row for each field.

        Parameters
        ----------
        path
            Path or URL.
        storage_options
            For the file system behind a URL.
        """
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows(self.rows())
        with create_file(os.fspath(path), storage_options) as file:
            file.write(text.getvalue().encode("utf-8", "backslashreplace"))

    def rows(self) -> Iterator[list[str]]:
        """A row of texts for each field, in which every character can be seen."""
        for table in self.tables:
            for entry in table.fields:
                cells = [table.name, *_cells(entry)]
                yield [visible("" if cell is None else cell) for cell in cells]

    def to_html(self) -> str:
        """A whole page of HTML, to be opened in a browser."""
        from exetera_zarr.tables.html import page

        return page(f"Codebook of {self.url}", self._repr_html_())

    def _repr_html_(self) -> str:
        from exetera_zarr.tables.html import codebook_html

        return codebook_html(self)

    def lines(self) -> Iterator[str]:
        """The lines of it as text."""
        yield visible(f"{self.url}  (version {self.version})")
        for table in self.tables:
            label = f": {table.label}" if table.label else ""
            yield visible(f"{table.name or '(top level)'}{label}")
            if table.description:
                yield visible(f"  {table.description}")
            for entry in table.fields:
                yield f"  {visible(f'{entry.name}  {entry.type}  {entry.rows:,} rows')}"
                yield from (f"      {visible(line)}" for line in _told(entry))

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def __repr__(self) -> str:
        fields = sum(len(table.fields) for table in self.tables)
        place = f"{visible(self.url)}, version {self.version}"
        return f"<Codebook of {place}: {len(self.tables)} tables, {fields} fields>"


def _cells(entry: FieldEntry) -> list[Any]:
    return [
        *(entry.name, entry.type, entry.label, entry.unit, entry.description),
        "; ".join(f"{code} = {name}" for name, code in entry.categories.items()),
        "; ".join(f"{_code(entry, code)} = {text}" for code, text in entry.missing_codes.items()),
        *(entry.rows, entry.missing, entry.companion),
        "; ".join(f"{name}: {value}" for name, value in entry.annotations.items()),
    ]


def _code(entry: FieldEntry, code: Any) -> Any:
    """A missing code as people know it: of categories the name, of points in time the date."""
    if entry.type == "timestamp":
        with contextlib.suppress(ValueError, OverflowError, OSError):
            return f"{dt.datetime.fromtimestamp(code, dt.UTC):%Y-%m-%d %H:%M:%S}"
    return next((name for name, other in entry.categories.items() if other == code), code)


def _told(entry: FieldEntry) -> Iterator[str]:
    """What is said of a field, a line for each thing."""
    heads = ("label", "unit", "description", "categories", "missing codes")
    cells = _cells(entry)
    for head, text in zip(heads, cells[2:7], strict=True):
        if text:
            yield f"{head}: {text}"
    if entry.companion is not None or entry.missing is not None:
        count = "missing" if entry.missing is None else f"missing: {entry.missing:,}"
        yield count if entry.companion is None else f"{count}, told by {entry.companion}"
    if cells[-1]:
        yield f"annotations: {cells[-1]}"


def codebook(dataset: Dataset, table: str | None = None, *, missing: bool = False) -> Codebook:
    """
    See `Dataset.codebook`.

    Parameters
    ----------
    dataset
        Open.
    table, missing
        As there.
    """
    from exetera_zarr.io.exported import schema_of

    names = [name for name, item in dataset.items() if not hasattr(item, "fieldtype")]
    chosen = names if table is None else [str(dataset.get_dataframe(table).name)]
    tables = [_table(dataset[name], missing=missing) for name in chosen]
    loose = [item for item in dataset.values() if hasattr(item, "fieldtype")]
    if loose and table is None:
        entries = tuple(_field(one, None, missing=missing) for one in loose)
        tables.insert(0, TableEntry("", entries))
    schemas = {name: schema_of(dataset[name]) for name in chosen}
    return Codebook(dataset.url, dataset.version, tuple(tables), schemas)


def _table(table: DataFrame, *, missing: bool) -> TableEntry:
    companions = table.companions()
    hidden = set(companions.values())
    entries = tuple(
        _field(one, companions.get(name), missing=missing)
        for name, one in table.items()
        if name not in hidden
    )
    return TableEntry(table.name, entries, table.label, table.description, table.annotations)


def _field(one: Field, companion: str | None, *, missing: bool) -> FieldEntry:
    keys: Mapping[int, Any] = getattr(one, "keys", {}) if one.type_name == "categorical" else {}
    return FieldEntry(
        name=str(one.name),
        type=one.fieldtype,
        rows=len(one),
        categories={label_text(name): code for code, name in keys.items()},
        companion=companion,
        missing=len(one) - one.count() if missing else None,
        **said_of_field(one),
    )


def said_of_field(one: Field) -> dict[str, Any]:
    """What people said of a field, as far as they did."""
    keys = ("label", "unit", "description", "missing_codes", "annotations")
    said = {key: getattr(one, key) for key in keys}
    return {key: value for key, value in said.items() if value not in (None, {})}
