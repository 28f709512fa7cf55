"""Points in time."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.fields.base import Field
from exetera_zarr.fields.data import RawData, StringData
from exetera_zarr.fields.expressions.operands import seconds_of, time_operand
from exetera_zarr.fields.expressions.operators import Arithmetic
from exetera_zarr.fields.writing.values import check_seconds

if TYPE_CHECKING:
    from exetera_zarr.storage.base import AnyArray

__all__ = ["TimestampField"]


class TimestampField(Arithmetic, Field):
    """Field of points in time: float64 seconds since 1970-01-01 00:00 UTC."""

    type_name = "timestamp"

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
