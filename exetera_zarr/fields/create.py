"""Making fields: the attributes of each type, checked before anything is stored."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exetera_zarr.errors import CorruptDataError, DataError
from exetera_zarr.fields.base import Field, new_field
from exetera_zarr.fields.categorical import CategoricalField
from exetera_zarr.fields.fixed_string import FixedStringField
from exetera_zarr.fields.indexed_string import IndexedStringField
from exetera_zarr.fields.numeric import NumericField
from exetera_zarr.fields.timestamp import TimestampField
from exetera_zarr.fields.values import as_numbers

if TYPE_CHECKING:
    from exetera_zarr.storage.base import Group

__all__ = [
    "categorical_attributes",
    "categorical_in_memory",
    "dtype_to_str",
    "field_class",
    "fixed_string_attributes",
    "indexed_string_attributes",
    "is_field_group",
    "numeric_attributes",
    "numeric_in_memory",
    "recast",
    "timestamp_attributes",
    "wrap",
]

_NUMBERS = (
    "bool",
    "float32",
    "float64",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
)
_CLASSES: dict[str, type[Field]] = {
    "indexedstring": IndexedStringField,
    "fixedstring": FixedStringField,
    "categorical": CategoricalField,
    "numeric": NumericField,
    "boolean": NumericField,
    "timestamp": TimestampField,
    "datetime": TimestampField,
    "date": TimestampField,
}
_WIDEST = 1 << 20


def dtype_to_str(dtype: npt.DTypeLike) -> str:
    """
    Name of a number type.

    Parameters
    ----------
    dtype
        Anything that numpy takes as a type; text is looked up as well.

    Returns
    -------
    str
        ``bool``, ``int8`` ... ``uint64``, ``float32`` or ``float64``.

    Raises
    ------
    DataError
        It is another type.
    """
    try:
        if dtype is None:  # which numpy takes for float64
            raise TypeError
        name = np.dtype(dtype).name
    except TypeError as error:
        raise DataError(f"{dtype!r} is not a number type") from error
    if name not in _NUMBERS:
        raise DataError(
            f"{name!r} is not a number type of a field; there are {', '.join(_NUMBERS)}"
        )
    return name


def numeric_attributes(nformat: npt.DTypeLike) -> dict[str, Any]:
    """Attributes of a numeric field; DataError for a type that is no number."""
    name = dtype_to_str(nformat)
    return {"fieldtype": f"numeric,{name}", "nformat": name}


def timestamp_attributes() -> dict[str, Any]:
    """Attributes of a timestamp field."""
    return {"fieldtype": "timestamp"}


def indexed_string_attributes() -> dict[str, Any]:
    """Attributes of an indexed string field."""
    return {"fieldtype": "indexedstring"}


def fixed_string_attributes(length: int) -> dict[str, Any]:
    """
    Attributes of a fixed string field.

    Parameters
    ----------
    length
        Bytes, 1 to 2^20.

    Raises
    ------
    DataError
        Not such a number.
    """
    try:
        width = operator.index(length)
    except TypeError as error:
        raise DataError(
            f"the length of a fixed string is a whole number, not {length!r}"
        ) from error
    if not 1 <= width <= _WIDEST:
        raise DataError(f"the length of a fixed string is 1 to {_WIDEST} bytes, not {width}")
    return {"fieldtype": f"fixedstring,{width}", "strlen": width}


def categorical_attributes(nformat: npt.DTypeLike, key: Mapping[Any, Any]) -> dict[str, Any]:
    """
    Attributes of a categorical field.

    Parameters
    ----------
    nformat
        Integer type of the codes.
    key
        ``{name: code}``, or ``{code: name}`` as older scripts write it; a name is str or bytes.

    Raises
    ------
    DataError
        The key is empty or mixed, a code does not fit the type, or one is named twice.
    """
    name = dtype_to_str(nformat)
    if np.dtype(name).kind not in "iu":
        raise DataError(f"the codes of a categorical field are integers, not {name}")
    if not isinstance(key, Mapping) or not key:
        raise DataError(f"the key of a categorical field is a dict that is not empty, not {key!r}")
    pairs = _pairs(key)
    limits = np.iinfo(name)
    for label, code in pairs:
        if not limits.min <= code <= limits.max:
            raise DataError(f"the code {code} of category {label!r} does not fit {name}")
    if len({code for _, code in pairs}) < len(pairs):
        raise DataError(f"two categories of {dict(pairs)!r} have the same code")
    return {"fieldtype": f"categorical,{name}", "nformat": name, "key": pairs}


def _pairs(key: Mapping[Any, Any]) -> list[list[Any]]:
    """The key as [name, code] pairs, from either way of writing it."""
    labels = all(isinstance(k, (str, bytes)) for k in key)
    pairs = [[k, v] if labels else [v, k] for k, v in key.items()]
    for label, code in pairs:
        number = isinstance(code, (int, np.integer)) and not isinstance(code, bool)
        if not isinstance(label, (str, bytes)) or not number:
            raise DataError(
                f"the key of a categorical field says {{name: code}}, a str or bytes and a whole "
                f"number; {label!r}: {code!r} is not that"
            )
    if len({type(label) for label, _ in pairs}) > 1:
        raise DataError("the names of a categorical field are all str or all bytes")
    return [[label, int(code)] for label, code in pairs]


# -- fields over what is stored


def is_field_group(group: Group) -> bool:
    """Whether a storage group holds a field rather than a table."""
    return "fieldtype" in group.attributes


def field_class(group: Group) -> type[Field]:
    """The class for a stored field; CorruptDataError for a type that there is not."""
    fieldtype = str(group.attributes["fieldtype"])
    try:
        return _CLASSES[fieldtype.split(",", maxsplit=1)[0]]
    except KeyError as error:
        raise CorruptDataError(
            f"{group.name!r} has the unknown field type {fieldtype!r}"
        ) from error


def wrap(session: object, group: Group, dataframe: Any = None, owner: object = None) -> Field:
    """
    The field that a storage group holds.

    Parameters
    ----------
    session, dataframe, owner
        As of `Field`.
    group
        Its group.
    """
    return field_class(group)(session, group, dataframe, True, owner)


# -- fields in memory


def numeric_in_memory(session: object, nformat: npt.DTypeLike) -> NumericField:
    """An empty numeric field in memory."""
    field: NumericField = new_field(NumericField, session, numeric_attributes(nformat))
    return field


def categorical_in_memory(
    session: object, nformat: npt.DTypeLike, key: Mapping[Any, Any]
) -> CategoricalField:
    """An empty categorical field in memory."""
    attributes = categorical_attributes(nformat, key)
    field: CategoricalField = new_field(CategoricalField, session, attributes)
    return field


def recast(field: NumericField, dtype: npt.DTypeLike, casting: str) -> NumericField:
    """See `NumericField.astype`."""
    name = dtype_to_str(dtype)
    if name == "bool":
        raise DataError("a column becomes bool by a comparison, not by astype")
    if not np.can_cast(field.nformat, name, casting=casting):  # type: ignore[arg-type]
        raise TypeError(f"cannot cast {field.describe()} from {field.nformat} to {name}: {casting}")
    frame = field.dataframe
    if frame is None:
        raise DataError(f"{field.describe()} is not a column of a table")
    columns = (as_numbers(np.asarray(c), np.dtype(name), field.describe()) for c in field.blocks())
    return frame.replace_field(  # type: ignore[no-any-return]
        str(field.name), NumericField, numeric_attributes(name), columns
    )
