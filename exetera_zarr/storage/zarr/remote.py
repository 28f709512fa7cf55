"""A bucket, or memory, as a store: what an fsspec file system reaches.

fsspec's asynchronous file systems share the event loop that fsspec itself runs, however many
threads call them.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import fsspec
from fsspec.asyn import sync
from fsspec.implementations.memory import MemoryFileSystem

from exetera_zarr.errors import StorageError, UnsupportedError
from exetera_zarr.storage.zarr import keys
from exetera_zarr.storage.zarr.store import Entry, ObjectStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["FsspecStore", "without_secrets"]

_TRIES = 20
"""How often a swap is tried: each one that fails says that another writer was faster."""
_probed: dict[tuple[str, str], tuple[bool, bool]] = {}
"""By endpoint and bucket: whether it honours If-None-Match, and If-Match."""


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
        self.swaps = self._memory
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

    def advance(
        self,
        key: str,
        data: bytes,
        wanted: Callable[[bytes | None], bool],
        expected: bytes | None = None,
    ) -> bool:
        if self._memory:
            with self._memory_lock:
                present = self._present(key)
                if wanted(present):
                    self.put(key, data)
                return wanted(present)
        if self._s3:
            # The ETag of a small object is its MD5, unless the bucket encrypts by a key of its own.
            digest = expected and hashlib.md5(expected, usedforsecurity=False).hexdigest()
            known = {"IfMatch": f'"{digest}"'} if digest else {"IfNoneMatch": "*"}
            return self._put_if(key, data, known) or self._advance_s3(key, data, wanted)
        if not wanted(self._present(key)):
            return False
        self.put(key, data)
        return True

    def _present(self, key: str) -> bytes | None:
        try:
            return self.get(key)
        except FileNotFoundError:
            return None

    def _advance_s3(self, key: str, data: bytes, wanted: Callable[[bytes | None], bool]) -> bool:
        """Compare and swap, by the ETag of what was read."""
        bucket, name, _ = self._fs.split_path(self._path(key))
        for _ in range(_TRIES):
            present, condition = None, {"IfNoneMatch": "*"}
            with suppress(FileNotFoundError), self._named("read", key):
                reply = self._fs.call_s3("get_object", Bucket=bucket, Key=name)
                present = sync(self._fs.loop, reply["Body"].read)
                condition = {"IfMatch": reply["ETag"]}
            if not wanted(present):
                return False
            if self._put_if(key, data, condition):
                return True
        raise StorageError(
            f"could not replace {self.url}/{key}: in {_TRIES} tries the store has not taken the "
            "ETag that it gives for the one that the object has"
        )

    def prepare(self) -> None:
        """Ask a store that is not Amazon's own once whether it honours conditional writes."""
        if not self._s3 or self._single_writer:
            return
        endpoint = str(self._fs.s3.meta.endpoint_url)
        if _is_amazon(endpoint):
            self.swaps = True
            return
        bucket = self._fs.split_path(self._path("probe"))[0]
        if (endpoint, bucket) not in _probed:
            _probed[endpoint, bucket] = self._probe()
        creates, self.swaps = _probed[endpoint, bucket]
        if not creates:
            raise UnsupportedError(
                f"{self.url}: this store ignores the condition of a write (If-None-Match), so "
                "two writers could overwrite each other; open with mode 'r', or with "
                "single_writer=True when no other process writes"
            )

    def _probe(self) -> tuple[bool, bool]:
        """Whether an object is not created where it is, and not replaced where it is another."""
        key = f"__exetera__/probe-{secrets.token_hex(8)}"
        another = hashlib.md5(b"another", usedforsecurity=False).hexdigest()
        try:
            creates = self.create(key, b"probe") and not self.create(key, b"probe")
            swaps = creates and not self._put_if(key, b"probe", {"IfMatch": f'"{another}"'})
        finally:
            self.delete(key)
        return creates, swaps

    def _put_if(self, key: str, data: bytes, condition: Mapping[str, str]) -> bool:
        """Write an object if the condition holds; whether it did."""
        bucket, name, _ = self._fs.split_path(self._path(key))
        try:
            self._fs.call_s3("put_object", Bucket=bucket, Key=name, Body=data, **condition)
        except FileNotFoundError:  # what IfMatch says of an object that is not there
            return False
        except OSError as error:
            if _is_conflict(error):
                return False
            raise self._failure("write", key, error) from error
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

    def enclosing(self) -> str | None:
        bucket_or_folder, _, below = self.root.partition("/")
        above = below.split("/")
        while above and below:
            above.pop()
            place = "/".join([bucket_or_folder, *above])
            if self._has_manifests(place):
                return place if "://" in place else f"{self.protocol}://{place.lstrip('/')}"
        return None

    def _has_manifests(self, place: str) -> bool:
        try:
            if self._s3:
                bucket, key, _ = self._fs.split_path(f"{place}/{keys.MANIFESTS}/")
                listed = {"Bucket": bucket, "Prefix": key.rstrip("/") + "/", "MaxKeys": 1}
                return bool(self._fs.call_s3("list_objects_v2", **listed).get("Contents"))
            return bool(self._fs.isdir(f"{place}/{keys.MANIFESTS}"))
        except OSError:  # of what is above we may not be allowed to see anything
            return False

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


def _is_amazon(endpoint: str) -> bool:
    host = urlsplit(endpoint).hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _is_conflict(error: OSError) -> bool:
    """Whether a conditional write failed because somebody else had written."""
    texts = ("pre-condition", "Precondition", "PreconditionFailed", "Conflict")
    return isinstance(error, FileExistsError) or any(text in str(error) for text in texts)
