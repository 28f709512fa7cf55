"""Decoded blocks: those that a draft changed (written once, at commit) and those just read."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
import threading
import weakref
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exetera_zarr.errors import full_folder

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["Buffer", "ReadCache", "WriteBack"]


class _SpillFile:
    """A temporary file that lives as long as this refers to it, unless that is in a fork."""

    __slots__ = ("_pid", "name")

    def __init__(self, folder: str) -> None:
        descriptor, self.name = tempfile.mkstemp(dir=folder)
        os.close(descriptor)
        self._pid = os.getpid()

    def __del__(self) -> None:
        if self._pid == os.getpid():
            with contextlib.suppress(OSError):
                os.remove(self.name)


class Buffer:
    """
    The rows so far of one changed block, decoded.

    What was spilled is the start of the rows, in a file; the rest is in memory, so that appending
    to many columns in turn never reads back what does not change. Threads may read while another
    one changes or spills.

    Parameters
    ----------
    rows
        To begin with; owned by the buffer.
    epoch
        The draft's epoch when it was made: a buffer from before a snapshot belongs to that too.
    """

    # No __del__ here: while one runs, a weak reference would bring the buffer back to life.
    __slots__ = ("__weakref__", "_file", "_lock", "_parts", "epoch", "serial")
    _serials = itertools.count()

    def __init__(self, rows: npt.NDArray[Any], epoch: int) -> None:
        self.epoch = epoch
        self.serial = next(self._serials)
        # How many rows are in the file; memory for those that follow, and how many these are. One
        # tuple, so that an interrupt finds it whole.
        self._parts = (0, rows, len(rows))
        self._lock = threading.Lock()
        self._file: _SpillFile | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that it holds in memory."""
        return self._parts[1].nbytes

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Rows, not to be changed; from the file without being kept."""
        with self._lock:
            spilled, rows, _ = self._parts
            if start >= spilled:
                return rows[start - spilled : stop - spilled]
            found = np.empty(stop - start, rows.dtype)
            middle = min(stop, spilled) - start
            self._read_file(start, found[:middle])
            found[middle:] = rows[: max(stop - spilled, 0)]
            return found

    def change(self, start: int, values: npt.NDArray[Any]) -> None:
        """Overwrite rows."""
        with self._lock:
            spilled, rows, used = self._parts
            if start < spilled:
                whole = np.empty(spilled + used, rows.dtype)
                self._read_file(0, whole[:spilled])
                whole[spilled:] = rows[:used]
                spilled, rows = 0, whole
                self._parts = (0, whole, len(whole))
            rows[start - spilled : start - spilled + len(values)] = values

    def extend(self, start: int, values: npt.NDArray[Any], most: int) -> None:
        """Put rows at `start`, and forget others from there; there will be `most` at the end."""
        with self._lock:
            spilled, rows, _ = self._parts
            if start < spilled:
                spilled, rows = start, rows[:0]
            used = start - spilled
            end = used + len(values)
            if len(rows) < end:
                grown = np.zeros(min(most - spilled, max(end, 2 * len(rows), 64)), rows.dtype)
                grown[:used] = rows[:used]
                rows = grown
            rows[used:end] = values
            self._parts = (spilled, rows, end)

    def spill(self, folder: str) -> None:
        """Move the rows in memory to the file."""
        with self._lock:
            spilled, rows, used = self._parts
            if not used:
                return
            if self._file is None:
                self._file = _SpillFile(folder)
            left = rows[:used].view(np.uint8).data
            with open(self._file.name, "r+b", buffering=0) as file:
                file.seek(spilled * rows.itemsize)
                while left:
                    left = left[file.write(left) :]
            self._parts = (spilled + used, np.empty(0, rows.dtype), 0)

    def _read_file(self, start: int, out: npt.NDArray[Any]) -> None:
        assert self._file is not None
        with open(self._file.name, "rb") as file:
            file.seek(start * out.itemsize)
            if file.readinto(out.view(np.uint8).data) != out.nbytes:
                raise OSError(f"{self._file.name}, a temporary file, was cut short")


class WriteBack:
    """
    The changed blocks of a draft, within a limit; the ones longest untouched go to local disk.

    It refers to the buffers weakly: they live as long as an array, or a snapshot of it, has them.

    Parameters
    ----------
    limit
        Bytes kept in memory; the block changed last stays in any case.
    folder
        Where the temporary folder for the others is made; the system's by default.
    """

    def __init__(self, limit: int, folder: str | None = None) -> None:
        self._limit = limit
        self._parent = folder
        self._folder: str | None = None
        self._buffers: OrderedDict[int, weakref.ref[Buffer]] = OrderedDict()
        self._sizes: dict[int, int] = {}
        # Buffers die in any thread, even in the middle of `touch`: that one forgets them.
        self._dead: deque[int] = deque()
        self._total = 0

    def touch(self, buffer: Buffer) -> None:
        """Note that a buffer is new or was changed; make room for it."""
        while self._dead:
            self._forget(self._dead.popleft())
        key = buffer.serial
        self._total += buffer.nbytes - self._sizes.get(key, 0)
        self._sizes[key] = buffer.nbytes
        if key not in self._buffers:
            self._buffers[key] = weakref.ref(buffer, lambda _: self._dead.append(key))
        self._buffers.move_to_end(key)
        while self._total > self._limit and len(self._buffers) > 1:
            oldest, reference = next(iter(self._buffers.items()))
            victim = reference()
            if victim is not None:
                try:
                    victim.spill(self._place())
                except OSError as error:  # it is in memory still
                    raise full_folder(self._parent, error) or error from error
            self._forget(oldest)

    def close(self) -> None:
        """Remove the folder, unless somebody still has a buffer of which a part is in it."""
        if self._folder is not None:
            with contextlib.suppress(OSError):
                os.rmdir(self._folder)
                self._folder = None

    def _forget(self, serial: int) -> None:
        self._buffers.pop(serial, None)
        self._total -= self._sizes.pop(serial, 0)

    def _place(self) -> str:
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="exetera-zarr-", dir=self._parent)
            weakref.finalize(self, _remove_folder, self._folder, os.getpid())
        return self._folder


def _remove_folder(folder: str, pid: int) -> None:
    """Remove a spill folder, unless this is a fork of the process that it belongs to."""
    if pid == os.getpid():
        shutil.rmtree(folder, ignore_errors=True)


class ReadCache:
    """
    The last decoded chunks that were read in part, so that reading row by row decodes them once.

    Parameters
    ----------
    limit
        Bytes.
    """

    def __init__(self, limit: int = 64 << 20) -> None:
        self._limit = limit
        self._chunks: OrderedDict[Hashable, npt.NDArray[Any]] = OrderedDict()
        self._total = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> npt.NDArray[Any] | None:
        """The decoded chunk of that key, if it is still here."""
        with self._lock:
            chunk = self._chunks.get(key)
            if chunk is not None:
                self._chunks.move_to_end(key)
            return chunk

    def put(self, key: Hashable, chunk: npt.NDArray[Any]) -> None:
        """Keep a decoded chunk; what a key stands for never changes."""
        with self._lock:
            old = self._chunks.pop(key, None)
            self._total += chunk.nbytes - (old.nbytes if old is not None else 0)
            self._chunks[key] = chunk
            while self._total > self._limit and self._chunks:
                self._total -= self._chunks.popitem(last=False)[1].nbytes
