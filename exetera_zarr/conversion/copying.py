"""Copying fields from one store to another, and comparing them: the bytes as they are stored."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import CorruptDataError, listing
from exetera_zarr.fields.base import DEFAULT_CHUNKSIZE, ENCODING_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from exetera_zarr.storage import Array, Group
    from exetera_zarr.storage.base import AnyArray

__all__ = ["Copier"]

_STEP = 8 << 20
"""Bytes that are on their way at a time, at least a block of the destination."""
_OWN = ("name", "row_block")
_OF_EVERY_FIELD = {"encoding_version": ENCODING_VERSION, "chunksize": DEFAULT_CHUNKSIZE}


class Copier:
    """
    Copies tables, or compares them.

    Parameters
    ----------
    tell
        Called after each block with the rows of the field and the bytes of the block.
    """

    def __init__(self, tell: Callable[[int, int], None]) -> None:
        self._tell = tell
        self._rows = 0

    def table(self, source: Group, parent: Group, names: Sequence[str]) -> None:
        """
        Copy a table.

        Parameters
        ----------
        source
            The table.
        parent
            Where its copy is made.
        names
            Of the fields that are copied.
        """
        made = parent.create_group(source.name, _attributes(source), source.row_block)
        self.fields(source, made, names)

    def fields(self, source: Group, target: Group, names: Sequence[str]) -> None:
        """Copy fields from one group to another."""
        for name in names:
            field = source.group(name)
            made = target.create_group(name, _attributes(field))
            arrays = field.arrays()
            new = {role: made.new_array(role, array.dtype) for role, array in arrays.items()}
            _check_lengths(source, name, arrays)
            for role, array in arrays.items():
                last = 0
                counts = role == "index" or "index" not in arrays
                for _, values in self._blocks(array, new[role], counts=counts):
                    if role == "index":
                        last = _check_offsets(source, name, values, last, len(arrays["values"]))
                    new[role].append(values)
            made.set_arrays(new)

    def _blocks(
        self, array: Array, target: Array, *, counts: bool = True
    ) -> Iterator[tuple[int, AnyArray]]:
        """The blocks of an array as they suit the one it is copied to, with their starts."""
        step = target.block * max(1, _STEP // (target.block * array.dtype.itemsize))
        starts = range(0, len(array), step)
        for start, values in _ahead(array, starts, step):
            yield start, values
            if counts:
                self._rows = start + len(values)
            self._tell(self._rows, values.nbytes)

    def same_table(self, source: Group, copy: Group, names: Sequence[str]) -> None:
        """Raise CorruptDataError unless a table is a copy of another."""
        if list(copy.keys()) != list(names):
            raise CorruptDataError(
                f"the table {source.name!r} has the fields {listing(copy.keys())} where "
                f"{listing(names)} were copied"
            )
        _check_same_attributes(source.name, source, copy)
        self.same_fields(source, copy, names)

    def same_fields(self, source: Group, copy: Group, names: Sequence[str]) -> None:
        """Raise CorruptDataError unless fields are copies of others."""
        for name in names:
            one, other = source.group(name), copy.group(name)
            where = f"{source.name}/{name}"
            _check_same_attributes(where, one, other)
            first, second = one.arrays(), other.arrays()
            if set(first) != set(second):
                raise CorruptDataError(f"{where}: {listing(second)} where {listing(first)} are")
            for role, array in first.items():
                self._check_same(f"{where}/{role}", array, second[role])

    def _check_same(self, where: str, array: Array, copied: Array) -> None:
        if (array.dtype, len(array)) != (copied.dtype, len(copied)):
            raise CorruptDataError(
                f"{where}: {len(copied)} elements of {copied.dtype} where {len(array)} of "
                f"{array.dtype} are"
            )
        for start, values in self._blocks(array, copied):
            read = copied.read(start, start + len(values))
            # By their bytes, since a NaN is to be the same NaN.
            if not np.array_equal(values.view(np.uint8), read.view(np.uint8)):
                different = values.view(np.uint8) != read.view(np.uint8)
                at = start + int(np.flatnonzero(different)[0]) // array.dtype.itemsize
                raise CorruptDataError(f"{where}: element {at} is not what it is in the source")


def _ahead(array: Array, starts: range, step: int) -> Iterator[tuple[int, AnyArray]]:
    """Blocks of an array, of which the next is read while one is worked on."""

    def read(start: int) -> AnyArray:
        return array.read(start, min(start + step, len(array)))

    if len(starts) < 2:
        yield from ((start, read(start)) for start in starts)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="exetera-copy") as pool:
        following = pool.submit(read, starts[0])
        for start in starts:
            values = following.result()
            if start + step < len(array):
                following = pool.submit(read, start + step)
            yield start, values


def _attributes(group: Group) -> dict[str, Any]:
    """The attributes that a copy of a group has."""
    found = {name: value for name, value in group.attributes.items() if name not in _OWN}
    return (_OF_EVERY_FIELD if "fieldtype" in found else {}) | found


def _check_same_attributes(where: str, source: Group, copy: Group) -> None:
    wanted, found = _attributes(source), _attributes(copy)
    if wanted != found:
        names = sorted(n for n in {*wanted, *found} if wanted.get(n) != found.get(n))
        raise CorruptDataError(
            f"{where}: {names[0]!r} is {found.get(names[0])!r} and not {wanted.get(names[0])!r}"
        )


def _check_lengths(source: Group, name: str, arrays: Mapping[str, Array]) -> None:
    if "values" not in arrays:
        raise CorruptDataError(f"the field {source.name}/{name} has no values")


def _check_offsets(source: Group, name: str, offsets: AnyArray, last: int, length: int) -> int:
    """The last of a block of offsets, which ascend from `last` on and end within the bytes."""
    if len(offsets) == 0:
        return last
    if int(offsets[0]) < last or (offsets[1:] < offsets[:-1]).any() or int(offsets[-1]) > length:
        raise CorruptDataError(
            f"the field {source.name}/{name} has offsets that do not ascend, or lead beyond its "
            f"{length} bytes"
        )
    return int(offsets[-1])
