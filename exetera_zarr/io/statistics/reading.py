"""Files of SPSS, Stata and SAS as streams of Arrow, some rows at a time."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa

from exetera_zarr.errors import DataError, needing
from exetera_zarr.io.csv.files import is_url, shown, suffix_of
from exetera_zarr.io.statistics.variables import Seen, Variable, needs_look
from exetera_zarr.storage import check_file, codebooks, open_at_random
from exetera_zarr.tables.rows.arrow_metadata import metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from exetera_zarr.io.options import PathLike
    from exetera_zarr.io.statistics.times import Package

__all__ = ["library", "package_of", "rows_of_file"]

_SUFFIXES: dict[str, tuple[Package, str]] = {
    ".sav": ("SPSS", "read_sav"),
    ".zsav": ("SPSS", "read_sav"),
    ".dta": ("Stata", "read_dta"),
    ".sas7bdat": ("SAS", "read_sas7bdat"),
    ".xpt": ("SAS", "read_xport"),
    ".xport": ("SAS", "read_xport"),
}
_OF_A_NUMBER, _OF_A_TEXT = 64, 160
"""Bytes that a value takes while it is read, beside the letters of a text."""
_FEWEST, _MOST = 1 << 10, 1 << 20


def package_of(name: str) -> Package | None:
    """Whose file it is by the suffix of its name; None of one of no such package."""
    found = _SUFFIXES.get(suffix_of(name))
    return None if found is None else found[0]


def library() -> Any:
    """Pyreadstat; MissingPackageError where it is not installed."""
    with needing("a file of SPSS, Stata or SAS", "exetera-zarr[statistics]"):
        import pyreadstat
    return pyreadstat


def rows_of_file(
    path: PathLike,
    package: Package,
    columns: Sequence[str] | None,
    memory: int,
    options: Mapping[str, Any] | None,
    *,
    encoding: str | None = None,
    catalog: PathLike | None = None,
) -> pa.RecordBatchReader:
    """
    The rows of a file, with metadata that says what its variables are.

    Parameters
    ----------
    path
        Path or URL.
    package
        Whose file it should be.
    columns
        Names of variables; all by default.
    memory
        Bytes, of which some are used.
    options
        For a URL.
    encoding
        Of its texts, where that is not what the file says.
    catalog
        Path or URL of SAS' file of formats, which has the labels of values.

    Raises
    ------
    DataError
        It is no such file, or cannot be read.
    UnsupportedError
        There is no pyreadstat.
    """
    name = os.fspath(path)
    kind = _SUFFIXES.get(suffix_of(name))
    if kind is None or kind[0] != package:
        known = ", ".join(suffix for suffix, (whose, _) in _SUFFIXES.items() if whose == package)
        raise DataError(f"{shown(name)} is no file of {package} by its name: these end in {known}")
    file = _File(name, getattr(library(), kind[1]), options, encoding)
    about = file.about(columns)
    if catalog is not None:
        _label(about, _File(os.fspath(catalog), library().read_sas7bcat, options, encoding))
    return _stream(file, about, package, memory)


@dataclass
class _File:
    """A file, of which some rows are read at a time."""

    name: str
    read: Callable[..., Any]
    options: Mapping[str, Any] | None
    encoding: str | None

    def about(self, columns: Sequence[str] | None) -> Any:
        """What pyreadstat says of it and of some variables."""
        given = {} if columns is None else {"usecols": list(columns)}
        about = self._said(metadataonly=True, **given, **self._as_stored)[1]
        lacking = [name for name in columns or () if name not in about.column_names]
        if lacking:
            raise DataError(f"{shown(self.name)} has no variable {lacking[0]!r}")
        return about

    def labels(self) -> dict[str, dict[Any, str]]:
        """The labels of values by the names of formats, of a catalog of SAS."""
        found: dict[str, dict[Any, str]] = self._said()[1].value_labels
        return found

    def parts(self, columns: Sequence[str], rows: int, step: int) -> Iterator[dict[str, Any]]:
        """
        Some of its rows after the other, as pyreadstat gives them.

        Parameters
        ----------
        columns
            Names of variables.
        rows
            How many there are; less than 0 where nobody knows.
        step
            How many come at a time.
        """
        # As lists: among numpy's whole numbers, what is missing may be any number.
        start = 0
        while columns and (rows < 0 or start < rows):
            part = self._said(
                row_offset=start,
                row_limit=step,
                usecols=list(columns),
                output_format="dict",
                **self._as_stored,
            )[0]
            count = len(part[columns[0]])
            if count:
                yield part
            if count < step:
                return
            start += count

    @property
    def _as_stored(self) -> dict[str, Any]:
        """What it takes to get numbers for dates, and user-missing values, where there are some."""
        missing = {} if self.read.__name__ == "read_xport" else {"user_missing": True}
        return {"disable_datetime_conversion": True, **missing}

    def _said(self, **how: Any) -> Any:
        if self.encoding is not None:
            how["encoding"] = self.encoding
        with self._opened() as file:
            try:
                return self.read(file, **how)
            except (library().ReadstatError, library().PyreadstatError, UnicodeError) as error:
                raise DataError(f"{shown(self.name)} cannot be read: {error}") from error

    @contextmanager
    def _opened(self) -> Iterator[str | IO[bytes]]:
        if is_url(self.name):
            with open_at_random(self.name, self.options) as file:
                yield file
            return
        if Path(self.name).exists():
            check_file(self.name)
        with Path(self.name).open("rb"):  # whose error says more than pyreadstat's
            yield self.name


def _label(about: Any, catalog: _File) -> None:
    labels = catalog.labels()
    for variable, shown_as in about.variable_to_label.items():
        if shown_as in labels:
            about.variable_value_labels[variable] = labels[shown_as]


def _stream(file: _File, about: Any, package: Package, memory: int) -> pa.RecordBatchReader:
    names = list(about.column_names)
    rows = -1 if about.number_rows is None else about.number_rows
    step = _rows_at_a_time(about, names, memory)
    seen = {name: Seen.of(about, name) for name in names if needs_look(about, name, package)}
    if seen:
        for part in file.parts(list(seen), rows, _rows_at_a_time(about, list(seen), memory)):
            for name, found in seen.items():
                found.look(part[name])
    made = [Variable(name, about, package, seen.get(name)) for name in names]
    said = {
        "label": (about.file_label or "").strip(),
        "description": "\n".join(note.strip() for note in about.notes),
    }
    codebook = {key: value for key, value in said.items() if value}
    schema = pa.schema(
        [pa.field(one.name, one.type) for one in made],
        metadata(
            {codebooks.ATTRIBUTE: codebook} if codebook else {},
            {one.name: one.attributes for one in made},
        ),
    )

    def batches() -> Iterator[pa.RecordBatch]:
        for part in file.parts(names, rows, step):
            arrays = [one.array(part[one.name]) for one in made]
            yield pa.record_batch(arrays, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _rows_at_a_time(about: Any, names: Sequence[str], memory: int) -> int:
    """Many, since pyreadstat passes over all rows before those that it gives."""
    texts = [name for name in names if about.readstat_variable_types[name] == "string"]
    width = _OF_A_NUMBER * (len(names) - len(texts))
    width += sum(_OF_A_TEXT + about.variable_storage_width[name] for name in texts)
    rows: int = memory // 8 // max(width, 1)
    return max(min(rows, _MOST), _FEWEST)
