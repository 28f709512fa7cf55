"""What Arrow has no types for, beside a table that leaves as Arrow: metadata under one key.

It is JSON: for each column the attributes that make the same field again, such as the codes of
categories, and the name of its companion. Whatever it says is checked as if a person had written
it, and counts only for a column that still has the type that it speaks of.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from exetera_zarr.engine.columns import strings
from exetera_zarr.errors import DataError
from exetera_zarr.fields.missing.companions import COMPANION, COMPANION_OF
from exetera_zarr.fieldtypes import (
    NUMBERS,
    categorical_attributes,
    fixed_string_attributes,
    indexed_string_attributes,
    kind_of,
    label_text,
    numeric_attributes,
    timestamp_attributes,
)
from exetera_zarr.storage import codebooks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exetera_zarr.tables.dataframe import DataFrame

__all__ = [
    "KEY",
    "TIME_ZONE",
    "Told",
    "ToldField",
    "carried",
    "field_told",
    "metadata",
    "metadata_of",
    "renamed",
    "told_by",
]

KEY = b"exetera"
"""The key of the metadata of an Arrow schema."""
TIME_ZONE = "timezone"
"""The attribute of a timestamp field that says in which zone its values were given."""
_FORMAT = 1
_CARRIED = (codebooks.ATTRIBUTE, TIME_ZONE)


@dataclass(frozen=True)
class ToldField:
    """
    What the metadata says of a column.

    Parameters
    ----------
    attributes
        Those of the field.
    companion
        The name of its companion, if it has one.
    own
        Whether the companion was made by itself, for this field alone.
    """

    attributes: dict[str, Any]
    companion: str | None = None
    own: bool = False

    def fits(self, kind: pa.DataType) -> bool:
        """Whether a column of this type can be what the metadata speaks of."""
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        match kind_of(self.attributes):
            case "numeric":
                return bool(kind == _TYPES[self.attributes["nformat"]])
            case "timestamp":
                return bool(pa.types.is_timestamp(kind) or pa.types.is_float64(kind))
            case "categorical":
                return strings.holds_strings(kind) or bool(pa.types.is_integer(kind))
        return strings.holds_strings(kind)


_TYPES = {name: pa.from_numpy_dtype(np.dtype(name)) for name in NUMBERS}


@dataclass(frozen=True)
class Told:
    """What the metadata says: of the table as such, and of its columns by name."""

    table: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, ToldField] = field(default_factory=dict)


def field_told(frame: DataFrame, name: str, companion: str | None) -> ToldField:
    """What the metadata says of a field of a table that has this companion."""
    group = frame[name].group
    about = {**frame[name].type_attributes(), **carried(group.attributes)}
    for unneeded in ("encoding_version", "chunksize"):
        about.pop(unneeded, None)
    own = companion is not None and frame[companion].group.attributes.get(COMPANION_OF) == name
    return ToldField(about, companion, own)


def metadata_of(frame: DataFrame, names: Sequence[str]) -> dict[bytes, bytes]:
    """The metadata of an Arrow schema that has these columns of a table."""
    links, fields = frame.companions(), {}
    for name in names:
        told = field_told(frame, name, links.get(name))
        about = dict(told.attributes)
        if "key" in about:
            about["key"] = [[label_text(label), int(code)] for label, code in about["key"]]
        if told.companion is not None:
            about |= {COMPANION: told.companion, "own": told.own}
        fields[name] = about
    return metadata(carried(frame.group.attributes), fields)


def metadata(
    table: Mapping[str, Any], fields: Mapping[str, Mapping[str, Any]]
) -> dict[bytes, bytes]:
    """
    The metadata of an Arrow schema that says this.

    Parameters
    ----------
    table
        Attributes of the table, beside its fields.
    fields
        Those of each field by name; the key of categories as pairs of name and code.
    """
    return {KEY: json.dumps({"format": _FORMAT, "table": table, "fields": fields}).encode()}


def renamed(about: Mapping[bytes, bytes] | None, names: Mapping[str, str]) -> Any:
    """
    The metadata of an Arrow schema whose columns are called otherwise.

    Parameters
    ----------
    about
        The metadata.
    names
        New names by those of columns. One that has a companion gets one of its own there.
    """
    if not about or KEY not in about or not names:
        return about
    told = json.loads(about[KEY])
    fields = {}
    for old, one in told["fields"].items():
        # Names may be exchanged, so that none is looked up among the new ones.
        without = {key: one[key] for key in one if key not in (COMPANION, "own")}
        fields[names.get(old, old)] = without if old in names else one
    told["fields"] = fields
    return {**about, KEY: json.dumps(told).encode()}


def carried(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes, beside those of its type, that go with a field or a table."""
    return {name: attributes[name] for name in _CARRIED if name in attributes}


def told_by(schema: pa.Schema) -> Told:
    """
    What the metadata of a schema says; nothing where there is none.

    Raises
    ------
    DataError
        There is some, but not in this form.
    """
    text = (schema.metadata or {}).get(KEY)
    if text is None:
        return Told()
    try:
        said = json.loads(text)
        if said["format"] > _FORMAT:
            return Told()  # of a later release, of which the types of Arrow say enough
        fields = {str(name): _field(about) for name, about in said["fields"].items()}
        return Told(_checked(said["table"]), fields)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DataError(
            f"the metadata {KEY.decode()!r} of the rows that are given is not as this package "
            f"writes it ({error}): give them without it, as replace_schema_metadata(None) does"
        ) from error


def _field(about: Mapping[str, Any]) -> ToldField:
    match kind_of(about):
        case "numeric":
            attributes = numeric_attributes(about["nformat"])
        case "categorical":
            attributes = categorical_attributes(about["nformat"], _key(about["key"]))
        case "timestamp":
            attributes = timestamp_attributes()
        case "fixedstring":
            attributes = fixed_string_attributes(about["strlen"])
        case "indexedstring":
            attributes = indexed_string_attributes()
        case other:
            raise DataError(f"there is no type {other!r}")
    companion = about.get(COMPANION)
    return ToldField(
        {**attributes, **_checked(about)},
        None if companion is None else str(companion),
        about.get("own") is True,
    )


def _checked(about: Mapping[str, Any]) -> dict[str, Any]:
    found = carried(about)
    codebooks.check(found.get(codebooks.ATTRIBUTE, {}), "the metadata")
    json.dumps(found, allow_nan=False)  # as what is stored has to be
    if not isinstance(found.get(TIME_ZONE, ""), str):
        raise DataError(f"{found[TIME_ZONE]!r} is no time zone")
    return found


def _key(pairs: Sequence[Sequence[Any]]) -> dict[Any, Any]:
    """By codes, of which two may have the same name."""
    return {int(code): str(label) for label, code in pairs}
