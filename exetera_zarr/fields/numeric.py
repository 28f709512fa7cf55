"""Numbers."""

from __future__ import annotations

from typing import Any

from exetera_zarr.fields.base import Field
from exetera_zarr.fields.operators import Bitwise

__all__ = ["NumericField"]


class NumericField(Bitwise, Field):
    """Field of bool, integers of 8 to 64 bits, or floats of 32 or 64 bits."""

    type_name = "numeric"

    @property
    def nformat(self) -> str:
        """Name of the number type, such as ``int32``."""
        return str(self.group.attributes["nformat"])

    def astype(self, dtype: str, casting: str = "unsafe") -> Any:
        """
        Change the number type of a column of a table.

        Parameters
        ----------
        dtype
            Name or type of the number type.
        casting
            As in `numpy.can_cast`.

        Returns
        -------
        NumericField
            The column, which has the same name and place.

        Raises
        ------
        ValueError
            Not a number type, or the field is no column of a table.
        TypeError
            The numbers cannot be cast by that rule.
        """
        from exetera_zarr.fields.create import recast

        return recast(self, dtype, casting)
