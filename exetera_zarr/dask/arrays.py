"""Fields as arrays of Dask: what `Field.to_dask_array` hands over to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
from dask.base import tokenize

from exetera_zarr.dask.clients import check_workers, current_client
from exetera_zarr.dask.cutting import cut_at_blocks
from exetera_zarr.dask.opened import TablePlace
from exetera_zarr.errors import ArgumentError, DataError, UnsupportedError
from exetera_zarr.fields.missing import companions

if TYPE_CHECKING:
    from exetera_zarr.fields.base import Field
    from exetera_zarr.storage.base import AnyArray

__all__ = ["ArrayReader", "array"]

_MISSING = ("error", "nan", "stored")
_EXACT = 2.0**53


@dataclass(frozen=True)
class ArrayReader:
    """
    A column as an array that is read when some of it is asked for, in any process.

    Parameters
    ----------
    place
        Of the table; of a field at the top level, its own.
    name
        Of the field in the table; None for one at the top level.
    missing
        As of `Field.to_dask_array`.
    rows
        How many there are.
    dtype
        Of the elements.
    """

    place: TablePlace
    name: str | None
    missing: str
    rows: int
    dtype: np.dtype[Any]

    ndim = 1

    @property
    def shape(self) -> tuple[int]:
        """As of an array."""
        return (self.rows,)

    def __dask_tokenize__(self) -> object:
        return type(self).__name__, self.place.__dask_tokenize__(), self.name, self.missing

    def __getitem__(self, item: Any) -> AnyArray:
        wanted = item[0] if isinstance(item, tuple) else item
        if not isinstance(wanted, slice):
            return self.read(0, self.rows)[wanted]
        rows = range(self.rows)[wanted]
        if not rows:
            return np.empty(0, self.dtype)
        low = min(rows[0], rows[-1])
        return self.read(low, max(rows[0], rows[-1]) + 1)[_steps(rows, low)]

    def read(self, start: int, stop: int) -> AnyArray:
        """The rows from one number to another."""
        field = self.place.field(self.name)
        values = np.asarray(field.read(start, stop))
        if self.missing == "stored":
            return values
        companion = field.validity
        mask = None if companion is None else np.asarray(companion.read(start, stop))
        if values.dtype.kind == "f":
            return np.asarray(companions.in_place_of_missing(values, mask))
        if self.missing == "nan":
            return _with_nan(field, values, mask, start)
        if mask is not None and not mask.all():
            raise DataError(
                f"row {start + int(np.argmin(mask))} of {field.phrase()} is missing, for which an "
                f"array of {values.dtype} has no sign: write to_dask_array(missing='nan') for an "
                "array of floats, or to_dask() of the table, which has nullable types"
            )
        return values


def _steps(rows: range, low: int) -> slice:
    """The slice that chooses rows of those from the lowest one on."""
    end = rows[-1] - low + (1 if rows.step > 0 else -1)
    return slice(rows[0] - low, None if end < 0 else end, rows.step)


def _with_nan(field: Field, values: AnyArray, mask: AnyArray | None, start: int) -> AnyArray:
    found = values.astype(np.float64)
    if values.dtype.itemsize == 8:
        inexact = (np.abs(found) > _EXACT) & (True if mask is None else mask)
        if inexact.any():
            row = int(np.argmax(inexact))
            raise DataError(
                f"row {start + row} of {field.phrase()} is {values[row]}, which float64 may not "
                "hold exactly: write to_dask() of the table, which has nullable types"
            )
    if mask is not None:
        found[~mask] = np.nan
    return found


def array(field: Field, blocks: int, missing: str) -> da.Array:
    """See `Field.to_dask_array`."""
    if missing not in _MISSING:
        raise ArgumentError(f"missing is 'error', 'nan' or 'stored', not {missing!r}")
    if isinstance(blocks, bool) or not isinstance(blocks, int) or blocks < 1:
        raise ArgumentError(f"blocks is a number of blocks of a chunk, from 1, not {blocks!r}")
    if field.indexed:
        raise UnsupportedError(
            f"{field.phrase()} holds strings of any length, which are no array: write "
            f"df.to_dask([{field.name!r}])[{field.name!r}] of its table"
        )
    frame, storage = field.dataframe, field.group.storage
    if storage is None or (frame is not None and frame.is_view):
        raise UnsupportedError(
            f"workers read what is stored, and {field.phrase()} is in this process alone: write "
            "df['name'] = field in a table of a dataset, and call commit() of that; of a view, use "
            "the table itself and choose rows of the array"
        )
    exact = not field.face.sees_missing
    owner = str(field.name) if frame is None else frame.name
    place = TablePlace(storage.address(owner), owner, exact)
    dtype = field.dtype_of_rows
    if missing == "nan" and dtype.kind not in "fbiu":
        raise ArgumentError(f"{field.phrase()} holds text, of which none is NaN")
    if missing == "nan" and dtype.kind != "f":
        dtype = np.dtype(np.float64)
    rows = len(field)
    reader = ArrayReader(place, None if frame is None else str(field.name), missing, rows, dtype)
    client = current_client()
    if client is not None:
        check_workers(client, place.address)
    cuts = cut_at_blocks([field], rows, field.group.row_block * blocks)
    sizes = tuple(np.diff(cuts).tolist()) or (0,)
    name = f"field-{field.name}-{tokenize(reader, blocks)}"
    return da.from_array(
        reader,
        chunks=(sizes,),
        name=name,
        fancy=False,
        inline_array=True,
        meta=np.empty(0, dtype),
    )
