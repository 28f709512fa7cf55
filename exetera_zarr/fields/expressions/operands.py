"""The other side of an operator, in the terms of the field that it meets."""

from __future__ import annotations

import datetime as dt
import operator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr import moments
from exetera_zarr.errors import ArgumentTypeError, DataError, ResultRangeError, listing
from exetera_zarr.fields.expressions.operators import COMPARISONS
from exetera_zarr.fields.rows import Rows
from exetera_zarr.fields.writing.given import (
    TIMES,
    in_a_row,
    is_number,
    nothing,
    number_array,
    split_missing,
)
from exetera_zarr.fieldtypes import label_bytes, label_text
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.categorical import CategoricalField
    from exetera_zarr.storage.base import AnyArray

__all__ = ["category_operand", "number_operand", "seconds_of", "text_operand", "time_operand"]

_MISSING = (
    "nothing is equal to {}: write isna() for the rows whose value is missing, notna() for others"
)


def number_operand(field: Field, other: Any, function: Callable[..., Any]) -> Any:
    """What meets a field of numbers: numbers, arrays of them, and fields that hold them."""
    if other is None and function in COMPARISONS and not field.face.refuses_truth:
        return None
    if isinstance(other, Rows):
        if not other.of_numbers or (_is_categorical(other) and field.face.sees_missing):
            raise ArgumentTypeError(_mismatch(field, other, _NUMBERS))
        return other
    return _plain_numbers(field, other, function, _NUMBERS)


_NUMBERS = "compare it with numbers"


def _plain_numbers(field: Field, other: Any, function: Callable[..., Any], hint: str) -> Any:
    def numbers(values: Any) -> Any:
        array = number_array(values)
        if array.dtype.kind == "O" and all(map(is_number, array.reshape(-1))):
            return array if function in COMPARISONS else _reckoned(field, array)
        if array.dtype.kind not in "biuf":
            raise ArgumentTypeError(_mismatch(field, other, hint))
        weak = isinstance(other, (list, tuple)) and array.dtype.kind == "f"
        # Python's floats take the type of the field, in a list as alone.
        return array.astype(field.dtype_of_rows) if weak and _is_float32(field) else array

    _not_nothing(field, other)
    if isinstance(other, (str, bytes, *TIMES)):
        raise ArgumentTypeError(_mismatch(field, other, hint))
    if is_number(other):
        return other
    if _has_rows(other):
        # By the type of the blank & and | know that these are conditions, which may be decided.
        return _array_of(field, other, numbers, field.dtype_of_rows.type(0))
    raise ArgumentTypeError(_mismatch(field, other, hint))


def _is_float32(field: Field) -> bool:
    return field.dtype_of_rows == np.float32


def _reckoned(field: Field, array: AnyArray) -> AnyArray:
    """Numbers to reckon with of which numpy's types do not hold all exactly."""
    if any(isinstance(one, (float, np.floating)) for one in array.reshape(-1)):
        return array.astype(np.float64)  # where the result is one anyway
    raise ResultRangeError(f"{field.phrase()} meets whole numbers beyond 64 bits")


def _not_nothing(field: Field, other: Any) -> None:
    shown = nothing(other)
    if shown is not None:
        raise ArgumentTypeError(f"{field.phrase()}: {_MISSING.format(shown)}")


def _has_rows(other: Any) -> bool:
    return hasattr(other, "__array__") or isinstance(other, (list, tuple))


def _array_of(field: Field, other: Any, convert: Callable[[Any], Any], blank: Any) -> Any:
    """
    What is given in a row as an array, masked where something is missing.

    Parameters
    ----------
    field
        Which it meets.
    other
        An array, a list, or a column of pandas.
    convert
        Makes an array, of one type, of those values that are there.
    blank
        Any such value, for where none is there.
    """
    sees = field.face.sees_missing
    values = in_a_row(other, field.phrase(), missing=sees)
    values, mask = split_missing(values) if sees else (values, None)
    if mask is not None and not mask.any():
        values = [blank] * mask.size
    array = np.asarray(convert(values))
    if array.ndim > 1:
        raise DataError(f"{field.phrase()} meets one dimension of rows, not {array.ndim}")
    if mask is None:
        return array[()] if array.ndim == 0 else array
    if mask.ndim == 0:
        _not_nothing(field, None)
    return np.ma.masked_array(array, ~mask)


def _mismatch(field: Field, other: Any, hint: str) -> str:
    if isinstance(other, (str, bytes, int, float, *TIMES)):
        given = visible(repr(other))
    elif isinstance(other, Rows):
        phrase = getattr(other, "phrase", None)
        given = phrase() if phrase is not None else repr(other)
    elif isinstance(other, np.ndarray):
        given = f"an array of {other.dtype}"
    else:
        given = f"a {type(other).__name__}"
    kind = {"indexedstring": "strings", "fixedstring": "strings", "timestamp": "points in time"}
    holds = kind.get(field.type_name, "numbers")
    return f"{field.phrase()} holds {holds}, which do not go together with {given}: {hint}"


def _is_categorical(other: Any) -> bool:
    return getattr(other, "type_name", None) == "categorical"


# -- categories


def category_operand(field: CategoricalField, other: Any, function: Callable[..., Any]) -> Any:
    """
    What meets a categorical field: names, codes, and other fields of categories.

    Names are those of the field, equal or not; ``<`` and the like go by the order of the codes.
    """
    hint = f"compare it with a name, of {listing(map(label_text, field.keys.values()))}, or a code"
    if function not in COMPARISONS and field.face.sees_missing:
        raise ArgumentTypeError(
            f"{field.phrase()} holds codes that stand for names, and are no numbers to reckon "
            "with: take field.data[:] where the codes themselves are meant"
        )
    if other is None:
        return number_operand(field, other, function)
    _not_nothing(field, other)
    if isinstance(other, (str, bytes)):
        return _code_of(field, other, hint)
    if isinstance(other, Rows):
        if not _is_categorical(other):
            if field.face.sees_missing:
                raise ArgumentTypeError(_mismatch(field, other, hint))
            return number_operand(field, other, function)
        return _in_codes_of(field, other, function)

    def codes(values: Any) -> Any:
        array = np.asarray(values)
        names = array.reshape(-1).tolist()
        if array.dtype.kind in "USO" and all(isinstance(name, (str, bytes)) for name in names):
            found = np.asarray([_code_of(field, name, hint) for name in names], np.int64)
            return found.reshape(array.shape)
        return _plain_numbers(field, values, function, hint)

    if _has_rows(other):
        return _array_of(field, other, codes, 0)
    return _plain_numbers(field, other, function, hint)


def _code_of(field: CategoricalField, name: str | bytes, hint: str) -> int:
    for code, label in field.keys.items():
        if label_bytes(label) == label_bytes(name):
            return int(code)
    raise DataError(f"{field.phrase()} has no category {name!r}: {hint}")


def _in_codes_of(field: CategoricalField, other: Any, function: Callable[..., Any]) -> Any:
    """Another categorical field with the codes that this one has for the same names."""
    ours = {label_bytes(name): code for code, name in field.keys.items()}
    theirs = {label_bytes(name): code for code, name in other.keys.items()}
    if ours == theirs:
        return other
    if function not in (operator.eq, operator.ne):
        raise ArgumentTypeError(
            f"{field.phrase()} and {other.phrase()} have different categories, so that neither "
            "is less than the other: compare them with == or !="
        )
    free = max([*ours.values(), *theirs.values()], default=0) + 1
    codes = {code: ours.get(name, free + code) for name, code in theirs.items()}
    recoded = other.numeric_like("int64")
    known = np.asarray(sorted(codes), np.int64)
    new = np.asarray([codes[code] for code in known.tolist()], np.int64)
    for column, mask in other.masked_blocks():
        at = np.minimum(np.searchsorted(known, column), len(known) - 1)
        recoded.append_masked(np.where(known[at] == column, new[at], free - 1), mask)
    return recoded


# -- points in time


def time_operand(field: Field, other: Any, function: Callable[..., Any]) -> Any:
    """What meets a timestamp field: dates and times in any form, durations, seconds."""
    hint = "compare it with a datetime, a date, text such as '2020-05-06 07:08:09', or seconds"

    if other is None:
        return number_operand(field, other, function)
    _not_nothing(field, other)
    if field.face.sees_missing and _is_of_bool(other):
        raise ArgumentTypeError(_mismatch(field, other, hint))
    if _is_duration(other):
        if function in COMPARISONS:
            raise ArgumentTypeError(_mismatch(field, other, hint))
        return _durations(
            field, np.asarray(other, None if isinstance(other, np.generic) else "m8[us]")
        )[()]
    if isinstance(other, (str, dt.date, np.datetime64)):
        return seconds_of(field, other)
    if isinstance(other, Rows):
        if not other.of_numbers or (_is_categorical(other) and field.face.sees_missing):
            raise ArgumentTypeError(_mismatch(field, other, hint))
        return other
    if _has_rows(other):
        return _array_of(field, other, partial(_seconds, field, function, hint), 0)
    return _plain_numbers(field, other, function, hint)


def _seconds(field: Field, function: Callable[..., Any], hint: str, values: Any) -> AnyArray:
    """Points in time, durations or numbers in a row as seconds."""
    array = np.asarray(values)
    if array.dtype.kind == "M":
        return _seconds_of_array(array)
    if field.face.sees_missing and (array.dtype.kind == "b" or _has_bool(values)):
        raise ArgumentTypeError(_mismatch(field, values, hint))
    given = array.reshape(-1).tolist() if array.dtype.kind in "UO" else []
    if array.dtype.kind == "m" or (given and all(map(_is_duration, given))):
        if function in COMPARISONS:
            raise ArgumentTypeError(_mismatch(field, values, hint))
        return _durations(field, array)
    if given and not all(map(is_number, given)):
        found = [seconds_of(field, one) for one in given]
        return np.asarray(found, np.float64).reshape(array.shape)
    return np.asarray(_plain_numbers(field, values, function, hint))


def _is_of_bool(value: Any) -> bool:
    if isinstance(value, Rows):
        return value.of_numbers and value.dtype_of_rows.kind == "b"
    return isinstance(value, (bool, np.bool_))


def _has_bool(values: Any) -> bool:
    """Whether there is a truth value among others, of which numpy would make a number."""
    of_objects = isinstance(values, np.ndarray) and values.dtype.kind == "O"
    given = values.reshape(-1) if of_objects else values
    return (of_objects or isinstance(values, (list, tuple))) and any(
        isinstance(one, (bool, np.bool_)) for one in given
    )


def _is_duration(value: object) -> bool:
    return isinstance(value, (dt.timedelta, np.timedelta64))


def _durations(field: Field, array: AnyArray) -> AnyArray:
    """Durations in seconds; a year or a month is none, for want of a length."""
    if array.dtype.kind != "m":
        array = array.astype("m8[us]")
    if np.datetime_data(array.dtype)[0] in ("Y", "M"):
        raise ArgumentTypeError(
            f"{field.phrase()}: years and months have no fixed length: give days, as in "
            "np.timedelta64(365, 'D')"
        )
    seconds: AnyArray = array / np.timedelta64(1, "s")
    return seconds


def seconds_of(field: Field, moment: Any) -> float:
    """A moment in any form as POSIX seconds; DataError, naming the field, for what is none."""
    try:
        return moments.moment(moment)
    except ValueError as error:
        raise DataError(f"{field.phrase()} holds points in time: {error}") from error


def _seconds_of_array(array: Any) -> AnyArray:
    since = array.astype("datetime64[us]") - np.datetime64(0, "us")
    seconds: AnyArray = since / np.timedelta64(1, "s")  # NaT becomes NaN
    return seconds


# -- strings


def text_operand(field: Field, other: Any, function: Callable[..., Any]) -> Any:
    """What meets a field of strings: text, arrays of it, and other fields of strings."""
    hint = "compare it with text"
    if function not in COMPARISONS:
        return NotImplemented
    _not_nothing(field, other)
    if isinstance(other, (str, bytes)):
        return label_bytes(other)
    if isinstance(other, Rows):
        if other.of_numbers:
            raise ArgumentTypeError(_mismatch(field, other, hint))
        return other

    def texts(values: Any) -> Any:
        array = np.asarray(values, object)
        given = array.reshape(-1).tolist()
        if not all(isinstance(one, (str, bytes)) for one in given):
            raise ArgumentTypeError(_mismatch(field, other, hint))
        found = np.empty(len(given), object)
        found[:] = [label_bytes(one) for one in given]
        return found.reshape(array.shape)

    if _has_rows(other):
        return _array_of(field, other, texts, "")
    raise ArgumentTypeError(_mismatch(field, other, hint))
