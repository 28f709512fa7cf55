"""Numbers."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np

from exetera_zarr.errors import ArgumentTypeError, DataError
from exetera_zarr.fields.base import Field
from exetera_zarr.fields.expressions.operands import number_operand
from exetera_zarr.fields.expressions.operators import Bitwise
from exetera_zarr.fields.writing.values import as_numbers
from exetera_zarr.fieldtypes import dtype_to_str, numeric_attributes

__all__ = ["NumericField"]

Casting: TypeAlias = Literal["no", "equiv", "safe", "same_kind", "unsafe"]


class NumericField(Bitwise, Field):
    """Field of bool, integers of 8 to 64 bits, or floats of 32 or 64 bits."""

    type_name = "numeric"

    def operand(self, other: Any, function: Any) -> Any:
        return number_operand(self, other, function)

    @property
    def nformat(self) -> str:
        """Name of the number type, such as ``int32``."""
        return str(self.group.attributes["nformat"])

    def astype(self, dtype: str, casting: Casting = "unsafe") -> Any:
        """
        Change the number type of a column of a table; or have numbers in memory in another type.

        Parameters
        ----------
        dtype
            Name or type of the number type.
        casting
            As in `numpy.can_cast`.

        Returns
        -------
        NumericField
            The column, which has the same name and place; of a field in memory a new one.

        Raises
        ------
        ValueError
            Not a number type, or the field is at the top level of a dataset.
        TypeError
            The numbers cannot be cast by that rule.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://astype.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     people["age"].astype("float32").tolist()
        [34.0, 51.0]
        """
        name = dtype_to_str(dtype)
        if name == "bool":
            raise DataError("a column becomes bool by a comparison, not by astype")
        if not np.can_cast(self.nformat, name, casting=casting):
            raise ArgumentTypeError(
                f"cannot cast {self.phrase()} from {self.nformat} to {name}: {casting}"
            )
        frame = self.dataframe
        if frame is None and not self.stored:
            return self._in_memory_as(name)
        if frame is None:
            raise DataError(f"{self.phrase()} is not a column of a table")
        where, wanted = self.phrase(), np.dtype(name)
        columns = (as_numbers(np.asarray(column), wanted, where) for column in self.blocks())
        return frame.replace_field(str(self.name), numeric_attributes(name), columns)

    def _in_memory_as(self, name: str) -> NumericField:
        made: NumericField = self.numeric_like(name)
        for column, mask in self.masked_blocks():
            values = np.asarray(column)
            if mask is not None:
                values = np.where(mask, values, np.zeros((), values.dtype))
            made.append_masked(as_numbers(values, np.dtype(name), self.phrase()), mask)
        return made
