"""Codes with names."""

from __future__ import annotations

from typing import Any

import numpy as np

from exetera_zarr.errors import DataError
from exetera_zarr.fields.base import Field, new_field
from exetera_zarr.fields.operators import Arithmetic
from exetera_zarr.fieldtypes import categorical_attributes, label_bytes

__all__ = ["CategoricalField"]


class CategoricalField(Arithmetic, Field):
    """Field of integer codes, each of which has a name in `keys`."""

    type_name = "categorical"

    @property
    def nformat(self) -> str:
        """Name of the codes' integer type, such as ``int8``."""
        return str(self.group.attributes["nformat"])

    @property
    def keys(self) -> dict[int, Any]:
        """Name of each code: bytes in a dataset, and of what comes from one; else as given."""
        pairs = self.group.attributes["key"]
        if self.stored:
            return {int(code): label_bytes(name) for name, code in pairs}
        return {code: name for name, code in pairs}

    def type_attributes(self) -> dict[str, Any]:
        """As of the other types; the names are bytes where those of `keys` are."""
        attributes = super().type_attributes()
        return {**attributes, "key": [[name, code] for code, name in self.keys.items()]}

    def remap(self, key_map: Any, new_key: Any) -> CategoricalField:
        """
        Give the codes new values and names.

        Parameters
        ----------
        key_map : list of (int, int)
            Old and new code; every code of `keys` occurs. Other values become 0.
        new_key : dict
            Code of each new name.

        Returns
        -------
        CategoricalField
            In memory.
        """
        mapping = dict(key_map)
        missing = sorted(set(self.keys) - set(mapping))
        if missing:
            raise DataError(f"key_map says nothing of the codes {missing} of {self.describe()}")
        attributes = categorical_attributes(self.nformat, new_key)
        result: CategoricalField = new_field(self._session, attributes)
        old = np.asarray(sorted(mapping))
        new = np.asarray([mapping[code] for code in old.tolist()])
        for column in self.blocks():
            at = np.minimum(np.searchsorted(old, column), len(old) - 1)
            result.append(np.where(old[at] == column, new[at], 0))
        return result
