"""Decoded blocks: those that a draft changed (written once, at commit) and those just read."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["Buffer", "ReadCache", "WriteBack"]


class Buffer:
    """
    One changed block, decoded; its array grows with the rows, up to a whole block.

    Parameters
    ----------
    data
        The rows so far; owned by the buffer.
    epoch
        The draft's epoch when it was made: a buffer from before a snapshot belongs to that too.
    """

    __slots__ = ("__weakref__", "_dtype", "_file", "_pid", "data", "epoch")

    def __init__(self, data: npt.NDArray[Any], epoch: int) -> None:
        self.data: npt.NDArray[Any] | None = data
        self.epoch = epoch
        self._file: str | None = None
        self._pid = os.getpid()
        self._dtype = data.dtype

    @property
    def nbytes(self) -> int:
        """Bytes that it holds in memory."""
        return 0 if self.data is None else self.data.nbytes

    def array(self) -> npt.NDArray[Any]:
        """Its rows, read back without being kept if they were spilled."""
        data = self.data
        if data is not None:
            return data
        assert self._file is not None
        return np.fromfile(self._file, dtype=self._dtype)

    def spill(self, folder: str) -> None:
        """Move the rows to a file."""
        if self.data is None:
            return
        if self._file is None:
            descriptor, self._file = tempfile.mkstemp(dir=folder)
            os.close(descriptor)
        self.data.tofile(self._file)
        self.data = None

    def load(self) -> npt.NDArray[Any]:
        """The rows, in memory to be changed."""
        if self.data is None:
            self.data = self.array()
        return self.data

    def __del__(self) -> None:
        if self._file is not None and self._pid == os.getpid():
            with contextlib.suppress(OSError):
                os.remove(self._file)


class WriteBack:
    """
    The changed blocks of a draft, within a limit; the ones longest untouched go to local disk.

    It refers to the buffers weakly: they live as long as an array, or a snapshot of it, has them.

    Parameters
    ----------
    limit
        Bytes kept in memory; the block being changed stays in any case.
    folder
        Where the temporary folder for the others is made; the system's by default.
    """

    def __init__(self, limit: int, folder: str | None = None) -> None:
        self._limit = limit
        self._parent = folder
        self._folder: str | None = None
        self._buffers: OrderedDict[int, weakref.ref[Buffer]] = OrderedDict()
        self._sizes: dict[int, int] = {}
        self._total = 0

    def touch(self, buffer: Buffer) -> None:
        """Note that a buffer is new, has grown or is about to be changed; make room for it."""
        key = id(buffer)
        self._total += buffer.nbytes - self._sizes.get(key, 0)
        self._sizes[key] = buffer.nbytes
        if key not in self._buffers:
            self._buffers[key] = weakref.ref(buffer, lambda _: self._forget(key))
        self._buffers.move_to_end(key)
        while self._total > self._limit and len(self._buffers) > 1:
            oldest, reference = next(iter(self._buffers.items()))
            victim = reference()
            if victim is not None:
                victim.spill(self._place())
            self._forget(oldest)

    def _forget(self, key: int) -> None:
        self._buffers.pop(key, None)
        self._total -= self._sizes.pop(key, 0)

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
