"""Rows of one field on their way into another, whose type may say the same in another way."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.engine.columns import strings
from exetera_zarr.errors import DataError
from exetera_zarr.fields.categorical import CategoricalField
from exetera_zarr.fields.missing.keys import blank_source
from exetera_zarr.fields.writing.receiving import names_by_code
from exetera_zarr.fieldtypes import categorical_attributes, label_text

if TYPE_CHECKING:
    import numpy.typing as npt

    from exetera_zarr.engine import Column
    from exetera_zarr.engine.streams.source import Source
    from exetera_zarr.fields.base import Field

__all__ = ["Incoming"]


class Incoming:
    """
    A field whose rows are compared with those of another, and appended to it.

    Categories are those of the same name, whatever their codes; names that the other field has not
    are added to its key.

    Parameters
    ----------
    field
        Where the rows come from.
    dest
        Where they go to; a column of a table.

    Raises
    ------
    DataError
        The other field cannot hold values of such a type.
    """

    def __init__(self, field: Field, dest: Field) -> None:
        self.field = field
        self._dest = dest
        self._codes: dict[int, int] = {}
        self._taken: npt.NDArray[Any] | None = None
        if not _holds(dest, field):
            raise DataError(
                f"{field.phrase()} is {field.fieldtype}, which {dest.phrase()} cannot hold "
                f"without loss, being {dest.fieldtype}: change the type of one of them first"
            )
        if isinstance(field, CategoricalField) and isinstance(dest, CategoricalField):
            self._join_keys(field, dest)

    def _join_keys(self, field: CategoricalField, dest: CategoricalField) -> None:
        theirs, ours = names_by_code(field), names_by_code(dest)
        assert theirs is not None
        assert ours is not None
        if theirs == ours:
            return
        codes = {name: code for code, name in ours.items()}
        used = set(ours)
        for code, name in theirs.items():
            if name not in codes:
                codes[name] = code if code not in used else _free(used)
                used.add(codes[name])
            self._codes[code] = codes[name]
        if len(codes) > len(ours):
            _extend(dest, codes)
        self._taken = np.asarray(sorted(used - {0}))

    def source(self, *, codes: bool = True) -> Source:
        """The rows, to be compared with those of the other field; see `blank_source`."""
        plain = blank_source(self.field, codes=codes)
        if self._taken is None:
            return plain
        return replace(
            plain,
            empty=[self._recoded(plain.empty[0])],
            read=lambda start, stop: [self._recoded(plain.read(start, stop)[0])],
        )

    def _recoded(self, column: Column) -> Column:
        """Codes as the other field has them; those without a name stay."""
        assert self._taken is not None
        theirs = np.asarray(sorted(self._codes), np.int64)
        ours = np.asarray([self._codes[code] for code in theirs.tolist()], np.int64)
        codes = np.asarray(column, np.int64)
        at = np.minimum(np.searchsorted(theirs, codes), len(theirs) - 1)
        named = theirs[at] == codes
        wrong = ~named & np.isin(codes, self._taken)
        if wrong.any():
            raise DataError(
                f"{self.field.phrase()} has the code {codes[wrong][0]}, for which it has no "
                f"name, but {self._dest.phrase()} has: name it first"
            )
        return np.where(named, ours[at], codes)

    def stored(self, column: Column) -> Column:
        """Rows in the form in which the other field takes them; DataError for what does not fit."""
        if self._dest.indexed and isinstance(column, np.ndarray):
            return strings.from_fixed(column)
        return column


def _holds(dest: Field, field: Field) -> bool:
    """Whether a field can hold the values of another, as far as their types say."""
    if dest.type_name != field.type_name:
        return dest.indexed and field.type_name == "fixedstring"
    if dest.type_name != "numeric":
        return True
    ours, theirs = dest.data.dtype, field.data.dtype
    if ours.kind in "iu":
        return bool(theirs.kind in "iub")
    wide = theirs.kind in "iu" and theirs.itemsize == 8
    return bool(np.can_cast(theirs, ours)) and not wide


def _free(used: set[int]) -> int:
    """The least code after all that are used."""
    return max(used) + 1


def _extend(dest: CategoricalField, codes: dict[bytes, int]) -> None:
    """Give a field a key with more names, and a wider type if its codes need one."""
    low, high = min(codes.values()), max(codes.values())
    wanted = next(
        name
        for name in (dest.nformat, "int16", "int32", "int64")
        if np.iinfo(name).min <= low and high <= np.iinfo(name).max
    )
    attributes = categorical_attributes(wanted, codes)
    if wanted == dest.nformat:
        names = [[label_text(name), code] for name, code in codes.items()]
        dest.group.update_attributes({"key": names})
        return
    frame = dest.dataframe
    assert frame is not None
    columns = (column.astype(wanted) for column in dest.blocks())
    frame.replace_field(str(dest.name), attributes, columns)
