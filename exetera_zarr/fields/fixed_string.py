"""Strings of limited length."""

from __future__ import annotations

from exetera_zarr.fields.base import Field

__all__ = ["FixedStringField"]


class FixedStringField(Field):
    """Field of byte strings of at most a fixed length; shorter ones are padded with NULs."""

    type_name = "fixedstring"

    @property
    def length(self) -> int:
        """Bytes of the longest string that fits."""
        return int(self.group.attributes["strlen"])
