"""Files whose rows are appended to a table that is there: CSV, Parquet and Arrow's own."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa

from exetera_zarr.errors import DataError, listing
from exetera_zarr.fieldtypes import label_text
from exetera_zarr.io.csv.files import expand, is_url, open_binary, shown, suffix_of
from exetera_zarr.io.importer import definitions_of, import_csv
from exetera_zarr.io.propose.sampling import CsvSample
from exetera_zarr.io.schema.definitions import Categorical, Date, DateTime, Numeric, String
from exetera_zarr.journal.snapshots import VALID_FROM, VALID_TO
from exetera_zarr.storage import open_at_random
from exetera_zarr.tables.rows.appending import append
from exetera_zarr.tables.rows.upserting import Upserted, upsert
from exetera_zarr.tables.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from exetera_zarr.fields.base import Field
    from exetera_zarr.io.options import PathLike
    from exetera_zarr.io.schema.definitions import Definition
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.rows.columns import Missing, New

__all__ = ["append_files"]

_PARQUET = (".parquet", ".pq")
_ARROW = (".arrow", ".arrows", ".feather", ".ipc")
_LOOKED_AT = 1000
_DAY_LENGTH = len("YYYY-MM-DD")
_BATCH = 1 << 16


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
        are Parquet, in ``.arrow``, ``.arrows``, ``.feather`` or ``.ipc`` Arrow's; others are CSV.
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
        for name in expand(files, source_options):
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
    suffix = suffix_of(name)
    if suffix not in _PARQUET + _ARROW:
        with _imported(name, table, schema, new, options) as rows:
            yield rows
        return
    file = open_at_random(name, options) if is_url(name) else open_binary(name)[0]
    with file:
        try:
            rows = _parquet(file) if suffix in _PARQUET else _arrow(file)
        except pa.ArrowException as error:
            what = "Parquet" if suffix in _PARQUET else "Arrow"
            raise DataError(f"{shown(name)} is no {what} file: {error}") from error
        yield rows


def _parquet(file: IO[bytes]) -> pa.RecordBatchReader:
    from pyarrow import parquet

    found = parquet.ParquetFile(file)
    return pa.RecordBatchReader.from_batches(found.schema_arrow, found.iter_batches(_BATCH))


def _arrow(file: IO[bytes]) -> pa.RecordBatchReader:
    start = file.read(6)
    file.seek(0)
    if start != b"ARROW1":
        return pa.ipc.open_stream(file)
    found = pa.ipc.open_file(file)
    batches = (found.get_batch(number) for number in range(found.num_record_batches))
    return pa.RecordBatchReader.from_batches(found.schema, batches)


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
    sample = CsvSample(name, _LOOKED_AT, options)
    given = {} if schema is None else definitions_of(schema, table.name, options)
    definitions = {column: given[column] for column in sample.names if column in given}
    days = _columns_of_days(sample)
    unknown = []
    for column in sample.names:
        if column in definitions:
            continue
        if column in table:
            definitions[column] = _definition(table, table[column], sample.names, days)
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
    settings = table.dataset.settings
    with (
        tempfile.TemporaryDirectory(prefix="exetera-", dir=settings.spill_dir) as folder,
        Session(memory_limit=settings.memory_limit, spill_dir=settings.spill_dir) as session,
    ):
        scratch = session.open_dataset(f"{folder}/rows.zarr", "w", "rows")
        try:
            rows = import_csv(scratch, table.name, name, definitions, source_options=options)
            for column in (VALID_FROM, VALID_TO):
                if column not in table:
                    del rows[column]
            yield rows
        finally:
            scratch.rollback()


def _columns_of_days(sample: CsvSample) -> set[str]:
    """The columns whose first cell is as long as a day, so that it has no time of day."""
    found: dict[str, bool] = {}
    for rows in sample:
        for name, cells in zip(sample.names, rows.cells, strict=True):
            if name in found:
                continue
            filled = next((cell for cell in cells.to_pylist() if cell.strip()), None)
            if filled is not None:
                found[name] = len(filled.strip()) <= _DAY_LENGTH
    return {name for name, of_days in found.items() if of_days}


def _definition(
    table: DataFrame, field: Field, header: Sequence[str], days: set[str]
) -> Definition:
    """How the cells of a column are read for a field that is there."""
    name = str(field.name)
    match field.type_name:
        case "numeric":
            return Numeric(str(field.data.dtype), create_flag_field=False)
        case "categorical":
            keys = {label_text(label): code for code, label in field.keys.items()}  # type: ignore[attr-defined]
            free = f"{name}_freetext"
            has_free = free in table and free not in header
            return Categorical(keys, str(field.data.dtype), allow_freetext=has_free)
        case "timestamp":
            day = f"{name}_day"
            has_day = day in table and day not in header
            return (Date if name in days else DateTime)(create_day_field=has_day)
        case "fixedstring":
            return String(field.length)  # type: ignore[attr-defined]
    return String()
