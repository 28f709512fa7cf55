"""Values that were given as the column of a field, exactly, or an error that says which is not."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa

from exetera_zarr.engine import is_strings
from exetera_zarr.engine.columns import strings
from exetera_zarr.errors import DataError, listing
from exetera_zarr.fields.data import blank_missing
from exetera_zarr.fields.expressions.operands import seconds_of
from exetera_zarr.fields.missing.companions import holds_nan, in_place_of_missing, present
from exetera_zarr.fields.writing.values import as_values, check_seconds, in_a_year
from exetera_zarr.fieldtypes import label_bytes, label_text
from exetera_zarr.tables.rows.values import Values, texts_of_labels
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from exetera_zarr.engine import Column
    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.categorical import CategoricalField
    from exetera_zarr.fields.fixed_string import FixedStringField
    from exetera_zarr.storage.base import AnyArray

__all__ = ["empty_rows", "fitted"]


def fitted(field: Field, name: str, values: Values, first: int) -> tuple[Column, AnyArray | None]:
    """
    Values as a field stores them.

    Parameters
    ----------
    field
        Where they go.
    name
        The column that they were given in, for messages.
    values
        The values.
    first
        The number of their first row among all that are given, for messages.

    Returns
    -------
    column : Column
        Of the field's type; NaN, 0, False or no text where a value is missing.
    mask : ndarray of bool, or None
        Which rows have a value; None where all have.

    Raises
    ------
    DataError
        The field cannot hold a value exactly; it names the first such row.
    """
    try:
        return _fitted(field, values)
    except (DataError, TypeError, OverflowError) as error:
        row = _first_misfit(field, values)
        shown = visible(repr(values.one(row)))
        raise DataError(
            f"row {first + row} of those given: {name!r} is {shown}, which {field.phrase()}, "
            f"being {field.fieldtype}, {_reason(field, error)}"
        ) from error


def empty_rows(field: Field, rows: int) -> tuple[Column, AnyArray]:
    """Rows of which all are missing; as `fitted` gives them."""
    mask = np.zeros(rows, np.bool_)
    if field.indexed:
        return strings.encode([""] * rows), mask
    return in_place_of_missing(np.zeros(rows, field.dtype_of_rows), mask), mask


class _MisfitError(DataError):
    """What is wrong with a value, and what to do about it, as the end of a sentence."""


def _reason(field: Field, error: Exception) -> str:
    if isinstance(error, _MisfitError):
        return str(error.args[0])
    takes = {
        "numeric": "give a number of that type, or change the type of the field first",
        "timestamp": "give a date, a datetime, text such as '2020-05-06 07:08:09', or seconds",
        "categorical": "give the name or the code of a category",
    }
    return f"cannot hold exactly: {takes.get(field.type_name, 'give text')}"


def _first_misfit(field: Field, values: Values) -> int:
    """The first row that the field cannot hold: that at which the rows so far no longer fit."""
    fits, fails = 0, len(values)
    while fails - fits > 1:
        middle = (fits + fails) // 2
        try:
            _fitted(field, values.part(0, middle))
        except (DataError, TypeError, OverflowError):
            fails = middle
        else:
            fits = middle
    return fails - 1


def _fitted(field: Field, values: Values) -> tuple[Column, AnyArray | None]:
    if values.all_missing and len(values):
        return empty_rows(field, len(values))
    match field.type_name:
        case "numeric":
            column = _numbers(field, values)
        case "timestamp":
            column = _seconds(field, values)
        case "categorical":
            column = _codes(cast("CategoricalField", field), values)
        case "fixedstring":
            column = _fixed(cast("FixedStringField", field), values)
        case _:
            column = _texts(values)
    mask = values.mask
    if mask is not None and not is_strings(column):
        column = in_place_of_missing(column, mask)
    if holds_nan(column):
        mask = present(column, mask)
    return column, mask


def _present(data: Any, mask: AnyArray | None, filler: Any = 0) -> Any:
    """The data, with a value that every field can hold where one is missing."""
    if mask is None:
        return data
    if isinstance(data, list):
        return [one if has else filler for one, has in zip(data, mask, strict=True)]
    return np.where(mask, data, np.zeros((), data.dtype))


def _numbers(field: Field, values: Values) -> AnyArray:
    dtype = field.dtype_of_rows
    takes = ["numbers", "objects", *(["durations"] if dtype.kind == "f" else [])]
    if values.type is not None and pa.types.is_integer(values.type):
        takes.append("labels")  # which came as numbers
    data = _present(values.data, values.mask) if values.kind in takes else None
    if data is None:
        raise DataError("no number")
    if values.kind == "objects":
        data = [_of_decimal(one, dtype) for one in data]
    return as_values(data, dtype, field.phrase())


def _of_decimal(value: Any, dtype: np.dtype[Any]) -> Any:
    """A decimal as the number that is exactly as large; other values as they are."""
    if not isinstance(value, Decimal):
        return value
    if value == value.to_integral_value():
        return int(value)
    if dtype.kind != "f" or Decimal(float(dtype.type(float(value)))) != value:
        raise _MisfitError(
            "cannot hold exactly: floats are given as floats, so make it one if the nearest will "
            "do, in SQL by ::double"
        )
    return float(value)


def _seconds(field: Field, values: Values) -> AnyArray:
    match values.kind:
        case "moments" if values.data.dtype.kind == "M":
            return _seconds_of_moments(values)
        case "moments":
            return np.asarray(values.data, np.float64)
        case "numbers" if values.data.dtype.kind != "b":
            found = as_values(_present(values.data, values.mask), np.dtype("f8"), field.phrase())
            check_seconds(found, field.phrase())
            return found
        case "labels":
            return _seconds(field, texts_of_labels(values))
        case "texts":
            return _seconds_of_texts(field, values)
        case "objects":
            data = _present(values.data, values.mask)
            if any(isinstance(one, (bool, np.bool_)) for one in data):
                raise DataError("no point in time")
            found = np.asarray([seconds_of(field, one) for one in data], np.float64)
            check_seconds(found, field.phrase())
            return found
    raise DataError("no point in time")


def _seconds_of_moments(values: Values) -> AnyArray:
    """Dates and times as seconds, to the microsecond, which is all that a float of now holds."""
    given = values.data
    if values.mask is not None:
        given = np.where(values.mask, given, np.zeros((), given.dtype))
    fine = given.astype("datetime64[us]")
    finer = np.datetime_data(given.dtype)[0] in ("us", "ns", "ps", "fs", "as")
    if not finer and (fine.astype(given.dtype) != given).any():
        raise _beyond()
    seconds = np.asarray((fine - np.datetime64(0, "us")) / np.timedelta64(1, "s"), np.float64)
    if not in_a_year(seconds).all():
        raise _beyond()
    return seconds


def _beyond() -> _MisfitError:
    return _MisfitError(
        "cannot hold: it is in none of the years 1 to 9999; perhaps its unit is another one, such "
        "as milliseconds that were taken for seconds"
    )


def _seconds_of_texts(field: Field, values: Values) -> AnyArray:
    """Each distinct text is read once."""
    data = values.data if is_strings(values.data) else strings.from_fixed(values.data)
    encoded = data.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    there = codes if values.mask is None else codes[values.mask]
    found = np.zeros(len(encoded.dictionary))
    for code in np.unique(there).tolist():
        text = encoded.dictionary[code].as_py().decode("utf-8", "surrogateescape")
        found[code] = seconds_of(field, text)
    return np.asarray(found[codes])


def _codes(field: CategoricalField, values: Values) -> AnyArray:
    dtype, keys = field.dtype_of_rows, field.keys
    if values.kind in ("numbers", "objects"):
        codes = _numbers(field, values)
        odd = ~np.isin(codes, [*keys])
        if values.mask is not None:
            odd &= values.mask
        if odd.any():
            raise _no_category(field)
        return codes
    by_name = {label_bytes(name): code for code, name in keys.items()}
    if values.kind == "texts":
        return _codes_of_texts(field, values, by_name, dtype)
    if values.kind != "labels":
        raise DataError("no category")
    assert values.codes is not None
    assert values.labels is not None
    theirs = dict(zip(values.codes.tolist(), values.labels.to_pylist(), strict=True))
    if all(code in keys and label_bytes(keys[code]) == name for code, name in theirs.items()):
        # The same names for the same codes, and what has no name has none here either, ...
        unnamed = set(keys) - set(theirs)
        if not (unnamed and np.isin(values.data, [*unnamed]).any()):
            return as_values(_present(values.data, values.mask), dtype, field.phrase())
    found = np.full(len(values.codes), -1, np.int64)
    known = np.zeros(len(values.codes), np.bool_)
    for at, name in enumerate(theirs.values()):
        if name in by_name:
            found[at], known[at] = by_name[name], True
    return _looked_up(field, values, found, known).astype(dtype)


def _looked_up(
    field: CategoricalField, values: Values, found: AnyArray, known: AnyArray
) -> AnyArray:
    """The codes that were found for those of the values."""
    assert values.codes is not None
    there = np.ones(len(values), np.bool_) if values.mask is None else values.mask
    at = np.minimum(np.searchsorted(values.codes, values.data), max(len(found) - 1, 0))
    if len(found) == 0 or (there & ~((values.codes[at] == values.data) & known[at])).any():
        raise _no_category(field)
    return np.where(there, found[at], 0)


def _codes_of_texts(
    field: CategoricalField, values: Values, by_name: dict[bytes, int], dtype: np.dtype[Any]
) -> AnyArray:
    data = values.data if is_strings(values.data) else strings.from_fixed(values.data)
    encoded = data.dictionary_encode()
    names = encoded.dictionary.to_pylist()
    labels = Values(
        "labels",
        encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64),
        values.mask,
        np.arange(len(names)),
        strings.as_strings(encoded.dictionary),
    )
    known = np.asarray([name in by_name for name in names], np.bool_)
    found = np.asarray([by_name.get(name, 0) for name in names], np.int64)
    return _looked_up(field, labels, found, known).astype(dtype)


def _no_category(field: CategoricalField) -> _MisfitError:
    names = listing([label_text(name) for name in field.keys.values()])
    return _MisfitError(
        f"has no category for; there are: {names}: give one of these, or a field with another key"
    )


def _texts(values: Values) -> pa.LargeBinaryArray:
    if values.kind == "labels":
        values = texts_of_labels(values)
    if values.kind != "texts":
        raise DataError("no text")
    data = values.data if is_strings(values.data) else strings.from_fixed(values.data)
    return data if values.mask is None else blank_missing(data, values.mask)


def _fixed(field: FixedStringField, values: Values) -> AnyArray:
    width = field.length
    if values.kind == "texts" and not is_strings(values.data):
        data = values.data
        if data.dtype.itemsize > width:
            there = slice(None) if values.mask is None else values.mask
            if np.char.str_len(data[there]).max(initial=0) > width:
                raise _too_long(width)
            data = _present(data, values.mask)
        return np.asarray(data.astype(f"S{width}"))
    texts = _texts(values)
    if strings.lengths(texts).max(initial=0) > width:
        raise _too_long(width)
    found = np.asarray(texts.to_pylist(), f"S{width}") if len(texts) else np.empty(0, f"S{width}")
    if (np.char.str_len(found) != strings.lengths(texts)).any():
        raise _MisfitError("cannot hold, since it ends with NUL: give a field of indexed strings")
    return found


def _too_long(width: int) -> _MisfitError:
    return _MisfitError(f"cannot hold, having room for {width} bytes: give a wider field")
