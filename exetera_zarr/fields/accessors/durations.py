"""``field.dt`` of durations, and which of the two a field has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import AccessorError
from exetera_zarr.fields.accessors.dates import Dates

if TYPE_CHECKING:
    from collections.abc import Callable

    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.numeric import NumericField
    from exetera_zarr.storage.base import AnyArray

__all__ = ["Durations", "dates_of"]

_SECONDS = {
    "s": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "min": 60.0,
    "minute": 60.0,
    "minutes": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "hours": 3600.0,
    "d": 86400.0,
    "day": 86400.0,
    "days": 86400.0,
}
"""Units of durations, as the unit of a field says them."""


class Durations:
    """
    ``field.dt`` of durations, such as the difference of two timestamp fields.

    Parameters
    ----------
    field
        Of numbers, whose unit says that they are seconds, minutes, hours or days.
    """

    def __init__(self, field: Field) -> None:
        self._field = field
        self._scale = _SECONDS[str(field.unit).strip().lower()]

    def __repr__(self) -> str:
        return f"<durations of {self._field.phrase()}>"

    @property
    def days(self) -> NumericField:
        """Whole days, rounded down as in pandas, so that -1 hour is -1: int64."""
        return self._whole(lambda seconds: np.floor(seconds / 86400.0))

    @property
    def seconds(self) -> NumericField:
        """What is left of whole days, in whole seconds, 0 to 86399: int64."""
        return self._whole(lambda seconds: np.floor(seconds % 86400.0))

    def total_seconds(self) -> Any:
        """The durations in seconds: float64, with the unit ``s``."""
        field: Any = self._field
        made = field * self._scale
        made.unit = "s"
        return made

    def _whole(self, part: Callable[[AnyArray], AnyArray]) -> NumericField:
        made: NumericField = self._field.numeric_like("int64")
        for column, mask in self._field.masked_blocks():
            values = np.asarray(column, np.float64)
            finite = np.isfinite(values)
            # To the microsecond: 0.1 + 0.2 days are not a little less than they are.
            seconds = np.round(np.where(finite, values, 0.0) * self._scale, 6)
            there = finite if mask is None else mask & finite
            made.append_masked(part(seconds).astype(np.int64), None if there.all() else there)
        return made


def dates_of(field: Field) -> Dates | Durations:
    """
    What ``field.dt`` is.

    Raises
    ------
    AccessorError
        The field holds neither points in time nor durations; it is an AttributeError.
    """
    if field.type_name == "timestamp":
        return Dates(field)
    if field.type_name == "numeric":
        if str(field.unit).strip().lower() in _SECONDS:
            return Durations(field)
        hint = (
            "where its numbers are durations set field.unit = 's', 'min', 'h' or 'days'; where "
            "they are seconds since 1970 write them to a timestamp field"
        )
    else:
        hint = "write its values to a timestamp field first"
    raise AccessorError(f"{field.phrase()} ({field.fieldtype}) has no .dt: {hint}")
