"""Conditions that a person writes as lists of comparisons, which go into tasks as such."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exetera_zarr.errors import ArgumentError, listing
from exetera_zarr.fields.expressions.operands import seconds_of
from exetera_zarr.fieldtypes import label_text
from exetera_zarr.io.arrow.columns import MOMENT
from exetera_zarr.io.arrow.stream import ArrowStream

if TYPE_CHECKING:
    from exetera_zarr.fields.base import Field
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["Where", "as_condition", "checked"]

Where: TypeAlias = tuple[tuple[tuple[str, str, Any], ...], ...]
"""Comparisons of which, in one of the groups, all have to be true."""

_COMPARISONS = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_MEMBERS = ("in", "not in")
_OPERATORS = (*_COMPARISONS, *_MEMBERS)
_FORM = "where is a list of comparisons such as [('age', '>', 40), ('sex', '==', 'f')]"


def checked(frame: DataFrame, where: Any) -> Where | None:
    """
    A condition as tasks carry it.

    Parameters
    ----------
    frame
        The table.
    where
        As of `DataFrame.to_dask`.

    Raises
    ------
    ArgumentError, FieldNotFoundError, DataError
        It is none for this table.
    """
    if where is None:
        return None
    if isinstance(where, (str, bytes)) or not isinstance(where, Sequence):
        raise ArgumentError(f"{_FORM}, not a {type(where).__name__}")
    groups = where if where and isinstance(where[0], list) else [where]
    found = tuple(tuple(_comparison(frame, one) for one in group) for group in groups)
    if not all(found):
        raise ArgumentError(f"{_FORM}; in this one there is no comparison")
    condition = as_condition(frame, found)
    schema = ArrowStream(frame).schema
    try:
        schema.empty_table().filter(condition)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise ArgumentError(f"{_shown(found)} compares what cannot be compared: {error}") from error
    return found


def _comparison(frame: DataFrame, given: Any) -> tuple[str, str, Any]:
    if not isinstance(given, (tuple, list)) or len(given) != 3:
        raise ArgumentError(f"{_FORM}; {given!r} is none: write (name, operator, value)")
    name, operator, value = given
    operator = "==" if operator == "=" else operator
    if operator not in _OPERATORS:
        raise ArgumentError(f"{operator!r} is no comparison: write one of {listing(_OPERATORS)}")
    field = frame.get_field(name)
    if operator not in _MEMBERS:
        return str(field.name), operator, _value(field, value)
    if isinstance(value, (str, bytes)) or not isinstance(value, Collection):
        raise ArgumentError(f"({name!r}, {operator!r}, ...) has a list of values, not {value!r}")
    ordered = value if isinstance(value, Sequence) else sorted(value)
    return str(field.name), operator, tuple(_value(field, one) for one in ordered)


def _value(field: Field, value: Any) -> Any:
    """A value as a plain one of Python's; of points in time, as seconds."""
    if isinstance(value, np.generic) and value.dtype.kind != "M":
        value = value.item()
    if field.type_name == "timestamp":
        return float(seconds_of(field, value))
    if value is None or value != value:  # noqa: PLR0124 - NaN
        raise ArgumentError(
            f"{field.phrase()} cannot be compared with {value!r}: a missing value fulfils no "
            "comparison; read all rows, and use isna() of the collection"
        )
    if field.type_name == "numeric":
        if not isinstance(value, (bool, int, float)):
            raise ArgumentError(f"{field.phrase()} holds numbers, and {value!r} is none")
        return value
    text = value.decode() if isinstance(value, bytes) else value
    if not isinstance(text, str):
        raise ArgumentError(f"{field.phrase()} holds text, and {value!r} is none")
    if field.type_name == "categorical":
        names = [label_text(label) for label in getattr(field, "keys").values()]  # noqa: B009
        if text not in names:
            raise ArgumentError(
                f"{field.phrase()} has no category {text!r}; there are: {listing(names)}"
            )
    return text


def as_condition(frame: DataFrame, where: Where) -> pc.Expression:
    """The condition in Arrow's terms."""
    schema = ArrowStream(frame).schema
    groups = [
        reduce(lambda a, b: a & b, [_compared(frame, schema, *one) for one in group])
        for group in where
    ]
    return reduce(lambda a, b: a | b, groups)


def _compared(
    frame: DataFrame, schema: pa.Schema, name: str, operator: str, value: Any
) -> pc.Expression:
    column, kind = pc.field(name), schema.field(name).type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(pa.large_string()), pa.large_string()
    if frame.get_field(name).type_name == "timestamp":
        wanted: Any = [round(one * 1e6) for one in (value if operator in _MEMBERS else [value])]
        wanted = pa.array(wanted, pa.int64()).cast(MOMENT)
        scalar: Any = wanted[0] if len(wanted) else None
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        if operator not in _MEMBERS:
            return _compared_numbers(column, kind, operator, value)
        near = [(_nearest(kind, one), one) for one in value]
        wanted = pa.array([one.as_py() for one, v in near if one.as_py() == v], _exact(kind))
    else:
        of_text = pa.types.is_large_string(kind)
        values = list(value if operator in _MEMBERS else [value])
        wanted = pa.array(values, pa.large_string() if of_text else None)
        scalar = wanted[0] if values else None
    if operator not in _MEMBERS:
        found: pc.Expression = _COMPARISONS[operator](column, scalar)
        return found
    among = column.isin(wanted)
    # A missing value is not among others, and is not something else either.
    return among if operator == "in" else ~among & column.is_valid()


def _compared_numbers(
    column: pc.Expression, kind: pa.DataType, operator: str, value: float
) -> pc.Expression:
    """A comparison with a number of Python's, exact as it is there: Arrow would round or refuse."""
    near = _nearest(kind, value)
    if near.as_py() == value:
        found: pc.Expression = _COMPARISONS[operator](column, near)
        return found
    # No value of the column is between the two, so that those below one are below the other.
    above = near.as_py() > value
    match operator:
        case "<" | "<=":
            return column < near if above else column <= near
        case ">" | ">=":
            return column >= near if above else column > near
        case "!=":
            return column.is_valid()
    return (column < near) & (column > near)


def _exact(kind: pa.DataType) -> pa.DataType:
    """The type in which values of a type are compared."""
    return kind if pa.types.is_integer(kind) else pa.float64()


def _nearest(kind: pa.DataType, value: float) -> pa.Scalar:
    """The number of a type that is equal to another one, or else the next one to it."""
    if pa.types.is_integer(kind):
        limits = np.iinfo(kind.to_pandas_dtype())
        low, high = int(limits.min), int(limits.max)
        return pa.scalar(low if value < low else high if value > high else math.floor(value), kind)
    try:
        return pa.scalar(float(value), pa.float64())
    except OverflowError:
        return pa.scalar(-math.inf if value < 0 else math.inf, pa.float64())


def _shown(where: Where) -> str:
    return " or ".join(" and ".join(f"{n} {o} {v!r}" for n, o, v in group) for group in where)
