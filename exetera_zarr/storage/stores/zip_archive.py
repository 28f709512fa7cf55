"""A dataset in a zip archive, on a disk or elsewhere: only to be read."""

from __future__ import annotations

import weakref
import zipfile
from typing import IO, TYPE_CHECKING, Any

from fsspec.implementations.zip import ZipFileSystem

from exetera_zarr.errors import CorruptDataError, DatasetNotFoundError
from exetera_zarr.storage import keys
from exetera_zarr.storage.remote.files import open_at_random
from exetera_zarr.storage.remote.urls import is_local, without_secrets
from exetera_zarr.storage.stores.base import check_size
from exetera_zarr.storage.stores.fsspec import FsspecStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exetera_zarr.storage.remote.requests import Bounds

__all__ = ["ArchiveStore"]

_FIRST_FILE = b"PK\x03\x04"
"""How an archive begins that has any file."""


class ArchiveStore(FsspecStore):
    """
    The content of an archive.

    Parameters
    ----------
    url
        Of the archive.
    options
        Of the file system that the archive is in; never shown.
    bounds
        Where its requests end: see `requests.bounds_of`.
    """

    def __init__(
        self,
        url: str,
        options: Mapping[str, Any],
        *,
        bounds: Bounds | None = None,
    ) -> None:
        self._archive_url = url
        super().__init__(url, options, bounds=bounds)
        self.url = self.identity = without_secrets(url)
        self.distant = not is_local(url)

    def _open(self) -> tuple[Any, str]:
        try:
            file = open_at_random(self._archive_url, self._options)
        except FileNotFoundError as error:
            raise DatasetNotFoundError(f"there is no dataset at {self.url}") from error
        filesystem = self._make("open", "", lambda: self._archive(file))
        return filesystem, _top(filesystem)

    def get(self, key: str) -> bytes:
        # No more than an entry claims to have is decompressed, so this bounds what it takes.
        size = self._make("read", key, lambda: self._fs.size(self._path(key)))
        check_size(key, int(size or 0), self.url)
        return super().get(key)

    def _archive(self, file: IO[bytes]) -> ZipFileSystem:
        try:
            archive = ZipFileSystem(fo=file)
        except zipfile.BadZipFile as error:
            damaged = _begins_as_archive(file)
            file.close()
            if damaged:
                raise CorruptDataError(
                    f"the zip archive {self.url} is truncated or damaged: its end, where the list "
                    "of its files is, is missing; copy or download it again"
                ) from error
            raise DatasetNotFoundError(
                f"there is no dataset at {self.url}: it is not a zip archive"
            ) from error
        except BaseException:
            file.close()
            raise
        weakref.finalize(archive, file.close)
        return archive


def _begins_as_archive(file: IO[bytes]) -> bool:
    file.seek(0)
    return file.read(len(_FIRST_FILE)) == _FIRST_FILE


def _top(filesystem: Any) -> str:
    """The folder in an archive that holds the dataset, where it is not at its top."""
    if filesystem.exists(keys.DOCUMENT):
        return ""
    folders = [found["name"].strip("/") for found in filesystem.ls("", detail=True)]
    holding = [folder for folder in folders if filesystem.exists(f"{folder}/{keys.DOCUMENT}")]
    return holding[0] if len(holding) == 1 else ""
