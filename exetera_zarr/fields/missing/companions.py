"""Missing values: the companion of a field, a bool field that says which rows have a value.

A float that is NaN is missing as well, with or without a companion. The link from a field to its
companion is an attribute of the field; where that is absent, as in files of ExeTera and older
datasets, the name decides: ``age_valid`` of ``age``, ``date_set`` of ``date``. Nothing that is made
in the native face gets a link by its name: a person who calls a field so may mean anything by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.engine import is_strings
from exetera_zarr.errors import DataError
from exetera_zarr.fieldtypes import numeric_attributes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exetera_zarr.engine import Column
    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.container import FieldContainer
    from exetera_zarr.storage.base import AnyArray, Group
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = [
    "BY_LINK",
    "COMPANION",
    "COMPANION_OF",
    "add_companion",
    "any_missing",
    "both",
    "can_be_companion",
    "companion_name",
    "companion_names",
    "companion_of",
    "free_name",
    "holds_nan",
    "in_place_of_missing",
    "is_made_for",
    "is_shared",
    "keep_apart",
    "link",
    "masked_reader",
    "owners_by_name",
    "present",
    "without",
    "without_meaning",
]

COMPANION = "companion"
"""The attribute of a field that names its companion, a field of the same table."""
COMPANION_OF = "companion_of"
"""The attribute of a companion that was made by itself: it goes, and gives way, with its field."""
BY_LINK = "by_link"
"""The attribute of a field that is a companion by links alone: its name says nothing."""
_SUFFIXES = {"numeric": ("_valid",), "timestamp": ("_set", "_valid")}
_ALL_SUFFIXES = tuple({suffix for suffixes in _SUFFIXES.values() for suffix in suffixes})


def companion_of(field: Field, *, as_long: bool = True) -> Field | None:
    """
    The companion of a stored field.

    Parameters
    ----------
    field
        Of a table.
    as_long
        Whether the companion has to have as many rows.

    Returns
    -------
    NumericField of bool, or None
        None where every row has a value, but for NaN.

    Raises
    ------
    DataError
        The companion has another number of rows than the field, so that nobody knows which of its
        rows have a value.
    """
    frame = field.dataframe
    if frame is None or field.name is None:
        return None
    name = _name_of_companion(field, field.name, frame)
    if name is None:
        return None
    found: Field = frame[name]
    return _as_long(field, found) if as_long else found


def _name_of_companion(field: Field, own: str, frame: DataFrame) -> str | None:
    named = field.group.attributes.get(COMPANION)
    if named is not None:
        if named not in frame:
            raise DataError(
                f"{field.phrase()} says that {named!r} tells which of its rows have a value, and "
                "the table has no such field"
            )
        return str(named)
    for name in _names_by_rule(field):
        if name in frame and says_by_its_name(frame[name].group.attributes, own):
            return name
    return None


def is_shared(field: Field, companion: Field) -> bool:
    """Whether other fields have the same companion, as those of one side of a merge do."""
    frame, about = field.dataframe, companion.group.attributes
    if frame is None or is_made_for(field, companion):
        return False
    if companion.name in _names_by_rule(field) and BY_LINK not in about:
        return False  # the flag of a merge has another name, or was renamed
    return any(name != field.name for name in frame.group.with_attribute(COMPANION, companion.name))


def is_made_for(field: Field, companion: Field) -> bool:
    """Whether a companion was made by itself, for this field alone."""
    return companion.group.attributes.get(COMPANION_OF) == field.name


def _names_by_rule(field: Field) -> list[str]:
    return [f"{field.name}{suffix}" for suffix in _SUFFIXES.get(field.type_name, ())]


def owners_by_name(name: str) -> list[str]:
    """The names of the fields that one of this name may be the companion of."""
    return [name.removesuffix(suffix) for suffix in _ALL_SUFFIXES if name.endswith(suffix)]


def without_meaning(name: str, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """
    The attributes of a field that a person gives a name: it is no companion by that name.

    Parameters
    ----------
    name
        The name.
    attributes
        Those that it has otherwise.
    """
    fits = bool(owners_by_name(name)) and can_be_companion(attributes)
    return {**attributes, BY_LINK: True} if fits and COMPANION_OF not in attributes else attributes


def says_by_its_name(attributes: Mapping[str, Any], name: str) -> bool:
    """Whether a field, called so, is the companion of one of this name that has no link."""
    owner = attributes.get(COMPANION_OF, name)
    return can_be_companion(attributes) and owner == name and BY_LINK not in attributes


def _as_long(field: Field, companion: Field) -> Field:
    rows, others = len(field), len(companion)
    if rows != others:
        raise DataError(
            f"{field.phrase()} has {rows} rows, but {companion.phrase()}, which says which of "
            f"them have a value, has {others}: write as many rows to both"
        )
    return companion


def link(field: Group, companion: Group, *, owner: str | None) -> None:
    """
    Link a field to a companion whose name may not be that which the rule gives it.

    Parameters
    ----------
    field, companion
        The groups of the two.
    owner
        Name of the field, if the companion was made by itself, for this field alone.
    """
    field.update_attributes({COMPANION: companion.name})
    companion.update_attributes({BY_LINK: True} if owner is None else {COMPANION_OF: owner})


def keep_apart(field: Field) -> None:
    """After a field got its name: have none that is there be its companion by that name."""
    if field.face.sees_missing and COMPANION not in field.group.attributes:
        found = companion_of(field, as_long=False)
        if found is not None:
            found.group.update_attributes({BY_LINK: True})


def companion_names(name: str, type_name: str | None = None) -> tuple[str, ...]:
    """
    The names by which a field of bool says which rows of another one have a value.

    Parameters
    ----------
    name
        Of the other one.
    type_name
        Its type; None where that is not known.
    """
    suffixes = _SUFFIXES["timestamp"] if type_name is None else _SUFFIXES.get(type_name, ())
    return tuple(name + suffix for suffix in suffixes)


def companion_name(field: Field, name: str) -> str:
    """The name that the companion of a field called `name` has by default."""
    return name + _SUFFIXES.get(field.type_name, ("_valid",))[0]


def masked_reader(field: Field) -> tuple[int, Any]:
    """
    How many rows a field has, and a function that reads some of them with what is missing.

    The function takes the first row and the one after the last, and gives a column, and an array
    of bool that says which of its rows have a value, or None where all have.
    """
    length, read = field.reader()
    companion = field.validity
    if companion is None:

        def plain(start: int, stop: int) -> tuple[Column, AnyArray | None]:
            column = read(start, stop)
            return column, present(column, None)

        return length, plain
    _, read_mask = companion.reader()

    def masked(start: int, stop: int) -> tuple[Column, AnyArray | None]:
        column = read(start, stop)
        return column, present(column, np.asarray(read_mask(start, stop)))

    return length, masked


def present(column: Column, mask: AnyArray | None) -> AnyArray | None:
    """Which rows have a value: those of the mask that are not NaN; None for all."""
    if not is_strings(column) and column.dtype.kind == "f":
        nan = np.isnan(column)
        if nan.any():
            mask = ~nan if mask is None else mask & ~nan
    return None if mask is None or mask.all() else mask


def both(first: AnyArray | None, second: AnyArray | None) -> AnyArray | None:
    """Rows in which two things have a value."""
    if first is None or second is None:
        return second if first is None else first
    both_present: AnyArray = first & second
    return both_present


def without(mask: AnyArray | None, coded: AnyArray | None) -> AnyArray | None:
    """Which rows have a value: those of a mask, without those that hold a missing code."""
    if coded is None:
        return mask
    there: AnyArray = ~coded if mask is None else mask & ~coded
    return there


def holds_nan(column: Column) -> bool:
    """Whether a column can say by itself that a row is missing."""
    return not is_strings(column) and column.dtype.kind == "f"


def add_companion(field: Field, *, like: Field | None = None) -> Field:
    """
    A new companion of a column of a table, without rows, and the link to it.

    Parameters
    ----------
    field
        The column.
    like
        The companion of the field that it stands for, of which it has the name if that is free.
    """
    frame = field.dataframe
    assert frame is not None
    wanted, own = companion_name(field, str(field.name)), str(field.name)
    by_itself = like is None or COMPANION_OF in like.group.attributes
    if like is not None and like.name is not None and like.name not in frame:
        wanted = like.name
    name = free_name(frame, wanted)
    about = {COMPANION_OF: own} if by_itself else {BY_LINK: True}
    made: Field = frame.create_field(name, {**numeric_attributes("bool"), **about})
    field.group.update_attributes({COMPANION: name})
    return made


def free_name(frame: FieldContainer, name: str) -> str:
    """A name like this one that no field of the table has."""
    while name in frame:
        name += "_"
    return name


def can_be_companion(attributes: Mapping[str, Any]) -> bool:
    """Whether a field of these attributes can say of others which of their rows have a value."""
    return bool(attributes.get("fieldtype") == numeric_attributes("bool")["fieldtype"])


def in_place_of_missing(column: Column, mask: AnyArray | None) -> Column:
    """A column with 0, False or NaN where nothing is; strings, which have no such rows, as is."""
    if mask is None or is_strings(column):
        return column
    of_floats = column.dtype.kind == "f"
    if of_floats and np.isnan(column[~mask]).all():
        return column  # as a rule: NaN is why they are missing, and keeps its bits
    nothing: Any = np.nan if of_floats else np.zeros((), column.dtype)
    return np.where(mask, column, nothing).astype(column.dtype, copy=False)


def any_missing(field: Field) -> bool:
    """Whether a row of the field has no value; reads the companion, and of floats the values."""
    companion = field.validity
    if companion is not None and not all(block.all() for block in companion.blocks()):
        return True
    if not holds_nan(field.empty_column()):
        return False
    return any(bool(np.isnan(block).any()) for block in field.blocks())
