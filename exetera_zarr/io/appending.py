"""Files whose rows are appended to a table that is there: CSV, and files that say their types."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import DataError, listing
from exetera_zarr.io.csv.files import expand, is_url, shown
from exetera_zarr.io.forms import definitions_of
from exetera_zarr.io.importer import import_csv
from exetera_zarr.io.of_fields import (
    beside,
    columns_of_days,
    definition_of_field,
    without_validity,
)
from exetera_zarr.io.propose.sampling import CsvSample
from exetera_zarr.io.schema.definitions import String
from exetera_zarr.io.typed_files import is_typed, open_typed, with_validity
from exetera_zarr.journal.snapshots import VALID_FROM, VALID_TO
from exetera_zarr.tables.rows.appending import append
from exetera_zarr.tables.rows.upserting import Upserted, upsert

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from exetera_zarr.io.options import PathLike
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.rows.columns import Missing, New

__all__ = ["append_files"]

_LOOKED_AT = 1000


def append_files(
    table: DataFrame,
    files: PathLike | Sequence[PathLike],
    *,
    schema: Any = None,
    key: list[str] | None = None,
    missing: Missing = "error",
    new: New = "error",
    source_options: Mapping[str, Any] | None = None,
) -> Upserted:
    """
    Append the rows of files to a table, or upsert them, all or none.

    Parameters
    ----------
    table
        The table; its dataset is not committed here.
    files
        Paths or URLs, as `import_csv` takes them. Those whose names end in ``.parquet`` or ``.pq``
        are Parquet, in ``.arrow``, ``.arrows``, ``.feather`` or ``.ipc`` Arrow's, in ``.sav`` or
        ``.zsav`` of SPSS, in ``.dta`` of Stata, in ``.sas7bdat``, ``.xpt`` or ``.xport`` of SAS;
        others are CSV.
    schema
        Of CSV columns, as `import_csv` takes it. The columns it does not name, or all without it,
        are read as what the fields of those names hold; columns that the table lacks are text.
    key
        Names of fields: rows with the key of one that is there change that, as in
        `DataFrame.upsert`, though not from when it is valid.
    missing, new
        As of `DataFrame.append`.
    source_options
        For URLs.

    Returns
    -------
    Upserted
        Without a key all rows are new.

    Raises
    ------
    CsvError, DataError, SchemaError
        Something does not fit; the table is as it was.
    """
    done = Upserted(0, 0, 0)
    with table.atomic():
        names = expand(files, source_options)
        for name in names:
            with _rows_of(name, table, schema, new, source_options) as rows:
                if key is None:
                    found = Upserted(append(table, rows, missing, new), 0, 0)
                else:
                    kept = (VALID_FROM, VALID_TO)
                    found = upsert(table, rows, key, missing, new, kept=kept)
            done = Upserted(
                done.new + found.new,
                done.changed + found.changed,
                done.unchanged + found.unchanged,
            )
        names = [shown(name) if is_url(name) else Path(name).name for name in names]
        told = {"new": done.new, "changed": done.changed} if key else {"rows": done.new}
        table.note("upsert" if key else "append", files=names, **told)
    return done


@contextmanager
def _rows_of(
    name: str,
    table: DataFrame,
    schema: Any,
    new: New,
    options: Mapping[str, Any] | None,
) -> Iterator[Any]:
    """The rows of a file, as a table takes them."""
    if not is_typed(name):
        with _imported(name, table, schema, new, options) as rows:
            yield rows
        return
    with open_typed(name, table.dataset.settings.memory_limit, options) as stream:
        yield with_validity(stream, table, datetime.now(UTC).timestamp())


# -- CSV


@contextmanager
def _imported(
    name: str,
    table: DataFrame,
    schema: Any,
    new: New,
    options: Mapping[str, Any] | None,
) -> Iterator[DataFrame]:
    """A CSV file as a table of its own, on the local disk, as long as it is needed."""
    given = {} if schema is None else definitions_of(schema, table.name, options)
    sample = CsvSample(name, _LOOKED_AT, options)
    definitions = {column: given[column] for column in sample.names if column in given}
    days = columns_of_days(sample)
    unknown = []
    for column in sample.names:
        if column in definitions:
            continue
        if column in table:
            definitions[column] = definition_of_field(table, table[column], sample.names, days)
        else:
            unknown.append(column)
            definitions[column] = String()
    if unknown and new == "error":
        hidden = set(table.companions().values())
        visible_names = [column for column in table if column not in hidden]
        raise DataError(
            f"{sample.name} has the columns {listing(unknown)}, which the table {table.name!r} "
            f"lacks; it has {listing(visible_names)}: with new='add' (--new add) they become fields"
        )
    with beside(table) as scratch:
        rows = import_csv(scratch, table.name, name, definitions, source_options=options)
        without_validity(rows, table)
        yield rows
