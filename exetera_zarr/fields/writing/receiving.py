"""Rows of one field, or of an array, as another field stores them: exactly, or not at all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.engine import is_strings
from exetera_zarr.engine.columns import selection, strings
from exetera_zarr.errors import ArgumentTypeError, DataError, listing
from exetera_zarr.fields.missing.companions import in_place_of_missing
from exetera_zarr.fieldtypes import label_bytes, label_text
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from exetera_zarr.engine import Column
    from exetera_zarr.fields.base import Field
    from exetera_zarr.storage.base import AnyArray

__all__ = ["Receiving", "names_by_code"]

_WHICH = re.compile(r"\bvalue (\d+) of those given")


class Receiving:
    """
    Rows on their way into a field, some at a time.

    Categories are those of the same name, whatever their codes.

    Parameters
    ----------
    dest
        Where they go.
    source
        The field that they come from; None for what comes from no field, or says more than the
        values of one, such as row numbers.
    as_they_are
        Whether rows of a field of the same type pass as they are, codes without a name included.
    """

    def __init__(self, dest: Field, source: Field | None, *, as_they_are: bool = True) -> None:
        self._dest, self._source = dest, source
        self._done = 0
        self._as_they_are = as_they_are and source is not None and have_same_type(dest, source)
        theirs = None if source is None else names_by_code(source)
        ours = names_by_code(dest)
        self._theirs = theirs if ours is not None and theirs != ours else None
        self._ours = {} if ours is None else {name: code for code, name in ours.items()}
        pairs = sorted((self._theirs or {0: b""}).items())
        self._table = (
            np.asarray([code for code, _ in pairs], np.int64),
            np.asarray([self._ours.get(name, 0) for _, name in pairs], np.int64),
            np.asarray([bool(self._theirs) and name in self._ours for _, name in pairs], np.bool_),
        )

    def __call__(self, column: Column, mask: AnyArray | None) -> tuple[Column, AnyArray | None]:
        """
        The next rows as the field stores them.

        Parameters
        ----------
        column
            The rows.
        mask : ndarray of bool, optional
            Which of them have a value; None for all.

        Returns
        -------
        column : Column
            Of the field's type; 0, False or NaN where there is no value.
        mask : ndarray of bool, or None
            As given.

        Raises
        ------
        DataError
            The field cannot hold a value, of which it says the row and what it is.
        """
        first, self._done = self._done, self._done + len(column)
        if self._as_they_are:
            return in_place_of_missing(column, mask), mask
        if self._dest.indexed:
            return self._texts(column), mask
        if len(column) == 0 or (mask is not None and not mask.any()):
            found: Any = np.zeros(len(column), self._dest.dtype_of_rows)
        else:
            present = self._without_missing(column, mask)
            if self._theirs is not None:
                present = self._recoded(np.asarray(present), mask, first)
            found = self._exact(present, mask, first)
        return in_place_of_missing(np.asarray(found), mask), mask

    def _texts(self, column: Column) -> Column:
        if is_strings(column):
            return column
        if column.dtype.kind != "S":
            given = column.dtype.name if self._source is None else self._source.phrase()
            raise ArgumentTypeError(f"{self._dest.phrase()} holds text, and cannot hold {given}")
        return strings.from_fixed(column)

    def _without_missing(self, column: Column, mask: AnyArray | None) -> Column:
        """The rows, with a value that there is in the place of what is missing."""
        if mask is None:
            return column
        kind = self._dest.dtype_of_rows.kind
        of_numbers = not is_strings(column) and column.dtype.kind == kind and kind in "biuf"
        if of_numbers and self._dest.type_name != "categorical":
            return in_place_of_missing(column, mask)  # it can hold 0, False or NaN
        return selection.take(column, np.where(mask, np.arange(len(mask)), np.argmax(mask)))

    def _recoded(self, codes: AnyArray, mask: AnyArray | None, first: int) -> AnyArray:
        theirs, (named, new, has) = self._theirs or {}, self._table
        place = np.minimum(np.searchsorted(named, codes), len(named) - 1)
        known = (named[place] == codes) & has[place]
        found: AnyArray = np.where(known, new[place], 0)
        if not known.all():
            at = _there(int(np.argmin(known)), mask)
            code = int(codes[at])
            there_are = f"there are: {listing(map(label_text, self._ours))}"
            what = (
                f"{visible(repr(label_text(theirs[code])))}, which is value {first + at} of those "
                "given"
                if code in theirs
                else f"that value {first + at} of those given can be: its code, {code}, has no name"
            )
            raise DataError(f"{self._dest.phrase()} has no category {what}; {there_are}")
        return found

    def _exact(self, column: Column, mask: AnyArray | None, first: int) -> AnyArray:
        try:
            return self._dest.exact(column)
        except (DataError, ArgumentTypeError) as error:
            said, told = str(error), _WHICH.search(str(error))
            at = _there(self._first_misfit(column) if told is None else int(told[1]), mask)
            if told is None:
                shown = column[at].as_py() if is_strings(column) else column[at].item()
                shown = label_text(shown) if isinstance(shown, bytes) else shown
                said += f" (value {first + at} of those given, {visible(repr(shown))})"
            else:
                said = _WHICH.sub(f"value {first + at} of those given", said, count=1)
            raise type(error)(said) from error

    def _first_misfit(self, column: Column) -> int:
        """The first row that the field cannot hold: that at which the rows so far do not fit."""
        fits, fails = 0, len(column)
        while fails - fits > 1:
            middle = (fits + fails) // 2
            try:
                self._dest.exact(column[:middle])
            except (DataError, ArgumentTypeError):
                fails = middle
            else:
                fits = middle
        return fails - 1


def _there(row: int, mask: AnyArray | None) -> int:
    """A row, or for a missing one the first that has a value, which stood in its place."""
    return row if mask is None or mask[row] else int(np.argmax(mask))


def names_by_code(field: Field) -> dict[int, bytes] | None:
    """The names of a field of categories; None for another one."""
    if field.type_name != "categorical":
        return None
    return {code: label_bytes(name) for code, name in field.keys.items()}  # type: ignore[attr-defined]


def have_same_type(one: Field, other: Field) -> bool:
    """Whether two fields store the same values in the same way."""
    if one.type_name != other.type_name or one.indexed != other.indexed:
        return False
    same = one.indexed or one.dtype_of_rows == other.dtype_of_rows
    return same and names_by_code(one) == names_by_code(other)
