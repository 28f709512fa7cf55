"""From what scripts pass to what is meant, or an error: ExeTera's `core.validation`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr import fieldtypes
from exetera_zarr.engine.columns import selection
from exetera_zarr.errors import DataError, FieldNotFoundError, listing
from exetera_zarr.fields.base import Field
from exetera_zarr.storage import Group, adopted

if TYPE_CHECKING:
    from collections.abc import Collection

    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.session import Session

__all__ = [
    "all_same_basic_type",
    "array_from_field_or_lower",
    "array_from_parameter",
    "ensure_valid_field",
    "ensure_valid_field_like",
    "field_from_parameter",
    "is_field_parameter",
    "raw_array_from_parameter",
    "validate_all_field_length_in_df",
    "validate_and_get_key_fields",
    "validate_and_normalize_categorical_key",
    "validate_boolean_row_filter",
    "validate_chunk_size",
    "validate_field_lengths",
    "validate_filter",
    "validate_groupby_target",
    "validate_key_field_consistency",
    "validate_key_lengths",
    "validate_require_key",
    "validate_selected_keys",
]


# -- what stands for a field: a Field, its storage group, or an ndarray


def _unexpected(name: str, given: object, wanted: str) -> DataError:
    return DataError(f"{name} is {wanted}, not a {type(given).__name__}")


def raw_array_from_parameter(session: Session, name: str, field: Any) -> Any:
    """
    The values: an array as it is, or the data of a field, a list of str if it is indexed.

    Parameters
    ----------
    session
        Looks a storage group up.
    name
        What the parameter is called, for the error.
    field : Field, Group or ndarray

    Raises
    ------
    ValueError
        It is something else.
    """
    if isinstance(field, np.ndarray):
        return field
    if not is_field_parameter(field):
        raise _unexpected(name, field, "a field or an ndarray")
    return session.get(field).data[:]


def array_from_parameter(session: Session, name: str, field: Any) -> Any:
    """As `raw_array_from_parameter`, but ``(offsets, bytes)`` of an indexed string field."""
    if is_field_parameter(field):
        found = session.get(field)
        if found.indexed:
            return found.indices[:], found.values[:]
    return raw_array_from_parameter(session, name, field)


def array_from_field_or_lower(name: str, field: Any) -> Any:
    """The data of a field, or an array as it is; ValueError for something else."""
    if isinstance(field, Field):
        return field.data[:]
    if not isinstance(field, np.ndarray):
        raise _unexpected(name, field, "a field or an ndarray")
    return field


def field_from_parameter(session: Session, name: str, field: Any) -> Any:
    """The field that is meant by a field or its storage group; ValueError for something else."""
    if not is_field_parameter(field):
        raise _unexpected(name, field, "a field")
    return session.get(field)


def is_field_parameter(field: object) -> bool:
    """Whether it is a field or a storage group."""
    return isinstance(adopted(field), (Field, Group))


def ensure_valid_field(name: str, field: object) -> None:
    """Raise ValueError unless it is a field."""
    if not isinstance(field, Field):
        raise _unexpected(name, field, "a field")


def ensure_valid_field_like(name: str, field: object) -> None:
    """Raise ValueError unless it is a field, a storage group or an ndarray."""
    if not is_field_parameter(field) and not isinstance(field, np.ndarray):
        raise _unexpected(name, field, "a field or an ndarray")


def all_same_basic_type(name: str, fields: Collection[object]) -> None:
    """Raise ValueError unless all are fields, all storage groups, or all ndarrays."""
    for kind in (Field, Group, np.ndarray):
        if all(isinstance(adopted(field), kind) for field in fields):
            return
    raise DataError(f"{name} is a mixture, or is not of fields or arrays at all")


# -- filters


def validate_filter(filter_to_apply: Any) -> AnyArray:
    """
    A filter as an array of bool.

    Parameters
    ----------
    filter_to_apply : Field or ndarray
        Bool, or numbers of which all but zero keep.

    Raises
    ------
    TypeError, ValueError
        It is something else.
    """
    values = array_from_field_or_lower("filter_to_apply", filter_to_apply)
    return selection.as_mask(values, len(values))


def validate_boolean_row_filter(name: str, field: Any) -> tuple[AnyArray, bool]:
    """
    A filter of rows, as an array, and whether it was a field, which has to be of bool.

    Raises
    ------
    ValueError
        It is neither a field of bool nor an ndarray.
    """
    values = array_from_field_or_lower(name, field)
    if isinstance(field, Field) and getattr(values, "dtype", None) != np.bool_:
        raise DataError(f"{name} is a field of bool or an ndarray, not {field.phrase()}")
    return values, isinstance(field, Field)


def validate_chunk_size(chunk_size_name: str, chunk_size: int) -> None:
    """Raise ValueError unless it is at least one row."""
    if chunk_size < 1:
        raise DataError(f"{chunk_size_name} is at least 1, not {chunk_size}")


# -- names


def validate_selected_keys(by: str | list[str], all: Collection[str]) -> list[str]:
    """The names in one name or a list of names; ValueError unless all of them exist."""
    names = [by] if isinstance(by, str) else by
    if not isinstance(names, list) or not names or not _all_text(names):
        raise DataError(f"expected a name or a list of names, not {by!r}")
    missing = [name for name in names if name not in all]
    if missing:
        raise FieldNotFoundError(f"there are no fields {missing}; there are: {listing(all)}")
    return names


def _all_text(names: Collection[object]) -> bool:
    """Whether all are str."""
    return all(isinstance(name, str) for name in names)


def validate_groupby_target(
    target: str | list[str],
    by: Collection[str],
    all: Collection[str],
) -> list[str]:
    """As `validate_selected_keys`; ValueError if one of the names is a key of the groups."""
    names = validate_selected_keys(target, all)
    if keys := [name for name in names if name in by]:
        raise DataError(f"{keys} are keys of the groups, which have one value each")
    return names


def validate_require_key(context: str, key: str, dictionary: Collection[str]) -> None:
    """Raise ValueError unless the name is there."""
    if key not in dictionary:
        raise DataError(f"{context}: there is no {key!r}; there are: {listing(dictionary)}")


def validate_and_normalize_categorical_key(param_name: str, key: Any) -> dict[Any, int]:
    """
    The key of a categorical field as ``{name: code}``.

    Raises
    ------
    ValueError
        It is empty, mixed, or no dict of names and whole numbers.
    """
    try:
        return dict(fieldtypes.categorical_attributes("int64", key)["key"])
    except DataError as error:
        raise DataError(f"{param_name}: {error}") from error


# -- the keys and lengths of a merge


def validate_key_field_consistency(lname: str, rname: str, lkey: Any, rkey: Any) -> None:
    """Raise ValueError unless both are one key, or both tuples of as many."""
    if isinstance(lkey, tuple) != isinstance(rkey, tuple):
        raise DataError(f"{lname} and {rname} are both one key or both a tuple of keys")
    if isinstance(lkey, tuple) and len(lkey) != len(rkey):
        raise DataError(f"{lname} has {len(lkey)} keys, {rname} has {len(rkey)}")


def validate_and_get_key_fields(side: str, df: DataFrame, key: Any) -> tuple[Field, ...]:
    """The fields of a key or a tuple of keys, names or fields; ValueError for something else."""
    found = []
    for one in key if isinstance(key, tuple) else (key,):
        if not isinstance(one, (str, Field)):
            raise _unexpected(f"a key of the {side} side", one, "a name or a field")
        found.append(df.get_field(one) if isinstance(one, str) else one)
    return tuple(found)


def validate_key_lengths(side: str, df: DataFrame, key: Any) -> set[int]:
    """The one length of the keys, in a set; ValueError if there are several."""
    lengths = {len(field) for field in validate_and_get_key_fields(side, df, key)}
    return _one_length(side, lengths)


def validate_field_lengths(
    side: str, lens: Collection[int], df: DataFrame, names: Collection[str]
) -> set[int]:
    """The one length of the named fields and of `lens`, in a set; ValueError else."""
    return _one_length(side, set(lens) | {len(df.get_field(name)) for name in names})


def validate_all_field_length_in_df(df: DataFrame) -> None:
    """Raise ValueError unless all fields of a table have one length."""
    df.length()


def _one_length(side: str, lengths: set[int]) -> set[int]:
    if len(lengths) > 1:
        raise DataError(f"the {side} fields have different lengths: {sorted(lengths)}")
    return lengths
