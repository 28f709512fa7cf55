"""Field types as they are stored: the attributes of a field, the arrays these mean, and labels.

What a field is stands in the attributes of its group, by the keys that ExeTera uses: ``fieldtype``
(such as ``numeric,int32``), ``nformat``, ``strlen`` and ``key``. Everything that makes or reads
these attributes is here, for storage and fields alike.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from exetera_zarr.errors import DataError

__all__ = [
    "NUMBERS",
    "TYPE_ATTRIBUTES",
    "array_dtypes",
    "categorical_attributes",
    "check_labels",
    "dtype_to_str",
    "fixed_string_attributes",
    "indexed_string_attributes",
    "is_field",
    "kind_of",
    "label_bytes",
    "label_text",
    "numeric_attributes",
    "timestamp_attributes",
]

NUMBERS = (
    "bool",
    "float32",
    "float64",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
)
"""Names of the number types that a field can have."""
TYPE_ATTRIBUTES = ("fieldtype", "nformat", "strlen", "key", "encoding_version", "chunksize")
"""The attributes that make another field of the same type."""
_WIDEST = 1 << 20
_OLDER = {"boolean": "numeric", "datetime": "timestamp", "date": "timestamp"}


def is_field(attributes: Mapping[str, Any]) -> bool:
    """Whether attributes are those of a field rather than of a table."""
    return "fieldtype" in attributes


def kind_of(attributes: Mapping[str, Any]) -> str:
    """
    The kind of a field.

    Parameters
    ----------
    attributes
        Of the field's group.

    Returns
    -------
    str
        ``numeric``, ``categorical``, ``timestamp``, ``fixedstring`` or ``indexedstring``; what an
        older ExeTera called otherwise has its present name, and an unknown kind its own.
    """
    kind = str(attributes["fieldtype"]).partition(",")[0]
    return _OLDER.get(kind, kind)


def array_dtypes(attributes: Mapping[str, Any]) -> dict[str, npt.DTypeLike]:
    """The arrays of a field with these attributes, by role, and their types."""
    match kind_of(attributes):
        case "indexedstring":
            return {"index": np.int64, "values": np.uint8}
        case "fixedstring":
            return {"values": f"S{attributes['strlen']}"}
        case "timestamp":
            return {"values": np.float64}
    return {"values": attributes["nformat"]}


# -- attributes of each type


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
    if name not in NUMBERS:
        raise DataError(f"{name!r} is not a number type of a field; there are {', '.join(NUMBERS)}")
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
        number |= isinstance(code, (float, np.floating)) and float(code).is_integer()
        if not isinstance(label, (str, bytes)) or not number:
            raise DataError(
                f"the key of a categorical field says {{name: code}}, a str or bytes and a whole "
                f"number; {label!r}: {code!r} is not that"
            )
    if len({type(label) for label, _ in pairs}) > 1:
        raise DataError("the names of a categorical field are all str or all bytes")
    return [[label, int(code)] for label, code in pairs]


# -- labels: the names of categories, which are text in attributes and bytes in a dataset's `keys`


def label_text(label: str | bytes) -> str:
    """A label as text; bytes that are not UTF-8 survive as surrogates."""
    return label if isinstance(label, str) else label.decode("utf-8", "surrogateescape")


def label_bytes(label: str | bytes) -> bytes:
    """A label as bytes, the inverse of `label_text`."""
    return label if isinstance(label, bytes) else label.encode("utf-8", "surrogateescape")


def check_labels(attributes: Mapping[str, Any]) -> None:
    """Raise DataError if the name of a category is not UTF-8 text."""
    for label, code in attributes.get("key", ()):
        try:
            _ = label.decode() if isinstance(label, bytes) else label.encode()
        except UnicodeError as error:
            raise DataError(f"the name {label!r} of category {code} is not UTF-8 text") from error
