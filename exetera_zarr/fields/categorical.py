"""Codes with names."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import DataError, listing
from exetera_zarr.fields.base import Field, new_field
from exetera_zarr.fields.expressions.operands import category_operand
from exetera_zarr.fields.expressions.operators import Arithmetic
from exetera_zarr.fieldtypes import categorical_attributes, label_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from exetera_zarr.storage.base import AnyArray

__all__ = ["CategoricalField"]

_FEW_GAPS = 8


class CategoricalField(Arithmetic, Field):
    """Field of integer codes, each of which has a name in `keys`."""

    type_name = "categorical"

    def operand(self, other: Any, function: Any) -> Any:
        return category_operand(self, other, function)

    def _elements(self, elements: Any) -> Any:
        """As of the other types; names are found by their codes, and unknown ones not at all."""
        values = elements.tolist() if isinstance(elements, np.ndarray) else list(elements)
        codes = {label_bytes(name): code for code, name in self.keys.items()}
        names = [v for v in values if isinstance(v, (str, bytes))]
        if not names:
            return super()._elements(elements)
        others = [v for v in values if not isinstance(v, (str, bytes))]
        found = (codes.get(label_bytes(name)) for name in names)
        return [*others, *(code for code in found if code is not None)]

    def _encoded(self, values: Any, dtype: np.dtype[Any], where: str) -> AnyArray:
        """As of the other types; names become their codes, and every code has to have a name."""
        array = np.asarray(values)
        if array.dtype.kind in "USO" and any(
            isinstance(one, (str, bytes)) for one in array.reshape(-1)
        ):
            return np.asarray(self.operand(values, operator.eq)).astype(dtype)
        codes = super()._encoded(values, dtype, where)
        at = _first_unnamed(codes.reshape(-1), self.keys)
        if at is not None:
            raise DataError(
                f"{where} has no category of the code {codes.reshape(-1)[at]}, which is value {at} "
                f"of those given; there are: {listing(self.keys)}"
            )
        return codes

    def stored_value(self, value: Any) -> Any:
        return category_operand(self, value, operator.eq)

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
            Old and new code; every code of `keys` occurs.
        new_key : dict
            Code of each new name.

        Returns
        -------
        CategoricalField
            In memory. What is missing stays so.

        Raises
        ------
        DataError
            A new code has no name, or a code that occurs has no new one. In ExeTera's face such a
            code becomes 0.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://remap.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     smoker = people.create_categorical("smoker", "int8", {"no": 0, "yes": 1})
        ...     smoker.data.write([0, 1, 1])
        ...     smoker.remap([(0, 0), (1, 2)], {"no": 0, "yes": 2}).data[:]
        array([0, 2, 2], dtype=int8)
        """
        mapping = dict(key_map)
        missing = sorted(set(self.keys) - set(mapping))
        if missing:
            raise DataError(f"key_map says nothing of the codes {missing} of {self.phrase()}")
        attributes = categorical_attributes(self.nformat, new_key)
        result: CategoricalField = new_field(self._session, attributes)
        old = np.asarray(sorted(mapping))
        new = np.asarray([mapping[code] for code in old.tolist()])
        if self.face.writes_exactly and (odd := _first_unnamed(new, result.keys)) is not None:
            raise DataError(
                f"key_map gives the code {old[odd]} of {self.phrase()} the new one {new[odd]}, for "
                f"which new_key has no name; it has {listing(result.keys)}"
            )
        first = 0
        for column, mask in self.masked_blocks():
            at = np.minimum(np.searchsorted(old, column), len(old) - 1)
            known = old[at] == column
            told = known if mask is None else known | ~mask
            if self.face.writes_exactly and not told.all():
                row = int(np.argmin(told))
                raise DataError(
                    f"key_map says nothing of the code {column[row]}, which is in row "
                    f"{first + row} of {self.phrase()}"
                )
            result.append_masked(np.where(known, new[at], 0), mask)
            first += len(column)
        return result


def _first_unnamed(codes: AnyArray, keys: Iterable[int]) -> int | None:
    """Position of the first code that has no name; None if each has one."""
    known = np.asarray(sorted(keys), np.int64)
    if _are_within(codes, known):
        return None
    named = np.isin(codes, known)
    return None if named.all() else int(named.argmin())


def _are_within(codes: AnyArray, known: NDArray[np.int64]) -> bool:
    """Whether sorted keys have few gaps, and codes lie in none; much faster than `isin`."""
    gaps = np.flatnonzero(np.diff(known) > 1)
    if len(known) == 0 or len(codes) == 0 or len(gaps) > _FEW_GAPS:
        return False
    if known[0] == 0 and len(gaps) == 0:
        # Without a sign, negative codes are beyond the last key, too.
        return int(codes.view(codes.dtype.str.replace("i", "u")).max()) <= int(known[-1])
    named = np.zeros(len(codes), bool)
    lows, highs = known[np.append(0, gaps + 1)].tolist(), known[np.append(gaps, -1)].tolist()
    for low, high in zip(lows, highs, strict=True):
        named |= (codes >= low) & (codes <= high)
    return bool(named.all())
