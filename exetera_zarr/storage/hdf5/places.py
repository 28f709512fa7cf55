"""Where an HDF5 file is: a path, a file object, or a URL to read from."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from abc import ABC, abstractmethod
from typing import IO, TYPE_CHECKING, Any

from exetera_zarr.errors import ConflictError, DatasetNotFoundError, UnsupportedError
from exetera_zarr.storage import system
from exetera_zarr.storage.hdf5.library import SIGNATURE, opened, using
from exetera_zarr.storage.remote.files import open_at_random
from exetera_zarr.storage.remote.places import NoPartsError, remote_file
from exetera_zarr.storage.remote.requests import BeyondEndError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["FilePlace", "ObjectPlace", "Place", "RemotePlace", "holds_hdf5"]


def holds_hdf5(file: IO[bytes]) -> bool:
    """
    Whether a file begins as one of HDF5 does, perhaps after a block of something else's.

    Parameters
    ----------
    file
        Open for reading; where it stands is kept.
    """
    before = file.tell()
    try:
        size = file.seek(0, os.SEEK_END)
        start = 0
        while start < size:
            file.seek(start)
            if file.read(len(SIGNATURE)) == SIGNATURE:
                return True
            start = max(512, start * 2)
        return False
    finally:
        file.seek(before)


class Place(ABC):
    """Where an HDF5 file is, or will be."""

    url: str
    """As it may be shown."""
    identity: str
    """The same for the same file."""
    writable = True
    local = False
    """Whether it is a file of its own on a disk of this machine."""

    @abstractmethod
    def state(self) -> object:
        """What changes when another file takes the place; None where there is none."""

    @abstractmethod
    def open(self, mode: str) -> Any:
        """The ``h5py.File`` that is there, with mode ``r`` or ``r+``."""

    @abstractmethod
    def create(self) -> Any:
        """A new ``h5py.File``, not yet in its place if that can be."""

    @abstractmethod
    def look(self) -> contextlib.AbstractContextManager[Any]:
        """
        What is written, as a ``h5py.File`` that shares nothing with the one that writes.

        HDF5 gives the same file back where one is opened again in the same way, so it is read by
        way of a Python file instead.
        """

    def put_in_place(self, file: Any, *, durable: bool, replace: bool) -> None:  # noqa: B027
        """
        Have what was written in its place, also a file that `create` made.

        Where the system gives no other name to a file that is open, `move` has to do the latter.
        """

    def move(self, *, durable: bool, replace: bool) -> None:  # noqa: B027
        """Have the file that `create` made in its place, once it is closed."""

    def discard(self) -> None:  # noqa: B027
        """Remove the file that `create` made, after it was closed."""


class FilePlace(Place):
    """
    A local path.

    Parameters
    ----------
    path
        It.
    """

    local = True

    def __init__(self, path: str) -> None:
        self.url = path
        self.path = os.path.realpath(path)
        self.identity = f"hdf5:{self.path}"
        self._made: str | None = None
        self._promised = False  # that it stays, by an error

    def state(self) -> object:
        try:
            about = os.stat(self.path)
        except FileNotFoundError:
            return None
        return about.st_dev, about.st_ino

    def open(self, mode: str) -> Any:
        return opened(self._made or self.path, mode, self.url)

    def create(self) -> Any:
        folder, name = os.path.split(self.path)
        if not os.path.isdir(folder):
            raise DatasetNotFoundError(f"there is no folder {os.path.dirname(self.url) or '.'}")
        self._made = os.path.join(folder, f".{name}.{secrets.token_hex(6)}.unfinished")
        try:
            return opened(self._made, "x", self.url)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                self.discard()
            raise

    @contextlib.contextmanager
    def look(self) -> Iterator[Any]:
        # Without a buffer, which would read far more than the few bytes that are asked for.
        with open(self._made or self.path, "rb", buffering=0) as file, _look(file, self.url) as it:
            yield it

    def put_in_place(self, file: Any, *, durable: bool, replace: bool) -> None:
        if durable:
            system.sync_open(file.id.get_vfd_handle())
        if self._made is not None and system.MOVES_OPEN_FILES:
            self.move(durable=durable, replace=replace)

    def move(self, *, durable: bool, replace: bool) -> None:
        if self._made is None:
            return
        with contextlib.suppress(FileNotFoundError):
            shutil.copymode(self.path, self._made)
        if replace:
            system.replace(self._made, self.path)
        else:
            self._put_anew(self._made)
        self._made = None
        if durable:
            system.sync(os.path.dirname(self.path))

    def _put_anew(self, made: str) -> None:
        """Move a file to where no other is."""
        try:
            system.link_or_move(made, self.path)
        except FileExistsError as error:
            self._promised = True
            raise ConflictError(
                f"another process has made {self.url} meanwhile; what was written is in {made}"
            ) from error
        except (OSError, UnsupportedError):  # a disk without links, and without such a rename
            os.rename(made, self.path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(made)

    def discard(self) -> None:
        made, self._made = self._made, None
        if made is not None and not self._promised:
            os.unlink(made)


class ObjectPlace(Place):
    """
    A file object, such as a ``BytesIO``; it is written where it is.

    Parameters
    ----------
    file
        Binary, with ``seek``.
    """

    def __init__(self, file: Any) -> None:
        self.file = file
        self.url = f"a {type(file).__name__}"
        self.identity = f"hdf5:{id(file)}"
        writes = getattr(file, "writable", None)
        self.writable = bool(writes()) if callable(writes) else True

    def state(self) -> object:
        before = self.file.tell()
        size = self.file.seek(0, os.SEEK_END)
        self.file.seek(before)
        return id(self.file) if size else None

    def open(self, mode: str) -> Any:
        return opened(self.file, mode, self.url)

    def create(self) -> Any:
        self.file.seek(0)
        self.file.truncate()
        return opened(self.file, "w", self.url)

    def look(self) -> contextlib.AbstractContextManager[Any]:
        return _look(self.file, self.url)


class RemotePlace(Place):
    """
    A URL, which can only be read: blocks of the file are kept as they are asked for.

    Parameters
    ----------
    url
        Any that fsspec knows.
    options
        Of its file system, and of ours.
    """

    writable = False

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self._given, self._options = url, options
        self._remote = remote_file(url, options)
        self.url = self._remote.url
        self.identity = f"hdf5:{self._remote.identity}"

    def file(self) -> IO[bytes]:
        """The file, open for reading."""
        try:
            return open_at_random(self._given, self._options)
        except DatasetNotFoundError:
            raise
        except FileNotFoundError as error:
            raise DatasetNotFoundError(f"there is no dataset at {self.url}") from error

    def state(self) -> object:
        try:
            part = self._remote.part(0, 1)
        except FileNotFoundError:
            return None
        except (BeyondEndError, NoPartsError):  # as much as some servers say
            return self.identity
        finally:
            self._remote.close()
        return self.identity, part.size, part.tag

    def open(self, mode: str) -> Any:
        if mode != "r":
            self.create()
        return opened(self.file(), "r", self.url)

    def create(self) -> Any:
        raise UnsupportedError(
            f"an HDF5 file can be written only on a local disk, not at {self.url}; a URL that "
            "ends in .zarr makes a Zarr dataset"
        )

    def look(self) -> contextlib.AbstractContextManager[Any]:
        return _look(self.file(), self.url)


@contextlib.contextmanager
def _look(file: Any, url: str) -> Iterator[Any]:
    """A file as h5py opens it for reading, whatever else it has open of it."""
    handle = opened(_Look(file), "r", url)
    try:
        yield handle
    finally:
        with using(url):
            handle.close()


class _Look:
    """
    A binary file for h5py to read from, which is another one to it than the file itself.

    Parameters
    ----------
    file
        Open for reading.
    """

    def __init__(self, file: Any) -> None:
        self.read, self.readinto = file.read, file.readinto
        self.seek, self.tell = file.seek, file.tell
