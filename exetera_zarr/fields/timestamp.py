"""Points in time."""

from __future__ import annotations

import datetime as dt
import operator
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.fields.base import Field
from exetera_zarr.fields.data import RawData, StringData
from exetera_zarr.fields.expressions.operands import seconds_of, time_operand
from exetera_zarr.fields.expressions.operators import Arithmetic
from exetera_zarr.fields.writing.values import check_seconds
from exetera_zarr.fieldtypes import timestamp_attributes

if TYPE_CHECKING:
    from exetera_zarr.storage.base import AnyArray

__all__ = ["TimestampField"]


def _are_points(other: Any) -> bool:
    """Whether what meets points in time are such themselves, and no durations or numbers."""
    if isinstance(other, (RawData, StringData)):
        other = other.comparable()
    if isinstance(other, Field):
        return other.type_name == "timestamp"
    return _first(other, "M", (str, dt.date, np.datetime64))


def _are_durations(other: Any) -> bool:
    if isinstance(other, Field):
        return other.type_name == "numeric" and other.unit == "s"
    return _first(other, "m", (dt.timedelta, np.timedelta64))


def _first(other: Any, kind: str, types: tuple[type, ...]) -> bool:
    """Whether values, or the first of them that there is, are of that kind or of these types."""
    if isinstance(other, types):
        return True
    if getattr(getattr(other, "dtype", None), "kind", "O") != "O":
        return bool(other.dtype.kind == kind)
    if isinstance(other, (str, bytes)) or not isinstance(other, Iterable):
        return False
    there = (one for one in other if one is not None and one == one)  # noqa: PLR0124 - NaT
    return isinstance(next(there, None), types)


class TimestampField(Arithmetic, Field):
    """Field of points in time: float64 seconds since 1970-01-01 00:00 UTC."""

    type_name = "timestamp"

    def __add__(self, other: Any) -> Any:
        return self._moved(super().__add__(other), other)

    def __radd__(self, other: Any) -> Any:
        return self._moved(super().__radd__(other), other)

    def __sub__(self, other: Any) -> Any:
        """
        The difference to other points in seconds, or the points that are a duration earlier.

        Parameters
        ----------
        other
            Points in time in any form: then the result is a numeric field of float64, whose unit
            is ``s``, and of which ``.dt.days`` are the days. A timedelta, or a field whose unit is
            ``s``: then it is a timestamp field. A number: then it is a number.
        """
        found = super().__sub__(other)
        if self.face.sees_missing and isinstance(found, Field) and _are_points(other):
            found.unit = "s"
        return self._moved(found, other)

    def __rsub__(self, other: Any) -> Any:
        found = super().__rsub__(other)
        if self.face.sees_missing and isinstance(found, Field) and _are_points(other):
            found.unit = "s"
        return found

    def _moved(self, found: Any, by: Any) -> Any:
        """Points in time and durations added up are points in time."""
        if not self.face.sees_missing or not isinstance(found, Field) or not _are_durations(by):
            return found
        moved = self.in_memory(timestamp_attributes())
        for column in found.blocks():
            moved.append(column)
        return moved

    def operand(self, other: Any, function: Any) -> Any:
        return time_operand(self, other, function)

    def _elements(self, elements: Any) -> Any:
        """As of the other types; dates and times in any form are found by their seconds."""
        if isinstance(elements, np.ndarray) and elements.dtype.kind in "iuf":
            return elements
        given = [one for one in elements if one is not None]  # which no row is equal to
        return np.asarray(self.operand(given, operator.eq), np.float64)

    def encoded(self, values: Any) -> tuple[AnyArray, AnyArray | None]:
        """As of the other types; in no year that there is only where another field has it so."""
        found, mask = super().encoded(values)
        source = values.as_rows() if isinstance(values, (RawData, StringData)) else values
        if self.face.writes_exactly and not isinstance(source, TimestampField):
            check_seconds(found, self.phrase())
        return found, mask

    def _encoded(self, values: Any, dtype: np.dtype[Any], where: str) -> AnyArray:
        """As of the other types; dates and times in any form become seconds."""
        if isinstance(values, np.ndarray) and values.dtype.kind in "iuf":
            return super()._encoded(values, dtype, where)
        return np.asarray(self.operand(values, operator.eq), np.float64)

    def stored_value(self, value: Any) -> Any:
        return seconds_of(self, value)
