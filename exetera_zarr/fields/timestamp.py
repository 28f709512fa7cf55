"""Points in time."""

from __future__ import annotations

from exetera_zarr.fields.base import Field
from exetera_zarr.fields.operators import Modulo

__all__ = ["TimestampField"]


class TimestampField(Modulo, Field):
    """Field of points in time: float64 seconds since 1970-01-01 00:00 UTC."""

    type_name = "timestamp"
