"""Strings of limited length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import ArgumentTypeError, DataError
from exetera_zarr.fields.base import Field
from exetera_zarr.fields.expressions.text import Text
from exetera_zarr.fields.writing.values import as_fixed
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

    def _encoded(self, values: Any, dtype: np.dtype[Any], where: str) -> AnyArray:
        for at, one in enumerate(_one_by_one(values)):
            if _ends_in_nul(one):
                raise DataError(
                    f"{where} pads its strings with NULs; value {at} of those given, {one!r}, ends "
                    "in one, which would be lost: write it to an indexed string field, or without "
                    "that NUL"
                )
        return super()._encoded(values, dtype, where)

    def _members(self, elements: Any) -> Any:
        if self.face.sees_missing:  # no row is equal to a string that ends in a NUL
            elements = [one for one in elements if not _ends_in_nul(one)]
        return super()._members(elements)

    def _elements(self, elements: Any) -> Any:
        """As of the other types: TypeError if there is anything but text."""
        for value in elements:
            if not isinstance(value, (str, bytes, type(None))):
                raise ArgumentTypeError(
                    f"{self.phrase()} holds strings, not {np.asarray(value).dtype} as are given"
                )
        return elements


def _one_by_one(values: Any) -> Any:
    """Values that may end in a NUL; those of numpy's own types of strings have lost it before."""
    if hasattr(values, "to_pylist"):  # an array of Arrow, as another field has read it
        return values.to_pylist()
    if isinstance(values, np.ndarray):
        return values.reshape(-1).tolist() if values.dtype.kind == "O" else ()
    if isinstance(values, (list, tuple)):
        return values
    return [values] if isinstance(values, (str, bytes)) else ()


def _ends_in_nul(value: object) -> bool:
    return (isinstance(value, str) and value.endswith("\0")) or (
        isinstance(value, bytes) and value.endswith(b"\0")
    )
