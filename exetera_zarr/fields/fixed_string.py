"""Strings of limited length."""

from __future__ import annotations

from typing import Any

import numpy as np

from exetera_zarr.fields.base import Field
from exetera_zarr.fields.text import Text

__all__ = ["FixedStringField"]


class FixedStringField(Text, Field):
    """Field of byte strings of at most a fixed length; shorter ones are padded with NULs."""

    type_name = "fixedstring"

    @property
    def length(self) -> int:
        """Bytes of the longest string that fits."""
        return int(self.group.attributes["strlen"])

    def _elements(self, elements: Any) -> Any:
        """As of the other types: TypeError if there is anything but text."""
        for value in elements:
            if not isinstance(value, (str, bytes, type(None))):
                raise TypeError(
                    f"{self.describe()} holds strings, not {np.asarray(value).dtype} as are given"
                )
        return elements
