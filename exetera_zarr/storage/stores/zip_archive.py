"""A dataset in a zip archive, on a disk or elsewhere: only to be read."""

from __future__ import annotations

import tempfile
import weakref
import zipfile
from typing import TYPE_CHECKING, Any

from fsspec.implementations.zip import ZipFileSystem

from exetera_zarr.errors import DatasetNotFoundError
from exetera_zarr.storage import keys
from exetera_zarr.storage.remote.urls import is_local, without_secrets
from exetera_zarr.storage.stores.fsspec import FsspecStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ArchiveStore"]


class ArchiveStore(FsspecStore):
    """
    The content of an archive.

    Parameters
    ----------
    url
        Of the archive.
    options
        Of the file system that the archive is in; never shown.
    find
        Gives that file system, and the path of the archive in it.
    deadline
        Seconds after which a request is not made again; see `retrying.Patience`.
    """

    def __init__(
        self,
        url: str,
        options: Mapping[str, Any],
        find: Callable[[], tuple[Any, str]],
        *,
        deadline: float | None = None,
    ) -> None:
        self._find = find
        super().__init__(url, options, deadline=deadline)
        self.url = self.identity = without_secrets(url)
        self.distant = not is_local(url)

    def _open(self) -> tuple[Any, str]:
        try:
            filesystem = self._make("open", "", self._archive)
        except FileNotFoundError as error:
            raise DatasetNotFoundError(f"there is no dataset at {self.url}") from error
        return filesystem, _top(filesystem)

    def _archive(self) -> ZipFileSystem:
        filesystem, path = self._find()
        try:
            try:
                return ZipFileSystem(fo=filesystem.open(path, "rb"))
            except ValueError:  # of a server that sends no parts of files
                return _of_whole_file(filesystem, path)
        except zipfile.BadZipFile as error:
            raise DatasetNotFoundError(
                f"there is no dataset at {self.url}: it is not a zip archive"
            ) from error


def _of_whole_file(filesystem: Any, path: str) -> ZipFileSystem:
    """The content of an archive of which a copy is on the disk for as long."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the archive
    try:
        filesystem.get_file(path, file)
        file.seek(0)
        archive = ZipFileSystem(fo=file)
    except BaseException:
        file.close()
        raise
    weakref.finalize(archive, file.close)
    return archive


def _top(filesystem: Any) -> str:
    """The folder in an archive that holds the dataset, where it is not at its top."""
    if filesystem.exists(keys.DOCUMENT):
        return ""
    folders = [found["name"].strip("/") for found in filesystem.ls("", detail=True)]
    holding = [folder for folder in folders if filesystem.exists(f"{folder}/{keys.DOCUMENT}")]
    return holding[0] if len(holding) == 1 else ""
