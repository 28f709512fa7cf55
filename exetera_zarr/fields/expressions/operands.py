"""The other side of an operator, in the terms of the field that it meets."""

from __future__ import annotations

import datetime as dt
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr import moments
from exetera_zarr.errors import ArgumentTypeError, DataError, listing
from exetera_zarr.fields.expressions.operators import COMPARISONS
from exetera_zarr.fields.rows import Rows
from exetera_zarr.fieldtypes import label_bytes, label_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.categorical import CategoricalField

__all__ = ["category_operand", "number_operand", "seconds_of", "text_operand", "time_operand"]

_MISSING = (
    "nothing is equal to None: write isna() for the rows whose value is missing, notna() for others"
)
_TIMES = (dt.date, dt.timedelta, np.datetime64, np.timedelta64)


def number_operand(field: Field, other: Any, function: Callable[..., Any]) -> Any:
    """What meets a field of numbers: numbers, arrays of them, and fields that hold them."""
    if other is None:
        if function in COMPARISONS and not field.face.refuses_truth:
            return None
        raise ArgumentTypeError(f"{field.phrase()}: {_MISSING}")
    if isinstance(other, Rows):
        if not other.of_numbers or (_is_categorical(other) and field.face.sees_missing):
            raise ArgumentTypeError(_mismatch(field, other, "compare it with numbers"))
        return other
    return _plain_numbers(field, other, "compare it with numbers")


def _plain_numbers(field: Field, other: Any, hint: str) -> Any:
    if isinstance(other, (str, bytes, *_TIMES)):
        raise ArgumentTypeError(_mismatch(field, other, hint))
    if isinstance(other, (int, float, np.bool_, np.number)):
        return other
    if hasattr(other, "__array__") or isinstance(other, (list, tuple)):
        array = np.asarray(other)
        if array.dtype.kind in "biuf":
            return array
        if array.dtype.kind == "O" and all(isinstance(one, int) for one in array.flat):
            return array
    raise ArgumentTypeError(_mismatch(field, other, hint))


def _mismatch(field: Field, other: Any, hint: str) -> str:
    if isinstance(other, (str, bytes, int, float, *_TIMES)):
        given = repr(other)
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
    if isinstance(other, (str, bytes)):
        return _code_of(field, other, hint)
    if isinstance(other, Rows):
        if not _is_categorical(other):
            if field.face.sees_missing:
                raise ArgumentTypeError(_mismatch(field, other, hint))
            return number_operand(field, other, function)
        return _in_codes_of(field, other, function)
    array = np.asarray(other)
    if (
        array.ndim
        and array.dtype.kind in "USO"
        and all(isinstance(name, (str, bytes)) for name in array.tolist())
    ):
        return np.asarray([_code_of(field, name, hint) for name in array.tolist()], np.int64)
    return _plain_numbers(field, other, hint)


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
    if isinstance(other, (dt.timedelta, np.timedelta64)):
        if function in COMPARISONS:
            raise ArgumentTypeError(_mismatch(field, other, hint))
        return np.timedelta64(other, "us") / np.timedelta64(1, "s")
    if isinstance(other, (str, dt.date, np.datetime64)):
        return seconds_of(field, other)
    if isinstance(other, Rows):
        if not other.of_numbers or (_is_categorical(other) and field.face.sees_missing):
            raise ArgumentTypeError(_mismatch(field, other, hint))
        return other
    if other is None:
        return number_operand(field, other, function)
    if hasattr(other, "__array__") or isinstance(other, (list, tuple)):
        array = np.asarray(other)
        if array.dtype.kind == "M":
            return _seconds_of_array(array)
        if array.ndim and array.dtype.kind in "UO":
            return np.asarray([seconds_of(field, one) for one in array.tolist()], np.float64)
    return _plain_numbers(field, other, hint)


def seconds_of(field: Field, moment: Any) -> float:
    """A moment in any form as POSIX seconds; DataError, naming the field, for what is none."""
    try:
        return moments.moment(moment)
    except ValueError as error:
        raise DataError(f"{field.phrase()} holds points in time: {error}") from error


def _seconds_of_array(array: Any) -> Any:
    since = array.astype("datetime64[us]") - np.datetime64(0, "us")
    return since / np.timedelta64(1, "s")  # NaT becomes NaN


# -- strings


def text_operand(field: Field, other: Any, function: Callable[..., Any]) -> Any:
    """What meets a field of strings: text, arrays of it, and other fields of strings."""
    hint = "compare it with text"
    if function not in COMPARISONS:
        return NotImplemented
    if other is None:
        raise ArgumentTypeError(f"{field.phrase()}: {_MISSING}")
    if isinstance(other, (str, bytes)):
        return label_bytes(other)
    if isinstance(other, Rows):
        if other.of_numbers:
            raise ArgumentTypeError(_mismatch(field, other, hint))
        return other
    if hasattr(other, "__array__") or isinstance(other, (list, tuple)):
        array = np.asarray(other)
        texts = array.tolist()
        if array.ndim and all(isinstance(one, (str, bytes)) for one in texts):
            return np.asarray([label_bytes(one) for one in texts], object)
    raise ArgumentTypeError(_mismatch(field, other, hint))
