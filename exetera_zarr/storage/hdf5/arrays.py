"""Arrays of a draft: short ones in memory until they are committed, long ones in the file.

What is overwritten in the file is kept until the next commit, so that it can be put back.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from exetera_zarr.storage.base import empty
from exetera_zarr.storage.hdf5.stored import CHUNK, Stored
from exetera_zarr.storage.memory import MemoryArray

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.storage.hdf5.handle import FileHandle

__all__ = ["DraftArray", "Mark", "OldValues"]

_SHORT = 1 << 18
"""Bytes from which on an array is in the file: many small appends are gathered in memory, and the
chunk of a short column need not be as large as that of a long one."""
_STEP = 1 << 23
"""Bytes that are copied at a time."""


class DraftArray:
    """
    An array as it will be committed.

    Parameters
    ----------
    file
        The file that it is going to be in.
    where
        Its names, for messages.
    dtype
        Of the elements.
    stored
        The dataset it is in, if it is.
    """

    def __init__(
        self, file: FileHandle, where: str, dtype: np.dtype[Any], stored: Stored | None = None
    ) -> None:
        self._file = file
        self._where = where
        self.dtype = dtype
        self.data: Stored | MemoryArray = MemoryArray(dtype) if stored is None else stored
        self.length = 0 if stored is None else stored.extent

    @property
    def block(self) -> int:
        """Elements that are best read at a time."""
        return max(CHUNK, self.data.chunk) if isinstance(self.data, Stored) else CHUNK

    def at_once(self, elements: int) -> int:  # noqa: ARG002 - here, always the same
        """One, since h5py does one thing at a time."""
        return 1

    @property
    def committed(self) -> bool:
        """Whether its dataset is in a group of the file."""
        return isinstance(self.data, Stored) and self.data.linked

    @property
    def content(self) -> tuple[()]:
        """Nothing is known by a name that does not change."""
        return ()

    def extremes(self, start: int, stop: int) -> None:
        """Nothing is known of values that are not read."""

    def read(self, start: int, stop: int, out: AnyArray | None = None) -> AnyArray:
        """As of `storage.base.Array`."""
        data = self.data
        if isinstance(data, MemoryArray):
            return data.read(start, stop, out)
        if (stop - start) * self.dtype.itemsize > _SHORT:
            data.require()  # before there is room for what a file may claim to have
        out = empty(stop - start, self.dtype) if out is None else out
        if stop > start:
            data.read(start, out)
        return out

    def append(self, values: AnyArray, *, given: bool = False) -> None:  # noqa: ARG002 - written
        """As of `storage.base.Array`."""
        self._file.changing(self)
        if isinstance(self.data, MemoryArray):
            if (self.length + len(values)) * self.dtype.itemsize <= _SHORT:
                self.data.append(values)
                self.length += len(values)
                return
            self.to_file(len(values))
        elif not self.data.growing:
            self._move(len(values))
        self._put(self.length, values)
        self.length += len(values)

    def write(self, start: int, values: AnyArray) -> None:
        """As of `storage.base.Array`; what is overwritten is kept for who may want it back."""
        self._file.overwriting(self, start, len(values))
        if isinstance(self.data, MemoryArray):
            self.data.write(start, values)
        else:
            self._put(start, values)

    def _put(self, start: int, values: AnyArray) -> None:
        assert isinstance(self.data, Stored)
        self.data.write(start, values)

    def to_file(self, more: int = 0) -> Stored:
        """
        The dataset that it is in, made if there is none yet.

        Parameters
        ----------
        more
            Elements that are going to be appended.
        """
        if isinstance(self.data, MemoryArray):
            self._move(more)
        assert isinstance(self.data, Stored)
        return self.data

    def _move(self, more: int) -> None:
        """Be in a new dataset."""
        self._file.changing(self)
        before = self.data
        made = Stored.create(self._file, self._where, self.dtype, self.length + more)
        step = max(1, _STEP // self.dtype.itemsize)
        for start in range(0, self.length, step):
            made.write(start, self.read(start, min(start + step, self.length), None))
        assert before is self.data
        self.data = made

    def saved(self) -> Callable[[], None]:
        """As of `storage.undo.Changeable`; what was overwritten since is put back by others."""
        return partial(self._restore, self.data, self.length)

    def _restore(self, data: Stored | MemoryArray, length: int) -> None:
        self.data, self.length = data, length
        if isinstance(self.data, Stored) and self.data.linked:
            self.data.shorten(self.length)  # or else who opens the file next has more
        if isinstance(self.data, MemoryArray) and len(self.data) > self.length:
            whole, self.data = self.data, MemoryArray(self.dtype)
            self.data.append(whole.read(0, self.length))

    def emptied(self) -> DraftArray:
        """One of the same type and place without elements."""
        return DraftArray(self._file, self._where, self.dtype)


_IN_MEMORY = 1 << 24
_PAGE = 1 << 13


class _Page(NamedTuple):
    """Elements that were overwritten: of what, from where on, and where they are now."""

    data: Stored | MemoryArray
    start: int
    kept: MemoryArray
    at: int
    length: int


class Mark(NamedTuple):
    """A moment to return to."""

    pages: int
    seen: set[tuple[int, int]]


class OldValues:
    """
    Old values by pages, each once since the latest mark: many small writes cost no more than one.

    Parameters
    ----------
    folder
        Where they go when they are many.
    """

    def __init__(self, folder: str | None) -> None:
        self._folder = folder
        self._pages: list[_Page] = []
        self._seen: set[tuple[int, int]] = set()
        self._kept: dict[np.dtype[Any], MemoryArray] = {}

    def keep(self, array: DraftArray, start: int, count: int) -> None:
        """Put aside the pages of an array that are going to be written to."""
        for page in range(start // _PAGE, (start + count - 1) // _PAGE + 1):
            if (id(array.data), page) not in self._seen:
                self._put_aside(array, page * _PAGE)
                self._seen.add((id(array.data), page))

    def _put_aside(self, array: DraftArray, start: int) -> None:
        kept = self._kept.get(array.dtype)
        if kept is None:
            kept = MemoryArray(array.dtype, room=_IN_MEMORY, folder=self._folder)
            self._kept[array.dtype] = kept
        page = array.read(start, min(start + _PAGE, array.length))
        self._pages.append(_Page(array.data, start, kept, len(kept), len(page)))
        kept.append(page)

    def mark(self) -> Mark:
        """The present moment."""
        mark = Mark(len(self._pages), self._seen)
        self._seen = set()
        return mark

    def forget(self, mark: Mark) -> None:
        """Note that nobody returns to a mark, but perhaps to one before."""
        mark.seen.update(self._seen)
        self._seen = mark.seen

    def put_back(self, mark: Mark | None = None) -> None:
        """Have the arrays as they were at a mark, or else at the last commit."""
        pages = 0 if mark is None else mark.pages
        while len(self._pages) > pages:
            last = self._pages[-1]
            last.data.write(last.start, last.kept.read(last.at, last.at + last.length))
            self._pages.pop()
        self._seen = set() if mark is None else mark.seen

    def clear(self) -> None:
        """Forget all: they are as they are committed."""
        self._pages.clear()
        self._seen = set()
        self._kept.clear()
