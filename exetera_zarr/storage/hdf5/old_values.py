"""What was overwritten in a file since the last commit, so that it can be put back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from exetera_zarr.storage.memory import MemoryArray

if TYPE_CHECKING:
    import numpy as np

    from exetera_zarr.storage.hdf5.arrays import DraftArray
    from exetera_zarr.storage.hdf5.stored import Stored

__all__ = ["Mark", "OldValues"]

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
