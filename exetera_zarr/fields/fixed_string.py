"""Strings of limited length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from exetera_zarr.fields.base import Field

if TYPE_CHECKING:
    from exetera_zarr.storage.base import AnyArray

__all__ = ["FixedStringField"]


class FixedStringField(Field):
    """Field of byte strings of at most a fixed length; shorter ones are padded with NULs."""

    type_name = "fixedstring"

    @property
    def length(self) -> int:
        """Bytes of the longest string that fits."""
        return int(self.group.attributes["strlen"])

    def _comparable(self, elements: AnyArray) -> AnyArray:
        """As of the other types; text is compared as UTF-8."""
        if elements.dtype.kind == "U":
            return np.strings.encode(elements, "utf-8")
        if elements.dtype.kind not in "SO" and elements.size:
            raise TypeError(f"{self.describe()} holds strings, not {elements.dtype} as are given")
        return elements
