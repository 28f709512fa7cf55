"""Fields over what is stored, and fields in memory, by their types."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import CorruptDataError
from exetera_zarr.fields.base import FIELD_CLASSES, Field, new_field
from exetera_zarr.fieldtypes import (
    array_dtypes,
    categorical_attributes,
    is_field,
    kind_of,
    numeric_attributes,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from exetera_zarr.fields.categorical import CategoricalField
    from exetera_zarr.fields.numeric import NumericField
    from exetera_zarr.storage.base import Group

__all__ = [
    "categorical_in_memory",
    "field_class",
    "is_field_group",
    "numeric_in_memory",
    "rows_of_fields",
    "wrap",
]


def is_field_group(group: Group) -> bool:
    """Whether a storage group holds a field rather than a table."""
    return is_field(group.attributes)


def field_class(group: Group) -> type[Field]:
    """The class for a stored field; CorruptDataError for a type that there is not."""
    try:
        return FIELD_CLASSES[kind_of(group.attributes)]
    except KeyError as error:
        raise CorruptDataError(
            f"{group.name!r} has the unknown field type {group.attributes['fieldtype']!r}"
        ) from error


def rows_of_fields(table: Group) -> dict[str, int]:
    """How many rows each field of a table's group has; none of a group that is a field."""
    found: dict[str, int] = {}
    for name in () if is_field_group(table) else table:
        child = table.group(name)
        if is_field_group(child):
            with contextlib.suppress(CorruptDataError, KeyError):  # told to who reads it
                found[name] = field_class(child).rows_of(child.arrays())
    return found


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
    made = field_class(group)
    _check_arrays(group)
    return made(session, group, dataframe, True, owner)


def _check_arrays(group: Group) -> None:
    """CorruptDataError unless a group has the arrays that its attributes speak of."""
    attributes = group.attributes
    try:
        expected = {role: np.dtype(of) for role, of in array_dtypes(attributes).items()}
        if kind_of(attributes) == "categorical":
            _ = attributes["key"]
    except (KeyError, TypeError) as error:
        raise CorruptDataError(
            f"the field {group.name!r} is of the type {attributes['fieldtype']!r}, and its "
            f"attributes do not say what belongs to it: {error}"
        ) from error
    found = {role: array.dtype for role, array in group.arrays().items()}
    if found != expected:
        raise CorruptDataError(
            f"the field {group.name!r} of the type {attributes['fieldtype']!r} has arrays of "
            f"{ {role: str(of) for role, of in found.items()} }, and not of "
            f"{ {role: str(of) for role, of in expected.items()} }"
        )


# -- fields in memory


def numeric_in_memory(session: object, nformat: npt.DTypeLike) -> NumericField:
    """An empty numeric field in memory."""
    field: NumericField = new_field(session, numeric_attributes(nformat))
    return field


def categorical_in_memory(
    session: object, nformat: npt.DTypeLike, key: Mapping[Any, Any]
) -> CategoricalField:
    """An empty categorical field in memory."""
    attributes = categorical_attributes(nformat, key)
    field: CategoricalField = new_field(session, attributes)
    return field
