"""An open HDF5 file, and what of it is open."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from exetera_zarr.errors import ArgumentError
from exetera_zarr.storage.hdf5.library import library, using
from exetera_zarr.storage.hdf5.room import Room

if TYPE_CHECKING:
    from collections.abc import Callable

    from exetera_zarr.storage.hdf5.arrays import DraftArray

__all__ = ["FileHandle", "Reference"]

_KEPT = 64


class Reference(NamedTuple):
    """An object of a file, whatever its names are."""

    address: tuple[int, int]
    """The file, since links may lead into others, and where it is in that."""
    reference: Any


class FileHandle:
    """
    An open ``h5py.File``, which can be closed and opened again without anybody noticing.

    Parameters
    ----------
    file
        It.
    url
        For messages.
    """

    def __init__(self, file: Any, url: str) -> None:
        self._file: Any = file
        self.url = url
        self.overwriting: Callable[[DraftArray, int, int], None] = _nothing
        """Called with the array, the start and the number of elements that are overwritten."""
        self.changing: Callable[[DraftArray], None] = _nothing_of
        """Called with an array that is going to be longer, or in another place."""
        self._open: OrderedDict[tuple[int, int], Any] = OrderedDict()
        self._held: dict[tuple[int, int], Any] = {}
        self._room: Room | None = None

    @property
    def file(self) -> Any:
        """The ``h5py.File``; ValueError once closed."""
        if self._file is None:
            raise ArgumentError(f"the dataset {self.url} is closed")
        return self._file

    @property
    def root(self) -> Any:
        """The low-level root group."""
        return self.file["/"].id

    @staticmethod
    def reference(thing: Any) -> Reference:
        """What finds an open low-level object again; call inside of `library.using`."""
        h5py = library()
        about = h5py.h5o.get_info(thing)
        return Reference((about.fileno, about.addr), h5py.h5r.create(thing, b".", h5py.h5r.OBJECT))

    def at(self, wanted: Reference) -> Any:
        """The low-level object that is meant; call inside of `library.using`."""
        found = self._held.get(wanted.address)
        if found is not None:
            return found
        found = self._open.pop(wanted.address, None)
        if found is None:
            found = library().h5r.dereference(wanted.reference, self.root)
        self._open[wanted.address] = found  # which keeps another from getting its address
        while len(self._open) > _KEPT:
            self._open.popitem(last=False)
        return found

    def hold(self, thing: Any) -> Reference:
        """Keep a low-level object, also in no group, until `let_go`; call inside of `using`."""
        reference = self.reference(thing)
        self._held[reference.address] = thing
        return reference

    def release(self, held: Reference) -> None:
        """Keep an object no longer, since a group has it now; call inside of `using`."""
        self._held.pop(held.address, None)

    def let_go(self) -> None:
        """Keep no object any more; call inside of `using`."""
        self._held.clear()

    @property
    def open(self) -> bool:
        """Whether it is."""
        return self._file is not None

    def exchange(self, reopen: Callable[[], Any]) -> None:
        """Close the file, and go on with another that has the same objects where it had them."""
        with using(self.url):
            self.close()
            self._file = reopen()

    def reserve(self, count: int) -> None:
        """Reserve this many more bytes of the disk; StorageError where there is no room."""
        with using(self.url):
            if self._room is None:
                self._room = Room(self.file)
            self._room.reserve(count)

    def flush(self) -> None:
        """Have the system know all that was written."""
        with using(self.url):
            self.file.flush()
            self._trim()

    def _trim(self) -> None:
        if self._room is not None:
            self._room.trim()

    def close(self) -> None:
        """Close what is open of it, and the file."""
        with using(self.url):
            self._open.clear()
            self.let_go()
            if self._file is not None:
                if self._room is not None and self._file:
                    self._file.flush()
                    self._trim()
                self._room = None
                self._file.close()
                self._file = None


def _nothing_of(array: DraftArray) -> None:
    """Keep nothing of what an array was."""


def _nothing(array: DraftArray, start: int, count: int) -> None:
    """Keep nothing of what is overwritten."""
