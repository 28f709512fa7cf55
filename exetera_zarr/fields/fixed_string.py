"""Strings of limited length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import ArgumentTypeError
from exetera_zarr.fields.base import Field
from exetera_zarr.fields.expressions.text import Text
from exetera_zarr.fields.values import as_fixed
from exetera_zarr.settings import let_pass

if TYPE_CHECKING:
    from exetera_zarr.storage.base import AnyArray

__all__ = ["FixedStringField"]


class FixedStringField(Text, Field):
    """Field of byte strings of at most a fixed length; shorter ones are padded with NULs."""

    type_name = "fixedstring"

    @property
    def length(self) -> int:
        """Bytes of the longest string that fits."""
        return int(self.group.attributes["strlen"])

    def _made_to_fit(self, values: Any, dtype: np.dtype[Any], where: str) -> AnyArray:
        """As of the other types; a string that is too long is cut, as ExeTera cuts it."""
        whole = as_fixed(values, np.dtype("S0"), where)
        if whole.dtype.itemsize > dtype.itemsize:
            rows = int(np.count_nonzero(np.char.str_len(whole) > dtype.itemsize))
            if rows:
                let_pass(self.settings, f"cut strings to {dtype.itemsize} bytes", where, rows)
        return whole.astype(dtype)

    def _elements(self, elements: Any) -> Any:
        """As of the other types: TypeError if there is anything but text."""
        for value in elements:
            if not isinstance(value, (str, bytes, type(None))):
                raise ArgumentTypeError(
                    f"{self.phrase()} holds strings, not {np.asarray(value).dtype} as are given"
                )
        return elements
