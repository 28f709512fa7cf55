"""Objects of one dataset: a flat, blocking store of bytes by key, over fsspec.

Every store offers the same few calls, so that a decorator (counting, failing, slow) is short. Many
requests at a time are the business of `transfer`, which calls these from threads: fsspec's
asynchronous file systems then share the event loop that fsspec itself runs.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import secrets
import shutil
import threading
from abc import ABC, abstractmethod
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import fsspec
from fsspec.asyn import sync
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from exetera_zarr.errors import DataError, StorageError, UnsupportedError
from exetera_zarr.storage.zarr.transfer import each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["Entry", "FsspecStore", "LocalStore", "ObjectStore", "open_store", "wrapped_stores"]


_BUCKETS = frozenset(["s3", "s3a", "gs", "gcs", "az", "abfs"])
_LOCKED = "__exetera__/commits/newest"


@dataclass(frozen=True)
class Entry:
    """One object of a listing: its key, its bytes, and when it was written by the store's clock."""

    key: str
    size: int
    modified: float


class ObjectStore(ABC):
    """Objects below one prefix; keys are relative, with ``/`` between segments."""

    url: str
    """The place, without secrets, for messages."""
    identity: str
    """The same for all stores of one place, however that was spelled; for this process alone."""
    concurrency: int
    """How many requests at a time are worth while."""
    conditional: bool
    """Whether `create` is known to be atomic here."""
    durable: bool = True
    """Whether `settle` waits for the disk; a store elsewhere is durable once it has answered."""

    @abstractmethod
    def get(self, key: str) -> bytes:
        """The whole object; FileNotFoundError where there is none."""

    @abstractmethod
    def put(self, key: str, data: bytes) -> None:
        """Write an object that nobody looks at yet."""

    @abstractmethod
    def replace(self, key: str, data: bytes) -> None:
        """Write an object that others may be reading: they get all of the old or all of the new."""

    @abstractmethod
    def create(self, key: str, data: bytes) -> bool:
        """Write an object unless it exists, atomically; whether it was written."""

    @abstractmethod
    def copy(self, source: str, target: str) -> None:
        """Copy within the store, without moving bytes through this process."""

    @abstractmethod
    def first(self, prefix: str) -> str | None:
        """The first key, in byte order, directly below the folder `prefix`."""

    @abstractmethod
    def list(self, prefix: str) -> Iterator[str]:
        """All keys directly below the folder `prefix`, in byte order."""

    @abstractmethod
    def advance(self, key: str, data: bytes, wanted: Callable[[bytes | None], bool]) -> bool:
        """
        Replace an object if what is there now (None for nothing) is `wanted` to be replaced.

        Nobody else can replace it between the look and the change, where the store has a way to
        keep them out; whether it was replaced is returned.
        """

    @abstractmethod
    def everything(self, prefix: str) -> Iterator[Entry]:
        """Every object below the folder `prefix`, at any depth, in any order."""

    @abstractmethod
    def empty(self) -> bool:
        """Whether there is nothing at all at the place."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove an object; none there is no error."""

    def settle(self) -> None:  # noqa: B027 - object stores are durable once they have answered
        """Return when everything written so far would survive a loss of power."""


class LocalStore(ObjectStore):
    """A folder, with POSIX's own ways to be atomic and durable."""

    conditional = True

    def __init__(self, path: str, *, durable: bool = True) -> None:
        self.url = self.path = os.path.abspath(path)
        self.identity = os.path.realpath(path)
        # Some of them decode or encode while others wait for the disk.
        self.concurrency = max(4, min(16, 2 * (os.cpu_count() or 2)))
        self.durable = durable
        # With a token each, so that what is written again while it is settled stays.
        self._unsettled: dict[str, object] = {}
        self._thinned: set[str] = set()
        self._folders: set[str] = set()
        self._anchored: set[str] = set()
        self._above = _existing_above(self.path)

    def _file(self, key: str) -> str:
        return f"{self.path}/{key}"

    def _folder_of(self, path: str) -> str:
        folder = os.path.dirname(path)
        if folder not in self._folders:
            os.makedirs(folder, exist_ok=True)
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
            self._folder_of(path)
            file = open(path, "xb")  # noqa: SIM115
        with file:
            file.write(data)

    def get(self, key: str) -> bytes:
        try:
            with open(self._file(key), "rb") as file:
                return file.read()
        except NotADirectoryError as error:
            raise FileNotFoundError(self._file(key)) from error

    def put(self, key: str, data: bytes) -> None:
        path = self._file(key)
        self._write(path, data)
        self._unsettled[path] = object()

    def replace(self, key: str, data: bytes) -> None:
        path = self._file(key)
        temporary = self._temporary(path)
        try:
            self._write(temporary, data)
            self._sync(temporary)
            os.replace(temporary, path)
        except BaseException:
            _remove(temporary)
            raise
        self._sync(os.path.dirname(path))

    def create(self, key: str, data: bytes) -> bool:
        path = self._file(key)
        temporary = self._temporary(path)
        try:
            self._write(temporary, data)
            self._sync(temporary)
            _link_or_move(temporary, path)
        except FileExistsError:
            return False
        finally:
            _remove(temporary)
        self._anchor(os.path.dirname(path))
        self._sync(os.path.dirname(path))
        return True

    def copy(self, source: str, target: str) -> None:
        path = self._file(target)
        self._folder_of(path)
        _remove(path)
        try:
            os.link(self._file(source), path)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            shutil.copyfile(self._file(source), path)
        self._unsettled[path] = object()

    def first(self, prefix: str) -> str | None:
        return next(self.list(prefix), None)

    def list(self, prefix: str) -> Iterator[str]:
        try:
            names = sorted(os.listdir(self._file(prefix)))
        except (FileNotFoundError, NotADirectoryError):
            return
        yield from (f"{prefix}/{name}" for name in names if not name.startswith(".tmp-"))

    def advance(self, key: str, data: bytes, wanted: Callable[[bytes | None], bool]) -> bool:
        # The lock is on a folder that is there anyway, and ends with the process that holds it.
        folder = os.open(self._folder_of(self._file(_LOCKED)), os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            try:
                present: bytes | None = self.get(key)
            except FileNotFoundError:
                present = None
            if not wanted(present):
                return False
            self.replace(key, data)
            return True
        finally:
            os.close(folder)

    def everything(self, prefix: str) -> Iterator[Entry]:
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

    def empty(self) -> bool:
        if not os.path.lexists(self.path):
            return True
        return os.path.isdir(self.path) and not os.listdir(self.path)

    def delete(self, key: str) -> None:
        path = self._file(key)
        self._unsettled.pop(path, None)
        _remove(path)
        self._thinned.add(os.path.dirname(path))

    def settle(self) -> None:
        if not self.durable:
            return
        unsettled = dict(self._unsettled)
        each(self._sync, list(unsettled), self.concurrency)
        thinned, self._thinned = self._thinned, set()
        folders = {folder for folder in thinned if os.path.isdir(folder)}
        for path in unsettled:
            folder = os.path.dirname(path)
            while len(folder) >= len(self.path) and folder not in folders:
                folders.add(folder)
                folder = os.path.dirname(folder)
        each(self._sync, sorted(folders), self.concurrency)
        # Only now: what could not be synced has to be tried again.
        for path, token in unsettled.items():
            if self._unsettled.get(path) is token:
                del self._unsettled[path]

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
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @staticmethod
    def _temporary(path: str) -> str:
        folder, name = os.path.split(path)
        return f"{folder}/.tmp-{name[:80]}-{secrets.token_hex(8)}"


def _existing_above(path: str) -> str:
    """The nearest folder above a path that exists already."""
    above = os.path.dirname(path)
    while not os.path.isdir(above) and above != os.path.dirname(above):
        above = os.path.dirname(above)
    return above


# No links on this file system, not across these folders, or 65,000 of them to one file already.
_NO_LINK = frozenset(
    [errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EMLINK]
)
_NO_REPLACE = 1  # RENAME_NOREPLACE of Linux's renameat2(2)


def _link_or_move(temporary: str, path: str) -> None:
    """Give a file another name unless that exists; FileExistsError then."""
    try:
        # link() fails where the name exists, on every POSIX system; a rename would replace it.
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        _move_without_replacing(temporary, path)


def _move_without_replacing(temporary: str, path: str) -> None:
    """Rename a file unless the new name exists: what Linux offers where there are no links."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError as error:
        raise UnsupportedError(
            f"{path}: this file system has no hard links, and this system no renameat2, so two "
            "writers could overwrite each other"
        ) from error
    here = ctypes.c_int(-100)  # AT_FDCWD
    if renameat2(here, os.fsencode(temporary), here, os.fsencode(path), _NO_REPLACE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.remove(path)


class FsspecStore(ObjectStore):
    """
    A place that an fsspec file system reaches: a bucket, or memory.

    Parameters
    ----------
    url
        With its protocol.
    options
        Passed to the file system; never shown.
    single_writer
        The caller promises to be the only writer where create-if-absent is not known to be atomic.
    """

    _memory_lock = threading.Lock()

    def __init__(
        self, url: str, options: Mapping[str, Any], *, single_writer: bool = False
    ) -> None:
        # A listing that is remembered hides the commits of others.
        self._given, self._options = url, {"use_listings_cache": False, **options}
        self._filesystem, self.root = fsspec.url_to_fs(url, **self._options)
        self._pid = os.getpid()
        protocols = self._fs.protocol
        self.protocol = protocols if isinstance(protocols, str) else protocols[0]
        self.url = without_secrets(
            self.root if "://" in self.root else f"{self.protocol}://{self.root.lstrip('/')}"
        )
        self._memory = isinstance(self._filesystem, MemoryFileSystem)
        self._s3 = "s3" in ([protocols] if isinstance(protocols, str) else protocols)
        endpoint = options.get("endpoint_url") or options.get("client_kwargs", {}).get(
            "endpoint_url"
        )
        self.identity = f"{self.url} at {endpoint}"
        self.concurrency = 4 if self._memory else 32
        self.conditional = self._memory or self._s3
        self._single_writer = single_writer

    @property
    def _fs(self) -> Any:
        """The file system; another one in a forked process, where event loops do not go on."""
        if self._pid != os.getpid() and not isinstance(self._filesystem, MemoryFileSystem):
            options = {**self._options, "skip_instance_cache": True}
            self._filesystem, _ = fsspec.url_to_fs(self._given, **options)
            self._pid = os.getpid()
        return self._filesystem

    def _path(self, key: str) -> str:
        return f"{self.root}/{key}"

    def get(self, key: str) -> bytes:
        # s3fs asks for the size (HEAD) before it reads a whole object, unless it may use only one
        # request at a time (s3fs 2026.3 and later).
        options = {"max_concurrency": 1} if self._s3 else {}
        with self._named("read", key):
            return bytes(self._fs.cat_file(self._path(key), **options))

    def put(self, key: str, data: bytes) -> None:
        with self._named("write", key):
            self._fs.pipe_file(self._path(key), data)

    def replace(self, key: str, data: bytes) -> None:
        self.put(key, data)

    def create(self, key: str, data: bytes) -> bool:
        if self._memory:
            with self._memory_lock:
                if self._fs.exists(self._path(key)):
                    return False
                self.put(key, data)
                return True
        if not self.conditional:
            return self._create_alone(key, data)
        try:
            self._fs.pipe_file(self._path(key), data, mode="create")
        except FileExistsError:
            return False
        except OSError as error:
            # SeaweedFS answers 412 with a text that s3fs does not know; 409 may come in a race.
            if _is_conflict(error):
                return False
            raise self._failure("create", key, error) from error
        return True

    def _create_alone(self, key: str, data: bytes) -> bool:
        if not self._single_writer:
            raise UnsupportedError(
                f"{self.url}: {self.protocol!r} is not known to create an object only if it is "
                "absent, so two writers could overwrite each other; open with mode 'r', or with "
                "single_writer=True when no other process writes"
            )
        if self._fs.exists(self._path(key)):
            return False
        self.put(key, data)
        return True

    def copy(self, source: str, target: str) -> None:
        with self._named("copy", source):
            if self._s3:
                bucket, from_key, _ = self._fs.split_path(self._path(source))
                _, to_key, _ = self._fs.split_path(self._path(target))
                # cp_file would ask for the size (HEAD) first; our objects are far below 5 GB.
                self._fs.call_s3(
                    "copy_object",
                    Bucket=bucket,
                    Key=to_key,
                    CopySource={"Bucket": bucket, "Key": from_key},
                )
            else:
                self._fs.cp_file(self._path(source), self._path(target))

    def first(self, prefix: str) -> str | None:
        if not self._s3:
            return next(self.list(prefix), None)
        with self._named("list", prefix):
            bucket, key, _ = self._fs.split_path(self._path(prefix))
            reply = self._fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=f"{key}/", MaxKeys=1)
        found = reply.get("Contents", ())
        return f"{prefix}/{found[0]['Key'][len(key) + 1 :]}" if found else None

    def list(self, prefix: str) -> Iterator[str]:
        with self._named("list", prefix):
            try:
                paths = self._fs.ls(self._path(prefix), detail=False)
            except FileNotFoundError:
                return
        for path in sorted(paths):
            yield f"{prefix}/{path.rsplit('/', 1)[1]}"

    def advance(self, key: str, data: bytes, wanted: Callable[[bytes | None], bool]) -> bool:
        if self._memory:
            with self._memory_lock:
                present = self._present(key)
                if wanted(present):
                    self.put(key, data)
                return wanted(present)
        if self._s3:
            return self._advance_s3(key, data, wanted)
        if not wanted(self._present(key)):
            return False
        self.replace(key, data)
        return True

    def _present(self, key: str) -> bytes | None:
        try:
            return self.get(key)
        except FileNotFoundError:
            return None

    def _advance_s3(self, key: str, data: bytes, wanted: Callable[[bytes | None], bool]) -> bool:
        """Compare and swap, by the ETag of what was read."""
        bucket, name, _ = self._fs.split_path(self._path(key))
        while True:
            present, condition = None, {"IfNoneMatch": "*"}
            with suppress(FileNotFoundError), self._named("read", key):
                reply = self._fs.call_s3("get_object", Bucket=bucket, Key=name)
                present = sync(self._fs.loop, reply["Body"].read)
                condition = {"IfMatch": reply["ETag"]}
            if not wanted(present):
                return False
            try:
                self._fs.call_s3("put_object", Bucket=bucket, Key=name, Body=data, **condition)
            except OSError as error:
                if not _is_conflict(error):
                    raise self._failure("write", key, error) from error
            else:
                return True

    def everything(self, prefix: str) -> Iterator[Entry]:
        with self._named("list", prefix):
            found = self._fs.find(self._path(prefix), detail=True)
        cut = len(self.root) + 1
        for path, about in found.items():
            modified = about.get("LastModified") or about.get("created") or about.get("mtime")
            moment = (
                modified.timestamp() if hasattr(modified, "timestamp") else float(modified or 0)
            )
            yield Entry(path[cut:], int(about["size"]), moment)

    def empty(self) -> bool:
        if self._s3:
            return self._empty_bucket_prefix()
        with self._named("list", ""):
            try:
                if self._fs.isfile(self.root):
                    return False
                return not self._fs.ls(self.root, detail=False)
            except FileNotFoundError:
                return True

    def _empty_bucket_prefix(self) -> bool:
        with self._named("list", ""):
            bucket, key, _ = self._fs.split_path(self.root)
            prefix = f"{key}/" if key else ""
            reply = self._fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=1)
        return not reply.get("Contents")

    def delete(self, key: str) -> None:
        with self._named("delete", key), suppress(FileNotFoundError):
            self._fs.rm_file(self._path(key))

    @contextmanager
    def _named(self, verb: str, key: str) -> Iterator[None]:
        """Errors that name the place; a missing object and a refusal keep their own type."""
        try:
            yield
        except (FileNotFoundError, PermissionError):
            raise
        except Exception as error:
            # Network clients have errors of their own, of many kinds that are no OSError.
            raise self._failure(verb, key, error) from error

    def _failure(self, verb: str, key: str, error: Exception) -> StorageError:
        said = str(error).replace(self.root, self.url).replace(self._given, self.url)
        return StorageError(f"could not {verb} {self.url}/{key}: {said}")


def without_secrets(url: str) -> str:
    """A URL without what stands for a user before the host, and without its query."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url
    rest = rest.partition("?")[0].partition("#")[0]
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def _is_conflict(error: OSError) -> bool:
    """Whether a conditional write failed because somebody else had written."""
    texts = ("pre-condition", "Precondition", "PreconditionFailed", "Conflict")
    return isinstance(error, FileExistsError) or any(text in str(error) for text in texts)


_wrappers: list[Callable[[ObjectStore], ObjectStore]] = []


@contextmanager
def wrapped_stores(wrapper: Callable[[ObjectStore], ObjectStore]) -> Iterator[None]:
    """Inside, every store that is opened is handed to `wrapper` first: for tests."""
    _wrappers.append(wrapper)
    try:
        yield
    finally:
        _wrappers.remove(wrapper)


def open_store(
    url: str, options: Mapping[str, Any], *, durable: bool, single_writer: bool
) -> ObjectStore:
    """
    The store behind a URL or a local path.

    Parameters
    ----------
    url
        A path, or a URL that fsspec knows.
    options
        Passed to the fsspec file system.
    durable
        Whether a local commit waits until its bytes are on the disk.
    single_writer
        See `FsspecStore`.
    """
    store: ObjectStore
    scheme, _, rest = url.partition("://")
    if scheme in _BUCKETS and "@" in rest.partition("/")[0]:
        # Such a URL would reach logs and messages by way of the client libraries.
        raise DataError(
            f"{without_secrets(url)}: credentials do not belong in a URL; give them as "
            "storage_options, or by the environment"
        )
    filesystem, path = fsspec.url_to_fs(url, **options)
    if isinstance(filesystem, LocalFileSystem):
        store = LocalStore(path, durable=durable)
    else:
        store = FsspecStore(url, options, single_writer=single_writer)
    for wrapper in _wrappers:
        store = wrapper(store)
    return store
