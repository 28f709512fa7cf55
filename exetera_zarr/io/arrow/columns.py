"""One column of a table as an array of Arrow: nulls, names of categories, points in time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
import pyarrow as pa

from exetera_zarr.engine import is_strings
from exetera_zarr.engine.columns import strings
from exetera_zarr.errors import DataError
from exetera_zarr.fields.missing.companions import present
from exetera_zarr.fieldtypes import label_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from exetera_zarr.engine import Column
    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.categorical import CategoricalField
    from exetera_zarr.storage.base import AnyArray

__all__ = ["MOMENT", "ArrowColumn", "Numbered", "array_of", "arrow_column"]

MOMENT = pa.timestamp("us", "UTC")
"""The type of points in time."""
_MICRO = 1e6
_LAST = 9.2e12
"""Seconds; in microseconds they have 63 bits."""
_AS_IT_IS = "raw=True gives what is stored"

Numbered: TypeAlias = "Callable[[int], int]"
"""What gives the number in its table of a row of a block, for messages."""


@dataclass(frozen=True)
class ArrowColumn:
    """
    How the rows of a field become an array of Arrow.

    Parameters
    ----------
    type
        Of the array.
    names
        Those of categories, in the order of their codes.
    make
        Makes one of a column, of the rows in it that have a value (None for all), and of what
        gives the numbers of the rows. DataError names a row that Arrow cannot hold.
    """

    type: pa.DataType
    make: Callable[[Column, AnyArray | None, Numbered], pa.Array]
    names: list[str] | None = None


def arrow_column(field: Field, *, raw: bool) -> ArrowColumn:
    """
    How a field becomes an array of Arrow.

    Parameters
    ----------
    field
        Of a table.
    raw
        Whether what is stored is wanted: codes, seconds and bytes, and no nulls.

    Raises
    ------
    DataError
        Two of its categories have the same name, or one is no text.
    """
    if field.indexed or field.type_name == "fixedstring":
        return _of_texts(field, raw=raw)
    if field.type_name == "categorical" and not raw:
        return _of_categories(cast("CategoricalField", field))
    if field.type_name == "timestamp" and not raw:
        return _of_moments(field)
    return _of_numbers(field, raw=raw)


def _bits(there: AnyArray | None) -> pa.Buffer | None:
    return None if there is None else pa.py_buffer(np.packbits(there, bitorder="little"))


def array_of(kind: pa.DataType, values: AnyArray, there: AnyArray | None) -> pa.Array:
    """Numbers as Arrow has them, without a copy."""
    # Not pa.array(values), which would import pandas.
    data = np.packbits(values, bitorder="little") if kind == pa.bool_() else values
    buffers = [_bits(there), pa.py_buffer(np.ascontiguousarray(data))]
    return pa.Array.from_buffers(kind, len(values), buffers)


def _of_numbers(field: Field, *, raw: bool) -> ArrowColumn:
    dtype = field.dtype_of_rows.newbyteorder("=")
    kind = pa.from_numpy_dtype(dtype)

    def make(column: Column, there: AnyArray | None, _numbered: Numbered) -> pa.Array:
        values = np.asarray(column).astype(dtype, copy=False)
        return array_of(kind, values, None if raw else present(values, there))

    return ArrowColumn(kind, make)


def _of_moments(field: Field) -> ArrowColumn:
    def make(column: Column, there: AnyArray | None, numbered: Numbered) -> pa.Array:
        seconds = np.asarray(column)
        there = present(seconds, there)
        if there is not None:
            seconds = np.where(there, seconds, 0.0)
        beyond = np.abs(seconds) >= _LAST
        if beyond.any():
            row = int(np.argmax(beyond))
            raise DataError(
                f"row {numbered(row)} of {field.phrase()} is {seconds[row]} seconds, which "
                f"{MOMENT} cannot hold: {_AS_IT_IS}"
            )
        return array_of(MOMENT, np.rint(seconds * _MICRO).astype(np.int64), there)

    return ArrowColumn(MOMENT, make)


def _of_texts(field: Field, *, raw: bool) -> ArrowColumn:
    kind = pa.large_binary() if raw else pa.large_string()

    def make(column: Column, there: AnyArray | None, numbered: Numbered) -> pa.Array:
        texts = column if is_strings(column) else strings.from_fixed(cast("Any", column))
        if raw:
            return texts
        if not strings.is_text(texts):
            row = _first_without_text(texts)
            raise DataError(
                f"row {numbered(row)} of {field.phrase()} is {texts[row].as_py()!r}, which is no "
                f"UTF-8 text: {_AS_IT_IS}, as bytes"
            )
        offsets, data = strings.from_arrow(texts)
        buffers = [_bits(there), pa.py_buffer(offsets), pa.py_buffer(data)]
        return pa.Array.from_buffers(kind, len(texts), buffers)

    return ArrowColumn(kind, make)


def _first_without_text(texts: pa.LargeBinaryArray) -> int:
    for row, value in enumerate(texts.to_pylist()):
        try:
            value.decode()
        except UnicodeDecodeError:
            return row
    return 0


def _of_categories(field: CategoricalField) -> ArrowColumn:
    """In the order of the codes, with the names that do not occur."""
    keys = dict(sorted(field.keys.items()))
    codes = np.asarray([*keys], np.int64)
    texts = [_name(field, code, label) for code, label in keys.items()]
    twice = [name for name, count in Counter(texts).items() if count > 1]
    if twice:
        raise DataError(
            f"two codes of {field.phrase()} have the same name, {twice[0]!r}, which Arrow's "
            f"categories cannot tell apart: {_AS_IT_IS}"
        )
    names = strings.encode(texts).cast(pa.string())
    kind = pa.dictionary(_index_type(len(codes)), names.type)
    in_a_row = bool((codes == np.arange(len(codes))).all())
    numpy_type = np.dtype(str(kind.index_type))

    def make(column: Column, there: AnyArray | None, numbered: Numbered) -> pa.Array:
        given = np.asarray(column)
        if in_a_row:
            at, known = given, (given >= 0) & (given < len(codes))
        else:
            at = np.minimum(np.searchsorted(codes, given), len(codes) - 1)
            known = codes[at] == given
        if not known.all():
            odd = ~known if there is None else ~known & there
            if odd.any():
                row = int(np.argmax(odd))
                raise DataError(
                    f"row {numbered(row)} of {field.phrase()} has the code {given[row]}, which has "
                    f"no name: give it one, or {_AS_IT_IS}"
                )
            at = np.where(known, at, 0)
        indices = array_of(kind.index_type, at.astype(numpy_type, copy=False), there)
        return pa.DictionaryArray.from_arrays(indices, names)

    return ArrowColumn(kind, make, texts)


def _name(field: Field, code: int, label: str | bytes) -> str:
    try:
        return label_bytes(label).decode()
    except UnicodeError as error:
        raise DataError(
            f"the name {label!r} of the code {code} of {field.phrase()} is no UTF-8 text: "
            f"{_AS_IT_IS}"
        ) from error


def _index_type(names: int) -> pa.DataType:
    fits = (kind for kind in ("int8", "int16") if names <= np.iinfo(kind).max)
    return pa.from_numpy_dtype(np.dtype(next(fits, "int32")))
