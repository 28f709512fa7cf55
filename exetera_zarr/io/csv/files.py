"""Opening CSV files: local or behind a URL, compressed or not, one or all that fit a pattern."""

from __future__ import annotations

import hashlib
import lzma
import os
import re
from glob import glob
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from exetera_zarr.errors import ArgumentError, DataError, ExeteraError, StorageError
from exetera_zarr.io.csv.xz import XzReader
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exetera_zarr.io.options import PathLike

__all__ = ["InputFile", "expand", "identity", "is_url", "open_binary", "shown", "suffix_of"]

# Suffix to the name by which Arrow knows the codec; Python's own module reads the one it does not.
CODECS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".xz": "xz"}
PATTERN = re.compile(r"[*?\[]")
# What follows a "?" here is a query, and often a signature.
HTTP = ("http://", "https://")
LOCAL = ("file://", "local://")


def is_url(name: str) -> bool:
    """Whether it is a URL, not a local path."""
    return "://" in name


def shown(name: str) -> str:
    """How messages call a file: without credentials."""
    if not is_url(name):
        return name
    from exetera_zarr.storage import shown as without_credentials

    return without_credentials(name)


def identity(name: str) -> object:
    """Return what is equal for two names of one file: through links, and as a file:// URL."""
    for scheme in LOCAL:
        name = name.removeprefix(scheme)
    if is_url(name):
        return name
    try:
        found = Path(name).stat()
    except OSError:
        return os.path.realpath(name)
    return (found.st_dev, found.st_ino) if found.st_ino else os.path.realpath(name)


def suffix_of(name: str) -> str:
    """Return the suffix of a file's name, in lower case."""
    return Path(re.split("[?#]", name)[0] if name.startswith(HTTP) else name).suffix.lower()


def open_binary(
    path: PathLike, source_options: Mapping[str, Any] | None = None
) -> tuple[IO[bytes], int | None]:
    """
    Open a local file or a URL.

    Parameters
    ----------
    path
        Where it is.
    source_options
        For the file system behind a URL.

    Returns
    -------
    file
        Open for reading.
    size
        Its bytes, if known.
    """
    name = os.fspath(path)
    if name.startswith(LOCAL) or not is_url(name):
        local = Path(name.partition("://")[2] or name)
        try:
            return local.open("rb"), local.stat().st_size or None
        except (FileNotFoundError, PermissionError):
            raise
        except (OSError, ValueError) as error:  # a folder, links in a circle, NUL in a name
            raise StorageError(f"{visible(name)} cannot be opened as a file: {error}") from error
    from exetera_zarr.storage import open_file

    file = open_file(name, source_options)
    raw = getattr(file, "raw", None)
    return file, getattr(raw, "size", None)


def expand(
    paths: PathLike | Sequence[PathLike], source_options: Mapping[str, Any] | None = None
) -> list[str]:
    """
    List the files that are meant.

    Parameters
    ----------
    paths
        Path or URL, or several; one with ``*``, ``?`` or ``[]`` stands for all that it fits, in the
        order of their names, unless a local file is called just that.
    source_options
        For the file systems behind URLs.

    Returns
    -------
    list of str
        At least one.

    Raises
    ------
    FileNotFoundError
        Nothing fits a pattern.
    ValueError
        There are no paths, or one file twice, perhaps by other names.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not given:
        raise ArgumentError("a table needs at least one file")
    found: list[str] = []
    for name in (os.fspath(path) for path in given):
        if not _is_pattern(name):
            found.append(name)
            continue
        fitting = _fitting(name, source_options)
        if not fitting:
            raise FileNotFoundError(f"no file fits the pattern {shown(name)}")
        found += fitting
    _check_repeats(found)
    return found


def _check_repeats(names: Sequence[str]) -> None:
    first: dict[object, str] = {}
    for name in names:
        known = first.setdefault(identity(name), name)
        if known is not name:
            also = "" if known == name else f", also as {shown(known)}"
            raise ArgumentError(f"{shown(name)} is given more than once{also}")


def _is_pattern(name: str) -> bool:
    if is_url(name):
        return bool(PATTERN.search(name)) and not name.startswith(HTTP)
    return bool(PATTERN.search(name)) and not Path(name).exists()


def _fitting(pattern: str, source_options: Mapping[str, Any] | None) -> list[str]:
    if not is_url(pattern):
        # Path.glob takes no absolute pattern.
        found = glob(pattern, recursive=True)  # noqa: PTH207
        return sorted(name for name in found if Path(name).is_file())
    from exetera_zarr.storage import list_files

    return list_files(pattern, source_options)


class _Digested:
    """
    A file that is read from its first byte to its last, and what its bytes are told by.

    Parameters
    ----------
    file
        The file.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._hashed = 0

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._hash.update(data)
        self._hashed += len(data)
        return data

    def digest(self, size: int | None) -> str | None:
        """The SHA-256 of all bytes; None unless all of them were read."""
        if size is None:
            size = self._hashed + len(self.read(1))
        return self._hash.hexdigest() if size == self._hashed else None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class InputFile:
    """
    An open file, decompressed by the suffix of its name.

    Parameters
    ----------
    path
        Path or URL.
    source_options
        For the file system behind a URL.

    Attributes
    ----------
    name
        What messages call it.
    size
        Its bytes as they are stored, if known.
    """

    def __init__(self, path: PathLike, source_options: Mapping[str, Any] | None = None) -> None:
        self.name: str = shown(os.fspath(path))
        self.size: int | None
        stored, self.size = open_binary(path, source_options)
        self._stored = _Digested(stored)
        self._remote = is_url(os.fspath(path))
        self._codec = CODECS.get(suffix_of(os.fspath(path)))
        self._content = self._decompressed()
        self._count = 0

    def _decompressed(self) -> Any:
        if self._codec is None:
            return self._stored
        if self._codec == "xz":
            return XzReader(cast("IO[bytes]", self._stored))
        import pyarrow as pa

        return pa.CompressedInputStream(self._stored, self._codec)

    @property
    def seekable(self) -> bool:
        """Whether it could be opened again, which a pipe cannot."""
        return self._remote or self._stored.seekable()

    @property
    def position(self) -> int:
        """How many of its bytes are read, as they are stored."""
        return self._stored.tell() if self.seekable else self._count

    def read(self, size: int) -> bytes:
        """
        Read on.

        Parameters
        ----------
        size
            At most so many bytes.

        Raises
        ------
        DataError
            It cannot be decompressed.
        StorageError
            It is behind a URL, and could not be read on.
        """
        try:
            data: bytes = self._content.read(size)
        except ExeteraError:  # of what is behind a URL, and says which
            raise
        except (OSError, EOFError, lzma.LZMAError) as error:
            if self._codec is None:
                raise
            raise DataError(
                f"{self.name} cannot be decompressed as {self._codec}: {error}"
            ) from None
        self._count += len(data)
        return data

    def told(self) -> dict[str, Any]:
        """What a version says of a file that it was read from: no folder, which is of no use."""
        name = self.name if self._remote else Path(self.name).name
        found: dict[str, Any] = {"name": name, "bytes": self.position}
        digest = self._stored.digest(self.size)
        return found | ({} if digest is None else {"sha256": digest})

    def close(self) -> None:
        """Close it."""
        self._content.close()
        self._stored.close()
