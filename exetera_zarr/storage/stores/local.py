"""A folder as a store, with the system's own ways to be atomic and durable."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import contextmanager, nullcontext, suppress
from typing import IO, TYPE_CHECKING

from exetera_zarr.errors import CorruptDataError, StorageError, is_full
from exetera_zarr.storage import keys, system
from exetera_zarr.storage.concurrency import each
from exetera_zarr.storage.stores.base import Entry, ObjectStore, check_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["LocalStore"]

_LOCKED = f"{keys.MANIFESTS}/newest"


class LocalStore(ObjectStore):
    """A folder, with the system's own ways to be atomic and durable."""

    conditional = True
    cheap_parts = True

    def __init__(self, path: str, *, durable: bool = True) -> None:
        self.url = self.path = os.path.abspath(path)
        self.identity = os.path.realpath(path)
        # Some of them decode or encode while others wait for the disk.
        self.concurrency = max(4, min(16, 2 * (os.cpu_count() or 2)))
        self.durable = durable
        # With a token each, so that what is written again while it is synced stays.
        self._unsynced: dict[str, object] = {}
        self._thinned: set[str] = set()
        self._folders: set[str] = set()
        self._inside: set[str] = set()
        """Folders below this one to which no link leads from outside, as keys."""
        self._made: set[str] = set()
        """Folders that were made here: a place that was moved away gets none that stay."""
        self._anchored: set[str] = set()
        self._above = _existing_above(self.path)

    def _file(self, key: str) -> str:
        """
        The path of an object, which is in the dataset's folder.

        Raises
        ------
        CorruptDataError
            The key, or a link that is there, leads out of it.
        """
        folder, _, name = key.rpartition("/")
        if folder not in self._inside:
            self._check_inside(folder)
        if name in ("", ".", "..") and key:
            raise CorruptDataError(f"{key!r} is no object of {self.url}: it leads somewhere else")
        return f"{self.path}/{key}"

    def _check_inside(self, folder: str) -> None:
        if any(part in ("", ".", "..") for part in folder.split("/")) and folder:
            raise CorruptDataError(f"{folder!r} is no folder of {self.url}: it leads out of it")
        if self._is_plain(folder):
            return
        real = os.path.realpath(f"{self.path}/{folder}")
        if real != self.identity and not real.startswith(self.identity.rstrip(os.sep) + os.sep):
            raise CorruptDataError(
                f"{folder!r} is no folder of {self.url}: it leads out of it, to {real}"
            )
        if os.path.isdir(real):  # what is made later has to be looked at again
            self._inside.add(folder)

    def _is_plain(self, folder: str) -> bool:
        """Whether a folder is there, and neither it nor one above is a link, up to our own."""
        if not folder or folder in self._inside:
            return True
        if not self._is_plain(folder.rpartition("/")[0]) or not _is_folder(f"{self.path}/{folder}"):
            return False
        self._inside.add(folder)
        return True

    def _folder_of(self, path: str) -> str:
        folder = os.path.dirname(path)
        if folder not in self._folders:
            above = folder
            while len(above) >= len(self.path) and not os.path.isdir(above):
                self._made.add(above)
                above = os.path.dirname(above)
            try:
                os.makedirs(folder, exist_ok=True)
            except OSError as error:
                if is_full(error):
                    raise self._full(error) from error
                raise
            self._folders.add(folder)
        return folder

    def _write(self, path: str, data: bytes) -> None:
        """Write a new file: one that exists may be a hard link to a committed chunk."""
        self._folder_of(path)
        try:
            file = open(path, "xb")  # noqa: SIM115
        except FileExistsError:
            os.remove(path)
            file = open(path, "xb")  # noqa: SIM115
        except FileNotFoundError:  # somebody removed a folder that we had seen
            self._folders.clear()
            self._inside.clear()
            self._folder_of(path)
            file = open(path, "xb")  # noqa: SIM115
        except OSError as error:
            if is_full(error):
                raise self._full(error) from error
            raise
        try:
            with file:
                file.write(data)
        except BaseException as error:
            _remove(path)
            if is_full(error):
                raise self._full(error) from error
            raise

    def _full(self, error: BaseException) -> StorageError:
        full = StorageError(
            f"there is no room left on the disk, or in the quota, of {self.url}: {error}. "
            "rollback() gives back what was not committed, and vacuum() what no version needs"
        )
        full.errno = getattr(error, "errno", None)
        return full

    def get(self, key: str) -> bytes:
        with self._opened(key) as file:
            check_size(key, os.fstat(file.fileno()).st_size, self.url)
            return file.read()

    def part(self, key: str, start: int, stop: int) -> bytes:
        with self._opened(key, buffering=0) as file:
            file.seek(start)
            return file.read(stop - start)

    @contextmanager
    def _opened(self, key: str, buffering: int = -1) -> Iterator[IO[bytes]]:
        """A regular file, for reading."""
        path = self._file(key)
        try:
            with open(path, "rb", buffering, opener=self._opener) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise CorruptDataError(f"{path} is no file, but something else of that name")
                yield file
        except NotADirectoryError as error:
            raise FileNotFoundError(path) from error
        except IsADirectoryError as error:
            raise CorruptDataError(f"{path} is a folder, and not a file of that name") from error

    def _opener(self, path: str, flags: int) -> int:
        """Open a file for reading; what is no file must not keep us waiting, or lead out."""
        flags |= getattr(os, "O_NONBLOCK", 0)
        try:
            return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
        real = os.path.realpath(path)
        if not real.startswith(self.identity.rstrip(os.sep) + os.sep):
            raise CorruptDataError(f"{path} is a link that leads out of {self.url}, to {real}")
        return os.open(real, flags)

    def put(self, key: str, data: bytes) -> None:
        path = self._file(key)
        self._write(path, data)
        self._unsynced[path] = object()

    def create(self, key: str, data: bytes) -> bool:
        path = self._file(key)
        temporary = self._temporary(path)
        try:
            self._write(temporary, data)
            self._sync(temporary)
            try:
                system.link_or_move(temporary, path)
            except OSError as error:
                if is_full(error):
                    raise self._full(error) from error
                raise
            created = True
        except FileExistsError:
            created = False
        finally:
            _remove(temporary)
        # Also where it is there already: perhaps by an earlier call that failed in these lines.
        self._anchor(os.path.dirname(path))
        self._sync(os.path.dirname(path))
        return created

    def copy(self, source: str, target: str) -> None:
        path = self._file(target)
        self._folder_of(path)
        _remove(path)
        try:
            self._link(source, path)
        except FileNotFoundError:  # somebody removed a folder that we had seen, or the source
            self._folders.clear()
            self._inside.clear()
            self._folder_of(path)
            self._link(source, path)
        self._unsynced[path] = object()

    def _link(self, source: str, path: str) -> None:
        try:
            os.link(self._file(source), path)
        except OSError as error:
            if is_full(error):
                raise self._full(error) from error
            if error.errno not in system.NO_LINK:
                raise
            self._write(path, self.get(source))

    def first(self, prefix: str) -> str | None:
        try:
            self._check_inside(prefix)
            name = min(os.listdir(self._file(prefix)), default=None)
        except (FileNotFoundError, NotADirectoryError):
            return None
        # Of very many names one is wanted: what the others are does not matter, nor their order.
        if name and not name.startswith(".") and os.path.isfile(self._file(f"{prefix}/{name}")):
            return f"{prefix}/{name}"
        return next(self.list(prefix), None)

    def exists(self, key: str) -> bool:
        self._check_inside(key.rpartition("/")[0])
        return os.path.isfile(self._file(key))

    def list(self, prefix: str) -> Iterator[str]:
        try:
            self._check_inside(prefix)
            with os.scandir(self._file(prefix)) as found:
                names = sorted(entry.name for entry in found if not entry.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return
        yield from (f"{prefix}/{name}" for name in names if not name.startswith((".tmp-", ".lock")))

    def advance(
        self,
        key: str,
        data: bytes,
        wanted: Callable[[bytes | None], bool],
        expected: bytes | None = None,  # noqa: ARG002 - a look costs nothing here
    ) -> bool:
        path = self._file(key)
        temporary = self._temporary(path)
        try:
            self._write(temporary, data)
            self._sync(temporary)
            if not self._replace(temporary, key, wanted):
                return False
        finally:
            _remove(temporary)
        self._sync(os.path.dirname(path))
        return True

    def _replace(self, temporary: str, key: str, wanted: Callable[[bytes | None], bool]) -> bool:
        """Rename over an object if it is wanted; others who reveal are kept out meanwhile."""
        with system.exclusive(self._folder_of(self._file(_LOCKED))) as alone:
            self.swaps = self.swaps and alone
            if not wanted(self._present(key)):
                return False
            system.replace(temporary, self._file(key))
            return True

    def _present(self, key: str) -> bytes | None:
        try:
            return self.get(key)
        except FileNotFoundError:
            return None

    def everything(self, prefix: str) -> Iterator[Entry]:
        self._check_inside(prefix)
        for folder, _, names in os.walk(self._file(prefix)):
            for name in names:
                path = os.path.join(folder, name)
                try:
                    about = os.stat(path)
                except FileNotFoundError:  # removed since it was listed
                    continue
                key = os.path.relpath(path, self.path).replace(os.sep, "/")
                # A hard link has the times of the file that it is another name of; the time of the
                # link itself is the time of the last change of the file's own record.
                yield Entry(key, about.st_size, max(about.st_mtime, about.st_ctime))

    def enclosing(self) -> str | None:
        above = os.path.dirname(self.identity)
        while not os.path.isdir(f"{above}/{keys.MANIFESTS}"):
            if above == os.path.dirname(above):
                return None
            above = os.path.dirname(above)
        return above

    def empty(self) -> bool:
        if not os.path.lexists(self.path):
            return True
        if not os.path.isdir(self.path):
            return False
        if os.listdir(self.path) not in ([], ["__exetera__"]):
            return False
        # Whoever was killed while he wrote the first manifest leaves a half of it, and no more.
        return all(keys.is_passing(entry.key) for entry in self.everything(""))

    def delete(self, key: str) -> None:
        path = self._file(key)
        self._unsynced.pop(path, None)
        _remove(path)
        self._thinned.add(os.path.dirname(path))

    def forget(self) -> None:
        self._unsynced.clear()
        for folder in sorted(self._made, key=len, reverse=True):
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                pass
            except OSError:  # something is in it
                continue
            self._made.discard(folder)
            self._folders.discard(folder)

    def sync(self) -> None:
        thinned, self._thinned = self._thinned, set()
        left = {self._tidied(folder) for folder in thinned}
        if not self.durable:
            return
        folders: set[str] = set()
        unsynced = dict(self._unsynced)
        each(self._sync, list(unsynced), self.concurrency)
        for path in unsynced:
            folder = os.path.dirname(path)
            while len(folder) >= len(self.path) and folder not in folders:
                folders.add(folder)
                folder = os.path.dirname(folder)
        each(self._sync, sorted(folders), self.concurrency)
        for folder in left - folders:
            with suppress(FileNotFoundError):  # another sweep may have removed it as well
                self._sync(folder)
        # Only now: what could not be synced has to be tried again.
        for path, token in unsynced.items():
            if self._unsynced.get(path) is token:
                del self._unsynced[path]

    def _tidied(self, folder: str) -> str:
        """Remove the empty folders of an array that was removed; the nearest one that stays."""
        while _goes_when_empty(folder[len(self.path) + 1 :].replace(os.sep, "/")):
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                pass
            except OSError:  # something is in it
                break
            folder = os.path.dirname(folder)
        return folder

    def _anchor(self, folder: str) -> None:
        """Have the names that lead to a folder survive, also those of the dataset's own folder."""
        if not self.durable or folder in self._anchored:
            return
        above = os.path.dirname(folder)
        while len(above) >= len(self._above):
            # Of what is above the dataset we may not even be allowed to read the names.
            with suppress(PermissionError) if len(above) < len(self.path) else nullcontext():
                self._sync(above)
            if above == os.path.dirname(above):
                break
            above = os.path.dirname(above)
        self._anchored.add(folder)

    def _sync(self, path: str) -> None:
        if not self.durable:
            return
        system.sync(path)

    @staticmethod
    def _temporary(path: str) -> str:
        folder, name = os.path.split(path)
        return f"{folder}/.tmp-{name[:80]}-{secrets.token_hex(8)}"


def _goes_when_empty(folder: str) -> bool:
    return keys.is_array_folder(folder) or keys.is_staged_folder(folder)


def _is_folder(path: str) -> bool:
    """Whether a path is a folder, and not a link to one, or what Windows has as such."""
    try:
        about = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(about.st_mode) and not getattr(about, "st_reparse_tag", 0)


def _existing_above(path: str) -> str:
    """The nearest folder above a path that exists already."""
    above = os.path.dirname(path)
    while not os.path.isdir(above) and above != os.path.dirname(above):
        above = os.path.dirname(above)
    return above


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.remove(path)
