"""Tables as files of SPSS and Stata, with labels, and with missing codes as user-missing values."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from exetera_zarr.engine import is_strings
from exetera_zarr.engine.columns import selection, strings
from exetera_zarr.errors import DataError, MemoryLimitError
from exetera_zarr.fields.describing import codes_of
from exetera_zarr.fields.missing.companions import present
from exetera_zarr.fieldtypes import label_text
from exetera_zarr.io.statistics.reading import library
from exetera_zarr.io.statistics.times import SPSS_EPOCH, STATA_EPOCH
from exetera_zarr.storage import create_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exetera_zarr.fields.base import Field
    from exetera_zarr.io.options import PathLike
    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["Target", "write_statistics"]

Target: TypeAlias = Literal["SPSS", "Stata"]
_EXACT = 1 << 53
_MOST_LETTERS = 26
_MOST_CODES, _LONGEST_CODE = 3, 8
_OF_A_NUMBER, _OF_A_TEXT = 32, 120
_SPSS_MISSING = float(np.finfo(np.float64).max)
"""With a minus what SPSS stores for no value; readers take the other one for that, too."""
# Beyond these a number is a missing value to Stata.
_STATA_WHOLE = (-2_147_483_647, 2_147_483_620)
_STATA_LARGEST = {"float32": 2.0**127, "float64": 2.0**1023}


@dataclass
class _Written:
    """What pyreadstat is given: the columns, and what is said of them by name."""

    columns: dict[str, AnyArray] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    value_labels: dict[str, dict[Any, str]] = field(default_factory=dict)
    missing: dict[str, list[Any]] = field(default_factory=dict)
    formats: dict[str, str] = field(default_factory=dict)


def write_statistics(
    frame: DataFrame,
    target: Target,
    path: PathLike,
    columns: str | Sequence[str] | None,
    where: Any,
    options: Mapping[str, Any] | None,
) -> None:
    """
    Write a table to a file, which is in its place when all of it is written.

    Parameters
    ----------
    frame
        The table.
    target
        What it is written for.
    path
        Path or URL.
    columns, where
        As of `DataFrame.to_arrow`.
    options
        For the file system behind a URL.

    Raises
    ------
    DataError
        The file cannot hold a value, a name or the missing codes of a field.
    MemoryLimitError
        The table is too large: pyreadstat writes one that is in memory.
    """
    given = library()
    hidden = set(frame.companions().values()) if columns is None else set()
    wanted = columns if columns is None or isinstance(columns, str) else list(columns)
    chosen = list(frame) if wanted is None else frame.selected(wanted)
    names = [name for name in chosen if name not in hidden]
    frame.length(names)
    if where is not None:
        frame = frame.filter(where)
    _check_memory(frame, names)
    written = _Written()
    _check_nul(frame.label or "", f"the label of the table {frame.name!r}", target)
    for name in names:
        _add(written, frame[name], name, target)
        for label in (written.labels.get(name, ""), *written.value_labels.get(name, {}).values()):
            _check_nul(label, f"a label of {frame[name].phrase()}", target)
    import pandas as pd

    data = pd.DataFrame({name: written.columns.pop(name) for name in names}, copy=False)
    how: dict[str, Any] = {
        "file_label": frame.label or "",
        "column_labels": written.labels,
        "variable_value_labels": written.value_labels,
        "variable_format": written.formats,
    }
    with tempfile.TemporaryDirectory(dir=frame.dataset.settings.spill_dir) as folder:
        made = Path(folder) / ("x.sav" if target == "SPSS" else "x.dta")
        try:
            if target == "SPSS":
                how |= {"missing_ranges": written.missing, "row_compress": True}
                given.write_sav(data, made, **how)
            else:
                given.write_dta(data, made, missing_user_values=written.missing, **how)
        except (given.ReadstatError, given.PyreadstatError, UnicodeError) as error:
            raise DataError(
                f"the table {frame.name!r} cannot be written for {target}: {error}; names may have "
                "to be shorter, or without blanks: df.rename(columns={...}) gives others"
            ) from error
        with made.open("rb") as source, create_file(os.fspath(path), options) as file:
            shutil.copyfileobj(source, file, 1 << 20)


def _check_memory(frame: DataFrame, names: Sequence[str]) -> None:
    width = sum(_OF_A_TEXT if frame[name].indexed else _OF_A_NUMBER for name in names)
    needed, limit = width * frame.length(names), frame.dataset.settings.memory_limit
    if needed > limit:
        raise MemoryLimitError(
            f"the table {frame.name!r} takes about {needed >> 20:,} MB to be written, and the "
            f"memory limit is {limit >> 20:,} MB: choose columns= or where=, or write Parquet"
        )


def _add(written: _Written, of_table: Field, name: str, target: Target) -> None:
    """Have one more column."""
    if of_table.label:
        written.labels[name] = of_table.label
    column, there, coded = _read(of_table)
    if of_table.indexed or of_table.type_name == "fixedstring":
        kept = there | coded if target == "SPSS" else there
        written.columns[name] = _texts(of_table, column, kept, target)
        codes = [label_text(code) for code in codes_of(of_table)]
        if codes and target == "SPSS":
            written.missing[name] = codes[:_MOST_CODES]
            _check_codes(of_table, codes)
            _check_length(of_table, codes)
        return
    values = np.asarray(column)
    codes_and_names = dict(codes_of(of_table))
    if of_table.type_name == "categorical":
        keys = of_table.keys  # type: ignore[attr-defined]
        written.value_labels[name] = {code: label_text(label) for code, label in keys.items()}
    else:
        written.value_labels[name] = dict(codes_and_names)
    if of_table.type_name == "timestamp":
        values = _counted(values, target)
        written.formats[name] = "DATETIME23.2" if target == "SPSS" else "%tc"
        written.value_labels[name] = {}
    if target == "SPSS":
        _add_for_spss(written, of_table, name, values, there, coded)
    else:
        _add_for_stata(written, of_table, name, values, there, coded)
    if not written.value_labels[name]:
        del written.value_labels[name]


def _read(of_table: Field) -> tuple[Any, AnyArray, AnyArray]:
    """All rows as they are stored, which have a value, and which have a missing code."""
    parts = list(of_table.masked_blocks())
    column = selection.concat([of_table.empty_column(), *(part for part, _ in parts)])
    there = np.concatenate(
        [np.empty(0, np.bool_)]
        + [np.ones(len(part), np.bool_) if mask is None else mask for part, mask in parts]
    )
    coded = of_table.coded(column)
    if not is_strings(column) and np.asarray(column).dtype.kind == "f":
        found = present(np.asarray(column), there)
        there = there if found is None else found
    return column, there, np.zeros(len(there), np.bool_) if coded is None else coded & ~there


def _texts(of_table: Field, column: Any, kept: AnyArray, target: Target) -> AnyArray:
    """Texts, without characters where none is kept."""
    texts = column if is_strings(column) else strings.from_fixed(column)
    found = np.empty(len(kept), object)
    found[:] = strings.decode(texts)
    found[~kept] = ""
    if (row := next((at for at, text in enumerate(found) if "\0" in text), None)) is not None:
        _check_nul(found[row], f"row {row} of {of_table.phrase()}", target)
    return found


def _check_nul(text: str, what: str, target: Target) -> None:
    if "\0" in text:
        raise DataError(
            f"{what} is {text!r}, and to {target} a text ends at a NUL character: replace these "
            "characters"
        )


def _counted(seconds: AnyArray, target: Target) -> AnyArray:
    """Points in time as the package counts them."""
    if target == "SPSS":
        return seconds - SPSS_EPOCH
    found: AnyArray = np.rint((seconds - STATA_EPOCH) * 1000)
    return found


# -- SPSS: all numbers are float64, and up to three of them, or a range, are user-missing


def _add_for_spss(
    written: _Written,
    of_table: Field,
    name: str,
    values: AnyArray,
    there: AnyArray,
    coded: AnyArray,
) -> None:
    _check_exact(of_table, values, there, "SPSS")
    found = values.astype(np.float64)
    codes = [float(code) for code in codes_of(of_table)]
    if of_table.type_name == "timestamp":
        codes = _counted(np.asarray(codes), "SPSS").tolist()
    if len(codes) > _MOST_CODES:
        low, high = min(codes), max(codes)
        if ((found >= low) & (found <= high) & there).any():
            _check_codes(of_table, codes)
        written.missing[name] = [{"lo": low, "hi": high}]
    elif codes:
        written.missing[name] = codes
    written.value_labels[name] = {float(k): v for k, v in written.value_labels[name].items()}
    found[~(there | coded)] = np.nan
    missing = np.abs(found) == _SPSS_MISSING
    if missing.any():
        row = int(np.argmax(missing))
        raise DataError(
            f"row {row} of {of_table.phrase()} is {found[row]}, which is a system-missing value to "
            "SPSS: give it another value, or leave it out by where="
        )
    written.columns[name] = found


def _check_length(of_table: Field, codes: Sequence[str]) -> None:
    for code in codes:
        if len(code.encode()) > _LONGEST_CODE:
            raise DataError(
                f"{of_table.phrase()} has the missing code {code!r}, and SPSS knows none of more "
                f"than {_LONGEST_CODE} bytes: set field.missing_codes to others, or leave the "
                "field out by columns="
            )


def _check_codes(of_table: Field, codes: Sequence[Any]) -> None:
    if len(codes) > _MOST_CODES:
        raise DataError(
            f"{of_table.phrase()} has {len(codes)} missing codes, and SPSS knows {_MOST_CODES}, or "
            "a range that has no other value in it: set field.missing_codes to fewer, or leave "
            "the field out by columns="
        )


# -- Stata: types of their own, and 26 letters for what is missing


def _add_for_stata(
    written: _Written,
    of_table: Field,
    name: str,
    values: AnyArray,
    there: AnyArray,
    coded: AnyArray,
) -> None:
    codes = list(codes_of(of_table))
    if len(codes) > _MOST_LETTERS:
        raise DataError(
            f"{of_table.phrase()} has {len(codes)} missing codes, and Stata knows "
            f"{_MOST_LETTERS}: set field.missing_codes to fewer, or leave the field out by columns="
        )
    stored = np.asarray(codes, np.float64)
    if of_table.type_name == "timestamp" and codes:
        stored = _counted(stored, "Stata")
    letters = {code: chr(ord("a") + at) for at, code in enumerate(stored.tolist())}
    found = _as_stata_has_it(of_table, values, there)
    kind = int if found.dtype.kind == "i" else float
    if not (there.all() and found.dtype.kind in "iu"):
        missing = ~there
        if found.dtype.kind == "f" and not coded.any():
            found = np.where(missing, np.nan, found)
        else:
            found = found.astype(object)
            found[missing] = np.nan
            for code, letter in letters.items():
                found[coded & (values == code)] = letter
    meanings = dict(zip(letters.values(), codes_of(of_table).values(), strict=True))
    labels = {
        kind(code): label
        for code, label in written.value_labels[name].items()
        if code not in letters
    }
    written.value_labels[name] = {**labels, **meanings}
    if codes:
        written.missing[name] = [*letters.values()]
    written.columns[name] = found


def _as_stata_has_it(of_table: Field, values: AnyArray, there: AnyArray) -> AnyArray:
    """Numbers in a type in which none of them is a missing value."""
    kept = values[there]
    if values.dtype.kind == "b":
        values = values.astype(np.int8)
    if values.dtype.kind in "iu":
        if not len(kept):
            return values.astype(np.float64)  # pyreadstat takes it for that
        if kept.min() >= _STATA_WHOLE[0] and kept.max() <= _STATA_WHOLE[1]:
            return np.where(there, values, 0).astype(np.int32)
        _check_exact(of_table, values, there, "Stata")
        return values.astype(np.float64)
    largest = float(np.abs(kept).max(initial=0))
    if largest >= _STATA_LARGEST["float64"]:
        raise DataError(
            f"{of_table.phrase()} has numbers that Stata takes for missing ones, such as infinity"
        )
    if values.dtype == np.float32 and largest >= _STATA_LARGEST["float32"]:
        return values.astype(np.float64)
    return values


def _check_exact(of_table: Field, values: AnyArray, there: AnyArray, target: Target) -> None:
    if values.dtype.itemsize < 8 or values.dtype.kind not in "iu":
        return
    large = there & (
        (values > _EXACT) | ((values < -_EXACT) if values.dtype.kind == "i" else False)
    )
    if large.any():
        row = int(np.argmax(large))
        raise DataError(
            f"row {row} of {of_table.phrase()} is {values[row]}, which {target} cannot hold "
            "exactly: write it as text, by df.assign(name=df['name'].astype(str))"
        )
