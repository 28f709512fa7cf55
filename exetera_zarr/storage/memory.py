"""Groups and arrays in memory, for fields that belong to no dataset."""

from __future__ import annotations

import tempfile
import threading
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exetera_zarr.errors import NameTakenError, full_folder
from exetera_zarr.storage import names, system
from exetera_zarr.storage.base import ROW_BLOCK, AnyArray, Array, Group

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["MemoryArray", "MemoryGroup"]


class MemoryArray(Array):
    """
    An array in memory, with room to grow so that many small appends stay linear.

    Parameters
    ----------
    dtype
        Of the elements.
    block
        Elements that are read at a time.
    room
        Bytes from which on the elements are in a temporary file instead; None for never.
    folder
        Where that file is; the system's folder for such files by default.
    """

    def __init__(
        self,
        dtype: npt.DTypeLike,
        block: int = ROW_BLOCK,
        room: int | None = None,
        folder: str | None = None,
    ) -> None:
        self._data: AnyArray = np.empty(0, np.dtype(dtype).newbyteorder("="))
        self._length = 0
        self._block = block
        self._room = room
        self._folder = folder
        self._file: int | None = None
        self._close: Callable[[], object] = lambda: None

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._data.dtype

    @property
    def block(self) -> int:
        return self._block

    def __len__(self) -> int:
        return self._length

    def read(self, start: int, stop: int, out: AnyArray | None = None) -> AnyArray:
        if self._file is not None:
            out = np.empty(stop - start, self.dtype) if out is None else out
            left, at = out.view(np.uint8).data, start * self.dtype.itemsize
            while left:
                count = system.read_at(self._file, left, at)
                if count == 0:
                    raise EOFError(f"{len(left)} bytes at {at} of a temporary file do not exist")
                left, at = left[count:], at + count
            return out
        if out is None:
            return self._data[start:stop].copy()
        out[...] = self._data[start:stop]
        return out

    def append(self, values: AnyArray, *, given: bool = False) -> None:  # noqa: ARG002 - copied
        end = self._length + len(values)
        if self._file is None and self._room is not None and end * self.dtype.itemsize > self._room:
            self._to_file()
        if self._file is not None:
            self._put(self._length, values)
        else:
            self._grow(end)
            self._data[self._length : end] = values
        self._length = end

    def _to_file(self) -> None:
        """Have the elements in a file; after an error they are in memory still."""
        self._open()
        try:
            self._put(0, self._data[: self._length])
        except BaseException:
            self._file = None
            self._close()
            raise
        self._data = self._data[:0]

    def _open(self) -> None:
        """Make a file that is gone with the array, by whatever means the system has for that."""
        try:
            file = tempfile.TemporaryFile(prefix="exetera-", dir=self._folder, buffering=0)  # noqa: SIM115
        except OSError as error:
            raise full_folder(self._folder, error) or error from error
        self._file = file.fileno()
        self._close = weakref.finalize(self, file.close)

    def _grow(self, end: int) -> None:
        if end > len(self._data):
            room = end if self._length == 0 else max(end, self._length * 2)
            grown = np.empty(room, self._data.dtype)
            grown[: self._length] = self._data[: self._length]
            self._data = grown

    def _put(self, start: int, values: AnyArray) -> None:
        """Write elements to the file."""
        assert self._file is not None
        values = np.ascontiguousarray(values, self.dtype)
        left, at = values.view(np.uint8).data, start * self.dtype.itemsize
        while left:
            try:
                count = system.write_at(self._file, left, at)
            except OSError as error:
                raise full_folder(self._folder, error) or error from error
            left, at = left[count:], at + count

    def write(self, start: int, values: AnyArray) -> None:
        if self._file is not None:
            self._put(start, values)
        else:
            self._data[start : start + len(values)] = values

    def clear(self) -> None:
        self._data = np.empty(0, self._data.dtype)
        self._length = 0
        self._file = None
        self._close()


class MemoryGroup(Group):
    """
    A group in memory.

    Parameters
    ----------
    name
        Logical name.
    attributes
        As of a stored group.
    row_block
        Rows of a block of streaming.
    room, folder
        As of `MemoryArray`.
    """

    def __init__(
        self,
        name: str = "",
        attributes: Mapping[str, Any] | None = None,
        row_block: int = ROW_BLOCK,
        *,
        room: int | None = None,
        folder: str | None = None,
    ) -> None:
        self._room, self._folder = room, folder
        self._attributes = {"name": name, **(attributes or {})}
        self._row_block = row_block
        self._groups: dict[str, MemoryGroup] = {}
        self._arrays: dict[str, Array] = {}
        self._lock = threading.RLock()

    @property
    def name(self) -> str:
        return str(self._attributes.get("name", ""))

    @property
    def key(self) -> int:
        return id(self)

    def exclusive(self) -> threading.RLock:
        return self._lock

    @property
    def storage(self) -> None:
        return None

    @property
    def row_block(self) -> int:
        return self._row_block

    @property
    def attributes(self) -> Mapping[str, Any]:
        return self._attributes

    def update_attributes(self, attributes: Mapping[str, Any]) -> None:
        for name, value in attributes.items():
            if value is None:
                self._attributes.pop(name, None)
            else:
                self._attributes[name] = value

    def keys(self) -> Sequence[str]:
        return list(self._groups)

    def __contains__(self, name: object) -> bool:
        return name in self._groups

    def group(self, name: str) -> MemoryGroup:
        return self._groups[name]

    def create_group(
        self, name: str, attributes: Mapping[str, Any] | None = None, row_block: int | None = None
    ) -> MemoryGroup:
        name = names.check(name)
        if name in self._groups:
            raise NameTakenError(f"{name!r} exists already")
        about = {"name": name, **(attributes or {})}
        self._groups[name] = MemoryGroup(name, about, row_block or self._row_block)
        return self._groups[name]

    def delete_group(self, name: str) -> None:
        del self._groups[name]

    def rename_groups(self, renames: Mapping[str, str]) -> None:
        renames = {old: names.check(new) for old, new in renames.items()}
        after = [renames.get(name, name) for name in self._groups]
        if len(set(after)) != len(after):
            raise NameTakenError(f"two of the names {after} are the same")
        groups = dict(zip(after, self._groups.values(), strict=True))
        for name, group in groups.items():
            group.update_attributes({"name": name})
        self._groups = groups

    def reorder(self, order: Sequence[str]) -> None:
        self._groups = {name: self._groups[name] for name in order}

    def arrays(self) -> Mapping[str, Array]:
        return self._arrays

    def new_array(self, role: str, dtype: npt.DTypeLike) -> MemoryArray:  # noqa: ARG002
        return MemoryArray(dtype, self._row_block, self._room, self._folder)

    def set_arrays(self, arrays: Mapping[str, Array]) -> None:
        self._arrays = {**self._arrays, **arrays}
