"""Where an operation works: so many bytes of memory, and a folder for what does not fit."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from exetera_zarr.errors import full_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Spill", "Workspace"]

DEFAULT_MEMORY = 1 << 30


class Workspace:
    """
    What one operation may use; at its end nothing is left, also after an exception.

    Parameters
    ----------
    memory
        Bytes.
    spill_dir
        A folder for what does not fit; by default the system's for temporary files.

    Examples
    --------
    >>> with Workspace(1 << 30) as work:
    ...     numbers = work.spill(np.int64)
    ...     numbers.append(np.arange(3))
    ...     print(numbers.read(1, 3))
    [1 2]
    """

    def __init__(self, memory: int = DEFAULT_MEMORY, spill_dir: str | None = None) -> None:
        self.memory = memory
        self.spill_dir = spill_dir
        self._folder: str | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()
        self._folder = None

    @property
    def folder(self) -> str:
        """A folder of its own, made when it is first asked for."""
        if self._folder is None:
            try:
                made = tempfile.TemporaryDirectory(prefix="exetera-", dir=self.spill_dir)
            except OSError as error:
                raise full_folder(self.spill_dir, error) or error from error
            self._folder = self._stack.enter_context(made)
        return self._folder

    def temporary_file(self) -> IO[bytes]:
        """A new file in that folder, without a buffer, which is gone when it is closed."""
        folder = self.folder
        try:
            return tempfile.TemporaryFile(dir=folder, buffering=0)
        except OSError as error:
            raise full_folder(self.spill_dir, error) or error from error

    def part(self, of: int) -> Workspace:
        """One of so many parts, for what goes on at the same time; it ends with this one."""
        return self._stack.enter_context(Workspace(self.memory // of, self.spill_dir))

    def spill(self, dtype: npt.DTypeLike, share: float = 0.125) -> Spill:
        """An empty sequence of values; what is beyond that share of the memory goes to a file."""
        spill = Spill(self, np.dtype(dtype), int(self.memory * share))
        self._stack.callback(spill.close)
        return spill


class Spill:
    """
    Values of one type that are appended, and read by position; `Workspace.spill` makes it.

    Parameters
    ----------
    work
        Whose folder holds the file.
    dtype
        Of the values.
    room
        Bytes that stay in memory.
    """

    def __init__(self, work: Workspace, dtype: np.dtype[Any], room: int) -> None:
        self.dtype = dtype
        self._work, self._room = work, room
        self._parts: list[npt.NDArray[Any]] = []
        self._length = 0
        self._file: IO[bytes] | None = None

    def __len__(self) -> int:
        return self._length

    def append(self, values: npt.NDArray[Any]) -> None:
        """Add values at the end; they are copied unless they are of this type already."""
        values = np.ascontiguousarray(values, self.dtype)
        if self._file is None and (self._length + len(values)) * self.dtype.itemsize > self._room:
            self._file = self._work.temporary_file()
            for part in self._parts:
                self._write(part)
            self._parts = []
        if self._file is None:
            self._parts.append(values)
        else:
            self._write(values)
        self._length += len(values)

    def _write(self, values: npt.NDArray[Any]) -> None:
        assert self._file is not None
        left = values.view(np.uint8).data
        while left:
            try:
                left = left[self._file.write(left) :]
            except OSError as error:
                raise full_folder(self._work.spill_dir, error) or error from error

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Values from one position to another; not to be changed."""
        if self._file is None:
            if len(self._parts) > 1:
                self._parts = [np.concatenate(self._parts)]
            return self._parts[0][start:stop] if self._parts else np.empty(0, self.dtype)
        out = np.empty(stop - start, self.dtype)
        left, offset = out.view(np.uint8).data, start * self.dtype.itemsize
        while left:
            count = _read_at(self._file.fileno(), left, offset)
            if count == 0:
                raise EOFError(f"{len(left)} bytes at {offset} of a spill file do not exist")
            left, offset = left[count:], offset + count
        return out

    def blocks(self, step: int) -> Iterator[npt.NDArray[Any]]:
        """All values in order, so many at a time."""
        for start in range(0, self._length, step):
            yield self.read(start, min(start + step, self._length))

    def close(self) -> None:
        """Forget all."""
        if self._file is not None:
            self._file.close()
        self._file, self._parts, self._length = None, [], 0


def _read_at(file: int, out: memoryview, start: int) -> int:
    """Read from a position, and leave the end for writing; how many bytes there were."""
    if hasattr(os, "preadv"):
        return os.preadv(file, [out], start)
    os.lseek(file, start, os.SEEK_SET)
    found = os.read(file, min(len(out), 1 << 30))
    os.lseek(file, 0, os.SEEK_END)
    out[: len(found)] = found
    return len(found)
